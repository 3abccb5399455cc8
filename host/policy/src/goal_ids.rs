use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers of goals and chunks. Skills, policies and tasks all write into the same mailbox slots,
/// whose numbers must strictly increase over all of them: clones share one counter.
#[derive(Clone, Debug, Default)]
pub struct GoalIds(Arc<AtomicU64>);

impl GoalIds {
    /// The next number; the first one is 1.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_counter() {
        let ids = GoalIds::default();
        let other = ids.clone();
        assert_eq!([ids.next(), other.next(), ids.next()], [1, 2, 3]);
    }
}
