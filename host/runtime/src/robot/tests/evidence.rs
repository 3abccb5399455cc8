//! What is kept of it: its file, its log, one name and one lock.

use super::*;

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
