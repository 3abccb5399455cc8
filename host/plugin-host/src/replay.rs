//! What came of doing a recorded run again.

use crate::tape::{Difference, Player, RecordedEnd, RunRecord, Stopped};

/// A recorded run, done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Calls that were the same, from the first one on.
    pub calls: u64,
    /// What that says.
    pub verdict: ReplayVerdict,
}

/// Whether a run was the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayVerdict {
    /// The same calls, and the same end.
    Identical,
    /// The same calls up to where the host ended the one that was recorded.
    EndedByHost,
    /// The same calls as far as they were kept: there were more than one record takes.
    AsFarAsKept,
    /// Something else.
    Differs(Difference),
}

impl Replay {
    /// It would not even be started with what was recorded.
    pub(crate) fn not_started(why: String) -> Self {
        Self {
            calls: 0,
            verdict: ReplayVerdict::Differs(Difference {
                call: 0,
                recorded: "it was started".to_owned(),
                replayed: format!("it is not started: {why}"),
            }),
        }
    }

    pub(crate) fn of(record: &RunRecord, player: &Player, end: &RecordedEnd) -> Self {
        let calls = player.count();
        let differs = |recorded: String, replayed: String| {
            ReplayVerdict::Differs(Difference {
                call: calls,
                recorded,
                replayed,
            })
        };
        let (is_cut, by_host) = (record.left_out() > 0, record.end.by_host);
        let verdict = match (player.stopped(), player.next_in_words()) {
            (Some(Stopped::Differs(difference)), _) => ReplayVerdict::Differs(difference.clone()),
            (Some(Stopped::AtTheEnd { .. }), _) if is_cut => ReplayVerdict::AsFarAsKept,
            (Some(Stopped::AtTheEnd { .. }), _) if by_host => ReplayVerdict::EndedByHost,
            (Some(Stopped::AtTheEnd { called }), _) => {
                differs(record.end.words(), format!("{called} was called"))
            }
            (None, Some(next)) => differs(next, end.words()),
            (None, None) if is_cut => differs("it called on".to_owned(), end.words()),
            (None, None) if by_host => ReplayVerdict::EndedByHost,
            (None, None) if *end != record.end => differs(record.end.words(), end.words()),
            (None, None) => ReplayVerdict::Identical,
        };
        Self { calls, verdict }
    }

    /// True if everything was the same, up to where the host ended the run if it did.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        matches!(
            self.verdict,
            ReplayVerdict::Identical | ReplayVerdict::EndedByHost
        )
    }
}

impl RecordedEnd {
    /// As a person reads it.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { kind, text, .. } = self;
        if text.is_empty() {
            format!("it ended: {kind}")
        } else {
            format!("it ended: {kind}: {text}")
        }
    }
}
