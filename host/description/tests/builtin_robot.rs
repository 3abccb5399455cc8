//! The built-in robot can do the work of the cell, and a broken description is refused with its line.

use std::f64::consts::FRAC_PI_8;

use sinew_description::{DescriptionError, RobotDescription};
use sinew_kinematics::{StepOptions, tool_down};

const TEXT: &str = include_str!("../robots/sinew-arm-7.toml");

/// Tool straight down over bin and tray, from the table to 0.35 m, every yaw within ± 90° of the natural one.
#[test]
fn tool_down_is_reachable_everywhere_with_room_to_the_limits() {
    let chain = RobotDescription::builtin().chain();
    for x in [0.30, 0.40, 0.50, 0.60, 0.65] {
        for y in [-0.45, -0.30, -0.15, 0.0, 0.15, 0.30, 0.45_f64] {
            for z in [0.01, 0.12, 0.24, 0.35] {
                for turn in -4..=4 {
                    let yaw = libm::atan2(y, x) + f64::from(turn) * FRAC_PI_8;
                    let place = format!("({x}, {y}, {z}) yaw {yaw:.2}");
                    let q = chain
                        .inverse(&tool_down([x, y, z], yaw), chain.rest())
                        .unwrap_or_else(|error| panic!("{place}: {error}"));
                    assert!(chain.manipulability(&q) > 0.02, "singular at {place}");
                    for (q, joint) in q.iter().zip(chain.joints()) {
                        assert!(
                            q - joint.lower_rad > 0.05 && joint.upper_rad - q > 0.05,
                            "at a limit at {place}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn side_shelf_is_reachable() {
    let chain = RobotDescription::builtin().chain();
    for x in [-0.02, 0.04, 0.10] {
        for y in [0.42, 0.48, 0.54_f64] {
            for z in [0.012, 0.15, 0.30] {
                for turn in -4..=4 {
                    let yaw = libm::atan2(y, x) + f64::from(turn) * FRAC_PI_8;
                    let found = chain.inverse(&tool_down([x, y, z], yaw), chain.rest());
                    assert!(found.is_ok(), "({x}, {y}, {z}) yaw {yaw:.2}");
                }
            }
        }
    }
}

/// Straight lines from anywhere in the bin to anywhere in the tray: followed step by step, no limit touched.
#[test]
fn lines_from_bin_to_tray_stay_clear_of_the_limits() {
    let chain = RobotDescription::builtin().chain();
    let options = StepOptions {
        damping: 1e-6,
        posture_gain: 0.02,
        step_max_rad: 0.1,
    };
    for from in [[0.34, -0.37], [0.6, -0.37], [0.34, -0.1], [0.6, -0.1]] {
        for to in [[0.42, 0.15], [0.52, 0.35], [0.42, 0.35]] {
            for turn in [-1.4, 0.0, 1.4] {
                let mut q = chain
                    .inverse(&tool_down([from[0], from[1], 0.2], turn), chain.rest())
                    .expect("above the bin");
                for step in 0..=500 {
                    let share = f64::from(step) / 500.0;
                    let x = from[0] + share * (to[0] - from[0]);
                    let y = from[1] + share * (to[1] - from[1]);
                    let outcome = chain.inverse_step(&tool_down([x, y, 0.2], turn), &q, &options);
                    assert!(outcome.position_error_m < 3e-3, "{from:?} to {to:?}");
                    q = outcome.joints_rad;
                    for (q, joint) in q.iter().zip(chain.joints()) {
                        assert!(q - joint.lower_rad > 0.05 && joint.upper_rad - q > 0.05);
                    }
                }
            }
        }
    }
}

#[test]
fn named_poses_look_straight_down_at_their_places() {
    let robot = RobotDescription::builtin();
    let chain = robot.chain();
    for (name, x, y, z) in [
        ("home", 0.40, 0.0, 0.32),
        ("look-bin", 0.47, -0.24, 0.30),
        ("look-tray", 0.47, 0.25, 0.30),
        ("look-search", 0.04, 0.48, 0.30),
    ] {
        let forward = chain.forward(robot.pose(name).expect("a pose of the file"));
        let target = tool_down([x, y, z], libm::atan2(y, x));
        let off = forward.tool.translation.vector - target.translation.vector;
        assert!(off.norm() < 1e-3, "{name} is {off:?} away");
        assert!(forward.tool.rotation.angle_to(&target.rotation) < 1e-3);
        // The view's centre, followed down to the table, lies below the tool.
        let camera = forward.hand * robot.wrist_camera;
        let ray = camera.rotation * nalgebra::Vector3::z();
        let eye = camera.translation.vector;
        assert!((0.35..0.45).contains(&eye.z), "{name}: camera at {}", eye.z);
        let seen = eye - ray * (eye.z / ray.z);
        assert!(
            (seen - nalgebra::Vector3::new(x, y, 0.0)).norm() < 0.02,
            "{name}"
        );
    }
}

/// Replaces `from` by `to` in the built-in file and returns the refusal.
fn refusal(from: &str, to: &str) -> DescriptionError {
    assert!(TEXT.contains(from));
    RobotDescription::from_toml_str(&TEXT.replacen(from, to, 1), "broken.toml")
        .expect_err("a broken file")
}

#[test]
fn a_broken_file_is_refused_with_line_key_and_what_is_allowed() {
    for (from, to, line_has, words) in [
        (
            "mass_kg = 3.6",
            "mass_kg = -1",
            "mass_kg",
            ["joint[0].mass_kg", "above 0"],
        ),
        (
            "mass_kg = 3.6",
            "mass_kg = nan",
            "mass_kg",
            ["joint[0].mass_kg", "NaN"],
        ),
        (
            "position_min_rad = -2.90",
            "position_min_rad = 2.95",
            "position_max_rad",
            ["joint[0].position_max_rad", "above position_min_rad"],
        ),
        (
            "mass_kg = 3.6",
            "weight_kg = 3.6",
            "weight_kg",
            ["weight_kg", "unknown field"],
        ),
        (
            "inertia_kg_m2 = [0.026, 0.026, 0.012]",
            "inertia_kg_m2 = [0.026, 0.26, 0.012]",
            "inertia_kg_m2",
            ["joint[0].inertia_kg_m2", "sum of the other two"],
        ),
        (
            "joints_rad = [0.0, -0.2099,",
            "joints_rad = [0.0, -2.2099,",
            "joints_rad",
            ["pose.home.joints_rad", "shoulder-pitch"],
        ),
        (
            "width_max_m = 0.080",
            "width_max_m = 0.0",
            "width_max_m",
            ["gripper", "above"],
        ),
    ] {
        let error = refusal(from, to);
        let message = error.to_string();
        let line = match error {
            DescriptionError::Syntax { line, .. } | DescriptionError::Value { line, .. } => line,
            DescriptionError::Chain { .. } => panic!("{message}"),
        };
        let broken = TEXT.replacen(from, to, 1);
        let named = broken.lines().nth(line - 1).expect("a line of the file");
        assert!(named.contains(line_has), "{message}\n  names line: {named}");
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    // Only the poses, at the end, are optional.
    let last = "origin_rpy_rad = [-0.21, 0.0, 1.5707963267948966]";
    let needed = TEXT.find(last).expect("the wrist camera") + last.len();
    for cut in 0..needed {
        let refused = RobotDescription::from_toml_str(&TEXT[..cut], "cut.toml");
        assert!(refused.is_err(), "cut at byte {cut}");
    }
}

#[test]
fn a_robot_with_another_number_of_joints_is_refused() {
    let start = TEXT.find("[[joint]]").expect("a joint");
    let second = start + 1 + TEXT[start + 1..].find("[[joint]]").expect("another");
    let six = format!("{}{}", &TEXT[..start], &TEXT[second..]);
    let message = RobotDescription::from_toml_str(&six, "six.toml")
        .expect_err("six joints")
        .to_string();
    assert!(
        message.contains("6 joints") && message.contains("exactly 7"),
        "{message}"
    );
}
