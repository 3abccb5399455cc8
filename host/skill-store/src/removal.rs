//! Taking a version out of the store.

use crate::error::StoreError;
use crate::history::{What, note};
use crate::store::{By, Held, State, Store};

impl Store {
    /// Takes a version out. What was the highest active version of its name stays known.
    ///
    /// # Errors
    /// It is active, or what is gone back to.
    pub fn remove(&mut self, held: &Held, by: &By) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let held = &self.again(held)?;
        let (state, instead) = match held.state {
            State::Active { .. } => ("active", "activate another version first"),
            State::LastGood => (
                "what is gone back to if the active version fails",
                "it can go when that one is proven and another one active",
            ),
            State::RolledBack | State::Installed => {
                self.change(|change| {
                    change.execute(
                        "DELETE FROM artifacts WHERE digest = ?",
                        [held.digest.to_string()],
                    )?;
                    note(change, by, What::Removed, held, "")
                })?;
                return self.sweep();
            }
        };
        Err(StoreError::InUse {
            name: held.name.clone(),
            version: held.version.clone(),
            state,
            instead: instead.to_owned(),
        })
    }
}
