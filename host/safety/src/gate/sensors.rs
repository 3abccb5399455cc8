//! What is seen in a tick, and what is done about it before anything proposed is looked at.

use nalgebra::Vector3;
use sinew_messages::{LimitKind, SafetyMode, SensorFrame, StopCategory};

use super::reset::within_limits;
use super::{Gate, Inputs};
use crate::contact::{Answer, Touch};
use crate::hand::HandMotion;
use crate::verdict::Violation;
use crate::watch::{Demand, lagging_joint, too_old};

/// What a robot that is switched on asks for by what its sensors say, where nothing latches.
#[derive(Default)]
pub(super) struct Sensed {
    /// Brake to a hold, and why.
    pub(super) hold: Option<Violation>,
    /// Give way at this velocity, base frame, m/s, and why.
    pub(super) retreat: Option<(Violation, Vector3<f64>)>,
}

impl Gate {
    /// Latches whatever says that the robot must stop, with the drives on or off; true if something does. Finite before
    /// anything is compared.
    pub(super) fn look_at_inputs(&mut self, inputs: &Inputs<'_>) -> bool {
        let Inputs {
            frame,
            obstacles,
            requests,
            ..
        } = *inputs;
        let mut cause = false;
        let mut latch = |demand| {
            cause = true;
            self.latch.set(demand);
        };
        if frame.is_finite() {
            self.seen_width_m = frame.gripper_width_m;
            let config = self.rules.config();
            self.watch
                .look(frame, requests, self.powered, config, &mut latch);
            if let Some(separation) = &config.separation {
                self.threats
                    .take(obstacles, separation, config.reaction_ticks);
                let silent = too_old(frame.tick, obstacles.seen_tick, separation.silent_ticks);
                if obstacles.seen_tick == 0 || silent.is_some() {
                    latch(Demand {
                        limit_value: separation.silent_ticks as f64,
                        asked: silent.unwrap_or(frame.tick as f64),
                        ..Demand::new(StopCategory::ControlledHold, LimitKind::Separation)
                    });
                }
            }
        } else {
            self.watch.forget_time();
            // Whoever asks for a stop is heard with a frame that says nothing, too.
            self.watch.look_at_requests(requests, &mut latch);
            latch(Demand::new(
                StopCategory::ControlledThenOff,
                LimitKind::NonFinite,
            ));
        }
        if !inputs.proposed.is_finite() {
            latch(Demand::new(
                StopCategory::ControlledHold,
                LimitKind::NonFinite,
            ));
        }
        cause
    }

    /// Looks at a robot that is switched on. Latches what has to be.
    pub(super) fn look_at_sensors(&mut self, frame: &SensorFrame) -> Sensed {
        self.look_at_joints(frame);
        let mut sensed = Sensed {
            hold: self.look_at_following(frame),
            retreat: None,
        };
        match self.look_at_contact(frame) {
            Answer::GoOn => {}
            Answer::Hold(violation) => sensed.hold = sensed.hold.or(Some(violation)),
            Answer::Latch(violation) => self.latch.set(violation.into()),
            Answer::Yield(violation, velocity) => sensed.retreat = Some((violation, velocity)),
        }
        if let Some(limits) = &self.rules.config().grip {
            let lost = self.grip.look(frame, &self.given, limits);
            sensed.hold = sensed.hold.or(lost);
        }
        sensed
    }

    /// Latches what the joints' sensors say if it cannot be, or if it is outside the position limits.
    fn look_at_joints(&mut self, frame: &SensorFrame) {
        let config = self.rules.config();
        let given = &self.given.position_rad;
        if let Some(limits) = &config.effort {
            (self.effort).look(frame, limits, |demand| self.latch.set(demand));
        }
        (self.encoders).look(frame, given, config, |demand| self.latch.set(demand));
        if self.mode != SafetyMode::Recovery
            && let Err(violation) = within_limits(frame, config, LimitKind::Position)
        {
            self.latch.set(violation.into());
        }
    }

    /// What is to be done about what the hand touches.
    fn look_at_contact(&mut self, frame: &SensorFrame) -> Answer {
        let touch = Touch {
            frame,
            forward: &self.forward,
            motion: &HandMotion::new(&self.forward, &self.state.v),
            hand: self.rules.sweep.hand(),
            at_rest: self.state.is_at_rest(),
            recovers: self.mode == SafetyMode::Recovery,
        };
        self.contact.look(&touch, self.rules.config())
    }

    /// Brakes at once on a following error; latches it when it lasts.
    fn look_at_following(&mut self, frame: &SensorFrame) -> Option<Violation> {
        let config = self.rules.config();
        let joint = lagging_joint(frame, &self.given.position_rad, config);
        let margin = config.tracking_margin_m;
        let violation = match joint {
            Some((joint, off)) => Violation {
                limit: LimitKind::FollowingError,
                index: Some(joint as u32),
                limit_value: config.following_error_max_rad[joint],
                asked: off,
            },
            None if !self.rules.sweep.tracks(
                &frame.position_rad,
                &self.given.position_rad,
                margin,
            ) =>
            {
                Violation {
                    limit_value: margin,
                    ..Violation::of(LimitKind::FollowingError)
                }
            }
            None => {
                self.watch.lagging_for = 0;
                return None;
            }
        };
        self.watch.lagging_for += 1;
        if self.watch.lagging_for > config.following_error_ticks {
            self.latch.set(Demand {
                category: StopCategory::ControlledThenOff,
                ..violation.into()
            });
        }
        Some(violation)
    }
}
