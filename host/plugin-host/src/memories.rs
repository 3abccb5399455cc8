//! What plugins keep with `memory`: by name, so that the versions of a plugin share it, and what one of them has kept up to the
//! first run of another, so that going back to it goes back all the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::state::lock;
use crate::wire::Error;

/// Values by key.
type Entries = BTreeMap<String, Vec<u8>>;

/// What a plugin keeps with `memory`, and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginMemory {
    /// Values by key.
    pub entries: Entries,
    /// The version, by digest, whose run began last.
    pub of: Option<String>,
    /// What versions had kept when the first run of another one began after theirs, by digest.
    pub before: BTreeMap<String, Entries>,
}

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
    entries: Entries,
    /// Of all keys and values: it is asked for at every change.
    bytes: usize,
    /// How often an earlier memory was put back.
    epoch: u64,
    /// Versions that were left, by digest, and the epoch that began with it: runs of an earlier one are none of the versions
    /// that share what is kept now.
    left: BTreeMap<String, u64>,
    /// The version, by digest, whose run began last.
    of: Option<Arc<str>>,
    /// What versions had kept when a run of another one began.
    before: BTreeMap<Arc<str>, Entries>,
}

impl Memories {
    /// What a plugin keeps.
    pub(crate) fn of_plugin(&self, plugin: &str) -> PluginMemory {
        (lock(&self.0).get(plugin)).map_or_else(PluginMemory::default, |kept| PluginMemory {
            entries: kept.entries.clone(),
            of: kept.of.as_deref().map(str::to_owned),
            before: (kept.before.iter())
                .map(|(digest, entries)| (digest.to_string(), entries.clone()))
                .collect(),
        })
    }

    /// Replaces what a plugin keeps.
    pub(crate) fn replace(&self, plugin: &str, entries: Entries) {
        (lock(&self.0).entry(plugin.to_owned()).or_default()).replace(entries);
    }

    /// What a plugin has kept so far: the version with that digest, if one is named.
    pub(crate) fn begin(&self, plugin: &str, entries: Entries, of: Option<&str>) {
        let mut memories = lock(&self.0);
        let kept = memories.entry(plugin.to_owned()).or_default();
        kept.replace(entries);
        kept.of = of.map(Arc::from);
        kept.before.clear();
    }

    /// Replaces what a plugin keeps because a version was left: with what the version `back_to` had kept when a run of another one
    /// began, or else with `entries`. What still runs of the version that was left neither sees what was put back nor writes into it.
    pub(crate) fn put_back(
        &self,
        plugin: &str,
        entries: Entries,
        left_digest: &str,
        back_to: Option<&str>,
    ) {
        let mut memories = lock(&self.0);
        let kept = memories.entry(plugin.to_owned()).or_default();
        let own = back_to.and_then(|digest| kept.before.remove(digest));
        kept.replace(own.unwrap_or(entries));
        kept.of = back_to.map(Arc::from);
        kept.before.clear();
        kept.epoch += 1;
        kept.left.insert(left_digest.to_owned(), kept.epoch);
    }

    /// For a run that begins.
    pub(crate) fn of_run(&self, plugin: Arc<str>, digest: Arc<str>) -> RunMemory {
        let epoch =
            (lock(&self.0).entry(plugin.to_string()).or_default()).begin_run(Arc::clone(&digest));
        RunMemory {
            epoch,
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
        // It is there since the run began.
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

    /// A run of a version begins. Gives the epoch that it belongs to.
    fn begin_run(&mut self, digest: Arc<str>) -> u64 {
        let before = self.of.replace(Arc::clone(&digest));
        if let Some(before) = before.filter(|before| *before != digest) {
            // What it had the first time is what is sure to be its own.
            (self.before.entry(before)).or_insert_with(|| self.entries.clone());
        }
        self.epoch
    }

    fn replace(&mut self, entries: Entries) {
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
        memories.put_back("t/skill", entries("one"), "2", None);
        assert_eq!(read(&left), None);
        let written = left.with(|kept| kept.set("of".to_owned(), b"two".to_vec(), 1024));
        assert!(matches!(written, Err(Error::Cancelled)));
        assert_eq!(memories.of_plugin("t/skill").entries, entries("one"));
        // Whoever runs on another version goes on with it, and so does the version itself once it is tried again.
        assert_eq!(read(&other), Some(entries("one")));
        assert_eq!(read(&begin("2")), Some(entries("one")));
        // Another cycle's memory is no reason to let it in again.
        memories.begin("t/skill", entries("one, later"), None);
        assert_eq!(read(&left), None);
    }

    #[test]
    fn what_a_version_has_kept_up_to_the_first_run_of_another_is_its_own() {
        let memories = Memories::default();
        let begin = |digest: &str| memories.of_run("t/skill".into(), digest.into());
        let keep = |run: &RunMemory, of: &str| {
            let entry = of.as_bytes().to_vec();
            let kept = run.with(|kept| kept.set("of".to_owned(), entry, 1024));
            assert!(matches!(kept, Ok(true)));
        };
        memories.begin("t/skill", entries("zero"), None);
        let one = begin("1");
        keep(&one, "one");
        keep(&begin("2"), "two");
        // It has not ended yet; what it writes from now on is shared.
        keep(&one, "one, late");
        keep(&begin("1"), "one, again");
        keep(&begin("2"), "two, again");
        let there = memories.of_plugin("t/skill");
        assert_eq!(there.entries, entries("two, again"));
        assert_eq!(there.of.as_deref(), Some("2"));
        assert_eq!(there.before["1"], entries("one"));
        memories.put_back("t/skill", entries("zero"), "2", Some("1"));
        let there = memories.of_plugin("t/skill");
        assert_eq!(there.entries, entries("one"));
        assert_eq!(there.of.as_deref(), Some("1"));
        assert!(there.before.is_empty());
        // Of a version that has not run here somebody else knows what it had.
        memories.put_back("t/skill", entries("zero"), "1", Some("0"));
        assert_eq!(memories.of_plugin("t/skill").entries, entries("zero"));
    }
}
