//! Harness of the integration tests: a whole host in virtual time, with every seam that a test needs.

pub use sinew_fuzz_bodies::raw;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use sinew_runtime::audit_log::Writer;
use sinew_runtime::hardware::{Camera, Exposure, HardwareComponent, RgbdFrame};
use sinew_runtime::host::{Host, HostOptions, Speed, Surroundings};
use sinew_runtime::kit::{Kit, PluginFile};
use sinew_runtime::sim::{Cell, Grade, OrderLine, Profile};
use sinew_runtime::tasks::{Happening, SubmitOptions, TaskEnd, TaskEvent, TaskId};
use sinew_runtime::units::Ticks;
use sinew_runtime::{AUDIT_FILE, AuditTarget, Choice, Sources, open_audit};

/// Every built-in plugin, and the guest that misbehaves.
#[must_use]
pub fn plugins() -> Vec<PluginFile> {
    let guests = sinew_skill_artifacts::TEST_GUESTS.iter();
    sinew_skill_artifacts::SKILLS
        .iter()
        .chain(guests.filter(|(name, _)| name.contains("misbehave")))
        .map(|(name, bytes)| PluginFile {
            origin: (*name).to_owned(),
            bytes: bytes.to_vec(),
            built_in: false,
        })
        .collect()
}

/// The kit that most tests share: compiling plugins and models takes longer than running them.
pub fn kit() -> &'static Kit {
    static KIT: OnceLock<Kit> = OnceLock::new();
    KIT.get_or_init(|| {
        let sources = Sources {
            default_grants: sinew_skill_artifacts::GRANTS.into(),
            grants: Some(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/grants.toml")).into()),
            backend: Choice::Embedded,
            ..Sources::default()
        };
        Kit::load(&sources, &plugins()).expect("what is built in can be loaded")
    })
}

/// A cell with a host around it that was reset and is ready for tasks.
pub struct Rig {
    /// The simulated cell.
    pub cell: Cell,
    /// The host.
    pub host: Host,
    /// What the cycle asks for.
    pub order: Vec<OrderLine>,
    /// Everything that the task engine said.
    pub events: Vec<TaskEvent>,
    /// The audit log.
    pub audit: PathBuf,
    /// Who writes it.
    pub log: Writer,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// Cycle `cycle` of seed `seed`.
    #[must_use]
    pub fn new(seed: u64, cycle: u64, profile: &Profile) -> Self {
        Self::with_cameras(seed, cycle, profile, |_, camera| camera)
    }

    /// The same, with each camera replaced by what `wrap` makes of it.
    #[must_use]
    pub fn with_cameras(
        seed: u64,
        cycle: u64,
        profile: &Profile,
        mut wrap: impl FnMut(usize, Box<dyn Camera>) -> Box<dyn Camera>,
    ) -> Self {
        let mut rig = Self::stopped(seed, cycle, profile, Speed::Max, &mut wrap);
        rig.host.reset("test").expect("a healthy robot is reset");
        rig
    }

    /// Cycle `cycle` of seed `seed`, on a host of another kit.
    #[must_use]
    pub fn of(kit: &Kit, seed: u64, cycle: u64, profile: &Profile) -> Self {
        let mut rig = Self::built(kit, seed, cycle, profile, Speed::Max, &mut |_, camera| {
            camera
        });
        rig.host.reset("test").expect("a healthy robot is reset");
        rig
    }

    /// Cycle 0 of seed `seed`, on a host of a kit and on the real clock.
    #[must_use]
    pub fn in_real_time(kit: &Kit, seed: u64, profile: &Profile) -> Self {
        let mut rig = Self::built(kit, seed, 0, profile, Speed::Real, &mut |_, camera| camera);
        rig.host.reset("test").expect("a healthy robot is reset");
        rig
    }

    /// A host that has booted and was not reset.
    #[must_use]
    pub fn stopped(
        seed: u64,
        cycle: u64,
        profile: &Profile,
        speed: Speed,
        wrap: &mut dyn FnMut(usize, Box<dyn Camera>) -> Box<dyn Camera>,
    ) -> Self {
        Self::built(kit(), seed, cycle, profile, speed, wrap)
    }

    fn built(
        kit: &Kit,
        seed: u64,
        cycle: u64,
        profile: &Profile,
        speed: Speed,
        wrap: &mut dyn FnMut(usize, Box<dyn Camera>) -> Box<dyn Camera>,
    ) -> Self {
        let cell = Cell::new(&kit.config().robot, &kit.config().cell);
        let scene = cell.reset(seed, cycle, profile);
        let mut around = Surroundings::of(&cell);
        around.cameras = around
            .cameras
            .into_iter()
            .enumerate()
            .map(|(index, camera)| wrap(index, camera))
            .collect();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let audit = folder.path().join(AUDIT_FILE);
        let log = open_audit(&audit).expect("a log can be begun");
        let options = HostOptions {
            speed,
            incidents: folder.path().to_owned(),
            keep_runs: false,
            audit: Some(AuditTarget {
                writer: log.clone(),
                episode: format!("seed{seed}-cycle{cycle}"),
                seed,
            }),
        };
        let host = Host::new(kit, around, &options).expect("the kit makes a host");
        Self {
            cell,
            host,
            order: scene.order,
            events: Vec::new(),
            audit,
            log,
            _folder: folder,
        }
    }

    /// Submits a task with recovery.
    pub fn submit(&mut self, skill: &str, params: &Value) -> TaskId {
        self.submit_with(skill, params, true)
    }

    /// Submits a task.
    pub fn submit_with(&mut self, skill: &str, params: &Value, recovery: bool) -> TaskId {
        let options = SubmitOptions {
            recovery,
            time_limit: Some(Ticks::from_ms(240_000)),
            seed: 1,
        };
        self.host
            .tasks()
            .submit(skill, &params.to_string(), options)
            .expect("the parameters fit the skill")
    }

    /// Steps until the task has ended, and a moment longer.
    pub fn finish(&mut self, task: TaskId) -> TaskEnd {
        for _ in 0..300_000 {
            self.host.step().expect("the control loop runs");
            self.events.extend(self.host.take_events());
            if let Some(end) = self.host.tasks().end(task).cloned() {
                self.run_for(300);
                return end;
            }
        }
        panic!(
            "the task did not end; its last events: {:#?}",
            self.last_events(10)
        );
    }

    /// Runs a task from start to end.
    pub fn run(&mut self, skill: &str, params: &Value) -> TaskEnd {
        let task = self.submit(skill, params);
        self.finish(task)
    }

    /// Runs a task, and says where the tool was when it turned up again low over the table: what it reached for.
    pub fn run_and_watch_low_points(
        &mut self,
        skill: &str,
        params: &Value,
    ) -> (Vec<[f64; 2]>, TaskEnd) {
        /// Below this the hand is over a part, about to grasp it; parts are carried higher. Metres.
        const LOW_M: f64 = 0.19;
        let task = self.submit(skill, params);
        let (mut low, mut lowest) = (Vec::new(), None::<[f64; 3]>);
        for _ in 0..300_000 {
            self.host.step().expect("the control loop runs");
            self.events.extend(self.host.take_events());
            let at = self.host.status().tool_pose.position_m;
            if at[2] < LOW_M {
                if lowest.is_none_or(|lowest| at[2] < lowest[2]) {
                    lowest = Some(at);
                }
            } else if let Some([x, y, _]) = lowest.take() {
                low.push([x, y]);
            }
            if let Some(end) = self.host.tasks().end(task).cloned() {
                return (low, end);
            }
        }
        panic!("the task did not end");
    }

    /// Steps for this many ticks.
    pub fn run_for(&mut self, ticks: u64) {
        self.host
            .run_for(Ticks(ticks))
            .expect("the control loop runs");
        self.events.extend(self.host.take_events());
    }

    /// Steps until the task engine says something that fits.
    pub fn run_until(&mut self, fits: impl Fn(&Happening) -> bool) {
        for _ in 0..300_000 {
            self.host.step().expect("the control loop runs");
            let new = self.host.take_events();
            let found = new.iter().any(|event| fits(&event.what));
            self.events.extend(new);
            if found {
                return;
            }
        }
        panic!(
            "it never happened; last events: {:#?}",
            self.last_events(10)
        );
    }

    /// True if a joint or the tool moves.
    #[must_use]
    pub fn moves(&self) -> bool {
        let status = self.host.status();
        let joints = status.frame.velocity_rad_s;
        status.tool_speed_m_s > 0.002 || joints.iter().any(|speed| speed.abs() > 0.005)
    }

    /// Kind and content of every record of the audit log, which verifies.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn records(&self) -> Vec<(String, Value)> {
        // A thread of its own writes it.
        self.log.flush().expect("there is room");
        let mut records = Vec::new();
        let verification = sinew_runtime::audit_log::read(&self.audit, |record| {
            records.push((record.kind, record.content));
        });
        let verification = verification.expect("the log can be read");
        assert!(verification.ok, "the log does not verify");
        records
    }

    /// The scorer's grade of these lines.
    #[must_use]
    pub fn grade(&self, order: &[OrderLine]) -> Grade {
        self.cell.grade(order)
    }

    /// True if the engine said something that fits.
    #[must_use]
    pub fn said(&self, fits: impl Fn(&Happening) -> bool) -> bool {
        self.events.iter().any(|event| fits(&event.what))
    }

    fn last_events(&self, count: usize) -> Vec<String> {
        let from = self.events.len().saturating_sub(count);
        self.events[from..]
            .iter()
            .map(|event| {
                format!(
                    "{} {}: {}",
                    event.tick,
                    event.what.name(),
                    event.what.message()
                )
            })
            .collect()
    }
}

/// Parameters of `kit-parts` for these lines.
#[must_use]
pub fn kit_parts(order: &[OrderLine]) -> Value {
    let lines: Vec<Value> = order
        .iter()
        .map(|line| json!({"class": line.class, "color": line.color, "slot": line.slot}))
        .collect();
    json!({ "order": lines })
}

/// A camera whose images are empty: black, and no depth.
pub struct Blank(pub Box<dyn Camera>);

struct BlankExposure(Box<dyn Exposure>);

impl Camera for Blank {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn newest(&mut self, after: u64) -> Option<Box<dyn Exposure>> {
        let exposure = self.0.newest(after)?;
        Some(Box::new(BlankExposure(exposure)))
    }
}

impl Exposure for BlankExposure {
    fn camera(&self) -> &str {
        self.0.camera()
    }

    fn tick(&self) -> u64 {
        self.0.tick()
    }

    fn sequence(&self) -> u64 {
        self.0.sequence()
    }

    fn develop(self: Box<Self>) -> RgbdFrame {
        let mut frame = self.0.develop();
        // Sensor noise stays: it is no stalled camera, it just sees nothing.
        for (pixel, value) in frame.rgb.iter_mut().enumerate() {
            *value = (pixel % 3) as u8;
        }
        frame.depth_m.fill(0.0);
        frame
    }
}

/// A camera that shows the images of another one, with its own rhythm.
pub struct Swapped {
    /// Whose exposures set the rhythm.
    pub own: Box<dyn Camera>,
    /// Whose pictures are shown. It belongs to a cell in which nothing moves.
    pub other: Box<dyn Camera>,
    /// The time of that cell.
    pub time: OtherTime,
    /// Tick of the picture that was shown last.
    pub shown: u64,
}

/// Lets another cell's time pass, so that its cameras take new pictures. Clones share the cell.
#[derive(Clone)]
pub struct OtherTime(Arc<Mutex<(Box<dyn HardwareComponent>, u64)>>);

impl OtherTime {
    /// The time of the cell that `robot` stands in.
    #[must_use]
    pub fn new(robot: Box<dyn HardwareComponent>) -> Self {
        Self(Arc::new(Mutex::new((robot, 0))))
    }

    fn tick(&self) {
        let mut cell = self.0.lock().expect("nobody panics with it");
        cell.1 += 1;
        let (robot, tick) = &mut *cell;
        let mut frame = bytemuck::Zeroable::zeroed();
        robot
            .read(*tick, &mut frame)
            .expect("the simulated robot can be read");
    }
}

struct SwappedExposure {
    own: Box<dyn Exposure>,
    shown: RgbdFrame,
}

impl Camera for Swapped {
    fn name(&self) -> &str {
        self.own.name()
    }

    fn newest(&mut self, after: u64) -> Option<Box<dyn Exposure>> {
        let own = self.own.newest(after)?;
        // Its next picture: at 30 Hz within 34 ticks.
        for _ in 0..40 {
            self.time.tick();
            if let Some(picture) = self.other.newest(self.shown) {
                self.shown = picture.tick();
                let shown = picture.develop();
                return Some(Box::new(SwappedExposure { own, shown }));
            }
        }
        None
    }
}

impl Exposure for SwappedExposure {
    fn camera(&self) -> &str {
        self.own.camera()
    }

    fn tick(&self) -> u64 {
        self.own.tick()
    }

    fn sequence(&self) -> u64 {
        self.own.sequence()
    }

    fn develop(self: Box<Self>) -> RgbdFrame {
        RgbdFrame {
            tick: self.own.tick(),
            sequence: self.own.sequence(),
            ..self.shown
        }
    }
}
