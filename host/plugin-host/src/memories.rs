//! What plugins keep with `memory`: by name, so that the versions of a plugin share it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::state::lock;
use crate::wire::Error;

/// What all plugins of a host keep.
#[derive(Clone, Default)]
pub(crate) struct Memories(Arc<Mutex<BTreeMap<String, Kept>>>);

/// The memory of a plugin as one run has it.
pub(crate) struct RunMemory {
    memories: Memories,
    plugin: Arc<str>,
    digest: Arc<str>,
    /// How often an earlier memory had been put back when the run began.
    epoch: u64,
}

/// What one plugin keeps.
#[derive(Default)]
pub(crate) struct Kept {
    entries: BTreeMap<String, Vec<u8>>,
    /// Of all keys and values: it is asked for at every change.
    bytes: usize,
    /// How often an earlier memory was put back.
    epoch: u64,
    /// Versions that were left, by digest, and the epoch that began with it: runs of an earlier one are none of the versions
    /// that share what is kept now.
    left: BTreeMap<String, u64>,
}

impl Memories {
    /// What a plugin keeps.
    pub(crate) fn entries(&self, plugin: &str) -> BTreeMap<String, Vec<u8>> {
        (lock(&self.0).get(plugin)).map_or_else(BTreeMap::new, |kept| kept.entries.clone())
    }

    /// Replaces what a plugin keeps.
    pub(crate) fn replace(&self, plugin: &str, entries: BTreeMap<String, Vec<u8>>) {
        (lock(&self.0).entry(plugin.to_owned()).or_default()).replace(entries);
    }

    /// The same because a version was left. What still runs of it neither sees what was put back nor writes into it.
    pub(crate) fn put_back(
        &self,
        plugin: &str,
        entries: BTreeMap<String, Vec<u8>>,
        left_digest: &str,
    ) {
        let mut memories = lock(&self.0);
        let kept = memories.entry(plugin.to_owned()).or_default();
        kept.replace(entries);
        kept.epoch += 1;
        kept.left.insert(left_digest.to_owned(), kept.epoch);
    }

    /// For a run that begins.
    pub(crate) fn of_run(&self, plugin: Arc<str>, digest: Arc<str>) -> RunMemory {
        RunMemory {
            epoch: (lock(&self.0).get(&*plugin)).map_or(0, |kept| kept.epoch),
            memories: self.clone(),
            plugin,
            digest,
        }
    }
}

impl RunMemory {
    /// Does something with what is kept.
    ///
    /// # Errors
    /// The version was left since the run began: it is being taken back.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Kept) -> R) -> Result<R, Error> {
        let mut memories = lock(&self.memories.0);
        if !memories.contains_key(&*self.plugin) {
            memories.insert(self.plugin.to_string(), Kept::default());
        }
        let kept = memories.get_mut(&*self.plugin).ok_or(Error::Cancelled)?;
        let left = kept.left.get(&*self.digest);
        if left.is_some_and(|since| self.epoch < *since) {
            return Err(Error::Cancelled);
        }
        Ok(act(kept))
    }
}

impl Kept {
    pub(crate) fn entries(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.entries
    }

    fn replace(&mut self, entries: BTreeMap<String, Vec<u8>>) {
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len());
        self.bytes = bytes.sum();
        self.entries = entries;
    }

    /// Sets an entry, if all of them are at most that many bytes then.
    pub(crate) fn set(&mut self, key: String, value: Vec<u8>, most: usize) -> bool {
        let before = (self.entries.get(&key)).map_or(0, |value| key.len() + value.len());
        let bytes = self.bytes - before + key.len() + value.len();
        if bytes > most {
            return false;
        }
        self.bytes = bytes;
        self.entries.insert(key, value);
        true
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(value) = self.entries.remove(key) {
            self.bytes -= key.len() + value.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(of: &str) -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([("of".to_owned(), of.as_bytes().to_vec())])
    }

    fn read(run: &RunMemory) -> Option<BTreeMap<String, Vec<u8>>> {
        run.with(|kept| kept.entries.clone()).ok()
    }

    #[test]
    fn a_run_of_a_version_that_was_left_has_no_part_in_what_was_put_back() {
        let memories = Memories::default();
        memories.replace("t/skill", entries("two"));
        let begin = |digest: &str| memories.of_run("t/skill".into(), digest.into());
        let (other, left) = (begin("1"), begin("2"));
        memories.put_back("t/skill", entries("one"), "2");
        assert_eq!(read(&left), None);
        let written = left.with(|kept| kept.set("of".to_owned(), b"two".to_vec(), 1024));
        assert!(matches!(written, Err(Error::Cancelled)));
        assert_eq!(memories.entries("t/skill"), entries("one"));
        // Whoever runs on another version goes on with it, and so does the version itself once it is tried again.
        assert_eq!(read(&other), Some(entries("one")));
        assert_eq!(read(&begin("2")), Some(entries("one")));
        // Another cycle's memory is no reason to let it in again.
        memories.replace("t/skill", entries("one, later"));
        assert_eq!(read(&left), None);
    }
}
