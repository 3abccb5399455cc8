//! A thread that writes, so that nobody else waits for the disk who does not want to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::approvals::Approvals;
use crate::clock::WallClock;
use crate::error::AuditError;
use crate::file::AuditFile;
use crate::record::{Entry, Pending, Stamp};

/// After a failed write it is tried again this often, unless somebody asks before.
const RETRY: Duration = Duration::from_secs(1);

/// An open audit log. Clones share it; the last one that goes waits until everything is written that can be.
#[derive(Clone, Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Arc<Thread>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    clock: WallClock,
    file: Mutex<AuditFile>,
    state: Mutex<State>,
    /// Something is to be done.
    work: Condvar,
    /// Something was done, or failed.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Not durable yet, oldest first.
    waiting: Vec<Pending>,
    /// Records handed over so far.
    taken: u64,
    /// How many of them are durable.
    durable: u64,
    /// Attempts that failed so far, and the last one's error while it lasts.
    failures: u64,
    error: Option<String>,
    /// Somebody waits and wants an attempt now.
    urgent: bool,
    closing: bool,
    dead: bool,
}

#[derive(Debug)]
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Opens or begins the log at `path` and starts the thread.
    ///
    /// # Errors
    /// As [`AuditFile::open`]; [`AuditError::NoWriter`].
    pub fn open(path: &Path, clock: WallClock) -> Result<Self, AuditError> {
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            clock,
            file: Mutex::new(AuditFile::open(path, clock)?),
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let handle = std::thread::Builder::new()
            .name("sinew-audit".to_owned())
            .spawn(move || {
                let ends = Ends(&theirs);
                ends.0.write_until_closed();
            })
            .map_err(|_| AuditError::NoWriter {
                path: path.to_owned(),
            })?;
        Ok(Self {
            thread: Arc::new(Thread {
                shared: Arc::clone(&shared),
                handle: Mutex::new(Some(handle)),
            }),
            shared,
        })
    }

    /// Where the log lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Hands a record over to be written. Returns how many were handed over so far, this one included: it is safe
    /// when [`Self::durable`] has reached that number.
    pub fn append(&self, stamp: Stamp, actor: Option<&str>, entry: Entry) -> u64 {
        let mut pending = Pending {
            stamp,
            actor: actor.map(str::to_owned),
            entry,
        };
        // Now, and not when the disk has time for it.
        self.shared.clock.stamp(&mut pending);
        let mut state = self.shared.state();
        state.waiting.push(pending);
        state.taken += 1;
        self.shared.work.notify_one();
        state.taken
    }

    /// Records that are safely on the disk, of those handed over.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.shared.state().durable
    }

    /// Tries once more to write what waits, ends the thread, and hands back what could not be written, oldest first. Nothing
    /// can be written afterwards.
    #[must_use]
    pub fn finish(&self) -> Vec<Pending> {
        self.thread.end();
        std::mem::take(&mut self.shared.state().waiting)
    }

    /// Waits until everything that was handed over is on the disk, or until another attempt to write it has failed.
    ///
    /// # Errors
    /// [`AuditError::NotWritten`] with the reason; the records are kept and will be tried again.
    pub fn flush(&self) -> Result<(), AuditError> {
        let mut state = self.shared.state();
        let (wanted, failures) = (state.taken, state.failures);
        while state.durable < wanted {
            if state.dead {
                return Err(AuditError::NoWriter {
                    path: self.shared.path.clone(),
                });
            }
            if state.failures > failures
                && let Some(error) = &state.error
            {
                return Err(AuditError::NotWritten(error.clone()));
            }
            state.urgent = true;
            self.shared.work.notify_one();
            state = self
                .shared
                .done
                .wait(state)
                .unwrap_or_else(|broken| broken.into_inner());
        }
        Ok(())
    }

    /// [`AuditFile::append_if`], behind everything that was handed over.
    ///
    /// # Errors
    /// As [`AuditFile::append_if`], and as [`Self::flush`].
    pub fn append_if<T>(
        &self,
        decide: impl FnOnce(&Approvals) -> (Vec<Pending>, T),
    ) -> Result<T, AuditError> {
        self.flush()?;
        self.shared.file().append_if(decide)
    }

    /// What the log says of safety configurations now, whoever wrote it.
    ///
    /// # Errors
    /// As [`AuditFile::open`], and as [`Self::flush`].
    pub fn approvals(&self) -> Result<Approvals, AuditError> {
        self.flush()?;
        let mut file = self.shared.file();
        file.refresh()?;
        Ok(file.approvals().clone())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }

    fn file(&self) -> MutexGuard<'_, AuditFile> {
        self.file
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }

    fn write_until_closed(&self) {
        loop {
            let mut state = self.state();
            while state.waiting.is_empty() && !state.closing {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(|broken| broken.into_inner());
            }
            if state.waiting.is_empty() {
                return;
            }
            let closing = state.closing;
            state.urgent = false;
            let batch = state.waiting.clone();
            drop(state);
            let result = self.file().append(&batch);
            let mut state = self.state();
            match result {
                Ok(()) => {
                    state.waiting.drain(..batch.len());
                    state.durable += batch.len() as u64;
                    state.error = None;
                }
                Err(error) => {
                    state.failures += 1;
                    state.error = Some(error.to_string());
                }
            }
            self.done.notify_all();
            if state.error.is_some() {
                if closing {
                    return;
                }
                // Whoever waits gets another attempt at once; records that come meanwhile wait for it.
                let wait = |state: &mut State| !state.urgent && !state.closing;
                drop(self.work.wait_timeout_while(state, RETRY, wait));
            }
        }
    }
}

/// Whoever waits for the thread learns that it is gone.
struct Ends<'a>(&'a Shared);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.state().dead = true;
        self.0.done.notify_all();
    }
}

impl Thread {
    /// Waits until it has written what it can.
    fn end(&self) {
        self.shared.state().closing = true;
        self.shared.work.notify_one();
        let handle = self.handle.lock().ok().and_then(|mut handle| handle.take());
        if let Some(handle) = handle {
            // Its panic was reported when it happened.
            let _ = handle.join();
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.end();
    }
}
