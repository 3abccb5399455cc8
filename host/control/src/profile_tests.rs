//! Properties of [`crate::profile`], and a comparison with an independent time-optimal solver.

use proptest::prelude::*;

use crate::profile::{AxisBounds, AxisLimits, AxisState, Eased, Profile};

const TICK_S: f64 = sinew_units::TICK_S;

fn limits() -> impl Strategy<Value = AxisLimits> {
    (0.2..3.0, 1.0..15.0, 20.0..600.0).prop_map(|(velocity, acceleration, jerk)| AxisLimits {
        velocity,
        acceleration,
        jerk,
    })
}

/// A state from which the velocity limit can still be kept.
fn state_within(limits: &AxisLimits, position: f64, velocity: f64, acceleration: f64) -> AxisState {
    let acceleration = acceleration * limits.acceleration;
    let room = limits.velocity - acceleration * acceleration / (2.0 * limits.jerk);
    let (acceleration, room) = if room > 0.0 {
        (acceleration, room)
    } else {
        (0.0, limits.velocity)
    };
    AxisState {
        position,
        velocity: velocity * room,
        acceleration,
    }
}

fn start_and_limits() -> impl Strategy<Value = (AxisState, AxisLimits)> {
    (limits(), -2.0..2.0_f64, -1.0..1.0_f64, -1.0..1.0_f64)
        .prop_map(|(l, p, v, a)| (state_within(&l, p, v, a), l))
}

/// Where it is in every tick.
fn positions(profile: &Profile) -> Vec<f64> {
    let ticks = (profile.duration_s() / TICK_S) as usize + 4;
    (0..ticks)
        .map(|n| profile.at(n as f64 * TICK_S).position)
        .collect()
}

/// Limits are kept by the state and by what a gate sees in ticks: the differences of the positions.
fn check_kept(profile: &Profile, limits: &AxisLimits) {
    let ticks = (profile.duration_s() / TICK_S) as usize + 4;
    let states: Vec<AxisState> = (0..ticks).map(|n| profile.at(n as f64 * TICK_S)).collect();
    for pair in states.windows(2) {
        let [before, now] = pair else { unreachable!() };
        assert!(
            now.velocity.abs() <= limits.velocity + 1e-9,
            "velocity {now:?}"
        );
        assert!(
            now.acceleration.abs() <= limits.acceleration + 1e-9,
            "acceleration {now:?}"
        );
        let jerk = (now.acceleration - before.acceleration) / TICK_S;
        assert!(
            jerk.abs() <= limits.jerk * (1.0 + 1e-9) + 1e-6,
            "jerk {jerk}"
        );
        let velocity = (now.position - before.position) / TICK_S;
        assert!(velocity.abs() <= limits.velocity + 1e-9);
    }
    for four in states.windows(4) {
        let p: Vec<f64> = four.iter().map(|s| s.position).collect();
        let jerk = (p[3] - 3.0 * p[2] + 3.0 * p[1] - p[0]) / (TICK_S * TICK_S * TICK_S);
        assert!(
            jerk.abs() <= limits.jerk * (1.0 + 1e-5) + 1e-2,
            "third difference {jerk} of {}",
            limits.jerk
        );
    }
}

/// A start that brakes already may have a quicker way that eases the brake without letting go of it; these
/// profiles have no such piece.
fn is_braking(start: &AxisState) -> bool {
    start.velocity * start.acceleration < 0.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reaches_the_target_within_the_limits((start, limits) in start_and_limits(), target in -3.0..3.0_f64) {
        let profile = Profile::to_rest_at(target, start, &limits);
        prop_assert_eq!(profile.at(0.0), start);
        prop_assert_eq!(profile.at(profile.duration_s()), AxisState::resting_at(target));
        let before = profile.at(profile.duration_s() - 1e-9);
        prop_assert!((before.position - target).abs() < 1e-7, "ends with a jump: {:?}", before);
        prop_assert!(before.velocity.abs() < 1e-5);
        check_kept(&profile, &limits);
    }

    #[test]
    fn stops_within_the_limits((start, limits) in start_and_limits()) {
        let profile = Profile::stop(start, &limits);
        let before = profile.at(profile.duration_s() - 1e-9);
        prop_assert!((before.position - profile.end_position()).abs() < 1e-7);
        prop_assert!(before.velocity.abs() < 1e-5);
        check_kept(&profile, &limits);
        // Nothing stops quicker than the velocity over the acceleration.
        prop_assert!(profile.duration_s() + 1e-12 >= start.velocity.abs() / limits.acceleration);
    }

    #[test]
    fn a_longer_duration_is_met_from_rest(limits in limits(), target in -3.0..3.0_f64, factor in 1.0..5.0_f64) {
        let start = AxisState::resting_at(0.3);
        let quickest = Profile::to_rest_at(target, start, &limits);
        let wanted = quickest.duration_s() * factor;
        let stretched = Profile::to_rest_in(wanted, target, start, &limits);
        prop_assert!((stretched.duration_s() - wanted).abs() < 1e-5, "{} {}", stretched.duration_s(), wanted);
        check_kept(&stretched, &limits);
    }

    #[test]
    fn a_longer_duration_never_breaks_a_moving_start((start, limits) in start_and_limits(), target in -3.0..3.0_f64, factor in 1.0..5.0_f64) {
        let wanted = Profile::to_rest_at(target, start, &limits).duration_s() * factor;
        let profile = Profile::to_rest_in(wanted, target, start, &limits);
        prop_assert!(profile.duration_s() <= wanted + 1e-6);
        prop_assert!((profile.at(profile.duration_s() - 1e-9).position - target).abs() < 1e-7);
        check_kept(&profile, &limits);
    }

    #[test]
    fn a_share_of_the_limits_keeps_the_whole_from_any_start(
        (start, whole) in start_and_limits(),
        (speed, acceleration) in (0.01..1.0_f64, 0.01..1.0_f64),
        target in -3.0..3.0_f64,
        factor in 1.0..3.0_f64,
        room in 0.0..0.1_f64,
    ) {
        let share = whole.scaled(speed, acceleration);
        let stop = positions(&Profile::stop(start, &whole));
        let bounds = AxisBounds {
            limits: whole,
            lower: stop.iter().fold(target, |low, q| low.min(*q)) - room,
            upper: stop.iter().fold(target, |high, q| high.max(*q)) + room,
        };
        let eased = Eased::within(&bounds, start, share);
        let quickest = eased.to_rest_at(target);
        for profile in [quickest, eased.to_rest_in(factor * quickest.duration_s(), target)] {
            prop_assert_eq!(profile.at(0.0), start);
            prop_assert!((profile.at(profile.duration_s() - 1e-9).position - target).abs() < 1e-7);
            check_kept(&profile, &whole);
            for position in positions(&profile) {
                prop_assert!((bounds.lower - 1e-5..=bounds.upper + 1e-5).contains(&position));
            }
        }
    }

    #[test]
    fn planning_again_on_the_way_changes_nothing((start, limits) in start_and_limits(), target in -3.0..3.0_f64, share in 0.05..0.95_f64) {
        let profile = Profile::to_rest_at(target, start, &limits);
        let at = profile.duration_s() * share;
        let again = Profile::to_rest_at(target, profile.at(at), &limits);
        // What is left is as quick as what was planned.
        let left = profile.duration_s() - at;
        let allowed = if is_braking(&profile.at(at)) { 1.5 * left } else { left };
        prop_assert!(again.duration_s() <= allowed + 1e-4,
            "{} after {} of {}", again.duration_s(), at, profile.duration_s());
        check_kept(&again, &limits);
    }

    #[test]
    fn a_start_beyond_the_limits_is_brought_within(limits in limits(), v in -6.0..6.0_f64, a in -30.0..30.0_f64, target in -3.0..3.0_f64) {
        let start = AxisState { position: 0.0, velocity: v, acceleration: a };
        let profile = Profile::to_rest_at(target, start, &limits);
        let before = profile.at(profile.duration_s() - 1e-9);
        prop_assert!((before.position - target).abs() < 1e-6);
        let mut last = start;
        for n in 1..(profile.duration_s() / TICK_S) as usize {
            let now = profile.at(n as f64 * TICK_S);
            prop_assert!((now.acceleration - last.acceleration).abs() <= limits.jerk * TICK_S * (1.0 + 1e-6) + 1e-9);
            last = now;
        }
    }

    /// `rsruckig` solves the same problem by polynomial roots; its durations are time-optimal.
    #[test]
    fn as_quick_as_an_independent_solver((start, limits) in start_and_limits(), target in -3.0..3.0_f64) {
        use rsruckig::prelude::*;
        let mut input = InputParameter::<1>::new(None);
        input.current_position[0] = start.position;
        input.current_velocity[0] = start.velocity;
        input.current_acceleration[0] = start.acceleration;
        input.target_position[0] = target;
        input.max_velocity[0] = limits.velocity;
        input.max_acceleration[0] = limits.acceleration;
        input.max_jerk[0] = limits.jerk;
        let mut trajectory = Trajectory::<1>::new(None);
        let solved = Ruckig::<1, IgnoreErrorHandler>::new(None, TICK_S).calculate(&input, &mut trajectory);
        prop_assume!(matches!(solved, Ok(RuckigResult::Working)));
        let ours = crate::profile::Profile::to_rest_at(target, start, &limits).duration_s();
        let theirs = trajectory.get_duration();
        prop_assert!(ours >= theirs * (1.0 - 1e-6) - 1e-6, "quicker than possible: {ours}, {theirs}");
        let allowed = if is_braking(&start) { 1.5 * theirs } else { 1.001 * theirs };
        prop_assert!(ours <= allowed + 1e-5, "ours {ours}, theirs {theirs}");
    }
}
