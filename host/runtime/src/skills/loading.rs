//! The active versions of a store, for a host that runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sinew_plugin_host::{Grants, MachineCode, PluginHost};
use sinew_skill_store::{Access, Digest, Held, Loadable, State, Store, Trust};
use sinew_tasks::{InstallError, InstalledVersion, Version as _};

use super::pasting::with_flags;
use super::worker::examine;
use super::{StorePlace, trouble};
use crate::grants::allowed;
use crate::kit::PluginFile;
use crate::trouble::{Refused, input, refused};

/// A plugin out of the store.
#[derive(Debug)]
pub(crate) struct FromStore {
    loaded: Loadable,
    /// What somebody has agreed that its versions may have.
    agreed: BTreeSet<String>,
    /// Of the store.
    folder: PathBuf,
}

/// The names of all plugins that are or were in a store, active or not.
pub(crate) fn names(place: &StorePlace) -> anyhow::Result<BTreeSet<String>> {
    let store = Store::open(&place.folder, Access::Read).map_err(trouble)?;
    store.names().map_err(trouble)
}

/// What has to be done before a plugin of a store can run, of which nothing is active: `None` if the store has never had it.
pub(crate) fn way_in(
    place: &StorePlace,
    grants: Option<&Path>,
    name: &str,
) -> anyhow::Result<Option<String>> {
    let store = Store::open(&place.folder, Access::Read).map_err(trouble)?;
    let is_there = (store.all().map_err(trouble)?.iter()).any(|held| held.name == name);
    let was_there = store.names().map_err(trouble)?.contains(name);
    let words = match (is_there, was_there) {
        (true, _) => format!(
            "; no version of it is active in the store: sinew skill activate {name} --actor NAME"
        ),
        (false, true) => {
            "; every version of it was taken out of the store: sinew skill install FILE --actor NAME"
                .to_owned()
        }
        (false, false) => return Ok(None),
    };
    Ok(Some(with_flags(&words, &place.flags(grants))))
}

/// Which version of a name is looked at, if there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The active one, or the newest if none is.
    Active,
    /// The newest that was not rolled back: what somebody is about to make active.
    Newest,
}

/// One version of each plugin in a store, to be looked at; none that is revoked.
pub(crate) fn artifacts(place: &StorePlace, pick: Pick) -> anyhow::Result<Vec<PluginFile>> {
    let store = Store::open(&place.folder, Access::Read).map_err(trouble)?;
    let trust = place.trust()?;
    let mut best: BTreeMap<String, Held> = BTreeMap::new();
    for held in store.all().map_err(trouble)? {
        if held.condemned.is_some() || held.check_trust(&trust).is_err() {
            continue;
        }
        let rank = |held: &Held| {
            (
                pick == Pick::Active && held.is_active(),
                held.version.clone(),
            )
        };
        let is_better = (best.get(&held.name)).is_none_or(|other| rank(&held) > rank(other));
        if is_better {
            best.insert(held.name.clone(), held);
        }
    }
    (best.values())
        .map(|held| {
            let loaded = store.load(held, &trust, "").map_err(trouble)?;
            Ok(PluginFile {
                origin: held.to_string(),
                bytes: loaded.artifact,
                built_in: false,
            })
        })
        .collect()
}

/// The version with this digest in a store, to be looked at; `None` if it is not there.
pub(crate) fn artifact(place: &StorePlace, digest: Digest) -> anyhow::Result<Option<PluginFile>> {
    let store = Store::open(&place.folder, Access::Read).map_err(trouble)?;
    let all = store.all().map_err(trouble)?;
    let Some(held) = all.into_iter().find(|held| held.digest == digest) else {
        return Ok(None);
    };
    Ok(Some(PluginFile {
        origin: held.to_string(),
        // What was revoked has left evidence, too, and nothing that it calls happens.
        bytes: store.artifact(&held).map_err(trouble)?,
        built_in: false,
    }))
}

/// Reads every active version. One that is revoked, or not what was installed, is an error: a host that starts without
/// what it was told to run would do something else. What may have to be gone back to is made ready.
pub(crate) fn load(place: &StorePlace, code_for: &str) -> anyhow::Result<Vec<FromStore>> {
    let store = Store::open(&place.folder, Access::Read).map_err(trouble)?;
    let all = store.all().map_err(trouble)?;
    if !all.iter().any(Held::is_active) {
        return Ok(Vec::new());
    }
    let trust = place.trust()?;
    for before in all.iter().filter(|held| held.state == State::LastGood) {
        // What is wrong with it counts when it is gone back to.
        let _ = read_or_compile(place, &store, before, &trust, code_for);
    }
    (all.iter().filter(|held| held.is_active()))
        .map(|held| {
            read_or_compile(place, &store, held, &trust, code_for).map_err(|error| {
                // Nothing else is refused there.
                if !error.is::<Refused>() {
                    return error;
                }
                let (name, version) = (&held.name, &held.version);
                refused(format!(
                    "{error}\nMake another version active (`sinew skill activate {name}@VERSION --actor NAME`), or none: `sinew skill \
                     remove {name}@{version} --active --actor NAME`"
                ))
            })
        })
        .collect()
}

/// Reads one version, with its machine code if the store has that.
pub(super) fn read(
    place: &StorePlace,
    store: &Store,
    held: &Held,
    trust: &Trust,
    code_for: &str,
) -> anyhow::Result<FromStore> {
    Ok(FromStore {
        loaded: store.load(held, trust, code_for).map_err(trouble)?,
        agreed: store.consented(&held.name).map_err(trouble)?,
        folder: place.folder.clone(),
    })
}

/// Reads one version. Machine code that is not to be had any more is made anew, by a child, and kept.
pub(super) fn read_or_compile(
    place: &StorePlace,
    store: &Store,
    held: &Held,
    trust: &Trust,
    code_for: &str,
) -> anyhow::Result<FromStore> {
    let mut there = read(place, store, held, trust, code_for)?;
    if !there.has_code() && !place.examiner.is_empty() {
        let compiled = examine(&place.examiner, &there.loaded.artifact, &held.to_string());
        let compiled = compiled.map_err(input)?;
        // A store that can't be written is read all the same.
        if let Ok(mut store) = Store::open(&place.folder, Access::Change) {
            let _ = store.recompiled(held, &compiled.code, &compiled.code_for);
        }
        there.loaded.compiled = (compiled.code_for == code_for).then_some(compiled.code);
    }
    Ok(there)
}

/// Machine code of a plugin that comes from a file, made by a child; `None` if there is no child to make it, or no need of one.
pub(crate) fn compiled(
    examiner: &[OsString],
    file: &PluginFile,
    code_for: &str,
) -> anyhow::Result<Option<Vec<u8>>> {
    if file.built_in || examiner.is_empty() {
        return Ok(None);
    }
    let compiled = examine(examiner, &file.bytes, &file.origin).map_err(input)?;
    if compiled.code_for != code_for {
        return Err(input(format!(
            "{}: it was compiled for another host: was this program replaced a moment ago?",
            file.origin
        )));
    }
    Ok(Some(compiled.code))
}

/// Machine code that a child of this program has made: what [`compiled`] and the store give.
pub(crate) fn vouched(code: &[u8]) -> MachineCode<'_> {
    #[allow(
        unsafe_code,
        reason = "the store keeps the SHA-256 of what was compiled, and a child's answer comes through a pipe of its own"
    )]
    // SAFETY: the store gives machine code only if it has the SHA-256 that was noted, in a folder that is its owner's alone,
    // when the child process of this program had compiled this artifact; anybody else's comes from that child itself.
    unsafe {
        MachineCode::made_here(code)
    }
}

impl FromStore {
    /// Which version it is.
    pub(crate) fn held(&self) -> &Held {
        &self.loaded.held
    }

    /// Nothing has to be compiled to run it.
    pub(super) fn has_code(&self) -> bool {
        self.loaded.compiled.is_some()
    }

    /// Nobody gets by another grants file what somebody would have to agree to.
    pub(crate) fn check_consent(
        &self,
        version: &InstalledVersion,
        grants: &Grants,
    ) -> anyhow::Result<()> {
        let allowed = allowed(version.manifest(), grants);
        (self.loaded.held.check_consent(&allowed, &self.agreed)).map_err(trouble)
    }

    /// Loads it: from machine code if the store has it, compiled otherwise. Machine code is mapped from a file.
    pub(crate) fn version(&self, host: &PluginHost) -> Result<InstalledVersion, InstallError> {
        self.version_with(host, |code| code.mapped_in(&self.folder))
    }

    /// The same without a file: it takes more memory, and no disk is waited for.
    pub(crate) fn version_in_memory(
        &self,
        host: &PluginHost,
    ) -> Result<InstalledVersion, InstallError> {
        self.version_with(host, |code| code)
    }

    fn version_with<'a>(
        &'a self,
        host: &PluginHost,
        placed: impl FnOnce(MachineCode<'a>) -> MachineCode<'a>,
    ) -> Result<InstalledVersion, InstallError> {
        let origin = self.held().to_string();
        let plugin = match &self.loaded.compiled {
            Some(compiled) => {
                let code = vouched(compiled).made_of(self.held().digest.to_string());
                let code = placed(code);
                host.load_compiled(&self.loaded.artifact, &origin, &code)?
            }
            None => host.load(&self.loaded.artifact, &origin)?,
        };
        InstalledVersion::new(plugin)
    }
}
