//! The chain: joints, links, capsules; forward kinematics and the Jacobian.

use nalgebra::{Quaternion, UnitQuaternion, Vector3};
use sinew_messages::{JOINTS, JointVector};

use crate::{Isometry, Jacobian, Masses, Point};

/// Capsules that a chain can carry.
pub const CAPSULES_MAX: usize = 24;
/// [`LinkCapsule::link`] of the hand. 0 is the base, 1 to [`JOINTS`] are the links that the joints turn.
pub const HAND: usize = JOINTS + 1;

/// One revolute joint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Joint {
    /// From the frame of the link before to this joint's frame at position zero; the axis is z.
    pub origin: Isometry,
    /// Lower position limit, rad.
    pub lower_rad: f64,
    /// Upper position limit, rad.
    pub upper_rad: f64,
}

/// A capsule that covers (a part of) a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkCapsule {
    /// 0 base, 1 to 7 the links, 8 ([`HAND`]) the hand.
    pub link: usize,
    /// One end of the axis, link frame, m.
    pub a: Point,
    /// Other end of the axis, link frame, m.
    pub b: Point,
    /// Radius, m.
    pub radius_m: f64,
}

impl LinkCapsule {
    /// Where it is in one posture.
    #[must_use]
    pub fn placed(&self, forward: &Forward) -> PlacedCapsule {
        let frame = forward.frame(self.link);
        PlacedCapsule {
            link: self.link,
            a: frame * self.a,
            b: frame * self.b,
            radius_m: self.radius_m,
        }
    }
}

/// A capsule in the base frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacedCapsule {
    /// The link, as in [`LinkCapsule::link`].
    pub link: usize,
    /// One end of the axis, base frame, m.
    pub a: Point,
    /// Other end of the axis, base frame, m.
    pub b: Point,
    /// Radius, m.
    pub radius_m: f64,
}

/// Where everything is for one joint vector, base frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forward {
    /// The links that the joints turn, base to tool.
    pub links: [Isometry; JOINTS],
    /// Axes that the joints turn about, unit vectors.
    pub axes: [Vector3<f64>; JOINTS],
    /// The hand.
    pub hand: Isometry,
    /// The tool (TCP).
    pub tool: Isometry,
}

impl Forward {
    /// Frame of a link, numbered as in [`LinkCapsule::link`]; the base for 0, the hand beyond the last.
    #[must_use]
    pub fn frame(&self, link: usize) -> Isometry {
        match link {
            0 => Isometry::identity(),
            n if n <= JOINTS => self.links[n - 1],
            _ => self.hand,
        }
    }
}

/// Why a chain was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// A number was NaN or infinite.
    #[error("a number of {what} is not finite")]
    NonFinite {
        /// Which part of the chain.
        what: &'static str,
    },
    /// A joint has no room to move.
    #[error(
        "joint {joint}: the lower limit {lower_rad} rad is not below the upper limit {upper_rad} rad"
    )]
    Limits {
        /// Joint, from 0.
        joint: usize,
        /// Lower limit.
        lower_rad: f64,
        /// Upper limit.
        upper_rad: f64,
    },
    /// The rest posture is outside a joint's limits.
    #[error("the rest posture of joint {joint} is outside its limits")]
    Rest {
        /// Joint, from 0.
        joint: usize,
    },
    /// Too many capsules.
    #[error("{count} capsules, at most {CAPSULES_MAX} are possible")]
    TooManyCapsules {
        /// How many there were.
        count: usize,
    },
    /// A capsule of no link, or without a radius.
    #[error("capsule {index}: link must be 0 to {HAND} and the radius above zero")]
    Capsule {
        /// Position in the list.
        index: usize,
    },
}

/// A seven-joint arm with a hand. Plain data of fixed size.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    pub(crate) joints: [Joint; JOINTS],
    hand: Isometry,
    tool_in_hand: Isometry,
    tool: Isometry,
    capsules: [LinkCapsule; CAPSULES_MAX],
    capsule_count: usize,
    pub(crate) rest_rad: JointVector,
    masses: Option<Masses>,
}

impl Chain {
    /// A chain from its parts: `hand` is the hand in the last link's frame, `tool_in_hand` the TCP in the
    /// hand's frame, `rest_rad` the posture that redundancy is pulled to.
    ///
    /// # Errors
    /// [`ChainError`] for non-finite numbers, empty or reversed limits, or capsules that don't fit.
    pub fn new(
        joints: [Joint; JOINTS],
        hand: Isometry,
        tool_in_hand: Isometry,
        capsules: &[LinkCapsule],
        rest_rad: JointVector,
    ) -> Result<Self, ChainError> {
        for (joint, j) in joints.iter().enumerate() {
            if !is_finite(&j.origin) || !j.lower_rad.is_finite() || !j.upper_rad.is_finite() {
                return Err(ChainError::NonFinite { what: "a joint" });
            }
            if j.lower_rad >= j.upper_rad {
                return Err(ChainError::Limits {
                    joint,
                    lower_rad: j.lower_rad,
                    upper_rad: j.upper_rad,
                });
            }
            if !(j.lower_rad..=j.upper_rad).contains(&rest_rad[joint]) {
                return Err(ChainError::Rest { joint });
            }
        }
        if !is_finite(&hand) || !is_finite(&tool_in_hand) {
            return Err(ChainError::NonFinite { what: "the tool" });
        }
        if capsules.len() > CAPSULES_MAX {
            return Err(ChainError::TooManyCapsules {
                count: capsules.len(),
            });
        }
        let mut list = [LinkCapsule {
            link: 0,
            a: Point::origin(),
            b: Point::origin(),
            radius_m: 0.0,
        }; CAPSULES_MAX];
        for (index, (slot, capsule)) in list.iter_mut().zip(capsules).enumerate() {
            let ends_finite = capsule
                .a
                .iter()
                .chain(capsule.b.iter())
                .all(|c| c.is_finite());
            if !ends_finite || !capsule.radius_m.is_finite() {
                return Err(ChainError::NonFinite { what: "a capsule" });
            }
            if capsule.link > HAND || capsule.radius_m <= 0.0 {
                return Err(ChainError::Capsule { index });
            }
            *slot = *capsule;
        }
        Ok(Self {
            joints,
            hand,
            tool_in_hand,
            tool: hand * tool_in_hand,
            capsules: list,
            capsule_count: capsules.len(),
            rest_rad,
            masses: None,
        })
    }

    /// The same chain, with what its parts weigh.
    #[must_use]
    pub fn with_masses(self, masses: Masses) -> Self {
        Self {
            masses: Some(masses),
            ..self
        }
    }

    /// What its parts weigh, if that is known.
    #[must_use]
    pub fn masses(&self) -> Option<&Masses> {
        self.masses.as_ref()
    }

    /// The joints, base to tool.
    #[must_use]
    pub fn joints(&self) -> &[Joint; JOINTS] {
        &self.joints
    }

    /// The TCP in the last link's frame.
    #[must_use]
    pub fn tool(&self) -> &Isometry {
        &self.tool
    }

    /// The hand in the last link's frame.
    #[must_use]
    pub fn hand(&self) -> &Isometry {
        &self.hand
    }

    /// The TCP in the hand's frame.
    #[must_use]
    pub fn tool_in_hand(&self) -> &Isometry {
        &self.tool_in_hand
    }

    /// The capsules that cover the links.
    #[must_use]
    pub fn capsules(&self) -> &[LinkCapsule] {
        &self.capsules[..self.capsule_count]
    }

    /// The posture that redundancy is pulled to, rad.
    #[must_use]
    pub fn rest(&self) -> &JointVector {
        &self.rest_rad
    }

    /// Lower and upper position limits, rad.
    #[must_use]
    pub fn limits(&self) -> (JointVector, JointVector) {
        (
            self.joints.map(|joint| joint.lower_rad),
            self.joints.map(|joint| joint.upper_rad),
        )
    }

    /// True if every joint is within its limits (a NaN is not).
    #[must_use]
    pub fn is_within_limits(&self, q: &JointVector) -> bool {
        self.joints
            .iter()
            .zip(q)
            .all(|(joint, q)| (joint.lower_rad..=joint.upper_rad).contains(q))
    }

    /// Every frame for joint positions `q` (rad).
    #[must_use]
    pub fn forward(&self, q: &JointVector) -> Forward {
        let mut links = [Isometry::identity(); JOINTS];
        let mut axes = [Vector3::zeros(); JOINTS];
        let mut frame = Isometry::identity();
        for (((link, axis), joint), q) in (links.iter_mut().zip(&mut axes)).zip(&self.joints).zip(q)
        {
            let (sin, cos) = libm::sincos(0.5 * q);
            let turn = UnitQuaternion::new_unchecked(Quaternion::new(cos, 0.0, 0.0, sin));
            frame *= joint.origin;
            frame.rotation *= turn;
            *link = frame;
            *axis = frame.rotation * Vector3::z();
        }
        Forward {
            links,
            axes,
            hand: frame * self.hand,
            tool: frame * self.tool,
        }
    }

    /// The geometric Jacobian of the TCP in the base frame: linear rows (m/rad), then angular rows.
    #[must_use]
    pub fn jacobian(&self, forward: &Forward) -> Jacobian {
        let tool = forward.tool.translation.vector;
        let mut jacobian = Jacobian::zeros();
        for (column, link) in forward.links.iter().enumerate() {
            let axis = forward.axes[column];
            let arm = axis.cross(&(tool - link.translation.vector));
            jacobian.fixed_view_mut::<3, 1>(0, column).copy_from(&arm);
            jacobian.fixed_view_mut::<3, 1>(3, column).copy_from(&axis);
        }
        jacobian
    }

    /// Yoshikawa's manipulability of the TCP, `√det(J·Jᵀ)`: 0 at a singularity.
    #[must_use]
    pub fn manipulability(&self, q: &JointVector) -> f64 {
        let jacobian = self.jacobian(&self.forward(q));
        libm::sqrt((jacobian * jacobian.transpose()).determinant().max(0.0))
    }

    /// The capsules placed in the base frame, in the order of [`Self::capsules`].
    pub fn place_capsules<'a>(
        &'a self,
        forward: &'a Forward,
    ) -> impl Iterator<Item = PlacedCapsule> + 'a {
        self.capsules()
            .iter()
            .map(|capsule| capsule.placed(forward))
    }
}

fn is_finite(isometry: &Isometry) -> bool {
    isometry.translation.vector.iter().all(|c| c.is_finite())
        && isometry.rotation.coords.iter().all(|c| c.is_finite())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use nalgebra::Translation3;

    /// A plain S-R-S arm, for the tests of this crate only.
    pub(crate) fn arm() -> Chain {
        let quarter = std::f64::consts::FRAC_PI_2;
        let place = |y: f64, z: f64, roll: f64| {
            Isometry::from_parts(
                Translation3::new(0.0, y, z),
                UnitQuaternion::from_axis_angle(&Vector3::x_axis(), roll),
            )
        };
        let joints = [
            (place(0.0, 0.2, 0.0), -2.9, 2.9),
            (place(0.0, 0.16, -quarter), -1.9, 1.9),
            (place(-0.2, 0.0, quarter), -2.9, 2.9),
            (place(0.0, 0.15, -quarter), 0.05, 2.7),
            (place(-0.25, 0.0, quarter), -2.9, 2.9),
            (place(0.0, 0.25, -quarter), -0.1, 2.3),
            (place(-0.05, 0.0, quarter), -2.9, 2.9),
        ]
        .map(|(origin, lower_rad, upper_rad)| Joint {
            origin,
            lower_rad,
            upper_rad,
        });
        let hand = Isometry::from_parts(
            Translation3::new(0.0, 0.0, 0.05),
            UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f64::consts::PI),
        );
        let capsule = LinkCapsule {
            link: HAND,
            a: Point::new(0.0, 0.0, 0.0),
            b: Point::new(0.0, 0.0, 0.1),
            radius_m: 0.04,
        };
        Chain::new(
            joints,
            hand,
            Isometry::translation(0.0, 0.0, 0.12),
            &[capsule],
            [0.0, 0.3, 0.0, 1.8, 0.0, 1.0, 0.0],
        )
        .expect("the test arm is valid")
    }

    #[test]
    fn upright_arm_stacks_its_lengths() {
        let mut q = [0.0; JOINTS];
        q[3] = 0.0;
        let tool = arm().forward(&q).tool.translation.vector;
        assert!((tool - Vector3::new(0.0, 0.0, 0.36 + 0.35 + 0.5 + 0.05 + 0.17)).norm() < 1e-12);
    }

    #[test]
    fn jacobian_matches_differences() {
        let chain = arm();
        let q = [0.3, 0.5, -0.2, 1.4, 0.4, 0.9, -0.6];
        let forward = chain.forward(&q);
        let jacobian = chain.jacobian(&forward);
        let step = 1e-6;
        for joint in 0..JOINTS {
            let mut moved = q;
            moved[joint] += step;
            let after = chain.forward(&moved).tool;
            let linear = (after.translation.vector - forward.tool.translation.vector) / step;
            let angular = (after.rotation * forward.tool.rotation.inverse()).scaled_axis() / step;
            for row in 0..3 {
                assert!((jacobian[(row, joint)] - linear[row]).abs() < 1e-5);
                assert!((jacobian[(row + 3, joint)] - angular[row]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn impossible_chains_are_refused() {
        let chain = arm();
        let mut joints = *chain.joints();
        joints[2].lower_rad = 3.0;
        let refused = Chain::new(
            joints,
            *chain.hand(),
            *chain.tool_in_hand(),
            &[],
            *chain.rest(),
        );
        assert!(matches!(refused, Err(ChainError::Limits { joint: 2, .. })));
        let many = [chain.capsules()[0]; CAPSULES_MAX + 1];
        let refused = Chain::new(
            *chain.joints(),
            *chain.hand(),
            *chain.tool_in_hand(),
            &many,
            *chain.rest(),
        );
        assert!(matches!(refused, Err(ChainError::TooManyCapsules { .. })));
    }
}
