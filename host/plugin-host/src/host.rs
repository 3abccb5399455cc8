//! Loading plugins and starting runs.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use sinew_units::Tick;
use wasmtime::component::{Component, Linker, ResourceTable, types::ComponentItem};
use wasmtime::{Config, Engine};

use crate::WIT_VERSION;
use crate::artifact::manifest_section;
use crate::capabilities;
use crate::desk::Desk;
use crate::errors::{HostError, LoadError, StartError};
use crate::fence::Fence;
use crate::grants::Grants;
use crate::guard;
use crate::limits::{FIBER_STACK, Limits, WASM_STACK};
use crate::manifest::{CAPABILITIES, Kind, Manifest, ManifestError, RobotPart};
use crate::outcome::{Checkpoint, Failure, Lease, Proposal, RecoveryContext, RunEnd, Usage};
use crate::plugin::{Plugin, exports};
use crate::ports::HostPorts;
use crate::run::{Answer, Entry, Run, work};
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
        let grant = match self.grants.meet(&manifest) {
            Ok(grant) => grant,
            Err(text) => {
                return Err(LoadError::NotGranted {
                    name: manifest.name,
                    text,
                });
            }
        };
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
        Ok(Arc::new(Plugin {
            manifest,
            limits: Arc::new(grant.narrow(&self.limits)),
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
        let params = plugin.check_params(params_json)?;
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
        let limits = Arc::clone(&plugin.limits);
        let robot = &self.ports.robot;
        let fence = Fence::new(plugin.grant.zones(), robot.tool_braking_m_s2);
        let shared = Arc::new(Mutex::new(Shared {
            now,
            status: None,
            cancelled: false,
            suspended: false,
            calls_in_step: 0,
            fuel_in_step: 0,
            step_began: Instant::now(),
            desk: Desk::new(robot.clone(), limits.arm_lease_ticks),
            fence,
            policy_run: None,
            fenced_off: None,
            question: None,
            checkpoint: None,
            events: Vec::new(),
            usage: Usage::default(),
            event_rate: Rate::default(),
            denial_rate: Rate::default(),
            goal_rate: Rate::default(),
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
