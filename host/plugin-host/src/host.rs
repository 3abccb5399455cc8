//! Loading plugins and starting runs.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use sinew_units::Tick;
use thiserror::Error;
use wasmtime::component::{
    Component, ComponentExportIndex, InstancePre, Linker, ResourceTable, types::ComponentItem,
};
use wasmtime::{Config, Engine};

use crate::WIT_VERSION;
use crate::artifact::manifest_section;
use crate::capabilities;
use crate::desk::Desk;
use crate::grants::{Grant, Grants};
use crate::guard;
use crate::limits::{FIBER_STACK, Limits, WASM_STACK};
use crate::manifest::{CAPABILITIES, Kind, Manifest, ManifestError, RobotPart};
use crate::ports::HostPorts;
use crate::run::{
    Answer, Checkpoint, Entry, Failure, Lease, Proposal, RecoveryContext, Run, RunEnd, Usage, work,
};
use crate::schema::Schema;
use crate::state::{Memories, Mode, Rate, RunState, Shared, Space};
use crate::wasi::{self, Inert};

/// Everything plugins share: the engine, the grants and the ports.
pub struct PluginHost {
    engine: Engine,
    linker: Linker<RunState>,
    limits: Arc<Limits>,
    grants: Grants,
    ports: HostPorts,
    memories: Memories,
}

/// A plugin that was checked and compiled, ready to run any number of times.
pub struct Plugin {
    manifest: Manifest,
    grant: Grant,
    wasi: Vec<String>,
    params: Schema,
    result: Schema,
    pub(crate) engine: Engine,
    pub(crate) instance: InstancePre<RunState>,
    pub(crate) entry: ComponentExportIndex,
    pub(crate) assess: Option<ComponentExportIndex>,
}

/// The host itself could not be set up.
#[derive(Debug, Error)]
pub enum HostError {
    /// The engine does not take its configuration on this machine.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
    /// No thread for the guard.
    #[error("the guard thread of the WebAssembly engine could not be started: {0}")]
    Guard(#[from] std::io::Error),
}

/// Why a plugin was not loaded. `origin` is the file, as it was given.
#[derive(Debug, Error)]
pub enum LoadError {
    /// More bytes than allowed.
    #[error("{origin} has {size} bytes, {limit} are allowed")]
    TooLarge {
        /// The file.
        origin: String,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Something else than a component.
    #[error("{origin} is no WebAssembly component: {reason}")]
    NotAComponent {
        /// The file.
        origin: String,
        /// What it is instead.
        reason: String,
    },
    /// None or several manifests.
    #[error(
        "{origin} has {count} sections `sinew:manifest`, a plugin has one; pack it with the SDK's tool"
    )]
    ManifestSections {
        /// The file.
        origin: String,
        /// How many were found.
        count: usize,
    },
    /// The manifest is wrong.
    #[error("{origin}: {source}")]
    Manifest {
        /// The file.
        origin: String,
        /// What is wrong.
        source: ManifestError,
    },
    /// The component does not export what its kind has to.
    #[error(
        "{origin}: `{name}` says that it is a {kind}, but does not export `{export}`; build it for the world `{kind}` of sinew:plugin@{WIT_VERSION}"
    )]
    World {
        /// The file.
        origin: String,
        /// The plugin.
        name: String,
        /// `skill` or `recovery`.
        kind: &'static str,
        /// The export that is missing.
        export: String,
    },
    /// It imports something that does not exist here, or in another shape.
    #[error("{origin}: `{name}` can't be linked: {reason}")]
    Import {
        /// The file.
        origin: String,
        /// The plugin.
        name: String,
        /// Which import, and why.
        reason: String,
    },
    /// It imports an interface that its manifest does not ask for.
    #[error(
        "{origin}: `{name}` imports `{interface}`, but its manifest does not ask for it; add it to `imports` with a reason and pack it again"
    )]
    Undeclared {
        /// The file.
        origin: String,
        /// The plugin.
        name: String,
        /// The interface.
        interface: String,
    },
    /// It asks for more than it was granted.
    #[error("{text}")]
    NotGranted {
        /// The plugin.
        name: String,
        /// What is missing and what to add to the grants file.
        text: String,
    },
}

/// Why a run was not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// A skill was started as a recovery, or the other way round.
    #[error("`{name}` is no {expected}")]
    Kind {
        /// The plugin.
        name: String,
        /// `skill` or `recovery`.
        expected: &'static str,
    },
    /// The parameters are no JSON.
    #[error("the parameters are not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The parameters are too long.
    #[error("the parameters have {size} bytes, {limit} are allowed")]
    TooLarge {
        /// Their size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The parameters miss the plugin's schema.
    #[error("parameters of `{name}`: at `{path}`: {reason}")]
    Params {
        /// The plugin.
        name: String,
        /// JSON Pointer to the value that is wrong; `/` for the whole.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint is of a version that the plugin does not read.
    #[error("`{name}` does not read checkpoints of version {schema}; it reads {reads:?}")]
    Checkpoint {
        /// The plugin.
        name: String,
        /// The checkpoint's version.
        schema: u32,
        /// Versions that it reads.
        reads: Vec<u32>,
    },
    /// A robot part that the manifest lists is not held.
    #[error("`{name}` needs the {part}, and the run was given no lease on it")]
    Lease {
        /// The plugin.
        name: String,
        /// `arm` or `gripper`.
        part: &'static str,
    },
}

impl Plugin {
    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it was granted.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The WASI interfaces that it imports. They are inert.
    #[must_use]
    pub fn wasi_imports(&self) -> &[String] {
        &self.wasi
    }

    /// Checks parameters without starting anything; gives them parsed.
    ///
    /// # Errors
    /// Not JSON, too long, or where they miss the schema.
    pub fn check_params(&self, params_json: &str, limits: &Limits) -> Result<Value, StartError> {
        if params_json.len() > limits.json_bytes {
            return Err(StartError::TooLarge {
                size: params_json.len(),
                limit: limits.json_bytes,
            });
        }
        let params = serde_json::from_str(params_json)?;
        self.params
            .check(&params)
            .map_err(|(path, reason)| StartError::Params {
                name: self.manifest.name.clone(),
                path: if path.is_empty() {
                    "/".to_owned()
                } else {
                    path
                },
                reason,
            })?;
        Ok(params)
    }

    /// The end of a skill that returned `json`.
    pub(crate) fn checked_result(&self, json: &str) -> RunEnd {
        let fault = |message: String| {
            RunEnd::Failed(Failure {
                label: "skill-fault".to_owned(),
                message,
                detail: Value::Null,
            })
        };
        let result = match serde_json::from_str(json) {
            Ok(result) => result,
            Err(error) => return fault(format!("the result is not JSON: {error}")),
        };
        match self.result.check(&result) {
            Ok(()) => RunEnd::Finished(result),
            Err((path, reason)) => fault(format!(
                "the result misses its schema at `{path}`: {reason}"
            )),
        }
    }
}

impl PluginHost {
    /// A host with its own engine.
    ///
    /// # Errors
    /// The engine or its guard can't be started on this machine.
    pub fn new(limits: Limits, grants: Grants, ports: HostPorts) -> Result<Self, HostError> {
        let engine =
            Engine::new(&config()).map_err(|error| HostError::Engine(format!("{error:#}")))?;
        let mut linker = Linker::new(&engine);
        capabilities::link(&mut linker).map_err(|error| HostError::Engine(format!("{error:#}")))?;
        guard::start(&engine)?;
        Ok(Self {
            engine,
            linker,
            limits: Arc::new(limits),
            grants,
            ports,
            memories: Memories::default(),
        })
    }

    /// A host that lends plugins other ports and starts without memories. Engine, limits and grants are the
    /// same ones, so that what one of the two has loaded runs on the other, too.
    #[must_use]
    pub fn with_ports(&self, ports: HostPorts) -> Self {
        Self {
            engine: self.engine.clone(),
            linker: self.linker.clone(),
            limits: Arc::clone(&self.limits),
            grants: self.grants.clone(),
            ports,
            memories: Memories::default(),
        }
    }

    /// The budgets of every run.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Forgets what plugins have stored with `memory`.
    pub fn clear_memories(&self) {
        crate::state::lock(&self.memories).clear();
    }

    /// Checks a component and compiles it. `origin` names it in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, and what to do about it.
    pub fn load(&self, bytes: &[u8], origin: &str) -> Result<Arc<Plugin>, LoadError> {
        if bytes.len() > self.limits.artifact_bytes {
            return Err(LoadError::TooLarge {
                origin: origin.to_owned(),
                size: bytes.len(),
                limit: self.limits.artifact_bytes,
            });
        }
        let manifest = manifest_section(bytes, origin)?;
        let wrong = |source| LoadError::Manifest {
            origin: origin.to_owned(),
            source,
        };
        let manifest = Manifest::from_json(&manifest).map_err(wrong)?;
        let schema = |which, value: &Value| {
            Schema::new(value).map_err(|reason| wrong(ManifestError::Schema { which, reason }))
        };
        let params = schema("params_schema", &manifest.params_schema)?;
        let result = schema("result_schema", &manifest.result_schema)?;
        if let Some(text) = self.grants.missing(&manifest) {
            return Err(LoadError::NotGranted {
                name: manifest.name,
                text,
            });
        }
        let component =
            Component::new(&self.engine, bytes).map_err(|error| LoadError::NotAComponent {
                origin: origin.to_owned(),
                reason: format!("{error:#}"),
            })?;
        self.preflight(&component, &manifest, origin)?;
        let (entry, assess) = exports(&component, &manifest, origin)?;
        let unlinkable = |error: wasmtime::Error| LoadError::Import {
            origin: origin.to_owned(),
            name: manifest.name.clone(),
            reason: format!("{error:#}"),
        };
        let mut linker = self.linker.clone();
        let wasi = wasi::link(&mut linker, &self.engine, &component).map_err(unlinkable)?;
        let instance = linker.instantiate_pre(&component).map_err(unlinkable)?;
        let grant = self.grants.of(&manifest.name).cloned().unwrap_or(Grant {
            interfaces: std::collections::BTreeSet::new(),
            policies: None,
            speed: 1.0,
            acceleration: 1.0,
            force_n: None,
            directories: Vec::new(),
        });
        Ok(Arc::new(Plugin {
            manifest,
            grant,
            wasi,
            params,
            result,
            engine: self.engine.clone(),
            instance,
            entry,
            assess,
        }))
    }

    /// Names what the linker would only call "not found".
    fn preflight(
        &self,
        component: &Component,
        manifest: &Manifest,
        origin: &str,
    ) -> Result<(), LoadError> {
        let refuse = |reason: String| {
            Err(LoadError::Import {
                origin: origin.to_owned(),
                name: manifest.name.clone(),
                reason,
            })
        };
        for (import, item) in component.component_type().imports(&self.engine) {
            if !matches!(item.ty, ComponentItem::ComponentInstance(_)) {
                return refuse(format!("it imports `{import}`, which is no interface"));
            }
            let (path, version) = import.split_once('@').unwrap_or((import, ""));
            if path.starts_with("wasi:") {
                if !version.starts_with("0.2.") {
                    return refuse(format!(
                        "it imports `{import}`; of WASI this host serves 0.2, inert"
                    ));
                }
                continue;
            }
            let Some(interface) = path.strip_prefix("sinew:plugin/") else {
                return refuse(format!(
                    "it imports `{import}`, which this host does not have"
                ));
            };
            if version != WIT_VERSION {
                return refuse(format!(
                    "it imports `{import}`, this host serves sinew:plugin@{WIT_VERSION}; rebuild it with the SDK of this host"
                ));
            }
            if interface == "types" {
                continue;
            }
            if !CAPABILITIES.contains(&interface) {
                return refuse(format!(
                    "it imports `{import}`; the interfaces are {}",
                    CAPABILITIES.join(", ")
                ));
            }
            if manifest.ask(interface).is_none() {
                return Err(LoadError::Undeclared {
                    origin: origin.to_owned(),
                    name: manifest.name.clone(),
                    interface: interface.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Starts a skill. Nothing of it runs before the first poll.
    ///
    /// # Errors
    /// Wrong parameters, checkpoint or lease.
    pub fn start_skill(
        &self,
        plugin: &Arc<Plugin>,
        params_json: &str,
        resume: Option<Checkpoint>,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Run, StartError> {
        self.expect(plugin, Kind::Skill, "skill")?;
        let params = plugin.check_params(params_json, &self.limits)?;
        if let Some(checkpoint) = &resume
            && !plugin.manifest.checkpoints.contains(&checkpoint.schema)
        {
            return Err(StartError::Checkpoint {
                name: plugin.manifest.name.clone(),
                schema: checkpoint.schema,
                reads: plugin.manifest.checkpoints.clone(),
            });
        }
        self.check_lease(plugin, lease)?;
        let entry = Entry::Skill {
            params: params.to_string(),
            resume: resume.clone(),
        };
        let run = self.run(plugin, entry, Mode::Act, lease, seed, now);
        run.keep_checkpoint(resume);
        Ok(run)
    }

    /// Starts a recovery. Nothing of it runs before the first poll.
    ///
    /// # Errors
    /// It is no recovery, or a lease is missing.
    pub fn start_recovery(
        &self,
        plugin: &Arc<Plugin>,
        failure: &Failure,
        context: &RecoveryContext,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Result<Run, StartError> {
        self.expect(plugin, Kind::Recovery, "recovery")?;
        self.check_lease(plugin, lease)?;
        let entry = Entry::Recover {
            failure: failure.into(),
            context: context.into(),
        };
        Ok(self.run(plugin, entry, Mode::Act, lease, seed, now))
    }

    /// Asks a recovery what it would do. It gets one step's budget, moves nothing and waits for nothing.
    ///
    /// # Errors
    /// How its run ended instead.
    pub fn assess(
        &self,
        plugin: &Arc<Plugin>,
        failure: &Failure,
        context: &RecoveryContext,
        seed: u64,
        now: Tick,
    ) -> Result<Option<Proposal>, RunEnd> {
        if let Err(error) = self.expect(plugin, Kind::Recovery, "recovery") {
            return Err(RunEnd::Trapped {
                message: error.to_string(),
            });
        }
        let entry = Entry::Assess {
            failure: failure.into(),
            context: context.into(),
        };
        let mut run = self.run(plugin, entry, Mode::Assess, Lease::default(), seed, now);
        match run.step(now) {
            Some(Answer::Proposal(proposal)) => Ok(proposal),
            Some(Answer::End(end)) => Err(end),
            None => Err(RunEnd::OutOfBudget {
                what: "computing: `assess` has one step's fuel".to_owned(),
                nondeterministic: false,
            }),
        }
    }

    fn expect(
        &self,
        plugin: &Plugin,
        kind: Kind,
        expected: &'static str,
    ) -> Result<(), StartError> {
        if plugin.manifest.kind == kind {
            return Ok(());
        }
        Err(StartError::Kind {
            name: plugin.manifest.name.clone(),
            expected,
        })
    }

    fn check_lease(&self, plugin: &Plugin, lease: Lease) -> Result<(), StartError> {
        for (part, held, name) in [
            (RobotPart::Arm, lease.arm, "arm"),
            (RobotPart::Gripper, lease.gripper, "gripper"),
        ] {
            if plugin.manifest.needs(part) && !held {
                return Err(StartError::Lease {
                    name: plugin.manifest.name.clone(),
                    part: name,
                });
            }
        }
        Ok(())
    }

    fn run(
        &self,
        plugin: &Arc<Plugin>,
        entry: Entry,
        mode: Mode,
        lease: Lease,
        seed: u64,
        now: Tick,
    ) -> Run {
        let limits = Arc::clone(&self.limits);
        let shared = Arc::new(Mutex::new(Shared {
            now,
            status: None,
            cancelled: false,
            suspended: false,
            calls_in_step: 0,
            fuel_in_step: 0,
            step_began: Instant::now(),
            desk: Desk::new(self.ports.robot.clone(), limits.arm_lease_ticks),
            policy_run: None,
            question: None,
            checkpoint: None,
            events: Vec::new(),
            usage: Usage::default(),
            event_rate: Rate::default(),
            log_rate: Rate::default(),
        }));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let state = RunState {
            shared: Arc::clone(&shared),
            plugin: plugin.manifest.name.as_str().into(),
            grant: plugin.grant.clone(),
            checkpoints: plugin.manifest.checkpoints.clone(),
            ports: self.ports.clone(),
            limits: Arc::clone(&limits),
            lease,
            mode,
            table,
            memories: Arc::clone(&self.memories),
            space: Space::new(&limits),
            wasi: Inert::new(seed),
            fuel_given: 0,
        };
        let work = Box::pin(work(Arc::clone(plugin), state, entry));
        Run::new(
            Arc::clone(plugin),
            work,
            shared,
            self.ports.clone(),
            limits,
            now,
        )
    }
}

/// The task engine: calls on fibers, everything metered, results the same on every machine.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK);
    config
}

/// The entry points of the plugin's kind.
fn exports(
    component: &Component,
    manifest: &Manifest,
    origin: &str,
) -> Result<(ComponentExportIndex, Option<ComponentExportIndex>), LoadError> {
    let (kind, interface, function) = match manifest.kind {
        Kind::Skill => ("skill", "skill-run", "run"),
        Kind::Recovery => ("recovery", "recovery-run", "recover"),
    };
    let export = format!("sinew:plugin/{interface}@{WIT_VERSION}");
    let instance = component.get_export_index(None, &export);
    let find = |function: &str| {
        instance
            .as_ref()
            .and_then(|instance| component.get_export_index(Some(instance), function))
    };
    let missing = || LoadError::World {
        origin: origin.to_owned(),
        name: manifest.name.clone(),
        kind,
        export: export.clone(),
    };
    let entry = find(function).ok_or_else(missing)?;
    let assess = match manifest.kind {
        Kind::Skill => None,
        Kind::Recovery => Some(find("assess").ok_or_else(missing)?),
    };
    Ok((entry, assess))
}
