//! Choosing a recovery.
//!
//! Every recovery whose manifest handles the failure's label is asked what it would do. The one with the
//! smallest expected time to success is tried: its cost over its chance, where the chance weighs the recovery's
//! own estimate (as if it had been seen [`PRIOR_WEIGHT`] times) with what was seen of it for this label. Attempts
//! and time of a task are bounded; when a bound is met, a person is asked.

use std::collections::BTreeMap;

use sinew_plugin_host::Proposal;
use sinew_units::Ticks;

use crate::event::Weighed;
use crate::failure::FailureLabel;

/// How many observations a recovery's own estimate is worth.
const PRIOR_WEIGHT: f64 = 4.0;
/// A chance below this isn't tried: its expected cost is beyond every budget.
const CHANCE_MIN: f64 = 0.02;

/// Bounds on the recoveries of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryBudget {
    /// Attempts in all.
    pub attempts: u32,
    /// Time of all recoveries together.
    pub time: Ticks,
    /// Time of one recovery.
    pub run_time: Ticks,
    /// Failures of one recovery for one label before it is not asked about it any more.
    pub failures_each: u32,
}

impl Default for RecoveryBudget {
    fn default() -> Self {
        Self {
            attempts: 6,
            time: Ticks::from_ms(240_000),
            run_time: Ticks::from_ms(90_000),
            failures_each: 2,
        }
    }
}

/// What was seen of each recovery for each label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    seen: BTreeMap<(String, FailureLabel), Record>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record {
    tried: u64,
    helped: u64,
}

impl History {
    /// One more attempt, and whether it helped.
    pub fn note(&mut self, recovery: &str, label: FailureLabel, helped: bool) {
        let record = self.seen.entry((recovery.to_owned(), label)).or_default();
        record.tried += 1;
        record.helped += u64::from(helped);
    }

    /// Attempts, and how many of them helped.
    #[must_use]
    pub fn of(&self, recovery: &str, label: FailureLabel) -> (u64, u64) {
        let key = (recovery.to_owned(), label);
        let record = self.seen.get(&key).copied().unwrap_or_default();
        (record.tried, record.helped)
    }

    fn chance(&self, recovery: &str, label: FailureLabel, own: f64) -> f64 {
        let (tried, helped) = self.of(recovery, label);
        (own * PRIOR_WEIGHT + helped as f64) / (PRIOR_WEIGHT + tried as f64)
    }

    /// The proposals with their expected cost, best first; equal ones by name. Hopeless ones are left out.
    #[must_use]
    pub(crate) fn weigh(
        &self,
        label: FailureLabel,
        proposals: Vec<(String, Proposal)>,
    ) -> Vec<Weighed> {
        let mut weighed: Vec<Weighed> = proposals
            .into_iter()
            .filter_map(|(recovery, proposal)| {
                let success = self.chance(&recovery, label, proposal.success);
                (success >= CHANCE_MIN).then(|| Weighed {
                    expected_ticks: proposal.cost_ticks.max(1) as f64 / success,
                    recovery,
                    plan: proposal.plan,
                    cost_ticks: proposal.cost_ticks,
                    success,
                })
            })
            .collect();
        weighed.sort_by(|a, b| {
            a.expected_ticks
                .total_cmp(&b.expected_ticks)
                .then_with(|| a.recovery.cmp(&b.recovery))
        });
        weighed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(cost_ticks: u64, success: f64) -> Proposal {
        Proposal {
            plan: String::new(),
            cost_ticks,
            success,
        }
    }

    fn best(history: &History, proposals: &[(&str, Proposal)]) -> Vec<String> {
        let proposals = proposals
            .iter()
            .map(|(name, proposal)| ((*name).to_owned(), proposal.clone()))
            .collect();
        history
            .weigh(FailureLabel::Dropped, proposals)
            .into_iter()
            .map(|weighed| weighed.recovery)
            .collect()
    }

    #[test]
    fn the_smallest_expected_cost_is_chosen_and_experience_changes_it() {
        let mut history = History::default();
        let proposals = [
            ("b/quick", proposal(10_000, 0.5)),
            ("a/sure", proposal(18_000, 0.9)),
        ];
        // 20 000 against 20 000: the name decides.
        assert_eq!(best(&history, &proposals), ["a/sure", "b/quick"]);
        history.note("b/quick", FailureLabel::Dropped, true);
        assert_eq!(best(&history, &proposals), ["b/quick", "a/sure"]);
        for _ in 0..4 {
            history.note("b/quick", FailureLabel::Dropped, false);
        }
        assert_eq!(best(&history, &proposals), ["a/sure", "b/quick"]);
        // What was seen for another label says nothing.
        history.note("a/sure", FailureLabel::Slip, false);
        assert_eq!(history.of("a/sure", FailureLabel::Dropped), (0, 0));
        assert_eq!(history.of("b/quick", FailureLabel::Dropped), (5, 1));
    }

    #[test]
    fn the_hopeless_is_not_tried() {
        let history = History::default();
        let proposals = [("a/none", proposal(1, 0.0)), ("b/some", proposal(0, 0.1))];
        assert_eq!(best(&history, &proposals), ["b/some"]);
    }
}
