//! Chains, forward and inverse kinematics, Jacobians, capsules; pure, without allocation.
//!
//! Everything is in the robot's base frame, metres and radians. Joint `i` turns link `i` about the z axis
//! of its own frame: `link[i] = link[i-1] · origin[i] · Rz(q[i])`. The tool frame (TCP) lies between the
//! finger tips, z out of the gripper, y along the finger opening.
//!
//! Trigonometry goes through `libm`, so that the same joints give the same bits on every machine.

mod capsule;
mod chain;
mod condition;
mod dynamics;
mod inverse;
mod pose;
mod solid;

pub use capsule::{
    Aabb, HalfSpace, clearance_to_half_space, distance_between_segments, distance_to_box,
    height_over_half_space,
};
pub use chain::{
    CAPSULES_MAX, Chain, ChainError, Forward, HAND, Joint, LinkCapsule, PlacedCapsule,
};
pub use condition::Conditioning;
pub use dynamics::{Body, Masses};
pub use inverse::{IkError, StepOptions, StepOutcome};
pub use pose::{isometry_to_pose, pose_to_isometry, tool_down, tool_yaw};
pub use solid::{
    Cylinder, HULL_POINTS_MAX, Hull, HullError, clearance_to_ball, clearance_to_box,
    clearance_to_column, clearance_to_cylinder, clearance_to_hull,
};

/// Rigid transforms of this crate.
pub type Isometry = nalgebra::Isometry3<f64>;
/// Points of this crate, metres.
pub type Point = nalgebra::Point3<f64>;
/// Geometric Jacobian: three linear rows, then three angular rows; one column a joint.
pub type Jacobian = nalgebra::SMatrix<f64, 6, { sinew_messages::JOINTS }>;
