//! Equal seeds and commands give equal bits.

use sinew_description::RobotDescription;
use sinew_hardware::{Camera, HardwareComponent};
use sinew_messages::SensorFrame;

use super::hand::Hand;
use crate::{Cell, CellConfig, Profile, Profiles};

fn new_cell() -> Cell {
    Cell::new(&RobotDescription::builtin(), &CellConfig::builtin())
}

/// A ride through the bin that bumps into things.
fn ride(cell: &Cell) -> u64 {
    let mut hand = Hand::new(cell);
    hand.go([0.45, -0.20, 0.08], 0.4, 0.5);
    hand.go([0.50, -0.28, 0.03], -0.2, 0.3);
    hand.grip(0.01);
    hand.go([0.45, 0.20, 0.20], 0.0, 0.5);
    cell.state_hash()
}

#[test]
fn two_cells_agree_bit_for_bit_and_a_reset_forgets_the_past() {
    let profiles = Profiles::builtin();
    let mild = profiles.get("mild").expect("shipped");
    let (one, other) = (new_cell(), new_cell());
    let scene = one.reset(17, 4, mild);
    assert_eq!(other.reset(17, 4, mild), scene);
    let hash = ride(&one);
    assert_eq!(hash, ride(&other));
    // Another cycle in between must leave no trace.
    one.reset(18, 0, mild);
    assert_ne!(ride(&one), hash);
    one.reset(17, 4, mild);
    assert_eq!(ride(&one), hash);
}

#[test]
fn cameras_expose_at_their_rate_and_number_what_they_lose() {
    let cell = new_cell();
    let text = "[lossy.dropped_frames]\nrate = 1.0\nstart = [0.2, 0.2]\nduration = [0.3, 0.3]";
    let profiles = Profiles::from_toml(text, "test.toml").expect("sound");
    cell.reset(1, 0, profiles.get("lossy").expect("just made"));
    let mut cameras = cell.cameras();
    let mut robot = cell.robot();
    let mut frame: SensorFrame = bytemuck::Zeroable::zeroed();
    let mut seen = Vec::new();
    for tick in 0..=1_000 {
        robot.read(tick, &mut frame).expect("a state");
        let after = seen.last().map_or(0, |(tick, _)| *tick);
        if let Some(exposure) = cameras[0].newest(after) {
            seen.push((exposure.tick(), exposure.sequence()));
        }
    }
    assert!(seen.len() >= 20 && seen.len() <= 22, "{} of 30", seen.len());
    let gap = seen.windows(2).map(|pair| pair[1].1 - pair[0].1).max();
    assert!(gap >= Some(9), "{gap:?}");
    assert_eq!(seen.last().map(|(_, sequence)| *sequence), Some(30));
    assert_eq!(cell.fault_events().len(), 1);
}

#[test]
fn a_scene_lies_still_and_without_overlap() {
    let cell = new_cell();
    for cycle in 0..6 {
        cell.reset(23, cycle, &Profile::calm());
        cell.with_world(|world| {
            world.tick();
            for index in 0..world.physics.loose().len() {
                let state = world.physics.loose_state(index).expect("an object");
                let up = state.pose.rotation * nalgebra::Vector3::z();
                let class = &world.physics.loose()[index].class;
                assert!(state.speed_m_s < 0.01, "{class}");
                let is_round = class == "sphere" || class == "capsule";
                assert!(up.z > 0.999 || is_round, "{class} tilted");
                let bottom = state.pose.translation.z - state.half_height_m;
                assert!((-0.001..0.006).contains(&bottom), "{class} at {bottom}");
            }
        });
    }
}
