//! Stops, resets and changes of the safety configuration of a whole host, and what the audit log says of them.

use std::path::{Path, PathBuf};

use serde_json::json;
use sinew_runtime::audit_log::{Record, read};
use sinew_runtime::host::Speed;
use sinew_runtime::messages::{SafetyMode, StopCategory, StopState};
use sinew_runtime::safety::SafetyLimits;
use sinew_runtime::safety_change::{approve, propose};
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::{Happening, TaskState};
use sinew_runtime::{InputError, Refused, Sources};
use sinew_tests::{Rig, kit_parts};

fn records(log: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let verification = read(log, |record| records.push(record)).expect("it can be read");
    assert!(verification.ok, "{verification:?}");
    records
}

/// Kind and actor of every record.
fn told(log: &Path) -> Vec<(String, Option<String>)> {
    let records = records(log).into_iter();
    records.map(|record| (record.kind, record.actor)).collect()
}

/// The built-in configuration with another tool speed, m/s, as a file and as limits.
fn with_speed(folder: &Path, speed_m_s: f64) -> (PathBuf, SafetyLimits) {
    const BUILTIN: &str = include_str!("../../../host/description/robots/cell-safety.toml");
    let text = BUILTIN.replacen(
        "speed_max_m_s = 1.2",
        &format!("speed_max_m_s = {speed_m_s:?}"),
        1,
    );
    assert_ne!(text, BUILTIN, "the built-in file has that speed");
    let path = folder.join(format!("speed-{speed_m_s}.toml"));
    std::fs::write(&path, text).expect("writable");
    let sources = Sources {
        safety: Some(path.clone()),
        ..Sources::default()
    };
    let limits = sources.load().expect("it can be used").safety;
    (path, limits)
}

#[test]
fn stops_and_resets_are_written_down_with_who_asked() {
    let story = |seed| {
        let mut rig = Rig::stopped(seed, 0, &Profile::calm(), Speed::Max, &mut |_, camera| {
            camera
        });
        rig.host.reset("anna").expect("nothing speaks against it");
        rig.run_for(20);
        rig.host.set_mode(SafetyMode::Reduced, "ben");
        rig.run_for(20);
        let stop = |rig: &mut Rig, category| {
            rig.host.mailbox().requests.stop(category);
            rig.run_for(20);
        };
        stop(&mut rig, StopCategory::ControlledHold);
        stop(&mut rig, StopCategory::PowerOff);
        rig.cell.set_safety_inputs(0);
        rig.host
            .reset("cleo")
            .expect_err("the emergency stop is open");
        rig.cell.set_safety_inputs(u32::MAX);
        rig.host.reset("cleo").expect("everything is closed again");
        rig.log.flush().expect("there is room");
        std::fs::read(&rig.audit).map(|bytes| (bytes, records(&rig.audit)))
    };
    let (bytes, records) = story(601).expect("there is a log");
    let told: Vec<_> = records
        .iter()
        .map(|record| (record.kind.as_str(), record.actor.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("boot", None),
            ("stop", None),
            ("reset-asked", Some("anna")),
            ("reset-granted", Some("anna")),
            ("mode-changed", Some("ben")),
            ("stop", None),
            ("stop-worsened", None),
            ("reset-asked", Some("cleo")),
            ("reset-refused", Some("cleo")),
            ("reset-asked", Some("cleo")),
            ("reset-granted", Some("cleo")),
        ]
    );
    assert_eq!(records[1].content["reason"], "boot");
    assert_eq!(records[5].content["category"], 2);
    assert_eq!(records[6].content["category"], 0);
    assert_eq!(records[8].content["answer"], "cause-stays");
    assert!(
        records.iter().all(|record| record.time_unix_ms.is_none()),
        "ticks are the only time"
    );
    let (again, _) = story(601).expect("there is a log");
    assert_eq!(bytes, again, "the same seed is the same bytes");
}

/// Every refused call is counted in the log, also of what still runs when its host goes, and a plugin can't fill it.
#[test]
fn what_is_refused_to_a_plugin_is_written_down() {
    let story = |seed| {
        let mut rig = Rig::new(seed, 0, &Profile::calm());
        let hide = |times: u64| json!({"act": "hide-refusal", "times": times, "force": 10.0});
        let end = rig.run("test/misbehave", &hide(30));
        assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
        rig.submit("test/misbehave", &hide(100_000));
        rig.run_for(20);
        let log = rig.audit.clone();
        // What ran is over when its host is, and told then.
        drop(rig.host);
        rig.log.flush().expect("there is room");
        (std::fs::read(&log).expect("there is one"), records(&log))
    };
    let (bytes, records) = story(604);
    let kinds: Vec<&str> = records.iter().map(|record| record.kind.as_str()).collect();
    let booted = ["boot", "stop", "reset-asked", "reset-granted"];
    assert_eq!(kinds[..4], booted);
    assert_eq!(kinds[4..], ["grant-denied", "grant-denied"]);
    let [first, killed] = &records[4..] else {
        panic!("{records:?}");
    };
    for record in [first, killed] {
        assert_eq!(record.actor, None);
        assert_eq!(record.content["plugin"], "test/misbehave");
        assert_eq!(record.content["function"], "files.read");
        assert_eq!(record.content["reason"], "interface");
        let text = record.content["text"].as_str().expect("it has one");
        assert!(text.contains("no grant for `files`"), "{text}");
        let digest = record.content["digest"].as_str().expect("it has one");
        assert_eq!(digest.len(), 64);
    }
    assert_eq!(
        (&first.content["task"], &first.content["run"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(first.content["count"], 60);
    assert_eq!(killed.content["task"], 2);
    let count = killed.content["count"].as_u64().expect("a number");
    assert!(count > 1_000, "{count}");
    assert!(killed.content["last_tick"].as_u64() > killed.content["first_tick"].as_u64());
    assert_eq!(bytes, story(604).0, "the same seed is the same bytes");
}

#[test]
fn while_the_log_can_not_be_written_nobody_starts_the_robot() {
    let mut rig = Rig::new(602, 0, &Profile::calm());
    let away = rig.audit.with_extension("away");
    std::fs::rename(&rig.audit, &away).expect("it can be moved");
    rig.host
        .mailbox()
        .requests
        .stop(StopCategory::ControlledHold);
    rig.run_for(50);
    let error = rig
        .host
        .reset("anna")
        .expect_err("the stop is nowhere kept");
    assert!(
        error.is::<Refused>() && error.to_string().contains("audit"),
        "{error}"
    );
    // Nor by asking the loop itself.
    rig.host.mailbox().requests.reset();
    rig.run_for(50);
    assert_eq!(rig.host.status().stop_state, StopState::Latched as u32);
    std::fs::rename(&away, &rig.audit).expect("it can be moved back");
    rig.host.reset("anna").expect("everything is on the disk");
    let told = told(&rig.audit);
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds[4..],
        [
            "stop",
            "reset-asked",
            "reset-refused",
            "reset-asked",
            "reset-granted"
        ],
        "nothing of it was lost"
    );
}

/// Whoever reads may take his time: what was written meanwhile is not approved with it.
#[test]
fn what_is_approved_is_what_was_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (file, _) = with_speed(folder.path(), 0.8);
    let log = folder.path().join("audit.jsonl");
    let sources = Sources::default();
    let propose = |actor: &str| propose(&sources, Some(&file), &log, actor);
    let hash = propose("anna").expect("it can be used").hash;
    let mut shown = Vec::new();
    let error = approve(&sources, &hash, &log, "ben", false, &mut |change| {
        shown.push(change.proposed_by.clone());
        propose("cleo").map(drop)
    })
    .expect_err("somebody else proposed it meanwhile");
    assert!(
        error.is::<Refused>() && error.to_string().contains("look at it again"),
        "{error}"
    );
    assert_eq!(shown, ["anna"]);
    let kinds = || -> Vec<String> { told(&log).into_iter().map(|(kind, _)| kind).collect() };
    assert!(!kinds().contains(&"configuration-approved".to_owned()));
    approve(&sources, &hash, &log, "ben", false, &mut |_| Ok(())).expect("nobody else writes");
    assert_eq!(kinds().len(), 3);
}

#[test]
fn another_configuration_becomes_active_at_standstill_with_an_approval_only() {
    let mut rig = Rig::new(603, 0, &Profile::calm());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (loose_file, loose) = with_speed(folder.path(), 1.5);
    let (tight_file, tight) = with_speed(folder.path(), 0.8);
    let log = rig.audit.clone();
    let approved = |file: &Path, limits: &SafetyLimits| {
        let sources = Sources::default();
        let change = propose(&sources, Some(file), &log, "anna").expect("it can be used");
        assert_eq!(change.hash, limits.hash().to_string());
        let refusal = approve(&sources, &change.hash, &log, "anna", false, &mut |_| Ok(()))
            .expect_err("nobody approves what is their own");
        assert!(refusal.is::<Refused>(), "{refusal}");
        approve(&sources, &change.hash, &log, "ben", false, &mut |_| Ok(()))
            .expect("somebody else does")
    };
    let before = rig.host.status().safety_hash;
    assert_eq!(before, rig.host.safety().hash().short());
    let activate = |rig: &mut Rig, limits: &SafetyLimits| {
        rig.host
            .activate_safety(limits.clone(), "cleo")
            .map_err(|error| {
                assert!(error.is::<Refused>(), "{error}");
                error.to_string()
            })
    };

    let mut hasty = loose.config().clone();
    hasty.heartbeat_ticks = 1;
    let hasty = SafetyLimits::new(hasty).expect("the gate could keep them");
    let error = rig
        .host
        .activate_safety(hasty, "cleo")
        .expect_err("this host can't");
    assert!(error.is::<InputError>(), "{error}");

    let change = approved(&loose_file, &loose);
    assert_eq!(change.looser.map(|looser| looser.len()), Some(1));
    let params = kit_parts(&rig.order.clone());
    rig.submit("sinew/kit-parts", &params);
    rig.run_until(|what| matches!(what, Happening::Step { .. }));
    rig.run_for(700);
    let words = activate(&mut rig, &loose).expect_err("the robot is at work");
    assert!(words.contains("stop the robot first"), "{words}");
    rig.host
        .mailbox()
        .requests
        .stop(StopCategory::ControlledHold);
    let words = activate(&mut rig, &loose).expect_err("it has not come to rest");
    assert!(words.contains("moves"), "{words}");
    assert_eq!(rig.host.status().safety_hash, before);
    rig.run_for(1_000);
    activate(&mut rig, &loose).expect("it stands, stopped, and somebody approved it");
    assert_eq!(rig.host.status().safety_hash, loose.hash().short());
    assert_eq!(
        rig.host.status().stop_state,
        StopState::Latched as u32,
        "a reset moves it, nothing else"
    );
    rig.host
        .reset("cleo")
        .expect("it stands where it may start");

    let stop = |rig: &mut Rig| {
        rig.host
            .mailbox()
            .requests
            .stop(StopCategory::ControlledHold);
        rig.run_for(50);
    };
    // Tighter, and then back: an old approval brings looser limits back no more.
    stop(&mut rig);
    approved(&tight_file, &tight);
    activate(&mut rig, &tight).expect("approved");
    let words = activate(&mut rig, &loose).expect_err("that approval was used");
    assert!(words.contains("sinew safety approve"), "{words}");
    assert_eq!(rig.host.status().safety_hash, tight.hash().short());
    approved(&loose_file, &loose);
    activate(&mut rig, &loose).expect("approved again");
    assert_eq!(rig.host.status().safety_hash, loose.hash().short());

    let changes: Vec<_> = records(&rig.audit)
        .into_iter()
        .filter(|record| record.actor.as_deref() == Some("cleo") && record.kind.starts_with("conf"))
        .map(|record| {
            let reason = record.content["reason"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            (record.kind, reason)
        })
        .collect();
    let expected = [
        ("configuration-refused", "not-stopped"),
        ("configuration-refused", "moving"),
        ("configuration-activated", ""),
        ("configuration-activated", ""),
        ("configuration-refused", "not-approved"),
        ("configuration-activated", ""),
    ];
    assert_eq!(
        changes,
        expected.map(|(kind, reason)| (kind.to_owned(), reason.to_owned()))
    );
}
