//! One part over time.

use std::sync::Arc;

use nalgebra::{Isometry3, UnitQuaternion, Vector3};
use sinew_units::TICK_HZ;
use sinew_world::ObjectTrack;

use crate::detector::Detection;
use crate::lens::{isometry, upright, wrap};
use crate::manifest::PartClass;

/// Variance that a resting part's position gains in a second, m².
const DRIFT_M2_S: f64 = 1e-6;
/// Measured positions are off by this much at least, and by this share of a pixel, m.
const SIGMA_FLOOR_M: f64 = 1e-3;
const SIGMA_PIXELS: f64 = 0.35;
/// Standard deviation of one yaw, rad, for a part of 10 pixels; it falls with the part's size in the image.
const YAW_SIGMA_RAD: f64 = 0.10;
const YAW_DRIFT_RAD2_S: f64 = 1e-4;
/// A measurement farther off than this is believed only when the next one says the same.
const JUMP_M: f64 = 0.010;
const JUMP_RAD: f64 = 0.45;
/// Weight of what was seen before, per measurement.
const MEMORY: f64 = 0.9;
/// A look with pixels of this size votes with its score; one from nearer with more, m.
const VOTE_PIXEL_M: f64 = 0.005;
/// Weight of the old velocity, per measurement.
const VELOCITY_MEMORY: f64 = 0.6;
const SPEED_MAX_M_S: f64 = 2.0;

/// A part that was seen, and what is believed about it now.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) id: u64,
    pub(crate) position: Vector3<f64>,
    pub(crate) yaw_rad: f64,
    pub(crate) velocity: Vector3<f64>,
    variance_m2: f64,
    yaw_variance: f64,
    class_votes: Vec<f64>,
    color_votes: Vec<f64>,
    score: f64,
    pub(crate) hits: u32,
    /// Looks that should have shown it and did not.
    pub(crate) misses: f64,
    pub(crate) first_seen_tick: u64,
    pub(crate) last_seen_tick: u64,
    /// Where the last measurement was if it was too far off to be believed.
    doubted: Option<Vector3<f64>>,
    doubted_yaw: bool,
    /// Let go by the gripper and not seen since: it may have fallen some way.
    pub(crate) loose: bool,
    /// Part in the tool frame while the gripper holds it.
    pub(crate) in_tool: Option<Isometry3<f64>>,
}

impl Track {
    pub(crate) fn new(
        id: u64,
        detection: &Detection,
        tick: u64,
        classes: usize,
        colors: usize,
    ) -> Self {
        let mut track = Self {
            id,
            position: Vector3::from(detection.pose.position_m),
            yaw_rad: detection.yaw_rad,
            velocity: Vector3::zeros(),
            variance_m2: sigma_m(detection).powi(2),
            yaw_variance: YAW_SIGMA_RAD.powi(2),
            class_votes: vec![0.0; classes],
            color_votes: vec![0.0; colors],
            score: detection.score,
            hits: 1,
            misses: 0.0,
            first_seen_tick: tick,
            last_seen_tick: tick,
            doubted: None,
            doubted_yaw: false,
            loose: false,
            in_tool: None,
        };
        track.vote(detection);
        track
    }

    /// Index of the class with the most votes; of equal ones the first.
    pub(crate) fn class(&self) -> usize {
        most(&self.class_votes)
    }

    pub(crate) fn color(&self) -> usize {
        most(&self.color_votes)
    }

    fn vote(&mut self, detection: &Detection) {
        for votes in [&mut self.class_votes, &mut self.color_votes] {
            for vote in votes {
                *vote *= MEMORY;
            }
        }
        // A detector of another manifest cannot get here; an index beyond the list is simply no vote.
        let weight = detection.score * (VOTE_PIXEL_M / detection.pixel_m).clamp(0.5, 3.0);
        if let Some(vote) = self.class_votes.get_mut(detection.class) {
            *vote += weight;
        }
        if let Some(vote) = self.color_votes.get_mut(detection.color) {
            *vote += weight;
        }
        self.score = MEMORY * self.score + (1.0 - MEMORY) * detection.score;
    }

    /// Takes over a measurement of `tick`.
    pub(crate) fn update(&mut self, detection: &Detection, symmetry_rad: f64, tick: u64) {
        self.vote(detection);
        self.hits = self.hits.saturating_add(1);
        self.misses = 0.0;
        let since_s = tick.saturating_sub(self.last_seen_tick).max(1) as f64 / TICK_HZ as f64;
        self.last_seen_tick = self.last_seen_tick.max(tick);
        if self.in_tool.is_some() {
            return;
        }
        let measured = Vector3::from(detection.pose.position_m);
        let before = self.position;
        let noise = sigma_m(detection).powi(2);
        self.variance_m2 += DRIFT_M2_S * since_s;
        let innovation = measured - self.position;
        if innovation.norm() <= JUMP_M {
            let gain = self.variance_m2 / (self.variance_m2 + noise);
            self.position += innovation * gain;
            self.variance_m2 *= 1.0 - gain;
            self.doubted = None;
        } else if self.loose
            || self
                .doubted
                .is_some_and(|d| (d - measured).norm() <= 2.0 * JUMP_M)
        {
            self.position = measured;
            self.variance_m2 = noise;
            self.yaw_rad = detection.yaw_rad;
            self.yaw_variance = YAW_SIGMA_RAD.powi(2);
            self.doubted = None;
        } else {
            self.doubted = Some(measured);
        }
        self.loose = false;
        let velocity = (self.position - before) / since_s;
        let velocity = velocity.cap_magnitude(SPEED_MAX_M_S);
        self.velocity = self.velocity * VELOCITY_MEMORY + velocity * (1.0 - VELOCITY_MEMORY);
        self.turn(detection, symmetry_rad, since_s);
    }

    fn turn(&mut self, detection: &Detection, symmetry_rad: f64, since_s: f64) {
        let innovation = wrap(detection.yaw_rad - self.yaw_rad, symmetry_rad);
        let sigma = YAW_SIGMA_RAD * (detection.pixel_m / 0.005).clamp(0.3, 2.0);
        self.yaw_variance += YAW_DRIFT_RAD2_S * since_s;
        if innovation.abs() <= JUMP_RAD {
            let gain = self.yaw_variance / (self.yaw_variance + sigma * sigma);
            self.yaw_rad = wrap(self.yaw_rad + gain * innovation, symmetry_rad);
            self.yaw_variance *= 1.0 - gain;
            self.doubted_yaw = false;
        } else if self.doubted_yaw {
            self.yaw_rad = wrap(detection.yaw_rad, symmetry_rad);
            self.yaw_variance = sigma * sigma;
            self.doubted_yaw = false;
        } else {
            self.doubted_yaw = true;
        }
    }

    /// The part as it rides on the tool. Between parallel pads it is centred, and a side of the pads'
    /// distance lies along the opening: the gripper knows both better than any eye.
    pub(crate) fn attach(&mut self, tool: &Isometry3<f64>, width_m: f64, class: &PartClass) {
        let part = isometry(&upright(self.position.into(), self.yaw_rad));
        let mut in_tool = tool.inverse() * part;
        in_tool.translation.vector.y = 0.0;
        let [length, breadth, _] = class.size_m;
        let fits = |side: f64| (width_m - side).abs() < 0.006;
        if class.yaw_symmetry_rad > 0.0 && (fits(breadth) != fits(length)) {
            let along = in_tool.rotation * Vector3::x();
            let angle = libm::atan2(along.y, along.x);
            let quarter = core::f64::consts::FRAC_PI_2;
            let wanted = if fits(breadth) { 0.0 } else { quarter };
            let turn = wrap(wanted - angle, 2.0 * quarter);
            let turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), turn);
            in_tool.rotation = turn * in_tool.rotation;
        }
        self.in_tool = Some(in_tool);
        self.doubted = None;
        self.doubted_yaw = false;
    }

    /// Rides along if the gripper holds it.
    pub(crate) fn ride(&mut self, tool: &Isometry3<f64>, velocity: Vector3<f64>) {
        let Some(in_tool) = self.in_tool else {
            return;
        };
        let part = tool * in_tool;
        self.position = part.translation.vector;
        let along = part.rotation * Vector3::x();
        self.yaw_rad = libm::atan2(along.y, along.x);
        self.velocity = velocity;
    }

    /// The gripper let go.
    pub(crate) fn detach(&mut self, symmetry_rad: f64) {
        self.in_tool = None;
        self.yaw_rad = wrap(self.yaw_rad, symmetry_rad);
        self.velocity = Vector3::zeros();
        self.variance_m2 = 0.01_f64.powi(2);
        self.yaw_variance = 0.2_f64.powi(2);
        self.loose = true;
        self.misses = 0.0;
    }

    /// The track as the world publishes it.
    pub(crate) fn object(&self, classes: &[PartClass], colors: &[Arc<str>]) -> ObjectTrack {
        let class = &classes[self.class()];
        // What the fingers hold is published upright like all else, whatever the tool's lean.
        let yaw_rad = wrap(self.yaw_rad, class.yaw_symmetry_rad);
        ObjectTrack {
            id: self.id,
            class: Arc::clone(&class.name),
            color: Arc::clone(&colors[self.color()]),
            pose: upright(self.position.into(), yaw_rad),
            velocity_m_s: self.velocity.into(),
            size_m: class.size_m,
            confidence: self.score,
            position_sigma_m: self.variance_m2.sqrt().max(SIGMA_FLOOR_M),
            first_seen_tick: self.first_seen_tick,
            last_seen_tick: self.last_seen_tick,
        }
    }

    /// Middle of its top, base frame.
    pub(crate) fn top(&self, class: &PartClass) -> Vector3<f64> {
        self.position + Vector3::z() * (0.5 * class.size_m[2])
    }
}

fn most(votes: &[f64]) -> usize {
    (1..votes.len()).fold(0, |best, i| if votes[i] > votes[best] { i } else { best })
}

fn sigma_m(detection: &Detection) -> f64 {
    SIGMA_FLOOR_M + SIGMA_PIXELS * detection.pixel_m
}
