//! Friction alone holds the parts.

use core::f64::consts::FRAC_PI_2;

use sinew_description::RobotDescription;
use sinew_messages::JOINTS;

use super::hand::{Hand, nearest_yaw};
use crate::{Cell, CellConfig, OrderLine, Profile};

/// Cycles that the test kits, unless [`CYCLES_VARIABLE`] asks for a longer campaign.
const CYCLES: u64 = 4;
const CYCLES_VARIABLE: &str = "SINEW_SIM_GRASP_CYCLES";
/// Height of the tool over the part's middle while travelling.
const TRAVEL_M: f64 = 0.16;
/// Slowest and ordinary speed, m/s.
const SLOW_M_S: f64 = 0.12;
const FAST_M_S: f64 = 0.5;

pub(super) fn position_of(hand: &Hand, index: usize) -> ([f64; 3], f64) {
    hand.cell.with_world(|world| {
        let pose = world.physics.loose_state(index).expect("an object").pose;
        let x = pose.rotation * nalgebra::Vector3::x();
        (pose.translation.vector.into(), libm::atan2(x.y, x.x))
    })
}

/// The loose object that an order line asks for.
pub(super) fn index_of(cell: &Cell, line: &OrderLine) -> usize {
    cell.with_world(|world| {
        world
            .physics
            .loose()
            .iter()
            .position(|object| object.class == line.class && object.color == line.color)
            .expect("every ordered part is somewhere in the cell")
    })
}

/// Kits the whole order by truth; returns what went wrong, by line.
pub(super) fn kit(cell: &Cell) -> Vec<String> {
    let mut hand = Hand::new(cell);
    let mut wrong = Vec::new();
    let order = cell.order();
    for line in &order {
        let index = index_of(cell, line);
        let ([x, y, z], yaw) = position_of(&hand, index);
        let natural = libm::atan2(y, x);
        let yaw = nearest_yaw(yaw, natural);
        hand.go([x, y, z + TRAVEL_M], yaw, FAST_M_S);
        hand.go([x, y, z], yaw, 0.25);
        hand.grip(0.0);
        hand.go([x, y, z + TRAVEL_M], yaw, 0.25);
        let ([_, _, lifted], _) = position_of(&hand, index);
        if lifted < 0.10 {
            wrong.push(format!("{line:?}: not lifted"));
        }
        let pocket = cell
            .places()
            .into_iter()
            .find(|place| place.name == line.slot)
            .expect("a known pocket");
        let [px, py, pz] = pocket.pose.position_m;
        let yaw = nearest_yaw(0.0, libm::atan2(py, px));
        hand.go([px, py, z + TRAVEL_M], yaw, FAST_M_S);
        hand.go([px, py, z - 0.002 + pz + 0.001], yaw, 0.2);
        hand.grip(0.080);
        hand.go([px, py, z + TRAVEL_M], yaw, SLOW_M_S.max(0.25));
    }
    hand.wait(300);
    for graded in cell.grade(&order).lines {
        if !graded.placed {
            wrong.push(format!("{graded:?}"));
        }
    }
    wrong
}

#[test]
fn every_class_is_lifted_and_placed_by_friction() {
    let cell = Cell::new(&RobotDescription::builtin(), &CellConfig::builtin());
    let mut wrong = Vec::new();
    let mut lines = 0;
    let cycles = std::env::var(CYCLES_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CYCLES);
    for cycle in 0..cycles {
        lines += cell.reset(41, cycle, &Profile::calm()).order.len();
        wrong.extend(
            kit(&cell)
                .into_iter()
                .map(|what| format!("cycle {cycle}: {what}")),
        );
    }
    assert!(
        wrong.is_empty(),
        "{} of {lines} lines: {wrong:#?}",
        wrong.len()
    );
}

#[test]
fn a_grip_is_felt_and_a_press_on_the_table_too() {
    let cell = Cell::new(&RobotDescription::builtin(), &CellConfig::builtin());
    cell.reset(3, 0, &Profile::calm());
    let mut hand = Hand::new(&cell);
    let line = cell.order()[0].clone();
    let index = index_of(&cell, &line);
    let ([x, y, z], yaw) = position_of(&hand, index);
    let yaw = nearest_yaw(yaw, libm::atan2(y, x));
    hand.go([x, y, z + TRAVEL_M], yaw, FAST_M_S);
    hand.go([x, y, z], yaw, 0.25);
    hand.grip(0.0);
    hand.go([x, y, z + TRAVEL_M], yaw, 0.25);
    let (grip, width) = cell.with_world(|world| {
        (
            world.physics.grip_force_n(),
            world.physics.measured().width_m,
        )
    });
    assert!((grip - hand.force_n).abs() < 0.2 * hand.force_n, "{grip} N");
    assert!(width > 0.025 && width < 0.040, "{width} m");
    // The empty corner of the table: press down with the drives' whole stiffness behind 4 mm.
    let yaw = nearest_yaw(FRAC_PI_2, hand.yaw());
    hand.go([0.30, 0.0, 0.10], yaw, FAST_M_S);
    hand.grip(0.080);
    hand.wait(500);
    hand.go([0.20, 0.30, 0.10], yaw, FAST_M_S);
    let before = cell.with_world(|world| world.physics.tool_force_n()[2]);
    hand.go([0.20, 0.30, 0.001], yaw, 0.1);
    hand.wait(200);
    let pressed = cell.with_world(|world| world.physics.tool_force_n()[2]);
    assert!(before.abs() < 1.0, "{before} N in the air");
    assert!(pressed > 5.0 && pressed < 300.0, "{pressed} N on the table");
}

#[test]
fn drives_follow_their_setpoints() {
    let cell = Cell::new(&RobotDescription::builtin(), &CellConfig::builtin());
    cell.reset(3, 1, &Profile::calm());
    let mut hand = Hand::new(&cell);
    hand.go([0.45, 0.2, 0.2], 0.3, 0.4);
    // The drives are overdamped: what lagged while accelerating decays with damping / stiffness, 0.1 s.
    hand.wait(600);
    let measured = cell.with_world(|world| *world.physics.measured());
    for i in 0..JOINTS {
        let error = (measured.position_rad[i] - hand.joints_rad()[i]).abs();
        assert!(error < 1e-3, "joint {i}: {error} rad");
        assert!(measured.velocity_rad_s[i].abs() < 5e-3);
    }
}
