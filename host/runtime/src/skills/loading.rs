//! The active versions of a store, for a host that starts.

use std::path::Path;

use sinew_plugin_host::MachineCode;
use sinew_skill_store::{Access, Held, Store};
use sinew_tasks::{InstallError, Installed};

use super::{trouble, trust_of};

/// A plugin out of the store.
#[derive(Debug)]
pub(crate) struct FromStore {
    pub(crate) held: Held,
    pub(crate) artifact: Vec<u8>,
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
    let mut all = Vec::new();
    for held in store.active().map_err(trouble)? {
        let loaded = store.load(&held, &trust, code_for).map_err(trouble)?;
        all.push(FromStore {
            held: loaded.held,
            artifact: loaded.artifact,
            compiled: loaded.compiled,
        });
    }
    Ok(all)
}

impl FromStore {
    /// Puts it among the plugins: from machine code if the store has it, compiled otherwise.
    pub(crate) fn install(&self, into: &mut Installed) -> Result<String, InstallError> {
        let origin = self.held.to_string();
        match &self.compiled {
            Some(compiled) => {
                #[allow(
                    unsafe_code,
                    reason = "the store keeps the SHA-256 of what was compiled, and these bytes have it"
                )]
                // SAFETY: the store gives machine code only if it has the SHA-256 that was noted, in a folder that is its
                // owner's alone, when the child process of this program had compiled this artifact.
                let code = unsafe { MachineCode::made_here(compiled) };
                into.install_compiled(&self.artifact, &origin, &code)
            }
            None => into.install(&self.artifact, &origin),
        }
    }
}
