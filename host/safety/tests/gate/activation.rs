//! Another configuration: when it may become active, and what it takes to move afterwards.

use sinew_kinematics::{Aabb, Body, HAND, HalfSpace, LinkCapsule, Point};
use sinew_messages::{
    ActivationRefusal, JointVector, LimitKind, ObstacleFrame, Payload, ResetAnswer, StopState,
    VerdictKind,
};
use sinew_safety::{
    Approval, ApprovedLimits, EffortLimits, Gate, GripLimits, SafetyConfig, SafetyLimits, Zone,
    ZoneShape,
};

use crate::rig::{Eager, HARD, HOME, Rig, T, chain, config};

fn limits(config: SafetyConfig) -> SafetyLimits {
    SafetyLimits::new(config).expect("valid test limits")
}

fn approved(config: SafetyConfig) -> ApprovedLimits {
    let limits = limits(config);
    let approval = Approval::naming(limits.hash());
    ApprovedLimits::new(limits, approval, &chain()).expect("the approval names them")
}

/// Twice as slow as the rig's own.
fn slower() -> SafetyConfig {
    let mut slower = config();
    slower.velocity_max_rad_s = slower.velocity_max_rad_s.map(|v| 0.5 * v);
    slower
}

/// A box around the hand at home.
fn zone_at_home() -> SafetyConfig {
    let hand = chain().forward(&HOME).tool.translation.vector;
    let corner = |way: f64| Point::new(hand.x + way, hand.y + way, hand.z + way);
    let mut closed = config();
    closed.zones.push(Zone {
        name: "here".into(),
        shape: ZoneShape::Box(Aabb {
            min: corner(-0.05),
            max: corner(0.05),
        }),
        speed_max_m_s: None,
    });
    closed
}

fn activate(rig: &mut Rig, approved: &mut ApprovedLimits) -> Result<(), ActivationRefusal> {
    rig.gate.activate(approved, &rig.frame)
}

fn stop(rig: &mut Rig) {
    rig.requests.stop_hold += 1;
    for _ in 0..600 {
        rig.hold();
    }
}

#[test]
fn an_approval_names_what_it_is_for() {
    let refused = ApprovedLimits::new(
        limits(slower()),
        Approval::naming(limits(config()).hash()),
        &chain(),
    );
    assert_eq!(refused.err(), Some(ActivationRefusal::OtherHash));
}

#[test]
fn only_a_robot_that_is_stopped_and_stands_takes_other_limits() {
    let mut rig = Rig::ready();
    let before = rig.gate.limits().hash();
    let mut new = approved(slower());
    assert_eq!(
        activate(&mut rig, &mut new),
        Err(ActivationRefusal::NotStopped),
        "it rests, but might move in the next tick"
    );
    let mut last = HOME;
    for _ in 0..200 {
        let given = *rig.gate.given();
        let u = HARD.toward(&given, &last, &[1.4, -0.1, 0.1, 2.0, 0.0, 1.2, 0.3]);
        last = given.position_rad;
        rig.step(&u, None);
    }
    rig.requests.stop_hold += 1;
    rig.hold();
    assert_eq!(activate(&mut rig, &mut new), Err(ActivationRefusal::Moving));
    for _ in 0..600 {
        rig.hold();
    }
    // The setpoint rests; a joint is pushed by hand.
    rig.frame.velocity_rad_s[3] = 0.2;
    assert_eq!(activate(&mut rig, &mut new), Err(ActivationRefusal::Moving));
    rig.frame.velocity_rad_s[3] = f64::NAN;
    assert_eq!(activate(&mut rig, &mut new), Err(ActivationRefusal::Moving));
    assert_eq!(rig.gate.limits().hash(), before, "nothing has changed");
    rig.frame.velocity_rad_s[3] = 0.0;
    assert_eq!(activate(&mut rig, &mut new), Ok(()));
    assert_eq!(rig.gate.limits().hash(), limits(slower()).hash());
    assert_eq!(
        activate(&mut rig, &mut new),
        Err(ActivationRefusal::Spent),
        "what was active before comes back by another approval only"
    );
}

/// A configuration may not make its own standstill.
#[test]
fn standing_is_judged_by_both_configurations() {
    let mut loose = config();
    loose.standstill_rad_s = 1.0;
    let mut rig = Rig::booted(config());
    rig.hold();
    rig.frame.velocity_rad_s[0] = 0.5;
    assert_eq!(
        activate(&mut rig, &mut approved(loose.clone())),
        Err(ActivationRefusal::Moving)
    );
    let mut rig = Rig::booted(loose);
    rig.hold();
    rig.frame.velocity_rad_s[0] = 0.5;
    assert_eq!(
        activate(&mut rig, &mut approved(config())),
        Err(ActivationRefusal::Moving)
    );
}

#[test]
fn after_an_activation_only_a_reset_moves_and_the_new_limits_hold() {
    let mut rig = Rig::ready();
    stop(&mut rig);
    activate(&mut rig, &mut approved(slower())).expect("it stands, stopped");
    let here = rig.frame.position_rad;
    let eager = Eager {
        brakes: true,
        ..HARD
    };
    let mut last = here;
    for _ in 0..50 {
        let given = *rig.gate.given();
        rig.step(&eager.toward(&given, &last, &[0.5; 7]), None);
        last = given.position_rad;
    }
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
    assert_eq!(rig.frame.position_rad, here, "a stop stays a stop");
    rig.reset();
    assert_eq!(rig.gate.status().reset_answer, ResetAnswer::Granted);
    assert_eq!(rig.frame.position_rad, here, "a reset moves nothing");
    let mut fastest = 0.0_f64;
    for _ in 0..800 {
        let given = *rig.gate.given();
        let target = [1.5, 0.0, 0.0, 2.0, 0.0, 1.2, 0.0];
        let (_, verdict) = rig.step(&eager.toward(&given, &last, &target), None);
        last = given.position_rad;
        // A stop may still gain speed while it takes back an acceleration.
        if verdict.kind == VerdictKind::Pass {
            let way = rig.gate.given().position_rad[0] - last[0];
            fastest = fastest.max(way.abs() / T);
        }
    }
    assert!(fastest > 0.5, "it moves: {fastest}");
    assert!(
        fastest <= 0.5 * config().velocity_max_rad_s[0] + 1e-9,
        "{fastest}"
    );
}

#[test]
fn the_start_is_checked_against_the_new_limits() {
    let mut rig = Rig::ready();
    stop(&mut rig);
    activate(&mut rig, &mut approved(zone_at_home())).expect("it stands, stopped");
    let verdict = rig.reset();
    assert_eq!(rig.gate.status().reset_answer, ResetAnswer::StartState);
    assert_eq!(
        (verdict.kind, verdict.limit),
        (VerdictKind::Stop, LimitKind::Zone)
    );
    activate(&mut rig, &mut approved(config())).expect("still stopped");
    rig.reset();
    assert_eq!(rig.gate.status().reset_answer, ResetAnswer::Granted);
}

/// With the state carried over, the gate is the gate that was made with these limits.
#[test]
fn an_activated_gate_gives_what_a_new_one_gives() {
    let payload = Payload {
        mass_kg: 0.4,
        com_m: [0.0, 0.0, 0.1],
        a_m: [0.0, 0.0, 0.1],
        b_m: [0.0, 0.0, 0.14],
        radius_m: 0.02,
    };
    let run = |mut rig: Rig| {
        rig.reset();
        let mut last = rig.frame.position_rad;
        let mut given = Vec::new();
        for _ in 0..400 {
            let before = *rig.gate.given();
            rig.step(
                &HARD.toward(&before, &last, &[1.4, -0.1, 0.1, 2.0, 0.0, 1.2, 0.3]),
                None,
            );
            last = before.position_rad;
            given.push(rig.gate.given().position_rad.map(f64::to_bits));
        }
        given
    };
    let mut changed = Rig::booted(zone_at_home());
    changed.obstacles = ObstacleFrame::NONE;
    changed.hold();
    changed.gate.carry(&payload);
    activate(&mut changed, &mut approved(slower())).expect("it boots stopped");
    changed.hold();
    let mut made = Rig::booted(slower());
    made.gate = Gate::new(limits(slower()), chain());
    made.hold();
    made.gate.carry(&payload);
    made.hold();
    assert_eq!(run(changed), run(made));
}

const BAR_M: f64 = 0.3;

/// A bar that the hand holds at one end.
fn bar() -> Payload {
    Payload {
        mass_kg: 0.3,
        com_m: [0.0, 0.5 * BAR_M, 0.12],
        a_m: [0.0, 0.0, 0.12],
        b_m: [0.0, BAR_M, 0.12],
        radius_m: 0.01,
    }
}

/// What is carried is carried under other limits: it keeps out of a zone that is new, and is as heavy as before.
#[test]
fn what_is_carried_stays_carried() {
    let bar_at = |q: &JointVector| {
        let bar = LinkCapsule {
            link: HAND,
            a: Point::new(0.0, 0.0, 0.12),
            b: Point::new(0.0, BAR_M, 0.12),
            radius_m: 0.01,
        };
        bar.placed(&chain().forward(q))
    };
    let end = bar_at(&HOME).b;
    // The way that the end goes when the first joint turns, and a wall across it.
    let way = nalgebra::Vector3::new(end.y, -end.x, 0.0).normalize();
    let wall = HalfSpace {
        normal: -way,
        offset_m: -way.dot(&end.coords) - 0.15,
    };
    let mut c = config();
    c.zones = vec![Zone {
        name: "wall".into(),
        shape: ZoneShape::HalfSpace(wall),
        speed_max_m_s: None,
    }];
    let mut rig = Rig::ready();
    assert!(rig.gate.carry(&bar()));
    stop(&mut rig);
    activate(&mut rig, &mut approved(c)).expect("it stands, stopped");
    rig.reset();
    let (mut last, mut least) = (HOME, f64::INFINITY);
    let mut target = HOME;
    target[0] = -1.0;
    for _ in 0..2_000 {
        let given = *rig.gate.given();
        rig.step(&HARD.toward(&given, &last, &target), None);
        last = given.position_rad;
        let bar = bar_at(&rig.gate.given().position_rad);
        least = least.min(ZoneShape::HalfSpace(wall).clearance(&bar));
    }
    let need = config().tracking_margin_m - 1e-3;
    assert!((need..0.03).contains(&least), "{least}");
}

/// What was lost stays lost until the hand is said to carry something else.
#[test]
fn a_lost_grip_stays_lost() {
    let c = SafetyConfig {
        grip: Some(GripLimits {
            empty_width_m: 0.005,
            lost_force_n: 3.0,
            lost_ticks: 20,
        }),
        ..config()
    };
    let mut rig = Rig::ready_with(c.clone());
    rig.frame.gripper_force_n = 20.0;
    rig.hold();
    assert!(rig.gate.carry(&bar()));
    rig.frame.gripper_force_n = 0.0;
    stop(&mut rig);
    rig.reset();
    rig.hold();
    assert_eq!(rig.hold().1.limit, LimitKind::GripLost);
    stop(&mut rig);
    rig.frame.gripper_force_n = 20.0;
    activate(&mut rig, &mut approved(c)).expect("it stands, stopped");
    rig.reset();
    rig.hold();
    assert_eq!(rig.hold().1.limit, LimitKind::GripLost);
}

/// Limits of efforts that are new: what the arm needs where it stands is known, and the rate of what comes is limited.
#[test]
fn efforts_are_known_under_new_limits() {
    let still = [0.0; 7];
    let needed = |a: f64| {
        let a = [a, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        chain()
            .efforts(&HOME, &still, &a, &Body::NONE)
            .expect("masses")[0]
    };
    let mut c = config();
    c.effort = Some(EffortLimits {
        max_nm: [150.0, 150.0, 100.0, 100.0, 50.0, 50.0, 40.0],
        rate_max_nm_s: [needed(1.0).abs() / T; 7],
        load_max_kg: 2.0,
        measured_ticks: 20,
    });
    for (a, expected) in [(0.9, VerdictKind::Pass), (1.4, VerdictKind::Limited)] {
        let mut rig = Rig::ready();
        stop(&mut rig);
        activate(&mut rig, &mut approved(c.clone())).expect("it stands, stopped");
        rig.reset();
        rig.hold();
        let mut u = rig.here();
        u.position_rad[0] += a * T * T;
        u.velocity_rad_s[0] = a * T;
        u.acceleration_rad_s2[0] = a;
        assert_eq!(rig.step(&u, None).1.kind, expected, "{a}");
    }
}
