//! Names of the cell in a skill's parameters.
//!
//! A schema can mark a string as a name of this cell: `"x-sinew-place": "<kind>"` for a place of that kind,
//! `"x-sinew-class": true` for a class and `"x-sinew-color": true` for a colour that perception knows,
//! `"x-sinew-pose": true` for a named pose of the robot. `"x-sinew-unique": true` on a property of an array's
//! items says that no two of them may have the same one. All of it is
//! checked when the task is submitted, so that a wrong name is refused before anything moves.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::engine::CellNames;

/// What is wrong with a value that fits its schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// A name that the cell doesn't know.
    #[error("{path}: there is no {what} `{found}`; {}", allowed_text(.allowed))]
    Unknown {
        /// JSON Pointer to the value.
        path: String,
        /// What it should name: `class`, `colour`, `pose`, or the kind of place.
        what: String,
        /// What stands there.
        found: String,
        /// What could.
        allowed: Vec<String>,
    },
    /// A value that may stand there once stands there again.
    #[error("{path}: `{found}` is asked for by {first} already; each may be asked for once")]
    Repeated {
        /// JSON Pointer to the second one.
        path: String,
        /// JSON Pointer to the first one.
        first: String,
        /// The value.
        found: String,
    },
}

fn allowed_text(allowed: &[String]) -> String {
    if allowed.is_empty() {
        "this cell has none".to_owned()
    } else {
        format!("this cell has {}", allowed.join(", "))
    }
}

/// Deepest nesting that is followed: schemas come from plugins.
const DEPTH_MAX: u32 = 32;

/// Checks every marked string of `params`.
///
/// # Errors
/// The first one that names nothing, or repeats what must not be repeated.
pub(crate) fn check_names(
    schema: &Value,
    params: &Value,
    names: &CellNames,
) -> Result<(), ParamsError> {
    walk(schema, params, names, &mut String::new(), DEPTH_MAX)
}

fn walk(
    schema: &Value,
    value: &Value,
    names: &CellNames,
    path: &mut String,
    depth: u32,
) -> Result<(), ParamsError> {
    let (Some(schema), Some(depth)) = (schema.as_object(), depth.checked_sub(1)) else {
        return Ok(());
    };
    match value {
        Value::String(found) => {
            let marked = |key: &str| schema.get(key) == Some(&Value::Bool(true));
            let check = |what: &str, allowed: Vec<String>| {
                if allowed.contains(found) {
                    Ok(())
                } else {
                    Err(ParamsError::Unknown {
                        path: path.clone(),
                        what: what.to_owned(),
                        found: found.clone(),
                        allowed,
                    })
                }
            };
            if let Some(kind) = schema.get("x-sinew-place").and_then(Value::as_str) {
                check(kind, names.places_of(kind))?;
            }
            if marked("x-sinew-class") {
                check("class", names.classes.clone())?;
            }
            if marked("x-sinew-color") {
                check("colour", names.colors.clone())?;
            }
            if marked("x-sinew-pose") {
                check("pose", names.poses.clone())?;
            }
        }
        Value::Array(items) => {
            if let Some(item_schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    let length = path.len();
                    path.push_str(&format!("/{index}"));
                    walk(item_schema, item, names, path, depth)?;
                    path.truncate(length);
                }
                check_unique(item_schema, items, path)?;
            }
        }
        Value::Object(fields) => {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (key, field) in fields {
                    if let Some(field_schema) = properties.get(key) {
                        let length = path.len();
                        path.push('/');
                        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                        walk(field_schema, field, names, path, depth)?;
                        path.truncate(length);
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    for combinator in ["allOf", "anyOf", "oneOf"] {
        if let Some(branches) = schema.get(combinator).and_then(Value::as_array) {
            for branch in branches {
                walk(branch, value, names, path, depth)?;
            }
        }
    }
    Ok(())
}

/// No two `items` have the same value where their schema marks it as unique.
fn check_unique(item_schema: &Value, items: &[Value], path: &str) -> Result<(), ParamsError> {
    let properties = item_schema.get("properties").and_then(Value::as_object);
    let marked = properties
        .into_iter()
        .flatten()
        .filter(|(_, schema)| schema.get("x-sinew-unique") == Some(&Value::Bool(true)));
    for (key, _) in marked {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(found) = item.get(key).and_then(Value::as_str) else {
                continue;
            };
            if let Some(first) = seen.insert(found, index) {
                return Err(ParamsError::Repeated {
                    path: format!("{path}/{index}/{key}"),
                    first: format!("{path}/{first}/{key}"),
                    found: found.to_owned(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn marked_names_are_checked_with_their_path() {
        let schema = json!({ "properties": {
            "order": { "type": "array", "items": { "properties": {
                "class": { "type": "string", "x-sinew-class": true },
                "color": { "anyOf": [{ "type": "string", "x-sinew-color": true }, { "type": "null" }] },
                "slot": { "type": "string", "x-sinew-place": "pocket", "x-sinew-unique": true },
            }}},
            "then": { "type": "string", "x-sinew-pose": true },
            "note": { "type": "string" },
        }});
        let names = CellNames {
            classes: vec!["block".into(), "puck".into()],
            colors: vec!["red".into()],
            places: ["A1", "A2"]
                .map(|name| (name.into(), "pocket".into()))
                .into_iter()
                .chain([("bin".into(), "bin".into())])
                .collect(),
            poses: vec!["home".into()],
        };
        let check = |line: Value, expected: Option<&str>| {
            let params = json!({ "order": [{ "class": "puck", "slot": "A2" }, line], "note": "x" });
            let error = check_names(&schema, &params, &names).err();
            assert_eq!(error.map(|error| error.to_string()).as_deref(), expected);
        };
        check(
            json!({ "class": "block", "color": null, "slot": "A1" }),
            None,
        );
        check(
            json!({ "class": "block", "color": "red", "slot": "A1" }),
            None,
        );
        check(
            json!({ "class": "gear", "slot": "A1" }),
            Some("/order/1/class: there is no class `gear`; this cell has block, puck"),
        );
        check(
            json!({ "class": "block", "slot": "bin" }),
            Some("/order/1/slot: there is no pocket `bin`; this cell has A1, A2"),
        );
        check(
            json!({ "class": "block", "color": "pink", "slot": "A1" }),
            Some("/order/1/color: there is no colour `pink`; this cell has red"),
        );
        check(
            json!({ "class": "block", "slot": "A2" }),
            Some(
                "/order/1/slot: `A2` is asked for by /order/0/slot already; each may be asked for once",
            ),
        );
        let error = check_names(&schema, &json!({ "then": "hom" }), &names).err();
        assert_eq!(
            error.map(|error| error.to_string()).as_deref(),
            Some("/then: there is no pose `hom`; this cell has home")
        );
    }

    #[test]
    fn an_endless_schema_ends() {
        let mut schema = json!({ "x-sinew-class": true });
        for _ in 0..100 {
            schema = json!({ "allOf": [schema] });
        }
        assert_eq!(
            check_names(&schema, &json!("x"), &CellNames::default()),
            Ok(())
        );
    }
}
