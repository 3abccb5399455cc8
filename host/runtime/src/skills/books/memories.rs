//! What plugins out of the store keep with `memory`.

use std::collections::BTreeMap;

use sinew_plugin_host::{PluginHost, PluginMemory};
use sinew_skill_store::{Digest, Held, Memory, MemoryOf, Standing, StoreError};

use super::{Begun, Inner, Unkept};

type Entries = BTreeMap<String, Vec<u8>>;

impl Inner {
    /// What every plugin that runs here keeps, as a cycle begins.
    pub(super) fn memories(&mut self) -> Result<BTreeMap<String, Begun>, StoreError> {
        let mut all = self.store.memories()?;
        all.retain(|name, _| self.active.contains_key(name));
        let mut begun = BTreeMap::new();
        for (name, there) in &mut all {
            begun.insert(name.clone(), self.begin(name, there)?);
        }
        for (name, running) in &mut self.active {
            running.memory_before = match running.standing {
                Standing::Good => None,
                Standing::Probation { .. } => Some(self.store.memory_before(name)?),
            };
        }
        self.read = all;
        Ok(begun)
    }

    /// The same of one that is taken up later, unless it was read before.
    pub(super) fn memory_of(&mut self, name: &str) -> Result<Option<Begun>, StoreError> {
        if self.read.contains_key(name) {
            return Ok(None);
        }
        let mut there = self.store.memory(name)?;
        let begun = self.begin(name, &mut there)?;
        self.read.insert(name.to_owned(), there);
        Ok(Some(begun))
    }

    /// What a plugin goes on with, of what is there.
    fn begin(&self, name: &str, there: &mut Memory) -> Result<Begun, StoreError> {
        let unkept = self.unkept.get(name);
        let unkept = unkept.filter(|unkept| unkept.memory.epoch == there.epoch);
        if let Some(unkept) = unkept {
            // What could not be written is what it keeps, all the same.
            there.entries.clone_from(&unkept.memory.entries);
        } else if self.left_here.contains_key(name) {
            there.entries = self.store.memory_before(name)?;
        }
        Ok(Begun {
            entries: there.entries.clone(),
            of: unkept.and_then(|unkept| unkept.of.version),
        })
    }

    /// What a plugin has kept in a cycle that ends is to be written, if it is not what was read.
    pub(super) fn keep(&mut self, name: String, read: Memory, host: &PluginHost) {
        let PluginMemory {
            entries,
            of,
            before,
        } = host.memory(&name);
        let late = self.unkept.remove(&name);
        let is_as_read = |entries: &Entries| *entries == read.entries;
        let is_same = is_as_read(&entries) && before.values().all(is_as_read);
        // While the store has not left a version, what it has is of that one.
        if is_same && late.is_none() && !self.left_here.contains_key(&name) {
            return;
        }
        let active = || Some(self.active.get(&name)?.held.digest);
        let version = of.and_then(|of| of.parse().ok()).or_else(active);
        let mut whose = MemoryOf {
            version,
            before: late.map(|late| late.of.before).unwrap_or_default(),
        };
        let before = before.into_iter();
        (whose.before).extend(before.filter_map(|(of, entries)| Some((of.parse().ok()?, entries))));
        let memory = Memory {
            entries,
            epoch: read.epoch,
        };
        (self.unkept).insert(name, Unkept { memory, of: whose });
    }

    /// What versions have kept is written before what their ends make of it. True if it can't be written now.
    pub(super) fn waits_for_memory(&mut self, name: &str) -> bool {
        if !self.unkept.contains_key(name) || self.left_here.contains_key(name) {
            return false;
        }
        self.keep_all();
        self.unkept.contains_key(name)
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
            let kept = self.store.keep_memory(&name, &unkept.memory, &unkept.of);
            if let Err(error) = kept {
                self.note(format!("the memory of {name}: {error}"));
                self.unkept.insert(name, unkept);
            }
        }
    }

    /// The memory that was put back for whoever is active now.
    pub(super) fn read_again(&mut self, name: &str) -> Entries {
        let memory = self.store.memory(name);
        self.go_on_with(name, memory)
    }

    /// The memory that whoever runs instead goes on with if the store knows nothing of it: what could not be written of it, or
    /// what it had at the beginning of the cycle.
    pub(super) fn memory_before(
        &mut self,
        name: &str,
        left: Digest,
        back_to: Option<&Held>,
        known: Option<Entries>,
    ) -> Entries {
        let own = self.own_of(name, left, back_to).or(known);
        let there = (self.store.memory(name))
            .and_then(|there| Ok((there, self.store.memory_before(name)?)))
            .inspect_err(|error| self.note(format!("the memory of {name}: {error}")));
        let Ok((mut there, before)) = there else {
            // What was read when the cycle began is what it is compared with in the end.
            if own.is_none() {
                self.read.remove(name);
            }
            return own.unwrap_or_default();
        };
        let read = self.read.get(name);
        let is_put_back = read.is_some_and(|read| read.epoch != there.epoch);
        let entries = own.unwrap_or_else(|| match is_put_back {
            true => there.entries.clone(),
            false => before,
        });
        if is_put_back {
            // Somebody has put it back by hand: that stays as it is, up to what is kept from now on.
            there.entries.clone_from(&entries);
        }
        self.read.insert(name.to_owned(), there);
        entries
    }

    /// What could not be written yet, without what is of the version that is left.
    fn own_of(&mut self, name: &str, left: Digest, back_to: Option<&Held>) -> Option<Entries> {
        let Unkept { mut memory, mut of } = self.unkept.remove(name)?;
        if of.version == Some(left) {
            memory.entries = of.before.remove(&back_to?.digest)?;
            of.version = Some(back_to?.digest);
        }
        of.before.clear();
        let entries = memory.entries.clone();
        (self.unkept).insert(name.to_owned(), Unkept { memory, of });
        Some(entries)
    }

    fn go_on_with(&mut self, name: &str, memory: Result<Memory, StoreError>) -> Entries {
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
