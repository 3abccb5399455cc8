//! Holes that were found in the gate, each with the motion that went through it.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, Body, PlacedCapsule, Point};
use sinew_messages::{
    JointVector, LimitKind, Obstacle, ObstacleFrame, ObstacleKind, SafetyMode, StopCategory,
    StopState, VerdictKind,
};
use sinew_safety::{EffortLimits, SafetyConfig, SafetyLimits, SeparationConfig, Zone, ZoneShape};

use crate::rig::{Eager, GENTLE, HARD, HOME, Rig, T, chain, config};

/// Promise 5. A second person, behind the hand, lets a motion toward the first one through that was limited without.
#[test]
fn another_person_lets_nothing_more_through() {
    let c = SafetyConfig {
        zones: Vec::new(),
        envelope_min_m: [-2.0; 3],
        envelope_max_m: [2.0; 3],
        self_collision: None,
        separation: Some(SeparationConfig {
            approach_speed_m_s: 1e-3,
            intrusion_m: 0.0,
            robot_uncertainty_m: 0.02,
            silent_ticks: 100,
        }),
        ..config()
    };
    let mut rig = Rig::booted(c);
    rig.scanner_sees = true;
    rig.hold();
    rig.reset();
    let mut target = HOME;
    target[0] = 2.0;
    let mut before = HOME;
    for _ in 0..150 {
        let u = HARD.toward(rig.gate.given(), &before, &target);
        before = rig.gate.given().position_rad;
        rig.step(&u, None);
    }
    let u = HARD.toward(rig.gate.given(), &before, &target);
    let palm = |q: &JointVector| -> PlacedCapsule {
        let chain = chain();
        let forward = chain.forward(q);
        chain.place_capsules(&forward).nth(8).expect("the palm")
    };
    let mut stopping = rig.clone();
    stopping.step(&u, None);
    let (here, end) = (
        palm(&rig.gate.given().position_rad),
        palm(&stopping.gate.stop_end()),
    );
    // Tangents of the palm's circle about the first joint.
    let ahead = |p: &Point| Vector3::new(-p.y, p.x, 0.0).normalize();
    let ball = |at: Point| Obstacle {
        kind: ObstacleKind::Ball as u32,
        position_m: at.into(),
        radius_m: 0.05,
        ..ObstacleFrame::NONE.obstacles[0]
    };
    // What each needs of a robot that stands, and of one that takes 0.3 s to stop; the palm's radius, and the ball's.
    let reach = 0.041 + 0.05 + 0.02 + 1e-3 * 0.303;
    let first = ball(end.a + ahead(&end.a) * (reach + 0.004));
    let second = ball(here.b - ahead(&here.b) * (reach + 0.0005));
    let verdict = |list: &[Obstacle]| {
        let mut rig = rig.clone();
        rig.obstacles.count = list.len() as u64;
        rig.obstacles.obstacles[..list.len()].copy_from_slice(list);
        rig.step(&u, None).1
    };
    let alone = verdict(&[first]);
    assert_eq!(
        (alone.kind, alone.limit),
        (VerdictKind::Limited, LimitKind::Separation)
    );
    let both = verdict(&[first, second]);
    assert!(
        both.scale <= alone.scale,
        "{both:?} with one more, {alone:?} without"
    );
}

/// Promise 4. Out of one zone in recovery mode the arm goes into another one that it was clear of.
#[test]
fn recovery_from_one_zone_enters_no_other() {
    let block = |min: [f64; 3], max: [f64; 3]| Zone {
        name: "block".into(),
        shape: ZoneShape::Box(Aabb {
            min: Point::from(min),
            max: Point::from(max),
        }),
        speed_max_m_s: None,
    };
    let c = SafetyConfig {
        zones: vec![
            block([0.3, -0.2, 0.0], [0.6, 0.02, 0.6]),
            block([0.3, 0.12, 0.0], [0.6, 0.5, 0.6]),
        ],
        ..config()
    };
    let clearance = |rig: &Rig, zone: usize| {
        let chain = chain();
        let forward = chain.forward(&rig.gate.given().position_rad);
        chain
            .place_capsules(&forward)
            .filter(|capsule| capsule.link > 0)
            .map(|capsule| c.zones[zone].shape.clearance(&capsule))
            .fold(f64::INFINITY, f64::min)
    };
    let mut rig = Rig::booted(c.clone());
    rig.requests.mode = SafetyMode::Recovery as u64;
    rig.hold();
    rig.reset();
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    assert!(clearance(&rig, 0) < -0.1 && clearance(&rig, 1) > 0.036);
    let mut target = HOME;
    target[0] = 1.0;
    let mut before = HOME;
    for tick in 0..1_000 {
        let u = GENTLE.toward(rig.gate.given(), &before, &target);
        before = rig.gate.given().position_rad;
        rig.step(&u, None);
        let other = clearance(&rig, 1);
        assert!(other > 0.0, "tick {tick}: {other} m in the other zone");
    }
}

/// A scanner and a brain whose last word carries a tick that is still to come are never silent again.
#[test]
fn a_stamp_from_the_future_is_not_fresh_for_ever() {
    let mut c = config();
    c.separation = Some(SeparationConfig {
        approach_speed_m_s: 1.6,
        intrusion_m: 0.1,
        robot_uncertainty_m: 0.02,
        silent_ticks: 100,
    });
    let mut rig = Rig::booted(c);
    rig.scanner_sees = true;
    rig.hold();
    rig.reset();
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    rig.scanner_sees = false;
    rig.obstacles.seen_tick = u64::MAX;
    for _ in 0..300 {
        rig.hold();
    }
    assert_eq!(rig.gate.status().reason, LimitKind::Separation);

    let mut rig = Rig::ready();
    rig.brain_alive = false;
    rig.requests.heartbeat_tick = u64::MAX;
    for _ in 0..300 {
        rig.hold();
    }
    assert_eq!(rig.gate.status().reason, LimitKind::BrainDead);
}

/// Promise 8. A counter of resets that starts anew (whoever counts was started again) clears a latched stop.
#[test]
fn a_reset_counter_that_runs_backwards_is_no_request() {
    let mut rig = Rig::ready();
    rig.requests.reset = 17;
    rig.hold();
    rig.requests.stop_hold += 1;
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
    rig.requests.reset = 0;
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
}

/// Promise 2. A joint that gains speed up to its limit goes on gaining while the stop takes its acceleration back.
#[test]
fn no_output_is_faster_than_the_joint_may_be() {
    let c = SafetyConfig {
        zones: Vec::new(),
        envelope_min_m: [-5.0; 3],
        envelope_max_m: [5.0; 3],
        self_collision: None,
        tool_speed_max_m_s: 20.0,
        elbow_speed_max_m_s: 20.0,
        ..config()
    };
    let most = c.velocity_max_rad_s[0];
    let mut rig = Rig::ready_with(c);
    let source = Eager {
        velocity: 2.0 * most,
        ..HARD
    };
    let mut target = HOME;
    target[0] = 4.0;
    let (mut before, mut fastest) = (HOME, 0.0_f64);
    for _ in 0..600 {
        let u = source.toward(rig.gate.given(), &before, &target);
        before = rig.gate.given().position_rad;
        rig.step(&u, None);
        fastest = fastest.max((rig.gate.given().position_rad[0] - before[0]) / T);
    }
    assert!(fastest <= most + 1e-9, "{fastest} of {most} rad/s");
}

/// Promise 9. A contact that was held at, and eased without going away, grows back to what it was held at and beyond,
/// and nothing stops: what it was held at is remembered from when it was at its worst.
#[test]
fn a_contact_that_eased_stops_when_it_grows_again() {
    let mut rig = Rig::ready();
    let mut before = HOME;
    let mut target = HOME;
    target[0] = 1.4;
    let mut go = |rig: &mut Rig, force: f64, ticks: u64| {
        let mut stopped = false;
        for _ in 0..ticks {
            // The tool turns that way.
            rig.frame.tool_force_n = [-force, 0.0, 0.0];
            let u = GENTLE.toward(rig.gate.given(), &before, &target);
            before = rig.gate.given().position_rad;
            let verdict = rig.step(&u, None).1;
            stopped |= (verdict.kind, verdict.limit) == (VerdictKind::Stop, LimitKind::Force);
        }
        stopped
    };
    assert!(!go(&mut rig, 0.0, 300));
    // The threshold is 60 N.
    assert!(go(&mut rig, 400.0, 400));
    assert!(!go(&mut rig, 50.0, 100), "a retreat begins");
    assert!(go(&mut rig, 390.0, 100), "390 N and nothing stops");
}

/// The gate was not asked for an hour, and takes the next frame as if it followed the last one.
#[test]
fn a_gap_in_the_ticks_is_seen() {
    let mut rig = Rig::ready();
    let hour = 3_600_000_u64;
    rig.frame.tick += hour;
    rig.frame.time_ns += hour * 1_000_000;
    rig.hold();
    assert_eq!(rig.gate.status().reason, LimitKind::TimeBase);
}

/// Promise 8. Category 0 is asked for while the sensors are silent: the gate brakes blindly on and does not hear it.
#[test]
fn a_power_off_is_heard_without_a_frame() {
    let mut rig = Rig::ready();
    let mut target = HOME;
    target[0] = 1.4;
    let mut before = HOME;
    for _ in 0..300 {
        let u = GENTLE.toward(rig.gate.given(), &before, &target);
        before = rig.gate.given().position_rad;
        rig.step(&u, None);
    }
    assert!(
        rig.gate.miss(&rig.requests).0.is_some(),
        "it brakes blindly"
    );
    rig.requests.stop_power_off += 1;
    let (command, verdict) = rig.gate.miss(&rig.requests);
    assert_eq!(verdict.category, Some(StopCategory::PowerOff));
    assert!(command.is_none());
}

/// Promise 6. A limit in ticks that is never reached in a robot's life is none.
#[test]
fn a_patience_without_an_end_is_refused() {
    type Change = fn(&mut SafetyConfig);
    let changes: [Change; 3] = [
        |c| c.heartbeat_ticks = u64::MAX,
        |c| c.following_error_ticks = u64::MAX,
        |c| {
            c.separation = Some(SeparationConfig {
                approach_speed_m_s: 1.6,
                intrusion_m: 0.1,
                robot_uncertainty_m: 0.02,
                silent_ticks: u64::MAX,
            });
        },
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut c = config();
        change(&mut c);
        assert!(SafetyLimits::new(c).is_err(), "{n} is not refused");
    }
}

/// Promise 4. In recovery mode a setpoint that sinks by less than what rounding may do sinks by that at each tick.
#[test]
fn recovery_does_not_creep_deeper() {
    let block = ZoneShape::Box(Aabb {
        min: Point::new(0.3, -0.2, 0.0),
        max: Point::new(0.6, 0.02, 0.6),
    });
    let depth = |rig: &Rig| {
        let chain = chain();
        let forward = chain.forward(&rig.gate.given().position_rad);
        chain
            .place_capsules(&forward)
            .filter(|capsule| capsule.link > 0)
            .map(|capsule| -block.clearance(&capsule))
            .fold(0.0, f64::max)
    };
    let mut rig = Rig::booted(SafetyConfig {
        zones: vec![Zone {
            name: "block".into(),
            shape: block.clone(),
            speed_max_m_s: None,
        }],
        ..config()
    });
    rig.requests.mode = SafetyMode::Recovery as u64;
    rig.hold();
    rig.reset();
    rig.hold();
    let before = depth(&rig);
    assert!(before > 0.1);
    let mut gives_way = 0;
    for _ in 0..4_000 {
        let mut u = rig.here();
        u.position_rad[0] -= 1e-9;
        u.velocity_rad_s[0] = -1e-6;
        gives_way += u32::from(rig.step(&u, None).1.kind == VerdictKind::Limited);
    }
    let sunk = depth(&rig) - before;
    assert!(gives_way > 0 && sunk < 1e-9, "{sunk} m deeper");
}

/// Promise 5. Power goes off on the way and the robot stands where it was told to be: what it needed when it moved is
/// no measure of what it may need next.
#[test]
fn efforts_are_forgotten_with_the_power() {
    let still = [0.0; 7];
    let needed = |q: &JointVector, a: f64| {
        let a = [a, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        chain().efforts(q, &still, &a, &Body::NONE).expect("masses")[0]
    };
    // A step from rest to 1.4 rad/s² is too quick, one to 0.9 rad/s² is not, nor is one from there.
    let rate_max = needed(&HOME, 1.0).abs() / T;
    let mut c = config();
    c.effort = Some(EffortLimits {
        max_nm: [150.0, 150.0, 100.0, 100.0, 50.0, 50.0, 40.0],
        rate_max_nm_s: [rate_max; 7],
        load_max_kg: 2.0,
        measured_ticks: 20,
    });
    let mut rig = Rig::ready_with(c);
    let step = |rig: &mut Rig, a: f64| {
        let mut u = rig.here();
        u.position_rad[0] += a * T * T;
        u.velocity_rad_s[0] = a * T;
        u.acceleration_rad_s2[0] = a;
        rig.step(&u, None).1
    };
    assert_eq!(step(&mut rig, 0.9).kind, VerdictKind::Pass);
    rig.requests.stop_power_off += 1;
    assert!(rig.hold().0.is_none());
    rig.reset();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    let verdict = step(&mut rig, 1.4);
    assert_eq!(
        (verdict.kind, verdict.limit),
        (VerdictKind::Limited, LimitKind::Effort)
    );
}

/// Promise 9. In a contact over its limit two joints hold each other back, so that the tool slides along and does not
/// push. One of them stops later than the other.
#[test]
fn a_stop_does_not_press_where_its_motion_does_not() {
    let mut c = config();
    (c.acceleration_max_rad_s2[2], c.stop_acceleration_rad_s2[2]) = (3.0, 3.0);
    c.velocity_max_rad_s[2] = 1.0;
    let mut rig = Rig::ready_with(c);
    let tool_y = |rig: &Rig| {
        let q = rig.gate.given().position_rad;
        chain().forward(&q).tool.translation.vector.y
    };
    // It is pushed while it moves, and comes to stand in the contact.
    let mut target = HOME;
    target[0] = 1.0;
    let mut before = HOME;
    for tick in 0..600 {
        if tick == 100 {
            rig.frame.tool_force_n = [0.0, -100.0, 0.0];
        }
        let u = GENTLE.toward(rig.gate.given(), &before, &target);
        before = rig.gate.given().position_rad;
        rig.step(&u, None);
    }
    rig.brake();
    let mut farthest_out = tool_y(&rig);
    let mut refused = 0;
    let (mut v, mut a) = (0.0, 0.0_f64);
    for _ in 0..400 {
        let given = *rig.gate.given();
        let jacobian = chain().jacobian(&chain().forward(&given.position_rad));
        a = (a + 0.1).min(2.0);
        v = (v + T * a).min(0.5);
        let mut u = given;
        u.velocity_rad_s = [0.0; 7];
        u.velocity_rad_s[2] = v;
        u.velocity_rad_s[0] = -(jacobian[(1, 2)] * v + 1e-3) / jacobian[(1, 0)];
        for i in 0..7 {
            u.position_rad[i] += T * u.velocity_rad_s[i];
            u.acceleration_rad_s2[i] = (u.velocity_rad_s[i] - given.velocity_rad_s[i]) / T;
        }
        let verdict = rig.step(&u, None).1;
        refused += u32::from(verdict.limit == LimitKind::Force);
        v = rig.gate.given().velocity_rad_s[2];
        farthest_out = farthest_out.min(tool_y(&rig));
    }
    rig.brake();
    let deeper = tool_y(&rig) - farthest_out;
    assert!(deeper < 1.1e-4, "{deeper} m in");
    assert!(refused > 10, "{refused}");
    assert!(v > 0.0, "it may slide along");
}
