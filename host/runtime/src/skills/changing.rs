//! Changing what a store holds: every change, and everything that is refused, is told to the audit log.

use std::path::{Path, PathBuf};

use sinew_audit::date_of;
use sinew_plugin_host::{Manifest, read_manifest};
use sinew_skill_store::{
    Access, Activation, By, Date, Digest, Gate, Held, Installation, Selector, Store, StoreError,
    SwapAt, Trust,
};

use super::looking::{ByChild, provided};
use super::pasting::{grants_flag, pasted};
use super::rehearsal::Rehearsal;
use super::requirements::{missing, unknown_class};
use super::words::Change;
use super::{StoreOptions, manifest_of, telling, trouble};
use crate::audit::now_unix_ms;
use crate::files::{self, BINARY_MAX};
use crate::grants::allowed;
use crate::sources::Config;
use crate::trouble::{input, refused};

/// Who changes something, and where that is written down.
#[derive(Clone, Debug)]
pub struct Author {
    /// A person's name.
    pub actor: String,
    /// The audit log.
    pub audit: PathBuf,
}

/// How a version is to become active.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Although it is older than what was active once.
    pub downgrade: bool,
    /// Although it was rolled back.
    pub again: bool,
    /// When running tasks go over.
    pub swap_at: SwapAt,
    /// Its probation.
    pub gate: Gate,
}

fn by(author: &Author) -> By {
    By {
        actor: author.actor.clone(),
        unix_ms: Some(now_unix_ms()),
    }
}

fn today() -> Date {
    let (year, month, day) = date_of(now_unix_ms());
    // A clock beyond the year 65535 makes every key invalid that has a last day.
    Date {
        year: u16::try_from(year).unwrap_or(u16::MAX),
        month: month as u8,
        day: day as u8,
    }
}

/// What came of a change, as the command line has to end. What the store refuses is told to the log.
fn told<T>(
    author: &Author,
    name: &str,
    digest: Option<Digest>,
    done: Result<T, StoreError>,
) -> anyhow::Result<T> {
    done.map_err(|error| {
        telling::refusal(author, name, digest, &error.to_string());
        trouble(error)
    })
}

/// Refuses what the store itself has nothing against.
fn refuse(author: &Author, held: &Held, words: String) -> anyhow::Error {
    telling::refusal(author, &held.name, Some(held.digest), &words);
    refused(words)
}

/// The command that makes a version active, whatever it has been through.
fn activation_of(store: &Store, held: &Held) -> anyhow::Result<String> {
    let mut command = format!("sinew skill activate {}@{}", held.name, held.version);
    if store.is_downgrade(held).map_err(trouble)? {
        command.push_str(" --downgrade");
    }
    if held.condemned.is_some() {
        command.push_str(" --again");
    }
    Ok(command + " --actor NAME")
}

/// The manifest of a version that has been granted what it asks for.
fn granted(
    store: &Store,
    held: &Held,
    trust: &Trust,
    config: &Config,
    author: &Author,
) -> anyhow::Result<Manifest> {
    let manifest = manifest_of(store, held, trust).inspect_err(|error| {
        telling::refusal(author, &held.name, Some(held.digest), &error.to_string());
    })?;
    (config.grants.meet(&manifest)).map_err(|words| refuse(author, held, words))?;
    Ok(manifest)
}

/// Lets an artifact into the store, after a rehearsal if that is asked for.
///
/// # Errors
/// [`InputError`](crate::InputError) for what it is, [`Refused`](crate::Refused) for whose it is. The log says so either way.
pub fn install(
    options: &StoreOptions,
    author: &Author,
    file: &Path,
    unsigned: bool,
    rehearsal: Option<&Rehearsal>,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Change> {
    let log = telling::ready(&author.audit)?;
    let config = options.sources.load()?;
    let provided = provided(&options.sources, &config)?;
    let trust = options.trust()?;
    let artifact = files::read_bytes(file, BINARY_MAX)?;
    let origin = file.display().to_string();
    let mut store = options.open(Access::Create)?;
    let mut examiner = ByChild {
        options,
        provided: &provided,
        rehearsal,
        tell,
        tried: None,
        refused: false,
    };
    let how = Installation {
        origin: &origin,
        trust: &trust,
        today: today(),
        unsigned,
        most_bytes: BINARY_MAX as usize,
    };
    let installed = store.install(&artifact, &how, &mut examiner, &by(author));
    let installed = told(author, &origin, Some(Digest::of(&artifact)), installed);
    let installed = installed.map_err(|error| match examiner.refused {
        true => refused(format!("{error:#}")),
        false => error,
    })?;
    let warning = telling::tell_if_possible(&mut store, Ok(log)).unwrap_or_default();
    let what = if installed.already {
        "is here already"
    } else {
        "installed"
    };
    let held = installed.held;
    let activate = activation_of(&store, &held)?;
    let next = match held.is_active() {
        true => String::new(),
        false => options.next(&activate, author),
    };
    let mut change = Change {
        warning,
        ..Change::of(what, &held, next)
    };
    if let Some(tried) = &examiner.tried {
        let (succeeded, runs) = (tried.succeeded, tried.runs);
        change.state.push_str(&format!(
            ", rehearsed: {succeeded} of {runs} runs succeeded"
        ));
    }
    Ok(change)
}

/// Makes a version the active one.
///
/// # Errors
/// [`InputError`](crate::InputError) if there is no such version, [`Refused`](crate::Refused) if it may not become active: a
/// grant or somebody's consent is missing, it is revoked, older, was rolled back, or another one is pinned.
pub fn activate(
    options: &StoreOptions,
    author: &Author,
    selector: &Selector,
    terms: &Terms,
) -> anyhow::Result<Change> {
    let Gate { runs, failures } = terms.gate;
    if failures >= runs {
        return Err(input(format!(
            "--failures {failures}: a probation of {runs} runs that bears as many failures proves nothing; say fewer"
        )));
    }
    let log = telling::ready(&author.audit)?;
    let config = options.sources.load()?;
    let trust = options.trust()?;
    let mut store = options.open(Access::Change)?;
    let held = store.select_one(selector).map_err(trouble)?;
    let manifest = granted(&store, &held, &trust, &config, author)?;
    let provided = provided(&options.sources, &config)?;
    let mut missing = missing(&manifest, &provided);
    missing.extend(unknown_class(&held.name, &config.grants, &provided));
    if !missing.is_empty() {
        let words = format!("{held}: {}", missing.join("; "));
        return Err(refuse(author, &held, words));
    }
    let how = Activation {
        trust: &trust,
        allowed: allowed(&manifest, &config.grants),
        downgrade: terms.downgrade,
        again: terms.again,
        swap_at: terms.swap_at,
        gate: terms.gate,
    };
    let was_active = held.is_active();
    let activated = store.activate(&held, &how, &by(author));
    let held = told(author, &held.name, Some(held.digest), activated)?;
    let mut warnings = Vec::from_iter(stray_grants(&store, options, &config)?);
    if was_active && held.is_on_trial() {
        warnings.push("it was active already: its probation has begun anew".to_owned());
    }
    if held.proven && terms.gate != Gate::default() {
        warnings.push("it was proven before, so it has no probation".to_owned());
    }
    warnings.extend(telling::tell_if_possible(&mut store, Ok(log)));
    let mut next = format!(
        "sinew run --store {}{}{}",
        pasted(&options.place.folder),
        options.place.trust_flag(),
        grants_flag(options.sources.grants.as_deref()),
    );
    if held.kind == "skill" {
        next.push_str(&format!(" --skill {}", held.name));
    }
    Ok(Change {
        warning: warnings.join("; "),
        ..Change::of("activated", &held, next)
    })
}

/// A grant for a plugin that is neither built in nor was ever in the store: perhaps its name is mistyped.
fn stray_grants(
    store: &Store,
    options: &StoreOptions,
    config: &Config,
) -> anyhow::Result<Option<String>> {
    let Some(path) = &options.sources.grants else {
        return Ok(None);
    };
    let mut known = store.names().map_err(trouble)?;
    for plugin in &options.built_in {
        let manifest = read_manifest(&plugin.bytes, &plugin.origin);
        known.insert(manifest.map_err(|error| input(error.to_string()))?.name);
    }
    let strays: Vec<_> = (config.operator_grants.iter())
        .filter(|name| !known.contains(*name))
        .map(|name| format!("`{name}`"))
        .collect();
    Ok((!strays.is_empty()).then(|| {
        format!(
            "{} grants something to {}, which is neither built in nor in the store",
            path.display(),
            strays.join(", ")
        )
    }))
}

/// Goes back to the version that was good before.
///
/// # Errors
/// [`InputError`](crate::InputError) if there is none, [`Refused`](crate::Refused) if it is revoked or another one is pinned.
pub fn rollback(
    options: &StoreOptions,
    author: &Author,
    selector: &Selector,
    reason: &str,
) -> anyhow::Result<Change> {
    let log = telling::ready(&author.audit);
    let trust = options.trust()?;
    let mut store = options.open(Access::Change)?;
    if selector.is_of_one_version() {
        let held = store.select_one(selector).map_err(trouble)?;
        return Err(input(format!(
            "rollback goes to what was good before, whatever that is: name no version. To a version of your choice: {}",
            activation_of(&store, &held)?
        )));
    }
    let name = store.select_one(selector).map_err(trouble)?.name;
    let reason = if reason.is_empty() { "by hand" } else { reason };
    let back = store.roll_back(&name, reason, &trust, &by(author));
    let held = told(author, &name, None, back)?;
    Ok(Change {
        warning: telling::tell_if_possible(&mut store, log).unwrap_or_default(),
        ..Change::of("went back to", &held, String::new())
    })
}

/// Takes a version out of the store; the active one only if that is said.
///
/// # Errors
/// [`InputError`](crate::InputError) if there is no such version, [`Refused`](crate::Refused) if it is needed.
pub fn remove(
    options: &StoreOptions,
    author: &Author,
    selector: &Selector,
    active: bool,
) -> anyhow::Result<Change> {
    let log = telling::ready(&author.audit);
    let mut store = options.open(Access::Change)?;
    let held = match &store.select(selector).map_err(trouble)?[..] {
        [_, _, ..] if !selector.is_of_one_version() => {
            return Err(input(format!(
                "`{selector}` has several versions, and what is taken out is gone: name one of them, {selector}@VERSION (`sinew skill \
                 show {selector}` lists them)"
            )));
        }
        _ => store.select_one(selector).map_err(trouble)?,
    };
    // That nothing bad goes on running is not held up by a log.
    let log = if held.is_active() { log } else { Ok(log?) };
    let removed = store.remove(&held, active, &by(author));
    told(author, &held.name, Some(held.digest), removed)?;
    Ok(Change {
        state: "gone".to_owned(),
        warning: telling::tell_if_possible(&mut store, log).unwrap_or_default(),
        ..Change::of("removed", &held, String::new())
    })
}

/// Keeps the active version active, or lets it go again.
///
/// # Errors
/// [`InputError`](crate::InputError) if it is not the active one.
pub fn pin(
    options: &StoreOptions,
    author: &Author,
    selector: &Selector,
    on: bool,
) -> anyhow::Result<Change> {
    let log = telling::ready(&author.audit)?;
    let mut store = options.open(Access::Change)?;
    let fitting = store.select(selector).map_err(trouble)?;
    let active = fitting.iter().find(|held| held.is_active());
    let held = active.unwrap_or(&fitting[0]);
    let was_pinned = held.pinned;
    let pinned = store.pin(held, on, &by(author));
    let held = told(author, &held.name, Some(held.digest), pinned)?;
    let warning = telling::tell_if_possible(&mut store, Ok(log)).unwrap_or_default();
    let what = match (was_pinned, on) {
        (false, true) => "pinned",
        (true, false) => "let go",
        (true, true) => "is pinned already",
        (false, false) => "was not pinned",
    };
    Ok(Change {
        warning,
        ..Change::of(what, &held, String::new())
    })
}

/// Agrees that a version may have what it asks for and was granted.
///
/// # Errors
/// [`InputError`](crate::InputError) if there is no such version, [`Refused`](crate::Refused) if its grant is not enough.
pub fn approve(
    options: &StoreOptions,
    author: &Author,
    selector: &Selector,
) -> anyhow::Result<Change> {
    let log = telling::ready(&author.audit)?;
    let config = options.sources.load()?;
    let trust = options.trust()?;
    let mut store = options.open(Access::Change)?;
    let held = store.select_one(selector).map_err(trouble)?;
    let manifest = granted(&store, &held, &trust, &config, author)?;
    let approved = store.approve(&held, &allowed(&manifest, &config.grants), &by(author));
    let new = told(author, &held.name, Some(held.digest), approved)?;
    let warning = telling::tell_if_possible(&mut store, Ok(log)).unwrap_or_default();
    let next = options.next(&activation_of(&store, &held)?, author);
    Ok(Change {
        state: if new.is_empty() {
            "nothing that was not allowed before".to_owned()
        } else {
            Vec::from_iter(new).join(", ")
        },
        warning,
        ..Change::of("approved", &held, next)
    })
}
