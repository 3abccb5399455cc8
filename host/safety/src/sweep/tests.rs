//! The sweep against stops that are gone through tick by tick.

mod bands;
mod many;
mod pairs;

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
