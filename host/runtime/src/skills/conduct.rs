//! How a plugin behaves when it is not left alone: its task is taken back in the middle, a stop latches in the middle. Whatever it
//! does, the host keeps the robot safe; what is looked at here is that it comes back by itself and leaves nothing.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use sinew_messages::StopCategory;
use sinew_plugin_host::Manifest;
use sinew_sim::{Cell, Profile, Scenario};
use sinew_tasks::{FailureLabel, Happening, SubmitOptions, TaskEnd, TaskId, TaskState};
use sinew_units::{Tick, Ticks};

use crate::audit::{AuditTarget, open_audit};
use crate::host::{Host, HostOptions, Speed, Surroundings};
use crate::job::params_of;
use crate::kit::Kit;
use crate::trouble::input;

/// Who takes tasks back, and resets: it stands in the audit log of the try, which nobody keeps.
const ACTOR: &str = "rehearsal";
/// Where in a run it is interrupted: quarters of its length.
const QUARTERS: [u64; 3] = [1, 2, 3];
/// Longest undisturbed task.
const TASK_MAX: Ticks = Ticks::from_ms(300_000);
/// Time in which everything has to be over that was asked to end: a run's grace, and the judging.
const END_MAX: Ticks = Ticks::from_ms(10_000);
/// Time for the robot to come to rest, and for the next task to begin.
const SETTLE: Ticks = Ticks::from_ms(300);
/// Speeds below which the robot stands, m/s and rad/s.
const REST: (f64, f64) = (0.002, 0.005);

/// What interrupts a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interruption {
    /// Somebody takes the task back.
    Cancel,
    /// A stop latches.
    Stop,
}

/// One interruption, and what was wrong afterwards.
#[derive(Clone, Debug, Serialize)]
pub struct Interrupted {
    /// What it was.
    pub by: Interruption,
    /// Ticks from the start of the plugin's run.
    pub after_ticks: u64,
    /// What came out otherwise than it has to; empty if nothing did.
    pub complaints: Vec<String>,
}

/// What is tried, on which kit.
pub(super) struct Trial<'a> {
    pub(super) kit: &'a Kit,
    pub(super) manifest: &'a Manifest,
    /// The skill of the task, which for a recovery is another plugin.
    pub(super) skill: &'a str,
    /// Its parameters; those of the scene's order if `None`.
    pub(super) params: Option<&'a Value>,
    pub(super) profile: &'a Profile,
    pub(super) seed: u64,
    pub(super) folder: &'a Path,
}

/// One host with one task under way.
struct Try {
    host: Host,
    task: TaskId,
    audit: std::path::PathBuf,
}

impl Trial<'_> {
    /// Interrupts the first run of the plugin at several points, each on a host of its own; nothing if it does not run at all.
    pub(super) fn interrupt(&self, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Interrupted>> {
        let Some((begins, ends)) = self.first_run()? else {
            return Ok(Vec::new());
        };
        let length = ends.since(begins).0;
        let cancels = QUARTERS.map(|quarter| (Interruption::Cancel, length * quarter / 4));
        let stop = (Interruption::Stop, length / 2);
        let mut all = Vec::new();
        for (by, after) in cancels.into_iter().chain([stop]) {
            tell(&format!("interrupted after {after} ticks"));
            all.push(Interrupted {
                by,
                after_ticks: after,
                complaints: self.interrupt_at(by, begins + Ticks(after))?,
            });
        }
        Ok(all)
    }

    /// When the plugin's first run begins and ends if nobody interrupts it.
    fn first_run(&self) -> anyhow::Result<Option<(Tick, Tick)>> {
        let mut tried = self.start("undisturbed")?;
        let (mut begins, mut ends) = (None, None);
        let give_up = tried.host.now() + TASK_MAX;
        while ends.is_none()
            && tried.host.tasks().end(tried.task).is_none()
            && tried.host.now() < give_up
        {
            tried.host.step()?;
            for event in tried.host.take_events() {
                match event.what {
                    Happening::RunStarted { plugin, .. } if plugin == self.manifest.name => {
                        begins.get_or_insert(event.tick);
                    }
                    Happening::RunEnded { plugin, .. } if plugin == self.manifest.name => {
                        ends.get_or_insert(event.tick);
                    }
                    _ => {}
                }
            }
        }
        Ok(begins.zip(ends))
    }

    fn start(&self, name: &str) -> anyhow::Result<Try> {
        let config = self.kit.config();
        let cell = Cell::new(&config.robot, &config.cell);
        let scene = cell.reset_with(self.seed, 0, self.profile, &Scenario::default());
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let audit = folder.join(crate::audit::AUDIT_FILE);
        let options = HostOptions {
            speed: Speed::Max,
            incidents: folder,
            keep_runs: false,
            audit: Some(AuditTarget {
                writer: open_audit(&audit)?,
                episode: name.to_owned(),
                seed: self.seed,
            }),
        };
        let mut host = Host::new(self.kit, Surroundings::of(&cell), &options)?;
        host.reset(ACTOR)?;
        let params = match self.params {
            Some(params) => params.clone(),
            None => params_of(&scene.order),
        };
        let task = submit(&mut host, self.skill, &params, self.seed)?;
        Ok(Try { host, task, audit })
    }

    fn interrupt_at(&self, by: Interruption, at: Tick) -> anyhow::Result<Vec<String>> {
        let mut tried = self.start(&format!("{by:?}-{}", at.0))?;
        while tried.host.now() < at {
            tried.host.step()?;
        }
        match by {
            Interruption::Cancel => tried.host.tasks().cancel(tried.task, ACTOR),
            Interruption::Stop => {
                let requests = &tried.host.mailbox().requests;
                requests.stop(StopCategory::ControlledHold);
            }
        }
        let end = tried.finish()?;
        tried.host.run_for(SETTLE)?;
        let mut complaints = Vec::new();
        match &end {
            None => complaints.push("its task did not end".to_owned()),
            Some(end) => complaints.extend(self.wrong_end(by, end)),
        }
        let status = tried.host.status();
        let fastest =
            (status.frame.velocity_rad_s.iter()).fold(0.0_f64, |most, v| most.max(v.abs()));
        if status.tool_speed_m_s > REST.0 || fastest > REST.1 {
            complaints.push("the robot moves on".to_owned());
        }
        let alive = tried.host.tasks().plugins().host().running();
        if alive > 0 {
            complaints.push(format!("{alive} instances live on"));
        }
        if by == Interruption::Stop {
            tried.host.reset(ACTOR)?;
        }
        if !self.begins_again(&mut tried.host)? {
            complaints.push("the next task does not get the robot".to_owned());
        }
        let audit = tried.audit.clone();
        drop(tried);
        complaints.extend(self.faults(&audit)?);
        Ok(complaints)
    }

    fn wrong_end(&self, by: Interruption, end: &TaskEnd) -> Option<String> {
        let is_right = match by {
            Interruption::Cancel => end.state == TaskState::Cancelled,
            // What was done before the stop stays done.
            Interruption::Stop => {
                end.state == TaskState::Succeeded || end.label == Some(FailureLabel::SafetyStop)
            }
        };
        (!is_right).then(|| {
            let label = end.label.map_or("", FailureLabel::code);
            format!(
                "its task ended as {} {label}: {}",
                end.state.name(),
                end.message
            )
        })
    }

    /// Whether another task gets what this one has given back.
    fn begins_again(&self, host: &mut Host) -> anyhow::Result<bool> {
        host.take_events();
        let params = match self.params {
            Some(params) => params.clone(),
            // Whatever was ordered: it is only to begin.
            None => serde_json::json!({"order": [{"class": "block", "slot": "A1"}]}),
        };
        let task = submit(host, self.skill, &params, self.seed)?;
        let give_up = host.now() + END_MAX;
        let mut begins = false;
        while !begins && host.now() < give_up {
            host.step()?;
            let events = host.take_events();
            begins = (events.iter()).any(|event| {
                event.task == task && matches!(event.what, Happening::RunStarted { .. })
            });
        }
        Ok(begins)
    }

    /// What the log has against the plugin.
    fn faults(&self, audit: &Path) -> anyhow::Result<Vec<String>> {
        let mut faults = Vec::new();
        sinew_audit::read(audit, |record| {
            let content = &record.content;
            if record.kind == "plugin-fault" && content["plugin"] == self.manifest.name.as_str() {
                faults.push(content["text"].as_str().unwrap_or_default().to_owned());
            }
        })?;
        Ok(faults)
    }
}

impl Try {
    fn finish(&mut self) -> anyhow::Result<Option<TaskEnd>> {
        let give_up = self.host.now() + END_MAX;
        while self.host.tasks().end(self.task).is_none() && self.host.now() < give_up {
            self.host.step()?;
        }
        Ok(self.host.tasks().end(self.task).cloned())
    }
}

fn submit(host: &mut Host, skill: &str, params: &Value, seed: u64) -> anyhow::Result<TaskId> {
    let options = SubmitOptions {
        seed,
        ..SubmitOptions::default()
    };
    (host.tasks().submit(skill, &params.to_string(), options))
        .map_err(|error| input(error.to_string()))
}
