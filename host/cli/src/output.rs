//! Results on standard output, progress on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::arguments::JsonArgument;
use crate::report;

/// Prints a result: as JSON where that was asked for, and as text unless JSON has standard output to itself.
pub(crate) fn result<T: Serialize>(
    json: &JsonArgument,
    value: &T,
    text: &str,
) -> anyhow::Result<()> {
    let text = &escaped(text);
    let Some(file) = &json.json else {
        return self::text(text);
    };
    let encoded = report::encoded(value)?;
    if file == Path::new("-") {
        return self::text(&json_escaped(encoded.trim_end()));
    }
    // The text first: it is what is left if the file can't be written.
    self::text(text)?;
    report::write(file, encoded.as_bytes()).with_context(|| format!("writing {}", file.display()))
}

/// Shows what a person has to see before it is done: on standard error where JSON has standard output to itself.
pub(crate) fn before(json: &JsonArgument, text: &str) -> anyhow::Result<()> {
    let text = escaped(text);
    if json.json.as_deref() == Some(Path::new("-")) {
        return writeln!(std::io::stderr().lock(), "{text}").context("writing to standard error");
    }
    let mut out = std::io::stdout().lock();
    (writeln!(out, "{text}").and_then(|()| out.flush())).context("writing to standard output")
}

/// Longest message, characters.
const MESSAGE_MAX: usize = 6_000;

/// Characters that show nothing, and hide what stands beside them or turn its order around.
const UNSEEN: [RangeInclusive<char>; 15] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{e0000}'..='\u{e007f}',
    '\u{e0100}'..='\u{e01ef}',
];

fn is_plain(c: char) -> bool {
    c == '\n' || !(c.is_control() || UNSEEN.iter().any(|range| range.contains(&c)))
}

/// A text as a terminal may have it: names from files and plugins bring no escape sequences with them.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    out
}

/// JSON of the same meaning, as a terminal may have it.
fn json_escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            // Only within strings does JSON have any of these.
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// A message as a terminal may have it, and no more of it than can be read.
pub(crate) fn plain(message: &str) -> String {
    let mut short: String = message.chars().take(MESSAGE_MAX).collect();
    if short.len() < message.len() {
        short.push_str(" …");
    }
    escaped(&short)
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

/// Says something on standard error. Whoever listened may have gone (a log pipe, a lost connection, a full disk):
/// the work goes on without.
pub(crate) fn tell(message: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(message);
}

/// Longest line of the moment, columns.
const NOW_COLUMNS_MAX: usize = 118;

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
        // Asked each time: a window may be made narrower. A full last column would wrap.
        let width = terminal_size::terminal_size_of(std::io::stderr())
            .map_or(NOW_COLUMNS_MAX, |(width, _)| {
                usize::from(width.0).saturating_sub(1)
            })
            .min(NOW_COLUMNS_MAX);
        let line: String = plain(line).replace('\n', " ").chars().take(width).collect();
        let columns = line.chars().count();
        let gap = " ".repeat(self.shown.saturating_sub(columns));
        tell(format_args!("\r{line}{gap}"));
        self.shown = columns;
    }

    /// A line that stays.
    pub(crate) fn line(&mut self, line: &str) {
        self.clear();
        tell(format_args!("{}\n", plain(line)));
    }

    /// A line that stays and stands out.
    pub(crate) fn heading(&mut self, line: &str) {
        self.clear();
        if self.bold {
            tell(format_args!("\x1b[1m{}\x1b[0m\n", plain(line)));
        } else {
            tell(format_args!("{}\n", plain(line)));
        }
    }

    /// Removes the line of the moment.
    pub(crate) fn clear(&mut self) {
        if self.shown > 0 {
            tell(format_args!("\r{}\r", " ".repeat(self.shown)));
            self.shown = 0;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_what_a_terminal_would_do() {
        let value = "é\u{9b}2J\u{202e}\u{e0101}\u{1b}\n\"";
        let json = serde_json::to_string_pretty(&[value]).expect("a text");
        let shown = json_escaped(&json);
        assert!(shown.chars().all(is_plain) && shown.contains("é\\u009b2J"));
        let back: [String; 1] = serde_json::from_str(&shown).expect("it is JSON");
        assert_eq!(back, [value]);
    }

    #[test]
    fn messages_bring_no_escape_sequences_and_end() {
        assert_eq!(plain("a\nb\tc \u{1b}[31mé"), "a\nb\\tc \\u{1b}[31mé");
        assert_eq!(
            escaped("a\u{202e}b\u{200b}c\u{9b}"),
            "a\\u{202e}b\\u{200b}c\\u{9b}"
        );
        assert_eq!(plain(&"x".repeat(10_000)).chars().count(), MESSAGE_MAX + 2);
    }
}
