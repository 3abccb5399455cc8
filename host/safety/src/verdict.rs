//! What the gate says about one tick.

use sinew_messages::{LimitKind, StopCategory, VerdictKind, VerdictRecord};

/// One tick's verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Pass, limited or stop.
    pub kind: VerdictKind,
    /// Why it is not a pass; `None` if it is.
    pub limit: LimitKind,
    /// Category of the latched stop, if one is latched.
    pub category: Option<StopCategory>,
    /// Joint, link or zone that the limit is about.
    pub index: Option<u32>,
    /// The configured limit, in the unit of the reason.
    pub limit_value: f64,
    /// What was asked, in the unit of the reason.
    pub asked: f64,
    /// What was given, in the unit of the reason.
    pub given: f64,
    /// The k of `b + k(u − b)`.
    pub scale: f64,
}

impl Verdict {
    /// What was asked goes through as it is.
    pub const PASS: Self = Self {
        kind: VerdictKind::Pass,
        limit: LimitKind::None,
        category: None,
        index: None,
        limit_value: 0.0,
        asked: 0.0,
        given: 0.0,
        scale: 1.0,
    };

    /// As it goes into the flight ring.
    #[must_use]
    pub fn record(&self) -> VerdictRecord {
        VerdictRecord {
            kind: self.kind as u32,
            limit: self.limit as u32,
            category: self.category.map_or(0, |category| category as u32),
            index: self.index.unwrap_or(u32::MAX),
            limit_value: self.limit_value,
            asked: self.asked,
            given: self.given,
            scale: self.scale,
        }
    }
}

/// One limit that a setpoint would break.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Violation {
    pub(crate) limit: LimitKind,
    pub(crate) index: Option<u32>,
    pub(crate) limit_value: f64,
    pub(crate) asked: f64,
}

impl Violation {
    /// One without figures.
    pub(crate) fn of(limit: LimitKind) -> Self {
        Self {
            limit,
            index: None,
            limit_value: 0.0,
            asked: 0.0,
        }
    }
}
