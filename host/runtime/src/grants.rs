//! What plugins ask for and were granted, shown, and looked through for what should be narrower.

mod adding;
mod findings;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use sinew_plugin_host::{Grant, Grants, Manifest, RobotPart, read_manifest};

use crate::kit::PluginFile;
use crate::skills::{Pick, StorePlace, artifacts, kind_name, provided};
use crate::sources::{Config, Sources};
use crate::trouble::input;

pub use adding::{Added, Adding, add};
pub use findings::{Audited, Finding, FindingKind};

/// Which grants, of which plugins.
#[derive(Clone, Debug)]
pub struct GrantsOptions {
    /// Plugins that would be loaded.
    pub plugins: Vec<PluginFile>,
    /// A store, of which one version of each name would be loaded, in place of a plugin that is part of the program.
    pub store: Option<StorePlace>,
    /// Where the grants come from.
    pub sources: Sources,
}

/// What every plugin asks for and was granted.
#[derive(Clone, Debug, Serialize)]
pub struct ShownGrants {
    /// By name.
    pub plugins: Vec<ShownPlugin>,
}

/// One plugin.
#[derive(Clone, Debug, Serialize)]
pub struct ShownPlugin {
    /// `publisher/name`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `skill` or `recovery`.
    pub kind: &'static str,
    /// Its file.
    pub origin: String,
    /// Where its grant stands: the operator's file, what comes with the built-in plugins, or nowhere.
    pub granted_by: String,
    /// What it asks for.
    pub asks: Vec<ShownAsk>,
    /// How what it was granted is narrowed, by key of the grants file.
    pub narrowed: Vec<Narrowed>,
    /// Why it would not be loaded, with lines to paste.
    pub missing: Option<String>,
}

/// Something that a plugin asks for.
#[derive(Clone, Debug, Serialize)]
pub struct ShownAsk {
    /// `interface motion`, `policy grasp`, `part arm`, `directory orders`.
    pub what: String,
    /// What for, in the publisher's words; empty if they said nothing.
    pub why: String,
    /// Without it the plugin is loaded all the same.
    pub optional: bool,
    /// It has it.
    pub granted: bool,
}

/// One key of a grant that narrows something.
#[derive(Clone, Debug, Serialize)]
pub struct Narrowed {
    /// The key.
    pub key: &'static str,
    /// To what.
    pub to: String,
}

/// A plugin, and what it was granted.
struct Reviewed {
    manifest: Manifest,
    origin: String,
    grant: Option<Grant>,
    by: String,
    met: Result<Grant, String>,
}

/// Everything that is to be looked at, in the order of the names.
fn review(options: &GrantsOptions, pick: Pick) -> anyhow::Result<(Config, Vec<Reviewed>)> {
    let config = options.sources.load()?;
    let operator = options.sources.grants.as_deref();
    let stored = match &options.store {
        Some(place) => artifacts(place, pick)?,
        None => Vec::new(),
    };
    let mut all: Vec<Reviewed> = Vec::new();
    let (built_in, named): (Vec<_>, Vec<_>) =
        options.plugins.iter().partition(|file| file.built_in);
    for file in named.into_iter().chain(&stored).chain(built_in) {
        let manifest =
            read_manifest(&file.bytes, &file.origin).map_err(|error| input(error.to_string()))?;
        // A file that was named comes before the store, and that before what is part of the program.
        if all.iter().any(|one| one.manifest.name == manifest.name) {
            continue;
        }
        let grant = config.grants.of(&manifest.name).cloned();
        let is_operators = config.operator_grants.contains(&manifest.name);
        let by = match (&grant, operator) {
            (None, _) => "nobody".to_owned(),
            (Some(_), Some(path)) if is_operators => path.display().to_string(),
            (Some(_), _) => "what comes with the built-in plugins".to_owned(),
        };
        all.push(Reviewed {
            met: config.grants.meet(&manifest),
            manifest,
            origin: file.origin.clone(),
            grant,
            by,
        });
    }
    all.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
    Ok((config, all))
}

/// Shows what every plugin asks for and was granted.
///
/// # Errors
/// [`InputError`](crate::InputError) for configuration or a plugin file that can't be used.
pub fn show(options: &GrantsOptions) -> anyhow::Result<ShownGrants> {
    let (_, all) = review(options, Pick::Active)?;
    Ok(ShownGrants {
        plugins: all.iter().map(shown).collect(),
    })
}

/// Looks through the grants for what narrows nothing, serves nothing, or gives more than was meant.
///
/// # Errors
/// As [`show`].
pub fn audit(options: &GrantsOptions) -> anyhow::Result<Audited> {
    let (config, all) = review(options, Pick::Active)?;
    let there = provided(&options.sources, &config)?;
    let file = options.sources.grants.as_deref();
    Ok(findings::of(&config, &there, &all, file))
}

/// What a plugin would be allowed: what it asks for and was granted, each in a few words.
pub(crate) fn allowed(manifest: &Manifest, grants: &Grants) -> BTreeSet<String> {
    (asks(manifest, grants.of(&manifest.name)).into_iter())
        .filter(|ask| ask.granted)
        .map(|ask| ask.what)
        .collect()
}

/// Everything that a plugin asks for.
fn asks(manifest: &Manifest, granted: Option<&Grant>) -> Vec<ShownAsk> {
    let nothing = Grant::default();
    let grant = granted.unwrap_or(&nothing);
    let has_grant = granted.is_some();
    let mut asks: Vec<ShownAsk> = (manifest.imports.iter())
        .map(|ask| ShownAsk {
            what: format!("interface {}", ask.interface),
            why: ask.why.clone(),
            optional: ask.optional,
            granted: grant.interfaces.contains(&ask.interface),
        })
        .collect();
    let plain = |what: String, granted| ShownAsk {
        what,
        why: String::new(),
        optional: false,
        granted,
    };
    for part in RobotPart::ALL {
        if manifest.needs(part) {
            let granted = has_grant && grant.allows_part(part);
            asks.push(plain(format!("part {}", part.name()), granted));
        }
    }
    for policy in &manifest.policies {
        let granted = has_grant && grant.allows_policy(policy);
        asks.push(plain(format!("policy {policy}"), granted));
    }
    for ask in &manifest.directories {
        let given = (grant.directories.iter()).find(|given| given.name == ask.name);
        asks.push(ShownAsk {
            what: format!(
                "directory {} to {}",
                ask.name,
                if ask.write { "write" } else { "read" }
            ),
            why: ask.why.clone(),
            optional: ask.optional,
            granted: given.is_some_and(|given| given.write || !ask.write),
        });
    }
    asks
}

fn shown(reviewed: &Reviewed) -> ShownPlugin {
    let Reviewed { manifest, .. } = reviewed;
    let nothing = Grant::default();
    let grant = reviewed.grant.as_ref().unwrap_or(&nothing);
    let asks = asks(manifest, reviewed.grant.as_ref());
    ShownPlugin {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        kind: kind_name(manifest.kind),
        origin: reviewed.origin.clone(),
        granted_by: reviewed.by.clone(),
        asks,
        narrowed: narrowed(grant),
        missing: reviewed.met.as_ref().err().cloned(),
    }
}

fn narrowed(grant: &Grant) -> Vec<Narrowed> {
    let mut all = Vec::new();
    let mut add = |key, to: Option<String>| all.extend(to.map(|to| Narrowed { key, to }));
    let names = |names: &std::collections::BTreeSet<String>| {
        names.iter().cloned().collect::<Vec<_>>().join(", ")
    };
    let share = |share: f64| (share < 1.0).then(|| share.to_string());
    let force = |force: Option<f64>| force.map(|force| format!("{force} N"));
    let zones = |zones: &[sinew_plugin_host::Zone]| {
        let each: Vec<String> = (zones.iter())
            .map(|zone| format!("{} {:?} to {:?} m", zone.name, zone.min_m, zone.max_m))
            .collect();
        (!each.is_empty()).then(|| each.join("; "))
    };
    add("classes", grant.classes.as_ref().map(names));
    add("speed", share(grant.speed));
    add("acceleration", share(grant.acceleration));
    add("force_n", force(grant.force_n));
    add("contact_n", force(grant.contact_n));
    add("zones_in", zones(&grant.zones_in));
    add("zones_out", zones(&grant.zones_out));
    for given in &grant.directories {
        let how = if given.write {
            format!(
                "read and write, {} bytes in {} files",
                given.quota_bytes, given.quota_files
            )
        } else {
            "read only".to_owned()
        };
        let to = format!("{} is {}, {how}", given.name, given.path.display());
        add("directories", Some(to));
    }
    let limits: Vec<String> = (grant.limits.named())
        .map(|(name, most)| format!("{name} {most}"))
        .collect();
    add("limits", (!limits.is_empty()).then(|| limits.join(", ")));
    all
}

impl ShownGrants {
    /// Only one plugin.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if there is none of that name: says which there are.
    pub fn only(mut self, name: &str) -> anyhow::Result<Self> {
        let names: Vec<String> = (self.plugins.iter())
            .map(|plugin| plugin.name.clone())
            .collect();
        self.plugins.retain(|plugin| plugin.name == name);
        if self.plugins.is_empty() {
            return Err(input(format!(
                "no plugin `{name}` is loaded; there are {}. --plugin FILE names another one, --store DIR those in a store",
                names.join(", ")
            )));
        }
        Ok(self)
    }

    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for plugin in &self.plugins {
            lines.push(format!(
                "{} {} ({}, {}), granted by {}",
                plugin.name, plugin.version, plugin.kind, plugin.origin, plugin.granted_by
            ));
            for ask in &plugin.asks {
                let has = match (ask.granted, ask.optional) {
                    (true, _) => "yes",
                    (false, true) => "no (optional)",
                    (false, false) => "NO",
                };
                lines.push(
                    format!("  {:<24} {has:<14} {}", ask.what, ask.why)
                        .trim_end()
                        .to_owned(),
                );
            }
            for narrowed in &plugin.narrowed {
                lines.push(format!("  {:<24} {}", narrowed.key, narrowed.to));
            }
            if let Some(missing) = &plugin.missing {
                lines.push(format!("it would not be loaded: {missing}"));
            }
        }
        lines.join("\n")
    }
}

/// Whether `inner` lies in `outer`, or is it, as they are named.
fn is_within(inner: &Path, outer: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole(inner).starts_with(whole(outer))
}
