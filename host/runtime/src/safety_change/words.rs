//! What a change says, to persons and scripts.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sinew_audit::NOBODY;
use sinew_description::Difference;

use super::AUDIT_DEFAULT;
use super::shelf::Shelf;
use crate::safety_config::{Odd, difference_lines};

/// What was proposed or approved, and what it would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Hash of the configuration.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// Hash of what is active.
    pub active: String,
    /// What lets more happen than what is active; `None` if that is not to be had any more.
    pub looser: Option<Vec<String>>,
    /// What lets less happen.
    pub tighter: Option<Vec<String>>,
    /// Neither, or both.
    pub other: Option<Vec<String>>,
    /// What is hardly meant in it.
    pub warnings: Vec<Odd>,
    /// Who proposed it.
    pub proposed_by: String,
    /// Who approved the next change to it.
    pub approved_by: Option<String>,
    /// The log that says so.
    pub audit: PathBuf,
    /// What comes next.
    pub next: String,
}

impl Change {
    /// A change that nobody has a name in yet.
    pub(super) fn between(
        [hash, active]: [&str; 2],
        name: &str,
        difference: Option<Difference>,
        warnings: Vec<Odd>,
        audit: &Path,
    ) -> Self {
        let (looser, tighter, other) = match difference {
            Some(found) => (Some(found.looser), Some(found.tighter), Some(found.other)),
            None => (None, None, None),
        };
        Self {
            hash: hash.to_owned(),
            name: name.to_owned(),
            active: active.to_owned(),
            looser,
            tighter,
            other,
            warnings,
            proposed_by: String::new(),
            approved_by: None,
            audit: audit.to_owned(),
            next: String::new(),
        }
    }

    /// What was proposed, as a person reads it.
    #[must_use]
    pub fn proposal(&self) -> String {
        let Self {
            hash,
            name,
            active,
            proposed_by,
            ..
        } = self;
        format!(
            "{proposed_by} proposes a change from {active} to {hash} ({name:?})\n{}{}",
            self.difference(),
            self.recorded()
        )
    }

    /// What somebody is about to approve, as that person reads it: nothing is written down yet.
    #[must_use]
    pub fn review(&self) -> String {
        let Self {
            hash,
            name,
            active,
            proposed_by,
            ..
        } = self;
        let words = format!(
            "the next change, from {active} to {hash} ({name:?}), proposed by {proposed_by}:\n{}",
            self.difference()
        );
        words.trim_end().to_owned()
    }

    /// That it was approved, for whoever has read [`Self::review`].
    #[must_use]
    pub fn approval(&self) -> String {
        let approver = self.approved_by.as_deref().unwrap_or(NOBODY);
        format!("{approver} approves it; {}", self.recorded())
    }

    fn recorded(&self) -> String {
        format!("recorded in {}; next: {}", self.audit.display(), self.next)
    }

    /// What changes, a line each.
    fn difference(&self) -> String {
        let mut lines = Vec::new();
        match (&self.looser, &self.tighter, &self.other) {
            (Some(looser), Some(tighter), Some(other)) => {
                lines.extend(difference_lines(looser, tighter, other));
            }
            _ => lines.push(format!(
                "  {} is not to be had: nothing to compare with",
                self.active
            )),
        }
        let odd = self.warnings.iter();
        lines.extend(odd.map(|odd| format!("  WARNING, {}: {}", odd.key, odd.problem)));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Why limits that nobody approved are refused, with commands that can be pasted.
pub(super) fn words_of_refusal(
    hash: &str,
    active: &str,
    file: Option<&Path>,
    audit: &Path,
) -> String {
    let option = audit_option(audit);
    let file = file.map_or_else(String::new, |file| {
        format!(" {}", quoted(&file.display().to_string()))
    });
    // What is active lies beside the log, unless it is what is built in.
    let kept = Shelf::path(audit, active);
    let go_on = if kept.is_file() {
        let kept = quoted(&kept.display().to_string());
        format!("\nTo go on with what is active: `--safety-config {kept}`")
    } else {
        String::new()
    };
    format!(
        "safety configuration {hash} is not active ({active} is), and nobody approved the change. To see and approve it:\n  \
         sinew safety propose{file} --actor YOU{option}\n  \
         sinew safety approve {hash} --actor SOMEBODY-ELSE{option}{go_on}"
    )
}

/// Why limits that somebody approved are not active yet, and what makes them.
pub(super) fn words_of_waiting(
    hash: &str,
    approver: &str,
    file: Option<&Path>,
    audit: &Path,
) -> String {
    let option =
        |name: &str, path: &Path| format!(" --{name} {}", quoted(&path.display().to_string()));
    let file = file.map_or_else(String::new, |file| option("safety-config", file));
    // A run finds its log by the folder.
    let out = match audit.parent() {
        _ if audit == Path::new(AUDIT_DEFAULT) => String::new(),
        Some(folder) if folder.as_os_str().is_empty() => option("out", Path::new(".")),
        Some(folder) => option("out", folder),
        None => String::new(),
    };
    format!(
        "safety configuration {hash} is not active yet: {approver} approved the change, and only `sinew run` makes it:\n  \
         sinew run --cycles 1{file}{out}"
    )
}

/// What a command needs to find this log.
pub(crate) fn audit_option(audit: &Path) -> String {
    if audit == Path::new(AUDIT_DEFAULT) {
        String::new()
    } else {
        format!(" --audit {}", quoted(&audit.display().to_string()))
    }
}

/// As a shell takes it for one word.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_pasted_survives_a_shell() {
        let check = |text, expected| assert_eq!(quoted(text), expected);
        check("my-cell.toml", "my-cell.toml");
        check("my cell.toml", "'my cell.toml'");
        check("o'brien", "'o'\\''brien'");
        check("", "''");
        check("$(rm)", "'$(rm)'");
        let words = words_of_refusal(
            "aa",
            "bb",
            Some(Path::new("a b.toml")),
            Path::new(AUDIT_DEFAULT),
        );
        assert!(
            words.contains("sinew safety propose 'a b.toml' --actor YOU\n"),
            "{words}"
        );
        let words = words_of_refusal("aa", "bb", None, Path::new("x/audit.jsonl"));
        assert!(
            words.ends_with("approve aa --actor SOMEBODY-ELSE --audit x/audit.jsonl"),
            "{words}"
        );
        let file = Some(Path::new("a b.toml"));
        for (audit, out) in [
            (AUDIT_DEFAULT, ""),
            ("x/audit.jsonl", " --out x"),
            ("audit.jsonl", " --out ."),
        ] {
            let words = words_of_waiting("aa", "ben", file, Path::new(audit));
            let command = format!("sinew run --cycles 1 --safety-config 'a b.toml'{out}");
            assert!(words.ends_with(&command), "{words}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let audit = folder.path().join("audit.jsonl");
        let file = Shelf::path(&audit, "bb");
        std::fs::create_dir_all(file.parent().expect("it has one")).expect("made");
        std::fs::write(&file, "").expect("written");
        let words = words_of_refusal("aa", "bb", None, &audit);
        let option = format!("`--safety-config {}`", file.display());
        assert!(words.ends_with(&option), "{words}");
    }
}
