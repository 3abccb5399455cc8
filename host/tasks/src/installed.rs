//! The plugins that the engine may use.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde_json::Value;
use sinew_plugin_host::{
    Assessment, Checkpoint, Failure, HostPorts, Kind, Lease, LoadError, Manifest, Plugin,
    PluginHost, RecoveryContext, Run, RunDenials, RunEnd, RunEvent, RunRecord, StartError, Usage,
};
use sinew_units::{Tick, Ticks};

use crate::conditions::{Condition, ConditionError};
use crate::failure::FailureLabel;
use crate::fault::Fault;

/// A run of a plugin, as the engine sees it. The methods are those of [`Run`].
pub trait PluginRun {
    /// Lets it go on; `Some` once, at its end.
    fn poll(&mut self, now: Tick) -> Option<RunEnd>;
    /// Asks it to end.
    fn cancel(&mut self);
    /// Ends it now.
    fn kill(&mut self) -> RunEnd;
    /// Its last checkpoint.
    fn checkpoint(&self) -> Option<Checkpoint>;
    /// What it has said since the last call.
    fn take_events(&mut self) -> Vec<RunEvent>;
    /// What was recorded of it, once it has ended; `None` if nothing is.
    fn take_record(&mut self) -> Option<RunRecord>;
    /// Makes room for another version at the next safe point whose checkpoint has one of these versions.
    fn hand_over(&mut self, reads: &[u32]);
    /// What it has used so far.
    fn usage(&self) -> Usage;
    /// How long it has run, without the steps in which others kept it from going on.
    fn ran(&self, now: Tick) -> Ticks;
    /// What was refused to it, once it has ended; `None` if nothing was.
    fn take_denials(&mut self) -> Option<RunDenials>;
}

/// One version of a plugin. Whoever runs on it, or is judged by it, holds it: what is active meanwhile is another matter.
pub trait Version: Clone {
    /// What it says about itself.
    fn manifest(&self) -> &Manifest;
    /// SHA-256 of its component, hexadecimal.
    fn digest(&self) -> &str;
    /// Its post-conditions.
    fn conditions(&self) -> &[Condition];
}

/// When tasks that run on one version of a skill go over to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapAt {
    /// They finish on their own.
    NextTask,
    /// At their next safe point: the robot holds, and the other version goes on from the checkpoint.
    SafePoint,
    /// At once: the run is cancelled, the robot holds, and the other version goes on from the last checkpoint.
    Now,
}

/// What an end says about a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// It did what it was asked to.
    Succeeded,
    /// It did not, as can happen.
    Failed,
    /// It misbehaved: why.
    Faulted(String),
    /// Somebody ended it: that says nothing.
    Ended,
}

impl Account {
    /// What the end of a run says, whatever becomes of its task.
    pub(crate) fn of_run(fault: Option<Fault>, ended: &RunEnd) -> Option<Self> {
        match (fault, ended) {
            (Some(fault), _) => Some(Self::Faulted(fault.text)),
            // No fault; but a version that the machine has no room for too often is of no use on it.
            (None, RunEnd::Starved { .. }) => Some(Self::Failed),
            (None, _) => None,
        }
    }
}

/// Skills and recoveries by name. The engine is written against this, so that its decisions can be tested
/// without WebAssembly, and a host that keeps its plugins elsewhere can lend them.
pub trait Plugins {
    /// Its runs.
    type Run: PluginRun;
    /// Its versions.
    type Version: Version;

    /// A step of the engine begins.
    fn begin_step(&self);

    /// Whether runs have used up the time that they have together in this step: nothing of them goes on in it any more. Never
    /// under virtual time.
    fn step_is_used_up(&self) -> bool;

    /// Names of one kind, in order.
    fn names(&self, kind: Kind) -> Vec<String>;

    /// The version of a plugin that is active; `None` if there is no such plugin.
    fn current(&self, name: &str) -> Option<Self::Version>;

    /// Checks a skill's parameters against its schema; gives them parsed.
    ///
    /// # Errors
    /// Where they miss it.
    fn check_params(&self, skill: &Self::Version, params_json: &str) -> Result<Value, StartError>;

    /// Starts a skill.
    ///
    /// # Errors
    /// Wrong parameters, checkpoint or lease.
    fn start_skill(
        &self,
        skill: &Self::Version,
        params_json: &str,
        resume: Option<Checkpoint>,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Self::Run, StartError>;

    /// Asks a recovery what it would do.
    fn assess(
        &self,
        recovery: &Self::Version,
        failure: &Failure,
        context: &RecoveryContext,
        seed: u64,
        now: Tick,
    ) -> Assessment;

    /// Starts a recovery.
    ///
    /// # Errors
    /// Wrong lease.
    fn start_recovery(
        &self,
        recovery: &Self::Version,
        failure: &Failure,
        context: &RecoveryContext,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Self::Run, StartError>;

    /// Books an end: of a task for its skill, of a run for a recovery, and of every run that misbehaved. Whether the version is
    /// left because of it: what is active instead, if anything is, is so when this returns.
    fn account(&self, version: &Self::Version, account: &Account, usage: &Usage) -> bool;
}

/// Why a plugin was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The plugin host refused it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A post-condition that this host can't judge.
    #[error("`{name}`: {source}")]
    Condition {
        /// The plugin.
        name: String,
        /// What is wrong.
        source: ConditionError,
    },
    /// A recovery for something that isn't a failure label.
    #[error(
        "`{name}` handles `{label}`, which is no failure label; the labels are {}",
        labels()
    )]
    Label {
        /// The plugin.
        name: String,
        /// The word.
        label: String,
    },
    /// Two plugins of one name.
    #[error(
        "there are two plugins of the name `{name}`, built in, out of a store or named: leave one out, or let it into a store, \
         where it stands in for one that is built in"
    )]
    Twice {
        /// The name.
        name: String,
    },
}

/// Checks what only the task engine knows of: failure labels and post-conditions, which it gives.
///
/// # Errors
/// [`InstallError`] that names the label or the condition.
pub fn check_manifest(manifest: &Manifest) -> Result<Vec<Condition>, InstallError> {
    let unknown = (manifest.handles.iter()).find(|label| FailureLabel::parse(label).is_none());
    if let Some(label) = unknown {
        return Err(InstallError::Label {
            name: manifest.name.clone(),
            label: label.clone(),
        });
    }
    Condition::parse_all(&manifest.post_conditions).map_err(|source| InstallError::Condition {
        name: manifest.name.clone(),
        source,
    })
}

fn labels() -> String {
    FailureLabel::ALL.map(FailureLabel::code).join(", ")
}

/// A plugin that is installed, with what the task engine knows of it.
#[derive(Clone)]
pub struct InstalledVersion(Arc<Entry>);

struct Entry {
    plugin: Arc<Plugin>,
    conditions: Vec<Condition>,
}

impl InstalledVersion {
    /// Checks what only the task engine knows of.
    ///
    /// # Errors
    /// [`InstallError`] that names the label or the condition.
    pub fn new(plugin: Arc<Plugin>) -> Result<Self, InstallError> {
        let conditions = check_manifest(plugin.manifest())?;
        Ok(Self(Arc::new(Entry { plugin, conditions })))
    }
}

impl Version for InstalledVersion {
    fn manifest(&self) -> &Manifest {
        self.0.plugin.manifest()
    }

    fn digest(&self) -> &str {
        self.0.plugin.digest()
    }

    fn conditions(&self) -> &[Condition] {
        &self.0.conditions
    }
}

/// Keeps the books on versions.
pub trait Bookkeeper: Send + Sync {
    /// A step of the engine begins.
    fn begin_step(&self);

    /// Books an end. `Some` if the version is left because of it.
    fn book(&self, version: &InstalledVersion, account: &Account, usage: &Usage) -> Option<Left>;
}

/// What becomes of a version that is left.
pub struct Left {
    /// What is active instead; nothing if no version was good before.
    pub instead: Option<InstalledVersion>,
    /// What was good before, by digest, whether it can be active now or not.
    pub back_to: Option<String>,
    /// What the plugin had kept with `memory` when that one was active.
    pub memory: BTreeMap<String, Vec<u8>>,
}

/// Plugins in a [`PluginHost`]. Copies with other ports share which versions are active.
pub struct Installed {
    host: PluginHost,
    active: Arc<RwLock<BTreeMap<String, InstalledVersion>>>,
    bookkeeper: Option<Arc<dyn Bookkeeper>>,
}

impl Installed {
    /// No plugin yet.
    #[must_use]
    pub fn new(host: PluginHost) -> Self {
        Self {
            host,
            active: Arc::default(),
            bookkeeper: None,
        }
    }

    /// Has the books kept. Without a bookkeeper nothing is ever left.
    pub fn keep_books(&mut self, bookkeeper: Arc<dyn Bookkeeper>) {
        self.bookkeeper = Some(bookkeeper);
    }

    /// Loads and checks one plugin; `origin` names its file in messages. Returns its name.
    ///
    /// # Errors
    /// [`InstallError`]; nothing is installed then.
    pub fn install(&self, bytes: &[u8], origin: &str) -> Result<String, InstallError> {
        self.add(InstalledVersion::new(self.host.load(bytes, origin)?)?)
    }

    /// Adds a plugin that this host, or a copy of it with other ports, has loaded. Returns its name.
    ///
    /// # Errors
    /// There is one of that name.
    pub fn add(&self, version: InstalledVersion) -> Result<String, InstallError> {
        let name = version.manifest().name.clone();
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        if active.contains_key(&name) {
            return Err(InstallError::Twice { name });
        }
        active.insert(name.clone(), version);
        Ok(name)
    }

    /// Makes another version the active one of its name.
    pub fn replace(&self, version: InstalledVersion) {
        let name = version.manifest().name.clone();
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        active.insert(name, version);
    }

    /// Nothing of this name is active any more.
    pub fn remove(&self, name: &str) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        active.remove(name);
    }

    /// A version was left: what was good before is active, with the memory that it had, and what still runs of the version that was
    /// left has no part in that.
    pub fn leave(&self, name: &str, digest: &str, left: Left) {
        let back_to = left.back_to.as_deref();
        self.host
            .put_back_memory(name, left.memory, digest, back_to);
        match left.instead {
            Some(instead) => self.replace(instead),
            None => self.remove(name),
        }
    }

    /// The same plugins, compiled once, on a host that lends them other ports.
    #[must_use]
    pub fn with_ports(&self, ports: HostPorts) -> Self {
        Self {
            host: self.host.with_ports(ports),
            active: Arc::clone(&self.active),
            bookkeeper: self.bookkeeper.clone(),
        }
    }

    /// These plugins, for a brain that a robot waits for: a clock runs.
    #[must_use]
    pub fn in_real_time(mut self) -> Self {
        self.host = self.host.in_real_time();
        self
    }

    /// The plugin host.
    #[must_use]
    pub fn host(&self) -> &PluginHost {
        &self.host
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, InstalledVersion>> {
        self.active.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plugins for Installed {
    type Run = Run;
    type Version = InstalledVersion;

    fn begin_step(&self) {
        self.host.begin_step();
        if let Some(bookkeeper) = &self.bookkeeper {
            bookkeeper.begin_step();
        }
    }

    fn step_is_used_up(&self) -> bool {
        self.host.step_is_used_up()
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        (self.read().iter())
            .filter(|(_, version)| version.manifest().kind == kind)
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn current(&self, name: &str) -> Option<InstalledVersion> {
        self.read().get(name).cloned()
    }

    fn check_params(
        &self,
        skill: &InstalledVersion,
        params_json: &str,
    ) -> Result<Value, StartError> {
        skill.0.plugin.check_params(params_json)
    }

    fn start_skill(
        &self,
        skill: &InstalledVersion,
        params_json: &str,
        resume: Option<Checkpoint>,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Run, StartError> {
        self.host
            .start_skill(&skill.0.plugin, params_json, resume, lease, seed, now)
    }

    fn assess(
        &self,
        recovery: &InstalledVersion,
        failure: &Failure,
        context: &RecoveryContext,
        seed: u64,
        now: Tick,
    ) -> Assessment {
        self.host
            .assess(&recovery.0.plugin, failure, context, seed, now)
    }

    fn start_recovery(
        &self,
        recovery: &InstalledVersion,
        failure: &Failure,
        context: &RecoveryContext,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Run, StartError> {
        self.host
            .start_recovery(&recovery.0.plugin, failure, context, lease, seed, now)
    }

    fn account(&self, version: &InstalledVersion, account: &Account, usage: &Usage) -> bool {
        let bookkeeper = self.bookkeeper.as_ref();
        let Some(left) = bookkeeper.and_then(|books| books.book(version, account, usage)) else {
            return false;
        };
        self.leave(&version.manifest().name, version.digest(), left);
        true
    }
}

impl PluginRun for Run {
    fn poll(&mut self, now: Tick) -> Option<RunEnd> {
        Self::poll(self, now)
    }

    fn cancel(&mut self) {
        Self::cancel(self);
    }

    fn kill(&mut self) -> RunEnd {
        Self::kill(self)
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        Self::checkpoint(self)
    }

    fn take_events(&mut self) -> Vec<RunEvent> {
        Self::take_events(self)
    }

    fn hand_over(&mut self, reads: &[u32]) {
        Self::hand_over(self, reads);
    }

    fn usage(&self) -> Usage {
        Self::usage(self)
    }

    fn ran(&self, now: Tick) -> Ticks {
        Self::ran(self, now)
    }

    fn take_record(&mut self) -> Option<RunRecord> {
        Self::take_record(self)
    }

    fn take_denials(&mut self) -> Option<RunDenials> {
        Self::take_denials(self)
    }
}
