//! A stop that takes effect late: for the reaction time L the robot goes on with the acceleration that it was given.
//!
//! Let `s` be the stop of a joint from the state `(v, a)`, and `r` the stop from `(v + a L, a)`, which is where it is
//! then. The law brakes whatever is faster no less (`a'` falls with the velocity and rises with the acceleration), so
//! that tick by tick the velocities of `r` and `s` differ by something between 0 and `a L` that never grows. Positions
//! differ by the way of the reaction time and what that adds up to.

use sinew_messages::{JOINTS, JointVector};
use sinew_units::TICK_S;

use crate::brake::{ArmState, StopLaw};

/// By how much the velocity of each joint on a late stop differs at most from that on the stop, rad/s: by something
/// between 0 and this, which has the sign of the acceleration.
pub(crate) fn drift(state: &ArmState, reaction_ticks: u32) -> JointVector {
    state.a.map(|a| a * f64::from(reaction_ticks) * TICK_S)
}

/// How far each joint on a late stop is from where it is on the stop at most, rad.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Apart {
    /// In its positive direction.
    pub(crate) up: JointVector,
    /// And in the other one.
    pub(crate) down: JointVector,
    /// Against the way that it goes: one that decelerates may turn round in the reaction time.
    pub(crate) back: JointVector,
}

impl Apart {
    /// Of a stop that is not late.
    pub(crate) const NONE: Self = Self {
        up: [0.0; JOINTS],
        down: [0.0; JOINTS],
        back: [0.0; JOINTS],
    };

    pub(crate) fn new(state: &ArmState, law: &StopLaw, reaction_ticks: u32) -> Self {
        let reaction_s = f64::from(reaction_ticks) * TICK_S;
        let mut apart = Self::NONE;
        for i in 0..JOINTS {
            let (v, speed, a) = (state.v[i], state.v[i].abs(), state.a[i].abs());
            let gained = a * reaction_s;
            let (ahead, behind) = if v * state.a[i] >= 0.0 {
                let longest = law.longest_s(i, speed + gained, a);
                let ahead = reaction_s * (speed + 0.5 * gained) + gained * longest;
                (ahead, 0.0)
            } else {
                // It is behind by what it loses, and ahead by the way of the reaction time.
                let longest = law.longest_s(i, speed.max(gained), a);
                (reaction_s * speed, gained * (0.5 * reaction_s + longest))
            };
            apart.back[i] = behind;
            let goes_up = if v == 0.0 { state.a[i] } else { v } >= 0.0;
            (apart.up[i], apart.down[i]) = if goes_up {
                (ahead, behind)
            } else {
                (behind, ahead)
            };
        }
        apart
    }

    /// In either direction.
    pub(crate) fn most(&self, joint: usize) -> f64 {
        self.up[joint].max(self.down[joint])
    }
}

/// How much farther than its stop's way up and down joint `i` may come on a late stop, rad. One that decelerates may
/// turn round in the reaction time.
pub(crate) fn ways(i: usize, state: &ArmState, law: &StopLaw, reaction_ticks: u32) -> [f64; 2] {
    let reaction_s = f64::from(reaction_ticks) * TICK_S;
    [1.0, -1.0].map(|way| {
        let (v, a) = (way * state.v[i], (way * state.a[i]).max(0.0));
        let gained = a * reaction_s;
        let fastest = (v + gained).max(0.0);
        if v >= 0.0 {
            reaction_s * (v + 0.5 * gained) + gained * law.longest_s(i, fastest, a)
        } else {
            let faster = (v + gained + law.gain(i, a)).max(0.0).min(gained);
            0.5 * reaction_s * fastest + faster * law.longest_s(i, fastest, a)
        }
    })
}

/// Largest speed of each joint on a stop that may be late, rad/s.
pub(crate) fn peaks(state: &ArmState, law: &StopLaw, drift: &JointVector) -> JointVector {
    core::array::from_fn(|j| {
        let (v, a, drift) = (state.v[j], state.a[j], drift[j].abs());
        let peak = law.peak_speed(j, v, a);
        if v * a >= 0.0 {
            peak + drift
        } else {
            peak.max((law.gain(j, a) - v.abs()).max(0.0) + drift)
        }
    })
}

/// Bound on how long the stop from a state takes, s.
pub(crate) fn stop_s(state: &ArmState, law: &StopLaw) -> f64 {
    (0..JOINTS)
        .map(|j| law.longest_s(j, state.v[j].abs(), state.a[j].abs()))
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start(v: f64, a: f64) -> ArmState {
        ArmState {
            q: [0.3; JOINTS],
            v: [v; JOINTS],
            a: [a; JOINTS],
        }
    }

    /// One tick of going on.
    fn goes_on(state: &mut ArmState) {
        for i in 0..JOINTS {
            state.v[i] += TICK_S * state.a[i];
            state.q[i] += TICK_S * state.v[i];
        }
    }

    fn late_stop_is_inside(law: &StopLaw, v: f64, a: f64, late: u32) {
        let mut state = start(v, a);
        let (up, down) = law.way(0, v, a);
        let [farther_up, farther_down] = ways(0, &state, law, late);
        let (lowest, highest) = (-down - farther_down, up + farther_up);
        for tick in 0.. {
            if tick < late {
                goes_on(&mut state);
            } else if !state.is_at_rest() {
                state = state.brake(law);
            } else {
                break;
            }
            let q = state.q[0] - 0.3;
            assert!(q <= highest + 1e-12, "{q} over {highest}");
            assert!(q >= lowest - 1e-12, "{q} under {lowest}");
        }
    }

    /// Tick by tick beside the stop.
    fn late_stop_is_near(law: &StopLaw, v: f64, a: f64, late: u32) {
        let mut stop = start(v, a);
        let drift = drift(&stop, late)[0];
        let apart = Apart::new(&stop, law, late);
        let (lowest, highest) = (-apart.down[0] - 1e-12, apart.up[0] + 1e-12);
        let peak = peaks(&stop, law, &[drift; JOINTS])[0];
        let mut ticks = 0;
        let mut longest = stop_s(&stop, law) / TICK_S;
        let mut delayed = stop;
        for _ in 0..late {
            goes_on(&mut delayed);
            let off = delayed.q[0] - stop.q[0];
            assert!((lowest..=highest).contains(&off), "{off} for {apart:?}");
            assert!(delayed.v[0].abs() <= peak + 1e-12);
        }
        while !(stop.is_at_rest() && delayed.is_at_rest()) {
            let off = delayed.q[0] - stop.q[0];
            assert!((lowest..=highest).contains(&off), "{off} for {apart:?}");
            let faster = delayed.v[0] - stop.v[0];
            let room = 1e-9;
            assert!(
                (drift.min(0.0) - room..=drift.max(0.0) + room).contains(&faster),
                "{faster} for {drift}"
            );
            assert!(delayed.v[0].abs() <= peak + 1e-12, "{delayed:?} for {peak}");
            if !stop.is_at_rest() {
                longest -= 1.0;
                assert!(longest > -1.0, "it takes longer");
            }
            stop = stop.brake(law);
            delayed = delayed.brake(law);
            ticks += 1;
            assert!(ticks < 2_000);
        }
        assert!((lowest..=highest).contains(&(delayed.q[0] - stop.q[0])));
    }

    /// The bound is that of a stop that takes effect at any time of the reaction time, and hardly more.
    #[test]
    fn the_peak_is_one_that_is_reached() {
        let law = StopLaw::new(&[15.0; JOINTS], &[1_500.0; JOINTS]);
        for (v, a) in [
            (1.0, 5.0),
            (-1.0, 5.0),
            (-0.5, 15.0),
            (-0.01, 15.0),
            (0.01, -10.0),
            (0.3, -2.0),
            (0.0, 8.0),
        ] {
            let state = start(v, a);
            let bound = peaks(&state, &law, &drift(&state, 30))[0];
            let mut reached = 0.0_f64;
            for late in 0..=30 {
                let mut state = state;
                for _ in 0..late {
                    goes_on(&mut state);
                    reached = reached.max(state.v[0].abs());
                }
                while !state.is_at_rest() {
                    reached = reached.max(state.v[0].abs());
                    state = state.brake(&law);
                }
            }
            assert!(
                (reached..reached + 0.1).contains(&(bound + 1e-12)),
                "{v} {a}: {bound} for {reached}"
            );
        }
    }

    proptest! {
        /// One that goes on for the reaction time and then stops stays inside the bound for that, turning round too.
        #[test]
        fn a_late_stop_stays_inside_its_bound(
            v in prop_oneof![-2.0..2.0_f64, -0.2..0.2_f64],
            a in -20.0..20.0_f64,
            late in 0..30_u32,
        ) {
            let law = StopLaw::new(&[15.0; JOINTS], &[1_500.0; JOINTS]);
            late_stop_is_inside(&law, v, a, late);
        }

        #[test]
        fn a_late_stop_stays_near_the_stop(
            v in prop_oneof![-2.0..2.0_f64, -0.2..0.2_f64, -0.01..0.01_f64],
            a in -1.5..1.5_f64,
            acceleration in 5.0..30.0_f64,
            jerk in 400.0..4_000.0_f64,
            late in 0..30_u32,
        ) {
            let law = StopLaw::new(&[acceleration; JOINTS], &[jerk; JOINTS]);
            late_stop_is_near(&law, v, a * acceleration, late);
        }
    }

    /// A joint that comes down, and whose acceleration up lasts for the reaction time, comes up again.
    #[test]
    fn a_late_stop_may_turn_round() {
        let law = StopLaw::new(&[15.0; JOINTS], &[1_500.0; JOINTS]);
        for (v, a) in [(-0.01, 15.0), (-0.1, 15.0), (-0.3, 10.0)] {
            for (v, a) in [(v, a), (-v, -a)] {
                late_stop_is_inside(&law, v, a, 30);
                late_stop_is_near(&law, v, a, 30);
            }
        }
    }
}
