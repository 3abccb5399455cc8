//! What a guest of the fuzz targets finds around it: a loop, a policy, a person, a camera and a folder, all of which do what was
//! drawn for them, and remember what was asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::Zeroable as _;
use sinew_messages::{
    ArmGoal, ArmGoalKind, GripperGoal, JOINTS, LoopStatus, Mailbox, MotionState, Pose, StopState,
};
use sinew_plugin_host::{
    HostPorts, OperatorPort, PolicyEnd, PolicyOrder, PolicyPort, PolicyRefusal, RobotPort,
};
use sinew_units::Tick;
use sinew_world::{CameraHealth, ObjectTrack, Place, WorldSnapshot, WorldWriter};

use crate::choices::Choices;

/// Ticks that a motion takes.
const MOTION_TICKS: u64 = 4;
/// Ticks that a policy takes.
const POLICY_TICKS: u64 = 6;
pub(crate) const GRIPPER_OPEN_M: f64 = 0.08;
pub(crate) const GRIPPER_FORCE_MAX_N: f64 = 60.0;

/// What happens around a run, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    /// Ticks after which a stop is latched.
    pub(crate) stop_at: Option<u64>,
    /// Ticks after which a camera is stalled.
    pub(crate) stall_at: Option<u64>,
    /// Ticks after which the run is cancelled.
    pub(crate) cancel_at: Option<u64>,
    /// Ticks after which another version wants to take over.
    pub(crate) hand_over_at: Option<u64>,
    /// What a person chooses; nobody can be asked if there is none.
    pub(crate) choice: Option<Option<u32>>,
    /// The motions of the arm that the gate holds.
    pub(crate) holds: u8,
}

impl Events {
    pub(crate) fn drawn(choices: &mut Choices<'_>) -> Self {
        let mut at = || Some(u64::from(choices.byte())).filter(|at| *at < 40 && *at > 0);
        let (stop_at, stall_at, cancel_at, hand_over_at) = (at(), at(), at(), at());
        Self {
            stop_at,
            stall_at,
            cancel_at,
            hand_over_at,
            choice: match choices.byte() % 5 {
                0 => None,
                1 => Some(None),
                2 => Some(Some(0)),
                3 => Some(Some(1)),
                _ => Some(Some(40)),
            },
            holds: choices.byte(),
        }
    }
}

/// Everything around one run.
pub(crate) struct Surroundings {
    events: Events,
    pub(crate) mailbox: Arc<Mailbox>,
    world: WorldWriter,
    status: LoopStatus,
    ends_at: u64,
    policy: Arc<Mutex<Policy>>,
    person: Arc<Mutex<Person>>,
    /// Goals that were sent, in order.
    pub(crate) arm_goals: Vec<ArmGoal>,
    pub(crate) gripper_goals: Vec<GripperGoal>,
}

impl Surroundings {
    /// Them, and what a host lends of them.
    pub(crate) fn new(events: Events) -> (Self, HostPorts) {
        let place = |name: &str, size: f64| Place {
            name: name.into(),
            kind: name.to_owned(),
            pose: pose([0.5, -0.2, 0.0]),
            size_m: [size, size, 0.1],
        };
        let (world, reader) = sinew_world::world(vec![place("tray", 0.4), place("pocket", 0.08)]);
        let mailbox = Arc::new(Mailbox::default());
        let (policy, person) = <(Arc<Mutex<Policy>>, Arc<Mutex<Person>>)>::default();
        lock(&person).choice = events.choice.flatten();
        let ids = AtomicU64::new(1);
        let operator: Arc<Mutex<dyn OperatorPort>> = person.clone();
        let ports = HostPorts {
            world: reader,
            robot: RobotPort {
                mailbox: Arc::clone(&mailbox),
                goal_ids: Arc::new(move || ids.fetch_add(1, Ordering::Relaxed)),
                named_poses: Arc::new(BTreeMap::from([
                    ("home".to_owned(), [0.0; JOINTS]),
                    ("look-bin".to_owned(), [0.1; JOINTS]),
                ])),
                tool_at: Arc::new(|joints| {
                    pose([0.5 * joints[0].cos(), 0.5 * joints[0].sin(), 0.3])
                }),
                tool_braking_m_s2: 2.0,
                gripper_closed_m: 0.0,
                gripper_open_m: GRIPPER_OPEN_M,
                gripper_force_max_n: GRIPPER_FORCE_MAX_N,
                gripper_speed_m_s: 0.1,
            },
            policies: policy.clone(),
            operator: events.choice.map(|_| operator),
        };
        let mut status = LoopStatus::zeroed();
        status.tool_pose = pose([0.4, 0.0, 0.3]);
        status.frame.gripper_width_m = GRIPPER_OPEN_M;
        let mut surroundings = Self {
            events,
            mailbox,
            world,
            status,
            ends_at: 0,
            policy,
            person,
            arm_goals: Vec::new(),
            gripper_goals: Vec::new(),
        };
        surroundings.tick();
        (surroundings, ports)
    }

    pub(crate) fn now(&self) -> Tick {
        Tick(self.status.tick)
    }

    /// One tick of everything.
    pub(crate) fn tick(&mut self) {
        let due = |at: Option<u64>, tick: u64| at.is_some_and(|at| tick > at);
        self.status.tick += 1;
        let tick = self.status.tick;
        self.status.frame.tick = tick;
        if due(self.events.stop_at, tick) {
            self.status.stop_state = StopState::Latched as u32;
        }
        self.move_arm(tick);
        self.move_gripper();
        self.mailbox.status.write(&self.status);
        lock(&self.policy).now = tick;
        if tick % 3 == 1 {
            self.see(tick, due(self.events.stall_at, tick));
        }
    }

    fn move_arm(&mut self, tick: u64) {
        let Some(goal) = self.mailbox.arm.latest() else {
            return;
        };
        if goal.id > self.status.arm_goal_id {
            self.arm_goals.push(goal);
            self.status.arm_goal_id = goal.id;
            self.ends_at = tick + MOTION_TICKS;
            self.status.arm_state = if goal.kind == ArmGoalKind::Hold as u32 {
                MotionState::Done
            } else if goal.pose.position_m[2] < 0.0 {
                MotionState::Rejected
            } else {
                MotionState::Active
            } as u32;
        }
        if self.status.arm_state != MotionState::Active as u32 {
            return;
        }
        let is_held = self.events.holds >> (goal.id % 8) & 1 == 1;
        let end = if self.status.stop_state == StopState::Latched as u32 {
            MotionState::Stopped
        } else if goal.lease_end_tick < tick || (is_held && tick + 2 > self.ends_at) {
            MotionState::Held
        } else if tick < self.ends_at {
            return;
        } else if goal.kind == ArmGoalKind::Guarded as u32 {
            MotionState::Contact
        } else {
            MotionState::Done
        };
        self.status.arm_state = end as u32;
        self.status.tool_pose = goal.pose;
    }

    fn move_gripper(&mut self) {
        let Some(goal) = self.mailbox.gripper.latest() else {
            return;
        };
        if goal.id > self.status.gripper_goal_id {
            self.gripper_goals.push(goal);
            self.status.gripper_goal_id = goal.id;
            self.status.gripper_state = MotionState::Done as u32;
            // There is a part of 30 mm between the fingers.
            self.status.frame.gripper_width_m = goal.width_m.max(0.03);
            self.status.frame.gripper_force_n = if goal.width_m < 0.03 {
                goal.force_n
            } else {
                0.0
            };
        }
    }

    fn see(&mut self, tick: u64, is_stalled: bool) {
        let object = |id: u64, class: &str| ObjectTrack {
            id,
            class: class.into(),
            color: "red".into(),
            pose: pose([0.51, -0.21, 0.015]),
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
            objects: vec![object(7, "block"), object(20, "person")],
            cameras: vec![CameraHealth {
                name: "overhead".into(),
                newest_tick: tick,
                stalled: is_stalled,
                dropped: 0,
            }],
            robot: None,
        });
    }

    /// What a run may not leave behind, once the loop has taken over what it was told last.
    pub(crate) fn check_left(&mut self) {
        self.tick();
        self.tick();
        assert_ne!(
            self.status.arm_state,
            MotionState::Active as u32,
            "the arm moves on"
        );
        assert_eq!(
            lock(&self.policy).running,
            BTreeSet::new(),
            "a policy runs on"
        );
        assert_eq!(
            lock(&self.person).open,
            BTreeSet::new(),
            "a question is left"
        );
    }
}

fn pose(position_m: [f64; 3]) -> Pose {
    Pose {
        position_m,
        ..Pose::IDENTITY
    }
}

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A policy that takes a few ticks for nothing.
#[derive(Default)]
struct Policy {
    now: u64,
    runs: u64,
    started: BTreeMap<u64, u64>,
    running: BTreeSet<u64>,
}

impl PolicyPort for Policy {
    fn available(&self) -> Vec<String> {
        vec!["grasp".to_owned(), "juggle".to_owned()]
    }

    fn start(&mut self, order: &PolicyOrder<'_>, now: Tick) -> Result<u64, PolicyRefusal> {
        assert_eq!(order.policy, "grasp", "nothing else was granted");
        assert!(order.speed > 0.0 && order.speed <= 0.5, "{order:?}");
        match order.object_id {
            7 => {}
            1 => return Err(PolicyRefusal::Wrong("not made for it".to_owned())),
            2 => return Err(PolicyRefusal::NotNow("another one runs".to_owned())),
            _ => return Err(PolicyRefusal::NoObject),
        }
        self.runs += 1;
        self.started.insert(self.runs, now.0);
        self.running.insert(self.runs);
        Ok(self.runs)
    }

    fn outcome(&mut self, run: u64) -> Option<PolicyEnd> {
        let started = *self.started.get(&run)?;
        (self.now >= started + POLICY_TICKS).then(|| {
            self.running.remove(&run);
            PolicyEnd {
                state: "done".to_owned(),
                label: String::new(),
                confidence: 0.9,
                ticks: POLICY_TICKS,
                message: "lifted".to_owned(),
            }
        })
    }

    fn cancel(&mut self, run: u64, _now: Tick) {
        self.running.remove(&run);
    }
}

/// A person who has made up their mind before.
#[derive(Default)]
struct Person {
    choice: Option<u32>,
    asked: u64,
    open: BTreeSet<u64>,
}

impl OperatorPort for Person {
    fn ask(&mut self, _plugin: &str, _question: &str, _options: &[String]) -> u64 {
        self.asked += 1;
        self.open.insert(self.asked);
        self.asked
    }

    fn answer(&mut self, question: u64) -> Option<u32> {
        // Who has answered with something that was offered has no open question.
        if self.choice.is_some_and(|choice| choice < 2) {
            self.open.remove(&question);
        }
        self.choice
    }

    fn withdraw(&mut self, question: u64) {
        self.open.remove(&question);
    }
}

/// A folder that was granted, and beside it one that was not.
pub(crate) struct Folder(tempfile::TempDir);

/// What the granted folder begins with: `a`, and a link that leads out of it.
const FILE: &[u8] = b"hello";
const SECRET: &[u8] = b"nobody's business";
pub(crate) const QUOTA_BYTES: u64 = 2_048;
pub(crate) const QUOTA_FILES: usize = 4;

impl Folder {
    /// A new one, as it is to be found.
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("there is room for a temporary folder"));
        fs::create_dir(folder.0.path().join("outside")).expect("it is new");
        fs::write(folder.secret(), SECRET).expect("the folder is there");
        folder.restore();
        folder
    }

    pub(crate) fn granted(&self) -> PathBuf {
        self.0.path().join("granted")
    }

    fn secret(&self) -> PathBuf {
        self.0.path().join("outside/secret")
    }

    /// As it is to be found.
    pub(crate) fn restore(&self) {
        let granted = self.granted();
        let is_linked = granted.join("out").is_symlink();
        if is_linked && self.contents() == [("a".to_owned(), FILE.to_vec())] {
            return;
        }
        if granted.exists() {
            fs::remove_dir_all(&granted).expect("it is ours");
        }
        fs::create_dir(&granted).expect("nothing is there");
        fs::write(granted.join("a"), FILE).expect("the folder is there");
        symlink(self.0.path().join("outside"), granted.join("out")).expect("nothing is there");
    }

    /// Names and contents of its files, in order.
    pub(crate) fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.granted()) else {
            return Vec::new();
        };
        let mut found: Vec<(String, Vec<u8>)> = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, fs::read(entry.path()).unwrap_or_default())
            })
            .collect();
        found.sort();
        found
    }

    /// What a plugin may not have done.
    pub(crate) fn check(&self) {
        let files = self.contents();
        let bytes: usize = files.iter().map(|(_, contents)| contents.len()).sum();
        assert!(bytes as u64 <= QUOTA_BYTES, "{bytes} bytes");
        assert!(files.len() <= QUOTA_FILES, "{} files", files.len());
        assert_eq!(fs::read(self.secret()).ok().as_deref(), Some(SECRET));
        let outside = fs::read_dir(self.0.path().join("outside"));
        assert_eq!(outside.map(|entries| entries.count()).ok(), Some(1));
        let beside = fs::read_dir(self.0.path());
        assert_eq!(beside.map(|entries| entries.count()).ok(), Some(2));
    }
}
