//! Running, judging, stopping and the order of things.

use super::*;

#[test]
fn a_task_runs_and_succeeds_on_the_first_pass() {
    let mut bench = bench(skill(vec![done(100)]));
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(
        bench.engine.status(task).map(|status| status.state),
        Some(TaskState::Queued)
    );
    bench.run(10);
    let status = bench.engine.status(task).expect("it is known");
    assert_eq!(status.state, TaskState::Running);
    assert_eq!(status.step, "work of t/skill");
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Succeeded);
    assert!(end.first_pass && !end.needs_person && end.label.is_none());
    assert_eq!(end.result, json!({ "placed": 1 }));
    // It ran its 100 ticks and one for the robot to be seen at rest.
    assert_eq!(end.ended.since(end.started), Ticks(101));
    assert_eq!(bench.states(), [TaskState::Running, TaskState::Succeeded]);
    bench.engine.forget(task);
    assert_eq!(bench.engine.status(task), None);
}

#[test]
fn what_the_taxonomy_does_not_know_is_a_skill_fault_and_so_is_a_death() {
    let deaths = [
        (FaultKind::Result, fails("went-badly").end),
        (
            FaultKind::Trap,
            RunEnd::Trapped {
                message: "out of bounds\nat its place".to_owned(),
            },
        ),
        (
            FaultKind::Budget,
            RunEnd::OutOfBudget {
                what: "computing".to_owned(),
                nondeterministic: false,
            },
        ),
        (FaultKind::Killed, RunEnd::Cancelled { killed: true }),
    ];
    for (kind, death) in deaths {
        let mut bench = bench(skill(vec![script(10, death.clone()), done(10)]));
        let first = bench.submit(SubmitOptions::default());
        let second = bench.submit(SubmitOptions::default());
        let end = bench.finish(first);
        assert_eq!(end.label, Some(FailureLabel::SkillFault), "{death:?}");
        let faulty = bench.engine.take_faulty();
        let [run] = &faulty[..] else {
            panic!("{death:?}: {faulty:?}");
        };
        let who = (run.task.0, run.number, run.assess, run.plugin.as_str());
        assert_eq!(who, (1, 1, false, "t/skill"));
        assert_eq!(run.fault.kind, kind);
        assert!(!run.fault.text.contains('\n'), "{}", run.fault.text);
        // Its leases are free again.
        assert_eq!(bench.finish(second).state, TaskState::Succeeded);
        assert_eq!(bench.engine.take_faulty(), [], "this one did nothing wrong");
    }
    let mut bench = bench(skill(vec![fails("dropped")]));
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).state, TaskState::Failed);
    assert_eq!(bench.engine.take_faulty(), [], "a failure is no fault");
}

#[test]
fn leases_are_given_back_only_when_the_robot_stands() {
    let trap = RunEnd::Trapped {
        message: "unreachable".to_owned(),
    };
    let mut bench = bench(skill(vec![script(10, trap), done(10)]));
    bench.status.tool_speed_m_s = 0.3;
    let first = bench.submit(SubmitOptions::default());
    let second = bench.submit(SubmitOptions::default());
    bench.run(500);
    assert_eq!(bench.engine.end(first), None);
    assert_eq!(bench.starts().len(), 1);
    bench.status.tool_speed_m_s = 0.0;
    bench.run(1);
    assert!(bench.engine.end(first).is_some());
    bench.run(1);
    assert_eq!(bench.starts().len(), 2);
    // A robot that never comes to rest holds nobody up for ever.
    bench.status.tool_speed_m_s = 0.3;
    assert_eq!(bench.finish(second).state, TaskState::Succeeded);
}

#[test]
fn one_part_has_one_holder_and_disjoint_parts_run_together() {
    let mut fakes = skill(vec![done(300)]);
    fakes.add(
        "t/arm",
        json!({ "parts": ["arm"] }),
        vec![done(300), done(300)],
    );
    fakes.add("t/grip", json!({ "parts": ["gripper"] }), vec![done(300)]);
    let mut bench = bench(fakes);
    let submit = |bench: &mut Bench, skill: &str| {
        let options = SubmitOptions::default();
        bench.engine.submit(skill, "{}", options).expect("sound")
    };
    let arm = submit(&mut bench, "t/arm");
    let other_arm = submit(&mut bench, "t/arm");
    let grip = submit(&mut bench, "t/grip");
    // This one declares no parts, so it needs them all.
    let all = submit(&mut bench, "t/skill");
    bench.run(10);
    let state = |bench: &Bench, task| bench.engine.status(task).map(|status| status.state);
    assert_eq!(state(&bench, arm), Some(TaskState::Running));
    assert_eq!(state(&bench, other_arm), Some(TaskState::Queued));
    assert_eq!(state(&bench, grip), Some(TaskState::Running));
    assert_eq!(state(&bench, all), Some(TaskState::Queued));
    for task in [arm, other_arm, grip, all] {
        assert_eq!(bench.finish(task).state, TaskState::Succeeded);
    }
}

#[test]
fn a_skill_that_says_yes_while_the_world_says_no_is_a_false_success() {
    let placed = json!({ "post_conditions": [
        { "predicate": "class-in-slot", "class": "block", "slot": "A1" },
    ]});
    let mut fakes = Fakes::default();
    fakes.add("t/skill", placed, vec![done(100); 3]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(
        (end.state, end.label),
        (TaskState::Failed, Some(FailureLabel::FalseSuccess))
    );
    assert!(end.message.contains("no block in A1"), "{}", end.message);

    // The same with the part there.
    bench.objects = vec![ObjectTrack {
        id: 1,
        class: "block".into(),
        color: "red".into(),
        pose: Pose {
            position_m: [0.0, 0.0, 0.015],
            ..Pose::IDENTITY
        },
        velocity_m_s: [0.0; 3],
        size_m: [0.05, 0.03, 0.03],
        confidence: 1.0,
        position_sigma_m: 0.001,
        first_seen_tick: 0,
        last_seen_tick: 0,
    }];
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).state, TaskState::Succeeded);

    // An old picture of it proves nothing.
    bench.is_blind = true;
    let task = bench.submit(SubmitOptions::default());
    let end = bench.finish(task);
    assert_eq!(
        (end.state, end.label),
        (TaskState::Failed, Some(FailureLabel::SensorStall))
    );
}

#[test]
fn cancelling_ends_what_runs_and_what_waits() {
    let mut bench = bench(skill(vec![done(10_000), done(10)]));
    let running = bench.submit(SubmitOptions::default());
    let waiting = bench.submit(SubmitOptions::default());
    bench.run(10);
    bench.engine.cancel(waiting, "a test");
    bench.engine.cancel(running, "a test");
    bench.engine.cancel(TaskId(99), "a test");
    bench.run(5);
    for task in [running, waiting] {
        let end = bench.engine.end(task).expect("it is over");
        assert_eq!(end.state, TaskState::Cancelled);
        assert_eq!(end.label, Some(FailureLabel::OperatorAbort));
        assert_eq!(end.message, "cancelled by a test");
    }
    let next = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(next).state, TaskState::Succeeded);
}

#[test]
fn the_time_limit_ends_a_task_as_timeout() {
    let mut bench = bench(skill(vec![done(10_000)]));
    let task = bench.submit(SubmitOptions {
        time_limit: Some(Ticks(500)),
        ..SubmitOptions::default()
    });
    let end = bench.finish(task);
    assert_eq!(
        (end.state, end.label),
        (TaskState::Failed, Some(FailureLabel::Timeout))
    );
    assert!(end.ended.since(end.started) < Ticks(510));
}

#[test]
fn a_latched_stop_is_the_cause_of_what_fails_under_it() {
    let mut fakes = skill(vec![fails("slip")]);
    fakes.recovery(
        "t/fix",
        &["slip", "safety-stop"],
        (1, 1.0),
        vec![put_right("resume")],
    );
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    bench.run(5);
    bench.status.stop_state = StopState::Latched as u32;
    bench.status.reason = LimitKind::Force as u32;
    let end = bench.finish(task);
    assert_eq!(
        (end.state, end.label),
        (TaskState::Failed, Some(FailureLabel::SafetyStop))
    );
    assert!(end.message.contains("force"), "{}", end.message);
    assert!(end.needs_person && end.recoveries_attempted == 0);
    assert!(end.question.expect("asked").contains("reset"));
}

#[test]
fn a_plugin_that_ignores_a_latched_stop_is_killed_and_a_queued_task_waits_for_the_reset() {
    let mut bench = bench(skill(vec![done(1_000_000).deaf(), done(10)]));
    let running = bench.submit(SubmitOptions::default());
    let queued = bench.submit(SubmitOptions::default());
    bench.run(5);
    bench.status.stop_state = StopState::Latched as u32;
    bench.run(510);
    let end = bench.engine.end(running).expect("it was killed");
    assert_eq!(end.label, Some(FailureLabel::SafetyStop));
    bench.run(1_000);
    assert_eq!(
        bench.engine.status(queued).map(|status| status.state),
        Some(TaskState::Queued)
    );
    bench.status.stop_state = StopState::Clear as u32;
    assert_eq!(bench.finish(queued).state, TaskState::Succeeded);
}

#[test]
fn requests_that_make_no_sense_are_refused_before_anything_runs() {
    let mut fakes = skill(vec![]);
    fakes.recovery("t/fix", &["slip"], (1, 1.0), vec![]);
    let mut bench = bench(fakes);
    let mut check = |skill: &str, params: &str, expected: &str| {
        let error = bench
            .engine
            .submit(skill, params, SubmitOptions::default())
            .expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        matches!(error, SubmitError::UnknownSkill { .. })
    };
    assert!(check(
        "t/skil",
        "{}",
        "there is no skill `t/skil`; there are t/skill"
    ));
    assert!(!check("t/fix", "{}", "`t/fix` is a recovery"));
    check("t/skill", "{", "not JSON");
    check(
        "t/skill",
        r#"{ "class": "gear" }"#,
        "parameters of `t/skill`: /class: there is no class `gear`; this cell has block",
    );
    bench.run(10);
    assert!(bench.engine.tasks().is_empty() && bench.engine.take_events().is_empty());
}

#[test]
fn equal_inputs_give_equal_events_and_every_event_is_one_line_and_json() {
    let run = || {
        let mut fakes = skill(vec![fails("dropped").saving(1), fails("jam"), done(30)]);
        fakes.recovery(
            "t/a",
            &["dropped", "jam"],
            (10, 0.5),
            vec![put_right("resume"); 4],
        );
        fakes.recovery("t/b", &["dropped"], (10, 0.6), vec![fails("timeout"); 4]);
        let mut bench = bench(fakes);
        bench.engine.set_history(History::default());
        let task = bench.submit(SubmitOptions {
            seed: 7,
            ..SubmitOptions::default()
        });
        bench.finish(task);
        bench.engine.take_events()
    };
    let events = run();
    assert_eq!(events, run());
    assert!(events.len() > 15);
    for event in events {
        let line = event.what.message();
        assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
        let json = serde_json::to_value(&event).expect("events are JSON");
        assert_eq!(json["event"], event.what.name());
        assert_eq!(json["tick"], event.tick.0);
        assert!(["debug", "info", "warn", "error"].contains(&event.what.level()));
    }
}

#[test]
fn what_the_post_conditions_can_not_be_judged_of_is_not_taken() {
    let each = json!({ "predicate": "holding", "value": false, "each": "/all" });
    let mut fakes = Fakes::default();
    fakes.add(
        "t/skill",
        json!({ "post_conditions": [each.clone(), each.clone(), each] }),
        vec![done(10)],
    );
    let mut bench = bench(fakes);
    let of = |entries: usize| json!({ "all": vec![0; entries] }).to_string();
    let mut submit = |params: String| {
        let options = SubmitOptions::default();
        (bench.engine.submit("t/skill", &params, options)).map_err(|error| error.to_string())
    };
    assert!(submit(of(600)).is_ok());
    let refused = submit(of(700)).expect_err("too many");
    assert!(
        refused.contains("`t/skill`") && refused.contains("about 2100 entries"),
        "{refused}"
    );
}

#[test]
fn the_world_is_not_believed_to_disagree_by_the_same_image_looked_at_again() {
    let placed = json!({ "post_conditions": [
        { "predicate": "class-in-slot", "class": "block", "slot": "A1" },
    ]});
    let mut fakes = Fakes::default();
    fakes.add("t/skill", placed, vec![done(5)]);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions {
        recovery: false,
        ..SubmitOptions::default()
    });
    // Two of them come within the time that the world has to agree.
    bench.image_every = 1_400;
    let end = bench.finish(task);
    assert_eq!(end.label, Some(FailureLabel::FalseSuccess));
    assert_eq!(end.ended, Tick(3 * 1_400), "the third one");
}
