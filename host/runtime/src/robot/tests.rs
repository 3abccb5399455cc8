//! A parked cell, operated.

use std::sync::atomic::AtomicBool;

use sinew_messages::JointVector;
use sinew_sim::scenario::WiredInput;

use super::orders::{Given, Order, Orders};
use super::place::Place;
use super::{
    BreachView, CellFile, Jog, JogAlong, JogOutcome, JogReport, Operated, ParkedCell, ResetAnswer,
    RobotStatus, SafetyMode, StopCategory, StopOrder, Stored, begin, jog, set_mode, status, stop,
};
use crate::sources::Sources;
use crate::trouble::{InputError, Refused};

/// The forearm stands a few centimetres inside the zone `cabinet`.
const IN_THE_CABINET: JointVector = [2.4, 0.6, 0.0, 1.8, 0.0, 1.0, 0.0];
/// Above the table.
const FREE: JointVector = [0.0, 0.25, 0.0, 1.85, 0.0, 1.04, 0.0];

fn cell(folder: &tempfile::TempDir) -> ParkedCell {
    ParkedCell::open(&Sources::default(), &path(folder), None).expect("it can be opened")
}

/// What a command made of a cell, with all of its evidence.
#[track_caller]
fn whole(stored: anyhow::Result<Stored>) -> RobotStatus {
    let stored = stored.expect("it is done");
    assert_eq!(stored.trouble, None);
    stored.status
}

#[track_caller]
fn begun(folder: &tempfile::TempDir, start: &JointVector) -> RobotStatus {
    whole(begin(&Sources::default(), &path(folder), start))
}

#[track_caller]
fn seen(folder: &tempfile::TempDir) -> RobotStatus {
    whole(status(&Sources::default(), &path(folder)))
}

#[track_caller]
fn stopped(folder: &tempfile::TempDir, order: StopOrder) -> RobotStatus {
    whole(stop(&Sources::default(), &path(folder), order, Some("bea")))
}

#[track_caller]
fn in_mode(folder: &tempfile::TempDir, mode: SafetyMode) -> RobotStatus {
    whole(set_mode(&Sources::default(), &path(folder), mode, None))
}

/// Asks for a reset by ann, and parks the cell again.
#[track_caller]
fn reset(folder: &tempfile::TempDir) -> ResetAnswer {
    let mut cell = cell(folder);
    let answer = cell.reset("ann").expect("asked");
    whole(cell.park());
    answer
}

fn unnamed(order: Order) -> Given {
    Given { order, by: None }
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
    let mut cell = cell(folder);
    let report = cell.jog(asked, &AtomicBool::new(false))?;
    whole(cell.park());
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
    begun(&folder, start);
    assert_eq!(reset(&folder), ResetAnswer::Granted);
    folder
}

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

/// A cell in whose ticks something else happens.
struct Meanwhile<F> {
    cell: ParkedCell,
    step: F,
}

impl<F: FnMut(&mut ParkedCell) -> anyhow::Result<()>> Operated for Meanwhile<F> {
    fn step(&mut self) -> anyhow::Result<()> {
        (self.step)(&mut self.cell)
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

#[test]
fn wired_stops_stay_until_they_are_released_and_reset() {
    for (input, category, reason) in [
        (WiredInput::Emergency, 1, "emergency-stop"),
        (WiredInput::EmergencyB, 1, "emergency-stop"),
        (WiredInput::Protective, 2, "protective-stop"),
    ] {
        let folder = freed(&FREE);
        let stop = (stopped(&folder, StopOrder::Press(input)).stop).expect("it is latched");
        assert_eq!((stop.category, stop.reason.as_str()), (category, reason));
        assert_eq!(
            stop.detail.contains("disagree"),
            input == WiredInput::EmergencyB,
            "{stop:?}"
        );
        let ResetAnswer::Refused(why) = reset(&folder) else {
            panic!("{input:?} is open");
        };
        assert!(why.contains("open"), "{why}");
        let after = stopped(&folder, StopOrder::Release(input));
        assert!(after.stop.is_some(), "it stays latched");
        assert_eq!(reset(&folder), ResetAnswer::Granted);
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
        let stop = (stopped(&folder, StopOrder::Request(order)).stop).expect("latched");
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

/// Kinds of the records in the log beside the cell.
fn log_kinds(folder: &tempfile::TempDir) -> Vec<String> {
    let mut kinds = Vec::new();
    let read = sinew_audit::read(&log(folder), |record| kinds.push(record.kind));
    assert!(read.expect("it can be read").ok);
    kinds
}

fn log(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join(crate::AUDIT_FILE)
}

/// Nobody reset anything by looking, by moving, or by stopping.
#[test]
fn a_reset_is_in_the_log_once() {
    let folder = freed(&FREE);
    let resets = |folder: &tempfile::TempDir| {
        let kinds = log_kinds(folder);
        let count = |kind: &str| kinds.iter().filter(|found| *found == kind).count();
        (count("reset-granted"), count("resumed"), count("boot"))
    };
    assert_eq!(resets(&folder), (1, 1, 1));
    seen(&folder);
    assert_eq!(resets(&folder), (1, 1, 1));
    held(&folder, &of_joint(0, 0.1, 0.2)).expect("it moves");
    assert_eq!(resets(&folder), (1, 2, 1));
    stopped(&folder, StopOrder::Request(StopCategory::ControlledHold));
    assert_eq!(resets(&folder), (1, 2, 1));
    assert_eq!(log_kinds(&folder).last().map(String::as_str), Some("stop"));
}

/// One at a time; a stop is not turned away, and looking waits for nobody.
#[test]
fn a_stop_reaches_a_cell_that_another_command_works_on() {
    let folder = freed(&FREE);
    let mut moving = cell(&folder);
    let error = ParkedCell::open(&Sources::default(), &path(&folder), None)
        .err()
        .expect("one at a time");
    assert!(error.is::<Refused>(), "{error}");
    assert!(
        error.to_string().contains("another command is at work"),
        "{error}"
    );
    assert_eq!(seen(&folder).stop, None);

    let order = StopOrder::Request(StopCategory::ControlledThenOff);
    let given =
        stop(&Sources::default(), &path(&folder), order, None).expect("it is never turned away");
    assert!(
        given
            .trouble
            .is_some_and(|words| words.contains("the order is given"))
    );
    assert_eq!(given.status.stop.expect("it counts").category, 1);
    assert_eq!(seen(&folder).stop.expect("for everybody").category, 1);

    let report = (moving.jog(&of_joint(0, 0.1, 5.0), &AtomicBool::new(false))).expect("it answers");
    assert_eq!(report.outcome, JogOutcome::Limited, "{report:?}");
    assert!(report.held_s < 0.05, "{report:?}");
    assert!(report.why.is_some_and(|why| why.contains("requested")));
    let stop = whole(moving.park()).stop.expect("it is latched");
    assert_eq!((stop.category, &*stop.reason), (1, "requested"));
    let place = Place::of(&path(&folder)).expect("it is there");
    assert!((Orders::of(&place).waiting().expect("readable").orders).is_empty());
    assert!(log_kinds(&folder).contains(&"stop".to_owned()));
    assert_eq!(seen(&folder).stop.expect("still").category, 1);
}

/// Whenever a stop comes (before, in any tick of, and after a reset or a jog), it is latched in the end.
#[test]
fn a_stop_is_lost_at_no_moment() {
    let folder = freed(&FREE);
    let orders = Orders::of(&Place::of(&path(&folder)).expect("it is there"));
    for (at, order) in [
        (0, Order::Stop(StopCategory::ControlledHold)),
        (5, Order::Press(WiredInput::Protective)),
        (23, Order::Stop(StopCategory::PowerOff)),
        (77, Order::Stop(StopCategory::ControlledThenOff)),
        (150, Order::Hold),
        (10_000, Order::Stop(StopCategory::ControlledHold)),
    ] {
        let mut ticks = 0;
        let mut late = Meanwhile {
            cell: cell(&folder),
            step: |cell: &mut ParkedCell| {
                if ticks == at {
                    orders.put(&unnamed(order))?;
                }
                ticks += 1;
                cell.step()
            },
        };
        jog(&mut late, &of_joint(0, 0.05, 0.1), &AtomicBool::new(false)).expect("it answers");
        let Meanwhile { cell, .. } = late;
        if ticks <= at {
            orders.put(&unnamed(order)).expect("after it moved");
        }
        whole(cell.park());
        let after = seen(&folder);
        assert!(!after.may_move, "{at} {order:?}: {after:?}");
        match order {
            Order::Hold => assert_eq!(after.mode, "hold"),
            _ => assert!(after.stop.is_some(), "{at} {order:?}"),
        }
        stopped(&folder, StopOrder::Release(WiredInput::Protective));
        in_mode(&folder, SafetyMode::Normal);
        reset(&folder);
        assert!(seen(&folder).may_move, "{at}: {:?}", seen(&folder));
    }

    // A stop that comes while somebody resets outlives the reset.
    stopped(&folder, StopOrder::Request(StopCategory::ControlledHold));
    let mut resetting = cell(&folder);
    orders
        .put(&unnamed(Order::Stop(StopCategory::ControlledHold)))
        .expect("put");
    let answer = resetting.reset("ann").expect("asked");
    assert!(matches!(answer, ResetAnswer::Refused(_)), "{answer:?}");
    assert!(whole(resetting.park()).stop.is_some());
    assert_eq!(reset(&folder), ResetAnswer::Granted);
    let resetting = {
        let mut cell = cell(&folder);
        assert_eq!(cell.reset("ann").expect("asked"), ResetAnswer::NotNeeded);
        cell
    };
    orders.put(&unnamed(Order::Hold)).expect("put");
    assert_eq!(whole(resetting.park()).mode, "hold");
}

/// What makes a robot stand needs no log; what lets it move does, and gets everything into it first.
#[test]
fn stops_and_hold_work_without_an_audit_log() {
    let folder = freed(&FREE);
    let sources = Sources::default();
    let good = std::fs::read(log(&folder)).expect("it is there");
    let mut broken = good.clone();
    broken[40] ^= 1;
    std::fs::write(log(&folder), &broken).expect("writable");

    let ordered = StopOrder::Request(StopCategory::PowerOff);
    let stored = stop(&sources, &path(&folder), ordered, None).expect("it stops");
    let trouble = stored.trouble.expect("the log is broken");
    assert!(
        trouble.contains("audit") && trouble.contains("line 1"),
        "{trouble}"
    );
    assert_eq!(stored.status.stop.expect("latched").category, 0);
    let stored = set_mode(&sources, &path(&folder), SafetyMode::Hold, None).expect("it holds");
    assert!(stored.trouble.is_some());
    assert_eq!(stored.status.mode, "hold");
    assert!(!stored.status.may_move && !stored.status.warnings.is_empty());

    let before = std::fs::read(path(&folder)).expect("it is there");
    let error = set_mode(&sources, &path(&folder), SafetyMode::Normal, None).expect_err("no log");
    assert!(error.is::<Refused>(), "{error}");
    let error = ParkedCell::open(&sources, &path(&folder), None)
        .err()
        .expect("no log");
    assert!(error.is::<Refused>(), "{error}");
    assert_eq!(std::fs::read(path(&folder)).expect("still"), before);

    std::fs::write(log(&folder), &good).expect("writable");
    in_mode(&folder, SafetyMode::Normal);
    let kinds = log_kinds(&folder);
    assert_eq!(
        kinds[kinds.len() - 3..],
        ["stop", "mode-changed", "mode-changed"]
    );
    assert!(seen(&folder).warnings.is_empty());
}

/// A cell knows its log: another one lets nothing move before somebody says so, and that stands in it.
#[test]
fn another_log_is_not_this_cells() {
    let folder = freed(&FREE);
    let sources = Sources::default();
    std::fs::remove_file(log(&folder)).expect("it was there");
    let status = seen(&folder);
    assert!(!status.may_move, "{status:?}");
    assert!(
        status.warnings[0].contains("not this cell's audit log"),
        "{status:?}"
    );
    let error = ParkedCell::open(&sources, &path(&folder), None)
        .err()
        .expect("refused");
    assert!(error.is::<Refused>(), "{error}");
    assert!(error.to_string().contains("--accept-log"), "{error}");
    let ordered = StopOrder::Request(StopCategory::ControlledHold);
    let stored = stop(&sources, &path(&folder), ordered, None).expect("it stops");
    assert!(stored.trouble.is_some() && stored.status.stop.is_some());

    let mut cell = ParkedCell::open(&sources, &path(&folder), Some("bob")).expect("bob says so");
    assert_eq!(cell.reset("bob").expect("asked"), ResetAnswer::Granted);
    assert!(whole(cell.park()).may_move);
    let kinds = log_kinds(&folder);
    assert_eq!(kinds[..3], ["stop-asked", "stop", "log-accepted"]);
    held(&folder, &of_joint(0, 0.1, 0.2)).expect("it moves again");

    // A log that was cut is another one, too.
    let text = std::fs::read_to_string(log(&folder)).expect("it is there");
    let first = text.lines().next().expect("it has lines");
    std::fs::write(log(&folder), format!("{first}\n")).expect("writable");
    assert!(!seen(&folder).may_move);
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

/// Whoever removes the lock can have two commands at work: the later one overwrites nothing.
#[test]
fn a_cell_that_somebody_else_changed_is_left_as_it_is() {
    let folder = freed(&FREE);
    let mut moving = cell(&folder);
    (moving.jog(&of_joint(0, 0.1, 0.2), &AtomicBool::new(false))).expect("it moves");
    std::fs::remove_file(folder.path().join("robot.json.lock")).expect("it is there");
    let order = StopOrder::Request(StopCategory::PowerOff);
    assert!(stopped(&folder, order).stop.is_some());
    let error = moving.park().expect_err("it is not the cell that it was");
    assert!(
        error.to_string().contains("somebody else changed it"),
        "{error}"
    );
    assert_eq!(seen(&folder).stop.expect("it stays").category, 0);
}

/// A stop that reached nothing is no stop, and a cell that was there gets one whatever became of its file.
#[test]
fn a_stop_where_there_is_no_cell_says_that_nothing_was_stopped() {
    let folder = folder();
    let order = StopOrder::Request(StopCategory::PowerOff);
    let sources = Sources::default();
    let error = stop(&sources, &path(&folder), order, None).expect_err("there is no cell");
    let words = format!("{error:#}");
    assert!(
        words.contains("THE STOP WAS NOT GIVEN") && words.contains("there is no cell"),
        "{words}"
    );
    assert!(error.chain().any(|cause| cause.is::<InputError>()));
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0);

    begun(&folder, &FREE);
    std::fs::remove_file(path(&folder)).expect("it is there");
    let stored = stop(&sources, &path(&folder), order, None).expect("one was there");
    assert!(
        stored
            .trouble
            .is_some_and(|words| words.contains("was gone"))
    );
    assert_eq!(stored.status.stop.expect("latched").category, 0);
}

/// Whatever is wrong with the folder for orders: a stop is latched, nothing moves, and nobody's files are touched.
#[test]
fn orders_need_a_folder_of_their_own() {
    let folder = freed(&FREE);
    let orders = folder.path().join("robot.json.orders");
    let check = |what: &str, still_there: &std::path::Path| {
        let error = ParkedCell::open(&Sources::default(), &path(&folder), None)
            .err()
            .expect("nothing moves");
        assert!(error.is::<InputError>(), "{what}: {error}");
        assert!(error.to_string().contains("robot.json.orders"), "{error}");
        let order = StopOrder::Request(StopCategory::PowerOff);
        let stored = stop(&Sources::default(), &path(&folder), order, None).expect(what);
        assert!(stored.trouble.is_some(), "{what}");
        assert!(still_there.exists(), "{what}");
        let robot = sinew_description::RobotDescription::builtin();
        let file = CellFile::read(&path(&folder), &robot).expect("it is there");
        assert_eq!(file.stop.expect("latched").category, 0, "{what}");
    };
    std::fs::remove_dir_all(&orders).expect("it is there");
    std::fs::write(&orders, "").expect("writable");
    check("a file", &orders);
    let error = status(&Sources::default(), &path(&folder)).expect_err("orders can't be seen");
    assert!(error.to_string().contains("has to be a folder"), "{error}");
    std::fs::remove_file(&orders).expect("it is there");
    #[cfg(unix)]
    {
        let precious = folder.path().join("precious");
        std::fs::create_dir(&precious).expect("made");
        std::fs::write(precious.join("stop-0.x"), "").expect("writable");
        std::os::unix::fs::symlink(&precious, &orders).expect("laid");
        check("a link", &precious.join("stop-0.x"));
        std::fs::remove_file(&orders).expect("it is there");
    }
    std::fs::create_dir_all(orders.join("hold.folder")).expect("made");
    check("a folder among them", &orders.join("hold.folder"));
    assert!(!seen(&folder).warnings.is_empty());
    std::fs::remove_dir_all(&orders).expect("it is there");
    std::fs::create_dir(&orders).expect("made");
    std::fs::write(orders.join("stop-0.x"), "theirs").expect("writable");
    check("a file that is not empty", &orders.join("stop-0.x"));
    std::fs::remove_file(orders.join("stop-0.x")).expect("it is there");
    assert_eq!(reset(&folder), ResetAnswer::Granted);
}

/// What waits for another command gives way to a stop that came meanwhile, whoever carried that out.
#[test]
fn what_was_asked_before_a_stop_does_not_clear_it() {
    let sources = Sources::default();
    type Loosens = fn(&Sources, &std::path::Path) -> anyhow::Result<()>;
    let loosening: [(&str, Loosens); 5] = [
        ("reset", |sources, path| {
            ParkedCell::open(sources, path, None).map(drop)
        }),
        ("mode", |sources, path| {
            set_mode(sources, path, SafetyMode::Normal, None).map(drop)
        }),
        ("start", |sources, path| {
            begin(sources, path, &FREE).map(drop)
        }),
        ("release", |sources, path| {
            let release = StopOrder::Release(WiredInput::Emergency);
            stop(sources, path, release, None).map(drop)
        }),
        ("jog", |sources, path| {
            ParkedCell::open(sources, path, None).map(drop)
        }),
    ];
    let tightening = [
        Order::Stop(StopCategory::PowerOff),
        Order::Hold,
        Order::Press(WiredInput::Emergency),
    ];
    for (name, loosen) in loosening {
        for order in tightening {
            let folder = freed(&FREE);
            let orders = Orders::of(&Place::of(&path(&folder)).expect("it is there"));
            let at_work = cell(&folder);
            let path = path(&folder);
            let error = std::thread::scope(|scope| {
                let waiting = scope.spawn(|| loosen(&sources, &path));
                std::thread::sleep(std::time::Duration::from_millis(300));
                orders.put(&unnamed(order)).expect("put");
                whole(at_work.park());
                waiting.join().expect("it ends").expect_err(name)
            });
            assert!(error.is::<Refused>(), "{name} {order:?}: {error:#}");
            assert!(error.to_string().contains("then ask again"), "{error}");
            let after = seen(&folder);
            assert!(!after.may_move, "{name} {order:?}: {after:?}");
            match order {
                Order::Hold => assert_eq!(after.mode, "hold"),
                Order::Press(_) => assert!(!after.wired.emergency_a_closed),
                Order::Stop(_) => assert_eq!(after.stop.expect("latched").category, 0),
            }
            // Asked again it is another matter.
            loosen(&sources, &path).expect(name);
        }
    }
}

/// A stop that a reset in between cleared is given again: it says that the robot stands, so it does.
#[test]
fn a_stop_that_reports_is_in_force() {
    let mut file = CellFile::new(&sinew_description::RobotDescription::builtin(), &FREE);
    file.stop = None;
    for order in [
        Order::Stop(StopCategory::ControlledHold),
        Order::Press(WiredInput::EmergencyB),
        Order::Hold,
        Order::Stop(StopCategory::PowerOff),
    ] {
        assert!(!file.stands_by(order), "{order:?}");
        file.obey(&unnamed(order));
        assert!(file.stands_by(order), "{order:?}");
    }
    assert!(file.stands_by(Order::Stop(StopCategory::ControlledThenOff)));
}

/// What is ordered while a reset is asked changes nothing of the gate's answer, and nothing gets less severe by it.
#[test]
fn a_reset_that_the_gate_refuses_is_refused_whatever_is_ordered_meanwhile() {
    for order in [Order::Stop(StopCategory::ControlledHold), Order::Hold] {
        let folder = folder();
        begun(&folder, &IN_THE_CABINET);
        stopped(&folder, StopOrder::Request(StopCategory::PowerOff));
        let orders = Orders::of(&Place::of(&path(&folder)).expect("it is there"));
        let mut resetting = cell(&folder);
        orders.put(&unnamed(order)).expect("put");
        let answer = resetting.reset("eve").expect("asked");
        assert!(matches!(answer, ResetAnswer::Refused(_)), "{answer:?}");
        let status = whole(resetting.park());
        assert_eq!(status.stop.expect("it stays").category, 0, "{order:?}");
        assert_eq!(status.reset_by, None);
        let kinds = log_kinds(&folder);
        assert!(!kinds.contains(&"reset-granted".to_owned()), "{kinds:?}");
        let changes = kinds.iter().filter(|kind| *kind == "mode-changed").count();
        assert_eq!(changes, usize::from(order == Order::Hold), "{kinds:?}");
    }
}

/// Kinds and actors in the log beside the cell.
fn told(folder: &tempfile::TempDir) -> Vec<(String, String)> {
    let mut told = Vec::new();
    let read = sinew_audit::read(&log(folder), |record| {
        told.push((record.kind.clone(), record.who().to_owned()));
    });
    assert!(read.expect("it can be read").ok);
    told
}

/// What a person does to stop a robot is evidence, with a name, even where it changes nothing.
#[test]
fn every_stop_press_and_release_is_in_the_log() {
    let folder = folder();
    begun(&folder, &FREE);
    let before = told(&folder).len();
    stopped(&folder, StopOrder::Request(StopCategory::ControlledHold));
    stopped(&folder, StopOrder::Press(WiredInput::Emergency));
    let pressed = seen(&folder).stop.expect("latched");
    assert_eq!((pressed.category, &*pressed.reason), (1, "emergency-stop"));
    stopped(&folder, StopOrder::Release(WiredInput::EmergencyA));
    set_mode(
        &Sources::default(),
        &path(&folder),
        SafetyMode::Hold,
        Some("bea"),
    )
    .expect("held");
    stop(
        &Sources::default(),
        &path(&folder),
        StopOrder::Request(StopCategory::PowerOff),
        None,
    )
    .expect("stopped");
    let told = told(&folder);
    let expected = [
        ("stop-asked", "bea"),
        ("contact-opened", "bea"),
        ("contact-opened", "bea"),
        ("contact-closed", "bea"),
        ("mode-changed", "bea"),
        ("stop-asked", "unnamed"),
        ("stop-worsened", "nobody"),
    ];
    let told: Vec<(&str, &str)> = (told[before..].iter())
        .map(|(kind, who)| (&**kind, &**who))
        .collect();
    assert_eq!(told, expected);
    // A name that is none keeps nobody from stopping.
    let order = StopOrder::Request(StopCategory::PowerOff);
    let stored = stop(&Sources::default(), &path(&folder), order, Some("\u{202e}")).expect("given");
    assert!(
        stored
            .trouble
            .is_some_and(|words| words.contains("--actor"))
    );
}

/// To begin a cell anew neither closes a contact, nor makes a stop less severe, nor changes its log.
#[test]
fn what_a_cell_had_latched_outlives_a_new_beginning() {
    let folder = freed(&FREE);
    stopped(&folder, StopOrder::Request(StopCategory::PowerOff));
    stopped(&folder, StopOrder::Press(WiredInput::Protective));
    in_mode(&folder, SafetyMode::Hold);
    std::fs::write(log(&folder), "").expect("writable");
    begin(&Sources::default(), &path(&folder), &FREE).expect("begun");
    let status = seen(&folder);
    assert_eq!(status.stop.expect("latched").category, 0);
    assert!(!status.wired.protective_closed);
    assert_eq!(status.mode, "hold");
    let error = ParkedCell::open(&Sources::default(), &path(&folder), None)
        .err()
        .expect("not its log");
    assert!(error.to_string().contains("--accept-log"), "{error}");

    // Not even without its file, if there is its log.
    let folder = freed(&FREE);
    stopped(&folder, StopOrder::Request(StopCategory::PowerOff));
    stopped(&folder, StopOrder::Press(WiredInput::Protective));
    in_mode(&folder, SafetyMode::Hold);
    std::fs::remove_file(path(&folder)).expect("it is there");
    let status = seen(&folder);
    assert_eq!(status.stop.expect("latched").category, 0);
    assert!(!status.wired.protective_closed);
    assert_eq!(status.mode, "hold");
}

/// A cell's file that is older than its log, or that was cut out of it by hand, moves nothing.
#[test]
fn an_old_file_undoes_no_stop() {
    let restored = |folder: &tempfile::TempDir, old: &[u8], expected: &str| {
        std::fs::write(path(folder), old).expect("writable");
        assert!(!seen(folder).may_move, "{expected}");
        let error = ParkedCell::open(&Sources::default(), &path(folder), None)
            .err()
            .expect("it is refused");
        assert!(error.is::<Refused>(), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        seen(folder)
    };
    let old = |folder: &tempfile::TempDir| std::fs::read(path(folder)).expect("it is there");

    let folder = freed(&FREE);
    let free = old(&folder);
    stopped(&folder, StopOrder::Request(StopCategory::PowerOff));
    let after = restored(&folder, &free, "after");
    assert_eq!(after.stop.expect("latched").category, 0);
    assert_eq!(reset(&folder), ResetAnswer::Granted);

    let free = old(&folder);
    stopped(&folder, StopOrder::Press(WiredInput::Emergency));
    let after = restored(&folder, &free, "after");
    assert!(!after.wired.emergency_a_closed, "{after:?}");
    stopped(&folder, StopOrder::Release(WiredInput::Emergency));
    assert_eq!(reset(&folder), ResetAnswer::Granted);

    let free = old(&folder);
    in_mode(&folder, SafetyMode::Hold);
    assert_eq!(restored(&folder, &free, "after").mode, "hold");

    let mut value: serde_json::Value = serde_json::from_slice(&free).expect("a cell");
    value["log"] = serde_json::Value::Null;
    restored(&folder, value.to_string().as_bytes(), "by hand");

    // A later reset is the last word.
    let folder = freed(&FREE);
    let free = old(&folder);
    stopped(&folder, StopOrder::Request(StopCategory::PowerOff));
    assert_eq!(reset(&folder), ResetAnswer::Granted);
    std::fs::write(path(&folder), free).expect("writable");
    assert!(seen(&folder).may_move);
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

/// Under another name a cell knows nothing of what was ordered under the old one; under two nobody does.
#[test]
fn a_cell_has_one_name() {
    let folder = freed(&FREE);
    let other = folder.path().join("cell9.json");
    std::fs::rename(path(&folder), &other).expect("moved");
    let sources = Sources::default();
    let status = whole(status(&sources, &other));
    let stop_there = status.stop.expect("it is latched");
    assert!(stop_there.detail.contains("robot.json"), "{stop_there:?}");
    std::fs::rename(&other, path(&folder)).expect("moved back");
    assert!(
        seen(&folder).may_move,
        "nothing was stored under the other name"
    );
    #[cfg(unix)]
    {
        std::fs::hard_link(path(&folder), &other).expect("linked");
        assert!(!seen(&folder).may_move);
        let error = ParkedCell::open(&sources, &path(&folder), None)
            .err()
            .expect("nothing moves");
        assert!(error.to_string().contains("2 names"), "{error}");
        let order = StopOrder::Request(StopCategory::PowerOff);
        let stored = stop(&sources, &other, order, None).expect("it is given");
        assert!(
            stored
                .trouble
                .is_some_and(|words| words.contains("2 names"))
        );
        assert!(!seen(&folder).may_move);
    }
}

/// A link where the lock belongs makes nothing where it leads to.
#[cfg(unix)]
#[test]
fn a_lock_is_no_link() {
    let folder = folder();
    let victim = folder.path().join("victim");
    std::os::unix::fs::symlink(&victim, folder.path().join("robot.json.lock")).expect("laid");
    let error = status(&Sources::default(), &path(&folder)).expect_err("no lock");
    assert!(
        error.is::<InputError>() && error.to_string().contains("no link"),
        "{error}"
    );
    assert!(!victim.exists());
}

/// Where an order can neither be put down nor carried out, nobody is told that the robot stands.
#[test]
fn a_stop_that_could_not_be_given_says_so_in_capitals() {
    let folder = freed(&FREE);
    let at_work = cell(&folder);
    let orders = folder.path().join("robot.json.orders");
    std::fs::remove_dir_all(&orders).expect("it is there");
    std::fs::write(&orders, "").expect("writable");
    let order = StopOrder::Request(StopCategory::PowerOff);
    let error =
        stop(&Sources::default(), &path(&folder), order, None).expect_err("it is not given");
    assert!(
        error.chain().any(|cause| cause.is::<Refused>()),
        "{error:#}"
    );
    let words = format!("{error:#}");
    assert!(words.starts_with("THE STOP WAS NOT GIVEN"), "{words}");
    assert!(words.contains("another command is at work"), "{words}");
    let stored = at_work.park().expect("it is kept");
    assert!(stored.status.stop.is_some(), "it can't hear orders");
}

/// Whoever asked for something before a stop is told by this count, also where the stop changed nothing.
#[test]
fn whatever_makes_a_robot_stand_is_counted() {
    let mut file = CellFile::new(&sinew_description::RobotDescription::builtin(), &FREE);
    file.stop = None;
    for order in [
        Order::Stop(StopCategory::ControlledHold),
        Order::Stop(StopCategory::ControlledHold),
        Order::Press(WiredInput::Protective),
        Order::Hold,
        Order::Hold,
    ] {
        let before = file.stood;
        file.obey(&unnamed(order));
        assert!(file.stood > before, "{order:?}");
    }
    let before = file.stood;
    file.set_mode(SafetyMode::Normal, None);
    file.release(WiredInput::Protective, None);
    assert_eq!(file.stood, before);
    file.stood = u64::MAX;
    file.obey(&unnamed(Order::Hold));
}
