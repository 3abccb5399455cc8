//! The heading frame: the plane geometry between base frame and tool.
//!
//! `libm` throughout: results must be the same on every machine.

use core::f64::consts::{PI, TAU};

use sinew_messages::Pose;

/// A point with a direction in the horizontal plane, base frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heading {
    /// Position, m.
    pub position_m: [f64; 3],
    /// Angle of the x axis about base z, rad.
    pub yaw_rad: f64,
}

impl Heading {
    /// Position and horizontal direction of the x axis of a pose.
    #[must_use]
    pub fn of(pose: &Pose) -> Self {
        let [x, y, z, w] = pose.orientation_xyzw;
        Self {
            position_m: pose.position_m,
            yaw_rad: libm::atan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z)),
        }
    }

    /// A point of the base frame as seen from here: turned about z, relative to the origin here.
    #[must_use]
    pub fn localise(&self, point_m: [f64; 3]) -> [f64; 3] {
        let [dx, dy, dz] = core::array::from_fn(|i| point_m[i] - self.position_m[i]);
        let (sin, cos) = libm::sincos(self.yaw_rad);
        [cos * dx + sin * dy, cos * dy - sin * dx, dz]
    }

    /// The inverse of [`Self::localise`].
    #[must_use]
    pub fn globalise(&self, local_m: [f64; 3]) -> [f64; 3] {
        let (sin, cos) = libm::sincos(self.yaw_rad);
        let [x, y, z] = local_m;
        [
            self.position_m[0] + cos * x - sin * y,
            self.position_m[1] + sin * x + cos * y,
            self.position_m[2] + z,
        ]
    }
}

/// Pose of a tool that points down at `position_m` with heading `yaw_rad`: `Rz(ψ)·Rx(π)`.
#[must_use]
pub fn tool_down(position_m: [f64; 3], yaw_rad: f64) -> Pose {
    let (sin, cos) = libm::sincos(yaw_rad / 2.0);
    Pose {
        position_m,
        orientation_xyzw: [cos, sin, 0.0, 0.0],
    }
}

/// `angle` wrapped to (−period/2, period/2].
pub(crate) fn wrap(angle: f64, period: f64) -> f64 {
    let turns = libm::floor(angle / period + 0.5);
    let wrapped = angle - turns * period;
    if wrapped <= -period / 2.0 {
        wrapped + period
    } else {
        wrapped
    }
}

/// `angle` wrapped to (−π, π].
pub(crate) fn wrap_turn(angle: f64) -> f64 {
    wrap(angle, TAU)
}

/// `angle` wrapped to (−π/2, π/2]: the same for what looks the same after half a turn.
pub(crate) fn wrap_half_turn(angle: f64) -> f64 {
    wrap(angle, PI)
}

#[cfg(test)]
mod tests {
    use core::f64::consts::FRAC_PI_2;

    use super::*;

    fn close(a: [f64; 3], b: [f64; 3]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn a_tool_that_points_down_has_its_heading() {
        for yaw in [-3.0, -1.0, 0.0, 0.4, 3.1] {
            let pose = tool_down([0.1, 0.2, 0.3], yaw);
            assert!(pose.is_valid());
            let heading = Heading::of(&pose);
            assert!((wrap_turn(heading.yaw_rad - yaw)).abs() < 1e-12);
        }
    }

    #[test]
    fn local_and_global_are_inverse() {
        let heading = Heading {
            position_m: [0.4, -0.2, 0.3],
            yaw_rad: 2.2,
        };
        let point = [0.5, 0.1, 0.02];
        assert!(close(heading.globalise(heading.localise(point)), point));
        // A quarter turn to the left: what is ahead in base y is ahead in local x.
        let left = Heading {
            position_m: [0.0; 3],
            yaw_rad: FRAC_PI_2,
        };
        assert!(close(left.localise([0.0, 1.0, 0.0]), [1.0, 0.0, 0.0]));
    }

    #[test]
    fn wrapping_keeps_the_half_open_interval() {
        assert_eq!(wrap_half_turn(FRAC_PI_2), FRAC_PI_2);
        assert_eq!(wrap_half_turn(-FRAC_PI_2), FRAC_PI_2);
        assert!((wrap_half_turn(PI + 0.1) - 0.1).abs() < 1e-12);
        assert!((wrap_turn(-3.0 * PI + 0.2) - (0.2 - PI)).abs() < 1e-12);
    }
}
