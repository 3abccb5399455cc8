//! Looking into an artifact, without a store.

use std::path::Path;

use serde_json::Value;
use sinew_inference::choose;
use sinew_plugin_host::{Kind, Manifest, read_manifest};
use sinew_skill_store::{
    Digest, Examined, Examiner, SecretKey, Unfit, Version, layout, sign as sign_artifact,
};
use sinew_tasks::check_manifest;

use super::rehearsal::{Rehearsal, Tried, rehearse};
use super::requirements::{Provided, missing, unknown_class};
use super::words::{Change, Checked};
use super::worker::examine;
use super::{StoreOptions, pasted};
use crate::assets;
use crate::files::{self, BINARY_MAX};
use crate::grants::allowed;
use crate::sources::{Config, Sources};
use crate::trouble::{Refused, input, unwritable};

/// Looks into artifacts by a child process, at whether this cell has what they need, and, if that was asked for, at how they do
/// in it.
pub(super) struct ByChild<'a> {
    pub(super) options: &'a StoreOptions,
    pub(super) provided: &'a Provided,
    pub(super) rehearsal: Option<&'a Rehearsal>,
    pub(super) tell: &'a mut dyn FnMut(&str),
    pub(super) tried: Option<Tried>,
    /// It could not be tried because it was not granted what it asks for.
    pub(super) refused: bool,
}

impl Examiner for ByChild<'_> {
    fn examine(&mut self, artifact: &[u8], origin: &str) -> Result<Examined, Unfit> {
        let compiled = examine(&self.options.place.examiner, artifact, origin).map_err(Unfit)?;
        // The child has found it sound. What it says about itself is read here: a child that was overcome by what it looked
        // at has machine code to give, and no say in whose it is.
        let manifest = read_manifest(artifact, origin).map_err(|error| Unfit(error.to_string()))?;
        let version = version_of(&manifest).map_err(Unfit)?;
        let missing = missing(&manifest, self.provided);
        if !missing.is_empty() {
            return Err(Unfit(missing.join("; ")));
        }
        if let Some(how) = self.rehearsal {
            let tried = rehearse(self.options, artifact, origin, how, self.tell);
            let tried = tried.map_err(|error| {
                self.refused = error.chain().any(|cause| cause.is::<Refused>());
                Unfit(format!("its rehearsal: {error:#}"))
            })?;
            if !tried.passed {
                return Err(Unfit(format!("its rehearsal: {}", tried.to_text())));
            }
            self.tried = Some(tried);
        }
        Ok(Examined {
            name: manifest.name,
            version,
            kind: kind_name(manifest.kind).to_owned(),
            summary: manifest.summary,
            compiled: compiled.code,
            compiled_for: compiled.code_for,
        })
    }
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Skill => "skill",
        Kind::Recovery => "recovery",
    }
}

fn version_of(manifest: &Manifest) -> Result<Version, String> {
    let version = &manifest.version;
    (version.parse()).map_err(|error| {
        format!("its version `{version}` is none: {error}; write it like 1.2.0 (semver.org)")
    })
}

/// What the configured cell has.
pub(crate) fn provided(sources: &Sources, config: &Config) -> anyhow::Result<Provided> {
    let selection = choose(&sources.backend).map_err(|error| input(error.to_string()))?;
    let (detector, _) = assets::detector(sources.models.as_deref(), &*selection.backend)?;
    let policies = assets::policies(sources.models.as_deref())?;
    Ok(Provided::of(config, &detector, &policies))
}

/// Makes a key and writes it to a new file; gives the public part.
///
/// # Errors
/// [`InputError`](crate::InputError) if the file exists or can't be written.
pub fn keygen(file: &Path) -> anyhow::Result<String> {
    let key = SecretKey::generate()?;
    key.write(file).map_err(|error| input(error.to_string()))?;
    Ok(key.public().to_string())
}

/// Makes a plugin of a component and its manifest, a file in JSON or, if its name ends in `.toml`, in TOML.
///
/// # Errors
/// [`InputError`](crate::InputError): no component, one that is a plugin already, a manifest that says something wrong, or the
/// file can't be written.
pub fn pack(component: &Path, manifest: &Path, out: &Path) -> anyhow::Result<Change> {
    let bytes = files::read_bytes(component, BINARY_MAX)?;
    let text = files::read(manifest)?;
    let text = text.trim_start_matches('\u{feff}');
    let said = manifest.display();
    let wrong = |error: &dyn std::fmt::Display| input(format!("{said}: {error}"));
    let is_toml = (manifest.extension()).is_some_and(|it| it.eq_ignore_ascii_case("toml"));
    let json = if is_toml {
        // Once as what it is, for places in the file, and once as what becomes JSON.
        toml::from_str::<Manifest>(text).map_err(|error| wrong(&error))?;
        let value: toml::Value = toml::from_str(text).map_err(|error| wrong(&error))?;
        let value = as_json(value).map_err(|error| wrong(&error))?;
        value.to_string()
    } else {
        serde_json::from_str::<Value>(text).map_err(|error| {
            let as_what = "read as JSON, because its name does not end in .toml";
            input(format!("{said}, {as_what}: {error}"))
        })?;
        text.to_owned()
    };
    let checked = Manifest::from_json(json.as_bytes()).map_err(|error| wrong(&error))?;
    checked.check_schemas().map_err(|error| wrong(&error))?;
    check_manifest(&checked).map_err(|error| wrong(&error))?;
    version_of(&checked).map_err(|error| wrong(&error))?;
    check_place(out)?;
    let is_same = || Some(out.canonicalize().ok()? == component.canonicalize().ok()?);
    if is_same() == Some(true) {
        return Err(input(format!(
            "{}: that is the component, which is packed once: name another file",
            out.display()
        )));
    }
    let origin = component.display().to_string();
    let plugin = sinew_plugin_host::pack(&bytes, &origin, json.as_bytes())
        .map_err(|error| input(error.to_string()))?;
    files::replace(out, &plugin).map_err(|error| unwritable(&out.display().to_string(), &error))?;
    Ok(Change {
        what: "packed",
        name: checked.name,
        version: checked.version,
        digest: Digest::of(&plugin).to_string(),
        state: format!("in {}", out.display()),
        unsigned: true,
        next: format!("sinew skill check {}", pasted(out)),
        warning: String::new(),
    })
}

/// What JSON has a word for.
fn as_json(value: toml::Value) -> Result<Value, String> {
    match value {
        toml::Value::Float(number) if !number.is_finite() => {
            Err(format!("{number} is no number that a manifest can have"))
        }
        toml::Value::Datetime(time) => Err(format!(
            "{time} is a date, of which a manifest has none: write \"{time}\""
        )),
        toml::Value::Array(all) => all.into_iter().map(as_json).collect(),
        toml::Value::Table(all) => (all.into_iter())
            .map(|(name, value)| Ok((name, as_json(value)?)))
            .collect::<Result<serde_json::Map<_, _>, String>>()
            .map(Value::Object),
        toml::Value::String(text) => Ok(text.into()),
        toml::Value::Integer(number) => Ok(number.into()),
        toml::Value::Float(number) => Ok(number.into()),
        toml::Value::Boolean(yes) => Ok(yes.into()),
    }
}

/// Whatever else is there is somebody's: a key, a device, a text.
fn check_place(out: &Path) -> anyhow::Result<()> {
    if !out.exists() {
        return Ok(());
    }
    let there = files::read_bytes(out, BINARY_MAX).map_err(|error| input(error.0))?;
    if !there.starts_with(b"\0asm") {
        return Err(input(format!(
            "{}: there is something else, which is not replaced: name another file",
            out.display()
        )));
    }
    Ok(())
}

/// Signs an artifact into another file.
///
/// # Errors
/// [`InputError`](crate::InputError): no artifact, signed already, no key, or the file can't be written.
pub fn sign(file: &Path, key: &Path, out: &Path) -> anyhow::Result<Change> {
    let artifact = files::read_bytes(file, BINARY_MAX)?;
    let origin = file.display().to_string();
    let named = |error: &dyn std::fmt::Display| input(format!("{origin}: {error}"));
    let manifest = read_manifest(&artifact, &origin).map_err(|error| input(error.to_string()))?;
    check_place(out)?;
    let key = SecretKey::read(key).map_err(|error| input(error.to_string()))?;
    let signed = sign_artifact(&artifact, &key).map_err(|error| named(&error))?;
    files::replace(out, &signed).map_err(|error| unwritable(&out.display().to_string(), &error))?;
    Ok(Change {
        what: "signed",
        name: manifest.name,
        version: manifest.version,
        digest: Digest::of(&signed).to_string(),
        state: format!("in {}, with {}", out.display(), key.public()),
        unsigned: false,
        next: format!("sinew skill install {} --actor NAME", pasted(out)),
        warning: String::new(),
    })
}

/// Checks an artifact as an installation would, without a store: what is inside, whether it fits this host and cell, what it
/// asks for. Its signature is looked at, if it has one, and not whose it is.
///
/// # Errors
/// [`InputError`](crate::InputError) with everything that is wrong with it.
pub fn check(options: &StoreOptions, file: &Path) -> anyhow::Result<Checked> {
    let artifact = files::read_bytes(file, BINARY_MAX)?;
    let origin = file.display().to_string();
    let layout = layout(&artifact);
    let named = |error: &dyn std::fmt::Display| input(format!("{origin}: {error}"));
    let signer = layout.verify().map_err(|error| named(&error))?;
    layout.check_sections().map_err(|error| named(&error))?;
    let config = options.sources.load()?;
    let provided = provided(&options.sources, &config)?;
    let mut examiner = ByChild {
        options,
        provided: &provided,
        rehearsal: None,
        tell: &mut |_| {},
        tried: None,
        refused: false,
    };
    let examined = (examiner.examine(&artifact, &origin)).map_err(|unfit| input(unfit.0))?;
    let manifest = read_manifest(&artifact, &origin).map_err(|error| input(error.to_string()))?;
    Ok(Checked {
        name: examined.name,
        version: examined.version.to_string(),
        kind: examined.kind,
        summary: examined.summary,
        digest: Digest::of(&artifact).to_string(),
        bytes: artifact.len(),
        compiled_bytes: examined.compiled.len(),
        signed_by: signer.map(|key| key.to_string()),
        not_granted: (config.grants.meet(&manifest).err())
            .or_else(|| unknown_class(&manifest.name, &config.grants, &provided)),
        allowed: allowed(&manifest, &config.grants),
    })
}

/// Tries an artifact in the simulated cell.
///
/// # Errors
/// As [`check`]; parameters that miss its schema; [`Refused`](crate::Refused) if it was not granted what it asks for.
pub fn test(
    options: &StoreOptions,
    file: &Path,
    how: &Rehearsal,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Tried> {
    check(options, file)?;
    let artifact = files::read_bytes(file, BINARY_MAX)?;
    rehearse(options, &artifact, &file.display().to_string(), how, tell)
}
