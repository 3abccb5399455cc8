//! What goes to the audit log, and why none of it can be lost.
//!
//! The tick can't wait for room in the queue, so it sees to it that there always is. Between two granted resets a stop
//! latches once and gets more severe twice at most: room for that is kept free. Whatever else makes an event waits
//! for more room than that: a reset is refused as long as it is not there, or as long as anything that was said before
//! is not safely in the log; a mode that is asked for becomes `hold`, for which one place more is kept.

use sinew_flight_ring::TrailProducer;
use sinew_messages::{
    ActivationRefusal, LimitKind, RequestCounts, ResetAnswer, SafetyEvent, SafetyEventKind,
    SafetyMode, StopCategory,
};
use sinew_safety::GateStatus;

/// Most events of one stop: it latches, and gets more severe twice.
const STOP_EVENTS: usize = 3;
/// What a granted reset needs: its answer, the next stop, and the way back to `hold`.
const RESET_ROOM: usize = 1 + STOP_EVENTS + 1;
const _: () = assert!(RESET_ROOM * 4 <= sinew_flight_ring::TRAIL_EVENTS);

/// What was said last.
#[derive(Clone, Copy, Debug)]
struct Said {
    mode: SafetyMode,
    category: Option<StopCategory>,
    stops_total: u64,
    reset_answered: u64,
}

/// The audit events of one loop.
#[derive(Debug)]
pub(crate) struct Trail {
    queue: TrailProducer,
    said: Said,
    /// Newest request that was looked at.
    seen: u64,
    /// Newest request that the gate was shown.
    shown: u64,
    /// Newest request that was refused without asking the gate.
    barred: u64,
    /// A refusal of that kind has no event yet.
    owes: bool,
}

impl Trail {
    pub(crate) fn new(queue: TrailProducer) -> Self {
        Self {
            queue,
            said: Said {
                mode: SafetyMode::Normal,
                category: None,
                stops_total: 0,
                reset_answered: 0,
            },
            seen: 0,
            shown: 0,
            barred: 0,
            owes: false,
        }
    }

    /// What the gate may be shown of the requests, so that there is room for all that comes of it.
    pub(crate) fn screen(
        &mut self,
        tick: u64,
        raw: &RequestCounts,
        gate: &GateStatus,
    ) -> RequestCounts {
        let mut shown = *raw;
        let mut room = self.queue.room();
        let asked = SafetyMode::decode(raw.mode);
        if asked != gate.mode {
            if room > stop_room(gate.category) + hold_room(asked) {
                room -= 1;
            } else {
                shown.mode = SafetyMode::Hold as u64;
            }
        }
        if raw.reset != self.seen {
            self.seen = raw.reset;
            if !self.owes && room >= RESET_ROOM && self.queue.is_acknowledged() {
                self.shown = raw.reset;
            } else {
                self.barred = raw.reset;
                self.owes = true;
            }
        }
        let hold = hold_room(gate.mode).max(hold_room(asked));
        if self.owes && room > stop_room(gate.category) + hold {
            self.owes = !self.say(SafetyEvent {
                number: self.barred,
                answer: ResetAnswer::AuditBehind as u64,
                ..event(tick, SafetyEventKind::ResetRefused, gate)
            });
        }
        shown.reset = self.shown;
        shown
    }

    /// Says what the tick has changed.
    pub(crate) fn note(&mut self, tick: u64, gate: &GateStatus) {
        let said = self.said;
        if gate.mode != said.mode {
            self.say(SafetyEvent {
                answer: gate.mode as u64,
                number: said.mode as u64,
                ..event(tick, SafetyEventKind::ModeChanged, gate)
            });
        }
        if gate.reset_answered != said.reset_answered {
            let kind = match gate.reset_answer {
                ResetAnswer::Granted => SafetyEventKind::ResetGranted,
                _ => SafetyEventKind::ResetRefused,
            };
            self.say(SafetyEvent {
                number: gate.reset_answered,
                answer: gate.reset_answer as u64,
                ..event(tick, kind, gate)
            });
        }
        if gate.stops_total != said.stops_total {
            self.say(event(tick, SafetyEventKind::Stopped, gate));
        } else if gate.category.is_some() && gate.category != said.category {
            self.say(event(tick, SafetyEventKind::StopWorsened, gate));
        }
        self.said = Said {
            mode: gate.mode,
            category: gate.category,
            stops_total: gate.stops_total,
            reset_answered: gate.reset_answered,
        };
    }

    /// True if there is room to say how an activation went.
    pub(crate) fn takes_activation(&self, gate: &GateStatus) -> bool {
        self.queue.room() > stop_room(gate.category) + hold_room(gate.mode)
    }

    /// Says how an activation went. Ask [`Self::takes_activation`] before.
    pub(crate) fn activation(
        &mut self,
        tick: u64,
        gate: &GateStatus,
        [before, hash]: [u64; 2],
        result: Result<(), ActivationRefusal>,
    ) {
        let (kind, answer) = match result {
            Ok(()) => (SafetyEventKind::Activated, 0),
            Err(refusal) => (SafetyEventKind::ActivationRefused, refusal as u64),
        };
        self.say(SafetyEvent {
            answer,
            number: hash,
            before,
            ..event(tick, kind, gate)
        });
    }

    /// The newest request that was answered, by the gate or before it, and how.
    pub(crate) fn answered(&self, gate: &GateStatus) -> (u64, ResetAnswer) {
        if self.barred > gate.reset_answered {
            (self.barred, ResetAnswer::AuditBehind)
        } else {
            (gate.reset_answered, gate.reset_answer)
        }
    }

    fn say(&mut self, event: SafetyEvent) -> bool {
        let taken = self.queue.push(event);
        debug_assert!(taken, "room is kept for every event");
        taken
    }
}

/// Events that the present stop, or the next one, may still lead to.
fn stop_room(category: Option<StopCategory>) -> usize {
    match category {
        None => STOP_EVENTS,
        Some(StopCategory::ControlledHold) => 2,
        Some(StopCategory::ControlledThenOff) => 1,
        Some(StopCategory::PowerOff) => 0,
    }
}

/// Events that a lack of room may still lead to in this mode.
fn hold_room(mode: SafetyMode) -> usize {
    usize::from(mode != SafetyMode::Hold)
}

fn event(tick: u64, kind: SafetyEventKind, gate: &GateStatus) -> SafetyEvent {
    let stopped = gate.category.is_some();
    SafetyEvent {
        tick,
        kind: kind as u32,
        category: gate.category.map_or(0, |category| category as u32),
        limit: if stopped {
            gate.reason as u32
        } else {
            LimitKind::None as u32
        },
        index: gate.index.unwrap_or(u32::MAX),
        limit_value: gate.limit_value,
        asked: gate.asked,
        answer: 0,
        number: 0,
        before: 0,
    }
}
