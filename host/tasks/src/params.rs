//! Names of the cell in a skill's parameters.
//!
//! A schema can mark a string as a name of this cell: `"x-sinew-place": "<kind>"` for a place of that kind,
//! `"x-sinew-class": true` for a class and `"x-sinew-color": true` for a colour that perception knows. They are
//! checked when the task is submitted, so that a wrong name is refused before anything moves.

use serde_json::Value;

use crate::engine::CellNames;

/// A value that the cell doesn't know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: there is no {what} `{found}`; {}", allowed_text(.allowed))]
pub struct ParamsError {
    /// JSON Pointer to the value.
    pub path: String,
    /// What it should name: `class`, `colour`, or the kind of place.
    pub what: String,
    /// What stands there.
    pub found: String,
    /// What could.
    pub allowed: Vec<String>,
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
/// The first one that names nothing.
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
                    Err(ParamsError {
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
        }
        Value::Array(items) => {
            if let Some(item_schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    let length = path.len();
                    path.push_str(&format!("/{index}"));
                    walk(item_schema, item, names, path, depth)?;
                    path.truncate(length);
                }
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
                "slot": { "type": "string", "x-sinew-place": "pocket" },
            }}},
            "note": { "type": "string" },
        }});
        let names = CellNames {
            classes: vec!["block".into(), "puck".into()],
            colors: vec!["red".into()],
            places: vec![("A1".into(), "pocket".into()), ("bin".into(), "bin".into())],
        };
        let check = |line: Value, expected: Option<&str>| {
            let params = json!({ "order": [{ "class": "puck", "slot": "A1" }, line], "note": "x" });
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
            Some("/order/1/slot: there is no pocket `bin`; this cell has A1"),
        );
        check(
            json!({ "class": "block", "color": "pink", "slot": "A1" }),
            Some("/order/1/color: there is no colour `pink`; this cell has red"),
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
