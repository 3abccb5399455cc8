//! The adversary against the gate, and against gates that believe what is not so.

use sinew_adversary::{Outcome, run, run_against};
use sinew_description::{RobotDescription, SafetyFile};
use sinew_kinematics::Chain;
use sinew_messages::LimitKind;
use sinew_safety::{ForceReaction, SafetyConfig};

/// Shards of the run in `cargo test`: a million ticks.
const SHARDS: u64 = 10;
const TICKS: u64 = 100_000;
/// Hash over every command of that run.
const OUTPUT_HASH: u64 = 0xd3a7_cc28_c271_ced0;

/// And of a short one, for builds that are slow.
const SHORT_TICKS: u64 = 2_000;
const SHORT_HASH: u64 = 0xc787_244f_839d_fbca;

fn cell() -> (Chain, SafetyConfig) {
    let robot = RobotDescription::builtin();
    let limits = (SafetyFile::builtin().limits(&robot)).expect("the built-in files fit");
    (robot.chain(), limits.config().clone())
}

/// The outcome of shards `first..first + SHARDS`, run on two threads.
fn shards(first: u64) -> Outcome {
    let (chain, base) = cell();
    let half = |from: u64, to: u64| -> Vec<Outcome> {
        (from..to)
            .map(|seed| run(&chain, &base, seed, TICKS))
            .collect()
    };
    let middle = first + SHARDS / 2;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(middle, first + SHARDS));
        let mut all = half(first, middle);
        all.extend(other.join().expect("no shard panics"));
        let mut sum = Outcome::default();
        all.iter().for_each(|outcome| sum.add(outcome));
        sum
    })
}

/// Where a soak found something that no other test sees: a motion in recovery mode sank below the band in which it may
/// leave a margin; a robot that was put next to itself by hand was off by its following error once it had power.
#[test]
fn shards_that_found_something_find_nothing() {
    let (chain, base) = cell();
    for (seed, ticks) in [(70_623, 37_400), (70_857, 32_000)] {
        let outcome = run(&chain, &base, seed, ticks);
        assert_eq!(outcome.violations, 0, "{seed}: {:#?}", outcome.described);
    }
}

#[test]
fn a_million_ticks_break_nothing() {
    let sum = shards(1);
    assert_eq!(sum.violations, 0, "{:#?}", sum.described);
    assert_eq!(sum.ticks, SHARDS * TICKS);
    assert!(sum.powered_ticks > sum.ticks * 9 / 10, "{sum:?}");
    // A gate that never moves would be safe as well: it went as far as it may.
    for (name, near) in [
        ("zone", 1e-3),
        ("envelope", 1e-3),
        ("velocity", 1e-3),
        ("acceleration", 1e-3),
        ("position", 1e-2),
        ("reaction-clearance", 1e-3),
        ("tool-speed", 1e-2),
        ("slow-zone", 1e-2),
        ("orientation", 1e-2),
        ("effort", 1e-2),
        ("effort-rate", 1.0),
        ("true-person", 0.2),
        ("contact-speed", 1e-3),
        ("momentum", 0.2),
        ("singularity", 1e-2),
    ] {
        let left = sum.margins.0[name];
        assert!(left < near, "nobody came near to {name}: {left}");
    }
    // And every check spoke: what is never asked is not tested. A configuration that cannot be never gets as far.
    assert!(sum.yielded_ticks > 0, "it never gave way");
    for limit in LimitKind::ALL {
        if !matches!(limit, LimitKind::None | LimitKind::Configuration) {
            let spoke = sum.spoke.get(limit.name()).copied().unwrap_or(0);
            assert!(spoke > 0, "nothing was ever limited by {}", limit.name());
        }
    }
    assert_eq!(sum.spoke.values().sum::<u64>(), sum.limited_ticks);
    assert_eq!(
        sum.hash, OUTPUT_HASH,
        "the gate's output changed: {:#018x}",
        sum.hash
    );
}

/// Bit for bit the same outputs whether and how far the gate was optimised: CI runs this one in a profile of its own.
#[test]
fn optimisation_changes_no_bit() {
    let (chain, base) = cell();
    let mut sum = Outcome::default();
    for seed in 1..=3 {
        sum.add(&run(&chain, &base, seed, SHORT_TICKS));
    }
    assert_eq!(
        sum.hash, SHORT_HASH,
        "the gate's output changed: {:#018x}",
        sum.hash
    );
}

/// A lie to the gate, and the margin that shows it.
type Delusion = (&'static str, fn(&mut SafetyConfig));

/// Whatever the gate is wrong about, the judge finds it: a judge that finds nothing says something.
#[test]
fn a_deluded_gate_is_found_out() {
    let delusions: [Delusion; 25] = [
        ("zone", |c| {
            c.zones.retain(|zone| zone.speed_max_m_s.is_some())
        }),
        ("slow-zone", |c| {
            c.zones.retain(|zone| zone.speed_max_m_s.is_none())
        }),
        ("envelope", |c| c.envelope_min_m = [-2.0; 3]),
        ("zone", |c| c.tracking_margin_m *= 0.5),
        ("position", |c| {
            c.position_min_rad.iter_mut().for_each(|q| *q -= 0.02);
            c.position_max_rad.iter_mut().for_each(|q| *q += 0.02);
        }),
        ("velocity", |c| {
            c.velocity_max_rad_s.iter_mut().for_each(|v| *v *= 1.03)
        }),
        ("acceleration", |c| {
            c.acceleration_max_rad_s2.iter_mut().for_each(|a| *a *= 1.2);
        }),
        ("jerk", |c| {
            c.jerk_max_rad_s3.iter_mut().for_each(|j| *j *= 1.4)
        }),
        ("jerk", |c| {
            // Less than the stop may have: what only the stop may have is no motion's.
            c.jerk_max_rad_s3.iter_mut().for_each(|j| *j *= 1.02)
        }),
        ("stop", |c| {
            // It brakes more weakly than is declared: what is executed is not what was verified.
            c.stop_jerk_rad_s3.iter_mut().for_each(|j| *j *= 0.98)
        }),
        ("stop", |c| {
            c.stop_acceleration_rad_s2
                .iter_mut()
                .for_each(|a| *a *= 0.98);
        }),
        ("reaction-clearance", |c| {
            // It believes that the robot brakes better than it does.
            c.stop_acceleration_rad_s2
                .iter_mut()
                .for_each(|a| *a *= 1.5);
            c.stop_jerk_rad_s3.iter_mut().for_each(|j| *j *= 1.5);
        }),
        ("tool-speed", |c| c.tool_speed_max_m_s *= 1.1),
        ("effort", |c| {
            if let Some(effort) = &mut c.effort {
                effort.max_nm.iter_mut().for_each(|nm| *nm *= 1.1);
            }
        }),
        ("effort-rate", |c| {
            if let Some(effort) = &mut c.effort {
                effort
                    .rate_max_nm_s
                    .iter_mut()
                    .for_each(|rate| *rate *= 1.1);
            }
        }),
        ("orientation", |c| c.cone = None),
        ("true-self", |c| c.self_collision = None),
        ("true-person", |c| {
            if let Some(separation) = &mut c.separation {
                separation.approach_speed_m_s = 0.01;
                separation.intrusion_m = 0.0;
            }
        }),
        ("contact-push", |c| c.force_reaction = ForceReaction::Off),
        ("contact-push", |c| c.force_stop_n *= 1.5),
        ("contact-depth", |c| c.force_reaction = ForceReaction::Off),
        ("contact-speed", |c| {
            let regions = c
                .contact
                .iter_mut()
                .flat_map(|contact| &mut contact.regions);
            regions.for_each(|region| region.mass_kg *= 0.9);
        }),
        ("momentum", |c| {
            if let Some(contact) = &mut c.contact {
                contact.momentum_max_kg_m_s *= 1.1;
            }
        }),
        ("singularity", |c| {
            if let Some(singularity) = &mut c.singularity {
                singularity.slow_above *= 1.05;
                singularity.stop_above *= 1.05;
            }
        }),
        ("grip-lost", |c| {
            if let Some(grip) = &mut c.grip {
                grip.lost_ticks += 5;
            }
        }),
    ];
    let (chain, base) = cell();
    let look = |delusions: &[Delusion]| {
        for (name, delude) in delusions {
            let found = (1..400).any(|seed| {
                let outcome = run_against(&chain, &base, seed, 5_000, delude);
                (outcome.margins.0.get(name)).is_some_and(|margin| *margin < 0.0)
            });
            assert!(found, "nobody found out what was wrong about {name}");
        }
    };
    let (here, there) = delusions.split_at(delusions.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| look(there));
        look(here);
        other.join().expect("found out over there, too");
    });
}
