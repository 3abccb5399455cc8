//! The books on plugins out of a store, while a host runs: what each run has used, what its probation says, what it keeps.

mod active;
mod leaving;
mod memories;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sinew_audit::Writer;
use sinew_plugin_host::{PluginHost, Usage as RunUsage};
use sinew_skill_store::{
    Access, By, Digest, Held, Memory, MemoryOf, PATIENCE, RunOutcome, Standing, State, Store,
    Trust, Usage,
};
use sinew_tasks::{
    Account, Bookkeeper, InstalledVersion, Left, SwapAt as TaskSwapAt, Version as _,
};

use super::taking::{Admission, Taking};
use super::{StorePlace, telling, trouble};

/// Who books: it stands in the audit log.
const ACTOR: &str = "sinew run";
/// How long booking waits for somebody else who changes the store, for the lock and for the database each: whoever books stands
/// beside a robot that works, and what can't be booked now is booked later.
const PATIENCE_BESIDE_A_ROBOT: Duration = Duration::from_millis(5);
/// Ends that are booked in one step of the brain, however many runs end in it; what is left over is made up for later.
const BOOKED_IN_STEP: usize = 2;

const NOTHING_INSTEAD: &str = "nothing is active instead";

/// The time of day, where a clock runs: milliseconds since 1970.
pub(crate) type Clock = Option<fn() -> u64>;

/// What has changed in the store meanwhile.
pub(crate) struct News {
    pub(crate) name: String,
    pub(crate) what: NewsOf,
    pub(crate) words: String,
}

/// Of what.
pub(crate) enum NewsOf {
    /// Another version is active now, and tasks that run go over to it.
    Version(InstalledVersion, TaskSwapAt),
    /// Nothing of that name is active any more.
    Gone,
    /// The version with this digest was left: no task goes on with it.
    Left(Digest, Left),
    /// Another version is active in the store, and can't be taken up: what runs goes on.
    NotTaken,
}

/// In words.
pub(crate) fn no_version_is_active(name: &str) -> String {
    format!("no version of `{name}` is active any more")
}

/// The books of one store.
pub(crate) struct Books(Mutex<Inner>);

struct Inner {
    place: StorePlace,
    store: Store,
    taking: Taking,
    clock: Clock,
    /// What runs here, by name.
    active: BTreeMap<String, Running>,
    /// What ran here and may not now, or may and can't be taken up: one that is not active in the store goes on if it can before
    /// what is active can be taken up.
    suspended: BTreeMap<String, Running>,
    /// What is active in the store, ran here, and was revoked: why.
    distrusted: BTreeMap<Digest, String>,
    /// What of these, and why, is not in the store's history yet.
    unsaid: Vec<(Held, String, By)>,
    /// What was read of memory, and not written since. What was never read is not written.
    read: BTreeMap<String, Memory>,
    /// What is kept and not in the store yet.
    unkept: BTreeMap<String, Unkept>,
    /// Ends that are not in the store yet, the oldest first.
    unbooked: VecDeque<Booking>,
    /// How many may still be booked in this step of the brain.
    to_book: usize,
    /// Versions, by name, that their ends have made unfit, which the store does not know yet: nothing runs on them here.
    left_here: BTreeMap<String, Digest>,
    /// What the store held when it could last be read, and whether that was tried in this step of the brain.
    known: Vec<Held>,
    has_looked: bool,
    /// Names whose memory the store has put back, and whose epoch could not be read since.
    without_epoch: BTreeSet<String>,
    /// Versions that were left, of which nobody was told: the ends by which they were.
    left: Vec<Booking>,
    /// The last event that the audit log's writer was given.
    handed_over: i64,
    rollbacks: Vec<String>,
    troubles: Vec<String>,
    /// Those that were told the last time.
    told: Vec<String>,
    /// An end could not be booked when it should have been.
    is_behind: bool,
}

/// What a plugin keeps when a cycle begins.
pub(crate) struct Begun {
    pub(crate) entries: BTreeMap<String, Vec<u8>>,
    /// Whose it is, if that is not in the store yet.
    pub(crate) of: Option<Digest>,
}

impl Begun {
    /// Tells the host that runs it.
    pub(crate) fn tell(self, name: &str, host: &PluginHost) {
        let of = self.of.map(|of| of.to_string());
        host.begin_memory(name, self.entries, of.as_deref());
    }
}

/// What a plugin keeps, to be written.
struct Unkept {
    memory: Memory,
    of: MemoryOf,
}

/// What runs here of a name.
struct Running {
    held: Held,
    /// How it stood when the store was last compared with what runs, and by its ends since: what others do meanwhile decides
    /// nothing.
    standing: Standing,
    /// What was good before it, then.
    before: Option<Held>,
    /// What that had kept, at the beginning of the cycle.
    memory_before: Option<BTreeMap<String, Vec<u8>>>,
}

/// An end that is to stand in the books.
struct Booking {
    name: String,
    version: String,
    digest: Digest,
    outcome: RunOutcome,
    used: Usage,
    by: By,
}

impl Books {
    /// Opens them, for a host that runs what it has loaded.
    pub(crate) fn open(
        place: StorePlace,
        host: PluginHost,
        admission: Admission,
        clock: Clock,
        loaded: &[Held],
    ) -> anyhow::Result<Self> {
        let store = Store::open(&place.folder, Access::Change).map_err(trouble)?;
        let known = store.all().map_err(trouble)?;
        let mut inner = Inner {
            taking: Taking::new(place.clone(), host, admission, clock.is_some()),
            place,
            store,
            clock,
            active: BTreeMap::new(),
            suspended: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            unsaid: Vec::new(),
            read: BTreeMap::new(),
            unkept: BTreeMap::new(),
            unbooked: VecDeque::new(),
            to_book: BOOKED_IN_STEP,
            left_here: BTreeMap::new(),
            known,
            has_looked: false,
            without_epoch: BTreeSet::new(),
            left: Vec::new(),
            handed_over: 0,
            rollbacks: Vec::new(),
            troubles: Vec::new(),
            told: Vec::new(),
            is_behind: false,
        };
        // What others have done since it was loaded is news.
        for held in loaded {
            inner.runs(held.clone());
        }
        Ok(Self(Mutex::new(inner)))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every plugin out of the store keeps, by name. What can't be read is not known in this cycle, and stays as it is.
    pub(crate) fn memories(&self) -> BTreeMap<String, Begun> {
        let mut inner = self.inner();
        inner.keep_all();
        inner.memories().unwrap_or_else(|error| {
            inner.read.clear();
            inner.note(format!("what plugins have kept: {error}"));
            BTreeMap::new()
        })
    }

    /// What a plugin keeps that is taken up while a robot works, if it was not read in this cycle.
    pub(crate) fn memory_of(&self, name: &str) -> Option<Begun> {
        let mut inner = self.inner();
        inner.keep_all();
        inner.memory_of(name).unwrap_or_else(|error| {
            inner.note(format!("the memory of {name}: {error}"));
            None
        })
    }

    /// Keeps what the plugins out of the store keep. What somebody has put back meanwhile stays; what can't be written is
    /// written the next time.
    pub(crate) fn keep_memories(&self, host: &PluginHost) {
        let mut inner = self.inner();
        for (name, read) in std::mem::take(&mut inner.read) {
            inner.keep(name, read, host);
        }
        inner.keep_all();
    }

    /// What became active since the last time, by somebody else or because an end was booked late. What can't be taken up is
    /// tried again.
    pub(crate) fn news(&self) -> Vec<News> {
        let mut inner = self.inner();
        inner.book_in_step();
        let mut news = inner.news_of_left();
        if inner.look() {
            news.extend(inner.compare());
        }
        news
    }

    /// Whether there is a version of this name that becomes active here as soon as it can be taken up.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn awaits(&self, name: &str) -> Result<(), String> {
        let mut inner = self.inner();
        inner.look();
        let held = (inner.wanted_of(name)).ok_or_else(|| no_version_is_active(name))?;
        let known = inner.distrusted.get(&held.digest).cloned();
        let why = match inner.clock {
            None => known,
            // Where a clock runs, what the file says now counts, and if it can't be read there is time to mend it.
            Some(_) => (inner.place.trust().ok())
                .and_then(|trust| held.check_trust(&trust).err())
                .map(|error| error.to_string()),
        };
        why.map_or(Ok(()), |why| {
            Err(format!("no task begins with it any more: {why}"))
        })
    }

    /// Tells the audit log what happened. What can't be written is told the next time.
    pub(crate) fn tell(&self, log: &Writer) {
        let mut inner = self.inner();
        inner.book(usize::MAX);
        inner.keep_all();
        inner.say_all();
        let Inner {
            store, handed_over, ..
        } = &mut *inner;
        if let Err(error) = telling::tell_writer(store, log, handed_over) {
            inner.note(format!("{error:#}"));
        }
    }

    /// A robot works from now on. Nobody waits under virtual time: there what others do to the store decides nothing.
    pub(crate) fn be_quick(&self) {
        if self.inner().clock.is_some() {
            self.wait_at_most(PATIENCE_BESIDE_A_ROBOT);
        }
    }

    /// Why nothing can be written into them, if that is so.
    pub(crate) fn would_not_keep(&self) -> Option<String> {
        let mut inner = self.inner();
        let folder = inner.place.folder.clone();
        let access = rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK);
        let access = access.map_err(|error| format!("{}: {error}", folder.display()));
        let written = access.and_then(|()| {
            let written = inner.store.try_writing();
            written.map_err(|error| error.to_string())
        });
        written.err()
    }

    /// The robot rests: from now on it waits for others as long as anybody.
    pub(crate) fn be_patient(&self) {
        self.wait_at_most(PATIENCE);
    }

    pub(super) fn wait_at_most(&self, patience: Duration) {
        let mut inner = self.inner();
        if let Err(error) = inner.store.patience(patience) {
            inner.note(error.to_string());
        }
    }

    /// Versions that were left, and what could not be done, since the last time. What lasts is told once.
    pub(crate) fn take_words(&self) -> (Vec<String>, Vec<String>) {
        let mut inner = self.inner();
        let mut new = std::mem::take(&mut inner.troubles);
        let told = std::mem::replace(&mut inner.told, new.clone());
        new.retain(|trouble| !told.contains(trouble));
        (std::mem::take(&mut inner.rollbacks), new)
    }

    /// What the store has not learned by the end, and what to do about it; nobody books any more.
    pub(crate) fn lost(&self) -> Vec<String> {
        let inner = self.inner();
        let mut lost = Vec::new();
        if !inner.unbooked.is_empty() {
            lost.push(format!(
                "the ends of {} runs are not booked, and count in no probation",
                inner.unbooked.len()
            ));
        }
        for (name, digest) in &inner.left_here {
            let left = inner.known.iter().find(|held| held.digest == *digest);
            let has_before = (inner.known.iter())
                .any(|held| held.name == *name && held.state == State::LastGood);
            let mut help = String::new();
            if left.is_some_and(|left| left.pinned) {
                help.push_str(&format!("sinew skill pin {name} --off --actor NAME, and "));
            }
            help.push_str(&match left {
                Some(left) if !has_before => {
                    format!(
                        "sinew skill remove {name}@{} --active --actor NAME",
                        left.version
                    )
                }
                _ => format!("sinew skill rollback {name} --actor NAME"),
            });
            lost.push(format!(
                "the store does not know that the active version of {name} was left, so the next run begins with it: {help}"
            ));
        }
        let unkept = inner
            .unkept
            .keys()
            .filter(|name| !inner.left_here.contains_key(*name));
        lost.extend(unkept.map(|name| format!("what {name} kept in the end is not in the store")));
        lost
    }
}

impl Inner {
    /// A trouble that lasts is told once.
    fn note(&mut self, trouble: String) {
        if !self.troubles.contains(&trouble) {
            self.troubles.push(trouble);
        }
    }

    fn trust(&mut self) -> Option<Trust> {
        (self.place.trust())
            .inspect_err(|error| self.note(format!("{error:#}")))
            .ok()
    }

    /// Books as much as there is room for in this step of the brain.
    fn book_in_step(&mut self) {
        let most = std::mem::take(&mut self.to_book);
        let (before, is_done) = (self.unbooked.len(), self.book(most));
        if is_done {
            self.to_book = most.saturating_sub(before - self.unbooked.len());
        }
    }

    /// Books what is to be booked, in order, until the store can't be changed; at most that many. What is left over is booked the
    /// next time. False if the store could not be changed.
    fn book(&mut self, most: usize) -> bool {
        let is_done = self.book_some(most);
        if is_done && self.unbooked.is_empty() && std::mem::take(&mut self.is_behind) {
            self.note(
                "the ends of runs that were not booked when they should have been are booked now"
                    .to_owned(),
            );
        }
        is_done
    }

    fn book_some(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some(booking) = self.unbooked.pop_front() else {
                return true;
            };
            if self.waits_for_memory(&booking.name) {
                self.unbooked.push_front(booking);
                self.is_behind = true;
                return false;
            }
            let trust = self.trust();
            let Booking {
                digest,
                outcome,
                used,
                by,
                ..
            } = &booking;
            match (self.store).count_run(*digest, outcome, used, trust.as_ref(), by) {
                Ok(None) => self.keep_on(&booking),
                Ok(Some(_)) if self.is_left_here(&booking) => self.store_has_left(&booking.name),
                Ok(Some(reason)) => {
                    self.look();
                    // If it could not be looked into, the one that was left is what is known.
                    let held = self.wanted_of(&booking.name);
                    let back = match held.filter(|held| held.digest != booking.digest) {
                        Some(held) => format!("back to {}", held.version),
                        None => NOTHING_INSTEAD.to_owned(),
                    };
                    let Booking { name, version, .. } = &booking;
                    self.rollbacks
                        .push(format!("{name} {version}: {reason}; {back}"));
                    self.left.push(booking);
                }
                Err(error) => {
                    self.note(format!(
                        "ends of runs were not booked when they should have been, and what is not booked counts in no probation: {error}"
                    ));
                    self.unbooked.push_front(booking);
                    self.is_behind = true;
                    return false;
                }
            }
        }
        true
    }

    /// Writes down what was found revoked. What is left over is written the next time.
    fn say_all(&mut self) {
        for (held, why, by) in std::mem::take(&mut self.unsaid) {
            if let Err(error) = self.store.note_distrust(&held, &why, &by) {
                self.note(format!("the store of skills: {error}"));
                self.unsaid.push((held, why, by));
            }
        }
    }
}

impl Booking {
    /// `None`: it is of no version out of a store.
    fn of(
        version: &InstalledVersion,
        account: &Account,
        usage: &RunUsage,
        clock: Clock,
    ) -> Option<Self> {
        Some(Self {
            name: version.manifest().name.clone(),
            version: version.manifest().version.clone(),
            digest: version.digest().parse().ok()?,
            outcome: match account {
                Account::Succeeded => RunOutcome::Succeeded,
                Account::Failed => RunOutcome::Failed,
                Account::Faulted(why) => RunOutcome::Faulted(why.clone()),
                Account::Ended => RunOutcome::Ended,
            },
            used: Usage {
                cpu_ns: usage.cpu_ns,
                fuel: usage.fuel,
                calls: usage.calls,
                denials: usage.denials,
                deadline_misses: usage.overruns,
                memory_peak_bytes: usage.memory_peak_bytes,
                ..Usage::default()
            },
            by: by(clock),
        })
    }
}

/// Who books, and when.
fn by(clock: Clock) -> By {
    By {
        actor: ACTOR.to_owned(),
        unix_ms: clock.map(|now| now()),
    }
}

impl Bookkeeper for Books {
    fn begin_step(&self) {
        let mut inner = self.inner();
        (inner.to_book, inner.has_looked) = (BOOKED_IN_STEP, false);
    }

    fn book(
        &self,
        version: &InstalledVersion,
        account: &Account,
        usage: &RunUsage,
    ) -> Option<Left> {
        let mut inner = self.inner();
        let booking = Booking::of(version, account, usage, inner.clock)?;
        let (name, digest) = (booking.name.clone(), booking.digest);
        let unfit = inner.judge_end(&booking);
        inner.unbooked.push_back(booking);
        inner.book_in_step();
        let is_this = |left: &Booking| left.digest == digest;
        match inner.left.iter().position(is_this) {
            Some(at) => {
                inner.left.remove(at);
                Some(inner.left_by_store(&name, digest))
            }
            None => unfit.map(|why| inner.leave(&name, digest, &why)),
        }
    }
}
