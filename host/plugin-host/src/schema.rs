//! JSON against a plugin's schemas.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Most nodes of a schema, counted with what its references lead to as often as they lead there. Checking a value takes time
/// by that number, and no fuel meters it.
const NODES_MAX: usize = 5_000;
/// Nodes times bytes of a value, at most: some 30 ms of the thread that checks.
const WORK_MAX: usize = 8_000_000;

/// Nodes that a pattern counts for: to look for it takes longer than whatever else a node asks.
const PATTERN_NODES: usize = 500;
/// Largest pattern, bytes of what it is compiled to. What it takes to look for one is this times the length of the text.
const PATTERN_BYTES: usize = 16 << 10;

/// Keyword that holds schemas by patterns.
const BY_PATTERN: &str = "patternProperties";
/// Keywords that hold schemas by name: the names are the plugin's own, whatever they look like.
const BY_NAME: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    BY_PATTERN,
    "properties",
];
/// Keywords that hold values.
const VALUES: [&str; 5] = ["const", "default", "dependentRequired", "enum", "examples"];
/// Keywords by which a reference leads elsewhere than to the place that it spells: what it costs can't be counted.
const ELSEWHERE: [&str; 7] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "id",
];

/// Keywords that ask what all others have looked at: each level of them looks at all that is below it more than once, so that
/// sixty levels take for ever.
const UNBOUNDED: [&str; 2] = ["unevaluatedItems", "unevaluatedProperties"];

/// Longest words about a value that hold the value itself, characters.
const REASON_MAX: usize = 400;

/// A schema of a plugin, counted and compiled.
pub struct Schema {
    validator: Validator,
    /// Its nodes, counted as often as they are referred to, and a pattern for many.
    nodes: usize,
}

impl Schema {
    /// Counts and compiles; nothing is ever fetched from elsewhere.
    ///
    /// # Errors
    /// It is no JSON Schema, or what it takes to check a value can't be told or is too much.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let mut count = Count {
            root: schema,
            followed: Vec::new(),
            left: NODES_MAX,
        };
        count.walk(schema, Holds::Schema, "#")?;
        // An engine that goes back and tries again may do so a million times for each pattern and text; this one never does,
        // and knows nothing that needs it.
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES);
        match (jsonschema::options().with_pattern_options(patterns)).build(schema) {
            Ok(validator) => Ok(Self {
                validator,
                nodes: NODES_MAX - count.left,
            }),
            Err(error) if matches!(error.kind(), ValidationErrorKind::Format { .. }) => {
                Err(format!(
                    "{error}: a pattern of a plugin looks neither around nor back, and is compiled to {PATTERN_BYTES} bytes at most; \
                 say [a-zA-Z] for letters, and bound how often something is repeated"
                ))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The JSON Pointer of the first value that is wrong (empty for the whole), and what is wrong with it.
    pub fn check(&self, value: &Value) -> Result<(), (String, String)> {
        let size = size_of(value);
        if self.nodes.saturating_mul(size) > WORK_MAX {
            let most = WORK_MAX / self.nodes.max(1);
            let reason = format!(
                "it has {size} bytes of names, texts and numbers; a schema with {} nodes (a pattern counts for {PATTERN_NODES}) checks {most}",
                self.nodes
            );
            return Err((String::new(), reason));
        }
        match self.validator.iter_errors(value).next() {
            None => Ok(()),
            Some(error) => {
                let (place, words) = (error.instance_path().to_string(), error.to_string());
                // What it says of a long value stands behind that value.
                Err(match words.chars().nth(REASON_MAX) {
                    None => (place, words),
                    Some(_) => (place, error.masked().to_string()),
                })
            }
        }
    }
}

/// Bytes of all names and texts of a value, and eight for everything else in it.
fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(all) => 8 + all.iter().map(size_of).sum::<usize>(),
        Value::Object(all) => {
            let each = all.iter().map(|(name, value)| name.len() + size_of(value));
            8 + each.sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// What a node of a schema holds.
#[derive(Clone, Copy)]
enum Holds {
    Schema,
    SchemasByName,
    Values,
}

impl Holds {
    fn under(keyword: &str) -> Self {
        if BY_NAME.contains(&keyword) {
            Self::SchemasByName
        } else if VALUES.contains(&keyword) {
            Self::Values
        } else {
            Self::Schema
        }
    }
}

/// Goes through a schema and all that its references lead to.
struct Count<'s> {
    root: &'s Value,
    /// References that lead to where it is.
    followed: Vec<&'s str>,
    left: usize,
}

impl<'s> Count<'s> {
    fn walk(&mut self, node: &'s Value, holds: Holds, place: &str) -> Result<(), String> {
        self.take(1)?;
        match node {
            Value::Array(items) => (items.iter().enumerate())
                .try_for_each(|(index, item)| self.walk(item, holds, &format!("{place}/{index}"))),
            Value::Object(map) => map.iter().try_for_each(|(key, value)| {
                let place = format!("{place}/{key}");
                match holds {
                    Holds::Schema => self.keyword(key, value, &place),
                    Holds::SchemasByName => self.walk(value, Holds::Schema, &place),
                    Holds::Values => self.walk(value, Holds::Values, &place),
                }
            }),
            _ => Ok(()),
        }
    }

    fn take(&mut self, nodes: usize) -> Result<(), String> {
        self.left = (self.left.checked_sub(nodes)).ok_or_else(|| {
            format!(
                "it has more than {NODES_MAX} nodes once its references are followed; a pattern counts for {PATTERN_NODES}"
            )
        })?;
        Ok(())
    }

    fn keyword(&mut self, keyword: &str, value: &'s Value, place: &str) -> Result<(), String> {
        if ELSEWHERE.contains(&keyword) {
            return Err(format!(
                "`{place}`: a schema of a plugin is referred to by its place alone, as \"$ref\": \"#/$defs/NAME\"; take \
                 `{keyword}` out"
            ));
        }
        if UNBOUNDED.contains(&keyword) {
            return Err(format!(
                "`{place}`: what `{keyword}` takes to check has no bound; name what is allowed, and say \
                 \"additionalProperties\": false or \"items\": false beside it"
            ));
        }
        if keyword == "$ref" {
            return self.follow(value, place);
        }
        if keyword == "pattern" {
            self.take(PATTERN_NODES)?;
        }
        if keyword == BY_PATTERN {
            let patterns = value.as_object().map_or(0, serde_json::Map::len);
            self.take(PATTERN_NODES.saturating_mul(patterns))?;
        }
        self.walk(value, Holds::under(keyword), place)
    }

    fn follow(&mut self, target: &'s Value, place: &str) -> Result<(), String> {
        let pointer = target.as_str().filter(|target| !target.contains('%'));
        let found = pointer.and_then(|target| {
            let path = target.strip_prefix('#').filter(|path| !path.is_empty())?;
            Some((target, self.root.pointer(path)?))
        });
        let Some((target, there)) = found else {
            return Err(format!(
                "`{place}`: {target} is no place in it; write #/$defs/NAME, without percent signs, and put what it means there"
            ));
        };
        if self.followed.contains(&target) {
            return Err(format!(
                "`{place}`: {target} leads back to itself, and what it takes to check a value has no bound then; write the \
                 levels out that are needed"
            ));
        }
        self.followed.push(target);
        self.walk(there, Holds::Schema, target)?;
        self.followed.pop();
        Ok(())
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
    }

    #[test]
    fn what_it_takes_to_check_a_value_is_bounded() {
        let text = |bytes: usize| json!("1".repeat(bytes));
        let plain = Schema::new(&json!({"type": "string"})).expect("a schema");
        assert_eq!(plain.check(&text(262_144)), Ok(()));
        let pattern = Schema::new(&json!({"pattern": "^[01]*$"})).expect("a schema");
        assert_eq!(pattern.check(&text(10_000)), Ok(()));
        let (_, reason) = pattern.check(&text(262_144)).expect_err("too much");
        assert!(
            reason.contains("it has 262144 bytes") && reason.contains("checks "),
            "{reason}"
        );
        let many: Vec<_> = (0..2_000)
            .map(|most| json!({"minLength": most % 7}))
            .collect();
        let many = Schema::new(&json!({"allOf": many})).expect("a schema");
        assert_eq!(many.check(&text(100)), Ok(()));
        assert!(many.check(&json!([text(200_000)])).is_err());
    }

    #[test]
    fn what_a_reference_costs_can_always_be_counted() {
        let twice =
            json!({"properties": {"c": {"allOf": [{"$ref": "#/$defs/t"}, {"$ref": "#/$defs/t"}]}}});
        let tree = json!({"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}});
        for (schema, expected) in [
            (
                json!({"$defs": {"t": twice}, "$ref": "#/$defs/t"}),
                "#/$defs/t leads back to itself",
            ),
            (tree, "\"#\" is no place in it"),
            (
                json!({"$defs": {"a": {"$anchor": "a"}}, "$ref": "#a"}),
                "`#/$defs/a/$anchor`: ",
            ),
            (
                json!({"$defs": {"a": {}}, "$ref": "#a"}),
                "`#/$ref`: \"#a\" is no place in it",
            ),
            (
                json!({"$defs": {"a": {"$dynamicAnchor": "a"}}}),
                "take `$dynamicAnchor` out",
            ),
            (
                json!({"$dynamicRef": "#/$defs/a"}),
                "take `$dynamicRef` out",
            ),
            (
                json!({"items": {"$recursiveRef": "#"}}),
                "take `$recursiveRef` out",
            ),
            (
                json!({"$recursiveAnchor": true}),
                "take `$recursiveAnchor` out",
            ),
            (
                json!({"$defs": {"a0": {}}, "$ref": "#/%24defs/a0"}),
                "without percent signs",
            ),
            (
                json!({"$id": "https://x", "$ref": "https://x#/$defs/a"}),
                "`#/$id`: ",
            ),
            (json!({"$ref": "https://x#/$defs/a"}), "is no place in it"),
            (
                json!({"$schema": "http://json-schema.org/draft-04/schema#", "id": "https://x"}),
                "take `id` out",
            ),
            (
                json!({"allOf": [{"unevaluatedProperties": false}]}),
                "`#/allOf/0/unevaluatedProperties`: ",
            ),
            // What is a value where it stands is a schema where a reference leads to it.
            (
                json!({"default": {"$id": "https://x"}, "$ref": "#/default"}),
                "`#/default/$id`: ",
            ),
        ] {
            let error = Schema::new(&schema).err().expect("it can't be counted");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_a_pattern_costs_has_a_bound() {
        let word = json!({"pattern": "^[a-z][a-z0-9-]{1,63}$"});
        let names = json!({"patternProperties": {"^[A-Z]\\w*\\d$": {"type": "integer"}}, "additionalProperties": false});
        for (schema, fits, misses) in [
            (word, json!("pick-2"), json!("2-pick")),
            (names, json!({"A1": 1}), json!({"a1": 1})),
            // Whoever goes back and tries again is done with it next year.
            (
                json!({"pattern": "^(a|a)*$"}),
                json!("a".repeat(5_000)),
                json!("a".repeat(5_000) + "b"),
            ),
        ] {
            let schema = Schema::new(&schema).expect("it has a bound");
            assert_eq!(schema.check(&fits), Ok(()));
            assert!(schema.check(&misses).is_err());
        }
        let many = |count: usize| {
            let all: Vec<Value> = (0..count)
                .map(|n| json!({"pattern": format!("{n}$")}))
                .collect();
            json!({ "anyOf": all })
        };
        assert!(Schema::new(&many(9)).is_ok());
        let by_name: serde_json::Map<String, Value> =
            (0..10).map(|n| (format!("{n}$"), json!(true))).collect();
        for (schema, expected) in [
            (
                json!({"pattern": "(?<!x)(a*)*\\1c"}),
                "neither around nor back",
            ),
            (json!({"pattern": "(?=a)b"}), "neither around nor back"),
            (json!({"pattern": "((a{1,60}){1,60}){1,60}"}), "16384 bytes"),
            (many(10), "a pattern counts for 500"),
            (
                json!({ "patternProperties": by_name }),
                "a pattern counts for 500",
            ),
        ] {
            let error = Schema::new(&schema).err().expect("it has none");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_name_is_no_keyword() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": {"id": {"type": "string"}},
            "properties": {"$id": {"$ref": "#/$defs/id"}, "$ref": {"const": {"$ref": "#"}}, "id": {"$ref": "#/$defs/id"}},
            "default": {"$id": "x"},
        });
        let schema = Schema::new(&schema).expect("all of it can be counted");
        assert!(
            schema
                .check(&json!({"$id": "x", "$ref": {"$ref": "#"}}))
                .is_ok()
        );
        assert!(schema.check(&json!({"id": 3})).is_err());
    }
}
