//! What passes, what is limited, and how.

use sinew_messages::{JOINTS, LimitKind, VerdictKind};

use crate::rig::{Eager, GENTLE, HARD, HOME, Judge, Rig, config};
use crate::walk::bits;

/// A gentle motion in free space: every setpoint passes bit for bit, from start to end.
#[test]
fn safe_input_passes_bit_for_bit() {
    let mut rig = Rig::ready();
    let target = [0.6, 0.0, 0.1, 1.9, -0.1, 1.2, 0.4];
    let mut before = HOME;
    for tick in 0..2_500 {
        let given = *rig.gate.given();
        let u = GENTLE.toward(&given, &before, &target);
        before = given.position_rad;
        let (command, verdict) = rig.step(&u, None);
        assert_eq!(verdict.kind, VerdictKind::Pass, "tick {tick}: {verdict:?}");
        assert_eq!(bits(command.unwrap().setpoint()), bits(&u));
    }
    let end = rig.gate.given().position_rad;
    assert!(
        (0..JOINTS).all(|i| (end[i] - target[i]).abs() < 0.01),
        "{end:?}"
    );
}

/// Straight at a limit, a zone, the floor: the robot comes near, stops short, and can leave again.
#[test]
fn a_robot_that_was_stopped_at_a_margin_can_leave_it() {
    for (target, reason) in [
        ([0.0, 0.75, 0.0, 1.9, 0.0, 0.5, 0.0], LimitKind::Envelope),
        ([0.9, 0.5, 0.0, 1.6, 0.0, 1.0, 0.0], LimitKind::Zone),
        ([0.0, -0.21, 0.0, 2.11, 0.0, 1.24, 3.2], LimitKind::Position),
    ] {
        let mut rig = Rig::ready();
        let mut judge = Judge::new(&rig);
        let mut before = HOME;
        let mut met = false;
        for tick in 0..8_000 {
            let given = *rig.gate.given();
            let to = if tick < 3_000 { &target } else { &HOME };
            let source = if tick < 3_000 { HARD } else { GENTLE };
            let u = source.toward(&given, &before, to);
            before = given.position_rad;
            let (command, verdict) = rig.step(&u, None);
            met |= verdict.limit == reason;
            judge.look(&command.unwrap(), &verdict).unwrap();
        }
        assert!(met, "{reason:?} was never met");
        let end = rig.gate.given().position_rad;
        let home = (0..JOINTS).all(|i| (end[i] - HOME[i]).abs() < 0.02);
        assert!(home, "{reason:?}: did not come back, is at {end:?}");
    }
}

#[test]
fn each_joint_limit_is_named() {
    let base = Rig::ready();
    for (change, limit) in [
        (2.5 * 1e-3, LimitKind::Velocity),
        (16.0 * 1e-6, LimitKind::Acceleration),
        (10.0 * 1e-6, LimitKind::Jerk),
    ] {
        let mut rig = base.clone();
        let mut u = rig.here();
        u.position_rad[1] += change;
        u.velocity_rad_s[1] = change * 1e3;
        u.acceleration_rad_s2[1] = change * 1e6;
        let (command, verdict) = rig.step(&u, None);
        assert_eq!(verdict.kind, VerdictKind::Limited);
        assert_eq!((verdict.limit, verdict.index), (limit, Some(1)));
        assert!(verdict.scale < 1.0 && verdict.asked > verdict.limit_value);
        let given = command.unwrap().setpoint().position_rad[1] - HOME[1];
        assert!(given < change);
        let c = config();
        let (limit_value, told) = match limit {
            LimitKind::Velocity => (c.velocity_max_rad_s[1], given * 1e3),
            LimitKind::Acceleration => (c.acceleration_max_rad_s2[1], given * 1e6),
            _ => (c.jerk_max_rad_s3[1], 0.0),
        };
        assert!((verdict.limit_value - limit_value).abs() < 1e-9 * limit_value);
        assert!(told == 0.0 || told > 1e-9, "{told}");
        assert!(
            (verdict.given - told).abs() < 1e-6,
            "{limit:?}: {told} of {verdict:?}"
        );
    }
}

#[test]
fn stated_velocity_must_be_that_of_the_positions() {
    let mut rig = Rig::ready();
    let mut u = rig.here();
    u.velocity_rad_s[3] = 1.0;
    let (command, verdict) = rig.step(&u, None);
    assert_eq!(verdict.limit, LimitKind::Velocity);
    assert!(command.unwrap().setpoint().velocity_rad_s[3] < 0.05);
}

#[test]
fn gripper_is_clamped_and_the_arm_goes_on() {
    let mut rig = Rig::ready();
    let mut u = rig.here();
    (u.gripper_width_m, u.gripper_force_n) = (0.5, 1e3);
    let (command, verdict) = rig.step(&u, None);
    assert_eq!(
        (verdict.kind, verdict.limit, verdict.scale),
        (VerdictKind::Limited, LimitKind::Gripper, 1.0)
    );
    let given = *command.unwrap().setpoint();
    assert_eq!((given.gripper_width_m, given.gripper_force_n), (0.08, 60.0));
    assert_eq!(
        (verdict.limit_value, verdict.given, verdict.asked),
        (0.08, 0.08, 0.5)
    );
}

/// The tool never goes faster than its limit, and the motion still gets where it wants.
#[test]
fn tool_speed_is_limited() {
    let mut slow = config();
    slow.tool_speed_max_m_s = 0.2;
    slow.reduced.speed_max_m_s = 0.2;
    let mut rig = Rig::ready_with(slow);
    let mut judge = Judge::new(&rig);
    let mut before = HOME;
    let mut limited = 0;
    for _ in 0..1_500 {
        let given = *rig.gate.given();
        let u = GENTLE.toward(&given, &before, &[1.2, 0.0, 0.0, 1.9, 0.0, 1.2, 0.0]);
        before = given.position_rad;
        let (command, verdict) = rig.step(&u, None);
        limited += u64::from(verdict.limit == LimitKind::ToolSpeed);
        judge.look(&command.unwrap(), &verdict).unwrap();
    }
    assert!(limited > 10);
}

/// What is limited is counted, once a tick.
#[test]
fn every_limited_tick_is_counted() {
    let mut rig = Rig::ready();
    let mut before = HOME;
    let mut limited = 0;
    for _ in 0..300 {
        let given = *rig.gate.given();
        let u = HARD.toward(&given, &before, &[0.9, 0.5, 0.0, 1.6, 0.0, 1.0, 0.0]);
        before = given.position_rad;
        let (_, verdict) = rig.step(&u, None);
        limited += u64::from(verdict.kind == VerdictKind::Limited);
        assert_eq!(rig.gate.status().limited_total, limited);
    }
    assert!(limited > 10, "{limited}");
}

/// A joint that may not go on is told with where it is let to be, and one that may not go faster with its speed.
#[test]
fn a_limit_tells_what_the_joint_was_given() {
    let mut rig = Rig::ready();
    let fast = Eager {
        velocity: 5.0,
        acceleration: 12.0,
        jerk: 1_400.0,
        brakes: false,
        straight: true,
    };
    let mut before = HOME;
    let (mut positions, mut velocities) = (0, 0);
    for tick in 0..6_000 {
        let mut target = HOME;
        target[6] = if tick % 3_000 < 1_500 { 3.2 } else { -3.2 };
        let given = *rig.gate.given();
        let u = fast.toward(&given, &before, &target);
        before = given.position_rad;
        let (_, verdict) = rig.step(&u, None);
        let Some(joint) = verdict.index.map(|index| index as usize) else {
            continue;
        };
        let now = rig.gate.given().position_rad[joint];
        match verdict.limit {
            LimitKind::Position => {
                assert_eq!(verdict.given, now);
                positions += 1;
            }
            LimitKind::Velocity => {
                let speed = (now - before[joint]).abs() * 1e3;
                assert!((verdict.given - speed).abs() < 1e-6, "{speed} {verdict:?}");
                velocities += u32::from(speed > 0.1);
            }
            _ => {}
        }
    }
    assert!(
        positions > 10 && velocities > 10,
        "{positions} {velocities}"
    );
}
