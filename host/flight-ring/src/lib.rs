//! Fixed-size records from the tick to everyone else, wait-free.
//!
//! The control loop is the producer and must never wait for a reader, so a full ring drops the **newest**
//! record and counts it: what led up to a failure is worth more than what came after, and the gap shows
//! in [`sinew_messages::SensorFrame::tick`] of the neighbours. Records are plain bytes without pointers.
//! What may not be dropped goes another way: [`trail()`].

mod trail;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::Pod;
use sinew_messages::TickRecord;

pub use trail::{TRAIL_EVENTS, TrailConsumer, TrailProducer, trail};

/// Records that a ring of the given number of seconds needs, plus one second of slack for a reader that
/// drains once a second.
#[must_use]
pub fn capacity_for_seconds(seconds: u64) -> usize {
    let records = seconds
        .saturating_add(1)
        .saturating_mul(sinew_units::TICK_HZ);
    usize::try_from(records).unwrap_or(usize::MAX)
}

/// A new ring that holds `capacity` records; a capacity of zero is taken as one.
///
/// All memory is allocated here.
#[must_use]
pub fn ring(capacity: usize) -> (Producer, Consumer) {
    const fn assert_plain<T: Pod>() {}
    assert_plain::<TickRecord>();

    let (producer, consumer) = rtrb::RingBuffer::new(capacity.max(1));
    let dropped = Arc::new(AtomicU64::new(0));
    (
        Producer {
            records: producer,
            dropped: Arc::clone(&dropped),
        },
        Consumer {
            records: consumer,
            dropped,
        },
    )
}

/// The end that the control loop holds. One thread at a time.
#[derive(Debug)]
pub struct Producer {
    records: rtrb::Producer<TickRecord>,
    dropped: Arc<AtomicU64>,
}

impl Producer {
    /// Appends a record; returns false and counts it as dropped if the ring is full. Wait-free, without
    /// allocation, whatever the reader does (a reader that is gone looks like one that never drains).
    pub fn push(&mut self, record: &TickRecord) -> bool {
        let taken = self.records.push(*record).is_ok();
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Records dropped since the ring was made.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The end that the recorder holds. One thread at a time.
#[derive(Debug)]
pub struct Consumer {
    records: rtrb::Consumer<TickRecord>,
    dropped: Arc<AtomicU64>,
}

impl Consumer {
    /// Takes the oldest record.
    pub fn pop(&mut self) -> Option<TickRecord> {
        self.records.pop().ok()
    }

    /// Takes the records that are in the ring now, oldest first. Ends even if the producer goes on.
    pub fn drain(&mut self) -> impl Iterator<Item = TickRecord> + '_ {
        let waiting = self.records.slots();
        (0..waiting).map_while(|_| self.pop())
    }

    /// Records waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.slots()
    }

    /// True if no record waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Records dropped since the ring was made.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    fn record(tick: u64) -> TickRecord {
        let mut record = TickRecord::zeroed();
        record.frame.tick = tick;
        record
    }

    #[test]
    fn a_full_ring_keeps_the_oldest_and_counts_the_rest() {
        let (mut producer, mut consumer) = ring(4);
        let taken = (0..10).filter(|tick| producer.push(&record(*tick))).count();
        assert_eq!(taken, 4);
        assert_eq!((producer.dropped(), consumer.dropped()), (6, 6));
        let kept: Vec<u64> = consumer.drain().map(|r| r.frame.tick).collect();
        assert_eq!(kept, [0, 1, 2, 3]);
        assert!(producer.push(&record(10)), "room again after the drain");
        assert_eq!(consumer.len(), 1);
    }

    #[test]
    fn a_reader_that_is_gone_does_not_stop_the_loop() {
        let (mut producer, consumer) = ring(2);
        drop(consumer);
        for tick in 0..5 {
            producer.push(&record(tick));
        }
        assert_eq!(producer.dropped(), 3);
    }

    #[test]
    fn records_arrive_in_order_and_whole_across_threads() {
        let (mut producer, mut consumer) = ring(64);
        let total = 50_000;
        let writer = std::thread::spawn(move || {
            for tick in 0..total {
                let mut record = record(tick);
                record.arm_goal_id = tick;
                record.chunk_id = tick;
                producer.push(&record);
            }
            producer.dropped()
        });
        let mut last = None;
        let mut seen = 0;
        while !(writer.is_finished() && consumer.is_empty()) {
            for record in consumer.drain() {
                assert_eq!(record.frame.tick, record.arm_goal_id);
                assert_eq!(record.frame.tick, record.chunk_id);
                assert!(last.is_none_or(|last| record.frame.tick > last));
                last = Some(record.frame.tick);
                seen += 1;
            }
        }
        let dropped = writer.join().expect("the writer ends");
        assert_eq!(seen + dropped, total);
    }

    #[test]
    fn capacity_covers_the_seconds_asked_for() {
        assert_eq!(capacity_for_seconds(10), 11_000);
        assert!(capacity_for_seconds(u64::MAX) > 0);
    }
}
