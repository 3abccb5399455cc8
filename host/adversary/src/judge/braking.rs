//! The slowest stop that is declared, written from the description of the law and not from the gate's code.

use nalgebra::Vector3;
use sinew_kinematics::{Chain, Point};
use sinew_messages::{JOINTS, JointVector};
use sinew_safety::SafetyConfig;
use sinew_units::TICK_S;

/// Longest stop that is followed, ticks.
pub(super) const STOP_TICKS_MAX: u32 = 1_024;

/// Acceleration and jerk limit.
pub(super) type Law = (f64, f64);

/// What the joints do, from differences of positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Motion {
    pub(super) q: JointVector,
    pub(super) v: JointVector,
    pub(super) a: JointVector,
}

impl Motion {
    pub(super) fn at_rest(q: &JointVector) -> Self {
        Self {
            q: *q,
            v: [0.0; JOINTS],
            a: [0.0; JOINTS],
        }
    }

    pub(super) fn rests(&self) -> bool {
        self.v == [0.0; JOINTS] && self.a == [0.0; JOINTS]
    }

    /// The motion that leads to `q` in one tick.
    pub(super) fn moved_to(&self, q: &JointVector) -> Self {
        let v: JointVector = core::array::from_fn(|i| (q[i] - self.q[i]) / TICK_S);
        Self {
            q: *q,
            a: core::array::from_fn(|i| (v[i] - self.v[i]) / TICK_S),
            v,
        }
    }

    /// One tick of joint `i` on the stop.
    pub(super) fn brake(&mut self, i: usize, law: Law) {
        self.a[i] = braking(self.v[i], self.a[i], law);
        self.v[i] += TICK_S * self.a[i];
        if self.v[i].abs() < 1e-9 && self.a[i].abs() <= law.1 * TICK_S {
            (self.v[i], self.a[i]) = (0.0, 0.0);
        }
        self.q[i] += TICK_S * self.v[i];
    }

    /// Farthest that the tool gets along `into` on its stop, m, measured from the base's origin.
    pub(super) fn tool_reach(&self, chain: &Chain, c: &SafetyConfig, into: &Vector3<f64>) -> f64 {
        let along = |q: &JointVector| into.dot(&chain.forward(q).tool.translation.vector);
        let mut motion = *self;
        let mut farthest = along(&motion.q);
        for _ in 0..STOP_TICKS_MAX {
            if motion.rests() {
                break;
            }
            (0..JOINTS).for_each(|i| motion.brake(i, stop_law(c, i)));
            farthest = farthest.max(along(&motion.q));
        }
        farthest
    }

    /// How far along `into` any of these points of the hand gets on the stop from where it was before, m.
    pub(super) fn farthest_in(
        &self,
        chain: &Chain,
        c: &SafetyConfig,
        into: &Vector3<f64>,
        before: &Self,
        points: &[Point],
    ) -> f64 {
        let from = chain.forward(&before.q).hand;
        let gone = |q: &JointVector| {
            let hand = chain.forward(q).hand;
            (points.iter())
                .map(|point| into.dot(&(hand * point - from * point)))
                .fold(f64::NEG_INFINITY, f64::max)
        };
        let mut motion = *self;
        let mut farthest = gone(&motion.q);
        for _ in 0..STOP_TICKS_MAX {
            if motion.rests() {
                break;
            }
            (0..JOINTS).for_each(|i| motion.brake(i, stop_law(c, i)));
            farthest = farthest.max(gone(&motion.q));
        }
        farthest
    }

    /// Largest velocity along `into` of any of these points of the hand, m/s, from where they are a moment before and
    /// after.
    pub(super) fn fastest_in(&self, chain: &Chain, into: &Vector3<f64>, points: &[Point]) -> f64 {
        const MOMENT_S: f64 = 1e-5;
        let at = |time_s: f64| {
            let q = core::array::from_fn(|i| self.q[i] + time_s * self.v[i]);
            chain.forward(&q).hand
        };
        let (before, after) = (at(-MOMENT_S), at(MOMENT_S));
        (points.iter())
            .map(|point| into.dot(&(after * point - before * point)) / (2.0 * MOMENT_S))
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// Velocity of the tool, m/s, from where it is a moment before and after.
    pub(super) fn tool_velocity(&self, chain: &Chain) -> Vector3<f64> {
        const MOMENT_S: f64 = 1e-5;
        let at = |time_s: f64| {
            let q = core::array::from_fn(|i| self.q[i] + time_s * self.v[i]);
            chain.forward(&q).tool.translation.vector
        };
        (at(MOMENT_S) - at(-MOMENT_S)) / (2.0 * MOMENT_S)
    }
}

/// How joint `i` is declared to brake.
pub(super) fn stop_law(c: &SafetyConfig, i: usize) -> Law {
    (c.stop_acceleration_rad_s2[i], c.stop_jerk_rad_s3[i])
}

/// Acceleration in one tick of the slowest stop that is declared: as late and as weak as acceleration and jerk allow,
/// and ending at rest.
pub(super) fn braking(v: f64, a: f64, (most, jerk): Law) -> f64 {
    let step = jerk * TICK_S;
    let wanted = if v == 0.0 {
        0.0
    } else {
        // A ramp x, x − d, … of m terms down to above zero whose sum takes all of the speed.
        let ticks = v.abs() / TICK_S;
        let mut m = 1.0;
        while m * (m + 1.0) / 2.0 * step < ticks {
            m += 1.0;
        }
        let x = ticks / m + 0.5 * step * (m - 1.0);
        -x.min(most).copysign(v)
    };
    let within = wanted.clamp(a - step, a + step);
    let cap = most.max(a.abs() - step);
    within.clamp(-cap, cap)
}
