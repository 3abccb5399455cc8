//! Runs that need more time than a step has.

use super::*;

const FREE: [&str; 0] = [];

/// Skills that need no part of the robot, each with what it takes of a step.
fn hogs(percents: &[(&str, u64)]) -> Bench {
    let mut fakes = Fakes::default();
    for (name, percent) in percents {
        let scripts = vec![done(u64::MAX / 2).taking(*percent)];
        fakes.add(name, json!({ "parts": FREE }), scripts);
    }
    bench(fakes)
}

fn submit(bench: &mut Bench, skill: &str) -> TaskId {
    (bench.engine)
        .submit(skill, "{}", SubmitOptions::default())
        .expect("a sound request")
}

/// How often each one went on.
fn served(bench: &Bench) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for name in bench.engine.plugins().share.served.borrow().iter() {
        *times.entry(name.clone()).or_default() += 1;
    }
    times
}

#[test]
fn whoever_a_step_has_no_time_for_comes_first_in_the_next_one() {
    let mut bench = hogs(&[("t/a", 100), ("t/b", 1), ("t/c", 100), ("t/d", 1)]);
    for name in ["t/a", "t/b", "t/c", "t/d"] {
        submit(&mut bench, name);
    }
    bench.run(300);
    let served = served(&bench);
    // One step from `a` to `a`, one from `b` to `c`, one from `d` to `a`, and so on.
    for (name, times) in &served {
        assert!(*times >= 100, "{name}: {served:?}");
    }
    assert_eq!(served.len(), 4);
}

#[test]
fn in_a_step_that_has_time_for_all_they_go_on_in_the_order_of_their_submission() {
    let mut bench = hogs(&[("t/a", 40), ("t/b", 30), ("t/c", 20)]);
    for name in ["t/b", "t/a", "t/c"] {
        submit(&mut bench, name);
    }
    bench.run(50);
    let order = bench.engine.plugins().share.served.borrow().clone();
    assert_eq!(order.len(), 150);
    for step in order.chunks(3) {
        assert_eq!(step, ["t/b", "t/a", "t/c"]);
    }
}

#[test]
fn parts_are_taken_in_the_order_of_submission_whoever_keeps_the_brain() {
    let mut bench = hogs(&[("t/hog", 100), ("t/other-hog", 100)]);
    let scripts = (0..4).map(|_| done(5)).collect();
    (bench.engine.plugins().versions.borrow_mut())
        .insert("t/skill".to_owned(), version("t/skill", json!({})));
    (bench.engine.plugins().scripts.borrow_mut()).insert("t/skill".to_owned(), scripts);
    submit(&mut bench, "t/hog");
    let first = bench.submit(SubmitOptions::default());
    let second = bench.submit(SubmitOptions::default());
    submit(&mut bench, "t/other-hog");
    let third = bench.submit(SubmitOptions::default());
    let mut ends = Vec::new();
    for task in [third, second, first] {
        let end = bench.finish(task);
        assert_eq!(end.state, TaskState::Succeeded, "{end:?}");
        ends.push(end.started);
    }
    assert!(ends.is_sorted_by(|a, b| a > b), "{ends:?}");
}

#[test]
fn a_recovery_answers_in_a_step_that_has_time_for_it_and_its_parts_are_kept() {
    let mut fakes = skill(vec![fails("jam").taking(100), done(10)]);
    let scripts = vec![put_right("restart")];
    fakes.recovery("t/right", &["jam"], (10, 0.9), scripts);
    // Its answer takes all of a step, too.
    fakes.answer_takes = 100;
    let mut bench = bench(fakes);
    let first = bench.submit(SubmitOptions::default());
    let second = bench.submit(SubmitOptions::default());
    let end = bench.finish(first);
    assert_eq!(end.state, TaskState::Succeeded, "{end:?}");
    assert_eq!(end.recoveries_attempted, 1);
    let starts: Vec<String> = bench.starts().into_iter().map(|start| start.0).collect();
    assert_eq!(starts[..3], ["t/skill", "t/right", "t/skill"]);
    bench.finish(second);
}

#[test]
fn who_begins_waits_for_its_turn_where_others_have_not_had_theirs() {
    let mut bench = hogs(&[("t/a", 100), ("t/b", 100), ("t/c", 100)]);
    for name in ["t/a", "t/b"] {
        submit(&mut bench, name);
    }
    bench.run(10);
    let before = served(&bench)["t/a"];
    // One comes after the other, and each would take a step at once.
    for _ in 0..20 {
        submit(&mut bench, "t/c");
        bench.run(1);
    }
    assert!(served(&bench)["t/a"] > before, "{:?}", served(&bench));
}

#[test]
fn what_an_older_task_waits_for_no_later_one_takes() {
    let mut fakes = Fakes::default();
    let parts = |parts: &[&str]| json!({ "parts": parts });
    fakes.add("t/arm", parts(&["arm"]), vec![done(20), done(20), done(20)]);
    fakes.add("t/both", parts(&["arm", "gripper"]), vec![done(5)]);
    fakes.add("t/gripper", parts(&["gripper"]), vec![done(20), done(20)]);
    let mut bench = bench(fakes);
    submit(&mut bench, "t/arm");
    submit(&mut bench, "t/gripper");
    bench.run(10);
    let both = submit(&mut bench, "t/both");
    let later = ["t/arm", "t/gripper", "t/arm"].map(|name| submit(&mut bench, name));
    let end = bench.finish(both);
    assert_eq!(end.state, TaskState::Succeeded);
    for task in later {
        assert!(bench.finish(task).started > end.started);
    }
}

#[test]
fn what_the_skill_had_in_hand_nobody_takes_while_a_recovery_has_the_arm() {
    let mut fakes = Fakes::default();
    let parts = |parts: &[&str]| json!({ "parts": parts });
    fakes.add(
        "t/skill",
        parts(&["arm", "gripper"]),
        vec![fails("jam"), done(10)],
    );
    fakes.add("t/gripper", parts(&["gripper"]), vec![done(10)]);
    fakes.recovery("t/right", &["jam"], (10, 0.9), vec![put_right("restart")]);
    let arm_only = json!({ "kind": "recovery", "handles": ["jam"], "parts": ["arm"] });
    (fakes.versions.borrow_mut()).insert("t/right".to_owned(), version("t/right", arm_only));
    let mut bench = bench(fakes);
    let first = bench.submit(SubmitOptions::default());
    let second = submit(&mut bench, "t/gripper");
    let end = bench.finish(first);
    assert_eq!(
        (end.state, end.recoveries_attempted),
        (TaskState::Succeeded, 1)
    );
    assert!(bench.finish(second).started >= end.ended);
}

#[test]
fn a_task_that_has_begun_gets_its_parts_before_others_begin_and_keeps_what_it_holds() {
    let mut fakes = Fakes::default();
    let parts = |parts: &[&str]| json!({ "parts": parts });
    fakes.add("t/arm", parts(&["arm"]), vec![done(150), done(150)]);
    fakes.add("t/gripper", parts(&["gripper"]), vec![done(150); 4]);
    // It has something in the gripper when it fails, and its recovery needs the arm, too.
    fakes.add("t/skill", parts(&["gripper"]), vec![fails("jam"), done(10)]);
    fakes.recovery("t/right", &["jam"], (10, 0.9), vec![put_right("resume")]);
    let mut bench = bench(fakes);
    submit(&mut bench, "t/arm");
    let first = bench.submit(SubmitOptions::default());
    let later = ["t/arm", "t/gripper", "t/gripper"].map(|name| submit(&mut bench, name));
    let end = bench.finish(first);
    assert_eq!(
        (end.state, end.recoveries_attempted),
        (TaskState::Succeeded, 1)
    );
    let later = later.map(|task| bench.finish(task).started);
    // The arm was free again once its recovery was over; the gripper never was.
    assert!(later[0] >= Tick(200), "{later:?}");
    assert!(later[1] >= end.ended && later[2] >= end.ended, "{later:?}");
}

#[test]
fn the_time_in_which_a_recovery_had_no_turn_is_not_its_own() {
    let mut fakes = skill(vec![fails("jam"), done(10)]);
    let mut right = put_right("restart");
    // Two others keep it from going on in two steps of three.
    right.ticks = RecoveryBudget::default().run_time.0 * 2;
    fakes.recovery("t/right", &["jam"], (10, 0.9), vec![right.taking(100)]);
    let hogs = vec![done(u64::MAX / 2).taking(100); 2];
    fakes.add("t/hog", json!({ "parts": FREE }), hogs);
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    for _ in 0..2 {
        submit(&mut bench, "t/hog");
    }
    let end = bench.finish(task);
    assert_eq!(end.state, TaskState::Succeeded, "{end:?}");
    assert!(end.ended.0 > 2 * RecoveryBudget::default().run_time.0);
}

#[test]
fn a_part_that_is_kept_by_who_waits_is_free_enough_for_who_is_waited_for() {
    let mut fakes = Fakes::default();
    let parts = |parts: &[&str]| json!({ "parts": parts });
    let free = json!({ "parts": ["arm"], "post_conditions": [
        { "predicate": "part-free", "part": "gripper" },
    ]});
    fakes.add("t/arm", free, vec![done(150)]);
    fakes.add("t/skill", parts(&["gripper"]), vec![fails("jam"), done(10)]);
    fakes.recovery("t/right", &["jam"], (10, 0.9), vec![put_right("resume")]);
    let mut bench = bench(fakes);
    let arm = submit(&mut bench, "t/arm");
    let first = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(arm).state, TaskState::Succeeded);
    assert_eq!(bench.finish(first).state, TaskState::Succeeded);
}
