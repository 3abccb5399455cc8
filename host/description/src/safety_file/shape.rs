//! The file's own shape: what stands where, before anything is checked.

use serde::Deserialize;
use sinew_messages::JointVector;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Safety {
    pub(super) name: String,
    pub(super) joints: Joints,
    pub(super) stop: Stop,
    pub(super) tool: Tool,
    pub(super) reduced: Mode,
    pub(super) recovery: Mode,
    pub(super) cone: Option<Cone>,
    pub(super) self_collision: Option<SelfCollision>,
    pub(super) effort: Option<Effort>,
    pub(super) separation: Option<Separation>,
    pub(super) envelope: Corners,
    #[serde(default)]
    pub(super) zone: Vec<Zone>,
    pub(super) gripper: Gripper,
    pub(super) tracking: Tracking,
    pub(super) force: Force,
    pub(super) r#yield: Option<Yield>,
    pub(super) contact: Option<Contact>,
    pub(super) grip: Option<Grip>,
    pub(super) singularity: Option<Singularity>,
    pub(super) brain: Brain,
    pub(super) standstill: Standstill,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Joints {
    pub(super) position_min_rad: JointVector,
    pub(super) position_max_rad: JointVector,
    pub(super) velocity_max_rad_s: JointVector,
    pub(super) acceleration_max_rad_s2: JointVector,
    pub(super) jerk_max_rad_s3: JointVector,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    pub(super) acceleration_rad_s2: JointVector,
    pub(super) jerk_rad_s3: JointVector,
    pub(super) reaction_ms: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub(super) speed_max_m_s: f64,
    pub(super) elbow_speed_max_m_s: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mode {
    pub(super) speed_max_m_s: f64,
    pub(super) joint_speed_share: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cone {
    pub(super) axis: [f64; 3],
    pub(super) half_angle_deg: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SelfCollision {
    pub(super) margin_m: f64,
    #[serde(default)]
    pub(super) ignore: Vec<[String; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Effort {
    pub(super) max_nm: JointVector,
    pub(super) rate_max_nm_s: JointVector,
    pub(super) load_max_kg: f64,
    pub(super) measured_ms: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Separation {
    pub(super) approach_speed_m_s: f64,
    pub(super) intrusion_m: f64,
    pub(super) robot_uncertainty_m: f64,
    pub(super) silent_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Corners {
    pub(super) min_m: [f64; 3],
    pub(super) max_m: [f64; 3],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) r#box: Option<Corners>,
    pub(super) half_space: Option<HalfSpace>,
    pub(super) cylinder: Option<Cylinder>,
    pub(super) hull: Option<Hull>,
    /// Left out: nothing may enter.
    pub(super) speed_max_m_s: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cylinder {
    pub(super) base_m: [f64; 3],
    pub(super) radius_m: f64,
    pub(super) height_m: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hull {
    pub(super) points_m: Vec<[f64; 3]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HalfSpace {
    pub(super) normal: [f64; 3],
    pub(super) offset_m: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gripper {
    pub(super) width_min_m: f64,
    pub(super) width_max_m: f64,
    pub(super) force_max_n: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tracking {
    pub(super) margin_m: f64,
    pub(super) following_error_max_rad: JointVector,
    pub(super) following_error_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reaction {
    Off,
    Hold,
    Latch,
    Yield,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Force {
    pub(super) stop_n: f64,
    pub(super) reaction: Reaction,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Yield {
    pub(super) admittance_m_s_n: f64,
    pub(super) speed_max_m_s: f64,
    pub(super) distance_max_m: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contact {
    pub(super) power_max_w: f64,
    pub(super) momentum_max_kg_m_s: f64,
    pub(super) transient_ms: u32,
    #[serde(default)]
    pub(super) region: Vec<Region>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) force_max_n: f64,
    pub(super) transient_factor: f64,
    pub(super) stiffness_n_m: f64,
    pub(super) mass_kg: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grip {
    pub(super) empty_width_m: f64,
    pub(super) lost_force_n: f64,
    pub(super) lost_ms: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Singularity {
    pub(super) characteristic_length_m: f64,
    pub(super) slow_above: f64,
    pub(super) stop_above: f64,
    pub(super) slow_share: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Brain {
    pub(super) heartbeat_timeout_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standstill {
    pub(super) speed_max_rad_s: f64,
}
