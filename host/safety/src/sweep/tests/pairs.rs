//! Pairs of links.

use super::*;

#[test]
fn what_is_carried_is_paired_with_the_links_that_it_could_meet() {
    let config = config();
    let mut sweep = Sweep::new(arm(), &limits(&config));
    let of_arm = sweep.pairs.clone();
    let links = |pair: &Pair| [pair.near, pair.far].map(|body| sweep.capsule(body).link);
    assert!(of_arm.iter().map(links).all(|[near, far]| {
        near + 2 <= far.min(JOINTS) && ![[0, 2], [3, 5]].contains(&[near, far])
    }));
    // Of the links 0 to 5 with what is two links on and more, but for two.
    assert_eq!(of_arm.len(), 7 + 6 + 5 + 4 + 3 + 2 - 2);
    for _ in 0..2 {
        sweep.carry(Some(ROD), &config);
        let carried = &sweep.pairs[of_arm.len()..];
        assert_eq!(sweep.pairs[..of_arm.len()], of_arm);
        assert_eq!(carried.len(), 6);
        for (near, pair) in carried.iter().enumerate() {
            let lever = longest_levers(&arm(), &ROD);
            let off: f64 = lever[near..].iter().map(|lever| 0.01 * lever).sum();
            let need = 0.004 + off.min(2.0 * NEED_M);
            assert_eq!((pair.near, pair.far), (near, 9));
            assert!((pair.need - need).abs() < 1e-12, "{pair:?} for {need}");
        }
    }
    sweep.carry(None, &config);
    assert_eq!(sweep.pairs, of_arm);
}

#[test]
fn links_keep_off_each_other() {
    // The first joint between them turns the second pair alone.
    for upper in [
        capsule(2, [0.0; 3], [0.0, -0.2, 0.0], 0.02),
        capsule(3, [0.0; 3], [0.0, 0.0, 0.15], 0.02),
    ] {
        let hand = capsule(HAND, [0.0, 0.0, 0.0], [0.0, 0.0, 0.1], 0.02);
        let mut checked = carrying(None);
        checked.chain = plain::arm(&[upper, hand]);
        let margin = |forward: &Forward| apart(&upper.placed(forward), &hand.placed(forward));
        let met = is_kept(
            LimitKind::SelfCollision,
            &margin,
            &|farther_m, state, late| checked.check(&paired(-farther_m), state, late),
        );
        assert!(met > 3, "{met}");
    }
}

/// Links that keep that off each other, with next to no slack for errors.
fn paired(margin_m: f64) -> SafetyConfig {
    SafetyConfig {
        self_collision: Some(SelfCollision {
            margin_m,
            ignored: Vec::new(),
        }),
        following_error_max_rad: [1e-6; JOINTS],
        ..config()
    }
}

/// A pair is looked at finely from the distance on that the joints between it can close, and from no farther.
#[test]
fn a_pair_is_listed_where_the_joints_between_could_close_it() {
    let upper = capsule(2, [0.0; 3], [0.0, -0.2, 0.0], 0.02);
    let hand = capsule(HAND, [0.0, 0.0, 0.0], [0.0, 0.0, 0.1], 0.02);
    let chain = plain::arm(&[upper, hand]);
    let mut folded = [0.0; JOINTS];
    folded[3] = 2.2;
    let way = 0.02;
    let forward = chain.forward(&folded);
    let placed = hand.placed(&forward);
    let longest = longest_levers(&chain, &hand);
    let most: f64 = longest[2..].iter().map(|lever| lever * way).sum();
    let mut folded_in = 0;
    let reach: f64 = (2..JOINTS)
        .map(|j| {
            let origin = forward.links[j].translation.vector;
            let arm = |at: Point| forward.axes[j].cross(&(at.coords - origin)).norm();
            let lever = arm(placed.a).max(arm(placed.b));
            folded_in += u32::from(lever + 2.0 * most < longest[j]);
            (lever + most).min(longest[j]) * way
        })
        .sum();
    assert!(folded_in > 0, "it is not stretched out");
    let clearance = apart(&upper.placed(&forward), &placed);
    let slack = Sweep::new(chain.clone(), &limits(&paired(0.1))).pairs[0].need - 0.1;
    for (off, expected) in [(-1e-9, 0), (1e-9, 1)] {
        let config = paired(clearance - reach - slack + off);
        let mut sweep = Sweep::new(chain.clone(), &limits(&config));
        let items = items(&mut sweep, &Threats::NONE, &config, &folded, way);
        assert_eq!(items.len(), expected, "{items:?}");
    }
}

#[test]
fn links_that_touch_are_no_start() {
    let upper = capsule(2, [0.0; 3], [0.0, -0.2, 0.0], 0.02);
    let config = config();
    let q = motions()[41].q;
    let hand = |radius_m| capsule(HAND, [0.0, 0.0, 0.0], [0.0, 0.0, 0.1], radius_m);
    let forward = arm().forward(&q);
    let touching = 0.02 + apart(&upper.placed(&forward), &hand(0.02).placed(&forward));
    let start = |radius_m: f64| {
        let chain = plain::arm(&[upper, hand(radius_m)]);
        let mut sweep = Sweep::new(chain, &limits(&config));
        sweep.begin_tick();
        sweep
            .check_start(&q, &config)
            .map_err(|found| (found.limit, found.index))
    };
    assert_eq!(start(touching - 1e-9), Ok(()));
    assert_eq!(
        start(touching + 1e-9),
        Err((LimitKind::SelfCollision, Some(8)))
    );
}

#[test]
fn pairs_that_are_too_near_at_rest_are_named() {
    let upper = capsule(2, [0.0; 3], [0.0, -0.2, 0.0], 0.02);
    let hand = capsule(HAND, [0.0, 0.0, 0.0], [0.0, 0.0, 0.1], 0.02);
    let chain = plain::arm(&[upper, hand]);
    let forward = chain.forward(chain.rest());
    let clearance_m = apart(&upper.placed(&forward), &hand.placed(&forward));
    let slack = Sweep::new(chain.clone(), &limits(&paired(0.1))).pairs[0].need - 0.1;
    assert_eq!(close_at_rest(&chain, &alone()), []);
    assert_eq!(
        close_at_rest(&chain, &paired(clearance_m - slack - 1e-9)),
        []
    );
    let close = close_at_rest(&chain, &paired(clearance_m - slack + 1e-9));
    let need_m = clearance_m + 1e-9;
    assert_eq!(close.len(), 1);
    assert_eq!(
        (close[0].links, close[0].clearance_m),
        ([2, HAND], clearance_m)
    );
    assert!((close[0].need_m - need_m).abs() < 1e-12);
}
