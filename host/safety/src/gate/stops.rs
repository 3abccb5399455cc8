//! The steps of a stop, and how they are told.

use sinew_messages::{Setpoint, StopCategory, VerdictKind};

use super::{Gate, PowerDemand};
use crate::brake::ArmState;
use crate::command::SafeCommand;
use crate::verdict::{Verdict, Violation};

impl Gate {
    /// The next point of the verified stop; power goes off where the category says so.
    pub(super) fn stop_latched(&mut self) -> (Option<SafeCommand>, Verdict) {
        let category = self.latch.held.map(|held| held.category);
        let off = match category {
            Some(StopCategory::PowerOff) => true,
            Some(StopCategory::ControlledThenOff) => self.state.is_at_rest(),
            _ => false,
        };
        let (width, force) = (self.given.gripper_width_m, self.given.gripper_force_n);
        if off {
            self.powered = false;
            let here = ArmState::at_rest(self.state.q);
            self.give(here, here.setpoint(width, force));
            self.watch.power_changed();
            self.power = category.map_or(PowerDemand::Keep, PowerDemand::Off);
            return (None, self.latched_verdict());
        }
        let next = self.state.brake(&self.rules.law);
        self.give(next, next.setpoint(width, force));
        (Some(SafeCommand::new(self.given)), self.latched_verdict())
    }

    /// What is told while a stop is latched.
    pub(super) fn latched_verdict(&mut self) -> Verdict {
        let Some(held) = self.latch.held else {
            return Verdict::PASS;
        };
        self.reason = held.limit;
        Verdict {
            kind: VerdictKind::Stop,
            limit: held.limit,
            category: Some(held.category),
            index: held.index,
            limit_value: held.limit_value,
            asked: held.asked,
            given: 0.0,
            scale: 0.0,
        }
    }

    /// Brakes to a hold that nothing keeps but its reason. The gripper goes on.
    pub(super) fn stop_unlatched(
        &mut self,
        violation: Violation,
        proposed: &Setpoint,
    ) -> (Option<SafeCommand>, Verdict) {
        let (width, force, _) = self.gripper(proposed);
        let next = self.state.brake(&self.rules.law);
        self.give(next, next.setpoint(width, force));
        (
            Some(SafeCommand::new(self.given)),
            self.stop_verdict(violation),
        )
    }

    /// That of a stop that is not latched.
    pub(super) fn stop_verdict(&mut self, violation: Violation) -> Verdict {
        self.reason = violation.limit;
        Verdict {
            kind: VerdictKind::Stop,
            limit: violation.limit,
            index: violation.index,
            limit_value: violation.limit_value,
            asked: violation.asked,
            scale: 0.0,
            ..Verdict::PASS
        }
    }
}
