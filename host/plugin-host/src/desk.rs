//! The goals that one run has given to the robot, and how they ended.

use std::collections::BTreeMap;

use sinew_messages::{ArmGoal, ArmGoalKind, LimitKind, LoopStatus, MotionState, Pose, StopState};
use sinew_units::Tick;

use crate::ports::RobotPort;

/// Ticks in which the loop must have taken over a goal when a stop is latched; after that the stop ended it.
const TAKE_OVER_TICKS: u64 = 5;

/// Arm goals of one run. At most one is active: a newer one replaces it.
pub(crate) struct Desk {
    robot: RobotPort,
    lease_ticks: u64,
    active: Option<Active>,
    ended: BTreeMap<u64, Ended>,
}

struct Active {
    goal: ArmGoal,
    sent: Tick,
    /// The hold that cancels it.
    hold: Option<Hold>,
}

/// A hold that was sent to end a motion.
#[derive(Clone, Copy)]
struct Hold {
    id: u64,
    /// Why, if it wasn't the plugin's own wish.
    reason: &'static str,
}

/// Reason of a motion that was braked because the tool was about to leave its zones.
pub(crate) const BY_GRANT: &str = "grant";

/// How a motion ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) state: MotionState,
    /// What held or stopped it: a limit of the gate's, or the plugin's grant; empty otherwise.
    pub(crate) reason: &'static str,
    pub(crate) tool: Pose,
    pub(crate) tick: u64,
}

/// Whether a latched stop keeps everything from moving.
pub(crate) fn is_stopped(status: &LoopStatus) -> bool {
    status.stop_state != StopState::Clear as u32
}

impl Desk {
    pub(crate) fn new(robot: RobotPort, lease_ticks: u64) -> Self {
        Self {
            robot,
            lease_ticks,
            active: None,
            ended: BTreeMap::new(),
        }
    }

    /// Sends a goal; number and lease are filled in. The one that was active is preempted.
    pub(crate) fn send(&mut self, now: Tick, status: Option<&LoopStatus>, goal: ArmGoal) -> u64 {
        self.preempt(now, status);
        let goal = ArmGoal {
            id: (self.robot.goal_ids)(),
            lease_end_tick: now.0.saturating_add(self.lease_ticks),
            ..goal
        };
        self.robot.mailbox.arm.write(&goal);
        self.active = Some(Active {
            goal,
            sent: now,
            hold: None,
        });
        goal.id
    }

    /// The active motion ends because somebody else's goal replaces it.
    pub(crate) fn preempt(&mut self, now: Tick, status: Option<&LoopStatus>) {
        if let Some(active) = self.active.take() {
            self.end(active.goal.id, MotionState::Preempted, None, now, status);
        }
    }

    /// Brakes the motion to a hold, if it is still the active one.
    pub(crate) fn cancel(&mut self, now: Tick, id: u64) {
        if self
            .active
            .as_ref()
            .is_some_and(|active| active.goal.id == id)
        {
            self.brake(now, "");
        }
    }

    /// Brakes whatever motion goes on, as the plugin could have asked for.
    pub(crate) fn cancel_all(&mut self, now: Tick) {
        self.brake(now, "");
    }

    /// Brakes whatever motion goes on: the tool is about to leave its zones. True if one does.
    pub(crate) fn brake_at_border(&mut self, now: Tick) -> bool {
        let goes_on = self.moves();
        self.brake(now, BY_GRANT);
        goes_on
    }

    /// Whether a motion goes on that nobody has cancelled.
    pub(crate) fn moves(&self) -> bool {
        self.active
            .as_ref()
            .is_some_and(|active| active.hold.is_none())
    }

    fn brake(&mut self, now: Tick, reason: &'static str) {
        if let Some(active) = &mut self.active
            && active.hold.is_none()
        {
            let id = Self::write_hold(&self.robot, now, self.lease_ticks);
            active.hold = Some(Hold { id, reason });
        }
    }

    /// Nobody will ask for this motion any more: it brakes, and its end is forgotten.
    pub(crate) fn forget(&mut self, now: Tick, id: u64) {
        self.ended.remove(&id);
        if let Some(active) = self.active.take_if(|active| active.goal.id == id)
            && active.hold.is_none()
        {
            Self::write_hold(&self.robot, now, self.lease_ticks);
        }
    }

    /// How the motion ended, once it has.
    pub(crate) fn ended(&self, id: u64) -> Option<Ended> {
        self.ended.get(&id).copied()
    }

    /// Brakes whatever this run still moves. Called at the end of a run, however it ended.
    pub(crate) fn close(&mut self, now: Tick) {
        if let Some(active) = &self.active {
            let id = active.goal.id;
            self.forget(now, id);
        }
    }

    /// Takes in a new status, and renews the lease of what goes on.
    pub(crate) fn step(&mut self, now: Tick, status: &LoopStatus) {
        let Some(active) = &mut self.active else {
            return;
        };
        let watched = active.hold.map_or(active.goal.id, |hold| hold.id);
        let reported = MotionState::decode(status.arm_state).unwrap_or(MotionState::Held);
        let ended = if status.arm_goal_id == watched {
            match (active.hold, reported.is_final()) {
                (Some(_), true) => Some(MotionState::Held),
                (None, true) => Some(reported),
                (_, false) => None,
            }
        } else if status.arm_goal_id > watched {
            Some(match active.hold {
                Some(_) => MotionState::Held,
                None => MotionState::Preempted,
            })
        } else if is_stopped(status) && now.since(active.sent).0 > TAKE_OVER_TICKS {
            Some(MotionState::Stopped)
        } else {
            None
        };
        match ended {
            Some(state) => {
                let (id, hold) = (active.goal.id, active.hold);
                self.active = None;
                self.end(id, state, hold, now, Some(status));
            }
            None if active.hold.is_none() => {
                active.goal.lease_end_tick = now.0.saturating_add(self.lease_ticks);
                self.robot.mailbox.arm.write(&active.goal);
            }
            None => {}
        }
    }

    fn end(
        &mut self,
        id: u64,
        state: MotionState,
        hold: Option<Hold>,
        now: Tick,
        status: Option<&LoopStatus>,
    ) {
        self.ended.insert(
            id,
            Ended {
                state,
                reason: match (state, hold, status) {
                    // A motion that was cancelled is held for no other reason.
                    (MotionState::Held, Some(hold), _) => hold.reason,
                    (MotionState::Held, None, Some(status)) => limit_name(status.held_for),
                    (MotionState::Stopped, _, Some(status)) => limit_name(status.reason),
                    _ => "",
                },
                tool: status.map_or(Pose::IDENTITY, |status| status.tool_pose),
                tick: status.map_or(now.0, |status| status.tick),
            },
        );
    }

    fn write_hold(robot: &RobotPort, now: Tick, lease_ticks: u64) -> u64 {
        let id = (robot.goal_ids)();
        robot.mailbox.arm.write(&ArmGoal {
            id,
            lease_end_tick: now.0.saturating_add(lease_ticks),
            kind: ArmGoalKind::Hold as u32,
            reserved: 0,
            joints_rad: [0.0; sinew_messages::JOINTS],
            pose: Pose::IDENTITY,
            speed_scale: 1.0,
            acceleration_scale: 1.0,
            contact_force_n: 0.0,
        });
        id
    }
}

fn limit_name(reason: u32) -> &'static str {
    match LimitKind::decode(reason) {
        None | Some(LimitKind::None) => "",
        Some(limit) => limit.name(),
    }
}
