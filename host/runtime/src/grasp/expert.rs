//! The scripted expert: a memoryless rule from one observation to one chunk.
//!
//! It plays a small model of the tool forward for a chunk's length. The rule at each step: while tool and
//! part don't fit, keep a hover height that shrinks with the misfit (a funnel, so that there is no line at
//! which the answer jumps); close where they fit; lift once the part is held. What it must remember, that the
//! gripper is being closed, it reads from the gripper's command.

use sinew_inference::{Backend, InferenceError, Session, TensorSpec};
use sinew_policy::{Feature, Manifest};

/// Length of a step, s.
const STEP_S: f64 = 0.05;
/// Fastest way across and down, m/s.
const SPEED_M_S: f64 = 0.25;
/// Fastest way down near the part, m/s.
const DESCENT_M_S: f64 = 0.20;
/// Speed of the lift, m/s.
const LIFT_M_S: f64 = 0.20;
/// Largest change of the velocity, m/s².
const ACCELERATION_M_S2: f64 = 0.8;
/// Fastest turn, rad/s, and its change, rad/s².
const TURN_RAD_S: f64 = 1.2;
const TURN_RAD_S2: f64 = 5.0;
/// Share of an error that is asked for per second.
const GAIN_PER_S: f64 = 4.0;
/// Height over the grasp at which a tool that does not fit waits, m.
const HOVER_M: f64 = 0.06;
/// Misfit (m, with yaw by its arc) below which the tool goes down, and above which it hovers.
const MISFIT_M: (f64, f64) = (0.005, 0.018);
/// Arc that turns yaw errors into lengths, m.
const YAW_ARM_M: f64 = 0.04;
/// Where the tool fits: across, yaw, height. Wide, so that no learner stalls at the edge.
const FIT_M: f64 = 0.007;
const FIT_RAD: f64 = 0.10;
const FIT_HEIGHT_M: f64 = 0.004;
const FIT_M_S: f64 = 0.04;
/// A gripper command this far below the open width means that it is closing, m.
const CLOSING_M: f64 = 0.004;
/// A closing gripper that is this far off gives up and opens again, m.
const GIVE_UP_M: f64 = 0.018;
/// Lowest tool height, m.
const TOOL_MIN_M: f64 = 0.012;
/// Width change of the fingers, m/s: slower than they are, so that the lift is never planned too early.
const FINGER_M_S: f64 = 0.12;
/// Time from touch to a firm grip, s.
const GRIP_S: f64 = 0.15;
/// Force that says that the part is held, N, and how far the width may be off then, m.
const HELD_N: f64 = 4.0;
const HELD_WIDTH_M: f64 = 0.010;
/// Height of the tool over the part's place at which the lift ends, m.
const LIFT_TO_M: f64 = 0.13;

/// What the expert reads out of an observation.
#[derive(Clone, Copy, Debug, Default)]
struct Sight {
    object: [f64; 3],
    yaw_error: f64,
    tool_z: f64,
    width: f64,
    command: f64,
    force: f64,
    velocity: [f64; 3],
    turn: f64,
    grasp_width: f64,
}

/// The tool as the expert imagines it.
struct Imagined {
    position: [f64; 3],
    yaw: f64,
    velocity: [f64; 3],
    turn: f64,
    width: f64,
    closing: bool,
    gripped_for: f64,
    held: bool,
}

/// The expert for one manifest.
#[derive(Clone, Debug)]
pub(super) struct Expert {
    features: Vec<Feature>,
    steps: usize,
    open_width: (f64, f64),
}

impl Expert {
    pub(super) fn new(manifest: &Manifest) -> Self {
        Self {
            features: manifest.observation.features.clone(),
            steps: manifest.chunk_steps,
            open_width: (manifest.gripper.open_margin_m, manifest.gripper.open_max_m),
        }
    }

    fn sight(&self, frames: &[f64]) -> Sight {
        let newest = &frames[frames.len() - self.features.len()..];
        let of = |feature| {
            let at = self.features.iter().position(|f| *f == feature);
            at.map_or(0.0, |at| newest[at])
        };
        Sight {
            object: [
                of(Feature::ObjectX),
                of(Feature::ObjectY),
                of(Feature::ObjectZ),
            ],
            yaw_error: of(Feature::YawSin2).atan2(of(Feature::YawCos2)) / 2.0,
            tool_z: of(Feature::ToolZ),
            width: of(Feature::GripperWidth),
            command: of(Feature::GripperCommand),
            force: of(Feature::GripperForce),
            velocity: [
                of(Feature::ToolDx) / STEP_S,
                of(Feature::ToolDy) / STEP_S,
                of(Feature::ToolDz) / STEP_S,
            ],
            turn: of(Feature::ToolDyaw) / STEP_S,
            grasp_width: of(Feature::GraspWidth),
        }
    }

    /// The chunk for an observation in physical units: for each step x, y, z, sin and cos of yaw, gripper.
    pub(super) fn chunk(&self, frames: &[f64]) -> Vec<f64> {
        let sight = self.sight(frames);
        let open = (sight.grasp_width + self.open_width.0).min(self.open_width.1);
        let off = sight.object[0].hypot(sight.object[1]);
        let holds = sight.force >= HELD_N
            && (sight.width - sight.grasp_width).abs() <= HELD_WIDTH_M
            && sight.command < sight.grasp_width;
        let mut tool = Imagined {
            position: [0.0; 3],
            yaw: 0.0,
            velocity: sight.velocity,
            turn: sight.turn,
            width: sight.width,
            closing: holds || (sight.command < open - CLOSING_M && off < GIVE_UP_M),
            gripped_for: 0.0,
            held: holds,
        };
        let mut chunk = Vec::with_capacity(self.steps * 6);
        for _ in 0..self.steps {
            tool.step(&sight);
            chunk.extend(tool.position);
            chunk.extend([tool.yaw.sin(), tool.yaw.cos()]);
            chunk.push(f64::from(u8::from(tool.closing)));
        }
        chunk
    }
}

impl Imagined {
    fn step(&mut self, sight: &Sight) {
        // Height of the grasp, from where the tool was when it looked.
        let grasp_z = sight.object[2].max(TOOL_MIN_M - sight.tool_z);
        let across = [
            sight.object[0] - self.position[0],
            sight.object[1] - self.position[1],
        ];
        let off = across[0].hypot(across[1]);
        let yaw_error = sight.yaw_error - self.yaw;
        let wanted;
        let mut wanted_turn = 0.0;
        if self.closing {
            self.width = (self.width - FINGER_M_S * STEP_S).max(sight.grasp_width);
            if self.width <= sight.grasp_width + 0.001 {
                self.gripped_for += STEP_S;
            }
            self.held |= self.gripped_for > GRIP_S;
            let up = sight.object[2] + LIFT_TO_M - self.position[2];
            let rise = if self.held {
                (GAIN_PER_S * up).clamp(0.0, LIFT_M_S)
            } else {
                0.0
            };
            wanted = [0.0, 0.0, rise];
        } else {
            let misfit = off + YAW_ARM_M * yaw_error.abs();
            let share = ((misfit - MISFIT_M.0) / (MISFIT_M.1 - MISFIT_M.0)).clamp(0.0, 1.0);
            let hover = HOVER_M * share * share * (3.0 - 2.0 * share);
            let down = grasp_z + hover - self.position[2];
            let speed = (GAIN_PER_S * off).min(SPEED_M_S);
            let scale = speed / off.max(1e-9);
            wanted = [
                across[0] * scale,
                across[1] * scale,
                (GAIN_PER_S * down).clamp(-DESCENT_M_S, SPEED_M_S),
            ];
            wanted_turn = (GAIN_PER_S * yaw_error).clamp(-TURN_RAD_S, TURN_RAD_S);
            self.closing = off < FIT_M
                && yaw_error.abs() < FIT_RAD
                && (grasp_z - self.position[2]).abs() < FIT_HEIGHT_M
                && self.velocity[2].abs() < FIT_M_S;
        }
        let change_max = ACCELERATION_M_S2 * STEP_S;
        let axes = self.velocity.iter_mut().zip(&mut self.position);
        for (wanted, (velocity, position)) in wanted.iter().zip(axes) {
            let change = (wanted - *velocity).clamp(-change_max, change_max);
            *position += (*velocity + 0.5 * change) * STEP_S;
            *velocity += change;
        }
        let turn_max = TURN_RAD_S2 * STEP_S;
        let change = (wanted_turn - self.turn).clamp(-turn_max, turn_max);
        self.yaw += (self.turn + 0.5 * change) * STEP_S;
        self.turn += change;
    }
}

/// What answers the runner in demonstrations and, when it is asked to, in evaluation: a session that is
/// not a network.
pub(super) type AnswerFn = Box<dyn FnMut(&[f32]) -> Result<Vec<f32>, InferenceError> + Send>;

/// A backend whose one session is a function.
pub(super) struct Teacher {
    manifest: Manifest,
    answer: std::sync::Mutex<Option<AnswerFn>>,
}

impl Teacher {
    pub(super) fn new(manifest: &Manifest, answer: AnswerFn) -> Self {
        Self {
            manifest: manifest.clone(),
            answer: std::sync::Mutex::new(Some(answer)),
        }
    }
}

impl Backend for Teacher {
    fn name(&self) -> &'static str {
        "teacher"
    }

    fn version(&self) -> String {
        "scripted".into()
    }

    fn load(&self, name: &str, _: &[u8]) -> Result<Box<dyn Session>, InferenceError> {
        let answer = self.answer.lock().ok().and_then(|mut slot| slot.take());
        let spec = |tensor: &sinew_policy::TensorShape| {
            vec![TensorSpec {
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
            }]
        };
        Ok(Box::new(TeacherSession {
            answer: answer.ok_or_else(|| InferenceError::Model {
                model: name.into(),
                backend: self.name(),
                reason: "it teaches one run only".into(),
            })?,
            inputs: spec(&self.manifest.model.input),
            outputs: spec(&self.manifest.model.output),
        }))
    }
}

struct TeacherSession {
    answer: AnswerFn,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Session for TeacherSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), InferenceError> {
        outputs[0] = (self.answer)(inputs[0])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imagined(sight: Sight) -> (Imagined, Sight) {
        let tool = Imagined {
            position: [0.0; 3],
            yaw: 0.0,
            velocity: [0.0; 3],
            turn: 0.0,
            width: 0.055,
            closing: false,
            gripped_for: 0.0,
            held: false,
        };
        (tool, sight)
    }

    #[test]
    fn played_to_its_end_the_rule_grasps_and_lifts() {
        let (mut tool, sight) = imagined(Sight {
            object: [0.03, -0.025, -0.15],
            yaw_error: 0.4,
            tool_z: 0.167,
            width: 0.055,
            command: 0.055,
            grasp_width: 0.03,
            ..Sight::default()
        });
        let mut closed_at = None;
        for step in 0..120 {
            tool.step(&sight);
            if tool.closing && closed_at.is_none() {
                closed_at = Some((step, tool.position, tool.yaw));
            }
            assert!(sight.tool_z + tool.position[2] > 0.008, "into the table");
        }
        let (step, at, yaw) = closed_at.expect("it closes");
        assert!(step < 60, "slow: {step}");
        assert!((at[0] - 0.03).abs() < 0.008 && (at[1] + 0.025).abs() < 0.008);
        assert!((yaw - 0.4).abs() < 0.12);
        assert!(tool.held && tool.position[2] > -0.15 + 0.11);
    }
}
