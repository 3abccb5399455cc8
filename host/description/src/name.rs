//! Names that a person wrote into a file and others are shown: in a table, in a log, beside a hash that they approve.
//!
//! A name that moves the cursor, hides what stands beside it or turns its order around makes one thing of another
//! for whoever reads it. So a name says what it may have, and not what it may not.

use crate::error::{DescriptionError, Source};

/// Most characters of a name.
const CHARS_MAX: usize = 200;

/// What may be a name.
pub(crate) const ALLOWED: &str = "1 to 200 characters: letters and digits that are written from left to right, ASCII marks, single spaces between them";

/// Scripts that turn around the order in which numbers and marks beside them are shown.
const RIGHT_TO_LEFT: [(char, char); 5] = [
    ('\u{590}', '\u{8ff}'),
    ('\u{fb1d}', '\u{fdff}'),
    ('\u{fe70}', '\u{feff}'),
    ('\u{10800}', '\u{10fff}'),
    ('\u{1e800}', '\u{1efff}'),
];

/// Letters that show nothing.
const UNSEEN: [char; 6] = [
    '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{3164}', '\u{ffa0}',
];

/// Refuses what is no name, with the line of `key`.
pub(crate) fn check(source: &Source<'_>, key: &str, name: &str) -> Result<(), DescriptionError> {
    let refuse = |found: String| Err(source.refuse(key, found, ALLOWED));
    if let Some(found) = name.chars().find(|c| !may_stand(*c)) {
        return refuse(format!("a name with {found:?} in it"));
    }
    let chars = name.chars().count();
    if chars > CHARS_MAX {
        return refuse(format!("a name of {chars} characters"));
    }
    let spaces_are_single = name.split(' ').all(|word| !word.is_empty());
    if !spaces_are_single {
        return refuse(format!("{name:?}"));
    }
    Ok(())
}

fn may_stand(c: char) -> bool {
    let turns = || {
        RIGHT_TO_LEFT
            .iter()
            .any(|(first, last)| (first..=last).contains(&&c))
    };
    let letter = || c.is_alphanumeric() && !UNSEEN.contains(&c) && !turns();
    c == ' ' || c.is_ascii_graphic() || letter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_is_seen() {
        let check = |name: &str| {
            let source = Source {
                text: "a = 1\nname = \"x\"\n",
                origin: "x.toml",
            };
            check(&source, "name", name)
        };
        for name in [
            "cell",
            "Küche 2, links (alt)",
            "Ячейка",
            "セル",
            &"x".repeat(200),
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for (name, words) in [
            ("", "\"\""),
            (" cell", "\" cell\""),
            ("cell  b", "\"cell  b\""),
            ("cell)\n\ntighter:", "'\\n'"),
            ("\u{1b}[8m", "'\\u{1b}'"),
            ("\u{9b}8m", "'\\u{9b}'"),
            ("a\u{202e}b", "'\\u{202e}'"),
            ("a\u{2066}b", "'\\u{2066}'"),
            ("a\u{200b}b", "'\\u{200b}'"),
            ("a\u{ad}b", "'\\u{ad}'"),
            ("a\u{a0}b", "'\\u{a0}'"),
            ("a\u{3164}b", "in it"),
            ("\u{5d0} 1.2", "in it"),
            ("\u{2028}", "'\\u{2028}'"),
            (&"x".repeat(201), "201 characters"),
        ] {
            let error = check(name).expect_err(name).to_string();
            assert!(
                error.starts_with("x.toml:2: `name`") && error.contains(words),
                "{name:?}: {error}"
            );
        }
    }
}
