//! What makes it stand, and what lets it go again.

use super::*;

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

/// Whatever was done to the cell's file meanwhile, a stop reaches the command that moves the robot.
#[test]
fn a_stop_reaches_a_command_whose_cell_was_moved_away() {
    type Harm<'a> = &'a dyn Fn(&tempfile::TempDir) -> std::path::PathBuf;
    // As it is on the disk while a jog goes on.
    let move_away = |folder: &tempfile::TempDir| {
        let text = std::fs::read_to_string(path(folder)).expect("it is there");
        std::fs::remove_file(path(folder)).expect("it is there");
        let there = folder.path().join("r2.json");
        let moving = text.replace("\"moving\": false", "\"moving\": true");
        std::fs::write(&there, moving).expect("writable");
        there
    };
    let linked = |folder: &tempfile::TempDir| {
        move_away(folder);
        std::os::unix::fs::symlink("r2.json", path(folder)).expect("links can be made");
        path(folder)
    };
    let no_file = |folder: &tempfile::TempDir| {
        move_away(folder);
        std::fs::create_dir(path(folder)).expect("there is room");
        path(folder)
    };
    let ways: [(Harm<'_>, &str); 3] = [
        (&linked, "the order is put there, too"),
        (&move_away, "the order is put there, too"),
        (&no_file, "the order is given"),
    ];
    let order = StopOrder::Request(StopCategory::ControlledThenOff);
    for (harm, words) in ways {
        let folder = freed(&FREE);
        let mut ticks = 0;
        let mut told = String::new();
        let mut moving = Meanwhile {
            cell: cell(&folder),
            step: |cell: &mut ParkedCell| {
                ticks += 1;
                if ticks == 300 {
                    told = match stop(&Sources::default(), &harm(&folder), order, None) {
                        Ok(stored) => stored.trouble.unwrap_or_default(),
                        Err(error) => {
                            assert!(!error.is::<crate::InputError>(), "{error:#}");
                            format!("{error:#}")
                        }
                    };
                }
                cell.step()
            },
        };
        let asked = of_joint(0, 0.1, 2.0);
        let report = jog(&mut moving, &asked, &AtomicBool::new(false)).expect("it answers");
        assert_eq!(report.outcome, JogOutcome::Limited, "{words}: {report:?}");
        assert!(report.held_s < 0.35, "{words}: {report:?}");
        assert!(told.contains(words), "{told}");
    }
    // Nobody is at work where it came from, as far as can be seen.
    let folder = freed(&FREE);
    let there = move_away(&folder);
    let stored = stop(&Sources::default(), &there, order, None).expect("it is stopped");
    let told = stored.trouble.unwrap_or_default();
    assert!(told.contains("A ROBOT MAY MOVE THERE"), "{told}");
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
