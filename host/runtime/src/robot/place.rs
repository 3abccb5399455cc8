//! Where a parked cell lies, and who may write it: one command at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cell_file::CellFile;
use crate::audit::AUDIT_FILE;
use crate::files::{check_regular, folder_of};
use crate::trouble::{input, refused, unwritable};

/// How often a lock that another command holds is tried, and how long is waited in between.
const LOCK_TRIES: u32 = 300;
const LOCK_NAP: Duration = Duration::from_millis(10);

/// The paths of one cell.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// As it was named.
    pub(super) shown: PathBuf,
    /// The file itself: a cell that is reached by a link is still one cell.
    pub(super) file: PathBuf,
}

/// The right to write a cell. It goes with the process that has it, however that ends.
#[derive(Debug)]
pub(super) struct CellLock {
    file: File,
    path: PathBuf,
}

impl CellLock {
    /// False when somebody has removed it: another command may be at work, too.
    pub(super) fn is_held(&self) -> bool {
        is_same_file(&self.file, &self.path)
    }
}

impl Place {
    /// The place as it was named, whatever lies there: for orders, which come before anything is looked at.
    pub(super) fn as_named(path: &Path) -> Self {
        Self {
            shown: path.to_owned(),
            file: path.to_owned(),
        }
    }

    /// The same folder, under another name.
    pub(super) fn named_beside(&self, name: &str) -> Self {
        Self::as_named(&self.file.with_file_name(name))
    }

    /// # Errors
    /// [`InputError`](crate::InputError) for what can't be a cell: a folder, a pipe, a device, a link that leads nowhere.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let named = |what: String| {
            input(format!(
                "--cell {what}. Name another file with --cell, or remove it and begin with `sinew robot status`"
            ))
        };
        let file = match fs::symlink_metadata(path) {
            Ok(there) if there.is_symlink() => fs::canonicalize(path).map_err(|error| {
                named(format!(
                    "{}: the link leads nowhere: {error}",
                    path.display()
                ))
            })?,
            Ok(_) => path.to_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(named(format!("{}: {error}", path.display()))),
        };
        if file.exists() {
            check_regular(&file).map_err(|error| named(error.0))?;
        }
        Ok(Self {
            shown: path.to_owned(),
            file,
        })
    }

    pub(super) fn exists(&self) -> bool {
        self.file.exists()
    }

    /// True if a cell is kept here, or was: what is beside it stays when it is removed or damaged.
    pub(super) fn is_a_cells(&self) -> bool {
        self.has_been_kept() || CellFile::is_one(&self.file)
    }

    /// True if there is what every command makes beside the cell that it has.
    pub(super) fn has_been_kept(&self) -> bool {
        ["lock", "orders"]
            .into_iter()
            .any(|what| fs::symlink_metadata(self.beside(what)).is_ok())
    }

    /// True while a command is at work on the cell.
    pub(super) fn is_at_work(&self) -> bool {
        let path = self.beside("lock");
        let is_file = fs::symlink_metadata(&path).is_ok_and(|there| there.is_file());
        is_file
            && File::open(&path)
                .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Why nothing may move, if the cell goes by more than one name: what is ordered under one is not known under another.
    pub(super) fn other_names(&self) -> Option<String> {
        let names = links(&self.file);
        (names > 1).then(|| {
            format!(
                "{} is one file under {names} names (hard links), and a stop under one of them would not be known under the \
                 others: remove the others",
                self.shown.display()
            )
        })
    }

    /// The audit log of whatever is in the same folder.
    pub(super) fn log(&self) -> PathBuf {
        self.file.with_file_name(AUDIT_FILE)
    }

    /// `robot.json` and `lock` make `robot.json.lock`.
    pub(super) fn beside(&self, what: &str) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(".");
        name.push(what);
        name.into()
    }

    /// Waits for as long as a short command takes.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) while another command has it, or on a full or read-only disk;
    /// [`InputError`](crate::InputError) if there can be no lock.
    pub(super) fn lock(&self) -> anyhow::Result<CellLock> {
        let path = self.beside("lock");
        let named = |error: std::io::Error| {
            let what = format!(
                "{}, the lock beside the cell, in a folder that has to be writable (--cell FILE names another)",
                path.display()
            );
            unwritable(&what, &error)
        };
        fs::create_dir_all(folder_of(&path)).map_err(named)?;
        // A link may lead anywhere, and to open a pipe may take for ever.
        if fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(input(format!(
                "--cell {}: this has to be a regular file, and no link: remove it",
                path.display()
            )));
        }
        if let Some(words) = self.other_names() {
            return Err(input(words));
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(named)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(CellLock { file, path }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_NAP),
                Err(TryLockError::Error(error)) => return Err(named(error)),
            }
        }
        Err(refused(format!(
            "another command is at work on this cell ({}): try again when it is over. Only `sinew robot stop` and \
             `sinew robot mode hold` reach it meanwhile",
            self.shown.display()
        )))
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

/// How many names a file has.
#[cfg(unix)]
fn links(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map_or(1, |there| there.nlink())
}

#[cfg(not(unix))]
fn links(_: &Path) -> u64 {
    1
}
