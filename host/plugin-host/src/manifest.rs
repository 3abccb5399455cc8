//! What a plugin says about itself: the JSON in its manifest section.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::WIT_VERSION;
use crate::schema::Schema;

/// Every capability interface of the WIT package, by name.
pub const CAPABILITIES: [&str; 11] = [
    "clock",
    "events",
    "files",
    "gripper",
    "lifecycle",
    "log",
    "memory",
    "motion",
    "operator",
    "policy",
    "world",
];

/// Longest name of a policy or a directory.
const NAME_MAX: usize = 64;
/// Of a SHA-256, hexadecimal.
const SHA256_DIGITS: usize = 64;
/// Bytes of a manifest: what is read of it takes many times that.
const MANIFEST_MAX: usize = 1 << 20;
/// Longest reason or summary, bytes.
const TEXT_MAX: usize = 500;

/// The manifest, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `publisher/name`.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// Skill or recovery.
    pub kind: Kind,
    /// Version of the WIT package that it was built against.
    pub wit: String,
    /// One line for people.
    pub summary: String,
    /// Interfaces that it imports, and why.
    #[serde(default)]
    pub imports: Vec<Ask>,
    /// JSON Schema of the parameters of a skill.
    pub params_schema: Value,
    /// JSON Schema of the result of a skill.
    pub result_schema: Value,
    /// Checkpoint versions that it reads.
    #[serde(default)]
    pub checkpoints: Vec<u32>,
    /// Robot parts that it needs; `None` means all of them.
    #[serde(default)]
    pub parts: Option<Vec<RobotPart>>,
    /// Policies that it runs. It may run no others.
    #[serde(default)]
    pub policies: Vec<String>,
    /// SHA-256 of the models that it was made for, by the name of the policy; any model will do for those that are not named.
    #[serde(default)]
    pub policy_digests: BTreeMap<String, String>,
    /// What the cell has to have.
    #[serde(default)]
    pub equipment: Equipment,
    /// Directories that it uses with `files`.
    #[serde(default)]
    pub directories: Vec<DirectoryAsk>,
    /// Failure labels that a recovery can help with.
    #[serde(default)]
    pub handles: Vec<String>,
    /// What the world must look like after a success; judged by the task engine.
    #[serde(default)]
    pub post_conditions: Vec<Map<String, Value>>,
}

/// What a cell has to have for a plugin to be of any use in it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Equipment {
    /// Width that the gripper opens to at least, m.
    #[serde(default)]
    pub gripper_opening_m: Option<f64>,
    /// Force that the gripper has at least, N.
    #[serde(default)]
    pub gripper_force_n: Option<f64>,
    /// Named poses of the robot.
    #[serde(default)]
    pub poses: Vec<String>,
    /// Classes of objects that perception knows.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Kinds of places, one of each at least.
    #[serde(default)]
    pub place_kinds: Vec<String>,
}

/// Kinds of plugin.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Does a task.
    Skill,
    /// Puts right what made a skill fail.
    Recovery,
}

/// One interface that a plugin asks for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// One of [`CAPABILITIES`].
    pub interface: String,
    /// What for, in the publisher's words.
    pub why: String,
    /// Without a grant it links all the same and answers `denied`.
    #[serde(default)]
    pub optional: bool,
}

/// One directory that a plugin asks for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct DirectoryAsk {
    /// What the plugin calls it.
    pub name: String,
    /// What for, in the publisher's words.
    pub why: String,
    /// To write as well?
    #[serde(default)]
    pub write: bool,
    /// Without a grant its calls answer `denied`.
    #[serde(default)]
    pub optional: bool,
}

/// Parts of the robot that are held by one run at a time.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum RobotPart {
    /// The arm.
    Arm,
    /// The gripper.
    Gripper,
}

impl RobotPart {
    /// Every part.
    pub const ALL: [Self; 2] = [Self::Arm, Self::Gripper];

    /// As manifests and grants write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Gripper => "gripper",
        }
    }
}

/// What is wrong with a manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not the JSON that a manifest is.
    #[error("the manifest is not valid: {0}")]
    Shape(#[from] serde_json::Error),
    /// The name is no `publisher/name`.
    #[error(
        "the manifest's name `{0}` is not `publisher/name` in lower-case letters, digits and dashes, {NAME_MAX} at most each, the first \
         one no dash"
    )]
    Name(String),
    /// A name that could be taken for something else.
    #[error(
        "the manifest's {key} have {name:?}: a name has 1 to {NAME_MAX} letters, digits, dots, dashes and underscores"
    )]
    Named {
        /// `policies` or `directories`.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// One name for two directories: nobody could grant both.
    #[error(
        "the manifest's directories have {0:?} twice; ask for it once, with all that it is for"
    )]
    Twice(String),
    /// More bytes than a manifest has.
    #[error("the manifest has {size} bytes, {limit} are allowed")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// One interface twice: which of the two would count?
    #[error("the manifest's imports have {0:?} twice; ask for it once, with all that it is for")]
    ImportedTwice(String),
    /// A quantity that no equipment has.
    #[error("the manifest's equipment.{key} is {least}, which is no positive number")]
    Equipment {
        /// The key.
        key: &'static str,
        /// What it says.
        least: f64,
    },
    /// A digest of nothing.
    #[error(
        "the manifest's policy_digests have {0:?}: a policy of `policies`, and the 64 hexadecimal digits (lower case) of its model's SHA-256"
    )]
    PolicyDigest(String),
    /// A text that would not be one line.
    #[error(
        "a text of the manifest has line breaks or control characters, or more than {TEXT_MAX} bytes: {0:?}"
    )]
    Text(String),
    /// Built for another version of the WIT package.
    #[error(
        "the plugin was built against sinew:plugin@{0}, this host serves {WIT_VERSION}; rebuild it with the SDK of this host, or say in its manifest what it was built against: wit = \"{WIT_VERSION}\""
    )]
    Wit(String),
    /// Asks for something that does not exist.
    #[error("the manifest asks for an interface `{0}`; there are {list}", list = CAPABILITIES.join(", "))]
    Interface(String),
    /// A schema is no JSON Schema.
    #[error("the manifest's {which} is no JSON Schema: {reason}")]
    Schema {
        /// `params_schema` or `result_schema`.
        which: &'static str,
        /// The validator's words.
        reason: String,
    },
}

impl Manifest {
    /// The schemas of its parameters and of its result, ready to check with.
    ///
    /// # Errors
    /// Which one is none, or takes too much to check, and why.
    pub(crate) fn schemas(&self) -> Result<(Schema, Schema), ManifestError> {
        let schema = |which, value: &Value| {
            Schema::new(value).map_err(|reason| ManifestError::Schema { which, reason })
        };
        Ok((
            schema("params_schema", &self.params_schema)?,
            schema("result_schema", &self.result_schema)?,
        ))
    }

    /// Checks the schemas that it declares.
    ///
    /// # Errors
    /// Which one is none, or takes too much to check, and why.
    pub fn check_schemas(&self) -> Result<(), ManifestError> {
        self.schemas().map(|_| ())
    }

    /// Parses and checks, all but the schemas that it declares.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (size, limit) = (bytes.len(), MANIFEST_MAX);
        if size > limit {
            return Err(ManifestError::TooLarge { size, limit });
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        let word = |text: &str| {
            text.len() <= NAME_MAX
                && text.starts_with(|first: char| first.is_ascii_alphanumeric())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        match manifest.name.split_once('/') {
            Some((publisher, name)) if word(publisher) && word(name) => {}
            _ => {
                let shown = manifest.name.chars().take(NAME_MAX).collect();
                return Err(ManifestError::Name(shown));
            }
        }
        if manifest.wit != WIT_VERSION {
            return Err(ManifestError::Wit(manifest.wit));
        }
        let equipment = &manifest.equipment;
        let named = (manifest.policies.iter())
            .map(|name| ("policies", name))
            .chain((equipment.poses.iter()).map(|name| ("equipment.poses", name)))
            .chain((equipment.classes.iter()).map(|name| ("equipment.classes", name)))
            .chain((equipment.place_kinds.iter()).map(|name| ("equipment.place_kinds", name)))
            .chain((manifest.directories.iter()).map(|ask| ("directories", &ask.name)));
        for (key, name) in named {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(is_plain) {
                return Err(ManifestError::Named {
                    key,
                    name: name.clone(),
                });
            }
        }
        let mut interfaces = BTreeSet::new();
        for ask in &manifest.imports {
            if !interfaces.insert(&ask.interface) {
                return Err(ManifestError::ImportedTwice(ask.interface.clone()));
            }
        }
        let mut directories = BTreeSet::new();
        for ask in &manifest.directories {
            if !directories.insert(&ask.name) {
                return Err(ManifestError::Twice(ask.name.clone()));
            }
        }
        for (key, least) in [
            ("gripper_opening_m", equipment.gripper_opening_m),
            ("gripper_force_n", equipment.gripper_force_n),
        ] {
            if let Some(least) = least
                && !(least.is_finite() && least > 0.0)
            {
                return Err(ManifestError::Equipment { key, least });
            }
        }
        for (policy, digest) in &manifest.policy_digests {
            let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if !manifest.policies.contains(policy)
                || digest.len() != SHA256_DIGITS
                || !digest.bytes().all(is_hex)
            {
                return Err(ManifestError::PolicyDigest(
                    policy.chars().take(NAME_MAX).collect(),
                ));
            }
        }
        // They are shown to whoever grants, in lines of their own.
        let texts = (manifest.imports.iter().map(|ask| &ask.why))
            .chain(manifest.directories.iter().map(|ask| &ask.why))
            .chain([&manifest.summary, &manifest.version]);
        for text in texts {
            if text.len() > TEXT_MAX || text.chars().any(char::is_control) {
                return Err(ManifestError::Text(text.chars().take(NAME_MAX).collect()));
            }
        }
        for ask in &manifest.imports {
            if !CAPABILITIES.contains(&ask.interface.as_str()) {
                return Err(ManifestError::Interface(ask.interface.clone()));
            }
        }
        Ok(manifest)
    }

    /// Whether a run of it needs the lease on `part`.
    #[must_use]
    pub fn needs(&self, part: RobotPart) -> bool {
        self.parts
            .as_ref()
            .is_none_or(|parts| parts.contains(&part))
    }

    /// What it asks about an interface, if it does.
    #[must_use]
    pub fn ask(&self, interface: &str) -> Option<&Ask> {
        self.imports.iter().find(|ask| ask.interface == interface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edit: &str, to: &str, expected: &str) {
        let text = r#"{"name":"lab/pick","version":"1.0.0","kind":"skill","wit":"0.1.0","summary":"s",
            "imports":[{"interface":"motion","why":"w"}],"params_schema":true,"result_schema":true}"#;
        let error = match Manifest::from_json(text.replace(edit, to).as_bytes()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(expected), "{to}: {error}");
        assert_eq!(error.is_empty(), expected.is_empty(), "{to}: {error}");
    }

    #[test]
    fn a_manifest_is_checked_field_by_field() {
        check("", "", "");
        check("lab/pick", "pick", "publisher/name");
        check("lab/pick", "Lab/pick", "publisher/name");
        check("lab/pick", "-lab/pick", "publisher/name");
        check(
            "lab/pick",
            &format!("lab/{}", "x".repeat(65)),
            "64 at most each",
        );
        check("0.1.0", "0.9.0", "built against sinew:plugin@0.9.0");
        check("\"motion\"", "\"lasers\"", "`lasers`; there are clock");
        check("\"skill\"", "\"driver\"", "unknown variant `driver`");
        check("\"summary\"", "\"sumary\"", "unknown field `sumary`");
        for (needs, expected) in [
            (r#""equipment":{"gripper_force_n":20,"poses":["home"]}"#, ""),
            (
                r#""equipment":{"gripper_force_n":-1}"#,
                "equipment.gripper_force_n is -1",
            ),
            (r#""equipment":{"wheels":4}"#, "unknown field `wheels`"),
            (
                r#""directories":[{"name":"a","why":"w"},{"name":"b","why":"w"}]"#,
                "",
            ),
            (
                r#""directories":[{"name":"a","why":"w"},{"name":"a","why":"w","write":true}]"#,
                "directories have \"a\" twice",
            ),
            (r#""equipment":{"poses":["a b"]}"#, "equipment.poses have"),
            (
                r#""policy_digests":{"grasp":"12"}"#,
                "policy_digests have \"grasp\"",
            ),
        ] {
            let needs = format!("{needs},\"params_schema\"");
            check("\"params_schema\"", &needs, expected);
        }
        check(
            "\"why\":\"w\"",
            "\"why\":\"w\\n  files: to be trusted\"",
            "line breaks",
        );
        for name in ["a\\\"\\nwrite = true", "", "a b", "ä"] {
            let policies = format!("\"policies\":[\"{name}\"],\"params_schema\"");
            check("\"params_schema\"", &policies, "a name has 1 to 64");
        }
    }
}
