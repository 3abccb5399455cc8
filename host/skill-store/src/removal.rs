//! Taking a version out of the store.

use crate::activation::{Swap, swap_to};
use crate::error::StoreError;
use crate::history::{What, note};
use crate::store::{By, Held, State, Store};

impl Store {
    /// Takes a version out. What was the highest active version of its name, and what is known of this one, stays known.
    /// `active`: also the active one; nothing of its name is active then.
    ///
    /// # Errors
    /// It is active and that was not said, or pinned, or it is what is gone back to.
    pub fn remove(&mut self, held: &Held, active: bool, by: &By) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let held = &self.again(held)?;
        let in_use = |state, instead: &str| StoreError::InUse {
            name: held.name.clone(),
            version: held.version.clone(),
            state,
            instead: instead.to_owned(),
        };
        let is_active = held.is_active();
        if is_active && !active {
            return Err(in_use(
                "active",
                "activate another version first, or say --active to leave none active",
            ));
        }
        if held.state == State::LastGood {
            return Err(in_use(
                "what is gone back to if the active version fails",
                "it can go when that one is proven and another one active",
            ));
        }
        if held.pinned {
            return Err(StoreError::Pinned {
                name: held.name.clone(),
                version: held.version.clone(),
            });
        }
        // What one that has shown itself good has kept is its name's own.
        let with_memory = held.is_on_trial() && self.before(&held.name)?.is_some();
        self.change(|change| {
            if is_active {
                let swap = Swap::Back {
                    from: held,
                    to: None,
                    condemned: None,
                    with_memory,
                    reason: "removed by hand, none is active",
                };
                swap_to(change, by, &swap)?;
            }
            let digest = held.digest.to_string();
            change.execute(
                "INSERT INTO gone (digest, name, version, signed, condemned) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (digest) DO UPDATE SET condemned = excluded.condemned",
                (
                    &digest,
                    &held.name,
                    held.version.to_string(),
                    held.signer.is_some(),
                    &held.condemned,
                ),
            )?;
            change.execute("DELETE FROM artifacts WHERE digest = ?", [&digest])?;
            note(change, by, What::Removed, held, "")
        })?;
        self.sweep()
    }
}
