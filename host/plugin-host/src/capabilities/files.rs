//! `files`: the directories that were granted by name, through cap-std, so that no path leaves them.

use std::io::Read as _;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::grants::DirectoryGrant;
use crate::link::Interface;
use crate::state::RunState;
use crate::wire::Error;

/// Entries looked at when a directory's size is added up.
const ENTRIES_MAX: usize = 10_000;

pub(crate) fn link(files: &mut Interface<'_>) -> wasmtime::Result<()> {
    files.ready("read", |state, (directory, path): (String, String)| {
        let (_, root) = open(state, &directory)?;
        let mut contents = Vec::new();
        let allowed = state.limits.call_bytes;
        root.open(&path)
            .and_then(|file| file.take(allowed as u64 + 1).read_to_end(&mut contents))
            .map_err(|error| failed(&directory, &path, &error))?;
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
            let present = root.metadata(&path).map_or(0, |metadata| metadata.len());
            let mut entries = 0;
            let others = size(&root, Path::new("."), &mut entries)
                .map_err(|error| failed(&directory, &path, &error))?
                .saturating_sub(present);
            if entries > ENTRIES_MAX || others.saturating_add(contents.len() as u64) > quota {
                return Err(Error::Limit(format!(
                    "`{directory}` may hold {quota} bytes in {ENTRIES_MAX} files"
                )));
            }
            root.write(&path, &contents)
                .map_err(|error| failed(&directory, &path, &error))
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
        let text = format!(
            "no directory `{directory}` is granted to `{}`",
            state.plugin
        );
        state.deny(&text);
        Error::Denied(text)
    })
}

fn open(state: &RunState, directory: &str) -> Result<(u64, Dir), Error> {
    let grant = granted(state, directory)?;
    let root = Dir::open_ambient_dir(&grant.path, ambient_authority())
        .map_err(|error| Error::Unavailable(format!("directory `{directory}`: {error}")))?;
    Ok((grant.quota_bytes, root))
}

fn writable(state: &RunState, directory: &str) -> Result<(u64, Dir), Error> {
    if !granted(state, directory)?.write {
        let text = format!("`{directory}` is granted for reading only");
        state.deny(&text);
        return Err(Error::Denied(text));
    }
    open(state, directory)
}

fn failed(directory: &str, path: &str, error: &std::io::Error) -> Error {
    Error::Other(format!("{directory}/{path}: {error}"))
}

fn size(root: &Dir, folder: &Path, entries: &mut usize) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in root.read_dir(folder)? {
        let entry = entry?;
        *entries += 1;
        if *entries > ENTRIES_MAX {
            break;
        }
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            size(root, &folder.join(entry.file_name()), entries)?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}
