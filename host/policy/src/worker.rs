//! Inference on a thread of its own. Results come back in the order of the jobs.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use sinew_inference::{InferenceError, Session};

pub(crate) type InferenceResult = Result<Vec<f32>, InferenceError>;

struct Job {
    session: usize,
    input: Vec<f32>,
}

pub(crate) struct Worker {
    jobs: Option<Sender<Job>>,
    results: Receiver<InferenceResult>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(mut sessions: Vec<Box<dyn Session>>) -> Self {
        let (jobs, inbox) = channel::<Job>();
        let (outbox, results) = channel();
        let thread = std::thread::spawn(move || {
            while let Ok(job) = inbox.recv() {
                let session = &mut sessions[job.session];
                let mut outputs = session.output_buffers();
                let result = session
                    .run(&[&job.input], &mut outputs)
                    .map(|()| outputs.swap_remove(0));
                if outbox.send(result).is_err() {
                    break;
                }
            }
        });
        Self {
            jobs: Some(jobs),
            results,
            thread: Some(thread),
        }
    }

    /// Hands a job over; `false` if the thread is gone.
    pub(crate) fn submit(&self, session: usize, input: Vec<f32>) -> bool {
        self.jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(Job { session, input }).is_ok())
    }

    /// The next result: waits for it, or returns `None` if it is not there yet and `wait` is false.
    /// An inner `None` says that the thread is gone.
    pub(crate) fn result(&self, wait: bool) -> Option<Option<InferenceResult>> {
        if wait {
            return Some(self.results.recv().ok());
        }
        match self.results.try_recv() {
            Ok(result) => Some(Some(result)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(None),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread ends when its inbox closes.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
