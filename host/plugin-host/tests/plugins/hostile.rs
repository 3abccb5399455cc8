//! Plugins that do wrong: the host stays up, the robot ends in a hold, the run says what happened.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sinew_messages::ArmGoalKind;
use sinew_plugin_host::{Limits, RunEnd, RunEvent};

use crate::rig::{GRANTS, Rig};

/// Runs it, checks how it ended, and that the host goes on as if nothing had been.
fn check(params: &str, expected: impl Fn(&RunEnd) -> bool) {
    let mut rig = Rig::new();
    let end = rig.act(params);
    assert!(expected(&end), "{params}: {end:?}");
    assert_eq!(rig.said(r#"{"act":"sleep","ticks":3}"#), "slept");
}

fn trapped<'a>(words: &'a [&'a str]) -> impl Fn(&RunEnd) -> bool + 'a {
    move |end| match end {
        RunEnd::Trapped { message } => words.iter().all(|word| message.contains(word)),
        _ => false,
    }
}

fn out_of(budget: &str) -> impl Fn(&RunEnd) -> bool + '_ {
    move |end| match end {
        RunEnd::OutOfBudget {
            what,
            nondeterministic,
        } => what.contains(budget) && !nondeterministic,
        _ => false,
    }
}

#[test]
fn a_trap_ends_the_run_and_says_where() {
    check(
        r#"{"act":"panic"}"#,
        trapped(&["on purpose", "lib.rs", "wasm backtrace"]),
    );
    check(r#"{"act":"trap"}"#, trapped(&["unreachable", "misbehave"]));
    check(r#"{"act":"exit"}"#, trapped(&["called exit"]));
    check(r#"{"act":"recurse"}"#, trapped(&[]));
}

#[test]
fn an_endless_loop_ends_at_the_same_tick_every_time() {
    let run = || {
        let mut rig = Rig::new();
        let mut run = rig.start(r#"{"act":"spin"}"#);
        let end = rig.finish(&mut run, 1_000);
        assert!(out_of("computing")(&end), "{end:?}");
        rig.now()
    };
    let ended = run();
    // It is spread over many steps, so that the brain goes on meanwhile.
    assert!(ended.0 > 10, "{ended}");
    assert_eq!(ended, run());
}

#[test]
fn a_loop_that_burns_time_without_fuel_meets_the_guard() {
    for (step_cpu_ms, step_wall_ms) in [(u64::MAX, 300), (100, u64::MAX)] {
        let limits = Limits {
            step_cpu_ms,
            step_wall_ms,
            fuel_per_step: u64::MAX / 2,
            // Else the faster of two machines meets the budget before the guard.
            fuel_between_calls: u64::MAX / 2,
            ..Limits::default()
        };
        let (mut rig, plugin) = Rig::with(limits, GRANTS);
        let mut run = rig.start_of(&plugin, r#"{"act":"copy"}"#);
        let end = rig.finish(&mut run, 10);
        assert!(
            matches!(
                &end,
                RunEnd::OutOfBudget {
                    nondeterministic: true,
                    ..
                }
            ),
            "{end:?}"
        );
        // It is left where it stands, and booked all the same.
        let usage = run.usage();
        assert!(usage.memory_peak_bytes > 0 && usage.fuel > 0, "{usage:?}");
        assert_eq!(rig.host.running(), 0);
    }
}

#[test]
fn memory_handles_and_long_lists_are_limited() {
    check(r#"{"act":"allocate"}"#, out_of("memory"));
    check(r#"{"act":"long-list","bytes":4000000}"#, trapped(&[]));
    let said = Rig::new().said(r#"{"act":"handle-bomb"}"#);
    assert!(said.contains("more than 256 handles"), "{said}");
}

/// Says to the test that it is its own child, and which limit it has.
const STARVED_OF: &str = "SINEW_TEST_STARVED_OF";

#[test]
fn what_the_machine_has_no_memory_for_is_not_the_plugins_fault() {
    let test = "hostile::what_the_machine_has_no_memory_for_is_not_the_plugins_fault";
    let Ok(limit) = std::env::var(STARVED_OF) else {
        for limit in ["addresses", "data"] {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args([test, "--exact", "--nocapture"])
                .env(STARVED_OF, limit)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout);
            assert!(child.status.success(), "{limit}: {child:?}");
            assert!(said.contains("1 passed"), "{limit}: {said}");
        }
        return;
    };
    let mut rig = Rig::new();
    let pages: Vec<u64> = (std::fs::read_to_string("/proc/self/statm").unwrap())
        .split_whitespace()
        .map(|pages| pages.parse().unwrap())
        .collect();
    // Neither is room for a fiber's stack, nor for as much as the guest may have.
    let (limited, pages, spare) = match limit.as_str() {
        "addresses" => (Resource::As, pages[0], 1 << 20),
        _ => (Resource::Data, pages[5], 16 << 20),
    };
    let most = Some(pages * rustix::param::page_size() as u64 + spare);
    let (current, maximum) = (most, getrlimit(limited).maximum);
    setrlimit(limited, Rlimit { current, maximum }).unwrap();
    let mut run = rig.start(r#"{"act":"allocate"}"#);
    let end = rig.finish(&mut run, 1_000);
    let RunEnd::Starved { what } = &end else {
        panic!("{end:?}");
    };
    assert!(what.contains("annot allocate memory"), "{what}");
}

#[test]
fn floods_are_cut_off_and_calls_are_paced() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"log-flood","lines":5000}"#);
    let end = rig.finish(&mut run, 100);
    assert!(matches!(end, RunEnd::Finished(_)), "{end:?}");
    assert!(rig.log().len() < 500, "{}", rig.log().len());
    assert_eq!(run.usage().log_dropped, 5_000 - rig.log().len() as u64);
    let said = rig.said(r#"{"act":"event-flood","events":900}"#);
    assert_eq!(said, "800 refused");

    let before = rig.now().0;
    assert_eq!(rig.said(r#"{"act":"call-often","times":10000}"#), "called");
    assert_eq!(rig.now().0, before + 10);
    // Whoever asks by way of the standard library is counted, too.
    let before = rig.now().0;
    assert_eq!(rig.said(r#"{"act":"ask-std","times":10000}"#), "asked");
    assert_eq!(rig.now().0, before + 10);
}

#[test]
fn numbers_that_are_not_finite_never_reach_the_robot() {
    let mut rig = Rig::new();
    assert_eq!(rig.said(r#"{"act":"move-nan"}"#), "0 accepted");
    assert!(rig.robot.arm_goals.is_empty());
    let answers = rig.log().join("\n");
    for reason in [
        "not finite",
        "6 joints given",
        "NaN is not in",
        "no positive force",
        "there are home, look-bin",
    ] {
        assert!(answers.contains(reason), "{reason}: {answers}");
    }
}

#[test]
fn a_cancelled_run_may_tidy_up_and_the_motion_brakes_at_once() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"tidy-up"}"#);
    for _ in 0..5 {
        assert_eq!(run.poll(rig.now()), None);
        rig.tick();
    }
    run.cancel();
    rig.tick();
    assert_eq!(rig.robot.arm_goals.last(), Some(&ArmGoalKind::Hold));
    assert_eq!(
        rig.finish(&mut run, 10),
        RunEnd::Cancelled { killed: false }
    );
    assert_eq!(rig.log(), ["Err(Cancelled) true"]);
}

#[test]
fn a_run_that_ignores_its_cancellation_is_killed_after_its_grace() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"ignore-cancel"}"#);
    for _ in 0..5 {
        assert_eq!(run.poll(rig.now()), None);
        rig.tick();
    }
    let asked = rig.now().0;
    run.cancel();
    assert_eq!(
        rig.finish(&mut run, 10_000),
        RunEnd::Cancelled { killed: true }
    );
    assert!(rig.now().0 - asked <= Limits::default().grace_ticks + 2);
    assert!(run.has_ended());
    rig.tick();
    assert_eq!(rig.robot.arm_goals.last(), Some(&ArmGoalKind::Hold));
}

/// Where others have all of the time, nobody is blamed for what there was none for.
#[test]
fn a_run_that_has_no_turn_is_neither_deaf_nor_long() {
    let limits = Limits {
        run_ticks: 500,
        share_ms: 50,
        ..Limits::default()
    };
    let (rig, plugin) = Rig::with(limits, GRANTS);
    let mut rig = Rig {
        host: rig.host.in_real_time(),
        ..rig
    };
    let mut run = rig.start_of(&plugin, r#"{"act":"tidy-up"}"#);
    rig.host.begin_step();
    assert_eq!(run.poll(rig.now()), None);
    let others = |rig: &mut Rig, run: &mut sinew_plugin_host::Run, ticks: u64| {
        rig.host.begin_step();
        std::thread::sleep(std::time::Duration::from_millis(60));
        assert!(rig.host.step_is_used_up());
        for _ in 0..ticks {
            rig.tick();
            assert_eq!(run.poll(rig.now()), None);
        }
    };
    others(&mut rig, &mut run, 2 * 500);
    run.cancel();
    others(&mut rig, &mut run, 2 * Limits::default().grace_ticks);
    let ends = (0..10).find_map(|_| {
        rig.tick();
        rig.host.begin_step();
        run.poll(rig.now())
    });
    assert_eq!(ends, Some(RunEnd::Cancelled { killed: false }));
}

#[test]
fn a_run_has_a_longest_length() {
    let limits = Limits {
        run_ticks: 500,
        ..Limits::default()
    };
    let (mut rig, plugin) = Rig::with(limits, GRANTS);
    let mut run = rig.start_of(&plugin, r#"{"act":"sleep","ticks":9999999}"#);
    let end = rig.finish(&mut run, 1_000);
    assert!(out_of("run length: 500 ticks")(&end), "{end:?}");
}

#[test]
fn a_refused_call_is_an_event() {
    let mut rig = Rig::new();
    rig.said(r#"{"act":"read-file"}"#);
    let denied: Vec<_> = rig
        .events
        .iter()
        .filter(|event| matches!(event, RunEvent::Denied { .. }))
        .collect();
    assert_eq!(denied.len(), 1, "{denied:?}");
}
