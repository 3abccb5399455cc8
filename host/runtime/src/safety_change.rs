//! Changing the safety configuration: proposed, approved, activated, each by somebody, each in the audit log.
//!
//! What runs is what the log says is active: what was activated last, or what is built in as long as nothing ever was. A
//! change to anything else (tighter, looser, back to the built-in one or to one from before) needs an approval that
//! names the hash of what comes, and an approval counts for the next change only.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use sinew_audit::{Approvals, AuditFile, Changes, Entry, Pending, Stamp, Writer};
use sinew_description::{Difference, RobotDescription, SafetyFile, difference};
use sinew_safety::SafetyLimits;

use crate::audit::{hash_words, now_unix_ms, trouble};
use crate::files;
use crate::safety_config::{limits, robot};
use crate::sources::{Config, Sources};
use crate::trouble::{input, refused};

/// Folder beside the log in which proposed configurations are kept, by hash.
const KEPT: &str = "safety";
/// Where the log lies if nobody says otherwise.
pub const AUDIT_DEFAULT: &str = "out/audit.jsonl";

/// What was proposed or approved, and what it would change.
#[derive(Clone, Debug, Serialize)]
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
    /// Who proposed it.
    pub proposed_by: String,
    /// Who approved the next change to it.
    pub approved_by: Option<String>,
    /// The log that says so.
    pub audit: PathBuf,
    /// What comes next.
    pub next: String,
}

/// Where to look for what the log knows by its hash.
struct Shelf<'a> {
    audit: &'a Path,
    robot: &'a RobotDescription,
}

impl Shelf<'_> {
    fn file(&self, hash: &str) -> PathBuf {
        let folder = self.audit.parent().unwrap_or(Path::new(""));
        folder.join(KEPT).join(format!("{hash}.toml"))
    }

    /// The configuration with this hash: built in, or as it was proposed. A file that was changed since has another hash
    /// and is none.
    fn find(&self, hash: &str) -> Option<(String, SafetyLimits)> {
        let fits = |file: SafetyFile| {
            let limits = file.limits(self.robot).ok()?;
            (hash_words(limits.hash()) == hash).then_some((file.name, limits))
        };
        let kept = || {
            let path = self.file(hash);
            let text = files::read_text(&path).ok()?;
            fits(SafetyFile::from_toml_str(&text, &path.display().to_string()).ok()?)
        };
        fits(SafetyFile::builtin()).or_else(kept)
    }

    fn keep(&self, hash: &str, file: &Path) -> anyhow::Result<()> {
        let text = files::read(file)?;
        let to = self.file(hash);
        let write = || {
            if let Some(folder) = to.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let part = to.with_extension("part");
            std::fs::write(&part, text)?;
            std::fs::rename(&part, &to)
        };
        write().with_context(|| format!("keeping what is proposed in {}", to.display()))
    }
}

/// Writes down that `actor` wants the configuration in `file` (or the built-in one) to become active, and keeps a copy of it
/// beside the log. Nothing changes by that.
///
/// # Errors
/// [`InputError`](crate::InputError) for a file or a log that can't be used, [`Refused`](crate::Refused) for a log that does
/// not verify.
pub fn propose(
    sources: &Sources,
    file: Option<&Path>,
    audit: &Path,
    actor: &str,
) -> anyhow::Result<Change> {
    let robot = robot(sources)?;
    let file = file.or(sources.safety.as_deref());
    let (name, new) = limits(file, &robot)?;
    let hash = hash_words(new.hash());
    let mut log = AuditFile::open(audit).map_err(|error| trouble(&error))?;
    let shelf = Shelf {
        audit,
        robot: &robot,
    };
    if let Some(file) = file {
        shelf.keep(&hash, file)?;
    }
    let (active, difference) = against_active(&shelf, log.approvals(), &new);
    let pending = Pending {
        stamp: by_hand(),
        actor: Some(actor.to_owned()),
        entry: Entry::ConfigurationProposed {
            hash: hash.clone(),
            name: name.clone(),
            against: active.clone(),
            changes: difference.as_ref().map(counts),
        },
    };
    log.append(&[pending]).map_err(|error| trouble(&error))?;
    let next = if hash == active {
        "it is active already".to_owned()
    } else {
        format!(
            "sinew safety approve {hash} --actor SOMEBODY-ELSE{}",
            audit_option(audit)
        )
    };
    Ok(change(
        hash,
        name,
        active,
        difference,
        log.approvals(),
        audit,
        next,
    ))
}

/// Writes down that `actor` approves the next change to the configuration with this hash.
///
/// # Errors
/// [`InputError`](crate::InputError) if there is no such log or nobody proposed such a configuration;
/// [`Refused`](crate::Refused) if the same person proposed it and `same_person` is not set, or if the log does not verify.
pub fn approve(
    sources: &Sources,
    hash: &str,
    audit: &Path,
    actor: &str,
    same_person: bool,
) -> anyhow::Result<Change> {
    if !audit.is_file() {
        return Err(input(format!(
            "{}: there is no audit log, so nothing was proposed: `sinew safety propose FILE --actor NAME`",
            audit.display()
        )));
    }
    let robot = robot(sources)?;
    let mut log = AuditFile::open(audit).map_err(|error| trouble(&error))?;
    let Some(proposer) = log.approvals().proposer(hash).map(str::to_owned) else {
        return Err(input(format!(
            "nobody proposed a safety configuration {hash}: `sinew safety propose FILE --actor NAME{}`",
            audit_option(audit)
        )));
    };
    let same = proposer == actor;
    if same && !same_person {
        return Err(refused(format!(
            "{actor} proposed {hash}, and somebody else should look at it; if there is nobody: \
             `sinew safety approve {hash} --actor {} --same-person{}`",
            quoted(actor),
            audit_option(audit)
        )));
    }
    let shelf = Shelf {
        audit,
        robot: &robot,
    };
    let Some((name, new)) = shelf.find(hash) else {
        return Err(refused(format!(
            "{}: what was proposed as {hash} is not there any more, was changed, or does not fit {}: propose it again",
            shelf.file(hash).display(),
            robot.name
        )));
    };
    let (active, difference) = against_active(&shelf, log.approvals(), &new);
    if active == hash {
        return Err(input(format!(
            "safety configuration {hash} is active already"
        )));
    }
    let pending = Pending {
        stamp: by_hand(),
        actor: Some(actor.to_owned()),
        entry: Entry::ConfigurationApproved {
            hash: hash.to_owned(),
            same_person: same,
        },
    };
    log.append(&[pending]).map_err(|error| trouble(&error))?;
    let next = "the next `sinew run` with it makes it active".to_owned();
    let hash = hash.to_owned();
    Ok(change(
        hash,
        name,
        active,
        difference,
        log.approvals(),
        audit,
        next,
    ))
}

/// Makes the configuration active if it is not and somebody approved that. Before anything is energised. The record has
/// the time of the wall if the run has it.
///
/// # Errors
/// [`Refused`](crate::Refused) without an approval, with commands that can be pasted.
pub(crate) fn admit(
    config: &Config,
    writer: &Writer,
    actor: &str,
    real_time: bool,
) -> anyhow::Result<()> {
    let approvals = writer.approvals().map_err(|error| trouble(&error))?;
    if is_active(config, &approvals) {
        return Ok(());
    }
    let hash = hash_words(config.safety.hash());
    let shelf = Shelf {
        audit: writer.path(),
        robot: &config.robot,
    };
    let (active, difference) = against_active(&shelf, &approvals, &config.safety);
    let approved = approvals.approver(&hash).is_some();
    let entry = if approved {
        Entry::ConfigurationActivated {
            hash: hash.clone(),
            previous: active.clone(),
            changes: difference.as_ref().map(counts),
        }
    } else {
        Entry::ConfigurationRefused {
            hash: hash.clone(),
            active: active.clone(),
            reason: "not-approved".to_owned(),
        }
    };
    let stamp = if real_time {
        by_hand()
    } else {
        Stamp::default()
    };
    writer.append(stamp, Some(actor), entry);
    writer.flush().map_err(|error| trouble(&error))?;
    if approved {
        return Ok(());
    }
    Err(refused(words_of_refusal(
        &hash,
        &active,
        config.safety_file.as_deref(),
        writer.path(),
    )))
}

/// Checks that the configuration is the active one.
///
/// # Errors
/// [`Refused`](crate::Refused) if it is not.
pub(crate) fn check_active(config: &Config, writer: &Writer) -> anyhow::Result<()> {
    let approvals = writer.approvals().map_err(|error| trouble(&error))?;
    if is_active(config, &approvals) {
        return Ok(());
    }
    Err(refused(words_of_refusal(
        &hash_words(config.safety.hash()),
        approvals.active().unwrap_or("what is built in"),
        config.safety_file.as_deref(),
        writer.path(),
    )))
}

/// The refusal of limits `[hash, active]` that nobody approved.
pub(crate) fn not_approved(
    [hash, active]: [u64; 2],
    file: Option<&Path>,
    audit: &Path,
) -> anyhow::Error {
    refused(words_of_refusal(
        &hash_words(hash),
        &hash_words(active),
        file,
        audit,
    ))
}

/// How many quantities change from one to the other.
pub(crate) fn changes(a: &SafetyLimits, b: &SafetyLimits, robot: &RobotDescription) -> Changes {
    counts(&difference(a.config(), b.config(), robot))
}

fn is_active(config: &Config, approvals: &Approvals) -> bool {
    match approvals.active() {
        Some(active) => active == hash_words(config.safety.hash()),
        None => config.builtin_safety == Some(config.safety.hash()),
    }
}

/// Hash of what is active, and how `new` differs from it if that is still to be had.
fn against_active(
    shelf: &Shelf<'_>,
    approvals: &Approvals,
    new: &SafetyLimits,
) -> (String, Option<Difference>) {
    let builtin = || SafetyFile::builtin().limits(shelf.robot).ok();
    let (hash, limits) = match approvals.active() {
        Some(hash) => (hash.to_owned(), shelf.find(hash).map(|(_, limits)| limits)),
        None => match builtin() {
            Some(limits) => (hash_words(limits.hash()), Some(limits)),
            None => ("none".to_owned(), None),
        },
    };
    let difference = limits.map(|old| difference(old.config(), new.config(), shelf.robot));
    (hash, difference)
}

fn counts(difference: &Difference) -> Changes {
    Changes {
        looser: difference.looser.len(),
        tighter: difference.tighter.len(),
        other: difference.other.len(),
    }
}

/// Done by a person at a terminal: the wall's clock is the only one there is.
fn by_hand() -> Stamp {
    Stamp {
        time_unix_ms: Some(now_unix_ms()),
        ..Stamp::default()
    }
}

fn words_of_refusal(hash: &str, active: &str, file: Option<&Path>, audit: &Path) -> String {
    let option = audit_option(audit);
    let file = file.map_or_else(String::new, |file| {
        format!(" {}", quoted(&file.display().to_string()))
    });
    format!(
        "safety configuration {hash} is not active ({active} is), and nobody approved the change. To see and approve it:\n  \
         sinew safety propose{file} --actor YOU{option}\n  \
         sinew safety approve {hash} --actor SOMEBODY-ELSE{option}"
    )
}

fn audit_option(audit: &Path) -> String {
    if audit == Path::new(AUDIT_DEFAULT) {
        String::new()
    } else {
        format!(" --audit {}", quoted(&audit.display().to_string()))
    }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn change(
    hash: String,
    name: String,
    active: String,
    difference: Option<Difference>,
    approvals: &Approvals,
    audit: &Path,
    next: String,
) -> Change {
    let (looser, tighter, other) = match difference {
        Some(found) => (Some(found.looser), Some(found.tighter), Some(found.other)),
        None => (None, None, None),
    };
    Change {
        proposed_by: approvals.proposer(&hash).unwrap_or_default().to_owned(),
        approved_by: approvals.approver(&hash).map(str::to_owned),
        audit: audit.to_owned(),
        hash,
        name,
        active,
        looser,
        tighter,
        other,
        next,
    }
}

impl Change {
    /// The change as a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![match &self.approved_by {
            Some(approver) => format!(
                "{approver} approves the next change from {} to {} ({}), proposed by {}",
                self.active, self.hash, self.name, self.proposed_by
            ),
            None => format!(
                "{} proposes a change from {} to {} ({})",
                self.proposed_by, self.active, self.hash, self.name
            ),
        }];
        let lists = [
            ("looser", &self.looser),
            ("tighter", &self.tighter),
            ("neither, or both", &self.other),
        ];
        if lists.iter().all(|(_, list)| list.is_none()) {
            lines.push(format!(
                "  {} is not to be had: nothing to compare with",
                self.active
            ));
        }
        for (title, list) in lists {
            if let Some(list) = list
                && !list.is_empty()
            {
                lines.push(format!("{title}:"));
                lines.extend(list.iter().map(|words| format!("  {words}")));
            }
        }
        lines.push(format!(
            "recorded in {}; next: {}",
            self.audit.display(),
            self.next
        ));
        lines.join("\n")
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
    }
}
