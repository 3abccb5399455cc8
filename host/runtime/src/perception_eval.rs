//! The detector against the simulator's labels, over scenes that training never saw.

use serde::Serialize;
use sinew_inference::choose;
use sinew_perception::evaluation::{Evaluation, Truth};
use sinew_sim::camera::dataset::Sampler;
use sinew_sim::camera::labels::Label;

use crate::assets;
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

/// Figures of a detector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PerceptionFigures {
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
    /// The backend that ran the detector.
    pub inference_backend: String,
    /// sha256 of the model.
    pub model: String,
    /// Median position within 5 mm, median yaw within 8°, class accuracy of at least 99 %.
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
    let quantiles = |of: &dyn Fn(f64) -> f64| Quantiles {
        p50: of(0.5),
        p95: of(0.95),
    };
    let position = quantiles(&|q| evaluation.position_error_m(q));
    let yaw = quantiles(&|q| evaluation.yaw_error_deg(q));
    Ok(PerceptionFigures {
        images,
        parts: evaluation.asked,
        recall: evaluation.recall(),
        false_alarms: evaluation.invented,
        class_accuracy: evaluation.class_accuracy(),
        class_accuracy_upright: evaluation.class_accuracy_upright(),
        color_accuracy: evaluation.color_accuracy(),
        position_error_m: position,
        lateral_error_m: quantiles(&|q| evaluation.lateral_error_m(q)),
        yaw_error_deg: yaw,
        inference_backend: format!("{} {}", backend.name(), backend.version()),
        model,
        goal_reached: position.p50 <= POSITION_GOAL_M
            && yaw.p50 <= YAW_GOAL_DEG
            && evaluation.class_accuracy() >= CLASS_GOAL,
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

impl PerceptionFigures {
    /// The figures as a person reads them.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{} images, {} parts to be found ({})\n  \
             recall      {:.2} %, false alarms {}\n  \
             class       {:.2} % right (goal {:.0} %), {:.2} % of those not toppled; colour {:.2} %\n  \
             position    {:.1} mm median (goal {:.0} mm), {:.1} mm p95; horizontally {:.1} and {:.1} mm\n  \
             yaw         {:.1}° median (goal {:.0}°), {:.1}° p95\n\
             goal {}",
            self.images,
            self.parts,
            self.inference_backend,
            100.0 * self.recall,
            self.false_alarms,
            100.0 * self.class_accuracy,
            100.0 * CLASS_GOAL,
            100.0 * self.class_accuracy_upright,
            100.0 * self.color_accuracy,
            1e3 * self.position_error_m.p50,
            1e3 * POSITION_GOAL_M,
            1e3 * self.position_error_m.p95,
            1e3 * self.lateral_error_m.p50,
            1e3 * self.lateral_error_m.p95,
            self.yaw_error_deg.p50,
            YAW_GOAL_DEG,
            self.yaw_error_deg.p95,
            if self.goal_reached {
                "reached"
            } else {
                "NOT reached"
            },
        )
    }
}
