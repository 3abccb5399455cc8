//! The gate: one pure state machine, stepped once a tick.

mod activation;

use nalgebra::{Point3, Vector3};
use sinew_kinematics::{Body, Chain, Forward, HAND, LinkCapsule};
use sinew_messages::{
    JOINTS, JointVector, LimitKind, ObstacleFrame, Payload, RequestCounts, ResetAnswer, SafetyMode,
    SensorFrame, Setpoint, StopCategory, StopState, VerdictKind,
};
use sinew_units::TICK_S;

use crate::brake::{ArmState, STOP_TICKS_MAX, StopLaw};
use crate::command::SafeCommand;
use crate::contact::{Answer, ContactWatch, retreat_velocities, tool_velocity};
use crate::effort::EffortWatch;
use crate::encoder::EncoderWatch;
use crate::grip::GripWatch;
use crate::late;
use crate::limits::{SafetyConfig, SafetyLimits};
use crate::obstacles::Threats;
use crate::setpoint::{blend, check_joints, check_statement, same_bits};
use crate::singularity::SingularityCheck;
use crate::speed::{HALVINGS_PROPOSED, HALVINGS_SEARCHED, SpeedCheck, SpeedLimits, SpeedQuestion};
use crate::stop::StopPath;
use crate::sweep::{Group, Question, SAMPLES_PROPOSED, SAMPLES_SEARCHED, Sweep};
use crate::verdict::{Verdict, Violation};
use crate::watch::{Demand, Latch, Watch, lagging_joint, stands, too_old};

pub use activation::{Approval, ApprovedLimits};

/// Halvings of the search for k.
const BISECTIONS: u32 = 8;

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
    /// The mode in force.
    pub mode: SafetyMode,
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

/// How much work a check may be.
#[derive(Clone, Copy)]
struct Effort {
    samples: usize,
    halvings: usize,
}

/// For what is proposed.
const PROPOSED: Effort = Effort {
    samples: SAMPLES_PROPOSED,
    halvings: HALVINGS_PROPOSED,
};
/// For each candidate of the search below it. What passes with less work passes with more, so an output of the
/// search passes when it is proposed.
const SEARCHED: Effort = Effort {
    samples: SAMPLES_SEARCHED,
    halvings: HALVINGS_SEARCHED,
};

/// The safety gate of one robot. See the crate's documentation for what it promises.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: SafetyLimits,
    chain: Chain,
    law: StopLaw,
    /// How a retreat changes its speed: as motions may.
    retreat_law: StopLaw,
    sweep: Sweep,
    speed: SpeedCheck,
    singularity: Option<SingularityCheck>,
    /// Speed at which a contact is bearable with what is carried, m/s.
    contact_speed_m_s: f64,
    /// Speeds that slow zones allow, ascending, m/s.
    slow_speeds: Vec<f64>,
    path: StopPath,
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
        let law = StopLaw::new(&config.stop_acceleration_rad_s2, &config.stop_jerk_rad_s3);
        let retreat_law = StopLaw::new(&config.acceleration_max_rad_s2, &config.jerk_max_rad_s3);
        let singularity =
            (config.singularity.as_ref()).map(|limits| SingularityCheck::new(&chain, limits));
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
        let sweep = Sweep::new(chain.clone(), &limits);
        let forward = chain.forward(&start.q);
        Self {
            forward,
            checked: (start.q, forward),
            speed: SpeedCheck::new(&chain),
            slow_speeds: sweep.slow_speeds(),
            sweep,
            path: StopPath::new(),
            threats: Threats::NONE,
            mode: SafetyMode::Normal,
            misfit: None,
            law,
            retreat_law,
            singularity,
            contact_speed_m_s,
            state: start,
            given: setpoint_of(&start, 0.0, 0.0),
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
            limits,
            chain,
        }
    }

    /// One tick with a fresh sensor frame. `None` instead of a command while the drives are off.
    pub fn filter(&mut self, inputs: &Inputs<'_>) -> (Option<SafeCommand>, Verdict) {
        let Inputs {
            frame,
            obstacles,
            requests,
            proposed,
            stale,
        } = *inputs;
        self.power = PowerDemand::Keep;
        self.take_mode(requests);
        // Finite before anything is compared.
        let was_latched = self.latch.held.is_some();
        let mut cause = false;
        if frame.is_finite() {
            self.seen_width_m = frame.gripper_width_m;
            let mut latch = self.latch;
            let config = self.limits.config();
            self.watch
                .look(frame, requests, self.powered, config, |demand| {
                    cause = true;
                    latch.set(demand);
                });
            if let Some(separation) = &config.separation {
                self.threats
                    .take(obstacles, separation, config.reaction_ticks);
                let silent = too_old(frame.tick, obstacles.seen_tick, separation.silent_ticks);
                if obstacles.seen_tick == 0 || silent.is_some() {
                    cause = true;
                    latch.set(Demand {
                        limit_value: separation.silent_ticks as f64,
                        asked: silent.unwrap_or(frame.tick as f64),
                        ..Demand::new(StopCategory::ControlledHold, LimitKind::Separation)
                    });
                }
            }
            self.latch = latch;
        } else {
            cause = true;
            self.watch.forget_time();
            self.latch.set(Demand::new(
                StopCategory::ControlledThenOff,
                LimitKind::NonFinite,
            ));
        }
        if !proposed.is_finite() {
            cause = true;
            self.latch.set(Demand::new(
                StopCategory::ControlledHold,
                LimitKind::NonFinite,
            ));
        }
        let granted = self.answer_reset(frame, requests, cause, was_latched);
        if !self.powered {
            return self.stay_off(frame);
        }
        let mut hold = None;
        let mut retreat = None;
        if frame.is_finite() && !granted {
            self.look_at_sensors(frame);
            hold = self.look_at_following(frame);
            match self.look_at_contact(frame) {
                Answer::GoOn => {}
                Answer::Hold(violation) => hold = hold.or(Some(violation)),
                Answer::Latch(violation) => self.latch.set(demand_of(violation)),
                Answer::Yield(violation, velocity) => retreat = Some((violation, velocity)),
            }
            if let Some(limits) = &self.limits.config().grip {
                hold = hold.or(self.grip.look(frame, &self.given, limits));
            }
        }
        if self.latch.held.is_some() {
            return self.stop_latched();
        }
        if granted {
            // The reset itself causes no motion: this tick holds whatever is proposed.
            let here = self.given;
            return self.stop_unlatched(Violation::of(LimitKind::Boot), &here);
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

    /// Takes over what the hand carries from now on. It is accepted only if the stop that is being held, and every
    /// limit at the present state, verify with it; else the robot brakes and holds until something is carried
    /// that does. True if it was accepted.
    pub fn carry(&mut self, payload: &Payload) -> bool {
        self.payload = *payload;
        let capsule = (payload.radius_m > 0.0).then(|| LinkCapsule {
            link: HAND,
            a: Point3::from(payload.a_m),
            b: Point3::from(payload.b_m),
            radius_m: payload.radius_m,
        });
        let config = self.limits.config();
        if payload.is_possible() {
            let load = Body {
                mass_kg: payload.mass_kg,
                com_m: payload.com_m,
                inertia_kg_m2: [0.0; 3],
            };
            self.sweep.carry(capsule, config);
            self.speed.carry(&self.chain, &load);
            self.contact_speed_m_s = contact_speed(config, &self.chain, load.mass_kg);
            self.effort
                .carry(&self.chain, &self.state, &self.forward, load);
        }
        self.misfit = self.judge_payload();
        let carries = payload.mass_kg > 0.0 || capsule.is_some();
        let (seen, given) = (self.seen_width_m, self.given.gripper_width_m);
        self.grip.carry(carries, seen, given);
        self.misfit.is_none()
    }

    /// Why what is carried can't be, if it can't. Persons are not asked about here: each tick looks at them. In recovery
    /// mode the arm may be where it fits nowhere, and leads out of there.
    fn judge_payload(&mut self) -> Option<Violation> {
        if !self.payload.is_possible() {
            return Some(Violation::of(LimitKind::NonFinite));
        }
        let config = self.limits.config();
        let bears = config
            .effort
            .map_or(Ok(()), |limits| self.effort.check_load(&limits));
        if self.mode == SafetyMode::Recovery {
            return bears.err();
        }
        let fits = self.sweep.holds(
            &self.state,
            &self.forward,
            &Threats::NONE,
            &mut self.path,
            &self.law,
            config,
        );
        bears.and(fits).err()
    }

    /// One tick without a sensor frame: latches a stop and goes on braking blindly along the verified stop.
    pub fn miss(&mut self, requests: &RequestCounts) -> (Option<SafeCommand>, Verdict) {
        self.power = PowerDemand::Keep;
        self.watch.forget_time();
        self.write_failed();
        self.watch
            .look_at_requests(requests, |demand| self.latch.set(demand));
        if requests.reset > self.reset_answered {
            self.reset_answered = requests.reset;
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
        self.path.lay(&self.state, &self.law);
        self.path.position(STOP_TICKS_MAX)
    }

    /// Smallest distance of any link to the envelope or a zone at the given setpoint, m.
    #[must_use]
    pub fn smallest_clearance_m(&self) -> f64 {
        self.sweep
            .smallest_clearance(&self.given.position_rad, self.limits.config())
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &SafetyLimits {
        &self.limits
    }

    /// The gate's state.
    #[must_use]
    pub fn status(&self) -> GateStatus {
        let held = self.latch.held;
        GateStatus {
            stop_state: if self.latch.held.is_some() {
                StopState::Latched
            } else {
                StopState::Clear
            },
            mode: self.mode,
            category: self.latch.held.map(|held| held.category),
            reason: self.latch.held.map_or(self.reason, |held| held.limit),
            limited_total: self.limited_total,
            stops_total: self.latch.total,
            reset_answered: self.reset_answered,
            reset_answer: self.reset_answer,
            index: held.and_then(|held| held.index),
            limit_value: held.map_or(0.0, |held| held.limit_value),
            asked: held.map_or(0.0, |held| held.asked),
        }
    }

    /// Edge-triggered: each request is answered once. Granted only if every cause is gone and nothing moves.
    fn answer_reset(
        &mut self,
        frame: &SensorFrame,
        requests: &RequestCounts,
        cause: bool,
        was_latched: bool,
    ) -> bool {
        // A counter that runs backwards is no request.
        if requests.reset <= self.reset_answered {
            return false;
        }
        self.reset_answered = requests.reset;
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

    fn judge_reset(&mut self, frame: &SensorFrame, cause: bool, was_latched: bool) -> ResetAnswer {
        if cause {
            return ResetAnswer::CauseStays;
        }
        if !was_latched {
            return ResetAnswer::NothingLatched;
        }
        if !self.state.is_at_rest() || !stands(frame, self.limits.config()) {
            return ResetAnswer::Moving;
        }
        if let Err(refused) = self.check_start(frame) {
            self.latch.explain(demand_of(refused));
            return ResetAnswer::StartState;
        }
        ResetAnswer::Granted
    }

    /// A robot starts within its limits, or in recovery mode.
    fn check_start(&self, frame: &SensorFrame) -> Result<(), Violation> {
        if self.mode == SafetyMode::Recovery {
            return Ok(());
        }
        let config = self.limits.config();
        within_limits(frame, config, LimitKind::StartState)?;
        self.sweep.check_start(&frame.position_rad, config)
    }

    /// A tighter mode counts at once, as does `normal`; recovery begins when the robot stands, and it holds until
    /// then.
    fn take_mode(&mut self, requests: &RequestCounts) {
        let asked = SafetyMode::decode(requests.mode);
        let moves = !self.state.is_at_rest();
        self.mode = if asked == SafetyMode::Recovery && self.mode != asked && moves {
            SafetyMode::Hold
        } else {
            asked
        };
    }

    /// Speed limits of the mode, m/s.
    fn speed_limits(&self) -> SpeedLimits {
        let config = self.limits.config();
        let (tool_m_s, elbow_m_s) = (config.tool_speed_max_m_s, config.elbow_speed_max_m_s);
        let most = match self.mode {
            SafetyMode::Normal | SafetyMode::Hold => f64::INFINITY,
            SafetyMode::Reduced => config.reduced.speed_max_m_s,
            SafetyMode::Recovery => config.recovery.speed_max_m_s,
        };
        SpeedLimits {
            tool_m_s: tool_m_s.min(most),
            elbow_m_s: elbow_m_s.min(most),
            contact_m_s: self.contact_speed_m_s,
            momentum_kg_m_s: (config.contact.as_ref())
                .map_or(f64::INFINITY, |contact| contact.momentum_max_kg_m_s),
        }
    }

    /// Share of the joints' velocity limits that the mode leaves.
    fn joint_speed_share(&self) -> f64 {
        let config = self.limits.config();
        match self.mode {
            SafetyMode::Normal | SafetyMode::Hold => 1.0,
            SafetyMode::Reduced => config.reduced.joint_speed_share,
            SafetyMode::Recovery => config.recovery.joint_speed_share,
        }
    }

    /// With the drives off the setpoint is where the robot is.
    fn follow(&mut self, frame: &SensorFrame) {
        let force = self.given.gripper_force_n;
        let state = ArmState::at_rest(frame.position_rad);
        self.give(state, setpoint_of(&state, frame.gripper_width_m, force));
    }

    fn stay_off(&mut self, frame: &SensorFrame) -> (Option<SafeCommand>, Verdict) {
        if frame.is_finite() {
            self.follow(frame);
        }
        (None, self.latched_verdict())
    }

    /// Latches what the joints' sensors say if it cannot be, or if it is outside the position limits.
    fn look_at_sensors(&mut self, frame: &SensorFrame) {
        let mut latch = self.latch;
        let config = self.limits.config();
        let given = &self.given.position_rad;
        if let Some(limits) = &config.effort {
            self.effort.look(frame, limits, |demand| latch.set(demand));
        }
        self.encoders
            .look(frame, given, config, |demand| latch.set(demand));
        if self.mode != SafetyMode::Recovery
            && let Err(violation) = within_limits(frame, config, LimitKind::Position)
        {
            latch.set(demand_of(violation));
        }
        self.latch = latch;
    }

    /// What is to be done about what the hand touches.
    fn look_at_contact(&mut self, frame: &SensorFrame) -> Answer {
        let velocity = tool_velocity(&self.forward, &self.state.v);
        let at_rest = self.state.is_at_rest();
        let config = self.limits.config();
        self.contact
            .look(frame, config, &self.forward, &velocity, at_rest)
    }

    /// Brakes at once on a following error; latches it when it lasts.
    fn look_at_following(&mut self, frame: &SensorFrame) -> Option<Violation> {
        let config = self.limits.config();
        let joint = lagging_joint(frame, &self.given.position_rad, config);
        let margin = config.tracking_margin_m;
        let violation = match joint {
            Some((joint, off)) => Violation {
                limit: LimitKind::FollowingError,
                index: Some(joint as u32),
                limit_value: config.following_error_max_rad[joint],
                asked: off,
            },
            None if !self
                .sweep
                .tracks(&frame.position_rad, &self.given.position_rad, margin) =>
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
                ..demand_of(violation)
            });
        }
        Some(violation)
    }

    /// The next point of the verified stop; power goes off where the category says so.
    fn stop_latched(&mut self) -> (Option<SafeCommand>, Verdict) {
        let category = self.latch.held.map(|held| held.category);
        let off = match category {
            Some(StopCategory::PowerOff) => true,
            Some(StopCategory::ControlledThenOff) => self.state.is_at_rest(),
            _ => false,
        };
        if off {
            self.powered = false;
            let here = ArmState::at_rest(self.state.q);
            let (width, force) = (self.given.gripper_width_m, self.given.gripper_force_n);
            self.give(here, setpoint_of(&here, width, force));
            self.watch.power_changed();
            self.power = category.map_or(PowerDemand::Keep, PowerDemand::Off);
            return (None, self.latched_verdict());
        }
        let (width, force) = (self.given.gripper_width_m, self.given.gripper_force_n);
        let next = self.state.brake(&self.law);
        self.give(next, setpoint_of(&next, width, force));
        (Some(SafeCommand::new(self.given)), self.latched_verdict())
    }

    fn latched_verdict(&mut self) -> Verdict {
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
    fn stop_unlatched(
        &mut self,
        violation: Violation,
        proposed: &Setpoint,
    ) -> (Option<SafeCommand>, Verdict) {
        let (width, force, _) = self.gripper(proposed);
        let next = self.state.brake(&self.law);
        self.give(next, setpoint_of(&next, width, force));
        (
            Some(SafeCommand::new(self.given)),
            self.stop_verdict(violation),
        )
    }

    /// That of a stop that is not latched.
    fn stop_verdict(&mut self, violation: Violation) -> Verdict {
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

    /// Gives way to a contact: the tool goes where it is pushed, through every check.
    fn give_way(
        &mut self,
        violation: Violation,
        velocity: &Vector3<f64>,
        proposed: &Setpoint,
    ) -> (Option<SafeCommand>, Verdict) {
        let config = self.limits.config();
        let share = self
            .joint_speed_share()
            .min(config.recovery.joint_speed_share);
        let most = config.velocity_max_rad_s.map(|most| share * most);
        let wanted = retreat_velocities(&self.chain, &self.forward, velocity, &most);
        let mut next = self.state;
        for (i, wanted) in wanted.iter().enumerate() {
            // The velocity that is too much is braked, as a stop brakes all of it.
            let (left, a) = self
                .retreat_law
                .step(i, self.state.v[i] - wanted, self.state.a[i]);
            next.a[i] = a;
            next.v[i] = wanted + left;
            next.q[i] = self.state.q[i] + TICK_S * next.v[i];
        }
        let (width, force, _) = self.gripper(proposed);
        self.admit(&setpoint_of(&next, width, force));
        let verdict = Verdict {
            kind: VerdictKind::Yield,
            ..self.stop_verdict(violation)
        };
        (Some(SafeCommand::new(self.given)), verdict)
    }

    /// `u` where it may go, else `b + k(u − b)` with the largest k that bisection finds, down to the stop.
    fn pass_or_limit(&mut self, proposed: &Setpoint) -> (Option<SafeCommand>, Verdict) {
        let (width, force, gripper) = self.gripper(proposed);
        let u = Setpoint {
            gripper_width_m: width,
            gripper_force_n: force,
            ..*proposed
        };
        let verdict = match (self.admit(&u), gripper) {
            (Some((refused, scale)), _) => self.limited_verdict(refused, scale),
            (None, Some(clamped)) => self.limited_verdict(clamped, 1.0),
            (None, None) => Verdict::PASS,
        };
        (Some(SafeCommand::new(self.given)), verdict)
    }

    /// Gives `u` where it may go, else as much of the way from the stop to it as may be; why not all of it, and the
    /// share.
    fn admit(&mut self, u: &Setpoint) -> Option<(Violation, f64)> {
        let braked = self.state.brake(&self.law);
        let b = setpoint_of(&braked, u.gripper_width_m, u.gripper_force_n);
        let refused = match self.check(u, &b, &braked, PROPOSED) {
            Ok(state) => {
                self.give(state, *u);
                return None;
            }
            Err(violation) => violation,
        };
        let (mut low, mut high) = (0.0, 1.0);
        let mut best = (braked, b);
        for _ in 0..BISECTIONS {
            let k = 0.5 * (low + high);
            let candidate = blend(&b, u, k);
            match self.check(&candidate, &b, &braked, SEARCHED) {
                Ok(state) => {
                    low = k;
                    best = (state, candidate);
                }
                Err(_) => high = k,
            }
        }
        self.give(best.0, best.1);
        Some((refused, low))
    }

    /// The state that `candidate` leads to, if everything about it and its stop holds. `b` needs no check: it
    /// lies on the stop that was verified before.
    fn check(
        &mut self,
        candidate: &Setpoint,
        b: &Setpoint,
        braked: &ArmState,
        effort: Effort,
    ) -> Result<ArmState, Violation> {
        if same_bits(&candidate.position_rad, &b.position_rad) {
            check_statement(candidate, braked, self.limits.config())?;
            return Ok(*braked);
        }
        let after = self.state.moved_to(&candidate.position_rad);
        let config = self.limits.config();
        let carry_on = late::apart(&after, &self.law, config.reaction_ticks);
        let share = self.joint_speed_share();
        let speed_limits = self.speed_limits();
        check_joints(&self.state, &after, &self.law, share, config)?;
        check_statement(candidate, &after, config)?;
        let forward = self.chain.forward(&after.q);
        self.checked = (after.q, forward);
        if let (Some(check), Some(limits)) = (&mut self.singularity, &config.singularity) {
            let most = config.velocity_max_rad_s.map(|most| share * most);
            check.check(&self.chain, &self.forward, &after, &forward, &most, limits)?;
        }
        self.contact.check(&tool_velocity(&forward, &after.v))?;
        if let Some(limits) = &config.effort {
            self.effort.check(&self.chain, &after, &forward, limits)?;
        }
        let drift = late::drift(&after, config.reaction_ticks);
        let speeds = SpeedQuestion {
            chain: &self.chain,
            given: &self.state,
            candidate: &after,
            forward: &forward,
            drift: &drift,
            law: &self.law,
            halvings: effort.halvings,
        };
        self.speed.check(&speeds, &mut self.path, &speed_limits)?;
        self.threats.stop_takes(late::stop_s(&after, &self.law));
        let mut question = Question {
            given: &self.state,
            given_forward: &self.forward,
            candidate: &after,
            forward: &forward,
            carry_on: &carry_on,
            threats: &self.threats,
            speed_m_s: f64::INFINITY,
            recovers: self.mode == SafetyMode::Recovery,
            samples_max: effort.samples,
        };
        let config = self.limits.config();
        self.sweep
            .check(Group::Hard, &question, &mut self.path, &self.law, config)?;
        if self.sweep.nears_slow_zones(&question, &self.law, config) {
            // The slowest limit that the motion keeps: zones that allow as much don't matter.
            question.speed_m_s = f64::INFINITY;
            // Who is in a slow zone can go slowly: that is no violation to be recovered from.
            question.recovers = false;
            // Whoever keeps one keeps the faster ones: a search by halves finds it.
            let (mut low, mut high) = (0, self.slow_speeds.len());
            while low < high {
                let middle = low.midpoint(high);
                let limits = SpeedLimits::of_points(self.slow_speeds[middle]);
                if self.speed.check(&speeds, &mut self.path, &limits).is_ok() {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            if let Some(speed) = self.slow_speeds.get(low) {
                question.speed_m_s = *speed;
            }
            self.sweep
                .check(Group::Slow, &question, &mut self.path, &self.law, config)?;
        }
        Ok(after)
    }

    /// Width and force within their limits, and the violation if one had to be clamped.
    fn gripper(&self, proposed: &Setpoint) -> (f64, f64, Option<Violation>) {
        let c = self.limits.config();
        let width = proposed
            .gripper_width_m
            .max(c.gripper_width_min_m)
            .min(c.gripper_width_max_m);
        let force = proposed.gripper_force_n.max(0.0).min(c.gripper_force_max_n);
        let violation = |index, limit_value, asked| {
            Some(Violation {
                limit: LimitKind::Gripper,
                index: Some(index),
                limit_value,
                asked,
            })
        };
        let clamped = if width != proposed.gripper_width_m {
            violation(0, width, proposed.gripper_width_m)
        } else if force != proposed.gripper_force_n {
            violation(1, force, proposed.gripper_force_n)
        } else {
            None
        };
        (width, force, clamped)
    }

    fn limited_verdict(&mut self, violation: Violation, scale: f64) -> Verdict {
        self.limited_total += 1;
        self.reason = violation.limit;
        let joint = violation
            .index
            .map_or(0, |index| (index as usize).min(JOINTS - 1));
        let given = match violation.limit {
            LimitKind::Position => self.state.q[joint],
            LimitKind::Velocity => self.state.v[joint].abs(),
            LimitKind::Acceleration => self.state.a[joint].abs(),
            LimitKind::Gripper => violation.limit_value,
            _ => 0.0,
        };
        Verdict {
            kind: VerdictKind::Limited,
            limit: violation.limit,
            index: violation.index,
            limit_value: violation.limit_value,
            asked: violation.asked,
            given,
            scale,
            ..Verdict::PASS
        }
    }

    fn give(&mut self, state: ArmState, setpoint: Setpoint) {
        if state.q != self.state.q {
            self.forward = if state.q == self.checked.0 {
                self.checked.1
            } else {
                self.chain.forward(&state.q)
            };
        }
        if self.limits.config().effort.is_some() && state != self.state {
            self.effort.give(&self.chain, &state, &self.forward);
        }
        self.state = state;
        self.given = setpoint;
    }
}

fn demand_of(violation: Violation) -> Demand {
    Demand {
        category: StopCategory::ControlledHold,
        limit: violation.limit,
        index: violation.index,
        limit_value: violation.limit_value,
        asked: violation.asked,
    }
}

fn setpoint_of(state: &ArmState, gripper_width_m: f64, gripper_force_n: f64) -> Setpoint {
    Setpoint {
        position_rad: state.q,
        velocity_rad_s: state.v,
        acceleration_rad_s2: state.a,
        gripper_width_m,
        gripper_force_n,
    }
}

/// Speed at which a contact is bearable, m/s.
fn contact_speed(config: &SafetyConfig, chain: &Chain, load_kg: f64) -> f64 {
    (config.contact.as_ref()).map_or(f64::INFINITY, |contact| {
        contact.speed_max_m_s(chain.masses(), load_kg)
    })
}

/// Every measured joint is within its position limits.
fn within_limits(
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
