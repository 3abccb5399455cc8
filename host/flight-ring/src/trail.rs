//! The trail: safety events from the tick to the audit log, without a loss.
//!
//! The ring of tick records drops what a slow reader leaves no room for. What stands in an audit log may not be
//! dropped, and the tick may not wait either. So the producer knows how much room is left and how much has been
//! **acknowledged**, which means: is safely in the log. Whoever ticks grants nothing that would lead to more events
//! than there is room for; a full queue is then a mistake of its caller, and [`TrailProducer::push`] says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sinew_messages::SafetyEvent;

/// Events that a trail holds: some times what one stop can lead to.
pub const TRAIL_EVENTS: usize = 64;

/// A new trail of [`TRAIL_EVENTS`] events. All memory is allocated here.
#[must_use]
pub fn trail() -> (TrailProducer, TrailConsumer) {
    let (producer, consumer) = rtrb::RingBuffer::new(TRAIL_EVENTS);
    let acknowledged = Arc::new(AtomicU64::new(0));
    (
        TrailProducer {
            events: producer,
            pushed: 0,
            acknowledged: Arc::clone(&acknowledged),
        },
        TrailConsumer {
            events: consumer,
            acknowledged,
        },
    )
}

/// The end that the control loop holds. Wait-free, without allocation.
#[derive(Debug)]
pub struct TrailProducer {
    events: rtrb::Producer<SafetyEvent>,
    pushed: u64,
    acknowledged: Arc<AtomicU64>,
}

impl TrailProducer {
    /// Events that there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.events.slots()
    }

    /// True if everything pushed so far is safely in the log.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged.load(Ordering::Acquire) >= self.pushed
    }

    /// Appends an event; false if there is no room, and then it is lost: ask for [`Self::room`] before.
    #[must_use]
    pub fn push(&mut self, event: SafetyEvent) -> bool {
        let taken = self.events.push(event).is_ok();
        self.pushed += u64::from(taken);
        taken
    }
}

/// The end that whoever writes the log holds.
#[derive(Debug)]
pub struct TrailConsumer {
    events: rtrb::Consumer<SafetyEvent>,
    acknowledged: Arc<AtomicU64>,
}

impl TrailConsumer {
    /// Takes the oldest event.
    pub fn pop(&mut self) -> Option<SafetyEvent> {
        self.events.pop().ok()
    }

    /// Says that `events` more of those taken are safely in the log.
    pub fn acknowledge(&mut self, events: u64) {
        self.acknowledged.fetch_add(events, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    #[test]
    fn a_trail_knows_its_room_and_what_is_safe() {
        let (mut producer, mut consumer) = trail();
        assert!(producer.is_acknowledged(), "nothing happened yet");
        for tick in 0..TRAIL_EVENTS as u64 {
            assert_eq!(producer.room(), TRAIL_EVENTS - tick as usize);
            assert!(producer.push(SafetyEvent {
                tick,
                ..SafetyEvent::zeroed()
            }));
        }
        assert!(!producer.push(SafetyEvent::zeroed()), "a full one says so");
        for tick in 0..TRAIL_EVENTS as u64 {
            assert_eq!(consumer.pop().map(|event| event.tick), Some(tick));
        }
        assert_eq!(producer.room(), TRAIL_EVENTS);
        assert!(!producer.is_acknowledged(), "taken is not written");
        consumer.acknowledge(TRAIL_EVENTS as u64);
        assert!(producer.is_acknowledged());
    }
}
