//! `files`: the directories that were granted by name, through cap-std, so that no path leaves them.

mod tally;

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;

use cap_std::ambient_authority;
#[cfg(unix)]
use cap_std::fs::OpenOptionsExt as _;
use cap_std::fs::{Dir, File, OpenOptions};
#[cfg(unix)]
use rustix::fs::OFlags;

use crate::denials::DenialReason;
use crate::grants::DirectoryGrant;
use crate::link::Interface;
use crate::state::RunState;
use crate::wire::Error;

use tally::ENTRIES_MAX;
pub(crate) use tally::Tallies;

/// Names that are tried for a file that is being written.
const BESIDE_MAX: u32 = 8;

pub(crate) fn link(files: &mut Interface<'_>) -> wasmtime::Result<()> {
    files.ready("read", read)?;
    files.ready("write", write)?;
    files.ready("remove", remove)?;
    files.ready("entries", entries)
}

fn read(
    state: &mut RunState,
    (directory, path): (String, String),
) -> Result<Option<Vec<u8>>, Error> {
    let root = open(state, &directory)?;
    let allowed = state.limits.call_bytes;
    let wrong = |error| failed(&directory, &path, &error);
    let too_large = || Error::Limit(format!("{path} is larger than {allowed} bytes"));
    // What was opened is looked at: a name may stand for something else a moment later.
    let file = match open_to_read(&root, &path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error)),
    };
    let metadata = file.metadata().map_err(wrong)?;
    if !metadata.is_file() {
        return Err(no_file(&directory, &path));
    }
    if metadata.len() > allowed as u64 {
        return Err(too_large());
    }
    let mut contents = Vec::new();
    // It may grow meanwhile.
    file.take(allowed as u64 + 1)
        .read_to_end(&mut contents)
        .map_err(wrong)?;
    if contents.len() > allowed {
        return Err(too_large());
    }
    Ok(Some(contents))
}

/// Opens whatever is there without waiting: a pipe would wait for somebody to write into it.
fn open_to_read(root: &Dir, path: &str) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    root.open_with(path, &options)
}

fn write(
    state: &mut RunState,
    (directory, path, contents): (String, String, Vec<u8>),
) -> Result<(), Error> {
    let Writable { root, at, quota } = writable(state, &directory)?;
    let wrong = |error| failed(&directory, &path, &error);
    let present = match root.symlink_metadata(&path) {
        Ok(metadata) if !metadata.is_file() => return Err(no_file(&directory, &path)),
        Ok(metadata) => Some(metadata.len()),
        Err(_) => None,
    };
    let held = state.tallies.of(&at, &root).map_err(wrong)?;
    let others = present.map_or(held, |bytes| held.minus(bytes));
    let new = others.plus(contents.len() as u64);
    if new.entries > quota.entries || new.bytes > quota.bytes {
        return Err(Error::Limit(format!(
            "`{directory}` may hold {} bytes in {} files and folders",
            quota.bytes, quota.entries
        )));
    }
    match replace(&root, &path, &contents) {
        Ok(()) => state.tallies.change(&at, Some(new)),
        Err(Unwritten { error, leaves_some }) => {
            if leaves_some {
                state.tallies.change(&at, None);
            }
            return Err(wrong(error));
        }
    }
    Ok(())
}

fn remove(state: &mut RunState, (directory, path): (String, String)) -> Result<(), Error> {
    let Writable { root, at, .. } = writable(state, &directory)?;
    let size = root.symlink_metadata(&path).map(|metadata| metadata.len());
    match root.remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&directory, &path, &error)),
    }
    match size {
        Ok(bytes) => state.tallies.remove(&at, bytes),
        Err(_) => state.tallies.change(&at, None),
    }
    Ok(())
}

fn entries(
    state: &mut RunState,
    (directory, path): (String, String),
) -> Result<Vec<String>, Error> {
    let root = open(state, &directory)?;
    let path = if path.is_empty() { "." } else { &path };
    let wrong = |error| failed(&directory, path, &error);
    let mut names = Vec::new();
    for entry in root.read_dir(path).map_err(wrong)?.take(ENTRIES_MAX) {
        let entry = entry.map_err(wrong)?;
        let mut name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            name.push('/');
        }
        names.push(name);
    }
    names.sort();
    Ok(names)
}

fn granted<'a>(state: &'a RunState, directory: &str) -> Result<&'a DirectoryGrant, Error> {
    let found = state
        .grant
        .directories
        .iter()
        .find(|granted| granted.name == directory);
    found.ok_or_else(|| {
        state.denied(DenialReason::Directory, format!(
            "no directory `{directory}` is granted to `{}`, or its manifest does not ask for it under `directories`",
            state.plugin
        ))
    })
}

/// How much a directory may hold.
struct Quota {
    bytes: u64,
    entries: usize,
}

/// A directory that may be written to.
struct Writable {
    root: Dir,
    /// Where it is, whatever names and links lead there.
    at: PathBuf,
    quota: Quota,
}

fn open(state: &RunState, directory: &str) -> Result<Dir, Error> {
    let grant = granted(state, directory)?;
    Dir::open_ambient_dir(&grant.path, ambient_authority())
        .map_err(|error| unavailable(directory, &error))
}

fn writable(state: &RunState, directory: &str) -> Result<Writable, Error> {
    let grant = granted(state, directory)?;
    if !grant.write {
        return Err(state.denied(
            DenialReason::ReadOnly,
            format!(
                "`{directory}` is granted to `{}` for reading only",
                state.plugin
            ),
        ));
    }
    Ok(Writable {
        root: open(state, directory)?,
        at: fs::canonicalize(&grant.path).map_err(|error| unavailable(directory, &error))?,
        quota: Quota {
            bytes: grant.quota_bytes,
            entries: grant.quota_files.min(ENTRIES_MAX),
        },
    })
}

fn unavailable(directory: &str, error: &std::io::Error) -> Error {
    Error::unavailable("", format!("directory `{directory}`: {error}"))
}

fn no_file(directory: &str, path: &str) -> Error {
    Error::other(format!("{directory}/{path} is no file"))
}

fn failed(directory: &str, path: &str, error: &std::io::Error) -> Error {
    Error::other(format!("{directory}/{path}: {error}"))
}

/// A file that was not written.
struct Unwritten {
    error: std::io::Error,
    /// Something of it may be left.
    leaves_some: bool,
}

impl From<std::io::Error> for Unwritten {
    fn from(error: std::io::Error) -> Self {
        Self {
            error,
            leaves_some: false,
        }
    }
}

/// Writes a new file beside it and renames that: what reads it sees the old contents or the new ones.
fn replace(root: &Dir, path: &str, contents: &[u8]) -> Result<(), Unwritten> {
    let (beside, mut file) = create_beside(root, path)?;
    file.write_all(contents)
        .and_then(|()| root.rename(&beside, root, path))
        .map_err(|error| Unwritten {
            error,
            leaves_some: root.remove_file(&beside).is_err(),
        })
}

/// A new file with a name beside it. Whatever lies there already is somebody's: it is neither opened nor overwritten.
fn create_beside(root: &Dir, path: &str) -> std::io::Result<(String, File)> {
    let mut new = OpenOptions::new();
    new.write(true).create_new(true);
    for number in 0..BESIDE_MAX {
        let name = format!("{path}.sinew-part{number}");
        match root.open_with(&name, &new) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}
