//! Tests of the judge itself.

use sinew_description::{RobotDescription, SafetyFile};

use super::*;

fn cell() -> (Chain, SafetyConfig) {
    let robot = RobotDescription::builtin();
    let limits = (SafetyFile::builtin().limits(&robot)).expect("the built-in files fit");
    (robot.chain(), limits.config().clone())
}

fn setpoint(position_rad: JointVector) -> Setpoint {
    Setpoint {
        position_rad,
        velocity_rad_s: [0.0; JOINTS],
        acceleration_rad_s2: [0.0; JOINTS],
        gripper_width_m: 0.02,
        gripper_force_n: 10.0,
    }
}

/// Findings about one command.
fn look(judge: &mut Judge, given: &Setpoint, kind: VerdictKind) -> Vec<String> {
    let (chain, config) = cell();
    look_in(judge, &chain, &config, given, kind)
}

fn look_in(
    judge: &mut Judge,
    chain: &Chain,
    config: &SafetyConfig,
    given: &Setpoint,
    kind: VerdictKind,
) -> Vec<String> {
    let verdict = Verdict {
        kind,
        ..Verdict::PASS
    };
    let seen = Seen {
        mode: SafetyMode::Normal,
        frame: None,
        gripper_width_m: given.gripper_width_m,
        somewhere: false,
        granted: false,
    };
    judge.given(chain, config, &seen, given, &verdict);
    judge.findings().collect()
}

/// A judge that saw the first joint take up speed for some ticks, at 0.9 of its jerk limit.
fn gaining() -> Judge {
    let (chain, config) = cell();
    let mut judge = Judge::new(&chain, chain.rest());
    let jerk = 0.9 * config.jerk_max_rad_s3[0];
    for _ in 0..5 {
        let given = stepped(&judge, jerk);
        assert!(look(&mut judge, &given, VerdictKind::Pass).is_empty());
    }
    judge
}

/// The next command if the first joint has this jerk.
fn stepped(judge: &Judge, jerk: f64) -> Setpoint {
    let mut q = judge.motion.q;
    q[0] += TICK_S * (judge.motion.v[0] + TICK_S * (judge.motion.a[0] + TICK_S * jerk));
    setpoint(q)
}

/// What the stop may do and a motion may not, is told by the step and not by what the gate calls it.
#[test]
fn a_step_of_the_stop_has_its_jerk_and_no_other_has() {
    let (_, config) = cell();
    let judge = gaining();
    let (motion, stop) = (config.jerk_max_rad_s3[0], config.stop_jerk_rad_s3[0]);
    assert!(motion < stop);
    for kind in [VerdictKind::Pass, VerdictKind::Limited, VerdictKind::Stop] {
        // The stop takes back what is gained at its own jerk.
        let given = stepped(&judge, -stop);
        assert_eq!(
            look(&mut judge.clone(), &given, kind),
            Vec::<String>::new(),
            "{kind:?}"
        );
        for jerk in [-0.95 * stop, 0.95 * stop, motion + 1.0] {
            let found = look(&mut judge.clone(), &stepped(&judge, jerk), kind);
            assert!(
                found.iter().any(|name| name.starts_with("jerk")),
                "{kind:?} with {jerk}: {found:?}"
            );
        }
    }
    // A motion is within its limits, and no stop.
    let given = stepped(&judge, 0.5 * motion);
    assert!(look(&mut judge.clone(), &given, VerdictKind::Limited).is_empty());
    let found = look(&mut judge.clone(), &given, VerdictKind::Stop);
    assert!(
        found.len() == 1 && found[0].starts_with("stop"),
        "{found:?}"
    );
}

#[test]
fn what_stays_broken_is_told_once_and_told_again_when_it_begins_again() {
    let (chain, _) = cell();
    let mut judge = Judge::new(&chain, chain.rest());
    let good = setpoint(*chain.rest());
    let wide = Setpoint {
        gripper_width_m: 1.0,
        ..good
    };
    let counts = [&good, &wide, &wide, &good, &wide, &good]
        .map(|given| look(&mut judge, given, VerdictKind::Pass).len());
    assert_eq!(counts, [0, 1, 0, 0, 1, 0]);
}

/// After a finding the next command is judged by what was given, not by what was given before the finding.
#[test]
fn after_a_finding_the_judge_goes_on_from_what_was_given() {
    let (chain, _) = cell();
    let mut judge = Judge::new(&chain, chain.rest());
    let mut jumped = *chain.rest();
    // The first joint breaks its limits; the others are looked at all the same.
    (jumped[0], jumped[6]) = (jumped[0] + 0.01, jumped[6] + 0.001);
    let found = look(&mut judge, &setpoint(jumped), VerdictKind::Pass);
    assert!(
        ["velocity", "acceleration", "jerk", "tool-speed"]
            .iter()
            .all(|name| found.iter().any(|what| what.starts_with(name))),
        "{found:?}"
    );
    // Standing there is a jump back to no speed, and then nothing any more.
    for _ in 0..4 {
        look(&mut judge, &setpoint(jumped), VerdictKind::Pass);
    }
    assert!(judge.broken.is_empty(), "{:?}", judge.broken);
    let unlike = Setpoint {
        position_rad: [f64::NAN; JOINTS],
        ..setpoint(jumped)
    };
    assert_eq!(look(&mut judge, &unlike, VerdictKind::Pass).len(), 1);
    assert!(look(&mut judge, &setpoint(jumped), VerdictKind::Pass).is_empty());
}

/// The efforts are those of the masses, with what is carried.
#[test]
fn efforts_are_judged_with_what_is_carried() {
    let (chain, mut config) = cell();
    let still = [0.0; JOINTS];
    let weight = chain
        .efforts(chain.rest(), &still, &still, &Body::NONE)
        .expect("masses");
    let limits = config.effort.as_mut().expect("configured");
    limits.max_nm = weight.map(|weight| weight.abs() + 1.0);
    let mut judge = Judge::new(&chain, chain.rest());
    let found = |judge: &mut Judge, config: &SafetyConfig, jerk: f64| -> Vec<String> {
        let given = stepped(judge, jerk);
        look_in(judge, &chain, config, &given, VerdictKind::Pass)
    };
    assert!(found(&mut judge, &config, 100.0).is_empty());
    let load = Payload {
        mass_kg: 3.0,
        com_m: [0.1, 0.0, 0.1],
        ..Payload::NONE
    };
    judge.carry(&chain, &load, 0.0);
    let body = Body {
        mass_kg: load.mass_kg,
        com_m: load.com_m,
        ..Body::NONE
    };
    let needed =
        |judge: &Judge| chain.efforts(&judge.motion.q, &judge.motion.v, &judge.motion.a, &body);
    assert_eq!(judge.efforts, needed(&judge));
    // It is over the limit now: it may be, and may not get worse.
    assert!(found(&mut judge, &config, -100.0).is_empty());
    assert_eq!(judge.efforts, needed(&judge));
    judge.restart(&chain, &config, chain.rest());
    assert_eq!(judge.efforts, needed(&judge));
    let worse = (0..5)
        .flat_map(|_| found(&mut judge, &config, 1_400.0))
        .collect::<Vec<_>>();
    assert!(
        worse.iter().any(|what| what.starts_with("effort:")),
        "{worse:?}"
    );
    let mut quick = Judge::new(&chain, chain.rest());
    config.effort.as_mut().expect("configured").rate_max_nm_s = [1.0; JOINTS];
    let rated = found(&mut quick, &config, 1_000.0);
    assert!(
        rated.iter().any(|what| what.starts_with("effort-rate:")),
        "{rated:?}"
    );
}

/// What the judge says of steps into a contact of this force along x, in one motion, with a part of the body in the file
/// that bears 40 N for 3 ticks and 20 N for longer.
fn pressed(force_n: f64, kind: VerdictKind) -> Vec<bool> {
    let (chain, mut config) = cell();
    config.contact = Some(sinew_safety::ContactLimits {
        regions: vec![sinew_safety::BodyRegion {
            name: "hand".into(),
            force_max_n: 20.0,
            transient_factor: 2.0,
            stiffness_n_m: 75_000.0,
            mass_kg: 0.6,
        }],
        power_max_w: 1e3,
        momentum_max_kg_m_s: 1e3,
        transient_ticks: 3,
    });
    let mut judge = gaining();
    let verdict = Verdict {
        kind,
        ..Verdict::PASS
    };
    let tool = |judge: &Judge| judge.motion.tool_velocity(&chain);
    let frame = SensorFrame {
        tick: 1,
        time_ns: 1,
        position_rad: judge.motion.q,
        velocity_rad_s: judge.motion.v,
        effort_nm: [0.0; JOINTS],
        gripper_width_m: 0.02,
        gripper_velocity_m_s: 0.0,
        gripper_force_n: 0.0,
        tool_force_n: (-force_n * tool(&judge).normalize()).into(),
        drive_status: 0,
        safety_inputs: 0,
    };
    (0..6)
        .map(|_| {
            let given = stepped(&judge, 0.0);
            let seen = Seen {
                mode: SafetyMode::Normal,
                frame: Some(&frame),
                gripper_width_m: given.gripper_width_m,
                somewhere: false,
                granted: false,
            };
            judge.given(&chain, &config, &seen, &given, &verdict);
            judge
                .findings()
                .any(|what| what.starts_with("contact-push"))
        })
        .collect()
}

/// For a moment a part of the body bears more than for long; each finding is told as it begins.
#[test]
fn a_force_that_lasts_may_not_be_pressed_on() {
    assert_eq!(pressed(19.0, VerdictKind::Pass), [false; 6]);
    let lasting = [false, false, false, true, false, false];
    assert_eq!(pressed(25.0, VerdictKind::Pass), lasting);
    assert_eq!(pressed(25.0, VerdictKind::Yield), lasting);
    let at_once = [true, false, false, false, false, false];
    assert_eq!(pressed(45.0, VerdictKind::Limited), at_once);
}

/// Whoever is switched on next to itself may be off by the following error from there, and by nothing else.
#[test]
fn links_may_truly_be_as_much_nearer_as_they_were_at_power_on() {
    let (chain, config) = cell();
    let margin = (config.self_collision.as_ref())
        .expect("it is set")
        .margin_m;
    // The arm folds until the links are this near.
    let folded = |near_m: f64| {
        let all = [(1, -0.9), (3, 2.69), (5, -0.1)];
        let at = |share: f64| {
            let mut q = *chain.rest();
            for (i, to) in all {
                q[i] += share * (to - q[i]);
            }
            q
        };
        let (mut far, mut close) = (0.0, 1.0);
        assert!(to_itself(&chain, &config, &at(close)) < near_m);
        for _ in 0..60 {
            let middle = 0.5 * (far + close);
            if to_itself(&chain, &config, &at(middle)) < near_m {
                close = middle;
            } else {
                far = middle;
            }
        }
        at(far)
    };
    let found = |at_power_on_m: f64, truly_m: f64| {
        let mut judge = Judge::new(&chain, chain.rest());
        judge.restart(&chain, &config, &folded(at_power_on_m));
        judge.truth(&chain, &config, &folded(truly_m), None, false);
        let found: Vec<String> = judge.findings().collect();
        found.iter().any(|what| what.starts_with("true-self"))
    };
    let (band, short) = (RETREAT_BAND, 3e-3);
    assert!(!found(margin, -0.9 * band));
    assert!(found(margin, -1.1 * band));
    let nearer = margin - band - short;
    assert!(!found(nearer, -0.9 * band - short));
    assert!(found(nearer, -1.1 * band - short));
}
