//! The simulated robot as a [`HardwareComponent`]: time passes inside [`HardwareComponent::read`].

use sinew_hardware::{HardwareComponent, HardwareFault};
use sinew_messages::{JointVector, ObstacleFrame, SafetyInputs, SensorFrame, StopCategory};
use sinew_safety::SafeCommand;
use sinew_units::Tick;

use crate::cell::Cell;
use crate::drives::WATCHDOG_TICKS;

/// Code of a drive whose state is no number any more.
const FAULT_NON_FINITE: u32 = 1;

/// The robot of a [`Cell`]. Reading tick `t` simulates up to `t` with the last command.
#[derive(Clone)]
pub struct SimRobot {
    cell: Cell,
}

impl SimRobot {
    pub(crate) fn new(cell: Cell) -> Self {
        Self { cell }
    }
}

impl HardwareComponent for SimRobot {
    fn read(&mut self, tick: u64, out: &mut SensorFrame) -> Result<(), HardwareFault> {
        self.cell.with_world(|world| {
            if tick < world.tick() {
                return Err(HardwareFault::NoState {
                    missed_ticks: world.tick() - tick,
                });
            }
            world.advance(tick);
            let measured = world.physics.measured();
            let frame = SensorFrame {
                tick,
                time_ns: Tick(tick).as_ns(),
                position_rad: measured.position_rad,
                velocity_rad_s: measured.velocity_rad_s,
                effort_nm: measured.effort_nm,
                gripper_width_m: measured.width_m,
                gripper_velocity_m_s: measured.width_rate_m_s,
                gripper_force_n: world.physics.grip_force_n(),
                tool_force_n: world.physics.tool_force_n(),
                drive_status: world.drives.status(),
                safety_inputs: world.inputs(),
            };
            if world.drives.has_fault() || !frame.is_finite() {
                return Err(HardwareFault::Drive {
                    code: FAULT_NON_FINITE,
                });
            }
            *out = frame;
            Ok(())
        })
    }

    fn read_obstacles(&mut self, _: u64, out: &mut ObstacleFrame) {
        self.cell.with_world(|world| world.scan(out));
    }

    fn write(&mut self, command: SafeCommand) -> Result<(), HardwareFault> {
        self.cell.with_world(|world| {
            let now = world.tick();
            world
                .drives
                .feed(now, command.setpoint())
                .map_err(|reason| HardwareFault::NotTaken { reason })
        })
    }

    fn stop(&mut self, category: StopCategory) {
        self.cell.with_world(|world| {
            let now = world.tick();
            world.drives.stop(now, category);
        });
    }

    fn power_on(&mut self) -> Result<(), HardwareFault> {
        self.cell.with_world(|world| {
            // The emergency-stop chain is wired into the drives' supply.
            let chain = SafetyInputs::EMERGENCY_A_CLOSED | SafetyInputs::EMERGENCY_B_CLOSED;
            if world.inputs() & chain != chain {
                return Err(HardwareFault::NotTaken {
                    reason: "the emergency-stop chain is open",
                });
            }
            let now = world.tick();
            world
                .drives
                .power_on(now)
                .map_err(|reason| HardwareFault::NotTaken { reason })
        })
    }

    fn watchdog_ticks(&self) -> u64 {
        WATCHDOG_TICKS
    }

    fn mechanical_limits(&self) -> (JointVector, JointVector) {
        let robot = self.cell.robot_description();
        (
            robot.per_joint(|joint| joint.position_min_rad),
            robot.per_joint(|joint| joint.position_max_rad),
        )
    }
}
