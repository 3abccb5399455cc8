//! What passes, what is limited, and how.

use proptest::prelude::*;
use sinew_kinematics::{Aabb, Point};
use sinew_messages::{JOINTS, LimitKind, Setpoint, VerdictKind};
use sinew_safety::{Zone, ZoneShape};

use crate::rig::{Eager, GENTLE, HARD, HOME, Judge, Rig, Stream, config};

/// A rig in motion toward `target`, and where it was one tick before.
fn moving(target: &[f64; JOINTS], source: Eager, ticks: u64) -> (Rig, [f64; JOINTS]) {
    let mut rig = Rig::ready();
    let mut before = HOME;
    for _ in 0..ticks {
        let given = *rig.gate.given();
        let u = source.toward(&given, &before, target);
        before = given.position_rad;
        rig.step(&u, None);
    }
    (rig, before)
}

fn bits(setpoint: &Setpoint) -> Vec<u64> {
    setpoint
        .position_rad
        .iter()
        .chain(&setpoint.velocity_rad_s)
        .chain(&setpoint.acceleration_rad_s2)
        .chain([&setpoint.gripper_width_m, &setpoint.gripper_force_n])
        .map(|value| value.to_bits())
        .collect()
}

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
        assert!(command.unwrap().setpoint().position_rad[1] - HOME[1] < change);
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

/// A target, a source's hardness, ticks of motion, and a jump on top.
fn situations() -> impl Strategy<Value = (u64, f64, u64, f64)> {
    (any::<u64>(), 0.3..1.4_f64, 0..400_u64, -1e-4..1e-4_f64)
}

fn situation(seed: u64, share: f64, ticks: u64, jump: f64) -> (Rig, Setpoint) {
    let mut stream = Stream(seed);
    let target = stream.joints(&config());
    let source = Eager {
        velocity: 2.4 * share,
        acceleration: 15.0 * share,
        jerk: 1499.0,
        brakes: false,
        straight: false,
    };
    let (rig, before) = moving(&target, source, ticks);
    let mut u = source.toward(rig.gate.given(), &before, &target);
    u.position_rad[stream.below(JOINTS as u64) as usize] += jump;
    (rig, u)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// f(s, f(s, u)) = f(s, u), bit for bit.
    #[test]
    fn the_filter_is_idempotent((seed, share, ticks, jump) in situations()) {
        let (rig, u) = situation(seed, share, ticks, jump);
        let once = *rig.clone().step(&u, None).0.unwrap().setpoint();
        let twice = *rig.clone().step(&once, None).0.unwrap().setpoint();
        prop_assert_eq!(bits(&once), bits(&twice));
    }

    /// A limited output lies on the line from the verified stop's next point to what was asked.
    #[test]
    fn a_limited_output_is_b_plus_k_u_minus_b((seed, share, ticks, jump) in situations()) {
        let (rig, u) = situation(seed, share, ticks, jump);
        let b = *rig.clone().step(&u, Some(LimitKind::Stale)).0.unwrap().setpoint();
        let (command, verdict) = rig.clone().step(&u, None);
        let given = *command.unwrap().setpoint();
        prop_assert!((0.0..=1.0).contains(&verdict.scale));
        for i in 0..JOINTS {
            let (b, u) = (b.position_rad[i], u.position_rad[i]);
            let expected = b + verdict.scale * (u - b);
            prop_assert!((given.position_rad[i] - expected).abs() < 1e-15);
        }
    }

    /// A tighter position, speed or zone limit never lets more through.
    #[test]
    fn a_tighter_limit_never_enlarges_what_passes(
        (seed, share, ticks, jump) in situations(),
        which in 0..4_usize,
    ) {
        let (rig, u) = situation(seed, share, ticks, jump);
        let loose = rig.clone().step(&u, None).1;
        // The same state under tighter limits: the same motion replayed is not the same state, so the
        // tighter gate is set beside the looser one at rest and compared tick by tick until they part.
        let mut tight = config();
        match which {
            0 => tight.position_max_rad.iter_mut().for_each(|q| *q -= 0.05),
            1 => tight.velocity_max_rad_s.iter_mut().for_each(|v| *v *= 0.6),
            2 => tight.tool_speed_max_m_s = 0.5,
            _ => tight.zones.push(Zone {
                name: "more".into(),
                shape: ZoneShape::Box(Aabb {
                    min: Point::new(0.3, 0.2, 0.1),
                    max: Point::new(0.7, 0.5, 0.4),
                }),
                speed_max_m_s: None,
            }),
        }
        prop_assert!(loose.scale <= 1.0);
        let mut stream = Stream(seed);
        let target = stream.joints(&config());
        let source = Eager { velocity: 2.4 * share, acceleration: 15.0, jerk: 1499.0, brakes: false, straight: false };
        let (mut a, mut b) = (Rig::ready(), Rig::ready_with(tight));
        let mut before = HOME;
        for _ in 0..ticks {
            let given = *a.gate.given();
            let u = source.toward(&given, &before, &target);
            before = given.position_rad;
            let (loose, tight) = (a.step(&u, None).1, b.step(&u, None).1);
            prop_assert!(tight.scale <= loose.scale, "{tight:?} over {loose:?}");
            if bits(a.gate.given()) != bits(b.gate.given()) {
                break;
            }
        }
    }
}
