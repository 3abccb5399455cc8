//! One host: a reflex and a skill brain around one robot, and the clock that drives them.
//!
//! In lock step both take turns on the calling thread: the loop ticks, the brain steps. In real time the loop
//! has a thread of its own, paced by the clock, and the brain steps for the newest status. It is the same
//! loop and the same brain.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytemuck::Zeroable;
use sinew_control::pace::Paced;
use sinew_control::{ActivationDesk, ControlLoop};
use sinew_description::RobotDescription;
use sinew_hardware::{Camera, HardwareComponent};
use sinew_messages::{
    ActivationRefusal, LimitKind, LoopStatus, Mailbox, ResetAnswer, SafetyMode, StopState,
};
use sinew_perception::{Perception, PerceptionConfig};
use sinew_plugin_host::HostPorts;
use sinew_policy::{GoalIds, Pacing, PolicyRunner, RunnerConfig};
use sinew_recorder::{Level, Recorder, RecorderConfig};
use sinew_safety::{Approval, ApprovedLimits, Gate, SafetyLimits};
use sinew_sim::Cell;
use sinew_tasks::{EngineConfig, RecoveryBudget, TaskEngine, TaskEvent};
use sinew_units::{TICK_S, Tick, Ticks};
use sinew_world::Place;

use crate::audit::{AskedActivation, AuditTarget, SafetyLog, trouble, zone_names};
use crate::brain::{Brain, BrainTime};
use crate::burden::{Burden, Weights};
use crate::fingerprint::Fingerprint;
use crate::kit::{self, Kit};
use crate::policies::Policies;
use crate::safety_change;
use crate::safety_fit;
use crate::stopwatch::{HardwareTime, Stopwatch, Timed};
use crate::trouble::{input, refused};

/// How fast the clock runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// Lock step, as fast as the machine allows.
    #[default]
    Max,
    /// The real clock; the loop has a thread of its own.
    Real,
    /// Lock step, held back to this multiple of real time.
    Factor(f64),
}

/// Records that the ring between loop and recorder holds: the brain may be this late before evidence is lost.
const RING_SECONDS: u64 = 4;
/// Ticks in which the loop must answer a reset: two for the mailbox, some for drives to power up.
const RESET_TICKS: u64 = 500;
/// How long the brain sleeps when there is no new status, in real time.
const BRAIN_NAP: Duration = Duration::from_micros(200);

/// A running host.
pub struct Host {
    reflex: Reflex,
    /// The skill brain.
    pub(crate) brain: Brain,
    activations: ActivationDesk,
    /// The limits in force.
    safety: SafetyLimits,
    /// Limits that the reflex was asked to activate and has not answered yet.
    asked: Option<SafetyLimits>,
    /// What it answered last, until somebody looks.
    answered: Option<Result<(), ActivationRefusal>>,
    robot: RobotDescription,
    hardware_time: HardwareTime,
    reflex_time: Stopwatch,
}

enum Reflex {
    LockStep {
        control: Box<ControlLoop>,
        /// Wall time of one tick, if it is held back.
        pace: Option<Duration>,
        started: Instant,
        ticks: u32,
    },
    Threaded(Paced),
}

/// What a host is put around.
pub struct Surroundings {
    /// The robot.
    pub hardware: Box<dyn HardwareComponent>,
    /// The cameras.
    pub cameras: Vec<Box<dyn Camera>>,
    /// Fixed places of the cell.
    pub places: Vec<Place>,
    /// What the parts in it weigh.
    pub weights: Weights,
}

/// Choices for one host.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The clock.
    pub speed: Speed,
    /// Where incidents go.
    pub incidents: std::path::PathBuf,
    /// Plugin runs are kept one by one, not only for the next incident.
    pub keep_runs: bool,
    /// Where stops, resets, modes, safety configurations and refused calls are written down. Without one a host keeps nothing of
    /// that: for measurements, not for a robot.
    pub audit: Option<AuditTarget>,
}

impl Surroundings {
    /// Robot, cameras and places of a simulated cell.
    #[must_use]
    pub fn of(cell: &Cell) -> Self {
        Self {
            hardware: Box::new(cell.robot()),
            cameras: cell
                .cameras()
                .into_iter()
                .map(|camera| Box::new(camera) as Box<dyn Camera>)
                .collect(),
            places: cell.places().into_iter().map(kit::place).collect(),
            weights: Weights::new(cell.part_masses()),
        }
    }
}

impl Host {
    /// Puts a host together. It has not ticked yet, and boots stopped.
    ///
    /// # Errors
    /// If a part of it can't be made from the kit; [`Refused`](crate::Refused) if the kit's safety configuration is not
    /// the one that is active by the audit log. Nothing is energised then.
    pub fn new(kit: &Kit, around: Surroundings, options: &HostOptions) -> anyhow::Result<Self> {
        let config = &kit.config;
        if let Some(audit) = &options.audit {
            safety_change::check_active(config, &audit.writer)?;
        }
        let chain = config.robot.chain();
        let mailbox = Arc::new(Mailbox::default());
        let (world_writer, world) = sinew_world::world(around.places.clone());
        let goal_ids = GoalIds::default();
        let pacing = match options.speed {
            Speed::Real => Pacing::RealTime,
            Speed::Max | Speed::Factor(_) => Pacing::Virtual,
        };

        let runner = PolicyRunner::new(
            kit.policies.clone(),
            Arc::clone(&kit.backend),
            world.clone(),
            Arc::clone(&mailbox),
            goal_ids.clone(),
            RunnerConfig {
                pacing,
                latency: Ticks::from_ms(config.settings.policy.latency_ms),
            },
        )
        .map_err(|error| input(error.to_string()))?;
        let names = kit
            .policies
            .iter()
            .map(|policy| policy.manifest().name.clone())
            .collect();
        let policies = Arc::new(Mutex::new(Policies::new(runner, names)));

        let ids = goal_ids.clone();
        let ports = HostPorts {
            world: world.clone(),
            robot: kit::robot_port(config, &mailbox, Arc::new(move || ids.next())),
            policies: policies.clone(),
            operator: None,
        };
        let plugins = kit.plugins.with_ports(ports);
        let tasks = TaskEngine::new(
            match pacing {
                Pacing::RealTime => plugins.in_real_time(),
                Pacing::Virtual => plugins,
            },
            world.clone(),
            EngineConfig {
                classes: kit.detector.classes().map(str::to_owned).collect(),
                colors: kit.detector.colors().map(str::to_owned).collect(),
                named_poses: kit::named_poses(config),
                budget: RecoveryBudget {
                    attempts: config.settings.tasks.recovery_attempts,
                    ..RecoveryBudget::default()
                },
                ..EngineConfig::default()
            },
        );

        let perception = Perception::new(
            &kit.detector,
            around.cameras,
            world_writer,
            PerceptionConfig {
                rate_hz: config.settings.perception.rate_hz,
                latency: Ticks::from_ms(config.settings.perception.latency_ms),
                wait: pacing == Pacing::Virtual,
                ..PerceptionConfig::default()
            },
        )
        .map_err(|error| input(error.to_string()))?;

        let tool_in_hand = chain.tool_in_hand().translation.vector;
        let burden = Burden::new(Arc::clone(&mailbox), around.weights, tool_in_hand.into());
        let link_chain = chain.clone();
        let recorder = Recorder::new(
            RecorderConfig {
                seconds: config.settings.recorder.seconds,
                folder: options.incidents.clone(),
                joint_names: core::array::from_fn(|i| config.robot.joints[i].name.clone()),
                ..RecorderConfig::default()
            },
            around.places,
            Box::new(move |joints| {
                let forward = link_chain.forward(joints);
                let links = forward.links.iter().enumerate();
                links
                    .map(|(i, link)| {
                        let pose = sinew_kinematics::isometry_to_pose(link);
                        (format!("link{}", i + 1), pose)
                    })
                    .chain([(
                        "tool".to_owned(),
                        sinew_kinematics::isometry_to_pose(&forward.tool),
                    )])
                    .collect()
            }),
        )
        .map_err(|error| input(error.to_string()))?;

        let (producer, ring) =
            sinew_flight_ring::ring(sinew_flight_ring::capacity_for_seconds(RING_SECONDS));
        let hardware_time = HardwareTime::default();
        let (mut control, activations) = ControlLoop::new(
            Box::new(Timed::new(around.hardware, hardware_time.clone())),
            Gate::new(config.safety.clone(), chain.clone()),
            chain,
            config.motion.clone(),
            Arc::clone(&mailbox),
            producer,
        )
        .with_activations();
        let mut safety_log = None;
        if let Some(audit) = &options.audit {
            let (events, trail) = sinew_flight_ring::trail();
            control = control.with_trail(events);
            let log = SafetyLog::new(
                audit.clone(),
                trail,
                core::array::from_fn(|i| config.robot.joints[i].name.clone()),
                config.safety.config(),
                options.speed == Speed::Real,
            );
            log.boot(&config.robot, config.safety.hash());
            safety_log = Some(log);
        }
        let brain = Brain {
            mailbox,
            perception,
            burden,
            policies,
            tasks,
            recorder,
            ring,
            safety_log,
            world,
            heartbeat_every_ticks: config.settings.brain.heartbeat_every_ticks,
            status: LoopStatus::zeroed(),
            status_seen: 0,
            fingerprint: Fingerprint::default(),
            verdicts: Default::default(),
            encounters: Default::default(),
            events: Vec::new(),
            runs: Vec::new(),
            keep_runs: options.keep_runs,
            faults: Vec::new(),
            time: BrainTime::default(),
            beaten: None,
        };
        Ok(Self {
            reflex: Reflex::new(control, options.speed)?,
            brain,
            activations,
            safety: config.safety.clone(),
            asked: None,
            answered: None,
            robot: config.robot.clone(),
            hardware_time,
            reflex_time: Stopwatch::default(),
        })
    }

    /// One step of the brain; in lock step one tick of the loop before it.
    ///
    /// # Errors
    /// If the thread of the control loop has died: no tick will come any more. The drives' watchdog stops the
    /// robot then.
    pub fn step(&mut self) -> anyhow::Result<()> {
        match &mut self.reflex {
            Reflex::LockStep {
                control,
                pace,
                started,
                ticks,
            } => {
                self.reflex_time.time(|| {
                    control.tick();
                });
                self.brain.step();
                if let Some(pace) = pace {
                    *ticks += 1;
                    let due = *started + *pace * *ticks;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }
            Reflex::Threaded(paced) => loop {
                let runs = paced.is_running();
                if self.brain.step() {
                    break;
                }
                anyhow::ensure!(runs, "the thread of the control loop has died");
                std::thread::sleep(BRAIN_NAP);
            },
        }
        self.take_activation();
        Ok(())
    }

    /// Takes the answer to an activation, whenever it comes.
    fn take_activation(&mut self) {
        if self.asked.is_none() {
            return;
        }
        let Some(answer) = self.activations.answer() else {
            return;
        };
        let asked = self.asked.take();
        if let (Ok(()), Some(limits)) = (&answer, asked) {
            self.safety = limits;
        }
        self.answered = Some(answer);
    }

    /// Steps for a span of simulated time.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn run_for(&mut self, span: Ticks) -> anyhow::Result<()> {
        let end = self.now() + span;
        while self.now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// The tick of the newest status.
    #[must_use]
    pub fn now(&self) -> Tick {
        Tick(self.brain.status.tick)
    }

    /// The newest status of the loop.
    #[must_use]
    pub fn status(&self) -> &LoopStatus {
        &self.brain.status
    }

    /// The task engine.
    pub fn tasks(&mut self) -> &mut TaskEngine<sinew_tasks::Installed> {
        &mut self.brain.tasks
    }

    /// What the robot knows of its world.
    #[must_use]
    pub fn world(&self) -> &sinew_world::WorldReader {
        &self.brain.world
    }

    /// The mailbox between brain and reflex.
    #[must_use]
    pub fn mailbox(&self) -> &Arc<Mailbox> {
        &self.brain.mailbox
    }

    /// The safety limits in force.
    #[must_use]
    pub fn safety(&self) -> &SafetyLimits {
        &self.safety
    }

    /// Asks for a reset as `actor`, and waits for the answer. A reset causes no motion. Who asks is in the audit log
    /// before the reflex hears of it.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) if the loop doesn't grant it, with the reason, or if the audit log can't be written;
    /// as [`Self::step`].
    pub fn reset(&mut self, actor: &str) -> anyhow::Result<()> {
        self.step()?;
        self.brain
            .note(Level::Info, "reset", &format!("reset by {actor}"));
        let now = self.now().0;
        if let Some(log) = &mut self.brain.safety_log {
            log.ask_reset(now, actor)?;
        }
        let request = self.brain.mailbox.requests.reset();
        if let Some(log) = &mut self.brain.safety_log {
            log.name_reset(request, actor);
        }
        let deadline = self.now() + Ticks(RESET_TICKS);
        while self.now() < deadline {
            self.step()?;
            let status = self.status();
            if status.reset_answered >= request && status.stop_state == StopState::Clear as u32 {
                return Ok(());
            }
        }
        let status = self.status();
        let reason = LimitKind::decode(status.reason).map_or("unknown", LimitKind::name);
        let answer = match ResetAnswer::decode(status.reset_answer) {
            Some(ResetAnswer::AuditBehind) => "; the audit log is behind",
            Some(ResetAnswer::Moving) => "; the robot was moving",
            _ => "",
        };
        Err(refused(format!(
            "the safety layer did not grant the reset by {actor}: a stop stays latched ({reason}{answer})"
        )))
    }

    /// Asks for a mode as `actor`. The loop takes it over in one of the next ticks; the status shows it.
    pub fn set_mode(&mut self, mode: SafetyMode, actor: &str) {
        if let Some(log) = &mut self.brain.safety_log {
            log.name_mode(mode, actor);
        }
        self.brain.mailbox.requests.mode(mode);
    }

    /// Makes other safety limits, made for this robot, the active ones, as `actor`, and waits for the answer: while a stop is latched and
    /// nothing moves, and with an approval of exactly these limits in the audit log. The approval is used up by it,
    /// and the robot stays stopped until the next reset, which checks where it stands against the new limits.
    ///
    /// Motions go on to be planned for the limits that the host was made with: looser ones are not made use of, tighter
    /// ones are kept by the gate.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) with the reason and what to do, [`InputError`](crate::InputError) for limits that this
    /// host can't keep; nothing has changed then. As [`Self::step`].
    pub fn activate_safety(&mut self, limits: SafetyLimits, actor: &str) -> anyhow::Result<()> {
        safety_fit::fits_heartbeat(&limits, self.brain.heartbeat_every_ticks)?;
        self.step()?;
        self.answered = None;
        let now = self.now().0;
        let hashes = [limits.hash(), self.safety.hash()];
        let Some(log) = &mut self.brain.safety_log else {
            return Err(refused(
                "a host without an audit log keeps the safety configuration that it has",
            ));
        };
        if self.asked.is_some() {
            return Err(refused("another activation is under way"));
        }
        let asked = AskedActivation {
            actor: actor.to_owned(),
            hashes,
            changes: safety_change::changes(&self.safety, &limits, &self.robot),
            zones: zone_names(limits.config()),
        };
        let approved = (log.ask_activation(now, asked)).map_err(|error| trouble(&error))?;
        if !approved {
            let path = log.writer().path().to_owned();
            return Err(safety_change::not_approved(hashes, None, &path));
        }
        // Somebody approved it: that was looked up, and nobody else can use it now.
        let approval = Approval::naming(limits.hash());
        let answer = match ApprovedLimits::new(limits.clone(), approval, &self.robot.chain()) {
            Err(refusal) => {
                log.refuse_activation(now, refusal.name());
                Err(refusal)
            }
            Ok(approved) => {
                if self.activations.ask(Box::new(approved)).is_err() {
                    log.refuse_activation(now, "under-way");
                    return Err(refused("another activation is under way"));
                }
                self.asked = Some(limits);
                self.wait_for_activation()?
            }
        };
        if let Some(log) = &mut self.brain.safety_log {
            log.settle().map_err(|error| trouble(&error))?;
        }
        match answer {
            Ok(()) => Ok(()),
            Err(refusal) => Err(refused(format!(
                "the safety layer did not activate {} for {actor}: {}",
                hashes[0],
                match refusal {
                    ActivationRefusal::NotStopped => "no stop is latched: stop the robot first",
                    ActivationRefusal::Moving => "the robot moves: wait until it stands",
                    ActivationRefusal::AuditBehind => "the audit log is behind: ask again",
                    ActivationRefusal::OtherHash => "the approval names another configuration",
                    ActivationRefusal::Spent => "the approval was used before",
                }
            ))),
        }
    }

    fn wait_for_activation(&mut self) -> anyhow::Result<Result<(), ActivationRefusal>> {
        let deadline = self.now() + Ticks(RESET_TICKS);
        loop {
            self.step()?;
            if let Some(answer) = self.answered.take() {
                return Ok(answer);
            }
            anyhow::ensure!(
                self.now() < deadline,
                "the control loop did not answer an activation yet: it reads no fresh sensor frame"
            );
        }
    }

    /// What the task engine has said since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<TaskEvent> {
        std::mem::take(&mut self.brain.events)
    }

    /// Seconds of wall time by stage.
    pub(crate) fn stages(&self) -> BTreeMap<&'static str, f64> {
        let time = &self.brain.time;
        let physics = self.hardware_time.total();
        // In real time the loop is timed by nobody: it has its own thread.
        let control = self.reflex_time.total().saturating_sub(physics);
        [
            ("physics", physics),
            ("control and gate", control),
            ("perception", time.perception.total()),
            ("policy", time.policy.total()),
            ("tasks and plugins", time.tasks.total()),
            ("recorder", time.recorder.total()),
        ]
        .map(|(stage, time)| (stage, time.as_secs_f64()))
        .into()
    }

    /// Deadlines that the loop missed in real time; 0 in lock step, where there are none.
    #[must_use]
    pub fn deadline_misses(&self) -> u64 {
        match &self.reflex {
            Reflex::LockStep { .. } => 0,
            Reflex::Threaded(paced) => paced.counts().missed(),
        }
    }

    /// Fingerprint of everything so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.brain.fingerprint
    }
}

impl Reflex {
    fn new(control: ControlLoop, speed: Speed) -> anyhow::Result<Self> {
        let lock_step = |control, pace| Self::LockStep {
            control: Box::new(control),
            pace,
            started: Instant::now(),
            ticks: 0,
        };
        match speed {
            Speed::Max => Ok(lock_step(control, None)),
            Speed::Factor(factor) => Ok(lock_step(
                control,
                Some(Duration::from_secs_f64(TICK_S / factor)),
            )),
            Speed::Real => Ok(Self::Threaded(
                Paced::start(control, |_| {}).context("starting the control thread")?,
            )),
        }
    }
}
