//! The stop of one joint: a discrete, jerk-limited braking law, and closed-form bounds on it.
//!
//! Everything is in differences of positions, which is what the drives are given: with T the tick,
//! `v = (q' − q)/T`, `a = (v' − v)/T`, `j = (a' − a)/T`. One tick of the law chooses `a'`, then
//! `v' = v + T a'` and `q' = q + T v'`.
//!
//! The law is time-optimal up to the last two ticks. From velocity `v`, `a*(v)` is the acceleration from
//! which a ramp to zero in steps of `d = J·T` ends exactly at rest: `m` terms `x, x − d, …` with
//! `T·(m x − d m(m−1)/2) = |v|` and `m = ⌈(−1 + √(1 + 8 S/d))/2⌉`, `S = |v|/T`. Then
//! `a' = a*(v)` clamped to one jerk step from `a` and to the stop acceleration. It is a pure function of the
//! state, so the stop from the next point is the tail of the stop from this one: what was verified is
//! what is executed.

use sinew_messages::{JOINTS, JointVector, Setpoint};
use sinew_units::TICK_S;

use crate::setpoint::clamped;

/// Longest stop that is verified, ticks.
pub const STOP_TICKS_MAX: usize = 512;

/// Position, velocity and acceleration of every joint at the end of a tick, in differences of positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ArmState {
    pub(crate) q: JointVector,
    pub(crate) v: JointVector,
    pub(crate) a: JointVector,
}

impl ArmState {
    pub(crate) fn at_rest(q: JointVector) -> Self {
        Self {
            q,
            v: [0.0; JOINTS],
            a: [0.0; JOINTS],
        }
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        self.v.iter().chain(&self.a).all(|x| *x == 0.0)
    }

    /// The state after moving to `q` in one tick.
    pub(crate) fn moved_to(&self, q: &JointVector) -> Self {
        let v: JointVector = core::array::from_fn(|i| (q[i] - self.q[i]) / TICK_S);
        Self {
            q: *q,
            v,
            a: core::array::from_fn(|i| (v[i] - self.v[i]) / TICK_S),
        }
    }

    /// What is commanded to be in this state.
    pub(crate) fn setpoint(&self, gripper_width_m: f64, gripper_force_n: f64) -> Setpoint {
        Setpoint {
            position_rad: self.q,
            velocity_rad_s: self.v,
            acceleration_rad_s2: self.a,
            gripper_width_m,
            gripper_force_n,
        }
    }

    /// One tick of the stop.
    pub(crate) fn brake(&self, stop: &StopLaw) -> Self {
        let mut next = *self;
        for i in 0..JOINTS {
            (next.v[i], next.a[i]) = stop.step(i, self.v[i], self.a[i]);
            next.q[i] = self.q[i] + TICK_S * next.v[i];
        }
        next
    }
}

/// Speed that counts as none: four orders below what an encoder resolves, four above rounding.
const REST_RAD_S: f64 = 1e-10;
/// A tick, with room that is far above rounding.
const BEYOND_S: f64 = TICK_S * (1.0 + 1e-9);

/// Braking constants of one joint.
#[derive(Clone, Copy, Debug)]
struct JointBrake {
    /// Stop acceleration, rad/s².
    acceleration: f64,
    /// Stop jerk times T, rad/s².
    jerk_step: f64,
    /// One over that.
    per_jerk_step: f64,
    /// Velocity above which the ramp cannot have begun, rad/s.
    ramp_velocity: f64,
    /// Stop jerk, rad/s³.
    jerk: f64,
}

impl JointBrake {
    /// First deceleration and number of terms of the ramp that ends at rest from `v`, which is not 0.
    fn ramp(&self, v: f64) -> (f64, f64) {
        let s = v.abs() / TICK_S;
        let m = ceil(0.5 * ((1.0 + 8.0 * s / self.jerk_step).sqrt() - 1.0)).max(1.0);
        (s / m + 0.5 * self.jerk_step * (m - 1.0), m)
    }

    /// True if the ramp from `v` certainly begins with more than `deceleration`: a ramp that begins with that takes
    /// no more velocity than `deceleration (1 + deceleration/d)/2 + d/8` ticks of it, which needs no root.
    fn is_beyond(&self, v: f64, deceleration: f64) -> bool {
        let d = self.jerk_step;
        let most = 0.5 * deceleration * (1.0 + deceleration * self.per_jerk_step) + 0.2 * d;
        deceleration <= 0.0 || v.abs() > most * BEYOND_S
    }

    /// Accelerations that one jerk step leads to from `a`.
    fn reach(&self, a: f64) -> (f64, f64) {
        let d = self.jerk_step;
        // One who decelerates harder than the stop would comes back at the stop's jerk.
        let cap = self.acceleration.max(a.abs() - d);
        ((a - d).max(-cap), (a + d).min(cap))
    }
}

/// The next integer above `x`, which is at least 0 and no more than the ticks of a stop. The processor's own
/// conversion: a call would cost more than all the rest of a tick of the law.
fn ceil(x: f64) -> f64 {
    let whole = f64::from(x as u32);
    if whole < x { whole + 1.0 } else { whole }
}

/// What the law does next.
pub(crate) enum Next {
    /// One tick with this acceleration, rad/s².
    Acceleration(f64),
    /// The ramp to rest: the acceleration of its first tick, rad/s², and its ticks, each a jerk step weaker.
    Ramp {
        /// Of the first tick.
        first: f64,
        /// How many.
        ticks: usize,
    },
}

/// The braking law of the arm.
#[derive(Clone, Debug)]
pub(crate) struct StopLaw {
    joints: [JointBrake; JOINTS],
}

impl StopLaw {
    pub(crate) fn new(acceleration: &JointVector, jerk: &JointVector) -> Self {
        Self {
            joints: core::array::from_fn(|i| {
                let jerk_step = jerk[i] * TICK_S;
                // Terms of the ramp from full deceleration, rounded up: its sum bounds the ramp's velocity.
                let terms = libm::ceil(acceleration[i] / jerk_step) + 1.0;
                JointBrake {
                    acceleration: acceleration[i],
                    jerk_step,
                    per_jerk_step: 1.0 / jerk_step,
                    ramp_velocity: TICK_S * jerk_step * terms * (terms + 1.0) / 2.0,
                    jerk: jerk[i],
                }
            }),
        }
    }

    /// Velocity and acceleration after one tick of the stop.
    pub(crate) fn step(&self, joint: usize, v: f64, a: f64) -> (f64, f64) {
        match self.next(joint, v, a) {
            Next::Acceleration(next_a) => self.advance(joint, v, next_a),
            Next::Ramp { first, .. } => self.advance(joint, v, first),
        }
    }

    /// Velocity and acceleration after one tick with this acceleration.
    pub(crate) fn advance(&self, joint: usize, v: f64, next_a: f64) -> (f64, f64) {
        let next_v = v + TICK_S * next_a;
        // The last tick of the ramp ends at rest; what rounding leaves is none.
        let rests = next_v.abs() < REST_RAD_S && next_a.abs() <= self.joints[joint].jerk_step;
        match (rests, v == 0.0) {
            (true, true) => (0.0, 0.0),
            (true, false) => (0.0, next_a),
            _ => (next_v, next_a),
        }
    }

    /// Ticks for which the law goes on with the deceleration that it has; 0 if it is about to change.
    pub(crate) fn steady_ticks(&self, joint: usize, v: f64, a: f64) -> usize {
        let brake = &self.joints[joint];
        let full = if v > 0.0 {
            -brake.acceleration
        } else {
            brake.acceleration
        };
        if a != full {
            return 0;
        }
        let ticks = (v.abs() - brake.ramp_velocity) / (brake.acceleration * TICK_S);
        // One tick of room for rounding; a negative number of them is none.
        (ticks - 1.0).max(0.0) as usize
    }

    /// What the law does next.
    pub(crate) fn next(&self, joint: usize, v: f64, a: f64) -> Next {
        let brake = &self.joints[joint];
        let (least, most) = brake.reach(a);
        let within = |wanted: f64| Next::Acceleration(clamped(wanted, least, most));
        if v == 0.0 {
            return within(0.0);
        }
        if v.abs() > brake.ramp_velocity {
            return within(-brake.acceleration.copysign(v));
        }
        if brake.is_beyond(v, if v > 0.0 { -least } else { most }) {
            return Next::Acceleration(if v > 0.0 { least } else { most });
        }
        let (first, ticks) = brake.ramp(v);
        let first = -first.copysign(v);
        if (least..=most).contains(&first) {
            // The cast saturates; a ramp that long is longer than any stop may be.
            let ticks = ticks as usize;
            return Next::Ramp { first, ticks };
        }
        within(first)
    }

    /// Change of the acceleration in one tick, rad/s².
    pub(crate) fn jerk_step(&self, joint: usize) -> f64 {
        self.joints[joint].jerk_step
    }

    /// Bound on the largest speed on the stop, rad/s: what is still being gained is added. A joint that decelerates
    /// harder than its stop can take back in time turns round.
    pub(crate) fn peak_speed(&self, joint: usize, v: f64, a: f64) -> f64 {
        let gain = self.gain(joint, a);
        if v * a <= 0.0 && v != 0.0 {
            return v.abs().max(gain - v.abs());
        }
        v.abs() + gain
    }

    /// Bound on the speed that a joint gains in the direction of `a` while the stop takes `a` back, rad/s.
    pub(crate) fn gain(&self, joint: usize, a: f64) -> f64 {
        let brake = &self.joints[joint];
        let a = a.abs() + brake.jerk_step;
        0.5 * a * a / brake.jerk
    }

    /// Largest way that a joint travels on its stop, up and down from where it is, rad. Neither is negative.
    pub(crate) fn way(&self, joint: usize, v: f64, a: f64) -> (f64, f64) {
        let brake = &self.joints[joint];
        (one_way(brake, v, a), one_way(brake, -v, -a))
    }

    /// Bound on how long a joint takes to stop from `speed` while it still gains `gaining` rad/s², s.
    pub(crate) fn longest_s(&self, joint: usize, speed: f64, gaining: f64) -> f64 {
        let brake = &self.joints[joint];
        let rise = (gaining + brake.jerk_step) / brake.jerk;
        let peak = speed + gaining * rise;
        rise + peak / brake.acceleration + 2.0 * brake.acceleration / brake.jerk + 2.0 * TICK_S
    }
}

/// Way in the positive direction, rad.
///
/// The continuous stop from `a = 0` goes at most `v/2·(v/A + A/J)` (equal while the deceleration reaches `A`,
/// and by the inequality of means above the true way below that). Speed that is still being gained is added
/// first: it peaks at `v + a²/2J`, `a/J` later. Ticks add at most two at the peak speed. A joint that already
/// decelerates stops earlier, and one that moves down lands at rest without coming up.
fn one_way(brake: &JointBrake, v: f64, a: f64) -> f64 {
    let (gain, rise) = if a > 0.0 {
        let a = a + brake.jerk_step;
        (0.5 * a * a / brake.jerk, a / brake.jerk)
    } else {
        (0.0, 0.0)
    };
    let peak = v + gain;
    if peak <= 0.0 {
        return 0.0;
    }
    let braking = peak / brake.acceleration + brake.acceleration / brake.jerk;
    peak * (rise + 2.0 * TICK_S + 0.5 * braking)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::late;

    const A: f64 = 15.0;
    const J: f64 = 1_500.0;

    fn law() -> StopLaw {
        StopLaw::new(&[A; JOINTS], &[J; JOINTS])
    }

    fn start(v: f64, a: f64) -> ArmState {
        ArmState {
            q: [0.3; JOINTS],
            v: [v; JOINTS],
            a: [a; JOINTS],
        }
    }

    proptest! {
        /// From any state: the stop ends in time, within its limits, inside the bound, and stays where it ended.
        #[test]
        fn the_stop_ends_within_its_limits_and_its_bound(
            v in prop_oneof![-3.0..3.0_f64, -0.1..0.1_f64],
            a in -20.0..20.0_f64,
        ) {
            let law = law();
            let mut state = start(v, a);
            let (up, down) = law.way(0, v, a);
            let peak = law.peak_speed(0, v, a);
            let mut ticks = 0;
            while !state.is_at_rest() {
                let next = state.brake(&law);
                let jerk = (next.a[0] - state.a[0]).abs() / TICK_S;
                prop_assert!(jerk <= J * (1.0 + 1e-9), "jerk {jerk}");
                prop_assert!(next.a[0].abs() <= A.max(state.a[0].abs()) + 1e-9);
                prop_assert!(next.q[0] - 0.3 <= up + 1e-12, "{} over {up}", next.q[0] - 0.3);
                prop_assert!(0.3 - next.q[0] <= down + 1e-12, "{} under {down}", 0.3 - next.q[0]);
                prop_assert!(next.v[0].abs() <= peak + 1e-12, "{} for {peak}", next.v[0]);
                state = next;
                ticks += 1;
                prop_assert!(ticks <= STOP_TICKS_MAX, "no end from {v} {a}: {state:?}");
            }
            prop_assert_eq!(state.brake(&law), state);
        }
    }

    /// What is said without a root is what the ramp says, and is said wherever the ramp is clearly steeper.
    #[test]
    fn the_shortcut_agrees_with_the_ramp() {
        let law = law();
        let brake = &law.joints[0];
        for n in -100..=1_000 {
            let deceleration = A * f64::from(n) / 1_000.0;
            // Where it begins to say so.
            let (mut low, mut high) = (0.0, 3.0);
            while high - low > 1e-12 {
                let v = 0.5 * (low + high);
                if brake.is_beyond(v, deceleration) {
                    high = v;
                } else {
                    low = v;
                }
            }
            let (first, _) = brake.ramp(high);
            assert!(first > deceleration, "{first} at {deceleration}");
            let sharp = deceleration.max(0.0) + 0.41 * brake.jerk_step;
            assert!(first <= sharp, "{first} at {deceleration}");
        }
    }

    /// The proof is about this code only as far as its model says what this code does.
    #[test]
    fn the_model_of_the_proof_is_this_code() {
        let mut points = 0;
        for line in include_str!("../proof/model_points.csv").lines().skip(1) {
            let row: Vec<f64> = line
                .split(',')
                .map(|x| x.parse().expect("a number"))
                .collect();
            let law = StopLaw::new(&[row[0]; JOINTS], &[row[1]; JOINTS]);
            let (v, a, reaction) = (row[2], row[3], row[4] as u32);
            let (next_v, next_a) = law.step(0, v, a);
            let (up, down) = law.way(0, v, a);
            let [farther_up, farther_down] = late::ways(0, &start(v, a), &law, reaction);
            let found = [
                next_v,
                next_a,
                up,
                down,
                law.peak_speed(0, v, a),
                law.longest_s(0, v.abs(), a.abs()),
                farther_up,
                farther_down,
            ];
            for (found, expected) in found.iter().zip(&row[5..]) {
                let room = 1e-12 * expected.abs() + 1e-15;
                assert!((found - expected).abs() <= room, "{found} for {line}");
            }
            points += 1;
        }
        assert_eq!(points, 360);
    }

    /// What is slower than rest is at rest, with its last acceleration in the tick in which it gets there.
    #[test]
    fn what_rounding_leaves_is_none() {
        let law = law();
        let d = J * TICK_S;
        assert_eq!(law.step(0, 0.0, d + 1e-9), (0.0, 0.0));
        assert_eq!(law.advance(0, 0.9 * REST_RAD_S, 0.0), (0.0, 0.0));
        assert_eq!(law.advance(0, REST_RAD_S, 0.0), (REST_RAD_S, 0.0));
        let (v, a) = law.advance(0, d * TICK_S, -d);
        assert_eq!((v, a), (0.0, -d));
        // Too quick to come to rest in one tick: it goes through.
        assert_ne!(law.advance(0, 2.0 * d * TICK_S + 5e-11, -2.0 * d).0, 0.0);
    }

    /// Ticks that are taken at once are those that the law takes one by one, and nearly all of them.
    #[test]
    fn steady_ticks_are_those_of_the_law() {
        let law = law();
        for sign in [1.0, -1.0] {
            assert_eq!(law.steady_ticks(0, 2.0 * sign, A * sign), 0);
            assert_eq!(law.steady_ticks(0, 2.0 * sign, -0.9 * A * sign), 0);
            for n in 0..3_000 {
                let speed = 1e-3 * f64::from(n) + 1e-4;
                let (mut v, mut a) = (speed * sign, -A * sign);
                let told = law.steady_ticks(0, v, a);
                let mut steady = 0;
                loop {
                    (v, a) = law.step(0, v, a);
                    if a != -A * sign {
                        break;
                    }
                    steady += 1;
                }
                // Two for the ramp's terms, which are rounded up and one more, and one for rounding.
                assert!(
                    (told + 3..=told + 4).contains(&steady) || (told == 0 && steady < 3),
                    "{told} of {steady} from {speed}"
                );
            }
        }
    }

    #[test]
    fn the_next_integer_of_one_is_itself() {
        for (x, expected) in [(0.0, 0.0), (1e-9, 1.0), (1.0, 1.0), (2.0, 2.0), (2.5, 3.0)] {
            assert_eq!(ceil(x), expected, "{x}");
        }
    }

    /// A law that was tested only at random points could hide a gap near rest.
    #[test]
    fn small_states_come_to_rest_too() {
        let law = law();
        for v in [
            0.0, 1e-12, 1e-9, 1e-6, 1.4e-6, 1.5e-6, 1.6e-6, 3e-6, 4.5e-6, 1e-3,
        ] {
            for a in [0.0, 1e-9, 0.1, 1.4999, 1.5, 1.5001, 3.0] {
                for (v, a) in [(v, a), (-v, a), (v, -a), (-v, -a)] {
                    let mut state = start(v, a);
                    for _ in 0..STOP_TICKS_MAX {
                        state = state.brake(&law);
                    }
                    assert!(state.is_at_rest(), "from {v} {a}: {state:?}");
                }
            }
        }
    }

    #[test]
    fn the_bound_is_not_much_wider_than_the_stop() {
        let law = law();
        let mut state = start(2.0, 0.0);
        while !state.is_at_rest() {
            state = state.brake(&law);
        }
        let (up, down) = law.way(0, 2.0, 0.0);
        assert!(down == 0.0);
        let true_way = state.q[0] - 0.3;
        assert!(up / true_way < 1.06, "{up} for {true_way}");
    }
}
