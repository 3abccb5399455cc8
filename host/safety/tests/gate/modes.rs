//! Modes, the start state, and persons.

use sinew_kinematics::{Aabb, Point};
use sinew_messages::{
    JOINTS, JointVector, LimitKind, Obstacle, ObstacleKind, SafetyMode, StopCategory, StopState,
    VerdictKind,
};
use sinew_safety::{SafetyConfig, SeparationConfig, Zone, ZoneShape};

use crate::oracle::Motion;
use crate::rig::{Eager, GENTLE, HARD, HOME, Judge, Rig, chain, clearances, config};

/// Goes for `target` for some ticks; the fastest that the tool was, m/s.
fn go(rig: &mut Rig, source: Eager, target: &JointVector, ticks: u64) -> f64 {
    let mut before = rig.gate.given().position_rad;
    let mut fastest = 0.0_f64;
    for _ in 0..ticks {
        let given = *rig.gate.given();
        let u = source.toward(&given, &before, target);
        before = given.position_rad;
        rig.step(&u, None);
        fastest = fastest.max(tool_speed(rig, &before));
    }
    fastest
}

fn tool_speed(rig: &Rig, before: &JointVector) -> f64 {
    let at = |q: &JointVector| chain().forward(q).tool.translation.vector;
    (at(&rig.gate.given().position_rad) - at(before)).norm() / 1e-3
}

fn turned(by: f64) -> JointVector {
    let mut q = HOME;
    q[0] += by;
    q
}

#[test]
fn reduced_mode_slows_a_motion_that_is_under_way() {
    let mut rig = Rig::ready();
    assert!(go(&mut rig, HARD, &turned(2.0), 300) > 0.6);
    rig.requests.mode = SafetyMode::Reduced as u64;
    go(&mut rig, HARD, &turned(2.0), 150);
    let fastest = go(&mut rig, HARD, &turned(2.0), 500);
    assert!((0.1..=0.25 + 1e-9).contains(&fastest), "{fastest}");
    assert_eq!(rig.gate.status().mode, SafetyMode::Reduced);
    rig.requests.mode = SafetyMode::Normal as u64;
    assert!(go(&mut rig, HARD, &turned(-2.0), 600) > 0.6);
}

/// Joints count in reduced mode too, where the tool hardly moves.
#[test]
fn reduced_mode_slows_joints() {
    let mut rig = Rig::ready();
    rig.requests.mode = SafetyMode::Reduced as u64;
    let mut target = HOME;
    target[6] = 2.7;
    let source = Eager {
        velocity: 3.5,
        straight: true,
        ..HARD
    };
    let mut fastest = 0.0_f64;
    let mut before = HOME;
    for _ in 0..1_500 {
        let given = *rig.gate.given();
        let u = source.toward(&given, &before, &target);
        before = given.position_rad;
        let verdict = rig.step(&u, None).1;
        let speed = rig.gate.given().velocity_rad_s[6].abs();
        // What is being gained when the limit comes is taken back first.
        assert!(
            speed <= 0.5 * 3.8 + 0.5 * 30.0 * 30.0 / 3_000.0 + 1e-9,
            "{speed}"
        );
        if verdict.kind == VerdictKind::Pass {
            fastest = fastest.max(speed);
        }
    }
    assert!((1.8..=0.5 * 3.8 + 1e-9).contains(&fastest), "{fastest}");
}

#[test]
fn hold_mode_holds_and_an_unknown_mode_is_hold() {
    for code in [SafetyMode::Hold as u64, 17, u64::MAX] {
        let mut rig = Rig::ready();
        go(&mut rig, HARD, &turned(2.0), 200);
        rig.requests.mode = code;
        go(&mut rig, HARD, &turned(2.0), 400);
        let (_, verdict) = rig.hold();
        assert_eq!(
            (verdict.kind, verdict.limit),
            (VerdictKind::Stop, LimitKind::Mode)
        );
        assert_eq!(rig.gate.status().stop_state, StopState::Clear);
        assert_eq!(rig.gate.given().velocity_rad_s, [0.0; JOINTS]);
        rig.requests.mode = 0;
        assert!(go(&mut rig, HARD, &turned(2.0), 200) > 0.1);
    }
}

/// A cell in which the robot stands in a zone.
fn standing_in_a_zone() -> SafetyConfig {
    let mut c = config();
    c.zones.push(Zone {
        name: "here".into(),
        shape: ZoneShape::Box(Aabb {
            min: Point::new(0.3, -0.2, 0.0),
            max: Point::new(0.6, 0.02, 0.6),
        }),
        speed_max_m_s: None,
    });
    c
}

fn least(rig: &Rig) -> f64 {
    let c = rig.gate.limits().config();
    clearances(&chain(), c, &rig.gate.given().position_rad)
        .into_iter()
        .fold(f64::INFINITY, f64::min)
}

/// The way out of a violation: no start in normal mode; in recovery mode slowly out and never further in.
#[test]
fn recovery_mode_is_the_way_out_of_a_zone() {
    let mut rig = Rig::booted(standing_in_a_zone());
    rig.hold();
    rig.reset();
    let status = rig.gate.status();
    assert_eq!(status.stop_state, StopState::Latched);
    assert_eq!(status.reason, LimitKind::Zone);

    rig.requests.mode = SafetyMode::Recovery as u64;
    rig.reset();
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    let start = least(&rig);
    assert!(start < -0.02, "it stands in the zone: {start}");

    // Further in: not a step.
    let mut before = rig.gate.given().position_rad;
    for _ in 0..300 {
        let given = *rig.gate.given();
        let u = GENTLE.toward(&given, &before, &turned(-1.0));
        before = given.position_rad;
        rig.step(&u, None);
        assert!(least(&rig) >= start - 1e-3, "{} from {start}", least(&rig));
    }
    rig.brake();

    // Out: slowly, and better all the time.
    let mut best = least(&rig);
    let mut before = rig.gate.given().position_rad;
    let mut fastest = 0.0_f64;
    for _ in 0..12_000 {
        let given = *rig.gate.given();
        let u = GENTLE.toward(&given, &before, &turned(1.0));
        before = given.position_rad;
        rig.step(&u, None);
        fastest = fastest.max(tool_speed(&rig, &before));
        let now = least(&rig);
        assert!(now >= best.min(0.02) - 1e-3, "{now} after {best}");
        best = best.max(now);
    }
    assert!(fastest <= 0.1 + 1e-9, "{fastest}");
    assert!(least(&rig) > 0.016, "{}", least(&rig));

    // And then on in normal mode.
    rig.brake();
    rig.requests.mode = SafetyMode::Normal as u64;
    assert!(go(&mut rig, HARD, &turned(1.2), 400) > 0.3);
}

/// A slow zone is no violation to be recovered from: in it, into it and out of it the arm keeps the zone's speed, in
/// recovery mode as in any other.
#[test]
fn recovery_mode_opens_no_slow_zone() {
    let shape = ZoneShape::Box(Aabb {
        min: Point::new(-1.0, -0.25, 0.0),
        max: Point::new(1.0, 0.15, 1.0),
    });
    for mode in [SafetyMode::Normal, SafetyMode::Recovery] {
        let mut c = standing_in_a_zone();
        c.zones.truncate(4);
        c.zones[3].shape = shape.clone();
        c.zones[3].speed_max_m_s = Some(0.04);
        let mut rig = Rig::booted(c.clone());
        rig.requests.mode = mode as u64;
        rig.hold();
        rig.reset();
        rig.hold();
        assert_eq!(rig.gate.status().stop_state, StopState::Clear);
        let clearance = |rig: &Rig| {
            let chain = chain();
            let forward = chain.forward(&rig.gate.given().position_rad);
            chain
                .place_capsules(&forward)
                .filter(|capsule| capsule.link > 0)
                .map(|capsule| shape.clearance(&capsule))
                .fold(f64::INFINITY, f64::min)
        };
        assert!(clearance(&rig) < 0.0, "it stands in it");
        // The base, the shoulder and the tool are in it all the time, and the tool goes to and fro.
        let mut fastest = 0.0_f64;
        for way in [0.9, -0.3, 0.5] {
            let mut before = rig.gate.given().position_rad;
            for _ in 0..2_000 {
                let given = *rig.gate.given();
                let u = HARD.toward(&given, &before, &turned(way));
                before = given.position_rad;
                rig.step(&u, None);
                assert!(clearance(&rig) < 0.0);
                let speed = tool_speed(&rig, &before);
                fastest = fastest.max(speed);
                assert!(speed <= 0.04 + 1e-9, "{speed} m/s, {mode:?}");
            }
        }
        assert!(fastest > 0.03, "it moves: {fastest}, {mode:?}");
    }
}

/// Recovery begins when the robot stands.
#[test]
fn recovery_mode_waits_for_standstill() {
    let mut rig = Rig::ready();
    go(&mut rig, HARD, &turned(2.0), 200);
    rig.requests.mode = SafetyMode::Recovery as u64;
    rig.hold();
    assert_eq!(rig.gate.status().mode, SafetyMode::Hold);
    rig.brake();
    rig.hold();
    assert_eq!(rig.gate.status().mode, SafetyMode::Recovery);
}

#[test]
fn a_start_outside_the_position_limits_is_refused() {
    let mut rig = Rig::booted(config());
    rig.frame.position_rad[3] = 0.05;
    rig.hold();
    rig.reset();
    let status = rig.gate.status();
    assert_eq!(status.stop_state, StopState::Latched);
    assert_eq!(status.reason, LimitKind::StartState);
    rig.requests.mode = SafetyMode::Recovery as u64;
    rig.reset();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
}

const SEPARATION: SeparationConfig = SeparationConfig {
    approach_speed_m_s: 1.6,
    intrusion_m: 0.1,
    robot_uncertainty_m: 0.02,
    silent_ticks: 100,
};

fn watched() -> SafetyConfig {
    SafetyConfig {
        zones: Vec::new(),
        envelope_min_m: [-2.0; 3],
        envelope_max_m: [2.0; 3],
        separation: Some(SEPARATION),
        ..config()
    }
}

/// A rig whose scanner sees one person.
fn with_person(at: [f64; 3], kind: ObstacleKind) -> Rig {
    let mut rig = Rig::booted(watched());
    rig.obstacles.count = 1;
    rig.obstacles.obstacles[0] = Obstacle {
        kind: kind as u32,
        reserved: 0,
        position_m: at,
        radius_m: 0.2,
        uncertainty_m: 0.05,
        age_ticks: 40,
    };
    rig.scanner_sees = true;
    rig.hold();
    rig.reset();
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    rig
}

/// Distance of the arm from the middle of the person, less its radius.
fn distance(rig: &Rig, at: [f64; 3]) -> f64 {
    distance_at(&rig.gate.given().position_rad, at)
}

fn distance_at(q: &JointVector, at: [f64; 3]) -> f64 {
    let chain = chain();
    let forward = chain.forward(q);
    chain
        .place_capsules(&forward)
        .filter(|capsule| capsule.link > 0)
        .map(|capsule| sinew_kinematics::clearance_to_column(&capsule, at[0], at[1], 0.2))
        .fold(f64::INFINITY, f64::min)
}

/// The arm turns toward a person that stands: it slows, and stops before the distance that ISO 13855 asks for.
#[test]
fn a_person_is_not_approached() {
    let at = [0.1, 0.9, 0.0];
    for (kind, at) in [
        (ObstacleKind::Column, at),
        (ObstacleKind::Ball, [0.1, 0.9, 0.4]),
    ] {
        let mut rig = with_person(at, kind);
        let mut judge = Judge::new(&rig);
        let mut before = HOME;
        let mut met = false;
        let mut nearest = f64::INFINITY;
        // What it needs of a robot that stands: approach while it ages and the robot reacts, C, Zd, Zr.
        let need = 1.6 * (0.040 + 0.003) + 0.1 + 0.05 + 0.02;
        for _ in 0..3_000 {
            let given = *rig.gate.given();
            let u = HARD.toward(&given, &before, &turned(1.6));
            before = given.position_rad;
            let (command, verdict) = rig.step(&u, None);
            judge
                .look(&command.expect("powered"), &verdict)
                .expect("fine");
            met |= verdict.limit == LimitKind::Separation;
            nearest = nearest.min(distance(&rig, at));
        }
        assert!(met);
        assert!(nearest >= need - 1e-3, "{nearest} of {need}");
        assert!(nearest < need + 0.1, "it went as near as it may: {nearest}");
        // The person goes, the robot goes on: nothing is latched.
        rig.obstacles.count = 0;
        assert!(go(&mut rig, HARD, &turned(1.6), 400) > 0.3);
    }
}

/// The person comes nearer while the robot reacts and stops: where it would come to rest it is far enough away then.
#[test]
fn a_person_may_approach_while_the_robot_stops() {
    let at = [0.1, 0.9, 0.0];
    let mut rig = with_person(at, ObstacleKind::Column);
    let c = rig.gate.limits().config().clone();
    let mut history = [HOME; 3];
    let (mut met, mut longest) = (false, 0.0_f64);
    for _ in 0..1_500 {
        let u = HARD.toward(rig.gate.given(), &history[1], &turned(1.6));
        let verdict = rig.step(&u, None).1;
        history = [history[1], history[2], rig.gate.given().position_rad];
        met |= verdict.limit == LimitKind::Separation;
        if verdict.kind != VerdictKind::Pass {
            continue;
        }
        let mut stop = Motion::of(&history);
        for _ in 0..c.reaction_ticks {
            stop.go_on(true);
        }
        let mut stop_s = 0.0;
        while stop.v.iter().any(|v| v.abs() > 1e-9) {
            stop.brake(&c);
            stop_s += 1e-3;
        }
        longest = longest.max(stop_s);
        let need = 1.6 * (0.040 + 0.003 + stop_s) + 0.1 + 0.05 + 0.02;
        let apart = distance_at(&stop.q, at);
        assert!(apart >= need - 1e-3, "{apart} of {need}");
    }
    assert!(met && longest > 0.1, "{longest}");
}

/// Somebody, nobody knows where: nothing moves. An unknown kind and an impossible place are that too.
#[test]
fn an_unknown_position_is_the_nearest_possible() {
    for spoil in [
        (|o: &mut Obstacle| o.kind = 2) as fn(&mut Obstacle),
        |o| o.kind = 99,
        |o| o.position_m[1] = f64::NAN,
        |o| o.radius_m = f64::INFINITY,
        |o| o.radius_m = -1.0,
        |o| o.uncertainty_m = f64::MAX,
        |o| o.age_ticks = u64::MAX,
    ] {
        let mut rig = with_person([5.0, 5.0, 0.0], ObstacleKind::Column);
        assert!(go(&mut rig, HARD, &turned(1.6), 200) > 0.3);
        spoil(&mut rig.obstacles.obstacles[0]);
        go(&mut rig, HARD, &turned(1.6), 300);
        assert_eq!(rig.gate.given().velocity_rad_s, [0.0; JOINTS]);
        assert_eq!(rig.gate.status().reason, LimitKind::Separation);
    }
    let mut rig = with_person([5.0, 5.0, 0.0], ObstacleKind::Column);
    rig.obstacles.count = 1_000;
    go(&mut rig, HARD, &turned(1.6), 300);
    assert_eq!(
        rig.gate.given().velocity_rad_s,
        [0.0; JOINTS],
        "more than fit"
    );
}

/// A scanner that falls silent latches a protective stop; so does one that never spoke.
#[test]
fn a_silent_scanner_latches() {
    let mut rig = with_person([5.0, 5.0, 0.0], ObstacleKind::Column);
    assert!(go(&mut rig, HARD, &turned(1.6), 200) > 0.3);
    rig.scanner_sees = false;
    go(&mut rig, HARD, &turned(1.6), 100);
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    let told = (0..3)
        .map(|_| rig.step(&rig.here(), None).1)
        .find(|verdict| verdict.limit == LimitKind::Separation)
        .map(|verdict| (verdict.limit_value, verdict.asked));
    assert_eq!(told, Some((100.0, 101.0)));
    let status = rig.gate.status();
    assert_eq!(status.stop_state, StopState::Latched);
    assert_eq!(status.reason, LimitKind::Separation);
    assert_eq!(status.category, Some(StopCategory::ControlledHold));

    let mut never = Rig::booted(watched());
    never.hold();
    never.reset();
    assert_eq!(never.gate.status().stop_state, StopState::Latched);
}
