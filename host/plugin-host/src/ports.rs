//! What the rest of the host lends to plugins. Each port says no by itself when its owner has nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sinew_messages::{JointVector, Mailbox, Pose};
use sinew_units::{Tick, Ticks};
use sinew_world::WorldReader;

/// Gives the next goal number. Shared by everyone who sends goals, so that they only grow.
pub type GoalIds = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Where the tool is when the joints stand like this.
pub type ToolAt = Arc<dyn Fn(&JointVector) -> Pose + Send + Sync>;

/// Everything that capabilities act on.
#[derive(Clone)]
pub struct HostPorts {
    /// What is perceived.
    pub world: WorldReader,
    /// Arm and gripper.
    pub robot: RobotPort,
    /// Learned policies.
    pub policies: Arc<Mutex<dyn PolicyPort>>,
    /// A person, if there is one to ask.
    pub operator: Option<Arc<Mutex<dyn OperatorPort>>>,
}

/// How arm and gripper are reached, and what the cell's configuration says about them.
#[derive(Clone)]
pub struct RobotPort {
    /// Goals go in, status comes out.
    pub mailbox: Arc<Mailbox>,
    /// Goal numbers.
    pub goal_ids: GoalIds,
    /// Poses by name, rad.
    pub named_poses: Arc<BTreeMap<String, JointVector>>,
    /// Forward kinematics.
    pub tool_at: ToolAt,
    /// What the tool can brake with, m/s².
    pub tool_braking_m_s2: f64,
    /// Distance between the pads when closed, m.
    pub gripper_closed_m: f64,
    /// And when open, no less.
    pub gripper_open_m: f64,
    /// Largest gripper force, N.
    pub gripper_force_max_n: f64,
    /// Speed of the width in plugins' gripper moves, m/s.
    pub gripper_speed_m_s: f64,
}

/// Runs policies closed-loop; one run at a time.
pub trait PolicyPort: Send {
    /// Names that can be run now.
    fn available(&self) -> Vec<String>;

    /// Starts a run on a tracked object and returns its number.
    ///
    /// # Errors
    /// Why it can't be started.
    fn start(&mut self, order: &PolicyOrder<'_>, now: Tick) -> Result<u64, PolicyRefusal>;

    /// How the run ended, once it has.
    fn outcome(&mut self, run: u64) -> Option<PolicyEnd>;

    /// Ends the run; the robot brakes to a hold. Unknown and ended runs are ignored.
    fn cancel(&mut self, run: u64, now: Tick);
}

/// What a policy is to do, and within what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyOrder<'a> {
    /// Which.
    pub policy: &'a str,
    /// On which tracked object.
    pub object_id: u64,
    /// For how long at most.
    pub timeout: Ticks,
    /// Share of the cell's speed that it may move at, in (0, 1].
    pub speed: f64,
    /// And of the acceleration.
    pub acceleration: f64,
    /// Largest gripper force, N; the policy's own if `None`.
    pub force_n: Option<f64>,
}

/// Why a policy run did not start.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyRefusal {
    /// Nothing has the number that it was given.
    NoObject,
    /// Wrong request.
    Wrong(String),
    /// Not now: busy, not loaded, robot stopped.
    NotNow(String),
}

/// How a policy run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyEnd {
    /// `done`, `failed`, `low-confidence`, `timeout`, `stopped`, `cancelled`.
    pub state: String,
    /// Failure label; empty when done.
    pub label: String,
    /// Lowest confidence, 0 to 1.
    pub confidence: f64,
    /// Ticks that it took.
    pub ticks: u64,
    /// What the end condition saw.
    pub message: String,
}

/// Asks a person.
pub trait OperatorPort: Send {
    /// Puts a question; returns its number.
    fn ask(&mut self, plugin: &str, question: &str, options: &[String]) -> u64;

    /// The chosen option, once there is one.
    fn answer(&mut self, question: u64) -> Option<u32>;

    /// Takes the question back.
    fn withdraw(&mut self, question: u64);
}
