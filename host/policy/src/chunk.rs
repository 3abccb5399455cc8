//! From the model's output to the steps that are sent: decoding, and blending of overlapping chunks.

use std::collections::VecDeque;

use crate::heading::wrap_turn;
use crate::{Channel, Heading, Manifest};

/// Where the tool should be at the end of one step, base frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Aim {
    pub(crate) position_m: [f64; 3],
    pub(crate) yaw_rad: f64,
    /// 0 open, 1 closed.
    pub(crate) gripper: f64,
}

/// A decoded chunk: `aims[k]` belongs to the end of grid step `first_step + k`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) first_step: u64,
    pub(crate) aims: Vec<Aim>,
}

impl Answer {
    pub(crate) fn at(&self, step: u64) -> Option<&Aim> {
        let index = usize::try_from(step.checked_sub(self.first_step)?).ok()?;
        self.aims.get(index)
    }
}

/// Takes the model's output apart. `output` has `chunk_steps × channels` finite values.
pub(crate) fn decode(manifest: &Manifest, anchor: &Heading, output: &[f32]) -> Vec<Aim> {
    let channels = &manifest.action.channels;
    let statistics = &manifest.normalisation;
    output
        .chunks_exact(channels.len())
        .map(|step| {
            let mut local = [0.0; 3];
            let (mut sin, mut cos, mut gripper) = (0.0, 1.0, 0.0);
            for (index, channel) in channels.iter().enumerate() {
                let value = f64::from(step[index]) * statistics.action_std[index]
                    + statistics.action_mean[index];
                match channel {
                    Channel::X => local[0] = value,
                    Channel::Y => local[1] = value,
                    Channel::Z => local[2] = value,
                    Channel::YawSin => sin = value,
                    Channel::YawCos => cos = value,
                    Channel::Gripper => gripper = value.clamp(0.0, 1.0),
                }
            }
            let distance = libm::sqrt(local.iter().map(|value| value * value).sum());
            let scale = (manifest.action.reach_m / distance.max(f64::MIN_POSITIVE)).min(1.0);
            Aim {
                position_m: anchor.globalise(local.map(|value| value * scale)),
                yaw_rad: anchor.yaw_rad + libm::atan2(sin, cos),
                gripper,
            }
        })
        .collect()
}

/// How far two overlapping chunks are apart: means over the steps that both have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disagreement {
    /// Distance, m.
    pub position_m: f64,
    /// Angle, rad.
    pub yaw_rad: f64,
    /// Difference of the gripper channel, 0 to 1.
    pub gripper: f64,
}

/// The chunks of a run that still reach into the future.
#[derive(Debug)]
pub(crate) struct Blend {
    /// Oldest first.
    answers: VecDeque<Answer>,
    decay: f64,
    keep: usize,
}

impl Blend {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        Self {
            answers: VecDeque::new(),
            decay: manifest.blend_decay,
            keep: manifest.chunk_steps.div_ceil(manifest.infer_every_steps),
        }
    }

    /// Adds the newest chunk and says how far it is from the one before, if they overlap.
    pub(crate) fn push(&mut self, answer: Answer) -> Option<Disagreement> {
        let apart = self
            .answers
            .back()
            .and_then(|before| apart(before, &answer));
        if self.answers.len() == self.keep {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
        apart
    }

    /// The steps of the newest chunk, each averaged with what older chunks said about the same moment
    /// (temporal ensembling, Zhao et al. 2023, with the weight on the newest).
    pub(crate) fn blended(&self) -> Option<Answer> {
        let newest = self.answers.back()?;
        let aims = newest
            .aims
            .iter()
            .enumerate()
            .map(|(index, own)| {
                let step = newest.first_step + index as u64;
                let mut total = 0.0;
                let mut position = [0.0; 3];
                let (mut turn, mut gripper) = (0.0, 0.0);
                for (age, answer) in self.answers.iter().rev().enumerate() {
                    let Some(aim) = answer.at(step) else {
                        continue;
                    };
                    let weight = libm::exp(-self.decay * age as f64);
                    total += weight;
                    for (sum, value) in position.iter_mut().zip(aim.position_m) {
                        *sum += weight * value;
                    }
                    turn += weight * wrap_turn(aim.yaw_rad - own.yaw_rad);
                    gripper += weight * aim.gripper;
                }
                // `total` is at least the newest chunk's own weight of 1.
                Aim {
                    position_m: position.map(|sum| sum / total),
                    yaw_rad: own.yaw_rad + turn / total,
                    gripper: gripper / total,
                }
            })
            .collect();
        Some(Answer {
            first_step: newest.first_step,
            aims,
        })
    }
}

fn apart(before: &Answer, after: &Answer) -> Option<Disagreement> {
    let mut sum = Disagreement::default();
    let mut count = 0.0;
    for (index, aim) in after.aims.iter().enumerate() {
        let Some(other) = before.at(after.first_step + index as u64) else {
            break;
        };
        let squares = aim.position_m.iter().zip(other.position_m);
        sum.position_m += libm::sqrt(squares.map(|(a, b)| (a - b) * (a - b)).sum());
        sum.yaw_rad += wrap_turn(aim.yaw_rad - other.yaw_rad).abs();
        sum.gripper += (aim.gripper - other.gripper).abs();
        count += 1.0;
    }
    (count > 0.0).then(|| Disagreement {
        position_m: sum.position_m / count,
        yaw_rad: sum.yaw_rad / count,
        gripper: sum.gripper / count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::fixture::manifest;

    fn straight(first_step: u64, x0: f64, steps: usize) -> Answer {
        Answer {
            first_step,
            aims: (0..steps)
                .map(|k| Aim {
                    position_m: [x0 + 0.01 * (first_step + k as u64) as f64, 0.0, 0.2],
                    yaw_rad: 0.1,
                    gripper: 0.0,
                })
                .collect(),
        }
    }

    #[test]
    fn chunks_that_agree_blend_to_themselves() {
        let mut blend = Blend::new(&manifest());
        assert_eq!(blend.push(straight(0, 0.3, 16)), None);
        let apart = blend.push(straight(4, 0.3, 16)).expect("they overlap");
        assert!(apart.position_m < 1e-12 && apart.yaw_rad < 1e-12);
        let blended = blend.blended().expect("there is a chunk");
        assert_eq!(blended.first_step, 4);
        for (a, b) in blended.aims.iter().zip(straight(4, 0.3, 16).aims) {
            assert!((a.position_m[0] - b.position_m[0]).abs() < 1e-12);
        }
    }

    #[test]
    fn a_chunk_that_jumps_is_softened_where_older_ones_reach() {
        let mut blend = Blend::new(&manifest());
        blend.push(straight(0, 0.3, 16));
        let apart = blend.push(straight(4, 0.4, 16)).expect("they overlap");
        assert!((apart.position_m - 0.1).abs() < 1e-12);
        let aims = blend.blended().expect("there is a chunk").aims;
        let jump = |k: usize| aims[k].position_m[0] - 0.3 - 0.01 * (4 + k) as f64;
        assert!(jump(0) > 0.05 && jump(0) < 0.1, "{}", jump(0));
        assert!(
            (jump(15) - 0.1).abs() < 1e-12,
            "only the newest reaches so far"
        );
    }

    #[test]
    fn a_step_out_of_reach_is_pulled_back() {
        let manifest = manifest();
        let anchor = Heading {
            position_m: [0.4, 0.0, 0.2],
            yaw_rad: 0.0,
        };
        let mut output = vec![0.0; 96];
        output[0] = 1e6;
        let aims = decode(&manifest, &anchor, &output);
        let [x, y, z] = aims[0].position_m;
        let distance = ((x - 0.4).powi(2) + y * y + (z - 0.2).powi(2)).sqrt();
        assert!(distance <= manifest.action.reach_m + 1e-9, "{distance}");
        assert_eq!(aims.len(), 16);
    }
}
