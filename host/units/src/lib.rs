//! Newtypes with units.
//!
//! Hot paths use plain `f64` with the unit in the name (`position_rad`); the newtypes here are for what
//! is easily confused and crosses crates: ticks against nanoseconds, a moment against a span.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

use bytemuck::{Pod, Zeroable};

/// Control ticks per second.
pub const TICK_HZ: u64 = 1_000;
/// Length of one control tick in nanoseconds.
pub const TICK_NS: u64 = 1_000_000_000 / TICK_HZ;
/// Length of one control tick in seconds: the `T` of every formula.
pub const TICK_S: f64 = 1.0 / TICK_HZ as f64;

/// A moment, counted in control ticks since the loop started. The only clock that decisions may read.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
pub struct Tick(pub u64);

/// A span of control ticks.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
pub struct Ticks(pub u64);

impl Ticks {
    /// The span of `ms` milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * TICK_HZ / 1_000)
    }

    /// The span of `seconds`, rounded up to whole ticks; negative and non-finite spans are zero.
    #[must_use]
    pub fn from_seconds_ceil(seconds: f64) -> Self {
        if !seconds.is_finite() || seconds <= 0.0 {
            return Self(0);
        }
        // `as` saturates for floats, so an absurd span becomes the longest one.
        Self((seconds * TICK_HZ as f64).ceil() as u64)
    }

    /// The span in seconds.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 * TICK_S
    }
}

impl Tick {
    /// Ticks from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Ticks {
        Ticks(self.0.saturating_sub(earlier.0))
    }

    /// The moment in seconds since the loop started.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 * TICK_S
    }

    /// The moment in nanoseconds since the loop started.
    #[must_use]
    pub const fn as_ns(self) -> u64 {
        self.0.saturating_mul(TICK_NS)
    }
}

impl Add<Ticks> for Tick {
    type Output = Self;
    fn add(self, span: Ticks) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Ticks> for Tick {
    fn add_assign(&mut self, span: Ticks) {
        *self = *self + span;
    }
}

impl Sub<Ticks> for Tick {
    type Output = Self;
    fn sub(self, span: Ticks) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ticks", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_up_and_never_go_negative() {
        assert_eq!(Ticks::from_seconds_ceil(0.0101), Ticks(11));
        assert_eq!(Ticks::from_seconds_ceil(-1.0), Ticks(0));
        assert_eq!(Ticks::from_seconds_ceil(f64::NAN), Ticks(0));
        assert_eq!(Tick(5).since(Tick(9)), Ticks(0));
        assert_eq!(Tick(u64::MAX) + Ticks(1), Tick(u64::MAX));
    }
}
