//! The active versions of a store, for a host that runs them.

use sinew_plugin_host::{MachineCode, PluginHost};
use sinew_skill_store::{Access, Held, Store};
use sinew_tasks::{InstallError, InstalledVersion};

use super::{StorePlace, examine, trouble};
use crate::trouble::input;

/// A plugin out of the store.
#[derive(Debug)]
pub(crate) struct FromStore {
    pub(crate) held: Held,
    artifact: Vec<u8>,
    compiled: Option<Vec<u8>>,
}

/// Reads every active version. One that is revoked, or not what was installed, is an error: a host that starts without
/// what it was told to run would do something else.
pub(crate) fn load(place: &StorePlace, code_for: &str) -> anyhow::Result<Vec<FromStore>> {
    let store = Store::open(&place.folder, Access::Read).map_err(trouble)?;
    let active = store.active().map_err(trouble)?;
    (active.iter())
        .map(|held| of(place, &store, held, code_for))
        .collect()
}

/// Reads one version. Machine code that is not to be had any more is made anew, by a child, and kept.
pub(crate) fn of(
    place: &StorePlace,
    store: &Store,
    held: &Held,
    code_for: &str,
) -> anyhow::Result<FromStore> {
    let trust = place.trust()?;
    let mut loaded = store.load(held, &trust, code_for).map_err(trouble)?;
    if loaded.compiled.is_none() && !place.examiner.is_empty() {
        let examined = examine(&place.examiner, &loaded.artifact, &held.to_string());
        let examined = examined.map_err(input)?;
        // A store that can't be written is read all the same.
        if let Ok(mut store) = Store::open(&place.folder, Access::Change) {
            let _ = store.recompiled(held, &examined.compiled, &examined.compiled_for);
        }
        loaded.compiled = (examined.compiled_for == code_for).then_some(examined.compiled);
    }
    Ok(FromStore {
        held: loaded.held,
        artifact: loaded.artifact,
        compiled: loaded.compiled,
    })
}

impl FromStore {
    /// Loads it: from machine code if the store has it, compiled otherwise.
    pub(crate) fn version(&self, host: &PluginHost) -> Result<InstalledVersion, InstallError> {
        let origin = self.held.to_string();
        let plugin = match &self.compiled {
            Some(compiled) => {
                #[allow(
                    unsafe_code,
                    reason = "the store keeps the SHA-256 of what was compiled, and these bytes have it"
                )]
                // SAFETY: the store gives machine code only if it has the SHA-256 that was noted, in a folder that is its
                // owner's alone, when the child process of this program had compiled this artifact.
                let code = unsafe { MachineCode::made_here(compiled) };
                host.load_compiled(&self.artifact, &origin, &code)?
            }
            None => host.load(&self.artifact, &origin)?,
        };
        InstalledVersion::new(plugin)
    }
}
