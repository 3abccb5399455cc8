//! From what the buffer holds to the messages of an incident file.

use serde::Serialize;
use serde_json::Value;
use sinew_hardware::RgbdFrame;
use sinew_messages::{JOINTS, LimitKind, Pose, Setpoint, TickRecord, VerdictKind};
use sinew_units::TICK_NS;
use sinew_world::{ObjectTrack, Place, WorldSnapshot};

use crate::event::FlightEvent;
use crate::foxglove::{
    CameraCalibration, Color, CubePrimitive, FrameTransform, FrameTransforms, JointState,
    JointStates, KeyValuePair, Log, RawImage, SceneEntity, SceneEntityDeletion, SceneUpdate,
    Schema, TextPrimitive, Time, Vector3, base64,
};

/// The robot's base: parent of every frame.
const BASE_FRAME: &str = "base";

/// One message, not yet in the file.
pub(crate) struct Row {
    pub(crate) tick: u64,
    pub(crate) topic: String,
    pub(crate) schema: Schema,
    pub(crate) json: Vec<u8>,
}

impl Row {
    fn new(tick: u64, topic: impl Into<String>, schema: Schema, message: &impl Serialize) -> Self {
        Self {
            tick,
            topic: topic.into(),
            schema,
            // Only maps with keys that aren't strings and failing `Serialize` impls can fail; there are none.
            json: serde_json::to_vec(message).expect("messages are plain structs and values"),
        }
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The messages of one tick: joint states, setpoint and robot state if it is `sampled`, and the verdict if
/// it was not a pass.
pub(crate) fn tick_rows(
    record: &TickRecord,
    joint_names: &[String; JOINTS],
    sampled: bool,
    rows: &mut Vec<Row>,
) {
    let tick = record.frame.tick;
    let kind = verdict_name(record.verdict.kind);
    if sampled {
        rows.push(Row::new(
            tick,
            "/joint_states",
            Schema::JointStates,
            &measured(record, joint_names),
        ));
        for (topic, setpoint) in [
            ("/setpoint/asked", &record.asked),
            ("/setpoint/given", &record.given),
        ] {
            let message = commanded(tick, setpoint, joint_names);
            rows.push(Row::new(tick, topic, Schema::JointStates, &message));
        }
        rows.push(Row::new(
            tick,
            "/robot_state",
            Schema::RobotState,
            &robot_state(record, kind),
        ));
    }
    if record.verdict.kind != VerdictKind::Pass as u32 {
        rows.push(Row::new(
            tick,
            "/verdicts",
            Schema::Verdict,
            &verdict(record, kind),
        ));
    }
}

fn measured(record: &TickRecord, joint_names: &[String; JOINTS]) -> JointStates {
    let frame = &record.frame;
    let mut joints: Vec<JointState> = (0..frame.position_rad.len())
        .map(|i| JointState {
            name: joint_names[i].clone(),
            position: finite(frame.position_rad[i]),
            velocity: finite(frame.velocity_rad_s[i]),
            acceleration: None,
            effort: finite(frame.effort_nm[i]),
        })
        .collect();
    joints.push(JointState {
        name: "gripper".to_owned(),
        position: finite(frame.gripper_width_m),
        velocity: finite(frame.gripper_velocity_m_s),
        acceleration: None,
        effort: finite(frame.gripper_force_n),
    });
    JointStates {
        timestamp: Time::of_tick(frame.tick),
        joints,
    }
}

fn commanded(tick: u64, setpoint: &Setpoint, joint_names: &[String; JOINTS]) -> JointStates {
    let mut joints: Vec<JointState> = (0..setpoint.position_rad.len())
        .map(|i| JointState {
            name: joint_names[i].clone(),
            position: finite(setpoint.position_rad[i]),
            velocity: finite(setpoint.velocity_rad_s[i]),
            acceleration: finite(setpoint.acceleration_rad_s2[i]),
            effort: None,
        })
        .collect();
    joints.push(JointState {
        name: "gripper".to_owned(),
        position: finite(setpoint.gripper_width_m),
        velocity: None,
        acceleration: None,
        effort: finite(setpoint.gripper_force_n),
    });
    JointStates {
        timestamp: Time::of_tick(tick),
        joints,
    }
}

#[derive(Serialize)]
struct RobotState {
    timestamp: Time,
    tick: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gripper_width_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gripper_velocity_m_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gripper_force_n: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gripper_asked_width_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gripper_asked_force_n: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_force_n: Option<Vector3>,
    drive_status: u32,
    safety_inputs: u32,
    arm_goal_id: u64,
    chunk_id: u64,
    verdict: &'static str,
}

fn robot_state(record: &TickRecord, verdict: &'static str) -> RobotState {
    let frame = &record.frame;
    let force_is_finite = frame.tool_force_n.iter().all(|f| f.is_finite());
    RobotState {
        timestamp: Time::of_tick(frame.tick),
        tick: frame.tick,
        gripper_width_m: finite(frame.gripper_width_m),
        gripper_velocity_m_s: finite(frame.gripper_velocity_m_s),
        gripper_force_n: finite(frame.gripper_force_n),
        gripper_asked_width_m: finite(record.asked.gripper_width_m),
        gripper_asked_force_n: finite(record.asked.gripper_force_n),
        tool_force_n: force_is_finite.then(|| frame.tool_force_n.into()),
        drive_status: frame.drive_status,
        safety_inputs: frame.safety_inputs,
        arm_goal_id: record.arm_goal_id,
        chunk_id: record.chunk_id,
        verdict,
    }
}

#[derive(Serialize)]
struct Verdict {
    timestamp: Time,
    tick: u64,
    kind: &'static str,
    limit: &'static str,
    category: u32,
    index: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<f64>,
}

fn verdict(record: &TickRecord, kind: &'static str) -> Verdict {
    let verdict = &record.verdict;
    Verdict {
        timestamp: Time::of_tick(record.frame.tick),
        tick: record.frame.tick,
        kind,
        limit: LimitKind::decode(verdict.limit).map_or("unknown", LimitKind::name),
        category: verdict.category,
        index: if verdict.index == u32::MAX {
            -1
        } else {
            i64::from(verdict.index)
        },
        limit_value: finite(verdict.limit_value),
        asked: finite(verdict.asked),
        given: finite(verdict.given),
        scale: finite(verdict.scale),
    }
}

fn verdict_name(code: u32) -> &'static str {
    match code {
        code if code == VerdictKind::Pass as u32 => "pass",
        code if code == VerdictKind::Limited as u32 => "limited",
        code if code == VerdictKind::Stop as u32 => "stop",
        code if code == VerdictKind::Yield as u32 => "yield",
        _ => "unknown",
    }
}

fn transform(tick: u64, child: String, pose: &Pose) -> FrameTransform {
    FrameTransform {
        timestamp: Time::of_tick(tick),
        parent_frame_id: BASE_FRAME,
        child_frame_id: child,
        translation: pose.position_m.into(),
        rotation: pose.orientation_xyzw.into(),
    }
}

/// The link frames of one tick.
pub(crate) fn link_row(tick: u64, links: &[(String, Pose)], rows: &mut Vec<Row>) {
    let transforms: Vec<FrameTransform> = links
        .iter()
        .filter(|(_, pose)| pose.is_valid())
        .map(|(name, pose)| transform(tick, name.clone(), pose))
        .collect();
    if !transforms.is_empty() {
        let message = FrameTransforms { transforms };
        rows.push(Row::new(tick, "/tf", Schema::FrameTransforms, &message));
    }
}

/// Colour, depth, calibration and the camera's own frame. Images whose length doesn't fit their size are
/// left out.
pub(crate) fn frame_rows(frame: &RgbdFrame, rows: &mut Vec<Row>) {
    let tick = frame.tick;
    let intrinsics = &frame.intrinsics;
    let pixels = intrinsics.width as usize * intrinsics.height as usize;
    let frame_id = format!("camera/{}", frame.camera);
    let mut push_image = |what: &str, encoding, bytes_a_pixel: u32, bytes: &[u8]| {
        let image = RawImage {
            timestamp: Time::of_tick(tick),
            frame_id: frame_id.clone(),
            width: intrinsics.width,
            height: intrinsics.height,
            encoding,
            step: intrinsics.width * bytes_a_pixel,
            data: base64(bytes),
        };
        let topic = format!("/camera/{}/{what}", frame.camera);
        rows.push(Row::new(tick, topic, Schema::RawImage, &image));
    };
    if frame.rgb.len() == pixels * 3 {
        push_image("color", "rgb8", 3, &frame.rgb);
    }
    if frame.depth_m.len() == pixels {
        let millimetres: Vec<u8> = frame
            .depth_m
            .iter()
            // Millimetres. `as` takes NaN to 0, which means "no return", and saturates.
            .flat_map(|metres| ((metres * 1e3).round() as u16).to_le_bytes())
            .collect();
        push_image("depth", "16UC1", 2, &millimetres);
    }
    let (fx, fy, cx, cy) = (intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy);
    if [fx, fy, cx, cy].iter().all(|value| value.is_finite()) {
        let calibration = CameraCalibration {
            timestamp: Time::of_tick(tick),
            frame_id: frame_id.clone(),
            width: intrinsics.width,
            height: intrinsics.height,
            distortion_model: "plumb_bob",
            distortion: vec![0.0; 5],
            intrinsic: [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
            rectification: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            projection: [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
        };
        let topic = format!("/camera/{}/calibration", frame.camera);
        rows.push(Row::new(
            tick,
            topic,
            Schema::CameraCalibration,
            &calibration,
        ));
    }
    link_row(tick, &[(frame_id, frame.pose)], rows);
}

/// The fixed places of the cell, once.
pub(crate) fn places_row(tick: u64, places: &[Place], rows: &mut Vec<Row>) {
    let entities = places
        .iter()
        .filter(|place| place.pose.is_valid() && place.size_m.iter().all(|s| s.is_finite()))
        .map(|place| {
            let mut centre = place.pose;
            centre.position_m[2] += place.size_m[2] / 2.0;
            entity(
                tick,
                format!("place/{}", place.name),
                &centre,
                place.size_m,
                Color {
                    r: 0.6,
                    g: 0.6,
                    b: 0.6,
                    a: 0.15,
                },
                place.name.to_string(),
                vec![KeyValuePair {
                    key: "kind",
                    value: place.kind.clone(),
                }],
            )
        })
        .collect();
    let message = SceneUpdate {
        deletions: Vec::new(),
        entities,
    };
    rows.push(Row::new(tick, "/places", Schema::SceneUpdate, &message));
}

/// The objects of a snapshot; those of the one before that are gone are deleted.
pub(crate) fn world_row(
    snapshot: &WorldSnapshot,
    before: Option<&WorldSnapshot>,
    rows: &mut Vec<Row>,
) {
    let tick = snapshot.published_tick;
    let deletions = before
        .map_or(&[][..], |before| &before.objects)
        .iter()
        .filter(|object| snapshot.object(object.id).is_none())
        .map(|object| SceneEntityDeletion {
            timestamp: Time::of_tick(tick),
            kind: 0,
            id: object_id(object),
        })
        .collect();
    let entities = snapshot
        .objects
        .iter()
        .filter(|object| object.pose.is_valid() && object.size_m.iter().all(|s| s.is_finite()))
        .map(|object| {
            entity(
                tick,
                object_id(object),
                &object.pose,
                object.size_m,
                color_of(&object.color),
                format!("{} {} #{}", object.color, object.class, object.id),
                vec![
                    KeyValuePair {
                        key: "class",
                        value: object.class.to_string(),
                    },
                    KeyValuePair {
                        key: "color",
                        value: object.color.to_string(),
                    },
                    KeyValuePair {
                        key: "confidence",
                        value: format!("{:.3}", object.confidence),
                    },
                    KeyValuePair {
                        key: "position_sigma_m",
                        value: format!("{:.4}", object.position_sigma_m),
                    },
                    KeyValuePair {
                        key: "last_seen_tick",
                        value: object.last_seen_tick.to_string(),
                    },
                ],
            )
        })
        .collect();
    let message = SceneUpdate {
        deletions,
        entities,
    };
    rows.push(Row::new(tick, "/world", Schema::SceneUpdate, &message));
}

fn object_id(object: &ObjectTrack) -> String {
    format!("object/{}", object.id)
}

fn entity(
    tick: u64,
    id: String,
    pose: &Pose,
    size_m: [f64; 3],
    color: Color,
    text: String,
    metadata: Vec<KeyValuePair>,
) -> SceneEntity {
    let mut above = *pose;
    above.position_m[2] += size_m[2] / 2.0 + 0.02;
    SceneEntity {
        timestamp: Time::of_tick(tick),
        frame_id: BASE_FRAME,
        id,
        lifetime: Time::ZERO,
        frame_locked: false,
        metadata,
        arrows: [],
        cubes: vec![CubePrimitive {
            pose: pose.into(),
            size: size_m.into(),
            color,
        }],
        spheres: [],
        cylinders: [],
        lines: [],
        triangles: [],
        texts: vec![TextPrimitive {
            pose: (&above).into(),
            billboard: true,
            font_size: 0.015,
            scale_invariant: false,
            color: Color {
                r: 1.0,
                g: 1.0,
                b: 1.0,
                a: 1.0,
            },
            text,
        }],
        models: [],
    }
}

/// Colours of the usual names; grey for the rest.
fn color_of(name: &str) -> Color {
    let (r, g, b) = match name {
        "red" => (0.85, 0.15, 0.12),
        "green" => (0.15, 0.65, 0.2),
        "blue" => (0.12, 0.3, 0.85),
        "yellow" => (0.9, 0.8, 0.1),
        _ => (0.55, 0.55, 0.55),
    };
    Color { r, g, b, a: 0.8 }
}

#[derive(Serialize)]
struct EventMessage<'a> {
    timestamp: Time,
    #[serde(flatten)]
    event: &'a FlightEvent,
}

/// An event as a log line for people and as JSON for machines.
pub(crate) fn event_rows(event: &FlightEvent, rows: &mut Vec<Row>) {
    let log = Log {
        timestamp: Time::of_tick(event.tick),
        level: event.level as u8,
        message: if event.message.is_empty() {
            event.name.clone()
        } else {
            format!("{}: {}", event.name, event.message)
        },
        name: event.source.clone(),
        file: "",
        line: 0,
    };
    rows.push(Row::new(event.tick, "/log", Schema::Log, &log));
    let message = EventMessage {
        timestamp: Time::of_tick(event.tick),
        event,
    };
    rows.push(Row::new(event.tick, "/events", Schema::Event, &message));
}

/// Log time of a message.
pub(crate) fn log_time_ns(tick: u64) -> u64 {
    tick.saturating_mul(TICK_NS)
}

/// Text of a JSON value for a metadata record, whose values are strings: strings bare, the rest as JSON.
pub(crate) fn metadata_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
