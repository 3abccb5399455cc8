//! Snapshots on their way from the physics to a camera: latest one wins, no rendering here.

use std::sync::{Arc, Mutex, PoisonError};

use crate::scene::SceneState;

/// One exposure: the moment, and the seed of its sensor noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    /// Tick of the exposure.
    pub tick: u64,
    /// Counts exposures of this camera since the cell was made; dropped ones count too.
    pub sequence: u64,
    /// Seed of the sensor noise, a function of (seed, cycle, camera, exposure within the cycle).
    pub noise_seed: u64,
    /// What there was to see.
    pub scene: Arc<SceneState>,
}

/// Where the physics leaves the newest exposure of one camera.
#[derive(Debug, Default)]
pub struct Film {
    newest: Mutex<Option<Shot>>,
}

impl Film {
    /// Replaces the newest exposure.
    pub fn expose(&self, shot: Shot) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(shot);
    }

    /// The newest exposure if it was taken after tick `after`.
    #[must_use]
    pub fn newest(&self, after: u64) -> Option<Shot> {
        self.newest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .filter(|shot| shot.tick > after)
            .cloned()
    }

    /// Forgets the exposure: after a reset there is none.
    pub fn clear(&self) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
