//! The gate's promises, each as a property of random motion.

use proptest::prelude::*;
use sinew_kinematics::{Aabb, Point};
use sinew_messages::{
    JOINTS, JointVector, LimitKind, SafetyInputs, Setpoint, StopCategory, StopState, VerdictKind,
};
use sinew_safety::{Cone, EffortLimits, PowerDemand, SafetyConfig, Verdict, Zone, ZoneShape};

use crate::oracle::{self, Motion};
use crate::rig::{HOME, Judge, Rig, Stream, chain, clearances, config};
use crate::walk::{Walk, bits, cases};

/// Ticks of one random motion.
const TICKS: u64 = 400;

/// Calls `look` before each tick of a random motion with what is proposed, and steps with it then.
fn wander(
    rig: &mut Rig,
    seed: u64,
    ticks: u64,
    mut look: impl FnMut(u64, &Rig, &Setpoint) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut walk = Walk::new(seed, rig);
    for tick in 0..ticks {
        let u = walk.propose(rig);
        look(tick, rig, &u)?;
        rig.step(&u, None);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(16))]

    /// Promise 2: whatever is proposed, what is given keeps every limit.
    #[test]
    fn every_output_keeps_the_limits(seed: u64) {
        let mut rig = Rig::ready();
        let mut judge = Judge::new(&rig);
        let mut walk = Walk::new(seed, &rig);
        for _ in 0..4 * TICKS {
            let u = walk.propose(&rig);
            let (command, verdict) = rig.step(&u, None);
            let looked = judge.look(&command.expect("powered"), &verdict);
            prop_assert!(looked.is_ok(), "{:?}", looked);
        }
    }

    /// Promise 5: f(s, f(s, u)) = f(s, u), bit for bit; what passes is what was asked, bit for bit; what is limited
    /// is b + k(u − b), where b is the next point of the verified stop.
    #[test]
    fn the_filter_passes_or_takes_back_toward_the_stop(seed: u64) {
        let mut kinds = [0_u32; 2];
        let mut rig = Rig::ready();
        wander(&mut rig, seed, TICKS, |tick, rig, u| {
            let (command, verdict) = rig.clone().step(u, None);
            let once = *command.expect("powered").setpoint();
            kinds[usize::from(verdict.kind == VerdictKind::Limited)] += 1;
            if verdict.kind == VerdictKind::Pass {
                prop_assert_eq!((verdict.limit, verdict.scale), (LimitKind::None, 1.0));
                prop_assert_eq!(bits(&once), bits(u));
                return Ok(());
            }
            // Promise 11: what is not a pass has a reason, and its record says what the verdict does.
            prop_assert_eq!(verdict.kind, VerdictKind::Limited);
            prop_assert!(verdict.limit != LimitKind::None && verdict.asked != verdict.limit_value);
            let record = verdict.record();
            prop_assert_eq!(
                (record.kind, record.limit, record.asked, record.scale),
                (1, verdict.limit as u32, verdict.asked, verdict.scale)
            );
            if tick % 3 == 0 {
                let twice = *rig.clone().step(&once, None).0.expect("powered").setpoint();
                prop_assert_eq!(bits(&once), bits(&twice));
            }
            let b = *rig.clone().step(u, Some(LimitKind::Stale)).0.expect("powered").setpoint();
            prop_assert!((0.0..=1.0).contains(&verdict.scale));
            let mixed = |b: &JointVector, u: &JointVector, given: &JointVector, most: f64| {
                (0..JOINTS).all(|i| {
                    let expected = b[i] + verdict.scale * (u[i] - b[i]);
                    (given[i] - expected).abs() <= most
                })
            };
            prop_assert!(mixed(&b.position_rad, &u.position_rad, &once.position_rad, 1e-15));
            prop_assert!(mixed(&b.velocity_rad_s, &u.velocity_rad_s, &once.velocity_rad_s, 1e-12));
            let (b, u) = (&b.acceleration_rad_s2, &u.acceleration_rad_s2);
            prop_assert!(mixed(b, u, &once.acceleration_rad_s2, 1e-9));
            Ok(())
        })?;
        prop_assert!(kinds[0] > 10, "hardly anything passes: {:?}", kinds);
    }
}

/// Limits that are tighter by a share in (0, 1), and may be met by a robot at home.
const TIGHTER: [fn(&mut SafetyConfig, f64, &mut Stream); 18] = [
    |c, by, _| (c.position_max_rad.iter_mut()).for_each(|q| *q -= 0.3 * by),
    |c, by, _| (c.position_min_rad.iter_mut()).for_each(|q| *q += 0.3 * by),
    |c, by, _| (c.velocity_max_rad_s.iter_mut()).for_each(|v| *v *= 1.0 - 0.8 * by),
    |c, by, _| (c.acceleration_max_rad_s2.iter_mut()).for_each(|a| *a *= 1.0 - 0.8 * by),
    |c, by, _| (c.jerk_max_rad_s3.iter_mut()).for_each(|j| *j *= 1.0 - 0.8 * by),
    |c, by, _| {
        c.tool_speed_max_m_s *= 1.0 - 0.9 * by;
        c.reduced.speed_max_m_s = 0.1;
    },
    |c, by, _| c.elbow_speed_max_m_s *= 1.0 - 0.9 * by,
    |c, by, _| c.envelope_min_m[2] += 0.1 * by,
    |c, by, _| c.envelope_max_m[1] -= 0.8 * by,
    |c, by, _| {
        c.zones[2].shape = block([0.3 - 0.1 * by, 0.4 - 0.2 * by, 0.0], [0.4, 0.5, 0.5]);
    },
    |c, _, stream| c.zones.push(drawn(stream, None)),
    |c, by, stream| c.zones.push(drawn(stream, Some(0.05 + 0.3 * by))),
    |c, by, _| c.cone = Some(cone(3.0 - 2.7 * by)),
    |c, by, _| c.self_collision.as_mut().expect("compared").margin_m += 0.02 * by,
    |c, by, _| c.tracking_margin_m += 0.015 * by,
    |c, by, _| c.reaction_ticks += (20.0 * by) as u32,
    |c, by, _| {
        c.gripper_force_max_n *= 1.0 - 0.5 * by;
        c.gripper_width_max_m -= 0.03 * by;
        c.gripper_width_min_m += 0.03 * by;
    },
    |c, by, _| {
        c.effort = Some(EffortLimits {
            max_nm: [45.0, 45.0, 30.0, 30.0, 12.0, 12.0, 9.0].map(|most| most * (2.0 - by)),
            rate_max_nm_s: [4e3 * (1.5 - by); JOINTS],
            load_max_kg: 1.0,
            measured_ticks: 50,
        });
    },
];

fn block(min: [f64; 3], max: [f64; 3]) -> ZoneShape {
    ZoneShape::Box(Aabb {
        min: Point::from(min),
        max: Point::from(max),
    })
}

fn cone(half_angle_rad: f64) -> Cone {
    Cone {
        axis: [0.0, 0.0, -1.0],
        half_angle_rad,
    }
}

/// A zone somewhere around the arm, off the arm at home.
fn drawn(stream: &mut Stream, speed_max_m_s: Option<f64>) -> Zone {
    loop {
        let mut between = |low: f64, high: f64| low + (high - low) * stream.unit();
        let min = [between(-0.2, 0.8), between(-0.8, 0.8), between(0.0, 0.9)];
        let size = [between(0.05, 0.3), between(0.05, 0.3), between(0.05, 0.5)];
        let zone = Zone {
            name: "drawn".into(),
            shape: block(min, core::array::from_fn(|i| min[i] + size[i])),
            speed_max_m_s,
        };
        let alone = SafetyConfig {
            zones: vec![Zone {
                speed_max_m_s: None,
                ..zone.clone()
            }],
            ..config()
        };
        let least = clearances(&chain(), &alone, &HOME)
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        if least > 0.05 {
            return zone;
        }
    }
}

proptest! {
    #![proptest_config(cases(100))]

    /// Promise 5: what comes through tight limits comes through looser ones, bit for bit, in the same state. The
    /// gate with the tight limits leads; that with the loose ones is asked for what it gave.
    #[test]
    fn a_tighter_limit_never_enlarges_what_passes(
        seed: u64,
        which in 0..TIGHTER.len(),
        and in 0..TIGHTER.len(),
        by in 0.05..1.0_f64,
    ) {
        let mut stream = Stream(seed);
        let mut c = config();
        TIGHTER[which](&mut c, by, &mut stream);
        let loose = c.clone();
        // Alone, or on top of what another change has left.
        let (loose, tight) = if and == which {
            (config(), loose)
        } else {
            TIGHTER[and](&mut c, by, &mut stream);
            (loose, c)
        };
        let (mut led, mut leader) = (Rig::ready_with(loose), Rig::ready_with(tight));
        let mut walk = Walk::new(seed, &leader);
        for tick in 0..TICKS {
            let u = walk.propose(&leader);
            let given = *leader.step(&u, None).0.expect("powered").setpoint();
            let (command, verdict) = led.step(&given, None);
            prop_assert_eq!(
                verdict.kind, VerdictKind::Pass,
                "tick {}, {} and {}: {:?}", tick, which, and, verdict
            );
            prop_assert_eq!(bits(command.expect("powered").setpoint()), bits(&given));
        }
    }
}

/// Ways to a stop that are to be the same stop.
const WAYS: [fn(&mut Rig) -> Option<Setpoint>; 5] = [
    |rig| {
        rig.requests.stop_hold += 1;
        given(rig.hold().0)
    },
    |rig| {
        rig.requests.stop_then_off += 1;
        given(rig.hold().0)
    },
    |rig| {
        rig.frame.safety_inputs &= !SafetyInputs::PROTECTIVE_CLOSED;
        given(rig.hold().0)
    },
    |rig| {
        let here = rig.here();
        given(rig.step(&here, Some(LimitKind::Stale)).0)
    },
    // Blind.
    |rig| given(rig.gate.miss(&rig.requests).0),
];

fn given(command: Option<sinew_safety::SafeCommand>) -> Option<Setpoint> {
    command.map(|command| *command.setpoint())
}

proptest! {
    #![proptest_config(cases(16))]

    /// Promises 3, 4 and 7: at any moment of any motion the stop that is executed is the one that was verified: the
    /// declared braking law from the very next tick on, whatever asks for it, to the end that was announced, clear of
    /// zones, envelope and itself and within the position limits on the way.
    #[test]
    fn the_stop_executed_is_the_stop_verified(seed: u64) {
        let mut rig = Rig::ready();
        let c = config();
        let mut last = [HOME; 3];
        let mut braked = 0;
        wander(&mut rig, seed, TICKS, |tick, rig, _| {
            last = [last[1], last[2], rig.gate.given().position_rad];
            if tick % 29 != 28 {
                return Ok(());
            }
            let end = rig.clone().gate.stop_end();
            let mut expected = Motion::of(&last);
            let mut rigs: [Rig; WAYS.len()] = core::array::from_fn(|_| rig.clone());
            let mut rests = false;
            for stop_tick in 0..512 {
                if rests {
                    break;
                }
                let before = expected;
                expected.brake(&c);
                let mut first: Option<Setpoint> = None;
                for (n, way) in WAYS.iter().enumerate() {
                    let Some(given) = way(&mut rigs[n]) else {
                        // Category 1 is off once it rests.
                        prop_assert!(before.v == [0.0; JOINTS], "{} is off in motion", n);
                        continue;
                    };
                    let reference = *first.get_or_insert(given);
                    prop_assert_eq!(given.position_rad, reference.position_rad, "way {}", n);
                    for i in 0..JOINTS {
                        let off = (given.position_rad[i] - expected.q[i]).abs();
                        prop_assert!(off < 1e-9, "tick {}, joint {}: {} off", stop_tick, i, off);
                    }
                }
                let q = first.expect("one goes on").position_rad;
                rests = q == before.q || expected.v == [0.0; JOINTS];
                braked += 1;
                if stop_tick % 8 == 0 || rests {
                    let [space, links] = oracle::clearances(&c, &q);
                    let margin = c.self_collision.as_ref().expect("compared").margin_m;
                    prop_assert!(space >= c.tracking_margin_m - 1e-3 - 1e-9, "{} m", space);
                    prop_assert!(links >= margin - 1e-3 - 1e-9, "links at {} m", links);
                }
                for (i, q) in q.into_iter().enumerate() {
                    let room = (q - c.position_min_rad[i]).min(c.position_max_rad[i] - q);
                    prop_assert!(room >= c.following_error_max_rad[i] - 1e-9, "joint {}", i);
                }
            }
            prop_assert!(rests, "the stop does not end");
            let rest = rigs[0].gate.given().position_rad;
            prop_assert!((0..JOINTS).all(|i| (rest[i] - end[i]).abs() < 1e-12));
            Ok(())
        })?;
        prop_assert!(braked > 200, "{} ticks of stops", braked);
    }

    /// Promise 3: what was given keeps clear even if the robot goes on with it for the whole reaction time and brakes
    /// only then.
    #[test]
    fn the_stop_keeps_clear_after_the_reaction_time_too(seed: u64, reaction_ticks in 0..25_u32) {
        let c = SafetyConfig { reaction_ticks, ..config() };
        let mut rig = Rig::ready_with(c.clone());
        let mut last = [HOME; 3];
        wander(&mut rig, seed, TICKS, |tick, rig, _| {
            let before = Motion::of(&last);
            last = [last[1], last[2], rig.gate.given().position_rad];
            if tick % 7 != 6 {
                return Ok(());
            }
            let mut motion = Motion::of(&last);
            let is_motion = !before.stopped_by(&motion, &c);
            for _ in 0..reaction_ticks {
                motion.go_on(is_motion);
            }
            for stop_tick in 0..512 {
                for (i, q) in motion.q.into_iter().enumerate() {
                    let room = (q - c.position_min_rad[i]).min(c.position_max_rad[i] - q);
                    prop_assert!(room >= c.following_error_max_rad[i] - 1e-7, "joint {}", i);
                }
                let rests = motion.v == [0.0; JOINTS];
                if stop_tick % 16 == 0 || rests {
                    let [space, links] = oracle::clearances(&c, &motion.q);
                    let margin = c.self_collision.as_ref().expect("compared").margin_m;
                    prop_assert!(space >= c.tracking_margin_m - 1e-3 - 1e-7, "{} m", space);
                    prop_assert!(links >= margin - 1e-3 - 1e-7, "links at {} m", links);
                }
                if rests {
                    break;
                }
                motion.brake(&c);
            }
            Ok(())
        })?;
    }

    /// Promise 7: whoever has no right to go on brakes in the same tick, is not latched, and goes on with the next goal.
    #[test]
    fn an_end_of_a_lease_brakes_at_once_and_latches_nothing(seed: u64) {
        let mut rig = Rig::ready();
        let c = config();
        let mut last = [HOME; 3];
        wander(&mut rig, seed, TICKS, |tick, rig, u| {
            last = [last[1], last[2], rig.gate.given().position_rad];
            if tick % 41 != 40 {
                return Ok(());
            }
            let mut ended = rig.clone();
            let mut expected = Motion::of(&last);
            // What the source still proposes counts for nothing.
            for proposed in [u, &rig.here(), u] {
                expected.brake(&c);
                let (command, verdict) = ended.step(proposed, Some(LimitKind::Stale));
                prop_assert_eq!((verdict.kind, verdict.limit), (VerdictKind::Stop, LimitKind::Stale));
                let given = command.expect("powered").setpoint().position_rad;
                prop_assert!((0..JOINTS).all(|i| (given[i] - expected.q[i]).abs() < 1e-9));
            }
            ended.brake();
            prop_assert_eq!(ended.gate.given().velocity_rad_s, [0.0; JOINTS]);
            prop_assert_eq!(ended.gate.status().stop_state, StopState::Clear);
            prop_assert_eq!(ended.gate.power(), PowerDemand::Keep);
            let at = ended.gate.given().position_rad;
            let mut walk = Walk::new(seed, &ended);
            for _ in 0..60 {
                let u = walk.propose(&ended);
                ended.step(&u, None);
            }
            prop_assert!(ended.gate.given().position_rad != at, "nothing goes on");
            Ok(())
        })?;
    }
}

/// What may happen around a robot in one tick.
#[derive(Clone, Copy, Debug)]
enum Event {
    StopHold,
    StopThenOff,
    StopPowerOff,
    Emergency(bool),
    Protective(bool),
    Garbage,
    LostFrame,
    Reset,
    Quiet,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::StopHold),
        1 => Just(Event::StopThenOff),
        1 => Just(Event::StopPowerOff),
        2 => any::<bool>().prop_map(Event::Emergency),
        2 => any::<bool>().prop_map(Event::Protective),
        1 => Just(Event::Garbage),
        1 => Just(Event::LostFrame),
        6 => Just(Event::Reset),
        12 => Just(Event::Quiet),
    ]
}

/// An event, and for how many ticks nothing follows.
fn events() -> impl Strategy<Value = Vec<(Event, u64)>> {
    prop::collection::vec((event(), prop_oneof![1..4_u64, 30..200_u64]), 20..50)
}

proptest! {
    #![proptest_config(cases(24))]

    /// Promise 8: a latched stop only gets more severe on its own; only a new reset request clears it, only at rest,
    /// without a cause, and without a motion; category 0 is off at once and category 1 at rest.
    #[test]
    fn stops_latch_get_worse_and_are_cleared_by_a_reset_alone(seed: u64, events in events()) {
        let mut rig = Rig::ready();
        let mut walk = Walk::new(seed, &rig);
        let mut seen = rig.gate.status();
        let mut is_on = true;
        for (event, ticks) in events {
            for tick in 0..ticks {
                let mut u = walk.propose(&rig);
                let asked = matches!(event, Event::Reset) && tick == 0;
                let mut lost = false;
                match event {
                    Event::StopHold if tick == 0 => rig.requests.stop_hold += 1,
                    Event::StopThenOff if tick == 0 => rig.requests.stop_then_off += 1,
                    Event::StopPowerOff if tick == 0 => rig.requests.stop_power_off += 1,
                    Event::Emergency(true) => rig.frame.safety_inputs |= SafetyInputs::EMERGENCY_B_CLOSED,
                    Event::Emergency(false) => rig.frame.safety_inputs &= !SafetyInputs::EMERGENCY_B_CLOSED,
                    Event::Protective(true) => rig.frame.safety_inputs |= SafetyInputs::PROTECTIVE_CLOSED,
                    Event::Protective(false) => rig.frame.safety_inputs &= !SafetyInputs::PROTECTIVE_CLOSED,
                    Event::Garbage if tick == 0 => u.position_rad[2] = f64::NAN,
                    Event::LostFrame => lost = tick == 0,
                    Event::Reset if tick == 0 => rig.requests.reset += 1,
                    _ => {}
                }
                let was = *rig.gate.given();
                // Without power what was given says nothing: the plant of the tests stands at once.
                let was_moving = is_on && was.velocity_rad_s != [0.0; JOINTS];
                let was_at = rig.frame.position_rad;
                let (command, verdict): (Option<Setpoint>, Verdict) = if lost {
                    let (command, verdict) = rig.gate.miss(&rig.requests);
                    (given(command), verdict)
                } else {
                    let (command, verdict) = rig.step(&u, None);
                    (given(command), verdict)
                };
                let now = rig.gate.status();
                prop_assert_eq!(now.reset_answered, rig.requests.reset);
                prop_assert_eq!(verdict.category, now.category);
                prop_assert!(now.stops_total >= seen.stops_total);
                match (seen.category, now.category) {
                    (Some(before), Some(category)) => {
                        prop_assert!(
                            (category as u32) <= (before as u32),
                            "{:?} after {:?}", category, before
                        );
                    }
                    (None, Some(_)) => prop_assert_eq!(now.stops_total, seen.stops_total + 1),
                    (Some(before), None) => {
                        prop_assert!(asked && !was_moving, "{:?} cleared by {:?}", before, event);
                        prop_assert_eq!(rig.frame.safety_inputs, SafetyInputs::ALL_CLOSED);
                        // Where it stood it stands, whatever was proposed.
                        let given = command.expect("powered");
                        prop_assert_eq!(given.position_rad, was_at);
                        prop_assert_eq!(given.velocity_rad_s, [0.0; JOINTS]);
                    }
                    (None, None) => prop_assert!(verdict.kind != VerdictKind::Stop || lost),
                }
                if now.category.is_some() {
                    prop_assert_eq!((verdict.kind, verdict.limit), (VerdictKind::Stop, now.reason));
                    // No stop touches the gripper.
                    if let Some(command) = command {
                        prop_assert_eq!(command.gripper_width_m, was.gripper_width_m);
                    }
                }
                match now.category {
                    Some(StopCategory::PowerOff) => prop_assert!(command.is_none()),
                    Some(StopCategory::ControlledThenOff) => {
                        prop_assert!(command.is_some() || !was_moving, "off in motion");
                    }
                    _ => {}
                }
                seen = now;
                is_on = command.is_some();
            }
        }
    }

    /// Promise 12: equal inputs give equal outputs, bit for bit. (The adversary's hash is known in every build.)
    #[test]
    fn equal_inputs_give_equal_outputs(seed: u64) {
        let (mut one, mut other) = (Rig::ready(), Rig::ready());
        let mut walk = Walk::new(seed, &one);
        for _ in 0..TICKS / 4 {
            let u = walk.propose(&one);
            let (a, b) = (one.step(&u, None), other.step(&u, None));
            prop_assert_eq!(a.0.map(|c| bits(c.setpoint())), b.0.map(|c| bits(c.setpoint())));
            prop_assert_eq!(a.1, b.1);
        }
    }
}
