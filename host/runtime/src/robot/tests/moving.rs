//! What moves it: jogs, lines, the way out of a violation.

use super::*;

#[test]
fn the_way_out_of_a_violation() {
    let folder = folder();
    let stood = begun(&folder, &IN_THE_CABINET);
    assert!(
        !stood.may_move && stood.next.contains("mode recovery"),
        "{stood:?}"
    );
    let ResetAnswer::Refused(why) = reset(&folder) else {
        panic!("it stands in a zone");
    };
    assert!(
        why.contains("cabinet") && why.contains("mm inside"),
        "{why}"
    );
    in_mode(&folder, SafetyMode::Recovery);
    assert_eq!(reset(&folder), ResetAnswer::Granted);
    let stood = seen(&folder);
    assert_eq!(stood.reset_by.as_deref(), Some("ann"));
    assert!(stood.may_move && stood.next.contains("jog"), "{stood:?}");
    let start = depth(&stood.breaches);
    assert!(start > 0.02, "{start}");

    // Deeper: not a step.
    let deeper = held(&folder, &of_joint(0, 0.1, 1.0)).expect("it answers");
    assert_eq!(deeper.outcome, JogOutcome::Refused, "{deeper:?}");
    assert!(
        deeper
            .why
            .as_deref()
            .is_some_and(|why| why.contains("zone `cabinet`")),
        "{deeper:?}"
    );
    assert!(depth(&deeper.breaches_after) <= start + 1e-3, "{deeper:?}");

    // Outward, again and again: less deep each time, until nothing is violated.
    let mut before = depth(&deeper.breaches_after);
    for n in 0..20 {
        let out = held(&folder, &of_joint(0, -0.1, 0.5)).expect("it answers");
        assert_eq!(out.outcome, JogOutcome::Reached, "{n}: {out:?}");
        let now = depth(&out.breaches_after);
        assert!(now < before || now == 0.0, "{n}: {now} after {before}");
        before = now;
        if out.breaches_after.is_empty() && out.near_after.is_empty() {
            break;
        }
    }
    assert_eq!(before, 0.0);

    assert_eq!(in_mode(&folder, SafetyMode::Normal).stop, None);
    stopped(&folder, StopOrder::Request(StopCategory::ControlledHold));
    assert_eq!(reset(&folder), ResetAnswer::Granted);
}

/// Every tick of a motion out of a violation is less deep than the one before, and slow.
#[test]
fn a_violation_shrinks_from_tick_to_tick() {
    let folder = folder();
    begun(&folder, &IN_THE_CABINET);
    in_mode(&folder, SafetyMode::Recovery);
    assert_eq!(reset(&folder), ResetAnswer::Granted);
    let (mut depths, mut fastest) = (Vec::new(), 0.0_f64);
    let mut watched = Meanwhile {
        cell: cell(&folder),
        step: |cell: &mut ParkedCell| {
            cell.step()?;
            let status = cell.status();
            fastest = fastest.max(status.tool_speed_m_s);
            let views = super::status::breach_views(cell.config(), &status.setpoint.position_rad);
            depths.push(depth(&views));
            Ok(())
        },
    };
    let report = jog(
        &mut watched,
        &of_joint(0, -0.5, 2.0),
        &AtomicBool::new(false),
    )
    .expect("it answers");
    assert_eq!(report.outcome, JogOutcome::Reached, "{report:?}");
    assert!(report.used_speed > report.asked_speed, "capped: {report:?}");
    let most = watched.config().safety.config().recovery.speed_max_m_s;
    for pair in depths.windows(2) {
        assert!(pair[1] <= pair[0] + 1e-9, "{pair:?}");
    }
    assert_eq!(depths.last(), Some(&0.0), "it is out");
    assert!(fastest <= most + 1e-9 && fastest > 0.5 * most);
}

#[test]
fn letting_go_brakes_within_three_ticks_whoever_does() {
    let folder = freed(&FREE);
    let over = held(&folder, &of_joint(0, 0.2, 0.5)).expect("it answers");
    let after = held(
        &folder,
        &Jog {
            release_after_s: Some(0.2),
            ..of_joint(0, 0.2, 0.5)
        },
    )
    .expect("it answers");
    for report in [&over, &after] {
        assert_eq!(report.outcome, JogOutcome::Reached, "{report:?}");
        assert!(report.braked_after_ticks.is_some_and(|ticks| ticks <= 3));
        assert!(report.rested_after_s < 0.1, "{report:?}");
        assert_eq!(report.mode, "reduced");
    }
    assert!(after.moved < 0.5 * over.moved, "{after:?}");

    // An interrupt lets go, too, and is not what was asked for.
    let mut parked = cell(&folder);
    let report = (parked.jog(&of_joint(0, 0.2, 5.0), &AtomicBool::new(true))).expect("it answers");
    assert_eq!(report.held_s, 0.0);
    assert_eq!(report.outcome, JogOutcome::Limited);
    assert!(report.why.is_some_and(|why| why.contains("interrupt")));
    assert_eq!(whole(parked.park()).mode, "normal");
}

#[test]
fn a_jog_is_never_faster_than_reduced() {
    let folder = freed(&FREE);
    for joint in 0..sinew_messages::JOINTS {
        let report = held(&folder, &of_joint(joint, -9.0, 0.3)).expect("it answers");
        let mut parked = cell(&folder);
        let reduced = parked.config().safety.config().reduced;
        let most = parked.config().safety.config().velocity_max_rad_s[joint];
        assert!(
            report.used_speed.abs() <= reduced.joint_speed_share * most,
            "{report:?}"
        );
        assert_eq!(
            report.limited_ticks, 0,
            "the gate need say nothing: {report:?}"
        );
        assert_eq!(report.outcome, JogOutcome::Reached, "{report:?}");
        // And back.
        (parked.jog(&of_joint(joint, 9.0, 0.3), &AtomicBool::new(false))).expect("back");
        whole(parked.park());
    }
}

#[test]
fn the_tool_moves_along_an_axis() {
    let folder = freed(&FREE);
    for (axis, speed) in [(0, -0.05), (1, 0.05), (2, 0.05), (2, -0.05)] {
        let before = seen(&folder).tool_position_m;
        let asked = Jog {
            along: JogAlong::Axis(axis),
            speed,
            hold_s: 0.6,
            release_after_s: None,
        };
        let report = held(&folder, &asked).expect("it answers");
        assert_eq!(report.outcome, JogOutcome::Reached, "{report:?}");
        let after = seen(&folder).tool_position_m;
        for other in 0..3 {
            let way = after[other] - before[other];
            let expected = if other == axis { 0.6 * speed } else { 0.0 };
            assert!((way - expected).abs() < 0.006, "{axis} {other}: {way}");
        }
    }
}

#[test]
fn what_keeps_a_robot_from_moving_is_refused() {
    let folder = folder();
    begun(&folder, &FREE);
    let refused = |what: &str| {
        let error = held(&folder, &of_joint(0, 0.1, 0.2)).expect_err("not allowed");
        assert!(
            error.is::<Refused>() && error.to_string().contains(what),
            "{error}"
        );
    };
    refused("boot");
    assert_eq!(reset(&folder), ResetAnswer::Granted);
    in_mode(&folder, SafetyMode::Hold);
    refused("`hold`");
    for name in ["", "  ", "a\nb", &"x".repeat(200)] {
        let error = cell(&folder).reset(name).expect_err("no name");
        assert!(error.is::<InputError>(), "{error}");
    }
}

#[test]
fn numbers_that_cannot_be_are_refused_before_anything_moves() {
    let folder = freed(&FREE);
    let before = std::fs::read(path(&folder)).expect("it is there");
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300];
    let mut jogs: Vec<Jog> = bad.iter().map(|v| of_joint(0, *v, 0.5)).collect();
    jogs.extend(bad.iter().map(|v| of_joint(0, 0.1, *v)));
    jogs.extend([
        of_joint(0, 0.0, 0.5),
        of_joint(0, 0.1, 0.0),
        of_joint(0, 0.1, -1.0),
        of_joint(7, 0.1, 0.5),
        Jog {
            release_after_s: Some(f64::NAN),
            ..of_joint(0, 0.1, 0.5)
        },
    ]);
    for asked in jogs {
        let error = held(&folder, &asked).expect_err("it cannot be");
        assert!(error.is::<InputError>(), "{asked:?}: {error}");
    }
    assert_eq!(std::fs::read(path(&folder)).expect("still there"), before);
}

/// A tighter configuration is not entered by way of an old file.
#[test]
fn a_robot_that_was_free_is_stopped_where_it_may_not_stand_any_more() {
    let folder = freed(&FREE);
    let robot = cell(&folder).config().robot.clone();
    let mut file = CellFile::read(&path(&folder), &robot).expect("it is there");
    assert_eq!(file.stop, None);
    file.joints_rad = IN_THE_CABINET.to_vec();
    file.write(&path(&folder)).expect("writable");
    let status = seen(&folder);
    assert!(!status.breaches.is_empty() && !status.may_move);
    let stop = status.stop.expect("it is latched");
    assert!(stop.detail.contains("cabinet"), "{stop:?}");
}

/// A line goes as far as the arm reaches, and says what ends it.
#[test]
fn a_line_goes_as_far_as_it_can() {
    let folder = freed(&FREE);
    let asked = Jog {
        along: JogAlong::Axis(2),
        speed: 0.1,
        hold_s: 20.0,
        release_after_s: None,
    };
    let report = held(&folder, &asked).expect("it answers");
    assert_eq!(report.outcome, JogOutcome::Limited, "{report:?}");
    assert!(
        report.moved > 0.1 && report.moved < 0.99 * report.asked_way,
        "{report:?}"
    );
    let text = report.to_text();
    for piece in ["the tool along z", "mm of", "because"] {
        assert!(text.contains(piece), "{text}");
    }
    assert!(
        report
            .why
            .is_some_and(|why| why.contains("rad") || why.contains("reach") || why.contains("mm"))
    );
}

/// Who holds on for a minute, comes far and is held by the gate then was limited: refused is who stood from the start.
#[test]
fn a_jog_that_came_far_was_limited_and_not_refused() {
    // A way of 2 cm or so before the cabinet.
    let folder = freed(&[2.2, 0.6, 0.0, 1.8, 0.0, 1.0, 0.0]);
    let asked = of_joint(0, 0.1, 60.0);
    let report = held(&folder, &asked).expect("it answers");
    assert_eq!(report.outcome, JogOutcome::Limited, "{report:?}");
    // Far for a motion, and next to nothing of what a minute is long enough for.
    assert!(
        report.moved > 0.01 && report.moved < 0.04 * report.asked_way,
        "{report:?}"
    );
    let text = report.to_text();
    assert!(text.starts_with("LIMITED: "), "{text}");
    assert!(text.contains("zone `cabinet`"), "{text}");
    // From there it goes no further at all.
    let report = held(&folder, &asked).expect("it answers");
    assert_eq!(report.outcome, JogOutcome::Refused, "{report:?}");
}

/// Nobody knows where a robot stands whose command was killed while it moved it.
#[test]
fn a_command_that_did_not_end_leaves_the_robot_stopped() {
    let folder = freed(&FREE);
    let robot = cell(&folder).config().robot.clone();
    let mut file = CellFile::read(&path(&folder), &robot).expect("it is there");
    file.moving = true;
    file.write(&path(&folder)).expect("writable");
    let stop = seen(&folder).stop.expect("it is latched");
    assert!(stop.detail.contains("where it stands"), "{stop:?}");
    let error = ParkedCell::open(&Sources::default(), &path(&folder), None)
        .err()
        .expect("refused once");
    assert!(error.is::<Refused>(), "{error}");
    assert_eq!(reset(&folder), ResetAnswer::Granted);
    held(&folder, &of_joint(0, 0.1, 0.2)).expect("it moves");
    let file = CellFile::read(&path(&folder), &robot).expect("it is there");
    assert!(!file.moving);
}

/// Whoever can't hear a stop any more stops, says where the robot is, and why.
#[test]
fn a_jog_that_can_hear_no_orders_stops_and_is_kept() {
    let lock_removed = |folder: &std::path::Path| {
        std::fs::remove_file(folder.join("robot.json.lock")).expect("it is there");
    };
    let no_folder = |folder: &std::path::Path| {
        std::fs::remove_dir_all(folder.join("robot.json.orders")).expect("it is there");
        std::fs::write(folder.join("robot.json.orders"), "").expect("writable");
    };
    type Harm<'a> = &'a dyn Fn(&std::path::Path);
    let ways: [(&str, Harm<'_>); 2] = [
        ("its lock was removed", &lock_removed),
        ("has to be a folder", &no_folder),
    ];
    for (words, harm) in ways {
        let folder = freed(&FREE);
        let mut ticks = 0;
        let mut harmed = Meanwhile {
            cell: cell(&folder),
            step: |cell: &mut ParkedCell| {
                ticks += 1;
                if ticks == 300 {
                    harm(folder.path());
                }
                cell.step()
            },
        };
        let asked = of_joint(0, 0.1, 2.0);
        let report = jog(&mut harmed, &asked, &AtomicBool::new(false)).expect("it answers");
        assert_eq!(report.outcome, JogOutcome::Limited, "{report:?}");
        assert!(report.held_s < 0.35 && report.moved > 0.01, "{report:?}");
        let Meanwhile { cell, .. } = harmed;
        let stored = cell.park().expect("it is kept");
        assert!(
            stored
                .trouble
                .is_some_and(|trouble| trouble.contains(words))
        );
        assert!(stored.status.stop.is_some(), "{words}");
        let moved = stored.status.joints[0].position_rad;
        assert!((moved - report.moved).abs() < 1e-3, "{moved} {report:?}");
        let robot = sinew_description::RobotDescription::builtin();
        let file = CellFile::read(&path(&folder), &robot).expect("it is there");
        assert_eq!(file.joints_rad[0], moved);
        assert!(file.stop.is_some());
    }
}
