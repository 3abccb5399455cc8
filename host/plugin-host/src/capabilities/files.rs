//! `files`: the directories that were granted by name, through cap-std, so that no path leaves them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use crate::denials::DenialReason;
use crate::grants::DirectoryGrant;
use crate::link::Interface;
use crate::state::RunState;
use crate::wire::Error;

/// Entries that are looked at in a directory, whatever its grant says.
const ENTRIES_MAX: usize = 10_000;

/// Names that are tried for a file that is being written.
const BESIDE_MAX: u32 = 8;

pub(crate) fn link(files: &mut Interface<'_>) -> wasmtime::Result<()> {
    files.ready("read", |state, (directory, path): (String, String)| {
        let (_, root) = open(state, &directory)?;
        let mut contents = Vec::new();
        let allowed = state.limits.call_bytes;
        let wrong = |error| failed(&directory, &path, &error);
        // To open a pipe would wait for somebody to write into it.
        if !root.metadata(&path).map_err(wrong)?.is_file() {
            return Err(Error::Other(format!("{directory}/{path} is no file")));
        }
        root.open(&path)
            .and_then(|file| file.take(allowed as u64 + 1).read_to_end(&mut contents))
            .map_err(wrong)?;
        if contents.len() > allowed {
            return Err(Error::Limit(format!(
                "{path} is larger than {allowed} bytes"
            )));
        }
        Ok(contents)
    })?;
    files.ready(
        "write",
        |state, (directory, path, contents): (String, String, Vec<u8>)| {
            let (quota, root) = writable(state, &directory)?;
            let wrong = |error| failed(&directory, &path, &error);
            let present = match root.symlink_metadata(&path) {
                Ok(metadata) if !metadata.is_file() => {
                    return Err(Error::Other(format!("{directory}/{path} is no file")));
                }
                Ok(metadata) => Some(metadata.len()),
                Err(_) => None,
            };
            let mut entries = 0;
            let others = size(&root, quota.entries, &mut entries)
                .map_err(wrong)?
                .saturating_sub(present.unwrap_or(0));
            entries += usize::from(present.is_none());
            if entries > quota.entries || others.saturating_add(contents.len() as u64) > quota.bytes
            {
                return Err(Error::Limit(format!(
                    "`{directory}` may hold {} bytes in {} files and folders",
                    quota.bytes, quota.entries
                )));
            }
            replace(&root, &path, &contents).map_err(wrong)
        },
    )?;
    files.ready("remove", |state, (directory, path): (String, String)| {
        let (_, root) = writable(state, &directory)?;
        root.remove_file(&path)
            .map_err(|error| failed(&directory, &path, &error))
    })?;
    files.ready("entries", |state, (directory, path): (String, String)| {
        let (_, root) = open(state, &directory)?;
        let path = if path.is_empty() { "." } else { &path };
        let mut names = Vec::new();
        for entry in root
            .read_dir(path)
            .map_err(|error| failed(&directory, path, &error))?
            .take(ENTRIES_MAX)
        {
            let entry = entry.map_err(|error| failed(&directory, path, &error))?;
            let mut name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                name.push('/');
            }
            names.push(name);
        }
        names.sort();
        Ok(names)
    })
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

fn open(state: &RunState, directory: &str) -> Result<(Quota, Dir), Error> {
    let grant = granted(state, directory)?;
    let root = Dir::open_ambient_dir(&grant.path, ambient_authority())
        .map_err(|error| Error::Unavailable(format!("directory `{directory}`: {error}")))?;
    let quota = Quota {
        bytes: grant.quota_bytes,
        entries: grant.quota_files.min(ENTRIES_MAX),
    };
    Ok((quota, root))
}

fn writable(state: &RunState, directory: &str) -> Result<(Quota, Dir), Error> {
    if !granted(state, directory)?.write {
        return Err(state.denied(
            DenialReason::ReadOnly,
            format!(
                "`{directory}` is granted to `{}` for reading only",
                state.plugin
            ),
        ));
    }
    open(state, directory)
}

fn failed(directory: &str, path: &str, error: &std::io::Error) -> Error {
    Error::Other(format!("{directory}/{path}: {error}"))
}

/// Writes a new file beside it and renames that: what reads it sees the old contents or the new ones.
fn replace(root: &Dir, path: &str, contents: &[u8]) -> std::io::Result<()> {
    let mut new = OpenOptions::new();
    new.write(true).create_new(true);
    // Whatever lies there already is somebody's: it is neither opened nor overwritten.
    let mut names = (0..BESIDE_MAX).map(|number| format!("{path}.sinew-part{number}"));
    let (beside, mut file) = loop {
        let Some(name) = names.next() else {
            return Err(ErrorKind::AlreadyExists.into());
        };
        match root.open_with(&name, &new) {
            Ok(file) => break (name, file),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    };
    let written = file
        .write_all(contents)
        .and_then(|()| root.rename(&beside, root, path));
    if written.is_err() {
        // It is not there any more, or can't be taken away either.
        let _ = root.remove_file(&beside);
    }
    written
}

/// Bytes of all files. It stops adding up once there are more entries than allowed. Folders wait in a list: a guest's
/// call has a small stack.
fn size(root: &Dir, most: usize, entries: &mut usize) -> std::io::Result<u64> {
    let mut bytes = 0;
    let mut folders = vec![PathBuf::from(".")];
    while let Some(folder) = folders.pop() {
        for entry in root.read_dir(&folder)? {
            let entry = entry?;
            *entries += 1;
            if *entries > most {
                return Ok(bytes);
            }
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(folder.join(entry.file_name()));
            } else {
                bytes += metadata.len();
            }
        }
    }
    Ok(bytes)
}
