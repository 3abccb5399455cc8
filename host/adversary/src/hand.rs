//! The hand, and the thing in it: held, let go, or lost.

use sinew_safety::SafetyConfig;

use crate::stream::Stream;

/// Force on what is held, N.
const HELD_N: f64 = 20.0;
/// Ticks for which a thing is held, on average.
const HELD_TICKS: u64 = 6_000;
/// How fast the fingers close on nothing, m a tick.
const CLOSING_M: f64 = 5e-4;

/// How a thing got lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    /// It fell: the fingers close on nothing.
    Fell,
    /// The fingers are still where they were, and hold it no more.
    Slack,
}

/// Fingers and thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hand {
    /// Width of what is held, m.
    thing_m: Option<f64>,
    loss: Option<Loss>,
    pub(crate) width_m: f64,
    pub(crate) force_n: f64,
}

impl Hand {
    pub(crate) fn new(config: &SafetyConfig) -> Self {
        Self {
            thing_m: None,
            loss: None,
            width_m: 0.5 * (config.gripper_width_min_m + config.gripper_width_max_m),
            force_n: 0.0,
        }
    }

    /// Something is put between the fingers, or taken out.
    pub(crate) fn take(&mut self, holds: bool, config: &SafetyConfig, stream: &mut Stream) {
        let empty = config.grip.map_or(0.0, |grip| grip.empty_width_m);
        self.loss = None;
        self.thing_m = holds.then(|| {
            let widest = 0.8 * config.gripper_width_max_m;
            stream.between((empty + 0.002).min(widest), widest)
        });
        self.width_m = self.thing_m.unwrap_or(self.width_m);
        self.force_n = if holds { HELD_N } else { 0.0 };
    }

    /// One tick with the width that was given, m.
    pub(crate) fn step(&mut self, given_m: f64, stream: &mut Stream) {
        let Some(thing) = self.thing_m else {
            (self.width_m, self.force_n) = (given_m, 0.0);
            return;
        };
        if self.loss.is_none() && given_m > thing {
            (self.thing_m, self.width_m, self.force_n) = (None, given_m, 0.0);
            return;
        }
        if self.loss.is_none() && stream.one_in(HELD_TICKS) {
            self.loss = Some(if stream.one_in(2) {
                Loss::Fell
            } else {
                Loss::Slack
            });
        }
        match self.loss {
            None => (self.width_m, self.force_n) = (thing, HELD_N),
            Some(Loss::Slack) => self.force_n = 0.0,
            Some(Loss::Fell) => {
                (self.width_m, self.force_n) = ((self.width_m - CLOSING_M).max(0.0), 0.0);
            }
        }
    }
}
