//! Changing the safety configuration: proposed, approved, activated, each by somebody, each in the audit log.
//!
//! What runs is what the log says is active: what was activated last, or what is built in as long as nothing ever was. A
//! change to anything else (tighter, looser, back to the built-in one or to one from before) needs an approval that
//! names the hash of what comes, and an approval counts for the next change only. So does a proposal.

mod shelf;
mod words;

use std::path::Path;

use sinew_audit::{
    Approvals, AuditFile, Changes, Entry, NOT_APPROVED, Pending, Stamp, WallClock, Writer,
    actor_name,
};
use sinew_description::{Difference, RobotDescription, difference};
use sinew_safety::{ConfigHash, SafetyLimits};

use self::words::{words_of_refusal, words_of_waiting};
use crate::audit::{now_unix_ms, trouble};
use crate::files;
use crate::safety_config::Surroundings;
use crate::sources::{Config, Sources};
use crate::trouble::{input, refused};

pub(crate) use self::shelf::Shelf;
pub use self::words::Change;
pub(crate) use self::words::{audit_option, quoted};

/// Where the log lies if nobody says otherwise.
pub const AUDIT_DEFAULT: &str = "out/audit.jsonl";

/// Writes down that `actor` wants the configuration in `file` (or the built-in one) to become active, and keeps a copy of it
/// beside the log. Nothing changes by that.
///
/// # Errors
/// [`InputError`](crate::InputError) for a name, a file or a log that can't be used, [`Refused`](crate::Refused) for a log
/// that does not verify.
pub fn propose(
    sources: &Sources,
    file: Option<&Path>,
    audit: &Path,
    actor: &str,
) -> anyhow::Result<Change> {
    let actor = name(actor)?;
    let around = Surroundings::of(sources)?;
    let file = file.or(sources.safety.as_deref());
    let text = file.map(files::read).transpose()?;
    let (checked, new) = around.limits(file.zip(text.as_deref()))?;
    let hash = new.hash().to_string();
    let mut log = open(audit)?;
    let shelf = Shelf {
        audit,
        robot: &around.robot,
    };
    if let Some(text) = &text {
        shelf.keep(&hash, text)?;
    }
    write_down(&mut log, &actor, |approvals| {
        let (active, difference) = shelf.against_active(approvals, &new);
        let entry = Entry::ConfigurationProposed {
            hash: hash.clone(),
            name: checked.name.clone(),
            against: active.clone(),
            changes: difference.as_ref().map(counts),
        };
        let next = if hash == active {
            "it is active already".to_owned()
        } else {
            format!(
                "sinew safety approve {hash} --actor SOMEBODY-ELSE{}",
                audit_option(audit)
            )
        };
        let change = Change {
            proposed_by: actor.clone(),
            approved_by: approvals.approver(&hash).map(str::to_owned),
            next,
            ..Change::between(
                [&hash, &active],
                &checked.name,
                difference,
                around.warnings(&checked, &new),
                audit,
            )
        };
        Ok((entry, change))
    })
}

/// Writes down that `actor` approves the next change to the configuration with this hash, once `show` has shown what it changes:
/// nobody approves what could not be shown.
///
/// # Errors
/// [`InputError`](crate::InputError) for a name that can't be used, if there is no such log, or nobody proposed such a
/// configuration; [`Refused`](crate::Refused) if the same person proposed it since it was approved last and `same_person` is
/// not set, if what was shown is not what would be approved any more, or if the log does not verify; the error of `show`.
/// Nothing is written down then.
pub fn approve(
    sources: &Sources,
    hash: &str,
    audit: &Path,
    actor: &str,
    same_person: bool,
    show: &mut dyn FnMut(&Change) -> anyhow::Result<()>,
) -> anyhow::Result<Change> {
    let actor = name(actor)?;
    if !audit.exists() {
        return Err(input(format!(
            "{}: there is no audit log, so nothing was proposed: `sinew safety propose FILE --actor NAME`",
            audit.display()
        )));
    }
    let around = Surroundings::of(sources)?;
    let robot = &around.robot;
    let shelf = Shelf { audit, robot };
    let review = |approvals: &Approvals| {
        let Some(proposer) = approvals.proposer(hash) else {
            let since = match approvals.active() {
                Some(_) => " since the last change, which voids what was proposed before",
                None => "",
            };
            return Err(input(format!(
                "{}: nobody proposed a safety configuration {hash}{since}, by this log: `sinew safety propose FILE --actor \
                 NAME{}`, or name the log that it was proposed in with --audit",
                audit.display(),
                audit_option(audit)
            )));
        };
        let same = approvals.proposed_as(hash, &actor);
        if let Some(known) = same
            && !same_person
        {
            return Err(refused(format!(
                "{actor} proposed {hash}{}, and somebody else should look at it; if there is nobody: \
                 `sinew safety approve {hash} --actor {} --same-person{}`",
                if known == actor {
                    String::new()
                } else {
                    format!(" (names in the log that may be the same person's: {known:?})")
                },
                quoted(&actor),
                audit_option(audit)
            )));
        }
        let Some((file, new)) = shelf.find(hash) else {
            return Err(refused(format!(
                "{}: what was proposed as {hash} is not there any more, was changed, or does not fit {}: propose it again",
                shelf.file(hash).display(),
                robot.name
            )));
        };
        let (active, difference) = shelf.against_active(approvals, &new);
        if active == hash {
            return Err(input(format!(
                "safety configuration {hash} is active already"
            )));
        }
        let entry = Entry::ConfigurationApproved {
            hash: hash.to_owned(),
            same_person: same.is_some(),
        };
        let change = Change {
            proposed_by: proposer.to_owned(),
            approved_by: Some(actor.clone()),
            next: "the next `sinew run` with it makes it active, for the cells beside that log too"
                .to_owned(),
            ..Change::between(
                [hash, &active],
                &file.name,
                difference,
                around.warnings(&file, &new),
                audit,
            )
        };
        Ok((entry, change))
    };
    let mut log = open(audit)?;
    // Without the lock: whoever reads may take his time.
    let (_, shown) = review(log.approvals())?;
    show(&shown)?;
    write_down(&mut log, &actor, |approvals| {
        let (entry, change) = review(approvals)?;
        if change == shown {
            return Ok((entry, change));
        }
        Err(refused(format!(
            "somebody else wrote to {} meanwhile, and what was shown is not what would be approved: look at it again",
            audit.display()
        )))
    })
}

/// Makes the configuration active if it is not and somebody approved that, at `now_unix_ms`. Before anything is energised, and
/// in one step: of two that come at the same time, one makes use of an approval.
///
/// # Errors
/// [`Refused`](crate::Refused) without an approval, with commands that can be pasted.
pub(crate) fn admit(
    config: &Config,
    writer: &Writer,
    actor: &str,
    now_unix_ms: u64,
) -> anyhow::Result<()> {
    let hash = config.safety.hash().to_string();
    let shelf = Shelf {
        audit: writer.path(),
        robot: &config.robot,
    };
    let decide = |approvals: &Approvals| {
        if is_active(config, approvals) {
            return (Vec::new(), Ok(()));
        }
        let (active, difference) = shelf.against_active(approvals, &config.safety);
        let (entry, answer) = if approvals.approver(&hash).is_some() {
            let entry = Entry::ConfigurationActivated {
                hash: hash.clone(),
                previous: active,
                changes: difference.as_ref().map(counts),
            };
            (entry, Ok(()))
        } else {
            let file = config.safety_file.as_deref();
            let words = words_of_refusal(&hash, &active, file, writer.path());
            let entry = Entry::ConfigurationRefused {
                hash: hash.clone(),
                active,
                reason: NOT_APPROVED.to_owned(),
            };
            (entry, Err(refused(words)))
        };
        // A change is made by a person at a terminal, also where what it is made for runs in virtual time.
        let pending = Pending {
            stamp: Stamp {
                time_unix_ms: Some(now_unix_ms),
                ..Stamp::default()
            },
            actor: Some(actor.to_owned()),
            entry,
        };
        (vec![pending], answer)
    };
    writer.append_if(decide).map_err(|error| trouble(&error))?
}

/// Checks that the configuration is the active one.
///
/// # Errors
/// [`Refused`](crate::Refused) if it is not.
pub(crate) fn check_active(config: &Config, writer: &Writer) -> anyhow::Result<()> {
    let approvals = writer.approvals().map_err(|error| trouble(&error))?;
    check_approved(config, &approvals, writer.path())
}

/// [`check_active`] by what a log is known to say. That a change was approved makes it none yet.
pub(crate) fn check_approved(
    config: &Config,
    approvals: &Approvals,
    audit: &Path,
) -> anyhow::Result<()> {
    if is_active(config, approvals) {
        return Ok(());
    }
    let hash = config.safety.hash().to_string();
    let file = config.safety_file.as_deref();
    Err(refused(match approvals.approver(&hash) {
        Some(approver) => words_of_waiting(&hash, approver, file, audit),
        None => {
            let active = approvals.active().unwrap_or("what is built in");
            words_of_refusal(&hash, active, file, audit)
        }
    }))
}

/// The refusal of limits `[hash, active]` that nobody approved.
pub(crate) fn not_approved(
    [hash, active]: [ConfigHash; 2],
    file: Option<&Path>,
    audit: &Path,
) -> anyhow::Error {
    refused(words_of_refusal(
        &hash.to_string(),
        &active.to_string(),
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
        Some(active) => active == config.safety.hash().to_string(),
        None => config.builtin_safety == Some(config.safety.hash()),
    }
}

fn counts(difference: &Difference) -> Changes {
    Changes {
        looser: difference.looser.len(),
        tighter: difference.tighter.len(),
        other: difference.other.len(),
    }
}

fn name(actor: &str) -> anyhow::Result<String> {
    actor_name(actor).map_err(|error| input(format!("--actor: {error}")))
}

/// The log as a person at a terminal writes it: the wall's clock is the only one there is.
fn open(audit: &Path) -> anyhow::Result<AuditFile> {
    AuditFile::open(audit, WallClock::UnixMs(now_unix_ms)).map_err(|error| trouble(&error))
}

/// Writes down what `actor` does, as it follows from what the log says then.
fn write_down(
    log: &mut AuditFile,
    actor: &str,
    decide: impl FnOnce(&Approvals) -> anyhow::Result<(Entry, Change)>,
) -> anyhow::Result<Change> {
    let pending = |entry| Pending {
        stamp: Stamp::default(),
        actor: Some(actor.to_owned()),
        entry,
    };
    log.append_if(|approvals| match decide(approvals) {
        Ok((entry, change)) => (vec![pending(entry)], Ok(change)),
        Err(error) => (Vec::new(), Err(error)),
    })
    .map_err(|error| trouble(&error))?
}
