//! The capabilities other than motion, as fields of [`crate::Robot`].

use crate::bindings::capabilities::sinew::plugin as host;
use crate::{
    Checkpoint, Error, Failure, Object, Place, Robot, RobotState, Snapshot, Vec3, checkpoint,
};

/// What is perceived: `robot.world`.
#[derive(Debug)]
pub struct World(());

/// The gripper: `robot.gripper`. Each call waits until the fingers have come to rest.
#[derive(Debug)]
pub struct Gripper(());

/// Learned policies, run closed-loop by the host: `robot.policy`.
#[derive(Debug)]
pub struct Policy(());

/// A small key-value store that survives runs: `robot.memory`.
#[derive(Debug)]
pub struct Memory(());

/// Granted directories: `robot.files`.
#[derive(Debug)]
pub struct Files(());

/// Asking a person: `robot.operator`.
#[derive(Debug)]
pub struct Operator(());

/// Structured events: `robot.events`.
#[derive(Debug)]
pub struct Events(());

/// Text for developers: `robot.log`. Over the host's limit it is counted and dropped.
#[derive(Debug)]
pub struct Log(());

/// Time in ticks: `robot.clock`.
#[derive(Debug)]
pub struct Clock(());

/// Checkpoints and cancellation: `robot.lifecycle`.
#[derive(Debug)]
pub struct Lifecycle(());

/// How a gripper move ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Grip {
    /// How.
    pub end: GripEnd,
    /// Distance between the pads, metres.
    pub width: f64,
    /// Grip force, newtons.
    pub force: f64,
    /// The fingers stand wider than they were asked to and press. What is very thin is not told from nothing: compare `width`.
    pub holding: bool,
    /// Tick then.
    pub tick: u64,
}

/// How a gripper move ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GripEnd {
    /// The fingers came to rest.
    Done,
    /// They came to no rest in time.
    Held,
    /// A newer goal took over.
    Preempted,
    /// Something that this version of the SDK does not know.
    Other(String),
}

/// How a policy run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyOutcome {
    /// How.
    pub state: PolicyState,
    /// The host's failure label that fits; empty when done.
    pub label: String,
    /// Lowest confidence over the run, 0 to 1.
    pub confidence: f64,
    /// Ticks that it took.
    pub ticks: u64,
    /// What the policy's end condition saw, in words.
    pub message: String,
}

/// How a policy run ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PolicyState {
    /// Its end condition was met.
    Done,
    /// Its failure condition was met.
    Failed,
    /// Its confidence fell below its threshold.
    LowConfidence,
    /// The time given was over.
    Timeout,
    /// A stop ended it.
    Stopped,
    /// A newer goal took the arm over.
    Cancelled,
    /// Something that this version of the SDK does not know.
    Other(String),
}

impl Robot {
    pub(crate) fn new() -> Self {
        Self {
            world: World(()),
            motion: crate::Motion(()),
            gripper: Gripper(()),
            policy: Policy(()),
            memory: Memory(()),
            files: Files(()),
            operator: Operator(()),
            events: Events(()),
            log: Log(()),
            clock: Clock(()),
            lifecycle: Lifecycle(()),
        }
    }
}

impl World {
    /// The newest snapshot.
    ///
    /// # Errors
    /// `sensor-stall: …` while a camera is stalled or nothing was seen yet.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(host::world::newest()?)
    }

    /// Waits for a snapshot whose images were all taken after `tick`.
    ///
    /// # Errors
    /// As [`Self::snapshot`], and `Cancelled`.
    pub fn wait_newer(&self, tick: u64) -> Result<Snapshot, Error> {
        Ok(host::world::wait_newer(tick)?)
    }

    /// The fixed places of the cell.
    ///
    /// # Errors
    /// A budget is used up.
    pub fn places(&self) -> Result<Vec<Place>, Error> {
        Ok(host::world::places()?)
    }

    /// The place of this name.
    ///
    /// # Errors
    /// There is none; the text lists the names.
    pub fn place(&self, name: &str) -> Result<Place, Error> {
        let places = self.places()?;
        match places.iter().position(|place| place.name == name) {
            Some(index) => Ok(places[index].clone()),
            None => Err(Error::other(format!(
                "no place is named `{name}`; there are {}",
                places
                    .iter()
                    .map(|place| place.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    /// The robot itself, as measured now.
    ///
    /// # Errors
    /// The loop has not said anything yet.
    pub fn robot(&self) -> Result<RobotState, Error> {
        Ok(host::world::robot()?)
    }
}

impl Snapshot {
    /// The object with this id, if it is still tracked.
    #[must_use]
    pub fn object(&self, id: u64) -> Option<&Object> {
        self.objects.iter().find(|object| object.id == id)
    }

    /// Objects of a class, and of a colour if one is given.
    pub fn of<'a>(
        &'a self,
        class: &'a str,
        color: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(move |object| {
            object.class == class && color.is_none_or(|color| object.color == color)
        })
    }

    /// Objects whose position lies in the named place.
    pub fn in_place<'a>(&'a self, place: &'a str) -> impl Iterator<Item = &'a Object> {
        self.objects
            .iter()
            .filter(move |object| object.place == place)
    }
}

impl Object {
    /// Its position, metres, base frame.
    #[must_use]
    pub fn position(&self) -> Vec3 {
        self.pose.position
    }
}

impl From<host::gripper::Outcome> for Grip {
    fn from(outcome: host::gripper::Outcome) -> Self {
        Self {
            end: match outcome.state.as_str() {
                "done" => GripEnd::Done,
                "held" => GripEnd::Held,
                "preempted" => GripEnd::Preempted,
                _ => GripEnd::Other(outcome.state),
            },
            width: outcome.width,
            force: outcome.force,
            holding: outcome.holding,
            tick: outcome.tick,
        }
    }
}

impl Gripper {
    /// Opens or closes to `width` metres with at most `force` newtons.
    ///
    /// # Errors
    /// Numbers that are not finite or negative, no lease, a latched stop.
    pub fn move_to(&mut self, width: f64, force: f64) -> Result<Grip, Error> {
        Ok(host::gripper::move_to(width, force)?.into())
    }

    /// Opens fully.
    ///
    /// # Errors
    /// As [`Self::move_to`].
    pub fn open(&mut self) -> Result<Grip, Error> {
        Ok(host::gripper::open()?.into())
    }

    /// Closes until `force` newtons are held, or the fingers meet.
    ///
    /// # Errors
    /// As [`Self::move_to`].
    pub fn grasp(&mut self, force: f64) -> Result<Grip, Error> {
        Ok(host::gripper::grasp(force)?.into())
    }
}

impl PolicyOutcome {
    /// Itself if the policy was done, or else a failure with its label and message.
    ///
    /// # Errors
    /// The policy ended in any other way.
    pub fn done(self) -> Result<Self, Failure> {
        if self.state == PolicyState::Done {
            return Ok(self);
        }
        let label = if self.label.is_empty() {
            "policy-stall"
        } else {
            &self.label
        };
        Err(Failure::new(label, self.message.clone()))
    }
}

impl Policy {
    /// Runs the named policy on a tracked object until it is done, has failed or is not sure any more.
    ///
    /// # Errors
    /// No such policy, no such object, no lease.
    pub fn run(
        &mut self,
        name: &str,
        object_id: u64,
        timeout_ticks: u64,
    ) -> Result<PolicyOutcome, Error> {
        let outcome = host::policy::run(name, object_id, timeout_ticks)?;
        Ok(PolicyOutcome {
            state: match outcome.state.as_str() {
                "done" => PolicyState::Done,
                "failed" => PolicyState::Failed,
                "low-confidence" => PolicyState::LowConfidence,
                "timeout" => PolicyState::Timeout,
                "stopped" => PolicyState::Stopped,
                "cancelled" => PolicyState::Cancelled,
                _ => PolicyState::Other(outcome.state),
            },
            label: outcome.label,
            confidence: outcome.confidence,
            ticks: outcome.ticks,
            message: outcome.message,
        })
    }

    /// Names of the policies that may be run.
    ///
    /// # Errors
    /// A budget is used up.
    pub fn available(&self) -> Result<Vec<String>, Error> {
        Ok(host::policy::available()?)
    }
}

impl Memory {
    /// The value under `key`.
    ///
    /// # Errors
    /// A budget is used up.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(host::memory::get(key)?)
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// The quota would be exceeded.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        Ok(host::memory::set(key, value)?)
    }

    /// Forgets `key`. Nothing happens if there is none.
    ///
    /// # Errors
    /// A budget is used up.
    pub fn remove(&mut self, key: &str) -> Result<(), Error> {
        Ok(host::memory::remove(key)?)
    }

    /// All keys in byte order.
    ///
    /// # Errors
    /// A budget is used up.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        Ok(host::memory::keys()?)
    }
}

impl Files {
    /// The whole file, if there is one; `path` is relative to the directory granted under the name `directory`.
    ///
    /// # Errors
    /// No such grant, no file but something else, or it is too large.
    pub fn read(&self, directory: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(host::files::read(directory, path)?)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// Read-only grant, quota, no such directory.
    pub fn write(&mut self, directory: &str, path: &str, contents: &[u8]) -> Result<(), Error> {
        Ok(host::files::write(directory, path, contents)?)
    }

    /// Removes the file. Nothing happens if there is none.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn remove(&mut self, directory: &str, path: &str) -> Result<(), Error> {
        Ok(host::files::remove(directory, path)?)
    }

    /// Names in a folder in byte order; folders end with `/`.
    ///
    /// # Errors
    /// No such grant or folder.
    pub fn entries(&self, directory: &str, path: &str) -> Result<Vec<String>, Error> {
        Ok(host::files::entries(directory, path)?)
    }
}

impl Operator {
    /// Asks a person and waits for the index of the chosen option; `None` if the time is over.
    ///
    /// # Errors
    /// `Unavailable` if nobody can be asked on this host.
    pub fn ask(
        &mut self,
        question: &str,
        options: &[&str],
        timeout_ticks: u64,
    ) -> Result<Option<usize>, Error> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        Ok(host::operator::ask(question, &options, timeout_ticks)?.map(|index| index as usize))
    }
}

impl Events {
    /// Says which step begins now (`pick block 2 of 4`). What is over the host's rate limit is dropped.
    pub fn step(&mut self, name: &str) {
        host::events::step(name, None);
    }

    /// The same about a tracked object.
    pub fn step_on(&mut self, name: &str, object_id: u64) {
        host::events::step(name, Some(object_id));
    }

    /// A named event with a payload.
    ///
    /// # Errors
    /// Too large, too many, or not to be written as JSON.
    pub fn emit(&mut self, name: &str, payload: &impl serde::Serialize) -> Result<(), Error> {
        let payload =
            serde_json::to_string(payload).map_err(|error| Error::other(error.to_string()))?;
        Ok(host::events::emit(name, &payload)?)
    }
}

impl Log {
    /// For tracing what the code does.
    pub fn debug(&self, message: &str) {
        host::log::write("debug", message);
    }

    /// For what a developer wants to see.
    pub fn info(&self, message: &str) {
        host::log::write("info", message);
    }

    /// For what is odd.
    pub fn warn(&self, message: &str) {
        host::log::write("warn", message);
    }

    /// For what went wrong.
    pub fn error(&self, message: &str) {
        host::log::write("error", message);
    }
}

impl Clock {
    /// The tick now.
    #[must_use]
    pub fn now(&self) -> u64 {
        host::clock::now()
    }

    /// Waits for at least `ticks`.
    ///
    /// # Errors
    /// `Cancelled` if the run is being cancelled.
    pub fn sleep(&self, ticks: u64) -> Result<(), Error> {
        Ok(host::clock::sleep(ticks)?)
    }
}

impl Lifecycle {
    /// Stores a checkpoint: from here the run can be taken up again, after a recovery or by a newer version.
    ///
    /// # Errors
    /// Too large, or `Cancelled`.
    pub fn safe_point<C: Checkpoint>(&mut self, state: &C) -> Result<(), Error> {
        let checkpoint = checkpoint::write(state).map_err(Error::other)?;
        Ok(host::lifecycle::safe_point(&checkpoint)?)
    }

    /// True once the run is being cancelled.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        host::lifecycle::cancelled()
    }
}
