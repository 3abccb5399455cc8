//! Motion sources that try to get through, judged tick by tick on what was given.

use sinew_messages::{JOINTS, JointVector, LimitKind, Setpoint, StopState};

use crate::rig::{Eager, Judge, Rig, Stream, chain, clearances, config};

/// Ticks of the run in `cargo test`.
const TICKS: u64 = 120_000;
/// Hash over every command of that run, the same in debug and release.
const OUTPUT_HASH: u64 = 0x8cc5_3b89_454c_cba7;

/// What the adversary is up to for a while.
#[derive(Clone, Copy)]
enum Scheme {
    /// As hard as allowed toward joints that may be outside every limit.
    Eager(Eager),
    /// Full-scale jumps.
    Jump,
    /// From one end of the limits to the other and back.
    Oscillate,
    /// An old setpoint again.
    Replay,
    /// Garbage in one field.
    Sprinkle,
    /// Nothing, stale.
    Stale,
}

fn scheme(stream: &mut Stream) -> Scheme {
    match stream.below(12) {
        0 => Scheme::Jump,
        1 => Scheme::Oscillate,
        2 => Scheme::Replay,
        3 => Scheme::Sprinkle,
        4 => Scheme::Stale,
        n => {
            // At the limits, under them, and beyond.
            let share = [0.3, 0.7, 1.0, 1.0, 1.3][(n as usize) % 5];
            Scheme::Eager(Eager {
                velocity: 2.4 * share,
                acceleration: 15.0 * share,
                jerk: 1499.0 * share.min(1.0),
                brakes: n % 2 == 0,
                straight: false,
            })
        }
    }
}

fn sprinkle(stream: &mut Stream, mut u: Setpoint) -> Setpoint {
    let bad = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE / 2.0,
        -0.0,
    ][stream.below(6) as usize];
    let joint = stream.below(JOINTS as u64) as usize;
    match stream.below(5) {
        0 => u.position_rad[joint] = bad,
        1 => u.velocity_rad_s[joint] = bad,
        2 => u.acceleration_rad_s2[joint] = bad,
        3 => u.gripper_width_m = bad,
        _ => u.gripper_force_n = bad,
    }
    u
}

/// The stop from here, simulated by a copy of the gate: ends where the gate says, and stays clear on the way.
fn stop_oracle(rig: &Rig) -> Result<(), String> {
    let mut copy = rig.clone();
    let mut judge = Judge::new(&copy);
    let end = copy.gate.stop_end();
    let given = *copy.gate.given();
    judge.restart(&given.position_rad);
    copy.requests.stop_hold += 1;
    let (chain, config) = (chain(), config());
    for _ in 0..512 {
        copy.hold();
        let q = copy.gate.given().position_rad;
        let least = clearances(&chain, &config, &q)
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        if least < config.tracking_margin_m - 1e-3 - 1e-9 {
            return Err(format!("the stop comes to {least}"));
        }
        for (i, q) in q.into_iter().enumerate() {
            let room = (q - config.position_min_rad[i]).min(config.position_max_rad[i] - q);
            if room < config.following_error_max_rad[i] - 1e-9 {
                return Err(format!("the stop takes joint {i} to {q}"));
            }
        }
    }
    let rest = copy.gate.given().position_rad;
    // What is said comes from a closed form: rounding adds up differently there.
    if (0..JOINTS).any(|i| (rest[i] - end[i]).abs() > 1e-12) {
        return Err(format!("stopped at {rest:?}, said {end:?}"));
    }
    Ok(())
}

fn run(seed: u64, ticks: u64) -> (u64, Judge) {
    let mut stream = Stream(seed);
    let mut rig = Rig::ready();
    let config = config();
    let mut judge = Judge::new(&rig);
    let mut plan = scheme(&mut stream);
    let mut target = stream.joints(&config);
    let mut before: JointVector = rig.gate.given().position_rad;
    let mut old = rig.here();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for tick in 0..ticks {
        if stream.below(300) == 0 {
            plan = scheme(&mut stream);
            target = stream.joints(&config);
            if stream.below(2) == 0 {
                // One joint alone gets to its limit where all of them would meet a zone first.
                let joint = stream.below(JOINTS as u64) as usize;
                let goal = target[joint];
                target = rig.gate.given().position_rad;
                target[joint] = goal;
            }
        }
        let given = *rig.gate.given();
        let (proposed, stale) = match plan {
            Scheme::Eager(eager) => (eager.toward(&given, &before, &target), None),
            Scheme::Jump => (
                Setpoint {
                    position_rad: stream.joints(&config),
                    ..given
                },
                None,
            ),
            Scheme::Oscillate => {
                let end = if (tick / 40) % 2 == 0 {
                    config.position_min_rad
                } else {
                    config.position_max_rad
                };
                (
                    Setpoint {
                        position_rad: end,
                        gripper_width_m: if tick % 2 == 0 { -1.0 } else { 1.0 },
                        gripper_force_n: 1e6,
                        ..given
                    },
                    None,
                )
            }
            Scheme::Replay => (old, None),
            Scheme::Sprinkle => {
                let toward = Eager {
                    velocity: 2.4,
                    acceleration: 15.0,
                    jerk: 1499.0,
                    brakes: false,
                    straight: false,
                }
                .toward(&given, &before, &target);
                if stream.below(20) == 0 {
                    (sprinkle(&mut stream, toward), None)
                } else {
                    (toward, None)
                }
            }
            Scheme::Stale => (rig.here(), Some(LimitKind::Stale)),
        };
        if stream.below(500) == 0 {
            old = proposed;
            if !old.is_finite() {
                old = rig.here();
            }
        }
        // Resets and stops at any moment.
        if stream.below(300) == 0 {
            rig.requests.reset += 1;
        }
        if stream.below(4_000) == 0 {
            rig.requests.stop_hold += 1;
        }
        if rig.gate.status().stop_state == StopState::Latched && stream.below(30) == 0 {
            rig.requests.reset += 1;
        }
        before = given.position_rad;
        let (command, verdict) = rig.step(&proposed, stale);
        match command {
            Some(command) => {
                if let Err(wrong) = judge.look(&command, &verdict) {
                    panic!("seed {seed}, tick {tick}: {wrong}");
                }
                for value in command.setpoint().position_rad {
                    hash = (hash ^ value.to_bits()).wrapping_mul(0x0100_0000_01b3);
                }
                hash = (hash ^ u64::from(verdict.record().kind)).wrapping_mul(0x0100_0000_01b3);
            }
            None => judge.restart(&rig.gate.given().position_rad),
        }
        if tick % 500 == 0 {
            stop_oracle(&rig).unwrap_or_else(|wrong| panic!("seed {seed}, tick {tick}: {wrong}"));
        }
    }
    (hash, judge)
}

/// Nothing that an adversary proposes breaks a limit, and the same run gives the same bits in every build.
#[test]
fn an_adversary_breaks_no_limit_and_the_output_hash_is_known() {
    let (hash, judge) = run(1, TICKS);
    println!(
        "hash {hash:#018x}, least clearance {:.6} m, least room {:.6} rad",
        judge.least_clearance, judge.least_room
    );
    // The adversary got close: a gate that never moves would be safe as well.
    assert!(judge.least_clearance < 0.02, "{}", judge.least_clearance);
    assert!(judge.least_room < 0.01, "{}", judge.least_room);
    assert_eq!(hash, OUTPUT_HASH, "the gate's output changed: {hash:#018x}");
}

#[test]
fn other_seeds_break_no_limit_either() {
    for seed in 2..6 {
        run(seed, 10_000);
    }
}
