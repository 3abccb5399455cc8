//! `policy.toml`: everything that the runtime must know to run a model, checked before it runs.

use serde::Deserialize;
use sinew_messages::CHUNK_STEPS_MAX;
use sinew_units::{TICK_HZ, Ticks};

use crate::{Calibration, EndCondition, Feature, PolicyError};

/// Normalised values are kept within this many standard deviations: a network extrapolates badly, and a
/// feature that was nearly constant in training must not shout.
pub(crate) const NORMALISED_MAX: f64 = 6.0;

/// The manifest of a policy. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name that skills ask for.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Length of one step, ms. The rate of the policy is `1000 / step_ms`.
    pub step_ms: u64,
    /// Steps a chunk.
    pub chunk_steps: usize,
    /// Steps between two inferences. Chunks overlap by the rest.
    pub infer_every_steps: usize,
    /// A chunk that is n inferences old has the weight `exp(−n·blend_decay)` in the blend.
    pub blend_decay: f64,
    /// The ONNX file.
    pub model: ModelSpec,
    /// What goes in.
    pub observation: ObservationSpec,
    /// What comes out.
    pub action: ActionSpec,
    /// How the gripper channel becomes a gripper command.
    pub gripper: GripperSpec,
    /// Object classes that the policy was made for.
    #[serde(rename = "object")]
    pub objects: Vec<ObjectSpec>,
    /// When a run is over.
    pub end: EndCondition,
    /// Statistics of the training data.
    pub normalisation: Normalisation,
    /// Confidence from the disagreement of chunks.
    pub confidence: Calibration,
    /// Where the model comes from: free text by key.
    pub provenance: std::collections::BTreeMap<String, String>,
}

/// The model file and the tensors that it must have.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// File name beside the manifest.
    pub file: String,
    /// sha256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// The one input.
    pub input: TensorShape,
    /// The one output.
    pub output: TensorShape,
}

/// Name and shape of a tensor.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorShape {
    /// Name in the model.
    pub name: String,
    /// Extents, batch 1 included.
    pub shape: Vec<usize>,
}

/// How the observation vector is made: `history` frames, oldest first, each with all `features`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservationSpec {
    /// Frames, one step apart.
    pub history: usize,
    /// What a frame holds, in order.
    pub features: Vec<Feature>,
    /// While the tool is less than this above the object's centre and within `freeze_radius_m` of it,
    /// the hand hides the object: the pose that was seen last stays. So it does once the part is held.
    pub freeze_height_m: f64,
    /// See `freeze_height_m`.
    pub freeze_radius_m: f64,
}

/// What one step of the output holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// The channels of a step, in order; the output is `chunk_steps` times these.
    pub channels: Vec<Channel>,
    /// No step may be farther than this from the anchor, m; what is, is pulled back onto it.
    pub reach_m: f64,
}

/// A channel of the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Tool position at the end of the step in the anchor, m.
    X,
    /// As `x`.
    Y,
    /// As `x`.
    Z,
    /// Sine of the tool's yaw at the end of the step in the anchor.
    YawSin,
    /// Cosine of the same.
    YawCos,
    /// 0 open, 1 closed.
    Gripper,
}

impl Channel {
    const ALL: [Self; 6] = [
        Self::X,
        Self::Y,
        Self::Z,
        Self::YawSin,
        Self::YawCos,
        Self::Gripper,
    ];
}

/// From the gripper channel to a width and a force.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GripperSpec {
    /// Closed from here on; 0 to 1.
    pub close_above: f64,
    /// Open is the part's grasp width and this, m.
    pub open_margin_m: f64,
    /// Never wider than this, m.
    pub open_max_m: f64,
    /// Width asked for while closed, m; the part stops the pads earlier.
    pub closed_width_m: f64,
    /// Force limit, N.
    pub force_n: f64,
}

/// An object class that the policy can be asked for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectSpec {
    /// Class name of the detector.
    pub class: String,
    /// Which turns about z leave the grasp as it is.
    pub yaw: YawSymmetry,
}

/// Symmetry of a grasp about the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum YawSymmetry {
    /// A parallel gripper grasps the same after half a turn.
    HalfTurn,
    /// Round: any direction.
    Free,
}

/// Statistics that normalise inputs and outputs: `(x − mean) / std`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// One a value of the observation vector.
    pub observation_mean: Vec<f64>,
    /// One a value of the observation vector, all above zero.
    pub observation_std: Vec<f64>,
    /// One a channel.
    pub action_mean: Vec<f64>,
    /// One a channel, all above zero.
    pub action_std: Vec<f64>,
}

impl Manifest {
    /// Reads and checks a manifest; `origin` names the file in errors.
    ///
    /// # Errors
    /// [`PolicyError::Manifest`] with the line and key, or the rule that is broken.
    pub fn from_toml_str(text: &str, origin: &str) -> Result<Self, PolicyError> {
        let wrong = |reason: String| PolicyError::Manifest {
            origin: origin.into(),
            reason,
        };
        let manifest: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        manifest.check().map_err(wrong)?;
        Ok(manifest)
    }

    /// Checks everything that one key alone does not show.
    pub(crate) fn check(&self) -> Result<(), String> {
        let rule = |holds: bool, broken: &str| {
            if holds {
                Ok(())
            } else {
                Err(broken.to_owned())
            }
        };
        let positive = |value: f64| value.is_finite() && value > 0.0;
        rule(!self.name.is_empty(), "name is empty")?;
        rule(
            (1..=1_000).contains(&self.step_ms) && (self.step_ms * TICK_HZ).is_multiple_of(1_000),
            "step_ms must be 1 to 1000 and whole ticks",
        )?;
        rule(
            (1..=CHUNK_STEPS_MAX).contains(&self.chunk_steps),
            "chunk_steps must be 1 to 32",
        )?;
        rule(
            (1..=self.chunk_steps).contains(&self.infer_every_steps),
            "infer_every_steps must be 1 to chunk_steps",
        )?;
        rule(
            self.blend_decay.is_finite() && self.blend_decay >= 0.0,
            "blend_decay must be zero or more",
        )?;
        let observation = &self.observation;
        rule(
            (1..=16).contains(&observation.history),
            "observation.history must be 1 to 16",
        )?;
        rule(
            positive(observation.freeze_height_m) && positive(observation.freeze_radius_m),
            "observation.freeze_height_m and freeze_radius_m must be above zero",
        )?;
        for channel in Channel::ALL {
            let count = self
                .action
                .channels
                .iter()
                .filter(|c| **c == channel)
                .count();
            rule(
                count == 1,
                "action.channels must name x, y, z, yaw-sin, yaw-cos and gripper once each",
            )?;
        }
        rule(
            positive(self.action.reach_m),
            "action.reach_m must be above zero",
        )?;
        let gripper = &self.gripper;
        rule(
            gripper.close_above > 0.0 && gripper.close_above < 1.0,
            "gripper.close_above must lie between 0 and 1",
        )?;
        rule(
            positive(gripper.open_margin_m)
                && positive(gripper.open_max_m)
                && positive(gripper.force_n)
                && gripper.closed_width_m >= 0.0
                && gripper.closed_width_m < gripper.open_max_m,
            "gripper widths and force must be above zero, closed_width_m below open_max_m",
        )?;
        rule(!self.objects.is_empty(), "no [[object]]")?;
        let inputs = self.observation_len();
        let outputs = self.chunk_steps * self.action.channels.len();
        let statistics = &self.normalisation;
        rule(
            self.model.input.shape.iter().product::<usize>() == inputs,
            &format!("model.input.shape does not hold history × features = {inputs} values"),
        )?;
        rule(
            self.model.output.shape.iter().product::<usize>() == outputs,
            &format!("model.output.shape does not hold chunk_steps × channels = {outputs} values"),
        )?;
        rule(
            statistics.observation_mean.len() == inputs
                && statistics.observation_std.len() == inputs,
            &format!("normalisation.observation_* must have {inputs} values"),
        )?;
        rule(
            statistics.action_mean.len() == self.action.channels.len()
                && statistics.action_std.len() == self.action.channels.len(),
            "normalisation.action_* must have one value a channel",
        )?;
        let finite = statistics
            .observation_mean
            .iter()
            .chain(&statistics.action_mean)
            .all(|mean| mean.is_finite());
        let spread = statistics
            .observation_std
            .iter()
            .chain(&statistics.action_std)
            .all(|std| positive(*std));
        rule(
            finite && spread,
            "normalisation means must be finite and standard deviations above zero",
        )?;
        self.end.check()?;
        self.confidence.check()
    }

    /// Values of the observation vector.
    #[must_use]
    pub fn observation_len(&self) -> usize {
        self.observation.history * self.observation.features.len()
    }

    /// An observation vector in physical units, normalised as the model expects it.
    #[must_use]
    pub fn normalise(&self, observation: &[f64]) -> Vec<f32> {
        let statistics = &self.normalisation;
        observation
            .iter()
            .zip(
                statistics
                    .observation_mean
                    .iter()
                    .zip(&statistics.observation_std),
            )
            .map(|(value, (mean, std))| {
                // A NaN stays one and is refused by the backend.
                ((value - mean) / std).clamp(-NORMALISED_MAX, NORMALISED_MAX) as f32
            })
            .collect()
    }

    /// Length of a step in ticks.
    #[must_use]
    pub fn step_ticks(&self) -> Ticks {
        Ticks::from_ms(self.step_ms)
    }

    /// What the policy knows about a class, if it was made for it.
    #[must_use]
    pub fn object(&self, class: &str) -> Option<&ObjectSpec> {
        self.objects.iter().find(|object| object.class == class)
    }
}
