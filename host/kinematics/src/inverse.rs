//! Inverse kinematics by damped least squares, with the redundancy pulled to a rest posture.
//!
//! One step solves `dq = p + Jᵀ (J Jᵀ + λI)⁻¹ (e − J p)`: the pose error `e` first, and in what is left
//! the posture pull `p` (Nakamura, *Advanced Robotics*, 1991, chapters 4 and 9). A joint that would cross a
//! limit is locked and the step solved again without it, so limits hold exactly.

use nalgebra::{Matrix6, Vector6};
use sinew_messages::{JOINTS, JointVector};

use crate::{Chain, Forward, Isometry, Jacobian};

/// Steps of one attempt.
const STEPS_MAX: usize = 120;
/// Steps of one attempt during which the posture pull acts; afterwards the pose alone counts.
const POSTURE_STEPS: usize = 60;
/// Position error that counts as reached, m.
const POSITION_TOLERANCE_M: f64 = 1e-7;
/// Rotation error that counts as reached, rad.
const ROTATION_TOLERANCE_RAD: f64 = 1e-7;
/// Largest joint step of one iteration, rad.
const STEP_MAX_RAD: f64 = 0.25;
/// Share of a joint's half range beyond which it is pushed back.
const LIMIT_ZONE: f64 = 0.8;
/// The elbow's swing carries the redundancy, so the pull acts on the joints that swing it.
const POSTURE_WEIGHT: JointVector = [0.0, 0.0, 1.0, 0.0, 0.3, 0.0, 0.0];

/// Why there is no joint position for a pose.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum IkError {
    /// The pose or the seed has a NaN or an infinity in it.
    #[error("the target or the seed is not finite")]
    NonFinite,
    /// No attempt got there.
    #[error(
        "no joint position reaches the pose: the best attempt ends {position_error_m:.4} m and {rotation_error_rad:.4} rad away"
    )]
    Unreachable {
        /// Position error of the best attempt, m.
        position_error_m: f64,
        /// Rotation error of the best attempt, rad.
        rotation_error_rad: f64,
    },
    /// The pose is reached, but by no joint position that the caller accepts.
    #[error("the pose is reached, but by no joint position that is accepted")]
    NotAccepted,
}

/// How [`Chain::inverse_step`] steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOptions {
    /// The λ of damped least squares.
    pub damping: f64,
    /// Share of the way to the rest posture that one step may take, 0 to 1.
    pub posture_gain: f64,
    /// Largest joint step, rad; the whole step is scaled.
    pub step_max_rad: f64,
}

/// What one step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOutcome {
    /// Joint positions after the step, within limits if the start was.
    pub joints_rad: JointVector,
    /// Position error before the step, m.
    pub position_error_m: f64,
    /// Rotation error before the step, rad.
    pub rotation_error_rad: f64,
}

impl Chain {
    /// Joint positions that bring the TCP to `target`, the nearest that damped least squares finds from
    /// `seed`; where it finds none, from a fixed set of other seeds. Deterministic, without allocation.
    ///
    /// # Errors
    /// [`IkError`] if the input is not finite or no attempt reaches the pose within the joint limits.
    pub fn inverse(&self, target: &Isometry, seed: &JointVector) -> Result<JointVector, IkError> {
        self.inverse_where(target, seed, |_| true)
    }

    /// Like [`Chain::inverse`], among the joint positions that `accept` holds for: where the one nearest to
    /// the seed comes too close to a limit, say, another branch of the arm may not.
    ///
    /// # Errors
    /// As [`Chain::inverse`]; [`IkError::NotAccepted`] if the pose is reached but never accepted.
    pub fn inverse_where(
        &self,
        target: &Isometry,
        seed: &JointVector,
        accept: impl Fn(&JointVector) -> bool,
    ) -> Result<JointVector, IkError> {
        let target_finite = target.translation.vector.iter().all(|c| c.is_finite())
            && target.rotation.coords.iter().all(|c| c.is_finite());
        if !target_finite || !seed.iter().all(|q| q.is_finite()) {
            return Err(IkError::NonFinite);
        }
        let mut best = (f64::INFINITY, f64::INFINITY);
        let mut reached = false;
        for attempt in 0..seeds::COUNT {
            let start = seeds::start(self, target, seed, attempt);
            match self.attempt(target, start) {
                Ok(joints) if accept(&joints) => return Ok(joints),
                Ok(_) => reached = true,
                Err(error) => {
                    if error.0 + error.1 < best.0 + best.1 {
                        best = error;
                    }
                }
            }
        }
        if reached {
            return Err(IkError::NotAccepted);
        }
        Err(IkError::Unreachable {
            position_error_m: best.0,
            rotation_error_rad: best.1,
        })
    }

    /// One damped step from `q` towards `target`, for following a path. A non-finite input leaves `q` as it is.
    #[must_use]
    pub fn inverse_step(
        &self,
        target: &Isometry,
        q: &JointVector,
        options: &StepOptions,
    ) -> StepOutcome {
        let forward = self.forward(q);
        let error = pose_error(target, &forward);
        let pull = self.posture_pull(q, options.posture_gain);
        let step = self.limited_step(&self.jacobian(&forward), &error, options.damping, &pull, q);
        StepOutcome {
            joints_rad: self.advance(q, &step, options.step_max_rad),
            position_error_m: error.fixed_rows::<3>(0).norm(),
            rotation_error_rad: error.fixed_rows::<3>(3).norm(),
        }
    }

    fn attempt(&self, target: &Isometry, start: JointVector) -> Result<JointVector, (f64, f64)> {
        let mut q = start;
        let mut errors = (f64::INFINITY, f64::INFINITY);
        for step in 0..STEPS_MAX {
            let forward = self.forward(&q);
            let error = pose_error(target, &forward);
            errors = (
                error.fixed_rows::<3>(0).norm(),
                error.fixed_rows::<3>(3).norm(),
            );
            if errors.0 < POSITION_TOLERANCE_M && errors.1 < ROTATION_TOLERANCE_RAD {
                return Ok(q);
            }
            let damping = (0.1 * error.norm_squared() + 1e-9).min(1e-4);
            let gain = if step < POSTURE_STEPS { 0.1 } else { 0.0 };
            let pull = self.posture_pull(&q, gain);
            let dq = self.limited_step(&self.jacobian(&forward), &error, damping, &pull, &q);
            q = self.advance(&q, &dq, STEP_MAX_RAD);
        }
        Err(errors)
    }

    /// Pull to the rest posture, and away from limits that are near.
    fn posture_pull(&self, q: &JointVector, gain: f64) -> JointVector {
        core::array::from_fn(|i| {
            let joint = &self.joints[i];
            let middle = 0.5 * (joint.lower_rad + joint.upper_rad);
            let half = 0.5 * (joint.upper_rad - joint.lower_rad);
            let share = (q[i] - middle) / half;
            let beyond = (share.abs() - LIMIT_ZONE).max(0.0) * half;
            let back = if share > 0.0 { -beyond } else { beyond };
            gain * (POSTURE_WEIGHT[i] * (self.rest_rad[i] - q[i]) + back)
        })
    }

    /// The damped step, solved again without the joints that would cross a limit.
    fn limited_step(
        &self,
        jacobian: &Jacobian,
        error: &Vector6<f64>,
        damping: f64,
        pull: &JointVector,
        q: &JointVector,
    ) -> JointVector {
        let mut jacobian = *jacobian;
        let mut pull = nalgebra::SVector::<f64, JOINTS>::from(*pull);
        let mut locked = [false; JOINTS];
        for _ in 0..=JOINTS {
            let square = jacobian * jacobian.transpose() + Matrix6::identity() * damping;
            let Some(cholesky) = square.cholesky() else {
                return [0.0; JOINTS];
            };
            let step = pull + jacobian.transpose() * cholesky.solve(&(error - jacobian * pull));
            let mut crossed = false;
            for i in 0..JOINTS {
                let after = q[i] + step[i];
                let outside = after < self.joints[i].lower_rad || after > self.joints[i].upper_rad;
                // A joint with room left may still go to its limit: `advance` clamps it there.
                let at_limit = (step[i] < 0.0 && q[i] <= self.joints[i].lower_rad)
                    || (step[i] > 0.0 && q[i] >= self.joints[i].upper_rad);
                if outside && at_limit && !locked[i] {
                    locked[i] = true;
                    crossed = true;
                    jacobian.column_mut(i).fill(0.0);
                    pull[i] = 0.0;
                }
            }
            if !crossed {
                return core::array::from_fn(|i| if locked[i] { 0.0 } else { step[i] });
            }
        }
        [0.0; JOINTS]
    }

    fn advance(&self, q: &JointVector, step: &JointVector, step_max_rad: f64) -> JointVector {
        if !step.iter().all(|s| s.is_finite()) {
            return *q;
        }
        let largest = step.iter().fold(0.0_f64, |m, s| m.max(s.abs()));
        let scale = if largest > step_max_rad {
            step_max_rad / largest
        } else {
            1.0
        };
        core::array::from_fn(|i| {
            // Clamp against the start too: one who starts outside must not jump.
            let lower = self.joints[i].lower_rad.min(q[i]);
            let upper = self.joints[i].upper_rad.max(q[i]);
            (q[i] + scale * step[i]).clamp(lower, upper)
        })
    }
}

/// Error from the tool to the target: position (m), then rotation vector (rad), base frame.
fn pose_error(target: &Isometry, forward: &Forward) -> Vector6<f64> {
    let linear = target.translation.vector - forward.tool.translation.vector;
    let angular = (target.rotation * forward.tool.rotation.inverse()).scaled_axis();
    Vector6::new(
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z,
    )
}

/// The seeds of an inverse: the caller's, the rest posture turned to the target, then spread variants.
mod seeds {
    use sinew_messages::{JOINTS, JointVector};

    use crate::{Chain, Isometry};

    pub(super) const COUNT: usize = 12;

    pub(super) fn start(
        chain: &Chain,
        target: &Isometry,
        seed: &JointVector,
        attempt: usize,
    ) -> JointVector {
        let clamp = |q: JointVector| -> JointVector {
            core::array::from_fn(|i| {
                q[i].clamp(chain.joints[i].lower_rad, chain.joints[i].upper_rad)
            })
        };
        if attempt == 0 {
            return clamp(*seed);
        }
        let t = target.translation.vector;
        let mut q = chain.rest_rad;
        q[0] = libm::atan2(t.y, t.x);
        // From the second on: a fixed low-discrepancy spread (multiples of irrational steps) around the rest.
        for (i, q) in q.iter_mut().enumerate().take(JOINTS) {
            let phase = (attempt - 1) as f64 * (0.618_033_988_749_894_9 + 0.137 * i as f64);
            let unit = phase - libm::floor(phase);
            if attempt > 1 {
                *q += (unit - 0.5) * 1.6;
            }
        }
        clamp(q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chain::tests::arm, tool_down};

    #[test]
    fn inverse_undoes_forward() {
        let chain = arm();
        for (n, q) in [
            [0.2, 0.4, 0.1, 1.6, -0.2, 0.8, 0.3],
            [-0.9, 0.7, -0.3, 1.1, 0.5, 1.2, -1.0],
        ]
        .into_iter()
        .enumerate()
        {
            let target = chain.forward(&q).tool;
            let found = chain
                .inverse(&target, chain.rest())
                .unwrap_or_else(|error| panic!("case {n}: {error}"));
            let reached = chain.forward(&found).tool;
            assert!((reached.translation.vector - target.translation.vector).norm() < 1e-6);
            assert!(reached.rotation.angle_to(&target.rotation) < 1e-6);
            assert!(chain.is_within_limits(&found));
        }
    }

    #[test]
    fn out_of_reach_says_how_far() {
        let chain = arm();
        let error = chain
            .inverse(&tool_down([2.0, 0.0, 0.1], 0.0), chain.rest())
            .expect_err("two metres away");
        assert!(
            matches!(error, IkError::Unreachable { position_error_m, .. } if position_error_m > 0.5)
        );
        let error = chain
            .inverse(&tool_down([f64::NAN, 0.0, 0.1], 0.0), chain.rest())
            .expect_err("NaN");
        assert_eq!(error, IkError::NonFinite);
    }

    #[test]
    fn a_solution_that_is_not_accepted_is_not_the_last_one() {
        let chain = arm();
        let target = tool_down([0.45, -0.2, 0.1], 0.0);
        let asked = core::cell::Cell::new(0);
        let third = |_: &JointVector| {
            asked.set(asked.get() + 1);
            asked.get() == 3
        };
        let found = (chain.inverse_where(&target, chain.rest(), third)).expect("reachable");
        assert_eq!(asked.get(), 3);
        let reached = chain.forward(&found).tool;
        assert!((reached.translation.vector - target.translation.vector).norm() < 1e-6);
        let none = chain.inverse_where(&target, chain.rest(), |_| false);
        assert_eq!(none, Err(IkError::NotAccepted));
    }

    #[test]
    fn following_a_line_keeps_limits_and_closes_in() {
        let chain = arm();
        let mut q = chain
            .inverse(&tool_down([0.4, -0.2, 0.1], 0.0), chain.rest())
            .expect("reachable");
        let options = StepOptions {
            damping: 1e-6,
            posture_gain: 0.02,
            step_max_rad: 0.05,
        };
        for step in 0..=400 {
            let share = f64::from(step) / 400.0;
            let target = tool_down([0.4 + 0.1 * share, -0.2 + 0.5 * share, 0.1], share);
            let outcome = chain.inverse_step(&target, &q, &options);
            assert!(outcome.position_error_m < 2e-3);
            q = outcome.joints_rad;
            assert!(chain.is_within_limits(&q));
        }
    }
}
