//! Random streams: SplitMix64, one independent stream per (seed, cycle, label).
//!
//! Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

/// Increment of SplitMix64: 2^64 divided by the golden ratio.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of pseudorandom numbers. The same start gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    state: u64,
}

/// Finalizer of SplitMix64: every input bit reaches every output bit.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number that depends on every argument; equal arguments give equal numbers.
#[must_use]
pub(crate) fn derive(seed: u64, cycle: u64, label: &str) -> u64 {
    let mut state = mix(seed.wrapping_add(GOLDEN_GAMMA));
    state = mix(state ^ cycle.wrapping_mul(GOLDEN_GAMMA));
    for byte in label.bytes() {
        state = mix(state.wrapping_add(GOLDEN_GAMMA) ^ u64::from(byte));
    }
    state
}

impl Stream {
    /// The stream of one purpose in one cycle.
    #[must_use]
    pub(crate) fn new(seed: u64, cycle: u64, label: &str) -> Self {
        Self {
            state: derive(seed, cycle, label),
        }
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub(crate) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in low..=high; `low` if the range is empty.
    pub(crate) fn count(&mut self, low: usize, high: usize) -> usize {
        let span = (high.saturating_sub(low) as u64).saturating_add(1);
        // The bias of a 64-bit remainder over a handful of values is far below what anything here resolves.
        low + (self.bits() % span) as usize
    }

    /// True with probability `share`.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// A random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.count(0, last);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_every_argument() {
        let base = derive(1, 2, "scene");
        for other in [
            derive(2, 2, "scene"),
            derive(1, 3, "scene"),
            derive(1, 2, "fault"),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(base, derive(1, 2, "scene"));
    }

    #[test]
    fn numbers_stay_in_their_ranges_and_spread() {
        let mut stream = Stream::new(7, 0, "test");
        let mut seen = [0_u32; 4];
        for _ in 0..4_000 {
            assert!((0.0..1.0).contains(&stream.unit()));
            seen[stream.count(3, 6) - 3] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        assert_eq!(stream.count(5, 5), 5);
    }
}
