//! Whatever comes in, something sound comes out: every number of every input, spoilt; and what counts ticks and
//! requests, out of order.

use sinew_messages::{
    JOINTS, LimitKind, OBSTACLES_MAX, Payload, SafetyInputs, StopState, VerdictKind,
};
use sinew_safety::{EffortLimits, SafetyConfig};

use crate::rig::{Judge, Rig, Seen, config, full};
use crate::walk::{Walk, bits};

const UNFIT: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
const ODD: [f64; 6] = [5e-324, -0.0, f64::MAX, f64::MIN, 1e300, -1e300];
/// Ticks for which the input is bad.
const BAD_TICKS: u64 = 3;

/// With everything switched on that looks at an input.
fn watchful() -> SafetyConfig {
    let mut c = full();
    // As fast and as strong as without a part of the body that could be touched.
    if let Some(contact) = &mut c.contact {
        contact.regions.clear();
    }
    SafetyConfig {
        zones: config().zones,
        cone: None,
        effort: Some(EffortLimits {
            max_nm: [150.0, 150.0, 100.0, 100.0, 50.0, 50.0, 40.0],
            rate_max_nm_s: [1e5; JOINTS],
            load_max_kg: 2.0,
            measured_ticks: 20,
        }),
        ..c
    }
}

/// A robot in motion, with a judge that saw it begin.
#[derive(Clone)]
struct Run {
    rig: Rig,
    judge: Judge,
    walk: Walk,
}

impl Run {
    fn under_way() -> Self {
        let mut rig = Rig::booted(watchful());
        rig.scanner_sees = true;
        rig.frame.gripper_force_n = 20.0;
        rig.obstacles.count = 1;
        rig.obstacles.obstacles[0].position_m = [5.0, 5.0, 0.0];
        rig.hold();
        rig.reset();
        let mut run = Self {
            judge: Judge::new(&rig),
            walk: Walk::new(3, &rig),
            rig,
        };
        run.go(170);
        assert_ne!(run.rig.gate.given().velocity_rad_s, [0.0; JOINTS]);
        assert_eq!(run.rig.gate.status().stop_state, StopState::Clear);
        run
    }

    fn go(&mut self, ticks: u64) {
        for _ in 0..ticks {
            let u = self.walk.propose(&self.rig);
            self.step(&u, |_| {});
        }
    }

    /// One tick. What comes out is finite and keeps every limit, whatever went in.
    fn step(&mut self, u: &sinew_messages::Setpoint, spoil: impl Fn(&mut Seen)) -> LimitKind {
        let (command, verdict) = self.rig.step_spoiled(u, None, spoil);
        match command {
            Some(command) => (self.judge.look(&command, &verdict)).expect("a sound command"),
            None => self.judge.restart(&self.rig.frame.position_rad),
        }
        verdict.limit
    }
}

/// What the gate is to make of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Latched(LimitKind),
    /// Braked for, and gone on from.
    Held(LimitKind),
    /// Nothing that the gate looks at, or nothing that one reading tells.
    Whatever,
}

/// Some ticks of bad input in a motion, and what becomes of it; then a reset, and the robot goes on.
fn check(base: &Run, name: &str, then: Then, spoil: impl Fn(&mut Seen)) {
    let mut run = base.clone();
    for _ in 0..BAD_TICKS {
        let u = run.walk.propose(&run.rig);
        let limit = run.step(&u, &spoil);
        if let Then::Held(expected) = then {
            assert_eq!(limit, expected, "{name}");
        }
    }
    let status = run.rig.gate.status();
    match then {
        Then::Latched(reason) => {
            assert_eq!(status.stop_state, StopState::Latched, "{name}");
            assert_eq!(status.reason, reason, "{name}");
        }
        Then::Held(_) => assert_eq!(status.stop_state, StopState::Clear, "{name}"),
        Then::Whatever => {}
    }
    let (mut ticks, mut still) = (0, 0);
    while still < 3 {
        let here = run.rig.here();
        run.step(&here, |_| {});
        still = if run.rig.gate.given().velocity_rad_s == [0.0; JOINTS] {
            still + 1
        } else {
            0
        };
        ticks += 1;
        assert!(ticks < 512, "{name}: it does not come to rest");
    }
    run.rig.requests.reset += 1;
    let here = run.rig.here();
    run.step(&here, |_| {});
    let status = run.rig.gate.status();
    assert_eq!(status.stop_state, StopState::Clear, "{name}: {status:?}");
    let at = run.rig.gate.given().position_rad;
    run.walk = Walk::new(3, &run.rig);
    run.go(20);
    assert_ne!(run.rig.gate.given().position_rad, at, "{name}: it is stuck");
}

/// Sets the numbers of a setpoint, by their place in it.
fn set_proposed(seen: &mut Seen, field: usize, bad: f64) {
    let u = &mut seen.proposed;
    match (field / JOINTS, field % JOINTS) {
        (0, i) => u.position_rad[i] = bad,
        (1, i) => u.velocity_rad_s[i] = bad,
        (2, i) => u.acceleration_rad_s2[i] = bad,
        (_, 0) => u.gripper_width_m = bad,
        _ => u.gripper_force_n = bad,
    }
}

/// And those of a sensor frame.
fn set_measured(seen: &mut Seen, field: usize, bad: f64) {
    let frame = &mut seen.frame;
    match (field / JOINTS, field % JOINTS) {
        (0, i) => frame.position_rad[i] = bad,
        (1, i) => frame.velocity_rad_s[i] = bad,
        (2, i) => frame.effort_nm[i] = bad,
        (_, i @ 0..3) => frame.tool_force_n[i] = bad,
        (_, 3) => frame.gripper_width_m = bad,
        (_, 4) => frame.gripper_velocity_m_s = bad,
        _ => frame.gripper_force_n = bad,
    }
}

#[test]
fn every_number_that_is_proposed_may_be_bad() {
    let base = Run::under_way();
    for field in 0..3 * JOINTS + 2 {
        for bad in UNFIT {
            let then = Then::Latched(LimitKind::NonFinite);
            let name = format!("field {field} is {bad}");
            check(&base, &name, then, |seen| set_proposed(seen, field, bad));
        }
        for bad in ODD {
            let name = format!("field {field} is {bad:e}");
            check(&base, &name, Then::Whatever, |seen| {
                set_proposed(seen, field, bad);
            });
        }
    }
    // All of them together, and what no robot can do is not called a pass.
    for bad in ODD.into_iter().filter(|bad| bad.abs() > 1.0) {
        check(&base, "all", Then::Held(LimitKind::Velocity), |seen| {
            (0..3 * JOINTS).for_each(|field| set_proposed(seen, field, bad));
        });
    }
}

#[test]
fn every_number_that_is_measured_may_be_bad() {
    let base = Run::under_way();
    for field in 0..3 * JOINTS + 6 {
        for bad in UNFIT {
            let then = Then::Latched(LimitKind::NonFinite);
            let name = format!("field {field} is {bad}");
            check(&base, &name, then, |seen| set_measured(seen, field, bad));
        }
        for bad in ODD {
            let far = bad.abs() > 1.0;
            let then = match field / JOINTS {
                0 if far => Then::Latched(LimitKind::Encoder),
                3 if far && field % JOINTS < 3 => Then::Held(LimitKind::Force),
                _ => Then::Whatever,
            };
            let name = format!("field {field} is {bad:e}");
            check(&base, &name, then, |seen| set_measured(seen, field, bad));
        }
    }
    // For longer than one reading: too fast, too strong.
    for (field, reason) in [
        (JOINTS, LimitKind::Velocity),
        (2 * JOINTS, LimitKind::Effort),
    ] {
        let mut run = base.clone();
        for _ in 0..30 {
            let here = run.rig.here();
            run.step(&here, |seen| set_measured(seen, field, f64::MAX));
        }
        assert_eq!(run.rig.gate.status().reason, reason);
    }
}

#[test]
fn every_number_about_an_obstacle_may_be_bad() {
    let base = Run::under_way();
    let held = Then::Held(LimitKind::Separation);
    for field in 0..5 {
        for bad in UNFIT.into_iter().chain(ODD) {
            let sane = bad.abs() < 1.0;
            let then = if sane { Then::Whatever } else { held };
            check(&base, &format!("{field} is {bad:e}"), then, |seen| {
                let one = &mut seen.obstacles.obstacles[0];
                match field {
                    0..3 => one.position_m[field] = bad,
                    3 => one.radius_m = bad,
                    _ => one.uncertainty_m = bad,
                }
            });
        }
    }
    check(&base, "kind", held, |s| s.obstacles.obstacles[0].kind = 2);
    check(&base, "unknown kind", held, |seen| {
        seen.obstacles.obstacles[0].kind = u32::MAX;
    });
    check(&base, "negative radius", held, |seen| {
        seen.obstacles.obstacles[0].radius_m = -1e-9;
    });
    check(&base, "negative uncertainty", held, |seen| {
        seen.obstacles.obstacles[0].uncertainty_m = -1e-9;
    });
    check(&base, "age", held, |seen| {
        seen.obstacles.obstacles[0].age_ticks = u64::MAX;
    });
    for count in [OBSTACLES_MAX as u64 + 1, u64::MAX] {
        check(&base, "count", held, |seen| seen.obstacles.count = count);
    }
    let latched = Then::Latched(LimitKind::Separation);
    check(&base, "never seen", latched, |s| s.obstacles.seen_tick = 0);
    check(&base, "seen long ago", latched, |seen| {
        seen.obstacles.seen_tick = seen.frame.tick - 101;
    });
}

#[test]
fn ticks_and_time_may_run_anyhow() {
    const YEAR_NS: u64 = 365 * 24 * 3_600 * 1_000_000_000;
    let base = Run::under_way();
    type Spoil = (&'static str, fn(&mut Seen));
    let spoils: [Spoil; 9] = [
        ("time backwards", |seen| seen.frame.time_ns -= 10_000_000),
        ("time stands", |seen| seen.frame.time_ns = 5_000_000_000),
        ("a year later", |seen| seen.frame.time_ns += YEAR_NS),
        ("the end of time", |seen| seen.frame.time_ns = u64::MAX),
        ("time zero", |seen| seen.frame.time_ns = 0),
        ("tick backwards", |seen| seen.frame.tick -= 10),
        ("tick stands", |seen| seen.frame.tick = 7),
        ("tick zero", |seen| seen.frame.tick = 0),
        ("the last tick", |seen| seen.frame.tick = u64::MAX),
    ];
    for (name, spoil) in spoils {
        check(&base, name, Then::Latched(LimitKind::TimeBase), spoil);
    }
}

#[test]
fn requests_may_count_anyhow() {
    let base = Run::under_way();
    let requested = Then::Latched(LimitKind::Requested);
    for count in [1, u64::MAX] {
        check(&base, "hold", requested, |s| s.requests.stop_hold = count);
        check(&base, "off", requested, |s| {
            s.requests.stop_then_off = count;
        });
        check(&base, "power", requested, |s| {
            s.requests.stop_power_off = count;
        });
    }
    // Counters that wrap, one after the other.
    let mut run = base.clone();
    run.rig.requests.stop_hold = u64::MAX;
    run.go(1);
    assert_eq!(run.rig.gate.status().reason, LimitKind::Requested);
    run.rig.brake();
    run.rig.reset();
    assert_eq!(run.rig.gate.status().stop_state, StopState::Clear);
    run.rig.requests.stop_hold = 0;
    run.rig.hold();
    assert_eq!(run.rig.gate.status().stop_state, StopState::Latched);

    for code in [4, 1 << 32, u64::MAX] {
        check(&base, "mode", Then::Held(LimitKind::Mode), |s| {
            s.requests.mode = code;
        });
    }
    check(
        &base,
        "heartbeat",
        Then::Latched(LimitKind::BrainDead),
        |s| {
            s.requests.heartbeat_tick = s.frame.tick - 101;
        },
    );
    check(&base, "drives", Then::Latched(LimitKind::Drive), |s| {
        s.frame.drive_status = u32::MAX;
    });
    check(
        &base,
        "inputs",
        Then::Latched(LimitKind::EmergencyStop),
        |s| {
            s.frame.safety_inputs = !SafetyInputs::ALL_CLOSED;
        },
    );
}

/// −0.0 is as good a number as 0.0, and comes out as it went in.
#[test]
fn negative_zero_passes_bit_for_bit() {
    let mut rig = Rig::ready();
    let mut u = rig.here();
    (u.gripper_force_n, u.gripper_width_m) = (-0.0, -0.0);
    u.velocity_rad_s = [-0.0; JOINTS];
    let (command, verdict) = rig.step(&u, None);
    assert_eq!(verdict.kind, VerdictKind::Pass);
    assert_eq!(bits(command.expect("powered").setpoint()), bits(&u));
}

/// A load that cannot be is not taken, and leaves nothing behind.
#[test]
fn every_number_of_a_payload_may_be_bad() {
    let base = Run::under_way();
    for field in 0..11 {
        for bad in UNFIT.into_iter().chain(ODD) {
            let mut payload = Payload {
                mass_kg: 0.2,
                com_m: [0.0, 0.0, 0.1],
                a_m: [0.0, 0.0, 0.1],
                b_m: [0.0, 0.0, 0.12],
                radius_m: 0.01,
            };
            match field {
                0 => payload.mass_kg = bad,
                1..4 => payload.com_m[field - 1] = bad,
                4..7 => payload.a_m[field - 4] = bad,
                7..10 => payload.b_m[field - 7] = bad,
                _ => payload.radius_m = bad,
            }
            let name = format!("field {field} is {bad:e}");
            let mut run = base.clone();
            let fits = run.rig.gate.carry(&payload);
            assert_eq!(fits, bad.abs() < 1.0, "{name}");
            for _ in 0..3 {
                let u = run.walk.propose(&run.rig);
                let limit = run.step(&u, |_| {});
                assert_eq!(limit == LimitKind::Payload, !fits, "{name}: {limit:?}");
            }
            run.rig.brake();
            assert!(run.rig.gate.carry(&Payload::NONE), "{name}");
            assert_eq!(run.rig.hold().1.kind, VerdictKind::Pass, "{name}");
        }
    }
}

/// Before the first reset, too: with the drives off the gate follows what is measured.
#[test]
fn garbage_before_the_first_reset_is_not_where_the_robot_starts() {
    for field in 0..3 * JOINTS + 6 {
        for bad in UNFIT.into_iter().chain(ODD) {
            let mut rig = Rig::booted(config());
            rig.hold();
            let here = rig.here();
            rig.requests.reset += 1;
            let (command, _) = rig.step_spoiled(&here, None, |s| set_measured(s, field, bad));
            let given = command.map(|command| *command.setpoint());
            if field < JOINTS && bad.abs() > 1.0 || !bad.is_finite() {
                assert!(given.is_none(), "started at {bad:e} in field {field}");
            }
            if let Some(given) = given {
                assert!(given.is_finite());
                assert!((0.0..=0.08).contains(&given.gripper_width_m), "{given:?}");
            }
            rig.brake();
            rig.reset();
            rig.hold();
            let (command, verdict) = rig.hold();
            assert_eq!(verdict.kind, VerdictKind::Pass, "{bad:e} in field {field}");
            assert!(command.expect("powered").setpoint().is_finite());
        }
    }
}
