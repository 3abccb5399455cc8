//! Contacts: force, power, momentum, what a body may bear; giving way; a grip that is lost; singularities.

use nalgebra::Vector3;
use sinew_kinematics::Point;
use sinew_messages::{JOINTS, JointVector, LimitKind, Payload, SafetyMode, StopState, VerdictKind};
use sinew_safety::{
    BodyRegion, ContactLimits, ForceReaction, GripLimits, ModeLimits, SafetyConfig, Singularity,
    Verdict, YieldLimits,
};

use crate::rig::{Eager, GENTLE, HARD, HOME, Judge, Rig, Stream, T, chain, config};

const YIELD: YieldLimits = YieldLimits {
    admittance_m_s_n: 0.002,
    speed_max_m_s: 0.05,
    distance_max_m: 0.03,
};

fn yielding() -> SafetyConfig {
    SafetyConfig {
        force_reaction: ForceReaction::Yield(YIELD),
        ..config()
    }
}

fn face() -> BodyRegion {
    BodyRegion {
        name: "face".into(),
        force_max_n: 65.0,
        transient_factor: 1.0,
        stiffness_n_m: 75_000.0,
        mass_kg: 4.4,
    }
}

fn bearable(regions: Vec<BodyRegion>) -> ContactLimits {
    ContactLimits {
        regions,
        transient_ticks: 100,
        power_max_w: 1e4,
        momentum_max_kg_m_s: 1e4,
    }
}

fn touching(contact: ContactLimits) -> SafetyConfig {
    SafetyConfig {
        force_stop_n: 200.0,
        contact: Some(contact),
        ..config()
    }
}

fn tool(q: &JointVector) -> Vector3<f64> {
    chain().forward(q).tool.translation.vector
}

/// Goes on with `source` for some ticks; what was given last comes back, and every verdict that was no pass.
fn go(rig: &mut Rig, source: &Eager, target: &JointVector, ticks: usize) -> Vec<Verdict> {
    let given = rig.gate.given();
    let mut before: JointVector =
        core::array::from_fn(|i| given.position_rad[i] - T * given.velocity_rad_s[i]);
    let mut said = Vec::new();
    for _ in 0..ticks {
        let given = *rig.gate.given();
        let u = source.toward(&given, &before, target);
        before = given.position_rad;
        let verdict = rig.step(&u, None).1;
        if verdict.kind != VerdictKind::Pass {
            said.push(verdict);
        }
    }
    said
}

#[test]
fn who_pushes_is_given_way_to_and_no_farther_than_configured() {
    let mut rig = Rig::ready_with(yielding());
    let mut judge = Judge::new(&rig);
    let start = tool(&HOME);
    let turned = chain().forward(&HOME).tool.rotation;
    rig.frame.tool_force_n = [0.0, 54.0, 72.0];
    let push = Vector3::new(0.0, 0.6, 0.8);
    let mut last = start;
    let mut gave_way = 0;
    for _ in 0..2_500 {
        let (command, verdict) = rig.hold();
        let command = command.expect("powered");
        judge.look(&command, &verdict).expect("limits hold");
        gave_way += u32::from(verdict.kind == VerdictKind::Yield);
        let at = tool(&command.setpoint().position_rad);
        assert!((at - last).norm() / T <= 1.05 * YIELD.speed_max_m_s);
        assert!((at - start).norm() <= YIELD.distance_max_m);
        last = at;
    }
    assert!(gave_way > 500, "{gave_way}");
    let way = last - start;
    assert!(way.dot(&push) > 0.9 * YIELD.distance_max_m, "{way}");
    assert!(way.cross(&push).norm() < 0.1 * way.norm(), "{way}");
    let end = chain()
        .forward(&rig.gate.given().position_rad)
        .tool
        .rotation;
    assert!(turned.angle_to(&end) < 0.02);
    // It stands, unlatched, with the contact still there, and gives no more way to the same push.
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    assert_eq!(rig.hold().1.kind, VerdictKind::Pass);
    // A harder one moves it again.
    rig.frame.tool_force_n = [0.0, 0.0, 130.0];
    assert_eq!(rig.hold().1.limit, LimitKind::Force);
}

/// A spring that is pressed: the retreat ends where it is released, long before the end of the way.
#[test]
fn a_contact_that_is_released_ends_the_retreat() {
    let mut rig = Rig::ready_with(yielding());
    let start = tool(&HOME).z;
    for _ in 0..2_000 {
        let z = tool(&rig.gate.given().position_rad).z;
        let pressed = (0.01 - (z - start)).max(0.0);
        rig.frame.tool_force_n = [0.0, 0.0, 7_000.0 * pressed];
        rig.hold();
    }
    let z = tool(&rig.gate.given().position_rad).z - start;
    assert!((0.002..0.012).contains(&z), "{z}");
    let force = rig.frame.tool_force_n[2];
    assert!(force < 50.0, "{force} N are left");
    assert_eq!(rig.hold().1.kind, VerdictKind::Pass);
}

/// Pushed about at random while it moves: every limit, zone and margin holds on the way out of the contact, too.
#[test]
fn giving_way_breaks_no_other_limit() {
    let mut stream = Stream(7);
    for _ in 0..12 {
        let mut rig = Rig::ready_with(yielding());
        let mut judge = Judge::new(&rig);
        let mut before = HOME;
        let mut target = HOME;
        let mut yields = 0;
        for tick in 0..1_500 {
            if tick % 400 == 0 {
                target = stream.joints(&config());
            }
            if tick % 150 == 0 {
                let push = core::array::from_fn(|_| 240.0 * (stream.unit() - 0.5));
                rig.frame.tool_force_n = if stream.below(2) == 0 { push } else { [0.0; 3] };
            }
            let given = *rig.gate.given();
            let u = HARD.toward(&given, &before, &target);
            before = given.position_rad;
            let (command, verdict) = rig.step(&u, None);
            yields += u32::from(verdict.kind == VerdictKind::Yield);
            judge
                .look(&command.expect("powered"), &verdict)
                .expect("limits hold");
        }
        assert!(yields > 0);
    }
}

#[test]
fn a_force_that_lasts_stops_where_one_of_a_moment_may_be() {
    let soft = BodyRegion {
        force_max_n: 30.0,
        transient_factor: 2.0,
        ..face()
    };
    let mut target = HOME;
    target[0] = 1.0;
    for (force, stops_after) in [(29.0, None), (50.0, Some(100)), (61.0, Some(0))] {
        let mut rig = Rig::ready_with(touching(bearable(vec![face(), soft.clone()])));
        go(&mut rig, &GENTLE, &target, 200);
        rig.frame.tool_force_n = [0.0, 0.0, force];
        let mut stopped_at = None;
        for tick in 0..300 {
            let said = go(&mut rig, &GENTLE, &target, 1);
            if stopped_at.is_none() && said.iter().any(|v| v.limit == LimitKind::Force) {
                stopped_at = Some(tick);
            }
        }
        assert_eq!(stopped_at, stops_after, "{force} N");
    }
}

/// The same force against the motion and along it: only the first is pushed into.
#[test]
fn power_into_a_contact_stops() {
    let mut target = HOME;
    target[0] = 1.2;
    for (against, stops) in [(true, true), (false, false)] {
        let contact = ContactLimits {
            power_max_w: 5.0,
            ..bearable(Vec::new())
        };
        let mut rig = Rig::ready_with(touching(contact));
        go(&mut rig, &GENTLE, &target, 350);
        let given = rig.gate.given();
        let ahead: JointVector =
            core::array::from_fn(|i| given.position_rad[i] + T * given.velocity_rad_s[i]);
        let velocity = (tool(&ahead) - tool(&given.position_rad)) / T;
        assert!(velocity.norm() > 0.2, "{}", velocity.norm());
        let force = velocity.normalize() * if against { -40.0 } else { 40.0 };
        rig.frame.tool_force_n = force.into();
        let said = go(&mut rig, &GENTLE, &target, 5);
        let power = said
            .iter()
            .find(|verdict| verdict.limit == LimitKind::Power);
        assert_eq!(power.is_some(), stops, "{said:?}");
        if let Some(verdict) = power {
            let expected = 40.0 * velocity.norm();
            assert!((verdict.asked / expected - 1.0).abs() < 0.05, "{verdict:?}");
        }
    }
}

/// The speed of ISO/TS 15066, A.3.4, for a face: `F/√k·√(1/m_R + 1/m_H)`.
#[test]
fn the_tool_is_no_faster_than_a_body_may_bear() {
    let moving = 15.1;
    for load in [0.0, 1.5] {
        let bearable_m_s =
            65.0 / 75_000.0_f64.sqrt() * (1.0 / (0.5 * moving + load) + 1.0 / 4.4_f64).sqrt();
        let mut rig = Rig::ready_with(touching(bearable(vec![face()])));
        let payload = Payload {
            mass_kg: load,
            ..Payload::NONE
        };
        assert!(rig.gate.carry(&payload));
        let mut target = HOME;
        (target[0], target[3]) = (1.2, 1.6);
        let mut before = HOME;
        let mut fastest = 0.0_f64;
        let mut named = false;
        for _ in 0..900 {
            let given = *rig.gate.given();
            let u = GENTLE.toward(&given, &before, &target);
            before = given.position_rad;
            named |= rig.step(&u, None).1.limit == LimitKind::ContactSpeed;
            let now = tool(&rig.gate.given().position_rad);
            fastest = fastest.max((now - tool(&given.position_rad)).norm() / T);
        }
        assert!(named);
        assert!(fastest <= bearable_m_s + 1e-9, "{fastest} {bearable_m_s}");
        assert!(fastest > 0.8 * bearable_m_s, "{fastest} {bearable_m_s}");
    }
}

#[test]
fn momentum_is_limited_along_the_stop() {
    let arm = chain();
    let masses = *arm.masses().expect("it has masses");
    let centres = |q: &JointVector| -> Vec<(f64, Point)> {
        let forward = arm.forward(q);
        (masses.links.iter().enumerate())
            .map(|(n, body)| (body, forward.links[n]))
            .chain([(&masses.hand, forward.hand)])
            .map(|(body, frame)| (body.mass_kg, frame * Point::from(body.com_m)))
            .collect()
    };
    let momentum = |from: &JointVector, to: &JointVector| -> f64 {
        (centres(from).iter().zip(centres(to)))
            .map(|((mass, a), (_, b))| mass * (b - a).norm() / T)
            .sum()
    };
    let contact = ContactLimits {
        momentum_max_kg_m_s: 1.5,
        ..bearable(Vec::new())
    };
    let mut rig = Rig::ready_with(touching(contact));
    let mut target = HOME;
    (target[0], target[1]) = (1.2, 0.4);
    let mut before = HOME;
    let (mut most, mut named) = (0.0_f64, false);
    for tick in 0..1_500 {
        let given = *rig.gate.given();
        let u = HARD.toward(&given, &before, &target);
        before = given.position_rad;
        // Stopped in the middle of it, too.
        let stale = (tick % 300 > 250).then_some(LimitKind::Stale);
        named |= rig.step(&u, stale).1.limit == LimitKind::Momentum;
        most = most.max(momentum(
            &given.position_rad,
            &rig.gate.given().position_rad,
        ));
    }
    assert!(named);
    assert!(most <= 1.5 + 1e-9, "{most}");
    assert!(most > 1.0, "{most}");
}

#[test]
fn a_lost_grip_holds_until_the_hand_is_said_to_carry_something_else() {
    let held = Payload {
        mass_kg: 0.2,
        ..Payload::NONE
    };
    let c = SafetyConfig {
        grip: Some(GripLimits {
            empty_width_m: 0.005,
            lost_force_n: 3.0,
            lost_ticks: 20,
        }),
        ..config()
    };
    let mut target = HOME;
    target[0] = 1.0;
    let carrying = |rig: &mut Rig| {
        rig.frame.gripper_force_n = 20.0;
        go(rig, &GENTLE, &target, 50);
        assert!(rig.gate.carry(&held));
        let said = go(rig, &GENTLE, &target, 50);
        assert!(said.is_empty(), "{said:?}");
    };
    let holds = |rig: &mut Rig, what: &str| {
        let said = go(rig, &GENTLE, &target, 300);
        assert!(said.len() >= 270, "{what}: {}", said.len());
        assert!(
            (said.iter()).all(|v| v.limit == LimitKind::GripLost && v.kind == VerdictKind::Stop),
            "{what}"
        );
        assert_eq!(rig.gate.status().stop_state, StopState::Clear);
        let here = rig.gate.given().position_rad;
        go(rig, &GENTLE, &target, 5);
        assert_eq!(here, rig.gate.given().position_rad, "{what}: it stands");
    };
    // The fingers meet nothing any more: they close as far as they are told to.
    let mut rig = Rig::ready_with(c.clone());
    carrying(&mut rig);
    let mut closed = *rig.gate.given();
    closed.gripper_width_m = 0.004;
    rig.step(&closed, None);
    holds(&mut rig, "width");
    // What is said to be carried now is held, or nothing is.
    rig.gate.carry(&Payload::NONE);
    assert!(go(&mut rig, &GENTLE, &target, 50).is_empty());

    // The force goes: at first it may be a moment's.
    let mut rig = Rig::ready_with(c.clone());
    carrying(&mut rig);
    rig.frame.gripper_force_n = 1.0;
    assert!(go(&mut rig, &GENTLE, &target, 20).is_empty());
    holds(&mut rig, "force");
    rig.gate.carry(&Payload::NONE);
    assert!(go(&mut rig, &GENTLE, &target, 50).is_empty());

    // To be told to open is no loss.
    let mut rig = Rig::ready_with(c);
    carrying(&mut rig);
    let mut open = *rig.gate.given();
    open.gripper_width_m = 0.07;
    rig.step(&open, None);
    rig.frame.gripper_force_n = 0.0;
    assert!(go(&mut rig, &GENTLE, &target, 300).is_empty());
}

/// Towards the stretched arm: slower and slower, then no farther; and out again.
#[test]
fn near_a_singularity_it_slows_then_stops_and_can_leave() {
    slows_stops_and_leaves(SafetyMode::Normal, 1.0);
    slows_stops_and_leaves(SafetyMode::Reduced, 0.3);
}

fn slows_stops_and_leaves(mode: SafetyMode, joint_speed_share: f64) {
    let limits = Singularity {
        characteristic_length_m: 0.3,
        slow_above: 4.0,
        stop_above: 8.0,
        slow_share: 0.1,
    };
    let arm = chain();
    let number = |q: &JointVector| arm.conditioning(&arm.forward(q), 0.3).number();
    assert!(number(&HOME) < limits.slow_above);
    let mut rig = Rig::ready_with(SafetyConfig {
        singularity: Some(limits),
        zones: Vec::new(),
        envelope_min_m: [-2.0; 3],
        envelope_max_m: [2.0; 3],
        reduced: ModeLimits {
            speed_max_m_s: 1.0,
            joint_speed_share,
        },
        ..config()
    });
    rig.requests.mode = mode as u64;
    let mut stretched = HOME;
    (stretched[1], stretched[3]) = (0.5, 0.12);
    let there = number(&stretched);
    assert!(there > 2.0 * limits.stop_above, "{there}");
    let mut before = HOME;
    let mut said = 0;
    let mut used = 0.0_f64;
    for _ in 0..9_000 {
        let given = *rig.gate.given();
        let u = GENTLE.toward(&given, &before, &stretched);
        before = given.position_rad;
        let (_, verdict) = rig.step(&u, None);
        said += u32::from(verdict.limit == LimitKind::Singularity);
        let now = rig.gate.given().position_rad;
        let at = number(&now);
        assert!(at < 1.05 * limits.stop_above, "{at}");
        if verdict.kind == VerdictKind::Pass && at > limits.slow_above {
            let into = ((at - 4.0) / 4.0).min(1.0);
            let share = 1.0 - 0.9 * into;
            let limits = config().velocity_max_rad_s;
            for (i, (now, before)) in now.iter().zip(&given.position_rad).enumerate() {
                let v = (now - before).abs() / T;
                let most = joint_speed_share * share * limits[i] + 1e-9;
                used = used.max(v / most);
                assert!(v <= most, "joint {i} at {v} of {most}");
            }
        }
    }
    assert!(said > 0);
    assert!(used > 0.8, "it is slower than it may be: {used}");
    let at = number(&rig.gate.given().position_rad);
    assert!(at > 0.9 * limits.stop_above, "it stopped early: {at}");
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    go(&mut rig, &GENTLE, &HOME, 9_000);
    let left = (0..JOINTS)
        .map(|i| (rig.gate.given().position_rad[i] - HOME[i]).abs())
        .fold(0.0, f64::max);
    assert!(left < 1e-2, "{left} rad from home");
}

/// A wall of 10 N/mm across the way of the tool, and a source that pushes on whatever happens.
fn into_a_wall(c: SafetyConfig, ticks: usize) -> (Rig, f64) {
    let push = Eager {
        velocity: 0.05,
        acceleration: 2.0,
        jerk: 1_499.0,
        brakes: false,
        straight: true,
    };
    let mut rig = Rig::ready_with(c);
    let wall = tool(&HOME).y + 0.01;
    let mut target = HOME;
    target[0] = 1.0;
    let mut most = 0.0_f64;
    for _ in 0..ticks {
        let deep = tool(&rig.gate.given().position_rad).y - wall;
        let force = 10_000.0 * deep.max(0.0);
        most = most.max(force);
        rig.frame.tool_force_n = [0.0, -force, 0.0];
        go(&mut rig, &push, &target, 1);
    }
    (rig, most)
}

/// A motion that begins again after each hold presses no harder than the first one did.
#[test]
fn a_force_is_not_raised_step_by_step() {
    for (name, c) in [
        ("hold", config()),
        ("yield", yielding()),
        (
            "hardly yield",
            SafetyConfig {
                force_reaction: ForceReaction::Yield(YieldLimits {
                    distance_max_m: 1e-4,
                    ..YIELD
                }),
                ..config()
            },
        ),
    ] {
        let (mut rig, most) = into_a_wall(c, 12_000);
        assert!((60.0..75.0).contains(&most), "{name}: {most} N");
        // And back out, after a reset where it latched in the end.
        if rig.gate.status().stop_state == StopState::Latched {
            assert_eq!(rig.gate.status().reason, LimitKind::Force, "{name}");
            rig.reset();
        }
        for _ in 0..4 {
            go(&mut rig, &GENTLE, &HOME, 500);
        }
        let left = (rig.gate.given().position_rad[0] - HOME[0]).abs();
        assert!(left < 1e-2, "{name}: {left} rad from home");
    }
}

/// What a part of the body bears may be far less than the force that stops: a motion that begins again after each hold does
/// not get there step by step.
#[test]
fn what_a_body_bears_is_not_raised_step_by_step() {
    let sensitive = BodyRegion {
        force_max_n: 30.0,
        ..face()
    };
    for reaction in [ForceReaction::Hold, ForceReaction::Yield(YIELD)] {
        let c = SafetyConfig {
            force_reaction: reaction,
            ..touching(bearable(vec![sensitive.clone()]))
        };
        let (_, most) = into_a_wall(c, 6_000);
        assert!((30.0..45.0).contains(&most), "{reaction:?}: {most} N");
    }
}

/// Joints that do not get to their speeds together, and a push that turns round: the tool does not go into it while it
/// gives way, but for what is braked.
#[test]
fn giving_way_does_not_push() {
    let mut stream = Stream(11);
    let mut yields = 0;
    for _ in 0..30 {
        let mut rig = Rig::ready_with(yielding());
        let target = HOME.map(|q| q + 0.8 * (stream.unit() - 0.5));
        go(&mut rig, &GENTLE, &target, 3_000);
        rig.brake();
        let push = Vector3::from_fn(|_, _| stream.unit() - 0.5).normalize() * 100.0;
        for tick in 0..400 {
            let force = if tick < 200 { push } else { -push };
            rig.frame.tool_force_n = force.into();
            let before = tool(&rig.gate.given().position_rad);
            let verdict = rig.hold().1;
            let way = tool(&rig.gate.given().position_rad) - before;
            let into_m_s = -way.dot(&force) / force.norm() / T;
            if verdict.kind == VerdictKind::Yield {
                // What it begins with, and what the stop adds before it takes it back.
                assert!(into_m_s < 5e-3, "{into_m_s} m/s into it at {tick}");
                yields += 1;
            } else {
                assert_eq!((verdict.kind, verdict.scale), (VerdictKind::Stop, 0.0));
            }
        }
    }
    assert!(yields > 30 * 200, "{yields}");
}

/// Whoever is hit is not pushed on while the arm gets ready to give way.
#[test]
fn giving_way_begins_with_the_stop() {
    let pushed = |c: SafetyConfig| {
        let mut rig = Rig::ready_with(SafetyConfig {
            acceleration_max_rad_s2: [3.0; JOINTS],
            jerk_max_rad_s3: [300.0; JOINTS],
            ..c
        });
        let mut target = HOME;
        target[0] = 1.5;
        let source = Eager {
            velocity: 1.0,
            acceleration: 2.9,
            jerk: 290.0,
            brakes: false,
            straight: true,
        };
        go(&mut rig, &source, &target, 500);
        let (from, mut farthest) = (rig.gate.given().position_rad[0], 0.0_f64);
        rig.frame.tool_force_n = [0.0, -100.0, 0.0];
        for _ in 0..500 {
            go(&mut rig, &source, &target, 1);
            farthest = farthest.max(rig.gate.given().position_rad[0] - from);
        }
        farthest
    };
    let (hold, give_way) = (pushed(config()), pushed(yielding()));
    assert!(hold > 0.01, "{hold}");
    assert!(give_way < hold + 1e-3, "{give_way} rad, {hold} with a hold");
}

/// A contact that stopped the robot again and again latches; a person's reset is where it counts anew.
#[test]
fn contacts_count_anew_after_a_reset() {
    let mut rig = Rig::ready();
    let mut away = HOME;
    away[0] = -2.5;
    let slow = Eager {
        velocity: 0.05,
        ..GENTLE
    };
    let rounds = |rig: &mut Rig| {
        rig.frame.tool_force_n = [0.0, -100.0, 0.0];
        rig.brake();
        for round in 0.. {
            rig.frame.tool_force_n = [0.0, -100.0, 0.0];
            go(rig, &slow, &away, 100);
            rig.frame.tool_force_n = [0.0, -130.0, 0.0];
            let said = go(rig, &slow, &away, 1);
            assert_eq!(said[0].kind, VerdictKind::Stop, "{round}");
            if rig.gate.status().stop_state == StopState::Latched {
                return round;
            }
            rig.frame.tool_force_n = [0.0, -100.0, 0.0];
            rig.brake();
        }
        0
    };
    let first = rounds(&mut rig);
    assert_eq!(first, 3, "it latches the fourth time");
    rig.brake();
    rig.reset();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    assert_eq!(rounds(&mut rig), first);
}

/// No joint gives way faster than one may be led in recovery mode.
#[test]
fn giving_way_is_as_slow_as_recovery() {
    let mut c = yielding();
    c.recovery.joint_speed_share = 0.01;
    let most = c.velocity_max_rad_s.map(|v| 0.01 * v);
    let mut rig = Rig::ready_with(c);
    rig.frame.tool_force_n = [0.0, 100.0, 0.0];
    let mut fastest = 0.0_f64;
    for _ in 0..600 {
        if rig.hold().1.kind == VerdictKind::Yield {
            for (v, most) in rig.gate.given().velocity_rad_s.iter().zip(most) {
                fastest = fastest.max(v.abs() / most);
            }
        }
    }
    assert!((0.9..1.0 + 1e-9).contains(&fastest), "{fastest}");
}

/// A payload that did not fit where the robot stood is looked at again where it stands next.
#[test]
fn a_payload_that_did_not_fit_may_fit_later() {
    let held = Payload {
        mass_kg: 0.2,
        com_m: [0.0, 0.0, 0.2],
        a_m: [0.0, 0.0, 0.12],
        b_m: [0.0, 0.0, 0.3],
        radius_m: 0.01,
    };
    let mut c = config();
    // Below the hand, where what it carries would be.
    let below = tool(&HOME) - Vector3::z() * 0.1;
    c.zones.push(sinew_safety::Zone {
        name: "below".into(),
        shape: sinew_safety::ZoneShape::Box(sinew_kinematics::Aabb {
            min: Point::from(below - Vector3::new(0.05, 0.5, 0.05)),
            max: Point::from(below + Vector3::new(0.05, 0.01, 0.05)),
        }),
        speed_max_m_s: None,
    });
    let mut rig = Rig::ready_with(c);
    assert!(!rig.gate.carry(&held));
    let mut target = HOME;
    target[0] = 0.6;
    let said = go(&mut rig, &GENTLE, &target, 100);
    assert!(said.len() == 100 && said.iter().all(|v| v.limit == LimitKind::Payload));
    assert_eq!(rig.gate.given().position_rad, HOME);
    rig.requests.mode = SafetyMode::Recovery as u64;
    go(&mut rig, &GENTLE, &target, 8_000);
    let left = (rig.gate.given().position_rad[0] - target[0]).abs();
    assert!(left < 1e-2, "{left} rad of the way out are left");
    rig.requests.mode = SafetyMode::Normal as u64;
    target[0] = 0.8;
    assert!(go(&mut rig, &GENTLE, &target, 20).is_empty());
}

/// What no sensor says stops as well, and is told in numbers.
#[test]
fn a_force_beyond_measure_stops_and_is_a_number() {
    for reaction in [ForceReaction::Hold, ForceReaction::Yield(YIELD)] {
        let mut c = touching(bearable(vec![face()]));
        c.force_reaction = reaction;
        let mut rig = Rig::ready_with(c);
        let mut target = HOME;
        target[0] = 1.4;
        go(&mut rig, &GENTLE, &target, 100);
        assert!(rig.gate.given().velocity_rad_s[0] > 0.0);
        rig.frame.tool_force_n = [f64::MAX, -f64::MAX, f64::MAX];
        let told = go(&mut rig, &GENTLE, &target, 200);
        assert_eq!(
            (told[0].kind, told[0].limit),
            (VerdictKind::Stop, LimitKind::Force)
        );
        for verdict in told {
            let figures = [verdict.limit_value, verdict.asked, verdict.given];
            assert!(figures.iter().all(|f| f.is_finite()), "{verdict:?}");
        }
    }
}
