//! The surroundings of a plugin: a fake control loop, a fake policy runner, a world with one object.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bytemuck::Zeroable as _;
use sinew_messages::{
    ArmGoal, ArmGoalKind, GripperGoal, LoopStatus, Mailbox, MotionState, Pose, StopState,
};
use sinew_plugin_host::{
    Checkpoint, Grants, HostPorts, Lease, Limits, OperatorPort, Plugin, PluginHost, PolicyEnd,
    PolicyOrder, PolicyPort, PolicyRefusal, RobotPort, Run, RunEnd, RunEvent,
};
use sinew_units::Tick;
use sinew_world::{CameraHealth, ObjectTrack, Place, WorldSnapshot, WorldWriter};

pub(crate) const GRANTS: &str = r#"
[plugins."test/misbehave"]
interfaces = ["world", "motion", "gripper", "policy", "memory", "operator", "events", "log", "clock", "lifecycle"]
policies = ["grasp"]
force_n = 30.0
speed = 0.5

[plugins."test/probe"]
interfaces = ["motion", "clock", "log"]
"#;

/// Ticks that the fake loop takes for a motion.
const MOTION_TICKS: u64 = 40;

/// Answers goals: below the table nothing is reachable, guarded moves meet something, everything else is done.
pub(crate) struct FakeLoop {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) status: LoopStatus,
    pub(crate) last_arm: Option<ArmGoal>,
    pub(crate) arm_goals: Vec<ArmGoalKind>,
    ends_at: u64,
}

impl FakeLoop {
    fn new(mailbox: Arc<Mailbox>) -> Self {
        let mut status = LoopStatus::zeroed();
        status.tool_pose = Pose {
            position_m: [0.4, 0.0, 0.3],
            orientation_xyzw: [1.0, 0.0, 0.0, 0.0],
        };
        status.frame.gripper_width_m = 0.08;
        Self {
            mailbox,
            status,
            last_arm: None,
            arm_goals: Vec::new(),
            ends_at: 0,
        }
    }

    fn tick(&mut self) {
        self.status.tick += 1;
        let tick = self.status.tick;
        if let Some(goal) = self.mailbox.arm.latest() {
            if goal.id > self.status.arm_goal_id {
                self.status.arm_goal_id = goal.id;
                let kind = ArmGoalKind::decode(goal.kind).unwrap();
                self.arm_goals.push(kind);
                self.ends_at = tick + MOTION_TICKS;
                self.status.arm_state = if goal.pose.position_m[2] < 0.0 {
                    MotionState::Rejected
                } else if kind == ArmGoalKind::Hold {
                    MotionState::Done
                } else {
                    MotionState::Active
                } as u32;
            }
            if self.status.arm_state == MotionState::Active as u32 {
                if goal.lease_end_tick < tick {
                    self.status.arm_state = MotionState::Held as u32;
                } else if tick >= self.ends_at {
                    let contact = goal.kind == ArmGoalKind::Guarded as u32;
                    self.status.arm_state = if contact {
                        MotionState::Contact
                    } else {
                        MotionState::Done
                    } as u32;
                }
            }
            self.last_arm = Some(goal);
        }
        if let Some(GripperGoal {
            id,
            width_m,
            force_n,
            ..
        }) = self.mailbox.gripper.latest()
            && id > self.status.gripper_goal_id
        {
            // There is a part of 30 mm between the fingers.
            let met = width_m < 0.03;
            self.status.gripper_goal_id = id;
            self.status.gripper_state = MotionState::Done as u32;
            self.status.frame.gripper_width_m = width_m.max(0.03);
            self.status.frame.gripper_force_n = if met { force_n } else { 0.0 };
        }
        if self.status.stop_state == StopState::Latched as u32
            && self.status.arm_state == MotionState::Active as u32
        {
            self.status.arm_state = MotionState::Stopped as u32;
        }
        self.mailbox.status.write(&self.status);
    }
}

/// A policy that takes 100 ticks for nothing.
#[derive(Default)]
pub(crate) struct FakePolicy {
    now: u64,
    started: Option<(u64, u64)>,
    runs: u64,
    pub(crate) cancelled: Vec<u64>,
    /// Speed, acceleration and force that each run was given.
    pub(crate) within: Vec<(f64, f64, Option<f64>)>,
}

impl PolicyPort for FakePolicy {
    fn available(&self) -> Vec<String> {
        vec!["grasp".to_owned(), "juggle".to_owned()]
    }

    fn start(&mut self, order: &PolicyOrder<'_>, now: Tick) -> Result<u64, PolicyRefusal> {
        let PolicyOrder {
            policy, object_id, ..
        } = *order;
        if object_id != 7 {
            return Err(PolicyRefusal::Wrong(format!("no object {object_id}")));
        }
        if policy != "grasp" {
            return Err(PolicyRefusal::NotNow(format!("policy-stall: {policy}")));
        }
        self.within
            .push((order.speed, order.acceleration, order.force_n));
        self.runs += 1;
        self.started = Some((self.runs, now.0));
        Ok(self.runs)
    }

    fn outcome(&mut self, run: u64) -> Option<PolicyEnd> {
        let (number, started) = self.started?;
        (number == run && self.now >= started + 100).then(|| PolicyEnd {
            state: "done".to_owned(),
            label: String::new(),
            confidence: 0.9,
            ticks: 100,
            message: "lifted".to_owned(),
        })
    }

    fn cancel(&mut self, run: u64, _now: Tick) {
        self.cancelled.push(run);
    }
}

/// A plugin host in fake surroundings.
pub(crate) struct Rig {
    pub(crate) host: PluginHost,
    pub(crate) robot: FakeLoop,
    pub(crate) world: WorldWriter,
    pub(crate) policy: Arc<Mutex<FakePolicy>>,
    pub(crate) events: Vec<RunEvent>,
    /// New snapshots arrive.
    pub(crate) sees: bool,
}

struct Loaded {
    host: PluginHost,
    misbehave: Arc<Plugin>,
    probe: Arc<Plugin>,
}

/// The plugins are compiled once for all tests.
fn loaded() -> &'static Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| {
        let host = host(Limits::default(), GRANTS);
        let load = |bytes, name| host.load(bytes, name).unwrap();
        let misbehave = load(sinew_skill_artifacts::MISBEHAVE, "misbehave.wasm");
        let probe = load(sinew_skill_artifacts::PROBE, "probe.wasm");
        Loaded {
            host,
            misbehave,
            probe,
        }
    })
}

/// A host of its own, for tests of limits and grants.
pub(crate) fn host(limits: Limits, grants: &str) -> PluginHost {
    let grants = Grants::from_toml_str(grants, "grants.toml").unwrap();
    let (_, reader) = sinew_world::world(Vec::new());
    let ports = ports(Arc::default(), reader, Arc::default());
    PluginHost::new(limits, grants, ports).unwrap()
}

fn ports(
    mailbox: Arc<Mailbox>,
    world: sinew_world::WorldReader,
    policies: Arc<Mutex<FakePolicy>>,
) -> HostPorts {
    let ids = AtomicU64::new(1);
    HostPorts {
        world,
        robot: RobotPort {
            mailbox,
            goal_ids: Arc::new(move || ids.fetch_add(1, Ordering::Relaxed)),
            named_poses: Arc::new(BTreeMap::from([
                ("home".to_owned(), [0.0; 7]),
                ("look-bin".to_owned(), [0.1; 7]),
            ])),
            // The arm is a rod that the first joint turns about the base.
            tool_at: Arc::new(|joints| Pose {
                position_m: [0.5 * joints[0].cos(), 0.5 * joints[0].sin(), 0.3],
                ..Pose::IDENTITY
            }),
            tool_braking_m_s2: 2.0,
            gripper_closed_m: 0.0,
            gripper_open_m: 0.08,
            gripper_force_max_n: 60.0,
            gripper_speed_m_s: 0.1,
        },
        policies,
        operator: None,
    }
}

pub(crate) fn misbehave() -> &'static Arc<Plugin> {
    &loaded().misbehave
}

pub(crate) fn probe() -> &'static Arc<Plugin> {
    &loaded().probe
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::around(&loaded().host)
    }

    /// With somebody to ask.
    pub(crate) fn asking(person: impl OperatorPort + 'static) -> Self {
        Self::build(&loaded().host, Some(Arc::new(Mutex::new(person))))
    }

    /// Fresh surroundings for a host that has loaded its plugins.
    pub(crate) fn around(host: &PluginHost) -> Self {
        Self::build(host, None)
    }

    fn build(host: &PluginHost, operator: Option<Arc<Mutex<dyn OperatorPort>>>) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let place = |name: &str, kind: &str, size: f64| Place {
            name: name.into(),
            kind: kind.to_owned(),
            pose: Pose {
                position_m: [0.5, -0.2, 0.0],
                orientation_xyzw: [0.0, 0.0, 0.0, 1.0],
            },
            size_m: [size, size, 0.1],
        };
        let places = vec![place("tray", "tray", 0.4), place("A1", "pocket", 0.08)];
        let (world, reader) = sinew_world::world(places);
        let policy = Arc::default();
        let ports = HostPorts {
            operator,
            ..ports(Arc::clone(&mailbox), reader, Arc::clone(&policy))
        };
        let mut rig = Self {
            host: host.with_ports(ports),
            robot: FakeLoop::new(mailbox),
            world,
            policy,
            events: Vec::new(),
            sees: true,
        };
        rig.tick();
        rig
    }

    /// A host of its own in fresh surroundings, and the `misbehave` that it has loaded.
    pub(crate) fn with(limits: Limits, grants: &str) -> (Self, Arc<Plugin>) {
        let host = host(limits, grants);
        let plugin = host
            .load(sinew_skill_artifacts::MISBEHAVE, "misbehave.wasm")
            .unwrap();
        (Self::around(&host), plugin)
    }

    pub(crate) fn now(&self) -> Tick {
        Tick(self.robot.status.tick)
    }

    /// One tick of everything around the plugin.
    pub(crate) fn tick(&mut self) {
        self.robot.tick();
        let tick = self.now().0;
        self.policy.lock().unwrap().now = tick;
        if tick % 33 == 1 {
            self.see(tick);
        }
    }

    /// Publishes a snapshot; a blind rig's camera is stalled.
    pub(crate) fn see(&mut self, tick: u64) {
        let object = ObjectTrack {
            id: 7,
            class: "block".into(),
            color: "red".into(),
            pose: Pose {
                position_m: [0.51, -0.21, 0.015],
                orientation_xyzw: [0.0, 0.0, 0.0, 1.0],
            },
            velocity_m_s: [0.0; 3],
            size_m: [0.05, 0.03, 0.03],
            confidence: 0.9,
            position_sigma_m: 0.001,
            first_seen_tick: 1,
            last_seen_tick: tick,
        };
        self.world.publish(WorldSnapshot {
            published_tick: tick,
            image_tick: tick,
            sequence: tick,
            objects: vec![object],
            cameras: vec![CameraHealth {
                name: "overhead".into(),
                newest_tick: tick,
                stalled: !self.sees,
                dropped: 0,
            }],
            robot: None,
        });
    }

    /// Starts `misbehave`.
    pub(crate) fn start(&self, params: &str) -> Run {
        self.start_of(misbehave(), params)
    }

    /// Starts a skill that its host has loaded.
    pub(crate) fn start_of(&self, plugin: &Arc<Plugin>, params: &str) -> Run {
        self.host
            .start_skill(plugin, params, None, Lease::ALL, 1, self.now())
            .unwrap()
    }

    pub(crate) fn resume(&self, params: &str, checkpoint: Option<Checkpoint>) -> Run {
        self.host
            .start_skill(misbehave(), params, checkpoint, Lease::ALL, 1, self.now())
            .unwrap()
    }

    /// Lets time pass up to the end of the run, at most `ticks`.
    pub(crate) fn finish(&mut self, run: &mut Run, ticks: u64) -> RunEnd {
        for _ in 0..ticks {
            let end = run.poll(self.now());
            self.events.extend(run.take_events());
            if let Some(end) = end {
                return end;
            }
            self.tick();
        }
        panic!("still running after {ticks} ticks");
    }

    /// Runs `misbehave` to its end.
    pub(crate) fn act(&mut self, params: &str) -> RunEnd {
        let mut run = self.start(params);
        self.finish(&mut run, 20_000)
    }

    /// What `misbehave` said after it has run to a good end.
    pub(crate) fn said(&mut self, params: &str) -> String {
        match self.act(params) {
            RunEnd::Finished(result) => result["said"].as_str().unwrap().to_owned(),
            end => panic!("{params}: {end:?}"),
        }
    }

    /// The log lines so far.
    pub(crate) fn log(&self) -> Vec<String> {
        let lines = self.events.iter().filter_map(|event| match event {
            RunEvent::Log { message, .. } => Some(message.clone()),
            _ => None,
        });
        lines.collect()
    }
}

/// The failure's label and message.
pub(crate) fn failed(end: RunEnd) -> (String, String) {
    match end {
        RunEnd::Failed(failure) => (failure.label, failure.message),
        end => panic!("{end:?}"),
    }
}
