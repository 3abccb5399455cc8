//! Results on standard output, progress on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::arguments::JsonArgument;

/// Prints a result: as JSON where that was asked for, and as text unless JSON has standard output to itself.
pub(crate) fn result<T: Serialize>(
    json: &JsonArgument,
    value: &T,
    text: &str,
) -> anyhow::Result<()> {
    let Some(file) = &json.json else {
        return self::text(text);
    };
    let mut encoded = serde_json::to_string_pretty(value).context("encoding the report")?;
    encoded.push('\n');
    if file == Path::new("-") {
        return self::text(encoded.trim_end());
    }
    std::fs::write(file, encoded).with_context(|| format!("writing {}", file.display()))?;
    self::text(text)
}

/// Prints lines to standard output. A reader that hangs up early (`| head`) is no error.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output")
        }
        _ => Ok(()),
    }
}

/// Progress on standard error: one line that is rewritten on a terminal, lasting lines elsewhere.
pub(crate) struct Progress {
    rewrites: bool,
    bold: bool,
    /// Columns of the line that stands there now.
    shown: usize,
}

impl Progress {
    /// Looks at standard error and the environment.
    pub(crate) fn new() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let terminal = std::io::stderr().is_terminal() && !set("CI");
        Self {
            rewrites: terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
            bold: terminal && !set("NO_COLOR"),
            shown: 0,
        }
    }

    /// Replaces the line of the moment. Shows nothing where lines can't be replaced.
    pub(crate) fn now(&mut self, line: &str) {
        if !self.rewrites {
            return;
        }
        let line: String = line.chars().take(118).collect();
        let columns = line.chars().count();
        let gap = " ".repeat(self.shown.saturating_sub(columns));
        eprint!("\r{line}{gap}");
        self.shown = columns;
    }

    /// A line that stays.
    pub(crate) fn line(&mut self, line: &str) {
        self.clear();
        eprintln!("{line}");
    }

    /// A line that stays and stands out.
    pub(crate) fn heading(&mut self, line: &str) {
        if self.bold {
            self.line(&format!("\x1b[1m{line}\x1b[0m"));
        } else {
            self.line(line);
        }
    }

    /// Removes the line of the moment.
    pub(crate) fn clear(&mut self) {
        if self.shown > 0 {
            eprint!("\r{}\r", " ".repeat(self.shown));
            self.shown = 0;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
