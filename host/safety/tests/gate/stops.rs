//! Stops: what brakes, what latches, what a reset needs.

use sinew_messages::{
    DriveStatus, JOINTS, JointVector, LimitKind, SafetyInputs, SafetyMode, StopCategory, StopState,
    VerdictKind,
};
use sinew_safety::{ForceReaction, PowerDemand};

use crate::rig::{Eager, HOME, Rig, config};

const SOURCE: Eager = Eager {
    velocity: 1.0,
    acceleration: 10.0,
    jerk: 1000.0,
    brakes: true,
    straight: false,
};
const TARGET: [f64; JOINTS] = [1.4, -0.1, 0.1, 2.0, 0.0, 1.2, 0.3];

/// A rig on its way at speed, and a function that keeps it going.
fn under_way() -> (Rig, [f64; JOINTS]) {
    let mut rig = Rig::ready();
    let mut before = HOME;
    for _ in 0..300 {
        go(&mut rig, &mut before);
    }
    assert!(rig.gate.given().velocity_rad_s[0] > 0.5);
    (rig, before)
}

fn go(rig: &mut Rig, before: &mut [f64; JOINTS]) -> sinew_safety::Verdict {
    let given = *rig.gate.given();
    let u = SOURCE.toward(&given, before, &TARGET);
    *before = given.position_rad;
    rig.step(&u, None).1
}

fn speed(rig: &Rig) -> f64 {
    rig.gate.given().velocity_rad_s[0].abs()
}

#[test]
fn the_robot_boots_stopped_and_only_a_reset_starts_it() {
    let mut rig = Rig::booted(config());
    let mut u = rig.here();
    u.position_rad = HOME;
    for _ in 0..10 {
        let (command, verdict) = rig.step(&u, None);
        assert!(command.is_none());
        assert_eq!(
            (verdict.kind, verdict.limit),
            (VerdictKind::Stop, LimitKind::Boot)
        );
    }
    rig.requests.reset += 1;
    let (command, _) = rig.hold();
    assert_eq!(rig.gate.power(), PowerDemand::On);
    assert_eq!(command.unwrap().setpoint().position_rad, HOME);
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    // The counter is the edge: without a new request nothing is reset again.
    rig.requests.stop_hold += 1;
    rig.hold();
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
}

/// The tick that grants a reset holds, whatever is proposed, and the gripper keeps what it had.
#[test]
fn a_reset_causes_no_motion() {
    let mut rig = Rig::booted(config());
    rig.hold();
    rig.requests.reset += 1;
    let mut u = rig.here();
    u.position_rad[0] += 1e-6;
    u.gripper_width_m = 0.08;
    let (command, _) = rig.step(&u, None);
    let given = *command.unwrap().setpoint();
    assert_eq!(given.position_rad, HOME);
    assert_eq!(given.gripper_width_m, 0.04);
}

#[test]
fn a_reset_in_motion_is_answered_and_refused() {
    let (mut rig, _) = under_way();
    rig.requests.stop_hold += 1;
    rig.hold();
    rig.requests.reset += 1;
    rig.hold();
    assert_eq!(rig.gate.status().reset_answered, rig.requests.reset);
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
    rig.brake();
    rig.reset();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
}

#[test]
fn stale_input_brakes_at_once_to_an_unlatched_hold() {
    let (mut rig, mut before) = under_way();
    let fast = speed(&rig);
    for tick in 1..=3 {
        let verdict = rig.step(&rig.here(), Some(LimitKind::Stale)).1;
        assert_eq!(
            (verdict.kind, verdict.limit),
            (VerdictKind::Stop, LimitKind::Stale)
        );
        assert!(tick < 3 || speed(&rig) < fast);
    }
    rig.brake();
    assert_eq!(speed(&rig), 0.0);
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    // A new goal may go on from there.
    before = rig.gate.given().position_rad.map(|q| q + 0.0 * before[0]);
    for _ in 0..50 {
        assert_eq!(go(&mut rig, &mut before).kind, VerdictKind::Pass);
    }
}

#[test]
fn each_cause_latches_with_its_reason_and_category() {
    type Cause = fn(&mut Rig);
    let causes: [(Cause, LimitKind, StopCategory); 10] = [
        (
            |rig| rig.frame.safety_inputs &= !SafetyInputs::EMERGENCY_A_CLOSED,
            LimitKind::EmergencyStop,
            StopCategory::ControlledThenOff,
        ),
        (
            |rig| rig.frame.safety_inputs &= !SafetyInputs::EMERGENCY_B_CLOSED,
            LimitKind::EmergencyStop,
            StopCategory::ControlledThenOff,
        ),
        (
            |rig| rig.frame.safety_inputs &= !SafetyInputs::PROTECTIVE_CLOSED,
            LimitKind::ProtectiveStop,
            StopCategory::ControlledHold,
        ),
        (
            |rig| rig.frame.drive_status |= DriveStatus::FAULT,
            LimitKind::Drive,
            StopCategory::ControlledThenOff,
        ),
        (
            |rig| rig.frame.drive_status |= DriveStatus::WATCHDOG_TRIPPED,
            LimitKind::Drive,
            StopCategory::ControlledThenOff,
        ),
        (
            |rig| rig.frame.time_ns += 5_000_000,
            LimitKind::TimeBase,
            StopCategory::ControlledThenOff,
        ),
        (
            |rig| rig.frame.time_ns -= 1_000_000,
            LimitKind::TimeBase,
            StopCategory::ControlledThenOff,
        ),
        (
            |rig| rig.requests.stop_hold += 1,
            LimitKind::Requested,
            StopCategory::ControlledHold,
        ),
        (
            |rig| rig.requests.stop_then_off += 1,
            LimitKind::Requested,
            StopCategory::ControlledThenOff,
        ),
        (
            |rig| rig.requests.stop_power_off += 1,
            LimitKind::Requested,
            StopCategory::PowerOff,
        ),
    ];
    for (cause, limit, category) in causes {
        let (mut rig, mut before) = under_way();
        let fast = speed(&rig);
        cause(&mut rig);
        let verdict = go(&mut rig, &mut before);
        assert_eq!(verdict.kind, VerdictKind::Stop);
        assert_eq!((verdict.limit, verdict.category), (limit, Some(category)));
        if category == StopCategory::PowerOff {
            assert_eq!(rig.gate.power(), PowerDemand::Off(category));
            continue;
        }
        go(&mut rig, &mut before);
        go(&mut rig, &mut before);
        assert!(speed(&rig) < fast, "{limit:?} does not brake");
        let mut off = false;
        for _ in 0..600 {
            go(&mut rig, &mut before);
            off |= matches!(rig.gate.power(), PowerDemand::Off(_));
        }
        assert_eq!(
            off,
            category == StopCategory::ControlledThenOff,
            "{limit:?}"
        );
        assert_eq!(rig.gate.status().stop_state, StopState::Latched);
        assert_eq!(rig.gate.status().reason, limit);
    }
}

#[test]
fn an_open_input_refuses_the_reset_until_it_is_closed() {
    let mut rig = Rig::ready();
    rig.frame.safety_inputs &= !SafetyInputs::EMERGENCY_B_CLOSED;
    rig.brake();
    rig.reset();
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
    rig.frame.safety_inputs = SafetyInputs::ALL_CLOSED;
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
    rig.reset();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
}

#[test]
fn a_latched_stop_only_gets_more_severe() {
    let mut rig = Rig::ready();
    let category = |rig: &mut Rig| {
        rig.hold();
        rig.gate.status().category.unwrap()
    };
    rig.requests.stop_hold += 1;
    assert_eq!(category(&mut rig), StopCategory::ControlledHold);
    rig.requests.stop_power_off += 1;
    assert_eq!(category(&mut rig), StopCategory::PowerOff);
    rig.requests.stop_then_off += 1;
    rig.requests.stop_hold += 1;
    assert_eq!(category(&mut rig), StopCategory::PowerOff);
    assert_eq!(rig.gate.status().stops_total, 2);
}

#[test]
fn a_silent_brain_latches() {
    let (mut rig, mut before) = under_way();
    rig.brain_alive = false;
    let mut ticks = 0;
    while rig.gate.status().stop_state == StopState::Clear {
        go(&mut rig, &mut before);
        ticks += 1;
    }
    assert_eq!(ticks, 1 + config().heartbeat_ticks);
    assert_eq!(rig.gate.status().reason, LimitKind::BrainDead);
}

#[test]
fn a_following_error_brakes_at_once_and_latches_when_it_lasts() {
    for off in [0.08, 0.045] {
        // The second is within the joint's limit, but its link is too far away.
        let (mut rig, mut before) = under_way();
        let mut latched_after = None;
        // It drifts there: a jump would be the sensor's fault.
        let drift = 0.005;
        let mut away = 0.0;
        while away + drift < 0.03 {
            away += drift;
            rig.frame.position_rad[1] = rig.gate.given().position_rad[1] - away;
            rig.frame.velocity_rad_s = rig.gate.given().velocity_rad_s;
            assert_eq!(go(&mut rig, &mut before).kind, VerdictKind::Pass);
        }
        let mut tick = 0;
        for _ in 0..200 {
            away = (away + drift).min(off);
            rig.frame.position_rad[1] = rig.gate.given().position_rad[1] - away;
            rig.frame.velocity_rad_s = rig.gate.given().velocity_rad_s;
            let verdict = go(&mut rig, &mut before);
            if verdict.kind == VerdictKind::Pass {
                assert!(away < off, "{away} passes");
                continue;
            }
            assert_eq!(
                (verdict.kind, verdict.limit),
                (VerdictKind::Stop, LimitKind::FollowingError)
            );
            let c = config();
            let limit_value = match verdict.index {
                Some(joint) => c.following_error_max_rad[joint as usize],
                None => c.tracking_margin_m,
            };
            assert_eq!(verdict.limit_value, limit_value);
            if rig.gate.status().stop_state == StopState::Latched {
                latched_after.get_or_insert(tick);
            }
            tick += 1;
        }
        assert_eq!(latched_after, Some(config().following_error_ticks));
        let category = rig.gate.status().category;
        assert_eq!(category, Some(StopCategory::ControlledThenOff));
    }
}

#[test]
fn contact_force_holds_or_latches_as_configured() {
    for (reaction, stops, latches) in [
        (ForceReaction::Off, false, false),
        (ForceReaction::Hold, true, false),
        (ForceReaction::Latch, true, true),
    ] {
        let mut c = config();
        c.force_reaction = reaction;
        let mut rig = Rig::ready_with(c);
        let mut before = HOME;
        for _ in 0..300 {
            go(&mut rig, &mut before);
        }
        rig.frame.tool_force_n = [0.0, 50.0, 50.0];
        let verdict = go(&mut rig, &mut before);
        assert_eq!(verdict.kind == VerdictKind::Stop, stops);
        for _ in 0..512 {
            go(&mut rig, &mut before);
        }
        let status = rig.gate.status();
        assert_eq!(status.stop_state == StopState::Latched, latches);
        // With the contact still there, an unlatched hold lets a retreat begin.
        let verdict = go(&mut rig, &mut before);
        assert_eq!(verdict.kind == VerdictKind::Stop, latches);
    }
}

/// Without a frame the robot brakes along the stop that was verified, to the point that was announced.
#[test]
fn a_missing_frame_latches_and_brakes_blindly() {
    let (mut rig, _) = under_way();
    let end = rig.gate.stop_end();
    let mut last = *rig.gate.given();
    for _ in 0..512 {
        if let (Some(command), verdict) = rig.gate.miss(&rig.requests) {
            assert_eq!(verdict.limit, LimitKind::Drive);
            last = *command.setpoint();
        }
    }
    let off = (0..JOINTS).map(|i| (last.position_rad[i] - end[i]).abs());
    assert!(
        off.fold(0.0, f64::max) < 1e-12,
        "{last:?} is not at {end:?}"
    );
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
}

#[test]
fn no_stop_opens_the_gripper() {
    let mut rig = Rig::ready();
    let mut u = rig.here();
    (u.gripper_width_m, u.gripper_force_n) = (0.02, 25.0);
    rig.step(&u, None);
    rig.requests.stop_then_off += 1;
    u.gripper_width_m = 0.08;
    let (command, _) = rig.step(&u, None);
    if let Some(command) = command {
        assert_eq!(command.setpoint().gripper_width_m, 0.02);
    }
    for _ in 0..20 {
        rig.step(&u, None);
    }
    rig.reset();
    let given = rig.gate.given();
    assert_eq!((given.gripper_width_m, given.gripper_force_n), (0.02, 25.0));
}

/// A joint's sensor that stands still, jumps or runs backwards while the arm moves: latched, by name and joint.
#[test]
fn a_sensor_that_cannot_be_right_latches() {
    type Spoil = fn(&mut Rig, JointVector, u64);
    let spoils: [Spoil; 3] = [
        // Frozen.
        |rig, start, _| rig.frame.position_rad[0] = start[0],
        // One reading off.
        |rig, _, tick| {
            if tick == 10 {
                rig.frame.position_rad[0] += 0.04;
            }
        },
        // The wrong way.
        |rig, start, _| {
            let way = rig.gate.given().position_rad[0] - start[0];
            rig.frame.position_rad[0] = start[0] - way;
        },
    ];
    for (n, spoil) in spoils.into_iter().enumerate() {
        // Slow enough that the following error is not what speaks first.
        let mut rig = Rig::ready();
        let mut before = HOME;
        let start = HOME;
        let gentle = Eager {
            velocity: 0.4,
            ..SOURCE
        };
        let mut latched = None;
        for tick in 0..400 {
            let given = *rig.gate.given();
            let u = gentle.toward(&given, &before, &TARGET);
            before = given.position_rad;
            rig.frame.velocity_rad_s = [0.0; JOINTS];
            spoil(&mut rig, start, tick);
            let verdict = rig.step(&u, None).1;
            if rig.gate.status().stop_state == StopState::Latched {
                latched = Some((verdict, tick));
                break;
            }
        }
        let (verdict, tick) = latched.unwrap_or_else(|| panic!("{n} was not seen"));
        assert_eq!(
            (verdict.limit, verdict.index),
            (LimitKind::Encoder, Some(0)),
            "{n}"
        );
        assert_eq!(verdict.category, Some(StopCategory::ControlledThenOff));
        assert!(
            n != 1 || tick == 10,
            "a jump is seen at once, not at {tick}"
        );
    }
}

/// Measured faster than any setpoint may be, for longer than noise: latched. A single reading is not.
#[test]
fn measured_overspeed_latches() {
    let (base, _) = under_way();
    for (ticks, latches) in [(2, false), (12, true)] {
        let mut rig = base.clone();
        for _ in 0..ticks {
            rig.frame.velocity_rad_s[2] = 3.5;
            let here = rig.here();
            rig.step(&here, Some(LimitKind::Stale));
        }
        let status = rig.gate.status();
        assert_eq!(status.stop_state == StopState::Latched, latches, "{ticks}");
        assert!(!latches || status.reason == LimitKind::Velocity);
    }
}

/// A robot that is pushed out of its position limits stops for good, but in recovery mode.
#[test]
fn a_measured_position_outside_its_limits_latches() {
    for (mode, reason) in [
        (SafetyMode::Normal, Some(LimitKind::Position)),
        (SafetyMode::Recovery, None),
    ] {
        let mut wide = config();
        wide.tracking_margin_m = 0.05;
        let mut rig = Rig::booted(wide);
        rig.requests.mode = mode as u64;
        // Nearer to its limit than the error that it may be off by.
        rig.frame.position_rad[6] = 2.89;
        rig.hold();
        rig.reset();
        rig.hold();
        assert_eq!(rig.gate.status().stop_state, StopState::Clear);
        let mut at = rig.frame.position_rad;
        for _ in 0..20 {
            at[6] += 0.001;
            rig.frame.position_rad = at;
            rig.frame.velocity_rad_s = [0.0; JOINTS];
            rig.hold();
        }
        let status = rig.gate.status();
        assert_eq!(
            (status.stop_state == StopState::Latched).then_some(status.reason),
            reason
        );
    }
}
