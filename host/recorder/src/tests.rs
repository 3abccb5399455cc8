use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytemuck::Zeroable;
use serde_json::{Map, Value, json};
use sinew_hardware::{Intrinsics, RgbdFrame};
use sinew_messages::{LimitKind, Pose, TickRecord, VerdictKind};
use sinew_world::{ObjectTrack, Place, WorldSnapshot};

use crate::{
    Cause, ConfigError, FlightEvent, IncidentWriter, Level, RecordError, Recorder, RecorderConfig,
};

fn record(tick: u64) -> TickRecord {
    let mut record = TickRecord::zeroed();
    record.frame.tick = tick;
    record.frame.position_rad[1] = 0.001 * tick as f64;
    if tick % 100 == 7 {
        record.verdict.kind = VerdictKind::Limited as u32;
        record.verdict.limit = LimitKind::Velocity as u32;
        record.verdict.index = 3;
        record.verdict.asked = 2.0;
        record.verdict.given = 1.5;
    }
    if tick == 1_500 {
        // An encoder fault: JSON has no NaN.
        record.frame.velocity_rad_s[0] = f64::NAN;
        record.verdict.kind = VerdictKind::Stop as u32;
        record.verdict.limit = LimitKind::NonFinite as u32;
        record.verdict.index = u32::MAX;
        record.verdict.asked = f64::NAN;
    }
    record
}

fn snapshot(sequence: u64, ids: &[u64]) -> Arc<WorldSnapshot> {
    let mut snapshot = WorldSnapshot::empty();
    snapshot.sequence = sequence;
    snapshot.published_tick = sequence * 100;
    snapshot.image_tick = snapshot.published_tick - 30;
    snapshot.objects = ids
        .iter()
        .map(|&id| ObjectTrack {
            id,
            class: "block".into(),
            color: "red".into(),
            pose: Pose::IDENTITY,
            velocity_m_s: [0.0; 3],
            size_m: [0.05, 0.03, 0.03],
            confidence: 0.9,
            position_sigma_m: 0.002,
            first_seen_tick: 0,
            last_seen_tick: snapshot.image_tick,
        })
        .collect();
    Arc::new(snapshot)
}

fn frame(camera: &str, tick: u64) -> Arc<RgbdFrame> {
    Arc::new(RgbdFrame {
        camera: camera.to_owned(),
        tick,
        sequence: tick / 33,
        intrinsics: Intrinsics {
            width: 4,
            height: 2,
            fx: 3.0,
            fy: 3.0,
            cx: 2.0,
            cy: 1.0,
        },
        pose: Pose::IDENTITY,
        rgb: (0..24).collect(),
        depth_m: vec![0.0, 0.5, 1.0, f32::NAN, 100.0, 0.123_4, 0.2, -1.0],
    })
}

fn event(tick: u64, name: &str) -> FlightEvent {
    FlightEvent {
        tick,
        level: Level::Warn,
        source: "tasks".to_owned(),
        name: name.to_owned(),
        message: "on the way".to_owned(),
        detail: json!({ "from": "running", "to": "failed" }),
    }
}

fn recorder(folder: &Path) -> Recorder {
    let config = RecorderConfig {
        seconds: 1.0,
        folder: folder.to_owned(),
        ..RecorderConfig::default()
    };
    let places = vec![Place {
        name: "A1".into(),
        kind: "pocket".to_owned(),
        pose: Pose::IDENTITY,
        size_m: [0.08, 0.08, 0.05],
    }];
    let links = Box::new(|joints: &[f64; 7]| {
        let mut pose = Pose::IDENTITY;
        pose.position_m[0] = joints[1];
        vec![("link1".to_owned(), pose), ("tool".to_owned(), pose)]
    });
    Recorder::new(config, places, links).expect("the configuration is sound")
}

fn filled(folder: &Path) -> Recorder {
    let mut recorder = recorder(folder);
    for tick in 1..=2_000 {
        recorder.observe_tick(&record(tick));
        if tick % 100 == 0 {
            let ids: &[u64] = if tick < 1_600 { &[1, 2] } else { &[2] };
            recorder.observe_world(&snapshot(tick / 100, ids));
            recorder.observe_world(&snapshot(tick / 100, ids));
            recorder.observe_frame(&frame("overhead", tick));
            recorder.observe_frame(&frame("wrist", tick));
        }
    }
    recorder.observe_event(event(1_900, "task-state"));
    recorder
}

fn cause() -> Cause {
    Cause {
        label: "no-grasp".to_owned(),
        reason: "closed on nothing twice".to_owned(),
        episode: "seed7-cycle3".to_owned(),
        detail: Map::from_iter([
            ("task".to_owned(), json!(12)),
            ("skill".to_owned(), json!("sinew/kit-parts")),
        ]),
    }
}

#[test]
fn an_incident_holds_the_last_second_in_schemas_that_its_messages_satisfy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut recorder = filled(&folder.path().join("incidents"));
    let frozen = recorder.freeze(cause());
    let written = frozen.write().expect("the disk has room");
    assert_eq!(written.path, frozen.path());
    assert!(
        written
            .path
            .ends_with("seed7-cycle3-000-no-grasp-t2000.mcap")
    );
    let bytes = fs::read(&written.path).expect("the file is there");
    assert_eq!(bytes.len() as u64, written.bytes);

    let mut validators = BTreeMap::new();
    let mut topics: BTreeMap<String, u64> = BTreeMap::new();
    let mut last = 0;
    for message in mcap::MessageStream::new(&bytes).expect("the file is an MCAP") {
        let message = message.expect("every message can be read");
        let schema = message
            .channel
            .schema
            .as_ref()
            .expect("every channel has one");
        assert_eq!(
            (
                schema.encoding.as_str(),
                message.channel.message_encoding.as_str()
            ),
            ("jsonschema", "json")
        );
        let validator = validators.entry(schema.name.clone()).or_insert_with(|| {
            let schema: Value = serde_json::from_slice(&schema.data).expect("schemas are JSON");
            jsonschema::validator_for(&schema).expect("schemas are JSON schemas")
        });
        let value: Value = serde_json::from_slice(&message.data).expect("messages are JSON");
        if let Err(error) = validator.validate(&value) {
            panic!("{} on {}: {error}", value, message.channel.topic);
        }
        assert!(message.log_time >= last, "messages are in order of time");
        last = message.log_time;
        assert!(message.log_time >= 1_000_000_000 && message.log_time <= 2_000_000_000);
        *topics.entry(message.channel.topic.clone()).or_default() += 1;
    }
    // 1000 to 2000 every 10 ticks.
    assert_eq!(topics["/joint_states"], 101);
    // Every tick of that second that did not pass, whatever the sampling.
    assert_eq!(topics["/verdicts"], 11);
    assert_eq!(topics["/world"], 11);
    assert_eq!(topics["/log"], 1);
    assert_eq!(topics["/events"], 1);
    // One every 500 ticks.
    assert_eq!(topics["/camera/overhead/color"], 2);
    assert_eq!(topics["/camera/wrist/depth"], 2);
    let names: BTreeSet<&str> = validators.keys().map(String::as_str).collect();
    for name in [
        "foxglove.FrameTransforms",
        "foxglove.JointStates",
        "foxglove.Log",
        "foxglove.RawImage",
        "foxglove.CameraCalibration",
        "foxglove.SceneUpdate",
        "sinew.RobotState",
        "sinew.Verdict",
        "sinew.Event",
    ] {
        assert!(names.contains(name), "{name}");
    }
    let summary = mcap::Summary::read(&bytes)
        .expect("the file is an MCAP")
        .expect("it has a summary");
    let metadata = summary
        .metadata_indexes
        .iter()
        .find(|index| index.name == "sinew.incident");
    assert!(metadata.is_some());
}

#[test]
fn objects_that_vanish_are_deleted_from_the_scene() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut recorder = filled(folder.path());
    let written = recorder.freeze(cause()).write().expect("written");
    let bytes = fs::read(written.path).expect("the file is there");
    let deletions: Vec<(u64, Value)> = mcap::MessageStream::new(&bytes)
        .expect("an MCAP")
        .filter_map(Result::ok)
        .filter(|message| message.channel.topic == "/world")
        .filter_map(|message| {
            let value: Value = serde_json::from_slice(&message.data).ok()?;
            let deletions = value["deletions"].as_array()?.clone();
            Some((message.log_time / 1_000_000, deletions.first()?.clone()))
        })
        .collect();
    assert_eq!(deletions.len(), 1);
    assert_eq!(deletions[0].0, 1_600);
    assert_eq!(deletions[0].1["id"], "object/1");
}

#[test]
fn depth_is_millimetres_with_zero_for_no_return() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut recorder = filled(folder.path());
    let written = recorder.freeze(cause()).write().expect("written");
    let bytes = fs::read(written.path).expect("the file is there");
    let image: Value = mcap::MessageStream::new(&bytes)
        .expect("an MCAP")
        .filter_map(Result::ok)
        .find(|message| message.channel.topic == "/camera/overhead/depth")
        .map(|message| serde_json::from_slice(&message.data).expect("JSON"))
        .expect("a depth image");
    assert_eq!(image["encoding"], "16UC1");
    let data = data_encoding::BASE64
        .decode(image["data"].as_str().expect("text").as_bytes())
        .expect("base64");
    let values: Vec<u16> = data
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    assert_eq!(values, [0, 500, 1_000, 0, 65_535, 123, 200, 0]);
}

#[test]
fn incidents_of_one_run_never_share_a_name_and_are_written_elsewhere() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut recorder = filled(folder.path());
    let mut writer = IncidentWriter::default();
    let first = writer.write(recorder.freeze(cause()));
    let mut odd = cause();
    odd.label = "../../etc/passwd \u{1b}[31m".to_owned();
    odd.episode = String::new();
    let second = writer.write(recorder.freeze(odd));
    assert_ne!(first, second);
    for path in [&first, &second] {
        assert_eq!(path.parent(), Some(folder.path()));
    }
    let results = writer.finish();
    assert_eq!(results.len(), 2);
    for (result, path) in results.into_iter().zip([first, second]) {
        let written = result.expect("written");
        assert_eq!(written.path, path);
        assert!(path.exists());
    }
    let leftovers = fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(leftovers, 2, "no temporary file is left");
}

#[test]
fn a_full_disk_or_a_missing_right_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The folder's name is taken by a file: nobody, not even root, can write into it.
    let taken = folder.path().join("taken");
    fs::write(&taken, b"a file").expect("written");
    let mut recorder = filled(&taken);
    let frozen = recorder.freeze(cause());
    let error = frozen.write().expect_err("a file is no folder");
    assert!(matches!(
        error,
        RecordError::File {
            doing: "make the folder",
            ..
        }
    ));
    assert!(error.to_string().contains("seed7-cycle3-000"), "{error}");

    // A device that is always full stands for a full disk.
    let full = folder.path().join("full");
    fs::create_dir(&full).expect("made");
    let mut recorder = filled(&full);
    let frozen = recorder.freeze(cause());
    #[cfg(target_os = "linux")]
    {
        let part = frozen.path().with_extension("mcap.part");
        std::os::unix::fs::symlink("/dev/full", &part).expect("linked");
        let error = frozen.write().expect_err("the disk is full");
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(!frozen.path().exists() && !part.exists());
    }
    // And with room again the same evidence can still be written.
    frozen.write().expect("written");
}

#[test]
fn an_empty_buffer_still_makes_a_file_that_opens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut recorder = filled(folder.path());
    recorder.clear();
    let written = recorder.freeze(cause()).write().expect("written");
    let bytes = fs::read(written.path).expect("the file is there");
    let messages = mcap::MessageStream::new(&bytes).expect("an MCAP").count();
    assert_eq!(messages, 1, "the places");
}

#[test]
fn a_configuration_without_sense_is_refused() {
    let check =
        |config: RecorderConfig| Recorder::new(config, Vec::new(), Box::new(|_| Vec::new())).err();
    for seconds in [0.0, -1.0, f64::NAN, 1e9] {
        let config = RecorderConfig {
            seconds,
            ..RecorderConfig::default()
        };
        assert!(matches!(check(config), Some(ConfigError::Seconds { .. })));
    }
    let config = RecorderConfig {
        frame_every_ticks: 0,
        ..RecorderConfig::default()
    };
    assert_eq!(
        check(config),
        Some(ConfigError::ZeroPeriod {
            key: "frame_every_ticks"
        })
    );
}

#[test]
fn a_chatty_plugin_cannot_grow_the_buffer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut recorder = recorder(folder.path());
    for n in 0..20_000 {
        recorder.observe_event(event(5, &format!("e{n}")));
    }
    let frozen = recorder.freeze(cause());
    assert_eq!(frozen.events.len(), 4_096);
    assert_eq!(frozen.events[0].name, "e15904");
}

#[test]
fn a_chatty_plugin_takes_no_room_from_what_the_host_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut recorder = recorder(folder.path());
    for n in 0..20_000 {
        if n % 5_000 == 0 {
            recorder.observe_event(event(5, &format!("denied{n}")));
        }
        recorder.observe_plugin_event(event(5, &format!("p{n}")));
    }
    recorder.observe_event(event(5, "failure"));
    let frozen = recorder.freeze(cause());
    let of_host: Vec<&str> = (frozen.events.iter().map(|event| event.name.as_str()))
        .filter(|name| !name.starts_with('p'))
        .collect();
    let expected = [
        "denied0",
        "denied5000",
        "denied10000",
        "denied15000",
        "failure",
    ];
    assert_eq!(of_host, expected);
    assert_eq!(frozen.events.len(), 4_096 + expected.len());
    // Put together again as they came: what is left of the plugin's came after all but the last one.
    assert_eq!(frozen.events[4].name, "p15904");
    assert_eq!(
        frozen.events.last().map(|event| event.name.as_str()),
        Some("failure")
    );
    assert_eq!(frozen.events[3].name, "denied15000");
}

#[test]
fn events_of_every_origin_come_in_order_and_age() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut recorder = recorder(folder.path());
    let names = |recorder: &mut Recorder| -> Vec<String> {
        let events = recorder.freeze(cause()).events;
        events.into_iter().map(|event| event.name).collect()
    };
    recorder.observe_plugin_event(event(10, "a"));
    recorder.observe_event(event(10, "b"));
    recorder.observe_plugin_event(event(700, "c"));
    recorder.observe_event(event(700, "d"));
    assert_eq!(names(&mut recorder), ["a", "b", "c", "d"]);
    // The history is a second: whoever said it.
    recorder.observe_event(event(1_200, "e"));
    assert_eq!(names(&mut recorder), ["c", "d", "e"]);
    recorder.clear();
    assert!(names(&mut recorder).is_empty());
}
