//! Names of persons: which ones a person may act under, and when two of them are one person.
//!
//! Names are taken as they are typed; what can be told apart by a computer only (a letter of another alphabet that looks
//! the same, a mark that nobody sees) would make two persons of one. So a name is plain, and only its letters and
//! digits tell persons apart, whatever their case. Nobody acts under a name that stands for no person in the log.

use crate::record::{NOBODY, UNNAMED};

/// Most characters of a name.
pub const NAME_CHARS_MAX: usize = 64;

/// What may stand in a name beside letters and digits.
const MARKS: &str = " .,_-@+'";

/// What the program's own names begin with: `sinew run` resets what it starts.
const PROGRAM: &str = "sinew";

/// A name that nobody may act under.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No letter and no digit in it.
    #[error("a name needs a letter (a to z) or a digit: {found:?} has none")]
    Empty {
        /// What was given.
        found: String,
    },
    /// Too long.
    #[error("a name has at most {NAME_CHARS_MAX} characters: this one has {chars}")]
    TooLong {
        /// How many it has.
        chars: usize,
    },
    /// It stands for no person in the log.
    #[error(
        "{found:?} is no person's name: the log says `nobody` of what the robot did by itself and `unnamed` of whoever \
         gave no name, and names that begin with `sinew` are the program's own"
    )]
    Reserved {
        /// What was given.
        found: String,
    },
    /// A character that could pass for another one, or for none.
    #[error(
        "a name has letters a to z, digits, spaces and any of . , _ - @ + ': {found:?} is none of them. Others can look \
         alike and are not told apart safely: write it without them"
    )]
    Character {
        /// The first such character.
        found: char,
    },
}

/// The name as it is written down: without spaces around it.
///
/// # Errors
/// [`NameError`], if nobody may act under it.
pub fn actor_name(text: &str) -> Result<String, NameError> {
    let name = text.trim();
    let odd = |c: &char| !c.is_ascii_alphanumeric() && !MARKS.contains(*c);
    if let Some(found) = name.chars().find(odd) {
        return Err(NameError::Character { found });
    }
    let chars = name.chars().count();
    if chars > NAME_CHARS_MAX {
        return Err(NameError::TooLong { chars });
    }
    let found = name.to_owned();
    let telling = telling(name);
    if telling.is_empty() {
        return Err(NameError::Empty { found });
    }
    if [NOBODY, UNNAMED].contains(&&*telling) || telling.starts_with(PROGRAM) {
        return Err(NameError::Reserved { found });
    }
    Ok(found)
}

/// True unless two names are surely of two persons. A name that nobody may act under (an older log has them) could be
/// anybody's.
#[must_use]
pub fn may_be_same_person(a: &str, b: &str) -> bool {
    match (person(a), person(b)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

/// What tells a person apart.
fn person(name: &str) -> Option<String> {
    actor_name(name).ok().map(|name| telling(&name))
}

/// Of a name what tells it from others.
fn telling(name: &str) -> String {
    let telling = name.chars().filter(char::is_ascii_alphanumeric);
    telling.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        assert_eq!(actor_name(" Anna B. ").as_deref(), Ok("Anna B."));
        assert_eq!(
            actor_name("o'brien-2@cell").as_deref(),
            Ok("o'brien-2@cell")
        );
        let check = |text: &str, words: &str| {
            let error = actor_name(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        };
        check("", "needs a letter");
        check(" . - ", "needs a letter");
        check("\u{200b}", "'\\u{200b}'");
        check("an\u{200d}na", "'\\u{200d}'");
        check("\u{430}nna", "is none of them");
        check("a\nb", "'\\n'");
        check("\u{1b}[31m", "'\\u{1b}'");
        check(&"x".repeat(65), "has 65");
        for reserved in [
            "nobody",
            "No Body.",
            "Unnamed",
            "sinew run",
            "SINEW-RUN",
            "sinew",
        ] {
            check(reserved, "is no person's name");
        }
        assert_eq!(actor_name("no body 2").as_deref(), Ok("no body 2"));
    }

    #[test]
    fn one_person_is_not_two() {
        let same = |a, b| assert!(may_be_same_person(a, b), "{a:?} {b:?}");
        same("Anna", "anna");
        same("anna b", "Anna  B.");
        same("anna.b", "anna_b");
        // Written before names were checked: it could be anybody.
        same("\u{200b}anna", "ben");
        same("", "ben");
        same("nobody", "ben");
        assert!(!may_be_same_person("anna", "ben"));
        assert!(!may_be_same_person("anna 1", "anna 2"));
    }
}
