//! A stop written down: any tick of it can be looked up without stepping there.
//!
//! Most of a stop from speed is one steady deceleration, and after it a ramp to rest. Of both only the first
//! tick and the length are kept; the ticks before them, where the deceleration is taken up, one by one. The
//! positions differ from those of the stepped stop by what rounding adds up to, 1e-12 rad at most
//! (`tests::looking_up_is_stepping`), three orders below the tolerances of the checks.

use sinew_messages::{JOINTS, JointVector};
use sinew_units::TICK_S;

use crate::brake::{ArmState, Next, STOP_TICKS_MAX, StopLaw};

/// Shortest steady part that is kept as one, ticks.
const STEADY_TICKS_MIN: usize = 4;

/// One joint at the end of one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Knot {
    /// Position, rad.
    pub(crate) q: f64,
    /// Velocity over the tick that ended, rad/s.
    pub(crate) v: f64,
    /// Way since the start of the stop, rad.
    pub(crate) travelled: f64,
}

/// The ramp at the end of a stop: its deceleration falls by one jerk step a tick.
#[derive(Clone, Copy, Debug, Default)]
struct Ramp {
    /// Where it starts.
    from: Knot,
    /// Acceleration in its first tick, rad/s².
    first: f64,
    /// Change of the acceleration from tick to tick, rad/s².
    step: f64,
    /// Its length, ticks; 0 without one.
    ticks: usize,
}

impl Ramp {
    fn at(&self, tick: usize) -> Knot {
        let Knot { q, v, travelled } = self.from;
        let n = tick.min(self.ticks) as f64;
        // Sums of 1 and of the steps over the ticks, and the sums of those.
        let pairs = 0.5 * n * (n - 1.0);
        let gained = TICK_S * (n * self.first + pairs * self.step);
        let gained_way =
            TICK_S * (0.5 * n * (n + 1.0) * self.first + pairs * (n + 1.0) / 3.0 * self.step);
        let way = TICK_S * (n * v + gained_way);
        Knot {
            q: q + way,
            v: if tick < self.ticks { v + gained } else { 0.0 },
            travelled: travelled + way.abs(),
        }
    }
}

/// The stop of one joint.
#[derive(Clone, Debug)]
struct JointStop {
    /// Tick by tick, without steady part and ramp.
    knots: Box<[Knot]>,
    count: usize,
    /// Knot from which the steady part starts.
    steady_from: usize,
    /// Its length, ticks; 0 without one.
    steady_ticks: usize,
    /// Change of the velocity in each of its ticks, rad/s.
    steady_step: f64,
    /// What follows the last knot.
    ramp: Ramp,
    /// Tick at which the joint rests.
    ticks: usize,
    /// Smallest and largest velocity on the way, and when. Between two of start, these and the end the velocity
    /// only rises or only falls.
    lowest: (f64, usize),
    highest: (f64, usize),
}

impl JointStop {
    fn new() -> Self {
        Self {
            knots: vec![Knot::default(); STOP_TICKS_MAX + 1].into_boxed_slice(),
            count: 1,
            steady_from: 0,
            steady_ticks: 0,
            steady_step: 0.0,
            ramp: Ramp::default(),
            ticks: 0,
            lowest: (0.0, 0),
            highest: (0.0, 0),
        }
    }

    /// False if the joint does not come to rest in time.
    fn lay(&mut self, joint: usize, start: &ArmState, law: &StopLaw) -> bool {
        let (mut v, mut a) = (start.v[joint], start.a[joint]);
        let mut knot = Knot {
            q: start.q[joint],
            v,
            travelled: 0.0,
        };
        self.knots[0] = knot;
        self.count = 1;
        (self.steady_from, self.steady_ticks) = (0, 0);
        self.ramp.ticks = 0;
        (self.lowest, self.highest) = ((v, 0), (v, 0));
        let mut ticks = 0;
        while v != 0.0 || a != 0.0 {
            let steady = if self.steady_ticks == 0 {
                law.steady_ticks(joint, v, a)
            } else {
                0
            };
            if steady >= STEADY_TICKS_MIN {
                let n = steady as f64;
                let step = TICK_S * a;
                self.steady_from = self.count - 1;
                self.steady_ticks = steady;
                self.steady_step = step;
                knot = steady_knot(&knot, step, n);
                v = knot.v;
                ticks += steady;
            } else {
                match law.next(joint, v, a) {
                    Next::Ramp {
                        first,
                        ticks: ramp_ticks,
                    } => {
                        self.ramp = Ramp {
                            from: knot,
                            first,
                            step: law.jerk_step(joint).copysign(v),
                            ticks: ramp_ticks,
                        };
                        // One more, in which the last of the deceleration goes.
                        ticks += ramp_ticks + 1;
                        break;
                    }
                    Next::Acceleration(next_a) => {
                        (v, a) = law.advance(joint, v, next_a);
                    }
                }
                let way = TICK_S * v;
                knot = Knot {
                    q: knot.q + way,
                    v,
                    travelled: knot.travelled + way.abs(),
                };
                ticks += 1;
                if v > self.highest.0 {
                    self.highest = (v, ticks);
                }
                if v < self.lowest.0 {
                    self.lowest = (v, ticks);
                }
            }
            // One knot a tick at most: without room it takes too long.
            let Some(place) = self.knots.get_mut(self.count) else {
                return false;
            };
            *place = knot;
            self.count += 1;
        }
        self.ticks = ticks;
        ticks <= STOP_TICKS_MAX
    }

    fn at(&self, tick: usize) -> Knot {
        let mut index = tick;
        if self.steady_ticks > 0 && tick >= self.steady_from {
            let into = tick - self.steady_from;
            if into <= self.steady_ticks {
                let from = &self.knots[self.steady_from];
                return steady_knot(from, self.steady_step, into as f64);
            }
            index = self.steady_from + 1 + into - self.steady_ticks;
        }
        match index.checked_sub(self.count) {
            None => self.knots[index],
            Some(_) if self.ramp.ticks == 0 => self.knots[self.count - 1],
            Some(beyond) => self.ramp.at(beyond + 1),
        }
    }

    /// Smallest and largest velocity between two ticks with velocities `v`, rad/s, both included.
    fn velocities(&self, first: usize, last: usize, v: [f64; 2]) -> (f64, f64) {
        let [a, b] = v;
        let (mut low, mut high) = (a.min(b), a.max(b));
        let ticks = first..=last;
        if ticks.contains(&self.highest.1) {
            high = high.max(self.highest.0);
        }
        if ticks.contains(&self.lowest.1) {
            low = low.min(self.lowest.0);
        }
        (low, high)
    }
}

/// `n` ticks into a steady deceleration: velocities `v + s, v + 2s, …`.
fn steady_knot(from: &Knot, step: f64, n: f64) -> Knot {
    let way = TICK_S * n * (from.v + 0.5 * step * (n + 1.0));
    Knot {
        q: from.q + way,
        v: from.v + n * step,
        travelled: from.travelled + way.abs(),
    }
}

/// The stop of the whole arm. Laid out again and again in the same place.
#[derive(Clone, Debug)]
pub(crate) struct StopPath {
    joints: [JointStop; JOINTS],
    ticks: usize,
    /// What it is the stop from, and whether that ends in time.
    laid: Option<(ArmState, bool)>,
}

impl StopPath {
    pub(crate) fn new() -> Self {
        Self {
            joints: core::array::from_fn(|_| JointStop::new()),
            ticks: 0,
            laid: None,
        }
    }

    /// Writes down the stop from `start`, if that is not what stands there. False if it does not end within
    /// [`STOP_TICKS_MAX`]. The law is always the same one.
    pub(crate) fn lay(&mut self, start: &ArmState, law: &StopLaw) -> bool {
        if let Some((laid, ends)) = &self.laid
            && laid == start
        {
            return *ends;
        }
        self.ticks = 0;
        let mut ends = true;
        for (joint, stop) in self.joints.iter_mut().enumerate() {
            ends &= stop.lay(joint, start, law);
            self.ticks = self.ticks.max(stop.ticks);
        }
        self.laid = Some((*start, ends));
        ends
    }

    /// Tick at which every joint rests.
    pub(crate) fn ticks(&self) -> usize {
        self.ticks
    }

    /// Joint positions at the end of a tick, rad.
    pub(crate) fn position(&self, tick: usize) -> JointVector {
        core::array::from_fn(|j| self.joints[j].at(tick).q)
    }

    /// Ways of the joints up to a tick, rad.
    pub(crate) fn travelled(&self, tick: usize) -> JointVector {
        core::array::from_fn(|j| self.joints[j].at(tick).travelled)
    }

    /// Every joint at the end of a tick.
    pub(crate) fn knots(&self, tick: usize) -> [Knot; JOINTS] {
        core::array::from_fn(|j| self.joints[j].at(tick))
    }

    /// Smallest and largest velocity of a joint between two ticks, rad/s, at which it has the velocities `v`.
    pub(crate) fn velocities(
        &self,
        joint: usize,
        first: usize,
        last: usize,
        v: [f64; 2],
    ) -> (f64, f64) {
        self.joints[joint].velocities(first, last, v)
    }
}

/// True for an interval between two ticks that is one tick long, or whose halves there is no room for beside `open`
/// others.
pub(crate) fn cannot_be_halved(first: usize, last: usize, open: usize, open_max: usize) -> bool {
    last - first <= 1 || open + 2 > open_max
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any tick of the stop from any state is where stepping leads to.
        #[test]
        fn looking_up_is_stepping(
            v in prop::array::uniform7(prop_oneof![1 => Just(0.0), 6 => -3.8..3.8_f64]),
            a in prop::array::uniform7(prop_oneof![1 => Just(0.0), 6 => -20.0..20.0_f64]),
            acceleration in 5.0..30.0_f64,
            jerk in 400.0..4_000.0_f64,
        ) {
            let law = StopLaw::new(&[acceleration; JOINTS], &[jerk; JOINTS]);
            let mut state = ArmState { q: [0.7; JOINTS], v, a };
            let mut path = StopPath::new();
            let laid = path.lay(&state, &law);
            let mut travelled = [0.0; JOINTS];
            let mut tick = 0;
            while !state.is_at_rest() && tick <= STOP_TICKS_MAX {
                if laid {
                    let q = path.position(tick);
                    let way = path.travelled(tick);
                    for j in 0..JOINTS {
                        prop_assert!((q[j] - state.q[j]).abs() < 1e-12, "{} for {}", q[j], state.q[j]);
                        prop_assert!((way[j] - travelled[j]).abs() < 1e-12);
                        if state.v[j] == 0.0 {
                            prop_assert_eq!(path.knots(tick)[j].v, 0.0);
                        }
                        let (first, last) = (tick.saturating_sub(3), tick + 5);
                        let v = [path.knots(first)[j].v, path.knots(last)[j].v];
                        let (low, high) = path.velocities(j, first, last, v);
                        prop_assert!((low - 1e-9..=high + 1e-9).contains(&state.v[j]));
                    }
                }
                let next = state.brake(&law);
                for (travelled, (next, q)) in
                    travelled.iter_mut().zip(next.q.iter().zip(&state.q))
                {
                    *travelled += (next - q).abs();
                }
                state = next;
                tick += 1;
            }
            prop_assert_eq!(laid, tick <= STOP_TICKS_MAX);
            if laid {
                prop_assert_eq!(path.ticks(), tick);
                prop_assert_eq!(path.position(tick + 100), path.position(tick));
            }
        }
    }

    #[test]
    fn one_who_rests_has_no_way_to_go() {
        let law = StopLaw::new(&[15.0; JOINTS], &[1_500.0; JOINTS]);
        let mut path = StopPath::new();
        assert!(path.lay(&ArmState::at_rest([0.2; JOINTS]), &law));
        assert_eq!((path.ticks(), path.position(7)), (0, [0.2; JOINTS]));
    }

    /// What a joint does for long takes no more room than what it does for a moment.
    #[test]
    fn a_long_stop_is_written_down_in_few_knots() {
        let law = StopLaw::new(&[8.0; JOINTS], &[800.0; JOINTS]);
        let mut path = StopPath::new();
        for (v, a) in [(1.0, 0.0), (3.0, 5.0), (-3.0, -5.0)] {
            let start = ArmState {
                q: [0.0; JOINTS],
                v: [v; JOINTS],
                a: [a; JOINTS],
            };
            assert!(path.lay(&start, &law) && path.ticks() > 120);
            for joint in &path.joints {
                assert!(joint.count < 24, "{} for {v}", joint.count);
            }
        }
    }

    /// As long as a stop may be, to the tick.
    #[test]
    fn a_stop_that_takes_too_long_is_none() {
        let law = StopLaw::new(&[1.0; JOINTS], &[400.0; JOINTS]);
        let mut path = StopPath::new();
        let mut ticks_met = Vec::new();
        for n in 0..400 {
            let mut start = ArmState::at_rest([0.0; JOINTS]);
            (start.v[n % 3], start.a[n % 3]) = (0.495 + 5e-5 * n as f64, 0.0);
            let mut state = start;
            let mut ticks = 0;
            while !state.is_at_rest() {
                state = state.brake(&law);
                ticks += 1;
            }
            assert_eq!(path.lay(&start, &law), ticks <= STOP_TICKS_MAX, "{ticks}");
            ticks_met.push(ticks);
        }
        assert!(ticks_met.contains(&STOP_TICKS_MAX) && ticks_met.contains(&(STOP_TICKS_MAX + 1)));
        let mut slow = ArmState::at_rest([0.0; JOINTS]);
        slow.v[6] = 100.0;
        assert!(!path.lay(&slow, &law));
        slow.v[6] = 0.0;
        slow.a[6] = 1e6;
        assert!(!path.lay(&slow, &law));
    }

    #[test]
    fn an_interval_is_halved_while_it_can_be() {
        for (interval, cannot) in [
            ((7, 8, 0), true),
            ((7, 7, 0), true),
            ((7, 9, 0), false),
            ((0, 2, 10), false),
            ((0, 2, 11), true),
            ((0, 500, 12), true),
        ] {
            let (first, last, open) = interval;
            assert_eq!(
                cannot_be_halved(first, last, open, 12),
                cannot,
                "{interval:?}"
            );
        }
    }
}
