//! The cell's configuration file: fixed places, part classes, colours, cameras, scene statistics.

mod check;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::scene::Shape;

/// The cell that ships with the crate.
const BUILTIN: &str = include_str!("../cell.toml");
/// Height of the space above a place's floor that belongs to the place, m: more than a part and the error of
/// its estimated height.
const PLACE_HEIGHT_M: f64 = 0.10;

/// Why a cell configuration was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The file is not TOML of the documented shape.
    #[error("{origin}: {message}")]
    Parse {
        /// Where the text came from.
        origin: String,
        /// What the parser says, with line and key.
        message: String,
    },
    /// A value cannot be.
    #[error("{origin}: {key}: {problem}")]
    Value {
        /// Where the text came from.
        origin: String,
        /// Path of the key.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// Everything fixed about a cell. Metres, radians, kilograms, base frame.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellConfig {
    /// The table; its top is z = 0.
    pub table: Table,
    /// Where parts are delivered.
    pub bin: Bin,
    /// Where orders are kitted.
    pub tray: Tray,
    /// Where clutter may lie beside the bin.
    pub clutter: Area,
    /// Where spares lie.
    pub search: Search,
    /// Nominal light and its variation.
    pub light: LightConfig,
    /// Cameras.
    #[serde(rename = "camera")]
    pub cameras: Vec<CameraConfig>,
    /// The safety scanner that sees persons.
    pub scanner: ScannerConfig,
    /// Linear RGB by colour name.
    pub colors: BTreeMap<String, [f32; 3]>,
    /// Friction of surfaces that are no parts.
    pub contact: ContactConfig,
    /// Classes that orders may ask for.
    #[serde(rename = "part")]
    pub parts: Vec<ObjectClass>,
    /// Classes that no order asks for.
    #[serde(rename = "distractor")]
    pub distractors: Vec<ObjectClass>,
    /// How scenes are drawn.
    pub scene: SceneConfig,
    /// What counts as placed.
    pub grading: GradingConfig,
}

/// The table top.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Centre, x and y.
    pub center: [f64; 2],
    /// Size, x and y.
    pub size: [f64; 2],
    /// Albedo.
    pub rgb: [f32; 3],
}

/// The parts bin: a floor and four low walls.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// Centre, x and y.
    pub center: [f64; 2],
    /// Inner size, x and y.
    pub size: [f64; 2],
    /// Wall height above the table.
    pub wall_height: f64,
    /// Wall thickness.
    pub wall_thickness: f64,
    /// Floor thickness.
    pub floor_thickness: f64,
    /// Least distance of a part's centre to a wall when a scene is drawn.
    pub wall_margin: f64,
    /// Albedo.
    pub rgb: [f32; 3],
}

/// The kitting tray: pockets with a low rim.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tray {
    /// Height of the pockets' floor above the table.
    pub floor_thickness: f64,
    /// Height of the rim above the floor.
    pub rim_height: f64,
    /// Thickness of the rim.
    pub rim_thickness: f64,
    /// Inner size of a pocket, x and y.
    pub pocket_size: [f64; 2],
    /// Albedo of the floor.
    pub rgb: [f32; 3],
    /// Albedo of the rims.
    pub rim_rgb: [f32; 3],
    /// The pockets.
    pub pockets: Vec<Pocket>,
}

/// One pocket of the tray.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pocket {
    /// Name, unique in the tray.
    pub name: String,
    /// Centre, x and y.
    pub position: [f64; 2],
    /// Where a part's x axis should point, about z.
    pub yaw: f64,
}

/// A rectangle on the table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// Centre, x and y.
    pub center: [f64; 2],
    /// Size, x and y.
    pub size: [f64; 2],
}

/// The shelf with spares.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Name of the place.
    pub name: String,
    /// Centre, x and y.
    pub center: [f64; 2],
    /// Size, x and y.
    pub size: [f64; 2],
    /// Thickness; its top is where spares lie.
    pub thickness: f64,
    /// Albedo.
    pub rgb: [f32; 3],
}

/// Nominal light and how much cycles differ.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightConfig {
    /// From the scene towards the lamp; any length.
    pub towards_lamp: [f64; 3],
    /// Nominal lamp intensity.
    pub intensity: f64,
    /// Nominal ambient intensity.
    pub ambient: f64,
    /// Share by which both vary, up and down.
    pub variation: f64,
    /// Angle by which the lamp moves about x and y, up and down.
    pub tilt: f64,
}

/// One RGB-D camera.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// Name, unique in the cell.
    pub name: String,
    /// Where it is.
    pub mount: CameraMount,
    /// Image width in pixels.
    pub width: u32,
    /// Image height in pixels.
    pub height: u32,
    /// Horizontal field of view.
    pub horizontal_fov: f64,
    /// Exposures a second.
    pub rate_hz: f64,
    /// Standard deviation of the depth noise.
    pub depth_noise_sigma: f64,
    /// Standard deviation of the colour noise, of full scale.
    pub rgb_noise_sigma: f64,
}

/// Where a camera is mounted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum CameraMount {
    /// On the cell's frame.
    Fixed {
        /// The optical centre.
        position: [f64; 3],
        /// A point on the optical axis.
        look_at: [f64; 3],
        /// The direction that is up in the image.
        up: [f64; 3],
    },
    /// On the hand, where the robot description says.
    Hand,
}

/// Friction coefficients of the robot's pads and of fixtures; pairs average.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactConfig {
    /// Finger pads.
    pub pad_friction: f64,
    /// Table, bin, tray, shelf, robot links.
    pub fixture_friction: f64,
}

/// A class of loose objects.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectClass {
    /// Name of the class.
    pub class: String,
    /// Its shape.
    pub shape: ShapeConfig,
    /// Mass.
    pub mass: f64,
    /// Friction coefficient; pairs average.
    pub friction: f64,
    /// Colours that it comes in.
    pub colors: Vec<String>,
    /// Yaw is judged modulo this; 0 (the default) means that any yaw is right.
    #[serde(default)]
    pub yaw_symmetry: f64,
}

/// Shape of a class, as it lies: x along its length, z up.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum ShapeConfig {
    /// A box.
    Box {
        /// Full size.
        size: [f64; 3],
    },
    /// An upright cylinder.
    Cylinder {
        /// Diameter.
        diameter: f64,
        /// Height.
        height: f64,
    },
    /// A sphere.
    Sphere {
        /// Diameter.
        diameter: f64,
    },
    /// A capsule lying along x.
    Capsule {
        /// Diameter.
        diameter: f64,
        /// Length over all.
        length: f64,
    },
    /// A prism with a trapezoid profile along x, extruded along y.
    Roof {
        /// Length at the bottom.
        length: f64,
        /// Length at the top.
        ridge: f64,
        /// Distance between the two parallel faces.
        width: f64,
        /// Height.
        height: f64,
    },
}

impl ShapeConfig {
    /// The shape around its own origin, which is half way up.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match *self {
            Self::Box { size } => Shape::Box {
                half_m: size.map(|side| side / 2.0),
            },
            Self::Cylinder { diameter, height } => Shape::Cylinder {
                radius_m: diameter / 2.0,
                half_height_m: height / 2.0,
            },
            Self::Sphere { diameter } => Shape::Sphere {
                radius_m: diameter / 2.0,
            },
            Self::Capsule { diameter, length } => {
                let half = (length - diameter) / 2.0;
                Shape::Capsule {
                    a_m: [-half, 0.0, 0.0],
                    b_m: [half, 0.0, 0.0],
                    radius_m: diameter / 2.0,
                }
            }
            Self::Roof {
                length,
                ridge,
                width,
                height,
            } => {
                let mut points_m = Vec::with_capacity(8);
                for (x, z) in [(length / 2.0, -height / 2.0), (ridge / 2.0, height / 2.0)] {
                    for (sx, sy) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
                        points_m.push([sx * x, sy * width / 2.0, z]);
                    }
                }
                Shape::Prism { points_m }
            }
        }
    }
}

/// How scenes are drawn.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneConfig {
    /// Parts in the bin: least and most.
    pub parts: [usize; 2],
    /// Distractors: least and most.
    pub distractors: [usize; 2],
    /// Most of them that lie in the bin; the others lie in the clutter area.
    pub distractors_in_bin_max: usize,
    /// Lines of an order: least and most; at least one a class.
    pub order_lines: [usize; 2],
    /// Least gap between bounding circles.
    pub clearance: f64,
    /// Least distance from a part's centre to another object's bounding circle.
    pub finger_reach: f64,
    /// Share of cycles in which a distractor lies close to an end of a part.
    pub close_neighbour_share: f64,
    /// Gap of a close neighbour: least and most.
    pub close_gap: [f64; 2],
}

/// The safety scanner.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerConfig {
    /// Time between two scans, ms.
    pub period_ms: u64,
    /// Time from a scan to its result, ms.
    pub latency_ms: u64,
    /// Farthest that a place is off.
    pub uncertainty: f64,
    /// Farthest from the base that it sees.
    pub range: f64,
}

/// What counts as placed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradingConfig {
    /// Largest distance of the part's centre from the pocket's.
    pub position_tolerance: f64,
    /// Largest yaw error, degrees, modulo the class's symmetry.
    pub yaw_tolerance_deg: f64,
}

/// A named place of the cell, for whoever gives targets.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedPlace {
    /// Unique name.
    pub name: String,
    /// `pocket`, `bin` or `search`.
    pub kind: &'static str,
    /// Centre of the surface on which things lie, base frame.
    pub pose: sinew_messages::Pose,
    /// Size of that surface and height of its border, metres.
    pub size_m: [f64; 3],
}

impl CellConfig {
    /// The cell that ships with the crate.
    #[must_use]
    pub fn builtin() -> Self {
        Self::from_toml(BUILTIN, "builtin cell.toml").expect("the shipped file is tested")
    }

    /// Parses and checks a configuration; `origin` names it in errors.
    ///
    /// # Errors
    /// [`ConfigError`] for unknown keys, wrong types, and values that cannot be.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Parse {
            origin: origin.to_owned(),
            message: error.to_string(),
        })?;
        check::check(&config, origin)?;
        Ok(config)
    }

    /// The class of parts or distractors with this name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&ObjectClass> {
        self.parts
            .iter()
            .chain(&self.distractors)
            .find(|class| class.class == name)
    }

    /// Every named place: pockets in the order of the file, then `bin`, then the search area. Each is the space
    /// above its floor in which parts lie, which is higher than rims and walls.
    #[must_use]
    pub fn places(&self) -> Vec<FixedPlace> {
        let place = |name: &str, kind, [x, y]: [f64; 2], z: f64, yaw: f64, size_m| FixedPlace {
            name: name.to_owned(),
            kind,
            pose: sinew_messages::Pose {
                position_m: [x, y, z],
                orientation_xyzw: [0.0, 0.0, libm::sin(yaw / 2.0), libm::cos(yaw / 2.0)],
            },
            size_m,
        };
        let tray = &self.tray;
        let pocket_size = [tray.pocket_size[0], tray.pocket_size[1], PLACE_HEIGHT_M];
        let mut places: Vec<_> = tray
            .pockets
            .iter()
            .map(|pocket| {
                place(
                    &pocket.name,
                    "pocket",
                    pocket.position,
                    tray.floor_thickness,
                    pocket.yaw,
                    pocket_size,
                )
            })
            .collect();
        let bin = &self.bin;
        places.push(place(
            "bin",
            "bin",
            bin.center,
            bin.floor_thickness,
            0.0,
            [bin.size[0], bin.size[1], PLACE_HEIGHT_M],
        ));
        let search = &self.search;
        places.push(place(
            &search.name,
            "search",
            search.center,
            search.thickness,
            0.0,
            [search.size[0], search.size[1], PLACE_HEIGHT_M],
        ));
        places
    }
}
