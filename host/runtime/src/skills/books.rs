//! The books on plugins out of a store, while a host runs: what each run has used, what its probation says, what it keeps.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sinew_audit::Writer;
use sinew_plugin_host::{Grants, PluginHost, Usage as RunUsage};
use sinew_skill_store::{
    Access, By, Digest, Held, RunOutcome, State, Store, StoreError, SwapAt, Usage,
};
use sinew_tasks::{
    Account, Bookkeeper, InstalledVersion, Left, SwapAt as TaskSwapAt, Version as _,
};

use super::loading::of as from_store;
use super::{StorePlace, telling, trouble};
use crate::trouble::input;

/// Who books: it stands in the audit log.
const ACTOR: &str = "sinew run";
/// How long booking waits for somebody else who changes the store.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a plugin keeps.
pub(crate) type Memory = BTreeMap<String, Vec<u8>>;

/// What somebody has changed meanwhile.
pub(crate) struct News {
    pub(crate) name: String,
    /// What is active now; `None`: nothing of that name.
    pub(crate) version: Option<InstalledVersion>,
    /// What it keeps, if somebody has put that back.
    pub(crate) memory: Option<Memory>,
    pub(crate) at: TaskSwapAt,
    pub(crate) words: String,
}

/// The books of one store.
pub(crate) struct Books(Mutex<Inner>);

struct Inner {
    place: StorePlace,
    store: Store,
    /// Loads what is gone back to. It shares its engine with the host that runs it.
    host: PluginHost,
    by: By,
    grants: Grants,
    /// What was active when it was last looked: digests by name. A version that could not be loaded is among them, or it would
    /// be tried again all the time.
    active: BTreeMap<String, Digest>,
    /// What the store had of the memory of each, when it was last read or written here.
    kept: BTreeMap<String, Memory>,
    rollbacks: Vec<String>,
    troubles: Vec<String>,
}

impl Books {
    /// Opens them. `unix_ms`: now, where a clock runs.
    pub(crate) fn open(
        place: StorePlace,
        host: PluginHost,
        grants: Grants,
        unix_ms: Option<u64>,
    ) -> anyhow::Result<Self> {
        let mut store = Store::open(&place.folder, Access::Change).map_err(trouble)?;
        // Whoever books stands beside a robot that works.
        store.patience(PATIENCE).map_err(trouble)?;
        let active = active(&store)?;
        Ok(Self(Mutex::new(Inner {
            active,
            place,
            store,
            host,
            grants,
            kept: BTreeMap::new(),
            by: By {
                actor: ACTOR.to_owned(),
                unix_ms,
            },
            rollbacks: Vec::new(),
            troubles: Vec::new(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every plugin out of the store keeps, by name.
    pub(crate) fn memories(&self) -> anyhow::Result<Vec<(String, Memory)>> {
        let mut inner = self.inner();
        let names: Vec<String> = inner.active.keys().cloned().collect();
        for name in names {
            let memory = inner.store.memory(&name).map_err(trouble)?;
            inner.kept.insert(name, memory);
        }
        Ok(inner.kept.clone().into_iter().collect())
    }

    /// Keeps what the plugins out of the store keep. What somebody else has put back meanwhile stays.
    pub(crate) fn keep_memories(&self, host: &PluginHost) {
        let mut inner = self.inner();
        let names: Vec<String> = inner.active.keys().cloned().collect();
        for name in names {
            if let Err(error) = inner.keep_memory(&name, host.memory(&name)) {
                inner
                    .troubles
                    .push(format!("the memory of {name}: {error}"));
            }
        }
    }

    /// What somebody else has made active since the last time. What can't be taken up is not: what runs goes on, and the report
    /// says so.
    pub(crate) fn news(&self) -> Vec<News> {
        let mut inner = self.inner();
        match inner.store.active() {
            Ok(active) => inner.compare(active),
            Err(error) => {
                inner.troubles.push(error.to_string());
                Vec::new()
            }
        }
    }

    /// Tells the audit log what happened. What can't be written is told the next time.
    pub(crate) fn tell(&self, log: &Writer) {
        let mut inner = self.inner();
        if let Err(error) = telling::tell_writer(&mut inner.store, log) {
            inner.troubles.push(format!("{error:#}"));
        }
    }

    /// Versions that were left, and what could not be booked, since the last time.
    pub(crate) fn take_words(&self) -> (Vec<String>, Vec<String>) {
        let mut inner = self.inner();
        (
            std::mem::take(&mut inner.rollbacks),
            std::mem::take(&mut inner.troubles),
        )
    }
}

fn active(store: &Store) -> anyhow::Result<BTreeMap<String, Digest>> {
    let active = store.active().map_err(trouble)?;
    Ok((active.into_iter())
        .map(|held| (held.name, held.digest))
        .collect())
}

fn at(at: SwapAt) -> TaskSwapAt {
    match at {
        SwapAt::NextTask => TaskSwapAt::NextTask,
        SwapAt::SafePoint => TaskSwapAt::SafePoint,
        SwapAt::Now => TaskSwapAt::Now,
    }
}

impl Inner {
    fn load(&self, held: &Held) -> anyhow::Result<InstalledVersion> {
        let loaded = from_store(&self.place, &self.store, held, &self.host.code_for())?;
        let version = (loaded.version(&self.host)).map_err(|error| input(error.to_string()))?;
        loaded.check_consent(&version, &self.grants)?;
        Ok(version)
    }

    fn keep_memory(&mut self, name: &str, now: Memory) -> Result<(), StoreError> {
        let there = self.store.memory(name)?;
        // Somebody went back to another version, with its memory.
        let is_ours = self.kept.get(name).is_none_or(|kept| *kept == there);
        if is_ours && there != now {
            self.store.keep_memory(name, &now)?;
            self.kept.insert(name.to_owned(), now);
        }
        Ok(())
    }

    /// What is active now beside what runs.
    fn compare(&mut self, active: Vec<Held>) -> Vec<News> {
        let mut news = Vec::new();
        let is_gone = |name: &String| !active.iter().any(|held| held.name == *name);
        let gone: Vec<String> =
            (self.active.keys().filter(|name| is_gone(name)).cloned()).collect();
        for name in gone {
            self.active.remove(&name);
            news.push(News {
                words: format!("{name} is not active any more"),
                version: None,
                memory: None,
                at: TaskSwapAt::NextTask,
                name,
            });
        }
        for held in active {
            let State::Active { swap_at, .. } = held.state else {
                continue;
            };
            let before = self.active.insert(held.name.clone(), held.digest);
            if before == Some(held.digest) {
                continue;
            }
            match self.load(&held) {
                Ok(version) => news.push(News {
                    version: Some(version),
                    memory: self.put_back(&held.name),
                    at: at(swap_at),
                    words: format!("{held} was made active"),
                    name: held.name,
                }),
                Err(error) => {
                    let words = format!("{held} was made active and can't be loaded: {error:#}");
                    self.troubles.push(words);
                }
            }
        }
        news
    }

    /// The memory of a plugin, if somebody has put back an earlier one.
    fn put_back(&mut self, name: &str) -> Option<Memory> {
        let there = self.store.memory(name).ok()?;
        let is_ours = self.kept.get(name) == Some(&there);
        self.kept.insert(name.to_owned(), there.clone());
        (!is_ours).then_some(there)
    }

    /// What is active instead of a version that was left.
    fn left(&mut self, name: &str, left: &InstalledVersion, reason: &str) -> Left {
        let before =
            (self.store.active()).map(|all| all.into_iter().find(|held| held.name == name));
        let instead = match before {
            Ok(Some(held)) => match self.load(&held) {
                Ok(version) => Some((held, version)),
                Err(error) => {
                    self.troubles
                        .push(format!("{held} can't be gone back to: {error:#}"));
                    None
                }
            },
            Ok(None) => None,
            Err(error) => {
                self.troubles.push(error.to_string());
                None
            }
        };
        let memory = self.store.memory(name).unwrap_or_else(|error| {
            self.troubles.push(error.to_string());
            BTreeMap::new()
        });
        self.kept.insert(name.to_owned(), memory.clone());
        let back = match &instead {
            Some((held, _)) => format!("back to {}", held.version),
            None => "nothing is active instead".to_owned(),
        };
        let number = &left.manifest().version;
        self.rollbacks
            .push(format!("{name} {number}: {reason}; {back}"));
        match &instead {
            Some((held, _)) => self.active.insert(name.to_owned(), held.digest),
            None => self.active.remove(name),
        };
        Left {
            instead: instead.map(|(_, version)| version),
            memory,
        }
    }
}

impl Bookkeeper for Books {
    fn book(
        &self,
        version: &InstalledVersion,
        account: &Account,
        usage: &RunUsage,
    ) -> Option<Left> {
        let mut inner = self.inner();
        let digest: Digest = version.digest().parse().ok()?;
        let outcome = match account {
            Account::Succeeded => RunOutcome::Succeeded,
            Account::Failed => RunOutcome::Failed,
            Account::Faulted(why) => RunOutcome::Faulted(why.clone()),
            Account::Ended => RunOutcome::Ended,
        };
        let used = Usage {
            cpu_ns: usage.cpu_ns,
            fuel: usage.fuel,
            calls: usage.calls,
            denials: usage.denials,
            deadline_misses: usage.overruns,
            memory_peak_bytes: usage.memory_peak_bytes,
            ..Usage::default()
        };
        let by = inner.by.clone();
        // Without a trust file that can be read nobody is gone back to.
        let trust = inner.place.trust().unwrap_or_default();
        match inner.store.count_run(digest, &outcome, &used, &trust, &by) {
            Ok(None) => None,
            Ok(Some(reason)) => Some(inner.left(&version.manifest().name, version, &reason)),
            Err(error) => {
                inner.troubles.push(format!("the store of skills: {error}"));
                None
            }
        }
    }
}
