//! Detections of several cameras → parts with an identity.
//!
//! A look (one image of one camera) is matched to the tracks; what it shows and no track explains becomes a
//! new one. A track that a look does not show is doubted only if the depth image sees through the place where
//! it should be: what the arm hides stays.

use std::sync::Arc;

use nalgebra::{Isometry3, Vector3};
use sinew_hardware::RgbdFrame;
use sinew_messages::LoopStatus;
use sinew_units::{Tick, Ticks};
use sinew_world::ObjectTrack;

use crate::detector::Detection;
use crate::grip::{self, Grip, GripChange, GripConfig, InHand};
use crate::lens::Lens;
use crate::manifest::PartClass;
use crate::track::Track;

/// When looks and tracks belong together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerConfig {
    /// Farthest that a detection may be from its track, m.
    pub gate_m: f64,
    /// The same for a part that the gripper just let go, m.
    pub gate_loose_m: f64,
    /// A differing class counts like this much distance, and so does a differing colour, m.
    pub mismatch_m: f64,
    /// Looks that must show a part before it is published.
    pub hits_min: u32,
    /// Looks through its place after which a part is gone.
    pub misses_max: f64,
    /// Share of a miss for a look that sees something at its place and does not recognise it.
    pub unrecognised_miss: f64,
    /// A part seen only once is forgotten after this long.
    pub tentative: Ticks,
    /// Least score that starts a track.
    pub birth_score: f64,
    /// Highest centre of a part that starts a track, m: what hangs higher is in a gripper, and what looks so
    /// is a part behind the arm.
    pub birth_height_max_m: f64,
    /// Largest share of a part's surroundings that something higher may hide; of a part that the arm
    /// covers in part, the detector sees the middle of what is left.
    pub hidden_share_max: f64,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            gate_m: 0.05,
            gate_loose_m: 0.12,
            mismatch_m: 0.03,
            hits_min: 2,
            misses_max: 3.0,
            unrecognised_miss: 0.125,
            tentative: Ticks::from_ms(500),
            birth_score: 0.45,
            birth_height_max_m: 0.10,
            hidden_share_max: 0.06,
        }
    }
}

/// How near the tool a part must have been for the gripper to hold it: along the tool's axes, m.
const GRASP_REACH_M: [f64; 3] = [0.035, 0.035, 0.035];
/// Pixels that a track's middle must be inside the image to be looked for.
const PROBE_MARGIN: f64 = 4.0;
const PROBE_REACH: usize = 2;
/// Something this much higher than a part's top hides it, m.
const HIDES_M: f64 = 0.015;
/// What stands this much above a part's top is no neighbour of its kind but the arm, m.
const COVERS_M: f64 = 0.03;
/// The arm is looked for this far beyond a part's own reach, m.
const REACH_SLACK_M: f64 = 0.008;
/// Two tracks nearer than this share of a part's shorter side are the same part.
const SAME_PART_SHARE: f64 = 0.5;

/// What a look says about the place of a track that it did not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// Outside the image, hidden, or without depth.
    Unknown,
    /// The depth image sees through it.
    Free,
    /// Something of its height is there.
    Present,
}

/// All parts.
pub(crate) struct Tracker {
    config: TrackerConfig,
    classes: Vec<PartClass>,
    colors: Vec<Arc<str>>,
    /// In the order of their ids.
    tracks: Vec<Track>,
    next_id: u64,
    grip: Grip,
    tool: Isometry3<f64>,
    tool_tick: u64,
}

impl Tracker {
    pub(crate) fn new(
        config: TrackerConfig,
        grip: GripConfig,
        classes: &[PartClass],
        colors: &[Arc<str>],
    ) -> Self {
        Self {
            config,
            classes: classes.to_vec(),
            colors: colors.to_vec(),
            tracks: Vec::new(),
            next_id: 1,
            grip: Grip::new(grip),
            tool: Isometry3::identity(),
            tool_tick: 0,
        }
    }

    /// Follows the gripper; every tick. True if it closed on a part or let one go.
    pub(crate) fn follow(&mut self, status: &LoopStatus) -> bool {
        let tool = grip::tool(status);
        let ticks = status.tick.saturating_sub(self.tool_tick);
        let velocity = if ticks == 0 || self.tool_tick == 0 {
            Vector3::zeros()
        } else {
            let moved = tool.translation.vector - self.tool.translation.vector;
            moved / Ticks(ticks).as_seconds()
        };
        (self.tool, self.tool_tick) = (tool, status.tick);
        let change = self.grip.observe(status);
        match change {
            GripChange::None => {}
            GripChange::Closed(width_m) => self.take(width_m),
            GripChange::Opened => {
                for track in &mut self.tracks {
                    if track.in_tool.is_some() {
                        track.detach(self.classes[track.class()].yaw_symmetry_rad);
                    }
                }
            }
        }
        for track in &mut self.tracks {
            track.ride(&tool, velocity);
        }
        change != GripChange::None
    }

    /// What the hand holds, if it holds something.
    pub(crate) fn in_hand(&self) -> Option<InHand> {
        self.grip.holds().then(|| InHand {
            class: (self.tracks.iter())
                .find(|track| track.in_tool.is_some())
                .map(|track| Arc::clone(&self.classes[track.class()].name)),
        })
    }

    /// The gripper closed on something: the part nearest to the tool, if one is near.
    fn take(&mut self, width_m: f64) {
        let tool = self.tool;
        let mut nearest: Option<(f64, usize)> = None;
        for (index, track) in self.tracks.iter().enumerate() {
            let in_tool = tool.inverse_transform_point(&track.position.into());
            let near = (0..3).all(|axis| in_tool[axis].abs() <= GRASP_REACH_M[axis]);
            let distance = in_tool.coords.norm();
            if near && nearest.is_none_or(|(best, _)| distance < best) {
                nearest = Some((distance, index));
            }
        }
        if let Some((_, index)) = nearest {
            let track = &mut self.tracks[index];
            let class = &self.classes[track.class()];
            track.attach(&tool, width_m, class);
        }
    }

    /// Takes over one look.
    pub(crate) fn observe(&mut self, frame: &RgbdFrame, detections: &[Detection]) {
        let lens = Lens::of(frame);
        let in_sight: Vec<Detection> = detections
            .iter()
            .filter(|detection| {
                let class = &self.classes[detection.class];
                hidden_share(frame, &lens, detection, class) <= self.config.hidden_share_max
            })
            .cloned()
            .collect();
        let detections = &in_sight[..];
        let pairs = self.matches(detections);
        let mut track_seen = vec![false; self.tracks.len()];
        let mut explained = vec![false; detections.len()];
        for (track, detection) in pairs {
            track_seen[track] = true;
            explained[detection] = true;
            let symmetry = self.classes[self.tracks[track].class()].yaw_symmetry_rad;
            self.tracks[track].update(&detections[detection], symmetry, frame.tick);
        }
        for (track, seen) in self.tracks.iter_mut().zip(&track_seen) {
            if *seen || track.in_tool.is_some() {
                continue;
            }
            track.misses += match probe(frame, &lens, track, &self.classes[track.class()]) {
                Probe::Unknown => 0.0,
                Probe::Free => 1.0,
                Probe::Present => self.config.unrecognised_miss,
            };
        }
        for (detection, explained) in detections.iter().zip(explained) {
            let low = detection.pose.position_m[2] <= self.config.birth_height_max_m;
            if !explained && low && detection.score >= self.config.birth_score {
                self.begin(detection, frame.tick);
            }
        }
        self.prune(Tick(frame.tick));
    }

    /// Pairs of track and detection, the nearest first, each at most once.
    fn matches(&self, detections: &[Detection]) -> Vec<(usize, usize)> {
        let mut costs = Vec::new();
        for (t, track) in self.tracks.iter().enumerate() {
            for (d, detection) in detections.iter().enumerate() {
                let apart = Vector3::from(detection.pose.position_m) - track.position;
                // What was let go may have fallen: its height says nothing then.
                let (distance, gate) = if track.loose {
                    (apart.xy().norm(), self.config.gate_loose_m)
                } else {
                    (apart.norm(), self.config.gate_m)
                };
                let mismatches = usize::from(track.class() != detection.class)
                    + usize::from(track.color() != detection.color);
                let cost = distance + self.config.mismatch_m * mismatches as f64;
                if cost <= gate {
                    costs.push((cost, t, d));
                }
            }
        }
        costs.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for (_, t, d) in costs {
            if pairs
                .iter()
                .all(|(track, detection)| *track != t && *detection != d)
            {
                pairs.push((t, d));
            }
        }
        pairs
    }

    fn begin(&mut self, detection: &Detection, tick: u64) {
        let (classes, colors) = (self.classes.len(), self.colors.len());
        self.tracks
            .push(Track::new(self.next_id, detection, tick, classes, colors));
        self.next_id += 1;
    }

    /// Forgets what is gone, what was seen once by mistake, and the younger of two tracks of one part.
    fn prune(&mut self, now: Tick) {
        let config = self.config;
        self.tracks.retain(|track| {
            let tentative = track.hits < config.hits_min;
            let old = now.since(Tick(track.last_seen_tick)) > config.tentative;
            let gone = track.misses >= if tentative { 1.0 } else { config.misses_max };
            track.in_tool.is_some() || !(gone || (tentative && old))
        });
        let mut index = 0;
        while index < self.tracks.len() {
            let track = &self.tracks[index];
            let [x, y, _] = self.classes[track.class()].size_m;
            let reach = SAME_PART_SHARE * x.min(y);
            // Of two, the one in the gripper stays, then the one seen more often, then the older.
            let rank = |t: &Track| (t.in_tool.is_some(), t.hits, core::cmp::Reverse(t.id));
            let double = self.tracks.iter().any(|other| {
                other.id != track.id
                    && (other.position - track.position).norm() < reach
                    && rank(other) > rank(track)
            });
            if double {
                self.tracks.remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// What is known, in the order of the ids.
    pub(crate) fn objects(&self) -> Vec<ObjectTrack> {
        self.tracks
            .iter()
            .filter(|track| track.hits >= self.config.hits_min)
            .map(|track| track.object(&self.classes, &self.colors))
            .collect()
    }
}

/// Share of the pixels around a detection, as far as the part reaches and a little more, at which something
/// stands well above the part. Pixels without depth count on neither side.
fn hidden_share(frame: &RgbdFrame, lens: &Lens, detection: &Detection, class: &PartClass) -> f64 {
    let [u, v] = detection.pixel;
    let Some((x, y)) = lens.pixel(u, v, 0.0) else {
        return 0.0;
    };
    let (width, height) = (
        frame.intrinsics.width as usize,
        frame.intrinsics.height as usize,
    );
    let reach_m = 0.5 * class.size_m[0].hypot(class.size_m[1]) + REACH_SLACK_M;
    // Seen from very near a part fills the image; every other pixel is enough then, and the cost is bounded.
    let reach = (reach_m / detection.pixel_m.max(1e-6)).ceil().min(60.0) as usize;
    let stride = (reach / 10).max(1);
    let top_m = detection.pose.position_m[2] + 0.5 * class.size_m[2];
    let (mut seen, mut hidden) = (0_u32, 0_u32);
    let rows = y.saturating_sub(reach)..=(y + reach).min(height - 1);
    for row in rows.step_by(stride) {
        let columns = x.saturating_sub(reach)..=(x + reach).min(width - 1);
        for column in columns.step_by(stride) {
            let depth_m = frame.depth_m.get(row * width + column).copied();
            let depth_m = f64::from(depth_m.unwrap_or(0.0));
            if depth_m > 0.0 {
                let slope = lens.ray(column as f64 + 0.5, row as f64 + 0.5).z;
                seen += 1;
                hidden += u32::from(lens.eye().z + depth_m * slope > top_m + COVERS_M);
            }
        }
    }
    f64::from(hidden) / f64::from(seen.max(1))
}

/// Looks at the depth where the middle of the track's top should be.
fn probe(frame: &RgbdFrame, lens: &Lens, track: &Track, class: &PartClass) -> Probe {
    let top = track.top(class);
    let Some((u, v, _)) = lens.project(&top) else {
        return Probe::Unknown;
    };
    let Some((x, y)) = lens.pixel(u, v, PROBE_MARGIN) else {
        return Probe::Unknown;
    };
    let width = frame.intrinsics.width as usize;
    let mut heights = Vec::with_capacity((2 * PROBE_REACH + 1).pow(2));
    // The margin keeps the window inside.
    for row in y - PROBE_REACH..=y + PROBE_REACH {
        for column in x - PROBE_REACH..=x + PROBE_REACH {
            let depth_m = frame.depth_m.get(row * width + column).copied();
            let depth_m = f64::from(depth_m.unwrap_or(0.0));
            if depth_m > 0.0 {
                let slope = lens.ray(column as f64 + 0.5, row as f64 + 0.5).z;
                heights.push(lens.eye().z + depth_m * slope);
            }
        }
    }
    if heights.len() < 5 {
        return Probe::Unknown;
    }
    heights.sort_by(f64::total_cmp);
    let height = heights[heights.len() / 2];
    if height > top.z + HIDES_M {
        Probe::Unknown
    } else if height < top.z - 0.5 * class.size_m[2] {
        Probe::Free
    } else {
        Probe::Present
    }
}

#[cfg(test)]
mod tests;
