//! The files of the store: artifacts and machine code, each by the SHA-256 of what is in it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::StoreError;

/// What is written and not yet under its own name.
const PART: &str = "part";

/// One folder of files by digest.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    extension: &'static str,
}

fn trouble(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { path, source }
}

impl Shelf {
    pub(crate) fn new(root: &Path, folder: &str, extension: &'static str) -> Self {
        Self {
            folder: root.join(folder),
            extension,
        }
    }

    /// Makes the folder, if it is not there.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        (DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder))
        .map_err(trouble(&self.folder))
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.{}", self.extension))
    }

    /// Keeps bytes: written beside, synced, renamed, and the folder synced. Does nothing if they are there.
    pub(crate) fn put(
        &self,
        bytes: &[u8],
        step: &dyn Fn(&'static str),
    ) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.path(digest);
        let there = self.get(digest, bytes.len() as u64);
        if there.is_ok_and(|there| there.is_some()) {
            return Ok(digest);
        }
        let part = path.with_extension(PART);
        let write = || {
            let mut file = (OpenOptions::new().write(true).create(true).truncate(true))
                .mode(0o600)
                .open(&part)?;
            step("file begun");
            let (first, second) = bytes.split_at(bytes.len() / 2);
            file.write_all(first)?;
            step("file half written");
            file.write_all(second)?;
            step("file written");
            file.sync_all()?;
            step("file synced");
            fs::rename(&part, &path)?;
            step("file renamed");
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| {
            // What is left of it would be swept at the next change; a full disk needs the room now.
            let _ = fs::remove_file(&part);
            trouble(&path)(error)
        })?;
        step("folder synced");
        Ok(digest)
    }

    /// Reads what has this digest, `most` bytes of it at most; `None` if it is gone, or not what it was.
    pub(crate) fn get(&self, digest: Digest, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(there) if there.is_file() => {}
            // Whoever opens a pipe waits for somebody at its other end.
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(trouble(&path)(error)),
        }
        let file = File::open(&path).map_err(trouble(&path))?;
        let mut bytes = Vec::new();
        (file.take(most.saturating_add(1)).read_to_end(&mut bytes)).map_err(trouble(&path))?;
        Ok((Digest::of(&bytes) == digest).then_some(bytes))
    }

    /// Whether nothing lies in it.
    pub(crate) fn is_empty(&self) -> bool {
        fs::read_dir(&self.folder).map_or(true, |mut entries| entries.next().is_none())
    }

    /// Takes away whatever is not in `kept`.
    pub(crate) fn sweep(
        &self,
        kept: &BTreeSet<Digest>,
        step: &dyn Fn(&'static str),
    ) -> Result<(), StoreError> {
        let kept: BTreeSet<OsString> = (kept.iter())
            .filter_map(|digest| self.path(*digest).file_name().map(OsString::from))
            .collect();
        for entry in fs::read_dir(&self.folder).map_err(trouble(&self.folder))? {
            let entry = entry.map_err(trouble(&self.folder))?;
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_ours = !is_folder
                && (path.extension()).is_some_and(|end| end == self.extension || end == PART);
            if is_ours && !kept.contains(&entry.file_name()) {
                fs::remove_file(&path).map_err(trouble(&path))?;
                step("file removed");
            }
        }
        Ok(())
    }
}
