//! Foxglove's well-known schemas in their JSON encoding, and Sinew's own beside them.
//!
//! The names and fields are those of Foxglove's published schemas
//! (<https://docs.foxglove.dev/docs/sdk/schemas>); only fields that are written are described. A number
//! that is not finite has no JSON form, so it is left out and readers see the field as absent.

use data_encoding::BASE64;
use serde::Serialize;
use serde_json::{Value, json};
use sinew_messages::Pose;
use sinew_units::TICK_NS;

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Time {
    sec: u64,
    nsec: u64,
}

impl Time {
    pub(crate) fn of_tick(tick: u64) -> Self {
        let ns = tick.saturating_mul(TICK_NS);
        Self {
            sec: ns / 1_000_000_000,
            nsec: ns % 1_000_000_000,
        }
    }

    pub(crate) const ZERO: Self = Self { sec: 0, nsec: 0 };
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Vector3 {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
}

impl From<[f64; 3]> for Vector3 {
    fn from([x, y, z]: [f64; 3]) -> Self {
        Self { x, y, z }
    }
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Quaternion {
    x: f64,
    y: f64,
    z: f64,
    w: f64,
}

impl From<[f64; 4]> for Quaternion {
    fn from([x, y, z, w]: [f64; 4]) -> Self {
        Self { x, y, z, w }
    }
}

#[derive(Serialize)]
pub(crate) struct FoxglovePose {
    position: Vector3,
    orientation: Quaternion,
}

impl From<&Pose> for FoxglovePose {
    fn from(pose: &Pose) -> Self {
        Self {
            position: pose.position_m.into(),
            orientation: pose.orientation_xyzw.into(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct FrameTransform {
    pub(crate) timestamp: Time,
    pub(crate) parent_frame_id: &'static str,
    pub(crate) child_frame_id: String,
    pub(crate) translation: Vector3,
    pub(crate) rotation: Quaternion,
}

#[derive(Serialize)]
pub(crate) struct FrameTransforms {
    pub(crate) transforms: Vec<FrameTransform>,
}

#[derive(Serialize)]
pub(crate) struct JointState {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) velocity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acceleration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effort: Option<f64>,
}

#[derive(Serialize)]
pub(crate) struct JointStates {
    pub(crate) timestamp: Time,
    pub(crate) joints: Vec<JointState>,
}

#[derive(Serialize)]
pub(crate) struct Log {
    pub(crate) timestamp: Time,
    pub(crate) level: u8,
    pub(crate) message: String,
    pub(crate) name: String,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

#[derive(Serialize)]
pub(crate) struct RawImage {
    pub(crate) timestamp: Time,
    pub(crate) frame_id: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) encoding: &'static str,
    pub(crate) step: u32,
    /// Base64.
    pub(crate) data: String,
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[derive(Serialize)]
pub(crate) struct CameraCalibration {
    pub(crate) timestamp: Time,
    pub(crate) frame_id: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) distortion_model: &'static str,
    #[serde(rename = "D")]
    pub(crate) distortion: Vec<f64>,
    #[serde(rename = "K")]
    pub(crate) intrinsic: [f64; 9],
    #[serde(rename = "R")]
    pub(crate) rectification: [f64; 9],
    #[serde(rename = "P")]
    pub(crate) projection: [f64; 12],
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Color {
    pub(crate) r: f64,
    pub(crate) g: f64,
    pub(crate) b: f64,
    pub(crate) a: f64,
}

#[derive(Serialize)]
pub(crate) struct KeyValuePair {
    pub(crate) key: &'static str,
    pub(crate) value: String,
}

#[derive(Serialize)]
pub(crate) struct CubePrimitive {
    pub(crate) pose: FoxglovePose,
    pub(crate) size: Vector3,
    pub(crate) color: Color,
}

#[derive(Serialize)]
pub(crate) struct TextPrimitive {
    pub(crate) pose: FoxglovePose,
    pub(crate) billboard: bool,
    pub(crate) font_size: f64,
    pub(crate) scale_invariant: bool,
    pub(crate) color: Color,
    pub(crate) text: String,
}

#[derive(Serialize)]
pub(crate) struct SceneEntity {
    pub(crate) timestamp: Time,
    pub(crate) frame_id: &'static str,
    pub(crate) id: String,
    pub(crate) lifetime: Time,
    pub(crate) frame_locked: bool,
    pub(crate) metadata: Vec<KeyValuePair>,
    pub(crate) arrows: [u8; 0],
    pub(crate) cubes: Vec<CubePrimitive>,
    pub(crate) spheres: [u8; 0],
    pub(crate) cylinders: [u8; 0],
    pub(crate) lines: [u8; 0],
    pub(crate) triangles: [u8; 0],
    pub(crate) texts: Vec<TextPrimitive>,
    pub(crate) models: [u8; 0],
}

#[derive(Serialize)]
pub(crate) struct SceneEntityDeletion {
    pub(crate) timestamp: Time,
    /// 0: entities with this id.
    #[serde(rename = "type")]
    pub(crate) kind: u8,
    pub(crate) id: String,
}

#[derive(Serialize)]
pub(crate) struct SceneUpdate {
    pub(crate) deletions: Vec<SceneEntityDeletion>,
    pub(crate) entities: Vec<SceneEntity>,
}

/// One kind of message: its schema's name and JSON schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Schema {
    FrameTransforms,
    JointStates,
    Log,
    RawImage,
    CameraCalibration,
    SceneUpdate,
    RobotState,
    Verdict,
    Event,
}

impl Schema {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FrameTransforms => "foxglove.FrameTransforms",
            Self::JointStates => "foxglove.JointStates",
            Self::Log => "foxglove.Log",
            Self::RawImage => "foxglove.RawImage",
            Self::CameraCalibration => "foxglove.CameraCalibration",
            Self::SceneUpdate => "foxglove.SceneUpdate",
            Self::RobotState => "sinew.RobotState",
            Self::Verdict => "sinew.Verdict",
            Self::Event => "sinew.Event",
        }
    }

    /// The JSON schema.
    pub(crate) fn json(self) -> Value {
        let (description, properties) = match self {
            Self::FrameTransforms => (
                "Transforms between frames",
                json!({ "transforms": list(transform()) }),
            ),
            Self::JointStates => (
                "State of a set of joints; rad or m, and their derivatives, N·m or N",
                json!({
                    "timestamp": time(),
                    "joints": list(object(json!({
                        "name": { "type": "string" },
                        "position": number(),
                        "velocity": number(),
                        "acceleration": number(),
                        "effort": number(),
                    }), &["name"])),
                }),
            ),
            Self::Log => (
                "A line of the log; level 1 debug, 2 info, 3 warning, 4 error",
                json!({
                    "timestamp": time(),
                    "level": { "type": "integer", "minimum": 0, "maximum": 5 },
                    "message": { "type": "string" },
                    "name": { "type": "string" },
                    "file": { "type": "string" },
                    "line": { "type": "integer", "minimum": 0 },
                }),
            ),
            Self::RawImage => (
                "An image: rgb8, or 16UC1 depth in millimetres",
                json!({
                    "timestamp": time(),
                    "frame_id": { "type": "string" },
                    "width": count(),
                    "height": count(),
                    "encoding": { "type": "string" },
                    "step": count(),
                    "data": { "type": "string", "contentEncoding": "base64" },
                }),
            ),
            Self::CameraCalibration => (
                "Pinhole calibration of a camera",
                json!({
                    "timestamp": time(),
                    "frame_id": { "type": "string" },
                    "width": count(),
                    "height": count(),
                    "distortion_model": { "type": "string" },
                    "D": list(number()),
                    "K": { "type": "array", "items": number(), "minItems": 9, "maxItems": 9 },
                    "R": { "type": "array", "items": number(), "minItems": 9, "maxItems": 9 },
                    "P": { "type": "array", "items": number(), "minItems": 12, "maxItems": 12 },
                }),
            ),
            Self::SceneUpdate => (
                "Tracked objects and fixed places, to be drawn",
                json!({
                    "deletions": list(object(json!({
                        "timestamp": time(),
                        "type": { "type": "integer" },
                        "id": { "type": "string" },
                    }), &["timestamp", "type", "id"])),
                    "entities": list(scene_entity()),
                }),
            ),
            Self::RobotState => (
                "Gripper, contact force and wired inputs of the robot; SI units, base frame",
                json!({
                    "timestamp": time(),
                    "tick": count(),
                    "gripper_width_m": number(),
                    "gripper_velocity_m_s": number(),
                    "gripper_force_n": number(),
                    "gripper_asked_width_m": number(),
                    "gripper_asked_force_n": number(),
                    "tool_force_n": vector(),
                    "drive_status": count(),
                    "safety_inputs": count(),
                    "arm_goal_id": count(),
                    "chunk_id": count(),
                    "verdict": { "type": "string" },
                }),
            ),
            Self::Verdict => (
                "A verdict of the safety gate that was not a pass; values in the unit of the limit",
                json!({
                    "timestamp": time(),
                    "tick": count(),
                    "kind": { "type": "string" },
                    "limit": { "type": "string" },
                    "category": count(),
                    "index": { "type": "integer", "minimum": -1 },
                    "limit_value": number(),
                    "asked": number(),
                    "given": number(),
                    "scale": number(),
                }),
            ),
            Self::Event => (
                "An event of a task, a plugin, the gate or the cell",
                json!({
                    "timestamp": time(),
                    "tick": count(),
                    "level": { "type": "string" },
                    "source": { "type": "string" },
                    "name": { "type": "string" },
                    "message": { "type": "string" },
                    "detail": {},
                }),
            ),
        };
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name(),
            "description": description,
            "type": "object",
            "properties": properties,
        })
    }
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn time() -> Value {
    json!({
        "type": "object",
        "title": "time",
        "properties": {
            "sec": { "type": "integer", "minimum": 0 },
            "nsec": { "type": "integer", "minimum": 0, "maximum": 999_999_999 },
        },
        "required": ["sec", "nsec"],
    })
}

fn vector() -> Value {
    object(
        json!({ "x": number(), "y": number(), "z": number() }),
        &["x", "y", "z"],
    )
}

fn quaternion() -> Value {
    object(
        json!({ "x": number(), "y": number(), "z": number(), "w": number() }),
        &["x", "y", "z", "w"],
    )
}

fn pose() -> Value {
    object(
        json!({ "position": vector(), "orientation": quaternion() }),
        &["position", "orientation"],
    )
}

fn color() -> Value {
    object(
        json!({ "r": number(), "g": number(), "b": number(), "a": number() }),
        &["r", "g", "b", "a"],
    )
}

fn transform() -> Value {
    object(
        json!({
            "timestamp": time(),
            "parent_frame_id": { "type": "string" },
            "child_frame_id": { "type": "string" },
            "translation": vector(),
            "rotation": quaternion(),
        }),
        &[
            "timestamp",
            "parent_frame_id",
            "child_frame_id",
            "translation",
            "rotation",
        ],
    )
}

fn scene_entity() -> Value {
    let empty = json!({ "type": "array", "items": { "type": "object" } });
    object(
        json!({
            "timestamp": time(),
            "frame_id": { "type": "string" },
            "id": { "type": "string" },
            "lifetime": time(),
            "frame_locked": { "type": "boolean" },
            "metadata": list(object(json!({
                "key": { "type": "string" },
                "value": { "type": "string" },
            }), &["key", "value"])),
            "arrows": empty,
            "cubes": list(object(json!({
                "pose": pose(),
                "size": vector(),
                "color": color(),
            }), &["pose", "size", "color"])),
            "spheres": empty,
            "cylinders": empty,
            "lines": empty,
            "triangles": empty,
            "texts": list(object(json!({
                "pose": pose(),
                "billboard": { "type": "boolean" },
                "font_size": number(),
                "scale_invariant": { "type": "boolean" },
                "color": color(),
                "text": { "type": "string" },
            }), &["pose", "text"])),
            "models": empty,
        }),
        &["timestamp", "frame_id", "id"],
    )
}
