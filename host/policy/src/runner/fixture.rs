//! What the tests of this crate share.

use bytemuck::Zeroable;
use sinew_messages::{LoopStatus, Pose};
use sinew_world::ObjectTrack;

use crate::{Manifest, tool_down};

/// A manifest like that of the grasp policy, with identity normalisation.
pub(crate) fn manifest_text() -> String {
    let features = [
        "object-x",
        "object-y",
        "object-z",
        "yaw-sin2",
        "yaw-cos2",
        "tool-z",
        "gripper-width",
        "gripper-command",
        "gripper-force",
        "tool-dx",
        "tool-dy",
        "tool-dz",
        "tool-dyaw",
        "grasp-width",
        "object-height",
    ];
    let list = |value: &str, count: usize| vec![value; count].join(", ");
    format!(
        r#"
name = "grasp"
summary = "test"
step_ms = 50
chunk_steps = 16
infer_every_steps = 4
blend_decay = 0.5
[model]
file = "grasp.onnx"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
input = {{ name = "observation", shape = [1, 30] }}
output = {{ name = "chunk", shape = [1, 96] }}
[observation]
history = 2
features = {features:?}
freeze_height_m = 0.04
freeze_radius_m = 0.05
[action]
channels = ["x", "y", "z", "yaw-sin", "yaw-cos", "gripper"]
reach_m = 0.4
[gripper]
close_above = 0.5
open_margin_m = 0.025
open_max_m = 0.08
closed_width_m = 0.0
force_n = 30.0
[[object]]
class = "block"
yaw = "half-turn"
[[object]]
class = "puck"
yaw = "free"
[end]
condition = "lifted"
force_min_n = 3.0
width_tolerance_m = 0.01
rise_m = 0.06
hold_ms = 100
settle_ms = 900
[normalisation]
observation_mean = [{mean}]
observation_std = [{std}]
action_mean = [{action_mean}]
action_std = [{action_std}]
[confidence]
position_m = 0.02
yaw_rad = 0.05
gripper = 0.1
smoothing = 0.5
worst_scores = [1.0, 2.0, 4.0]
low_below = 0.12
[provenance]
data = "none"
"#,
        mean = list("0.0", 30),
        std = list("1.0", 30),
        action_mean = list("0.0", 6),
        action_std = list("1.0", 6),
    )
}

pub(crate) fn manifest() -> Manifest {
    Manifest::from_toml_str(&manifest_text(), "fixture").expect("the fixture is a manifest")
}

pub(crate) fn track(id: u64, position_m: [f64; 3], yaw_rad: f64) -> ObjectTrack {
    let half = yaw_rad / 2.0;
    ObjectTrack {
        id,
        class: "block".into(),
        color: "red".into(),
        pose: Pose {
            position_m,
            orientation_xyzw: [0.0, 0.0, half.sin(), half.cos()],
        },
        velocity_m_s: [0.0; 3],
        size_m: [0.05, 0.03, 0.03],
        confidence: 1.0,
        position_sigma_m: 0.002,
        first_seen_tick: 0,
        last_seen_tick: 0,
    }
}

/// A loop that is free to move, with the tool there and the gripper open.
pub(crate) fn status(tool_pose: Pose) -> LoopStatus {
    let mut status = LoopStatus::zeroed();
    status.tool_pose = tool_pose;
    status.setpoint.gripper_width_m = 0.055;
    status.frame.gripper_width_m = 0.055;
    status
}

/// The tool at a comfortable place.
pub(crate) fn idle() -> LoopStatus {
    status(tool_down([0.5, -0.2, 0.2], 0.0))
}
