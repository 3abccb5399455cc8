//! Whether a version that became active shows itself good: counted runs, and what ends its trial.

use serde::Serialize;

use crate::activation::{Swap, swap_to};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::history::{What, line, note};
use crate::store::{By, Held, State, Store};
use crate::trust::Trust;

/// When a version in probation is proven, and when it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Runs until it is proven.
    pub runs: u32,
    /// Failures among them that are still borne. A fault (a trap, a budget used up, a result that
    /// misses its schema) is never borne.
    pub failures: u32,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            runs: 20,
            failures: 4,
        }
    }
}

/// How an active version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has shown itself good.
    Good,
    /// It is on trial.
    Probation {
        /// Runs until it is proven.
        runs_left: u32,
        /// Failures that are still borne.
        failures_left: u32,
    },
}

/// How a run of a plugin came out, as its probation sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// It did what it was asked to.
    Succeeded,
    /// It did not, as can happen: no part was there, a grasp slipped.
    Failed,
    /// It misbehaved: why.
    Faulted(String),
    /// It was taken back, or stopped by somebody: it says nothing about the version.
    Ended,
}

/// What runs of one version have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Runs that came to an end.
    pub runs: u64,
    /// Of these, those that failed or misbehaved.
    pub failures: u64,
    /// Of these, those that misbehaved.
    pub faults: u64,
    /// Time on a processor, ns.
    pub cpu_ns: u64,
    /// Fuel: about one unit an instruction.
    pub fuel: u64,
    /// Calls to the host.
    pub calls: u64,
    /// Calls that were refused for lack of a grant.
    pub denials: u64,
    /// Times that it kept the host's thread longer than its step.
    pub deadline_misses: u64,
    /// Most memory that one run had, bytes.
    pub memory_peak_bytes: u64,
}

impl Standing {
    /// As the database has it.
    pub(crate) fn from_rows(runs: i64, failures: i64) -> Option<Self> {
        let (runs_left, failures_left) = (u32::try_from(runs).ok()?, u32::try_from(failures).ok()?);
        Some(match runs_left {
            0 => Self::Good,
            _ => Self::Probation {
                runs_left,
                failures_left,
            },
        })
    }

    /// How it stands after a run; the reason to leave it, if there is one.
    ///
    /// # Errors
    /// Why it is to be left.
    pub fn after(self, outcome: &RunOutcome) -> Result<Self, String> {
        let Self::Probation {
            runs_left,
            failures_left,
        } = self
        else {
            return Ok(self);
        };
        let failures_left = match outcome {
            RunOutcome::Ended => return Ok(self),
            RunOutcome::Succeeded => failures_left,
            RunOutcome::Faulted(why) => return Err(why.clone()),
            RunOutcome::Failed => failures_left
                .checked_sub(1)
                .ok_or("it failed more often in its probation than is borne")?,
        };
        Ok(match runs_left - 1 {
            0 => Self::Good,
            runs_left => Self::Probation {
                runs_left,
                failures_left,
            },
        })
    }
}

impl Store {
    /// Counts a run: for the version's account and, if it is the active one, for its probation. Gives the reason if that
    /// made the store leave it for the version before. What is revoked is not gone back to, as far as `trust` is known: without
    /// it whoever loads that version has to ask.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn count_run(
        &mut self,
        digest: Digest,
        outcome: &RunOutcome,
        usage: &Usage,
        trust: Option<&Trust>,
        by: &By,
    ) -> Result<Option<String>, StoreError> {
        let _lock = self.lock()?;
        let Some(held) = self.all()?.into_iter().find(|held| held.digest == digest) else {
            // It was removed while it ran.
            return Ok(None);
        };
        let verdict = match held.state {
            State::Active { standing, .. } => standing.after(outcome),
            _ => Ok(Standing::Good),
        };
        let was_on_trial = held.is_on_trial();
        let good = self.before(&held.name)?;
        let before = (good.as_ref()).filter(|good| may_run(good, trust));
        self.change(|change| {
            charge(change, digest, outcome, usage)?;
            match &verdict {
                Ok(Standing::Good) if was_on_trial => {
                    stand(change, &held.name, 0, 0)?;
                    change.execute(
                        "UPDATE artifacts SET proven = 1 WHERE digest = ?",
                        [held.digest.to_string()],
                    )?;
                    note(change, by, What::Proven, &held, "")?;
                }
                Ok(Standing::Probation {
                    runs_left,
                    failures_left,
                }) => stand(change, &held.name, *runs_left, *failures_left)?,
                Ok(Standing::Good) => {}
                Err(why) => {
                    let back = words_of_back(good.as_ref(), before);
                    let swap = Swap::Back {
                        from: &held,
                        to: before,
                        condemned: Some(why),
                        with_memory: true,
                        reason: &format!("{}; {back}", line(why)),
                    };
                    swap_to(change, by, &swap)?;
                }
            }
            Ok(())
        })?;
        Ok(verdict.err())
    }

    /// What runs of a version have used so far.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn usage(&self, digest: Digest) -> Result<Usage, StoreError> {
        let found = self.database.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT runs, failures, faults, cpu_ns, fuel, calls, denials, deadline_misses, memory_peak_bytes
                 FROM accounts WHERE digest = ?",
            )?;
            let mut rows = statement.query_map([digest.to_string()], |row| {
                let count = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
                Ok(Usage {
                    runs: count(0)?,
                    failures: count(1)?,
                    faults: count(2)?,
                    cpu_ns: count(3)?,
                    fuel: count(4)?,
                    calls: count(5)?,
                    denials: count(6)?,
                    deadline_misses: count(7)?,
                    memory_peak_bytes: count(8)?,
                })
            })?;
            rows.next().transpose()
        })?;
        Ok(found.unwrap_or_default())
    }
}

fn may_run(held: &Held, trust: Option<&Trust>) -> bool {
    trust.is_none_or(|trust| held.check_trust(trust).is_ok())
}

/// What becomes active, of what was `good` before.
fn words_of_back(good: Option<&Held>, to: Option<&Held>) -> String {
    match (good, to) {
        (_, Some(to)) => format!("back to {}", to.version),
        (Some(good), None) => format!(
            "{} was good before and is not trusted any more, none is active",
            good.version
        ),
        (None, None) => "no version was good before, none is active".to_owned(),
    }
}

fn stand(
    change: &rusqlite::Transaction<'_>,
    name: &str,
    runs: u32,
    failures: u32,
) -> rusqlite::Result<()> {
    change.execute(
        "UPDATE skills SET probation_runs = ?, probation_failures = ? WHERE name = ?",
        (runs, failures, name),
    )?;
    Ok(())
}

fn charge(
    change: &rusqlite::Transaction<'_>,
    digest: Digest,
    outcome: &RunOutcome,
    usage: &Usage,
) -> rusqlite::Result<()> {
    // A sum that would not fit stays where it is: a count is no reason to lose a run's end.
    let most = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let faulted = matches!(outcome, RunOutcome::Faulted(_));
    let failed = faulted || *outcome == RunOutcome::Failed;
    change.execute(
        "INSERT INTO accounts (digest, runs, failures, faults, cpu_ns, fuel, calls, denials, deadline_misses, memory_peak_bytes)
         VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (digest) DO UPDATE SET
            runs = runs + 1, failures = failures + ?2, faults = faults + ?3,
            cpu_ns = min(cpu_ns, 9223372036854775807 - ?4) + ?4,
            fuel = min(fuel, 9223372036854775807 - ?5) + ?5,
            calls = min(calls, 9223372036854775807 - ?6) + ?6,
            denials = min(denials, 9223372036854775807 - ?7) + ?7,
            deadline_misses = min(deadline_misses, 9223372036854775807 - ?8) + ?8,
            memory_peak_bytes = max(memory_peak_bytes, ?9)",
        (
            digest.to_string(),
            failed,
            faulted,
            most(usage.cpu_ns),
            most(usage.fuel),
            most(usage.calls),
            most(usage.denials),
            most(usage.deadline_misses),
            most(usage.memory_peak_bytes),
        ),
    )?;
    Ok(())
}
