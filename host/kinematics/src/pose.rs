//! Poses of `sinew_messages` to isometries and back, and the tool poses that kitting needs.

use nalgebra::{Quaternion, Translation3, UnitQuaternion};
use sinew_messages::Pose;

use crate::Isometry;

/// The isometry of a pose; `None` unless [`Pose::is_valid`]. The quaternion is normalised.
#[must_use]
pub fn pose_to_isometry(pose: &Pose) -> Option<Isometry> {
    if !pose.is_valid() {
        return None;
    }
    let [px, py, pz] = pose.position_m;
    let [x, y, z, w] = pose.orientation_xyzw;
    Some(Isometry::from_parts(
        Translation3::new(px, py, pz),
        UnitQuaternion::from_quaternion(Quaternion::new(w, x, y, z)),
    ))
}

/// The pose of an isometry, with the quaternion's `w` not negative.
#[must_use]
pub fn isometry_to_pose(isometry: &Isometry) -> Pose {
    let t = isometry.translation.vector;
    let q = isometry.rotation.quaternion();
    let sign = if q.w < 0.0 { -1.0 } else { 1.0 };
    Pose {
        position_m: [t.x, t.y, t.z],
        orientation_xyzw: [q.i * sign, q.j * sign, q.k * sign, q.w * sign],
    }
}

/// The tool at a point of the base frame, pointing straight down, turned by `yaw_rad`: `Rz(yaw) · Rx(π)`.
#[must_use]
pub fn tool_down(position_m: [f64; 3], yaw_rad: f64) -> Isometry {
    let [x, y, z] = position_m;
    let (sin, cos) = libm::sincos(0.5 * yaw_rad);
    // Rz(yaw) · Rx(π) = (cos, 0, 0, sin) · (0, 1, 0, 0), written out.
    Isometry::from_parts(
        Translation3::new(x, y, z),
        UnitQuaternion::new_unchecked(Quaternion::new(0.0, cos, sin, 0.0)),
    )
}

/// Yaw of a tool that points (roughly) down: the direction of its x axis seen from above, rad.
#[must_use]
pub fn tool_yaw(tool: &Isometry) -> f64 {
    let x = tool.rotation * nalgebra::Vector3::x();
    libm::atan2(x.y, x.x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_down_points_down_with_its_yaw() {
        for yaw in [-2.0, -0.3, 0.0, 1.1, 3.0] {
            let tool = tool_down([0.1, 0.2, 0.3], yaw);
            let z = tool.rotation * nalgebra::Vector3::z();
            assert!((z.z + 1.0).abs() < 1e-12);
            assert!((tool_yaw(&tool) - yaw).abs() < 1e-12);
            let back = pose_to_isometry(&isometry_to_pose(&tool)).expect("a valid pose");
            assert!((back.rotation.angle_to(&tool.rotation)).abs() < 1e-7);
        }
    }

    #[test]
    fn an_invalid_pose_is_refused() {
        let mut pose = Pose::IDENTITY;
        pose.orientation_xyzw[3] = 0.5;
        assert!(pose_to_isometry(&pose).is_none());
        pose = Pose::IDENTITY;
        pose.position_m[1] = f64::NAN;
        assert!(pose_to_isometry(&pose).is_none());
    }
}
