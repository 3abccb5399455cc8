//! Loading plugins and starting runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use sinew_units::Tick;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Config, Engine, OperatorCost};

use crate::artifact::read_manifest;
use crate::capabilities::{self, Functions, Tallies};
use crate::compile::{self, MachineCode};
use crate::denials::Ledger;
use crate::desk::Desk;
use crate::errors::{HostError, LoadError, StartError};
use crate::fence::Fence;
use crate::grants::{Grant, Grants};
use crate::guard::{self, Beats, Look};
use crate::limits::{FIBER_STACK, Limits, WASM_STACK};
use crate::linkers::Linkers;
use crate::manifest::{Kind, Manifest, RobotPart};
use crate::memories::{Memories, PluginMemory};
use crate::outcome::{Assessment, Checkpoint, Failure, Lease, RecoveryContext, RunEnd, Usage};
use crate::plugin::{Plugin, exports};
use crate::ports::HostPorts;
use crate::preflight;
use crate::reaper::Reaper;
use crate::replay::Replay;
use crate::run::{Answer, Entry, Header, Job, Run, Trouble, interrupted, recorded_end, work};
use crate::share::StepShare;
use crate::state::{Mode, Rate, RunState, Shared, Space, lock};
use crate::tape::{Player, RunRecord, Tape};
use crate::wasi::{Imports, Inert};

/// Everything plugins share: the engine, the grants and the ports.
pub struct PluginHost {
    engine: Engine,
    linkers: Arc<Linkers>,
    functions: Arc<Functions>,
    limits: Arc<Limits>,
    grants: Grants,
    ports: HostPorts,
    memories: Memories,
    /// One clone a run that is alive.
    alive: Arc<()>,
    beats: Beats,
    reaper: Reaper,
    /// Of its runs, where a clock runs.
    share: Option<Arc<StepShare>>,
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
        let functions = capabilities::link(&mut linker)
            .map_err(|error| HostError::Engine(format!("{error:#}")))?;
        let reaper = Reaper::start()?;
        let beats = guard::start(&engine, reaper.clone())?;
        Ok(Self {
            beats,
            reaper,
            share: None,
            engine,
            linkers: Arc::new(Linkers::new(linker)),
            functions: Arc::new(functions),
            limits: Arc::new(limits),
            grants,
            ports,
            memories: Memories::default(),
            alive: Arc::default(),
        })
    }

    /// A host that lends plugins other ports and starts without memories. Engine, limits and grants are the
    /// same ones, so that what one of the two has loaded runs on the other, too.
    #[must_use]
    pub fn with_ports(&self, ports: HostPorts) -> Self {
        Self {
            beats: self.beats.clone(),
            reaper: self.reaper.clone(),
            share: None,
            engine: self.engine.clone(),
            linkers: Arc::clone(&self.linkers),
            functions: Arc::clone(&self.functions),
            limits: Arc::clone(&self.limits),
            grants: self.grants.clone(),
            ports,
            memories: Memories::default(),
            alive: Arc::default(),
        }
    }

    /// Has all runs that are started from now on share the time of a brain's step: a clock runs, and a robot waits for the brain. Whoever is
    /// not done when it is used up goes on in the next step, and whose turn it was not is only kept alive.
    #[must_use]
    pub fn in_real_time(mut self) -> Self {
        let most = Duration::from_millis(self.limits.share_ms);
        self.share = Some(Arc::new(StepShare::new(most)));
        self
    }

    /// A step of the brain begins.
    pub fn begin_step(&self) {
        if let Some(share) = &self.share {
            share.begin();
        }
    }

    /// Whether runs have used up the time that they have together in this step of the brain. Never under virtual time.
    #[must_use]
    pub fn step_is_used_up(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.is_used_up())
    }

    /// Instances of plugins that are alive: those of runs that have not ended. Waits for the ones that are being taken down.
    #[must_use]
    pub fn running(&self) -> usize {
        self.reaper.settle();
        Arc::strong_count(&self.alive) - 1
    }

    /// When the guard of the host's thread has looked, the last times, oldest first. To measure how long a run goes on after
    /// that.
    #[must_use]
    pub fn guard_beats(&self) -> Vec<Instant> {
        self.beats.all()
    }

    /// What a plugin has stored with `memory`.
    #[must_use]
    pub fn memory(&self, plugin: &str) -> PluginMemory {
        self.memories.of_plugin(plugin)
    }

    /// Replaces what a plugin has stored with `memory`.
    pub fn set_memory(&self, plugin: &str, entries: BTreeMap<String, Vec<u8>>) {
        self.memories.replace(plugin, entries);
    }

    /// What a plugin has kept before anything of it runs here; `of`: the version with that digest, if it is known which. What
    /// that one has is its own from the first run of another one on.
    pub fn begin_memory(&self, plugin: &str, entries: BTreeMap<String, Vec<u8>>, of: Option<&str>) {
        self.memories.begin(plugin, entries, of);
    }

    /// Replaces what a plugin has stored with `memory` because the version with the digest `left` was left: with what `back_to`
    /// had when another one began to run here, or else with `entries`. What still runs of the version that was left has no part
    /// in it any more, and calls of its to `memory` are answered as cancelled.
    pub fn put_back_memory(
        &self,
        plugin: &str,
        entries: BTreeMap<String, Vec<u8>>,
        left: &str,
        back_to: Option<&str>,
    ) {
        self.memories.put_back(plugin, entries, left, back_to);
    }

    /// Checks a component and compiles it. `origin` names it in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, and what to do about it.
    pub fn load(&self, bytes: &[u8], origin: &str) -> Result<Arc<Plugin>, LoadError> {
        let meet = |manifest: &Manifest| self.grants.meet(manifest);
        self.load_with(bytes, origin, meet, None)
    }

    /// As [`Self::load`], with machine code that was made of these bytes before, so that nothing is compiled.
    ///
    /// # Errors
    /// As [`Self::load`]; the code was made for another engine, version or processor.
    pub fn load_compiled(
        &self,
        bytes: &[u8],
        origin: &str,
        code: &MachineCode<'_>,
    ) -> Result<Arc<Plugin>, LoadError> {
        let meet = |manifest: &Manifest| self.grants.meet(manifest);
        self.load_with(bytes, origin, meet, Some(code))
    }

    /// What machine code has to be made for to be of use here: engine, version, settings and processor.
    #[must_use]
    pub fn code_for(&self) -> String {
        compile::code_for(&self.engine)
    }

    /// Checks a component without asking for grants, compiles it, and instantiates it once, which may run what it does at
    /// its start; nothing that it calls leads anywhere if the ports of this host don't. Gives what it says about itself and
    /// its machine code.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(&self, bytes: &[u8], origin: &str) -> Result<(Manifest, Vec<u8>), LoadError> {
        let plugin = self.load_for_replay(bytes, origin, None)?;
        let how = (Mode::Assess, Lease::default());
        let limits = Arc::clone(&plugin.limits);
        let state = self.state(&plugin, limits, how, (0, Tick(0)), Tape::Off);
        compile::instantiate_once(&plugin, state).map_err(|reason| LoadError::Instantiate {
            origin: origin.to_owned(),
            name: plugin.manifest.name.clone(),
            reason,
        })?;
        let code = (plugin.instance.component().serialize()).map_err(|error| {
            LoadError::NotAComponent {
                origin: origin.to_owned(),
                reason: format!("{error:#}"),
            }
        })?;
        Ok((plugin.manifest.clone(), code))
    }

    /// Loads a component to do recorded runs again with, which takes no grant: nothing that it calls happens. With machine code
    /// that was made of these bytes before nothing is compiled.
    ///
    /// # Errors
    /// As [`Self::load`], or as [`Self::load_compiled`].
    pub fn load_for_replay(
        &self,
        bytes: &[u8],
        origin: &str,
        code: Option<&MachineCode<'_>>,
    ) -> Result<Arc<Plugin>, LoadError> {
        self.load_with(bytes, origin, |_| Ok(Grant::default()), code)
    }

    fn load_with(
        &self,
        bytes: &[u8],
        origin: &str,
        meet: impl FnOnce(&Manifest) -> Result<Grant, String>,
        code: Option<&MachineCode<'_>>,
    ) -> Result<Arc<Plugin>, LoadError> {
        if bytes.len() > self.limits.artifact_bytes {
            return Err(LoadError::TooLarge {
                origin: origin.to_owned(),
                size: bytes.len(),
                limit: self.limits.artifact_bytes,
            });
        }
        let manifest = read_manifest(bytes, origin)?;
        let (params, result) = (manifest.schemas()).map_err(|source| LoadError::Manifest {
            origin: origin.to_owned(),
            source,
        })?;
        let grant = match meet(&manifest) {
            Ok(grant) => grant,
            Err(text) => {
                return Err(LoadError::NotGranted {
                    name: manifest.name,
                    text,
                });
            }
        };
        let digest = (code.and_then(|code| code.made_of.clone()))
            .unwrap_or_else(|| hex(&Sha256::digest(bytes)));
        debug_assert_eq!(digest, hex(&Sha256::digest(bytes)), "of other bytes");
        let component = match code {
            Some(code) => code.component(&self.engine, &self.reaper),
            None => compile::compiled(&self.engine, bytes),
        };
        let component = component.map_err(|error| LoadError::NotAComponent {
            origin: origin.to_owned(),
            reason: format!("{error:#}"),
        })?;
        preflight::check(&component, &self.engine, &self.functions, &manifest, origin)?;
        let (entry, assess) = exports(&component, &manifest, origin)?;
        let unlinkable = |error: wasmtime::Error| LoadError::Import {
            origin: origin.to_owned(),
            name: manifest.name.clone(),
            reason: format!("{error:#}"),
        };
        let imports = Imports::of(&component, &self.engine);
        let linker = self.linkers.of(&imports).map_err(unlinkable)?;
        let instance = linker.instantiate_pre(&component).map_err(unlinkable)?;
        Ok(Arc::new(Plugin {
            manifest,
            digest: digest.into(),
            limits: Arc::new(grant.narrow(&self.limits)),
            grant: Arc::new(grant),
            wasi: imports.names(),
            params,
            result,
            engine: self.engine.clone(),
            instance,
            entry,
            assess,
        }))
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
        let entry = Entry::Skill(Job {
            params: params.to_string(),
            resume: resume.clone().map(Into::into),
        });
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
        let entry = Entry::Recover(Trouble {
            failure: failure.into(),
            context: context.into(),
        });
        Ok(self.run(plugin, entry, Mode::Act, lease, seed, now))
    }

    /// Asks a recovery what it would do. It gets one step's budget, moves nothing and waits for nothing.
    #[must_use]
    pub fn assess(
        &self,
        plugin: &Arc<Plugin>,
        failure: &Failure,
        context: &RecoveryContext,
        seed: u64,
        now: Tick,
    ) -> Assessment {
        if let Err(error) = self.expect(plugin, Kind::Recovery, "recovery") {
            return Assessment::without_run(Err(RunEnd::Trapped {
                message: error.to_string(),
            }));
        }
        let entry = Entry::Assess(Trouble {
            failure: failure.into(),
            context: context.into(),
        });
        let mut run = self.run(plugin, entry, Mode::Assess, Lease::default(), seed, now);
        let answer = match run.step(now) {
            Some(Answer::Proposal(proposal)) => Ok(proposal),
            Some(Answer::End(end)) => Err(end),
            None => {
                run.kill();
                Err(RunEnd::OutOfBudget {
                    what: "computing: `assess` has one step's fuel".to_owned(),
                    nondeterministic: false,
                })
            }
        };
        Assessment {
            answer,
            events: run.take_events(),
            denials: run.take_denials(),
            record: run.take_record(),
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
        let tape = Tape::recording(plugin.limits.record_bytes);
        let limits = Arc::new(Limits {
            step_cpu_ms: self.step_cpu_ms(&plugin.limits, mode),
            ..Limits::clone(&plugin.limits)
        });
        let state = self.state(plugin, limits, (mode, lease), (seed, now), tape);
        let shared = Arc::clone(&state.shared);
        if mode == Mode::Act {
            lock(&shared).share.clone_from(&self.share);
        }
        let header = Header {
            entry: entry.clone(),
            seed,
        };
        let work = work(Arc::clone(plugin), state, entry);
        Run::new(
            Arc::clone(plugin),
            (work, self.reaper.clone()),
            shared,
            self.ports.clone(),
            Arc::clone(&plugin.limits),
            now,
            header,
        )
    }

    /// Processor time of one poll of a run.
    fn step_cpu_ms(&self, limits: &Limits, mode: Mode) -> u64 {
        let most = match self.share {
            // A tick is a millisecond. Others' motions end unless the brain comes back and renews them.
            Some(_) => limits.step_cpu_ms.min(limits.arm_lease_ticks / 2),
            None => limits.step_cpu_ms,
        };
        match mode {
            // It can't go on in the next step, whatever others have used of this one.
            Mode::Assess => most / ASSESSMENT_PART,
            Mode::Act | Mode::Replay => most,
        }
    }

    /// Does a recorded run again, with the plugin that it was recorded with or another one. Nothing moves: every call gets the
    /// answer that was recorded, up to the first one that is another call.
    #[must_use]
    pub fn replay(&self, plugin: &Arc<Plugin>, record: &RunRecord) -> Replay {
        if let Entry::Skill(job) = &record.entry
            && let Err(refused) = plugin.check_params(&job.params)
        {
            return Replay::not_started(refused.to_string());
        }
        let limits = Arc::new(record.budgets.to_limits(&self.limits));
        let functions = Arc::clone(&self.functions);
        let describes = Box::new(move |function: &str| {
            let (capability, name) = function.split_once('.')?;
            functions.get(capability)?.get(name).copied()
        });
        let tape = Tape::Playing(Player::of(record.calls.clone(), describes));
        let how = (Mode::Replay, Lease::ALL);
        let state = self.state(
            plugin,
            limits,
            how,
            (record.seed, Tick(record.started)),
            tape,
        );
        let shared = Arc::clone(&state.shared);
        let mut work = work(Arc::clone(plugin), state, record.entry.clone());
        let mut context = Context::from_waker(Waker::noop());
        let answer = loop {
            lock(&shared).step_began = Instant::now();
            if let Poll::Ready((answer, _)) = work.as_mut().poll(&mut context) {
                break answer;
            }
            // Else only slices of fuel make it come back.
            if lock(&shared).interrupted {
                break Answer::End(interrupted(&self.limits));
            }
        };
        drop(work);
        let end = recorded_end(&answer, false);
        match &lock(&shared).tape {
            Tape::Playing(player) => Replay::of(record, player, &end),
            Tape::Off | Tape::Recording { .. } => unreachable!("nobody took the tape out"),
        }
    }

    fn state(
        &self,
        plugin: &Plugin,
        limits: Arc<Limits>,
        (mode, lease): (Mode, Lease),
        (seed, now): (u64, Tick),
        tape: Tape,
    ) -> RunState {
        let robot = &self.ports.robot;
        let shared = Arc::new(Mutex::new(Shared {
            now,
            tape,
            status: None,
            cancelled: false,
            hand_over: Vec::new(),
            handed_over: false,
            suspended: false,
            interrupted: false,
            calls_in_step: 0,
            fuel_in_step: 0,
            step_began: Instant::now(),
            look: Look::default(),
            share: None,
            desk: Desk::new(robot.clone(), limits.arm_lease_ticks),
            fence: Fence::new(plugin.grant.zones(), robot.tool_braking_m_s2),
            policy_run: None,
            at_border: None,
            question: None,
            checkpoint: None,
            events: Vec::new(),
            denials: Ledger::default(),
            usage: Usage::default(),
            event_rate: Rate::default(),
            denial_rate: Rate::default(),
            goal_rate: Rate::default(),
            log_rate: Rate::default(),
        }));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let name: Arc<str> = plugin.manifest.name.as_str().into();
        RunState {
            shared,
            plugin: Arc::clone(&name),
            granted: plugin.grant.capabilities(),
            grant: Arc::clone(&plugin.grant),
            checkpoints: plugin.manifest.checkpoints.clone(),
            ports: self.ports.clone(),
            space: Space::new(&limits),
            limits,
            lease,
            mode,
            _alive: Arc::clone(&self.alive),
            table,
            memory: self.memories.of_run(name, Arc::clone(&plugin.digest)),
            tallies: Tallies::default(),
            wasi: Inert::new(seed),
            fuel_given: 0,
        }
    }
}

/// An assessment has this part of a step's processor time.
const ASSESSMENT_PART: u64 = 2;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The task engine: calls on fibers, everything metered, results the same on every machine.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .consume_fuel(true)
        .operator_cost(OperatorCost {
            // Calls of the engine, as long as hundreds of other instructions even where nothing grows.
            MemoryGrow: u8::MAX,
            TableGrow: u8::MAX,
            ..OperatorCost::default()
        })
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        // What traps are told by needs none; debuggers would, and it would be a fifth of what a component takes in memory.
        .native_unwind_info(false)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK);
    config
}
