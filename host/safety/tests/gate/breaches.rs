//! What a standing robot breaks, by name, link and depth.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, PlacedCapsule, Point};
use sinew_messages::{JointVector, LimitKind};
use sinew_safety::{Breach, Cone, SafetyConfig, SafetyLimits, Zone, ZoneShape, breaches, too_near};

use crate::rig::{HOME, chain, config};

/// An envelope without zones, so wide that nothing is near it.
fn open_space() -> SafetyConfig {
    SafetyConfig {
        zones: Vec::new(),
        envelope_min_m: [-5.0; 3],
        envelope_max_m: [5.0; 3],
        ..config()
    }
}

fn found(c: SafetyConfig, q: &JointVector) -> Vec<Breach> {
    breaches(&chain(), &SafetyLimits::new(c).expect("valid"), q)
}

fn near(c: SafetyConfig, q: &JointVector) -> Vec<Breach> {
    too_near(&chain(), &SafetyLimits::new(c).expect("valid"), q)
}

/// The one breach, with a depth that is about this.
fn assert_one(found: &[Breach], limit: LimitKind, index: Option<u32>, link: usize, depth: f64) {
    let [breach] = found else {
        panic!("{found:?}");
    };
    assert_eq!(
        (breach.limit, breach.index, breach.link),
        (limit, index, link)
    );
    assert!(
        (breach.depth - depth).abs() < 1e-9,
        "{breach:?} for {depth}"
    );
}

/// The links that move, at home.
fn links() -> Vec<PlacedCapsule> {
    let chain = chain();
    let forward = chain.forward(&HOME);
    (chain.place_capsules(&forward))
        .filter(|capsule| capsule.link > 0)
        .collect()
}

#[test]
fn a_joint_is_told_with_how_far_it_is_outside() {
    assert!(found(open_space(), &HOME).is_empty());
    let mut c = open_space();
    (c.position_min_rad[1], c.position_max_rad[5]) = (HOME[1] + 0.1, HOME[5] - 0.2);
    let both = found(c, &HOME);
    assert_one(&both[..1], LimitKind::Position, Some(1), 0, 0.1);
    assert_one(&both[1..], LimitKind::Position, Some(5), 0, 0.2);
    // At a limit is inside.
    let mut c = open_space();
    (c.position_min_rad[1], c.position_max_rad[5]) = (HOME[1], HOME[5]);
    assert!(found(c, &HOME).is_empty());
}

#[test]
fn a_side_of_the_envelope_is_told_with_the_link_that_is_deepest() {
    let links = links();
    for axis in 0..3 {
        let (mut c, mut lower) = (open_space(), open_space());
        let high = |n: &PlacedCapsule| n.a[axis].max(n.b[axis]) + n.radius_m;
        let farthest = (links.iter())
            .max_by(|a, b| high(a).total_cmp(&high(b)))
            .expect("links");
        c.envelope_max_m[axis] = high(farthest) - 0.02;
        let breaches = found(c.clone(), &HOME);
        assert_one(
            &breaches,
            LimitKind::Envelope,
            Some(axis as u32),
            farthest.link,
            0.02,
        );
        assert!(near(c.clone(), &HOME).is_empty(), "it is in it");
        c.envelope_max_m[axis] = high(farthest) + 0.01;
        assert!(found(c.clone(), &HOME).is_empty());
        assert_one(
            &near(c, &HOME),
            LimitKind::Envelope,
            Some(axis as u32),
            farthest.link,
            -0.01,
        );
        let low = |n: &PlacedCapsule| n.a[axis].min(n.b[axis]) - n.radius_m;
        let lowest = (links.iter())
            .min_by(|a, b| low(a).total_cmp(&low(b)))
            .expect("links");
        lower.envelope_min_m[axis] = low(lowest) + 0.03;
        let breaches = found(lower, &HOME);
        assert_one(
            &breaches,
            LimitKind::Envelope,
            Some(axis as u32),
            lowest.link,
            0.03,
        );
    }
}

#[test]
fn what_keeps_the_margin_to_the_last_bit_is_not_too_near() {
    let mut c = open_space();
    let high = |n: &PlacedCapsule| n.a.z.max(n.b.z) + n.radius_m;
    c.envelope_max_m[2] = links().iter().map(high).fold(0.0, f64::max) + 0.004;
    c.tracking_margin_m = 0.006;
    let [Breach { depth, .. }] = near(c.clone(), &HOME)[..] else {
        panic!("one is near");
    };
    c.tracking_margin_m = -depth;
    assert_eq!(near(c.clone(), &HOME), []);
    c.tracking_margin_m = c.tracking_margin_m.next_up();
    assert_eq!(near(c, &HOME).len(), 1);
}

#[test]
fn a_zone_is_told_by_its_number_and_a_slow_one_is_none() {
    let hand = links().into_iter().next_back().expect("a finger");
    let tip = if hand.a.z < hand.b.z { hand.a } else { hand.b };
    // Below the fingers, which reach this deep into it.
    let below = |depth: f64| {
        let top = tip.z - hand.radius_m + depth;
        ZoneShape::Box(Aabb {
            min: Point::new(tip.x - 0.2, tip.y - 0.2, top - 0.05),
            max: Point::new(tip.x + 0.2, tip.y + 0.2, top),
        })
    };
    let with = |depth: f64, speed_max_m_s: Option<f64>| {
        let zone = |name: &str, shape, speed_max_m_s| Zone {
            name: name.into(),
            shape,
            speed_max_m_s,
        };
        let elsewhere = ZoneShape::Box(Aabb {
            min: Point::from(Vector3::repeat(2.0)),
            max: Point::from(Vector3::repeat(2.1)),
        });
        SafetyConfig {
            zones: vec![
                zone("elsewhere", elsewhere, None),
                zone("below", below(depth), speed_max_m_s),
            ],
            ..open_space()
        }
    };
    assert_one(
        &found(with(0.004, None), &HOME),
        LimitKind::Zone,
        Some(1),
        hand.link,
        0.004,
    );
    assert!(found(with(0.004, Some(0.2)), &HOME).is_empty());
    assert!(near(with(0.004, None), &HOME).is_empty());
    assert_one(
        &near(with(-0.004, None), &HOME),
        LimitKind::Zone,
        Some(1),
        hand.link,
        -0.004,
    );
    assert!(
        near(with(-0.016, None), &HOME).is_empty(),
        "farther than the margin"
    );
}

#[test]
fn links_that_touch_and_a_tool_that_leans_are_told_where_nothing_else_is() {
    let mut folded = HOME;
    (folded[1], folded[3], folded[5]) = (-0.9, 2.69, -0.1);
    let told = found(open_space(), &folded);
    let [breach] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        (breach.limit, breach.index),
        (LimitKind::SelfCollision, None)
    );
    assert!(breach.link > 3 && breach.depth > 0.0, "{breach:?}");

    let axis = chain().forward(&HOME).tool.rotation * Vector3::z();
    let across = axis.cross(&Vector3::x()).normalize();
    let c = SafetyConfig {
        cone: Some(Cone {
            axis: across.into(),
            half_angle_rad: 1.0,
        }),
        ..open_space()
    };
    let lean = core::f64::consts::FRAC_PI_2 - 1.0;
    assert_one(&found(c, &HOME), LimitKind::Orientation, None, 0, lean);
}
