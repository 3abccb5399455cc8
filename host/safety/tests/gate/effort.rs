//! Efforts: predicted from the masses, with a load, and measured.

use sinew_kinematics::Body;
use sinew_messages::{JOINTS, JointVector, LimitKind, Payload, StopState, VerdictKind};
use sinew_safety::{EffortLimits, SafetyConfig};

use crate::rig::{GENTLE, HARD, HOME, Judge, Rig, chain, config};

fn strong() -> EffortLimits {
    EffortLimits {
        max_nm: [150.0, 150.0, 100.0, 100.0, 50.0, 50.0, 40.0],
        rate_max_nm_s: [1e5; JOINTS],
        load_max_kg: 2.0,
        measured_ticks: 20,
    }
}

fn with(effort: EffortLimits) -> SafetyConfig {
    SafetyConfig {
        effort: Some(effort),
        ..config()
    }
}

/// Efforts of what was given, worked out from its positions.
fn efforts(q: &[JointVector; 3], load: &Body) -> JointVector {
    let v = |n: usize| core::array::from_fn(|i| (q[n][i] - q[n - 1][i]) / 1e-3);
    let (before, now): (JointVector, JointVector) = (v(1), v(2));
    let a = core::array::from_fn(|i| (now[i] - before[i]) / 1e-3);
    chain()
        .efforts(&q[2], &now, &a, load)
        .expect("it has masses")
}

/// Drives that are just strong enough for the weight: the motion is slowed, never overloaded.
#[test]
fn predicted_efforts_keep_their_limits() {
    let zero = [0.0; JOINTS];
    let weight = chain()
        .efforts(&HOME, &zero, &zero, &Body::NONE)
        .expect("masses");
    let mut tight = strong();
    for (most, weight) in tight.max_nm.iter_mut().zip(&weight) {
        *most = 1.2 * weight.abs() + 8.0;
    }
    let mut target = HOME;
    (target[0], target[3]) = (1.0, 1.7);
    let mut ways = Vec::new();
    for (limits, name) in [(tight, "tight"), (strong(), "strong")] {
        let mut rig = Rig::ready_with(with(limits));
        let mut judge = Judge::new(&rig);
        let mut history = [HOME; 3];
        let mut last: JointVector = [0.0; JOINTS];
        let mut limited = 0;
        for _ in 0..250 {
            let u = HARD.toward(rig.gate.given(), &history[1], &target);
            let (command, verdict) = rig.step(&u, None);
            limited += u32::from(verdict.limit == LimitKind::Effort);
            judge
                .look(&command.expect("powered"), &verdict)
                .expect("fine");
            history = [history[1], history[2], rig.gate.given().position_rad];
            // The stop itself may need more (it is checked with the configuration); one who is over comes back.
            let needs = efforts(&history, &Body::NONE);
            if verdict.kind == VerdictKind::Pass {
                for i in 0..JOINTS {
                    let most = limits.max_nm[i].max(last[i].abs());
                    assert!(needs[i].abs() <= most + 1e-3, "{name}: {needs:?}");
                }
            }
            last = needs;
        }
        assert_eq!(limited > 5, name == "tight", "{name}: {limited}");
        ways.push((rig.gate.given().position_rad[0] - HOME[0]).abs());
    }
    assert!(ways[0] > 0.01 && ways[0] < ways[1], "{ways:?}");
}

/// What one tick changes is compared with the tick before, however much the whole motion changes.
#[test]
fn the_rate_of_efforts_is_that_of_one_tick() {
    let mut target = HOME;
    (target[1], target[3]) = (0.4, 1.5);
    let moves = |rate_max_nm_s: JointVector| {
        let mut rig = Rig::ready_with(with(EffortLimits {
            rate_max_nm_s,
            ..strong()
        }));
        let mut history = [HOME; 3];
        let mut last = None;
        let mut fastest: JointVector = [0.0; JOINTS];
        let mut limited = 0;
        for _ in 0..1_500 {
            let u = GENTLE.toward(rig.gate.given(), &history[1], &target);
            limited += u32::from(rig.step(&u, None).1.limit == LimitKind::Effort);
            history = [history[1], history[2], rig.gate.given().position_rad];
            let needs = efforts(&history, &Body::NONE);
            let before = last.replace(needs).unwrap_or(needs);
            for i in 0..JOINTS {
                fastest[i] = fastest[i].max((needs[i] - before[i]).abs() / 1e-3);
            }
        }
        (fastest, limited)
    };
    let (fastest, limited) = moves(strong().rate_max_nm_s);
    assert_eq!(limited, 0);
    let (_, limited) = moves(fastest.map(|rate| 1.5 * rate + 100.0));
    assert_eq!(limited, 0);
    let (_, limited) = moves(fastest.map(|rate| 0.5 * rate + 100.0));
    assert!(limited > 0);
}

/// A load that is too heavy for the configuration, or for the arm where it is, is not taken.
#[test]
fn a_load_must_be_borne() {
    let load = |mass_kg| Payload {
        mass_kg,
        com_m: [0.0, 0.0, 0.12],
        ..Payload::NONE
    };
    let mut rig = Rig::ready_with(with(strong()));
    assert!(rig.gate.carry(&load(1.5)));
    assert!(!rig.gate.carry(&load(2.5)));
    assert_eq!(rig.hold().1.limit, LimitKind::Payload);
    assert!(rig.gate.carry(&Payload::NONE));
    let zero = [0.0; JOINTS];
    let weight = chain()
        .efforts(&HOME, &zero, &zero, &Body::NONE)
        .expect("masses");
    let mut weak = strong();
    weak.max_nm[1] = weight[1].abs() + 2.0;
    let mut rig = Rig::ready_with(with(weak));
    assert!(rig.gate.carry(&load(0.1)));
    assert!(!rig.gate.carry(&load(1.5)), "the shoulder cannot bear it");
}

/// A measured effort over its limit latches when it lasts.
#[test]
fn measured_efforts_latch() {
    for (ticks, latches) in [(20, false), (21, true)] {
        let mut rig = Rig::ready_with(with(strong()));
        for _ in 0..ticks {
            rig.frame.effort_nm[4] = -51.0;
            rig.hold();
        }
        let status = rig.gate.status();
        assert_eq!(status.stop_state == StopState::Latched, latches, "{ticks}");
        assert!(!latches || status.reason == LimitKind::Effort);
    }
}
