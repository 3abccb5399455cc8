//! The safety scanner: where persons are, as the robot's safety inputs have it.
//!
//! It scans at its period and says what it saw after its latency: places are off by no more than the uncertainty that it
//! states, and as old as it says. With nobody in its range it says that there is nobody, which is not silence.

use sinew_messages::{Obstacle, ObstacleFrame, ObstacleKind};

use crate::config::ScannerConfig;
use crate::person::{Person, PersonAt};
use crate::rng::Stream;
use crate::scenario::{ScannerFault, ScannerFaultKind};

/// What one cycle's scanner is made of.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    config: ScannerConfig,
    faults: Vec<ScannerFault>,
    seed: u64,
    cycle: u64,
    /// The newest scan that was said, if one was, and what it held.
    said: (Option<u64>, Option<PersonAt>),
}

impl Scanner {
    pub(crate) fn new(
        config: ScannerConfig,
        faults: &[ScannerFault],
        seed: u64,
        cycle: u64,
    ) -> Self {
        Self {
            config,
            faults: faults.to_vec(),
            seed,
            cycle,
            said: (None, None),
        }
    }

    /// The person, if they are within range.
    pub(crate) fn in_range(&self, person: Option<&Person>, at_ms: u64) -> Option<PersonAt> {
        person?
            .at(at_ms as f64 * 1e-3)
            .filter(|person| libm::hypot(person.at_m[0], person.at_m[1]) <= self.config.range)
    }

    /// What it says at tick `tick`, which is millisecond `now_ms` of the cycle. What it said before stands in `out`.
    pub(crate) fn say(
        &mut self,
        tick: u64,
        now_ms: u64,
        person: Option<&Person>,
        out: &mut ObstacleFrame,
    ) {
        let fault = self.fault_at(now_ms);
        if fault == Some(ScannerFaultKind::Silent) {
            // Nothing new comes; what came before only grows older.
            self.grow_old(now_ms, out);
            return;
        }
        let period = self.config.period_ms;
        // The newest scan whose result is through; before the cycle there were scans of an empty cell.
        let scan_ms = now_ms
            .checked_sub(self.config.latency_ms)
            .map(|through| through - through % period);
        let is_new = fault != Some(ScannerFaultKind::Old) && self.said.0 != scan_ms;
        if let Some(scan_ms) = scan_ms.filter(|_| is_new) {
            let seen = self.in_range(person, scan_ms);
            self.said = (Some(scan_ms), seen.map(|seen| self.blurred(seen, scan_ms)));
        }
        let silent_ms = now_ms - scan_ms.unwrap_or(0);
        out.seen_tick = tick.saturating_sub(silent_ms).max(1);
        out.count = 0;
        if let (_, Some(person)) = self.said {
            out.count = 1;
            out.obstacles[0] = self.obstacle(&person, ObstacleKind::Column);
        }
        if fault == Some(ScannerFaultKind::Somewhere) {
            let nowhere = PersonAt {
                at_m: [0.0; 2],
                radius_m: 0.0,
            };
            out.count = 1;
            out.obstacles[0] = self.obstacle(&nowhere, ObstacleKind::Somewhere);
        }
        self.grow_old(now_ms, out);
    }

    fn fault_at(&self, now_ms: u64) -> Option<ScannerFaultKind> {
        let now_s = now_ms as f64 * 1e-3;
        (self.faults.iter())
            .find(|fault| (fault.from_s..fault.until_s).contains(&now_s))
            .map(|fault| fault.kind)
    }

    fn grow_old(&self, now_ms: u64, out: &mut ObstacleFrame) {
        if let (Some(said_ms), Some(_)) = self.said {
            out.obstacles[0].age_ticks = now_ms - said_ms;
        }
    }

    fn obstacle(&self, person: &PersonAt, kind: ObstacleKind) -> Obstacle {
        let [x, y] = person.at_m;
        Obstacle {
            kind: kind as u32,
            reserved: 0,
            position_m: [x, y, 0.0],
            radius_m: person.radius_m,
            uncertainty_m: self.config.uncertainty,
            age_ticks: 0,
        }
    }

    /// The place as it is measured: anywhere in the disc of the stated uncertainty.
    fn blurred(&self, person: PersonAt, scan_ms: u64) -> PersonAt {
        let mut noise = Stream::new(self.seed, self.cycle, &format!("scanner/{scan_ms}"));
        let off = self.config.uncertainty * noise.unit().sqrt();
        let direction = noise.range(0.0, 2.0 * core::f64::consts::PI);
        let [x, y] = person.at_m;
        PersonAt {
            at_m: [
                x + off * libm::cos(direction),
                y + off * libm::sin(direction),
            ],
            ..person
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CellConfig;
    use crate::scenario::Scenarios;

    fn scanner(scenario: &str) -> (Scanner, Option<Person>) {
        let scenarios = Scenarios::builtin();
        let scenario = scenarios.get(scenario).expect("it ships");
        let scanner = Scanner::new(CellConfig::builtin().scanner, &scenario.scanner_fault, 5, 0);
        let person = (scenario.person.as_ref())
            .map(|walk| Person::draw(walk, &mut Stream::new(5, 0, "person")));
        (scanner, person)
    }

    /// Ticks run ahead of the cycle's milliseconds by this in the tests.
    const AHEAD: u64 = 1;

    #[test]
    fn places_are_as_far_off_and_as_old_as_it_says() {
        let (mut scanner, person) = scanner("person");
        let config = CellConfig::builtin().scanner;
        let mut out = ObstacleFrame::NONE;
        let (mut seen, mut worst_off, mut oldest) = (0, 0.0_f64, 0);
        for ms in 0..40_000 {
            scanner.say(ms + AHEAD, ms, person.as_ref(), &mut out);
            let silent = ms + AHEAD - out.seen_tick;
            assert!(silent < config.period_ms + config.latency_ms, "{silent}");
            if out.count == 0 {
                continue;
            }
            seen += 1;
            let told = out.obstacles[0];
            oldest = oldest.max(told.age_ticks);
            let then = person
                .as_ref()
                .and_then(|person| person.at((ms - told.age_ticks) as f64 * 1e-3))
                .expect("they were there");
            let off = libm::hypot(
                told.position_m[0] - then.at_m[0],
                told.position_m[1] - then.at_m[1],
            );
            assert!(off <= told.uncertainty_m, "{off}");
            worst_off = worst_off.max(off);
        }
        assert!(seen > 3_000);
        assert!(worst_off > 0.8 * config.uncertainty, "{worst_off}");
        assert_eq!(oldest, config.period_ms + config.latency_ms - 1);
    }

    #[test]
    fn faults_are_seen_as_what_they_are() {
        let run = |name: &str, until_ms: u64| {
            let (mut scanner, person) = scanner(name);
            let mut out = ObstacleFrame::NONE;
            for ms in 0..=until_ms {
                scanner.say(ms + AHEAD, ms, person.as_ref(), &mut out);
            }
            out
        };
        assert!(run("scanner-silent", 9_000).seen_tick < 8_010);
        let unsure = run("scanner-unsure", 9_000);
        assert_eq!(
            (unsure.count, unsure.obstacles[0].kind),
            (1, ObstacleKind::Somewhere as u32)
        );
        assert_eq!(run("scanner-unsure", 13_000).count, 0);
        let old = run("scanner-old", 10_000);
        assert_eq!(old.count, 1);
        assert!(old.seen_tick > 9_900, "it says that it sees");
        assert!(old.obstacles[0].age_ticks > 2_000, "{:?}", old.obstacles[0]);
        assert!(run("scanner-old", 15_000).obstacles[0].age_ticks < 100);
    }
}
