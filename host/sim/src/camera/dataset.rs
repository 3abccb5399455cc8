//! Images with labels from random scenes, for training the detector and for judging it.
//!
//! The scenes are wider than those of the running cell on purpose: more objects and closer together,
//! objects in pockets, on the shelf, anywhere on the table, toppled, in the gripper; the arm anywhere above
//! them. No physics: what is seen counts, not how it came about.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use sinew_description::RobotDescription;
use sinew_hardware::RgbdFrame;
use sinew_kinematics::{Chain, isometry_to_pose, tool_down};
use sinew_messages::{JointVector, Pose};

use super::Optics;
use super::labels::{Label, labels};
use crate::config::{CellConfig, ObjectClass};
use crate::film::Shot;
use crate::rng::{Stream, derive};
use crate::scene::{Light, SceneState, Solid};
use crate::solids::{loose_solid, scene_at};

/// An image and what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The image as perception gets it.
    pub frame: RgbdFrame,
    /// The truth.
    pub labels: Vec<Label>,
}

/// Draws random scenes of one cell and photographs them with all of its cameras.
pub struct Sampler {
    config: CellConfig,
    robot: RobotDescription,
    chain: Chain,
    optics: Vec<Optics>,
}

/// A loose object that found its place.
struct Placed {
    solid: Solid,
    pose: Isometry3<f64>,
    yaw_rad: f64,
    half_m: [f64; 3],
    is_part: bool,
}

impl Sampler {
    /// A sampler for this cell and robot.
    #[must_use]
    pub fn new(config: CellConfig, robot: RobotDescription) -> Self {
        let chain = robot.chain();
        let mount = robot.hand.origin * robot.wrist_camera;
        let optics = config
            .cameras
            .iter()
            .map(|camera| Optics::new(camera, &mount))
            .collect();
        Self {
            config,
            robot,
            chain,
            optics,
        }
    }

    /// One image a camera of random scene `index` of `seed`. Equal arguments give equal bytes.
    #[must_use]
    pub fn sample(&self, seed: u64, index: u64) -> Vec<Sample> {
        self.photograph(Arc::new(self.scene(seed, index)), seed, index)
    }

    /// One image a camera of a given scene; `seed` and `index` choose the sensor noise.
    #[must_use]
    pub fn photograph(&self, scene: Arc<SceneState>, seed: u64, index: u64) -> Vec<Sample> {
        self.optics
            .iter()
            .zip(self.frames(&scene, seed, index))
            .map(|(optics, frame)| Sample {
                frame,
                labels: labels(optics, &scene),
            })
            .collect()
    }

    /// The images alone.
    #[must_use]
    pub fn frames(&self, scene: &Arc<SceneState>, seed: u64, index: u64) -> Vec<RgbdFrame> {
        self.optics
            .iter()
            .map(|optics| {
                optics.develop(&Shot {
                    tick: scene.tick,
                    sequence: index,
                    noise_seed: derive(seed, index, optics.name()),
                    scene: Arc::clone(scene),
                })
            })
            .collect()
    }

    /// Random scene `index` of `seed`.
    #[must_use]
    pub fn scene(&self, seed: u64, index: u64) -> SceneState {
        let stream = &mut Stream::new(seed, index, "dataset");
        let mut placed = self.scatter(stream);
        let joints = self.posture(&placed, stream);
        let mut width = stream.range(0.0, self.robot.gripper.width_max_m);
        if stream.chance(0.25) {
            width = self.hold(&mut placed, &joints, stream);
        }
        let loose: Vec<(Solid, Pose)> = placed
            .into_iter()
            .map(|object| (object.solid, isometry_to_pose(&object.pose)))
            .collect();
        let light = self.light(stream);
        scene_at(&self.config, &self.robot, &joints, width, &loose, light)
    }

    fn light(&self, stream: &mut Stream) -> Light {
        let light = &self.config.light;
        let mut share = || 1.0 + 1.1 * stream.range(-light.variation, light.variation);
        let (intensity, ambient) = (light.intensity * share(), light.ambient * share());
        let mut tilt = || 1.2 * stream.range(-light.tilt, light.tilt);
        let turn = nalgebra::Rotation3::from_euler_angles(tilt(), tilt(), 0.0);
        let towards = turn * Vector3::from(light.towards_lamp).normalize();
        Light {
            towards_lamp: towards.into(),
            intensity,
            ambient,
        }
    }

    fn object(&self, stream: &mut Stream, part_share: f64, serial: usize) -> Option<Placed> {
        let is_part = stream.chance(part_share);
        let classes: &[ObjectClass] = if is_part {
            &self.config.parts
        } else {
            &self.config.distractors
        };
        let class = classes.get(stream.count(0, classes.len().saturating_sub(1)))?;
        let color = class.colors.get(stream.count(0, class.colors.len() - 1))?;
        let solid = loose_solid(&self.config, &class.class, color, format!("loose-{serial}"))?;
        Some(Placed {
            half_m: solid.shape.half_extents_m(),
            solid,
            pose: Isometry3::identity(),
            yaw_rad: 0.0,
            is_part,
        })
    }

    /// Puts objects into the bin, the pockets, onto the shelf and the table.
    fn scatter(&self, stream: &mut Stream) -> Vec<Placed> {
        let config = &self.config;
        let mut placed: Vec<Placed> = Vec::new();
        let spacing = stream.range(0.8, 1.4);
        let inner = config.bin.size.map(|side| side - 0.05);
        let bin = (config.bin.center, inner, config.bin.floor_thickness);
        let shelf = (
            config.search.center,
            config.search.size.map(|side| side - 0.05),
            config.search.thickness,
        );
        let table = ([0.47, 0.0], [0.55, 0.95], 0.0);
        let counts = [
            (bin, stream.count(2, 13)),
            (shelf, stream.count(0, 2)),
            (table, stream.count(0, 3)),
        ];
        for ((center, size, surface_m), count) in counts {
            for _ in 0..count {
                let Some(object) = self.object(stream, 0.72, placed.len()) else {
                    continue;
                };
                for _ in 0..30 {
                    let at: [f64; 2] =
                        core::array::from_fn(|i| center[i] + stream.range(-0.5, 0.5) * size[i]);
                    let on_table = surface_m == 0.0;
                    if on_table && self.is_furnished(at) {
                        continue;
                    }
                    if is_free(&placed, at, reach(&object.half_m), spacing) {
                        let yaw_rad = stream.range(-core::f64::consts::PI, core::f64::consts::PI);
                        placed.push(lay(object, at, surface_m, yaw_rad, stream));
                        break;
                    }
                }
            }
        }
        let tray = &config.tray;
        let filled = stream.range(0.0, 0.9);
        for pocket in &tray.pockets {
            if !stream.chance(filled) {
                continue;
            }
            let Some(object) = self.object(stream, 0.95, placed.len()) else {
                continue;
            };
            let at = pocket.position.map(|c| c + stream.range(-0.012, 0.012));
            let yaw_rad = if stream.chance(0.7) {
                pocket.yaw + stream.range(-0.25, 0.25)
            } else {
                stream.range(-core::f64::consts::PI, core::f64::consts::PI)
            };
            if is_free(&placed, at, reach(&object.half_m), spacing) {
                placed.push(lay(object, at, tray.floor_thickness, yaw_rad, stream));
            }
        }
        placed
    }

    /// True over bin walls, pockets and the robot's own base, where nothing lies on the bare table.
    fn is_furnished(&self, at: [f64; 2]) -> bool {
        let config = &self.config;
        let near = |center: [f64; 2], size: [f64; 2], margin: f64| {
            (0..2).all(|i| (at[i] - center[i]).abs() < size[i] / 2.0 + margin)
        };
        let margin = 0.035;
        near(config.bin.center, config.bin.size, margin)
            || near(config.search.center, config.search.size, margin)
            || near([0.0; 2], [0.2; 2], margin)
            || (config.tray.pockets.iter())
                .any(|pocket| near(pocket.position, config.tray.pocket_size, margin))
    }

    /// A posture of the arm: near a named one, above a part as if to grasp it, or above anything.
    fn posture(&self, placed: &[Placed], stream: &mut Stream) -> JointVector {
        let rest = *self.chain.rest();
        let kind = stream.unit();
        let named = &self.robot.poses;
        if kind < 0.25 || placed.is_empty() {
            let near = match named.len() {
                0 => rest,
                count => named[stream.count(0, count - 1)].joints_rad,
            };
            return near.map(|joint| joint + stream.range(-0.06, 0.06));
        }
        let target = &placed[stream.count(0, placed.len() - 1)];
        let [x, y, z] = target.pose.translation.vector.into();
        let (position_m, yaw_rad) = if kind < 0.60 {
            let mut aside = || stream.range(-0.04, 0.04);
            let (dx, dy) = (aside(), aside());
            let up = 0.25 * stream.unit();
            (
                [x + dx, y + dy, z + 0.005 + up],
                target.yaw_rad + stream.range(-0.3, 0.3),
            )
        } else {
            let mut aside = || stream.range(-0.12, 0.12);
            let (dx, dy) = (aside(), aside());
            let yaw_rad = stream.range(-core::f64::consts::PI, core::f64::consts::PI);
            ([x + dx, y + dy, stream.range(0.12, 0.38)], yaw_rad)
        };
        let half_turn = core::f64::consts::PI;
        let yaw_rad = libm::remainder(yaw_rad, half_turn);
        let lean = if kind > 0.85 {
            stream.range(-0.2, 0.2)
        } else {
            0.0
        };
        let lean = UnitQuaternion::from_axis_angle(&Vector3::x_axis(), lean);
        let target = tool_down(position_m, yaw_rad) * lean;
        self.chain.inverse(&target, &rest).unwrap_or(rest)
    }

    /// Moves one part between the fingers; returns the width of the gripper.
    fn hold(&self, placed: &mut Vec<Placed>, joints: &JointVector, stream: &mut Stream) -> f64 {
        let Some(mut object) = self.object(stream, 1.0, placed.len()) else {
            return self.robot.gripper.width_max_m;
        };
        let tool = self.chain.forward(joints).tool;
        let down = UnitQuaternion::from_axis_angle(&Vector3::x_axis(), core::f64::consts::PI);
        let slide = stream.range(-0.008, 0.008);
        let sink = stream.range(-0.006, 0.008);
        let offset = Translation3::new(slide, 0.0, sink);
        object.pose = tool * Isometry3::from_parts(offset, down);
        let center = object.pose.translation.vector;
        // Whatever lies where the held part hangs would be pushed away.
        placed.retain(|other| (other.pose.translation.vector - center).norm() > 0.06);
        let width = 2.0 * object.half_m[1];
        placed.push(object);
        width
    }
}

/// Radius of the circle around the footprint, m.
fn reach(half_m: &[f64; 3]) -> f64 {
    half_m[0].hypot(half_m[1])
}

fn is_free(placed: &[Placed], at: [f64; 2], reach_m: f64, spacing: f64) -> bool {
    placed.iter().all(|other| {
        let there = other.pose.translation.vector;
        let distance = (there.x - at[0]).hypot(there.y - at[1]);
        distance > spacing * (reach_m + reach(&other.half_m))
    })
}

/// Lays an object down at `at`; now and then it fell over.
fn lay(
    mut object: Placed,
    at: [f64; 2],
    surface_m: f64,
    yaw_rad: f64,
    stream: &mut Stream,
) -> Placed {
    let yaw = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw_rad);
    let quarter = core::f64::consts::FRAC_PI_2;
    let (tip, half_height) = match stream.unit() {
        u if object.is_part && u < 0.03 => (
            UnitQuaternion::from_axis_angle(&Vector3::x_axis(), quarter),
            object.half_m[1],
        ),
        u if object.is_part && u < 0.05 => (
            UnitQuaternion::from_axis_angle(&Vector3::y_axis(), quarter),
            object.half_m[0],
        ),
        _ => (UnitQuaternion::identity(), object.half_m[2]),
    };
    let position = Translation3::new(at[0], at[1], surface_m + half_height);
    object.pose = Isometry3::from_parts(position, yaw * tip);
    object.yaw_rad = yaw_rad;
    object
}

/// Writes the images of `scenes` random scenes of `seed` into `folder`:
///
/// - `rgb.npy`: u8, frames × height × width × 3;
/// - `depth.npy`: u16 in 0.1 mm, 0 where there is none, frames × height × width;
/// - `frames.tsv`: camera, fx, fy, cx, cy, then position (m) and quaternion (x, y, z, w) of the camera;
/// - `labels.tsv`: frame, part or distractor, class, colour, centre (m), yaw (rad), upright, height of the top
///   (m), pixel, pixels seen, share seen.
///
/// All cameras must have the same image size.
///
/// # Errors
/// Whatever the file system says; `InvalidInput` for cameras of different sizes.
pub fn export(sampler: &Sampler, folder: &Path, seed: u64, scenes: u64) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let sizes = sampler.optics.iter().map(|optics| {
        let k = optics.view(&sampler.scene(seed, 0)).intrinsics;
        (k.height as usize, k.width as usize)
    });
    let sizes: Vec<_> = sizes.collect();
    let Some((height, width)) = sizes.first().copied() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the cell has no camera",
        ));
    };
    if sizes.iter().any(|size| *size != (height, width)) {
        let problem = "all cameras of an exported cell need the same image size";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let frames = scenes as usize * sizes.len();
    let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let (mut rgb, mut depth) = (create("rgb.npy")?, create("depth.npy")?);
    let (mut index, mut truth) = (create("frames.tsv")?, create("labels.tsv")?);
    rgb.write_all(&npy_header("|u1", &[frames, height, width, 3]))?;
    depth.write_all(&npy_header("<u2", &[frames, height, width]))?;
    let mut serial = 0;
    for scene in 0..scenes {
        for Sample { frame, labels } in sampler.sample(seed, scene) {
            rgb.write_all(&frame.rgb)?;
            for depth_m in &frame.depth_m {
                let tenths_mm = (depth_m * 1e4 + 0.5) as u16;
                depth.write_all(&tenths_mm.to_le_bytes())?;
            }
            let k = frame.intrinsics;
            write!(
                index,
                "{}\t{}\t{}\t{}\t{}",
                frame.camera, k.fx, k.fy, k.cx, k.cy
            )?;
            let pose = frame.pose;
            for value in pose.position_m.iter().chain(&pose.orientation_xyzw) {
                write!(index, "\t{value}")?;
            }
            writeln!(index)?;
            for label in labels {
                write_label(&mut truth, serial, &label)?;
            }
            serial += 1;
        }
    }
    for mut file in [rgb, depth, index, truth] {
        file.flush()?;
    }
    Ok(())
}

fn write_label(to: &mut impl Write, frame: usize, label: &Label) -> io::Result<()> {
    let kind = if label.is_part { "part" } else { "distractor" };
    let [x, y, z] = label.position_m;
    let [u, v] = label.pixel;
    writeln!(
        to,
        "{frame}\t{kind}\t{}\t{}\t{x}\t{y}\t{z}\t{}\t{}\t{}\t{u}\t{v}\t{}\t{}",
        label.class,
        label.color,
        label.yaw_rad,
        label.upright,
        label.top_m[2],
        label.pixels,
        label.visible
    )
}

/// The header of a NumPy array file, format version 1.0: <https://numpy.org/neps/nep-0001-npy-format.html>.
fn npy_header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({extents}), }}");
    // Magic, version and length take 10 bytes; the whole header is a multiple of 64 and ends with a newline.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler() -> Sampler {
        Sampler::new(CellConfig::builtin(), RobotDescription::builtin())
    }

    #[test]
    fn a_sample_is_a_function_of_seed_and_index() {
        let sampler = sampler();
        let first = sampler.sample(3, 5);
        assert_eq!(first.len(), 2);
        assert_eq!(first, sampler.sample(3, 5));
        assert_ne!(first, sampler.sample(3, 6));
        assert_ne!(first, sampler.sample(4, 5));
    }

    #[test]
    fn labels_lie_on_what_the_depth_shows() {
        let sampler = sampler();
        let (mut checked, mut wrong) = (0, 0);
        for sample in (0..60).flat_map(|index| sampler.sample(8, index)) {
            let width = sample.frame.intrinsics.width as usize;
            for label in &sample.labels {
                let inside = label.pixel[0] > 1.0 && label.pixel[0] < width as f64 - 1.0;
                if !inside || label.visible < 0.98 || label.upright < 0.9 {
                    continue;
                }
                let at = label.pixel[1] as usize * width + label.pixel[0] as usize;
                let Some(depth_m) = sample.frame.depth_m.get(at).filter(|depth| **depth > 0.0)
                else {
                    continue;
                };
                let view = super::super::View {
                    intrinsics: sample.frame.intrinsics,
                    pose: super::super::lens::isometry(&sample.frame.pose),
                };
                let seen = view.unproject(label.pixel[0], label.pixel[1], f64::from(*depth_m));
                checked += 1;
                wrong += usize::from((seen[2] - label.top_m[2]).abs() > 0.010);
            }
        }
        assert!(checked > 300, "{checked} labels");
        assert!(
            wrong * 50 < checked,
            "{wrong} of {checked} labels are not where the depth says"
        );
    }

    #[test]
    fn exported_files_have_the_promised_sizes() {
        let folder = std::env::temp_dir().join(format!("sinew-dataset-{}", std::process::id()));
        export(&sampler(), &folder, 1, 2).expect("the temporary folder is writable");
        let size = |name: &str| std::fs::metadata(folder.join(name)).map(|m| m.len());
        let pixels = 4 * 192 * 144;
        assert_eq!(size("rgb.npy").ok(), Some(3 * pixels + 128));
        assert_eq!(size("depth.npy").ok(), Some(2 * pixels + 128));
        let index = std::fs::read_to_string(folder.join("frames.tsv")).expect("written");
        assert_eq!(index.lines().count(), 4);
        std::fs::remove_dir_all(&folder).expect("it was ours");
    }
}
