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

const ROD: LinkCapsule = LinkCapsule {
    link: HAND,
    a: Point::new(-0.15, 0.0, 0.12),
    b: Point::new(0.15, 0.0, 0.12),
    radius_m: 0.02,
};

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

fn law() -> StopLaw {
    StopLaw::new(&[8.0; JOINTS], &[800.0; JOINTS])
}

/// Motions of every kind, and some of the elbow alone.
fn motions() -> Vec<ArmState> {
    let turn = |n: usize, k: usize| ((n * 41 + k * 67) as f64 * 0.7).sin();
    let mut motions: Vec<ArmState> = (0..40)
        .map(|n| ArmState {
            q: core::array::from_fn(|j| 1.2 * turn(n, j)),
            v: core::array::from_fn(|j| 1.2 * turn(n, j + 20)),
            a: core::array::from_fn(|j| 1.5 * turn(n, j + 40)),
        })
        .collect();
    for n in 0..8_u32 {
        let way = if n % 2 == 0 { 1.0 } else { -1.0 };
        let mut state = ArmState::at_rest([0.0, 0.2, 0.1, 0.0, 0.1, 0.3, 0.0]);
        state.q[3] = 1.2 + 0.1 * f64::from(n);
        (state.v[3], state.a[3]) = (2.0 * way, way);
        motions.push(state);
    }
    motions
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

/// What is checked.
struct Checked {
    chain: Chain,
    carried: Option<LinkCapsule>,
    group: Group,
    threats: Threats,
    pressed: Option<Pressed>,
}

impl Checked {
    fn check(&self, config: &SafetyConfig, state: &ArmState, late: u32) -> Result<(), Violation> {
        self.check_from(&before(state), state, config, late, false)
    }

    fn check_from(
        &self,
        given: &ArmState,
        state: &ArmState,
        config: &SafetyConfig,
        late: u32,
        recovers: bool,
    ) -> Result<(), Violation> {
        let mut sweep = Sweep::new(self.chain.clone(), &limits(config));
        sweep.carry(self.carried, config);
        let question = Question {
            given,
            given_forward: &sweep.chain.forward(&given.q),
            candidate: state,
            forward: &sweep.chain.forward(&state.q),
            late: &Apart::new(state, &law(), late),
            threats: &self.threats,
            pressed: self.pressed.as_ref(),
            speed_m_s: 1.0,
            recovers,
            samples_max: SAMPLES_PROPOSED,
        };
        sweep.begin_tick();
        sweep.check(self.group, &question, &mut StopPath::new(), &law(), config)
    }
}

/// The arm with what it carries.
fn carrying(carried: Option<LinkCapsule>) -> Checked {
    Checked {
        chain: arm(),
        carried,
        group: Group::Hard,
        threats: Threats::NONE,
        pressed: None,
    }
}

/// What the sweep would look at finely, with the motion at rest there.
fn items(
    sweep: &mut Sweep,
    threats: &Threats,
    config: &SafetyConfig,
    q: &JointVector,
    way: f64,
) -> Vec<Item> {
    let state = ArmState::at_rest(*q);
    let forward = sweep.chain.forward(&state.q);
    let question = Question {
        given: &state,
        given_forward: &forward,
        candidate: &state,
        forward: &forward,
        late: &Apart::NONE,
        threats,
        pressed: None,
        speed_m_s: 1.0,
        recovers: false,
        samples_max: SAMPLES_PROPOSED,
    };
    sweep.begin_tick();
    sweep.take_survey(&state.q, &forward, config);
    sweep.list_open(Group::Hard, &[way; JOINTS], &question, config);
    sweep.items.clone()
}

/// Something that the arm gets nearer to is refused if it is nearer to any stop than a motion along it may be, and not
/// if it is as far away as some centimetres more than that. `margin` is the distance to it from where it lies at 0, and
/// `moved` checks with it that much farther away. How often that was looked at.
fn is_kept(
    limit: LimitKind,
    margin: &dyn Fn(&Forward) -> f64,
    moved: &dyn Fn(f64, &ArmState, u32) -> Result<(), Violation>,
) -> u32 {
    let chain = arm();
    let mut met = 0;
    for (late, loose_m) in [(0, 0.004), (20, 0.15)] {
        for (n, state) in motions().iter().enumerate() {
            let least = least(&chain, state, late, margin);
            let given = margin(&chain.forward(&before(state).q));
            // Only what comes nearer.
            if given - least < 0.03 {
                continue;
            }
            met += 1;
            let at = |farther_m: f64| moved(farther_m - least, state, late);
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
    for carried in [None, Some(ROD)] {
        let checked = carrying(carried);
        for axis in 0..3 {
            for way in [1.0, -1.0] {
                let mut normal = Vector3::zeros();
                normal[axis] = way;
                let margin = to_wall(carried, normal);
                met += is_kept(LimitKind::Envelope, &margin, &|farther_m, state, late| {
                    let mut c = alone();
                    let face = if way > 0.0 {
                        &mut c.envelope_min_m
                    } else {
                        &mut c.envelope_max_m
                    };
                    face[axis] = -way * (NEED_M + farther_m);
                    checked.check(&c, state, late)
                });
            }
        }
    }
    assert!(met > 60, "{met}");
}

/// No links that could meet.
fn alone() -> SafetyConfig {
    SafetyConfig {
        self_collision: None,
        ..config()
    }
}

#[test]
fn a_zone_is_kept_among_others() {
    let normal = Vector3::new(0.6, 0.0, -0.8);
    let margin = to_wall(Some(ROD), normal);
    for (group, limit) in [
        (Group::Hard, LimitKind::Zone),
        (Group::Slow, LimitKind::SlowZone),
    ] {
        let checked = Checked {
            group,
            ..carrying(Some(ROD))
        };
        let zones = |behind: u32, farther_m: f64, speed_max_m_s| {
            let zone = |name: String, shape| Zone {
                name,
                shape,
                speed_max_m_s,
            };
            let wall = |farther_m: f64| {
                ZoneShape::HalfSpace(HalfSpace {
                    normal,
                    offset_m: -NEED_M - farther_m,
                })
            };
            let mut c = alone();
            // Others right behind it.
            c.zones = (0..behind)
                .map(|n| {
                    zone(
                        format!("behind {n}"),
                        wall(farther_m + 1e-3 * f64::from(n + 1)),
                    )
                })
                .collect();
            let far = Aabb {
                min: Point::new(5.0, 5.0, 5.0),
                max: Point::new(6.0, 6.0, 6.0),
            };
            c.zones.push(zone("far".into(), ZoneShape::Box(far)));
            c.zones.push(zone("wall".into(), wall(farther_m)));
            c
        };
        let slow = (group == Group::Slow).then_some(0.5);
        for behind in [0, 3, 30] {
            let met = is_kept(limit, &margin, &|farther_m, state, late| {
                checked.check(&zones(behind, farther_m, slow), state, late)
            });
            assert!(met > 10, "{met}");
        }
        // Slow zones that allow the speed, and those that the check is not about, say nothing.
        let other = if slow.is_some() { Some(1.0) } else { Some(0.5) };
        for state in motions() {
            assert_eq!(checked.check(&zones(3, -9.0, other), &state, 20), Ok(()));
        }
    }
}

#[test]
fn the_way_to_somebody_is_kept() {
    use sinew_messages::{Obstacle, ObstacleFrame, ObstacleKind};
    let chain = arm();
    for (kind, at) in [
        (ObstacleKind::Column, Point::new(1.4, 0.3, 0.0)),
        (ObstacleKind::Ball, Point::new(0.3, -1.3, 0.9)),
    ] {
        let margin = |forward: &Forward| {
            let bodies = chain.capsules().iter().chain([&ROD]);
            bodies
                .filter(|body| body.link > 0)
                .map(|body| body.placed(forward))
                .map(|body| match kind {
                    ObstacleKind::Ball => sinew_kinematics::clearance_to_ball(&body, &at, 0.1),
                    _ => sinew_kinematics::clearance_to_column(&body, at.x, at.y, 0.1),
                })
                .fold(f64::INFINITY, f64::min)
        };
        let met = is_kept(LimitKind::Separation, &margin, &|farther_m, state, late| {
            let mut frame = ObstacleFrame::NONE;
            let others = 12;
            for (n, obstacle) in frame.obstacles[..=others].iter_mut().enumerate() {
                *obstacle = Obstacle {
                    kind: kind as u32,
                    reserved: 0,
                    position_m: (at + Vector3::repeat(0.01 * n as f64)).into(),
                    radius_m: 0.1,
                    // Those beside it need less by more than that.
                    uncertainty_m: (-farther_m - 0.05 * n as f64).max(0.0),
                    age_ticks: 0,
                };
            }
            frame.count = others as u64 + 1;
            let mut checked = carrying(Some(ROD));
            checked.threats.take(
                &frame,
                &crate::obstacles::SeparationConfig {
                    approach_speed_m_s: 0.0,
                    intrusion_m: 0.0,
                    robot_uncertainty_m: 0.0,
                    silent_ticks: 1,
                },
                0,
            );
            checked.check(&alone(), state, late)
        });
        assert!(met > 5, "{met}");
    }
}

#[test]
fn the_tool_stays_in_its_cone() {
    let tilt = |forward: &Forward| {
        let axis = forward.tool.rotation * Vector3::z();
        -libm::acos(axis.x.clamp(-1.0, 1.0))
    };
    let checked = carrying(None);
    let met = is_kept(LimitKind::Orientation, &tilt, &|farther, state, late| {
        let c = SafetyConfig {
            cone: Some(crate::limits::Cone {
                axis: [1.0, 0.0, 0.0],
                half_angle_rad: farther,
            }),
            ..alone()
        };
        checked.check(&c, state, late)
    });
    assert!(met > 10, "{met}");
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

/// A stop that takes longer than any may is none.
#[test]
fn what_cannot_be_laid_out_is_refused() {
    let mut c = alone();
    c.envelope_max_m[0] = 0.5;
    let mut state = ArmState::at_rest([0.0; JOINTS]);
    state.v[0] = 20.0;
    let found = carrying(None)
        .check(&c, &state, 0)
        .expect_err("it is too long");
    assert_eq!(
        (found.limit, found.limit_value, found.asked),
        (LimitKind::Configuration, 512.0, 513.0)
    );
}

#[test]
fn a_start_may_touch_nothing() {
    let q = motions()[0].q;
    let chain = arm();
    let forward = chain.forward(&q);
    let normal = Vector3::new(0.6, 0.0, -0.8);
    let start = |config: &SafetyConfig, carried, work| {
        let mut sweep = Sweep::new(arm(), &limits(config));
        sweep.carry(carried, config);
        sweep.work = work;
        let found = sweep.check_start(&q, config);
        found.map_err(|found| (found.limit, found.index))
    };
    for carried in [None, Some(ROD)] {
        let least = to_wall(carried, normal)(&forward);
        let lowest = to_wall(carried, Vector3::y())(&forward);
        let wall = |nearer_m: f64| {
            let shape = ZoneShape::HalfSpace(HalfSpace {
                normal,
                offset_m: least + nearer_m,
            });
            let mut c = alone();
            c.zones.push(Zone {
                name: "wall".into(),
                shape,
                speed_max_m_s: None,
            });
            start(&c, carried, Work::TICK)
        };
        assert_eq!(wall(-1e-9), Ok(()));
        assert_eq!(wall(1e-9), Err((LimitKind::Zone, Some(0))));
        let face = |nearer_m: f64| {
            let mut c = alone();
            c.envelope_min_m[1] = lowest + nearer_m;
            start(&c, carried, Work::TICK)
        };
        assert_eq!(face(-1e-9), Ok(()));
        assert!(matches!(
            face(1e-9),
            Err((LimitKind::Envelope, Some(1..=8)))
        ));
    }
    let axis = forward.tool.rotation * Vector3::z();
    let tilt = libm::acos(axis.z);
    let cone = |wider_rad: f64| {
        let c = SafetyConfig {
            cone: Some(crate::limits::Cone {
                axis: [0.0, 0.0, 1.0],
                half_angle_rad: tilt + wider_rad,
            }),
            ..alone()
        };
        start(&c, None, Work::TICK)
    };
    assert_eq!(cone(1e-9), Ok(()));
    assert_eq!(cone(-1e-9), Err((LimitKind::Orientation, None)));
    // What cannot be looked at in a tick is refused.
    let mut no_work = Work::TICK;
    no_work.spend(u32::MAX);
    assert_eq!(
        start(&alone(), None, no_work),
        Err((LimitKind::Configuration, None))
    );
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
fn the_arm_is_where_it_should_be_within_the_margin() {
    let config = alone();
    let mut sweep = Sweep::new(arm(), &limits(&config));
    let setpoint = motions()[0].q;
    for carried in [None, Some(ROD)] {
        sweep.carry(carried, &config);
        for joint in 0..JOINTS {
            let mut measured = setpoint;
            measured[joint] -= 0.02;
            let (is, should) = (arm().forward(&measured), arm().forward(&setpoint));
            let bodies = sweep.chain.capsules().iter().chain(&carried);
            let off = bodies
                .map(|body| (body.placed(&is), body.placed(&should)))
                .map(|(is, should)| (is.a - should.a).norm().max((is.b - should.b).norm()))
                .fold(0.0, f64::max);
            assert!(off > 1e-4, "{joint}");
            assert!(sweep.tracks(&measured, &setpoint, off + 1e-12), "{joint}");
            assert!(!sweep.tracks(&measured, &setpoint, off - 1e-9), "{joint}");
        }
    }
}

/// A ball at the end of a stretched-out arm that turns about the vertical axis: where it is at an angle, its radius
/// taken off, and its distance from the axis.
fn ball_on_a_circle() -> (Checked, impl Fn(f64) -> (ArmState, Vector3<f64>), f64) {
    let ball = capsule(HAND, [0.0; 3], [0.0; 3], 0.02);
    let mut checked = carrying(None);
    checked.chain = plain::arm(&[ball]);
    let chain = checked.chain.clone();
    let at = move |angle: f64| {
        let mut state = ArmState::at_rest([0.0, 1.2, 0.0, 0.0, 0.0, 0.0, 0.0]);
        state.q[0] = angle;
        let centre = ball.placed(&chain.forward(&state.q)).a.coords;
        (state, centre)
    };
    let centre = at(0.0).1;
    let radius = centre.xy().norm();
    (checked, at, radius)
}

/// An envelope whose upper face in x is so far from the ball.
fn faced(ball: &Vector3<f64>, apart_m: f64) -> SafetyConfig {
    let mut c = alone();
    c.envelope_max_m[0] = ball.x + 0.02 + apart_m;
    c
}

/// What goes along a face may use the band, and what goes mostly along it; what goes towards it may not.
#[test]
fn who_slides_along_may_use_the_band() {
    let (checked, at, radius) = ball_on_a_circle();
    let zero = at(0.0).1;
    // Where on the circle x is largest.
    let nearest = -zero.y.atan2(zero.x);
    let turn = 0.02;
    for (share, may) in [(0.0, true), (0.099, true), (0.106, false), (0.5, false)] {
        // The loss on the way, for a chord of the circle, is that share of its arc.
        let chord = 2.0 * radius * libm::sin(0.5 * turn);
        let middle = libm::asin(share * radius * turn / chord);
        let (given, start) = (nearest - middle - 0.5 * turn, nearest - middle + 0.5 * turn);
        let ((given, from), (start, to)) = (at(given), at(start));
        assert!((to.x - from.x - share * radius * turn).abs() < 1e-12);
        for (apart_m, expected) in [
            (NEED_M + 1e-6, true),
            (NEED_M - RETREAT_BAND + 1e-6, may),
            (NEED_M - RETREAT_BAND - 1e-6, false),
        ] {
            let found = checked.check_from(&given, &start, &faced(&to, apart_m), 0, false);
            assert_eq!(found.is_ok(), expected, "{share} {apart_m}: {found:?}");
        }
    }
}

/// What loses on the stop does not slide, either.
#[test]
fn the_loss_of_the_stop_counts_too() {
    let (checked, at, radius) = ball_on_a_circle();
    let zero = at(0.0).1;
    let nearest = -zero.y.atan2(zero.x);
    for (share, may) in [(0.05, true), (0.2, false)] {
        let (mut state, _) = at(nearest - libm::asin(share));
        state.v[0] = 0.5;
        let (given, _) = at(state.q[0]);
        let mut end = state;
        while !end.is_at_rest() {
            end = end.brake(&law());
        }
        let lost = at(end.q[0]).1.x - at(state.q[0]).1.x;
        let way = radius * (end.q[0] - state.q[0]);
        assert!(lost > 0.8 * share * way, "{lost} {way}");
        let config = faced(&at(end.q[0]).1, NEED_M - 0.5 * RETREAT_BAND);
        let found = checked.check_from(&given, &state, &config, 0, false);
        assert_eq!(found.is_ok(), may, "{share}: {found:?}");
    }
}

/// In recovery mode what is outside may move if it gains, at once and on the stop, and only then.
#[test]
fn recovery_goes_out_of_a_violation_and_not_into_it() {
    let (checked, at, _) = ball_on_a_circle();
    let zero = at(0.0).1;
    // Of what turns on here, x falls.
    let beyond = 0.3 - zero.y.atan2(zero.x);
    let depth_m = -0.05;
    let check = |from: f64, to: f64, v: f64, recovers| {
        let ((given, ball), (mut state, _)) = (at(from), at(to));
        state.v[0] = v;
        let found = checked.check_from(&given, &state, &faced(&ball, depth_m), 0, recovers);
        found.is_ok()
    };
    // Standing still is no loss.
    assert!(check(beyond, beyond, 0.0, true));
    assert!(check(beyond, beyond + 1e-3, 0.0, true));
    assert!(check(beyond, beyond + 1e-3, 0.1, true));
    // In other modes nothing moves there.
    assert!(!check(beyond, beyond, 0.0, false));
    assert!(!check(beyond, beyond + 1e-3, 0.1, false));
    // Into it: at once, on the stop, and by a step that gains less than the stop loses.
    assert!(!check(beyond, beyond - 1e-3, 0.0, true));
    assert!(!check(beyond, beyond, -0.1, true));
    assert!(!check(beyond, beyond + 1e-6, -0.1, true));
    assert!(!check(beyond, beyond - 1e-3, 0.2, true));
}

/// Of more than are told apart, the one that matters may be any: a late stop keeps off it, too.
#[test]
fn a_late_stop_keeps_off_each_of_many() {
    use sinew_messages::{Obstacle, ObstacleFrame, ObstacleKind};
    const OTHERS: usize = 11;
    let (mut checked, at, _) = ball_on_a_circle();
    let (mut state, from) = at(0.0);
    state.v[0] = 1.5;
    let late = 20;
    let ball = |centre: Vector3<f64>, apart_m: f64, ahead: f64| {
        let way = Vector3::new(-centre.y, centre.x, 0.0).normalize();
        Obstacle {
            kind: ObstacleKind::Ball as u32,
            reserved: 0,
            position_m: (centre + ahead * (0.02 + 0.1 + apart_m) * way).into(),
            radius_m: 0.1,
            uncertainty_m: 0.0,
            age_ticks: 0,
        }
    };
    let mut end = state;
    for _ in 0..late {
        end.q[0] += 1e-3 * end.v[0];
    }
    let gone = end.q[0] - state.q[0];
    while !end.is_at_rest() {
        end = end.brake(&law());
    }
    let at_rest = at(end.q[0]).1;
    for place in 0..=OTHERS {
        let mut look = |apart_m| {
            let mut frame = ObstacleFrame::NONE;
            frame.count = OTHERS as u64 + 1;
            frame.obstacles[..=OTHERS].fill(ball(from, 0.04, -1.0));
            frame.obstacles[place] = ball(at_rest, apart_m, 1.0);
            checked.threats.take(
                &frame,
                &crate::obstacles::SeparationConfig {
                    approach_speed_m_s: 0.0,
                    intrusion_m: 0.0,
                    robot_uncertainty_m: 0.0,
                    silent_ticks: 1,
                },
                0,
            );
            checked
                .check_from(&before(&state), &state, &alone(), late, false)
                .map_err(|found| found.limit)
        };
        assert_eq!(look(-RETREAT_BAND - 1e-4), Err(LimitKind::Separation));
        // Less than the way that it goes late.
        assert_eq!(look(-0.2 * gone), Err(LimitKind::Separation));
        assert_eq!(look(0.03), Ok(()), "{place}");
    }
}

/// A refusal tells the worse end of the stop: where it begins, or where it ends.
#[test]
fn the_worse_end_is_told() {
    let (checked, at, _) = ball_on_a_circle();
    let zero = at(0.0).1;
    // Of what turns on here, x falls.
    let beyond = 0.3 - zero.y.atan2(zero.x);
    for v in [0.5, -0.5] {
        let (mut state, from) = at(beyond);
        state.v[0] = v;
        let mut end = state;
        while !end.is_at_rest() {
            end = end.brake(&law());
        }
        let nearest = from.x.max(at(end.q[0]).1.x);
        let farther = from.x.min(at(end.q[0]).1.x);
        assert!(nearest - farther > 1e-3);
        let mut c = alone();
        c.envelope_max_m[0] = farther + 0.02;
        let found = (checked.check(&c, &state, 0)).expect_err("all of it is too near");
        assert_eq!(found.limit, LimitKind::Envelope);
        assert!(
            (found.asked - (farther - nearest)).abs() < 1e-9,
            "{v}: {found:?}"
        );
    }
}

#[test]
fn a_lever_reaches_along_the_stretched_out_arm() {
    let reach =
        |link: usize| longest_levers(&arm(), &capsule(link, [0.0; 3], [0.0, 0.0, 0.3], 0.1));
    // From each joint to the next one, the radius aside.
    let apart = [0.16, 0.2, 0.15, 0.25, 0.25, 0.05];
    for (link, hand) in [(JOINTS, 0.0), (HAND, 0.05)] {
        let lever = reach(link);
        for (j, &lever) in lever.iter().enumerate() {
            let expected = 0.3 + hand + apart[j..].iter().sum::<f64>();
            assert!((lever - expected).abs() < 1e-12, "{link} {j}: {lever}");
        }
    }
    assert_eq!(reach(2)[..2], [0.3 + 0.16, 0.3]);
    assert_eq!(reach(2)[2..], [0.0; JOINTS - 2]);
    assert_eq!(reach(0), [0.0; JOINTS]);
}

/// Rounding does not get a margin from one step to the next where it is a round number.
#[test]
fn a_margin_that_stays_stays_in_its_step() {
    for margin in [0.0, 1e-9, 5e-9, 1e-6, 0.001, 0.009, 0.01, 0.25, 1.0] {
        for margin in [margin, -margin] {
            assert_eq!(
                in_steps(margin + 1e-12),
                in_steps(margin - 1e-12),
                "{margin}"
            );
            let next = in_steps(margin + ROUNDING) - in_steps(margin);
            assert!((next - 1.0).abs() < 1e-6, "{margin}");
        }
    }
}

fn frame_of(obstacles: &[sinew_messages::Obstacle]) -> Threats {
    let mut frame = sinew_messages::ObstacleFrame::NONE;
    frame.count = obstacles.len() as u64;
    frame.obstacles[..obstacles.len()].copy_from_slice(obstacles);
    let mut threats = Threats::NONE;
    let config = crate::obstacles::SeparationConfig {
        approach_speed_m_s: 0.0,
        intrusion_m: 0.0,
        robot_uncertainty_m: 0.0,
        silent_ticks: 1,
    };
    threats.take(&frame, &config, 0);
    threats
}

fn ball_at(centre: Vector3<f64>) -> sinew_messages::Obstacle {
    sinew_messages::Obstacle {
        kind: sinew_messages::ObstacleKind::Ball as u32,
        reserved: 0,
        position_m: centre.into(),
        radius_m: 0.1,
        uncertainty_m: 0.0,
        age_ticks: 0,
    }
}

/// Up to eight things are told apart, each with its own margin; of more, the last place is all the others.
#[test]
fn few_are_told_apart_and_more_are_one() {
    let (checked, at, _) = ball_on_a_circle();
    let config = alone();
    let mut sweep = Sweep::new(checked.chain.clone(), &limits(&config));
    let centre = at(0.0).1;
    let state = ArmState::at_rest([0.0; JOINTS]);
    let forward = sweep.chain.forward(&state.q);
    let there = sweep.capsule(0).placed(&forward).a.coords;
    assert!((there - centre).norm() > 0.1, "the list is made at 0");
    for count in [1, 7, 8, 9, 20] {
        let obstacles: Vec<_> = (0..count)
            .map(|n| ball_at(there + Vector3::x() * (0.15 + 1e-3 * f64::from(n))))
            .collect();
        let threats = frame_of(&obstacles);
        let items = items(&mut sweep, &threats, &config, &state.q, 0.1);
        let single: Vec<(usize, f64)> = (items.iter())
            .filter_map(|item| match item.subject {
                Subject::Threat(0, threat) => Some((threat, item.surveyed)),
                _ => None,
            })
            .collect();
        let told = if count > 8 { 7 } else { count as usize };
        assert_eq!(single.len(), told, "{count}");
        for (threat, surveyed) in single {
            let apart = 0.15 + 1e-3 * threat as f64 - 0.1 - 0.02;
            assert!((surveyed - apart).abs() < 1e-9, "{threat}: {surveyed}");
        }
        let pooled: Vec<f64> = (items.iter())
            .filter(|item| item.subject == Subject::Threats(0))
            .map(|item| item.surveyed)
            .collect();
        assert_eq!(pooled.len(), usize::from(count > 8), "{count}");
        assert!(pooled.iter().all(|least| (least - 0.03).abs() < 1e-9));
    }
}

/// What a motion gains on one of many says nothing about the others.
#[test]
fn who_gains_on_one_of_many_may_not_use_the_band_for_another() {
    let (Checked { chain, .. }, at, _) = ball_on_a_circle();
    let (mut state, from) = at(0.0);
    state.v[0] = 1.5;
    let mut end = state;
    while !end.is_at_rest() {
        end = end.brake(&law());
    }
    let to = at(end.q[0]).1;
    let beside = |centre: Vector3<f64>, apart_m: f64, ahead: f64| {
        let way = Vector3::new(-centre.y, centre.x, 0.0).normalize();
        ball_at(centre + ahead * (0.12 + apart_m) * way)
    };
    let look = |ahead_m: f64, others: usize| {
        let mut obstacles = vec![beside(from, 0.04, -1.0); others];
        // It begins so near to this one that it is better off at the end.
        obstacles.push(beside(from, -0.5 * RETREAT_BAND, -1.0));
        obstacles.push(beside(to, ahead_m, 1.0));
        let checked = Checked {
            chain: chain.clone(),
            threats: frame_of(&obstacles),
            ..carrying(None)
        };
        let found = checked.check_from(&state, &state, &alone(), 0, false);
        found.map_err(|found| found.limit)
    };
    // Told apart, one is left and the other kept off.
    assert_eq!(look(0.05, 0), Ok(()));
    assert_eq!(look(-0.2 * RETREAT_BAND, 0), Err(LimitKind::Separation));
    // As one of many, nothing may be used.
    assert_eq!(look(-0.2 * RETREAT_BAND, 10), Err(LimitKind::Separation));
}

/// A contact may only be left: by none of its points does the hand get farther into it on a late stop.
#[test]
fn a_late_stop_goes_no_farther_into_a_contact() {
    use crate::contact::PRESS_BAND_M;
    let chain = arm();
    let mut met = 0;
    for carried in [None, Some(ROD)] {
        let hand = HandPoints::new(&chain, carried.as_ref());
        for inward in [
            Vector3::x(),
            -Vector3::x(),
            Vector3::y(),
            -Vector3::z(),
            Vector3::new(0.6, 0.0, -0.8),
        ] {
            let none = sinew_kinematics::Isometry::identity();
            let margin = |forward: &Forward| -hand.farthest(&none, &forward.hand, &inward);
            for (late, loose_m) in [(0, 0.02), (20, 0.15)] {
                for (n, state) in motions().iter().enumerate() {
                    let least = least(&chain, state, late, &margin);
                    if margin(&chain.forward(&before(state).q)) - least < 0.002 {
                        continue;
                    }
                    met += 1;
                    let look = |farther_m: f64| {
                        let into = inward * (farther_m - least);
                        let at = sinew_kinematics::Isometry::translation(into.x, into.y, into.z);
                        let checked = Checked {
                            pressed: Some(Pressed::standing(-5.0 * inward, at)),
                            ..carrying(carried)
                        };
                        (checked.check(&alone(), state, late)).map_err(|found| found.limit)
                    };
                    let near = look(-PRESS_BAND_M - 1e-6);
                    assert_eq!(near, Err(LimitKind::Force), "{n} {late} {inward:?}");
                    assert_eq!(look(loose_m), Ok(()), "{n} {late} {inward:?}");
                }
            }
        }
    }
    assert!(met > 100, "{met}");
}

/// So near to another thing is nobody who goes along a contact.
#[test]
fn the_band_of_a_contact_is_its_own() {
    let bands = [Subject::Contact, Subject::Cone, Subject::Pair(0)].map(Subject::retreat_band);
    assert_eq!(bands, [1e-4, 1e-3, 1e-3]);
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

#[test]
fn the_survey_has_a_box_around_all_that_moves() {
    let config = alone();
    let mut sweep = Sweep::new(arm(), &limits(&config));
    for carried in [None, Some(ROD)] {
        sweep.carry(carried, &config);
        for state in &motions()[..5] {
            let forward = sweep.chain.forward(&state.q);
            sweep.take_survey(&state.q, &forward, &config);
            let chain = arm();
            let bodies: Vec<_> = (chain.capsules().iter().chain(&carried))
                .filter(|body| body.link > 0)
                .map(|body| body.placed(&forward))
                .collect();
            for axis in 0..3 {
                let ends = |body: &sinew_kinematics::PlacedCapsule| [body.a[axis], body.b[axis]];
                let low = (bodies.iter())
                    .flat_map(|body| ends(body).map(|end| end - body.radius_m))
                    .fold(f64::INFINITY, f64::min);
                let high = (bodies.iter())
                    .flat_map(|body| ends(body).map(|end| end + body.radius_m))
                    .fold(f64::NEG_INFINITY, f64::max);
                let bounds = sweep.survey.bounds;
                assert_eq!((bounds.min[axis], bounds.max[axis]), (low, high));
            }
        }
    }
}
