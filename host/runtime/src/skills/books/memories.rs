//! What plugins out of the store keep with `memory`.

use std::collections::BTreeMap;

use sinew_skill_store::{Memory, StoreError};

use super::{Inner, Unkept};

impl Inner {
    /// What every plugin that runs here keeps.
    pub(super) fn memories(&self) -> Result<BTreeMap<String, Memory>, StoreError> {
        let mut all = self.store.memories()?;
        all.retain(|name, _| self.active.contains_key(name));
        for (name, there) in &mut all {
            let unkept = self.unkept.get(name).map(|unkept| &unkept.memory);
            if let Some(unkept) = unkept.filter(|unkept| unkept.epoch == there.epoch) {
                // What could not be written is what it keeps, all the same.
                there.entries.clone_from(&unkept.entries);
            } else if self.left_here.contains_key(name) {
                there.entries = self.store.memory_before(name)?;
            }
        }
        Ok(all)
    }

    /// Writes what is to be kept. What is left over is written the next time.
    pub(super) fn keep_all(&mut self) {
        for name in std::mem::take(&mut self.without_epoch) {
            self.keep_in_epoch(&name);
        }
        for (name, unkept) in std::mem::take(&mut self.unkept) {
            // Until the store has left it, what it has is of the version that is left.
            if self.left_here.contains_key(&name) || self.without_epoch.contains(&name) {
                self.unkept.insert(name, unkept);
                continue;
            }
            let Unkept { memory, ran } = &unkept;
            let kept = self.store.keep_memory(&name, *ran, memory);
            if let Err(error) = kept {
                self.note(format!("the memory of {name}: {error}"));
                self.unkept.insert(name, unkept);
            }
        }
    }

    /// The memory that was put back for whoever is active now.
    pub(super) fn read_again(&mut self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let memory = self.store.memory(name);
        self.go_on_with(name, memory)
    }

    /// The memory that whoever runs instead of a version goes on with which the store has not left yet.
    pub(super) fn memory_before(&mut self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let before = self.store.memory(name).and_then(|there| {
            Ok(Memory {
                entries: self.store.memory_before(name)?,
                ..there
            })
        });
        self.go_on_with(name, before)
    }

    fn go_on_with(
        &mut self,
        name: &str,
        memory: Result<Memory, StoreError>,
    ) -> BTreeMap<String, Vec<u8>> {
        match memory {
            Ok(memory) => {
                self.read.insert(name.to_owned(), memory.clone());
                memory.entries
            }
            Err(error) => {
                self.note(format!("the memory of {name}: {error}"));
                self.read.remove(name);
                BTreeMap::new()
            }
        }
    }
}
