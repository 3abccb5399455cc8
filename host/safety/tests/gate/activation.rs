//! Another configuration: when it may become active, and what it takes to move afterwards.

use sinew_kinematics::{Aabb, Point};
use sinew_messages::{
    ActivationRefusal, LimitKind, ObstacleFrame, Payload, ResetAnswer, StopState, VerdictKind,
};
use sinew_safety::{Approval, ApprovedLimits, Gate, SafetyConfig, SafetyLimits, Zone, ZoneShape};

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
