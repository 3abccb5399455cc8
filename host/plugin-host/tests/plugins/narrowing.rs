//! What grants narrow, call by call.

use sinew_messages::ArmGoalKind;
use sinew_plugin_host::{Limits, LoadError, RunEnd, RunEvent};

use crate::rig::{GRANTS, Rig, failed, host};

/// Runs `misbehave` with these lines added to its grant.
struct Narrowed {
    rig: Rig,
    plugin: std::sync::Arc<sinew_plugin_host::Plugin>,
}

const INTERFACES: &str = "interfaces = [\"world\", \"files\", \"motion\", \"gripper\", \"policy\", \"memory\", \
                          \"operator\", \"events\", \"log\", \"clock\", \"lifecycle\"]\n";

impl Narrowed {
    fn to(lines: &str) -> Self {
        let grants = format!("[plugins.\"test/misbehave\"]\n{INTERFACES}{lines}");
        let (rig, plugin) = Rig::with(Limits::default(), &grants);
        Self { rig, plugin }
    }

    fn act(&mut self, params: &str) -> RunEnd {
        let mut run = self.rig.start_of(&self.plugin, params);
        let end = self.rig.finish(&mut run, 20_000);
        self.rig.events.extend(run.take_events());
        end
    }

    fn said(&mut self, params: &str) -> String {
        match self.act(params) {
            RunEnd::Finished(result) => result["said"].as_str().unwrap().to_owned(),
            end => panic!("{params}: {end:?}"),
        }
    }

    /// The words of a refusal, which is told to the guest and recorded.
    fn denied(&mut self, params: &str) -> String {
        self.rig.events.clear();
        let (_, message) = failed(self.act(params));
        let recorded = self.rig.events.iter().any(|event| {
            matches!(event, RunEvent::Denied { text, .. } if message.contains(text.as_str()))
        });
        assert!(recorded, "{message}: {:?}", self.rig.events);
        message
    }
}

fn zone(key: &str, name: &str, min: [f64; 3], max: [f64; 3]) -> String {
    format!(
        "[[plugins.\"test/misbehave\".{key}]]\nname = \"{name}\"\nmin_m = {min:?}\nmax_m = {max:?}\n"
    )
}

#[test]
fn policies_move_no_faster_than_the_plugin_may() {
    let mut narrowed = Narrowed::to("speed = 0.5\nacceleration = 0.25\nforce_n = 12.0\n");
    narrowed.said(r#"{"act":"policy","name":"grasp"}"#);
    let within = narrowed.rig.policy.lock().unwrap().within.clone();
    assert_eq!(within, [(0.5, 0.25, Some(12.0))]);
}

#[test]
fn a_plugin_runs_only_the_policies_that_it_asked_for() {
    // Granted, but not in the manifest.
    let mut narrowed = Narrowed::to("policies = [\"grasp\", \"juggle\"]\n");
    let message = narrowed.denied(r#"{"act":"policy","name":"juggle"}"#);
    assert!(message.contains("`juggle`"), "{message}");
}

#[test]
fn objects_of_other_classes_are_not_seen_and_not_grasped() {
    let mut narrowed = Narrowed::to("classes = [\"gear\"]\n");
    let said = narrowed.said(r#"{"act":"look"}"#);
    assert!(said.starts_with("0 then 0 objects"), "{said}");
    // It isn't even told that there is something.
    let (label, message) = failed(narrowed.act(r#"{"act":"policy","name":"grasp"}"#));
    assert_eq!(label, "missing-object");
    assert!(!message.contains("block"), "{message}");
    assert!(narrowed.rig.policy.lock().unwrap().within.is_empty());
    let recorded = |event: &RunEvent| matches!(event, RunEvent::Denied { text, .. } if text.contains("class `block`"));
    assert!(narrowed.rig.events.iter().any(recorded));
    let mut narrowed = Narrowed::to("classes = [\"gear\", \"block\"]\n");
    let said = narrowed.said(r#"{"act":"look"}"#);
    assert!(said.starts_with("1 then 1 objects"), "{said}");
}

#[test]
fn nothing_is_pressed_harder_than_granted() {
    let mut narrowed = Narrowed::to("contact_n = 10.0\n");
    assert_eq!(narrowed.said(r#"{"act":"press","force":10.0}"#), "Contact");
    let message = narrowed.denied(r#"{"act":"press","force":10.5}"#);
    assert!(message.contains("may press with 10 N"), "{message}");
}

#[test]
fn targets_outside_of_the_zones_are_refused_whatever_the_kind_of_goal() {
    // The fake tool stands at (0.4, 0, 0.3); its arm is a rod of 0.5 m.
    let lines = zone("zones_in", "front", [0.0, -0.3, 0.0], [1.0, 0.3, 1.0])
        + &zone("zones_out", "post", [0.4, 0.04, 0.0], [0.42, 0.06, 1.0]);
    let mut narrowed = Narrowed::to(&lines);
    assert_eq!(
        narrowed.said(r#"{"act":"move-to","position":[0.5,0.0,0.3]}"#),
        "Done"
    );
    assert_eq!(narrowed.said(r#"{"act":"turn","angle":0.1}"#), "Done");
    let goals = narrowed.rig.robot.arm_goals.len();
    for (act, why) in [
        (
            r#"{"act":"move-to","position":[0.5,0.5,0.3]}"#,
            "not in `front`",
        ),
        (
            r#"{"act":"move-to","position":[0.41,0.05,0.3]}"#,
            "in `post`",
        ),
        // The line there leads through it.
        (
            r#"{"act":"move-to","position":[0.41,0.2,0.3]}"#,
            "through `post`",
        ),
        (r#"{"act":"turn","angle":1.5}"#, "not in `front`"),
    ] {
        let message = narrowed.denied(act);
        assert!(
            message.contains("may not take the tool there") && message.contains(why),
            "{act}: {message}"
        );
    }
    assert_eq!(narrowed.rig.robot.arm_goals.len(), goals, "nothing moved");
    // A named pose is no way round it: the fake `look-bin` is at 0.1 rad, and now a post stands there.
    let lines = zone("zones_out", "post", [0.49, 0.04, 0.0], [0.51, 0.06, 1.0]);
    let mut narrowed = Narrowed::to(&lines);
    let message = narrowed.denied(r#"{"act":"move","pose":"look-bin"}"#);
    assert!(message.contains("in `post`"), "{message}");
}

#[test]
fn a_tool_on_its_way_out_is_braked_and_the_plugin_told() {
    let lines = zone("zones_in", "front", [0.0, -0.3, 0.0], [0.6, 0.3, 1.0]);
    for (act, expected) in [
        (
            r#"{"act":"turn","angle":0.1}"#,
            "what the plugin was granted ends",
        ),
        (r#"{"act":"policy","name":"grasp"}"#, "about to leave"),
        // Goals that are given again and again don't take the brake's place.
        (r#"{"act":"start-often","times":100000}"#, "refused"),
    ] {
        let mut narrowed = Narrowed::to(&lines);
        let mut run = narrowed.rig.start_of(&narrowed.plugin, act);
        // On its way to a good target the tool swings out to the front at 1 m/s.
        let end = (0..2_000).find_map(|_| {
            let end = run.poll(narrowed.rig.now());
            let held = narrowed.rig.robot.arm_goals.last() == Some(&ArmGoalKind::Hold);
            if !held && narrowed.rig.policy.lock().unwrap().cancelled.is_empty() {
                narrowed.rig.robot.status.tool_pose.position_m[0] += 0.005;
            }
            (0..5).for_each(|_| narrowed.rig.tick());
            end
        });
        let x = narrowed.rig.robot.status.tool_pose.position_m[0];
        assert!(x < 0.6 && x > 0.4, "{act}: {x}");
        let told = run.take_events();
        assert!(
            told.iter().any(|event| matches!(event, RunEvent::Denied { text, .. } if text.contains("about to leave"))),
            "{act}: {told:?}"
        );
        let words = format!("{end:?}");
        assert!(words.contains(expected), "{act}: {words}");
    }
}

#[test]
fn goals_have_a_rate() {
    let mut narrowed = Narrowed::to("[plugins.\"test/misbehave\".limits]\ngoals_per_second = 10\n");
    let said = narrowed.said(r#"{"act":"start-often","times":25}"#);
    assert_eq!(said, "15 refused");
}

#[test]
fn budgets_of_a_grant_are_those_of_the_run() {
    let mut narrowed = Narrowed::to(
        "[plugins.\"test/misbehave\".limits]\nmemory_store_bytes = 3000\nmemory_bytes = 4000000\nrun_ticks = 500\n\
         events_per_second = 7\n",
    );
    let (_, message) = failed(narrowed.act(r#"{"act":"fill-memory"}"#));
    assert!(message.contains("3000 bytes"), "{message}");
    assert_eq!(
        narrowed.said(r#"{"act":"event-flood","events":10}"#),
        "3 refused"
    );
    for (act, expected) in [
        (r#"{"act":"allocate"}"#, "4000000 are allowed"),
        (r#"{"act":"sleep","ticks":600}"#, "run length: 500 ticks"),
    ] {
        let end = format!("{:?}", narrowed.act(act));
        assert!(end.contains(expected), "{act}: {end}");
    }
}

#[test]
fn refusals_are_told_whatever_else_a_plugin_says() {
    // One event a second, which the first step's own event takes.
    let mut narrowed =
        Narrowed::to("force_n = 5.0\n[plugins.\"test/misbehave\".limits]\nevents_per_second = 1\n");
    narrowed.said(r#"{"act":"event-flood","events":10}"#);
    narrowed.denied(r#"{"act":"grasp","force":6.0}"#);
}

/// Grants `notes`: 1000 bytes in 2 files.
fn notes(folder: &tempfile::TempDir, write: bool) -> String {
    let path = folder.path().display();
    format!(
        "[[plugins.\"test/misbehave\".directories]]\nname = \"notes\"\npath = \"{path}\"\nwrite = {write}\n\
         quota_bytes = 1000\nquota_files = 2\n"
    )
}

#[test]
fn directories_keep_to_their_quotas_and_their_kind() {
    let folder = tempfile::tempdir().unwrap();
    let mut narrowed = Narrowed::to(&notes(&folder, true));
    let write = |name: &str, bytes: usize| {
        format!("{{\"act\":\"write-file\",\"path\":\"{name}\",\"bytes\":{bytes}}}")
    };
    assert_eq!(narrowed.said(&write("a", 600)), r#"600 bytes in ["a"]"#);
    // What is replaced doesn't count.
    assert_eq!(narrowed.said(&write("a", 900)), r#"900 bytes in ["a"]"#);
    assert_eq!(
        narrowed.said(&write("b", 100)),
        r#"100 bytes in ["a", "b"]"#
    );
    for (name, bytes) in [("b", 101), ("c", 0)] {
        let (label, message) = failed(narrowed.act(&write(name, bytes)));
        assert_eq!(label, "timeout", "{message}");
        assert!(message.contains("1000 bytes in 2 files"), "{message}");
    }
    // Neither up, nor by a link, nor into what is no file.
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::remove_file(folder.path().join("b")).unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("b")).unwrap();
    for name in ["../up", "b", "."] {
        failed(narrowed.act(&write(name, 1)));
    }
    assert_eq!(std::fs::read(outside.path()).unwrap(), b"");
    let mut reader = Narrowed::to(&notes(&folder, false));
    let message = reader.denied(&write("a", 1));
    assert!(message.contains("for reading only"), "{message}");
}

/// A directory is counted once a run: what the run itself does to it is kept up with.
#[test]
fn what_a_run_writes_and_removes_counts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut narrowed = Narrowed::to(&notes(&folder, true));
    let edits = |edits: &[(&str, Option<usize>)]| {
        serde_json::json!({"act": "edit-files", "edits": edits}).to_string()
    };
    let said = narrowed.said(&edits(&[
        ("a", Some(600)),
        ("b", Some(500)),
        ("a", Some(300)),
        ("b", Some(500)),
        ("c", Some(0)),
        ("b", None),
        ("b", None),
        ("nowhere/c", Some(1)),
        ("", Some(1)),
        ("c", Some(701)),
        ("c", Some(700)),
        ("a", Some(301)),
    ]));
    assert_eq!(
        said,
        "done refused done done refused done done refused refused refused done refused"
    );
    // Somebody else's changes count from the next run on.
    let later = edits(&[("a", Some(300)), ("a", Some(299))]);
    let mut run = narrowed.rig.start_of(&narrowed.plugin, &later);
    assert_eq!(run.poll(narrowed.rig.now()), None);
    std::fs::write(folder.path().join("c"), [0; 710]).unwrap();
    let RunEnd::Finished(result) = narrowed.rig.finish(&mut run, 100) else {
        panic!("it says what was done");
    };
    assert_eq!(result["said"], "done done");
    assert_eq!(narrowed.said(&later), "refused refused");
    assert_eq!(narrowed.said(&edits(&[("a", Some(290))])), "done");
}

/// What is opened is looked at, and opening waits for nobody.
#[test]
fn only_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut narrowed = Narrowed::to(&notes(&folder, false));
    let read = |path: &str| format!("{{\"act\":\"read-note\",\"path\":\"{path}\"}}");
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("pipe", folder.path().join("to-pipe")).unwrap();
    for name in ["pipe", "to-pipe", "folder", "."] {
        let said = narrowed.said(&read(name));
        assert!(said.contains("is no file"), "{name}: {said}");
    }
    let large = std::fs::File::create(folder.path().join("large")).unwrap();
    let allowed = Limits::default().call_bytes as u64;
    // A file of holes: it takes no room.
    large.set_len(allowed + 1).unwrap();
    let said = narrowed.said(&read("large"));
    assert!(said.contains("is larger than"), "{said}");
    std::fs::write(folder.path().join("small"), [7; 70]).unwrap();
    std::os::unix::fs::symlink("small", folder.path().join("to-small")).unwrap();
    for name in ["small", "to-small"] {
        assert_eq!(narrowed.said(&read(name)), "70 bytes");
    }
    for name in ["nowhere", "nowhere/below"] {
        assert_eq!(narrowed.said(&read(name)), "nothing there");
    }
}

#[test]
fn parts_that_are_not_granted_are_asked_for_in_words_to_paste() {
    let grants =
        format!("[plugins.\"test/misbehave\"]\n{INTERFACES}parts = [\"gripper\"]\npolicies = []\n");
    let host = host(Limits::default(), &grants);
    let Err(LoadError::NotGranted { text, .. }) =
        host.load(sinew_skill_artifacts::MISBEHAVE, "misbehave.wasm")
    else {
        panic!("it was loaded");
    };
    assert!(text.contains("  the arm\n  the policy `grasp`\n"), "{text}");
    let paste = &text[text.find("[plugins").unwrap()..];
    assert!(paste.contains("parts = [\"arm\", \"gripper\"]"), "{paste}");
    // What is to be pasted is enough.
    let host = crate::rig::host(Limits::default(), paste);
    host.load(sinew_skill_artifacts::MISBEHAVE, "misbehave.wasm")
        .unwrap();
    assert!(GRANTS.contains("test/misbehave"));
}
