//! Joint efforts, predicted from the arm's masses and what it carries, and as measured.

use sinew_kinematics::{Body, Chain, Forward};
use sinew_messages::{JOINTS, JointVector, LimitKind, SensorFrame, StopCategory};
use sinew_units::TICK_S;

use crate::brake::ArmState;
use crate::setpoint::at_most;
use crate::verdict::Violation;
use crate::watch::Demand;

/// Limits of the joints' efforts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EffortLimits {
    /// Largest effort that a setpoint may need, gravity included, N·m; and that may be measured.
    pub max_nm: JointVector,
    /// Largest rate of what setpoints need, N·m/s.
    pub rate_max_nm_s: JointVector,
    /// Largest mass that the hand may carry, kg: the brakes are checked with it.
    pub load_max_kg: f64,
    /// Ticks that a measured effort may be over its limit before the stop latches.
    pub measured_ticks: u32,
}

/// Efforts of what was given last, and how long measured ones have been too large.
#[derive(Clone, Debug)]
pub(crate) struct EffortWatch {
    given: JointVector,
    /// The state that was checked last, and what it needs: mostly it is what is given then.
    checked: Option<(ArmState, JointVector)>,
    carried: Body,
    over_for: [u32; JOINTS],
}

impl EffortWatch {
    pub(crate) fn new() -> Self {
        Self {
            given: [0.0; JOINTS],
            checked: None,
            carried: Body::NONE,
            over_for: [0; JOINTS],
        }
    }

    /// Efforts that a state needs. None without masses: nothing is predicted then.
    fn of(&self, chain: &Chain, state: &ArmState, forward: &Forward) -> Option<JointVector> {
        chain.efforts_at(forward, &state.v, &state.a, &self.carried)
    }

    /// Takes over the state that was given: what comes next is compared with it.
    pub(crate) fn give(&mut self, chain: &Chain, state: &ArmState, forward: &Forward) {
        let efforts = match &self.checked {
            Some((checked, efforts)) if checked == state => Some(*efforts),
            _ => self.of(chain, state, forward),
        };
        if let Some(efforts) = efforts {
            self.given = efforts;
        }
    }

    /// Takes over what the hand carries.
    pub(crate) fn carry(&mut self, chain: &Chain, state: &ArmState, forward: &Forward, load: Body) {
        self.carried = load;
        self.checked = None;
        self.give(chain, state, forward);
    }

    /// Checks that what the hand carries can be held where the arm is.
    pub(crate) fn check_load(&self, limits: &EffortLimits) -> Result<(), Violation> {
        let mass = self.carried.mass_kg;
        if !at_most(mass, limits.load_max_kg) {
            return Err(Violation {
                limit: LimitKind::Payload,
                index: None,
                limit_value: limits.load_max_kg,
                asked: mass,
            });
        }
        (0..JOINTS).try_for_each(|i| check(i, limits.max_nm[i], self.given[i].abs()))
    }

    /// Checks the state that a candidate leads to. Whoever is over a limit already may come back.
    pub(crate) fn check(
        &mut self,
        chain: &Chain,
        after: &ArmState,
        forward: &Forward,
        limits: &EffortLimits,
    ) -> Result<(), Violation> {
        let Some(efforts) = self.of(chain, after, forward) else {
            return Ok(());
        };
        self.checked = Some((*after, efforts));
        for (i, effort) in efforts.iter().enumerate() {
            let most = limits.max_nm[i].max(self.given[i].abs());
            check(i, most, effort.abs())?;
            let rate = (effort - self.given[i]).abs() / TICK_S;
            check(i, limits.rate_max_nm_s[i], rate)?;
        }
        Ok(())
    }

    /// Latches a measured effort that stays over its limit.
    pub(crate) fn look(
        &mut self,
        frame: &SensorFrame,
        limits: &EffortLimits,
        mut demand: impl FnMut(Demand),
    ) {
        for (i, over_for) in self.over_for.iter_mut().enumerate() {
            let measured = frame.effort_nm[i].abs();
            if at_most(measured, limits.max_nm[i]) {
                *over_for = 0;
                continue;
            }
            *over_for = over_for.saturating_add(1);
            if *over_for > limits.measured_ticks {
                demand(Demand {
                    category: StopCategory::ControlledThenOff,
                    limit: LimitKind::Effort,
                    index: Some(i as u32),
                    limit_value: limits.max_nm[i],
                    asked: measured,
                });
            }
        }
    }
}

fn check(joint: usize, limit_value: f64, asked: f64) -> Result<(), Violation> {
    if at_most(asked, limit_value) {
        return Ok(());
    }
    Err(Violation {
        limit: LimitKind::Effort,
        index: Some(joint as u32),
        limit_value,
        asked,
    })
}
