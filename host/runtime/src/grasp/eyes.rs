//! Where the poses of an episode come from.

use std::collections::VecDeque;

use sinew_messages::LoopStatus;
use sinew_perception::Perception;
use sinew_policy::Heading;
use sinew_sim::Cell;
use sinew_sim::scene::{SceneState, SolidKind};
use sinew_units::{Tick, Ticks};
use sinew_world::{CameraHealth, ObjectTrack, WorldSnapshot, WorldWriter};

use super::noise::Noise;

/// Rate and delay of a stand-in for perception.
const PERIOD: Ticks = Ticks::from_ms(100);
const DELAY: Ticks = Ticks::from_ms(80);
/// The hand hides a part that it is over and less than this above, m.
const HIDDEN_BELOW_M: f64 = 0.05;

/// A part as it truly is: for demonstrations and grading only.
#[derive(Clone, Debug)]
pub(super) struct TruePart {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) color: String,
    pub(super) heading: Heading,
    pub(super) size_m: [f64; 3],
}

/// The parts of a scene, in its order.
pub(super) fn true_parts(scene: &SceneState) -> Vec<TruePart> {
    let solids = scene.model.solids.iter().zip(&scene.poses);
    solids
        .filter(|(solid, _)| solid.kind == SolidKind::Part)
        .map(|(solid, pose)| TruePart {
            name: solid.name.clone(),
            class: solid.class.clone(),
            color: solid.color.clone(),
            heading: Heading::of(pose),
            size_m: solid.shape.half_extents_m().map(|half| 2.0 * half),
        })
        .collect()
}

/// How wrong the stand-in for perception is: standard deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PoseNoise {
    /// Error of an episode's every pose, each axis, m.
    pub(super) bias_m: f64,
    /// The same for yaw, rad.
    pub(super) bias_rad: f64,
    /// Error of one pose, each axis, m.
    pub(super) jitter_m: f64,
    /// The same for yaw, rad.
    pub(super) jitter_rad: f64,
}

impl PoseNoise {
    /// About as wrong as the detector is.
    pub(super) const USUAL: Self = Self {
        bias_m: 0.002,
        bias_rad: 0.035,
        jitter_m: 0.0012,
        jitter_rad: 0.02,
    };

    pub(super) fn scaled(self, factor: f64) -> Self {
        Self {
            bias_m: self.bias_m * factor,
            bias_rad: self.bias_rad * factor,
            jitter_m: self.jitter_m * factor,
            jitter_rad: self.jitter_rad * factor,
        }
    }
}

/// Truth with noise, at perception's rate and with its delay.
pub(super) struct NoisyEyes {
    cell: Cell,
    size: PoseNoise,
    noise: Noise,
    bias: ([f64; 3], f64),
    /// True if a part in the hand is seen there; otherwise it stays where it was seen last.
    sees_held: bool,
    next: Tick,
    seen: Vec<ObjectTrack>,
    under_way: VecDeque<(Tick, Vec<ObjectTrack>)>,
    sequence: u64,
}

impl NoisyEyes {
    pub(super) fn new(cell: &Cell, size: PoseNoise, seed: u64) -> Self {
        let mut noise = Noise::new(seed, "eyes");
        let bias = core::array::from_fn(|_| noise.normal(size.bias_m));
        Self {
            cell: cell.clone(),
            size,
            bias: (bias, noise.normal(size.bias_rad)),
            sees_held: noise.uniform(0.0, 1.0) < 0.5,
            noise,
            next: Tick(0),
            seen: Vec::new(),
            under_way: VecDeque::new(),
            sequence: 0,
        }
    }

    fn look(&mut self, now: Tick, tool: &Heading) -> Vec<ObjectTrack> {
        let scene = self.cell.scene();
        let mut tracks = Vec::new();
        for (index, part) in true_parts(&scene).into_iter().enumerate() {
            let id = index as u64 + 1;
            let [x, y, z] = tool.localise(part.heading.position_m);
            let is_hidden = x.hypot(y) < 0.05 && -z < HIDDEN_BELOW_M;
            let before = self.seen.iter().find(|track| track.id == id);
            if let Some(before) = before
                && is_hidden
                && !self.sees_held
            {
                tracks.push(before.clone());
                continue;
            }
            let mut position_m = part.heading.position_m;
            for (value, bias) in position_m.iter_mut().zip(self.bias.0) {
                *value += bias + self.noise.normal(self.size.jitter_m);
            }
            let yaw = part.heading.yaw_rad + self.bias.1 + self.noise.normal(self.size.jitter_rad);
            let (sin, cos) = (yaw / 2.0).sin_cos();
            tracks.push(ObjectTrack {
                id,
                class: part.class.into(),
                color: part.color.into(),
                pose: sinew_messages::Pose {
                    position_m,
                    orientation_xyzw: [0.0, 0.0, sin, cos],
                },
                velocity_m_s: [0.0; 3],
                size_m: part.size_m,
                confidence: 1.0,
                position_sigma_m: self.size.bias_m,
                first_seen_tick: before.map_or(now.0, |before| before.first_seen_tick),
                last_seen_tick: now.0,
            });
        }
        self.seen.clone_from(&tracks);
        tracks
    }

    fn step(&mut self, now: Tick, status: &LoopStatus, writer: &mut WorldWriter) {
        if now >= self.next {
            self.next = now + PERIOD;
            let tracks = self.look(now, &Heading::of(&status.tool_pose));
            self.under_way.push_back((now, tracks));
        }
        let due = |(taken, _): &(Tick, Vec<ObjectTrack>)| *taken + DELAY <= now;
        if self.under_way.front().is_some_and(due)
            && let Some((taken, objects)) = self.under_way.pop_front()
        {
            self.sequence += 1;
            writer.publish(WorldSnapshot {
                published_tick: now.0,
                image_tick: taken.0,
                sequence: self.sequence,
                objects,
                cameras: Vec::<CameraHealth>::new(),
                robot: Some(*status),
            });
        }
    }
}

/// What fills the world of an episode.
pub(super) enum Eyes {
    /// Truth with noise.
    Noisy(Box<NoisyEyes>, WorldWriter),
    /// Cameras and detector, as in a job.
    Cameras(Box<Perception>),
}

impl Eyes {
    pub(super) fn step(&mut self, now: Tick, status: &LoopStatus) {
        match self {
            Self::Noisy(eyes, writer) => eyes.step(now, status, writer),
            Self::Cameras(perception) => perception.step(now, status),
        }
    }
}
