//! Reports as JSON: what marks one, where it may go, and what it may replace: nothing but an earlier one.
//!
//! A mistyped `--json` names an audit log, a parked cell or a configuration as easily as a report, and none of these can be had
//! again. And a pipe that nobody reads keeps whoever opens it waiting for ever, so none is opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write};
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use sinew_runtime::files;

/// What every report begins with, without spaces.
const MARK: &[u8] = b"{\"written_by\":\"sinew";
/// Bytes that the mark is within, with spaces.
const MARK_WITHIN: u64 = 256;

/// A report, marked as one.
#[derive(Serialize)]
struct Report<'a, T> {
    written_by: &'static str,
    #[serde(flatten)]
    report: &'a T,
}

/// The text of a report, with a line feed at its end.
pub(crate) fn encoded<T: Serialize>(report: &T) -> anyhow::Result<String> {
    let marked = Report {
        written_by: concat!("sinew ", env!("CARGO_PKG_VERSION")),
        report,
    };
    let mut text = serde_json::to_string_pretty(&marked).context("encoding the report")?;
    text.push('\n');
    Ok(text)
}

/// What a path leads to.
enum Target {
    /// Nothing yet.
    New,
    /// A file that may be replaced: an earlier report, or an empty one.
    File,
    /// The process's own standard output.
    Output,
    /// Its standard error.
    Errors,
    /// Another open file of the process, a pipe if that is said.
    Open { is_pipe: bool },
    /// A device that takes anything at once.
    Device,
}

/// That a report can be written there: found out before the work is done that it is about, without touching what is there.
///
/// # Errors
/// In words: why not, and what to do.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let can_not = |error: io::Error| format!("it can't be written: {error}");
    match target(path)? {
        Target::New => {
            let mut file = OpenOptions::new();
            file.write(true).create_new(true);
            file.open(path).map_err(can_not)?;
            // Left there it would pass for a report.
            fs::remove_file(path).map_err(can_not)
        }
        Target::File => {
            let opened = OpenOptions::new().append(true).open(path);
            opened.map(drop).map_err(can_not)
        }
        Target::Output | Target::Errors | Target::Open { .. } | Target::Device => Ok(()),
    }
}

/// Writes a report there. No half of a file is ever seen.
///
/// # Errors
/// As [`check`]: what is there may have changed meanwhile, and the command itself may have put it there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let put = |mut to: Box<dyn Write>| to.write_all(bytes).and_then(|()| to.flush());
    match target(path).map_err(io::Error::other)? {
        Target::New | Target::File => files::replace(path, bytes),
        Target::Output => put(Box::new(io::stdout())),
        Target::Errors => put(Box::new(io::stderr())),
        // Who opens a pipe for both ways does not wait for a reader.
        Target::Open { is_pipe: true } => {
            let both = OpenOptions::new().read(true).write(true).open(path)?;
            put(Box::new(both))
        }
        Target::Open { is_pipe: false } | Target::Device => {
            put(Box::new(OpenOptions::new().write(true).open(path)?))
        }
    }
}

fn target(path: &Path) -> Result<Target, String> {
    if let Some(own) = own(path) {
        return own;
    }
    let can_not = |error: io::Error| format!("it can't be written: {error}");
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Target::New),
        Err(error) => return Err(can_not(error)),
        Ok(_) => {}
    }
    let there = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "it is a link that leads nowhere: name another file".to_owned(),
        _ => can_not(error),
    })?;
    if there.is_dir() {
        return Err("it is a folder: name a file".to_owned());
    }
    if !there.is_file() {
        return Err(
            "it is a pipe, a socket or a device, which can keep a report waiting for ever: name a file, or take standard \
             output (`--json` alone)"
                .to_owned(),
        );
    }
    may_be_replaced(path, &there)?;
    Ok(Target::File)
}

/// What the process has already open, by the names that systems give it.
fn own(path: &Path) -> Option<Result<Target, String>> {
    let name = path.to_str()?;
    let number = ["/dev/fd/", "/proc/self/fd/"]
        .iter()
        .find_map(|folder| name.strip_prefix(folder));
    Some(match (name, number) {
        ("/dev/null" | "/dev/full" | "/dev/tty", _) => Ok(Target::Device),
        ("/dev/stdout", _) | (_, Some("1")) => Ok(Target::Output),
        ("/dev/stderr", _) | (_, Some("2")) => Ok(Target::Errors),
        (_, Some(_)) => open_already(path),
        _ => return None,
    })
}

fn open_already(path: &Path) -> Result<Target, String> {
    let there = fs::metadata(path).map_err(|error| format!("it can't be written: {error}"))?;
    if there.is_file() {
        may_be_replaced(path, &there)?;
    }
    Ok(Target::Open {
        is_pipe: is_pipe(&there),
    })
}

#[cfg(unix)]
fn is_pipe(there: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&there.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}

/// What lies there is no loss.
fn may_be_replaced(path: &Path, there: &fs::Metadata) -> Result<(), String> {
    let begins_as_a_report = || -> io::Result<bool> {
        let mut start = Vec::new();
        File::open(path)?
            .take(MARK_WITHIN)
            .read_to_end(&mut start)?;
        start.retain(|byte| !byte.is_ascii_whitespace());
        Ok(start.starts_with(MARK))
    };
    let no_loss = there.len() == 0
        || begins_as_a_report().map_err(|error| format!("it can't be read: {error}"))?;
    if no_loss {
        return Ok(());
    }
    Err("what is there is no earlier JSON report of `sinew`, and would be lost: name another file, or remove it".to_owned())
}
