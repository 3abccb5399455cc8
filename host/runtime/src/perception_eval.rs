//! The detector and what tracking makes of it against the simulator's labels, over scenes that training never saw.

use bytemuck::Zeroable;
use serde::Serialize;
use sinew_inference::choose;
use sinew_messages::{ArmGoal, ArmGoalKind, JointVector, MotionState};
use sinew_perception::evaluation::{BORDER, Evaluation, Truth};
use sinew_perception::{Detection, DetectorManifest};
use sinew_sim::Cell;
use sinew_sim::camera::dataset::Sampler;
use sinew_sim::camera::labels::{Label, labels};
use sinew_units::Ticks;
use sinew_world::ObjectTrack;

use crate::assets;
use crate::host::{Host, HostOptions, Speed, Surroundings};
use crate::kit::Kit;
use crate::sources::Sources;
use crate::trouble::input;

/// Two quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 95 of 100 are at most this large.
    pub p95: f64,
}

/// Figures of the world that skills see: objects tracked over many images of a cell at rest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackFigures {
    /// Scenes of the cell, drawn as a job without faults draws them.
    pub scenes: u64,
    /// Named poses of the robot from which each was looked at.
    pub looks: usize,
    /// Parts that at least one camera shows well enough.
    pub parts: usize,
    /// Share of them that was found.
    pub recall: f64,
    /// Tracks where no part is.
    pub false_alarms: usize,
    /// Share of the found parts whose class is right.
    pub class_accuracy: f64,
    /// Share of the found parts whose colour is right.
    pub color_accuracy: f64,
    /// Distance between found and true centres, m.
    pub position_error_m: Quantiles,
    /// Yaw error of parts that have a yaw, degrees.
    pub yaw_error_deg: Quantiles,
}

/// Figures of the detector on single images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageFigures {
    /// Images looked at.
    pub images: u64,
    /// Parts that the images show well enough to be asked for.
    pub parts: usize,
    /// Share of them that was found.
    pub recall: f64,
    /// Detections where no part is.
    pub false_alarms: usize,
    /// Share of the found parts whose class is right.
    pub class_accuracy: f64,
    /// The same without toppled parts.
    pub class_accuracy_upright: f64,
    /// Share of the found parts whose colour is right.
    pub color_accuracy: f64,
    /// Distance between found and true centres, m.
    pub position_error_m: Quantiles,
    /// Its horizontal part, m.
    pub lateral_error_m: Quantiles,
    /// Yaw error of parts that have a yaw, degrees.
    pub yaw_error_deg: Quantiles,
}

/// Figures of perception.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PerceptionFigures {
    /// What perception hands out: its keys are those of the report.
    #[serde(flatten)]
    pub tracks: TrackFigures,
    /// The detector alone, which tracking is made from.
    pub single_images: ImageFigures,
    /// The backend that ran the detector.
    pub inference_backend: String,
    /// sha256 of the model.
    pub model: String,
    /// Median position within 5 mm, median yaw within 8°, class accuracy of at least 99 %: of tracked objects,
    /// which is what perception hands out, and position and yaw of single images too.
    pub goal_reached: bool,
}

/// Median position error that counts as good, m.
const POSITION_GOAL_M: f64 = 0.005;
/// Median yaw error that counts as good, degrees.
const YAW_GOAL_DEG: f64 = 8.0;
/// Class accuracy that counts as good.
const CLASS_GOAL: f64 = 0.99;

/// Looks at one scene a seed, `first` to `last`, with every camera of the cell.
///
/// # Errors
/// If configuration or model can't be used, or the detector fails on an image.
pub fn evaluate(
    sources: &Sources,
    first: u64,
    last: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<PerceptionFigures> {
    let config = sources.load()?;
    let backend = choose(&sources.backend)
        .map_err(|error| input(error.to_string()))?
        .backend;
    let (detector, model) = assets::detector(sources.models.as_deref(), &*backend)?;
    let sampler = Sampler::new(config.cell, config.robot);
    let mut evaluation = Evaluation::default();
    let mut images = 0;
    for seed in first..=last {
        progress(seed - first, last - first + 1);
        for sample in sampler.sample(seed, 0) {
            let detections = detector.detect(&sample.frame)?;
            let truths: Vec<Truth> = sample
                .labels
                .iter()
                .filter(|label| label.is_part)
                .map(truth)
                .collect();
            evaluation.add(detector.manifest(), &detections, &truths);
            images += 1;
        }
    }
    let tracks = track(sources, first, last, progress)?;
    let single_images = ImageFigures {
        images,
        parts: evaluation.asked,
        recall: evaluation.recall(),
        false_alarms: evaluation.invented,
        class_accuracy: evaluation.class_accuracy(),
        class_accuracy_upright: evaluation.class_accuracy_upright(),
        color_accuracy: evaluation.color_accuracy(),
        position_error_m: quantiles(&|q| evaluation.position_error_m(q)),
        lateral_error_m: quantiles(&|q| evaluation.lateral_error_m(q)),
        yaw_error_deg: quantiles(&|q| evaluation.yaw_error_deg(q)),
    };
    Ok(PerceptionFigures {
        goal_reached: single_images.position_error_m.p50 <= POSITION_GOAL_M
            && single_images.yaw_error_deg.p50 <= YAW_GOAL_DEG
            && tracks.reach_the_goal(),
        tracks,
        single_images,
        inference_backend: format!("{} {}", backend.name(), backend.version()),
        model,
    })
}

fn quantiles(of: &dyn Fn(f64) -> f64) -> Quantiles {
    Quantiles {
        p50: of(0.5),
        p95: of(0.95),
    }
}

/// How long the tracker looks from each of the robot's named poses: five images a camera.
const LOOKED: Ticks = Ticks::from_ms(500);
/// Longest move from one to the next.
const MOVE: Ticks = Ticks::from_ms(10_000);
/// Who resets the robot here: it stands in the record.
const ACTOR: &str = "sinew perception eval";
/// The profile without faults.
const CALM: &str = "calm";

/// Lets the whole perception look at the cell's scenes `first` to `last` from each of the robot's named poses.
fn track(
    sources: &Sources,
    first: u64,
    last: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<TrackFigures> {
    let kit = Kit::load(sources, &[])?;
    let config = kit.config();
    let cell = Cell::new(&config.robot, &config.cell);
    let profile = config
        .profiles
        .get(CALM)
        .map_err(|error| input(error.to_string()))?;
    let manifest = kit.detector.manifest();
    let mut evaluation = Evaluation::default();
    for seed in first..=last {
        progress(seed - first, last - first + 1);
        cell.reset(seed, 0, profile);
        let options = HostOptions {
            speed: Speed::Max,
            incidents: std::env::temp_dir(),
            keep_runs: false,
            audit: None,
        };
        let mut host = Host::new(&kit, Surroundings::of(&cell), &options)?;
        host.reset(ACTOR)?;
        for (pose, id) in config.robot.poses.iter().zip(1..) {
            go_to(&mut host, &pose.joints_rad, id)?;
            host.run_for(LOOKED)?;
        }
        let seen: Vec<Detection> = host
            .world()
            .snapshot()
            .objects
            .iter()
            .filter_map(|object| detection(manifest, object))
            .collect();
        evaluation.add(manifest, &seen, &best_shown(&cell, manifest));
    }
    Ok(TrackFigures {
        scenes: last - first + 1,
        looks: config.robot.poses.len(),
        parts: evaluation.asked,
        recall: evaluation.recall(),
        false_alarms: evaluation.invented,
        class_accuracy: evaluation.class_accuracy(),
        color_accuracy: evaluation.color_accuracy(),
        position_error_m: quantiles(&|q| evaluation.position_error_m(q)),
        yaw_error_deg: quantiles(&|q| evaluation.yaw_error_deg(q)),
    })
}

/// Moves the arm and waits until it is there.
fn go_to(host: &mut Host, joints_rad: &JointVector, id: u64) -> anyhow::Result<()> {
    host.mailbox().arm.write(&ArmGoal {
        id,
        lease_end_tick: u64::MAX,
        kind: ArmGoalKind::Joint as u32,
        joints_rad: *joints_rad,
        speed_scale: 1.0,
        acceleration_scale: 1.0,
        ..ArmGoal::zeroed()
    });
    let give_up = host.now() + MOVE;
    while host.now() < give_up {
        host.step()?;
        let status = host.status();
        let state = MotionState::decode(status.arm_state);
        if status.arm_goal_id == id && state == Some(MotionState::Done) {
            return Ok(());
        }
    }
    anyhow::bail!("the arm did not reach one of the robot's named poses within {MOVE:?}")
}

/// Each part of the cell as the camera shows it that shows most of it.
fn best_shown(cell: &Cell, manifest: &DetectorManifest) -> Vec<Truth> {
    let scene = cell.scene();
    let size = [manifest.width, manifest.height].map(f64::from);
    let mut best: std::collections::BTreeMap<String, Label> = std::collections::BTreeMap::new();
    for camera in cell.cameras() {
        for label in labels(camera.optics(), &scene) {
            let is_inside =
                (0..2).all(|axis| (BORDER..=size[axis] - BORDER).contains(&label.pixel[axis]));
            let is_better = best
                .get(&label.name)
                .is_none_or(|other| other.visible < label.visible);
            if label.is_part && is_inside && is_better {
                best.insert(label.name.clone(), label);
            }
        }
    }
    best.values().map(truth).collect()
}

/// A tracked object as the evaluation takes it; `None` for a class or colour that the detector does not have.
fn detection(manifest: &DetectorManifest, object: &ObjectTrack) -> Option<Detection> {
    let [x, y, z, w] = object.pose.orientation_xyzw;
    Some(Detection {
        class: manifest
            .classes
            .iter()
            .position(|class| *class.name == *object.class)?,
        color: manifest
            .colors
            .iter()
            .position(|color| **color == *object.color)?,
        score: object.confidence,
        pose: object.pose,
        yaw_rad: f64::atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)),
        pixel: [0.0; 2],
        pixel_m: 0.0,
    })
}

fn truth(label: &Label) -> Truth {
    Truth {
        class: label.class.clone(),
        color: label.color.clone(),
        position_m: label.position_m,
        yaw_rad: label.yaw_rad,
        is_upright: label.upright > UPRIGHT_COS,
        visible: label.visible,
        pixel: label.pixel,
    }
}

/// Cosine of the tilt up to which a part counts as lying as delivered (15°).
const UPRIGHT_COS: f64 = 0.965_925_826;

impl TrackFigures {
    fn reach_the_goal(&self) -> bool {
        self.position_error_m.p50 <= POSITION_GOAL_M
            && self.yaw_error_deg.p50 <= YAW_GOAL_DEG
            && self.class_accuracy >= CLASS_GOAL
    }

    fn to_text(&self) -> String {
        format!(
            "{} scenes of the cell tracked from {} poses, {} parts to be found\n  \
             recall      {:.2} %, false alarms {}\n  \
             class       {:.2} % right (goal {:.0} %); colour {:.2} %\n  \
             position    {:.1} mm median (goal {:.0} mm), {:.1} mm p95\n  \
             yaw         {:.1}° median (goal {:.0}°), {:.1}° p95\n",
            self.scenes,
            self.looks,
            self.parts,
            100.0 * self.recall,
            self.false_alarms,
            100.0 * self.class_accuracy,
            100.0 * CLASS_GOAL,
            100.0 * self.color_accuracy,
            1e3 * self.position_error_m.p50,
            1e3 * POSITION_GOAL_M,
            1e3 * self.position_error_m.p95,
            self.yaw_error_deg.p50,
            YAW_GOAL_DEG,
            self.yaw_error_deg.p95,
        )
    }
}

impl PerceptionFigures {
    /// The figures as a person reads them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let images = &self.single_images;
        format!(
            "{} single images, {} parts to be found ({})\n  \
             recall      {:.2} %, false alarms {}\n  \
             class       {:.2} % right, {:.2} % of those not toppled; colour {:.2} %\n  \
             position    {:.1} mm median (goal {:.0} mm), {:.1} mm p95; horizontally {:.1} and {:.1} mm\n  \
             yaw         {:.1}° median (goal {:.0}°), {:.1}° p95\n\
             {}goal {}",
            images.images,
            images.parts,
            self.inference_backend,
            100.0 * images.recall,
            images.false_alarms,
            100.0 * images.class_accuracy,
            100.0 * images.class_accuracy_upright,
            100.0 * images.color_accuracy,
            1e3 * images.position_error_m.p50,
            1e3 * POSITION_GOAL_M,
            1e3 * images.position_error_m.p95,
            1e3 * images.lateral_error_m.p50,
            1e3 * images.lateral_error_m.p95,
            images.yaw_error_deg.p50,
            YAW_GOAL_DEG,
            images.yaw_error_deg.p95,
            self.tracks.to_text(),
            if self.goal_reached {
                "reached"
            } else {
                "NOT reached"
            },
        )
    }
}
