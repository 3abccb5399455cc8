//! A plugin's life on a robot: what `sinew skill` does with a store.
//!
//! The store keeps files and state; what is inside an artifact is found out here, by a child process; what it may touch is
//! looked up in the grants; and whatever happened is told to the audit log.

mod books;
mod changing;
mod conduct;
mod loading;
mod looking;
mod pasting;
mod rehearsal;
mod requirements;
mod taking;
mod telling;
#[cfg(test)]
mod tests;
mod words;
mod worker;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use sinew_plugin_host::{Manifest, read_manifest};
use sinew_skill_store::{Access, Held, Selector, Store, StoreError, Trust};

use crate::files;
use crate::grants::allowed;
use crate::kit::PluginFile;
use crate::sources::{Config, Sources};
use crate::trouble::{input, refused};

pub(crate) use self::books::{Books, Clock, News, NewsOf, no_version_is_active};
pub use self::changing::{Author, Terms, activate, approve, install, pin, remove, rollback};
pub use self::conduct::{Interrupted, Interruption};
pub(crate) use self::loading::{
    FromStore, Pick, artifact, artifacts, compiled, load as load_active, names, vouched, way_in,
};
pub use self::looking::{check, keygen, pack, sign, test};
pub(crate) use self::looking::{kind_name, provided};
use self::pasting::pasted;
pub(crate) use self::pasting::{audit_flag, complete, with_flags};
pub use self::rehearsal::{Rehearsal, Tried};
pub(crate) use self::requirements::{Provided, missing, unknown_class};
pub(crate) use self::taking::Admission;
pub use self::words::{Change, Checked, Listed, ListedSkill, Shown};
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

impl StoreOptions {
    /// A command that goes on from here: in the same store, with the same grants and log.
    fn next(&self, command: &str, author: &Author) -> String {
        format!("{command}{}", self.flags(author))
    }

    /// An error in which the commands that it proposes lead to the same store, with the same grants and log.
    #[must_use]
    pub fn complete(&self, error: anyhow::Error, author: &Author) -> anyhow::Error {
        complete(error, &self.flags(author))
    }

    fn flags(&self, author: &Author) -> String {
        let grants = self.sources.grants.as_deref();
        self.place.flags(grants) + &audit_flag(&author.audit)
    }

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
            return Ok(Trust::of_nobody(&usual.display().to_string()));
        }
        files::check_regular(path).map_err(|error| input(error.0))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path).map(|there| there.permissions().mode());
            if mode.is_ok_and(|mode| mode & 0o002 != 0) {
                return Err(refused(format!(
                    "{}: anybody can write into it, so it says nothing about whom to trust: chmod o-w it",
                    path.display()
                )));
            }
        }
        let text = files::read(path)?;
        Trust::from_toml_str(&text, &path.display().to_string())
            .map_err(|error| input(error.to_string()))
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
        .map(|held| listed(options, &store, held, &trust, &config))
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
        .map(|held| listed(options, &store, held, &trust, &config))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Shown {
        agreed: store.consented(&name).map_err(trouble)?,
        history: store.history(Some(&name)).map_err(trouble)?,
        name,
        versions,
    })
}

fn listed(
    options: &StoreOptions,
    store: &Store,
    held: &Held,
    trust: &Trust,
    config: &Config,
) -> anyhow::Result<ListedSkill> {
    let usage = store.usage(held.digest).map_err(trouble)?;
    let (grants, trouble) = match manifest_of(store, held, trust) {
        Ok(manifest) => {
            let grants = allowed(&manifest, &config.grants);
            let refused = refused_by(options, store, held, &manifest, config, &grants)?;
            (grants, refused)
        }
        Err(error) => (BTreeSet::new(), Some(error.to_string())),
    };
    Ok(ListedSkill::of(held, grants, trouble, usage))
}

/// Why somebody's decision is missing, in words.
fn refused_by(
    options: &StoreOptions,
    store: &Store,
    held: &Held,
    manifest: &Manifest,
    config: &Config,
    grants: &BTreeSet<String>,
) -> anyhow::Result<Option<String>> {
    if let Err(words) = config.grants.meet(manifest) {
        return Ok(Some(match options.sources.grants {
            Some(_) => words,
            None => format!("no --grants was said, so it has what is built in. {words}"),
        }));
    }
    match store.check_consent(held, grants) {
        Ok(()) => Ok(None),
        Err(error) if error.is_refusal() => {
            let flags = options.place.flags(options.sources.grants.as_deref());
            Ok(Some(with_flags(&error.to_string(), &flags)))
        }
        Err(error) => Err(trouble(error)),
    }
}

fn manifest_of(store: &Store, held: &Held, trust: &Trust) -> anyhow::Result<Manifest> {
    let loaded = store.load(held, trust, "").map_err(trouble)?;
    read_manifest(&loaded.artifact, &held.to_string()).map_err(|error| input(error.to_string()))
}
