//! What fixtures, robot and loose objects look like: the one builder of scenes, used by the running cell
//! and by whoever needs an image of a scene without physics.

use std::sync::Arc;

use nalgebra::Isometry3;
use sinew_description::RobotDescription;
use sinew_kinematics::{HAND, isometry_to_pose};
use sinew_messages::{JointVector, Pose};

use crate::config::CellConfig;
use crate::scene::{Light, SceneModel, SceneState, Shape, Solid, SolidKind};

/// Thickness of the table top.
const TABLE_THICKNESS_M: f64 = 0.04;
/// Gap between a finger's inner face and its pad's, so that the pad touches first.
pub(crate) const PAD_STANDOUT_M: f64 = 0.001;
/// Albedo of arm, hand and fingers.
const ARM_RGB: [f32; 3] = [0.72, 0.73, 0.75];
const HAND_RGB: [f32; 3] = [0.16, 0.17, 0.19];
const FINGER_RGB: [f32; 3] = [0.10, 0.10, 0.11];

/// The frame that a piece of the robot moves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotFrame {
    /// 0 is the base, 1 to 7 the links that the joints turn.
    Link(usize),
    /// The hand.
    Hand,
    /// A finger: 0 towards +y of the hand, 1 towards -y. Its origin is the inner face of its pad.
    Finger(usize),
}

/// A piece of the robot.
#[derive(Clone, Debug, PartialEq)]
pub struct RobotSolid {
    /// Shape and colour.
    pub solid: Solid,
    /// What it moves with.
    pub frame: RobotFrame,
    /// Its pose in that frame.
    pub local: Isometry3<f64>,
}

fn at([x, y, z]: [f64; 3]) -> Pose {
    Pose {
        position_m: [x, y, z],
        ..Pose::IDENTITY
    }
}

fn fixture(name: impl Into<String>, half_m: [f64; 3], rgb: [f32; 3]) -> Solid {
    Solid {
        name: name.into(),
        kind: SolidKind::Fixture,
        class: String::new(),
        color: String::new(),
        rgb,
        shape: Shape::Box { half_m },
    }
}

/// Four boxes around a rectangle, resting on `bottom_m`.
fn frame_of_walls(
    name: &str,
    center: [f64; 2],
    inner: [f64; 2],
    thickness: f64,
    bottom_m: f64,
    height: f64,
    rgb: [f32; 3],
) -> impl Iterator<Item = (Solid, Pose)> + use<> {
    let z = bottom_m + height / 2.0;
    let [half_x, half_y] = inner.map(|side| side / 2.0);
    let half = thickness / 2.0;
    let along_y = [half, half_y + thickness, height / 2.0];
    let along_x = [half_x, half, height / 2.0];
    [
        (along_y, [center[0] - half_x - half, center[1], z]),
        (along_y, [center[0] + half_x + half, center[1], z]),
        (along_x, [center[0], center[1] - half_y - half, z]),
        (along_x, [center[0], center[1] + half_y + half, z]),
    ]
    .into_iter()
    .enumerate()
    .map(move |(index, (half_m, position))| {
        (
            fixture(format!("{name}-{}", index + 1), half_m, rgb),
            at(position),
        )
    })
    .collect::<Vec<_>>()
    .into_iter()
}

/// Table, bin, tray and shelf.
#[must_use]
pub fn fixtures(config: &CellConfig) -> Vec<(Solid, Pose)> {
    let mut solids = Vec::new();
    let slab = |name: &str, [x, y]: [f64; 2], size: [f64; 2], bottom: f64, top: f64, rgb| {
        let half_m = [size[0] / 2.0, size[1] / 2.0, (top - bottom) / 2.0];
        (
            fixture(name, half_m, rgb),
            at([x, y, f64::midpoint(top, bottom)]),
        )
    };
    let table = &config.table;
    solids.push(slab(
        "table",
        table.center,
        table.size,
        -TABLE_THICKNESS_M,
        0.0,
        table.rgb,
    ));
    let bin = &config.bin;
    let floor = bin.floor_thickness;
    solids.push(slab("bin-floor", bin.center, bin.size, 0.0, floor, bin.rgb));
    solids.extend(frame_of_walls(
        "bin-wall",
        bin.center,
        bin.size,
        bin.wall_thickness,
        0.0,
        bin.wall_height,
        bin.rgb,
    ));
    let tray = &config.tray;
    for pocket in &tray.pockets {
        let outer = tray.pocket_size.map(|side| side + 2.0 * tray.rim_thickness);
        let floor = slab(
            &format!("pocket-{}", pocket.name),
            pocket.position,
            outer,
            0.0,
            tray.floor_thickness,
            tray.rgb,
        );
        let rims = frame_of_walls(
            &format!("rim-{}", pocket.name),
            pocket.position,
            tray.pocket_size,
            tray.rim_thickness,
            tray.floor_thickness,
            tray.rim_height,
            tray.rim_rgb,
        );
        // The whole pocket turns with its yaw about its centre.
        let center = Isometry3::translation(pocket.position[0], pocket.position[1], 0.0);
        let turn =
            center * Isometry3::rotation(nalgebra::Vector3::z() * pocket.yaw) * center.inverse();
        solids.extend(std::iter::once(floor).chain(rims).map(|(solid, pose)| {
            let [x, y, z] = pose.position_m;
            (
                solid,
                isometry_to_pose(&(turn * Isometry3::translation(x, y, z))),
            )
        }));
    }
    let search = &config.search;
    solids.push(slab(
        &search.name,
        search.center,
        search.size,
        0.0,
        search.thickness,
        search.rgb,
    ));
    solids
}

/// Base, links, hand and fingers.
#[must_use]
pub fn robot_solids(robot: &RobotDescription) -> Vec<RobotSolid> {
    let piece = |name: String, rgb, shape, frame, [x, y, z]: [f64; 3]| RobotSolid {
        solid: Solid {
            name,
            kind: SolidKind::Robot,
            class: String::new(),
            color: String::new(),
            rgb,
            shape,
        },
        frame,
        local: Isometry3::translation(x, y, z),
    };
    let mut solids: Vec<_> = robot
        .chain()
        .capsules()
        .iter()
        // The hand's capsules are there for the safety gate; the hand looks like its boxes.
        .filter(|capsule| capsule.link != HAND)
        .enumerate()
        .map(|(index, capsule)| {
            let shape = Shape::Capsule {
                a_m: capsule.a.coords.into(),
                b_m: capsule.b.coords.into(),
                radius_m: capsule.radius_m,
            };
            let name = format!("link-{}-{index}", capsule.link);
            piece(
                name,
                ARM_RGB,
                shape,
                RobotFrame::Link(capsule.link),
                [0.0; 3],
            )
        })
        .collect();
    let hand = &robot.hand;
    solids.push(piece(
        "hand".to_owned(),
        HAND_RGB,
        Shape::Box {
            half_m: hand.body_half_extents_m,
        },
        RobotFrame::Hand,
        hand.body_center_m,
    ));
    let gripper = &robot.gripper;
    for (finger, side) in [1.0, -1.0].into_iter().enumerate() {
        let [x, y, z] = gripper.finger_half_extents_m;
        let y = (y - PAD_STANDOUT_M / 2.0).max(PAD_STANDOUT_M / 2.0);
        solids.push(piece(
            format!("finger-{}", finger + 1),
            FINGER_RGB,
            Shape::Box { half_m: [x, y, z] },
            RobotFrame::Finger(finger),
            [0.0, side * (PAD_STANDOUT_M + y), gripper.finger_center_z_m],
        ));
        let [x, y, z] = gripper.pad_half_extents_m;
        solids.push(piece(
            format!("pad-{}", finger + 1),
            FINGER_RGB,
            Shape::Box { half_m: [x, y, z] },
            RobotFrame::Finger(finger),
            [0.0, side * y, gripper.pad_center_z_m],
        ));
    }
    solids
}

/// A loose object of a class; `None` if the class or the colour is unknown to the cell.
#[must_use]
pub fn loose_solid(config: &CellConfig, class: &str, color: &str, name: String) -> Option<Solid> {
    let is_part = config.parts.iter().any(|part| part.class == class);
    Some(Solid {
        name,
        kind: if is_part {
            SolidKind::Part
        } else {
            SolidKind::Distractor
        },
        class: class.to_owned(),
        color: color.to_owned(),
        rgb: *config.colors.get(color)?,
        shape: config.class(class)?.shape.shape(),
    })
}

/// A scene without physics: the robot at `joints_rad`, loose objects where they are said to be.
#[must_use]
pub fn scene_at(
    config: &CellConfig,
    robot: &RobotDescription,
    joints_rad: &JointVector,
    gripper_width_m: f64,
    loose: &[(Solid, Pose)],
    light: Light,
) -> SceneState {
    let forward = robot.chain().forward(joints_rad);
    let (mut solids, mut poses): (Vec<_>, Vec<_>) = fixtures(config).into_iter().unzip();
    for piece in robot_solids(robot) {
        let frame = match piece.frame {
            RobotFrame::Link(link) => forward.frame(link),
            RobotFrame::Hand => forward.hand,
            RobotFrame::Finger(finger) => {
                let side = if finger == 0 { 0.5 } else { -0.5 };
                forward.hand * Isometry3::translation(0.0, side * gripper_width_m, 0.0)
            }
        };
        solids.push(piece.solid);
        poses.push(isometry_to_pose(&(frame * piece.local)));
    }
    for (solid, pose) in loose {
        solids.push(solid.clone());
        poses.push(*pose);
    }
    SceneState {
        model: Arc::new(SceneModel { solids, light }),
        tick: 0,
        poses,
        tool_pose: isometry_to_pose(&forward.tool),
        flange_pose: isometry_to_pose(&forward.frame(HAND - 1)),
    }
}
