//! Poses and what skills compute with them.

use crate::{Pose, Quaternion, Vec3};

impl Vec3 {
    /// A vector of three components, metres unless said otherwise.
    #[must_use]
    pub fn new(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    /// Euclidean length.
    #[must_use]
    pub fn norm(&self) -> f64 {
        (self.x * self.x + self.y * self.y + self.z * self.z).sqrt()
    }

    /// Distance to `other`.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z).norm()
    }
}

impl Pose {
    /// The tool pointing straight down at `(x, y, z)`, turned by `yaw` radians about the vertical: the fingers
    /// open along the horizontal direction `yaw - 90°`.
    #[must_use]
    pub fn down(x: f64, y: f64, z: f64, yaw: f64) -> Self {
        let (sin, cos) = (yaw / 2.0).sin_cos();
        Self {
            position: Vec3::new(x, y, z),
            orientation: Quaternion {
                x: cos,
                y: sin,
                z: 0.0,
                w: 0.0,
            },
        }
    }

    /// An upright object (or place) at `(x, y, z)`, turned by `yaw` radians about the vertical.
    #[must_use]
    pub fn upright(x: f64, y: f64, z: f64, yaw: f64) -> Self {
        let (sin, cos) = (yaw / 2.0).sin_cos();
        Self {
            position: Vec3::new(x, y, z),
            orientation: Quaternion {
                x: 0.0,
                y: 0.0,
                z: sin,
                w: cos,
            },
        }
    }

    /// Direction of the pose's own x axis in the horizontal plane, radians in (-π, π].
    ///
    /// `Pose::down(x, y, z, a).yaw()` and `Pose::upright(x, y, z, a).yaw()` are both `a`.
    #[must_use]
    pub fn yaw(&self) -> f64 {
        let q = &self.orientation;
        f64::atan2(
            2.0 * (q.w * q.z + q.x * q.y),
            1.0 - 2.0 * (q.y * q.y + q.z * q.z),
        )
    }

    /// The same pose `dz` metres higher.
    #[must_use]
    pub fn above(mut self, dz: f64) -> Self {
        self.position.z += dz;
        self
    }

    /// The same pose moved in the base frame, metres.
    #[must_use]
    pub fn shifted(mut self, dx: f64, dy: f64, dz: f64) -> Self {
        self.position.x += dx;
        self.position.y += dy;
        self.position.z += dz;
        self
    }

    /// The tool pose that points down at this pose's position, turned by `yaw` radians.
    #[must_use]
    pub fn pointed_down(&self, yaw: f64) -> Self {
        Self::down(self.position.x, self.position.y, self.position.z, yaw)
    }
}

/// `angle` brought into [-period/2, period/2) by whole periods, radians.
///
/// With the symmetry of a part as the period this is the smallest turn that looks the same.
#[must_use]
pub fn wrap_angle(angle: f64, period: f64) -> f64 {
    angle - period * (angle / period + 0.5).floor()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::PI;

    #[test]
    fn yaw_is_read_back() {
        for yaw in [-3.0, -1.0, 0.0, 0.4, 2.5] {
            assert!((Pose::down(0.1, 0.2, 0.3, yaw).yaw() - yaw).abs() < 1e-12);
            assert!((Pose::upright(0.1, 0.2, 0.3, yaw).yaw() - yaw).abs() < 1e-12);
        }
    }

    #[test]
    fn angles_wrap_by_symmetry() {
        assert!((wrap_angle(0.9 * PI, PI) + 0.1 * PI).abs() < 1e-12);
        assert!((wrap_angle(-1.2 * PI, 2.0 * PI) - 0.8 * PI).abs() < 1e-12);
    }
}
