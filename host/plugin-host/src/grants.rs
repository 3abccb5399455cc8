//! What the operator lets each plugin do. Deny by default.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use thiserror::Error;

use crate::manifest::{CAPABILITIES, Manifest};

/// The grants file, checked.
///
/// ```toml
/// [plugins."sinew/kit-parts"]
/// interfaces = ["world", "motion", "gripper", "policy", "events", "lifecycle"]
/// policies = ["grasp"]      # left out: every policy
/// speed = 0.8               # share of the cell's speed that its motions may ask for; 1 if left out
/// acceleration = 1.0
/// force_n = 40.0            # largest gripper force
///
/// [[plugins."sinew/kit-parts".directories]]
/// name = "orders"
/// path = "/var/lib/sinew/orders"
/// write = false
/// quota_bytes = 1048576
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    #[serde(default)]
    plugins: BTreeMap<String, Grant>,
}

/// What one plugin may do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Interfaces that may be linked.
    pub interfaces: BTreeSet<String>,
    /// Policies that may be run; every one if `None`.
    #[serde(default)]
    pub policies: Option<BTreeSet<String>>,
    /// Factor on the speed that motions ask for, in (0, 1].
    #[serde(default = "all")]
    pub speed: f64,
    /// Factor on the acceleration that motions ask for, in (0, 1].
    #[serde(default = "all")]
    pub acceleration: f64,
    /// Largest gripper force, newtons.
    #[serde(default)]
    pub force_n: Option<f64>,
    /// Directories for `files`.
    #[serde(default)]
    pub directories: Vec<DirectoryGrant>,
}

/// One directory that a plugin may use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryGrant {
    /// What the plugin calls it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// May it write?
    #[serde(default)]
    pub write: bool,
    /// Bytes of all files in it together, for writing.
    #[serde(default = "default_quota")]
    pub quota_bytes: u64,
}

/// What is wrong with a grants file.
#[derive(Debug, Error)]
pub enum GrantsError {
    /// Not TOML, or an unknown key.
    #[error("{origin}: {reason}")]
    Shape {
        /// Where the text came from.
        origin: String,
        /// Line, column and what was expected.
        reason: String,
    },
    /// A value that makes no sense.
    #[error("{origin}: plugins.\"{plugin}\".{key}: {reason}")]
    Value {
        /// Where the text came from.
        origin: String,
        /// The plugin.
        plugin: String,
        /// The key.
        key: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
}

fn all() -> f64 {
    1.0
}

fn default_quota() -> u64 {
    1 << 20
}

impl Grants {
    /// The plugins that are named, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plugins.keys().map(String::as_str)
    }

    /// Parses and checks; `origin` names the source in messages.
    ///
    /// # Errors
    /// Unknown keys, unknown interfaces, factors outside (0, 1].
    pub fn from_toml_str(text: &str, origin: &str) -> Result<Self, GrantsError> {
        let grants: Self = toml::from_str(text).map_err(|error| GrantsError::Shape {
            origin: origin.to_owned(),
            reason: error.to_string(),
        })?;
        for (plugin, grant) in &grants.plugins {
            let wrong = |key, reason| GrantsError::Value {
                origin: origin.to_owned(),
                plugin: plugin.clone(),
                key,
                reason,
            };
            for interface in &grant.interfaces {
                if !CAPABILITIES.contains(&interface.as_str()) {
                    return Err(wrong(
                        "interfaces",
                        format!(
                            "there is no interface `{interface}`; there are {}",
                            CAPABILITIES.join(", ")
                        ),
                    ));
                }
            }
            for (key, factor) in [("speed", grant.speed), ("acceleration", grant.acceleration)] {
                if !(factor > 0.0 && factor <= 1.0) {
                    return Err(wrong(key, format!("{factor} is not in (0, 1]")));
                }
            }
            if let Some(force) = grant.force_n
                && !(force > 0.0 && force.is_finite())
            {
                return Err(wrong("force_n", format!("{force} is no positive force")));
            }
        }
        Ok(grants)
    }

    /// Adds the other file's entries; where both name a plugin, the other's wins.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        self.plugins.extend(other.plugins);
        self
    }

    /// The grant of a plugin.
    #[must_use]
    pub fn of(&self, plugin: &str) -> Option<&Grant> {
        self.plugins.get(plugin)
    }

    /// Interfaces that the manifest asks for, not as an option, and that are not granted; the text says what to
    /// add and who may.
    pub(crate) fn missing(&self, manifest: &Manifest) -> Option<String> {
        let granted = self.of(&manifest.name);
        let missing: Vec<_> = manifest
            .imports
            .iter()
            .filter(|ask| !ask.optional)
            .filter(|ask| granted.is_none_or(|grant| !grant.interfaces.contains(&ask.interface)))
            .collect();
        let policies: Vec<&String> = (manifest.policies.iter())
            .filter(|policy| {
                let given = granted.and_then(|grant| grant.policies.as_ref());
                given.is_some_and(|given| !given.contains(*policy))
            })
            .collect();
        if missing.is_empty() && policies.is_empty() {
            return None;
        }
        let interfaces = missing
            .iter()
            .map(|ask| format!("  {}: {}", ask.interface, ask.why));
        let asks: Vec<String> = interfaces
            .chain(
                policies
                    .iter()
                    .map(|policy| format!("  the policy `{policy}`")),
            )
            .collect();
        let allowed_policies = if policies.is_empty() {
            String::new()
        } else {
            let given = granted.and_then(|grant| grant.policies.as_ref());
            let all: BTreeSet<_> = (given.into_iter().flatten()).chain(policies).collect();
            let all: Vec<_> = all.iter().map(|name| format!("\"{name}\"")).collect();
            format!("\npolicies = [{}]", all.join(", "))
        };
        let mut wanted: BTreeSet<&str> = missing.iter().map(|ask| ask.interface.as_str()).collect();
        wanted.extend(
            granted
                .iter()
                .flat_map(|grant| &grant.interfaces)
                .map(String::as_str),
        );
        let wanted: Vec<String> = wanted.iter().map(|name| format!("\"{name}\"")).collect();
        Some(format!(
            "`{name}` {version} asks for what it was not granted:\n{asks}\nThe operator of this robot can allow them in the grants file:\n\n[plugins.\"{name}\"]\ninterfaces = [{wanted}]{allowed_policies}",
            name = manifest.name,
            version = manifest.version,
            asks = asks.join("\n"),
            wanted = wanted.join(", "),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grants_file_is_checked() {
        for (text, expected) in [
            ("[plugins.\"a/b\"]\ninterfaces = [\"motion\"]", ""),
            (
                "[plugins.\"a/b\"]\ninterface = [\"motion\"]",
                "unknown field `interface`",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = [\"lasers\"]",
                "no interface `lasers`; there are clock",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = []\nspeed = 0.0",
                "not in (0, 1]",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = []\nspeed = nan",
                "not in (0, 1]",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = []\nforce_n = -1.0",
                "no positive force",
            ),
            ("[grants]", "unknown field `grants`"),
        ] {
            let error = match Grants::from_toml_str(text, "grants.toml") {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            };
            assert!(error.contains(expected), "{text}: {error}");
            assert_eq!(error.is_empty(), expected.is_empty(), "{text}: {error}");
        }
    }
}
