//! Following a moving reference with one coordinate, jerk-limited.
//!
//! Every tick plans the quickest way to rest **relative to the reference**, as if its velocity stayed, and
//! takes the first tick of that plan. A reference of constant velocity is met without lag; one that
//! accelerates at `a` is lagged behind by about `a³/6J²`, microradians for what a policy asks. (To feed the
//! reference's acceleration forward would remove that, and swing the tool whenever a policy changes its mind.)
//! There is no integrator, so nothing winds up while something else moves the coordinate. Near the reference the
//! plan's jerk changes sign from tick to tick; what that leaves in the position is of the order of
//! jerk · T³, well below a microradian.

use sinew_units::TICK_S;

use crate::profile::{AxisLimits, AxisState, Profile};

/// Triple pole of [`smooth`], 1/s.
const POLE_PER_S: f64 = 25.0;
/// Share of the velocity limit that a reference may use; the rest is left to catch up with.
const REFERENCE_SHARE: f64 = 0.9;

/// The state one tick later. `reference` is where the reference is then, `velocity` how it moves.
#[must_use]
pub(crate) fn follow(
    state: AxisState,
    reference: f64,
    velocity: f64,
    limits: &AxisLimits,
) -> AxisState {
    let highest = REFERENCE_SHARE * limits.velocity;
    let velocity = velocity.clamp(-highest, highest);
    let relative = AxisState {
        position: state.position - (reference - velocity * TICK_S),
        velocity: state.velocity - velocity,
        acceleration: state.acceleration,
    };
    let room = AxisLimits {
        velocity: limits.velocity - velocity.abs(),
        ..*limits
    };
    let next = Profile::to_rest_at(0.0, relative, &room).at(TICK_S);
    let next = AxisState {
        position: next.position + reference,
        velocity: next.velocity + velocity,
        acceleration: next.acceleration,
    };
    // The plan's velocity limit is relative, and the reference may change its mind: brake for the absolute one.
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

/// The state one tick later on the quickest way to a constant velocity, within the limits of acceleration and jerk:
/// the acceleration `x` from which easing off at full jerk just gets there, `v + (a + x)T/2 + x|x|/2J = velocity`.
#[must_use]
pub(crate) fn toward_velocity(state: AxisState, velocity: f64, limits: &AxisLimits) -> AxisState {
    let half = 0.5 * TICK_S;
    let missing = velocity - state.velocity - half * state.acceleration;
    let size = limits.jerk * ((half * half + 2.0 * missing.abs() / limits.jerk).sqrt() - half);
    let wanted = size.min(limits.acceleration).copysign(missing);
    let step = limits.jerk * TICK_S;
    let reached = wanted.clamp(state.acceleration - step, state.acceleration + step);
    state.after(TICK_S, (reached - state.acceleration) / TICK_S)
}

/// A low-pass for references that may change their mind at any rate: linear, with a triple pole, following the
/// reference's velocity, so that one of constant velocity is met without lag. Being linear it does not
/// resonate with a policy that plans again and again, as a quickest way would. The velocity stays (nearly)
/// below `velocity_max`.
#[must_use]
pub(crate) fn smooth(
    state: AxisState,
    reference: f64,
    velocity: f64,
    velocity_max: f64,
) -> AxisState {
    let error = reference - velocity * TICK_S - state.position;
    let wanted = (velocity + POLE_PER_S / 3.0 * error).clamp(-velocity_max, velocity_max);
    let jerk = 3.0 * POLE_PER_S * POLE_PER_S * (wanted - state.velocity)
        - 3.0 * POLE_PER_S * state.acceleration;
    state.after(TICK_S, jerk)
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
        fn a_velocity_is_reached_within_the_limits_and_kept(
            limits in limits(),
            shares in prop::collection::vec((-1.0..1.0_f64, 1..400_usize), 1..5),
        ) {
            let mut state = AxisState::resting_at(0.0);
            for (share, ticks) in shares.into_iter().chain([(0.4, 3_000), (0.0, 3_000)]) {
                let velocity = share * limits.velocity;
                for _ in 0..ticks {
                    let next = toward_velocity(state, velocity, &limits);
                    check_step(state, next, &limits);
                    state = next;
                }
                if ticks == 3_000 {
                    prop_assert!((state.velocity - velocity).abs() < 1e-6, "{state:?} {velocity}");
                }
            }
            prop_assert!(state.acceleration.abs() < 1e-4, "{state:?}");
        }

        #[test]
        fn a_jumping_reference_is_reached_within_the_limits(
            limits in limits(),
            jumps in prop::collection::vec((-1.5..1.5_f64, 1..700_usize), 1..6),
        ) {
            let mut state = AxisState::resting_at(0.0);
            let mut last = 0.0;
            for (reference, ticks) in jumps.iter().copied().chain([(0.3, 6_000)]) {
                for _ in 0..ticks {
                    let next = follow(state, reference, 0.0, &limits);
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
                state = follow(state, velocity * f64::from(n + 1) * TICK_S, velocity, &limits);
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
                let reference = size * libm::sin(phase);
                let next = follow(state, reference, size * rate * libm::cos(phase), &limits);
                check_step(state, next, &limits);
                state = next;
                if n > 3_000 {
                    let a = size * rate * rate;
                    let lag = a * a * a / (6.0 * limits.jerk * limits.jerk);
                    prop_assert!((state.position - reference).abs() < 4.0 * lag + 1e-4);
                }
            }
        }

        #[test]
        fn a_step_does_not_overshoot(limits in limits(), step in 0.01..1.0_f64) {
            let mut state = AxisState::resting_at(0.0);
            let mut highest = 0.0_f64;
            for _ in 0..5_000 {
                state = follow(state, step, 0.0, &limits);
                highest = highest.max(state.position);
            }
            prop_assert!(highest <= step + 1e-5, "{highest} of {step} with {limits:?}");
        }
    }
}
