//! The thread that takes down what has ended: to give a plugin's memory back takes the kernel milliseconds, and whoever has
//! just got control back from it has something better to do.

use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};

use crate::state::lock;

/// Instances that may wait to be taken down. Whoever ends more takes them down himself.
const WAITING: usize = 64;
/// Instances that wait for the next look of the guard. With one more the thread is woken at once.
const UNTOLD: usize = 1;

/// Hands over to that thread. It ends with the last one of these.
#[derive(Clone)]
pub(crate) struct Reaper {
    orders: SyncSender<Order>,
    /// What the thread was not told of yet: to wake it takes as long as the rest of what ends a run.
    untold: Arc<Mutex<Vec<Box<dyn Send>>>>,
}

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
        Ok(Self {
            orders,
            untold: Arc::default(),
        })
    }

    /// Drops it, sooner or later. Nothing that decides anything may depend on when.
    pub(crate) fn take(&self, dead: Box<dyn Send>) {
        let mut untold = lock(&self.untold);
        untold.push(dead);
        if untold.len() <= UNTOLD {
            return;
        }
        self.send(&mut untold);
        let too_many = match untold.len() > WAITING {
            true => std::mem::take(&mut *untold),
            false => Vec::new(),
        };
        drop(untold);
        drop(too_many);
    }

    /// Tells the thread what it was not told of yet. Called at every look of the guard.
    pub(crate) fn tell(&self) {
        self.send(&mut lock(&self.untold));
    }

    /// Sends what there is room for.
    fn send(&self, untold: &mut Vec<Box<dyn Send>>) {
        let refused = std::mem::take(untold).into_iter().filter_map(|dead| {
            match self.orders.try_send(Order::Drop(dead)) {
                Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => order.dead(),
                Ok(()) => None,
            }
        });
        *untold = refused.collect();
    }

    /// Waits until everything that was handed over is gone.
    pub(crate) fn settle(&self) {
        let untold = std::mem::take(&mut *lock(&self.untold));
        for dead in untold {
            // Without the thread it is gone, too.
            drop(self.orders.send(Order::Drop(dead)));
        }
        let (answer, answered) = mpsc::sync_channel(1);
        if self.orders.send(Order::Answer(answer)).is_ok() {
            // Without an answer the thread is gone, and all that it had with it.
            let _ = answered.recv();
        }
    }
}

impl Order {
    fn dead(self) -> Option<Box<dyn Send>> {
        match self {
            Self::Drop(dead) => Some(dead),
            Self::Answer(_) => None,
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
        reaper.tell();
        // The thread is busy: these wait, and the ones too many are dropped here.
        for _ in 0..5 * WAITING {
            reaper.take(Box::new(Arc::clone(&alive)));
        }
        let waiting = Arc::strong_count(&alive) - 2;
        assert!((1..=2 * WAITING + 1).contains(&waiting), "{waiting}");
        go.send(()).expect("it waits");
        reaper.settle();
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn one_waits_for_the_next_look_and_two_do_not() {
        let reaper = Reaper::start().expect("a thread can be started");
        let alive = Arc::new(());
        let (told, waits) = mpsc::channel::<()>();
        /// Says when it is gone.
        struct Last(mpsc::Sender<()>);
        impl Drop for Last {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        reaper.take(Box::new(Arc::clone(&alive)));
        assert_eq!(Arc::strong_count(&alive), 2);
        reaper.take(Box::new(Last(told.clone())));
        assert_eq!(waits.recv(), Ok(()));
        assert_eq!(Arc::strong_count(&alive), 1, "in their order");
        reaper.take(Box::new(Last(told)));
        reaper.tell();
        assert_eq!(waits.recv(), Ok(()));
    }
}
