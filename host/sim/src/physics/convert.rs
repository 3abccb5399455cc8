//! Between the host's double precision and the solver's single precision.

use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use rapier3d::prelude as rp;
use sinew_messages::Pose;

pub(super) fn vector([x, y, z]: [f64; 3]) -> rp::Vector {
    rp::Vector::new(x as f32, y as f32, z as f32)
}

pub(super) fn array(v: rp::Vector) -> [f64; 3] {
    [f64::from(v.x), f64::from(v.y), f64::from(v.z)]
}

pub(super) fn pose(isometry: &Isometry3<f64>) -> rp::Pose {
    let q = isometry.rotation.quaternion();
    rp::Pose::from_parts(
        vector(isometry.translation.vector.into()),
        rp::Rotation::from_xyzw(q.i as f32, q.j as f32, q.k as f32, q.w as f32),
    )
}

pub(super) fn isometry(pose: &rp::Pose) -> Isometry3<f64> {
    let [x, y, z] = array(pose.translation);
    let r = pose.rotation;
    let quaternion = Quaternion::new(
        f64::from(r.w),
        f64::from(r.x),
        f64::from(r.y),
        f64::from(r.z),
    );
    Isometry3::from_parts(
        Translation3::new(x, y, z),
        UnitQuaternion::from_quaternion(quaternion),
    )
}

/// A pose of the messages; theirs are unit quaternions by construction of this crate.
pub(super) fn message_isometry(pose: &Pose) -> Isometry3<f64> {
    let [x, y, z] = pose.position_m;
    let [i, j, k, w] = pose.orientation_xyzw;
    Isometry3::from_parts(
        Translation3::new(x, y, z),
        UnitQuaternion::from_quaternion(Quaternion::new(w, i, j, k)),
    )
}
