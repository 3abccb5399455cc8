//! Following a moving reference with one coordinate, jerk-limited.
//!
//! Every tick plans the quickest way to rest **relative to the reference**, as if its acceleration stayed,
//! and takes the first tick of that plan. A reference of constant acceleration is met without lag. There is
//! no integrator, so nothing winds up while something else moves the coordinate. Near the reference the plan's
//! jerk changes sign from tick to tick; what that leaves in the position is of the order of jerk · T³, well
//! below a microradian.

use sinew_units::TICK_S;

use crate::profile::{AxisLimits, AxisState, Profile};

/// Share of the velocity and acceleration limits that a reference may use; the rest is left to catch up with.
const REFERENCE_SHARE: f64 = 0.9;

/// The state one tick later. `reference` is the motion of the reference then.
#[must_use]
pub(crate) fn follow(state: AxisState, reference: AxisState, limits: &AxisLimits) -> AxisState {
    let within = |value: f64, limit: f64| {
        let highest = REFERENCE_SHARE * limit;
        value.clamp(-highest, highest)
    };
    let reference = AxisState {
        position: reference.position,
        velocity: within(reference.velocity, limits.velocity),
        acceleration: within(reference.acceleration, limits.acceleration),
    };
    let before = reference.after(-TICK_S, 0.0);
    let relative = AxisState {
        position: state.position - before.position,
        velocity: state.velocity - before.velocity,
        acceleration: state.acceleration - before.acceleration,
    };
    let room = AxisLimits {
        velocity: limits.velocity - reference.velocity.abs(),
        acceleration: limits.acceleration - reference.acceleration.abs(),
        jerk: limits.jerk,
    };
    let next = Profile::to_rest_at(0.0, relative, &room).at(TICK_S);
    let next = AxisState {
        position: next.position + reference.position,
        velocity: next.velocity + reference.velocity,
        acceleration: next.acceleration + reference.acceleration,
    };
    // The plan's limits are relative too, and the reference may change its mind: brake for the absolute ones.
    let within = next
        .acceleration
        .min(highest_acceleration(state, limits))
        .max(-highest_acceleration(mirrored(state), limits));
    if within == next.acceleration {
        return next;
    }
    let step = limits.jerk * TICK_S;
    let eased = within.clamp(state.acceleration - step, state.acceleration + step);
    state.after(TICK_S, (eased - state.acceleration) / TICK_S)
}

/// The acceleration after this tick from which the velocity limit can just be kept: the positive root of
/// `v + (a + x)T/2 + x²/2J = v_max`.
fn highest_acceleration(state: AxisState, limits: &AxisLimits) -> f64 {
    let half = 0.5 * TICK_S;
    let room = limits.velocity - state.velocity - half * state.acceleration;
    let root = half * half + 2.0 * room / limits.jerk;
    if root <= 0.0 {
        // Already too fast: brake.
        return -limits.acceleration;
    }
    (limits.jerk * (root.sqrt() - half)).clamp(-limits.acceleration, limits.acceleration)
}

fn mirrored(state: AxisState) -> AxisState {
    AxisState {
        position: -state.position,
        velocity: -state.velocity,
        acceleration: -state.acceleration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits() -> impl Strategy<Value = AxisLimits> {
        (0.5..3.0, 4.0..20.0, 60.0..300.0).prop_map(|(velocity, acceleration, jerk)| AxisLimits {
            velocity,
            acceleration,
            jerk,
        })
    }

    fn check_step(before: AxisState, now: AxisState, limits: &AxisLimits) {
        let jerk = (now.acceleration - before.acceleration) / TICK_S;
        assert!(
            jerk.abs() <= limits.jerk * (1.0 + 1e-9) + 1e-6,
            "jerk {jerk}"
        );
        assert!(
            now.acceleration.abs() <= limits.acceleration + 1e-9,
            "{now:?}"
        );
        assert!(now.velocity.abs() <= limits.velocity + 1e-6, "{now:?}");
    }

    proptest! {
        #[test]
        fn a_jumping_reference_is_reached_within_the_limits(
            limits in limits(),
            jumps in prop::collection::vec((-1.5..1.5_f64, 1..700_usize), 1..6),
        ) {
            let mut state = AxisState::resting_at(0.0);
            let mut last = 0.0;
            for (reference, ticks) in jumps.iter().copied().chain([(0.3, 6_000)]) {
                for _ in 0..ticks {
                    let next = follow(state, AxisState::resting_at(reference), &limits);
                    check_step(state, next, &limits);
                    state = next;
                }
                last = reference;
            }
            prop_assert!((state.position - last).abs() < 1e-5, "{state:?} instead of {last}");
        }

        #[test]
        fn a_ramp_is_followed_without_lag(limits in limits(), share in -0.85..0.85_f64) {
            let velocity = share * limits.velocity;
            let mut state = AxisState::resting_at(0.0);
            for n in 0..8_000 {
                let reference = AxisState {
                    position: velocity * f64::from(n + 1) * TICK_S,
                    velocity,
                    acceleration: 0.0,
                };
                state = follow(state, reference, &limits);
            }
            prop_assert!((state.position - velocity * 8.0).abs() < 1e-5, "{state:?} {velocity}");
        }

        #[test]
        fn a_wave_is_followed_closely(limits in limits(), rate in 1.0..6.0_f64) {
            // As fast as the limits allow with some room.
            let size = (0.4 * limits.velocity / rate)
                .min(0.4 * limits.acceleration / (rate * rate))
                .min(0.4 * limits.jerk / (rate * rate * rate));
            let mut state = AxisState::resting_at(0.0);
            for n in 1..6_000 {
                let phase = rate * f64::from(n) * TICK_S;
                let reference = AxisState {
                    position: size * libm::sin(phase),
                    velocity: size * rate * libm::cos(phase),
                    acceleration: -size * rate * rate * libm::sin(phase),
                };
                let next = follow(state, reference, &limits);
                check_step(state, next, &limits);
                state = next;
                if n > 3_000 {
                    prop_assert!((state.position - reference.position).abs() < 1e-5);
                }
            }
        }

        #[test]
        fn a_step_does_not_overshoot(limits in limits(), step in 0.01..1.0_f64) {
            let mut state = AxisState::resting_at(0.0);
            let mut highest = 0.0_f64;
            for _ in 0..5_000 {
                state = follow(state, AxisState::resting_at(step), &limits);
                highest = highest.max(state.position);
            }
            prop_assert!(highest <= step + 1e-5, "{highest} of {step} with {limits:?}");
        }
    }
}
