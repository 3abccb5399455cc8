//! An artifact is tried in the simulated cell: seeded runs under the grants that it would have, judged by the world; that it
//! does the same again, on the same seed and by its own record; and that it can be interrupted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use serde_json::{Map, Value};
use sinew_plugin_host::{Kind, Manifest, read_manifest};
use sinew_recorder::report::RunReport;

use super::StoreOptions;
use super::conduct::{Interrupted, Trial};
use crate::host::Speed;
use crate::job::{self, JobOptions, KIT_PARTS, RUNS_FOLDER};
use crate::kit::{Kit, PluginFile};
use crate::replay::{self, ReplayOptions};
use crate::sources::Sources;
use crate::trouble::input;
use crate::watch::Progress;

/// How an artifact is tried.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Runs.
    pub runs: u64,
    /// The first seed.
    pub seed: u64,
    /// Share of them that must succeed.
    pub floor: f64,
    /// Parameters of the skill.
    pub params: Option<Value>,
    /// Fault profile.
    pub profile: String,
    /// Set from outside to end it early.
    pub interrupt: Arc<AtomicBool>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// `publisher/name`.
    pub name: String,
    /// Version.
    pub version: String,
    /// Runs.
    pub runs: u64,
    /// Those in which the world was as it should be.
    pub succeeded: u64,
    /// Their share.
    pub success_rate: f64,
    /// Share that had to succeed.
    pub floor: f64,
    /// Failures by label.
    pub failures: BTreeMap<String, u64>,
    /// Cycles of the seed that failed, from 0.
    pub cycles_failed: Vec<u64>,
    /// What was wrong in the first of them, one line each.
    pub messages: Vec<String>,
    /// Everything was the same when the first seed was run again.
    pub deterministic: bool,
    /// Plugin runs that were done again from their records.
    pub replayed: usize,
    /// Each of them was the same.
    pub identical: bool,
    /// What became of it when it was interrupted; empty if it did not run in the first cycle.
    pub interrupted: Vec<Interrupted>,
    /// All of it was as it should be.
    pub passed: bool,
    /// Fingerprint of everything that happened.
    pub state_hash: String,
}

/// Of a recovery that nothing has called: what succeeded was the job's own doing.
const NEVER_RAN: &str = "it was never run, so that nothing is known of it: try more runs, or a profile in which more goes wrong \
                         (--runs, --profile)";
/// Failures that are told one by one.
const MESSAGES_MAX: usize = 3;

/// Tries an artifact that is otherwise in order.
///
/// # Errors
/// [`InputError`](crate::InputError): parameters that miss its schema, an unknown profile; [`Refused`](crate::Refused): it was
/// not granted what it asks for.
pub(crate) fn rehearse(
    options: &StoreOptions,
    artifact: &[u8],
    origin: &str,
    how: &Rehearsal,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Tried> {
    let manifest = read_manifest(artifact, origin).map_err(|error| input(error.to_string()))?;
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        sources: Sources {
            // The operator's file is for all plugins of the robot; one of them is tried.
            grants_for_others: true,
            examiner: options.place.examiner.clone(),
            ..options.sources.clone()
        },
        manifest: &manifest,
        plugins: plugins_with(options, artifact, origin, &manifest)?,
        how,
        folder: folder.path(),
    };
    let all = stage.run("all", how.runs, tell)?;
    let again = stage.run("again", 1, tell)?;
    let first = stage.run("first", 1, tell)?;
    let (replayed, identical) = stage.replay("first")?;
    let interrupted = stage.interrupt(tell)?;
    let deterministic = again.header.state_hash == first.header.state_hash;
    let ran = stage.ran("all")?;
    let failed: Vec<_> = (all.cycle_list.iter())
        .filter(|cycle| !cycle.succeeded)
        .collect();
    let (runs, succeeded) = (all.cycles, all.succeeded);
    let success_rate = all.success_rate;
    Ok(Tried {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        runs,
        succeeded,
        success_rate,
        floor: how.floor,
        failures: all.failures.clone(),
        cycles_failed: failed.iter().map(|cycle| cycle.cycle).collect(),
        messages: (failed.iter())
            .take(MESSAGES_MAX)
            .map(|cycle| {
                let (label, message) = (&cycle.failure, &cycle.message);
                let words = |words: &Option<String>| words.clone().unwrap_or_default();
                format!(
                    "cycle {}: {}: {}",
                    cycle.cycle,
                    words(label),
                    words(message)
                )
            })
            .chain((!ran).then(|| NEVER_RAN.to_owned()))
            .collect(),
        deterministic,
        replayed,
        identical,
        passed: runs == how.runs
            && ran
            && success_rate >= how.floor
            && deterministic
            && identical
            && interrupted.iter().all(|one| one.complaints.is_empty()),
        interrupted,
        state_hash: all.header.state_hash,
    })
}

/// The built-in plugins and the artifact, in place of the built-in one of its name if there is one.
fn plugins_with(
    options: &StoreOptions,
    artifact: &[u8],
    origin: &str,
    manifest: &Manifest,
) -> anyhow::Result<Vec<PluginFile>> {
    let mut plugins = vec![PluginFile {
        origin: origin.to_owned(),
        bytes: artifact.to_vec(),
        built_in: false,
    }];
    for plugin in &options.built_in {
        let other = read_manifest(&plugin.bytes, &plugin.origin)
            .map_err(|error| input(error.to_string()))?;
        if other.name != manifest.name {
            plugins.push(plugin.clone());
        }
    }
    Ok(plugins)
}

/// Everything that a try needs.
struct Stage<'a> {
    sources: Sources,
    manifest: &'a Manifest,
    plugins: Vec<PluginFile>,
    how: &'a Rehearsal,
    folder: &'a Path,
}

impl Stage<'_> {
    fn run(
        &self,
        name: &str,
        cycles: u64,
        tell: &mut dyn FnMut(&str),
    ) -> anyhow::Result<RunReport> {
        let options = JobOptions {
            seed: self.how.seed,
            first_cycle: 0,
            cycles,
            profile: self.how.profile.clone(),
            scenario: None,
            scenarios: None,
            goal: self.how.floor,
            recovery: true,
            speed: Speed::Max,
            skill: self.skill().to_owned(),
            params: self.how.params.clone(),
            plugins: self.plugins.clone(),
            out: self.folder.join(name),
            keep_runs: true,
            sources: self.sources.clone(),
            interrupt: Arc::clone(&self.how.interrupt),
        };
        job::run(&options, &mut |progress| {
            if let Progress::CycleStarted { number, of, .. } = progress {
                tell(&format!("rehearsal: run {number} of {of}"));
            }
        })
    }

    /// The skill of the tasks.
    fn skill(&self) -> &str {
        match self.manifest.kind {
            Kind::Skill => &self.manifest.name,
            // A recovery is tried where something goes wrong now and then.
            Kind::Recovery => KIT_PARTS,
        }
    }

    /// Interrupts it in the first cycle.
    fn interrupt(&self, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Interrupted>> {
        let kit = Kit::load(&self.sources, &self.plugins)?;
        let profiles = &kit.config().profiles;
        let profile =
            (profiles.get(&self.how.profile)).map_err(|error| input(error.to_string()))?;
        let skill = self.skill();
        let nothing = Value::Object(Map::new());
        let trial = Trial {
            kit: &kit,
            manifest: self.manifest,
            skill,
            // What kits is given the order that is drawn, unless somebody says otherwise.
            params: (self.how.params.as_ref()).or((skill != KIT_PARTS).then_some(&nothing)),
            profile,
            seed: self.how.seed,
            folder: self.folder,
        };
        trial.interrupt(&mut |line| tell(&format!("rehearsal: {line}")))
    }

    /// What the runs of the artifact were recorded in.
    fn records(&self, name: &str) -> anyhow::Result<Vec<PathBuf>> {
        let plugin = self.manifest.name.replace('/', "_");
        let (of_it, asked) = (format!("-{plugin}.run"), format!("-assess.{plugin}.run"));
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.folder.join(name).join(RUNS_FOLDER))? {
            let path = entry?.path();
            let file = path.file_name().and_then(|file| file.to_str());
            if file.is_some_and(|file| file.ends_with(&of_it) || file.ends_with(&asked)) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Whether it did anything: that a recovery was asked what it would do is no run.
    fn ran(&self, name: &str) -> anyhow::Result<bool> {
        let asked = format!("-assess.{}.run", self.manifest.name.replace('/', "_"));
        let files = self.records(name)?;
        Ok(files
            .iter()
            .any(|file| !file.to_string_lossy().ends_with(&asked)))
    }

    /// How many runs of it were done again, and whether all of them were the same.
    fn replay(&self, name: &str) -> anyhow::Result<(usize, bool)> {
        let files = self.records(name)?;
        let mut identical = true;
        for file in &files {
            let report = replay::replay(&ReplayOptions {
                store: None,
                file: file.clone(),
                run: None,
                skill: None,
                plugins: self.plugins.clone(),
                sources: self.sources.clone(),
            })?;
            identical &= report.identical;
        }
        Ok((files.len(), identical))
    }
}

impl Tried {
    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let failures: Vec<String> = (self.failures.iter())
            .map(|(label, count)| format!("{label} {count}"))
            .collect();
        let yes = |is: bool| if is { "yes" } else { "NO" };
        let failed = if failures.is_empty() {
            String::new()
        } else {
            format!(": {}", failures.join(", "))
        };
        let messages = (self.messages.iter()).map(|message| format!("\n    {message}"));
        let failed = failed + &messages.collect::<String>();
        let complaints: Vec<String> = (self.interrupted.iter())
            .flat_map(|one| {
                let (by, after) = (one.by, one.after_ticks);
                let complaint =
                    move |what: &String| format!("\n    {by:?} after {after} ticks: {what}");
                one.complaints.iter().map(complaint)
            })
            .collect();
        format!(
            "{} {}: {}\n  succeeded      {} of {} ({:.0} % asked for){failed}\n  the same again {}\n  replayed       {} runs, the same: {}\n  interrupted    {} times, behaved: {}{}",
            self.name,
            self.version,
            if self.passed {
                "passed"
            } else {
                "did NOT pass"
            },
            self.succeeded,
            self.runs,
            100.0 * self.floor,
            yes(self.deterministic),
            self.replayed,
            yes(self.identical),
            self.interrupted.len(),
            yes(complaints.is_empty()),
            complaints.concat()
        )
    }
}
