//! Another configuration on a robot that is switched on: through one door, and only while nothing moves.
//!
//! Everything that takes time or memory is done in [`ApprovedLimits::new`], beside the tick; [`Gate::activate`] swaps.

use sinew_kinematics::Chain;
use sinew_messages::{ActivationRefusal, SensorFrame};

use super::Gate;
use crate::brake::StopLaw;
use crate::contact::ContactWatch;
use crate::limits::SafetyLimits;
use crate::obstacles::Threats;
use crate::singularity::SingularityCheck;
use crate::sweep::Sweep;
use crate::watch::stands;

/// Says which configuration may become active. It has to be named: there is no approval of whatever comes.
///
/// It is no proof that somebody was asked. Whoever makes one has looked that up, in the audit log.
#[derive(Debug, PartialEq, Eq)]
pub struct Approval {
    hash: u64,
}

impl Approval {
    /// An approval of the configuration with this [`SafetyLimits::hash`], for one activation.
    #[must_use]
    pub fn naming(hash: u64) -> Self {
        Self { hash }
    }
}

/// Limits with the approval that names them, ready to become active. Not to be cloned: an approval counts once.
#[derive(Debug)]
pub struct ApprovedLimits {
    /// What would become active; after an activation, what was active before and is of no use any more.
    limits: SafetyLimits,
    law: StopLaw,
    retreat_law: StopLaw,
    singularity: Option<SingularityCheck>,
    sweep: Sweep,
    slow_speeds: Vec<f64>,
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
        let config = limits.config();
        let law = StopLaw::new(&config.stop_acceleration_rad_s2, &config.stop_jerk_rad_s3);
        let retreat_law = StopLaw::new(&config.acceleration_max_rad_s2, &config.jerk_max_rad_s3);
        let singularity =
            (config.singularity.as_ref()).map(|limits| SingularityCheck::new(chain, limits));
        let sweep = Sweep::new(chain.clone(), &limits);
        Ok(Self {
            law,
            retreat_law,
            singularity,
            slow_speeds: sweep.slow_speeds(),
            sweep,
            limits,
            spent: false,
        })
    }

    /// Hash of the limits.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.limits.hash()
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
            && stands(frame, self.limits.config())
            && stands(frame, approved.limits.config());
        if !stands || !self.state.is_at_rest() {
            return Err(ActivationRefusal::Moving);
        }
        approved.spent = true;
        core::mem::swap(&mut self.limits, &mut approved.limits);
        core::mem::swap(&mut self.law, &mut approved.law);
        core::mem::swap(&mut self.retreat_law, &mut approved.retreat_law);
        core::mem::swap(&mut self.singularity, &mut approved.singularity);
        core::mem::swap(&mut self.sweep, &mut approved.sweep);
        core::mem::swap(&mut self.slow_speeds, &mut approved.slow_speeds);
        // What was learned under the other limits: obstacles come again with the next tick, the rest is worked out anew.
        self.threats = Threats::NONE;
        self.path.forget();
        self.contact = ContactWatch::default();
        self.effort.give(&self.chain, &self.state, &self.forward);
        let (payload, grip) = (self.payload, self.grip);
        self.carry(&payload);
        // What was lost is lost under other limits, too.
        self.grip = grip;
        Ok(())
    }
}
