//! Resets and modes: what has to hold before anything moves.

use sinew_messages::{LimitKind, RequestCounts, ResetAnswer, SafetyMode, SensorFrame};

use super::rules::Rules;
use super::{Gate, PowerDemand};
use crate::contact::ContactWatch;
use crate::encoder::EncoderWatch;
use crate::limits::SafetyConfig;
use crate::verdict::Violation;
use crate::watch::stands;

/// Resets that may be asked for between two ticks: more is no count.
const RESETS_MAX: u64 = 1 << 20;

impl Gate {
    /// Edge-triggered: each request is answered once. Granted only if every cause is gone and nothing moves.
    pub(super) fn answer_reset(
        &mut self,
        frame: &SensorFrame,
        requests: &RequestCounts,
        cause: bool,
        was_latched: bool,
    ) -> bool {
        if !self.takes_reset(requests) {
            return false;
        }
        self.reset_answer = self.judge_reset(frame, cause, was_latched);
        if self.reset_answer != ResetAnswer::Granted {
            return false;
        }
        self.latch.held = None;
        self.encoders = EncoderWatch::default();
        self.contact = ContactWatch::default();
        if !self.powered {
            self.follow(frame);
            self.powered = true;
            self.power = PowerDemand::On;
        }
        self.watch.power_changed();
        true
    }

    /// True once for each request.
    pub(super) fn takes_reset(&mut self, requests: &RequestCounts) -> bool {
        let new = requests.reset.wrapping_sub(self.reset_answered);
        // A counter that runs backwards or leaps is none, and must not make those that come look old.
        let asked = (1..=RESETS_MAX).contains(&new);
        if asked {
            self.reset_answered = requests.reset;
        }
        asked
    }

    fn judge_reset(&mut self, frame: &SensorFrame, cause: bool, was_latched: bool) -> ResetAnswer {
        if cause {
            return ResetAnswer::CauseStays;
        }
        if !was_latched {
            return ResetAnswer::NothingLatched;
        }
        if !self.state.is_at_rest() || !stands(frame, self.rules.config()) {
            return ResetAnswer::Moving;
        }
        // It would latch again at once. Recovery mode leads out of it.
        if self.mode != SafetyMode::Recovery
            && let Some(touched) = ContactWatch::would_latch(frame, self.rules.config())
        {
            self.latch.explain(touched.into());
            return ResetAnswer::CauseStays;
        }
        if let Err(refused) = self.check_start(frame) {
            self.latch.explain(refused.into());
            return ResetAnswer::StartState;
        }
        ResetAnswer::Granted
    }

    /// A robot starts within its limits, or in recovery mode.
    fn check_start(&mut self, frame: &SensorFrame) -> Result<(), Violation> {
        if self.mode == SafetyMode::Recovery {
            return Ok(());
        }
        let Rules { limits, sweep, .. } = &mut self.rules;
        within_limits(frame, limits.config(), LimitKind::StartState)?;
        sweep.check_start(&frame.position_rad, limits.config())
    }

    /// A tighter mode counts at once, as does `normal`; recovery begins when the robot stands, and it holds until
    /// then.
    pub(super) fn take_mode(&mut self, requests: &RequestCounts) {
        let asked = SafetyMode::decode(requests.mode);
        let moves = !self.state.is_at_rest();
        self.mode = if asked == SafetyMode::Recovery && self.mode != asked && moves {
            SafetyMode::Hold
        } else {
            asked
        };
    }
}

/// Every measured joint is within its position limits.
pub(super) fn within_limits(
    frame: &SensorFrame,
    config: &SafetyConfig,
    limit: LimitKind,
) -> Result<(), Violation> {
    for (i, q) in frame.position_rad.iter().enumerate() {
        let (lowest, highest) = (config.position_min_rad[i], config.position_max_rad[i]);
        if !(lowest..=highest).contains(q) {
            return Err(Violation {
                limit,
                index: Some(i as u32),
                limit_value: if *q < lowest { lowest } else { highest },
                asked: *q,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain;

    #[test]
    fn the_end_that_a_joint_is_beyond_is_told() {
        let look = |q: f64| {
            let mut frame = plain::FRAME;
            frame.position_rad[4] = q;
            let mut config = plain::config();
            config.position_min_rad[4] = -0.5;
            within_limits(&frame, &config, LimitKind::Position)
                .map_err(|found| (found.index, found.limit_value, found.asked))
        };
        for q in [-0.5, 0.0, 1.0] {
            assert_eq!(look(q), Ok(()));
        }
        assert_eq!(look(-0.51), Err((Some(4), -0.5, -0.51)));
        assert_eq!(look(1.01), Err((Some(4), 1.0, 1.01)));
        assert!(look(f64::NAN).is_err());
    }
}
