//! A person who walks through the cell, and the truth about how near the robot came.
//!
//! The person is geometry: an upright column without an end, as the scanner takes them. Nothing pushes them and they
//! push nothing; cameras don't show them.

use sinew_kinematics::{Chain, PlacedCapsule, clearance_to_column};
use sinew_messages::JointVector;

use crate::rng::Stream;
use crate::scenario::Walk;

/// A joint that turns slower than this stands, as the built-in safety file declares it, rad/s. The drives need it: the last
/// milliradians of their following error die away within some 80 ms after the setpoint rests.
const STANDS_RAD_S: f64 = 0.05;

/// Where a person is at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PersonAt {
    /// Middle, x and y, base frame, m.
    pub at_m: [f64; 2],
    /// Radius, m.
    pub radius_m: f64,
}

/// One straight piece of a walk; a pause goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Leg {
    start_s: f64,
    duration_s: f64,
    from: [f64; 2],
    to: [f64; 2],
}

/// A walk with everything drawn: where the person is depends on the time alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Person {
    legs: Vec<Leg>,
    radius_m: f64,
}

impl Person {
    /// Draws a walk.
    pub(crate) fn draw(walk: &Walk, stream: &mut Stream) -> Self {
        let mut now_s = stream.range(walk.start_s[0], walk.start_s[1]);
        let speed = stream.range(walk.speed_m_s[0], walk.speed_m_s[1]);
        let mut legs: Vec<Leg> = Vec::with_capacity(2 * walk.path.len());
        for station in &walk.path {
            let spread = station.spread_m;
            let at = station.at.map(|x| x + stream.range(-spread, spread));
            let pause_s = stream.range(station.pause_s[0], station.pause_s[1]);
            let from = legs.last().map_or(at, |leg| leg.to);
            let way_s = libm::hypot(at[0] - from[0], at[1] - from[1]) / speed;
            for (duration_s, from) in [(way_s, from), (pause_s, at)] {
                legs.push(Leg {
                    start_s: now_s,
                    duration_s,
                    from,
                    to: at,
                });
                now_s += duration_s;
            }
        }
        Self {
            legs,
            radius_m: walk.radius_m,
        }
    }

    /// Where they are at a time of the cycle, s, if they are there.
    pub(crate) fn at(&self, time_s: f64) -> Option<PersonAt> {
        let leg = self.legs.iter().find(|leg| {
            leg.duration_s > 0.0 && (leg.start_s..leg.start_s + leg.duration_s).contains(&time_s)
        })?;
        let share = (time_s - leg.start_s) / leg.duration_s;
        Some(PersonAt {
            at_m: core::array::from_fn(|i| leg.from[i] + share * (leg.to[i] - leg.from[i])),
            radius_m: self.radius_m,
        })
    }
}

/// What was true of persons during a cycle. Simulator truth: for reports and tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PersonTruth {
    /// Time in which somebody was within the scanner's range, s.
    pub in_cell_s: f64,
    /// Smallest distance between a person and any moving link, m; infinite if nobody came.
    pub smallest_distance_m: f64,
    /// The same while a joint turned faster than the declared standstill.
    pub smallest_moving_distance_m: f64,
}

impl Default for PersonTruth {
    fn default() -> Self {
        Self {
            in_cell_s: 0.0,
            smallest_distance_m: f64::INFINITY,
            smallest_moving_distance_m: f64::INFINITY,
        }
    }
}

impl PersonTruth {
    /// Looks at one millisecond with a person in the cell.
    pub(crate) fn look(
        &mut self,
        person: &PersonAt,
        chain: &Chain,
        position_rad: &JointVector,
        velocity_rad_s: &JointVector,
    ) {
        self.in_cell_s += 1e-3;
        let forward = chain.forward(position_rad);
        let [x, y] = person.at_m;
        let distance = chain
            .place_capsules(&forward)
            .filter(|capsule: &PlacedCapsule| capsule.link > 0)
            .map(|capsule| clearance_to_column(&capsule, x, y, person.radius_m))
            .fold(f64::INFINITY, f64::min);
        self.smallest_distance_m = self.smallest_distance_m.min(distance);
        if velocity_rad_s.iter().any(|v| v.abs() > STANDS_RAD_S) {
            self.smallest_moving_distance_m = self.smallest_moving_distance_m.min(distance);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenarios, WALK_MAX_M_S};

    #[test]
    fn a_walk_has_no_jump_keeps_its_speed_and_ends() {
        let scenarios = Scenarios::builtin();
        let walk = (scenarios.get("person").expect("it ships").person.as_ref()).expect("one walks");
        let mut starts = Vec::new();
        for seed in 0..20 {
            let person = Person::draw(walk, &mut Stream::new(seed, 0, "person"));
            let mut before: Option<PersonAt> = None;
            let mut pauses = 0;
            let mut seen = 0;
            for ms in 0..60_000_u32 {
                let now = person.at(f64::from(ms) * 1e-3);
                if let (Some(before), Some(now)) = (before, now) {
                    let way =
                        libm::hypot(now.at_m[0] - before.at_m[0], now.at_m[1] - before.at_m[1]);
                    assert!(way <= WALK_MAX_M_S * 1e-3 + 1e-9, "{way} at {ms}");
                    pauses += u32::from(way == 0.0);
                }
                seen += u32::from(now.is_some());
                before = now;
            }
            assert!(pauses >= 2_990, "they stand for at least 3 s: {pauses}");
            assert!(seen > 5_000 && before.is_none(), "they come and go");
            starts.push((0..60_000).find(|ms| person.at(f64::from(*ms) * 1e-3).is_some()));
        }
        starts.sort_unstable();
        starts.dedup();
        assert!(starts.len() > 15, "every seed has its own: {starts:?}");
    }
}
