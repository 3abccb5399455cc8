//! The flight buffer: the last seconds of everything, bounded in time and in count.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use sinew_hardware::RgbdFrame;
use sinew_messages::{JOINTS, JointVector, Pose, TickRecord, VerdictKind};
use sinew_units::{TICK_HZ, Tick, Ticks};
use sinew_world::{Place, WorldSnapshot};

use crate::event::FlightEvent;
use crate::events::Events;
use crate::incident::{Cause, EncodedRun, Frozen};

/// Seconds that may be asked for: a buffer of a minute is about 60 MB of tick records.
const SECONDS_MAX: f64 = 120.0;
/// Camera frames kept, over all cameras.
const FRAMES_MAX: usize = 512;

/// Recorded plugin runs kept, and their bytes together. They explain a failure from its beginning, so they are not kept by their
/// age.
const RUNS_MAX: usize = 32;
const RUN_BYTES_MAX: usize = 64 << 20;

/// What a recorder keeps and where it writes.
#[derive(Clone, Debug, PartialEq)]
pub struct RecorderConfig {
    /// Seconds of history in an incident.
    pub seconds: f64,
    /// Every how many ticks a passed tick is written; ticks that the gate did not pass are all written.
    pub write_every_ticks: u64,
    /// Fewest ticks between two kept frames of one camera.
    pub frame_every_ticks: u64,
    /// Folder for the incidents; made when the first one is written.
    pub folder: PathBuf,
    /// Names of the joints, base to tool, as the robot's description has them.
    pub joint_names: [String; JOINTS],
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            seconds: 10.0,
            write_every_ticks: 10,
            frame_every_ticks: 500,
            folder: PathBuf::from("out/incidents"),
            joint_names: core::array::from_fn(|i| format!("joint{}", i + 1)),
        }
    }
}

/// A recorder configuration that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The length of the history.
    #[error("recorder: `seconds` is {found}, it must lie above 0 and at most at {SECONDS_MAX}")]
    Seconds {
        /// What was asked.
        found: f64,
    },
    /// A period of zero ticks.
    #[error("recorder: `{key}` is 0, it must be at least 1 tick")]
    ZeroPeriod {
        /// The key.
        key: &'static str,
    },
}

/// Computes the poses of the robot's links in the base frame, each with its frame's name.
pub type LinkPoses = Box<dyn Fn(&JointVector) -> Vec<(String, Pose)> + Send>;

/// The flight recorder. See the crate's documentation.
pub struct Recorder {
    config: RecorderConfig,
    history: Ticks,
    link_poses: LinkPoses,
    places: Vec<Place>,
    incidents: u64,
    newest: Tick,
    ticks: VecDeque<TickRecord>,
    snapshots: VecDeque<Arc<WorldSnapshot>>,
    frames: VecDeque<Arc<RgbdFrame>>,
    events: Events,
    runs: VecDeque<EncodedRun>,
}

impl Recorder {
    /// A recorder of a cell with these fixed places. `link_poses` is asked only when an incident is frozen.
    ///
    /// # Errors
    /// [`ConfigError`] for a history or a period that makes no sense.
    pub fn new(
        config: RecorderConfig,
        places: Vec<Place>,
        link_poses: LinkPoses,
    ) -> Result<Self, ConfigError> {
        if !(config.seconds > 0.0 && config.seconds <= SECONDS_MAX) {
            return Err(ConfigError::Seconds {
                found: config.seconds,
            });
        }
        for (key, period) in [
            ("write_every_ticks", config.write_every_ticks),
            ("frame_every_ticks", config.frame_every_ticks),
        ] {
            if period == 0 {
                return Err(ConfigError::ZeroPeriod { key });
            }
        }
        let history = Ticks::from_seconds_ceil(config.seconds);
        Ok(Self {
            config,
            history,
            link_poses,
            places,
            incidents: 0,
            newest: Tick(0),
            ticks: VecDeque::with_capacity(history.0 as usize + TICK_HZ as usize),
            snapshots: VecDeque::new(),
            frames: VecDeque::new(),
            events: Events::default(),
            runs: VecDeque::new(),
        })
    }

    /// Keeps the record of one tick.
    pub fn observe_tick(&mut self, record: &TickRecord) {
        self.advance(Tick(record.frame.tick));
        self.ticks.push_back(*record);
        let oldest = (self.newest - self.history).0;
        while self.ticks.front().is_some_and(|r| r.frame.tick < oldest) {
            self.ticks.pop_front();
        }
    }

    /// Keeps a world snapshot; the same one shown again is ignored.
    pub fn observe_world(&mut self, snapshot: &Arc<WorldSnapshot>) {
        if self
            .snapshots
            .back()
            .is_some_and(|last| last.sequence == snapshot.sequence)
            || snapshot.sequence == 0
        {
            return;
        }
        self.advance(Tick(snapshot.published_tick));
        self.snapshots.push_back(Arc::clone(snapshot));
        let oldest = (self.newest - self.history).0;
        while self
            .snapshots
            .front()
            .is_some_and(|s| s.published_tick < oldest)
        {
            self.snapshots.pop_front();
        }
    }

    /// Keeps a camera frame, unless one of the same camera was kept less than `frame_every_ticks` before.
    /// Returns whether it was kept.
    pub fn observe_frame(&mut self, frame: &Arc<RgbdFrame>) -> bool {
        // Frames are developed after their exposure, so they don't move the newest tick.
        let recent = self
            .frames
            .iter()
            .rev()
            .find(|kept| kept.camera == frame.camera)
            .is_some_and(|kept| {
                kept.tick <= frame.tick && frame.tick < kept.tick + self.config.frame_every_ticks
            });
        if recent {
            return false;
        }
        self.frames.push_back(Arc::clone(frame));
        let oldest = (self.newest - self.history).0;
        while self.frames.len() > FRAMES_MAX || self.frames.front().is_some_and(|f| f.tick < oldest)
        {
            self.frames.pop_front();
        }
        true
    }

    /// Keeps an event that the host made.
    pub fn observe_event(&mut self, event: FlightEvent) {
        self.advance(Tick(event.tick));
        let oldest = (self.newest - self.history).0;
        self.events.keep(event, oldest);
    }

    /// Keeps what a plugin said by itself. However much that is, it takes no room from the host's own events.
    pub fn observe_plugin_event(&mut self, event: FlightEvent) {
        self.advance(Tick(event.tick));
        let oldest = (self.newest - self.history).0;
        self.events.keep_of_plugin(event, oldest);
    }

    /// Keeps a recorded plugin run: the newest ones, as many as there is room for.
    pub fn observe_run(&mut self, run: EncodedRun) {
        self.runs.push_back(run);
        let bytes =
            |runs: &VecDeque<EncodedRun>| runs.iter().map(|run| run.bytes.len()).sum::<usize>();
        while self.runs.len() > RUNS_MAX || bytes(&self.runs) > RUN_BYTES_MAX {
            self.runs.pop_front();
        }
    }

    /// Copies what is in the buffer into an incident with a file name of its own. The buffer goes on.
    pub fn freeze(&mut self, cause: Cause) -> Frozen {
        let path = self
            .config
            .folder
            .join(cause.file_name(self.incidents, self.newest));
        self.incidents += 1;
        let every = self.config.write_every_ticks;
        let oldest = (self.newest - self.history).0;
        let ticks: Vec<TickRecord> = self
            .ticks
            .iter()
            .filter(|record| {
                record.frame.tick % every == 0 || record.verdict.kind != VerdictKind::Pass as u32
            })
            .copied()
            .collect();
        let links = ticks
            .iter()
            .filter(|record| record.frame.tick % every == 0)
            .map(|record| {
                let poses = (self.link_poses)(&record.frame.position_rad);
                (record.frame.tick, poses)
            })
            .collect();
        Frozen {
            path,
            cause,
            tick: self.newest,
            every,
            joint_names: self.config.joint_names.clone(),
            places: self.places.clone(),
            ticks,
            links,
            snapshots: since(&self.snapshots, |snapshot| {
                snapshot.published_tick >= oldest
            }),
            frames: since(&self.frames, |frame| frame.tick >= oldest),
            events: self.events.since(oldest),
            runs: self.runs.iter().cloned().collect(),
        }
    }

    /// Forgets everything: the cell was reset, and what was before explains nothing after.
    pub fn clear(&mut self) {
        self.newest = Tick(0);
        self.ticks.clear();
        self.snapshots.clear();
        self.frames.clear();
        self.events.clear();
        self.runs.clear();
    }

    fn advance(&mut self, tick: Tick) {
        self.newest = self.newest.max(tick);
    }
}

/// Kinds of record that come seldom may not have been trimmed for a while.
fn since<T: Clone>(records: &VecDeque<T>, is_recent: impl Fn(&T) -> bool) -> Vec<T> {
    records
        .iter()
        .filter(|record| is_recent(record))
        .cloned()
        .collect()
}
