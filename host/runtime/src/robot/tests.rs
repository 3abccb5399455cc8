//! A parked cell, operated.

use std::sync::atomic::AtomicBool;

use sinew_messages::JointVector;
use sinew_sim::scenario::WiredInput;

use super::{
    BreachView, CellFile, Jog, JogAlong, JogOutcome, JogReport, Operated, ParkedCell, ResetAnswer,
    SafetyMode, StopCategory, StopOrder, jog,
};
use crate::sources::Sources;
use crate::trouble::{InputError, Refused};

/// The forearm stands a few centimetres inside the zone `cabinet`.
const IN_THE_CABINET: JointVector = [2.4, 0.6, 0.0, 1.8, 0.0, 1.0, 0.0];
/// Above the table.
const FREE: JointVector = [0.0, 0.25, 0.0, 1.85, 0.0, 1.04, 0.0];

fn cell(folder: &tempfile::TempDir, start: Option<&JointVector>) -> ParkedCell {
    ParkedCell::open(&Sources::default(), &path(folder), start).expect("it can be opened")
}

fn path(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("robot.json")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn of_joint(joint: usize, speed: f64, hold_s: f64) -> Jog {
    Jog {
        along: JogAlong::Joint(joint),
        speed,
        hold_s,
        release_after_s: None,
    }
}

/// Opens the cell, holds on, and parks it again.
fn held(folder: &tempfile::TempDir, asked: &Jog) -> anyhow::Result<JogReport> {
    let mut cell = cell(folder, None);
    let report = jog(&mut cell, asked, &AtomicBool::new(false))?;
    cell.park().expect("it can be parked");
    Ok(report)
}

fn depth(breaches: &[BreachView]) -> f64 {
    breaches
        .iter()
        .map(|breach| breach.depth)
        .fold(0.0, f64::max)
}

/// A robot that is free to move at `start`.
fn freed(start: &JointVector) -> tempfile::TempDir {
    let folder = folder();
    let mut cell = cell(&folder, Some(start));
    assert_eq!(cell.reset("ann").expect("asked"), ResetAnswer::Granted);
    cell.park().expect("parked");
    folder
}

#[test]
fn the_way_out_of_a_violation() {
    let folder = folder();
    let mut parked = cell(&folder, Some(&IN_THE_CABINET));
    let ResetAnswer::Refused(why) = parked.reset("ann").expect("asked") else {
        panic!("it stands in a zone");
    };
    assert!(
        why.contains("cabinet") && why.contains("mm inside"),
        "{why}"
    );
    parked.park().expect("parked");

    let mut parked = cell(&folder, None);
    parked.set_mode(SafetyMode::Recovery).expect("set");
    assert_eq!(parked.reset("ann").expect("asked"), ResetAnswer::Granted);
    parked.park().expect("parked");
    let stood = parked.robot_status();
    assert_eq!(stood.reset_by.as_deref(), Some("ann"));
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

    let mut parked = cell(&folder, None);
    parked.set_mode(SafetyMode::Normal).expect("set");
    assert_eq!(parked.robot_status().stop, None);
    parked
        .stop(StopOrder::Request(StopCategory::ControlledHold))
        .expect("stopped");
    assert_eq!(parked.reset("bob").expect("asked"), ResetAnswer::Granted);
}

/// Every tick of a motion out of a violation is less deep than the one before, and slow.
#[test]
fn a_violation_shrinks_from_tick_to_tick() {
    struct Watched {
        cell: ParkedCell,
        depths: Vec<f64>,
        fastest: f64,
    }
    impl Operated for Watched {
        fn step(&mut self) -> anyhow::Result<()> {
            self.cell.step()?;
            let status = self.cell.status();
            self.fastest = self.fastest.max(status.tool_speed_m_s);
            let at = status.setpoint.position_rad;
            let views = super::status::breach_views(self.cell.config(), &at);
            self.depths.push(depth(&views));
            Ok(())
        }
        fn mailbox(&self) -> &sinew_messages::Mailbox {
            self.cell.mailbox()
        }
        fn status(&self) -> &sinew_messages::LoopStatus {
            self.cell.status()
        }
        fn verdict(&self) -> &sinew_messages::VerdictRecord {
            self.cell.verdict()
        }
        fn config(&self) -> &crate::Config {
            self.cell.config()
        }
    }
    let folder = folder();
    let mut parked = cell(&folder, Some(&IN_THE_CABINET));
    parked.set_mode(SafetyMode::Recovery).expect("set");
    assert_eq!(parked.reset("ann").expect("asked"), ResetAnswer::Granted);
    let mut watched = Watched {
        cell: parked,
        depths: Vec::new(),
        fastest: 0.0,
    };
    let report = jog(
        &mut watched,
        &of_joint(0, -0.5, 2.0),
        &AtomicBool::new(false),
    )
    .expect("it answers");
    assert_eq!(report.outcome, JogOutcome::Reached, "{report:?}");
    assert!(report.used_speed > report.asked_speed, "capped: {report:?}");
    for pair in watched.depths.windows(2) {
        assert!(pair[1] <= pair[0] + 1e-9, "{pair:?}");
    }
    assert_eq!(watched.depths.last(), Some(&0.0), "it is out");
    let most = watched.config().safety.config().recovery.speed_max_m_s;
    assert!(watched.fastest <= most + 1e-9 && watched.fastest > 0.5 * most);
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

    // An interrupt lets go, too.
    let mut parked = cell(&folder, None);
    let report = jog(&mut parked, &of_joint(0, 0.2, 5.0), &AtomicBool::new(true));
    assert_eq!(report.expect("it answers").held_s, 0.0);
    assert_eq!(parked.robot_status().mode, "normal");
}

#[test]
fn a_jog_is_never_faster_than_reduced() {
    let folder = freed(&FREE);
    for joint in 0..sinew_messages::JOINTS {
        let report = held(&folder, &of_joint(joint, -9.0, 0.3)).expect("it answers");
        let mut parked = cell(&folder, None);
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
        jog(
            &mut parked,
            &of_joint(joint, 9.0, 0.3),
            &AtomicBool::new(false),
        )
        .expect("back");
        parked.park().expect("parked");
    }
}

#[test]
fn the_tool_moves_along_an_axis() {
    let folder = freed(&FREE);
    for (axis, speed) in [(0, -0.05), (1, 0.05), (2, 0.05), (2, -0.05)] {
        let before = cell(&folder, None).robot_status().tool_position_m;
        let asked = Jog {
            along: JogAlong::Axis(axis),
            speed,
            hold_s: 0.6,
            release_after_s: None,
        };
        let report = held(&folder, &asked).expect("it answers");
        assert_eq!(report.outcome, JogOutcome::Reached, "{report:?}");
        let after = cell(&folder, None).robot_status().tool_position_m;
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
    cell(&folder, Some(&FREE)).park().expect("parked");
    let refused = |what: &str| {
        let error = held(&folder, &of_joint(0, 0.1, 0.2)).expect_err("not allowed");
        assert!(
            error.is::<Refused>() && error.to_string().contains(what),
            "{error}"
        );
    };
    refused("boot");
    let mut parked = cell(&folder, None);
    assert_eq!(parked.reset("ann").expect("asked"), ResetAnswer::Granted);
    parked.set_mode(SafetyMode::Hold).expect("set");
    parked.park().expect("parked");
    refused("`hold`");
    for name in ["", "  ", "a\nb", &"x".repeat(200)] {
        let error = cell(&folder, None).reset(name).expect_err("no name");
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

#[test]
fn wired_stops_stay_until_they_are_released_and_reset() {
    for (input, category, reason) in [
        (WiredInput::Emergency, 1, "emergency-stop"),
        (WiredInput::EmergencyB, 1, "emergency-stop"),
        (WiredInput::Protective, 2, "protective-stop"),
    ] {
        let folder = freed(&FREE);
        let mut parked = cell(&folder, None);
        parked.stop(StopOrder::Press(input)).expect("pressed");
        parked.park().expect("parked");
        let stop = parked.robot_status().stop.expect("it is latched");
        assert_eq!((stop.category, stop.reason.as_str()), (category, reason));
        assert_eq!(
            stop.detail.contains("disagree"),
            input == WiredInput::EmergencyB,
            "{stop:?}"
        );
        let mut parked = cell(&folder, None);
        let ResetAnswer::Refused(why) = parked.reset("ann").expect("asked") else {
            panic!("{input:?} is open");
        };
        assert!(why.contains("open"), "{why}");
        parked.stop(StopOrder::Release(input)).expect("released");
        assert!(parked.robot_status().stop.is_some(), "it stays latched");
        parked.park().expect("parked");
        let mut parked = cell(&folder, None);
        assert_eq!(parked.reset("ann").expect("asked"), ResetAnswer::Granted);
    }
}

#[test]
fn a_stop_only_gets_more_severe() {
    let folder = freed(&FREE);
    let orders = [
        (StopCategory::ControlledThenOff, 1),
        (StopCategory::ControlledHold, 1),
        (StopCategory::PowerOff, 0),
        (StopCategory::ControlledThenOff, 0),
    ];
    for (order, expected) in orders {
        let mut parked = cell(&folder, None);
        parked.stop(StopOrder::Request(order)).expect("stopped");
        parked.park().expect("parked");
        let stop = parked.robot_status().stop.expect("latched");
        assert_eq!(
            (stop.category, stop.reason.as_str()),
            (expected, "requested")
        );
    }
}

/// A tighter configuration is not entered by way of an old file.
#[test]
fn a_robot_that_was_free_is_stopped_where_it_may_not_stand_any_more() {
    let folder = freed(&FREE);
    let robot = cell(&folder, None).config().robot.clone();
    let mut file = CellFile::read(&path(&folder), &robot).expect("it is there");
    assert_eq!(file.stop, None);
    file.joints_rad = IN_THE_CABINET.to_vec();
    file.write(&path(&folder)).expect("writable");
    let status = cell(&folder, None).robot_status();
    assert!(!status.breaches.is_empty());
    let stop = status.stop.expect("it is latched");
    assert!(stop.detail.contains("cabinet"), "{stop:?}");
}
