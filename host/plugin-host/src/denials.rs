//! What was refused to a run, counted by kind: however often a plugin asks for one thing, what it asked for once is told
//! beside it, and every refusal is counted.

use sinew_units::Tick;

/// Kinds of refusals that are told one by one for each run. Functions and reasons are the host's own, and most pairs of them
/// can't come about in one run: all that can, some 40, have room here, so that a plugin can't use up the room with cheap
/// ones before the one that it wants to hide.
pub const DENIAL_KINDS_MAX: usize = 64;

/// Longest text of a refusal, characters. The plugin chooses some of it.
const TEXT_CHARS_MAX: usize = 400;

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialReason {
    /// The interface was not granted.
    Interface,
    /// It moves something, or waits, while it assesses.
    Assess,
    /// The run holds no lease on the robot part.
    Lease,
    /// The policy was not granted.
    Policy,
    /// Objects of this class were not granted.
    Class,
    /// The gripper would press harder than granted.
    Force,
    /// A guarded move would press harder than granted.
    Contact,
    /// The goal, or the way there, lies outside of the granted zones.
    Zone,
    /// The tool was about to cross the border of the granted zones, or is being braked there.
    Border,
    /// The directory was not granted.
    Directory,
    /// The directory was granted for reading.
    ReadOnly,
}

impl DenialReason {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Assess => "assess",
            Self::Lease => "lease",
            Self::Policy => "policy",
            Self::Class => "class",
            Self::Force => "force",
            Self::Contact => "contact",
            Self::Zone => "zone",
            Self::Border => "border",
            Self::Directory => "directory",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Refusals of one kind: of the same function for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was called: `motion.start`. `motion` if the host braked a motion at a border.
    pub function: String,
    /// Why it was refused.
    pub reason: DenialReason,
    /// What was said of the first one: a bounded line.
    pub text: String,
    /// How many there were.
    pub count: u64,
    /// When the first one was.
    pub first: Tick,
    /// When the last one was.
    pub last: Tick,
}

/// Refusals of the kinds beyond [`DENIAL_KINDS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoreDenials {
    /// How many kinds.
    pub kinds: u64,
    /// How many refusals.
    pub count: u64,
    /// When the first one was.
    pub first: Tick,
    /// When the last one was.
    pub last: Tick,
}

/// Everything that was refused to one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDenials {
    /// `publisher/name`.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// Each kind, in the order of the first ones; at most [`DENIAL_KINDS_MAX`].
    pub kinds: Vec<Denial>,
    /// The kinds beyond those, if there are any.
    pub more: Option<MoreDenials>,
}

/// Counts the refusals of a run.
#[derive(Default)]
pub(crate) struct Ledger(Vec<Denial>);

impl Ledger {
    /// Counts one. True if it is the first one of a kind that is told one by one.
    pub(crate) fn count(
        &mut self,
        function: &str,
        reason: DenialReason,
        text: &str,
        tick: Tick,
    ) -> bool {
        let same = |kind: &&mut Denial| kind.reason == reason && kind.function == function;
        if let Some(kind) = self.0.iter_mut().find(same) {
            kind.count += 1;
            kind.last = tick;
            return false;
        }
        self.0.push(Denial {
            function: function.to_owned(),
            reason,
            text: text.to_owned(),
            count: 1,
            first: tick,
            last: tick,
        });
        self.0.len() <= DENIAL_KINDS_MAX
    }

    /// What was counted: kinds that are told one by one, and the sum of the others.
    pub(crate) fn take(&mut self) -> (Vec<Denial>, Option<MoreDenials>) {
        let mut kinds = std::mem::take(&mut self.0);
        let others = kinds.split_off(kinds.len().min(DENIAL_KINDS_MAX));
        let more = others.first().map(|earliest| MoreDenials {
            kinds: others.len() as u64,
            count: others.iter().map(|kind| kind.count).sum(),
            first: earliest.first,
            last: (others.iter().map(|kind| kind.last))
                .max()
                .unwrap_or(earliest.last),
        });
        (kinds, more)
    }
}

/// A text as it is told: a bounded line, in the order in which it is read.
#[must_use]
pub fn line(text: &str) -> String {
    // What breaks a line, or turns around what stands beside it.
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut chars = text.chars().map(|c| {
        if is_odd(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    });
    let mut line: String = chars.by_ref().take(TEXT_CHARS_MAX).collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_for_itself_and_none_hides_another() {
        let mut ledger = Ledger::default();
        for tick in 0..1_000 {
            let first = ledger.count("log.write", DenialReason::Interface, "cheap", Tick(tick));
            assert_eq!(first, tick == 0);
            if tick == 500 {
                assert!(ledger.count("files.read", DenialReason::Directory, "dear", Tick(tick)));
                // The same function for another reason is another kind.
                assert!(ledger.count("log.write", DenialReason::Lease, "other", Tick(tick)));
            }
        }
        let (kinds, more) = ledger.take();
        assert_eq!(more, None);
        let told: Vec<_> = (kinds.iter())
            .map(|kind| (kind.text.as_str(), kind.count, kind.first.0, kind.last.0))
            .collect();
        assert_eq!(
            told,
            [
                ("cheap", 1_000, 0, 999),
                ("dear", 1, 500, 500),
                ("other", 1, 500, 500)
            ]
        );
        assert_eq!(ledger.take(), (Vec::new(), None));
    }

    #[test]
    fn more_kinds_than_are_told_are_summed_up() {
        let mut ledger = Ledger::default();
        let most = DENIAL_KINDS_MAX as u64;
        for round in 0..3 {
            for kind in 0..most + 5 {
                let tick = Tick(100 * round + kind);
                let first = ledger.count(&format!("f{kind}"), DenialReason::Interface, "no", tick);
                assert_eq!(first, round == 0 && kind < most);
            }
        }
        let (kinds, more) = ledger.take();
        assert_eq!(kinds.len(), DENIAL_KINDS_MAX);
        assert!(kinds.iter().all(|kind| kind.count == 3));
        let expected = MoreDenials {
            kinds: 5,
            count: 15,
            first: Tick(most),
            last: Tick(200 + most + 4),
        };
        assert_eq!(more, Some(expected));
    }

    #[test]
    fn a_text_is_one_bounded_line() {
        assert_eq!(line("no `grasp`"), "no `grasp`");
        assert_eq!(
            line("a\nb\r\u{1b}[31m\u{2028}c\u{202e}d\0"),
            "a\u{fffd}b\u{fffd}\u{fffd}[31m\u{fffd}c\u{fffd}d\u{fffd}"
        );
        let long = line(&"ä".repeat(1 << 20));
        assert_eq!(long.chars().count(), TEXT_CHARS_MAX + 1);
        assert!(long.ends_with("ä…"));
        assert_eq!(line(&"x".repeat(TEXT_CHARS_MAX)).len(), TEXT_CHARS_MAX);
    }
}
