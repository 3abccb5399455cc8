//! The active versions of a store, for a host that runs them.

use std::path::Path;

use sinew_plugin_host::{MachineCode, PluginHost};
use sinew_skill_store::{Access, Held, Store, Trust};
use sinew_tasks::{InstallError, InstalledVersion};

use super::{trouble, trust_of};

/// A plugin out of the store.
#[derive(Debug)]
pub(crate) struct FromStore {
    pub(crate) held: Held,
    artifact: Vec<u8>,
    compiled: Option<Vec<u8>>,
}

/// Reads every active version. One that is revoked, or not what was installed, is an error: a host that starts without
/// what it was told to run would do something else.
pub(crate) fn load(
    root: &Path,
    trust: Option<&Path>,
    code_for: &str,
) -> anyhow::Result<Vec<FromStore>> {
    let store = Store::open(root, Access::Read).map_err(trouble)?;
    let trust = trust_of(root, trust)?;
    let active = store.active().map_err(trouble)?;
    (active.iter())
        .map(|held| of(&store, held, &trust, code_for))
        .collect()
}

/// Reads one version.
pub(crate) fn of(
    store: &Store,
    held: &Held,
    trust: &Trust,
    code_for: &str,
) -> anyhow::Result<FromStore> {
    let loaded = store.load(held, trust, code_for).map_err(trouble)?;
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
