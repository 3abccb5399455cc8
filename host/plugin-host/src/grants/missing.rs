//! What a plugin asks for and was not granted, in words that can be pasted into the grants file.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::grant::Grant;
use crate::manifest::{Ask, DirectoryAsk, Manifest, RobotPart};

/// What a plugin asks for, not as an option, and was not granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lack {
    /// Interfaces, and what for.
    pub interfaces: Vec<Ask>,
    /// Robot parts.
    pub parts: Vec<RobotPart>,
    /// Policies.
    pub policies: Vec<String>,
    /// Directories.
    pub directories: Vec<DirectoryAsk>,
}

impl Lack {
    pub(super) fn of(granted: Option<&Grant>, manifest: &Manifest) -> Self {
        let nothing = Grant::default();
        let grant = granted.unwrap_or(&nothing);
        Self {
            interfaces: (manifest.imports.iter())
                .filter(|ask| !ask.optional && !grant.interfaces.contains(&ask.interface))
                .cloned()
                .collect(),
            parts: (RobotPart::ALL.into_iter())
                .filter(|part| manifest.needs(*part) && !grant.allows_part(*part))
                .collect(),
            policies: (manifest.policies.iter())
                .filter(|policy| !grant.allows_policy(policy))
                .cloned()
                .collect(),
            directories: (manifest.directories.iter())
                .filter(|ask| !ask.optional && !has_directory(grant, ask))
                .cloned()
                .collect(),
        }
    }

    /// It has all that it needs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What `granted` lacks of what the manifest asks for, not as an option, in words; `None` if nothing.
pub(super) fn missing(granted: Option<&Grant>, manifest: &Manifest) -> Option<String> {
    let nothing = Grant::default();
    let grant = granted.unwrap_or(&nothing);
    let Lack {
        interfaces,
        parts,
        policies,
        directories,
    } = Lack::of(granted, manifest);

    let mut asks = String::new();
    let mut ask = |line: String| {
        // A string takes all that is written.
        let _ = writeln!(asks, "  {line}");
    };
    for one in &interfaces {
        ask(format!("{}: {}", one.interface, one.why));
    }
    for part in &parts {
        ask(format!("the {}", part.name()));
    }
    for policy in &policies {
        ask(format!("the policy `{policy}`"));
    }
    for one in &directories {
        let how = if one.write { "to write in" } else { "to read" };
        ask(format!("the directory `{}` {how}: {}", one.name, one.why));
    }
    if asks.is_empty() {
        return None;
    }

    let lists = [
        list(
            "interfaces",
            (grant.interfaces.iter().map(String::as_str))
                .chain(interfaces.iter().map(|ask| ask.interface.as_str())),
            true,
        ),
        list(
            "parts",
            (grant.parts.iter().flatten().copied())
                .chain(parts.iter().copied())
                .map(RobotPart::name),
            !parts.is_empty(),
        ),
        list(
            "policies",
            (grant.policies.iter().flatten().map(String::as_str))
                .chain(policies.iter().map(|policy| policy.as_str())),
            !policies.is_empty(),
        ),
    ];
    let mut paste = format!("[plugins.\"{}\"]\n{}", manifest.name, lists.concat());
    for one in &directories {
        let _ = write!(
            paste,
            "\n[[plugins.\"{}\".directories]]\nname = \"{}\"\npath = \"/the/folder/on/this/robot\"\nwrite = {}\n",
            manifest.name, one.name, one.write
        );
    }
    Some(format!(
        "`{}` {} asks for what it was not granted:\n{asks}The operator of this robot can allow it in the grants \
         file:\n\n{}",
        manifest.name,
        manifest.version,
        paste.trim_end()
    ))
}

fn has_directory(grant: &Grant, ask: &DirectoryAsk) -> bool {
    (grant.directories.iter()).any(|given| given.name == ask.name && (given.write || !ask.write))
}

/// A line of the grants file, if there is a need for it.
fn list<'a>(key: &str, names: impl Iterator<Item = &'a str>, is_needed: bool) -> String {
    if !is_needed {
        return String::new();
    }
    let names: BTreeSet<&str> = names.collect();
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{key} = [{}]\n", names.join(", "))
}
