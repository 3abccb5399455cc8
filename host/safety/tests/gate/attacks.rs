//! What a stranger got through the gate, each with the motion that did it.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, HAND, HalfSpace, Hull, LinkCapsule, Point};
use sinew_messages::{
    JointVector, LimitKind, Obstacle, ObstacleFrame, ObstacleKind, Payload, ResetAnswer,
    SafetyMode, StopState, VerdictKind,
};
use sinew_safety::{
    BodyRegion, ContactLimits, ForceReaction, GripLimits, LimitsError, REGIONS_MAX, SafetyConfig,
    SafetyLimits, SeparationConfig, YieldLimits, Zone, ZoneShape,
};

use crate::oracle::Motion;
use crate::rig::{Eager, GENTLE, HARD, HOME, Rig, Stream, T, chain, clearances, config};

fn face() -> BodyRegion {
    BodyRegion {
        name: "face".into(),
        force_max_n: 65.0,
        transient_factor: 2.0,
        stiffness_n_m: 75_000.0,
        mass_kg: 4.4,
    }
}

fn touching(regions: Vec<BodyRegion>) -> SafetyConfig {
    SafetyConfig {
        force_stop_n: 200.0,
        contact: Some(ContactLimits {
            regions,
            transient_ticks: 500,
            power_max_w: 1e4,
            momentum_max_kg_m_s: 1e4,
        }),
        ..config()
    }
}

/// Room all around, and nothing in it.
fn open_space(c: SafetyConfig) -> SafetyConfig {
    SafetyConfig {
        self_collision: None,
        zones: Vec::new(),
        envelope_min_m: [-3.0; 3],
        envelope_max_m: [3.0; 3],
        ..c
    }
}

fn tool(q: &JointVector) -> Vector3<f64> {
    chain().forward(q).tool.translation.vector
}

/// Home with its first joint somewhere else.
fn turned(first_rad: f64) -> JointVector {
    let mut q = HOME;
    q[0] = first_rad;
    q
}

/// One tick of a source that goes for a target.
fn toward(
    rig: &mut Rig,
    source: &Eager,
    before: &mut JointVector,
    target: &JointVector,
) -> sinew_safety::Verdict {
    let u = source.toward(rig.gate.given(), before, target);
    *before = rig.gate.given().position_rad;
    rig.step(&u, None).1
}

/// Separation, and a scanner that reports these.
fn among(obstacles: &[Obstacle], mode: SafetyMode) -> Rig {
    let mut rig = Rig::booted(SafetyConfig {
        zones: Vec::new(),
        separation: Some(SeparationConfig {
            approach_speed_m_s: 0.1,
            intrusion_m: 0.05,
            robot_uncertainty_m: 0.02,
            silent_ticks: 100,
        }),
        ..config()
    });
    rig.scanner_sees = true;
    rig.requests.mode = mode as u64;
    rig.hold();
    rig.reset();
    rig.hold();
    rig.obstacles.count = obstacles.len() as u64;
    rig.obstacles.obstacles[..obstacles.len()].copy_from_slice(obstacles);
    rig
}

const SOMEWHERE: Obstacle = Obstacle {
    kind: ObstacleKind::Somewhere as u32,
    ..ObstacleFrame::NONE.obstacles[0]
};

/// Promise 2. In recovery mode what is somewhere was as near after a motion as before: at no distance at all.
#[test]
fn nothing_moves_while_something_is_somewhere() {
    for mode in [SafetyMode::Normal, SafetyMode::Recovery] {
        let mut rig = among(&[SOMEWHERE], mode);
        let mut before = HOME;
        for _ in 0..500 {
            toward(&mut rig, &GENTLE, &mut before, &turned(1.0));
        }
        assert_eq!(rig.gate.given().position_rad, HOME, "{mode:?}");
    }
}

/// And with it went the distance to a person whose place was known.
#[test]
fn something_somewhere_hides_nobody_who_is_known() {
    let at = tool(&turned(1.0));
    let ball = Obstacle {
        kind: ObstacleKind::Ball as u32,
        position_m: at.into(),
        radius_m: 0.05,
        ..SOMEWHERE
    };
    let nearest = |obstacles: &[Obstacle]| {
        let mut rig = among(obstacles, SafetyMode::Recovery);
        let mut before = HOME;
        (0..12_000).fold(f64::INFINITY, |nearest, _| {
            toward(&mut rig, &GENTLE, &mut before, &turned(1.0));
            nearest.min((tool(&rig.gate.given().position_rad) - at).norm())
        })
    };
    let known = nearest(&[ball]);
    assert!(known > 0.05, "{known}");
    assert!(nearest(&[ball, SOMEWHERE]) >= known);
}

/// A wall beside the tool, and a reaction time.
fn beside_a_wall(reaction_ticks: u32) -> SafetyConfig {
    SafetyConfig {
        reaction_ticks,
        self_collision: None,
        zones: vec![Zone {
            name: "wall".into(),
            shape: ZoneShape::HalfSpace(HalfSpace {
                normal: Vector3::y(),
                offset_m: -0.25,
            }),
            speed_max_m_s: None,
        }],
        ..config()
    }
}

/// A robot that went to the wall and stands there.
fn at_the_wall(c: &SafetyConfig) -> Rig {
    let mut rig = Rig::ready_with(c.clone());
    let slow = Eager {
        velocity: 0.05,
        acceleration: 1.0,
        jerk: 100.0,
        brakes: true,
        straight: true,
    };
    let mut before = HOME;
    for _ in 0..9_000 {
        toward(&mut rig, &slow, &mut before, &turned(-1.5));
    }
    rig.brake();
    rig
}

fn least_clearance(c: &SafetyConfig, q: &JointVector) -> f64 {
    (clearances(&chain(), c, q).into_iter()).fold(f64::INFINITY, f64::min)
}

/// What a robot may come to that goes on with its acceleration for the reaction time and then stops.
fn late_stop_clearance(c: &SafetyConfig, rig: &Rig) -> f64 {
    let given = rig.gate.given();
    let mut motion = Motion {
        q: given.position_rad,
        v: given.velocity_rad_s,
        a: given.acceleration_rad_s2,
    };
    let mut lowest = f64::INFINITY;
    for tick in 0..(c.reaction_ticks + 600) {
        if tick < c.reaction_ticks {
            for i in 0..7 {
                motion.v[i] += T * motion.a[i];
                motion.q[i] += T * motion.v[i];
            }
        } else {
            motion.brake(c);
        }
        lowest = lowest.min(least_clearance(c, &motion.q));
    }
    lowest
}

/// Promise 3. A motion that leaves a margin and turns round: where its stop is late it comes back, and through.
#[test]
fn a_late_stop_of_a_motion_that_leaves_does_not_come_back_through() {
    for reaction_ticks in [3, 20, 50, 100] {
        let c = beside_a_wall(reaction_ticks);
        let stands = at_the_wall(&c);
        let mut lowest = f64::INFINITY;
        for peak in [0.05, 0.136, 0.3] {
            let mut rig = stands.clone();
            let (mut v, mut a) = (0.0_f64, 0.0_f64);
            let mut rises = true;
            // Up to the peak, then back as hard as may be.
            for _ in 0..150 {
                rises &= v + a.max(0.0) * a.max(0.0) / 2.0 / 1_499.0 < peak;
                let wanted: f64 = if rises { 14.9 } else { -14.9 };
                let given = *rig.gate.given();
                (v, a) = (given.velocity_rad_s[0], given.acceleration_rad_s2[0]);
                a = wanted.clamp(a - 1.499, a + 1.499);
                v += T * a;
                let mut u = given;
                u.position_rad[0] += T * v;
                u.velocity_rad_s[0] = v;
                u.acceleration_rad_s2[0] = a;
                let verdict = rig.step(&u, None).1;
                // A step of the stop adds nothing to the stop.
                if verdict.kind == VerdictKind::Pass || verdict.scale > 0.0 {
                    lowest = lowest.min(late_stop_clearance(&c, &rig));
                }
            }
        }
        assert!(lowest > 0.014 - 1e-6, "{reaction_ticks}: {lowest}");
    }
}

/// In recovery mode, too: out of a wall, and back as hard as may be. It may go on for the reaction time, as slowly as in
/// that mode, and does not turn round in it.
#[test]
fn a_late_stop_in_recovery_does_not_come_back() {
    let mut c = beside_a_wall(100);
    // About the hand, and nearly at its side.
    c.zones[0].shape = ZoneShape::Box(Aabb {
        min: Point::new(0.3, -0.4, 0.0),
        max: Point::new(0.7, -0.03, 0.6),
    });
    let mut stands = Rig::booted(c.clone());
    stands.requests.mode = SafetyMode::Recovery as u64;
    stands.hold();
    stands.reset();
    stands.hold();
    let start = least_clearance(&c, &HOME);
    assert!(start < -0.02, "{start}");
    let mut lowest = f64::INFINITY;
    for peak in [0.02, 0.05, 0.1, 0.2] {
        let mut rig = stands.clone();
        let mut rises = true;
        for _ in 0..300 {
            let given = *rig.gate.given();
            let (v, a) = (given.velocity_rad_s[0], given.acceleration_rad_s2[0]);
            rises &= v + a.max(0.0) * a.max(0.0) / 2.0 / 1_499.0 < peak;
            let a = if rises { 14.9_f64 } else { -14.9 }.clamp(a - 1.499, a + 1.499);
            let mut u = given;
            u.position_rad[0] += T * (v + T * a);
            u.velocity_rad_s[0] = v + T * a;
            u.acceleration_rad_s2[0] = a;
            let verdict = rig.step(&u, None).1;
            if verdict.kind == VerdictKind::Pass || verdict.scale > 0.0 {
                lowest = lowest.min(late_stop_clearance(&c, &rig));
            }
        }
    }
    assert!(lowest > start - 1e-3, "{lowest} from {start}");
}

/// However long the reaction time is: who stands at a margin can leave it.
#[test]
fn a_margin_can_be_left_with_a_long_reaction_time() {
    for reaction_ticks in [0, 3, 100] {
        let mut rig = at_the_wall(&beside_a_wall(reaction_ticks));
        let mut before = rig.gate.given().position_rad;
        for _ in 0..6_000 {
            toward(&mut rig, &GENTLE, &mut before, &HOME);
        }
        let left = (rig.gate.given().position_rad[0] - HOME[0]).abs();
        assert!(left < 1e-2, "{reaction_ticks}: {left} rad are left");
    }
}

/// Promise 9. A force that was more than a body bears for long, but for a tick now and then.
#[test]
fn a_force_that_lasts_is_told_from_its_noise() {
    for noise_n in [0.0, 7.0, 20.0] {
        let mut rig = Rig::ready_with(touching(vec![face()]));
        let mut stream = Stream(3);
        let mut before = HOME;
        let source = Eager {
            velocity: 0.08,
            ..GENTLE
        };
        let told = (0..3_000).find(|_| {
            let force = 75.0 + noise_n * (2.0 * stream.unit() - 1.0);
            rig.frame.tool_force_n = [0.0, 0.0, force];
            toward(&mut rig, &source, &mut before, &turned(1.5)).limit == LimitKind::Force
        });
        assert!(told.is_some_and(|tick| tick < 1_000), "{noise_n}: {told:?}");
    }
}

/// On a wall, by a motion that eases now and then.
#[test]
fn easing_now_and_then_is_pressing_for_long() {
    let soft = BodyRegion {
        force_max_n: 30.0,
        ..face()
    };
    let mut rig = Rig::ready_with(touching(vec![soft]));
    let wall = tool(&HOME).y + 0.01;
    let source = Eager {
        velocity: 0.2,
        acceleration: 2.0,
        jerk: 1_400.0,
        brakes: true,
        straight: true,
    };
    let mut before = HOME;
    let (mut over, mut told) = (0, 0);
    for tick in 0..8_000_u64 {
        let y = tool(&rig.gate.given().position_rad).y;
        let force = 10_000.0 * (y - wall).max(0.0);
        rig.frame.tool_force_n = [0.0, -force, 0.0];
        let wanted = if tick % 420 < 300 { 55.0 } else { 26.0 };
        let first = rig.gate.given().position_rad[0] + (wall + wanted / 10_000.0 - y) / 0.45;
        let verdict = toward(&mut rig, &source, &mut before, &turned(first));
        over += u32::from(force > 30.0);
        told += u32::from(verdict.limit == LimitKind::Force);
    }
    assert!(told > 1_000 && over < 1_500, "{told} {over}");
}

/// Promise 9. Whoever is clamped by a robot that latches is let go in recovery mode; a reset in another mode says why not.
#[test]
fn a_latched_contact_can_be_left() {
    let mut rig = Rig::ready_with(SafetyConfig {
        force_reaction: ForceReaction::Latch,
        ..config()
    });
    rig.frame.tool_force_n = [0.0, -100.0, 0.0];
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
    rig.reset();
    let status = rig.gate.status();
    assert_eq!(status.reset_answer, ResetAnswer::CauseStays);
    assert_eq!((status.reason, status.asked), (LimitKind::Force, 100.0));
    rig.requests.mode = SafetyMode::Recovery as u64;
    rig.reset();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
    // Not farther in, and out.
    let mut before = HOME;
    for _ in 0..200 {
        toward(&mut rig, &GENTLE, &mut before, &turned(1.0));
    }
    let deeper = tool(&rig.gate.given().position_rad).y - tool(&HOME).y;
    assert!(deeper < 1.1e-4, "{deeper}");
    for _ in 0..2_000 {
        toward(&mut rig, &GENTLE, &mut before, &turned(-1.0));
    }
    let moved = rig.gate.given().position_rad[0] - HOME[0];
    assert!(moved < -0.05, "{moved}");
}

/// Promise 8. Category 0 was not heard while the frames were garbage.
#[test]
fn a_power_off_is_heard_with_a_garbage_frame() {
    let mut rig = Rig::ready();
    let mut before = HOME;
    for _ in 0..300 {
        toward(&mut rig, &GENTLE, &mut before, &turned(1.4));
    }
    rig.requests.stop_power_off += 1;
    let here = rig.here();
    let (command, _) = rig.step_spoiled(&here, None, |seen| seen.frame.effort_nm[3] = f64::NAN);
    assert!(command.is_none());
}

const BAR_M: f64 = 0.4;

fn bar() -> Payload {
    Payload {
        mass_kg: 0.3,
        com_m: [0.5 * BAR_M, 0.0, 0.12],
        a_m: [0.0, 0.0, 0.12],
        b_m: [BAR_M, 0.0, 0.12],
        radius_m: 0.01,
    }
}

fn tip_of_bar(q: &JointVector) -> Vector3<f64> {
    let bar = LinkCapsule {
        link: HAND,
        a: Point::origin(),
        b: Point::new(BAR_M, 0.0, 0.12),
        radius_m: 0.01,
    };
    bar.placed(&chain().forward(q)).b.coords
}

/// Promise 2. The end of what is carried was no part of what is kept slow.
#[test]
fn the_end_of_what_is_carried_is_as_slow_as_the_tool() {
    let mut c = open_space(touching(vec![face()]));
    c.reduced.speed_max_m_s = 0.1;
    c.reduced.joint_speed_share = 1.0;
    let masses = 0.5 * 15.1 + 0.3;
    let bearable = 130.0 / 75_000_f64.sqrt() * (1.0 / masses + 1.0 / 4.4_f64).sqrt();
    for (mode, most) in [(SafetyMode::Normal, bearable), (SafetyMode::Reduced, 0.1)] {
        let mut rig = Rig::ready_with(c.clone());
        assert!(rig.gate.carry(&bar()));
        rig.requests.mode = mode as u64;
        let mut target = HOME;
        target[6] = 2.7;
        let source = Eager {
            velocity: 3.5,
            straight: true,
            ..HARD
        };
        let mut before = HOME;
        let mut fastest = 0.0_f64;
        for _ in 0..900 {
            toward(&mut rig, &source, &mut before, &target);
            let way = tip_of_bar(&rig.gate.given().position_rad) - tip_of_bar(&before);
            fastest = fastest.max(way.norm() / T);
        }
        assert!(fastest <= most + 1e-9, "{mode:?}: {fastest} of {most} m/s");
        assert!(fastest > 0.9 * most, "{mode:?}: {fastest} of {most} m/s");
    }
}

/// Promise 9. The hand turned about the tool's point in a contact, and its side pressed.
#[test]
fn turning_about_the_tool_does_not_press() {
    let mut c = open_space(config());
    c.contact = Some(ContactLimits {
        regions: Vec::new(),
        transient_ticks: 100,
        power_max_w: 5.0,
        momentum_max_kg_m_s: 1e4,
    });
    let mut rig = Rig::ready_with(c);
    assert!(rig.gate.carry(&bar()));
    let mut turn = HOME;
    turn[6] += 1e-6;
    let way = (tip_of_bar(&turn) - tip_of_bar(&HOME)).normalize();
    let mut before = HOME;
    for tick in 0..300 {
        if tick == 100 {
            rig.frame.tool_force_n = (-100.0 * way).into();
        }
        toward(&mut rig, &GENTLE, &mut before, &turned(1.0));
    }
    rig.brake();
    let stands = rig.gate.given().position_rad;
    before = stands;
    let mut target = stands;
    let mut into = 0.0_f64;
    for turn in [1.0, -1.0] {
        target[6] = stands[6] + turn;
        for _ in 0..400 {
            toward(&mut rig, &GENTLE, &mut before, &target);
            let gone = tip_of_bar(&rig.gate.given().position_rad) - tip_of_bar(&stands);
            into = into.max(gone.dot(&way));
        }
    }
    assert!(into < 1.1e-4, "{into}");
}

/// Promise 2. One micrometre wider ended the watch over the grip.
#[test]
fn a_grip_is_watched_however_its_width_is_told() {
    let mut rig = Rig::ready_with(SafetyConfig {
        grip: Some(GripLimits {
            empty_width_m: 0.005,
            lost_force_n: 3.0,
            lost_ticks: 20,
        }),
        ..config()
    });
    rig.frame.gripper_force_n = 20.0;
    rig.hold();
    assert!(rig.gate.carry(&Payload {
        mass_kg: 0.2,
        ..Payload::NONE
    }));
    let mut u = rig.here();
    u.gripper_width_m += 0.9e-3;
    rig.step(&u, None);
    rig.frame.gripper_force_n = 0.0;
    let told = (0..30).any(|_| rig.step(&u, None).1.limit == LimitKind::GripLost);
    assert!(told);
}

/// Promise 8. One count that leapt, and never again a reset.
#[test]
fn a_reset_counter_that_leaps_is_no_request() {
    let mut rig = Rig::ready();
    rig.requests.stop_hold += 1;
    rig.hold();
    let real = rig.requests.reset;
    rig.requests.reset = u64::MAX;
    rig.hold();
    assert_eq!(rig.gate.status().stop_state, StopState::Latched);
    rig.requests.reset = real;
    rig.reset();
    assert_eq!(rig.gate.status().stop_state, StopState::Clear);
}

/// A tick walked through as many parts of the body as one likes.
#[test]
fn parts_of_the_body_are_counted() {
    let with = |count| SafetyLimits::new(touching(vec![face(); count]));
    assert!(with(REGIONS_MAX).is_ok());
    let count = REGIONS_MAX + 1;
    assert_eq!(
        with(count).err(),
        Some(LimitsError::TooManyRegions { count })
    );
}

/// The tick of a reset looked at every hull, however many; after it nothing could move.
#[test]
fn a_reset_does_what_a_tick_can_do() {
    let n = Vector3::repeat(1.0 / 3.0_f64.sqrt());
    let e = Vector3::new(1.0, -1.0, 0.0).normalize();
    let f = n.cross(&e);
    let plate = |k: u32| {
        let centre = Vector3::repeat(1.5 + 1e-4 * f64::from(k));
        let points: Vec<Point> = (0..30_u32)
            .map(|i| {
                let (sin, cos) = (f64::from(i) * 0.209).sin_cos();
                let thick = n * if i % 2 == 0 { 0.0 } else { 0.01 };
                Point::from(centre + (e * cos + f * sin) * 5.0 + thick)
            })
            .collect();
        Zone {
            name: format!("{k}"),
            shape: ZoneShape::Hull(Hull::new(&points).expect("a hull")),
            speed_max_m_s: None,
        }
    };
    let mut rig = Rig::booted(SafetyConfig {
        zones: (0..1_000).map(plate).collect(),
        ..config()
    });
    rig.hold();
    rig.reset();
    let status = rig.gate.status();
    assert_eq!(status.reset_answer, ResetAnswer::StartState);
    assert_eq!(status.reason, LimitKind::Configuration);
}

/// A grip that could never hold was accepted.
#[test]
fn a_grip_that_is_always_lost_is_refused() {
    let with = |empty_width_m, lost_force_n| {
        SafetyLimits::new(SafetyConfig {
            grip: Some(GripLimits {
                empty_width_m,
                lost_force_n,
                lost_ticks: 20,
            }),
            ..config()
        })
    };
    assert!(with(0.079, 59.0).is_ok());
    for (empty_width_m, lost_force_n, expected) in [
        (0.08, 59.0, "grip.empty_width_m"),
        (0.079, 60.0, "grip.lost_force_n"),
    ] {
        assert!(matches!(
            with(empty_width_m, lost_force_n),
            Err(LimitsError::Value { field, .. }) if field == expected
        ));
    }
}

/// Pushed along its way while it is fast: it brakes as hard as a stop may, and gives way after that.
#[test]
fn a_retreat_begins_no_faster_than_it_may_be() {
    let farthest = |force_reaction| {
        let mut rig = Rig::ready_with(SafetyConfig {
            force_reaction,
            acceleration_max_rad_s2: [3.0; 7],
            ..config()
        });
        let source = Eager {
            velocity: 1.6,
            acceleration: 2.9,
            jerk: 1_400.0,
            brakes: false,
            straight: true,
        };
        let mut before = HOME;
        while rig.gate.given().position_rad[0] < 0.45 {
            toward(&mut rig, &source, &mut before, &turned(2.5));
        }
        let from = tool(&rig.gate.given().position_rad);
        let mut farthest = 0.0_f64;
        for _ in 0..1_200 {
            let (sin, cos) = rig.gate.given().position_rad[0].sin_cos();
            rig.frame.tool_force_n = [-100.0 * sin, 100.0 * cos, 0.0];
            rig.hold();
            let way = tool(&rig.gate.given().position_rad) - from;
            farthest = farthest.max(way.norm());
        }
        farthest
    };
    let retreat = YieldLimits {
        admittance_m_s_n: 0.002,
        speed_max_m_s: 0.05,
        distance_max_m: 0.01,
    };
    let stop = farthest(ForceReaction::Hold);
    let way = farthest(ForceReaction::Yield(retreat));
    assert!(way <= stop + retreat.distance_max_m, "{way} after {stop}");
}

/// A sensor's noise made contacts of one contact, and latched.
#[test]
fn a_noisy_contact_can_be_left_without_a_person() {
    let mut rig = Rig::ready();
    let mut stream = Stream(3);
    let push = Eager {
        velocity: 0.05,
        acceleration: 2.0,
        jerk: 1_499.0,
        brakes: false,
        straight: true,
    };
    let wall = tool(&HOME).y + 0.01;
    let mut before = HOME;
    for tick in 0..10_000 {
        let first = if tick < 2_000 { 1.0 } else { -0.2 };
        let force = 10_000.0 * (tool(&rig.gate.given().position_rad).y - wall).max(0.0);
        let noise = if force > 0.0 { 10.0 } else { 0.0 };
        rig.frame.tool_force_n = [0.0, -(force + noise * (2.0 * stream.unit() - 1.0)), 0.0];
        toward(&mut rig, &push, &mut before, &turned(first));
    }
    let status = rig.gate.status();
    assert_eq!(
        (status.stop_state, status.stops_total),
        (StopState::Clear, 1)
    );
    assert!(rig.gate.given().position_rad[0] < -0.19);
}
