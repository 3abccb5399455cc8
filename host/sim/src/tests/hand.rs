//! Moves the simulated robot straight through its drives, along jerk-free paths of the tool.

use nalgebra::Isometry3;
use sinew_kinematics::{Chain, StepOptions, tool_down, tool_yaw};
use sinew_messages::{JointVector, Setpoint};
use sinew_units::TICK_S;

use crate::cell::Cell;

/// How the inverse kinematics follows a path.
const FOLLOW: StepOptions = StepOptions {
    damping: 1e-6,
    posture_gain: 0.02,
    step_max_rad: 0.02,
};

/// A hand that goes where it is told, in the cell's own time.
pub(super) struct Hand {
    pub(super) cell: Cell,
    chain: Chain,
    pub(super) tick: u64,
    joints_rad: JointVector,
    tool: Isometry3<f64>,
    pub(super) width_m: f64,
    pub(super) force_n: f64,
}

impl Hand {
    /// Powers the drives of a freshly reset cell.
    pub(super) fn new(cell: &Cell) -> Self {
        let chain = cell.robot_description().chain();
        let (tick, joints_rad) = cell.with_world(|world| {
            world.advance(world.tick());
            world.drives.power_on(world.tick()).expect("a sound drive");
            (world.tick(), world.physics.measured().position_rad)
        });
        Self {
            cell: cell.clone(),
            tool: chain.forward(&joints_rad).tool,
            chain,
            tick,
            joints_rad,
            width_m: cell.robot_description().gripper.width_max_m,
            force_n: 20.0,
        }
    }

    fn step(&mut self, joints_rad: JointVector) {
        let setpoint = Setpoint {
            position_rad: joints_rad,
            velocity_rad_s: core::array::from_fn(|i| (joints_rad[i] - self.joints_rad[i]) / TICK_S),
            acceleration_rad_s2: [0.0; 7],
            gripper_width_m: self.width_m,
            gripper_force_n: self.force_n,
        };
        self.joints_rad = joints_rad;
        self.tick += 1;
        self.cell.with_world(|world| {
            world.drives.feed(world.tick(), &setpoint).expect("powered");
            world.advance(self.tick);
        });
    }

    /// Stands still for `ticks`.
    pub(super) fn wait(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.step(self.joints_rad);
        }
    }

    /// Moves the tool in a straight line to a point, pointing down with `yaw_rad`, at `speed_m_s` on average.
    pub(super) fn go(&mut self, position_m: [f64; 3], yaw_rad: f64, speed_m_s: f64) {
        let start = self.tool;
        let end = tool_down(position_m, yaw_rad);
        let distance = (end.translation.vector - start.translation.vector).norm();
        let turn = start.rotation.angle_to(&end.rotation);
        let ticks = (1_000.0 * (distance / speed_m_s).max(turn / 1.5)).max(1.0) as u64;
        for tick in 1..=ticks {
            let t = tick as f64 / ticks as f64;
            // Minimum jerk (Flash and Hogan, 1985).
            let share = t * t * t * (10.0 + t * (6.0 * t - 15.0));
            let target = Isometry3::from_parts(
                start
                    .translation
                    .vector
                    .lerp(&end.translation.vector, share)
                    .into(),
                start
                    .rotation
                    .try_slerp(&end.rotation, share, 1e-9)
                    .unwrap_or(end.rotation),
            );
            let mut joints_rad = self.joints_rad;
            for _ in 0..2 {
                joints_rad = self
                    .chain
                    .inverse_step(&target, &joints_rad, &FOLLOW)
                    .joints_rad;
            }
            self.step(joints_rad);
        }
        self.tool = end;
    }

    /// Moves the fingers to a width at the gripper's ordinary speed, and lets the grip build up.
    pub(super) fn grip(&mut self, width_m: f64) {
        let step = 0.15 * TICK_S;
        while (self.width_m - width_m).abs() > step {
            self.width_m += step * (width_m - self.width_m).signum();
            self.wait(1);
        }
        self.width_m = width_m;
        self.wait(150);
    }

    /// Yaw of the tool, rad.
    pub(super) fn yaw(&self) -> f64 {
        tool_yaw(&self.tool)
    }

    /// Where the drives were told to bring the joints.
    pub(super) fn joints_rad(&self) -> &JointVector {
        &self.joints_rad
    }
}

/// `yaw` modulo half a turn, nearest to `near`: a parallel gripper has no front.
pub(super) fn nearest_yaw(yaw: f64, near: f64) -> f64 {
    let half_turn = core::f64::consts::PI;
    yaw - half_turn * ((yaw - near) / half_turn).round()
}
