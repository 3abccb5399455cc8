//! Which version is active: activation, rollback, consent, pins.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rusqlite::Transaction;

use crate::error::StoreError;
use crate::history::{What, line, note};
use crate::memory;
use crate::probation::Gate;
use crate::store::{By, Held, State, Store, Version};
use crate::trust::Trust;

/// When tasks that run on another version go over to the active one. New tasks use it at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwapAt {
    /// They finish on the version that they run on.
    #[default]
    NextTask,
    /// When they next say that they can: the robot holds, and the new version goes on from the checkpoint.
    SafePoint,
    /// At once: the run is ended, the robot holds, and the new version goes on from the last checkpoint, if there is one.
    Now,
}

impl SwapAt {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NextTask, Self::SafePoint, Self::Now];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NextTask => "next-task",
            Self::SafePoint => "safe-point",
            Self::Now => "now",
        }
    }
}

impl fmt::Display for SwapAt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for SwapAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        (Self::ALL.into_iter().find(|at| at.name() == text))
            .ok_or_else(|| format!("`{text}` is none of next-task, safe-point, now"))
    }
}

/// On what terms a version becomes active.
#[derive(Clone, Debug)]
pub struct Activation<'a> {
    /// Revoked versions don't.
    pub trust: &'a Trust,
    /// What it would be allowed, each in a few words: what it asks for and was granted.
    pub allowed: BTreeSet<String>,
    /// Although it is older than what was active once.
    pub downgrade: bool,
    /// Although it was rolled back.
    pub again: bool,
    /// When running tasks go over.
    pub swap_at: SwapAt,
    /// Its probation.
    pub gate: Gate,
}

/// A change of the active version.
pub(crate) enum Swap<'a> {
    /// To one that a person names.
    To {
        to: &'a Held,
        from: Option<&'a Held>,
        highest: &'a Version,
        swap_at: SwapAt,
        gate: Gate,
        reason: &'a str,
    },
    /// To the one that was good before, or to none.
    Back {
        from: &'a Held,
        to: Option<&'a Held>,
        /// Why the one that is left is not tried again unless somebody says so.
        condemned: Option<&'a str>,
        /// The memory that the one before has left comes back with it.
        with_memory: bool,
        reason: &'a str,
    },
}

/// Carries out a change: everything that belongs to it, in the transaction.
pub(crate) fn swap_to(change: &Transaction<'_>, by: &By, swap: &Swap<'_>) -> rusqlite::Result<()> {
    match swap {
        Swap::To {
            to,
            from,
            highest,
            swap_at,
            gate,
            reason,
        } => {
            // Only what has shown itself good is worth going back to.
            if let Some(good) = from.filter(|from| !from.is_on_trial()) {
                change.execute(
                    "UPDATE skills SET last_good = ? WHERE name = ?",
                    (good.digest.to_string(), &good.name),
                )?;
                memory::keep(change, &good.name)?;
            }
            let (runs, failures) = if to.proven {
                (0, 0)
            } else {
                (gate.runs.max(1), gate.failures)
            };
            // Nothing is gone back to from itself.
            let was_before = change.execute(
                "UPDATE skills SET last_good = NULL WHERE name = ? AND last_good = ?",
                (&to.name, to.digest.to_string()),
            )?;
            if was_before > 0 {
                memory::forget(change, &to.name)?;
            }
            change.execute(
                "UPDATE skills SET active = ?, highest = ?, swap_at = ?, probation_runs = ?, probation_failures = ?
                 WHERE name = ?",
                (
                    to.digest.to_string(),
                    highest.to_string(),
                    swap_at.name(),
                    runs,
                    failures,
                    &to.name,
                ),
            )?;
            change.execute(
                "UPDATE artifacts SET condemned = NULL WHERE digest = ?",
                [to.digest.to_string()],
            )?;
            note(change, by, What::Activated, *to, reason)
        }
        Swap::Back {
            from,
            to,
            condemned,
            with_memory,
            reason,
        } => {
            change.execute(
                "UPDATE skills SET active = ?, last_good = NULL, pinned = 0, swap_at = ?, probation_runs = 0,
                 probation_failures = 0 WHERE name = ?",
                (
                    to.map(|to| to.digest.to_string()),
                    SwapAt::NextTask.name(),
                    &from.name,
                ),
            )?;
            if let Some(why) = condemned {
                change.execute(
                    "UPDATE artifacts SET condemned = ?, proven = 0 WHERE digest = ?",
                    (line(why), from.digest.to_string()),
                )?;
            }
            if *with_memory {
                memory::restore(change, &from.name)?;
            } else {
                memory::forget(change, &from.name)?;
            }
            note(change, by, What::RolledBack, *from, reason)
        }
    }
}

impl Store {
    /// Makes a version the active one. It is on probation from now on, unless it has shown itself good already.
    ///
    /// # Errors
    /// Revoked, older than what was active once, rolled back before, pinned to another one, or it would be allowed more
    /// than the version before and nobody agreed. Nothing changes then.
    pub fn activate(
        &mut self,
        held: &Held,
        how: &Activation<'_>,
        by: &By,
    ) -> Result<Held, StoreError> {
        let _lock = self.lock()?;
        let held = &self.again(held)?;
        let all = self.all()?;
        let from = (all.iter()).find(|other| other.name == held.name && other.is_active());
        held.check_trust(how.trust)?;
        self.artifact(held)?;
        if let Some(active) = from.filter(|active| active.pinned && active.digest != held.digest) {
            return Err(StoreError::Pinned {
                name: active.name.clone(),
                version: active.version.clone(),
            });
        }
        let highest = self.highest(&held.name)?;
        let is_first = highest.is_none();
        let is_older = (highest.as_ref()).is_some_and(|highest| held.version < *highest);
        let highest = match highest {
            Some(highest) if is_older => {
                if !how.downgrade {
                    return Err(StoreError::Downgrade {
                        name: held.name.clone(),
                        version: held.version.clone(),
                        highest,
                    });
                }
                highest
            }
            _ => held.version.clone(),
        };
        if let Some(why) = held.condemned.as_ref().filter(|_| !how.again) {
            return Err(StoreError::Condemned {
                name: held.name.clone(),
                version: held.version.clone(),
                why: why.clone(),
            });
        }
        self.check_consent(held, &how.allowed)?;
        let probation = match how.gate {
            _ if held.proven => "proven before".to_owned(),
            Gate { runs, failures } => {
                format!(
                    "on probation for {} runs, of which {failures} may fail",
                    runs.max(1)
                )
            }
        };
        let mut said = Vec::new();
        said.extend(held.signer.is_none().then_some("UNSIGNED, for development"));
        said.extend(is_older.then_some("a downgrade"));
        said.extend(
            held.condemned
                .is_some()
                .then_some("again, after it was rolled back"),
        );
        said.push(&probation);
        let swap = Swap::To {
            to: held,
            // Activated again, what was good before stays what it was.
            from: from.filter(|from| from.digest != held.digest),
            highest: &highest,
            swap_at: how.swap_at,
            gate: how.gate,
            reason: &said.join(", "),
        };
        self.change(|change| {
            if is_first {
                // Whoever wrote a grant for the name has agreed to what its first version has by it.
                agree(change, &held.name, &how.allowed)?;
            }
            swap_to(change, by, &swap)
        })?;
        self.again(held)
    }

    /// Goes back to the version that was good before, with the memory that it left.
    ///
    /// # Errors
    /// None is active, or none was good before; that one is revoked.
    pub fn roll_back(
        &mut self,
        name: &str,
        reason: &str,
        trust: &Trust,
        by: &By,
    ) -> Result<Held, StoreError> {
        let _lock = self.lock()?;
        let name_of = || name.to_owned();
        let active = (self.active()?.into_iter())
            .find(|held| held.name == name)
            .ok_or_else(|| StoreError::NotActive {
                name: name_of(),
                version: None,
            })?;
        if active.pinned {
            return Err(StoreError::Pinned {
                name: name_of(),
                version: active.version,
            });
        }
        let before =
            (self.before(name)?).ok_or_else(|| StoreError::NothingBefore { name: name_of() })?;
        before.check_trust(trust)?;
        let swap = Swap::Back {
            from: &active,
            to: Some(&before),
            condemned: None,
            with_memory: true,
            reason: &format!("{reason}; back to {}", before.version),
        };
        self.change(|change| swap_to(change, by, &swap))?;
        self.again(&before)
    }

    /// Keeps the active version active until it is let go.
    ///
    /// # Errors
    /// It is not the active one.
    pub fn pin(&mut self, held: &Held, on: bool, by: &By) -> Result<Held, StoreError> {
        let _lock = self.lock()?;
        let held = &self.again(held)?;
        if !held.is_active() {
            return Err(StoreError::NotActive {
                name: held.name.clone(),
                version: Some(held.version.clone()),
            });
        }
        if held.pinned == on {
            // Nothing happens, and nothing is written down.
            return Ok(held.clone());
        }
        let what = if on { What::Pinned } else { What::Unpinned };
        self.change(|change| {
            change.execute(
                "UPDATE skills SET pinned = ? WHERE name = ?",
                (on, &held.name),
            )?;
            note(change, by, what, held, "")
        })?;
        self.again(held)
    }

    /// Somebody agrees that a version may have what it asks for and was granted.
    ///
    /// # Errors
    /// It was removed meanwhile; the database can't be written.
    pub fn approve(
        &mut self,
        held: &Held,
        allowed: &BTreeSet<String>,
        by: &By,
    ) -> Result<BTreeSet<String>, StoreError> {
        let _lock = self.lock()?;
        let held = &self.again(held)?;
        let known = self.consented(&held.name)?;
        let new: BTreeSet<String> = allowed.difference(&known).cloned().collect();
        self.change(|change| {
            agree(change, &held.name, &new)?;
            let words: Vec<&str> = new.iter().map(String::as_str).collect();
            note(change, by, What::Approved, held, &words.join(", "))
        })?;
        Ok(new)
    }

    /// A host that ran a version has found it revoked.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn note_distrust(&mut self, held: &Held, why: &str, by: &By) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        self.change(|change| note(change, by, What::Distrusted, held, why))
    }

    /// What a version of this name may have without anybody being asked.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn consented(&self, name: &str) -> Result<BTreeSet<String>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare("SELECT ask FROM consents WHERE name = ?")?;
            let rows = statement.query_map([name], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// Whether a version may have what it would be `allowed`. For the first one of its name nobody is asked.
    ///
    /// # Errors
    /// It would be allowed more than somebody has agreed to: what. The database can't be read.
    pub fn check_consent(&self, held: &Held, allowed: &BTreeSet<String>) -> Result<(), StoreError> {
        match self.highest(&held.name)? {
            Some(_) => held.check_consent(allowed, &self.consented(&held.name)?),
            None => Ok(()),
        }
    }

    /// Whether a version is older than one of its name that was active once: whoever makes it active has to say so.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn is_downgrade(&self, held: &Held) -> Result<bool, StoreError> {
        let highest = self.highest(&held.name)?;
        Ok(highest.is_some_and(|highest| held.version < highest))
    }

    fn highest(&self, name: &str) -> Result<Option<Version>, StoreError> {
        let text: Option<String> = self.database.read(|connection| {
            let mut statement = connection.prepare("SELECT highest FROM skills WHERE name = ?")?;
            let mut rows = statement.query_map([name], |row| row.get(0))?;
            Ok(rows.next().transpose()?.flatten())
        })?;
        (text.map(|text| {
            (text.parse()).map_err(|_| self.database.damaged(format!("the version `{text}`")))
        }))
        .transpose()
    }

    /// What is gone back to, if anything.
    pub(crate) fn before(&self, name: &str) -> Result<Option<Held>, StoreError> {
        Ok((self.all()?.into_iter())
            .find(|held| held.name == name && held.state == State::LastGood))
    }

    /// As it is now.
    pub(crate) fn again(&self, held: &Held) -> Result<Held, StoreError> {
        (self.all()?.into_iter())
            .find(|now| now.digest == held.digest)
            .ok_or_else(|| StoreError::Unknown {
                selector: held.to_string(),
                there: "others: somebody has removed it".to_owned(),
            })
    }
}

fn agree(change: &Transaction<'_>, name: &str, asks: &BTreeSet<String>) -> rusqlite::Result<()> {
    for ask in asks {
        change.execute(
            "INSERT INTO consents (name, ask) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (name, ask),
        )?;
    }
    Ok(())
}
