//! The speeds of the arm's points and masses against stops that are gone through tick by tick.

use sinew_units::TICK_S;

use super::*;
use crate::plain;

/// Of the hand, its far end a good way from the tool's point.
const HANDLE: LinkCapsule = LinkCapsule {
    link: HAND,
    a: Point::new(0.0, 0.3, 0.0),
    b: Point::new(0.0, 0.0, 0.05),
    radius_m: 0.02,
};
/// A long rod in the hand.
const ROD: LinkCapsule = LinkCapsule {
    link: HAND,
    a: Point::new(-0.2, 0.0, 0.12),
    b: Point::new(0.4, 0.0, 0.12),
    radius_m: 0.02,
};
const LOAD: Body = Body {
    mass_kg: 2.0,
    com_m: [0.1, 0.0, 0.12],
    inertia_kg_m2: [0.01; 3],
};
const FREE: SpeedLimits = SpeedLimits {
    tool_m_s: f64::INFINITY,
    elbow_m_s: f64::INFINITY,
    contact_m_s: f64::INFINITY,
    momentum_kg_m_s: f64::INFINITY,
};

fn law() -> StopLaw {
    StopLaw::new(&[8.0; JOINTS], &[800.0; JOINTS])
}

/// Motions of every kind: some joints get faster, some slow down, some turn.
fn motions() -> Vec<ArmState> {
    let turn = |n: usize, k: usize| ((n * 37 + k * 61) as f64 * 0.7).sin();
    (0..40)
        .map(|n| ArmState {
            q: core::array::from_fn(|j| 1.5 * turn(n, j)),
            v: core::array::from_fn(|j| 2.0 * turn(n, j + 20)),
            a: core::array::from_fn(|j| 7.0 * turn(n, j + 40)),
        })
        .collect()
}

fn before(state: &ArmState) -> ArmState {
    let mut before = *state;
    for j in 0..JOINTS {
        before.q[j] -= TICK_S * state.v[j];
        before.v[j] -= TICK_S * state.a[j];
    }
    before
}

/// Largest of a speed along the stop, tick by tick, if that begins after `late` ticks; from `m`, which is a speed
/// for two postures.
fn largest(
    state: &ArmState,
    late: u32,
    m: impl Fn(&Forward, &Forward) -> f64,
    chain: &Chain,
    law: &StopLaw,
) -> f64 {
    let mut last = chain.forward(&before(state).q);
    let mut state = *state;
    let mut most = 0.0_f64;
    for tick in 0.. {
        let now = chain.forward(&state.q);
        most = most.max(m(&last, &now));
        last = now;
        if tick < late {
            for j in 0..JOINTS {
                state.v[j] += TICK_S * state.a[j];
                state.q[j] += TICK_S * state.v[j];
            }
        } else if state.is_at_rest() {
            break;
        } else {
            state = state.brake(law);
        }
    }
    most
}

/// Speed of a point of a link, m/s.
fn of_point(link: usize, at: Point) -> impl Fn(&Forward, &Forward) -> f64 {
    move |last, now| ((now.frame(link) * at) - (last.frame(link) * at)).norm() / TICK_S
}

fn check(
    speed: &SpeedCheck,
    chain: &Chain,
    state: &ArmState,
    late: u32,
    limits: &SpeedLimits,
) -> Result<(), Violation> {
    check_with(speed, chain, state, late, limits, &law())
}

fn check_with(
    speed: &SpeedCheck,
    chain: &Chain,
    state: &ArmState,
    late: u32,
    limits: &SpeedLimits,
    law: &StopLaw,
) -> Result<(), Violation> {
    let (given, forward) = (before(state), chain.forward(&state.q));
    let question = SpeedQuestion {
        chain,
        given: &given,
        candidate: state,
        forward: &forward,
        drift: &late::drift(state, late),
        law,
        halvings: HALVINGS_PROPOSED,
    };
    speed.check(&question, &mut StopPath::new(), limits)
}

/// Whatever is slower than its limit by a seventh on all of the stop passes, and nothing that exceeds it does.
fn is_told(
    speed: &SpeedCheck,
    chain: &Chain,
    m: impl Fn(&Forward, &Forward) -> f64,
    limit: LimitKind,
    limits: impl Fn(f64) -> SpeedLimits,
) {
    for (n, state) in motions().iter().enumerate() {
        let most = largest(state, 0, &m, chain, &law());
        let below = limits(1.15 * most + 0.002);
        assert_eq!(check(speed, chain, state, 0, &below), Ok(()), "{n}: {most}");
        let found = check(speed, chain, state, 0, &limits(0.999 * most)).expect_err("too fast");
        assert_eq!(found.limit, limit);
        assert!((found.limit_value - 0.999 * most).abs() < 1e-12);
        assert!(found.asked > found.limit_value, "{n}: {found:?}");
        // Late, it may be faster, and the bound is wider.
        for late in [1, 10, 30] {
            let most = largest(state, late, &m, chain, &law());
            assert!(check(speed, chain, state, late, &limits(0.999 * most)).is_err());
            let wide = 1.15 + 0.015 * f64::from(late);
            assert!(check(speed, chain, state, late, &limits(wide * most + 0.002)).is_ok());
        }
    }
}

#[test]
fn the_tools_point_keeps_its_speed() {
    let chain = plain::arm(&[]);
    let tool = Point::from(chain.tool_in_hand().translation.vector);
    let speed = SpeedCheck::new(&chain);
    is_told(
        &speed,
        &chain,
        of_point(HAND, tool),
        LimitKind::ToolSpeed,
        |tool_m_s| SpeedLimits { tool_m_s, ..FREE },
    );
    is_told(
        &speed,
        &chain,
        of_point(HAND, tool),
        LimitKind::ToolSpeed,
        SpeedLimits::of_points,
    );
}

#[test]
fn the_elbow_keeps_its_own() {
    let chain = plain::arm(&[HANDLE]);
    let speed = SpeedCheck::new(&chain);
    let elbow = of_point(ELBOW_LINK, Point::origin());
    is_told(&speed, &chain, elbow, LimitKind::ToolSpeed, |elbow_m_s| {
        SpeedLimits { elbow_m_s, ..FREE }
    });
}

#[test]
fn the_far_end_of_a_part_of_the_hand_counts() {
    for handle in [
        HANDLE,
        LinkCapsule {
            a: HANDLE.b,
            b: HANDLE.a,
            ..HANDLE
        },
    ] {
        let chain = plain::arm(&[handle]);
        let speed = SpeedCheck::new(&chain);
        let tool = Point::from(chain.tool_in_hand().translation.vector);
        let either = move |last: &Forward, now: &Forward| {
            of_point(HAND, HANDLE.a)(last, now).max(of_point(HAND, tool)(last, now))
        };
        is_told(&speed, &chain, either, LimitKind::ToolSpeed, |tool_m_s| {
            SpeedLimits { tool_m_s, ..FREE }
        });
    }
}

#[test]
fn both_ends_of_what_is_carried_count_while_it_is_carried() {
    let chain = plain::arm(&[]);
    let tool = Point::from(chain.tool_in_hand().translation.vector);
    let mut speed = SpeedCheck::new(&chain);
    speed.carry(&chain, &LOAD, Some(&ROD));
    let all = move |last: &Forward, now: &Forward| {
        [ROD.a, ROD.b, tool]
            .map(|at| of_point(HAND, at)(last, now))
            .into_iter()
            .fold(0.0, f64::max)
    };
    let limits = |tool_m_s| SpeedLimits { tool_m_s, ..FREE };
    is_told(&speed, &chain, all, LimitKind::ToolSpeed, limits);
    speed.carry(&chain, &Body::NONE, None);
    is_told(
        &speed,
        &chain,
        of_point(HAND, tool),
        LimitKind::ToolSpeed,
        limits,
    );
}

#[test]
fn the_masses_keep_their_momentum() {
    let chain = plain::arm(&[HANDLE]);
    let mut speed = SpeedCheck::new(&chain);
    for load in [Body::NONE, LOAD] {
        speed.carry(&chain, &load, None);
        let masses = *chain.masses().expect("masses");
        let momentum = move |last: &Forward, now: &Forward| {
            let links = masses
                .links
                .iter()
                .enumerate()
                .map(|(n, body)| (n + 1, body));
            (links.chain([(HAND, &masses.hand), (HAND, &load)]))
                .map(|(link, body)| {
                    body.mass_kg * of_point(link, Point::from(body.com_m))(last, now)
                })
                .sum()
        };
        is_told(
            &speed,
            &chain,
            momentum,
            LimitKind::Momentum,
            |momentum_kg_m_s| SpeedLimits {
                momentum_kg_m_s,
                ..FREE
            },
        );
    }
}

/// Wherever the joints are in a span, and however fast, no point is faster than its bound.
#[test]
fn the_bound_of_a_span_holds_in_all_of_it() {
    let chain = plain::arm(&[]);
    let turn = |n: usize, k: usize| ((n * 53 + k * 29) as f64 * 0.9).sin();
    for n in 0..400 {
        let q: JointVector = core::array::from_fn(|j| 2.0 * turn(n, j));
        // In turn all joints move, or one moves and another turns what it moves.
        let moves = |j: usize| n % 3 == 0 || j == n % JOINTS;
        let turns = |j: usize| n % 3 == 0 || j == (n / JOINTS) % JOINTS;
        let span = Span {
            middle: core::array::from_fn(|j| if moves(j) { turn(n, j + 10) } else { 0.0 }),
            around: core::array::from_fn(|j| {
                if moves(j) {
                    0.2 * turn(n, j + 20).abs()
                } else {
                    0.0
                }
            }),
            fastest: core::array::from_fn(|j| {
                if moves(j) {
                    turn(n, j + 10).abs() + 0.2 * turn(n, j + 20).abs()
                } else {
                    0.0
                }
            }),
            off: core::array::from_fn(|j| {
                if turns(j) {
                    0.3 * turn(n, j + 30).abs()
                } else {
                    0.0
                }
            }),
        };
        for (link, at) in [
            (HAND, Point::new(0.05, 0.0, 0.12)),
            (ELBOW_LINK, Point::origin()),
        ] {
            let point = watched(&chain, link, at, false);
            let bound = point.bound(&point.columns(&chain.forward(&q)), &span);
            let mut most = 0.0_f64;
            for way in 0..60 {
                let part = |k: usize| if way == 0 { 0.0 } else { turn(way, k).signum() };
                let there = chain.forward(&core::array::from_fn(|j| q[j] + part(j) * span.off[j]));
                let columns = point.columns(&there);
                let velocity: Vector3<f64> = (0..JOINTS)
                    .map(|j| columns.velocity[j] * (span.middle[j] + part(j + 7) * span.around[j]))
                    .sum();
                most = most.max(velocity.norm());
            }
            assert!(most <= bound + 1e-12, "{n}: {most} over {bound}");
        }
    }
}

/// Two joints whose motions take each other back, until one of them stands: the tool is fastest near the end.
#[test]
fn the_end_of_the_stop_is_looked_at_too() {
    let chain = plain::arm(&[]);
    let speed = SpeedCheck::new(&chain);
    let tool = Point::from(chain.tool_in_hand().translation.vector);
    let mut state = ArmState::at_rest([0.0; JOINTS]);
    let columns = speed.points[0].columns(&chain.forward(&state.q)).velocity;
    let (shoulder, wrist) = (columns[1].x, columns[5].x);
    state.v[1] = 0.3 / shoulder;
    state.v[5] = -0.3 / wrist;
    let mut deceleration = [8.0; JOINTS];
    deceleration[5] = state.v[5].abs() / 0.3;
    deceleration[1] = state.v[1].abs() / 0.24;
    let law = StopLaw::new(&deceleration, &[2_000.0; JOINTS]);
    let most = largest(&state, 0, of_point(HAND, tool), &chain, &law);
    assert!((0.03..0.1).contains(&most), "{most}");
    let limits = |tool_m_s| SpeedLimits { tool_m_s, ..FREE };
    let checked = |limit| check_with(&speed, &chain, &state, 0, &limits(limit), &law);
    assert!(checked(0.99 * most).is_err());
    assert!(
        checked(1.3 * most).is_ok(),
        "{most} {:?}",
        checked(1.3 * most)
    );
}

#[test]
fn the_most_momentum_is_that_of_levers_and_masses() {
    let chain = plain::arm(&[]);
    let mut speed = SpeedCheck::new(&chain);
    speed.carry(&chain, &LOAD, None);
    let masses = chain.masses().expect("masses");
    let links = masses
        .links
        .iter()
        .enumerate()
        .map(|(n, body)| (n + 1, body));
    let bodies: Vec<_> = links.chain([(HAND, &masses.hand), (HAND, &LOAD)]).collect();
    for (j, found) in speed.momentum_levers.iter().enumerate() {
        let expected: f64 = (bodies.iter())
            .map(|(link, body)| {
                body.mass_kg * watched(&chain, *link, Point::from(body.com_m), false).lever[j]
            })
            .sum();
        assert!((found - expected).abs() < 1e-12, "{j}: {found}");
    }
}

#[test]
fn there_is_room_for_every_point() {
    let chain = plain::arm(&[HANDLE; CAPSULES_MAX]);
    let mut speed = SpeedCheck::new(&chain);
    speed.carry(&chain, &LOAD, Some(&ROD));
    assert_eq!(speed.points.len(), CAPSULES_MAX + 4);
    let state = &motions()[3];
    let slow = SpeedLimits::of_points(0.01);
    assert!(check(&speed, &chain, state, 0, &slow).is_err());
    assert!(check(&speed, &chain, state, 0, &SpeedLimits::of_points(20.0)).is_ok());
}

#[test]
fn the_lower_limit_is_the_one_that_is_named() {
    let chain = plain::arm(&[]);
    let speed = SpeedCheck::new(&chain);
    let state = &motions()[3];
    let named = |tool_m_s, contact_m_s| {
        let limits = SpeedLimits {
            tool_m_s,
            contact_m_s,
            ..FREE
        };
        let found = check(&speed, &chain, state, 0, &limits).expect_err("too fast");
        (found.limit, found.index, found.limit_value)
    };
    assert_eq!(named(0.01, 0.02), (LimitKind::ToolSpeed, Some(0), 0.01));
    assert_eq!(named(0.02, 0.01), (LimitKind::ContactSpeed, Some(0), 0.01));
    assert_eq!(named(0.01, 0.01), (LimitKind::ContactSpeed, Some(0), 0.01));
    let elbow = SpeedLimits {
        elbow_m_s: 0.01,
        ..FREE
    };
    let found = check(&speed, &chain, state, 0, &elbow).expect_err("too fast");
    assert_eq!((found.limit, found.index), (LimitKind::ToolSpeed, Some(1)));
}
