//! What should be narrower in a grants file.

use std::path::Path;

use serde::Serialize;
use sinew_plugin_host::{DirectoryGrant, Grant, Limits};

use super::{Reviewed, is_within};
use crate::skills::{Provided, unknown_class};
use crate::sources::Config;

/// What was found in the grants.
#[derive(Clone, Debug, Serialize)]
pub struct Audited {
    /// Nothing dangerous is among it.
    pub ok: bool,
    /// By plugin.
    pub findings: Vec<Finding>,
}

/// One thing that should be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose grant.
    pub plugin: String,
    /// How bad it is.
    pub kind: FindingKind,
    /// Key of the grants file.
    pub key: &'static str,
    /// What is so, and what would mend it.
    pub problem: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// More than was meant, most likely.
    Dangerous,
    /// All there is, because nothing was named.
    Wildcard,
    /// Granted, and of no use to it.
    Unused,
}

impl FindingKind {
    fn name(self) -> &'static str {
        match self {
            Self::Dangerous => "DANGEROUS",
            Self::Wildcard => "wildcard",
            Self::Unused => "unused",
        }
    }
}

/// Folders that are more than a plugin's own.
const SYSTEM: [&str; 8] = [
    "/", "/etc", "/home", "/root", "/usr", "/var", "/boot", "/dev",
];

pub(super) fn of(
    config: &Config,
    there: &Provided,
    all: &[Reviewed],
    file: Option<&Path>,
) -> Audited {
    let mut findings = Vec::new();
    for reviewed in all {
        if let Some(grant) = &reviewed.grant {
            let mut about = About {
                plugin: &reviewed.manifest.name,
                findings: &mut findings,
            };
            about.unused(reviewed, grant);
            if let Some(problem) = unknown_class(about.plugin, &config.grants, there) {
                about.add(FindingKind::Unused, "classes", problem);
            }
            about.wildcards(reviewed);
            about.directories(grant, file);
        }
    }
    shared(all, &mut findings);
    for name in &config.operator_grants {
        let is_loaded = all.iter().any(|reviewed| reviewed.manifest.name == *name);
        if !is_loaded && config.grants.of(name).is_some() {
            findings.push(Finding {
                plugin: name.clone(),
                kind: FindingKind::Unused,
                key: "plugins",
                problem:
                    "no such plugin is loaded: it would get this as soon as one of that name is"
                        .to_owned(),
            });
        }
    }
    findings.sort_by(|a, b| (&a.plugin, a.kind).cmp(&(&b.plugin, b.kind)));
    Audited {
        ok: findings
            .iter()
            .all(|found| found.kind != FindingKind::Dangerous),
        findings,
    }
}

/// Findings about one plugin.
struct About<'a> {
    plugin: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl About<'_> {
    fn add(&mut self, kind: FindingKind, key: &'static str, problem: String) {
        self.findings.push(Finding {
            plugin: self.plugin.to_owned(),
            kind,
            key,
            problem,
        });
    }

    /// What it was given and doesn't ask for.
    fn unused(&mut self, reviewed: &Reviewed, grant: &Grant) {
        let manifest = &reviewed.manifest;
        let unused = FindingKind::Unused;
        for interface in &grant.interfaces {
            if manifest.ask(interface).is_none() {
                self.add(
                    unused,
                    "interfaces",
                    format!("it does not import `{interface}`"),
                );
            }
        }
        for policy in grant.policies.iter().flatten() {
            if !manifest.policies.contains(policy) {
                self.add(unused, "policies", format!("it does not run `{policy}`"));
            }
        }
        for part in grant.parts.iter().flatten() {
            if !manifest.needs(*part) {
                self.add(
                    unused,
                    "parts",
                    format!("it does not need the {}", part.name()),
                );
            }
        }
        for (name, most) in grant.limits.above(&Limits::default()) {
            let problem =
                format!("`{name}` is more than the host's own {most}, which it can't raise");
            self.add(unused, "limits", problem);
        }
        for given in &grant.directories {
            let asked = manifest
                .directories
                .iter()
                .find(|ask| ask.name == given.name);
            let problem = match asked {
                None => format!("it does not ask for `{}`", given.name),
                Some(ask) if given.write && !ask.write => {
                    format!("it only asks to read `{}`: write = false", given.name)
                }
                Some(_) => continue,
            };
            self.add(unused, "directories", problem);
        }
    }

    /// What it has because nothing was named.
    fn wildcards(&mut self, reviewed: &Reviewed) {
        let Ok(grant) = &reviewed.met else {
            return;
        };
        let has = |interface: &str| grant.interfaces.contains(interface);
        let moves = has("motion") || has("policy");
        let given = reviewed.grant.as_ref();
        let wildcards = [
            (
                has("policy") && given.is_some_and(|grant| grant.policies.is_none()),
                "policies",
                "it may run every policy that it asks for, now and in a later version: name them",
            ),
            (
                (has("world") || has("policy")) && grant.classes.is_none(),
                "classes",
                "it sees objects of every class: name those that it is for",
            ),
            (
                moves && grant.zones_in.is_empty() && grant.zones_out.is_empty(),
                "zones_in",
                "its tool may go wherever the safety configuration lets it: name the boxes that it works in",
            ),
            (
                has("motion") && grant.contact_n.is_none(),
                "contact_n",
                "its guarded moves may press with any force: name the largest",
            ),
            (
                (has("gripper") || has("policy")) && grant.force_n.is_none(),
                "force_n",
                "it may grip as hard as the gripper can: name the largest force",
            ),
        ];
        for (is_so, key, words) in wildcards {
            if is_so {
                self.add(FindingKind::Wildcard, key, words.to_owned());
            }
        }
    }

    fn directories(&mut self, grant: &Grant, file: Option<&Path>) {
        for given in &grant.directories {
            let DirectoryGrant { name, path, .. } = given;
            let shown = path.display();
            let mut dangerous = |words: String| {
                self.add(FindingKind::Dangerous, "directories", words);
            };
            let is_system = |folder: &&str| {
                path.canonicalize().unwrap_or_else(|_| path.clone()) == Path::new(folder)
            };
            if SYSTEM.iter().any(is_system) {
                dangerous(format!(
                    "`{name}` is {shown}, the system's own: grant a folder of its own"
                ));
            }
            if let Some(file) = file
                && given.write
                && is_within(file, path)
            {
                dangerous(format!(
                    "`{name}` is {shown}, where this grants file lies: it could write itself grants"
                ));
            }
            if !path.is_dir() {
                self.add(
                    FindingKind::Unused,
                    "directories",
                    format!(
                        "`{name}` is {shown}, which is no folder: its calls answer `unavailable`"
                    ),
                );
            }
        }
    }
}

/// Plugins that reach each other through a folder: one writes what another reads or writes.
fn shared(all: &[Reviewed], findings: &mut Vec<Finding>) {
    let given = || {
        all.iter().flat_map(|reviewed| {
            let directories = (reviewed.grant.iter()).flat_map(|grant| &grant.directories);
            directories.map(|given| (&reviewed.manifest.name, given))
        })
    };
    for (writer, written) in given().filter(|(_, given)| given.write) {
        for (other, theirs) in given().filter(|(other, _)| *other != writer) {
            if is_within(&written.path, &theirs.path) || is_within(&theirs.path, &written.path) {
                findings.push(Finding {
                    plugin: writer.clone(),
                    kind: FindingKind::Dangerous,
                    key: "directories",
                    problem: format!(
                        "`{}` is shared with `{}` of {other}: what one writes the other believes; give each its own",
                        written.name, theirs.name
                    ),
                });
            }
        }
    }
}

impl Audited {
    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.findings.is_empty() {
            return "nothing to narrow".to_owned();
        }
        let lines = self.findings.iter().map(|found| {
            format!(
                "{:<9} {} {}: {}",
                found.kind.name(),
                found.plugin,
                found.key,
                found.problem
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
