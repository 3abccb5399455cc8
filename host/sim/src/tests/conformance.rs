//! The simulated robot is a driver like any other.

use sinew_description::{RobotDescription, SafetyFile};
use sinew_hardware::conformance::{self, Fixture};
use sinew_safety::Gate;

use crate::{Cell, CellConfig};

#[test]
fn the_simulated_robot_conforms() {
    let robot = RobotDescription::builtin();
    let cell = Cell::new(&robot, &CellConfig::builtin());
    let limits = SafetyFile::builtin()
        .limits(&robot)
        .expect("the shipped files agree");
    let findings = conformance::run(&mut || {
        cell.reset(2, 0, &crate::Profile::calm());
        Fixture {
            driver: Box::new(cell.robot()),
            gate: Gate::new(limits.clone(), robot.chain()),
        }
    });
    assert!(findings.is_empty(), "{findings:#?}");
}
