//! The plugins that the engine may use.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sinew_plugin_host::{
    Assessment, Checkpoint, Failure, HostPorts, Kind, Lease, LoadError, MachineCode, Manifest,
    Plugin, PluginHost, RecoveryContext, Run, RunDenials, RunEnd, RunEvent, RunRecord, StartError,
};
use sinew_units::Tick;

use crate::conditions::{Condition, ConditionError};
use crate::failure::FailureLabel;

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
    /// What was refused to it, once it has ended; `None` if nothing was.
    fn take_denials(&mut self) -> Option<RunDenials>;
}

/// Skills and recoveries by name. The engine is written against this, so that its decisions can be tested
/// without WebAssembly, and a host that keeps its plugins elsewhere can lend them.
pub trait Plugins {
    /// Its runs.
    type Run: PluginRun;

    /// Names of one kind, in order.
    fn names(&self, kind: Kind) -> Vec<&str>;

    /// What a plugin says about itself; `None` if there is no such plugin.
    fn manifest(&self, name: &str) -> Option<&Manifest>;

    /// Its post-conditions.
    fn conditions(&self, name: &str) -> &[Condition];

    /// Checks a skill's parameters against its schema; gives them parsed.
    ///
    /// # Errors
    /// Where they miss it.
    fn check_params(&self, skill: &str, params_json: &str) -> Result<Value, StartError>;

    /// Starts a skill.
    ///
    /// # Errors
    /// Wrong parameters, checkpoint or lease.
    fn start_skill(
        &self,
        name: &str,
        params_json: &str,
        resume: Option<Checkpoint>,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Self::Run, StartError>;

    /// Asks a recovery what it would do.
    fn assess(
        &self,
        name: &str,
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
        name: &str,
        failure: &Failure,
        context: &RecoveryContext,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Self::Run, StartError>;
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
    #[error("`{name}` is installed already")]
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

#[derive(Clone)]
struct Entry {
    plugin: Arc<Plugin>,
    conditions: Vec<Condition>,
}

/// Plugins in a [`PluginHost`].
pub struct Installed {
    host: PluginHost,
    entries: BTreeMap<String, Entry>,
}

impl Installed {
    /// No plugin yet.
    #[must_use]
    pub fn new(host: PluginHost) -> Self {
        Self {
            host,
            entries: BTreeMap::new(),
        }
    }

    /// Loads and checks one plugin; `origin` names its file in messages. Returns its name.
    ///
    /// # Errors
    /// [`InstallError`]; nothing is installed then.
    pub fn install(&mut self, bytes: &[u8], origin: &str) -> Result<String, InstallError> {
        let plugin = self.host.load(bytes, origin)?;
        self.add(plugin)
    }

    /// As [`Self::install`], with machine code that was made of these bytes before.
    ///
    /// # Errors
    /// As [`Self::install`]; the code is of no use here.
    pub fn install_compiled(
        &mut self,
        bytes: &[u8],
        origin: &str,
        code: &MachineCode<'_>,
    ) -> Result<String, InstallError> {
        let plugin = self.host.load_compiled(bytes, origin, code)?;
        self.add(plugin)
    }

    fn add(&mut self, plugin: Arc<Plugin>) -> Result<String, InstallError> {
        let name = plugin.manifest().name.clone();
        if self.entries.contains_key(&name) {
            return Err(InstallError::Twice { name });
        }
        let conditions = check_manifest(plugin.manifest())?;
        self.entries
            .insert(name.clone(), Entry { plugin, conditions });
        Ok(name)
    }

    /// The same plugins, compiled once, on a host that lends them other ports.
    #[must_use]
    pub fn with_ports(&self, ports: HostPorts) -> Self {
        Self {
            host: self.host.with_ports(ports),
            entries: self.entries.clone(),
        }
    }

    /// The plugin host.
    #[must_use]
    pub fn host(&self) -> &PluginHost {
        &self.host
    }

    fn plugin(&self, name: &str, expected: &'static str) -> Result<&Arc<Plugin>, StartError> {
        match self.entries.get(name) {
            Some(entry) => Ok(&entry.plugin),
            None => Err(StartError::Kind {
                name: name.to_owned(),
                expected,
            }),
        }
    }
}

impl Plugins for Installed {
    type Run = Run;

    fn names(&self, kind: Kind) -> Vec<&str> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.plugin.manifest().kind == kind)
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn manifest(&self, name: &str) -> Option<&Manifest> {
        self.entries.get(name).map(|entry| entry.plugin.manifest())
    }

    fn conditions(&self, name: &str) -> &[Condition] {
        self.entries
            .get(name)
            .map_or(&[], |entry| &entry.conditions)
    }

    fn check_params(&self, skill: &str, params_json: &str) -> Result<Value, StartError> {
        self.plugin(skill, "skill")?.check_params(params_json)
    }

    fn start_skill(
        &self,
        name: &str,
        params_json: &str,
        resume: Option<Checkpoint>,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Run, StartError> {
        let plugin = self.plugin(name, "skill")?;
        self.host
            .start_skill(plugin, params_json, resume, lease, seed, now)
    }

    fn assess(
        &self,
        name: &str,
        failure: &Failure,
        context: &RecoveryContext,
        seed: u64,
        now: Tick,
    ) -> Assessment {
        match self.plugin(name, "recovery") {
            Ok(plugin) => self.host.assess(plugin, failure, context, seed, now),
            Err(error) => Assessment::without_run(Err(RunEnd::Trapped {
                message: error.to_string(),
            })),
        }
    }

    fn start_recovery(
        &self,
        name: &str,
        failure: &Failure,
        context: &RecoveryContext,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Run, StartError> {
        let plugin = self.plugin(name, "recovery")?;
        self.host
            .start_recovery(plugin, failure, context, lease, seed, now)
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

    fn take_record(&mut self) -> Option<RunRecord> {
        Self::take_record(self)
    }

    fn take_denials(&mut self) -> Option<RunDenials> {
        Self::take_denials(self)
    }
}
