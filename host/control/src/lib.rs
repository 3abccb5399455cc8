//! The tick: read, select, filter, write, record; and motion generation.
//!
//! [`ControlLoop::tick`] is the whole loop. It never allocates, locks or waits, and does a bounded amount of
//! work. The same function runs in virtual time (called as fast as the machine allows) and in real time
//! ([`pace`]). Time is the count of ticks; nothing here reads a clock to decide anything.
//!
//! Motion sources say where the next setpoint would be; the gate alone says what is given. What was given
//! goes back into the source in the next tick: a source that was not given what it asked for goes on from what
//! it was given, so nothing accumulates and jumps later.

mod activation;
mod arm;
mod chunk;
mod gripper;
mod jog;
mod joints;
mod limits;
mod line;
pub mod pace;
mod path;
pub mod profile;
mod tracker;
mod trail;

#[cfg(test)]
mod profile_tests;

use std::sync::Arc;

use bytemuck::Zeroable;
use sinew_flight_ring::{Producer, TrailProducer};
use sinew_hardware::HardwareComponent;
use sinew_kinematics::{Chain, isometry_to_pose};
use sinew_messages::{
    ActionChunk, ActivationRefusal, ArmGoal, GripperGoal, JointVector, LimitKind, LoopStatus,
    Mailbox, ObstacleFrame, Payload, SensorFrame, Setpoint, StopState, TickRecord, VerdictKind,
};
use sinew_safety::{Gate, Inputs, PowerDemand, Verdict};
use sinew_units::TICK_S;

pub use activation::ActivationDesk;
pub use limits::{MotionConfig, MotionLimits, MotionLimitsError};
pub use path::can_follow_line;

use crate::activation::ActivationInbox;
use crate::arm::{Arm, ArmAsk};
use crate::gripper::Gripper;
use crate::trail::Trail;

/// What one tick came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TickSummary {
    /// The tick.
    pub tick: u64,
    /// What was published to the mailbox.
    pub status: LoopStatus,
    /// What was recorded in the ring.
    pub record: TickRecord,
}

/// Newest values of the mailbox, and how new they are.
#[derive(Debug)]
struct Inbox {
    arm: (u64, ArmGoal),
    gripper: (u64, GripperGoal),
    chunk: (u64, ActionChunk),
    payload: (u64, Payload),
}

/// The control loop of one robot.
pub struct ControlLoop {
    hardware: Box<dyn HardwareComponent>,
    gate: Gate,
    chain: Chain,
    limits: MotionLimits,
    arm: Arm,
    gripper: Gripper,
    mailbox: Arc<Mailbox>,
    inbox: Inbox,
    ring: Producer,
    trail: Option<Trail>,
    activations: Option<ActivationInbox>,
    frame: SensorFrame,
    obstacles: ObstacleFrame,
    tick: u64,
}

impl ControlLoop {
    /// A loop whose first tick is 1. Causes no motion: the gate boots stopped.
    #[must_use]
    pub fn new(
        hardware: Box<dyn HardwareComponent>,
        gate: Gate,
        chain: Chain,
        limits: MotionLimits,
        mailbox: Arc<Mailbox>,
        ring: Producer,
    ) -> Self {
        Self {
            hardware,
            gate,
            arm: Arm::new(chain.clone(), limits.clone()),
            gripper: Gripper::new(),
            chain,
            limits,
            mailbox,
            inbox: Inbox {
                arm: (0, ArmGoal::zeroed()),
                gripper: (0, GripperGoal::zeroed()),
                chunk: (0, ActionChunk::zeroed()),
                payload: (0, Payload::NONE),
            },
            ring,
            trail: None,
            activations: None,
            frame: SensorFrame::zeroed(),
            obstacles: ObstacleFrame::NONE,
            tick: 0,
        }
    }

    /// Says every stop, reset, mode and configuration to `trail`, and grants no reset before what it said is
    /// acknowledged there. Without a trail nothing of that is kept: for measurements and tests.
    #[must_use]
    pub fn with_trail(mut self, trail: TrailProducer) -> Self {
        self.trail = Some(Trail::new(trail));
        self
    }

    /// Takes other safety configurations from the desk that is returned beside it.
    #[must_use]
    pub fn with_activations(mut self) -> (Self, ActivationDesk) {
        let (desk, inbox) = activation::way();
        self.activations = Some(inbox);
        (self, desk)
    }

    /// The last tick that ran; 0 before the first.
    #[must_use]
    pub fn last_tick(&self) -> u64 {
        self.tick
    }

    /// Records that the ring had no room for.
    #[must_use]
    pub fn records_dropped(&self) -> u64 {
        self.ring.dropped()
    }

    /// One tick of the robot.
    pub fn tick(&mut self) -> TickSummary {
        self.tick += 1;
        let fresh = self.hardware.read(self.tick, &mut self.frame).is_ok();
        if fresh {
            self.activate();
        }
        let mut requests = self.mailbox.requests.counts();
        if let Some(trail) = &mut self.trail {
            requests = trail.screen(self.tick, &requests, &self.gate.status());
        }
        let before = *self.gate.given();
        self.drain_mailbox(&before);
        let (asked, stale) = self.advance_sources(&before);
        let (command, verdict) = if fresh {
            self.hardware.read_obstacles(self.tick, &mut self.obstacles);
            self.gate.filter(&Inputs {
                frame: &self.frame,
                obstacles: &self.obstacles,
                requests: &requests,
                proposed: &asked,
                stale,
            })
        } else {
            self.gate.miss(&requests)
        };
        self.switch_power();
        if let Some(command) = command
            && self.hardware.write(command).is_err()
        {
            self.gate.write_failed();
        }
        if let Some(trail) = &mut self.trail {
            trail.note(self.tick, &self.gate.status());
        }
        self.feed_back(&verdict);
        self.publish(&asked, &verdict)
    }

    /// Another safety configuration, if one is asked for and the gate takes it now.
    fn activate(&mut self) {
        let Self {
            activations: Some(activations),
            gate,
            trail,
            frame,
            tick,
            ..
        } = self
        else {
            return;
        };
        activations.serve(|approved| {
            let status = gate.status();
            let (before, hash) = (gate.limits().hash().short(), approved.hash().short());
            if trail
                .as_ref()
                .is_some_and(|trail| !trail.takes_activation(&status))
            {
                return Err(ActivationRefusal::AuditBehind);
            }
            let result = gate.activate(approved, frame);
            if let Some(trail) = trail {
                trail.activation(*tick, &status, [before, hash], result);
            }
            result
        });
    }

    fn drain_mailbox(&mut self, given: &Setpoint) {
        let latched = self.is_latched();
        let Inbox {
            arm,
            gripper,
            chunk,
            payload,
        } = &mut self.inbox;
        if let Some(sequence) = self.mailbox.payload.read_newer(payload.0, &mut payload.1) {
            payload.0 = sequence;
            // What does not fit holds the robot; the verdict says so.
            self.gate.carry(&payload.1);
        }
        if let Some(sequence) = self.mailbox.arm.read_newer(arm.0, &mut arm.1) {
            arm.0 = sequence;
            self.arm.offer(&arm.1, given, latched);
        }
        if let Some(sequence) = self.mailbox.chunk.read_newer(chunk.0, &mut chunk.1) {
            chunk.0 = sequence;
            self.arm.offer_chunk(&chunk.1);
        }
        if let Some(sequence) = self.mailbox.gripper.read_newer(gripper.0, &mut gripper.1) {
            gripper.0 = sequence;
            let chunk_owns = self.arm.follows_chunks();
            self.gripper
                .offer(&gripper.1, &self.limits, latched, chunk_owns);
        }
    }

    fn advance_sources(&mut self, before: &Setpoint) -> (Setpoint, Option<LimitKind>) {
        let ArmAsk {
            joints,
            stale,
            gripper,
        } = self.arm.advance(self.tick, before, &self.frame);
        if let Some((width_m, force_n)) = gripper {
            self.gripper.follow(width_m, force_n, &self.limits);
        }
        let (gripper_width_m, gripper_force_n) = self.gripper.advance(before, &self.frame);
        let velocity_rad_s: JointVector =
            core::array::from_fn(|i| (joints[i] - before.position_rad[i]) / TICK_S);
        let asked = Setpoint {
            position_rad: joints,
            velocity_rad_s,
            acceleration_rad_s2: core::array::from_fn(|i| {
                (velocity_rad_s[i] - before.velocity_rad_s[i]) / TICK_S
            }),
            gripper_width_m,
            gripper_force_n,
        };
        (asked, stale)
    }

    fn switch_power(&mut self) {
        match self.gate.power() {
            PowerDemand::Keep => {}
            PowerDemand::On => {
                if self.hardware.power_on().is_err() {
                    self.gate.write_failed();
                }
            }
            PowerDemand::Off(category) => self.hardware.stop(category),
        }
    }

    fn feed_back(&mut self, verdict: &Verdict) {
        let latched = self.is_latched();
        let given = self.gate.given();
        self.arm.observe(verdict, given, latched);
        if latched {
            self.gripper.stop(given);
        }
    }

    fn publish(&mut self, asked: &Setpoint, verdict: &Verdict) -> TickSummary {
        let given = *self.gate.given();
        let gate = self.gate.status();
        let (reset_answered, reset_answer) = match &self.trail {
            Some(trail) => trail.answered(&gate),
            None => (gate.reset_answered, gate.reset_answer),
        };
        let tool = self.chain.forward(&self.frame.position_rad).tool;
        let status = LoopStatus {
            tick: self.tick,
            frame: self.frame,
            setpoint: given,
            tool_pose: isometry_to_pose(&tool),
            tool_speed_m_s: joints::tool_speed_m_s(
                &self.chain,
                &given.position_rad,
                &given.velocity_rad_s,
            ),
            arm_goal_id: self.arm.goal_id(),
            gripper_goal_id: self.gripper.goal_id(),
            arm_state: self.arm.state() as u32,
            gripper_state: self.gripper.state() as u32,
            stop_state: gate.stop_state as u32,
            stop_category: gate.category.map_or(0, |category| category as u32),
            reason: gate.reason as u32,
            held_for: self.arm.held_for() as u32,
            limited: u32::from(verdict.kind == VerdictKind::Limited),
            limited_total: gate.limited_total,
            stops_total: gate.stops_total,
            reset_answered,
            reset_answer: reset_answer as u32,
            mode: gate.mode as u32,
            reserved: 0,
            safety_hash: self.gate.limits().hash().short(),
        };
        self.mailbox.status.write(&status);
        let record = TickRecord {
            frame: self.frame,
            asked: *asked,
            given,
            verdict: verdict.record(),
            stop_end_rad: self.gate.stop_end(),
            arm_goal_id: self.arm.goal_id(),
            chunk_id: self.arm.chunk_id(),
        };
        self.ring.push(&record);
        TickSummary {
            tick: self.tick,
            status,
            record,
        }
    }

    fn is_latched(&self) -> bool {
        self.gate.status().stop_state == StopState::Latched
    }
}
