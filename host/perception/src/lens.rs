//! A frame's geometry: from pixels to the base frame and back.

use nalgebra::{Isometry3, Point3, Quaternion, Translation3, UnitQuaternion, Vector3};
use sinew_hardware::{Intrinsics, RgbdFrame};
use sinew_messages::Pose;

/// Pinhole and pose of one frame. Pixel coordinates have the middle of the first pixel at 0.5.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lens {
    pub(crate) intrinsics: Intrinsics,
    pub(crate) pose: Isometry3<f64>,
}

impl Lens {
    pub(crate) fn of(frame: &RgbdFrame) -> Self {
        Self {
            intrinsics: frame.intrinsics,
            pose: isometry(&frame.pose),
        }
    }

    /// Direction through a pixel, base frame, with length 1 along the camera's axis.
    pub(crate) fn ray(&self, u: f64, v: f64) -> Vector3<f64> {
        let k = &self.intrinsics;
        self.pose.rotation * Vector3::new((u - k.cx) / k.fx, (v - k.cy) / k.fy, 1.0)
    }

    pub(crate) fn eye(&self) -> Vector3<f64> {
        self.pose.translation.vector
    }

    /// Where the ray through a pixel meets the horizontal plane at height `z_m`.
    pub(crate) fn meet_plane(&self, u: f64, v: f64, z_m: f64) -> Option<Vector3<f64>> {
        let ray = self.ray(u, v);
        let t = (z_m - self.eye().z) / ray.z;
        (t.is_finite() && t > 0.0).then(|| self.eye() + ray * t)
    }

    /// Pixel and depth of a point of the base frame, if it is in front of the camera.
    pub(crate) fn project(&self, point: &Vector3<f64>) -> Option<(f64, f64, f64)> {
        let p = self.pose.inverse_transform_point(&Point3::from(*point));
        let k = &self.intrinsics;
        (p.z > 1e-3).then(|| (k.cx + k.fx * p.x / p.z, k.cy + k.fy * p.y / p.z, p.z))
    }

    /// Index of the pixel at image coordinates, if inside by at least `margin` pixels.
    pub(crate) fn pixel(&self, u: f64, v: f64, margin: f64) -> Option<(usize, usize)> {
        let (width, height) = (self.intrinsics.width, self.intrinsics.height);
        let inside = |c: f64, size: u32| c >= margin && c < f64::from(size) - margin;
        (inside(u, width) && inside(v, height)).then_some((u as usize, v as usize))
    }
}

/// Decodes a pose that travelled; a zero quaternion becomes no rotation.
pub(crate) fn isometry(pose: &Pose) -> Isometry3<f64> {
    let [x, y, z, w] = pose.orientation_xyzw;
    let rotation = UnitQuaternion::try_new(Quaternion::new(w, x, y, z), 1e-9)
        .unwrap_or_else(UnitQuaternion::identity);
    Isometry3::from_parts(Translation3::from(pose.position_m), rotation)
}

/// A pose of something that stands upright, turned by `yaw_rad` about z.
pub(crate) fn upright(position_m: [f64; 3], yaw_rad: f64) -> Pose {
    let (sin, cos) = libm::sincos(0.5 * yaw_rad);
    Pose {
        position_m,
        orientation_xyzw: [0.0, 0.0, sin, cos],
    }
}

/// The angle in −s/2 … s/2 that equals `angle_rad` modulo `symmetry_rad`; 0 where any angle is as good.
pub(crate) fn wrap(angle_rad: f64, symmetry_rad: f64) -> f64 {
    if symmetry_rad <= 0.0 {
        return 0.0;
    }
    libm::remainder(angle_rad, symmetry_rad)
}
