//! The pinhole camera: pixels, rays and poses.

use nalgebra::{Isometry3, Quaternion, Rotation3, Translation3, UnitQuaternion, Vector3};
use sinew_hardware::Intrinsics;
use sinew_messages::Pose;

/// Where a camera stands and how it maps rays to pixels. Frame: z forward, x right, y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Pixels and focal lengths.
    pub intrinsics: Intrinsics,
    /// Camera in the base frame.
    pub pose: Isometry3<f64>,
}

impl View {
    /// Intrinsics of a camera with square pixels, its axis in the middle of the image and `fov_deg` of
    /// view across the width.
    #[must_use]
    pub fn intrinsics(width: u32, height: u32, fov_deg: f64) -> Intrinsics {
        let focal = f64::from(width) / 2.0 / libm::tan(fov_deg.to_radians() / 2.0);
        Intrinsics {
            width,
            height,
            fx: focal,
            fy: focal,
            cx: f64::from(width) / 2.0,
            cy: f64::from(height) / 2.0,
        }
    }

    /// A camera at `eye` that looks at `target` with `up` upwards in the image. The three must not be in
    /// line: the configuration's checks refuse that.
    #[must_use]
    pub fn looking_at(
        intrinsics: Intrinsics,
        eye: [f64; 3],
        target: [f64; 3],
        up: [f64; 3],
    ) -> Self {
        let eye = Vector3::from(eye);
        let forward = (Vector3::from(target) - eye).normalize();
        let right = forward.cross(&Vector3::from(up)).normalize();
        let down = forward.cross(&right);
        let rotation = Rotation3::from_basis_unchecked(&[right, down, forward]);
        Self {
            intrinsics,
            pose: Isometry3::from_parts(
                Translation3::from(eye),
                UnitQuaternion::from_rotation_matrix(&rotation),
            ),
        }
    }

    /// The pose as it travels in frames.
    #[must_use]
    pub fn message_pose(&self) -> Pose {
        let q = self.pose.rotation.quaternion();
        Pose {
            position_m: self.pose.translation.vector.into(),
            orientation_xyzw: [q.i, q.j, q.k, q.w],
        }
    }

    /// Pixel coordinates (centre of the first pixel at 0.5) and depth of a point of the base frame;
    /// `None` behind the camera.
    #[must_use]
    pub fn project(&self, point_m: [f64; 3]) -> Option<[f64; 3]> {
        let p = self
            .pose
            .inverse_transform_point(&Vector3::from(point_m).into());
        (p.z > 1e-3).then(|| {
            [
                self.intrinsics.cx + self.intrinsics.fx * p.x / p.z,
                self.intrinsics.cy + self.intrinsics.fy * p.y / p.z,
                p.z,
            ]
        })
    }

    /// The point of the base frame at pixel coordinates `u`, `v` and depth `depth_m`.
    #[must_use]
    pub fn unproject(&self, u: f64, v: f64, depth_m: f64) -> [f64; 3] {
        let k = &self.intrinsics;
        let p = Vector3::new((u - k.cx) / k.fx, (v - k.cy) / k.fy, 1.0) * depth_m;
        (self.pose * nalgebra::Point3::from(p)).coords.into()
    }
}

/// Decodes a pose that travelled; a zero quaternion becomes no rotation.
pub(crate) fn isometry(pose: &Pose) -> Isometry3<f64> {
    let [x, y, z, w] = pose.orientation_xyzw;
    let rotation = UnitQuaternion::try_new(Quaternion::new(w, x, y, z), 1e-9)
        .unwrap_or_else(UnitQuaternion::identity);
    Isometry3::from_parts(Translation3::from(pose.position_m), rotation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projecting_and_unprojecting_are_inverse() {
        let view = View::looking_at(
            View::intrinsics(192, 120, 50.0),
            [0.5, 0.1, 1.1],
            [0.45, 0.0, 0.0],
            [1.0, 0.0, 0.0],
        );
        for point in [[0.5, -0.3, 0.02], [0.3, 0.4, 0.1], [0.6, 0.0, 0.3]] {
            let [u, v, depth] = view.project(point).expect("in front");
            let back = view.unproject(u, v, depth);
            for axis in 0..3 {
                assert!(
                    (back[axis] - point[axis]).abs() < 1e-12,
                    "{point:?} came back as {back:?}"
                );
            }
        }
        assert!(view.project([0.5, 0.1, 2.0]).is_none());
        // Up in the image is +x, so right is −y.
        let centre = view.project([0.5, 0.0, 0.0]).expect("in front");
        assert!(view.project([0.5, -0.1, 0.0]).expect("in front")[0] > centre[0]);
    }
}
