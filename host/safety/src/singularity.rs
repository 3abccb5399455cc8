//! Near a singularity the joints slow down, and no motion goes farther into it.
//!
//! The condition number is worked out only where it may matter. While the joints travel `w_k` from where it was, the
//! Jacobian changes by `δ = Σ G_k w_k` at most (Frobenius norm): a column of a joint beyond k turns with joint k as a
//! whole, one before it changes by what the tool moves. Its least singular value falls by at most as much (Weyl), so
//! that the condition number is at most `(‖J₀‖ + δ)·√6 / (1/‖J₀⁻¹‖ − δ) / 6`.

use sinew_kinematics::{Chain, Conditioning, Forward, HAND, LinkCapsule, Point};
use sinew_messages::{JOINTS, JointVector, LimitKind};

use crate::brake::ArmState;
use crate::setpoint::at_most;
use crate::sweep::{dot, longest_levers};
use crate::verdict::Violation;

/// How near to a singularity the arm may come, by the Frobenius condition number of the tool's Jacobian
/// ([`Conditioning::number`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Singularity {
    /// Length that makes linear and angular motion comparable, m.
    pub characteristic_length_m: f64,
    /// Condition number from which on the joints slow down.
    pub slow_above: f64,
    /// Condition number beyond which no motion goes that makes it worse.
    pub stop_above: f64,
    /// Share of the joints' velocity limits that is left there, in (0, 1]. In between it falls evenly.
    pub slow_share: f64,
}

/// The check of one arm.
#[derive(Clone, Debug)]
pub(crate) struct SingularityCheck {
    /// G: how much the Jacobian changes at most for one rad of each joint.
    gains: JointVector,
    /// Where the conditioning was worked out last.
    at: JointVector,
    known: Conditioning,
}

impl SingularityCheck {
    pub(crate) fn new(chain: &Chain, limits: &Singularity) -> Self {
        let tool = Point::from(chain.tool_in_hand().translation.vector);
        let levers = longest_levers(
            chain,
            &LinkCapsule {
                link: HAND,
                a: tool,
                b: tool,
                radius_m: 0.0,
            },
        );
        let linear = levers.map(|lever| lever / limits.characteristic_length_m);
        let gains = core::array::from_fn(|k| {
            let squared: f64 = (0..JOINTS)
                .map(|j| {
                    if k < j {
                        linear[j] * linear[j] + 1.0
                    } else {
                        linear[k] * linear[k]
                    }
                })
                .sum();
            squared.sqrt()
        });
        Self {
            gains,
            at: [f64::NAN; JOINTS],
            known: Conditioning {
                norm: f64::INFINITY,
                inverse_norm: f64::INFINITY,
            },
        }
    }

    /// Checks the state `after` that a candidate leads to from `given`. `velocity_max` are the joints' limits.
    pub(crate) fn check(
        &mut self,
        chain: &Chain,
        given: &Forward,
        after: &ArmState,
        forward: &Forward,
        velocity_max: &JointVector,
        limits: &Singularity,
    ) -> Result<(), Violation> {
        if self.is_far(&after.q, limits.slow_above) {
            return Ok(());
        }
        let length = limits.characteristic_length_m;
        self.known = chain.conditioning(forward, length);
        self.at = after.q;
        let number = self.known.number();
        if at_most(number, limits.slow_above) {
            return Ok(());
        }
        let violation = |index, limit_value, asked| {
            Err(Violation {
                limit: LimitKind::Singularity,
                index,
                limit_value,
                asked,
            })
        };
        if !at_most(number, limits.stop_above) {
            let before = chain.conditioning(given, length).number();
            if !at_most(number, before) {
                return violation(None, limits.stop_above, number);
            }
        }
        let into = (number - limits.slow_above) / (limits.stop_above - limits.slow_above);
        // Infinite at the singularity itself.
        let into = if into < 1.0 { into } else { 1.0 };
        let share = 1.0 - into * (1.0 - limits.slow_share);
        for (i, (v, most)) in after.v.iter().zip(velocity_max).enumerate() {
            let most = share * most;
            if !at_most(v.abs(), most) {
                return violation(Some(i as u32), most, v.abs());
            }
        }
        Ok(())
    }

    /// True if the condition number at `q` is certainly no more than `most`.
    fn is_far(&self, q: &JointVector, most: f64) -> bool {
        let way: JointVector = core::array::from_fn(|j| (q[j] - self.at[j]).abs());
        let changed = dot(&self.gains, &way);
        let least = 1.0 / self.known.inverse_norm - changed;
        // Not so before the first time: a NaN keeps no limit.
        least > 0.0 && at_most((self.known.norm + changed) / (least * 6.0_f64.sqrt()), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sinew_kinematics::{Isometry, Joint};

    fn arm() -> Chain {
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
        let hand = Isometry::translation(0.0, 0.0, 0.05);
        let tool = Isometry::translation(0.0, 0.0, 0.12);
        Chain::new(joints, hand, tool, &[], [0.0; JOINTS]).expect("a valid arm")
    }

    const LIMITS: Singularity = Singularity {
        characteristic_length_m: 0.3,
        slow_above: 15.0,
        stop_above: 40.0,
        slow_share: 0.2,
    };

    proptest! {
        /// What is called far is far, from wherever it was worked out.
        #[test]
        fn the_bound_holds(
            q in prop::array::uniform7(-2.5..2.5_f64),
            off in prop::array::uniform7(-0.05..0.05_f64),
            most in 2.0..40.0_f64,
        ) {
            let chain = arm();
            let mut check = SingularityCheck::new(&chain, &LIMITS);
            prop_assert!(!check.is_far(&q, f64::MAX));
            check.known = chain.conditioning(&chain.forward(&q), 0.3);
            check.at = q;
            let there: JointVector = core::array::from_fn(|j| q[j] + off[j]);
            if check.is_far(&there, most) {
                let number = chain.conditioning(&chain.forward(&there), 0.3).number();
                prop_assert!(number <= most, "{number} over {most}");
            }
        }
    }

    /// The bound is of use: a well-conditioned arm that moves a little is not worked out again.
    #[test]
    fn little_motion_needs_no_new_number() {
        let chain = arm();
        let mut check = SingularityCheck::new(&chain, &LIMITS);
        let q = [0.0, -0.21, 0.0, 2.11, 0.0, 1.24, 0.0];
        check.known = chain.conditioning(&chain.forward(&q), 0.3);
        check.at = q;
        assert!(check.is_far(&q.map(|q| q + 0.002), LIMITS.slow_above));
        assert!(!check.is_far(&q.map(|q| q + 0.5), LIMITS.slow_above));
    }
}
