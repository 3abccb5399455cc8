//! Manifests: `manifest.toml` of a plugin plus the schemas of its Rust types.
//!
//! ```toml
//! name = "sinew/kit-parts"                  # publisher/name
//! summary = "Puts the ordered parts into their tray pockets."
//! parts = ["arm", "gripper"]                # robot parts that it needs; all if left out
//! policies = ["grasp"]                      # policies that it runs; it may run no others
//! checkpoints = [1]                         # checkpoint versions that it reads
//! handles = ["no-grasp", "dropped"]         # recoveries: labels that it can help with
//!
//! [policy_digests]                          # models that it was made for; any other is refused
//! grasp = "5f2c…"
//!
//! [equipment]                               # what the cell has to have
//! gripper_opening_m = 0.06
//! gripper_force_n = 20.0
//! poses = ["home"]
//! classes = ["block"]
//! place_kinds = ["slot"]
//!
//! [[imports]]
//! interface = "motion"
//! why = "to carry parts"
//! optional = false                          # true: links without a grant and answers `denied`
//!
//! [[directories]]                           # directories that it uses with `files`
//! name = "orders"
//! why = "to read what is to be packed"
//! write = false
//! optional = false
//!
//! [[post_conditions]]                       # what the world must look like after a success
//! predicate = "holding"
//! value = false
//! ```

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Recovery;
use crate::glue::__SkillFn;

/// Version of the WIT package that this SDK speaks.
pub const WIT_VERSION: &str = "0.1.0";

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    summary: String,
    #[serde(default)]
    parts: Option<Vec<String>>,
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    policy_digests: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    equipment: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    directories: Vec<Directory>,
    #[serde(default)]
    checkpoints: Vec<u32>,
    #[serde(default)]
    handles: Vec<String>,
    #[serde(default)]
    imports: Vec<Import>,
    #[serde(default)]
    post_conditions: Vec<Map<String, Value>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Import {
    interface: String,
    why: String,
    #[serde(default)]
    optional: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Directory {
    name: String,
    why: String,
    #[serde(default)]
    write: bool,
    #[serde(default)]
    optional: bool,
}

#[derive(Serialize)]
struct Manifest {
    #[serde(flatten)]
    written: Written,
    version: String,
    kind: &'static str,
    wit: &'static str,
    params_schema: Value,
    result_schema: Value,
}

/// The manifest of a skill as JSON text.
///
/// # Panics
/// `manifest.toml` has an error; the message says which. It runs while the plugin is being packed.
#[must_use]
pub fn of_skill<P: JsonSchema, C, R: JsonSchema>(
    _skill: __SkillFn<P, C, R>,
    written: &str,
    version: &str,
) -> String {
    render(written, version, "skill", schema::<P>(), schema::<R>())
}

/// The manifest of a recovery as JSON text.
///
/// # Panics
/// As [`of_skill`].
#[must_use]
pub fn of_recovery<T: Recovery>(written: &str, version: &str) -> String {
    render(
        written,
        version,
        "recovery",
        Value::Bool(true),
        Value::Bool(true),
    )
}

fn schema<T: JsonSchema>() -> Value {
    // One self-contained document: hosts and language models read it without following references.
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn render(
    written: &str,
    version: &str,
    kind: &'static str,
    params_schema: Value,
    result_schema: Value,
) -> String {
    let written: Written = match toml::from_str(written) {
        Ok(written) => written,
        Err(error) => panic!("manifest.toml: {error}"),
    };
    let manifest = Manifest {
        written,
        version: version.to_owned(),
        kind,
        wit: WIT_VERSION,
        params_schema,
        result_schema,
    };
    serde_json::to_string_pretty(&manifest).expect("made of strings, numbers and maps")
}
