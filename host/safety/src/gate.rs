//! The gate: one pure state machine, stepped once a tick.

mod activation;
mod admission;
mod load;
mod reset;
mod rules;
mod sensors;
mod stops;

use sinew_kinematics::{Chain, Forward};
use sinew_messages::{
    JOINTS, JointVector, LimitKind, ObstacleFrame, Payload, RequestCounts, ResetAnswer, SafetyMode,
    SensorFrame, Setpoint, StopCategory, StopState,
};

use crate::brake::{ArmState, STOP_TICKS_MAX};
use crate::command::SafeCommand;
use crate::contact::ContactWatch;
use crate::effort::EffortWatch;
use crate::encoder::EncoderWatch;
use crate::grip::GripWatch;
use crate::limits::SafetyLimits;
use crate::obstacles::Threats;
use crate::speed::SpeedCheck;
use crate::verdict::{Verdict, Violation};
use crate::watch::{Demand, Latch, Watch};

use load::contact_speed;
use rules::Rules;
use sensors::Sensed;

pub use activation::{Approval, ApprovedLimits};

/// What the caller has to do about the drives' power after a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerDemand {
    /// Nothing.
    Keep,
    /// Switch the drives on: a reset was granted this tick.
    On,
    /// Switch them off.
    Off(StopCategory),
}

/// The gate's own state, for the loop's status.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateStatus {
    /// Whether a stop is latched.
    pub stop_state: StopState,
    /// Its category.
    pub category: Option<StopCategory>,
    /// Its reason, or that of the last verdict that was not a pass.
    pub reason: LimitKind,
    /// Ticks whose setpoint was limited.
    pub limited_total: u64,
    /// Latched stops, boot included.
    pub stops_total: u64,
    /// Highest request number for a reset that was answered, granted or not.
    pub reset_answered: u64,
    /// That answer.
    pub reset_answer: ResetAnswer,
    /// Joint, link or zone that the latched stop is about.
    pub index: Option<u32>,
    /// The limit that the latched stop is about, in the unit of its reason.
    pub limit_value: f64,
    /// What was asked or measured against it.
    pub asked: f64,
    /// The mode in force.
    pub mode: SafetyMode,
}

/// Everything that the gate looks at in one tick.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// State of the robot.
    pub frame: &'a SensorFrame,
    /// Persons and other obstacles that move.
    pub obstacles: &'a ObstacleFrame,
    /// What has been requested so far.
    pub requests: &'a RequestCounts,
    /// What the motion source wants.
    pub proposed: &'a Setpoint,
    /// Says that the motion source had no right to go on (a lease or a chunk ended), and why.
    pub stale: Option<LimitKind>,
}

/// The safety gate of one robot. See the crate's documentation for what it promises.
#[derive(Clone, Debug)]
pub struct Gate {
    rules: Rules,
    chain: Chain,
    speed: SpeedCheck,
    /// Speed at which a contact is bearable with what is carried, m/s.
    contact_speed_m_s: f64,
    threats: Threats,
    mode: SafetyMode,
    /// Why what the hand carries was not accepted.
    misfit: Option<Violation>,
    /// State of the given setpoint, from differences of positions.
    state: ArmState,
    /// Where that puts the links.
    forward: Forward,
    /// The positions that were checked last, and where they put the links: mostly they are what is given then.
    checked: (JointVector, Forward),
    given: Setpoint,
    /// Width of the gripper as it was measured last, m.
    seen_width_m: f64,
    powered: bool,
    latch: Latch,
    watch: Watch,
    contact: ContactWatch,
    grip: GripWatch,
    encoders: EncoderWatch,
    effort: EffortWatch,
    power: PowerDemand,
    reason: LimitKind,
    limited_total: u64,
    reset_answered: u64,
    reset_answer: ResetAnswer,
    /// What the hand carries.
    payload: Payload,
}

impl Gate {
    /// A gate that boots stopped, with the drives off: nothing moves before a reset.
    #[must_use]
    pub fn new(limits: SafetyLimits, chain: Chain) -> Self {
        let config = limits.config();
        let contact_speed_m_s = contact_speed(config, &chain, 0.0);
        let start = ArmState::at_rest([0.0; JOINTS]);
        let mut latch = Latch {
            held: None,
            total: 0,
        };
        latch.set(Demand::new(
            StopCategory::ControlledThenOff,
            LimitKind::Boot,
        ));
        let forward = chain.forward(&start.q);
        Self {
            forward,
            checked: (start.q, forward),
            speed: SpeedCheck::new(&chain),
            threats: Threats::NONE,
            mode: SafetyMode::Normal,
            misfit: None,
            contact_speed_m_s,
            state: start,
            given: start.setpoint(0.0, 0.0),
            seen_width_m: 0.0,
            powered: false,
            latch,
            watch: Watch::default(),
            contact: ContactWatch::default(),
            grip: GripWatch::default(),
            encoders: EncoderWatch::default(),
            effort: EffortWatch::new(),
            power: PowerDemand::Keep,
            reason: LimitKind::Boot,
            limited_total: 0,
            reset_answered: 0,
            reset_answer: ResetAnswer::None,
            payload: Payload::NONE,
            rules: Rules::new(limits, &chain),
            chain,
        }
    }

    /// One tick with a fresh sensor frame. `None` instead of a command while the drives are off.
    pub fn filter(&mut self, inputs: &Inputs<'_>) -> (Option<SafeCommand>, Verdict) {
        let Inputs {
            frame,
            requests,
            proposed,
            stale,
            ..
        } = *inputs;
        self.power = PowerDemand::Keep;
        self.rules.sweep.begin_tick();
        self.take_mode(requests);
        let was_latched = self.latch.held.is_some();
        let cause = self.look_at_inputs(inputs);
        let granted = self.answer_reset(frame, requests, cause, was_latched);
        if !self.powered {
            return self.stay_off(frame);
        }
        if granted {
            // The reset itself causes no motion: this tick holds whatever is proposed.
            let here = self.given;
            return self.stop_unlatched(Violation::of(LimitKind::Boot), &here);
        }
        let Sensed { mut hold, retreat } = if frame.is_finite() {
            self.look_at_sensors(frame)
        } else {
            Sensed::default()
        };
        if self.latch.held.is_some() {
            return self.stop_latched();
        }
        // What did not fit may fit where the robot stands now.
        if self.misfit.is_some() && self.state.is_at_rest() {
            self.misfit = self.judge_payload();
        }
        if let Some(misfit) = self.misfit {
            hold = hold.or(Some(Violation {
                limit: LimitKind::Payload,
                ..misfit
            }));
        }
        if self.mode == SafetyMode::Hold {
            hold = hold.or(Some(Violation::of(LimitKind::Mode)));
        }
        if hold.is_none()
            && let Some((violation, velocity)) = retreat
        {
            return self.give_way(violation, &velocity, proposed);
        }
        if let Some(limit) = stale {
            hold = hold.or(Some(Violation::of(limit)));
        }
        match hold {
            Some(violation) => self.stop_unlatched(violation, proposed),
            None => self.pass_or_limit(proposed),
        }
    }

    /// One tick without a sensor frame: latches a stop and goes on braking blindly along the verified stop.
    pub fn miss(&mut self, requests: &RequestCounts) -> (Option<SafeCommand>, Verdict) {
        self.power = PowerDemand::Keep;
        self.watch.forget_time();
        self.write_failed();
        self.watch
            .look_at_requests(requests, |demand| self.latch.set(demand));
        if self.takes_reset(requests) {
            self.reset_answer = ResetAnswer::CauseStays;
        }
        if self.powered {
            return self.stop_latched();
        }
        (None, self.latched_verdict())
    }

    /// The hardware did not take a command or did not switch on: latches a stop.
    pub fn write_failed(&mut self) {
        self.latch.set(Demand::new(
            StopCategory::ControlledThenOff,
            LimitKind::Drive,
        ));
    }

    /// What to do about the drives' power, of the last tick.
    #[must_use]
    pub fn power(&self) -> PowerDemand {
        self.power
    }

    /// What was given last: where a motion source goes on from. Follows the robot while the drives are off.
    #[must_use]
    pub fn given(&self) -> &Setpoint {
        &self.given
    }

    /// Joint positions at which the stop from the given setpoint ends, rad.
    #[must_use]
    pub fn stop_end(&mut self) -> JointVector {
        let Rules { law, path, .. } = &mut self.rules;
        path.lay(&self.state, law);
        path.position(STOP_TICKS_MAX)
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &SafetyLimits {
        &self.rules.limits
    }

    /// The gate's state.
    #[must_use]
    pub fn status(&self) -> GateStatus {
        let held = self.latch.held;
        GateStatus {
            stop_state: if held.is_some() {
                StopState::Latched
            } else {
                StopState::Clear
            },
            category: held.map(|held| held.category),
            reason: held.map_or(self.reason, |held| held.limit),
            limited_total: self.limited_total,
            stops_total: self.latch.total,
            reset_answered: self.reset_answered,
            reset_answer: self.reset_answer,
            index: held.and_then(|held| held.index),
            limit_value: held.map_or(0.0, |held| held.limit_value),
            asked: held.map_or(0.0, |held| held.asked),
            mode: self.mode,
        }
    }

    /// With the drives off the setpoint is where the robot is.
    fn follow(&mut self, frame: &SensorFrame) {
        let force = self.given.gripper_force_n;
        let state = ArmState::at_rest(frame.position_rad);
        self.give(state, state.setpoint(frame.gripper_width_m, force));
    }

    fn stay_off(&mut self, frame: &SensorFrame) -> (Option<SafeCommand>, Verdict) {
        if frame.is_finite() {
            self.follow(frame);
        }
        (None, self.latched_verdict())
    }

    fn give(&mut self, state: ArmState, setpoint: Setpoint) {
        if state.q != self.state.q {
            self.forward = if state.q == self.checked.0 {
                self.checked.1
            } else {
                self.chain.forward(&state.q)
            };
        }
        if self.rules.config().effort.is_some() && state != self.state {
            self.effort.give(&self.chain, &state, &self.forward);
        }
        self.state = state;
        self.given = setpoint;
    }
}
