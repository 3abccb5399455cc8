//! Tasks that go over from one version of their skill to another.

use super::*;
use crate::SwapAt;
use crate::event::Happening;

/// Makes another version of the skill the active one.
fn activate(bench: &mut Bench, number: &str, extra: Value) {
    let version = version("t/skill", with(json!({ "version": number }), extra));
    let versions = &bench.engine.plugins().versions;
    versions.borrow_mut().insert("t/skill".to_owned(), version);
}

fn swaps(bench: &mut Bench) -> Vec<String> {
    (bench.events().into_iter())
        .filter(|what| {
            matches!(
                what,
                Happening::Swapped { .. } | Happening::SwapRefused { .. }
            )
        })
        .map(|what| what.message())
        .collect()
}

#[test]
fn a_task_that_runs_finishes_on_its_version_unless_it_is_asked_to_go_over() {
    let mut bench = bench(skill(vec![done(100), done(100)]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    activate(&mut bench, "2.0.0", json!({}));
    bench
        .engine
        .go_over("t/skill", SwapAt::NextTask, "an update");
    let end = bench.finish(task);
    assert_eq!((end.version.as_str(), end.swaps), ("1.0.0", 0));
    let next = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(next).version, "2.0.0");
}

#[test]
fn a_task_that_waits_begins_on_what_is_active_when_it_begins() {
    let mut bench = bench(skill(vec![done(100), done(100)]));
    let first = bench.submit(SubmitOptions::default());
    let second = bench.submit(SubmitOptions::default());
    bench.run(10);
    activate(&mut bench, "2.0.0", json!({}));
    assert_eq!(bench.finish(first).version, "1.0.0");
    assert_eq!(bench.finish(second).version, "2.0.0");
}

#[test]
fn at_a_safe_point_the_other_version_goes_on_from_the_checkpoint() {
    let mut bench = bench(skill(vec![done(100).saving(7), done(100)]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    activate(&mut bench, "2.0.0", json!({}));
    bench
        .engine
        .go_over("t/skill", SwapAt::SafePoint, "an update");
    let end = bench.finish(task);
    assert_eq!((end.version.as_str(), end.swaps), ("2.0.0", 1));
    assert_eq!(end.state, TaskState::Succeeded);
    assert_eq!(
        bench.starts(),
        [
            ("t/skill".to_owned(), None, 0),
            ("t/skill".to_owned(), Some(7), 0)
        ]
    );
    assert_eq!(
        swaps(&mut bench),
        ["t/skill goes over from 1.0.0 to 2.0.0: an update"]
    );
}

#[test]
fn what_is_not_active_any_more_is_not_gone_over_to() {
    for at in [SwapAt::SafePoint, SwapAt::Now] {
        let mut bench = bench(skill(vec![done(100).saving(7), done(100).saving(7)]));
        let task = bench.submit(SubmitOptions::default());
        bench.run(10);
        activate(&mut bench, "2.0.0", json!({}));
        bench.engine.go_over("t/skill", at, "an update");
        // It is revoked before anything of it has run.
        bench.engine.stay("t/skill");
        let end = bench.finish(task);
        assert_eq!((end.version.as_str(), end.swaps), ("1.0.0", 0), "{at:?}");
        assert_eq!(end.state, TaskState::Succeeded);
    }
}

#[test]
fn at_once_it_goes_on_from_the_last_checkpoint_or_anew() {
    let mut bench = bench(skill(vec![done(100), done(100)]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    activate(&mut bench, "2.0.0", json!({}));
    bench.engine.go_over("t/skill", SwapAt::Now, "an update");
    bench.run(5);
    assert_eq!(bench.starts().len(), 2, "it did not wait for anything");
    let end = bench.finish(task);
    assert_eq!((end.version.as_str(), end.swaps), ("2.0.0", 1));
}

#[test]
fn a_version_that_can_not_go_on_from_there_is_not_gone_over_to() {
    let first = fails("jam").saving(7);
    let mut fakes = skill(vec![first, done(100)]);
    fakes.recovery("t/help", &["jam"], (10, 0.9), vec![put_right("resume")]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    bench.run(25);
    activate(&mut bench, "2.0.0", json!({ "checkpoints": [2] }));
    bench.engine.go_over("t/skill", SwapAt::Now, "an update");
    let end = bench.finish(task);
    assert_eq!((end.version.as_str(), end.swaps), ("1.0.0", 0));
    assert_eq!(
        swaps(&mut bench),
        [
            "t/skill stays as it is: 2.0.0 can't go on from here, it does not read checkpoints of version 1"
        ]
    );
}

#[test]
fn a_version_that_misbehaves_is_left_for_the_one_before_and_the_task_goes_on() {
    let trap = RunEnd::Trapped {
        message: "unreachable\nwasm backtrace".to_owned(),
    };
    let mut bench = bench(skill(vec![script(50, trap), done(100)]));
    activate(&mut bench, "2.0.0", json!({}));
    let good = version("t/skill", json!({}));
    *bench.engine.plugins().instead.borrow_mut() = Some(Some(good));
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Succeeded);
    assert_eq!((end.version.as_str(), end.swaps), ("1.0.0", 1));
    assert_eq!(
        swaps(&mut bench),
        ["t/skill goes over from 2.0.0 to 1.0.0: 2.0.0 was left: it trapped: unreachable"]
    );
    let booked = bench.engine.plugins().booked.borrow().clone();
    let fault = Account::Faulted("it trapped: unreachable".to_owned());
    assert_eq!(
        booked,
        [
            ("2.0.0".to_owned(), fault, 1),
            ("1.0.0".to_owned(), Account::Succeeded, 1)
        ]
    );
}

#[test]
fn a_fault_is_booked_once_and_what_the_world_denies_is_a_failure() {
    let trap = RunEnd::Trapped {
        message: "unreachable".to_owned(),
    };
    let mut trapped = bench(skill(vec![script(50, trap)]));
    let task = trapped.submit(SubmitOptions::default());
    assert_eq!(trapped.finish(task).state, TaskState::Failed);
    let fault = Account::Faulted("it trapped: unreachable".to_owned());
    assert_eq!(
        *trapped.engine.plugins().booked.borrow(),
        [("1.0.0".to_owned(), fault, 1)]
    );

    let mut fakes = Fakes::default();
    let holding = json!({ "post_conditions": [{ "predicate": "holding", "value": true }] });
    fakes.add("t/skill", holding, vec![done(50)]);
    let mut lied = bench(fakes);
    let task = lied.submit(SubmitOptions::default());
    assert_eq!(lied.finish(task).label, Some(FailureLabel::FalseSuccess));
    let booked = lied.engine.plugins().booked.borrow().clone();
    assert_eq!(booked, [("1.0.0".to_owned(), Account::Failed, 1)]);
}

#[test]
fn what_a_broken_version_leaves_behind_is_not_gone_on_from() {
    let trap = RunEnd::Trapped {
        message: "unreachable".to_owned(),
    };
    // 1.0.0 is left at 7, 2.0.0 leaves a 9 and breaks, 1.0.0 goes on from its own 7.
    let broken = script(50, trap).saving(9);
    let mut bench = bench(skill(vec![done(100).saving(7), broken, done(100)]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    let good = bench.engine.plugins().current("t/skill");
    *bench.engine.plugins().instead.borrow_mut() = Some(good);
    activate(&mut bench, "2.0.0", json!({}));
    bench
        .engine
        .go_over("t/skill", SwapAt::SafePoint, "an update");
    let end = bench.finish(task);
    assert_eq!((end.version.as_str(), end.swaps), ("1.0.0", 2));
    let from: Vec<Option<u8>> = bench.starts().iter().map(|start| start.1).collect();
    assert_eq!(from, [None, Some(7), Some(7)]);
}

fn trap() -> RunEnd {
    RunEnd::Trapped {
        message: "unreachable".to_owned(),
    }
}

/// Versions that were run, by the events of their starts.
fn ran(bench: &mut Bench) -> Vec<(String, String)> {
    (bench.events().into_iter())
        .filter_map(|what| match what {
            Happening::RunStarted {
                plugin, version, ..
            } => Some((plugin, version)),
            _ => None,
        })
        .collect()
}

#[test]
fn what_was_left_is_not_run_again_if_the_one_before_can_not_go_on() {
    let mut bench = bench(skill(vec![script(50, trap()), done(100)]));
    activate(&mut bench, "2.0.0", json!({}));
    *bench.engine.plugins().instead.borrow_mut() = Some(Some(version("t/skill", json!({}))));
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    (bench.engine.plugins().picky.borrow_mut()).push("1.0.0".to_owned());
    let end = bench.finish(task);
    assert_eq!(
        (end.label, end.version.as_str()),
        (Some(FailureLabel::SkillFault), "2.0.0")
    );
    assert_eq!(end.message, "2.0.0 was left: it trapped: unreachable");
    assert_eq!(ran(&mut bench).len(), 1);
    let booked = bench.engine.plugins().booked.borrow().len();
    assert_eq!(booked, 1, "the fault, once");
}

#[test]
fn what_was_left_is_not_run_again_if_nothing_was_before() {
    let mut fakes = skill(vec![script(50, trap()), done(100)]);
    let resume = vec![put_right("resume")];
    fakes.recovery("t/help", &["skill-fault"], (10, 0.9), resume);
    let mut bench = bench(fakes);
    *bench.engine.plugins().instead.borrow_mut() = Some(None);
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).label, Some(FailureLabel::SkillFault));
    assert_eq!(ran(&mut bench).len(), 1);
}

#[test]
fn a_task_that_runs_on_a_version_that_was_left_ends() {
    let mut bench = bench(skill(vec![done(10_000)]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    bench
        .engine
        .plugins()
        .versions
        .borrow_mut()
        .remove("t/skill");
    bench.engine.abandon("t/skill", "2.0.0", "2.0.0 was left");
    bench.run(10);
    assert_eq!(bench.engine.end(task), None, "it runs on another one");
    bench.engine.abandon("t/skill", "1.0.0", "1.0.0 was left");
    let end = bench.finish(task);
    assert_eq!(
        (end.label, end.message.as_str()),
        (Some(FailureLabel::SkillFault), "1.0.0 was left")
    );
    let booked = bench.engine.plugins().booked.borrow().clone();
    assert_eq!(booked, [("1.0.0".to_owned(), Account::Ended, 1)]);
}

#[test]
fn what_was_left_before_it_could_be_gone_over_to_is_not() {
    for at in [SwapAt::SafePoint, SwapAt::Now] {
        let mut bench = bench(skill(vec![done(100).saving(7), done(100).saving(7)]));
        let task = bench.submit(SubmitOptions::default());
        bench.run(10);
        activate(&mut bench, "2.0.0", json!({}));
        bench.engine.go_over("t/skill", at, "an update");
        // Another task has found out what it is like.
        activate(&mut bench, "1.0.0", json!({}));
        bench.engine.abandon("t/skill", "2.0.0", "2.0.0 was left");
        let end = bench.finish(task);
        assert_eq!((end.version.as_str(), end.swaps), ("1.0.0", 0), "{at:?}");
        assert_eq!(end.state, TaskState::Succeeded);
    }
}

#[test]
fn a_task_whose_version_was_left_goes_over_to_what_was_not() {
    let mut bench = bench(skill(vec![done(100), done(100), done(100)]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    activate(&mut bench, "2.0.0", json!({}));
    bench.engine.abandon("t/skill", "1.0.0", "1.0.0 was left");
    activate(&mut bench, "3.0.0", json!({}));
    bench.engine.abandon("t/skill", "2.0.0", "2.0.0 was left");
    let end = bench.finish(task);
    assert_eq!((end.version.as_str(), end.swaps), ("3.0.0", 1));
}

#[test]
fn a_fault_of_a_recovery_is_not_the_skills() {
    // What the skill returns misses its schema, which is booked when its task ends; the recovery traps in between.
    let mut fakes = skill(vec![fails("skill-fault")]);
    let traps = vec![script(50, trap()), script(50, trap())];
    fakes.recovery("t/help", &["skill-fault"], (10, 0.9), traps);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).label, Some(FailureLabel::SkillFault));
    let last = bench.engine.plugins().booked.borrow().last().cloned();
    let expected = Account::Faulted("so it went".to_owned());
    assert_eq!(last, Some(("1.0.0".to_owned(), expected, 1)));
}

#[test]
fn what_a_broken_recovery_says_does_not_become_what_the_skill_failed_for() {
    // Its trap has a place, which is more than one line.
    let trap = RunEnd::Trapped {
        message: "unreachable\nwasm backtrace".to_owned(),
    };
    let mut fakes = skill(vec![fails("jam")]);
    fakes.recovery("t/broken", &["jam"], (10, 0.9), vec![script(50, trap)]);
    let never = vec![fails("jam")];
    fakes.recovery("t/faults", &["skill-fault"], (10, 0.9), never);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).label, Some(FailureLabel::Jam));
    let asked: Vec<String> = bench.starts().iter().map(|it| it.0.clone()).collect();
    assert!(!asked.contains(&"t/faults".to_owned()), "{asked:?}");
    let booked = bench.engine.plugins().booked.borrow().clone();
    let last = booked.last().map(|booked| booked.1.clone());
    assert_eq!(last, Some(Account::Failed), "{booked:?}");
}

#[test]
fn a_recovery_that_says_what_is_none_has_misbehaved() {
    let mut fakes = skill(vec![fails("jam")]);
    let wrong = vec![fails("skill-fault"), fails("no-such-label")];
    fakes.recovery("t/help", &["jam"], (10, 0.9), wrong);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).label, Some(FailureLabel::Jam));
    let booked = bench.engine.plugins().booked.borrow().clone();
    let faults: Vec<_> = (booked.iter())
        .filter(|booked| matches!(booked.1, Account::Faulted(_)))
        .collect();
    assert!(
        !faults.is_empty() && faults.len() == booked.len() - 1,
        "{booked:?}"
    );
}

#[test]
fn a_fault_of_the_skill_is_booked_once_whatever_a_recovery_does() {
    let mut fakes = skill(vec![script(50, trap())]);
    let fails = vec![fails("jam"), fails("jam")];
    fakes.recovery("t/help", &["skill-fault"], (10, 0.9), fails);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).label, Some(FailureLabel::SkillFault));
    let booked = bench.engine.plugins().booked.borrow().clone();
    let faults = (booked.iter()).filter(|booked| matches!(booked.1, Account::Faulted(_)));
    assert_eq!(faults.count(), 1, "{booked:?}");
}

#[test]
fn what_a_version_has_used_is_not_charged_to_the_next_one() {
    let first = fails("jam").saving(7);
    let mut fakes = skill(vec![first, done(100)]);
    fakes.recovery("t/help", &["jam"], (10, 0.9), vec![put_right("resume")]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    bench.run(25);
    activate(&mut bench, "2.0.0", json!({}));
    bench.engine.go_over("t/skill", SwapAt::Now, "an update");
    assert_eq!(bench.finish(task).version, "2.0.0");
    let booked = bench.engine.plugins().booked.borrow().clone();
    let numbers: Vec<_> = (booked.iter())
        .map(|(number, account, calls)| (number.as_str(), account.clone(), *calls))
        .collect();
    assert_eq!(
        numbers,
        [
            ("1.0.0", Account::Succeeded, 1), // the recovery
            ("1.0.0", Account::Ended, 1),
            ("2.0.0", Account::Succeeded, 1),
        ]
    );
}

#[test]
fn a_task_that_was_restarted_does_not_go_back_to_where_it_stood_before() {
    // 1.0.0 is left at 7; 2.0.0 fails, is restarted, and breaks.
    let scripts = vec![
        done(100).saving(7),
        fails("jam"),
        script(50, trap()),
        done(100),
    ];
    let mut fakes = skill(scripts);
    fakes.recovery("t/help", &["jam"], (10, 0.9), vec![put_right("restart")]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    let good = bench.engine.plugins().current("t/skill");
    *bench.engine.plugins().instead.borrow_mut() = Some(good);
    activate(&mut bench, "2.0.0", json!({}));
    bench
        .engine
        .go_over("t/skill", SwapAt::SafePoint, "an update");
    assert_eq!(bench.finish(task).version, "1.0.0");
    let from: Vec<Option<u8>> = (bench.starts().iter())
        .filter(|start| start.0 == "t/skill")
        .map(|start| start.1)
        .collect();
    assert_eq!(from, [None, Some(7), None, None]);
}

#[test]
fn who_does_not_end_when_it_is_asked_to_has_misbehaved() {
    let killed = RunEnd::Cancelled { killed: true };
    let mut bench = bench(skill(vec![script(50, killed).deaf()]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(10);
    bench.engine.cancel(task, "a test");
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Cancelled, "it got what was asked for");
    let fault = "it did not end when it was to, and was killed".to_owned();
    let booked = bench.engine.plugins().booked.borrow().clone();
    assert_eq!(
        booked,
        [("1.0.0".to_owned(), Account::Faulted(fault), 1)],
        "once"
    );
}

#[test]
fn what_the_machine_had_no_memory_for_is_no_fault_of_any_version() {
    let starved = RunEnd::Starved {
        what: "Cannot allocate memory".to_owned(),
    };
    let mut fakes = skill(vec![script(5, starved.clone()), script(5, starved)]);
    let put_right = vec![done(5); 2];
    fakes.recovery("t/help", &["skill-fault"], (10, 0.9), put_right);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Failed);
    assert!(end.message.contains("no memory"), "{}", end.message);
    assert!(end.nondeterministic && end.recoveries_attempted == 0);
    let booked = bench.engine.plugins().booked.borrow().clone();
    assert_eq!(booked, [("1.0.0".to_owned(), Account::Failed, 1)]);
}

#[test]
fn who_is_killed_under_a_stop_was_never_asked_to_end() {
    let mut bench = bench(skill(vec![done(1_000_000)]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(5);
    bench.status.stop_state = StopState::Latched as u32;
    assert_eq!(bench.finish(task).label, Some(FailureLabel::SafetyStop));
    let booked = bench.engine.plugins().booked.borrow().clone();
    assert_eq!(booked, [("1.0.0".to_owned(), Account::Ended, 1)]);
}

#[test]
fn a_stop_that_only_the_skill_has_seen_counts_against_it() {
    let mut bench = bench(skill(vec![fails("safety-stop")]));
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(end.label, Some(FailureLabel::SafetyStop));
    let booked = bench.engine.plugins().booked.borrow().clone();
    assert_eq!(booked, [("1.0.0".to_owned(), Account::Failed, 1)]);
}

/// Two tasks run on a version, and one of them is what shows that it is broken.
#[test]
fn what_a_version_has_saved_that_was_left_no_other_task_resumes() {
    let trap = RunEnd::Trapped {
        message: "unreachable".to_owned(),
    };
    let mut fakes = Fakes::default();
    let free: [&str; 0] = [];
    let parts = json!({ "parts": free, "version": "2.0.0" });
    // It stores a checkpoint at its end, so the second one asks to be cancelled with that in its hands.
    let saves = script(40, RunEnd::Cancelled { killed: false }).saving(7);
    fakes.add(
        "t/skill",
        parts,
        vec![saves, script(60, trap), done(10), done(10)],
    );
    let mut bench = bench(fakes);
    let good = version("t/skill", json!({ "parts": free }));
    *bench.engine.plugins().instead.borrow_mut() = Some(Some(good));
    let tasks = [(); 2].map(|()| bench.submit(SubmitOptions::default()));
    for task in tasks {
        bench.finish(task);
    }
    let resumed: Vec<_> = bench.starts().into_iter().map(|start| start.1).collect();
    assert!(resumed.iter().all(Option::is_none), "{resumed:?}");
}

#[test]
fn a_recovery_whose_version_was_left_is_ended() {
    let mut fakes = skill(vec![fails("jam"), done(10)]);
    let scripts = vec![script(
        10_000,
        RunEnd::Finished(json!({ "message": "m", "next": "resume" })),
    )];
    fakes.recovery("t/right", &["jam"], (10, 0.9), scripts);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    bench.run(200);
    assert_eq!(
        bench.engine.status(task).map(|now| now.plugin),
        Some("t/right".to_owned())
    );
    bench.engine.abandon("t/right", "1.0.0", "it was left");
    let end = bench.finish(task);
    assert!(end.ended < Tick(5_000), "{end:?}");
    assert_eq!(end.state, TaskState::Failed, "its other attempts fail");
}
