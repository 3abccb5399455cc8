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
        let into = into.min(1.0);
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
    use proptest::prelude::*;
    use sinew_kinematics::{Isometry, Joint};

    use super::*;
    use crate::plain;

    fn arm() -> Chain {
        plain::arm(&[])
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

    /// Checks a state at `q` with one joint that moves at `v`, coming from `before`.
    fn checked(
        before: &JointVector,
        q: &JointVector,
        v: f64,
        limits: &Singularity,
    ) -> Option<Violation> {
        let chain = arm();
        let mut after = ArmState::at_rest(*q);
        after.v[2] = -v;
        let (given, forward) = (chain.forward(before), chain.forward(q));
        SingularityCheck::new(&chain, limits)
            .check(&chain, &given, &after, &forward, &[2.0; JOINTS], limits)
            .err()
    }

    #[test]
    fn joints_slow_down_evenly_on_the_way_into_it() {
        let chain = arm();
        let q = [0.0, -0.21, 0.0, 2.11, 0.0, 1.24, 0.0];
        let number = chain.conditioning(&chain.forward(&q), 0.3).number();
        for (into, share) in [(0.25, 0.8), (0.5, 0.6), (1.0, 0.2)] {
            let limits = Singularity {
                slow_above: number - 4.0 * into,
                stop_above: number + 4.0 * (1.0 - into),
                ..LIMITS
            };
            let most = 2.0 * share;
            assert_eq!(checked(&q, &q, most - 1e-9, &limits), None);
            let found = checked(&q, &q, most + 1e-9, &limits).expect("too fast there");
            assert_eq!(
                (found.limit, found.index),
                (LimitKind::Singularity, Some(2))
            );
            assert!((found.limit_value - most).abs() < 1e-9, "{found:?}");
        }
        // At the number itself it is not slow yet.
        let limits = Singularity {
            slow_above: number,
            ..LIMITS
        };
        assert_eq!(checked(&q, &q, 2.0, &limits), None);
    }

    #[test]
    fn beyond_the_number_that_stops_only_the_way_out_is_left() {
        let chain = arm();
        let at = |elbow: f64| [0.0, -0.21, 0.0, elbow, 0.0, 1.24, 0.0];
        let number = |elbow| chain.conditioning(&chain.forward(&at(elbow)), 0.3).number();
        let (near, nearer) = (number(0.2), number(0.19));
        assert!(nearer > near);
        let limits = Singularity {
            slow_above: near - 2.0,
            stop_above: near - 1.0,
            ..LIMITS
        };
        let found = checked(&at(0.2), &at(0.19), 0.0, &limits).expect("farther into it");
        assert_eq!(
            (found.index, found.limit_value, found.asked),
            (None, near - 1.0, nearer)
        );
        assert_eq!(checked(&at(0.2), &at(0.2), 0.0, &limits), None, "it stays");
        assert_eq!(
            checked(&at(0.19), &at(0.2), 0.399, &limits),
            None,
            "it leaves"
        );
        assert!(checked(&at(0.19), &at(0.2), 0.401, &limits).is_some());
    }

    /// The gains are those of an arm that is stretched out, in which they are reached.
    #[test]
    fn the_gains_bound_the_change_of_the_jacobian_and_no_more() {
        let joint = Joint {
            origin: Isometry::translation(0.1, 0.0, 0.0),
            lower_rad: -2.9,
            upper_rad: 2.9,
        };
        let still = Isometry::identity();
        let tool = Isometry::translation(0.1, 0.0, 0.0);
        let chain = Chain::new([joint; JOINTS], still, tool, &[], [0.0; JOINTS]).expect("valid");
        let check = SingularityCheck::new(&chain, &LIMITS);
        for (k, gain) in check.gains.iter().enumerate() {
            let lever = |j: usize| 0.1 * (JOINTS - j) as f64 / 0.3;
            let expected: f64 = (0..JOINTS)
                .map(|j| lever(j.max(k)).powi(2) + if j > k { 1.0 } else { 0.0 })
                .sum();
            assert!((gain * gain - expected).abs() < 1e-12, "{k}: {gain}");
        }
    }

    #[test]
    fn both_ends_of_the_number_are_taken_to_get_worse() {
        let mut check = SingularityCheck::new(&arm(), &LIMITS);
        check.at = [0.3; JOINTS];
        check.known = Conditioning {
            norm: 2.0,
            inverse_norm: 1.0 / 3.0,
        };
        // Where the Jacobian may have changed by 1: (2 + 1)/(3 − 1)/√6.
        let mut q = check.at;
        q[5] -= 1.0 / check.gains[5];
        let number = 1.5 / 6.0_f64.sqrt();
        assert!(check.is_far(&q, number + 1e-9) && !check.is_far(&q, number - 1e-9));
        // By 3 and more it may be singular.
        q[5] -= 2.0 / check.gains[5];
        assert!(!check.is_far(&q, f64::MAX));
        q[5] -= 9.0 / check.gains[5];
        assert!(!check.is_far(&q, f64::MAX));
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
