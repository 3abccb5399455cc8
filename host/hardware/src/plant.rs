//! A kinematic robot for tests: it goes where it is told, one tick later, and has a drive watchdog.
//!
//! No masses, no friction: what it is for is the loop's and the driver contract's own behaviour. It has two
//! things to touch, a floor that pushes back like a spring and a part between the fingers, and
//! switches to make it fail. The simulated cell is the realistic robot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nalgebra::{Translation3, UnitQuaternion, Vector3};
use sinew_kinematics::{Chain, ChainError, HAND, Isometry, Joint, LinkCapsule, Point};
use sinew_messages::{
    DriveStatus, JOINTS, JointVector, SafetyInputs, SensorFrame, Setpoint, StopCategory,
};
use sinew_safety::{
    ForceReaction, LimitsError, ModeLimits, SafeCommand, SafetyConfig, SafetyLimits,
};
use sinew_units::{TICK_NS, TICK_S};

use crate::{HardwareComponent, HardwareFault};

/// Ticks without a command after which the plant's drives stop it.
pub const WATCHDOG_TICKS: u64 = 20;
/// Deceleration of the drives' own stop, rad/s².
const DRIVE_STOP_RAD_S2: f64 = 25.0;
/// Stiffness of floor and fingers, N/m.
const STIFFNESS_N_M: f64 = 4_000.0;

/// Joint positions at which the plant starts: tool down, in front of the base.
pub const HOME: JointVector = [0.0, 0.3, 0.0, 1.8, 0.0, 1.0, 0.0];

/// The plant's chain: seven joints in the S-R-S order, 0.85 m of reach, a capsule around
/// the hand.
///
/// # Errors
/// None in practice: the numbers are constant and checked by this crate's tests.
pub fn chain() -> Result<Chain, ChainError> {
    let quarter = core::f64::consts::FRAC_PI_2;
    let place = |y: f64, z: f64, roll: f64| {
        Isometry::from_parts(
            Translation3::new(0.0, y, z),
            UnitQuaternion::from_axis_angle(&Vector3::x_axis(), roll),
        )
    };
    let joints = [
        (place(0.0, 0.2, 0.0), -2.9, 2.9),
        (place(0.0, 0.16, -quarter), -1.9, 1.9),
        (place(-0.2, 0.0, quarter), -2.9, 2.9),
        (place(0.0, 0.15, -quarter), 0.05, 2.7),
        (place(-0.25, 0.0, quarter), -2.9, 2.9),
        (place(0.0, 0.25, -quarter), -0.3, 2.3),
        (place(-0.05, 0.0, quarter), -2.9, 2.9),
    ]
    .map(|(origin, lower_rad, upper_rad)| Joint {
        origin,
        lower_rad,
        upper_rad,
    });
    let hand = Isometry::translation(0.0, 0.0, 0.05);
    Chain::new(
        joints,
        hand,
        Isometry::translation(0.0, 0.0, 0.12),
        &[LinkCapsule {
            link: HAND,
            a: Point::new(0.0, 0.0, 0.0),
            b: Point::new(0.0, 0.0, 0.1),
            radius_m: 0.03,
        }],
        HOME,
    )
}

/// Safety limits for the plant: generous, so that what a test asks for is what limits a motion.
///
/// # Errors
/// None in practice: the numbers are constant and checked by this crate's tests.
pub fn safety_limits() -> Result<SafetyLimits, LimitsError> {
    SafetyLimits::new(safety_config())
}

/// The plain values behind [`safety_limits`], for tests that need one of them tighter.
#[must_use]
pub fn safety_config() -> SafetyConfig {
    SafetyConfig {
        position_min_rad: [-2.9, -1.9, -2.9, 0.05, -2.9, -0.3, -2.9],
        position_max_rad: [2.9, 1.9, 2.9, 2.7, 2.9, 2.3, 2.9],
        velocity_max_rad_s: [3.0; JOINTS],
        acceleration_max_rad_s2: [20.0; JOINTS],
        jerk_max_rad_s3: [2_000.0; JOINTS],
        stop_acceleration_rad_s2: [20.0; JOINTS],
        stop_jerk_rad_s3: [1_000.0; JOINTS],
        reaction_ticks: 2,
        tool_speed_max_m_s: 1.5,
        elbow_speed_max_m_s: 1.5,
        reduced: ModeLimits {
            speed_max_m_s: 0.25,
            joint_speed_share: 0.5,
        },
        recovery: ModeLimits {
            speed_max_m_s: 0.1,
            joint_speed_share: 0.2,
        },
        cone: None,
        self_collision: None,
        effort: None,
        separation: None,
        envelope_min_m: [-2.0, -2.0, -1.0],
        envelope_max_m: [2.0, 2.0, 2.0],
        zones: Vec::new(),
        gripper_width_min_m: 0.0,
        gripper_width_max_m: 0.08,
        gripper_force_max_n: 60.0,
        tracking_margin_m: 0.02,
        following_error_max_rad: [0.1; JOINTS],
        following_error_ticks: 50,
        force_stop_n: 120.0,
        force_reaction: ForceReaction::Hold,
        contact: None,
        grip: None,
        singularity: None,
        heartbeat_ticks: 200,
        standstill_rad_s: 0.05,
    }
}

/// Joint velocity (rad/s), acceleration (rad/s²) and jerk (rad/s³) limits for motions of the plant.
pub const MOTION: (f64, f64, f64) = (2.0, 10.0, 200.0);

/// What a test may set while the loop runs.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Height of a floor that pushes the tool back, m.
    pub floor_z_m: f64,
    /// Width of a part between the fingers, m; 0 for none.
    pub part_width_m: f64,
    /// The wired safety inputs, [`SafetyInputs`] bits.
    pub safety_inputs: u32,
    /// Reading fails while true.
    pub blind: bool,
    /// Writing fails while true.
    pub deaf: bool,
    /// Share of the way to the setpoint that a tick covers: 1 follows at once, 0 is jammed.
    pub follows: f64,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            floor_z_m: -10.0,
            part_width_m: 0.0,
            safety_inputs: SafetyInputs::ALL_CLOSED,
            blind: false,
            deaf: false,
            follows: 1.0,
        }
    }
}

/// A test's hand on the plant's [`Surroundings`].
#[derive(Clone, Debug, Default)]
pub struct Bench(Arc<Mutex<Surroundings>>);

impl Bench {
    /// Changes something, from the next tick on.
    pub fn set(&self, change: impl FnOnce(&mut Surroundings)) {
        change(&mut self.get());
    }

    fn get(&self) -> MutexGuard<'_, Surroundings> {
        // A panicking test leaves plain data behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kinematic robot.
#[derive(Debug)]
pub struct Plant {
    chain: Chain,
    bench: Bench,
    tick: u64,
    position: JointVector,
    velocity: JointVector,
    width_m: f64,
    width_velocity_m_s: f64,
    grip_n: f64,
    powered: bool,
    tripped: bool,
    command: Option<Setpoint>,
    command_tick: u64,
    missed_ticks: u64,
}

impl Plant {
    /// A plant at [`HOME`], without power, gripper open; and the hand on its surroundings.
    #[must_use]
    pub fn new(chain: Chain) -> (Self, Bench) {
        let bench = Bench::default();
        let plant = Self {
            chain,
            bench: bench.clone(),
            tick: 0,
            position: HOME,
            velocity: [0.0; JOINTS],
            width_m: 0.08,
            width_velocity_m_s: 0.0,
            grip_n: 0.0,
            powered: false,
            tripped: false,
            command: None,
            command_tick: 0,
            missed_ticks: 0,
        };
        (plant, bench)
    }

    fn step(&mut self, world: &Surroundings) {
        self.tick += 1;
        if self.powered && self.tick.saturating_sub(self.command_tick) > WATCHDOG_TICKS {
            self.tripped = true;
        }
        let joints = self.position.iter_mut().zip(&mut self.velocity);
        match (self.powered && !self.tripped, self.command) {
            (true, Some(command)) => {
                for ((position, velocity), target) in joints.zip(&command.position_rad) {
                    let way = world.follows * (target - *position);
                    *position += way;
                    *velocity = way / TICK_S;
                }
                self.close_to(&command, world);
            }
            // Drives without a command, or brakes without power.
            _ => {
                for (position, velocity) in joints {
                    let slower = (velocity.abs() - DRIVE_STOP_RAD_S2 * TICK_S).max(0.0);
                    *velocity = slower.copysign(*velocity);
                    *position += *velocity * TICK_S;
                }
                self.width_velocity_m_s = 0.0;
            }
        }
    }

    fn close_to(&mut self, command: &Setpoint, world: &Surroundings) {
        let before = self.width_m;
        self.width_m = command.gripper_width_m.max(world.part_width_m);
        self.width_velocity_m_s = (self.width_m - before) / TICK_S;
        let squeeze_m = world.part_width_m - command.gripper_width_m;
        self.grip_n = if world.part_width_m > 0.0 && squeeze_m > 0.0 {
            (STIFFNESS_N_M * squeeze_m).min(command.gripper_force_n)
        } else {
            0.0
        };
    }
}

impl HardwareComponent for Plant {
    fn read(&mut self, tick: u64, out: &mut SensorFrame) -> Result<(), HardwareFault> {
        let world = self.bench.get().clone();
        while self.tick < tick {
            self.step(&world);
        }
        if world.blind {
            self.missed_ticks += 1;
            return Err(HardwareFault::NoState {
                missed_ticks: self.missed_ticks,
            });
        }
        self.missed_ticks = 0;
        let tool_z = self.chain.forward(&self.position).tool.translation.z;
        let push_n = STIFFNESS_N_M * (world.floor_z_m - tool_z).max(0.0);
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        *out = SensorFrame {
            tick,
            time_ns: tick * TICK_NS,
            position_rad: self.position,
            velocity_rad_s: self.velocity,
            effort_nm: [0.0; JOINTS],
            gripper_width_m: self.width_m,
            gripper_velocity_m_s: self.width_velocity_m_s,
            gripper_force_n: self.grip_n,
            tool_force_n: [0.0, 0.0, push_n],
            drive_status: bit(self.powered, DriveStatus::POWERED)
                | bit(self.tripped, DriveStatus::WATCHDOG_TRIPPED),
            safety_inputs: world.safety_inputs,
        };
        Ok(())
    }

    fn write(&mut self, command: SafeCommand) -> Result<(), HardwareFault> {
        if self.bench.get().deaf {
            return Err(HardwareFault::NotTaken {
                reason: "the link is cut",
            });
        }
        if !self.powered {
            return Err(HardwareFault::NotTaken {
                reason: "the drives are off",
            });
        }
        self.command = Some(*command.setpoint());
        self.command_tick = self.tick;
        Ok(())
    }

    fn stop(&mut self, category: StopCategory) {
        if category != StopCategory::ControlledHold {
            self.powered = false;
            self.command = None;
        }
    }

    fn power_on(&mut self) -> Result<(), HardwareFault> {
        self.powered = true;
        self.tripped = false;
        self.command = None;
        self.command_tick = self.tick;
        self.velocity = [0.0; JOINTS];
        Ok(())
    }

    fn watchdog_ticks(&self) -> u64 {
        WATCHDOG_TICKS
    }

    fn mechanical_limits(&self) -> (JointVector, JointVector) {
        self.chain.limits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Fixture};
    use sinew_safety::Gate;

    fn fresh() -> Fixture {
        let chain = chain().expect("the plant's numbers are valid");
        let limits = safety_limits().expect("the plant's limits are valid");
        Fixture {
            driver: Box::new(Plant::new(chain.clone()).0),
            gate: Gate::new(limits, chain),
        }
    }

    #[test]
    fn the_plant_conforms() {
        let findings = conformance::run(&mut fresh);
        assert!(findings.is_empty(), "{findings:#?}");
    }

    /// A suite that finds nothing wrong with anything is worth nothing: break the plant in one way at a time.
    struct Broken {
        plant: Plant,
        fault: Fault,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        TickStandsStill,
        NoWatchdog,
        MovesOnPowerOn,
        StaysPowered,
        Deaf,
        NotANumber,
        SwappedJoints,
        StopsPoweringDown,
        GripperStuck,
    }

    impl HardwareComponent for Broken {
        fn read(&mut self, tick: u64, out: &mut SensorFrame) -> Result<(), HardwareFault> {
            self.plant.read(tick, out)?;
            match self.fault {
                Fault::TickStandsStill => out.tick = 7,
                Fault::NotANumber => out.effort_nm[3] = f64::NAN,
                Fault::SwappedJoints => out.position_rad.swap(0, 1),
                Fault::GripperStuck => out.gripper_width_m = 0.08,
                Fault::MovesOnPowerOn if self.plant.powered => out.position_rad[2] += 0.03,
                _ => {}
            }
            Ok(())
        }
        fn write(&mut self, command: SafeCommand) -> Result<(), HardwareFault> {
            if self.fault == Fault::Deaf {
                return Ok(());
            }
            self.plant.write(command)
        }
        fn stop(&mut self, category: StopCategory) {
            match self.fault {
                Fault::StaysPowered => {}
                Fault::StopsPoweringDown => self.plant.stop(StopCategory::PowerOff),
                _ => self.plant.stop(category),
            }
        }
        fn power_on(&mut self) -> Result<(), HardwareFault> {
            self.plant.power_on()
        }
        fn watchdog_ticks(&self) -> u64 {
            if self.fault == Fault::NoWatchdog {
                return 5;
            }
            WATCHDOG_TICKS
        }
        fn mechanical_limits(&self) -> (JointVector, JointVector) {
            self.plant.mechanical_limits()
        }
    }

    #[test]
    fn the_suite_finds_each_fault() {
        for fault in [
            Fault::TickStandsStill,
            Fault::NoWatchdog,
            Fault::MovesOnPowerOn,
            Fault::StaysPowered,
            Fault::Deaf,
            Fault::NotANumber,
            Fault::SwappedJoints,
            Fault::StopsPoweringDown,
            Fault::GripperStuck,
        ] {
            let findings = conformance::run(&mut || {
                let chain = chain().expect("the plant's numbers are valid");
                let limits = safety_limits().expect("the plant's limits are valid");
                Fixture {
                    driver: Box::new(Broken {
                        plant: Plant::new(chain.clone()).0,
                        fault,
                    }),
                    gate: Gate::new(limits, chain),
                }
            });
            assert!(!findings.is_empty(), "{fault:?} went unnoticed");
        }
    }
}
