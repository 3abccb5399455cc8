//! What plugins may do, done.

use sinew_messages::{ArmGoalKind, LimitKind, MotionState, StopState};
use sinew_plugin_host::{Lease, Limits, OperatorPort, RunEnd, RunEvent, StartError, Usage};

use crate::rig::{GRANTS, Rig, failed, misbehave};

#[test]
fn a_move_suspends_the_guest_until_the_robot_is_there() {
    let mut rig = Rig::new();
    let end = rig.act(r#"{"act":"move","pose":"home"}"#);
    let RunEnd::Finished(result) = end else {
        panic!("{end:?}")
    };
    assert_eq!(result["said"], "Done at 0.400");
    assert!(result["ticks"].as_u64().unwrap() >= 40);
    let goal = rig.robot.last_arm.unwrap();
    // Half of what the grant allows, which is half.
    assert_eq!((goal.speed_scale, goal.acceleration_scale), (0.25, 1.0));
}

#[test]
fn the_same_run_gives_the_same_ticks_calls_and_fuel() {
    let run = || {
        let mut rig = Rig::new();
        let mut run = rig.start(r#"{"act":"wait-any"}"#);
        let end = rig.finish(&mut run, 1_000);
        // All but the processor's time, which no two runs share.
        let usage = Usage {
            cpu_ns: 0,
            ..run.usage()
        };
        assert!(run.usage().cpu_ns > 0);
        (end, usage, rig.now())
    };
    let first = run();
    assert!(first.1.fuel > 0 && first.1.calls > 3);
    assert_eq!(first, run());
}

#[test]
fn a_newer_motion_preempts_and_the_wait_tells_which_has_ended() {
    let said = Rig::new().said(r#"{"act":"wait-any"}"#);
    // The second argument of the first call was preempted at once; the second motion is waited for.
    assert_eq!(said, "Some(1) Some(0) None Preempted");
}

#[test]
fn a_motion_ends_by_cancel_drop_and_reach() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.said(r#"{"act":"start-and-cancel","ticks":10}"#),
        "false Held"
    );
    assert_eq!(rig.said(r#"{"act":"start-and-drop"}"#), "dropped");
    let kinds = [ArmGoalKind::Pose, ArmGoalKind::Hold, ArmGoalKind::Hold];
    // Started and dropped in one step: the loop only ever sees the hold.
    assert_eq!(rig.robot.arm_goals, kinds);
    let end = rig.act(r#"{"act":"move-to","position":[0.4,0.1,-0.2]}"#);
    assert_eq!(failed(end).0, "unreachable");
}

/// Whoever only looks whether `move-to` failed must not go on in mid-air.
#[test]
fn a_motion_that_does_not_arrive_is_an_error() {
    for (state, reason, label, words) in [
        (MotionState::Held, LimitKind::GripLost, "dropped", "is gone"),
        (MotionState::Held, LimitKind::Zone, "unreachable", "(zone)"),
        (
            MotionState::Held,
            LimitKind::None,
            "unreachable",
            "to a hold before the goal",
        ),
        (
            MotionState::Stopped,
            LimitKind::None,
            "safety-stop",
            "reset",
        ),
        (
            MotionState::Preempted,
            LimitKind::None,
            "skill-fault",
            "newer goal",
        ),
    ] {
        let mut rig = Rig::new();
        let mut run = rig.start(r#"{"act":"move","pose":"home"}"#);
        for _ in 0..5 {
            assert_eq!(run.poll(rig.now()), None);
            rig.tick();
        }
        // That some motion before was limited says nothing of this one.
        rig.robot.status.reason = LimitKind::Force as u32;
        rig.robot.status.held_for = reason as u32;
        rig.robot.status.arm_state = state as u32;
        rig.tick();
        let (told, message) = failed(rig.finish(&mut run, 20));
        assert_eq!(told, label);
        assert!(message.contains(words), "{message}");
        assert!(!message.contains(LimitKind::Force.name()), "{message}");
    }
}

#[test]
fn a_waiting_motion_keeps_its_lease_and_a_dead_host_does_not() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"move","pose":"home"}"#);
    for _ in 0..10 {
        assert_eq!(run.poll(rig.now()), None);
        rig.tick();
    }
    let lease = rig.robot.last_arm.unwrap().lease_end_tick;
    assert!(lease > rig.now().0 + 150, "{lease} at {}", rig.now());
    rig.tick();
    rig.tick();
    assert_eq!(rig.robot.last_arm.unwrap().lease_end_tick, lease);
}

#[test]
fn the_gripper_reports_what_it_holds_and_keeps_to_the_grant() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.said(r#"{"act":"grasp","force":20.0}"#),
        "Done 0.030 true"
    );
    let (label, message) = failed(rig.act(r#"{"act":"grasp","force":31.0}"#));
    assert_eq!(label, "skill-fault");
    assert!(message.contains("may grip with 30 N"), "{message}");
    let (_, message) = failed(rig.act(r#"{"act":"grasp","force":-1.0}"#));
    assert!(message.contains("no positive force"), "{message}");
}

#[test]
fn a_policy_runs_on_the_host_and_only_if_granted() {
    let mut rig = Rig::new();
    let said = rig.said(r#"{"act":"policy","name":"grasp"}"#);
    assert_eq!(said, r#"["grasp"] Done 100"#);
    let (_, message) = failed(rig.act(r#"{"act":"policy","name":"juggle"}"#));
    assert!(
        message.contains("no grant for the policy `juggle`"),
        "{message}"
    );
    assert!(
        rig.events
            .iter()
            .any(|event| matches!(event, RunEvent::Denied { .. }))
    );
}

#[test]
fn a_killed_run_cancels_its_policy_and_brakes_its_motion() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"policy","name":"grasp"}"#);
    assert_eq!(run.poll(rig.now()), None);
    run.kill();
    assert_eq!(rig.policy.lock().unwrap().cancelled, [1]);
    assert_eq!(run.poll(rig.now()), None);

    let mut run = rig.start(r#"{"act":"move","pose":"home"}"#);
    for _ in 0..5 {
        assert_eq!(run.poll(rig.now()), None);
        rig.tick();
    }
    drop(run);
    rig.tick();
    assert_eq!(rig.robot.arm_goals.last(), Some(&ArmGoalKind::Hold));
}

#[test]
fn a_latched_stop_is_a_safety_stop_for_the_guest() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"move","pose":"home"}"#);
    for _ in 0..5 {
        assert_eq!(run.poll(rig.now()), None);
        rig.tick();
    }
    rig.robot.status.stop_state = StopState::Latched as u32;
    assert_eq!(failed(rig.finish(&mut run, 100)).0, "safety-stop");
    for act in [
        r#"{"act":"move","pose":"home"}"#,
        r#"{"act":"grasp","force":5.0}"#,
        r#"{"act":"policy","name":"grasp"}"#,
    ] {
        assert_eq!(failed(rig.act(act)).0, "safety-stop", "{act}");
    }
}

#[test]
fn the_world_is_shown_new_and_a_stalled_camera_is_a_failure() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.said(r#"{"act":"look"}"#),
        "1 then 1 objects, first in `A1`, A1 is a pocket, stopped false"
    );
    rig.sees = false;
    rig.see(1_000);
    let (label, message) = failed(rig.act(r#"{"act":"look"}"#));
    assert_eq!(label, "sensor-stall");
    assert!(message.contains("overhead"), "{message}");
}

#[test]
fn sleeping_counts_ticks_whoever_does_it() {
    let mut rig = Rig::new();
    let before = rig.now().0;
    assert_eq!(rig.said(r#"{"act":"sleep","ticks":123}"#), "slept");
    assert_eq!(rig.now().0, before + 123);
    assert_eq!(rig.said(r#"{"act":"sleep-std","ms":250}"#), "250 ms");
    assert_eq!(rig.now().0, before + 123 + 250);
}

#[test]
fn nothing_of_the_outside_is_seen() {
    let mut rig = Rig::new();
    let said = rig.said(r#"{"act":"look-outside"}"#);
    assert_eq!(
        said,
        "0 variables, 0 arguments, 0 bytes, file false, socket false"
    );
    assert_eq!(rig.log(), ["standard output"]);
    assert!(
        misbehave()
            .wasi_imports()
            .iter()
            .any(|name| name.contains("sockets"))
    );
}

#[test]
fn a_checkpoint_is_kept_and_resumed_from() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"safe-point"}"#);
    let RunEnd::Failed(failure) = rig.finish(&mut run, 10) else {
        panic!("it fails after its safe point")
    };
    assert_eq!(failure.label, "dropped");
    assert_eq!(failure.detail, serde_json::json!([1, 2]));
    let checkpoint = run.checkpoint().unwrap();
    assert_eq!(checkpoint.schema, 3);
    let mut run = rig.resume(r#"{"act":"safe-point"}"#, Some(checkpoint.clone()));
    let RunEnd::Finished(result) = rig.finish(&mut run, 10) else {
        panic!("it is resumed")
    };
    assert_eq!(result["said"], "resumed at 2");
    assert_eq!(run.checkpoint().as_ref(), Some(&checkpoint));

    let mut foreign = checkpoint;
    foreign.schema = 99;
    let refused = rig.host.start_skill(
        misbehave(),
        r#"{"act":"safe-point"}"#,
        Some(foreign),
        Lease::ALL,
        1,
        rig.now(),
    );
    assert!(matches!(
        refused,
        Err(StartError::Checkpoint { schema: 99, .. })
    ));
    let (_, message) = failed(rig.act(r#"{"act":"foreign-safe-point"}"#));
    assert!(message.contains("version 99 is not among"), "{message}");
}

#[test]
fn memory_survives_runs_within_its_quota() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.said(r#"{"act":"remember"}"#),
        r#"1 runs, keys ["runs"]"#
    );
    assert_eq!(
        rig.said(r#"{"act":"remember"}"#),
        r#"2 runs, keys ["runs"]"#
    );
    let (label, message) = failed(rig.act(r#"{"act":"fill-memory"}"#));
    assert_eq!(label, "timeout");
    assert!(message.contains("65536 bytes"), "{message}");
    assert_eq!(
        Rig::new().said(r#"{"act":"remember"}"#),
        r#"1 runs, keys ["runs"]"#
    );
    assert_eq!(Rig::new().said(r#"{"act":"forget"}"#), "true None");
}

#[test]
fn an_optional_ask_answers_denied_and_an_absent_operator_unavailable() {
    let mut rig = Rig::new();
    let said = rig.said(r#"{"act":"read-file"}"#);
    assert!(
        said.contains("denied") && said.contains("no grant for `files`"),
        "{said}"
    );
    let (_, message) = failed(rig.act(r#"{"act":"ask"}"#));
    assert!(message.contains("nobody can be asked"), "{message}");
}

/// Answers what nobody was offered, then the second option.
#[derive(Default)]
struct Person {
    looks: u32,
}

impl OperatorPort for Person {
    fn ask(&mut self, _: &str, _: &str, _: &[String]) -> u64 {
        1
    }

    fn answer(&mut self, _: u64) -> Option<u32> {
        self.looks += 1;
        Some(if self.looks < 10 { 2 } else { 1 })
    }

    fn withdraw(&mut self, _: u64) {}
}

#[test]
fn a_person_chooses_among_what_is_offered() {
    let mut rig = Rig::asking(Person::default());
    let before = rig.now().0;
    assert_eq!(rig.said(r#"{"act":"ask"}"#), "Some(1)");
    assert_eq!(rig.now().0, before + 9);
}

#[test]
fn granted_files_do_not_leave_their_directory() {
    let grants = GRANTS.replace("\"world\", ", "\"world\", \"files\", ")
        + "[[plugins.\"test/misbehave\".directories]]\nname = \"secrets\"\npath = \"/tmp\"\n";
    let (mut rig, plugin) = Rig::with(Limits::default(), &grants);
    let mut run = rig.start_of(&plugin, r#"{"act":"read-file"}"#);
    let RunEnd::Finished(result) = rig.finish(&mut run, 10) else {
        panic!("it says why")
    };
    let said = result["said"].as_str().unwrap();
    assert!(said.contains("outside of the filesystem"), "{said}");
}

#[test]
fn parameters_that_miss_the_schema_say_where() {
    let rig = Rig::new();
    for (params, expected) in [
        ("{", "not JSON"),
        (r#"{"act":"sleep","ticks":-4}"#, "at `/"),
        (r#"{"act":"fly"}"#, "at `/"),
    ] {
        let Err(error) = rig
            .host
            .start_skill(misbehave(), params, None, Lease::ALL, 1, rig.now())
        else {
            panic!("{params} was accepted")
        };
        assert!(error.to_string().contains(expected), "{params}: {error}");
    }
    let Err(error) = rig.host.start_skill(
        misbehave(),
        r#"{"act":"look"}"#,
        None,
        Lease::default(),
        1,
        rig.now(),
    ) else {
        panic!("started without a lease")
    };
    assert!(error.to_string().contains("needs the arm"), "{error}");
}

#[test]
fn a_result_that_misses_its_schema_is_a_fault_of_the_skill() {
    let (label, message) = failed(Rig::new().act(r#"{"act":"wrong-result"}"#));
    assert_eq!(label, "skill-fault");
    assert!(message.contains("at `/said`"), "{message}");
}
