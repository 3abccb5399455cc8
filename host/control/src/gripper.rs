//! The gripper channel: a width that moves at a limited rate, with a largest force.

use sinew_messages::{GripperGoal, MotionState, SensorFrame, Setpoint};
use sinew_units::TICK_S;

use crate::limits::MotionLimits;

/// Measured and asked width agree within this, m.
const WIDTH_TOLERANCE_M: f64 = 0.0015;
/// Fingers slower than this stand, m/s.
const STANDING_M_S: f64 = 0.005;
/// Share of the asked force that counts as holding.
const HOLDING_SHARE: f64 = 0.5;
/// Ticks that the fingers must stand before the goal is done.
const STANDING_TICKS: u32 = 40;
/// Ticks after the setpoint's arrival within which the fingers must stand at the width or hold.
const SETTLE_TICKS_MAX: u32 = 1_000;

/// State of the gripper channel.
#[derive(Clone, Debug)]
pub(crate) struct Gripper {
    goal_id: u64,
    state: MotionState,
    width_m: f64,
    force_n: f64,
    speed_m_s: f64,
    standing_ticks: u32,
    settling_ticks: u32,
    /// No goal or chunk was ever taken: what the gate gives is kept.
    untouched: bool,
}

impl Gripper {
    pub(crate) fn new() -> Self {
        Self {
            goal_id: 0,
            state: MotionState::Idle,
            width_m: 0.0,
            force_n: 0.0,
            speed_m_s: 0.0,
            standing_ticks: 0,
            settling_ticks: 0,
            untouched: true,
        }
    }

    pub(crate) fn goal_id(&self) -> u64 {
        self.goal_id
    }

    pub(crate) fn state(&self) -> MotionState {
        self.state
    }

    /// Takes over a goal if it is newer. `chunk_owns` says that an action chunk drives the gripper now.
    pub(crate) fn offer(
        &mut self,
        goal: &GripperGoal,
        limits: &MotionLimits,
        latched: bool,
        chunk_owns: bool,
    ) {
        if goal.id <= self.goal_id {
            return;
        }
        self.goal_id = goal.id;
        let config = limits.config();
        let width_fits =
            (config.gripper_width_min_m..=config.gripper_width_max_m).contains(&goal.width_m);
        let force_fits = goal.force_n > 0.0 && goal.force_n <= config.gripper_force_max_n;
        let speed_fits = goal.speed_m_s > 0.0 && goal.speed_m_s.is_finite();
        if latched {
            self.state = MotionState::Stopped;
        } else if chunk_owns || !(width_fits && force_fits && speed_fits) {
            self.state = MotionState::Rejected;
        } else {
            self.go_to(goal.width_m, goal.force_n);
            self.speed_m_s = goal.speed_m_s.min(config.gripper_speed_max_m_s);
            self.state = MotionState::Active;
        }
    }

    /// Follows an action chunk's width and force; a goal that was active is over.
    pub(crate) fn follow(&mut self, width_m: f64, force_n: f64, limits: &MotionLimits) {
        let config = limits.config();
        if self.state == MotionState::Active {
            self.state = MotionState::Preempted;
        }
        self.go_to(
            width_m.clamp(config.gripper_width_min_m, config.gripper_width_max_m),
            force_n.clamp(0.0, config.gripper_force_max_n),
        );
        self.speed_m_s = config.gripper_speed_max_m_s;
    }

    /// Stays at what the gate gives, as it must while a stop is latched.
    pub(crate) fn stop(&mut self, given: &Setpoint) {
        if self.state == MotionState::Active {
            self.state = MotionState::Stopped;
        }
        self.width_m = given.gripper_width_m;
        self.force_n = given.gripper_force_n;
    }

    /// Width (m) and force (N) to ask for.
    pub(crate) fn advance(&mut self, given: &Setpoint, frame: &SensorFrame) -> (f64, f64) {
        if self.untouched {
            return (given.gripper_width_m, given.gripper_force_n);
        }
        if self.state == MotionState::Active {
            self.judge(given, frame);
        }
        let step = self.speed_m_s * TICK_S;
        let left = self.width_m - given.gripper_width_m;
        let width = if left.abs() <= step {
            self.width_m
        } else {
            given.gripper_width_m + step.copysign(left)
        };
        (width, self.force_n)
    }

    fn go_to(&mut self, width_m: f64, force_n: f64) {
        self.untouched = false;
        self.width_m = width_m;
        self.force_n = force_n;
        self.standing_ticks = 0;
        self.settling_ticks = 0;
    }

    fn judge(&mut self, given: &Setpoint, frame: &SensorFrame) {
        let there = (frame.gripper_width_m - self.width_m).abs() <= WIDTH_TOLERANCE_M;
        // An opening goal begins with the setpoint still inside the part: that is no grasp of its own.
        let closing = self.width_m < frame.gripper_width_m - WIDTH_TOLERANCE_M;
        let squeezing = closing
            && given.gripper_width_m < frame.gripper_width_m - WIDTH_TOLERANCE_M
            && frame.gripper_force_n >= HOLDING_SHARE * self.force_n;
        let stands = frame.gripper_velocity_m_s.abs() <= STANDING_M_S;
        if stands && (there || squeezing) {
            self.standing_ticks += 1;
        } else {
            self.standing_ticks = 0;
        }
        if given.gripper_width_m == self.width_m {
            self.settling_ticks += 1;
        }
        if self.standing_ticks >= STANDING_TICKS {
            self.state = MotionState::Done;
        } else if self.settling_ticks >= SETTLE_TICKS_MAX {
            self.state = MotionState::Held;
        }
    }
}
