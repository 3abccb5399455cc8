//! What went wrong in other people's limiters, tried here.

use sinew_messages::{JOINTS, JointVector, LimitKind, SafetyMode, StopState, VerdictKind};
use sinew_safety::SafetyConfig;

use crate::rig::{Eager, HOME, Judge, Rig, T, chain, config};

/// Nothing in the way but the joints' own limits.
fn free() -> SafetyConfig {
    SafetyConfig {
        zones: Vec::new(),
        envelope_min_m: [-5.0; 3],
        envelope_max_m: [5.0; 3],
        self_collision: None,
        tool_speed_max_m_s: 20.0,
        elbow_speed_max_m_s: 20.0,
        reduced: sinew_safety::ModeLimits {
            speed_max_m_s: 20.0,
            joint_speed_share: 0.2,
        },
        ..config()
    }
}

/// Goes beyond the limit of one joint at `velocity`, whatever is in the way.
fn ram(velocity: f64) -> Eager {
    Eager {
        velocity,
        acceleration: 15.0,
        jerk: 1_500.0,
        brakes: false,
        straight: false,
    }
}

/// Drives toward a place for some ticks, or for as long as `look`, which sees every one of them, says so.
fn drive(
    rig: &mut Rig,
    source: Eager,
    target: &JointVector,
    ticks: u64,
    mut look: impl FnMut(&mut Rig, LimitKind) -> bool,
) {
    let mut judge = Judge::new(rig);
    let mut before = rig.gate.given().position_rad;
    for _ in 0..ticks {
        let u = source.toward(rig.gate.given(), &before, target);
        before = rig.gate.given().position_rad;
        let (command, verdict) = rig.step(&u, None);
        let looked = judge.look(&command.expect("powered"), &verdict);
        assert!(looked.is_ok(), "{looked:?}");
        if !look(rig, verdict.limit) {
            return;
        }
    }
}

/// Both ends of every joint, with the joint's speed limit and the distance that its stop needs at least.
fn ends(c: &SafetyConfig) -> impl Iterator<Item = (usize, f64, JointVector)> + '_ {
    (0..2 * JOINTS).map(|n| {
        let (joint, sign) = (n / 2, if n % 2 == 0 { 1.0 } else { -1.0 });
        let mut target = HOME;
        target[joint] = if n % 2 == 0 {
            c.position_max_rad[joint] + 1.0
        } else {
            c.position_min_rad[joint] - 1.0
        };
        (joint, sign, target)
    })
}

/// Where it was given to be one tick ago.
fn one_tick_before(rig: &Rig) -> JointVector {
    let given = rig.gate.given();
    core::array::from_fn(|i| given.position_rad[i] - T * given.velocity_rad_s[i])
}

fn room(c: &SafetyConfig, rig: &Rig, joint: usize) -> f64 {
    let q = rig.gate.given().position_rad[joint];
    (q - c.position_min_rad[joint]).min(c.position_max_rad[joint] - q)
        - c.following_error_max_rad[joint]
}

/// ros2_control, `joint_limits_helpers.cpp`: the window of velocities that the position limit leaves and the one that
/// the acceleration limit leaves are cut with each other, and where they do not meet the bounds are swapped
/// (`check_and_swap_limits`): a joint that is too fast for its limit goes on, and passes it by v²/2a.
/// Here a joint is at full speed when its limit comes near, and at full speed when a mode takes most of it away: both
/// windows have nothing in common with what it can do in a tick.
#[test]
fn windows_that_do_not_meet_are_not_swapped() {
    let c = free();
    for (joint, sign, target) in ends(&c) {
        let mut rig = Rig::ready_with(c.clone());
        let fast = c.velocity_max_rad_s[joint];
        let mut fastest = 0.0_f64;
        drive(&mut rig, ram(fast), &target, 2_500, |rig, _| {
            fastest = fastest.max(rig.gate.given().velocity_rad_s[joint] * sign);
            true
        });
        assert!(fastest > 0.5 * fast, "joint {joint} was slow: {fastest}");
        let left = room(&c, &rig, joint);
        assert!((-1e-9..2e-3).contains(&left), "joint {joint}: {left}");

        // A mode that allows a fifth, in the middle of it.
        let mut rig = Rig::ready_with(c.clone());
        let source = ram(fast);
        drive(&mut rig, source, &target, 160, |_, _| true);
        let allowed = c.reduced.joint_speed_share * fast;
        let mut last = rig.gate.given().velocity_rad_s[joint] * sign;
        assert!(last > 1.5 * allowed, "joint {joint}: {last}");
        rig.requests.mode = SafetyMode::Reduced as u64;
        let mut before = one_tick_before(&rig);
        for tick in 0..1_500 {
            let u = source.toward(rig.gate.given(), &before, &target);
            before = rig.gate.given().position_rad;
            rig.step(&u, None);
            let now = rig.gate.given().velocity_rad_s[joint] * sign;
            // What is being gained is taken back first.
            let a = c.acceleration_max_rad_s2[joint];
            let most = allowed + 0.5 * a * a / c.stop_jerk_rad_s3[joint];
            let slows = now <= last.max(most) + 1e-9;
            assert!(slows || tick < 20, "{now} after {last}");
            assert!(tick < 300 || now <= most + 1e-9, "{now} of {allowed}");
            assert!(room(&c, &rig, joint) >= -1e-9, "joint {joint}");
            last = now;
        }
    }
}

/// libfranka, `rate_limiting.cpp`: the velocity from which a motion can still be braked for is a square root of what
/// is left; of one who starts beyond the limit that is the root of a negative number, and `min` with a NaN leaves the
/// other bound alone: nothing is limited any more.
/// Here the robot is faster than its mode allows, and beyond a position limit: both come back, and only back.
#[test]
fn whoever_starts_over_a_limit_comes_back_under_it() {
    // Faster than the mode that is asked for allows.
    let c = config();
    let mut rig = Rig::ready_with(c.clone());
    let mut target = HOME;
    target[0] = 2.5;
    let tool = |rig: &Rig| {
        let forward = chain().forward(&rig.gate.given().position_rad);
        forward.tool.translation.vector
    };
    drive(&mut rig, ram(2.4), &target, 300, |_, _| true);
    rig.requests.mode = SafetyMode::Reduced as u64;
    let (mut at, mut tick, mut over) = (tool(&rig), 0, 0);
    let mut before = one_tick_before(&rig);
    for _ in 0..600 {
        let u = ram(2.4).toward(rig.gate.given(), &before, &target);
        before = rig.gate.given().position_rad;
        let (command, _) = rig.step(&u, None);
        assert!(command.expect("powered").setpoint().is_finite());
        let speed = (tool(&rig) - at).norm() / T;
        at = tool(&rig);
        tick += 1;
        if speed > c.reduced.speed_max_m_s + 1e-9 {
            over += 1;
            assert!(tick < 200, "{speed} m/s after {tick} ticks");
        }
    }
    assert!(over > 20, "it was never over the limit");
    assert_ne!(rig.gate.given().velocity_rad_s[0], 0.0, "it goes on");

    // Beyond a position limit, and beyond the margin inside it.
    for (joint, sign, _) in ends(&c) {
        for beyond in [-0.02, 0.0, 1e-9, 0.3] {
            let limit = if sign > 0.0 {
                c.position_max_rad[joint]
            } else {
                c.position_min_rad[joint]
            };
            let mut wide = free();
            wide.recovery.speed_max_m_s = 1.0;
            wide.cone = None;
            let mut rig = Rig::booted(wide);
            rig.requests.mode = SafetyMode::Recovery as u64;
            let start = limit + sign * beyond;
            rig.frame.position_rad[joint] = start;
            rig.hold();
            rig.reset();
            rig.hold();
            assert_eq!(rig.gate.status().stop_state, StopState::Clear);
            for (to, forth) in [(start + sign, true), (HOME[joint], false)] {
                let mut target = rig.gate.given().position_rad;
                target[joint] = to;
                let mut before = rig.gate.given().position_rad;
                for _ in 0..400 {
                    let u = ram(0.4).toward(rig.gate.given(), &before, &target);
                    before = rig.gate.given().position_rad;
                    let (command, _) = rig.step(&u, None);
                    let given = command.expect("powered").setpoint().position_rad;
                    assert!(given.iter().all(|q| q.is_finite()));
                    let out = sign * (given[joint] - start);
                    assert!(out <= 1e-9, "joint {joint} went {out} further out");
                }
                let way = sign * (start - rig.gate.given().position_rad[joint]);
                assert_eq!(way > 0.02, !forth, "joint {joint}, {beyond}: {way}");
            }
        }
    }
}

/// Limiters that compare the position alone, with one margin for every speed (`PositionJointSaturation` in ros_control,
/// software limits of many drives): at the margin a slow joint stops and a fast one does not.
/// Here the room at which a joint is first held back grows as vL + v²/2a does.
#[test]
fn the_margin_grows_with_the_speed() {
    let c = SafetyConfig {
        reaction_ticks: 20,
        ..free()
    };
    for (joint, sign, target) in ends(&c) {
        let mut rooms = Vec::new();
        for share in [0.4, 0.7, 1.0] {
            let mut rig = Rig::ready_with(c.clone());
            let fast = share * c.velocity_max_rad_s[joint];
            let mut first = None;
            drive(&mut rig, ram(fast), &target, 4_000, |rig, limit| {
                let v = rig.gate.given().velocity_rad_s[joint];
                if limit == LimitKind::Position {
                    first = Some((v * sign, room(&c, rig, joint)));
                }
                first.is_none()
            });
            let (v, room) = first.expect("it is held back");
            let reaction = f64::from(c.reaction_ticks) * T * v;
            let least = reaction + v * v / (2.0 * c.stop_acceleration_rad_s2[joint]);
            assert!(room >= least, "joint {joint} at {v}: {room} of {least}");
            rooms.push(room);
        }
        assert!(rooms.windows(2).all(|two| two[0] < two[1]), "{rooms:?}");
    }
}

/// `std::clamp` hands a NaN through (saturation limiters in ros2_control and elsewhere), and `fmin` and `f64::min`
/// drop it: `min(NaN, 1.0)` is 1.0, so that a NaN looks like a request for the limit.
/// Here a NaN is neither passed nor taken for a number, alone or beside a reason to stop anyway.
#[test]
fn a_nan_is_neither_passed_nor_clamped() {
    for stale in [None, Some(LimitKind::Stale)] {
        for field in 0..3 {
            let mut rig = Rig::ready();
            let mut held = rig.here();
            (held.gripper_width_m, held.gripper_force_n) = (0.03, 20.0);
            rig.step(&held, None);
            let mut u = rig.here();
            match field {
                0 => u.gripper_width_m = f64::NAN,
                1 => u.gripper_force_n = f64::NAN,
                _ => u.velocity_rad_s[6] = f64::NAN,
            }
            let (command, verdict) = rig.step(&u, stale);
            assert_eq!(
                (verdict.kind, verdict.limit),
                (VerdictKind::Stop, LimitKind::NonFinite)
            );
            assert_eq!(rig.gate.status().stop_state, StopState::Latched);
            let given = *command.expect("powered").setpoint();
            assert!(given.is_finite());
            assert_eq!((given.gripper_width_m, given.gripper_force_n), (0.03, 20.0));
        }
    }
}
