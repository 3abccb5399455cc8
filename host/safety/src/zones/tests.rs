//! The search against looking at every zone, and what it costs.

use proptest::prelude::*;
use sinew_kinematics::Point;

use super::*;

fn point() -> impl Strategy<Value = Point> {
    (-2.0..2.0_f64, -2.0..2.0_f64, -2.0..2.0_f64).prop_map(|(x, y, z)| Point::new(x, y, z))
}

fn shape() -> impl Strategy<Value = ZoneShape> {
    let size = || 0.05..0.8_f64;
    prop_oneof![
        (point(), size(), size(), size()).prop_map(|(min, x, y, z)| ZoneShape::Box(Aabb {
            min,
            max: min + Vector3::new(x, y, z),
        })),
        (point(), size(), size()).prop_map(|(base, radius_m, height_m)| {
            ZoneShape::Cylinder(Cylinder {
                base,
                radius_m,
                height_m,
            })
        }),
        (point(), size(), size(), size()).prop_map(|(p, x, y, z)| {
            let corners = [
                p,
                p + Vector3::x() * x,
                p + Vector3::y() * y,
                p + Vector3::z() * z,
            ];
            ZoneShape::Hull(Hull::new(&corners).expect("a corner has a hull"))
        }),
        (point(), -4.0..-2.0_f64).prop_map(|(normal, offset_m)| {
            let normal = (normal.coords + Vector3::new(0.0, 0.0, 3.0)).normalize();
            ZoneShape::HalfSpace(HalfSpace { normal, offset_m })
        }),
    ]
}

proptest! {
    /// The tree finds what looking at every zone finds.
    #[test]
    fn the_tree_finds_the_nearest(
        shapes in prop::collection::vec(shape(), 0..60),
        a in point(),
        b in point(),
        radius_m in 0.01..0.1_f64,
    ) {
        let zones: Vec<Zone> = shapes
            .into_iter()
            .enumerate()
            .map(|(n, shape)| Zone {
                name: format!("z{n}"),
                shape,
                speed_max_m_s: (n % 3 == 0).then_some(0.2),
            })
            .collect();
        let capsule = PlacedCapsule { link: 3, a, b, radius_m };
        for slow in [false, true] {
            let which = |zone: &Zone| zone.speed_max_m_s.is_some() == slow;
            let index = ZoneIndex::new(&zones, which);
            let (clearance, zone) = index.nearest(&capsule, f64::INFINITY, f64::INFINITY, &mut Work::ENDLESS.clone());
            let by_hand = zones
                .iter()
                .filter(|zone| which(zone))
                .map(|zone| zone.shape.clearance(&capsule))
                .fold(f64::INFINITY, f64::min);
            prop_assert!(clearance == by_hand || (clearance - by_hand).abs() < 1e-12);
            match zone {
                Some(zone) => {
                    let zone = &zones[zone as usize];
                    prop_assert_eq!(zone.shape.clearance(&capsule), clearance);
                    prop_assert_eq!(zone.speed_max_m_s.is_some(), slow);
                }
                None => prop_assert!(index.is_empty()),
            }
            // What is known to be nearer already stays.
            let (kept, none) = index.nearest(&capsule, clearance.min(1e3) - 1e-3, f64::INFINITY, &mut Work::ENDLESS.clone());
            prop_assert_eq!((kept, none), (clearance.min(1e3) - 1e-3, None));
        }
    }
}

#[test]
fn a_thousand_zones_fit_into_the_search() {
    let zones: Vec<Zone> = (0..ZONES_MAX)
        .map(|n| Zone {
            name: format!("z{n}"),
            // All alike: the worst that can be done to a tree that is halved by the middle.
            shape: ZoneShape::Box(Aabb {
                min: Point::new(1.0, 1.0, 1.0),
                max: Point::new(2.0, 2.0, 2.0),
            }),
            speed_max_m_s: None,
        })
        .collect();
    let index = ZoneIndex::new(&zones, |_| true);
    let capsule = PlacedCapsule {
        link: 1,
        a: Point::new(1.5, 1.5, 1.2),
        b: Point::new(1.5, 1.5, 1.8),
        radius_m: 0.1,
    };
    let (clearance, _) = index.nearest(
        &capsule,
        f64::INFINITY,
        f64::INFINITY,
        &mut Work::ENDLESS.clone(),
    );
    assert!((clearance + 0.6).abs() < 1e-5, "{clearance}");
}

fn capsule(a: [f64; 3], b: [f64; 3], radius_m: f64) -> PlacedCapsule {
    PlacedCapsule {
        link: 3,
        a: Point::from(a),
        b: Point::from(b),
        radius_m,
    }
}

fn cube(min: [f64; 3], side: f64) -> ZoneShape {
    ZoneShape::Box(Aabb {
        min: Point::from(min),
        max: Point::from(min) + Vector3::repeat(side),
    })
}

fn cylinder() -> ZoneShape {
    ZoneShape::Cylinder(Cylinder {
        base: Point::new(1.0, 2.0, 3.0),
        radius_m: 0.5,
        height_m: 2.0,
    })
}

fn hull() -> ZoneShape {
    let corners = [[0.0; 3], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]].map(Point::from);
    ZoneShape::Hull(Hull::new(&corners).expect("a corner has a hull"))
}

fn below() -> ZoneShape {
    ZoneShape::HalfSpace(HalfSpace {
        normal: Vector3::z(),
        offset_m: -1.0,
    })
}

fn zones(shapes: impl IntoIterator<Item = (ZoneShape, Option<f64>)>) -> Vec<Zone> {
    let shapes = shapes.into_iter().enumerate();
    shapes
        .map(|(n, (shape, speed_max_m_s))| Zone {
            name: format!("z{n}"),
            shape,
            speed_max_m_s,
        })
        .collect()
}

/// What is left of a tick's work after that.
fn left(look: impl FnOnce(&mut Work)) -> u32 {
    let mut work = Work::TICK;
    look(&mut work);
    let mut left = 0;
    while work.spend(1) {
        left += 1;
    }
    left
}

fn spent(look: impl FnOnce(&mut Work)) -> u32 {
    left(|_| ()) - left(look)
}

fn within(index: &ZoneIndex, capsule: &PlacedCapsule, most: f64, speed: f64) -> Vec<(usize, f64)> {
    let mut found = Vec::new();
    let mut work = Work::ENDLESS;
    index.within(capsule, most, speed, &mut work, |place, clearance| {
        found.push((place, clearance));
    });
    found.sort_by_key(|(place, _)| *place);
    found
}

#[test]
fn each_shape_has_its_box_and_its_work() {
    let bounds = |shape: &ZoneShape| {
        let bounds = shape.bounds()?;
        Some((bounds.min, bounds.max))
    };
    let point = Point::new;
    assert_eq!(
        bounds(&cube([1.0, 2.0, 3.0], 1.0)),
        Some((point(1.0, 2.0, 3.0), point(2.0, 3.0, 4.0)))
    );
    assert_eq!(
        bounds(&cylinder()),
        Some((point(0.5, 1.5, 3.0), point(1.5, 2.5, 5.0)))
    );
    assert_eq!(
        bounds(&hull()),
        Some((point(0.0, 0.0, 0.0), point(2.0, 2.0, 2.0)))
    );
    assert_eq!(bounds(&below()), None);
    // Four faces.
    let work = [cube([0.0; 3], 1.0), cylinder(), below(), hull()].map(|shape| shape.work());
    assert_eq!(work, [1, 1, 1, 3]);
}

#[test]
fn who_is_deep_in_a_shape_is_told_how_deep() {
    let inside = capsule([1.0, 2.0, 4.0], [1.0, 2.0, 4.1], 0.05);
    assert!((cylinder().clearance(&inside) + 0.55).abs() < 1e-3);
    let inside = capsule([0.4, 0.4, 0.4], [0.41, 0.4, 0.4], 0.05);
    assert!(hull().clearance(&inside) < -0.4);
}

#[test]
fn boxes_are_apart_across_corners() {
    let from = |min: [f64; 3]| Aabb {
        min: Point::from(min),
        max: Point::from(min) + Vector3::repeat(1.0),
    };
    let here = from([0.0; 3]);
    for (min, apart) in [
        ([0.5, 0.5, 0.5], 0.0),
        ([0.0, 3.0, 0.0], 2.0),
        ([-3.0, 0.5, 0.0], 2.0),
        ([2.0, 3.0, 3.0], 3.0),
        ([-2.0, -3.0, -3.0], 3.0),
    ] {
        assert_eq!(gap(&here, &from(min)), apart);
        assert_eq!(gap(&from(min), &here), apart);
    }
}

#[test]
fn speeds_are_listed_once_and_in_order() {
    let with = |speed| (cube([0.0; 3], 1.0), speed);
    let zones = zones(
        [0.3, 0.1, 0.3, 0.2]
            .map(|speed| with(Some(speed)))
            .into_iter()
            .chain([with(None)]),
    );
    assert_eq!(slow_speeds(&zones), [0.1, 0.2, 0.3]);
}

#[test]
fn what_allows_the_speed_does_not_count() {
    let zones = zones([
        (cube([0.0; 3], 1.0), Some(0.2)),
        (cube([2.0, 0.0, 0.0], 1.0), Some(0.4)),
        (below(), Some(0.2)),
        (cube([9.0, 0.0, 0.0], 1.0), None),
    ]);
    let slow = ZoneIndex::new(&zones, |zone| zone.speed_max_m_s.is_some());
    let forbidden = ZoneIndex::new(&zones, |zone| zone.speed_max_m_s.is_none());
    assert_eq!((slow.number(2), forbidden.number(0)), (2, 3));
    let near = capsule([1.3, 0.5, 0.5], [1.4, 0.5, 0.5], 0.1);
    let nearest = |index: &ZoneIndex, speed| {
        let (clearance, zone) = index.nearest(&near, f64::INFINITY, speed, &mut Work::TICK.clone());
        (zone, (clearance * 1e6).round() / 1e6)
    };
    assert_eq!(nearest(&slow, 0.41), (Some(0), 0.2));
    assert_eq!(nearest(&slow, 0.21), (Some(0), 0.2));
    assert_eq!(nearest(&slow, 0.2), (None, f64::INFINITY));
    assert_eq!(nearest(&forbidden, 9.0), (Some(3), 7.5));
    let places = |speed| -> Vec<usize> {
        let found = within(&slow, &near, 9.0, speed);
        found.iter().map(|(place, _)| *place).collect()
    };
    assert_eq!(places(0.41), [0, 1, 2]);
    assert_eq!(places(0.4), [0, 2]);
    assert_eq!(places(0.2), []);
}

/// Where the cube with a number stands: not in their order.
fn stands(n: u32) -> f64 {
    2.0 * f64::from(n * 37 % 512) - 511.0
}

/// 512 cubes in a row, one unit apart.
fn row() -> ZoneIndex {
    let zones = zones((0..512).map(|n| (cube([stands(n), 0.0, 0.0], 1.0), None)));
    ZoneIndex::new(&zones, |_| true)
}

#[test]
fn far_branches_are_not_looked_into() {
    let row = row();
    // Two nodes a level at most, and few leaves.
    for n in [0, 1, 200, 255, 256, 511] {
        let x = stands(n) + 0.4;
        let above = capsule([x, 0.5, 1.2], [x + 0.2, 0.5, 1.2], 0.1);
        let nearest = |work: &mut Work| {
            let found = row.nearest(&above, f64::INFINITY, 0.0, work);
            assert!((found.0 - 0.1).abs() < 1e-6 && found.1 == Some(n));
        };
        let cost = spent(nearest);
        assert!(cost <= 20, "{n}: {cost}");
        // Where something nearer is known, only the root is looked at.
        assert_eq!(
            spent(|work| {
                _ = row.nearest(&above, 0.05, 0.0, work);
            }),
            1
        );
        // Of what is farther than that nothing is handed out.
        let most = 0.2;
        let cost = spent(|work| {
            row.within(&above, most, 0.0, work, |place, _| {
                assert_eq!(place, n as usize)
            })
        });
        assert!(cost <= 20, "{n}: {cost}");
        assert_eq!(
            spent(|work| row.within(&above, 0.09, 0.0, work, |_, _| panic!("it is farther"))),
            1
        );
        assert_eq!(within(&row, &above, 0.11, 0.0).len(), 1);
        assert_eq!(within(&row, &above, 0.09, 0.0), []);
    }
    let above = capsule([401.4, 0.5, 1.2], [401.6, 0.5, 1.2], 0.1);
    let exactly = within(&row, &above, 0.2, 0.0)[0].1;
    assert_eq!(within(&row, &above, exactly, 0.0), []);
    assert_eq!(
        row.nearest(&above, exactly, 0.0, &mut Work::TICK.clone()),
        (exactly, None)
    );
    // What one is in is found, however near another one's box is.
    let inside = capsule([401.4, 0.5, 0.5], [401.6, 0.5, 0.5], 0.1);
    assert_eq!(within(&row, &inside, -0.3, 0.0).len(), 1);
    let exactly = within(&row, &inside, 0.2, 0.0)[0].1;
    assert_eq!(within(&row, &inside, exactly, 0.0), []);
    let found = row.nearest(&inside, exactly, 0.0, &mut Work::TICK.clone());
    assert_eq!(found, (exactly, None));
}

#[test]
fn without_work_anything_could_be_anywhere() {
    let row = row();
    let above = capsule([401.4, 0.5, 1.2], [401.6, 0.5, 1.2], 0.1);
    let with = |have: u32| {
        let mut work = Work::TICK;
        work.spend(left(|_| ()) - have);
        work
    };
    let needs = spent(|work| {
        _ = row.nearest(&above, f64::INFINITY, 0.0, work);
    });
    for have in 0..needs {
        let (clearance, _) = row.nearest(&above, f64::INFINITY, 0.0, &mut with(have));
        assert_eq!(clearance, f64::NEG_INFINITY, "{have} of {needs}");
    }
    let found = row.nearest(&above, f64::INFINITY, 0.0, &mut with(needs));
    assert!(found.0 > 0.0);
    // Who has looked at all that there was work for is told so by the work.
    let needs = spent(|work| row.within(&above, 0.2, 0.0, work, |_, _| ()));
    for have in 0..needs {
        let mut work = with(have);
        let mut found = 0;
        row.within(&above, 0.2, 0.0, &mut work, |_, _| found += 1);
        assert!(work.is_spent() && found <= 1, "{have} of {needs}");
    }
    // A half-space and a hull cost what they cost.
    let zones = zones([(below(), None), (hull(), None)]);
    let two = ZoneIndex::new(&zones, |_| true);
    let near = capsule([2.5, 0.0, 0.0], [2.5, 1.0, 0.0], 0.1);
    assert_eq!(
        spent(|work| {
            _ = two.clearance(0, &near, work);
        }),
        1
    );
    assert_eq!(
        spent(|work| {
            _ = two.clearance(1, &near, work);
        }),
        3
    );
    assert_eq!(
        spent(|work| {
            _ = two.nearest(&near, 99.0, 0.0, work);
        }),
        5
    );
    assert_eq!(
        spent(|work| two.within(&near, 99.0, 0.0, work, |_, _| ())),
        5
    );
}

proptest! {
    /// The tree hands out what looking at every zone finds.
    #[test]
    fn the_tree_finds_all_within(
        shapes in prop::collection::vec(shape(), 0..40),
        a in point(),
        b in point(),
        radius_m in 0.01..0.1_f64,
        most in -0.2..1.0_f64,
    ) {
        let zones = zones(shapes.into_iter().map(|shape| (shape, None)));
        let index = ZoneIndex::new(&zones, |_| true);
        let capsule = PlacedCapsule { link: 3, a, b, radius_m };
        let by_hand: Vec<(usize, f64)> = zones
            .iter()
            .map(|zone| zone.shape.clearance(&capsule))
            .enumerate()
            .filter(|(_, clearance)| *clearance < most)
            .collect();
        prop_assert_eq!(within(&index, &capsule, most, 1.0), by_hand);
    }
}
