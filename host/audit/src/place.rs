//! What a path leads to, and how a file gets to its place.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::path::Path;

/// The folder that a file lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Why something is no file, in words.
pub(crate) fn no_file(there: &Metadata) -> String {
    let kind = there.file_type();
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "a pipe, a socket or a device"
    };
    format!("it is {what}, not a file: give the path of a file, or move it away")
}

/// Opens a log to read it. A pipe is refused before it is opened: that may take for ever.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let is_file = |there: Metadata| {
        if there.is_file() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, no_file(&there)))
    };
    is_file(fs::metadata(path)?)?;
    let file = File::open(path)?;
    is_file(file.metadata()?)?;
    Ok(file)
}

/// Writes a file of a name that nobody can guess, syncs it, and moves it to `path`: nobody sees half of it, and a link
/// that lies in its way is replaced and not followed.
pub(crate) fn move_into_place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = tempfile::Builder::new()
        .prefix(".audit-")
        .suffix(".part")
        .tempfile_in(folder_of(path))?;
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    part.persist(path).map_err(|error| error.error)?;
    Ok(())
}
