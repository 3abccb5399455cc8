//! Power, watchdog and brakes.

use sinew_description::RobotDescription;
use sinew_hardware::{HardwareComponent, HardwareFault};
use sinew_messages::{DriveStatus, SafetyInputs, SensorFrame, StopCategory};

use super::hand::Hand;
use crate::{Cell, CellConfig, Profile};

fn frame() -> SensorFrame {
    bytemuck::Zeroable::zeroed()
}

fn cell() -> Cell {
    let cell = Cell::new(&RobotDescription::builtin(), &CellConfig::builtin());
    cell.reset(1, 0, &Profile::calm());
    cell
}

/// Lets the joints move, then reads on without commanding; returns the last frame.
fn cease(cell: &Cell, stop: impl FnOnce(&mut crate::SimRobot)) -> (SensorFrame, SensorFrame) {
    let mut hand = Hand::new(cell);
    hand.go([0.45, 0.0, 0.35], 0.0, 0.6);
    let mut robot = cell.robot();
    let mut moving = frame();
    robot.read(hand.tick, &mut moving).expect("a state");
    stop(&mut robot);
    let mut at_rest = frame();
    for tick in hand.tick + 1..=hand.tick + 400 {
        robot.read(tick, &mut at_rest).expect("a state");
    }
    (moving, at_rest)
}

#[test]
fn without_commands_the_watchdog_brakes() {
    let (_, at_rest) = cease(&cell(), |_| {});
    assert_ne!(at_rest.drive_status & DriveStatus::WATCHDOG_TRIPPED, 0);
    assert!(at_rest.velocity_rad_s.iter().all(|v| v.abs() < 1e-3));
}

#[test]
fn power_off_brakes_and_holds() {
    let cell = cell();
    let (moving, at_rest) = cease(&cell, |robot| robot.stop(StopCategory::PowerOff));
    assert_eq!(at_rest.drive_status & DriveStatus::POWERED, 0);
    for (before, after) in moving.position_rad.iter().zip(&at_rest.position_rad) {
        assert!((before - after).abs() < 0.05, "{before} {after}");
    }
}

#[test]
fn power_needs_a_closed_chain_and_causes_no_motion() {
    let cell = cell();
    let mut robot = cell.robot();
    let mut before = frame();
    robot.read(100, &mut before).expect("a state");
    assert_eq!(before.drive_status, 0, "boots without power");
    cell.set_safety_inputs(SafetyInputs::EMERGENCY_A_CLOSED | SafetyInputs::PROTECTIVE_CLOSED);
    assert!(matches!(
        robot.power_on(),
        Err(HardwareFault::NotTaken { .. })
    ));
    cell.set_safety_inputs(SafetyInputs::ALL_CLOSED);
    robot.power_on().expect("the chain is closed");
    let mut after = frame();
    robot.read(105, &mut after).expect("a state");
    assert_eq!(after.drive_status, DriveStatus::POWERED);
    for (a, b) in before.position_rad.iter().zip(&after.position_rad) {
        assert!((a - b).abs() < 1e-4);
    }
    assert!(matches!(
        robot.read(50, &mut after),
        Err(HardwareFault::NoState { missed_ticks: 55 })
    ));
}
