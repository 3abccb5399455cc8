//! A straight line of the tool as a smooth curve of the joints over a path parameter.
//!
//! The line is solved for joint positions at evenly spaced knots once, when the goal is taken over, and
//! joined by a cubic spline: between knots 10 mm apart it stays within a micrometre of the line. Following it
//! costs no inverse kinematics and adds no numeric noise, and its derivatives say beforehand how fast the
//! path may be travelled so that every joint keeps its limits.

use nalgebra::{Translation3, UnitQuaternion};
use sinew_kinematics::{Chain, Isometry, StepOptions};
use sinew_messages::{JOINTS, JointVector};

use crate::limits::MotionLimits;
use crate::profile::AxisLimits;

/// Most pieces of the spline.
const PIECES_MAX: usize = 64;
/// Fewest pieces: the end slopes are taken from five knots.
const PIECES_MIN: usize = 8;
/// Distance between knots, unless that takes too many, m.
const KNOT_SPACING_M: f64 = 0.01;
/// Angle between knots, unless that takes too many, rad.
const KNOT_SPACING_RAD: f64 = 0.05;
/// Damped steps of the inverse for a knot.
const STEPS_MAX: usize = 12;
/// Position (m) and rotation (rad) error before the last damped step of a knot; the step squares it.
const KNOT_TOLERANCE: f64 = 1e-6;
/// A joint that turns further than this between two knots passes a singularity, rad.
const KNOT_TURN_MAX_RAD: f64 = 0.5;
/// Bounds on the path parameter's own motion where a path is too short for anything else to bound it.
const SHORT_PATH: AxisLimits = AxisLimits {
    velocity: 50.0,
    acceleration: 500.0,
    jerk: 20_000.0,
};

/// The line can't be followed: part of it is out of reach or passes a singularity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfReach;

/// True if an arm that rests at `start` can take its tool to `target` in a straight line: what a goal of that kind is asked
/// before it is accepted.
#[must_use]
pub fn can_follow_line(
    chain: &Chain,
    limits: &MotionLimits,
    start: &JointVector,
    target: &Isometry,
) -> bool {
    Path::empty().plan(chain, limits, start, target).is_ok()
}

/// Joint positions and their first two derivatives by the path parameter.
pub(crate) struct PathPoint {
    pub(crate) position: JointVector,
    pub(crate) slope: JointVector,
    pub(crate) bend: JointVector,
}

/// The curve; its parameter goes from 0 to 1.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    knots: [JointVector; PIECES_MAX + 1],
    slopes: [JointVector; PIECES_MAX + 1],
    pieces: usize,
    length_m: f64,
    angle_rad: f64,
}

impl Path {
    /// A path that goes nowhere; storage for [`Self::plan`].
    pub(crate) fn empty() -> Self {
        Self {
            knots: [[0.0; JOINTS]; PIECES_MAX + 1],
            slopes: [[0.0; JOINTS]; PIECES_MAX + 1],
            pieces: PIECES_MIN,
            length_m: 0.0,
            angle_rad: 0.0,
        }
    }

    /// Replaces the curve by the line of the tool from joint positions `start` to `target`.
    pub(crate) fn plan(
        &mut self,
        chain: &Chain,
        limits: &MotionLimits,
        start: &JointVector,
        target: &Isometry,
    ) -> Result<(), OutOfReach> {
        let from = chain.forward(start).tool;
        let way = target.translation.vector - from.translation.vector;
        let turn = (target.rotation * from.rotation.inverse()).scaled_axis();
        self.length_m = way.norm();
        self.angle_rad = turn.norm();
        let wanted =
            libm::ceil((self.length_m / KNOT_SPACING_M).max(self.angle_rad / KNOT_SPACING_RAD));
        // A float-to-integer cast saturates, so a line to the moon is still bounded.
        self.pieces = (wanted as usize).clamp(PIECES_MIN, PIECES_MAX);
        self.knots[0] = *start;
        for knot in 1..=self.pieces {
            let share = knot as f64 / self.pieces as f64;
            let pose = Isometry::from_parts(
                Translation3::from(from.translation.vector + way * share),
                UnitQuaternion::from_scaled_axis(turn * share) * from.rotation,
            );
            let last = self.knots[knot - 1];
            let seed = if knot == 1 {
                last
            } else {
                core::array::from_fn(|i| 2.0 * last[i] - self.knots[knot - 2][i])
            };
            let found = solve_knot(chain, &pose, &seed).ok_or(OutOfReach)?;
            let turns_far = (0..JOINTS).any(|i| (found[i] - last[i]).abs() > KNOT_TURN_MAX_RAD);
            if turns_far || !limits.admits(chain, &found, start) {
                return Err(OutOfReach);
            }
            self.knots[knot] = found;
        }
        self.fit();
        Ok(())
    }

    /// The point at `parameter`, clamped to the path.
    pub(crate) fn at(&self, parameter: f64) -> PathPoint {
        let scaled = parameter.clamp(0.0, 1.0) * self.pieces as f64;
        let piece = (scaled as usize).min(self.pieces - 1);
        let s = scaled - piece as f64;
        let n = self.pieces as f64;
        let cubic = |i: usize| self.cubic(piece, i);
        PathPoint {
            position: core::array::from_fn(|i| {
                let [c0, c1, c2, c3] = cubic(i);
                c0 + s * (c1 + s * (c2 + s * c3))
            }),
            slope: core::array::from_fn(|i| {
                let [_, c1, c2, c3] = cubic(i);
                n * (c1 + s * (2.0 * c2 + s * 3.0 * c3))
            }),
            bend: core::array::from_fn(|i| {
                let [_, _, c2, c3] = cubic(i);
                n * n * (2.0 * c2 + s * 6.0 * c3)
            }),
        }
    }

    /// How fast the parameter may move so that every joint and the tool keep a share of their limits.
    ///
    /// With q(u(t)): `q̇ = q'u̇`, `q̈ = q'ü + q''u̇²`, `q⃛ = q'u⃛ + 3q''u̇ü + q'''u̇³`. Each limit is dealt
    /// out to its terms in fixed shares, worst case over the path.
    pub(crate) fn limits(
        &self,
        motion: &MotionLimits,
        speed: f64,
        acceleration: f64,
    ) -> AxisLimits {
        let config = motion.config();
        let mut out = SHORT_PATH;
        for (extent, limits) in [
            (self.length_m, config.tool_linear),
            (self.angle_rad, config.tool_angular),
        ] {
            let limits = limits.scaled(speed, acceleration);
            if extent > 0.0 {
                out.velocity = out.velocity.min(limits.velocity / extent);
                out.acceleration = out.acceleration.min(limits.acceleration / extent);
                out.jerk = out.jerk.min(limits.jerk / extent);
            }
        }
        let joints = motion.joints_scaled(speed, acceleration);
        let (slope, bend, twist) = self.steepest();
        let ratio = |limit: f64, by: f64| if by > 0.0 { limit / by } else { f64::INFINITY };
        let steep = slope.iter().zip(&bend).zip(&twist);
        for (limits, ((slope, bend), twist)) in joints.iter().zip(steep) {
            out.velocity = out
                .velocity
                .min(ratio(limits.velocity, *slope))
                .min(ratio(0.3 * limits.acceleration, *bend).sqrt())
                .min(libm::cbrt(ratio(0.1 * limits.jerk, *twist)));
            out.acceleration = out
                .acceleration
                .min(ratio(0.7 * limits.acceleration, *slope));
            out.jerk = out.jerk.min(ratio(0.6 * limits.jerk, *slope));
        }
        for (limits, bend) in joints.iter().zip(&bend) {
            let mixed = ratio(0.1 * limits.jerk, bend * out.acceleration);
            out.velocity = out.velocity.min(mixed);
        }
        out
    }

    /// Largest magnitudes of the first three derivatives over the path.
    fn steepest(&self) -> (JointVector, JointVector, JointVector) {
        let n = self.pieces as f64;
        let over = |value: &dyn Fn([f64; 4]) -> f64| -> JointVector {
            core::array::from_fn(|joint| {
                (0..self.pieces).fold(0.0_f64, |most, piece| {
                    most.max(value(self.cubic(piece, joint)))
                })
            })
        };
        let slope = over(&|[_, c1, c2, c3]| {
            [0.0, 0.5, 1.0]
                .map(|s: f64| (n * (c1 + s * (2.0 * c2 + s * 3.0 * c3))).abs())
                .into_iter()
                .fold(0.0, f64::max)
        });
        let bend = over(&|[_, _, c2, c3]| {
            let ends = [2.0 * c2, 2.0 * c2 + 6.0 * c3];
            n * n * ends[0].abs().max(ends[1].abs())
        });
        let twist = over(&|[_, _, _, c3]| (n * n * n * 6.0 * c3).abs());
        (slope, bend, twist)
    }

    /// Coefficients of one joint over one piece, for a parameter from 0 to 1 within the piece.
    fn cubic(&self, piece: usize, joint: usize) -> [f64; 4] {
        let (a, b) = (self.knots[piece][joint], self.knots[piece + 1][joint]);
        let (ma, mb) = (self.slopes[piece][joint], self.slopes[piece + 1][joint]);
        [
            a,
            ma,
            3.0 * (b - a) - 2.0 * ma - mb,
            2.0 * (a - b) + ma + mb,
        ]
    }

    /// Slopes of a twice continuously differentiable cubic spline (per piece), by the Thomas algorithm; the
    /// slopes at the ends are five-point differences.
    fn fit(&mut self) {
        let n = self.pieces;
        for i in 0..JOINTS {
            let q = |k: usize| self.knots[k][i];
            let end_slope = |k: [f64; 5]| {
                (-25.0 * k[0] + 48.0 * k[1] - 36.0 * k[2] + 16.0 * k[3] - 3.0 * k[4]) / 12.0
            };
            let first = end_slope([q(0), q(1), q(2), q(3), q(4)]);
            let last = -end_slope([q(n), q(n - 1), q(n - 2), q(n - 3), q(n - 4)]);
            let mut upper = [0.0; PIECES_MAX + 1];
            let mut right = [0.0; PIECES_MAX + 1];
            right[0] = first;
            for k in 1..n {
                let pivot = 4.0 - upper[k - 1];
                upper[k] = 1.0 / pivot;
                right[k] = (3.0 * (q(k + 1) - q(k - 1)) - right[k - 1]) / pivot;
            }
            self.slopes[n][i] = last;
            for k in (1..n).rev() {
                self.slopes[k][i] = right[k] - upper[k] * self.slopes[k + 1][i];
            }
            self.slopes[0][i] = first;
        }
    }
}

fn solve_knot(chain: &Chain, pose: &Isometry, seed: &JointVector) -> Option<JointVector> {
    let (lower, upper) = chain.limits();
    let mut q: JointVector = core::array::from_fn(|i| seed[i].clamp(lower[i], upper[i]));
    for step in 0..STEPS_MAX {
        let options = StepOptions {
            damping: 1e-9,
            // A light pull to the rest posture, then the pose alone.
            posture_gain: if step == 0 { 0.01 } else { 0.0 },
            step_max_rad: 0.2,
        };
        let outcome = chain.inverse_step(pose, &q, &options);
        q = outcome.joints_rad;
        let error = outcome.position_error_m.max(outcome.rotation_error_rad);
        if step > 0 && error < KNOT_TOLERANCE {
            return Some(q);
        }
    }
    None
}
