//! What was left of each limit at the least.

use std::collections::BTreeMap;

/// Smallest margins that were left, by name: what is negative is a violation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Margins(pub BTreeMap<&'static str, f64>);

impl Margins {
    /// Writes a margin down; true if it is kept.
    pub(super) fn note(&mut self, name: &'static str, margin: f64) -> bool {
        let least = self.0.entry(name).or_insert(f64::INFINITY);
        // A NaN stays and is found.
        if margin.is_nan() || margin < *least {
            *least = margin;
        }
        margin >= 0.0
    }

    /// The smaller of both, for each name.
    pub fn merge(&mut self, other: &Self) {
        for (name, margin) in &other.0 {
            self.note(name, *margin);
        }
    }
}
