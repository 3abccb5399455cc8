//! What was refused to runs, and where it goes.

use super::*;
use crate::task::DeniedRun;

fn denied(bench: &mut Bench) -> Vec<(u64, u64, bool, String)> {
    let denied = bench.engine.take_denied().into_iter();
    let short = |run: DeniedRun| (run.task.0, run.number, run.assess, run.denials.plugin);
    denied.map(short).collect()
}

#[test]
fn a_run_leaves_what_was_refused_to_it_when_it_has_ended() {
    let mut bench = bench(skill(vec![done(100).refused(), done(100)]));
    let task = bench.submit(SubmitOptions::default());
    bench.run(50);
    assert_eq!(denied(&mut bench), [], "it goes on");
    bench.finish(task);
    assert_eq!(denied(&mut bench), [(1, 1, false, "t/skill".to_owned())]);
    let task = bench.submit(SubmitOptions::default());
    bench.finish(task);
    assert_eq!(denied(&mut bench), [], "nothing was refused to this one");
}

#[test]
fn what_is_asked_what_it_would_do_leaves_what_any_run_leaves() {
    let mut fakes = skill(vec![fails("dropped").saving(1).refused(), done(30)]);
    let helps = vec![put_right("resume").refused()];
    fakes.recovery("t/fix", &["dropped"], (1, 1.0), helps);
    fakes.recovery("t/other", &["dropped"], (1_000, 0.1), vec![]);
    fakes.refused_to_assess = vec!["t/fix".to_owned(), "t/other".to_owned()];
    let mut bench = bench(fakes);
    let task = bench.submit(SubmitOptions::default());
    assert_eq!(bench.finish(task).state, TaskState::Succeeded);
    let expected = [
        (1, 1, false, "t/skill"),
        (1, 2, true, "t/fix"),
        (1, 2, true, "t/other"),
        (1, 2, false, "t/fix"),
    ];
    let expected = expected.map(|(task, run, assess, name)| (task, run, assess, name.to_owned()));
    assert_eq!(denied(&mut bench), expected);
    let told: Vec<&str> = ["denied", "denied", "assessed"].into();
    let events = bench.engine.take_events();
    let names: Vec<&str> = (events.iter().map(|event| event.what.name()))
        .filter(|name| told.contains(name))
        .collect();
    assert_eq!(names, told);
    let refused = |event: &&crate::TaskEvent| event.what.name() == "denied";
    let by: Vec<&str> = (events.iter().filter(refused))
        .map(|event| event.what.plugin())
        .collect();
    assert_eq!(by, ["t/fix", "t/other"]);
}

#[test]
fn what_is_killed_or_goes_with_the_engine_leaves_it_too() {
    let mut bench = bench(skill(vec![done(1_000_000).deaf().refused(); 3]));
    bench.submit(SubmitOptions::default());
    let second = bench.submit(SubmitOptions::default());
    let third = bench.submit(SubmitOptions::default());
    bench.run(5);
    bench.status.stop_state = StopState::Latched as u32;
    bench.run(510);
    assert_eq!(denied(&mut bench), [(1, 1, false, "t/skill".to_owned())]);
    bench.status.stop_state = StopState::Clear as u32;
    bench.run(5);
    assert_eq!(denied(&mut bench), []);
    bench.engine.take_events();
    bench.engine.close();
    assert_eq!(denied(&mut bench), [(2, 1, false, "t/skill".to_owned())]);
    // For good: nothing of them goes on, nor what waited.
    bench.run(1_000);
    assert_eq!(
        (bench.engine.end(second), bench.engine.end(third)),
        (None, None)
    );
    assert_eq!((bench.starts().len(), denied(&mut bench).len()), (2, 0));
}

#[test]
fn only_what_a_plugin_says_by_itself_is_its_own() {
    let plugin = || "t/skill".to_owned();
    let own = [
        Happening::Step {
            plugin: plugin(),
            step: "s".to_owned(),
            object: None,
        },
        Happening::Emitted {
            plugin: plugin(),
            name: "denied".to_owned(),
            payload: Value::Null,
        },
        Happening::Log {
            plugin: plugin(),
            level: "error",
            text: "t".to_owned(),
        },
        Happening::SafePoint {
            plugin: plugin(),
            schema: 1,
        },
    ];
    assert!(own.iter().all(Happening::is_by_plugin));
    let denied = Happening::Denied {
        plugin: plugin(),
        text: "t".to_owned(),
    };
    assert!(!denied.is_by_plugin() && !Happening::LeaseReleased.is_by_plugin());
}
