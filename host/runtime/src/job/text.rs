//! A job's report as a person reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sinew_recorder::report::{PersonReport, RunHeader, RunReport};

use crate::audit::first_digits;
use crate::kit::Kit;

/// What is said before the first cycle.
pub(super) fn greeting(kit: &Kit, header: &RunHeader) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} on {}, profile {}{}, seed {}, recovery {}",
            header.skill,
            kit.config.robot.name,
            header.profile,
            (header.scenario.as_ref())
                .map_or(String::new(), |scenario| format!(", scenario {scenario}")),
            header.seed,
            if header.recovery { "on" } else { "off" }
        ),
        format!(
            "inference: {}; images at {} Hz; safety configuration {}",
            header.inference_backend,
            header.perception_rate_hz,
            first_digits(&header.safety_hash)
        ),
    ];
    lines.extend(kit.notes.iter().cloned());
    lines
}

/// The report in words.
#[must_use]
pub fn report_text(report: &RunReport) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &RunReport, out: &mut String) -> std::fmt::Result {
    let header = &report.header;
    writeln!(
        out,
        "{} on {}: {} of {} cycles succeeded{}, goal {:.0} %: {}",
        header.skill,
        header.robot,
        report.succeeded,
        report.cycles,
        if report.cycles < header.cycles_asked {
            format!(" and {} never ran", header.cycles_asked - report.cycles)
        } else {
            String::new()
        },
        100.0 * header.goal_success_rate,
        if report.goal_reached {
            "reached"
        } else {
            "NOT reached"
        }
    )?;
    if !header.unsigned.is_empty() {
        writeln!(
            out,
            "  UNSIGNED      (development) {}",
            header.unsigned.join(", ")
        )?;
    }
    if let Some(why) = &header.ended_early {
        writeln!(out, "  ENDED EARLY   {why}")?;
    }
    for rollback in &header.rollbacks {
        writeln!(out, "  ROLLED BACK   {rollback}")?;
    }
    let [low, high] = report.success_wilson95;
    writeln!(
        out,
        "  success       {:.1} % (95 % interval {:.1} to {:.1} %), first pass {}, believed and wrong {}",
        100.0 * report.success_rate,
        100.0 * low,
        100.0 * high,
        report.first_pass,
        report.false_successes
    )?;
    let seconds =
        |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} s"));
    writeln!(
        out,
        "  cycle time    p50 {}, p90 {}, p99 {} (simulated)",
        seconds(report.cycle_time_s.p50),
        seconds(report.cycle_time_s.p90),
        seconds(report.cycle_time_s.p99)
    )?;
    writeln!(
        out,
        "  recoveries    {} of {} helped{}",
        report.recoveries.succeeded,
        report.recoveries.attempted,
        listed("; failures met: ", &report.failures_met)
    )?;
    if !report.failures.is_empty() {
        writeln!(out, "  failed        {}", listed("", &report.failures))?;
    }
    let verdicts = &header.verdicts;
    writeln!(
        out,
        "  safety        {} stops latched, a person needed in {} cycles; {} ticks passed, {} limited, {} held by the gate{}; configuration {}",
        report.safety_stops,
        report.interventions,
        verdicts.passed_ticks,
        verdicts.limited_ticks,
        verdicts.stop_ticks,
        listed(": ", &verdicts.by_limit),
        first_digits(&header.safety_hash)
    )?;
    if let Some(person) = &header.person {
        write_person(person, out)?;
    }
    writeln!(
        out,
        "  time          {:.1} s simulated in {:.1} s: {:.1}x real time; {} at {} images a second and camera",
        header.sim_seconds,
        header.wall_seconds,
        report.realtime_factor,
        header.inference_backend,
        header.perception_rate_hz
    )?;
    if header.deadline_misses > 0 {
        writeln!(
            out,
            "  missed        {} deadlines of the control loop: see `sinew doctor`",
            header.deadline_misses
        )?;
    }
    let mut stages: Vec<(&String, &f64)> = header.wall_seconds_by_stage.iter().collect();
    stages.sort_by(|a, b| b.1.total_cmp(a.1));
    let stages: Vec<String> = stages
        .iter()
        .map(|(stage, seconds)| format!("{stage} {seconds:.1} s"))
        .collect();
    writeln!(out, "  of which      {}", stages.join(", "))?;
    for cycle in report.cycle_list.iter().filter(|cycle| !cycle.succeeded) {
        writeln!(
            out,
            "  cycle #{:<6} {} of {} parts; {}: {}",
            cycle.cycle,
            cycle.parts_placed,
            cycle.parts_ordered,
            cycle.failure.as_deref().unwrap_or("failed"),
            cycle.message.as_deref().unwrap_or("no message")
        )?;
    }
    for incident in &report.incidents {
        writeln!(out, "  incident      {incident}")?;
    }
    for error in &header.recorder_errors {
        writeln!(out, "  lost evidence {error}")?;
    }
    for error in &header.store_errors {
        writeln!(out, "  skill store   {error}")?;
    }
    if let Some(runs) = &header.runs {
        writeln!(
            out,
            "  plugin runs   {runs}: `sinew replay` does them again"
        )?;
    }
    if let Some(audit) = &header.audit {
        writeln!(out, "  audit         {audit}")?;
    }
    if let Some(picture) = &header.picture {
        writeln!(out, "  picture       {picture}")?;
    }
    writeln!(
        out,
        "  state hash    {}{}",
        header.state_hash,
        if report.nondeterministic > 0 {
            ", of no use: a guard of wall time ended a plugin"
        } else if header.clock == "real" {
            ", of this run alone: in real time no two are alike"
        } else {
            ""
        }
    )?;
    write!(
        out,
        "Sinew is not a certified safety function and claims no PL or SIL."
    )
}

fn write_person(person: &PersonReport, out: &mut String) -> std::fmt::Result {
    let distance =
        |value: Option<f64>| value.map_or("never".to_owned(), |metres| format!("{metres:.2} m"));
    writeln!(
        out,
        "  person        in the cell for {:.1} s; the robot made way {} times and came to stand in {} of them, \
         {:.1} s in all; smallest distance {}, while it moved {}",
        person.in_cell_s,
        person.slowed,
        person.stopped,
        person.limited_s,
        distance(person.smallest_distance_m),
        distance(person.smallest_distance_moving_m),
    )
}

fn listed(before: &str, counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let items: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    format!("{before}{}", items.join(", "))
}
