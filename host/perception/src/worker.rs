//! The thread that develops exposures and runs the detector, so that the loop never does.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError, Sender, TryRecvError, channel};
use std::thread::{Builder, JoinHandle};

use sinew_hardware::{Exposure, RgbdFrame};

use crate::DetectorError;
use crate::detector::{Detection, Detector};

/// An exposure to look at.
pub(crate) struct Job {
    pub(crate) exposure: Box<dyn Exposure>,
    /// False: develop it, but don't ask the detector.
    pub(crate) detect: bool,
}

/// A developed image and what it shows.
pub(crate) struct Look {
    pub(crate) frame: Arc<RgbdFrame>,
    pub(crate) detections: Result<Vec<Detection>, DetectorError>,
    /// False if the detector was not asked.
    pub(crate) detected: bool,
    /// Equal for images of equal bytes.
    pub(crate) fingerprint: u64,
}

/// The worker thread is gone: it panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Handle to the worker. Looks come back in the order of the jobs.
pub(crate) struct Worker {
    jobs: Option<Sender<Job>>,
    looks: Receiver<Look>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(detector: Detector) -> std::io::Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let (outbox, looks) = channel();
        let thread = Builder::new()
            .name("perception".to_owned())
            .spawn(move || {
                while let Ok(job) = inbox.recv() {
                    if outbox.send(look(&detector, job)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            jobs: Some(jobs),
            looks,
            thread: Some(thread),
        })
    }

    pub(crate) fn submit(&self, job: Job) -> Result<(), Gone> {
        let jobs = self.jobs.as_ref().ok_or(Gone)?;
        jobs.send(job).map_err(|_| Gone)
    }

    /// The oldest look; waits for it.
    pub(crate) fn wait(&self) -> Result<Look, Gone> {
        self.looks.recv().map_err(|RecvError| Gone)
    }

    /// The oldest look if it is there.
    pub(crate) fn poll(&self) -> Result<Option<Look>, Gone> {
        match self.looks.try_recv() {
            Ok(look) => Ok(Some(look)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Gone),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Hanging up ends the thread after the job at hand.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the worker was reported as `Gone` already.
            let _ = thread.join();
        }
    }
}

fn look(detector: &Detector, job: Job) -> Look {
    let frame = Arc::new(job.exposure.develop());
    let detections = if job.detect {
        detector.detect(&frame)
    } else {
        Ok(Vec::new())
    };
    Look {
        fingerprint: fingerprint(&frame),
        detections,
        detected: job.detect,
        frame,
    }
}

/// FNV-1a over the image's words: a live sensor's noise never repeats.
fn fingerprint(frame: &RgbdFrame) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for chunk in frame.rgb.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
    }
    for depth_m in &frame.depth_m {
        hash = (hash ^ u64::from(depth_m.to_bits())).wrapping_mul(PRIME);
    }
    hash
}
