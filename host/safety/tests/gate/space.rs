//! Space: zones of every shape, slow zones, links against each other, the tool's cone, the elbow.

use nalgebra::Vector3;
use sinew_kinematics::{
    Aabb, CAPSULES_MAX, Chain, Cylinder, HAND, Hull, PlacedCapsule, Point,
    distance_between_segments,
};
use sinew_messages::{JOINTS, JointVector, LimitKind, Payload, VerdictKind};
use sinew_safety::{Cone, Gate, SafetyConfig, SafetyLimits, Zone, ZoneShape};

use crate::rig::{Eager, GENTLE, HARD, HOME, Judge, Rig, chain, config, full};

/// Without anything in the way but what a test adds.
fn empty() -> SafetyConfig {
    SafetyConfig {
        zones: Vec::new(),
        envelope_min_m: [-2.0; 3],
        envelope_max_m: [2.0; 3],
        self_collision: None,
        ..config()
    }
}

fn zone(shape: ZoneShape, speed_max_m_s: Option<f64>) -> Zone {
    Zone {
        name: "test".into(),
        shape,
        speed_max_m_s,
    }
}

/// Goes for `target`, looked at by `look` after each tick; whether `limit` was met.
fn go(
    rig: &mut Rig,
    source: Eager,
    target: &JointVector,
    ticks: u64,
    limit: LimitKind,
    mut look: impl FnMut(&Rig),
) -> bool {
    let mut judge = Judge::new(rig);
    let mut before = rig.gate.given().position_rad;
    let mut met = false;
    for _ in 0..ticks {
        let given = *rig.gate.given();
        let u = source.toward(&given, &before, target);
        before = given.position_rad;
        let (command, verdict) = rig.step(&u, None);
        met |= verdict.limit == limit;
        judge
            .look(&command.expect("the drives are on"), &verdict)
            .expect("no limit is broken");
        look(rig);
    }
    met
}

/// Clearance of the whole arm to a shape at what was given.
fn clearance(rig: &Rig, shape: &ZoneShape) -> f64 {
    let chain = chain();
    let forward = chain.forward(&rig.gate.given().position_rad);
    chain
        .place_capsules(&forward)
        .filter(|capsule| capsule.link > 0)
        .map(|capsule| shape.clearance(&capsule))
        .fold(f64::INFINITY, f64::min)
}

fn tool(rig: &Rig) -> Vector3<f64> {
    chain()
        .forward(&rig.gate.given().position_rad)
        .tool
        .translation
        .vector
}

/// Full speed at a zone of each shape: the arm comes near, and not nearer than its margin.
#[test]
fn no_shape_is_entered() {
    // In the way of the tool as the base turns.
    let hull = [
        [0.28, 0.28, 0.0],
        [0.48, 0.28, 0.0],
        [0.28, 0.48, 0.0],
        [0.36, 0.36, 0.7],
    ];
    let shapes = [
        ZoneShape::Cylinder(Cylinder {
            base: Point::new(0.38, 0.38, 0.0),
            radius_m: 0.08,
            height_m: 0.6,
        }),
        ZoneShape::Hull(Hull::new(&hull.map(Point::from)).expect("a hull")),
        ZoneShape::Box(Aabb {
            min: Point::new(0.3, 0.3, 0.0),
            max: Point::new(0.45, 0.45, 0.6),
        }),
    ];
    for shape in shapes {
        let mut c = empty();
        c.zones.push(zone(shape.clone(), None));
        let margin = c.tracking_margin_m - 1e-3;
        let mut rig = Rig::ready_with(c);
        let mut target = HOME;
        target[0] = 1.6;
        let mut least = f64::INFINITY;
        let met = go(&mut rig, HARD, &target, 2_000, LimitKind::Zone, |rig| {
            least = least.min(clearance(rig, &shape));
        });
        assert!(met, "{shape:?} was never met");
        assert!(
            (margin - 1e-9..margin + 0.01).contains(&least),
            "{shape:?}: {least}"
        );
        let met = go(&mut rig, GENTLE, &HOME, 4_000, LimitKind::None, |_| {});
        let end = rig.gate.given().position_rad;
        assert!((end[0] - HOME[0]).abs() < 0.01, "stuck at {end:?}, {met}");
    }
}

/// A slow zone is entered, and never faster than it says: not when braking into it either.
#[test]
fn a_slow_zone_slows_and_lets_through() {
    let shape = ZoneShape::Box(Aabb {
        min: Point::new(-1.0, 0.25, 0.0),
        max: Point::new(1.0, 1.0, 1.0),
    });
    for allowed in [0.1, 0.3] {
        let mut c = empty();
        c.zones.push(zone(shape.clone(), Some(allowed)));
        let mut rig = Rig::ready_with(c);
        let mut target = HOME;
        target[0] = 2.6;
        let mut last = tool(&rig);
        let (mut inside, mut fastest_outside, mut fastest_inside) = (0, 0.0_f64, 0.0_f64);
        let met = go(&mut rig, HARD, &target, 1_500, LimitKind::SlowZone, |rig| {
            let now = tool(rig);
            let speed = (now - last).norm() / 1e-3;
            last = now;
            if clearance(rig, &shape) < 0.0 {
                inside += 1;
                fastest_inside = fastest_inside.max(speed);
                assert!(speed <= allowed + 1e-9, "{speed} m/s inside");
            } else {
                fastest_outside = fastest_outside.max(speed);
            }
        });
        assert!(met && inside > 300, "{met}, {inside} ticks inside");
        assert!(fastest_outside > 0.5, "{fastest_outside}");
        assert!(fastest_inside > 0.8 * allowed, "{fastest_inside}");
        // A planned motion gets through at nearly that speed.
        rig.brake();
        let before = tool(&rig);
        let ticks = 1_000;
        go(&mut rig, GENTLE, &target, ticks, LimitKind::None, |_| {});
        let mean = (tool(&rig) - before).norm() / (ticks as f64 * 1e-3);
        assert!(mean > 0.5 * allowed, "{mean} of {allowed}");
    }
}

/// Distance of the nearest pair of links that are compared.
fn self_distance(q: &JointVector) -> f64 {
    let chain = chain();
    let forward = chain.forward(q);
    let placed: Vec<_> = chain.place_capsules(&forward).collect();
    let ignored = config().self_collision.expect("compared").ignored;
    let mut least = f64::INFINITY;
    for a in &placed {
        for b in &placed {
            let neighbours = b.link.min(JOINTS) < a.link.min(JOINTS) + 2;
            if !neighbours && !ignored.contains(&[a.link, b.link]) {
                let between = distance_between_segments(&a.a, &a.b, &b.a, &b.b);
                least = least.min(between - a.radius_m - b.radius_m);
            }
        }
    }
    least
}

/// The hand is driven into the base and the upper arm from several sides.
#[test]
fn links_keep_off_each_other() {
    let mut c = empty();
    c.self_collision = config().self_collision;
    for target in [
        [0.0, 1.9, 0.0, 2.7, 0.0, 2.3, 0.0],
        [0.0, -1.6, 0.0, 2.7, 0.0, 1.5, 0.0],
        [2.0, 1.2, 2.8, 2.7, 1.0, 2.0, 1.0],
        [0.0, 0.3, 0.0, 2.7, 3.1, 2.3, 0.0],
    ] {
        let mut rig = Rig::ready_with(c.clone());
        let mut least = f64::INFINITY;
        go(
            &mut rig,
            HARD,
            &target,
            2_500,
            LimitKind::SelfCollision,
            |rig| {
                least = least.min(self_distance(&rig.gate.given().position_rad));
            },
        );
        assert!(least >= 0.005, "{target:?}: {least}");
    }
    // One of them is met for sure.
    let mut rig = Rig::ready_with(c);
    let target = [0.0, 1.9, 0.0, 2.7, 0.0, 2.3, 0.0];
    assert!(go(
        &mut rig,
        HARD,
        &target,
        2_500,
        LimitKind::SelfCollision,
        |_| {}
    ));
}

#[test]
fn the_tool_stays_in_its_cone() {
    let mut c = empty();
    let half_angle_rad = 0.3;
    c.cone = Some(Cone {
        axis: [0.0, 0.0, -1.0],
        half_angle_rad,
    });
    let mut rig = Rig::ready_with(c);
    let tilt = |rig: &Rig| {
        let forward = chain().forward(&rig.gate.given().position_rad);
        (forward.tool.rotation * Vector3::z()).angle(&-Vector3::z())
    };
    assert!(tilt(&rig) < 0.01, "home points down");
    let mut target = HOME;
    target[5] = 2.2;
    let mut most = 0.0_f64;
    let met = go(
        &mut rig,
        HARD,
        &target,
        1_500,
        LimitKind::Orientation,
        |rig| {
            most = most.max(tilt(rig));
        },
    );
    assert!(met);
    assert!(
        (0.29..=half_angle_rad + 1e-3 + 1e-9).contains(&most),
        "{most}"
    );
    go(&mut rig, GENTLE, &HOME, 3_000, LimitKind::None, |_| {});
    assert!(tilt(&rig) < 0.02, "it came back: {}", tilt(&rig));
}

/// The elbow has a limit of its own, and the tips of the gripper have the tool's.
#[test]
fn elbow_and_tips_are_limited_too() {
    let mut c = empty();
    c.elbow_speed_max_m_s = 0.15;
    let mut rig = Rig::ready_with(c);
    let elbow = |rig: &Rig| {
        let forward = chain().forward(&rig.gate.given().position_rad);
        forward.links[3].translation.vector
    };
    let mut last = elbow(&rig);
    let mut fastest = 0.0_f64;
    let mut target = HOME;
    target[1] = 1.2;
    let met = go(
        &mut rig,
        HARD,
        &target,
        3_000,
        LimitKind::ToolSpeed,
        |rig| {
            let now = elbow(rig);
            fastest = fastest.max((now - last).norm() / 1e-3);
            last = now;
        },
    );
    assert!(met);
    assert!((0.1..=0.15 + 1e-9).contains(&fastest), "{fastest}");

    // Turning the hand alone: the tool point stands, the tips don't.
    let mut c = empty();
    c.tool_speed_max_m_s = 0.05;
    c.reduced.speed_max_m_s = 0.05;
    c.recovery.speed_max_m_s = 0.05;
    let mut rig = Rig::ready_with(c);
    let tip = |rig: &Rig| {
        let forward = chain().forward(&rig.gate.given().position_rad);
        forward.hand * Point::new(0.0, 0.047, 0.1135)
    };
    let mut last = tip(&rig);
    let mut fastest = 0.0_f64;
    let mut target = HOME;
    target[6] = 2.0;
    go(
        &mut rig,
        HARD,
        &target,
        3_000,
        LimitKind::ToolSpeed,
        |rig| {
            let now = tip(rig);
            fastest = fastest.max((now - last).norm() / 1e-3);
            last = now;
        },
    );
    assert!((0.03..=0.05 + 1e-9).contains(&fastest), "{fastest}");
}

/// Joints that brake each by itself: the tool may be faster on the stop than before it. The gate knows.
#[test]
fn the_stop_itself_keeps_the_tool_speed() {
    let mut stream = crate::rig::Stream(77);
    let c = SafetyConfig {
        tool_speed_max_m_s: 0.6,
        ..empty()
    };
    let mut rig = Rig::ready_with(c.clone());
    let mut before = rig.gate.given().position_rad;
    let mut fastest = 0.0_f64;
    let mut target = stream.joints(&c);
    for tick in 0..6_000 {
        if tick % 300 == 0 {
            target = stream.joints(&c);
        }
        let given = *rig.gate.given();
        let u = HARD.toward(&given, &before, &target);
        before = given.position_rad;
        let (_, verdict) = rig.step(&u, None);
        if tick % 41 == 0 {
            let mut copy = rig.clone();
            copy.requests.stop_hold += 1;
            let mut last = tool(&copy);
            while copy.hold().1.kind == VerdictKind::Stop {
                let now = tool(&copy);
                let speed = (now - last).norm() / 1e-3;
                last = now;
                fastest = fastest.max(speed);
                assert!(speed <= 0.6 + 1e-9, "{speed} on the stop, {verdict:?}");
                if copy.gate.given().velocity_rad_s == [0.0; JOINTS] {
                    break;
                }
            }
        }
    }
    assert!(fastest > 0.3, "{fastest}");
}

/// What the hand carries is part of the arm: it keeps off, and what does not fit is not taken.
#[test]
fn what_is_carried_keeps_off_too() {
    let wall = ZoneShape::Box(Aabb {
        min: Point::new(-1.0, 0.45, -1.0),
        max: Point::new(1.0, 1.0, 1.0),
    });
    let mut c = empty();
    c.zones.push(zone(wall.clone(), None));
    let rod = Payload {
        mass_kg: 0.5,
        com_m: [0.0, 0.0, 0.12],
        a_m: [-0.15, 0.0, 0.12],
        b_m: [0.15, 0.0, 0.12],
        radius_m: 0.02,
    };
    let carried = |rig: &Rig| {
        let hand = chain().forward(&rig.gate.given().position_rad).hand;
        wall.clearance(&PlacedCapsule {
            link: HAND,
            a: hand * Point::from(rod.a_m),
            b: hand * Point::from(rod.b_m),
            radius_m: rod.radius_m,
        })
    };
    let mut target = HOME;
    target[0] = 1.4;
    for with in [false, true] {
        let mut rig = Rig::ready_with(c.clone());
        assert!(!with || rig.gate.carry(&rod));
        let mut least = f64::INFINITY;
        let straight = Eager {
            straight: true,
            ..HARD
        };
        let met = go(&mut rig, straight, &target, 2_000, LimitKind::Zone, |rig| {
            least = least.min(carried(rig));
        });
        assert!(met);
        // Without it on record the rod would have gone into the wall.
        let kept = least >= c.tracking_margin_m - 1e-3 - 1e-9;
        assert_eq!(kept, with, "{least}");
        if !with {
            // Taken up there it does not fit: the robot holds until it is put down.
            rig.brake();
            assert!(!rig.gate.carry(&rod));
            let verdict = rig.hold().1;
            assert_eq!(
                (verdict.kind, verdict.limit),
                (VerdictKind::Stop, LimitKind::Payload)
            );
            assert!(rig.gate.carry(&Payload::NONE));
            let held = go(&mut rig, GENTLE, &HOME, 3_000, LimitKind::Payload, |_| {});
            assert!(!held);
        }
    }
    let mut rig = Rig::ready_with(c);
    for odd in [
        Payload {
            mass_kg: f64::NAN,
            ..rod
        },
        Payload {
            mass_kg: -1.0,
            ..rod
        },
        Payload {
            radius_m: -0.1,
            ..rod
        },
        Payload {
            a_m: [0.0, f64::INFINITY, 0.0],
            ..rod
        },
    ] {
        assert!(!rig.gate.carry(&odd), "{odd:?}");
        assert_eq!(rig.hold().1.limit, LimitKind::Payload);
    }
}

/// As many capsules as an arm may have, and a load: those that lie in others change nothing.
#[test]
fn an_arm_of_as_many_parts_as_there_can_be_is_checked_as_any_other() {
    let few = chain();
    let mut capsules = few.capsules().to_vec();
    let hand = capsules.iter().rposition(|capsule| capsule.link == HAND);
    let finger = capsules[hand.expect("a finger")];
    capsules.resize(CAPSULES_MAX, finger);
    let many = Chain::new(
        *few.joints(),
        *few.hand(),
        *few.tool_in_hand(),
        &capsules,
        HOME,
    )
    .expect("as many as there can be")
    .with_masses(*few.masses().expect("masses"));
    let wall = ZoneShape::Box(Aabb {
        min: Point::new(-1.0, 0.45, -1.0),
        max: Point::new(1.0, 1.0, 1.0),
    });
    let mut c = full();
    c.zones.push(zone(wall, None));
    let rod = Payload {
        mass_kg: 0.5,
        com_m: [0.0, 0.0, 0.12],
        a_m: [-0.05, 0.0, 0.12],
        b_m: [0.05, 0.0, 0.12],
        radius_m: 0.02,
    };
    let moves = |chain: Chain| {
        let mut rig = Rig::booted(c.clone());
        rig.gate = Gate::new(SafetyLimits::new(c.clone()).expect("valid"), chain);
        rig.scanner_sees = true;
        rig.frame.gripper_force_n = 20.0;
        rig.hold();
        rig.reset();
        rig.hold();
        assert!(rig.gate.carry(&rod));
        let mut target = HOME;
        target[0] = 1.4;
        let mut given = Vec::new();
        let met = go(&mut rig, GENTLE, &target, 3_000, LimitKind::Zone, |rig| {
            given.push(rig.gate.given().position_rad);
        });
        assert!(met);
        given
    };
    assert_eq!(moves(many), moves(few));
}

/// More in the way than a tick can look at: the robot brakes, for that reason, and what is left out is never passed.
#[test]
fn what_a_tick_cannot_look_at_is_refused() {
    // Hulls of thirty points each, all around the whole arm: slow zones, since an arm may stand in them.
    let corner = |n: usize| {
        let (turn, height) = (n as f64 * 2.4, n as f64 / 14.5 - 1.0);
        let flat = (1.0 - height * height).sqrt();
        Point::new(0.5 + flat * turn.cos(), flat * turn.sin(), 0.5 + height)
    };
    let hull = |n: usize| {
        let shift = Vector3::repeat(1e-4 * n as f64);
        let corners: Vec<Point> = (0..30).map(|k| corner(k) + shift).collect();
        ZoneShape::Hull(Hull::new(&corners).expect("a ball has a hull"))
    };
    let crowded = |zones: usize| SafetyConfig {
        zones: (0..zones).map(|n| zone(hull(n), Some(0.3))).collect(),
        ..empty()
    };
    let first_step = |config: SafetyConfig| {
        let mut rig = Rig::ready_with(config);
        let mut u = rig.here();
        u.position_rad[0] += 1e-6;
        u.velocity_rad_s[0] = 1e-3;
        u.acceleration_rad_s2[0] = 1.0;
        rig.step(&u, None).1
    };
    assert_eq!(first_step(crowded(2)).kind, VerdictKind::Pass);
    let verdict = first_step(crowded(900));
    assert_eq!(
        (verdict.kind, verdict.limit, verdict.scale),
        (VerdictKind::Limited, LimitKind::Configuration, 0.0)
    );
}
