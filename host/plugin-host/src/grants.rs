//! What the operator lets each plugin do. Deny by default.

mod grant;
mod missing;
mod zone;

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::manifest::Manifest;

pub use grant::{DirectoryGrant, Grant};
pub use missing::Lack;
pub use zone::Zone;
pub(crate) use zone::Zones;

/// The grants file, checked.
///
/// ```toml
/// [plugins."sinew/kit-parts"]
/// interfaces = ["world", "motion", "gripper", "policy", "events", "lifecycle"]
/// parts = ["arm", "gripper"]   # left out: every part that it asks for
/// policies = ["grasp"]         # left out: every policy that it asks for
/// classes = ["block"]          # objects that it sees; left out: all
/// speed = 0.8                  # share of the cell's speed that it may move at; 1 if left out
/// acceleration = 1.0
/// force_n = 40.0               # largest gripper force
/// contact_n = 20.0             # largest force that a guarded move may end at
///
/// [[plugins."sinew/kit-parts".zones_in]]    # boxes in the base frame that the tool stays in
/// name = "table"
/// min_m = [0.2, -0.5, 0.0]
/// max_m = [0.8, 0.5, 0.6]
///
/// [[plugins."sinew/kit-parts".directories]]
/// name = "orders"
/// path = "/var/lib/sinew/orders"
/// write = false
/// quota_bytes = 1048576        # for writing
/// quota_files = 1000
///
/// [plugins."sinew/kit-parts".limits]        # budgets below the host's own
/// events_per_second = 10
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    #[serde(default)]
    plugins: BTreeMap<String, Grant>,
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

impl Grants {
    /// The plugins that are named, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plugins.keys().map(String::as_str)
    }

    /// Parses and checks; `origin` names the source in messages.
    ///
    /// # Errors
    /// Unknown keys, unknown interfaces, numbers that make no sense.
    pub fn from_toml_str(text: &str, origin: &str) -> Result<Self, GrantsError> {
        let grants: Self = toml::from_str(text).map_err(|error| GrantsError::Shape {
            origin: origin.to_owned(),
            reason: error.to_string(),
        })?;
        for (plugin, grant) in &grants.plugins {
            if let Some((key, reason)) = grant.fault() {
                return Err(GrantsError::Value {
                    origin: origin.to_owned(),
                    plugin: plugin.clone(),
                    key,
                    reason,
                });
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

    /// What a plugin needs and was not granted.
    #[must_use]
    pub fn lack(&self, manifest: &Manifest) -> Lack {
        Lack::of(self.of(&manifest.name), manifest)
    }

    /// What a plugin gets: what it asks for and was granted.
    ///
    /// # Errors
    /// What it asks for, not as an option, and was not granted; the text says what to add and who may.
    pub fn meet(&self, manifest: &Manifest) -> Result<Grant, String> {
        let granted = self.of(&manifest.name);
        match missing::missing(granted, manifest) {
            Some(text) => Err(text),
            None => Ok(granted.cloned().unwrap_or_default().for_asks(manifest)),
        }
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
            (
                "[plugins.\"a/b\"]\ninterfaces = []\ncontact_n = inf",
                "contact_n: inf is no positive force",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = []\nparts = [\"leg\"]",
                "unknown variant `leg`",
            ),
            (
                "[[plugins.\"a/b\".zones_in]]\nname = \"table\"\nmin_m = [0, 0, 1]\nmax_m = [1, 1, 1]",
                "missing field `interfaces`",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = []\n[[plugins.\"a/b\".zones_out]]\nname = \"table\"\nmin_m = [0, 0, 1]\nmax_m = [1, 1, 1]",
                "zones_out: the zone `table` goes from 1 to 1 along z",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = []\n[plugins.\"a/b\".limits]\nhandles = 0",
                "limits: handles is 0",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = []\n[plugins.\"a/b\".limits]\nhandels = 3",
                "unknown field `handels`",
            ),
            (
                "[plugins.\"a/b\"]\ninterfaces = []\n[[plugins.\"a/b\".directories]]\nname = \"x\"\npath = \"/a\"\n[[plugins.\"a/b\".directories]]\nname = \"x\"\npath = \"/b\"",
                "directories: `x` is there twice",
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
