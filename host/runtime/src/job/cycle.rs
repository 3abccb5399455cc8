//! One cycle: a scene, a host, a task, a grade.

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::{Map, Value, json};
use sinew_audit::Writer;
use sinew_messages::LoopStatus;
use sinew_recorder::report::{CycleReport, PersonReport, RecoveryCount, VerdictReport};
use sinew_recorder::{Cause, IncidentWriter, Level};
use sinew_sim::{Cell, Grade, LineGrade, OrderLine, Profile, Scenario};
use sinew_tasks::{FailureLabel, Happening, SubmitOptions, TaskEnd, TaskEvent, TaskId, TaskState};
use sinew_units::{Tick, Ticks};

use super::{ACTOR, JobOptions, KIT_PARTS, RUNS_FOLDER, Stages, take_news};
use crate::audit::{AUDIT_FILE, AuditTarget};
use crate::bystander::Lookout;
use crate::host::{Host, HostOptions, Speed, Surroundings};
use crate::kit::Kit;
use crate::trouble::{input, unwritable};
use crate::watch::{Now, Progress, Watcher};

/// Time for things to come to rest before the scorer looks.
const SETTLE: Ticks = Ticks::from_ms(300);
/// Time that a task gets to end after its own time is over.
const GRACE: Ticks = Ticks::from_ms(20_000);
/// Time between two looks at what others have made active in the store.
const NEWS_EVERY: Ticks = Ticks::from_ms(500);
/// Simulated time between two lines of the moment.
const SHOW_EVERY: Ticks = Ticks::from_ms(250);

/// Everything that one cycle needs.
pub(super) struct Cycle<'a> {
    pub(super) kit: &'a Kit,
    pub(super) cell: &'a Cell,
    pub(super) profile: &'a Profile,
    pub(super) scenario: &'a Scenario,
    pub(super) options: &'a JobOptions,
    pub(super) audit: &'a Writer,
    /// Which of the job, from 1.
    pub(super) number: u64,
    /// With the seed it determines scene and faults.
    pub(super) cycle: u64,
    pub(super) incidents: &'a mut IncidentWriter,
}

/// What one cycle left behind.
pub(super) struct Outcome {
    pub(super) report: CycleReport,
    pub(super) fingerprint: u64,
    pub(super) sim_seconds: f64,
    pub(super) deadline_misses: u64,
    pub(super) verdicts: VerdictReport,
    pub(super) stages: Stages,
    /// If the scenario has a person.
    pub(super) person: Option<PersonReport>,
}

impl Cycle<'_> {
    pub(super) fn run(&mut self, watch: Watcher<'_>) -> anyhow::Result<Outcome> {
        let wall = Instant::now();
        let options = self.options;
        let scene = self
            .cell
            .reset_with(options.seed, self.cycle, self.profile, self.scenario);
        let (params, order) = self.params(&scene.order)?;
        watch(&Progress::CycleStarted {
            number: self.number,
            of: options.cycles,
            cycle: self.cycle,
            order: words(&order, &options.skill),
        });
        let mut host = Host::new(
            self.kit,
            Surroundings::of(self.cell),
            &HostOptions {
                speed: options.speed,
                incidents: options.out.join("incidents"),
                keep_runs: options.keep_runs,
                audit: Some(AuditTarget {
                    writer: self.audit.clone(),
                    episode: self.episode(),
                    seed: options.seed,
                }),
            },
        )?;
        if let Some(books) = &self.kit.books {
            for (name, begun) in books.memories() {
                begun.tell(&name, host.tasks().plugins().host());
            }
        }
        let outcome = self.work(&mut host, (wall, params, order), watch);
        // What plugins have kept is not lost with the cycle.
        if let Some(books) = &self.kit.books {
            books.keep_memories(host.tasks().plugins().host());
        }
        outcome
    }

    /// Has the task done, looks at what came of it, and files what is to be kept.
    fn work(
        &mut self,
        host: &mut Host,
        (wall, params, order): (Instant, Value, Vec<OrderLine>),
        watch: Watcher<'_>,
    ) -> anyhow::Result<Outcome> {
        let options = self.options;
        host.reset(ACTOR)?;
        let stops_before = host.status().stops_total;
        let task = host
            .tasks()
            .submit(
                &options.skill,
                &params.to_string(),
                SubmitOptions {
                    recovery: options.recovery,
                    time_limit: Some(self.time_limit()),
                    seed: options.seed ^ self.cycle.rotate_left(32),
                },
            )
            .map_err(|error| input(error.to_string()))?;
        let started = host.now();
        let end = self.watch_task(host, task, wall, watch)?;
        host.run_for(SETTLE)?;

        let grade = self.cell.grade(&order);
        let stops = host.status().stops_total - stops_before;
        let ended = end.as_ref().map_or(host.now(), |end| end.ended);
        let mut report = self.report(end, &grade, order.len(), stops);
        report.duration_s = ended.since(started).as_seconds();
        report.faults = (self.cell.fault_events().iter())
            .map(|event| event.kind.to_owned())
            .collect();
        let faults = std::mem::take(&mut host.brain.faults);
        // Somebody else has put it right; what went wrong is evidence all the same.
        report.first_pass &= faults.is_empty();
        if report.succeeded && !faults.is_empty() {
            let cause = ("skill-fault", faults.join("; "));
            let path = self.freeze(host, cause, &params);
            report.incidents.push(path);
        }
        if !report.succeeded {
            let label = report.failure.as_deref().unwrap_or_default();
            let cause = (label, report.message.clone().unwrap_or_default());
            let path = self.freeze(host, cause, &params);
            report.incidents.push(path);
        }
        self.keep_runs(host)?;
        host.brain.fingerprint.word(self.cell.state_hash());
        if host.deadline_misses() > 0 {
            watch(&Progress::Event {
                sim_seconds: host.now().since(started).as_seconds(),
                message: &format!(
                    "the control thread missed {} deadlines: see `sinew doctor`",
                    host.deadline_misses()
                ),
            });
        }
        Ok(Outcome {
            fingerprint: host.fingerprint().value(),
            sim_seconds: host.now().as_seconds(),
            deadline_misses: host.deadline_misses(),
            verdicts: host.brain.verdicts.clone(),
            stages: host.stages(),
            person: (self.scenario.person.is_some())
                .then(|| host.brain.encounters.report(&self.cell.person_truth())),
            report,
        })
    }

    /// What records and evidence of the cycle are filed under.
    fn episode(&self) -> String {
        format!("seed{}-cycle{}", self.options.seed, self.cycle)
    }

    fn time_limit(&self) -> Ticks {
        Ticks::from_seconds_ceil(self.kit.config.settings.tasks.cycle_timeout_s)
    }

    /// The task's parameters, and the order that the scorer is to grade.
    fn params(&self, drawn: &[OrderLine]) -> anyhow::Result<(Value, Vec<OrderLine>)> {
        match &self.options.params {
            Some(params) => Ok((params.clone(), order_of(params))),
            None if self.options.skill == KIT_PARTS => Ok((params_of(drawn), drawn.to_vec())),
            None => Ok((Value::Object(Map::new()), Vec::new())),
        }
    }

    /// Steps the host until the task has ended.
    fn watch_task(
        &self,
        host: &mut Host,
        task: TaskId,
        wall: Instant,
        watch: Watcher<'_>,
    ) -> anyhow::Result<Option<TaskEnd>> {
        let started = host.now();
        let give_up = started + Ticks(self.time_limit().0 + GRACE.0);
        let mut next_line = started;
        let mut now = Now::default();
        let mut interrupted = false;
        let mut next_news = started + NEWS_EVERY;
        let mut lookout = (self.scenario.person.is_some()).then(Lookout::default);
        while host.tasks().end(task).is_none() && host.now() < give_up {
            host.step()?;
            if !interrupted && self.options.interrupt.load(Ordering::Relaxed) {
                interrupted = true;
                host.tasks().cancel(task, "the person who runs this");
            }
            let at = host.now();
            // In virtual time what others do meanwhile decides nothing: the next cycle sees it.
            if self.options.speed == Speed::Real && at >= next_news {
                next_news = at + NEWS_EVERY;
                take_news(self.kit, Some(host), watch);
            }
            let news = (lookout.as_mut())
                .and_then(|lookout| lookout.news(self.cell, &host.brain.encounters));
            if let Some(message) = news {
                host.brain.note(Level::Info, "person", message);
                watch(&Progress::Event {
                    sim_seconds: at.since(started).as_seconds(),
                    message,
                });
            }
            for event in host.take_events() {
                follow(&event, &mut now);
                if let Some(message) = lasting(&event) {
                    watch(&Progress::Event {
                        sim_seconds: event.tick.since(started).as_seconds(),
                        message: &message,
                    });
                }
            }
            if at >= next_line {
                next_line = at + SHOW_EVERY;
                moment(&mut now, host.status(), started, wall);
                watch(&Progress::Now(now.clone()));
            }
        }
        Ok(host.tasks().end(task).cloned())
    }

    fn report(
        &self,
        end: Option<TaskEnd>,
        grade: &Grade,
        ordered: usize,
        stops: u64,
    ) -> CycleReport {
        let believed = end
            .as_ref()
            .is_some_and(|end| end.state == TaskState::Succeeded);
        // Without an order there is nothing to grade but the task's own post-conditions.
        let succeeded = if ordered == 0 {
            believed
        } else {
            believed && grade.is_complete()
        };
        let recoveries = end
            .as_ref()
            .map_or_else(RecoveryCount::default, |end| RecoveryCount {
                attempted: end.recoveries_attempted,
                succeeded: end.recoveries_succeeded,
            });
        let person = end.as_ref().is_some_and(|end| end.needs_person);
        CycleReport {
            cycle: self.cycle,
            succeeded,
            believed,
            first_pass: succeeded && recoveries.attempted == 0 && stops == 0,
            failure: match &end {
                Some(end) if succeeded || !believed => {
                    end.label.map(|label| label.code().to_owned())
                }
                Some(_) => Some(FailureLabel::FalseSuccess.code().to_owned()),
                None => Some(FailureLabel::Timeout.code().to_owned()),
            },
            message: match &end {
                Some(_) if succeeded => None,
                Some(_) if believed => Some(misplaced(grade)),
                Some(end) => Some(end.message.clone()),
                None => Some("the task did not end when its time was over".to_owned()),
            },
            result: (end.as_ref().filter(|_| believed))
                .map_or(Value::Null, |end| end.result.clone()),
            failures_met: end.as_ref().map_or_else(Vec::new, |end| {
                let labels = end.failures_met.iter();
                labels.map(|label| label.code().to_owned()).collect()
            }),
            recoveries,
            interventions: u64::from(stops > 0 || person),
            safety_stops: stops,
            duration_s: 0.0,
            parts_ordered: ordered as u64,
            parts_placed: grade.placed() as u64,
            faults: Vec::new(),
            nondeterministic: end.as_ref().is_some_and(|end| end.nondeterministic),
            incidents: Vec::new(),
        }
    }

    /// Puts the plugin runs of this cycle into files of their own, if they are all kept.
    fn keep_runs(&self, host: &mut Host) -> anyhow::Result<()> {
        let folder = self.options.out.join(RUNS_FOLDER);
        for run in std::mem::take(&mut host.brain.runs) {
            let path = folder.join(format!("{}-{}", self.episode(), run.name));
            std::fs::create_dir_all(&folder)
                .map_err(|error| unwritable(&folder.display().to_string(), &error))?;
            crate::files::replace(&path, &run.bytes)
                .map_err(|error| unwritable(&path.display().to_string(), &error))?;
        }
        Ok(())
    }

    fn freeze(
        &mut self,
        host: &mut Host,
        (label, reason): (&str, String),
        params: &Value,
    ) -> String {
        host.brain.note(Level::Error, "incident", &reason);
        let mut detail = Map::new();
        for (key, value) in [
            ("skill", json!(self.options.skill)),
            ("robot", json!(self.kit.config.robot.name)),
            ("params", params.clone()),
            ("seed", json!(self.options.seed)),
            ("cycle", json!(self.cycle)),
            ("profile", json!(self.options.profile)),
            ("recovery", json!(self.options.recovery)),
            ("safety_hash", json!(host.safety().hash().to_string())),
            // Seen from the incident, so that the same run is the same bytes wherever it is written.
            ("audit", json!(format!("../{AUDIT_FILE}"))),
            ("versions", json!(self.kit.versions)),
        ] {
            detail.insert(key.to_owned(), value);
        }
        let frozen = host.brain.recorder.freeze(Cause {
            label: label.to_owned(),
            reason,
            episode: self.episode(),
            detail,
        });
        self.incidents.write(frozen).display().to_string()
    }
}

/// Keeps up what is shown of the moment.
fn follow(event: &TaskEvent, now: &mut Now) {
    match &event.what {
        Happening::Step { step, object, .. } => {
            now.step = match object {
                Some(object) => format!("{step} (object {object})"),
                None => step.clone(),
            };
        }
        Happening::RecoveryChosen { recovery, .. } => {
            now.recoveries += 1;
            now.step = recovery.clone();
        }
        _ => {}
    }
}

/// The line of an event that is worth keeping on the screen.
fn lasting(event: &TaskEvent) -> Option<String> {
    match &event.what {
        Happening::Failure { .. }
        | Happening::RecoveryChosen { .. }
        | Happening::RecoveryEnded { .. }
        | Happening::Swapped { .. }
        | Happening::SwapRefused { .. }
        | Happening::Denied { .. } => Some(event.what.message()),
        // A job has nobody to ask: the question stands in the record, and the task has ended.
        Happening::Question { .. } => Some(format!("for a person: {}", event.what.message())),
        Happening::Log { level, .. } if matches!(*level, "warn" | "error") => {
            Some(event.what.message())
        }
        _ => None,
    }
}

fn moment(now: &mut Now, status: &LoopStatus, started: Tick, wall: Instant) {
    now.sim_seconds = Tick(status.tick).since(started).as_seconds();
    now.tool_speed_m_s = status.tool_speed_m_s;
    // The robot boots with one stop latched.
    now.stops = status.stops_total.saturating_sub(1);
    now.realtime_factor =
        Tick(status.tick).as_seconds() / wall.elapsed().as_secs_f64().max(f64::EPSILON);
}

/// The order that was drawn, as parameters of the skill that kits.
pub(crate) fn params_of(order: &[OrderLine]) -> Value {
    let lines: Vec<Value> = order
        .iter()
        .map(|line| json!({"class": line.class, "color": line.color, "slot": line.slot}))
        .collect();
    json!({ "order": lines })
}

/// The order in parameters that were given by hand, as far as they have the shape of one; the skill's own
/// schema is checked when the task is submitted.
fn order_of(params: &Value) -> Vec<OrderLine> {
    let lines = params["order"].as_array().into_iter().flatten();
    lines
        .filter_map(|line| {
            Some(OrderLine {
                class: line["class"].as_str()?.to_owned(),
                color: line["color"].as_str().unwrap_or_default().to_owned(),
                slot: line["slot"].as_str()?.to_owned(),
            })
        })
        .collect()
}

/// An order in one line.
fn words(order: &[OrderLine], skill: &str) -> String {
    if order.is_empty() {
        return skill.to_owned();
    }
    let lines: Vec<String> = order
        .iter()
        .map(|line| {
            format!("{} {} to {}", line.color, line.class, line.slot)
                .trim()
                .to_owned()
        })
        .collect();
    lines.join(", ")
}

/// What the scorer misses.
fn misplaced(grade: &Grade) -> String {
    let lines: Vec<String> = grade
        .lines
        .iter()
        .filter(|line| !line.placed)
        .map(|line| {
            let part = format!("{} {}", line.line.color, line.line.class);
            format!(
                "{} is not in {} ({})",
                part.trim(),
                line.line.slot,
                whereabouts(line)
            )
        })
        .collect();
    lines.join("; ")
}

/// Where the nearest part that fits the line is, against where it should be.
fn whereabouts(line: &LineGrade) -> String {
    if !line.position_error_m.is_finite() {
        return "the cell has none".to_owned();
    }
    let mut words = format!(
        "off by {:.0} mm, {:.0}°",
        line.position_error_m * 1e3,
        line.yaw_error_rad.to_degrees()
    );
    let tilt_deg = line.tilt_rad.to_degrees();
    if tilt_deg >= 1.0 {
        words += &format!(", tilted by {tilt_deg:.0}°");
    }
    let height_mm = line.height_error_m * 1e3;
    if height_mm >= 1.0 {
        words += &format!(", {height_mm:.0} mm from its height");
    }
    if line.held {
        words += ", still in the gripper";
    }
    words
}
