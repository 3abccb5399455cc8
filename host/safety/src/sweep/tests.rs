//! The sweep against stops that are gone through tick by tick.

use sinew_kinematics::{Aabb, HalfSpace, Point};

use super::*;
use crate::limits::SelfCollision;
use crate::plain;
use crate::zones::{Zone, ZoneShape};
use nalgebra::Vector3;

/// What is kept to everything: the tracking margin.
const NEED_M: f64 = 0.01;

fn capsule(link: usize, a: [f64; 3], b: [f64; 3], radius_m: f64) -> LinkCapsule {
    LinkCapsule {
        link,
        a: Point::from(a),
        b: Point::from(b),
        radius_m,
    }
}

fn arm() -> Chain {
    plain::arm(&[
        capsule(0, [0.0, 0.0, 0.09], [0.0, 0.0, 0.2], 0.085),
        capsule(1, [0.0, 0.0, 0.02], [0.0, 0.0, 0.16], 0.075),
        capsule(2, [0.0; 3], [0.0, -0.2, 0.0], 0.07),
        capsule(3, [0.0; 3], [0.0, 0.0, 0.15], 0.065),
        capsule(4, [0.0; 3], [0.0, -0.25, 0.0], 0.058),
        capsule(5, [0.0; 3], [0.0, 0.0, 0.25], 0.052),
        capsule(6, [0.0; 3], [0.0, -0.03, 0.0], 0.05),
        capsule(7, [0.0; 3], [0.0, 0.0, 0.03], 0.045),
        capsule(HAND, [0.0, -0.05, 0.03], [0.0, 0.05, 0.03], 0.03),
    ])
}

fn rod() -> LinkCapsule {
    capsule(HAND, [-0.15, 0.0, 0.12], [0.15, 0.0, 0.12], 0.02)
}

fn config() -> SafetyConfig {
    SafetyConfig {
        velocity_max_rad_s: [2.0; JOINTS],
        acceleration_max_rad_s2: [8.0; JOINTS],
        jerk_max_rad_s3: [800.0; JOINTS],
        stop_acceleration_rad_s2: [8.0; JOINTS],
        stop_jerk_rad_s3: [800.0; JOINTS],
        envelope_min_m: [-9.0; 3],
        envelope_max_m: [9.0; 3],
        tracking_margin_m: NEED_M,
        following_error_max_rad: [0.01; JOINTS],
        self_collision: Some(SelfCollision {
            margin_m: 0.004,
            ignored: vec![[0, 2], [5, 3]],
        }),
        ..plain::config()
    }
}

fn limits(config: &SafetyConfig) -> SafetyLimits {
    SafetyLimits::new(config.clone()).expect("valid")
}

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
        sweep.carry(Some(rod()), &config);
        let carried = &sweep.pairs[of_arm.len()..];
        assert_eq!(sweep.pairs[..of_arm.len()], of_arm);
        assert_eq!(carried.len(), 6);
        for (near, pair) in carried.iter().enumerate() {
            let lever = longest_levers(&arm(), &rod());
            let off: f64 = lever[near..].iter().map(|lever| 0.01 * lever).sum();
            let need = 0.004 + off.min(2.0 * NEED_M);
            assert_eq!((pair.near, pair.far), (near, 9));
            assert!((pair.need - need).abs() < 1e-12, "{pair:?} for {need}");
        }
    }
    sweep.carry(None, &config);
    assert_eq!(sweep.pairs, of_arm);
}

fn law() -> StopLaw {
    StopLaw::new(&[8.0; JOINTS], &[800.0; JOINTS])
}

/// Motions of every kind.
fn motions() -> Vec<ArmState> {
    let turn = |n: usize, k: usize| ((n * 41 + k * 67) as f64 * 0.7).sin();
    (0..40)
        .map(|n| ArmState {
            q: core::array::from_fn(|j| 1.2 * turn(n, j)),
            v: core::array::from_fn(|j| 1.2 * turn(n, j + 20)),
            a: core::array::from_fn(|j| 1.5 * turn(n, j + 40)),
        })
        .collect()
}

fn before(state: &ArmState) -> ArmState {
    let mut before = *state;
    for j in 0..JOINTS {
        before.q[j] -= 1e-3 * state.v[j];
        before.v[j] -= 1e-3 * state.a[j];
    }
    before
}

/// The least that `margin` gets to on the stop from a state, at once or late.
fn least(chain: &Chain, state: &ArmState, late: u32, margin: &dyn Fn(&Forward) -> f64) -> f64 {
    let on_stop = |from: &ArmState| {
        let mut stop = *from;
        let mut least = margin(&chain.forward(&stop.q));
        while !stop.is_at_rest() {
            stop = stop.brake(&law());
            least = least.min(margin(&chain.forward(&stop.q)));
        }
        least
    };
    let mut going = *state;
    let mut least = on_stop(&going);
    for tick in 1..=late {
        for j in 0..JOINTS {
            going.v[j] += 1e-3 * going.a[j];
            going.q[j] += 1e-3 * going.v[j];
        }
        if tick % 10 == 0 {
            least = least.min(on_stop(&going));
        }
    }
    least
}

fn check(
    config: &SafetyConfig,
    carried: Option<LinkCapsule>,
    threats: &Threats,
    state: &ArmState,
    late: u32,
) -> Result<(), Violation> {
    let mut sweep = Sweep::new(arm(), &limits(config));
    sweep.carry(carried, config);
    let given = before(state);
    let question = Question {
        given: &given,
        given_forward: &sweep.chain.forward(&given.q),
        candidate: state,
        forward: &sweep.chain.forward(&state.q),
        late: &Apart::new(state, &law(), late),
        threats,
        pressed: None,
        speed_m_s: f64::INFINITY,
        recovers: false,
        samples_max: SAMPLES_PROPOSED,
    };
    sweep.begin_tick();
    sweep.check(Group::Hard, &question, &mut StopPath::new(), &law(), config)
}

/// Something that the arm gets nearer to is refused if it is nearer to any stop than a motion along it may be, and not if it is as far
/// away as some centimetres more than that. `margin` is the distance to it from where it lies at 0, and `moved` puts it farther
/// away. How often that was looked at.
fn is_kept(
    carried: Option<LinkCapsule>,
    limit: LimitKind,
    margin: &dyn Fn(&Forward) -> f64,
    moved: &dyn Fn(f64) -> SafetyConfig,
) -> u32 {
    let chain = arm();
    let mut met = 0;
    for (late, loose_m) in [(0, 0.004), (20, 0.13)] {
        for (n, state) in motions().iter().enumerate() {
            let least = least(&chain, state, late, margin);
            let given = margin(&chain.forward(&before(state).q));
            // Only what comes nearer.
            if given - least < 0.03 {
                continue;
            }
            met += 1;
            let at = |farther_m: f64| {
                let config = moved(NEED_M - least + farther_m);
                check(&config, carried, &Threats::NONE, state, late)
            };
            let found = at(-RETREAT_BAND - 1e-6).expect_err("it is too near");
            assert_eq!(found.limit, limit, "{n}");
            assert_eq!(at(loose_m), Ok(()), "{n} {late}");
        }
    }
    met
}

/// Of the whole arm and what it carries from a wall with this normal through the origin, m.
fn to_wall(carried: Option<LinkCapsule>, normal: Vector3<f64>) -> impl Fn(&Forward) -> f64 {
    let chain = arm();
    move |forward| {
        let bodies = chain.capsules().iter().chain(&carried);
        bodies
            .filter(|body| body.link > 0)
            .map(|body| body.placed(forward))
            .map(|body| normal.dot(&body.a.coords).min(normal.dot(&body.b.coords)) - body.radius_m)
            .fold(f64::INFINITY, f64::min)
    }
}

#[test]
fn each_face_of_the_envelope_is_kept() {
    let mut met = 0;
    for carried in [None, Some(rod())] {
        for axis in 0..3 {
            for way in [1.0, -1.0] {
                let mut normal = Vector3::zeros();
                normal[axis] = way;
                met += is_kept(
                    carried,
                    LimitKind::Envelope,
                    &to_wall(carried, normal),
                    &|farther_m| {
                        let mut c = config();
                        c.self_collision = None;
                        let face = if way > 0.0 {
                            &mut c.envelope_min_m
                        } else {
                            &mut c.envelope_max_m
                        };
                        face[axis] = -way * farther_m;
                        c
                    },
                );
            }
        }
    }
    assert!(met > 60, "{met}");
}

#[test]
fn a_zone_is_kept_among_others() {
    let normal = Vector3::new(0.6, 0.0, -0.8);
    for zones in [0, 3, 30] {
        let met = is_kept(
            Some(rod()),
            LimitKind::Zone,
            &to_wall(Some(rod()), normal),
            &|farther_m| {
                let zone = |name: String, shape| Zone {
                    name,
                    shape,
                    speed_max_m_s: None,
                };
                let mut c = config();
                c.self_collision = None;
                // Others right behind it.
                c.zones = (0..zones)
                    .map(|n| {
                        let offset_m = -farther_m - 0.001 * f64::from(n + 1);
                        let shape = ZoneShape::HalfSpace(HalfSpace { normal, offset_m });
                        zone(format!("behind {n}"), shape)
                    })
                    .collect();
                let far = Aabb {
                    min: Point::new(5.0, 5.0, 5.0),
                    max: Point::new(6.0, 6.0, 6.0),
                };
                c.zones.push(zone("far".into(), ZoneShape::Box(far)));
                let shape = ZoneShape::HalfSpace(HalfSpace {
                    normal,
                    offset_m: -farther_m,
                });
                c.zones.push(zone("wall".into(), shape));
                c
            },
        );
        assert!(met > 10, "{met}");
    }
}
