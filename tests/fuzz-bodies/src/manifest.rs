//! What a plugin says about itself, and the schemas in it.

use std::ops::Range;

use serde_json::{Value, json};
use sinew_plugin_host::{Grants, Manifest, Schema, read_manifest};
use sinew_tasks::check_manifest;

use crate::choices::Choices;
use crate::raw::with_manifest_of;
use crate::seeds::{COMPONENT, manifest_of};

/// Fields that the bytes are put in place of; the first two are schemas.
pub(crate) const FIELDS: [&str; 16] = [
    "params_schema",
    "result_schema",
    "name",
    "version",
    "kind",
    "wit",
    "summary",
    "imports",
    "checkpoints",
    "parts",
    "policies",
    "policy_digests",
    "equipment",
    "directories",
    "handles",
    "post_conditions",
];
const SCHEMAS: Range<usize> = 0..2;

/// Longest value that is checked, as it is for parameters and results.
const VALUE_MAX: usize = 256 << 10;

/// In the first byte: what is in a list is in it twice.
const TWICE: u8 = 0x80;

/// The first byte says whether the others are a manifest or one field of it; after a zero stands a value that is checked
/// against its schemas.
pub fn manifest(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let first = choices.byte();
    let field = usize::from(first & !TWICE) % (FIELDS.len() + 1);
    let rest = choices.rest();
    let at = rest.iter().position(|byte| *byte == 0);
    let (text, value) = rest.split_at(at.unwrap_or(rest.len()));
    let doubled = (first & TWICE != 0).then(|| twice(text)).flatten();
    let text = doubled.as_deref().unwrap_or(text);
    let text = match FIELDS.get(field) {
        Some(name) => with_field(name, text),
        None => text.to_vec(),
    };
    let value = value.get(1..).unwrap_or_default();
    check(&text, value, SCHEMAS.contains(&field));
}

/// A list with everything in it once more, which bytes that are changed one by one hardly ever become.
fn twice(list: &[u8]) -> Option<Vec<u8>> {
    let items: Vec<Value> = serde_json::from_slice(list).ok()?;
    serde_json::to_vec(&[items.clone(), items].concat()).ok()
}

/// A manifest in which everything but one field is in order.
fn with_field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut manifest = manifest_of("lab/pick", "skill", &[]);
    let fields = manifest.as_object_mut().expect("a manifest is an object");
    fields.remove(name);
    let mut text = json!(fields).to_string().into_bytes();
    text.pop();
    text.extend_from_slice(format!(",\"{name}\":").as_bytes());
    text.extend_from_slice(value);
    text.push(b'}');
    text
}

fn check(text: &[u8], value: &[u8], has_schema: bool) {
    let packed = read_manifest(&with_manifest_of(COMPONENT.to_vec(), text), "it");
    let manifest = match Manifest::from_json(text) {
        Ok(manifest) => manifest,
        Err(_) => {
            assert!(packed.is_err(), "what is wrong is wrong in its section too");
            return;
        }
    };
    assert_eq!(
        packed.map(|packed| packed.name).ok().as_ref(),
        Some(&manifest.name)
    );
    can_be_granted(&manifest);
    // Whatever is wrong with it, it is said and not run into.
    let _ = check_manifest(&manifest);
    let schemas = [&manifest.params_schema, &manifest.result_schema];
    let given: Option<Value> = (value.get(..VALUE_MAX.min(value.len())))
        .and_then(|text| serde_json::from_slice(text).ok());
    let values = [Value::Null, json!({}), json!([[]]), json!("")];
    for schema in schemas.iter().take(if has_schema { 2 } else { 1 }) {
        let Ok(schema) = Schema::new(schema) else {
            continue;
        };
        for value in given.iter().chain(&values) {
            assert_eq!(schema.check(value), schema.check(value));
        }
    }
}

/// What the operator is told to paste grants what was asked for, to this plugin and to no other one.
fn can_be_granted(manifest: &Manifest) {
    let Err(text) = Grants::default().meet(manifest) else {
        return;
    };
    let (asked, paste) = text
        .split_once("grants file:\n\n")
        .expect("it says what to paste");
    let lack = Grants::default().lack(manifest);
    let lines =
        2 + lack.interfaces.len() + lack.parts.len() + lack.policies.len() + lack.directories.len();
    assert_eq!(asked.lines().count(), lines, "a line each: {asked}");
    let pasted = Grants::from_toml_str(paste, "grants.toml")
        .unwrap_or_else(|error| panic!("{error}\n{paste}"));
    let names: Vec<&str> = pasted.names().collect();
    assert_eq!(names, [manifest.name.as_str()]);
    assert!(pasted.lack(manifest).is_empty(), "{paste}");
    assert!(pasted.meet(manifest).is_ok(), "{paste}");
}
