//! The safety file that comes with Sinew fits its robot; broken ones are refused with their line.

use sinew_description::{DescriptionError, RobotDescription, SafetyFile};

const TEXT: &str = include_str!("../robots/cell-safety.toml");

#[test]
fn builtin_limits_fit_the_builtin_robot() {
    let robot = RobotDescription::builtin();
    let limits = SafetyFile::builtin()
        .limits(&robot)
        .expect("the built-in pair");
    let config = limits.config();
    for (i, joint) in robot.joints.iter().enumerate() {
        // Motions plan inside of what the gate lets through.
        assert!(joint.velocity_max_rad_s < config.velocity_max_rad_s[i]);
        assert!(joint.acceleration_max_rad_s2 < config.acceleration_max_rad_s2[i]);
        assert!(joint.jerk_max_rad_s3 < config.jerk_max_rad_s3[i]);
    }
    for pose in &robot.poses {
        for (i, q) in pose.joints_rad.iter().enumerate() {
            let margin = config.following_error_max_rad[i];
            assert!(*q > config.position_min_rad[i] + margin, "{}", pose.name);
            assert!(*q < config.position_max_rad[i] - margin, "{}", pose.name);
        }
    }
}

#[test]
fn a_broken_file_is_refused_with_line_key_and_what_is_allowed() {
    for (from, to, line_has, words) in [
        (
            "speed_max_m_s = 1.2",
            "speed_max_m_s = -1.2",
            "speed_max_m_s",
            ["tool.speed_max_m_s", "0.001 to 100"],
        ),
        (
            "speed_max_m_s = 1.2",
            "speed_max_mm_s = 1200.0",
            "speed_max_mm_s",
            ["unknown field", "speed_max_m_s"],
        ),
        (
            "max_m = [1.10, 1.00, 1.35]",
            "max_m = [1.10, -2.00, 1.35]",
            "max_m",
            ["envelope.max_m", "above envelope.min_m"],
        ),
        (
            "acceleration_rad_s2 = [16.0",
            "acceleration_rad_s2 = [1.0",
            "acceleration_rad_s2",
            ["stop.acceleration_rad_s2", "joint 1"],
        ),
        (
            "acceleration_rad_s2 = [16.0",
            "acceleration_rad_s2 = [1e-300",
            "acceleration_rad_s2",
            ["stop.acceleration_rad_s2", "0.01 to 10000"],
        ),
        (
            "jerk_rad_s3 = [2000.0",
            "jerk_rad_s3 = [0.1",
            "acceleration_rad_s2",
            ["too weak for joint 1", "raise"],
        ),
        (
            "velocity_max_rad_s = [2.4",
            "velocity_max_rad_s = [1e300",
            "velocity_max_rad_s",
            ["joints.velocity_max_rad_s", "0.001 to 100"],
        ),
        (
            "offset_m = -1.0",
            "offset_m = 1e300",
            "offset_m",
            ["zone[2].half_space.offset_m", "-1000 to 1000"],
        ),
        (
            "normal = [-1.0, 0.0, 0.0]",
            "normal = [-1.0, 1.0, 0.0]",
            "normal",
            ["zone[2].half_space.normal", "length 1"],
        ),
        (
            "half_space = {",
            "half_plane = {",
            "half_plane",
            ["unknown field", "half_space"],
        ),
        (
            "reaction = \"hold\"",
            "reaction = \"panic\"",
            "reaction",
            ["unknown variant", "latch"],
        ),
        (
            "following_error_ms = 50",
            "following_error_ms = 5000000",
            "following_error_ms",
            ["tracking.following_error_ms", "60000"],
        ),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let broken = TEXT.replacen(from, to, 1);
        let error = SafetyFile::from_toml_str(&broken, "broken.toml").expect_err(to);
        let message = error.to_string();
        let (DescriptionError::Syntax { line, .. } | DescriptionError::Value { line, .. }) = error
        else {
            panic!("{message}");
        };
        let named = broken.lines().nth(line - 1).expect("a line of the file");
        assert!(named.contains(line_has), "{message}\n  names line: {named}");
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
    }
}

/// Whoever is asked to approve a file is shown its names: they say nothing but themselves.
#[test]
fn a_name_that_would_show_something_else_is_refused_with_its_line() {
    let region = "[[contact.region]]\nname = \"face\\u200b\"\nforce_max_n = 65.0\ntransient_factor = 1.0\nstiffness_n_m = \
                  75000.0\nmass_kg = 4.4\n\n[grip]";
    let long = format!("name = \"{}\"", "x".repeat(1_100_000));
    for (from, to, key, words) in [
        ("name = \"cell\"", &*long, "name", "1100000 characters"),
        (
            "name = \"cell\"",
            "name = \"cell), proposed by carla\\n\\ntighter:\\n  a: 1.2 to 1.0\\u001b[8m\\n(\"",
            "name",
            "'\\n'",
        ),
        (
            "name = \"cabinet\"",
            "name = \"cabi\\u202Enet\"",
            "zone[1].name",
            "'\\u{202e}'",
        ),
        ("[grip]", region, "contact.region[0].name", "'\\u{200b}'"),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let broken = TEXT.replacen(from, to, 1);
        let error = SafetyFile::from_toml_str(&broken, "broken.toml").expect_err(key);
        let DescriptionError::Value { line, key: at, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(at, key);
        let named = broken.lines().nth(line - 1).expect("a line of the file");
        assert!(named.starts_with("name = "), "{error}");
        assert!(
            error.to_string().contains(words) && error.to_string().contains("1 to 200"),
            "{error}"
        );
    }
    let robot = include_str!("../robots/sinew-arm-7.toml");
    let broken = robot.replacen("name = \"", "name = \"\\u001b[8m", 1);
    let error = RobotDescription::from_toml_str(&broken, "broken.toml").expect_err("a sequence");
    assert!(error.to_string().contains("'\\u{1b}'"), "{error}");
}

#[test]
fn limits_beyond_the_robots_mechanics_are_refused() {
    let wide = TEXT.replacen("position_max_rad = [2.90", "position_max_rad = [3.00", 1);
    let message = SafetyFile::from_toml_str(&wide, "wide.toml")
        .expect("possible in itself")
        .limits(&RobotDescription::builtin())
        .expect_err("not for this robot")
        .to_string();
    assert!(message.contains("shoulder-yaw"), "{message}");
    assert!(message.starts_with("wide.toml:"), "{message}");
}

#[test]
fn a_safety_file_cut_at_any_byte_is_refused() {
    let last = "speed_max_rad_s = 0.05";
    let needed = TEXT.find(last).expect("the last key") + last.len() - 2;
    for cut in 0..needed {
        let refused = SafetyFile::from_toml_str(&TEXT[..cut], "cut.toml");
        assert!(refused.is_err(), "cut at byte {cut}");
    }
}

/// Values that are possible in themselves, and contradict the robot or each other.
#[test]
fn what_contradicts_itself_or_the_robot_is_refused_with_its_line() {
    let zone = |shape: &str| format!("[[zone]]\nname = \"more\"\n{shape}\n\n[gripper]");
    for (from, to, line_has, word) in [
        (
            "[gripper]",
            zone("box = { min_m = [-0.1, -0.1, 0.0], max_m = [0.1, 0.1, 0.2] }"),
            "zone",
            "stands in",
        ),
        (
            "[gripper]",
            zone("cylinder = { base_m = [0.0, 0.0, 0.25], radius_m = 0.3, height_m = 0.2 }"),
            "zone",
            "stands in",
        ),
        (
            "min_m = [-0.60, -1.00, -0.018]",
            "min_m = [0.10, -1.00, -0.018]".to_owned(),
            "min_m = [0.10",
            "cannot leave its place",
        ),
        (
            "name = \"cabinet\"",
            "name = \"overhead-camera\"".to_owned(),
            "name",
            "another zone",
        ),
        (
            "[gripper]",
            zone("hull = { points_m = [[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]] }"),
            "hull",
            "one plane",
        ),
        (
            "[gripper]",
            zone("hull = { points_m = [[0, 0, 1]] }\nspeed_max_m_s = 0.2"),
            "hull",
            "4 to 32",
        ),
        (
            "[gripper]",
            zone("cylinder = { base_m = [0.9, 0.9, 0.0], radius_m = 0.0, height_m = 0.2 }"),
            "cylinder",
            "above 0",
        ),
        (
            "margin_m = 0.005",
            "margin_m = 0.1".to_owned(),
            "margin_m = 0.1",
            "self_collision.ignore",
        ),
        (
            "\"elbow-pitch\"]",
            "\"elbow\"]".to_owned(),
            "ignore",
            "elbow-pitch",
        ),
        (
            "[reduced]\nspeed_max_m_s = 0.25",
            "[reduced]\nspeed_max_m_s = 2.5".to_owned(),
            "2.5",
            "at most the tool speed",
        ),
        (
            "load_max_kg = 1.0",
            "load_max_kg = 30.0".to_owned(),
            "acceleration_rad_s2",
            "against gravity and a load",
        ),
        (
            "max_nm = [180.0",
            "max_nm = [0.0".to_owned(),
            "max_nm",
            "0.1 to 100000",
        ),
        (
            "joint_speed_share = 0.2",
            "joint_speed_share = 1.2".to_owned(),
            "1.2",
            "0.001 to 1",
        ),
        (
            "[gripper]",
            "[cone]\naxis = [0.0, 0.0, -2.0]\nhalf_angle_deg = 20.0\n\n[gripper]".to_owned(),
            "axis",
            "length 1",
        ),
        (
            "reaction = \"hold\"",
            "reaction = \"yield\"".to_owned(),
            "reaction",
            "without a section [yield]",
        ),
        (
            "[gripper]",
            "[yield]\nadmittance_m_s_n = 0.002\nspeed_max_m_s = 0.05\ndistance_max_m = 0.03\n\n[gripper]".to_owned(),
            "yield",
            "nothing uses",
        ),
        (
            "reaction = \"hold\"",
            "reaction = \"yield\"\n[yield]\nadmittance_m_s_n = 0.002\nspeed_max_m_s = 2.0\ndistance_max_m = 0.03"
                .to_owned(),
            "speed_max_m_s = 2.0",
            "at most the tool speed",
        ),
        ("slow_above = 15.0", "slow_above = 45.0".to_owned(), "stop_above", "above singularity.slow_above"),
        ("slow_share = 0.2", "slow_share = 0.0".to_owned(), "slow_share", "0.001 to 1"),
        ("power_max_w = 80.0", "power_max_w = -1.0".to_owned(), "power_max_w", "0.1 to 100000"),
        (
            "[grip]",
            "[[contact.region]]\nname = \"face\"\nforce_max_n = 65.0\ntransient_factor = 0.5\nstiffness_n_m = \
             75000.0\nmass_kg = 4.4\n\n[grip]"
                .to_owned(),
            "transient_factor",
            "1 to 10",
        ),
        (
            "[grip]",
            "[[contact.region]]\nname = \"face\"\nforce_max_n = 65.0\ntransient_factor = 1.0\nstiffness_n_m = \
             75000.0\nmass_kg = 4.4\n\n"
                .repeat(2)
                + "[grip]",
            "name = \"face\"",
            "another region",
        ),
        (
            "lost_force_n = 1.0",
            "lost_force_n = 60.0".to_owned(),
            "lost_force_n = 60.0",
            "every grip would count as lost",
        ),
        (
            "empty_width_m = 0.006",
            "empty_width_m = 0.09".to_owned(),
            "empty_width_m = 0.09",
            "always count as empty",
        ),
        (
            "robot_uncertainty_m = 0.02",
            "robot_uncertainty_m = 0.001".to_owned(),
            "robot_uncertainty_m",
            "tracking margin",
        ),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let broken = TEXT.replacen(from, &to, 1);
        let robot = RobotDescription::builtin();
        let error = SafetyFile::from_toml_str(&broken, "broken.toml")
            .and_then(|file| file.limits(&robot))
            .expect_err(&to);
        let message = error.to_string();
        let DescriptionError::Value { line, .. } = error else {
            panic!("{message}");
        };
        let named = broken.lines().nth(line - 1).expect("a line of the file");
        assert!(named.contains(line_has), "{message}\n  names line: {named}");
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

/// What can be used and is hardly meant is said with its line; nothing is odd about what comes with Sinew.
#[test]
fn what_is_hardly_meant_is_said_with_its_line() {
    let robot = RobotDescription::builtin();
    assert_eq!(SafetyFile::builtin().warnings(&robot), []);
    for (from, to, line_has, word) in [
        (
            "velocity_max_rad_s = [2.4",
            "velocity_max_rad_s = [0.9",
            "velocity_max_rad_s",
            "shoulder-yaw",
        ),
        (
            "jerk_max_rad_s3 = [1500.0",
            "jerk_max_rad_s3 = [100.0",
            "jerk_max_rad_s3",
            "hold them back",
        ),
        (
            "force_max_n = 60.0",
            "force_max_n = 30.0",
            "force_max_n",
            "motions may ask for",
        ),
        (
            "width_min_m = 0.0",
            "width_min_m = 0.006",
            "empty_width_m",
            "will not count as empty",
        ),
        (
            "position_min_rad = [-2.90, -1.60, -2.80, 0.10",
            "position_min_rad = [-2.90, -1.60, -2.80, 1.84",
            "position_min_rad",
            "will not get there",
        ),
        (
            "[gripper]",
            "[[zone]]\nname = \"door\"\nbox = { min_m = [0.9, 0.9, 0], max_m = [1, 1, 1] }\nspeed_max_m_s = \
             1.2\n\n[gripper]",
            "speed_max_m_s = 1.2",
            "the zone does nothing",
        ),
        (
            "[gripper]",
            // In mm.
            "[[zone]]\nname = \"shelf\"\nbox = { min_m = [-600, -400, -20], max_m = [-400, 400, 400] }\n\n[gripper]",
            "[[zone]]",
            "outside the envelope",
        ),
        (
            "[gripper]",
            "[[zone]]\nname = \"side\"\nhalf_space = { normal = [1.0, 0.0, 0.0], offset_m = -1000.0 }\n\n[gripper]",
            "[[zone]]",
            "outside the envelope",
        ),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let text = TEXT.replacen(from, to, 1);
        let file = SafetyFile::from_toml_str(&text, "odd.toml").expect(to);
        file.limits(&robot).expect("it can be used");
        let warnings = file.warnings(&robot);
        let warning = (warnings.iter())
            .find(|warning| warning.problem.contains(word))
            .unwrap_or_else(|| panic!("{to}: {warnings:?}"));
        let named = (text.lines().nth(warning.line - 1)).expect("a line of the file");
        assert!(named.contains(line_has), "{warning:?} names line: {named}");
    }
}
