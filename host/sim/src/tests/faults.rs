//! Each kind of fault comes about, and does what it says.

use sinew_description::RobotDescription;

use super::grasp::{index_of, kit, position_of};
use super::hand::{Hand, nearest_yaw};
use crate::{Cell, CellConfig, Profiles};

fn cell_with(fault: &str, cycle: u64) -> Cell {
    let profiles = Profiles::from_toml(&format!("[always.{fault}"), "test.toml").expect("sound");
    let cell = Cell::new(&RobotDescription::builtin(), &CellConfig::builtin());
    let scene = cell.reset(31, cycle, profiles.get("always").expect("just made"));
    assert_eq!(scene.faults.len(), 1);
    cell
}

#[test]
fn a_cut_grip_drops_the_part_that_is_being_carried() {
    let cell = cell_with(
        "grip_cut]\nrate = 1.0\nheight = 0.12\nduration = [0.3, 0.3]",
        0,
    );
    let wrong = kit(&cell);
    let events = cell.fault_events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].kind, "grip-cut");
    let grade = cell.grade(&cell.order());
    assert_eq!(grade.placed() + 1, grade.lines.len(), "{wrong:#?}");
}

#[test]
fn a_nudge_moves_the_part_away_from_under_the_hand() {
    for cycle in 0..3 {
        let cell = cell_with(
            "nudge]\nrate = 1.0\ndistance = 0.10\nspeed = [0.4, 0.6]",
            cycle,
        );
        let mut hand = Hand::new(&cell);
        for line in cell.order() {
            let index = index_of(&cell, &line);
            let ([x, y, z], yaw) = position_of(&hand, index);
            let yaw = nearest_yaw(yaw, libm::atan2(y, x));
            hand.go([x, y, z + 0.16], yaw, 0.5);
            hand.go([x, y, z + 0.06], yaw, 0.3);
            hand.wait(300);
            let ([after_x, after_y, _], _) = position_of(&hand, index);
            let moved = libm::hypot(after_x - x, after_y - y);
            if !cell.fault_events().is_empty() {
                assert!((0.008..0.10).contains(&moved), "cycle {cycle}: {moved} m");
                break;
            }
            assert!(moved < 0.001, "moved by itself");
            hand.go([x, y, z + 0.16], yaw, 0.5);
        }
        assert_eq!(cell.fault_events().len(), 1, "cycle {cycle}");
    }
}

#[test]
fn a_missing_part_lies_on_the_search_shelf() {
    let cell = cell_with("missing_part]\nrate = 1.0", 2);
    let hand = Hand::new(&cell);
    let search = &cell.config().search;
    let on_shelf = cell
        .order()
        .iter()
        .filter(|line| {
            let ([x, y, _], _) = position_of(&hand, index_of(&cell, line));
            (x - search.center[0]).abs() < search.size[0] / 2.0
                && (y - search.center[1]).abs() < search.size[1] / 2.0
        })
        .count();
    assert_eq!(on_shelf, 1);
}
