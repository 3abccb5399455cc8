//! The report of a run: the keys that `sinew run --json` promises, and more beside them.
//!
//! Counts are of cycles unless a name says otherwise. A cycle counts as succeeded when the scorer, which
//! sees the truth, says so; what the host believed stands beside it (`false_successes`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::statistics::{Percentiles, wilson95};

/// Recovery attempts of a cycle or a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryCount {
    /// Recoveries started.
    pub attempted: u64,
    /// Recoveries after which the task went on to succeed or at least past the failed step.
    pub succeeded: u64,
}

/// One cycle, as it is listed in the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CycleReport {
    /// Number of the cycle, from 0.
    pub cycle: u64,
    /// The scorer's verdict.
    pub succeeded: bool,
    /// What the host believed at the end.
    pub believed: bool,
    /// Succeeded without a recovery and without a person.
    pub first_pass: bool,
    /// Label of the failure: that of the task's end, or `false-success`; absent if the cycle succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// One line on the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the skill gave back, if its task succeeded and it gave anything.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub result: Value,
    /// Labels of every failure on the way, the recovered ones included, in order.
    pub failures_met: Vec<String>,
    /// Its recoveries.
    pub recoveries: RecoveryCount,
    /// Times that a person or a reset was needed.
    pub interventions: u64,
    /// Latched safety stops.
    pub safety_stops: u64,
    /// Simulated time from the task's start to its end.
    pub duration_s: f64,
    /// Parts ordered.
    pub parts_ordered: u64,
    /// Parts that the scorer found in their pockets.
    pub parts_placed: u64,
    /// Names of the faults that came about, for reading only.
    pub faults: Vec<String>,
    /// The guard of the host's thread ended a run of a plugin: the same cycle may end elsewhere next time.
    pub nondeterministic: bool,
    /// Incident files written in this cycle.
    pub incidents: Vec<String>,
}

/// What the gate said over a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VerdictReport {
    /// Ticks in which the asked setpoint passed.
    pub passed_ticks: u64,
    /// Ticks in which it was limited.
    pub limited_ticks: u64,
    /// Ticks in which a stop was executed or held.
    pub stop_ticks: u64,
    /// Ticks that did not pass, by the limit's name.
    pub by_limit: BTreeMap<String, u64>,
}

/// Persons in the cell over a run: what the robot did about them, and what was true. Distances are from the person's
/// column to the nearest moving link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PersonReport {
    /// Simulated time with somebody in the cell, s.
    pub in_cell_s: f64,
    /// Encounters in which the gate limited the motion because of them.
    pub slowed: u64,
    /// Those of them in which the robot came to stand.
    pub stopped: u64,
    /// Simulated time that the gate limited for them, s.
    pub limited_s: f64,
    /// Smallest distance, m; absent if nobody came.
    pub smallest_distance_m: Option<f64>,
    /// Smallest distance while the robot moved, m; absent if it never moved with somebody in the cell.
    pub smallest_distance_moving_m: Option<f64>,
}

impl PersonReport {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let least = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            in_cell_s: self.in_cell_s + other.in_cell_s,
            slowed: self.slowed + other.slowed,
            stopped: self.stopped + other.stopped,
            limited_s: self.limited_s + other.limited_s,
            smallest_distance_m: least(self.smallest_distance_m, other.smallest_distance_m),
            smallest_distance_moving_m: least(
                self.smallest_distance_moving_m,
                other.smallest_distance_moving_m,
            ),
        }
    }
}

/// What stands at the head of a report: settled when the run begins or ends, not counted from cycles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Seed of the run.
    pub seed: u64,
    /// Profile of faults and lighting.
    pub profile: String,
    /// What happened around the robot, if anything was asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// Persons in the cell, if the scenario has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonReport>,
    /// Plugins that nobody has signed, let in for development.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsigned: Vec<String>,
    /// Versions of plugins that were left for the version before, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollbacks: Vec<String>,
    /// Why not all cycles were run, if it was not by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<String>,
    /// Skill that was run.
    pub skill: String,
    /// Name of the robot.
    pub robot: String,
    /// `virtual` or `real` time. In real time two runs differ.
    pub clock: String,
    /// Cycles that were asked for; fewer were run if somebody ended the run.
    pub cycles_asked: u64,
    /// Recovery plugins were allowed to help.
    pub recovery: bool,
    /// Share of cycles that must succeed for the run to have reached its goal.
    pub goal_success_rate: f64,
    /// Simulated time of the whole run.
    pub sim_seconds: f64,
    /// Time it took here.
    pub wall_seconds: f64,
    /// Name of the inference backend.
    pub inference_backend: String,
    /// Rate at which perception consumed images, per simulated second.
    pub perception_rate_hz: f64,
    /// Hash over every tick's state, hexadecimal: equal for equal seed and versions.
    pub state_hash: String,
    /// Hash of the safety configuration, hexadecimal.
    pub safety_hash: String,
    /// Versions of everything that the result depends on.
    pub versions: BTreeMap<String, String>,
    /// What the gate said.
    pub verdicts: VerdictReport,
    /// Deadlines that the control loop missed; in virtual time there are none.
    pub deadline_misses: u64,
    /// Where wall time went, seconds by stage.
    pub wall_seconds_by_stage: BTreeMap<String, f64>,
    /// Picture of the cell at the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// The audit log: every stop, reset and change of the safety configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
    /// Every plugin run of its own, if they were all kept: the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<String>,
    /// Evidence that could not be written, and why.
    pub recorder_errors: Vec<String>,
    /// What could not be written into the store of plugins, or not be taken out of it, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub store_errors: Vec<String>,
}

/// The report of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Head of the report.
    #[serde(flatten)]
    pub header: RunHeader,
    /// Cycles run.
    pub cycles: u64,
    /// Cycles that succeeded.
    pub succeeded: u64,
    /// `succeeded / cycles`; 0 without cycles.
    pub success_rate: f64,
    /// Wilson's 95 % interval of the success rate.
    pub success_wilson95: [f64; 2],
    /// The run reached its goal: exit code 0.
    pub goal_reached: bool,
    /// Cycles that succeeded without a recovery and without a person.
    pub first_pass: u64,
    /// Recoveries over all cycles.
    pub recoveries: RecoveryCount,
    /// Times that a person or a reset was needed.
    pub interventions: u64,
    /// Latched safety stops.
    pub safety_stops: u64,
    /// Cycles that another run with the same seed may end elsewhere: the state hash says nothing then.
    pub nondeterministic: u64,
    /// Cycles whose task failed, by label. `false-success` also counts cycles that only the scorer failed.
    pub failures: BTreeMap<String, u64>,
    /// Every failure met on the way, the recovered ones included, by label.
    pub failures_met: BTreeMap<String, u64>,
    /// Cycles that the host believed to be successes and the scorer did not.
    pub false_successes: u64,
    /// Simulated time of the cycles that succeeded.
    pub cycle_time_s: Percentiles,
    /// `sim_seconds / wall_seconds`; 0 if no time passed.
    pub realtime_factor: f64,
    /// Incident files, in order.
    pub incidents: Vec<String>,
    /// Every cycle.
    pub cycle_list: Vec<CycleReport>,
}

impl RunReport {
    /// Counts up `cycle_list` under `header`.
    #[must_use]
    pub fn new(header: RunHeader, cycle_list: Vec<CycleReport>) -> Self {
        let cycles = cycle_list.len() as u64;
        let count = |test: fn(&CycleReport) -> bool| -> u64 {
            cycle_list.iter().filter(|cycle| test(cycle)).count() as u64
        };
        let sum = |value: fn(&CycleReport) -> u64| -> u64 { cycle_list.iter().map(value).sum() };
        let succeeded = count(|cycle| cycle.succeeded);
        let false_successes = count(|cycle| cycle.believed && !cycle.succeeded);
        let mut failures = BTreeMap::new();
        let mut failures_met = BTreeMap::new();
        for cycle in &cycle_list {
            if let Some(label) = &cycle.failure {
                *failures.entry(label.clone()).or_default() += 1;
            }
            for label in &cycle.failures_met {
                *failures_met.entry(label.clone()).or_default() += 1;
            }
        }
        let durations: Vec<f64> = cycle_list
            .iter()
            .filter(|cycle| cycle.succeeded)
            .map(|cycle| cycle.duration_s)
            .collect();
        let success_rate = ratio(succeeded as f64, cycles as f64);
        Self {
            cycles,
            succeeded,
            success_rate,
            success_wilson95: wilson95(succeeded, cycles),
            goal_reached: cycles > 0 && success_rate + 1e-9 >= header.goal_success_rate,
            first_pass: count(|cycle| cycle.first_pass),
            recoveries: RecoveryCount {
                attempted: sum(|cycle| cycle.recoveries.attempted),
                succeeded: sum(|cycle| cycle.recoveries.succeeded),
            },
            interventions: sum(|cycle| cycle.interventions),
            safety_stops: sum(|cycle| cycle.safety_stops),
            nondeterministic: count(|cycle| cycle.nondeterministic),
            failures,
            failures_met,
            false_successes,
            cycle_time_s: Percentiles::of(&durations),
            realtime_factor: ratio(header.sim_seconds, header.wall_seconds),
            incidents: cycle_list
                .iter()
                .flat_map(|cycle| cycle.incidents.iter().cloned())
                .collect(),
            cycle_list,
            header,
        }
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(number: u64, succeeded: bool, believed: bool) -> CycleReport {
        CycleReport {
            cycle: number,
            succeeded,
            believed,
            first_pass: succeeded && number == 0,
            failure: match (believed, succeeded) {
                (false, _) => Some("dropped".to_owned()),
                (true, false) => Some("false-success".to_owned()),
                (true, true) => None,
            },
            message: None,
            result: Value::Null,
            failures_met: vec!["no-grasp".to_owned()],
            recoveries: RecoveryCount {
                attempted: 2,
                succeeded: 1,
            },
            interventions: 0,
            safety_stops: 1,
            duration_s: 10.0 + number as f64,
            parts_ordered: 4,
            parts_placed: 4,
            faults: Vec::new(),
            nondeterministic: false,
            incidents: vec![format!("incident-{number}.mcap")],
        }
    }

    #[test]
    fn a_report_counts_its_cycles_and_has_every_promised_key() {
        let header = RunHeader {
            seed: 7,
            goal_success_rate: 0.5,
            sim_seconds: 100.0,
            wall_seconds: 10.0,
            ..RunHeader::default()
        };
        let report = RunReport::new(
            header,
            vec![
                cycle(0, true, true),
                cycle(1, true, true),
                cycle(2, false, true),
                cycle(3, false, false),
            ],
        );
        assert_eq!((report.succeeded, report.first_pass), (2, 1));
        assert!(report.goal_reached);
        assert_eq!(report.failures["false-success"], 1);
        assert_eq!(report.failures["dropped"], 1);
        assert_eq!(report.failures_met["no-grasp"], 4);
        assert_eq!(report.false_successes, 1);
        assert_eq!(report.recoveries.attempted, 8);
        assert_eq!(report.cycle_time_s.p50, Some(10.5));
        let json = serde_json::to_value(&report).expect("a report is JSON");
        for key in [
            "seed",
            "cycles",
            "succeeded",
            "success_rate",
            "first_pass",
            "recoveries",
            "interventions",
            "safety_stops",
            "failures",
            "cycle_time_s",
            "sim_seconds",
            "wall_seconds",
            "realtime_factor",
            "inference_backend",
            "incidents",
            "state_hash",
            "versions",
        ] {
            assert!(json.get(key).is_some(), "{key} is promised");
        }
        assert_eq!(json["recoveries"]["attempted"], 8);
        assert_eq!(json["cycle_time_s"]["p90"], 10.9);
        assert_eq!(json["realtime_factor"], 10.0);
        let back: RunReport = serde_json::from_value(json).expect("what was written can be read");
        assert_eq!(back, report);
    }

    #[test]
    fn an_empty_run_reaches_no_goal() {
        let report = RunReport::new(RunHeader::default(), Vec::new());
        assert!(!report.goal_reached);
        assert_eq!(report.success_rate, 0.0);
        assert_eq!(report.cycle_time_s.p50, None);
    }
}
