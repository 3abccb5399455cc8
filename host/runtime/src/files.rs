//! Reading input files, never more of one than it may have (`/dev/zero` is a path like any other), and putting files in
//! their place.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use sinew_skill_store::SECRET_PREFIX;

use crate::trouble::{InputError, input};

/// Most bytes of a model or a plugin.
pub const BINARY_MAX: u64 = 64 << 20;
/// Most bytes of a configuration file or of parameters.
pub const TEXT_MAX: u64 = 4 << 20;

/// The bytes of an input file.
///
/// # Errors
/// [`InputError`] that names the file: it is no regular file, can't be read, or has more than `most` bytes.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, InputError> {
    check_regular(path)?;
    let named = |what: &dyn std::fmt::Display| InputError(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| named(&error))?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| named(&error))?;
    if bytes.len() as u64 > most {
        return Err(named(&format_args!(
            "more than {most} bytes, the most that is read of such a file"
        )));
    }
    Ok(bytes)
}

/// The text of an input file. A secret key is none: what is wrong with a text is told with the line that it is in.
///
/// # Errors
/// As [`read_bytes`]; or it is not UTF-8: says where; or it has a secret key in it.
pub fn read_text(path: &Path) -> Result<String, InputError> {
    let bytes = read_bytes(path, TEXT_MAX)?;
    let secret = SECRET_PREFIX.as_bytes();
    if bytes.windows(secret.len()).any(|there| there == secret) {
        return Err(InputError(format!(
            "{}: there is a secret key in it, which nothing but `sinew skill sign --key` reads",
            path.display()
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at]
            .iter()
            .filter(|&&b| b == b'\n')
            .count();
        InputError(format!("{}:{line}: not UTF-8 text", path.display()))
    })
}

/// [`read_text`], ready for `?`.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    read_text(path).map_err(|error| input(error.0))
}

/// What is there is a file. To open a pipe that nobody writes would wait for ever, and a folder or a device keeps nothing.
///
/// # Errors
/// [`InputError`] that names it: there is nothing, or it is no regular file.
pub fn check_regular(path: &Path) -> Result<(), InputError> {
    let named = |what: &dyn std::fmt::Display| InputError(format!("{}: {what}", path.display()));
    let there = std::fs::metadata(path).map_err(|error| named(&error))?;
    if there.is_file() {
        return Ok(());
    }
    let kind = if there.is_dir() {
        "a directory, no regular file"
    } else {
        "a pipe or a device, no regular file"
    };
    Err(named(&format_args!("this is {kind}")))
}

/// Writes a file beside `path` and moves it there, so that there is the old one or the new one at any time. The name beside it
/// can't be known, so nobody can have laid a link there.
///
/// # Errors
/// The system's; `path` is as it was then.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = folder_of(path);
    let mut beside = tempfile::Builder::new();
    beside.prefix(".sinew-").suffix(".part");
    // Whoever may read what was there may read what comes; the process's mask applies.
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut part = beside.tempfile_in(folder)?;
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    part.persist(path)?;
    // The folder's entry has to outlive a power cut as well. Not every system can sync a folder.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The folder that a path lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_named_in_every_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        std::fs::write(&path, b"12345").expect("written");
        assert_eq!(read_bytes(&path, 5).expect("fits"), b"12345");
        let error = read_bytes(&path, 4).expect_err("too long").to_string();
        assert!(error.contains("x: more than 4 bytes"), "{error}");
        let secret = format!("key = \"{SECRET_PREFIX}0123\"");
        std::fs::write(&path, secret).expect("written");
        let error = read_text(&path).expect_err("a secret").to_string();
        assert!(error.contains("a secret key") && !error.contains("0123"));
        std::fs::write(&path, b"ab\ncd\xff").expect("written");
        let error = read_text(&path).expect_err("not text").to_string();
        assert!(error.ends_with("x:2: not UTF-8 text"), "{error}");
        let error = read(folder.path()).expect_err("a folder").to_string();
        assert!(error.contains("directory, no regular file"), "{error}");
        #[cfg(target_os = "linux")]
        {
            let endless = Path::new("/dev/zero");
            let error = read(endless).expect_err("a device").to_string();
            assert!(error.contains("no regular file"), "{error}");
            // To open it would wait for somebody to write into it.
            let pipe = folder.path().join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status();
            assert!(made.expect("a system with pipes").success());
            let error = read_bytes(&pipe, TEXT_MAX).expect_err("a pipe").to_string();
            assert!(error.contains("pipe or a device"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_replaced_whole_and_no_link_is_followed() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("x"), folder.path().join("other"));
        std::fs::write(&other, b"as it was").expect("written");
        for trap in ["x", "x.part"] {
            symlink(&other, folder.path().join(trap)).expect("links can be made");
        }
        replace(&path, b"new").expect("there is room");
        assert_eq!(std::fs::read(&path).expect("there"), b"new");
        assert_eq!(std::fs::read(&other).expect("there"), b"as it was");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode(&path), mode(&other), "readable as any other file");
        let left = std::fs::read_dir(folder.path()).expect("there").count();
        assert_eq!(left, 3, "nothing is left over");
    }
}
