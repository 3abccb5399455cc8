//! A plugin's life on a robot: what `sinew skill` does with a store.
//!
//! The store keeps files and state; what is inside an artifact is found out here, by a child process; what it may touch is
//! looked up in the grants; and whatever happened is told to the audit log.

mod books;
mod loading;
mod rehearsal;
mod requirements;
mod telling;
#[cfg(test)]
mod tests;
mod words;
mod worker;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sinew_audit::date_of;
use sinew_inference::choose;
use sinew_plugin_host::{Kind, Manifest, read_manifest};
use sinew_sim::Cell;
use sinew_skill_store::{
    Access, Activation, By, Date, Digest, Examined, Examiner, Gate, Held, Installation, SecretKey,
    Selector, Store, StoreError, SwapAt, Trust, Unfit, Version, layout, sign as sign_artifact,
};

use crate::assets;
use crate::audit::now_unix_ms;
use crate::files::{self, BINARY_MAX};
use crate::grants::allowed;
use crate::kit::PluginFile;
use crate::sources::{Config, Sources};
use crate::trouble::{input, refused};

pub(crate) use self::books::{Books, News};
pub(crate) use self::loading::{FromStore, load as load_active, names};
pub use self::rehearsal::{Rehearsal, Tried};
pub(crate) use self::requirements::{Provided, missing};
pub use self::words::{Change, Checked, Listed, ListedSkill, Shown};
use self::worker::examine;
pub use self::worker::serve as serve_examiner;

/// Where the store lies if nobody says otherwise.
pub const STORE_DEFAULT: &str = "out/skills";
/// The trust file, in the store's folder, if nobody says otherwise.
const TRUST_FILE: &str = "trust.toml";

/// Which store, and what it goes by.
#[derive(Clone, Debug, Default)]
pub struct StorePlace {
    /// Its folder.
    pub folder: PathBuf,
    /// The trust file; the one in the store's folder if `None`.
    pub trust: Option<PathBuf>,
    /// Command that starts a child that looks into artifacts: it is given the name of the file.
    pub examiner: Vec<OsString>,
}

/// What `sinew skill` goes by.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The store.
    pub place: StorePlace,
    /// The plugins that are part of the program.
    pub built_in: Vec<PluginFile>,
    /// Grants, robot and models.
    pub sources: Sources,
}

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

impl StoreOptions {
    fn open(&self, access: Access) -> anyhow::Result<Store> {
        Store::open(&self.place.folder, access).map_err(trouble)
    }

    fn trust(&self) -> anyhow::Result<Trust> {
        self.place.trust()
    }
}

impl StorePlace {
    /// The trust file that is named, or the one in the store's folder. The first has to be there; without the other, nobody
    /// is trusted.
    fn trust(&self) -> anyhow::Result<Trust> {
        let usual = self.folder.join(TRUST_FILE);
        let path = self.trust.as_ref().unwrap_or(&usual);
        if self.trust.is_none() && !path.exists() {
            return Ok(Trust::default());
        }
        let text = files::read(path)?;
        Trust::from_toml_str(&text, &path.display().to_string())
            .map_err(|error| input(error.to_string()))
    }
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

/// As the command line has to end: refused, or wrong input.
fn trouble(error: StoreError) -> anyhow::Error {
    if error.is_refusal() {
        refused(error.to_string())
    } else {
        input(error.to_string())
    }
}

/// Looks into artifacts by a child process, at whether this cell has what they need, and, if that was asked for, at how they do
/// in it.
struct ByChild<'a> {
    options: &'a StoreOptions,
    provided: &'a Provided,
    rehearsal: Option<&'a Rehearsal>,
    tell: &'a mut dyn FnMut(&str),
    tried: Option<Tried>,
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
            let tried = rehearsal::rehearse(self.options, artifact, origin, how, self.tell)
                .map_err(|error| Unfit(format!("its rehearsal: {error:#}")))?;
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
fn provided(sources: &Sources, config: &Config) -> anyhow::Result<Provided> {
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

/// Signs an artifact into another file.
///
/// # Errors
/// [`InputError`](crate::InputError): no artifact, signed already, no key, or the file can't be written.
pub fn sign(file: &Path, key: &Path, out: &Path) -> anyhow::Result<Change> {
    if out.exists() {
        // Whatever else is there is somebody's: a key, a device, a text.
        let there = files::read_bytes(out, BINARY_MAX).map_err(|error| input(error.0))?;
        if !there.starts_with(b"\0asm") {
            return Err(input(format!(
                "{}: there is something else, which is not replaced: name another file",
                out.display()
            )));
        }
    }
    let key = SecretKey::read(key).map_err(|error| input(error.to_string()))?;
    let artifact = files::read_bytes(file, BINARY_MAX)?;
    let origin = file.display().to_string();
    let named = |error: &dyn std::fmt::Display| input(format!("{origin}: {error}"));
    let manifest = read_manifest(&artifact, &origin).map_err(|error| input(error.to_string()))?;
    let signed = sign_artifact(&artifact, &key).map_err(|error| named(&error))?;
    files::replace(out, &signed)
        .map_err(|error| crate::trouble::unwritable(&out.display().to_string(), &error))?;
    Ok(Change {
        what: "signed",
        name: manifest.name,
        version: manifest.version,
        digest: Digest::of(&signed).to_string(),
        state: format!("in {}, with {}", out.display(), key.public()),
        unsigned: false,
        next: format!("sinew skill install {} --actor NAME", out.display()),
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
        not_granted: config.grants.meet(&manifest).err(),
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
    rehearsal::rehearse(options, &artifact, &file.display().to_string(), how, tell)
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
    telling::ready(&author.audit)?;
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
    };
    let how = Installation {
        origin: &origin,
        trust: &trust,
        today: today(),
        unsigned,
        most_bytes: BINARY_MAX as usize,
    };
    let installed = store.install(&artifact, &how, &mut examiner, &by(author));
    let installed = installed.map_err(|error| {
        telling::refusal(author, &origin, Some(Digest::of(&artifact)), &error);
        trouble(error)
    })?;
    telling::tell(&mut store, &author.audit)?;
    let what = if installed.already {
        "is here already"
    } else {
        "installed"
    };
    let held = installed.held;
    let next = format!(
        "sinew skill activate {}@{} --actor NAME",
        held.name, held.version
    );
    let mut change = Change::of(what, &held, next);
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
    telling::ready(&author.audit)?;
    let config = options.sources.load()?;
    let trust = options.trust()?;
    let mut store = options.open(Access::Change)?;
    let held = store.select_one(selector).map_err(trouble)?;
    let refuse = |text: String| {
        telling::words_of_refusal(author, &held.name, Some(held.digest), &text);
        refused(text)
    };
    let manifest = manifest_of(&store, &held, &trust).inspect_err(|error| {
        telling::words_of_refusal(author, &held.name, Some(held.digest), &error.to_string());
    })?;
    (config.grants.meet(&manifest)).map_err(refuse)?;
    let missing = missing(&manifest, &provided(&options.sources, &config)?);
    if !missing.is_empty() {
        return Err(refuse(format!("{held}: {}", missing.join("; "))));
    }
    let how = Activation {
        trust: &trust,
        allowed: allowed(&manifest, &config.grants),
        downgrade: terms.downgrade,
        again: terms.again,
        swap_at: terms.swap_at,
        gate: terms.gate,
    };
    let held = (store.activate(&held, &how, &by(author))).map_err(|error| {
        telling::refusal(author, &held.name, Some(held.digest), &error);
        trouble(error)
    })?;
    telling::tell(&mut store, &author.audit)?;
    let next = format!("sinew run --store {}", options.place.folder.display());
    Ok(Change::of("activated", &held, next))
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
    telling::ready(&author.audit)?;
    let trust = options.trust()?;
    let mut store = options.open(Access::Change)?;
    if selector.is_of_one_version() {
        return Err(input(format!(
            "rollback goes to what was good before, whatever that is: name no version. To a version of your choice: sinew skill \
             activate {selector}"
        )));
    }
    let name = store.select_one(selector).map_err(trouble)?.name;
    let reason = if reason.is_empty() { "by hand" } else { reason };
    let held = (store.roll_back(&name, reason, &trust, &by(author))).map_err(|error| {
        telling::refusal(author, &name, None, &error);
        trouble(error)
    })?;
    telling::tell(&mut store, &author.audit)?;
    Ok(Change::of("went back to", &held, String::new()))
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
    telling::ready(&author.audit)?;
    let mut store = options.open(Access::Change)?;
    let held = store.select_one(selector).map_err(trouble)?;
    (store.remove(&held, active, &by(author))).map_err(|error| {
        telling::refusal(author, &held.name, Some(held.digest), &error);
        trouble(error)
    })?;
    telling::tell(&mut store, &author.audit)?;
    Ok(Change {
        state: "gone".to_owned(),
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
    telling::ready(&author.audit)?;
    let mut store = options.open(Access::Change)?;
    let fitting = store.select(selector).map_err(trouble)?;
    let active = fitting.iter().find(|held| is_active(held));
    let held = active.unwrap_or(&fitting[0]);
    let held = store.pin(held, on, &by(author)).map_err(|error| {
        telling::refusal(author, &held.name, Some(held.digest), &error);
        trouble(error)
    })?;
    telling::tell(&mut store, &author.audit)?;
    Ok(Change::of(
        if on { "pinned" } else { "let go" },
        &held,
        String::new(),
    ))
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
    telling::ready(&author.audit)?;
    let config = options.sources.load()?;
    let trust = options.trust()?;
    let mut store = options.open(Access::Change)?;
    let held = store.select_one(selector).map_err(trouble)?;
    let tell = |words: &str| {
        telling::words_of_refusal(author, &held.name, Some(held.digest), words);
    };
    let manifest =
        manifest_of(&store, &held, &trust).inspect_err(|error| tell(&error.to_string()))?;
    (config.grants.meet(&manifest)).map_err(|text| {
        tell(&text);
        refused(text)
    })?;
    let new = (store.approve(&held, &allowed(&manifest, &config.grants), &by(author)))
        .map_err(trouble)?;
    telling::tell(&mut store, &author.audit)?;
    let next = format!(
        "sinew skill activate {}@{} --actor NAME",
        held.name, held.version
    );
    Ok(Change {
        state: if new.is_empty() {
            "nothing that was not allowed before".to_owned()
        } else {
            Vec::from_iter(new).join(", ")
        },
        ..Change::of("approved", &held, next)
    })
}

/// Everything in the store.
///
/// # Errors
/// [`InputError`](crate::InputError) if there is no store, or it can't be read.
pub fn list(options: &StoreOptions) -> anyhow::Result<Listed> {
    let config = options.sources.load()?;
    let trust = options.trust()?;
    let store = options.open(Access::Read)?;
    let all = store.all().map_err(trouble)?;
    let skills = (all.iter())
        .map(|held| listed(&store, held, &trust, &config))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Listed { skills })
}

/// One plugin: its versions, what they have used, and what happened.
///
/// # Errors
/// [`InputError`](crate::InputError) if there is no such plugin.
pub fn show(options: &StoreOptions, selector: &Selector) -> anyhow::Result<Shown> {
    let config = options.sources.load()?;
    let trust = options.trust()?;
    let store = options.open(Access::Read)?;
    let fitting = store.select(selector).map_err(trouble)?;
    let name = fitting[0].name.clone();
    let versions = (fitting.iter())
        .map(|held| listed(&store, held, &trust, &config))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Shown {
        agreed: store.consented(&name).map_err(trouble)?,
        history: store.history(Some(&name)).map_err(trouble)?,
        name,
        versions,
    })
}

fn listed(
    store: &Store,
    held: &Held,
    trust: &Trust,
    config: &Config,
) -> anyhow::Result<ListedSkill> {
    let usage = store.usage(held.digest).map_err(trouble)?;
    let (grants, trouble) = match manifest_of(store, held, trust) {
        Ok(manifest) => (
            allowed(&manifest, &config.grants),
            config.grants.meet(&manifest).err(),
        ),
        Err(error) => (BTreeSet::new(), Some(error.to_string())),
    };
    Ok(ListedSkill::of(held, grants, trouble, usage))
}

fn is_active(held: &Held) -> bool {
    matches!(held.state, sinew_skill_store::State::Active { .. })
}

fn manifest_of(store: &Store, held: &Held, trust: &Trust) -> anyhow::Result<Manifest> {
    let loaded = store.load(held, trust, "").map_err(trouble)?;
    read_manifest(&loaded.artifact, &held.to_string()).map_err(|error| input(error.to_string()))
}

impl Provided {
    /// What a cell has by its configuration and models.
    pub(crate) fn of(
        config: &Config,
        detector: &sinew_perception::Detector,
        policies: &sinew_policy::PolicyStore,
    ) -> Self {
        let gripper = &config.robot.gripper;
        let cell = Cell::new(&config.robot, &config.cell);
        Self {
            policies: (policies.iter())
                .map(|policy| {
                    let manifest = policy.manifest();
                    (manifest.name.clone(), manifest.model.sha256.clone())
                })
                .collect(),
            gripper_opening_m: gripper.width_max_m,
            gripper_force_n: gripper.force_max_n,
            poses: crate::kit::named_poses(config).into_keys().collect(),
            classes: detector.classes().map(str::to_owned).collect(),
            place_kinds: (cell.places().into_iter())
                .map(|place| place.kind.to_owned())
                .collect(),
        }
    }
}
