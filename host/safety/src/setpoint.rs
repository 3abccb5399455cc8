//! The checks of one setpoint: joint limits from differences of positions, and the position bound of its stop.

use sinew_messages::{JOINTS, JointVector, LimitKind, Setpoint};
use sinew_units::TICK_S;

use crate::brake::{ArmState, StopLaw};
use crate::late;
use crate::limits::SafetyConfig;
use crate::verdict::Violation;

/// What rounding of positions adds to their differences over one, two and three ticks: positions of up to
/// 2π carry 9e-16, each difference doubles it and divides by T.
const VELOCITY_ROUNDING: f64 = 4e-12;
const ACCELERATION_ROUNDING: f64 = 8e-9;
const JERK_ROUNDING: f64 = 2e-5;

fn violation(limit: LimitKind, joint: usize, limit_value: f64, asked: f64) -> Violation {
    Violation {
        limit,
        index: Some(joint as u32),
        limit_value,
        asked,
    }
}

/// `value ≤ limit`, and false for a NaN on either side: a limit is kept only if that can be said.
pub(crate) fn at_most(value: f64, limit: f64) -> bool {
    value <= limit
}

/// The nearest value from `least` to `most`. `max` and `min` may return either zero where both signs meet, as the compiler
/// likes; here what is within is returned bit for bit, and nothing depends on how the gate was compiled.
pub(crate) fn clamped(value: f64, least: f64, most: f64) -> f64 {
    if value < least {
        least
    } else if value > most {
        most
    } else {
        value
    }
}

/// Checks the state `after` that a candidate leads to from `before`. `speed_share` is what the mode leaves of the
/// velocity limits.
pub(crate) fn check_joints(
    before: &ArmState,
    after: &ArmState,
    law: &StopLaw,
    speed_share: f64,
    c: &SafetyConfig,
) -> Result<(), Violation> {
    (0..JOINTS).try_for_each(|i| {
        let velocity_max = speed_share * c.velocity_max_rad_s[i];
        check_joint(i, before, after, law, velocity_max, c)
    })
}

fn check_joint(
    i: usize,
    before: &ArmState,
    after: &ArmState,
    law: &StopLaw,
    velocity_max: f64,
    c: &SafetyConfig,
) -> Result<(), Violation> {
    // What is still being gained when the stop begins would come on top of it.
    let speed = law.peak_speed(i, after.v[i], after.a[i]);
    if !at_most(speed, velocity_max + VELOCITY_ROUNDING) {
        return Err(violation(LimitKind::Velocity, i, velocity_max, speed));
    }
    // One who was stopped harder than motions may be comes back at the jerk limit.
    let step = c.jerk_max_rad_s3[i] * TICK_S;
    let cap = c.acceleration_max_rad_s2[i].max(before.a[i].abs() - step);
    let acceleration = after.a[i].abs();
    if !at_most(acceleration, cap + ACCELERATION_ROUNDING) {
        return Err(violation(LimitKind::Acceleration, i, cap, acceleration));
    }
    let jerk = (after.a[i] - before.a[i]).abs() / TICK_S;
    if !at_most(jerk, c.jerk_max_rad_s3[i] + JERK_ROUNDING) {
        return Err(violation(LimitKind::Jerk, i, c.jerk_max_rad_s3[i], jerk));
    }
    let (up, down) = law.way(i, after.v[i], after.a[i]);
    let margin = c.following_error_max_rad[i];
    // Who is outside already may stay or come back, never go further.
    let highest = (c.position_max_rad[i] - margin).max(before.q[i]);
    let lowest = (c.position_min_rad[i] + margin).min(before.q[i]);
    let [farther_up, farther_down] = late::ways(i, after, law, c.reaction_ticks);
    let top = after.q[i] + up + farther_up;
    let bottom = after.q[i] - down - farther_down;
    if !at_most(top, highest) {
        return Err(violation(LimitKind::Position, i, highest, top));
    }
    if !at_most(lowest, bottom) {
        return Err(violation(LimitKind::Position, i, lowest, bottom));
    }
    Ok(())
}

/// The velocity and acceleration that a setpoint states must be those of its positions, within what two ways
/// of sampling one motion may differ by: the drives use them as feed-forward.
pub(crate) fn check_statement(
    setpoint: &Setpoint,
    after: &ArmState,
    c: &SafetyConfig,
) -> Result<(), Violation> {
    for i in 0..JOINTS {
        let acceleration = c.acceleration_max_rad_s2[i].max(c.stop_acceleration_rad_s2[i]);
        let velocity_gap = 2.0 * acceleration * TICK_S;
        let velocity = setpoint.velocity_rad_s[i];
        if !at_most((velocity - after.v[i]).abs(), velocity_gap) {
            return Err(violation(LimitKind::Velocity, i, velocity_gap, velocity));
        }
        let jerk = c.jerk_max_rad_s3[i].max(c.stop_jerk_rad_s3[i]);
        let acceleration_gap = 3.0 * jerk * TICK_S;
        let stated = setpoint.acceleration_rad_s2[i];
        if !at_most((stated - after.a[i]).abs(), acceleration_gap) {
            return Err(violation(
                LimitKind::Acceleration,
                i,
                acceleration_gap,
                stated,
            ));
        }
    }
    Ok(())
}

/// `b + k(u − b)` for every field of the arm; the gripper is `u`'s.
pub(crate) fn blend(b: &Setpoint, u: &Setpoint, k: f64) -> Setpoint {
    let mix = |b: &JointVector, u: &JointVector| -> JointVector {
        core::array::from_fn(|i| b[i] + k * (u[i] - b[i]))
    };
    Setpoint {
        position_rad: mix(&b.position_rad, &u.position_rad),
        velocity_rad_s: mix(&b.velocity_rad_s, &u.velocity_rad_s),
        acceleration_rad_s2: mix(&b.acceleration_rad_s2, &u.acceleration_rad_s2),
        ..*u
    }
}

/// Equal in every bit.
pub(crate) fn same_bits(a: &JointVector, b: &JointVector) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain;

    /// The joint that moves; the others stand.
    const JOINT: usize = 4;

    fn config() -> SafetyConfig {
        SafetyConfig {
            position_min_rad: [-1.0; JOINTS],
            position_max_rad: [2.0; JOINTS],
            velocity_max_rad_s: [5.0; JOINTS],
            acceleration_max_rad_s2: [10.0; JOINTS],
            jerk_max_rad_s3: [1_000.0; JOINTS],
            stop_acceleration_rad_s2: [20.0; JOINTS],
            stop_jerk_rad_s3: [2_000.0; JOINTS],
            reaction_ticks: 30,
            following_error_max_rad: [0.1; JOINTS],
            ..plain::config()
        }
    }

    fn law() -> StopLaw {
        StopLaw::new(&[20.0; JOINTS], &[2_000.0; JOINTS])
    }

    fn state(q: f64, v: f64, a: f64) -> ArmState {
        let mut state = ArmState::at_rest([0.0; JOINTS]);
        (state.q[JOINT], state.v[JOINT], state.a[JOINT]) = (q, v, a);
        state
    }

    /// What is broken on the way from one state to the other.
    fn broken(before: &ArmState, after: &ArmState) -> Option<(LimitKind, f64)> {
        let found = check_joints(before, after, &law(), 1.0, &config()).err()?;
        assert_eq!(found.index, Some(JOINT as u32));
        assert!(found.asked.abs() > found.limit_value.abs());
        Some((found.limit, found.limit_value))
    }

    #[test]
    fn velocities_keep_their_limit_but_for_rounding() {
        let broken_at = |v: f64| broken(&state(0.0, v, 0.0), &state(0.0, v, 0.0));
        for way in [1.0, -1.0] {
            assert_eq!(broken_at(way * 5.0), None);
            assert_eq!(broken_at(way * (5.0 + 2e-12)), None);
            assert_eq!(
                broken_at(way * (5.0 + 6e-12)),
                Some((LimitKind::Velocity, 5.0))
            );
        }
        // A mode leaves a share of it; what is still being gained counts.
        let slow = |v: f64, a: f64| {
            let state = state(0.0, v, a);
            check_joints(&state, &state, &law(), 0.2, &config()).is_ok()
        };
        assert!(slow(1.0, 0.0) && !slow(1.001, 0.0));
        // From 8 rad/s², half of (8 + 2)²/2000 more.
        assert!(slow(0.974, 8.0) && !slow(0.976, 8.0));
    }

    #[test]
    fn accelerations_keep_their_limit_but_for_rounding() {
        let broken_at = |a: f64| broken(&state(0.0, 0.0, 10.0 * a.signum()), &state(0.0, 0.0, a));
        for way in [1.0, -1.0] {
            assert_eq!(broken_at(way * 10.0), None);
            assert_eq!(broken_at(way * (10.0 + 4e-9)), None);
            assert_eq!(
                broken_at(way * (10.0 + 2e-8)),
                Some((LimitKind::Acceleration, 10.0))
            );
        }
        // One who is over it comes back at the jerk limit, a rad/s² a tick, and no faster than that.
        assert_eq!(broken(&state(0.0, 0.0, 15.0), &state(0.0, 0.0, 14.0)), None);
        assert_eq!(
            broken(&state(0.0, 0.0, 15.0), &state(0.0, 0.0, 14.5)),
            Some((LimitKind::Acceleration, 14.0))
        );
    }

    #[test]
    fn jerks_keep_their_limit_but_for_rounding() {
        for way in [1.0, -1.0] {
            let broken_at = |a: f64| broken(&state(0.0, 0.0, way), &state(0.0, 0.0, way + a));
            for a in [1.0, -1.0, 1.0 + 1e-8, -1.0 - 1e-8] {
                assert_eq!(broken_at(a), None, "{a}");
            }
            for a in [1.0 + 4e-8, -1.0 - 4e-8] {
                assert_eq!(broken_at(a), Some((LimitKind::Jerk, 1_000.0)), "{a}");
            }
        }
    }

    #[test]
    fn a_late_stop_ends_within_the_position_limits_less_the_following_error() {
        for (v, a) in [(0.0, 0.0), (1.5, 3.0), (-1.5, -3.0), (-0.1, 4.0)] {
            let (up, down) = law().way(JOINT, v, a);
            let [more_up, more_down] = late::ways(JOINT, &state(0.0, v, a), &law(), 30);
            let top = 1.9 - up - more_up;
            let bottom = -0.9 + down + more_down;
            let broken_at = |q: f64| {
                // From well within.
                let mut before = state(q, v, a);
                before.q[JOINT] = 0.5;
                broken(&before, &state(q, v, a)).map(|(limit, _)| limit)
            };
            for (edge, out) in [(top, 1e-9), (bottom, -1e-9)] {
                assert_eq!(broken_at(edge - out), None, "{v} {a}");
                assert_eq!(broken_at(edge + out), Some(LimitKind::Position), "{v} {a}");
            }
        }
    }

    #[test]
    fn whoever_is_outside_may_stay_or_come_back() {
        for (q, out) in [(1.95, 0.01), (-0.95, -0.01)] {
            let from = state(q, 0.0, 0.0);
            assert_eq!(broken(&from, &from), None);
            assert_eq!(broken(&from, &state(q - out, 0.0, 0.0)), None);
            assert_eq!(
                broken(&from, &state(q + out, 0.0, 0.0)),
                Some((LimitKind::Position, q))
            );
        }
    }

    #[test]
    fn what_is_stated_is_what_the_positions_say() {
        let after = state(0.0, 0.7, -3.0);
        let broken_at = |v: f64, a: f64| {
            let mut stated = after.setpoint(0.0, 0.0);
            (
                stated.velocity_rad_s[JOINT],
                stated.acceleration_rad_s2[JOINT],
            ) = (v, a);
            let found = check_statement(&stated, &after, &config()).err()?;
            assert_eq!(found.index, Some(JOINT as u32));
            Some(found.limit)
        };
        for way in [1.0, -1.0] {
            // Two ticks of the stop's acceleration, three of its jerk.
            assert_eq!(broken_at(0.7 + way * 0.0399, -3.0), None);
            assert_eq!(
                broken_at(0.7 + way * 0.0401, -3.0),
                Some(LimitKind::Velocity)
            );
            assert_eq!(broken_at(0.7, -3.0 + way * 5.99), None);
            assert_eq!(
                broken_at(0.7, -3.0 + way * 6.01),
                Some(LimitKind::Acceleration)
            );
        }
    }

    #[test]
    fn a_blend_is_a_share_of_the_way() {
        let (b, u) = (state(1.0, 2.0, 3.0), state(3.0, -2.0, 7.0));
        let mixed = blend(&b.setpoint(0.1, 10.0), &u.setpoint(0.2, 20.0), 0.25);
        assert_eq!(mixed, state(1.5, 1.0, 4.0).setpoint(0.2, 20.0));
    }

    #[test]
    fn what_is_within_stays_bit_for_bit() {
        let check = |value: f64, least, most, expected: f64| {
            let got = clamped(value, least, most);
            assert_eq!(got.to_bits(), expected.to_bits(), "{value} gives {got}");
        };
        check(-0.0, 0.0, 1.0, -0.0);
        check(0.0, -1.0, -0.0, 0.0);
        check(0.5, 0.0, 1.0, 0.5);
        check(1.0, 0.0, 1.0, 1.0);
        check(-2.0, -1.0, 1.0, -1.0);
        check(2.0, -1.0, 1.0, 1.0);
    }
}
