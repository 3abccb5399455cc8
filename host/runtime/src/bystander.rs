//! What a person in the cell does to the work: counted for the report, told as it happens.

use sinew_messages::{LimitKind, TickRecord, VerdictKind};
use sinew_recorder::report::PersonReport;
use sinew_sim::{Cell, PersonTruth};

/// Ticks without a word from the gate after which the next one is a new encounter.
const APART_TICKS: u64 = 250;

/// Counts the encounters that the gate met by slowing or holding the robot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encounters {
    /// Tick of the gate's newest word, while an encounter lasts.
    last: Option<u64>,
    stands: bool,
    slowed: u64,
    stopped: u64,
    limited_ticks: u64,
}

impl Encounters {
    /// Looks at what the gate said in one tick.
    pub(crate) fn look(&mut self, record: &TickRecord) {
        let verdict = &record.verdict;
        let tick = record.frame.tick;
        if verdict.kind == VerdictKind::Pass as u32 || verdict.limit != LimitKind::Separation as u32
        {
            if (self.last).is_some_and(|last| tick.saturating_sub(last) > APART_TICKS) {
                self.last = None;
            }
            return;
        }
        if self.last.is_none() {
            self.slowed += 1;
            self.stands = false;
        }
        self.last = Some(tick);
        self.limited_ticks += 1;
        let stands = record.given.velocity_rad_s.iter().all(|v| *v == 0.0);
        if stands && !self.stands {
            self.stopped += 1;
            self.stands = true;
        }
    }

    /// With the truth that the simulator knows.
    pub(crate) fn report(&self, truth: &PersonTruth) -> PersonReport {
        let known = |distance: f64| distance.is_finite().then_some(distance);
        PersonReport {
            in_cell_s: truth.in_cell_s,
            slowed: self.slowed,
            stopped: self.stopped,
            limited_s: self.limited_ticks as f64 * sinew_units::TICK_S,
            smallest_distance_m: known(truth.smallest_distance_m),
            smallest_distance_moving_m: known(truth.smallest_moving_distance_m),
        }
    }
}

/// Says when somebody comes and goes, and when the robot makes way.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    is_there: bool,
    stopped: u64,
}

impl Lookout {
    /// What is new, in words.
    pub(crate) fn news(&mut self, cell: &Cell, encounters: &Encounters) -> Option<&'static str> {
        let is_there = cell.person().is_some();
        if is_there != self.is_there {
            self.is_there = is_there;
            return Some(if is_there {
                "somebody comes into the cell"
            } else {
                "nobody is in the cell any more"
            });
        }
        let has_stopped = encounters.stopped > self.stopped;
        self.stopped = encounters.stopped;
        has_stopped.then_some("the robot stands: somebody is too near")
    }
}

#[cfg(test)]
mod cell_tests;

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;

    #[test]
    fn an_encounter_is_counted_once_however_it_flickers() {
        let mut encounters = Encounters::default();
        let mut tick = 0;
        let mut run = |ticks: u64, limited: bool, velocity: f64| {
            for _ in 0..ticks {
                tick += 1;
                let mut record = TickRecord::zeroed();
                record.frame.tick = tick;
                record.given.velocity_rad_s[0] = velocity;
                if limited {
                    record.verdict.kind = VerdictKind::Limited as u32;
                    record.verdict.limit = LimitKind::Separation as u32;
                }
                encounters.look(&record);
            }
        };
        run(100, true, 0.3);
        run(100, false, 0.3);
        run(100, true, 0.1);
        run(1_000, true, 0.0);
        run(2_000, false, 0.5);
        run(50, true, 0.4);
        let truth = PersonTruth {
            in_cell_s: 4.0,
            smallest_distance_m: 0.2,
            ..PersonTruth::default()
        };
        let report = encounters.report(&truth);
        assert_eq!((report.slowed, report.stopped), (2, 1));
        assert!((report.limited_s - 1.25).abs() < 1e-9, "{report:?}");
        assert_eq!(report.smallest_distance_m, Some(0.2));
        assert_eq!(report.smallest_distance_moving_m, None);
    }
}
