//! The mailbox between reflex and skill brain: latest value wins, one writer a slot, bounded reads.
//!
//! A [`Slot`] is a sequence lock over atomic words that lie in it: fixed layout, no pointer, no lock and no
//! `unsafe`, so that the whole [`Mailbox`] can lie in memory that two processes share. A
//! reader that keeps meeting a writer gives up after [`READ_TRIES`] and keeps its old value, so the
//! control loop's time stays bounded whatever the other side does.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use bytemuck::{Pod, Zeroable};

use crate::{ActionChunk, ArmGoal, GripperGoal, LoopStatus, Payload, SafetyMode, StopCategory};

/// Reads attempted before a reader keeps its old value.
const READ_TRIES: usize = 4;

/// Words of 8 bytes that a value takes: the second parameter of its [`Slot`].
#[must_use]
pub const fn words_of<T>() -> usize {
    size_of::<T>() / 8
}

/// A single-writer cell of plain data of `WORDS` words; latest value wins.
#[derive(Debug)]
#[repr(C)]
pub struct Slot<T, const WORDS: usize> {
    /// Even: stable. Odd: being written. 0: never written.
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
    _holds: PhantomData<T>,
}

impl<T: Pod, const WORDS: usize> Default for Slot<T, WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Pod, const WORDS: usize> Slot<T, WORDS> {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        const {
            assert!(
                size_of::<T>() == 8 * WORDS,
                "a slot has as many words as its type, and that is made of whole words"
            )
        };
        Self {
            sequence: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
            _holds: PhantomData,
        }
    }

    /// Replaces the value. There must be one writer at a time.
    pub fn write(&self, value: &T) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let bytes = bytemuck::bytes_of(value);
        for (word, chunk) in self.words.iter().zip(bytes.chunks_exact(8)) {
            let mut raw = [0_u8; 8];
            raw.copy_from_slice(chunk);
            word.store(u64::from_ne_bytes(raw), Ordering::Relaxed);
        }
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Copies the value into `out` and returns its sequence number, if there is one newer than `seen`.
    ///
    /// Start with `seen = 0`. Wait-free: after a bounded number of collisions with the writer it
    /// reports nothing new.
    pub fn read_newer(&self, seen: u64, out: &mut T) -> Option<u64> {
        for _ in 0..READ_TRIES {
            let before = self.sequence.load(Ordering::Acquire);
            if before == seen {
                return None;
            }
            if before % 2 == 1 {
                core::hint::spin_loop();
                continue;
            }
            let mut copy = T::zeroed();
            let bytes = bytemuck::bytes_of_mut(&mut copy);
            for (word, chunk) in self.words.iter().zip(bytes.chunks_exact_mut(8)) {
                chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
            fence(Ordering::Acquire);
            if self.sequence.load(Ordering::Relaxed) == before {
                *out = copy;
                return Some(before);
            }
        }
        None
    }

    /// The latest value, if one was ever written and could be read in bounded time.
    #[must_use]
    pub fn latest(&self) -> Option<T> {
        let mut out = T::zeroed();
        self.read_newer(0, &mut out).map(|_| out)
    }
}

/// Requests that must not overwrite each other: counters that only grow.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Requests {
    heartbeat_tick: AtomicU64,
    stop_power_off: AtomicU64,
    stop_then_off: AtomicU64,
    stop_hold: AtomicU64,
    reset: AtomicU64,
    mode: AtomicU64,
}

/// Counts of stop and reset requests, as the loop saw them in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Zeroable)]
pub struct RequestCounts {
    /// Requests for category 0.
    pub stop_power_off: u64,
    /// Requests for category 1.
    pub stop_then_off: u64,
    /// Requests for category 2.
    pub stop_hold: u64,
    /// Requests for a reset.
    pub reset: u64,
    /// [`SafetyMode`] code that is asked for.
    pub mode: u64,
    /// Tick of the brain's last heartbeat; 0 before the first.
    pub heartbeat_tick: u64,
}

impl Requests {
    /// The skill brain is alive at `tick`. Until the first call the loop expects no heartbeat.
    pub fn beat(&self, tick: u64) {
        self.heartbeat_tick.store(tick.max(1), Ordering::Release);
    }

    /// Asks for a latched stop. Anyone may, at any time.
    pub fn stop(&self, category: StopCategory) {
        match category {
            StopCategory::PowerOff => &self.stop_power_off,
            StopCategory::ControlledThenOff => &self.stop_then_off,
            StopCategory::ControlledHold => &self.stop_hold,
        }
        .fetch_add(1, Ordering::AcqRel);
    }

    /// Asks for a reset; returns the number that [`LoopStatus::reset_answered`] will reach. The caller
    /// has recorded the actor. Edge-triggered: a request is answered once, granted or not.
    pub fn reset(&self) -> u64 {
        self.reset.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Asks for a mode; the last one that was asked for counts.
    pub fn mode(&self, mode: SafetyMode) {
        self.mode.store(mode as u64, Ordering::Release);
    }

    /// What has been asked so far.
    #[must_use]
    pub fn counts(&self) -> RequestCounts {
        RequestCounts {
            stop_power_off: self.stop_power_off.load(Ordering::Acquire),
            stop_then_off: self.stop_then_off.load(Ordering::Acquire),
            stop_hold: self.stop_hold.load(Ordering::Acquire),
            reset: self.reset.load(Ordering::Acquire),
            mode: self.mode.load(Ordering::Acquire),
            heartbeat_tick: self.heartbeat_tick.load(Ordering::Acquire),
        }
    }
}

/// Everything that crosses between reflex and skill brain. Shared as an `Arc`; plain memory, all zero at first.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Mailbox {
    /// Brain → reflex.
    pub arm: Slot<ArmGoal, { words_of::<ArmGoal>() }>,
    /// Brain → reflex.
    pub gripper: Slot<GripperGoal, { words_of::<GripperGoal>() }>,
    /// Brain → reflex.
    pub chunk: Slot<ActionChunk, { words_of::<ActionChunk>() }>,
    /// Brain → reflex: what the hand carries.
    pub payload: Slot<Payload, { words_of::<Payload>() }>,
    /// Brain → reflex, counters.
    pub requests: Requests,
    /// Reflex → brain, every tick.
    pub status: Slot<LoopStatus, { words_of::<LoopStatus>() }>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_value_wins_and_is_seen_once() {
        let slot = Slot::<GripperGoal, 4>::new();
        let mut seen = GripperGoal::zeroed();
        assert_eq!(slot.read_newer(0, &mut seen), None);
        for id in 1..=3 {
            slot.write(&GripperGoal {
                id,
                width_m: 0.01,
                force_n: 5.0,
                speed_m_s: 0.1,
            });
        }
        let sequence = slot.read_newer(0, &mut seen).expect("a value was written");
        assert_eq!(seen.id, 3);
        assert_eq!(slot.read_newer(sequence, &mut seen), None);
    }

    /// Two processes that map the same memory agree on where everything lies, and a pointer would not fit in.
    #[test]
    fn the_mailbox_is_its_fields_one_after_the_other() {
        let slots = [
            size_of::<ArmGoal>(),
            size_of::<GripperGoal>(),
            size_of::<ActionChunk>(),
            size_of::<Payload>(),
        ];
        let mut at = 0;
        for (offset, size) in [
            core::mem::offset_of!(Mailbox, arm),
            core::mem::offset_of!(Mailbox, gripper),
            core::mem::offset_of!(Mailbox, chunk),
            core::mem::offset_of!(Mailbox, payload),
        ]
        .into_iter()
        .zip(slots)
        {
            assert_eq!(offset, at);
            at += 8 + size;
        }
        assert_eq!(core::mem::offset_of!(Mailbox, requests), at);
        at += size_of::<Requests>();
        assert_eq!(size_of::<Requests>(), 6 * 8);
        assert_eq!(core::mem::offset_of!(Mailbox, status), at);
        assert_eq!(size_of::<Mailbox>(), at + 8 + size_of::<LoopStatus>());
        assert!(!core::mem::needs_drop::<Mailbox>(), "it owns nothing");
    }

    #[test]
    fn a_reader_never_sees_a_torn_value() {
        let slot = Slot::<[u64; 16], 16>::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..20_000_u64 {
                    slot.write(&[n; 16]);
                }
            });
            let mut seen = 0;
            let mut value = [0; 16];
            for _ in 0..20_000 {
                if let Some(sequence) = slot.read_newer(seen, &mut value) {
                    seen = sequence;
                    assert!(
                        value.iter().all(|word| *word == value[0]),
                        "torn: {value:?}"
                    );
                }
            }
        });
    }
}
