//! What directories hold, for their quotas.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

/// Entries that are looked at in a directory, whatever its grant says.
pub(super) const ENTRIES_MAX: usize = 10_000;

/// Bytes of all files in a directory and the folders in it, and how many files and folders these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    pub(super) entries: usize,
}

impl Tally {
    /// Counts, and stops beyond [`ENTRIES_MAX`]. Folders wait in a list: a guest's call has a small stack.
    pub(super) fn of(root: &Dir) -> io::Result<Self> {
        let mut tally = Self {
            bytes: 0,
            entries: 0,
        };
        let mut folders = vec![PathBuf::from(".")];
        while let Some(folder) = folders.pop() {
            for entry in root.read_dir(&folder)? {
                let entry = entry?;
                tally.entries += 1;
                if !tally.is_whole() {
                    return Ok(tally);
                }
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    folders.push(folder.join(entry.file_name()));
                } else {
                    tally.bytes = tally.bytes.saturating_add(metadata.len());
                }
            }
        }
        Ok(tally)
    }

    /// With a file of this size more.
    pub(super) fn plus(self, bytes: u64) -> Self {
        Self {
            bytes: self.bytes.saturating_add(bytes),
            entries: self.entries.saturating_add(1),
        }
    }

    /// With a file of this size less.
    pub(super) fn minus(self, bytes: u64) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(bytes),
            entries: self.entries.saturating_sub(1),
        }
    }

    /// Nothing was left out.
    fn is_whole(self) -> bool {
        self.entries <= ENTRIES_MAX
    }
}

/// The directories that one run has written to, by where they are. Each is counted once, and the tally is kept up with
/// what the run writes and removes: what somebody else changes meanwhile counts from the next run on.
#[derive(Default)]
pub(crate) struct Tallies(BTreeMap<PathBuf, Tally>);

impl Tallies {
    /// What `root`, which is at `path`, holds.
    pub(super) fn of(&mut self, path: &Path, root: &Dir) -> io::Result<Tally> {
        if let Some(known) = self.0.get(path) {
            return Ok(*known);
        }
        let tally = Tally::of(root)?;
        if tally.is_whole() {
            self.0.insert(path.to_owned(), tally);
        }
        Ok(tally)
    }

    /// The run changes what is at `path`, to `tally` if that is known. A directory in it or around it is counted anew.
    pub(super) fn change(&mut self, path: &Path, tally: Option<Tally>) {
        self.0
            .retain(|other, _| !other.starts_with(path) && !path.starts_with(other));
        if let Some(tally) = tally {
            self.0.insert(path.to_owned(), tally);
        }
    }

    /// A file of this size was removed at `path`.
    pub(super) fn remove(&mut self, path: &Path, bytes: u64) {
        let left = self.0.get(path).map(|tally| tally.minus(bytes));
        self.change(path, left);
    }
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    fn folder() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = Dir::open_ambient_dir(folder.path(), ambient_authority()).expect("it is there");
        (folder, root)
    }

    #[test]
    fn what_is_in_folders_counts_and_a_link_counts_as_one() {
        let (folder, root) = folder();
        std::fs::create_dir_all(folder.path().join("a/b")).expect("there is room");
        std::fs::write(folder.path().join("a/b/c"), [0; 70]).expect("there is room");
        std::fs::write(folder.path().join("d"), [0; 7]).expect("there is room");
        let tally = Tally::of(&root).expect("it can be read");
        assert_eq!((tally.bytes, tally.entries), (77, 4));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a/b/c", folder.path().join("e"))
                .expect("links can be made");
            let tally = Tally::of(&root).expect("it can be read");
            assert_eq!((tally.bytes, tally.entries), (77 + 5, 5));
        }
    }

    #[test]
    fn a_directory_is_counted_once_and_kept_up() {
        let (folder, root) = folder();
        let path = Path::new("/notes");
        std::fs::write(folder.path().join("a"), [0; 70]).expect("there is room");
        let mut tallies = Tallies::default();
        let first = tallies.of(path, &root).expect("it can be read");
        // Somebody else's.
        std::fs::write(folder.path().join("b"), [0; 7]).expect("there is room");
        assert_eq!(tallies.of(path, &root).expect("known"), first);
        tallies.change(path, Some(first.plus(30)));
        let known = tallies.of(path, &root).expect("known");
        assert_eq!((known.bytes, known.entries), (100, 2));
        tallies.remove(path, 70);
        let known = tallies.of(path, &root).expect("known");
        assert_eq!((known.bytes, known.entries), (30, 1));
        // What is not known any more is looked at.
        tallies.change(path, None);
        let again = tallies.of(path, &root).expect("it can be read");
        assert_eq!((again.bytes, again.entries), (77, 2));
    }

    #[test]
    fn directories_within_each_other_are_counted_anew() {
        let (folder, root) = folder();
        let empty = Tally::of(&root).expect("it can be read");
        let [around, it, within, beside] = ["/a", "/a/b", "/a/b/c", "/a/bc"].map(Path::new);
        for changed in [around, it, within] {
            let mut tallies = Tallies::default();
            for path in [around, it, within, beside] {
                tallies.of(path, &root).expect("it can be read");
            }
            // It is in no tally yet.
            std::fs::write(folder.path().join("a"), [0; 9]).expect("there is room");
            tallies.change(changed, Some(empty.plus(9)));
            for path in [around, it, within] {
                assert_eq!(tallies.of(path, &root).expect("known"), empty.plus(9));
            }
            let others = if changed == around {
                empty.plus(9)
            } else {
                empty
            };
            assert_eq!(tallies.of(beside, &root).expect("known"), others);
            std::fs::remove_file(folder.path().join("a")).expect("it is there");
        }
    }

    #[test]
    fn more_than_is_looked_at_is_not_kept() {
        let (folder, root) = folder();
        for n in 0..=ENTRIES_MAX {
            std::fs::write(folder.path().join(n.to_string()), []).expect("there is room");
        }
        let mut tallies = Tallies::default();
        let path = Path::new("/notes");
        let tally = tallies.of(path, &root).expect("it can be read");
        assert_eq!(tally.entries, ENTRIES_MAX + 1);
        // Whoever removes enough of it may write again.
        std::fs::remove_file(folder.path().join("0")).expect("it is there");
        tallies.remove(path, 0);
        let tally = tallies.of(path, &root).expect("it can be read");
        assert_eq!(tally.entries, ENTRIES_MAX);
    }
}
