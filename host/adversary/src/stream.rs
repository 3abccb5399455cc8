//! A deterministic stream of numbers (SplitMix64).

use sinew_messages::{JOINTS, JointVector};
use sinew_safety::SafetyConfig;

/// The stream; equal seeds give equal numbers on every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream that takes nothing from this one.
    pub(crate) fn apart(&self) -> Self {
        Self(Self(self.0 ^ 0xa5a5_5a5a_c3c3_3c3c).next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Joint positions up to a little beyond the limits.
    pub(crate) fn joints(&mut self, c: &SafetyConfig) -> JointVector {
        let mut q = [0.0; JOINTS];
        for (i, q) in q.iter_mut().enumerate() {
            *q = self.between(c.position_min_rad[i] - 0.3, c.position_max_rad[i] + 0.3);
        }
        q
    }
}
