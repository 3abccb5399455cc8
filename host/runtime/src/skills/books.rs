//! The books on plugins out of a store, while a host runs: what each run has used, what its probation says, what it keeps.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sinew_audit::Writer;
use sinew_plugin_host::{PluginHost, Usage as RunUsage};
use sinew_skill_store::{Access, By, Digest, Held, RunOutcome, State, Store, SwapAt, Usage};
use sinew_tasks::{
    Account, Bookkeeper, InstalledVersion, Left, SwapAt as TaskSwapAt, Version as _,
};

use super::loading::of as from_store;
use super::{StorePlace, telling, trouble};
use crate::trouble::input;

/// Who books: it stands in the audit log.
const ACTOR: &str = "sinew run";

/// What a plugin keeps.
type Memory = BTreeMap<String, Vec<u8>>;

/// What somebody has changed meanwhile.
pub(crate) struct News {
    pub(crate) name: String,
    /// What is active now; `None`: nothing of that name.
    pub(crate) version: Option<InstalledVersion>,
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
    /// What runs: digests by name.
    active: BTreeMap<String, Digest>,
    rollbacks: Vec<String>,
    troubles: Vec<String>,
}

impl Books {
    /// Opens them. `unix_ms`: now, where a clock runs.
    pub(crate) fn open(
        place: StorePlace,
        host: PluginHost,
        unix_ms: Option<u64>,
    ) -> anyhow::Result<Self> {
        let store = Store::open(&place.folder, Access::Change).map_err(trouble)?;
        let active = active(&store)?;
        Ok(Self(Mutex::new(Inner {
            active,
            place,
            store,
            host,
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
        let inner = self.inner();
        let names = inner.active.keys();
        let memories = names.map(|name| Ok((name.clone(), inner.store.memory(name)?)));
        memories.collect::<Result<_, _>>().map_err(trouble)
    }

    /// Keeps what the plugins out of the store keep.
    pub(crate) fn keep_memories(&self, host: &PluginHost) -> anyhow::Result<()> {
        let mut inner = self.inner();
        let names: Vec<String> = inner.active.keys().cloned().collect();
        for name in names {
            let now = host.memory(&name);
            if inner.store.memory(&name).map_err(trouble)? != now {
                inner.store.keep_memory(&name, &now).map_err(trouble)?;
            }
        }
        Ok(())
    }

    /// What somebody else has made active since the last time. A version that can't be loaded is not taken up: what runs goes
    /// on, and the report says so.
    pub(crate) fn news(&self) -> anyhow::Result<Vec<News>> {
        let mut inner = self.inner();
        let mut news = Vec::new();
        let active = inner.store.active().map_err(trouble)?;
        let gone = |name: &String| !active.iter().any(|held| held.name == *name);
        let gone: Vec<String> = inner
            .active
            .keys()
            .filter(|name| gone(name))
            .cloned()
            .collect();
        for name in gone {
            inner.active.remove(&name);
            news.push(News {
                words: format!("{name} is not active any more"),
                version: None,
                at: TaskSwapAt::NextTask,
                name,
            });
        }
        for held in active {
            let State::Active { swap_at, .. } = held.state else {
                continue;
            };
            let before = inner.active.insert(held.name.clone(), held.digest);
            if before == Some(held.digest) {
                continue;
            }
            match inner.load(&held) {
                Ok(version) => news.push(News {
                    version: Some(version),
                    at: at(swap_at),
                    words: format!("{held} was made active"),
                    name: held.name,
                }),
                Err(error) => {
                    let words = format!("{held} was made active and can't be loaded: {error:#}");
                    inner.troubles.push(words);
                }
            }
        }
        Ok(news)
    }

    /// Tells the audit log what happened. What can't be written is told the next time.
    pub(crate) fn tell(&self, log: &Writer) -> anyhow::Result<()> {
        telling::tell_writer(&mut self.inner().store, log)
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
        (loaded.version(&self.host)).map_err(|error| input(error.to_string()))
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
        match inner.store.count_run(digest, &outcome, &used, &by) {
            Ok(None) => None,
            Ok(Some(reason)) => Some(inner.left(&version.manifest().name, version, &reason)),
            Err(error) => {
                inner.troubles.push(format!("the store of skills: {error}"));
                None
            }
        }
    }
}
