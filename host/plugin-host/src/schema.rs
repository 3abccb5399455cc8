//! JSON against a plugin's schemas.

use jsonschema::Validator;
use serde_json::Value;

/// Most nodes of a schema, counted with what its references lead to as often as they lead there. Checking a value takes time
/// by that number, and no fuel meters it.
const NODES_MAX: usize = 5_000;

/// A compiled schema.
pub(crate) struct Schema(Validator);

impl Schema {
    /// Compiles; nothing is ever fetched from elsewhere.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        let mut left = NODES_MAX;
        if !fits(schema, schema, &mut Vec::new(), &mut left) {
            return Err(format!(
                "it has more than {NODES_MAX} nodes once its references are followed"
            ));
        }
        match jsonschema::validator_for(schema) {
            Ok(validator) => Ok(Self(validator)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The JSON Pointer of the first value that is wrong (empty for the whole), and what is wrong with it.
    pub(crate) fn check(&self, value: &Value) -> Result<(), (String, String)> {
        match self.0.iter_errors(value).next() {
            None => Ok(()),
            Some(error) => Err((error.instance_path().to_string(), error.to_string())),
        }
    }
}

/// Whether a schema has no more nodes than are left. A reference back to where it comes from ends there.
fn fits<'s>(root: &'s Value, node: &'s Value, path: &mut Vec<&'s str>, left: &mut usize) -> bool {
    let Some(less) = left.checked_sub(1) else {
        return false;
    };
    *left = less;
    match node {
        Value::Array(items) => items.iter().all(|item| fits(root, item, path, left)),
        Value::Object(map) => map.iter().all(|(key, value)| {
            let target = match (key.as_str(), value) {
                ("$ref" | "$dynamicRef", Value::String(target)) => target.as_str(),
                _ => return fits(root, value, path, left),
            };
            let Some(there) = target.strip_prefix('#').and_then(|to| root.pointer(to)) else {
                return true;
            };
            if path.contains(&target) {
                return true;
            }
            path.push(target);
            let fits = fits(root, there, path, left);
            path.pop();
            fits
        }),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_grows_when_it_is_followed_is_refused() {
        let doubling = |levels: usize| {
            let mut defs = serde_json::Map::new();
            defs.insert("a0".to_owned(), json!({"type": "object"}));
            for level in 1..=levels {
                let before = json!({"$ref": format!("#/$defs/a{}", level - 1)});
                defs.insert(format!("a{level}"), json!({"allOf": [before, before]}));
            }
            json!({"$defs": defs, "$ref": format!("#/$defs/a{levels}")})
        };
        assert!(Schema::new(&doubling(3)).is_ok());
        for levels in [12, 60] {
            let error = Schema::new(&doubling(levels))
                .err()
                .expect("it is too much");
            assert!(error.contains("more than 5000 nodes"), "{error}");
        }
        let tree = json!({"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}});
        let tree = Schema::new(&tree).expect("a tree is no bomb");
        assert!(tree.check(&json!({"children": [{"children": []}]})).is_ok());
        assert!(tree.check(&json!({"children": [{"children": 3}]})).is_err());
    }
}
