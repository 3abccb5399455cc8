//! Failures, recoveries and their budgets.

use super::*;

#[test]
fn a_recovery_puts_it_right_and_the_skill_resumes_from_its_checkpoint() {
    let mut fakes = skill(vec![fails("dropped").saving(1), done(30).saving(2)]);
    fakes.recovery(
        "t/fix",
        &["dropped"],
        (1_000, 0.9),
        vec![put_right("resume")],
    );
    fakes.recovery("t/other", &["jam"], (1, 1.0), vec![]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Succeeded);
    assert!(!end.first_pass);
    assert_eq!((end.recoveries_attempted, end.recoveries_succeeded), (1, 1));
    assert_eq!(end.failures_met, [FailureLabel::Dropped]);
    let asked = bench.engine.plugins().asked.take();
    assert_eq!(asked, [("1.0.0".to_owned(), true)]);
    assert_eq!(
        bench.starts(),
        [
            ("t/skill".to_owned(), None, 0),
            ("t/fix".to_owned(), None, 0),
            ("t/skill".to_owned(), Some(1), 0),
        ]
    );
    assert_eq!(
        bench.states(),
        [
            TaskState::Running,
            TaskState::Recovering,
            TaskState::Running,
            TaskState::Succeeded
        ]
    );
    assert_eq!(
        bench.engine.history().of("t/fix", FailureLabel::Dropped),
        (1, 1)
    );
}

#[test]
fn a_restart_forgets_the_checkpoint() {
    let mut fakes = skill(vec![fails("dropped").saving(1), done(30)]);
    fakes.recovery("t/fix", &["dropped"], (1, 1.0), vec![put_right("restart")]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).state, TaskState::Succeeded);
    assert_eq!(bench.starts()[2], ("t/skill".to_owned(), None, 0));
}

#[test]
fn a_recovery_that_changes_nothing_does_not_count_and_is_not_asked_for_ever() {
    let mut fakes = skill(vec![fails("jam").saving(1); 9]);
    fakes.recovery("t/fix", &["jam"], (1, 1.0), vec![put_right("resume"); 9]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    // The first attempt got it past nothing, since the checkpoint stayed; nor did the second.
    assert_eq!(end.state, TaskState::Failed);
    assert_eq!(end.label, Some(FailureLabel::Jam));
    assert_eq!((end.recoveries_attempted, end.recoveries_succeeded), (2, 0));
    assert!(end.needs_person);
    let question = end.question.expect("a person is asked");
    assert!(
        question.contains("jam") && question.contains("2 recoveries"),
        "{question}"
    );
}

#[test]
fn attempts_are_bounded_even_if_each_helps_a_little() {
    let mut fakes = skill((1..=20).map(|n| fails("jam").saving(n)).collect());
    fakes.recovery("t/fix", &["jam"], (1, 1.0), vec![put_right("resume"); 20]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Failed);
    let budget = RecoveryBudget::default();
    assert_eq!(end.recoveries_attempted, u64::from(budget.attempts));
    assert_eq!(end.recoveries_succeeded, u64::from(budget.attempts));
    let attempts: Vec<u32> = bench
        .starts()
        .into_iter()
        .filter(|(name, ..)| name == "t/fix")
        .map(|(_, _, attempts)| attempts)
        .collect();
    assert_eq!(attempts, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_a_recovery_finds_out_may_be_another_recoverys_business() {
    let mut fakes = skill(vec![fails("dropped").saving(1), done(30)]);
    fakes.recovery(
        "t/fix",
        &["dropped"],
        (1, 1.0),
        vec![fails("missing-object")],
    );
    fakes.recovery(
        "t/search",
        &["missing-object"],
        (1, 1.0),
        vec![put_right("resume")],
    );
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Succeeded);
    assert_eq!(
        end.failures_met,
        [FailureLabel::Dropped, FailureLabel::MissingObject]
    );
    assert_eq!((end.recoveries_attempted, end.recoveries_succeeded), (2, 1));
    let history = bench.engine.history();
    assert_eq!(history.of("t/fix", FailureLabel::Dropped), (1, 0));
    assert_eq!(history.of("t/search", FailureLabel::MissingObject), (1, 1));
}

#[test]
fn a_recovery_that_dies_is_a_failed_attempt_and_the_next_best_is_tried() {
    let trap = RunEnd::Trapped {
        message: "unreachable".to_owned(),
    };
    let mut fakes = skill(vec![fails("slip"), done(30)]);
    fakes.recovery(
        "t/a",
        &["slip"],
        (1, 1.0),
        vec![script(5, trap.clone()), script(5, trap)],
    );
    fakes.recovery("t/b", &["slip"], (100, 0.1), vec![put_right("resume")]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Succeeded);
    assert_eq!(end.recoveries_attempted, 3);
    let order: Vec<String> = bench.starts().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(order, ["t/skill", "t/a", "t/a", "t/b", "t/skill"]);
}

#[test]
fn recoveries_are_asked_one_a_step_and_no_more_once_somebody_takes_the_task_back() {
    let with_three = || {
        let mut fakes = skill(vec![fails("slip"), done(30)]);
        for name in ["t/a", "t/b", "t/c"] {
            fakes.recovery(name, &["slip"], (1, 1.0), vec![put_right("resume")]);
        }
        bench(fakes)
    };
    let asked = |bench: &Bench| bench.engine.plugins().asked.borrow().len();
    let until_asked = |bench: &mut Bench| {
        let task = bench.submit(SubmitOptions::default());
        (0..10_000).any(|_| {
            bench.run(1);
            asked(bench) > 0
        });
        assert_eq!(asked(bench), 1);
        task
    };
    let mut bench = with_three();
    let task = until_asked(&mut bench);
    bench.run(1);
    assert_eq!(asked(&bench), 2);
    bench.run(1);
    assert_eq!((asked(&bench), bench.starts().len()), (3, 2), "one runs");
    assert_eq!(bench.finish(task).state, TaskState::Succeeded);

    let mut bench = with_three();
    let task = until_asked(&mut bench);
    bench.engine.cancel(task, "somebody");
    let end = bench.finish(task);
    assert_eq!((end.state, asked(&bench)), (TaskState::Cancelled, 1));
}

#[test]
fn nobody_else_takes_the_robot_while_recoveries_are_asked() {
    let mut fakes = skill(vec![fails("slip"), done(30), done(30)]);
    for name in ["t/a", "t/b"] {
        fakes.recovery(name, &["slip"], (1, 1.0), vec![put_right("resume")]);
    }
    let mut bench = bench(fakes);
    let first = bench.submit(SubmitOptions::default());
    let second = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(first).state, TaskState::Succeeded);
    assert_eq!(bench.finish(second).state, TaskState::Succeeded);
    let order: Vec<String> = bench.starts().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(order, ["t/skill", "t/a", "t/skill", "t/skill"]);
}

#[test]
fn a_recovery_that_is_gone_when_it_is_to_begin_is_not_the_skills_fault() {
    let mut fakes = skill(vec![fails("slip"), done(30)]);
    for (name, cost) in [("t/a", 1), ("t/b", 9), ("t/c", 99)] {
        fakes.recovery(name, &["slip"], (cost, 1.0), vec![put_right("resume")]);
    }
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    while bench.engine.plugins().asked.borrow().is_empty() {
        bench.run(1);
    }
    bench.engine.plugins().versions.borrow_mut().remove("t/a");
    assert_eq!(bench.finish(task).state, TaskState::Succeeded);
    let order: Vec<String> = bench.starts().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(order, ["t/skill", "t/b", "t/skill"]);
}

#[test]
fn a_stop_ends_the_asking() {
    let mut fakes = skill(vec![fails("slip")]);
    for name in ["t/a", "t/b", "t/c"] {
        fakes.recovery(name, &["slip"], (1, 1.0), vec![]);
    }
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    while bench.engine.plugins().asked.borrow().is_empty() {
        bench.run(1);
    }
    bench.status.stop_state = StopState::Latched as u32;
    assert_eq!(bench.finish(task).label, Some(FailureLabel::SafetyStop));
    assert_eq!(bench.engine.plugins().asked.borrow().len(), 1);
}

#[test]
fn a_recovery_that_takes_too_long_is_cancelled() {
    let mut fakes = skill(vec![fails("slip"), done(30)]);
    fakes.recovery("t/a", &["slip"], (1, 1.0), vec![done(10_000_000); 2]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(
        (end.state, end.label),
        (TaskState::Failed, Some(FailureLabel::Slip))
    );
    assert_eq!(end.recoveries_attempted, 2);
    let budget = RecoveryBudget::default();
    assert!(end.ended.since(end.started) < Ticks(2 * budget.run_time.0 + 1_000));
}

#[test]
fn without_recovery_a_failure_is_final_and_a_person_is_needed() {
    let mut fakes = skill(vec![fails("dropped")]);
    fakes.recovery("t/fix", &["dropped"], (1, 1.0), vec![put_right("resume")]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions {
        recovery: false,
        ..SubmitOptions::default()
    });
    let end = bench.finish(task);
    assert_eq!(
        (end.state, end.label),
        (TaskState::Failed, Some(FailureLabel::Dropped))
    );
    assert_eq!(end.recoveries_attempted, 0);
    assert!(end.needs_person && end.question.is_some());
    assert_eq!(bench.states(), [TaskState::Running, TaskState::Failed]);
}
