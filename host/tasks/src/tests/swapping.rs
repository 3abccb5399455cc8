//! Tasks that go over from one version of their skill to another.

use super::*;
use crate::SwapAt;
use crate::event::Happening;

/// Makes another version of the skill the active one.
fn activate(bench: &mut Bench, number: &str, extra: Value) {
    let mut all = json!({ "version": number });
    let (Some(map), Value::Object(extra)) = (all.as_object_mut(), extra) else {
        panic!("both are objects");
    };
    map.extend(extra);
    let version = version("t/skill", all);
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
    *bench.engine.plugins().instead.borrow_mut() = Some(good);
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
    *bench.engine.plugins().instead.borrow_mut() = good;
    activate(&mut bench, "2.0.0", json!({}));
    bench
        .engine
        .go_over("t/skill", SwapAt::SafePoint, "an update");
    let end = bench.finish(task);
    assert_eq!((end.version.as_str(), end.swaps), ("1.0.0", 2));
    let from: Vec<Option<u8>> = bench.starts().iter().map(|start| start.1).collect();
    assert_eq!(from, [None, Some(7), Some(7)]);
}
