//! The task engine: what is asked for, what is told, and one step.

use std::collections::BTreeMap;

use sinew_messages::{JointVector, LoopStatus};
use sinew_plugin_host::{Kind, StartError};
use sinew_units::{Tick, Ticks};
use sinew_world::WorldReader;

use crate::conditions::Condition;
use crate::event::{Happening, TaskEvent};
use crate::fault::FaultyRun;
use crate::installed::{Plugins, SwapAt, Version};
use crate::lease::Leases;
use crate::lifecycle::{Context, Rank, Task};
use crate::params::{ParamsError, check_names};
use crate::recovery::{History, RecoveryBudget};
use crate::task::{DeniedRun, Outbox, RecordedRun, TaskEnd, TaskId, TaskStatus};

/// Tasks that may wait or run at once.
const TASKS_MAX: usize = 1_024;

/// How the engine judges and what it budgets. Nothing of it is read from a plugin.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Classes that perception knows.
    pub classes: Vec<String>,
    /// Colours that perception knows.
    pub colors: Vec<String>,
    /// Poses by name, rad.
    pub named_poses: BTreeMap<String, JointVector>,
    /// Bounds on the recoveries of one task.
    pub budget: RecoveryBudget,
    /// Time for the world to agree after a run has ended.
    pub judge_time: Ticks,
    /// Time for the robot to come to rest after a run has ended.
    pub settle_time: Ticks,
    /// Time that a run may go on under a latched stop before it is ended.
    pub stop_patience: Ticks,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            classes: Vec::new(),
            colors: Vec::new(),
            named_poses: BTreeMap::new(),
            budget: RecoveryBudget::default(),
            judge_time: Ticks::from_ms(3_000),
            settle_time: Ticks::from_ms(3_000),
            stop_patience: Ticks::from_ms(500),
        }
    }
}

/// Names that parameters may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellNames {
    /// Classes that perception knows.
    pub classes: Vec<String>,
    /// Colours that perception knows.
    pub colors: Vec<String>,
    /// Name and kind of every place.
    pub places: Vec<(String, String)>,
    /// Named poses of the robot.
    pub poses: Vec<String>,
}

impl CellNames {
    /// Names of the places of one kind.
    pub(crate) fn places_of(&self, kind: &str) -> Vec<String> {
        self.places
            .iter()
            .filter(|(_, k)| k == kind)
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// What may be chosen for one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitOptions {
    /// Recoveries may help.
    pub recovery: bool,
    /// Time from leaving the queue to the end; its end is a `timeout`. None if `None`.
    pub time_limit: Option<Ticks>,
    /// Seed of the randomness of all its runs.
    pub seed: u64,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self {
            recovery: true,
            time_limit: None,
            seed: 0,
        }
    }
}

/// Why a task was not taken. Nothing has moved.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No such skill.
    #[error("there is no skill `{found}`; there are {}", list(.skills))]
    UnknownSkill {
        /// What was asked for.
        found: String,
        /// What there is.
        skills: Vec<String>,
    },
    /// A recovery is no skill.
    #[error("`{found}` is a recovery: it runs when a skill has failed, not as a task")]
    NoSkill {
        /// What was asked for.
        found: String,
    },
    /// The parameters miss the schema.
    #[error(transparent)]
    Params(#[from] StartError),
    /// The parameters name something that this cell doesn't have.
    #[error("parameters of `{skill}`: {source}")]
    Names {
        /// The skill.
        skill: String,
        /// What.
        source: ParamsError,
    },
    /// The post-conditions can't be judged of so many.
    #[error("parameters of `{skill}` are too many for its post-conditions: {reason}")]
    Entries {
        /// The skill.
        skill: String,
        /// How many there are, and may be.
        reason: String,
    },
    /// Too many tasks.
    #[error("{TASKS_MAX} tasks are waiting or running; wait for one to end")]
    Full,
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Checks that there is a skill of this name.
///
/// # Errors
/// [`SubmitError::UnknownSkill`], with the names that there are.
pub fn check_skill<P: Plugins>(plugins: &P, skill: &str) -> Result<(), SubmitError> {
    skill_version(plugins, skill).map(|_| ())
}

/// Checks a task without taking it: whoever prepares many of them learns of a mistake before the first one
/// moves anything. Returns the parameters, parsed.
///
/// # Errors
/// An unknown skill, parameters that miss its schema or name what this cell doesn't have.
pub fn check_task<P: Plugins>(
    plugins: &P,
    names: &CellNames,
    skill: &str,
    params_json: &str,
) -> Result<serde_json::Value, SubmitError> {
    let version = skill_version(plugins, skill)?;
    let params = check_params(plugins, &version, params_json)?;
    check_names(&version.manifest().params_schema, &params, names).map_err(|source| {
        SubmitError::Names {
            skill: skill.to_owned(),
            source,
        }
    })?;
    Ok(params)
}

/// The parameters for a version, parsed: they meet its schema, and its post-conditions can be judged of them.
pub(crate) fn check_params<P: Plugins>(
    plugins: &P,
    version: &P::Version,
    params_json: &str,
) -> Result<serde_json::Value, SubmitError> {
    let params = plugins.check_params(version, params_json)?;
    let manifest = version.manifest();
    Condition::check_entries(version.conditions(), &params, &manifest.params_schema).map_err(
        |reason| SubmitError::Entries {
            skill: manifest.name.clone(),
            reason,
        },
    )?;
    Ok(params)
}

fn skill_version<P: Plugins>(plugins: &P, skill: &str) -> Result<P::Version, SubmitError> {
    match plugins.current(skill) {
        Some(version) if version.manifest().kind == Kind::Skill => Ok(version),
        Some(_) => Err(SubmitError::NoSkill {
            found: skill.to_owned(),
        }),
        None => Err(SubmitError::UnknownSkill {
            found: skill.to_owned(),
            skills: plugins.names(Kind::Skill),
        }),
    }
}

/// Runs tasks. See the crate's documentation.
pub struct TaskEngine<P: Plugins> {
    plugins: P,
    world: WorldReader,
    config: EngineConfig,
    tasks: BTreeMap<TaskId, Task<P>>,
    leases: Leases,
    history: History,
    out: Outbox,
    last_id: u64,
    now: Tick,
    /// Where the next step begins, after one that had no time for every task.
    first: Option<TaskId>,
}

impl<P: Plugins> TaskEngine<P> {
    /// An engine without tasks.
    #[must_use]
    pub fn new(plugins: P, world: WorldReader, config: EngineConfig) -> Self {
        Self {
            plugins,
            world,
            config,
            tasks: BTreeMap::new(),
            leases: Leases::default(),
            history: History::default(),
            out: Outbox::default(),
            last_id: 0,
            now: Tick(0),
            first: None,
        }
    }

    /// The plugins.
    #[must_use]
    pub fn plugins(&self) -> &P {
        &self.plugins
    }

    /// What was seen of the recoveries so far.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Replaces what was seen of the recoveries: runs that are to be compared start from the same.
    pub fn set_history(&mut self, history: History) {
        self.history = history;
    }

    /// Takes a task.
    ///
    /// # Errors
    /// An unknown skill, parameters that miss its schema or name what this cell doesn't have.
    pub fn submit(
        &mut self,
        skill: &str,
        params_json: &str,
        options: SubmitOptions,
    ) -> Result<TaskId, SubmitError> {
        let params = check_task(&self.plugins, &self.names(), skill, params_json)?;
        let open = self.tasks.values().filter(|task| !task.is_over()).count();
        if open >= TASKS_MAX {
            return Err(SubmitError::Full);
        }
        self.last_id += 1;
        let id = TaskId(self.last_id);
        self.out.events.push(TaskEvent {
            tick: self.now,
            task: id,
            what: Happening::Submitted {
                skill: skill.to_owned(),
                params: params.clone(),
            },
        });
        let version = skill_version(&self.plugins, skill)?;
        let task = Task::new(id, version, params, params_json.to_owned(), options);
        self.tasks.insert(id, task);
        Ok(id)
    }

    fn names(&self) -> CellNames {
        CellNames {
            classes: self.config.classes.clone(),
            colors: self.config.colors.clone(),
            places: self
                .world
                .places()
                .iter()
                .map(|place| (place.name.to_string(), place.kind.clone()))
                .collect(),
            poses: self.config.named_poses.keys().cloned().collect(),
        }
    }

    /// Takes a task back: what runs for it is asked to end, and ended if it doesn't. Tasks that are over, or
    /// that don't exist, are left alone. `who` stands in the cause.
    pub fn cancel(&mut self, task: TaskId, who: &str) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.ask_to_cancel(who);
        }
    }

    /// Another version of a skill is active now. New tasks use it; of those that run, the ones that can go over do so at `at`.
    pub fn go_over(&mut self, skill: &str, at: SwapAt, cause: &str) {
        let Some(version) = self.plugins.current(skill) else {
            return;
        };
        for task in self.tasks.values_mut() {
            if task.skill() == skill {
                task.go_over(&version, at, cause);
            }
        }
    }

    /// Nothing of this skill is active any more: no task goes over to what was.
    pub fn stay(&mut self, skill: &str) {
        let of_skill = |task: &&mut Task<P>| task.skill() == skill;
        (self.tasks.values_mut().filter(of_skill)).for_each(Task::stay);
    }

    /// The version of a plugin with this digest was left: no task goes on with it. Those that have it go over to what is active
    /// instead, or fail; a recovery's runs are ended.
    pub fn abandon(&mut self, skill: &str, digest: &str, why: &str) {
        let instead = self.plugins.current(skill);
        for task in self.tasks.values_mut() {
            if task.skill() == skill {
                task.abandon(digest, instead.as_ref(), why);
            }
            task.abandon_recovery(skill, digest, why);
        }
    }

    /// Lets every task go on, in the order in which they were submitted. Where a clock runs and a step had no time for all of
    /// them, the next one begins with the first that it had none for.
    pub fn step(&mut self, now: Tick, status: &LoopStatus) {
        self.now = now;
        self.plugins.begin_step();
        self.leases.begin_step();
        let mut left = Vec::new();
        let is_short = self.first.is_some();
        let mut had_no_time = None;
        for id in self.order() {
            let Some(task) = self.tasks.get_mut(&id) else {
                continue;
            };
            if had_no_time.is_none() && self.plugins.step_is_used_up() {
                had_no_time = Some(id);
            }
            task.step(&mut Context {
                left: &mut left,
                plugins: &self.plugins,
                world: &self.world,
                config: &self.config,
                leases: &mut self.leases,
                history: &mut self.history,
                out: &mut self.out,
                now,
                status,
                is_short,
            });
            // What misbehaves for one task does for the others, those too whose turn is yet to come.
            for (version, why) in left.drain(..) {
                self.abandon(&version.manifest().name, version.digest(), &why);
            }
        }
        self.first = match self.plugins.step_is_used_up() {
            true => had_no_time.or(self.first),
            false => None,
        };
    }

    /// Tasks that are not over, in the order in which they go on: those that have begun and wait for robot parts, and then as they
    /// were submitted. After a step that was too short, all that wait for parts come before the others: they take them in this order,
    /// whoever's turn it is.
    fn order(&self) -> Vec<TaskId> {
        let open = self.tasks.iter().filter(|(_, task)| !task.is_over());
        let mut order: Vec<_> = open.map(|(id, task)| (*id, task.rank())).collect();
        // Sorting is stable, and the tasks are in the order of their submission.
        order.sort_by_key(|&(id, rank)| match (self.first, rank) {
            (_, Rank::WaitsToGoOn) => 0,
            (None, _) | (Some(_), Rank::Queued) => 1,
            (Some(first), Rank::AtWork) if id >= first => 2,
            (Some(_), Rank::AtWork) => 3,
        });
        order.into_iter().map(|(id, _)| id).collect()
    }

    /// What has happened since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<TaskEvent> {
        std::mem::take(&mut self.out.events)
    }

    /// Runs that have ended since the last call, in the order of their ends.
    pub fn take_recorded(&mut self) -> Vec<RecordedRun> {
        std::mem::take(&mut self.out.recorded)
    }

    /// Runs that have ended since the last call and that something was refused to, in the order of their ends.
    pub fn take_denied(&mut self) -> Vec<DeniedRun> {
        std::mem::take(&mut self.out.denied)
    }

    /// Runs that have ended since the last call and in which the plugin misbehaved, in the order of their ends.
    pub fn take_faulty(&mut self) -> Vec<FaultyRun> {
        std::mem::take(&mut self.out.faulty)
    }

    /// Kills whatever runs, so that what it leaves can be taken. No task goes on afterwards: whoever drives the engine goes.
    pub fn close(&mut self) {
        for task in self.tasks.values_mut() {
            task.close(&mut self.out);
        }
    }

    /// What a task does now; `None` if there is no such task.
    #[must_use]
    pub fn status(&self, task: TaskId) -> Option<TaskStatus> {
        self.tasks.get(&task).map(Task::status)
    }

    /// Every task that was not forgotten.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStatus> {
        self.tasks.values().map(Task::status).collect()
    }

    /// How a task ended, once it has.
    #[must_use]
    pub fn end(&self, task: TaskId) -> Option<&TaskEnd> {
        self.tasks.get(&task)?.end()
    }

    /// Drops what is known of a task that is over.
    pub fn forget(&mut self, task: TaskId) {
        if self.tasks.get(&task).is_some_and(Task::is_over) {
            self.tasks.remove(&task);
        }
    }
}
