//! Taking up what became active in a store while a host runs.

use std::collections::BTreeMap;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use sinew_plugin_host::{Grants, PluginHost};
use sinew_skill_store::{Access, Digest, Held, Store};
use sinew_tasks::{InstalledVersion, Version as _};

use super::loading::{FromStore, read, read_or_compile};
use super::requirements::{Provided, missing, unknown_class};
use super::{StorePlace, trouble};
use crate::trouble::input;

/// How long it takes until something that can't be taken up is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What a version has to meet.
pub(crate) struct Admission {
    /// What it may have.
    pub(crate) grants: Grants,
    /// What the cell has.
    pub(crate) provided: Provided,
}

/// Takes versions up.
pub(super) struct Taking {
    place: StorePlace,
    /// It shares its engine with the host that runs what is loaded here.
    host: PluginHost,
    admission: Admission,
    /// Nobody may wait here: a robot works beside it.
    is_real_time: bool,
    /// Versions whose machine code is made anew.
    making: BTreeMap<Digest, JoinHandle<anyhow::Result<FromStore>>>,
    /// What could not be taken up.
    waiting: BTreeMap<Digest, Waiting>,
}

struct Waiting {
    why: String,
    /// When it is tried again; `None`: the next time that somebody asks.
    again: Option<Instant>,
}

impl Taking {
    pub(super) fn new(
        place: StorePlace,
        host: PluginHost,
        admission: Admission,
        is_real_time: bool,
    ) -> Self {
        Self {
            place,
            host,
            admission,
            is_real_time,
            making: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Takes a version up.
    ///
    /// # Errors
    /// Why it can't be now; `None` if that was said before.
    pub(super) fn take(
        &mut self,
        store: &Store,
        held: &Held,
    ) -> Result<InstalledVersion, Option<String>> {
        if let Some(waiting) = self.waiting.remove(&held.digest) {
            if waiting.again.is_some_and(|again| Instant::now() < again) {
                self.waiting.insert(held.digest, waiting);
                return Err(None);
            }
            return (self.load(store, held)).map_err(|error| {
                let why = self.wait(held, &error);
                (why != waiting.why).then_some(why)
            });
        }
        (self.load(store, held)).map_err(|error| Some(self.wait(held, &error)))
    }

    fn wait(&mut self, held: &Held, error: &anyhow::Error) -> String {
        let why = format!("{error:#}");
        let is_made = self.making.contains_key(&held.digest);
        let waiting = Waiting {
            why: why.clone(),
            again: (self.is_real_time && !is_made).then(|| Instant::now() + AGAIN_AFTER),
        };
        self.waiting.insert(held.digest, waiting);
        why
    }

    fn load(&mut self, store: &Store, held: &Held) -> anyhow::Result<InstalledVersion> {
        let loaded = if self.is_real_time {
            self.read_at_once(store, held)?
        } else {
            let trust = self.place.trust()?;
            read_or_compile(&self.place, store, held, &trust, &self.host.code_for())?
        };
        let version = if self.is_real_time {
            // Nothing is written to a disk while a robot waits.
            loaded.version_in_memory(&self.host)
        } else {
            loaded.version(&self.host)
        };
        let version = version.map_err(|error| input(error.to_string()))?;
        let Admission { grants, provided } = &self.admission;
        loaded.check_consent(&version, grants)?;
        let missing = missing(version.manifest(), provided);
        if !missing.is_empty() {
            return Err(input(missing.join("; ")));
        }
        match unknown_class(&held.name, grants, provided) {
            Some(words) => Err(input(words)),
            None => Ok(version),
        }
    }

    /// Reads a version that has its machine code; where that is missing, it is made on a thread.
    fn read_at_once(&mut self, store: &Store, held: &Held) -> anyhow::Result<FromStore> {
        let made = match self.making.remove(&held.digest) {
            Some(thread) if !thread.is_finished() => {
                self.making.insert(held.digest, thread);
                return Err(is_made());
            }
            Some(thread) => {
                let made = thread.join();
                Some(made.map_err(|_| input("the thread that compiles it has failed"))??)
            }
            None => None,
        };
        // Whoever was revoked meanwhile is not taken up.
        let trust = self.place.trust()?;
        let there = read(&self.place, store, held, &trust, &self.host.code_for())?;
        if there.has_code() || self.place.examiner.is_empty() {
            return Ok(there);
        }
        if let Some(made) = made {
            return Ok(made);
        }
        self.making.insert(held.digest, self.make(held)?);
        Err(is_made())
    }

    fn make(&self, held: &Held) -> anyhow::Result<JoinHandle<anyhow::Result<FromStore>>> {
        let (place, held, code_for) = (self.place.clone(), held.clone(), self.host.code_for());
        let make = move || {
            let store = Store::open(&place.folder, Access::Read).map_err(trouble)?;
            read_or_compile(&place, &store, &held, &place.trust()?, &code_for)
        };
        Ok(Builder::new()
            .name("sinew-compile".to_owned())
            .spawn(make)?)
    }
}

fn is_made() -> anyhow::Error {
    input("its machine code is made anew, which takes a while")
}
