//! What there is to see: the plain data that the physics hands to the renderer and to nobody else.
//!
//! A [`SceneModel`] is fixed for one cycle (shapes, colours, classes); a [`SceneState`] adds the poses of
//! one moment, so that a snapshot at camera rate copies poses only. All poses are in the base frame.

use std::sync::Arc;

use sinew_messages::Pose;

/// A convex shape in the frame of its solid.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Axis-aligned box around the origin, half extents in metres.
    Box {
        /// Half extents along x, y, z.
        half_m: [f64; 3],
    },
    /// Cylinder around the z axis, centred at the origin.
    Cylinder {
        /// Radius.
        radius_m: f64,
        /// Half of the height.
        half_height_m: f64,
    },
    /// Sphere around the origin.
    Sphere {
        /// Radius.
        radius_m: f64,
    },
    /// All points within `radius_m` of the segment from `a_m` to `b_m`.
    Capsule {
        /// One end of the segment.
        a_m: [f64; 3],
        /// The other end of the segment.
        b_m: [f64; 3],
        /// Radius.
        radius_m: f64,
    },
    /// Convex hull of the points.
    Prism {
        /// Corner points; at least four that don't lie in a plane.
        points_m: Vec<[f64; 3]>,
    },
}

impl Shape {
    /// Half extents of the axis-aligned box around the origin that contains the shape, metres.
    #[must_use]
    pub fn half_extents_m(&self) -> [f64; 3] {
        let reach = |points: &mut dyn Iterator<Item = [f64; 3]>, margin: f64| {
            points.fold([0.0_f64; 3], |reach, point| {
                core::array::from_fn(|axis| reach[axis].max(point[axis].abs() + margin))
            })
        };
        match self {
            Self::Box { half_m } => *half_m,
            Self::Cylinder {
                radius_m,
                half_height_m,
            } => [*radius_m, *radius_m, *half_height_m],
            Self::Sphere { radius_m } => [*radius_m; 3],
            Self::Capsule { a_m, b_m, radius_m } => reach(&mut [*a_m, *b_m].into_iter(), *radius_m),
            Self::Prism { points_m } => reach(&mut points_m.iter().copied(), 0.0),
        }
    }
}

/// What a solid is, for labels and for the scorer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SolidKind {
    /// A part that orders may ask for.
    Part,
    /// A loose object that no order asks for.
    Distractor,
    /// A piece of the robot.
    Robot,
    /// Table, bin, tray, shelf.
    Fixture,
}

/// One coloured convex solid.
#[derive(Clone, Debug, PartialEq)]
pub struct Solid {
    /// Unique in the scene, for example `part-3`, `link-4`, `bin-wall-1`.
    pub name: String,
    /// What it is.
    pub kind: SolidKind,
    /// Class of a part or distractor (`block`, `sphere`, …); empty for everything else.
    pub class: String,
    /// Name of its colour (`red`, …); empty for robot and fixtures.
    pub color: String,
    /// Albedo, linear RGB in 0…1.
    pub rgb: [f32; 3],
    /// Shape in its own frame. A part's x axis is its long axis, z points up when it lies as delivered.
    pub shape: Shape,
}

/// Light of one cycle: one distant lamp and an ambient term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// Unit vector from the scene towards the lamp.
    pub towards_lamp: [f64; 3],
    /// Lamp intensity; 1 is nominal, cycles draw it within ±30 %.
    pub intensity: f64,
    /// Ambient intensity; 0.35 is nominal, drawn within ±30 %.
    pub ambient: f64,
}

/// The part of a scene that does not change within a cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneModel {
    /// Every solid, in a fixed order: fixtures, robot, then loose objects.
    pub solids: Vec<Solid>,
    /// Light of this cycle.
    pub light: Light,
}

/// One moment of a scene.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneState {
    /// Shapes and colours.
    pub model: Arc<SceneModel>,
    /// Tick of the moment.
    pub tick: u64,
    /// Pose of each solid, in the order of [`SceneModel::solids`].
    pub poses: Vec<Pose>,
    /// The tool frame (TCP), base frame: what a hand-mounted camera rides on.
    pub tool_pose: Pose,
    /// The last link's frame (before the tool), base frame.
    pub flange_pose: Pose,
}
