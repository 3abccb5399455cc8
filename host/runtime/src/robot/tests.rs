//! A parked cell, operated.

use std::sync::atomic::AtomicBool;

use sinew_messages::JointVector;
use sinew_sim::scenario::WiredInput;

use super::orders::{Order, Orders};
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
    whole(stop(&Sources::default(), &path(folder), order))
}

#[track_caller]
fn in_mode(folder: &tempfile::TempDir, mode: SafetyMode) -> RobotStatus {
    whole(set_mode(&Sources::default(), &path(folder), mode))
}

/// Asks for a reset by ann, and parks the cell again.
#[track_caller]
fn reset(folder: &tempfile::TempDir) -> ResetAnswer {
    let mut cell = cell(folder);
    let answer = cell.reset("ann").expect("asked");
    whole(cell.park());
    answer
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
    let given = stop(&Sources::default(), &path(&folder), order).expect("it is never turned away");
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
    assert!(Orders::of(&place).waiting().expect("readable").is_empty());
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
                    orders.put(order)?;
                }
                ticks += 1;
                cell.step()
            },
        };
        jog(&mut late, &of_joint(0, 0.05, 0.1), &AtomicBool::new(false)).expect("it answers");
        let Meanwhile { cell, .. } = late;
        if ticks <= at {
            orders.put(order).expect("after it moved");
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
        .put(Order::Stop(StopCategory::ControlledHold))
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
    orders.put(Order::Hold).expect("put");
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
    let stored = stop(&sources, &path(&folder), ordered).expect("it stops");
    let trouble = stored.trouble.expect("the log is broken");
    assert!(
        trouble.contains("audit") && trouble.contains("line 1"),
        "{trouble}"
    );
    assert_eq!(stored.status.stop.expect("latched").category, 0);
    let stored = set_mode(&sources, &path(&folder), SafetyMode::Hold).expect("it holds");
    assert!(stored.trouble.is_some());
    assert_eq!(stored.status.mode, "hold");
    assert!(!stored.status.may_move && !stored.status.warnings.is_empty());

    let before = std::fs::read(path(&folder)).expect("it is there");
    let error = set_mode(&sources, &path(&folder), SafetyMode::Normal).expect_err("no log");
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
    let stored = stop(&sources, &path(&folder), ordered).expect("it stops");
    assert!(stored.trouble.is_some() && stored.status.stop.is_some());

    let mut cell = ParkedCell::open(&sources, &path(&folder), Some("bob")).expect("bob says so");
    assert_eq!(cell.reset("bob").expect("asked"), ResetAnswer::Granted);
    assert!(whole(cell.park()).may_move);
    let kinds = log_kinds(&folder);
    assert_eq!(kinds[..2], ["stop", "log-accepted"]);
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

/// A stop comes first, whatever state the cell's folder is in.
#[test]
fn a_stop_begins_a_cell_that_is_not_there() {
    let folder = folder();
    let stop = stopped(&folder, StopOrder::Request(StopCategory::PowerOff)).stop;
    assert_eq!(stop.expect("latched").category, 0);
    std::fs::remove_dir(folder.path().join("robot.json.orders")).expect("it is empty");
    std::fs::write(folder.path().join("robot.json.orders"), "").expect("writable");
    let error = status(&Sources::default(), &path(&folder)).expect_err("orders can't be seen");
    assert!(error.to_string().contains("has to be a folder"), "{error}");
    let error = ParkedCell::open(&Sources::default(), &path(&folder), None)
        .err()
        .expect("nothing moves");
    assert!(error.is::<InputError>(), "{error}");
}
