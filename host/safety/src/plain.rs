//! Limits and an arm for the tests of the gate's parts.

use sinew_kinematics::{Body, Chain, Isometry, Joint, LinkCapsule, Masses};
use sinew_messages::{DriveStatus, JOINTS, SafetyInputs, SensorFrame};

use crate::limits::{ForceReaction, ModeLimits, SafetyConfig};

/// Every number is 1, or 0 where that is the least, and what may be left out is left out.
pub(crate) fn config() -> SafetyConfig {
    let mode = ModeLimits {
        speed_max_m_s: 1.0,
        joint_speed_share: 1.0,
    };
    SafetyConfig {
        position_min_rad: [-1.0; JOINTS],
        position_max_rad: [1.0; JOINTS],
        velocity_max_rad_s: [1.0; JOINTS],
        acceleration_max_rad_s2: [1.0; JOINTS],
        jerk_max_rad_s3: [1.0; JOINTS],
        stop_acceleration_rad_s2: [1.0; JOINTS],
        stop_jerk_rad_s3: [1.0; JOINTS],
        reaction_ticks: 1,
        tool_speed_max_m_s: 1.0,
        elbow_speed_max_m_s: 1.0,
        reduced: mode,
        recovery: mode,
        cone: None,
        self_collision: None,
        effort: None,
        separation: None,
        envelope_min_m: [-1.0; 3],
        envelope_max_m: [1.0; 3],
        zones: Vec::new(),
        gripper_width_min_m: 0.0,
        gripper_width_max_m: 1.0,
        gripper_force_max_n: 1.0,
        tracking_margin_m: 0.0,
        following_error_max_rad: [1.0; JOINTS],
        following_error_ticks: 1,
        force_stop_n: 1.0,
        force_reaction: ForceReaction::Hold,
        contact: None,
        grip: None,
        singularity: None,
        heartbeat_ticks: 1,
        standstill_rad_s: 1.0,
    }
}

/// Of a robot that is switched on and stands at 0, with its hand closed and empty, at tick 1 and time 0.
pub(crate) const FRAME: SensorFrame = SensorFrame {
    tick: 1,
    time_ns: 0,
    position_rad: [0.0; JOINTS],
    velocity_rad_s: [0.0; JOINTS],
    effort_nm: [0.0; JOINTS],
    gripper_width_m: 0.0,
    gripper_velocity_m_s: 0.0,
    gripper_force_n: 0.0,
    tool_force_n: [0.0; 3],
    drive_status: DriveStatus::POWERED,
    safety_inputs: SafetyInputs::ALL_CLOSED,
};

/// Seven joints with masses, and these capsules.
pub(crate) fn arm(capsules: &[LinkCapsule]) -> Chain {
    let quarter = core::f64::consts::FRAC_PI_2;
    let joints = [
        (0.0, 0.2, 0.0),
        (0.0, 0.16, -quarter),
        (-0.2, 0.0, quarter),
        (0.0, 0.15, -quarter),
        (-0.25, 0.0, quarter),
        (0.0, 0.25, -quarter),
        (-0.05, 0.0, quarter),
    ]
    .map(|(y, z, roll)| Joint {
        origin: Isometry::new(
            nalgebra::Vector3::new(0.0, y, z),
            nalgebra::Vector3::x() * roll,
        ),
        lower_rad: -2.9,
        upper_rad: 2.9,
    });
    let body = |mass_kg, com_m| Body {
        mass_kg,
        com_m,
        inertia_kg_m2: [0.012, 0.012, 0.008],
    };
    let hand = Isometry::translation(0.0, 0.0, 0.05);
    let tool = Isometry::translation(0.0, 0.0, 0.12);
    Chain::new(joints, hand, tool, capsules, [0.0; JOINTS])
        .expect("a valid arm")
        .with_masses(Masses {
            links: [
                body(3.6, [0.0, 0.0, 0.09]),
                body(2.6, [0.0, -0.09, 0.0]),
                body(2.4, [0.0, 0.0, 0.08]),
                body(2.2, [0.0, -0.11, 0.0]),
                body(1.5, [0.0, 0.0, 0.11]),
                body(1.2, [0.0, -0.02, 0.0]),
                body(0.7, [0.0, 0.0, 0.02]),
            ],
            hand: body(0.9, [0.0, 0.0, 0.04]),
        })
}
