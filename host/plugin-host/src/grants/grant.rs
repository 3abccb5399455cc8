//! What one plugin may do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;

use super::zone::{Zone, Zones};
use crate::limits::{Limits, NarrowedLimits};
use crate::manifest::{CAPABILITIES, Manifest, RobotPart};

/// What the operator lets one plugin do. Whatever is left out narrows nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Interfaces that may be linked.
    pub interfaces: BTreeSet<String>,
    /// Robot parts that its runs may hold; every one if `None`.
    #[serde(default)]
    pub parts: Option<BTreeSet<RobotPart>>,
    /// Policies that may be run; every one if `None`.
    #[serde(default)]
    pub policies: Option<BTreeSet<String>>,
    /// Classes of objects that it sees and may run policies on; every one if `None`.
    #[serde(default)]
    pub classes: Option<BTreeSet<String>>,
    /// Factor on the speed that motions ask for and policies move at, in (0, 1].
    #[serde(default = "all")]
    pub speed: f64,
    /// Factor on the acceleration, likewise.
    #[serde(default = "all")]
    pub acceleration: f64,
    /// Largest gripper force, newtons.
    #[serde(default)]
    pub force_n: Option<f64>,
    /// Largest force that a guarded move may end at, newtons.
    #[serde(default)]
    pub contact_n: Option<f64>,
    /// The tool stays in one of these; anywhere if there is none.
    #[serde(default)]
    pub zones_in: Vec<Zone>,
    /// The tool keeps out of these.
    #[serde(default)]
    pub zones_out: Vec<Zone>,
    /// Directories for `files`.
    #[serde(default)]
    pub directories: Vec<DirectoryGrant>,
    /// Budgets below the host's own.
    #[serde(default)]
    pub limits: NarrowedLimits,
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
    /// Files and folders in it, for writing.
    #[serde(default = "default_quota_files")]
    pub quota_files: usize,
}

fn all() -> f64 {
    1.0
}

fn default_quota() -> u64 {
    1 << 20
}

fn default_quota_files() -> usize {
    1_000
}

impl Default for Grant {
    /// No interface.
    fn default() -> Self {
        Self {
            interfaces: BTreeSet::new(),
            parts: None,
            policies: None,
            classes: None,
            speed: 1.0,
            acceleration: 1.0,
            force_n: None,
            contact_n: None,
            zones_in: Vec::new(),
            zones_out: Vec::new(),
            directories: Vec::new(),
            limits: NarrowedLimits::default(),
        }
    }
}

impl Grant {
    /// The first value that makes no sense: its key, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        if let Some(interface) =
            (self.interfaces.iter()).find(|name| !CAPABILITIES.contains(&name.as_str()))
        {
            return Some((
                "interfaces",
                format!(
                    "there is no interface `{interface}`; there are {}",
                    CAPABILITIES.join(", ")
                ),
            ));
        }
        for (key, factor) in [("speed", self.speed), ("acceleration", self.acceleration)] {
            // Written so that NaN fails too.
            if !(factor > 0.0 && factor <= 1.0) {
                return Some((key, format!("{factor} is not in (0, 1]")));
            }
        }
        for (key, force) in [("force_n", self.force_n), ("contact_n", self.contact_n)] {
            if let Some(force) = force
                && !(force > 0.0 && force.is_finite())
            {
                return Some((key, format!("{force} is no positive force")));
            }
        }
        for (key, zones) in [("zones_in", &self.zones_in), ("zones_out", &self.zones_out)] {
            if let Some(fault) = zones.iter().find_map(Zone::fault) {
                return Some((key, fault));
            }
        }
        let mut names = BTreeSet::new();
        let twice = (self.directories.iter()).find(|directory| !names.insert(&directory.name));
        if let Some(twice) = twice {
            let reason = format!("`{}` is there twice", twice.name);
            return Some(("directories", reason));
        }
        self.limits.fault().map(|reason| ("limits", reason))
    }

    /// What is left of it for a plugin: nobody gets what it didn't ask for.
    pub(crate) fn for_asks(&self, manifest: &Manifest) -> Self {
        let asked: BTreeSet<String> = (manifest.imports.iter())
            .map(|ask| ask.interface.clone())
            .collect();
        let policies: BTreeSet<String> = (manifest.policies.iter())
            .filter(|policy| (self.policies.as_ref()).is_none_or(|given| given.contains(*policy)))
            .cloned()
            .collect();
        let directories = (self.directories.iter())
            .filter_map(|given| {
                let ask = (manifest.directories.iter()).find(|ask| ask.name == given.name)?;
                Some(DirectoryGrant {
                    write: given.write && ask.write,
                    ..given.clone()
                })
            })
            .collect();
        let parts: BTreeSet<RobotPart> = (RobotPart::ALL.into_iter())
            .filter(|part| manifest.needs(*part) && self.allows_part(*part))
            .collect();
        Self {
            interfaces: self.interfaces.intersection(&asked).cloned().collect(),
            parts: Some(parts),
            policies: Some(policies),
            directories,
            ..self.clone()
        }
    }

    /// Whether runs may hold a robot part.
    #[must_use]
    pub fn allows_part(&self, part: RobotPart) -> bool {
        self.parts
            .as_ref()
            .is_none_or(|parts| parts.contains(&part))
    }

    /// Which of [`CAPABILITIES`] are granted, in their order.
    pub(crate) fn capabilities(&self) -> [bool; CAPABILITIES.len()] {
        CAPABILITIES.map(|name| self.interfaces.contains(name))
    }

    /// Whether it may see objects of a class.
    #[must_use]
    pub fn allows_class(&self, class: &str) -> bool {
        (self.classes.as_ref()).is_none_or(|classes| classes.contains(class))
    }

    /// Whether a policy may be run.
    #[must_use]
    pub fn allows_policy(&self, policy: &str) -> bool {
        (self.policies.as_ref()).is_none_or(|policies| policies.contains(policy))
    }

    /// The host's budgets, narrowed.
    pub(crate) fn narrow(&self, limits: &Limits) -> Limits {
        self.limits.narrow(limits)
    }

    /// Where the tool may be.
    pub(crate) fn zones(&self) -> Zones {
        Zones {
            inside: self.zones_in.clone(),
            outside: self.zones_out.clone(),
        }
    }
}
