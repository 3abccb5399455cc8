//! Cameras → worker → tracker → world.

use std::collections::VecDeque;
use std::sync::Arc;

use sinew_hardware::{Camera, RgbdFrame};
use sinew_messages::LoopStatus;
use sinew_units::{TICK_HZ, Tick, Ticks};
use sinew_world::{CameraHealth, WorldSnapshot, WorldWriter};

use crate::PerceptionError;
use crate::detector::Detector;
use crate::grip::{GripConfig, InHand};
use crate::tracker::{Tracker, TrackerConfig};
use crate::worker::{Gone, Job, Look, Worker};

/// Rates, latencies and thresholds of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct PerceptionConfig {
    /// Images a second that are consumed of each camera.
    pub rate_hz: f64,
    /// From taking an exposure to using what it shows.
    pub latency: Ticks,
    /// True: wait for the worker when the latency is over, so that the same run gives the same world on any
    /// machine. False: use a look at the first step at which it is there.
    pub wait: bool,
    /// A camera without a new image for this long is stalled.
    pub stalled_after: Ticks,
    /// So many equal images in a row are a frozen camera.
    pub frozen_after: u32,
    /// Cameras that ride on the arm (they are told by their pose, which changes) are used while the tool is
    /// slower than this, m/s: a moving camera's pose and its image are never of quite the same moment.
    pub moving_camera_speed_m_s: f64,
    /// The snapshot is renewed at least this often, so that held parts move with the tool.
    pub publish_every: Ticks,
    /// Association and deletion.
    pub tracker: TrackerConfig,
    /// When the gripper holds.
    pub grip: GripConfig,
}

impl Default for PerceptionConfig {
    fn default() -> Self {
        Self {
            rate_hz: 10.0,
            latency: Ticks::from_ms(60),
            wait: true,
            stalled_after: Ticks::from_ms(400),
            frozen_after: 3,
            moving_camera_speed_m_s: 0.15,
            publish_every: Ticks::from_ms(50),
            tracker: TrackerConfig::default(),
            grip: GripConfig::default(),
        }
    }
}

impl PerceptionConfig {
    fn check(&self) -> Result<(), PerceptionError> {
        if !(1.0..=100.0).contains(&self.rate_hz) {
            return Err(PerceptionError::Config {
                key: "rate_hz",
                found: self.rate_hz.to_string(),
                allowed: "1 to 100",
            });
        }
        if self.latency > Ticks(TICK_HZ) {
            return Err(PerceptionError::Config {
                key: "latency",
                found: self.latency.to_string(),
                allowed: "up to 1 s",
            });
        }
        Ok(())
    }
}

/// One camera and what is known about it.
struct Eye {
    camera: Box<dyn Camera>,
    name: Arc<str>,
    /// Ticks from the start to this camera's first turn, so that cameras take turns on the worker.
    phase: u64,
    /// Its next turn.
    next: Option<Tick>,
    /// Exposure that was sent to the worker last.
    newest: Option<Tick>,
    /// Exposure whose look was used last.
    used: Option<Tick>,
    sequence: Option<u64>,
    dropped: u64,
    fingerprint: Option<u64>,
    repeats: u32,
    pose: Option<sinew_messages::Pose>,
    moves: bool,
}

/// A job at the worker.
struct Pending {
    eye: usize,
    due: Tick,
}

/// Sees, tracks, publishes.
pub struct Perception {
    config: PerceptionConfig,
    period: u64,
    eyes: Vec<Eye>,
    worker: Worker,
    worker_gone: bool,
    pending: VecDeque<Pending>,
    tracker: Tracker,
    world: WorldWriter,
    sequence: u64,
    started: Option<Tick>,
    published: Option<Tick>,
    frames: VecDeque<Arc<RgbdFrame>>,
    faults: Vec<String>,
    looks: u64,
}

/// Frames kept for whoever takes them; the oldest go first if nobody does.
const FRAMES_MAX: usize = 8;
/// Fault messages kept until they are taken.
const FAULTS_MAX: usize = 32;
/// Looks waiting at the worker before a camera's turn is skipped: a slow machine sees less, never later.
const PENDING_MAX: usize = 6;

impl Perception {
    /// A pipeline over `cameras`, in this order in every snapshot.
    ///
    /// # Errors
    /// [`PerceptionError`] for impossible settings, no cameras, or if no thread can be started.
    pub fn new(
        detector: &Detector,
        cameras: Vec<Box<dyn Camera>>,
        world: WorldWriter,
        config: PerceptionConfig,
    ) -> Result<Self, PerceptionError> {
        config.check()?;
        if cameras.is_empty() {
            return Err(PerceptionError::NoCamera);
        }
        let period = (TICK_HZ as f64 / config.rate_hz).round().max(1.0) as u64;
        let count = cameras.len() as u64;
        let eyes = cameras
            .into_iter()
            .zip(0_u64..)
            .map(|(camera, index)| Eye {
                name: Arc::from(camera.name()),
                camera,
                phase: period * index / count,
                next: None,
                newest: None,
                used: None,
                sequence: None,
                dropped: 0,
                fingerprint: None,
                repeats: 0,
                pose: None,
                moves: false,
            })
            .collect();
        let manifest = detector.manifest();
        Ok(Self {
            tracker: Tracker::new(
                config.tracker,
                config.grip,
                &manifest.classes,
                &manifest.colors,
            ),
            period,
            eyes,
            worker: Worker::start(detector.clone())?,
            worker_gone: false,
            pending: VecDeque::new(),
            world,
            sequence: 0,
            started: None,
            published: None,
            frames: VecDeque::new(),
            faults: Vec::new(),
            looks: 0,
            config,
        })
    }

    /// One step of the brain at `now`.
    pub fn step(&mut self, now: Tick, status: &LoopStatus) {
        let started = *self.started.get_or_insert(now);
        let mut changed = self.tracker.follow(status);
        changed |= self.collect(now);
        self.expose(now, started, status);
        let renew = self
            .published
            .is_none_or(|at| now.since(at) >= self.config.publish_every);
        if changed || renew {
            self.publish(now, started, status);
        }
    }

    /// What the hand holds, by what the gripper feels and what was tracked.
    #[must_use]
    pub fn in_hand(&self) -> Option<InHand> {
        self.tracker.in_hand()
    }

    /// Images consumed since the last call, oldest first.
    pub fn take_frames(&mut self) -> Vec<Arc<RgbdFrame>> {
        self.frames.drain(..).collect()
    }

    /// What went wrong since the last call, for the log.
    pub fn take_faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }

    /// Images that went through the worker.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// Sends the newest exposures of the cameras whose turn it is to the worker.
    fn expose(&mut self, now: Tick, started: Tick, status: &LoopStatus) {
        if self.worker_gone {
            return;
        }
        let slow = status.tool_speed_m_s <= self.config.moving_camera_speed_m_s;
        for index in 0..self.eyes.len() {
            let eye = &mut self.eyes[index];
            let next = eye.next.unwrap_or(started + Ticks(eye.phase));
            if now < next {
                continue;
            }
            // Turns lie on a grid; those that nobody was there for are gone.
            let turns = now.since(next).0 / self.period + 1;
            eye.next = Some(next + Ticks(turns * self.period));
            if self.pending.len() >= PENDING_MAX {
                continue;
            }
            let Some(exposure) = eye.camera.newest(eye.newest.map_or(0, |tick| tick.0)) else {
                continue;
            };
            eye.count(exposure.tick(), exposure.sequence(), self.period);
            let job = Job {
                exposure,
                detect: !eye.moves || slow,
            };
            if self.worker.submit(job).is_err() {
                self.lose_worker();
                return;
            }
            self.pending.push_back(Pending {
                eye: index,
                due: now + self.config.latency,
            });
        }
    }

    /// Uses the looks whose latency is over.
    fn collect(&mut self, now: Tick) -> bool {
        let mut changed = false;
        while let Some(first) = self.pending.front()
            && first.due <= now
            && !self.worker_gone
        {
            let look = if self.config.wait {
                self.worker.wait().map(Some)
            } else {
                self.worker.poll()
            };
            match look {
                Ok(Some(look)) => {
                    let eye = first.eye;
                    self.pending.pop_front();
                    self.use_look(eye, look);
                    changed = true;
                }
                Ok(None) => break,
                Err(Gone) => self.lose_worker(),
            }
        }
        changed
    }

    fn use_look(&mut self, index: usize, look: Look) {
        self.looks += 1;
        let eye = &mut self.eyes[index];
        if eye.fingerprint == Some(look.fingerprint) {
            eye.repeats = eye.repeats.saturating_add(1);
        } else {
            eye.repeats = 0;
        }
        eye.fingerprint = Some(look.fingerprint);
        eye.moves |= eye.pose.is_some_and(|pose| pose != look.frame.pose);
        eye.pose = Some(look.frame.pose);
        match look.detections {
            // An image that came before tells nothing about now.
            Ok(_) if eye.repeats > 0 => {}
            Ok(detections) => {
                eye.used = Some(Tick(look.frame.tick));
                if look.detected {
                    self.tracker.observe(&look.frame, &detections);
                }
            }
            Err(error) => {
                if self.faults.len() < FAULTS_MAX {
                    self.faults.push(format!("camera `{}`: {error}", eye.name));
                }
            }
        }
        if self.frames.len() == FRAMES_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back(look.frame);
    }

    fn lose_worker(&mut self) {
        self.worker_gone = true;
        self.pending.clear();
        self.faults
            .push("the perception worker died; no image will be looked at any more".to_owned());
    }

    fn publish(&mut self, now: Tick, started: Tick, status: &LoopStatus) {
        let health = |eye: &Eye| {
            let newest = eye.used.unwrap_or(started);
            CameraHealth {
                name: Arc::clone(&eye.name),
                newest_tick: newest.0,
                stalled: self.worker_gone
                    || now.since(newest) > self.config.stalled_after
                    || eye.repeats + 1 >= self.config.frozen_after.max(2),
                dropped: eye.dropped,
            }
        };
        let cameras: Vec<_> = self.eyes.iter().map(health).collect();
        let used = |eye: &Eye| eye.used.map_or(0, |tick| tick.0);
        self.sequence += 1;
        self.published = Some(now);
        self.world.publish(WorldSnapshot {
            published_tick: now.0,
            image_tick: self.eyes.iter().map(used).min().unwrap_or(0),
            sequence: self.sequence,
            objects: self.tracker.objects(),
            cameras,
            robot: Some(*status),
        });
    }
}

impl Eye {
    /// Notes an exposure, and how many before it never arrived: a camera exposes more often than it is
    /// asked, so only those of turns without an image are lost.
    fn count(&mut self, tick: u64, sequence: u64, period: u64) {
        if let (Some(newest), Some(last)) = (self.newest, self.sequence) {
            let span = tick.saturating_sub(newest.0);
            let exposed = sequence.saturating_sub(last);
            if 2 * span > 3 * period {
                self.dropped += exposed - exposed.min(exposed.saturating_mul(period) / span);
            }
        }
        self.newest = Some(Tick(tick));
        self.sequence = Some(sequence);
    }
}

#[cfg(test)]
mod tests;
