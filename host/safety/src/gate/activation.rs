//! Another configuration on a robot that is switched on: through one door, and only while nothing moves.
//!
//! Everything that takes time or memory is done in [`ApprovedLimits::new`], beside the tick; [`Gate::activate`] swaps.

use sinew_kinematics::Chain;
use sinew_messages::{ActivationRefusal, SensorFrame};

use super::Gate;
use super::rules::Rules;
use crate::limits::{ConfigHash, SafetyLimits};
use crate::obstacles::Threats;
use crate::watch::stands;

/// Says which configuration may become active. It has to be named: there is no approval of whatever comes.
///
/// It is no proof that somebody was asked. Whoever makes one has looked that up, in the audit log.
#[derive(Debug, PartialEq, Eq)]
pub struct Approval {
    hash: ConfigHash,
}

impl Approval {
    /// An approval of the configuration with this [`SafetyLimits::hash`], for one activation.
    #[must_use]
    pub fn naming(hash: ConfigHash) -> Self {
        Self { hash }
    }
}

/// Limits with the approval that names them, ready to become active. Not to be cloned: an approval counts once.
#[derive(Debug)]
pub struct ApprovedLimits {
    /// What would become active; after an activation, what was active before and is of no use any more.
    rules: Rules,
    spent: bool,
}

impl ApprovedLimits {
    /// Prepares limits for the robot `chain`. Allocates: not for the tick.
    ///
    /// # Errors
    /// [`ActivationRefusal::OtherHash`] if the approval names other limits.
    pub fn new(
        limits: SafetyLimits,
        approval: Approval,
        chain: &Chain,
    ) -> Result<Self, ActivationRefusal> {
        if approval.hash != limits.hash() {
            return Err(ActivationRefusal::OtherHash);
        }
        Ok(Self {
            rules: Rules::new(limits, chain),
            spent: false,
        })
    }

    /// Hash of the limits.
    #[must_use]
    pub fn hash(&self) -> ConfigHash {
        self.rules.limits.hash()
    }
}

impl Gate {
    /// Makes other limits the active ones, between two ticks. `frame` is the newest of the robot. The latched stop
    /// stays latched: it takes a reset to move, and that one checks the start state against the new limits. On
    /// success `approved` is spent and holds what was active before, so that nothing is freed here. Allocates nothing.
    ///
    /// # Errors
    /// Nothing has changed then: [`ActivationRefusal`] says what has to be otherwise.
    pub fn activate(
        &mut self,
        approved: &mut ApprovedLimits,
        frame: &SensorFrame,
    ) -> Result<(), ActivationRefusal> {
        if approved.spent {
            return Err(ActivationRefusal::Spent);
        }
        if self.latch.held.is_none() {
            return Err(ActivationRefusal::NotStopped);
        }
        // What counts as standing is asked of both: neither may loosen it for itself.
        let stands = frame.is_finite()
            && stands(frame, self.rules.config())
            && stands(frame, approved.rules.config());
        if !stands || !self.state.is_at_rest() {
            return Err(ActivationRefusal::Moving);
        }
        approved.spent = true;
        core::mem::swap(&mut self.rules, &mut approved.rules);
        // What was learned under the other limits: obstacles come again with the next tick, the rest is worked out anew. (A
        // contact counts anew after the reset that has to follow.)
        self.threats = Threats::NONE;
        let (payload, grip) = (self.payload, self.grip);
        self.carry(&payload);
        // What was lost is lost under other limits, too.
        self.grip = grip;
        Ok(())
    }
}
