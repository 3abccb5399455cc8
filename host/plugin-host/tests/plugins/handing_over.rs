//! A run that another version takes over at a safe point.

use serde_json::json;
use sinew_plugin_host::{Limits, RunEnd};

use crate::rig::{GRANTS, Rig, host};

const COUNT: &str = r#"{"act":"count","steps":5,"ticks":10}"#;

#[test]
fn a_run_is_taken_over_at_its_next_safe_point_and_goes_on_from_there() {
    let mut rig = Rig::new();
    let mut run = rig.start(COUNT);
    for _ in 0..15 {
        assert_eq!(run.poll(rig.now()), None);
        rig.tick();
    }
    run.hand_over(&[3]);
    let end = rig.finish(&mut run, 20);
    assert_eq!(end, RunEnd::HandedOver);
    let checkpoint = run.checkpoint().unwrap();
    assert_eq!(checkpoint.schema, 3);
    let record = run.take_record().unwrap();
    assert_eq!(record.end.kind, "handed-over");
    let mut next = rig.resume(COUNT, Some(checkpoint));
    let RunEnd::Finished(result) = rig.finish(&mut next, 100) else {
        panic!("it finishes");
    };
    assert_eq!(result["said"], json!("from 2 to 5"));
}

#[test]
fn without_a_safe_point_nothing_is_taken_over() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"sleep","ticks":50}"#);
    assert_eq!(run.poll(rig.now()), None);
    run.hand_over(&[3]);
    assert!(matches!(rig.finish(&mut run, 100), RunEnd::Finished(_)));
}

#[test]
fn a_checkpoint_that_the_other_version_does_not_read_is_passed_by() {
    let mut rig = Rig::new();
    let mut run = rig.start(COUNT);
    assert_eq!(run.poll(rig.now()), None);
    run.hand_over(&[1, 2]);
    assert!(matches!(rig.finish(&mut run, 100), RunEnd::Finished(_)));
}

#[test]
fn a_cancelled_run_is_not_taken_over() {
    let mut rig = Rig::new();
    let mut run = rig.start(COUNT);
    assert_eq!(run.poll(rig.now()), None);
    run.hand_over(&[3]);
    run.cancel();
    let end = rig.finish(&mut run, 100);
    assert_eq!(end, RunEnd::Cancelled { killed: false });
}

#[test]
fn machine_code_is_made_once_and_used_again() {
    let first = host(Limits::default(), GRANTS);
    let bytes = sinew_skill_artifacts::MISBEHAVE;
    let (manifest, code) = first.compile(bytes, "misbehave.wasm").unwrap();
    assert_eq!(manifest.name, "test/misbehave");
    let second = host(Limits::default(), GRANTS);
    assert_eq!(first.code_for(), second.code_for());
    // SAFETY: it was compiled three lines above, of these bytes.
    #[allow(unsafe_code)]
    let made = unsafe { sinew_plugin_host::MachineCode::made_here(&code) };
    let loaded = second
        .load_compiled(bytes, "misbehave.wasm", &made)
        .unwrap();
    let compiled = second.load(bytes, "misbehave.wasm").unwrap();
    assert_eq!(loaded.digest(), compiled.digest());
    let mut rig = Rig::around(&second);
    let params = r#"{"act":"call-often","times":3}"#;
    for plugin in [loaded, compiled] {
        let mut run = rig.start_of(&plugin, params);
        let RunEnd::Finished(result) = rig.finish(&mut run, 100) else {
            panic!("it finishes");
        };
        assert_eq!(result["said"], json!("called"));
    }
    // SAFETY: it has not even the first bytes of machine code, and is refused by them.
    #[allow(unsafe_code)]
    let no_code = unsafe { sinew_plugin_host::MachineCode::made_here(b"no code") };
    assert!(
        second
            .load_compiled(bytes, "misbehave.wasm", &no_code)
            .is_err()
    );
}
