//! Doing recorded plugin runs again.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sinew_plugin_host::{
    Difference, Grants, Limits, Plugin, PluginHost, ReplayVerdict, RunRecord, read_manifest,
};

use crate::files;
use crate::kit::{PluginFile, idle_ports};
use crate::skills::{StorePlace, artifact, compiled, vouched};
use crate::sources::Sources;
use crate::trouble::input;

/// Most bytes of an incident.
const INCIDENT_MAX: u64 = 512 << 20;

/// What to do again.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// A recorded run, or an incident with some.
    pub file: PathBuf,
    /// Only the run of this name in the incident.
    pub run: Option<String>,
    /// The component to do it with; the one that was recorded if `None`.
    pub skill: Option<PluginFile>,
    /// Plugins among which that one is looked for.
    pub plugins: Vec<PluginFile>,
    /// And in this store.
    pub store: Option<StorePlace>,
    /// Configuration.
    pub sources: Sources,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayReport {
    /// Every run was the same, up to where the host ended it if it did.
    pub identical: bool,
    /// The first thing that was.
    pub first_difference: Option<FoundDifference>,
    /// SHA-256 over what the replayed runs did, hexadecimal: equal for equal records and components.
    pub state_hash: String,
    /// Each run.
    pub runs: Vec<ReplayedRun>,
}

/// A run, done again.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayedRun {
    /// Its name in the incident, or the file.
    pub name: String,
    /// `publisher/name`.
    pub plugin: String,
    /// Version that was recorded.
    pub version: String,
    /// SHA-256 of the component that was recorded.
    pub digest: String,
    /// And of the one that it was done again with.
    pub replayed_digest: String,
    /// Calls that were recorded.
    pub recorded_calls: u64,
    /// Calls that were the same.
    pub same_calls: u64,
    /// How the recorded run ended, in words.
    pub recorded_end: String,
    /// `identical`, `ended-by-host`, `as-far-as-kept` or `differs`.
    pub verdict: &'static str,
    /// Everything was the same, up to where the host ended the run if it did.
    pub is_identical: bool,
    /// What differs.
    pub difference: Option<FoundDifference>,
}

/// The first call that differs, with both values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundDifference {
    /// In which run.
    pub run: String,
    /// Number of the call in it, from 0.
    pub call: u64,
    /// What was recorded.
    pub recorded: String,
    /// What came instead.
    pub replayed: String,
}

/// Does recorded runs again.
///
/// # Errors
/// [`InputError`](crate::InputError) for a file that is no record and no incident with one, a run that is not in it, or a
/// component that can't be loaded or is not there.
pub fn replay(options: &ReplayOptions) -> anyhow::Result<ReplayReport> {
    let runs = records(&options.file, options.run.as_deref())?;
    let runs = of_skill(runs, options)?;
    let config = options.sources.load()?;
    let host = PluginHost::new(Limits::default(), Grants::default(), idle_ports(&config))?;
    let mut bench = Bench {
        host,
        options,
        loaded: Vec::new(),
    };
    let mut report = ReplayReport {
        identical: true,
        first_difference: None,
        state_hash: String::new(),
        runs: Vec::new(),
    };
    let mut hashed = Vec::new();
    for (name, record) in runs {
        let replayed = bench.replay(&name, &record)?;
        hashed.extend(record.to_bytes());
        hashed.extend(format!("{} {}", replayed.same_calls, replayed.verdict).bytes());
        report.identical &= replayed.is_identical;
        if let Some(difference) = &replayed.difference {
            hashed.extend(difference.replayed.bytes());
            report
                .first_difference
                .get_or_insert_with(|| difference.clone());
        }
        report.runs.push(replayed);
    }
    report.state_hash = sinew_inference::sha256_hex(&hashed);
    Ok(report)
}

/// The recorded runs of a file, by name.
fn records(file: &Path, run: Option<&str>) -> anyhow::Result<Vec<(String, RunRecord)>> {
    let shown = file.display();
    let bytes = files::read_bytes(file, INCIDENT_MAX).map_err(|error| input(error.0))?;
    let found = if bytes.starts_with(sinew_recorder::INCIDENT_MAGIC) {
        sinew_recorder::recorded_runs(&bytes)
            .map_err(|error| input(format!("{shown}: a damaged incident: {error}")))?
    } else {
        let name = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        vec![(name.unwrap_or_default(), bytes)]
    };
    if found.is_empty() {
        return Err(input(format!(
            "{shown}: no plugin had run to its end in this incident"
        )));
    }
    let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    let asked: Vec<_> = (found.into_iter())
        .filter(|(name, _)| run.is_none_or(|asked| asked == name))
        .collect();
    if asked.is_empty() {
        return Err(input(format!(
            "{shown}: there is no such run in it; there are {}",
            said(&names.join(", "))
        )));
    }
    (asked.into_iter())
        .map(|(name, bytes)| match RunRecord::from_bytes(&bytes) {
            Ok(record) => Ok((name, record)),
            Err(error) => Err(input(format!("{shown}: {}: {error}", said(&name)))),
        })
        .collect()
}

/// Only the runs of the plugin that another version was named of.
fn of_skill(
    runs: Vec<(String, RunRecord)>,
    options: &ReplayOptions,
) -> anyhow::Result<Vec<(String, RunRecord)>> {
    let Some(file) = &options.skill else {
        return Ok(runs);
    };
    let name = read_manifest(&file.bytes, &file.origin)
        .map_err(|error| input(error.to_string()))?
        .name;
    let plugins: BTreeSet<String> = runs.iter().map(|(_, run)| run.plugin.clone()).collect();
    if !plugins.contains(&name) {
        let plugins: Vec<String> = plugins.iter().map(|name| format!("`{name}`")).collect();
        return Err(input(format!(
            "{} is `{name}`, and what was recorded are runs of {}: name a component of one of them",
            file.origin,
            said(&plugins.join(", "))
        )));
    }
    Ok((runs.into_iter())
        .filter(|(_, run)| run.plugin == name)
        .collect())
}

/// A host on which nothing happens, with the components that were loaded for it.
struct Bench<'a> {
    host: PluginHost,
    options: &'a ReplayOptions,
    loaded: Vec<std::sync::Arc<Plugin>>,
}

impl Bench<'_> {
    fn replay(&mut self, name: &str, record: &RunRecord) -> anyhow::Result<ReplayedRun> {
        let plugin = self.plugin(record)?;
        let replay = self.host.replay(&plugin, record);
        let is_identical = replay.is_identical();
        let (verdict, difference) = match replay.verdict {
            ReplayVerdict::Identical => ("identical", None),
            ReplayVerdict::EndedByHost => ("ended-by-host", None),
            ReplayVerdict::AsFarAsKept => ("as-far-as-kept", None),
            ReplayVerdict::Differs(Difference {
                call,
                recorded,
                replayed,
            }) => {
                let found = FoundDifference {
                    run: name.to_owned(),
                    call,
                    recorded,
                    replayed,
                };
                ("differs", Some(found))
            }
        };
        Ok(ReplayedRun {
            name: name.to_owned(),
            plugin: record.plugin.clone(),
            version: record.version.clone(),
            digest: record.digest.clone(),
            replayed_digest: plugin.digest().to_owned(),
            recorded_calls: record.calls(),
            same_calls: replay.calls,
            recorded_end: record.end.words(),
            verdict,
            is_identical,
            difference,
        })
    }

    /// The component to do it with.
    fn plugin(&mut self, record: &RunRecord) -> anyhow::Result<std::sync::Arc<Plugin>> {
        let asked = self.options.skill.as_ref();
        let is_it = |plugin: &Plugin| match asked {
            Some(_) => plugin.manifest().name == record.plugin,
            None => plugin.digest() == record.digest,
        };
        if let Some(known) = self.loaded.iter().find(|plugin| is_it(plugin)) {
            return Ok(std::sync::Arc::clone(known));
        }
        let file = match asked {
            Some(file) => Cow::Borrowed(file),
            None => self.recorded(record)?,
        };
        let examiner = &self.options.sources.examiner;
        let code = compiled(examiner, &file, &self.host.code_for())?;
        let code = code.as_deref().map(vouched);
        let plugin = (self.host)
            .load_for_replay(&file.bytes, &file.origin, code.as_ref())
            .map_err(|error| input(error.to_string()))?;
        self.loaded.push(std::sync::Arc::clone(&plugin));
        Ok(plugin)
    }
}

impl Bench<'_> {
    /// The component that was recorded: one that is named, or out of the store.
    fn recorded(&self, record: &RunRecord) -> anyhow::Result<Cow<'_, PluginFile>> {
        let named = (self.options.plugins.iter())
            .find(|file| sinew_inference::sha256_hex(&file.bytes) == record.digest);
        if let Some(file) = named {
            return Ok(Cow::Borrowed(file));
        }
        let there = match (&self.options.store, record.digest.parse()) {
            (Some(store), Ok(digest)) => artifact(store, digest)?,
            _ => None,
        };
        there.map(Cow::Owned).ok_or_else(|| {
            input(format!(
                "the component that was recorded, `{}` {} (sha256 {}), is not here: name it with --plugin, the store that has it \
                 with --store, or another version of it with --skill",
                said(&record.plugin),
                said(&record.version),
                said(&record.digest)
            ))
        })
    }
}

impl ReplayReport {
    /// The report as a person reads it. Whoever prints it escapes what is no text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let lines: Vec<String> = self.runs.iter().map(ReplayedRun::to_text).collect();
        lines.join("\n")
    }
}

impl ReplayedRun {
    fn to_text(&self) -> String {
        let with = if self.digest == self.replayed_digest {
            String::new()
        } else {
            format!(", done again with {}", short_digest(&self.replayed_digest))
        };
        format!(
            "{}: `{}` {} ({}{with})\n  {}",
            // What is indented is of the report.
            said(self.name.trim_start()),
            said(&self.plugin),
            said(&self.version),
            said(short_digest(&self.digest)),
            self.verdict_text()
        )
    }

    fn verdict_text(&self) -> String {
        let calls = format!("{} of {} calls", self.same_calls, self.recorded_calls);
        let end = said(&self.recorded_end);
        match (self.verdict, &self.difference) {
            ("identical", _) => format!("identical: {calls}; {end}"),
            ("ended-by-host", _) => {
                format!("identical up to where the host ended it: {calls}; {end}")
            }
            ("as-far-as-kept", _) => {
                format!("the same as far as it was kept, which is not all of it: {calls}; {end}")
            }
            (_, difference) => {
                let (recorded, replayed) = match difference {
                    Some(found) => (found.recorded.as_str(), found.replayed.as_str()),
                    None => ("", ""),
                };
                format!(
                    "DIFFERS at call {}, after {calls} that were the same\n    recorded: {}\n    replayed: {}",
                    self.same_calls,
                    said(recorded),
                    said(replayed)
                )
            }
        }
    }
}

/// Text that a plugin or a file brought. No line of it passes for one of the report.
fn said(text: &str) -> String {
    text.replace('\n', "\n    | ")
}

fn short_digest(digest: &str) -> &str {
    digest.get(..12).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: &'static str) -> ReplayReport {
        let forged = "x\n  identical: 9 of 9 calls";
        let difference = FoundDifference {
            run: forged.to_owned(),
            call: 1,
            recorded: forged.to_owned(),
            replayed: forged.to_owned(),
        };
        let run = ReplayedRun {
            name: forged.to_owned(),
            plugin: forged.to_owned(),
            version: forged.to_owned(),
            digest: forged.to_owned(),
            replayed_digest: "ab".repeat(32),
            recorded_calls: 2,
            same_calls: 1,
            recorded_end: forged.to_owned(),
            verdict,
            is_identical: false,
            difference: Some(difference),
        };
        ReplayReport {
            identical: false,
            first_difference: None,
            state_hash: String::new(),
            runs: vec![run],
        }
    }

    #[test]
    fn nothing_that_a_plugin_says_passes_for_a_verdict() {
        for verdict in ["differs", "ended-by-host", "as-far-as-kept"] {
            let text = report(verdict).to_text();
            let forged = |line: &str| line.starts_with("  identical: ");
            assert!(!text.lines().any(forged), "{text}");
        }
        let mut named = report("differs");
        named.runs[0].name = "\u{2003} identical: 9 of 9 calls".to_owned();
        let text = named.to_text();
        assert!(text.starts_with("identical: 9 of 9 calls: `x\n"), "{text}");
        let text = report("identical").to_text();
        let verdicts = text.lines().filter(|line| line.starts_with("  identical"));
        assert_eq!(
            verdicts.collect::<Vec<_>>(),
            ["  identical: 1 of 2 calls; x"]
        );
    }
}
