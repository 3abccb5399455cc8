//! The thread that takes down what has ended: to give a plugin's memory back takes the kernel milliseconds, and whoever has
//! just got control back from it has something better to do.

use std::sync::mpsc::{self, SyncSender, TrySendError};

/// Instances that may wait to be taken down. Whoever ends more takes them down himself.
const WAITING: usize = 64;

/// Hands over to that thread. It ends with the last one of these.
#[derive(Clone)]
pub(crate) struct Reaper(SyncSender<Order>);

enum Order {
    Drop(Box<dyn Send>),
    /// Answer once everything before it is gone.
    Answer(SyncSender<()>),
}

impl Reaper {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (orders, received) = mpsc::sync_channel(WAITING);
        std::thread::Builder::new()
            .name("plugin-reaper".to_owned())
            .spawn(move || {
                for order in received {
                    match order {
                        Order::Drop(dead) => drop(dead),
                        // Nobody waits for it any more if that fails.
                        Order::Answer(to) => drop(to.send(())),
                    }
                }
            })?;
        Ok(Self(orders))
    }

    /// Drops it, sooner or later. Nothing that decides anything may depend on when.
    pub(crate) fn take(&self, dead: Box<dyn Send>) {
        match self.0.try_send(Order::Drop(dead)) {
            Ok(()) => {}
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => drop(order),
        }
    }

    /// Waits until everything that was handed over is gone.
    pub(crate) fn settle(&self) {
        let (answer, answered) = mpsc::sync_channel(1);
        if self.0.send(Order::Answer(answer)).is_ok() {
            // Without an answer the thread is gone, and all that it had with it.
            let _ = answered.recv();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::Receiver;

    use super::*;

    /// Is not gone before somebody says so.
    struct Slow(
        Receiver<()>,
        #[allow(dead_code, reason = "it is counted")] Arc<()>,
    );

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    #[test]
    fn what_is_handed_over_is_gone_once_it_has_settled() {
        let reaper = Reaper::start().expect("a thread can be started");
        let (go, wait) = mpsc::channel();
        let alive = Arc::new(());
        reaper.take(Box::new(Slow(wait, Arc::clone(&alive))));
        // The thread is busy: these wait, and the ones too many are dropped here.
        for _ in 0..3 * WAITING {
            reaper.take(Box::new(Arc::clone(&alive)));
        }
        let waiting = Arc::strong_count(&alive) - 2;
        assert!((1..=WAITING + 1).contains(&waiting), "{waiting}");
        go.send(()).expect("it waits");
        reaper.settle();
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
