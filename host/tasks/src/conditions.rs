//! Post-conditions: the closed set of predicates that a manifest may declare, judged on the world.
//!
//! | predicate | arguments | holds if |
//! |---|---|---|
//! | `class-in-slot` | `class`, `slot`, optional `color`, `position_tolerance_m` (0.015), `yaw_tolerance_deg` (20), `height_tolerance_m` (0.01) | an object of the class (and colour) lies within the tolerances of the place's centre, its yaw modulo its own symmetry, with its underside on the place's floor: one that toppled, or lies on another, is higher |
//! | `count` | `place`, optional `class`, `color`, and at least one of `min`, `max` | that many such objects lie in the place |
//! | `holding` | `value` | the gripper holds something, or nothing |
//! | `at-pose` | `pose`, optional `tolerance_rad` (0.02) | the joints are at the named pose |
//! | `part-free` | `part` (`arm`, `gripper`) | no other task holds the part |
//!
//! A string that begins with `/` is a JSON Pointer into the parameters; where the parameters lack it, the
//! schema's `default` is taken. With `each`, a pointer to an array, the condition must hold for every element,
//! and the other pointers start at the element. An optional argument whose pointer leads nowhere is left out.
//!
//! They are judged on the brain's thread, so a manifest has 64 of them at most, a pointer 8 levels, a list 1,000 entries, and all
//! lists together 2,000.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use sinew_messages::{JointVector, LoopStatus};
use sinew_plugin_host::RobotPart;
use sinew_world::{ObjectTrack, Place, WorldSnapshot};

use crate::lease::{Leases, part_name};
use crate::task::TaskId;

/// Post-conditions of one plugin: they are judged on the brain's thread, step by step until they hold.
const CONDITIONS_MAX: usize = 64;
/// Entries of a list that one of them is judged for.
const EACH_MAX: usize = 1_000;
/// Entries that all of them together are judged for.
const ENTRIES_MAX: usize = 2 * EACH_MAX;
/// Levels of a JSON Pointer: each is a look into the parameters, and into their schema.
const POINTER_LEVELS_MAX: usize = 8;
/// Length of a JSON Pointer, bytes.
const POINTER_BYTES_MAX: usize = 256;

/// Grip force above which something is held, N.
const HOLDING_FORCE_N: f64 = 1.0;
/// Width below which the fingers hold nothing but each other, m.
const HOLDING_WIDTH_M: f64 = 0.003;
/// Footprints whose sides differ by less than this share look the same however they are turned.
const ROUND_SHARE: f64 = 0.1;

/// What is wrong with a declared post-condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("post_conditions[{index}]: {reason}")]
pub struct ConditionError {
    /// Which of them.
    pub index: usize,
    /// What is wrong, and what is allowed.
    pub reason: String,
}

/// A declared post-condition, with its pointers not yet resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    each: Option<String>,
    predicate: Predicate,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "predicate", rename_all = "kebab-case", deny_unknown_fields)]
enum Predicate {
    ClassInSlot {
        class: Value,
        slot: Value,
        #[serde(default)]
        color: Value,
        #[serde(default = "slot_tolerance_m")]
        position_tolerance_m: f64,
        #[serde(default = "slot_tolerance_deg")]
        yaw_tolerance_deg: f64,
        #[serde(default = "slot_height_tolerance_m")]
        height_tolerance_m: f64,
    },
    Count {
        place: Value,
        #[serde(default)]
        class: Value,
        #[serde(default)]
        color: Value,
        #[serde(default)]
        min: Value,
        #[serde(default)]
        max: Value,
    },
    Holding {
        value: Value,
    },
    AtPose {
        pose: Value,
        #[serde(default = "joint_tolerance_rad")]
        tolerance_rad: f64,
    },
    PartFree {
        part: Value,
    },
}

fn slot_tolerance_m() -> f64 {
    0.015
}

fn slot_tolerance_deg() -> f64 {
    20.0
}

fn slot_height_tolerance_m() -> f64 {
    0.01
}

fn joint_tolerance_rad() -> f64 {
    0.02
}

/// Everything that conditions are judged by.
pub struct WorldView<'a> {
    /// The newest snapshot.
    pub snapshot: &'a WorldSnapshot,
    /// The fixed places.
    pub places: &'a [Place],
    /// The robot now.
    pub status: &'a LoopStatus,
    /// Poses by name, rad.
    pub named_poses: &'a BTreeMap<String, JointVector>,
    /// Who holds what.
    pub leases: &'a Leases,
    /// The task that is judged.
    pub task: TaskId,
}

/// Parameters, and the schema whose defaults stand in for what they lack.
#[derive(Clone, Copy)]
struct Arguments<'a> {
    params: &'a Value,
    schema: &'a Value,
}

impl<'a> Arguments<'a> {
    /// A literal, or what the pointer leads to.
    fn resolve(self, argument: &'a Value) -> Option<&'a Value> {
        match argument {
            Value::Null => None,
            Value::String(text) if text.starts_with('/') => self.at(text),
            literal => Some(literal),
        }
    }

    /// What a JSON Pointer leads to.
    fn at(self, pointer: &str) -> Option<&'a Value> {
        (self.params.pointer(pointer))
            .or_else(|| schema_at(self.schema, pointer)?.get("default"))
            .filter(|value| !value.is_null())
    }

    fn text(self, argument: &'a Value, name: &str) -> Result<&'a str, String> {
        self.resolve(argument)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("`{name}` ({argument}) leads to no text"))
    }
}

/// The schema of the value that a JSON Pointer leads to.
fn schema_at<'a>(schema: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(schema, |schema, step| {
        let step = step.replace("~1", "/").replace("~0", "~");
        schema
            .get("properties")
            .and_then(|properties| properties.get(&step))
            .or_else(|| schema.get("items"))
    })
}

/// What is no pointer is a literal.
fn check_pointer(text: &str) -> Result<(), String> {
    let levels = text.split('/').count() - 1;
    let is_long = levels > POINTER_LEVELS_MAX || text.len() > POINTER_BYTES_MAX;
    if text.starts_with('/') && is_long {
        return Err(format!(
            "a JSON Pointer of {levels} levels and {} bytes: {POINTER_LEVELS_MAX} levels and {POINTER_BYTES_MAX} bytes are allowed",
            text.len()
        ));
    }
    Ok(())
}

impl Condition {
    /// How many entries it is judged for.
    fn entries(&self, params: &Value, schema: &Value) -> usize {
        let whole = Arguments { params, schema };
        let list = (self.each.as_ref()).and_then(|each| whole.at(each)?.as_array());
        list.map_or(1, Vec::len)
    }

    /// Checks that conditions are not about more entries of lists than are judged.
    ///
    /// # Errors
    /// They are: how many, and how many may be.
    pub(crate) fn check_entries(
        conditions: &[Self],
        params: &Value,
        schema: &Value,
    ) -> Result<(), String> {
        let mut all = 0;
        for condition in conditions {
            let entries = condition.entries(params, schema);
            if let Some(each) = condition.each.as_ref().filter(|_| entries > EACH_MAX) {
                return Err(format!(
                    "`each` ({each}) leads to {entries} entries, {EACH_MAX} are judged at most"
                ));
            }
            all += entries;
        }
        if all > ENTRIES_MAX {
            return Err(format!(
                "they are about {all} entries of lists, {ENTRIES_MAX} are judged at most"
            ));
        }
        Ok(())
    }

    /// Reads the post-conditions of a manifest.
    ///
    /// # Errors
    /// An unknown predicate or argument, a missing argument.
    pub fn parse_all(declared: &[Map<String, Value>]) -> Result<Vec<Self>, ConditionError> {
        if declared.len() > CONDITIONS_MAX {
            return Err(ConditionError {
                index: CONDITIONS_MAX,
                reason: format!("there are {}, {CONDITIONS_MAX} are allowed", declared.len()),
            });
        }
        declared
            .iter()
            .enumerate()
            .map(|(index, map)| Self::parse(map).map_err(|reason| ConditionError { index, reason }))
            .collect()
    }

    fn parse(map: &Map<String, Value>) -> Result<Self, String> {
        let mut map = map.clone();
        let each = match map.remove("each") {
            None => None,
            Some(Value::String(pointer)) if pointer.starts_with('/') => Some(pointer),
            Some(other) => return Err(format!("`each` is {other}, it must be a JSON Pointer")),
        };
        let pointers = map.values().filter_map(Value::as_str);
        for pointer in pointers.chain(each.as_deref()) {
            check_pointer(pointer)?;
        }
        let predicate: Predicate =
            serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())?;
        if let Predicate::Count { min, max, .. } = &predicate
            && min.is_null()
            && max.is_null()
        {
            return Err("`count` needs `min` or `max`".to_owned());
        }
        Ok(Self { each, predicate })
    }

    /// True if it is judged by what cameras show, so that it needs images newer than the end of the run.
    #[must_use]
    pub fn needs_images(&self) -> bool {
        matches!(
            self.predicate,
            Predicate::ClassInSlot { .. } | Predicate::Count { .. }
        )
    }

    /// Judges it.
    ///
    /// # Errors
    /// What does not hold, in words, with what was found instead.
    pub fn judge(
        &self,
        params: &Value,
        schema: &Value,
        view: &WorldView<'_>,
    ) -> Result<(), String> {
        let Some(each) = &self.each else {
            return self.predicate.judge(Arguments { params, schema }, view);
        };
        let nothing = Value::Null;
        let item_schema = schema_at(schema, each)
            .and_then(|schema| schema.get("items"))
            .unwrap_or(&nothing);
        let whole = Arguments { params, schema };
        let Some(items) = whole.at(each).and_then(Value::as_array) else {
            return Err(format!(
                "`each` ({each}) leads to no array in the parameters"
            ));
        };
        for (index, item) in items.iter().enumerate() {
            let arguments = Arguments {
                params: item,
                schema: item_schema,
            };
            self.predicate
                .judge(arguments, view)
                .map_err(|reason| format!("{each}/{index}: {reason}"))?;
        }
        Ok(())
    }
}

impl Predicate {
    fn judge(&self, arguments: Arguments<'_>, view: &WorldView<'_>) -> Result<(), String> {
        match self {
            Self::ClassInSlot {
                class,
                slot,
                color,
                position_tolerance_m,
                yaw_tolerance_deg,
                height_tolerance_m,
            } => {
                let class = arguments.text(class, "class")?;
                let color = arguments.resolve(color).and_then(Value::as_str);
                let slot = view.place(arguments.text(slot, "slot")?)?;
                let tolerance = SlotTolerance {
                    position_m: *position_tolerance_m,
                    yaw_rad: yaw_tolerance_deg.to_radians(),
                    height_m: *height_tolerance_m,
                };
                class_in_slot(view, class, color, slot, &tolerance)
            }
            Self::Count {
                place,
                class,
                color,
                min,
                max,
            } => {
                let place = view.place(arguments.text(place, "place")?)?;
                let class = arguments.resolve(class).and_then(Value::as_str);
                let color = arguments.resolve(color).and_then(Value::as_str);
                let found = view
                    .snapshot
                    .objects
                    .iter()
                    .filter(|object| {
                        class.is_none_or(|class| *object.class == *class)
                            && color.is_none_or(|color| *object.color == *color)
                            && place.contains(object.pose.position_m)
                    })
                    .count() as u64;
                let bound = |argument| arguments.resolve(argument).and_then(Value::as_u64);
                let (min, max) = (bound(min).unwrap_or(0), bound(max).unwrap_or(u64::MAX));
                if (min..=max).contains(&found) {
                    Ok(())
                } else {
                    let wanted = match (min, max) {
                        (least, u64::MAX) => format!("{least} or more"),
                        (0, most) => format!("{most} at most"),
                        (least, most) => format!("{least} to {most}"),
                    };
                    Err(format!(
                        "{found} objects of {} in {}, not {wanted}",
                        class.unwrap_or("any class"),
                        place.name
                    ))
                }
            }
            Self::Holding { value } => {
                let wanted = arguments
                    .resolve(value)
                    .and_then(Value::as_bool)
                    .ok_or_else(|| format!("`value` ({value}) leads to no truth value"))?;
                let frame = &view.status.frame;
                let holding = frame.gripper_force_n > HOLDING_FORCE_N
                    && frame.gripper_width_m > HOLDING_WIDTH_M;
                match (holding, wanted) {
                    (true, false) => Err("the gripper still holds something".to_owned()),
                    (false, true) => Err("the gripper holds nothing".to_owned()),
                    _ => Ok(()),
                }
            }
            Self::AtPose {
                pose,
                tolerance_rad,
            } => {
                let name = arguments.text(pose, "pose")?;
                let Some(target) = view.named_poses.get(name) else {
                    let names: Vec<&str> = view.named_poses.keys().map(String::as_str).collect();
                    return Err(format!(
                        "no pose is named `{name}`; there are {}",
                        names.join(", ")
                    ));
                };
                let off = target
                    .iter()
                    .zip(&view.status.frame.position_rad)
                    .map(|(target, now)| (target - now).abs())
                    .fold(0.0, f64::max);
                if off <= *tolerance_rad {
                    Ok(())
                } else {
                    Err(format!("a joint is {off:.3} rad away from `{name}`"))
                }
            }
            Self::PartFree { part } => {
                let name = arguments.text(part, "part")?;
                let part = [RobotPart::Arm, RobotPart::Gripper]
                    .into_iter()
                    .find(|part| part_name(*part) == name)
                    .ok_or_else(|| format!("no robot part is named `{name}`"))?;
                // Who keeps it while he waits for another part may wait for this very task to be over.
                match view.leases.holder(part) {
                    Some(holder) if holder != view.task && !view.leases.waits(holder) => {
                        Err(format!("the {name} is held by {holder}"))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

impl<'a> WorldView<'a> {
    fn place(&self, name: &str) -> Result<&'a Place, String> {
        self.places
            .iter()
            .find(|place| *place.name == *name)
            .ok_or_else(|| {
                let names: Vec<&str> = self.places.iter().map(|p| &*p.name).collect();
                format!("no place is named `{name}`; there are {}", names.join(", "))
            })
    }
}

/// How far from a place's centre, and how turned and raised, an object may be.
struct SlotTolerance {
    position_m: f64,
    yaw_rad: f64,
    height_m: f64,
}

fn class_in_slot(
    view: &WorldView<'_>,
    class: &str,
    color: Option<&str>,
    slot: &Place,
    tolerance: &SlotTolerance,
) -> Result<(), String> {
    let wanted = || match color {
        Some(color) => format!("{color} {class}"),
        None => class.to_owned(),
    };
    let offset = |object: &ObjectTrack| {
        let [dx, dy] = [0, 1].map(|i| object.pose.position_m[i] - slot.pose.position_m[i]);
        dx.hypot(dy)
    };
    let fits = |object: &ObjectTrack| {
        *object.class == *class && color.is_none_or(|color| *object.color == *color)
    };
    let inside = view.snapshot.objects.iter().filter(|object| {
        // Seen from above: a pocket's walls may be lower than the middle of what lies in it.
        let [x, y, _] = object.pose.position_m;
        slot.contains([x, y, slot.pose.position_m[2]])
    });
    let best = inside
        .clone()
        .filter(|object| fits(object))
        .min_by(|a, b| offset(a).total_cmp(&offset(b)));
    let Some(object) = best else {
        let found: Vec<String> = inside
            .map(|object| format!("{} {}", object.color, object.class))
            .collect();
        return Err(format!(
            "no {} in {}: {}",
            wanted(),
            slot.name,
            if found.is_empty() {
                "it looks empty".to_owned()
            } else {
                format!("there is {}", found.join(", "))
            }
        ));
    };
    let off = offset(object);
    let turn = turn_between(object, slot);
    let raised = object.pose.position_m[2] - object.size_m[2] / 2.0 - slot.pose.position_m[2];
    // Asked this way round, NaN does not pass.
    let is_level = raised.abs() <= tolerance.height_m;
    if off <= tolerance.position_m && turn <= tolerance.yaw_rad && is_level {
        return Ok(());
    }
    let mut reason = format!(
        "the {} in {} lies {:.0} mm and {:.0}° off",
        wanted(),
        slot.name,
        off * 1e3,
        turn.to_degrees()
    );
    if !is_level {
        reason += &format!(", {:+.0} mm above its floor", raised * 1e3);
    }
    Err(reason)
}

/// Turn of an object against a place, rad, modulo the object's own symmetry: half a turn for what is longer
/// than wide, any for what is as long as wide.
fn turn_between(object: &ObjectTrack, place: &Place) -> f64 {
    let [length, width, _] = object.size_m;
    if (length - width).abs() < ROUND_SHARE * length.max(width) {
        return 0.0;
    }
    let turn = yaw(object.pose.orientation_xyzw) - yaw(place.pose.orientation_xyzw);
    let period = core::f64::consts::PI;
    (turn - period * (turn / period).round()).abs()
}

fn yaw([x, y, z, w]: [f64; 4]) -> f64 {
    f64::atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
}

#[cfg(test)]
mod tests;
