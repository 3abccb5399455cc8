//! The books on plugins out of a store, while a host runs: what each run has used, what its probation says, what it keeps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sinew_audit::Writer;
use sinew_plugin_host::{PluginHost, Usage as RunUsage};
use sinew_skill_store::{
    Access, By, Digest, Held, Memory, PATIENCE, RunOutcome, Standing, State, Store, SwapAt, Trust,
    Usage,
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
    /// The version with this digest was left for that one, if there is one: no task goes on with it.
    Left(Digest, Option<InstalledVersion>),
    /// Another version is active in the store, and can't be taken up: what runs goes on.
    NotTaken,
}

/// The books of one store.
pub(crate) struct Books(Mutex<Inner>);

struct Inner {
    place: StorePlace,
    store: Store,
    taking: Taking,
    clock: Clock,
    /// What runs here: digests by name.
    active: BTreeMap<String, Digest>,
    /// What is active in the store, ran here, and was revoked.
    distrusted: BTreeSet<Digest>,
    /// What of these, and why, is not in the store's history yet.
    unsaid: Vec<(Held, String, By)>,
    /// What was read of memory, and not written since. What was never read is not written.
    read: BTreeMap<String, Memory>,
    /// What is kept and not in the store yet.
    unkept: BTreeMap<String, Memory>,
    /// Ends that are not in the store yet, the oldest first.
    unbooked: VecDeque<Booking>,
    /// How many may still be booked in this step of the brain.
    to_book: usize,
    /// Versions whose fault is not in the store yet, where they are active still: nothing runs on them here.
    left_here: BTreeSet<Digest>,
    /// Versions that were left, of which nobody was told: the ends by which they were.
    left: Vec<Booking>,
    /// The last event that the audit log's writer was given.
    handed_over: i64,
    rollbacks: Vec<String>,
    troubles: Vec<String>,
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
    /// Opens them, for a host that runs the versions with the digests in `active`.
    pub(crate) fn open(
        place: StorePlace,
        host: PluginHost,
        admission: Admission,
        clock: Clock,
        active: BTreeMap<String, Digest>,
    ) -> anyhow::Result<Self> {
        let mut store = Store::open(&place.folder, Access::Change).map_err(trouble)?;
        (store.patience(PATIENCE_BESIDE_A_ROBOT)).map_err(trouble)?;
        Ok(Self(Mutex::new(Inner {
            taking: Taking::new(place.clone(), host, admission, clock.is_some()),
            place,
            store,
            clock,
            active,
            distrusted: BTreeSet::new(),
            unsaid: Vec::new(),
            read: BTreeMap::new(),
            unkept: BTreeMap::new(),
            unbooked: VecDeque::new(),
            to_book: BOOKED_IN_STEP,
            left_here: BTreeSet::new(),
            left: Vec::new(),
            handed_over: 0,
            rollbacks: Vec::new(),
            troubles: Vec::new(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every plugin out of the store keeps, by name. What can't be read is not known in this cycle, and stays as it is.
    pub(crate) fn memories(&self) -> BTreeMap<String, BTreeMap<String, Vec<u8>>> {
        let mut inner = self.inner();
        inner.keep_all();
        inner.read = match inner.store.memories() {
            Ok(mut all) => {
                all.retain(|name, _| inner.active.contains_key(name));
                for (name, there) in &mut all {
                    // What could not be written is what it keeps, all the same.
                    let unkept = inner.unkept.get(name);
                    if let Some(unkept) = unkept.filter(|unkept| unkept.epoch == there.epoch) {
                        there.entries.clone_from(&unkept.entries);
                    }
                }
                all
            }
            Err(error) => {
                inner.note(format!("what plugins have kept: {error}"));
                BTreeMap::new()
            }
        };
        (inner.read.iter())
            .map(|(name, memory)| (name.clone(), memory.entries.clone()))
            .collect()
    }

    /// Keeps what the plugins out of the store keep. What somebody has put back meanwhile stays; what can't be written is
    /// written the next time.
    pub(crate) fn keep_memories(&self, host: &PluginHost) {
        let mut inner = self.inner();
        for (name, read) in std::mem::take(&mut inner.read) {
            let entries = host.memory(&name);
            if entries != read.entries {
                let epoch = read.epoch;
                inner.unkept.insert(name, Memory { entries, epoch });
            }
        }
        inner.keep_all();
    }

    /// What became active since the last time, by somebody else or because an end was booked late. What can't be taken up is
    /// tried again.
    pub(crate) fn news(&self) -> Vec<News> {
        let mut inner = self.inner();
        inner.book_in_step();
        let mut news = inner.news_of_left();
        match inner.store.active() {
            Ok(active) => news.extend(inner.compare(active)),
            Err(error) => inner.note(error.to_string()),
        }
        news
    }

    /// Whether a version of this name is active in the store, and may become active here as soon as it can be taken up.
    pub(crate) fn awaits(&self, name: &str) -> bool {
        let mut inner = self.inner();
        let held = inner.held(name);
        held.is_some_and(|held| {
            !inner.distrusted.contains(&held.digest) && !inner.left_here.contains(&held.digest)
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

    /// The robot rests: from now on it waits for others as long as anybody.
    pub(crate) fn be_patient(&self) {
        let mut inner = self.inner();
        if let Err(error) = inner.store.patience(PATIENCE) {
            inner.note(error.to_string());
        }
    }

    /// Versions that were left, and what could not be done, since the last time.
    pub(crate) fn take_words(&self) -> (Vec<String>, Vec<String>) {
        let mut inner = self.inner();
        (
            std::mem::take(&mut inner.rollbacks),
            std::mem::take(&mut inner.troubles),
        )
    }
}

fn at(at: SwapAt) -> TaskSwapAt {
    match at {
        SwapAt::NextTask => TaskSwapAt::NextTask,
        SwapAt::SafePoint => TaskSwapAt::SafePoint,
        SwapAt::Now => TaskSwapAt::Now,
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
        match self.place.trust() {
            Ok(trust) => Some(trust),
            Err(error) => {
                self.note(format!("{error:#}"));
                None
            }
        }
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
        for _ in 0..most {
            let Some(booking) = self.unbooked.pop_front() else {
                return true;
            };
            let trust = self.trust();
            let Booking {
                digest,
                outcome,
                used,
                by,
                ..
            } = &booking;
            match (self.store).count_run(*digest, outcome, used, trust.as_ref(), by) {
                Ok(None) => {}
                Ok(Some(reason)) => {
                    let back = self.words_of_back(&booking.name);
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
                    return false;
                }
            }
        }
        true
    }

    /// A fault on probation that can't be booked now: nothing runs on that version here any more, and the store learns of it later.
    fn leave_unbooked(&mut self, digest: Digest) -> Option<Left> {
        let is_fault = |booking: &&Booking| {
            booking.digest == digest && matches!(booking.outcome, RunOutcome::Faulted(_))
        };
        let (name, version, outcome) = (self.unbooked.iter().find(is_fault))
            .map(|at| (at.name.clone(), at.version.clone(), at.outcome.clone()))?;
        let is_on_trial = |held: &Held| {
            let standing = match held.state {
                State::Active { standing, .. } => standing,
                _ => return false,
            };
            held.digest == digest && matches!(standing, Standing::Probation { .. })
        };
        if !self.held(&name).as_ref().is_some_and(is_on_trial) || !self.left_here.insert(digest) {
            return None;
        }
        self.active.remove(&name);
        let before = match self.store.all() {
            Ok(all) => all
                .into_iter()
                .find(|held| held.name == name && held.state == State::LastGood),
            Err(error) => {
                self.note(error.to_string());
                None
            }
        };
        let back = match &before {
            Some(before) => format!("back to {}", before.version),
            None => "nothing is active instead".to_owned(),
        };
        if let RunOutcome::Faulted(why) = outcome {
            self.rollbacks.push(format!(
                "{name} {version}: {why}; {back}, in this run only as long as the store can't be changed"
            ));
        }
        let instead = before.and_then(|before| self.take_up(before));
        // What it had kept before it ran.
        let memory = self.read.get(&name);
        Some(Left {
            instead,
            memory: memory.map_or_else(BTreeMap::new, |memory| memory.entries.clone()),
        })
    }

    /// Writes what is to be kept. What is left over is written the next time.
    fn keep_all(&mut self) {
        for (name, memory) in std::mem::take(&mut self.unkept) {
            let kept = (self.store).keep_memory(&name, memory.epoch, &memory.entries);
            if let Err(error) = kept {
                self.note(format!("the memory of {name}: {error}"));
                self.unkept.insert(name, memory);
            }
        }
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

    fn held(&mut self, name: &str) -> Option<Held> {
        match self.store.active() {
            Ok(active) => active.into_iter().find(|held| held.name == name),
            Err(error) => {
                self.note(error.to_string());
                None
            }
        }
    }

    fn words_of_back(&mut self, name: &str) -> String {
        match self.held(name) {
            Some(held) => format!("back to {}", held.version),
            None => "nothing is active instead".to_owned(),
        }
    }

    /// What runs here instead of a version that was left; what can't be taken up now is among the news once it can.
    fn go_back(&mut self, name: &str) -> Option<InstalledVersion> {
        self.active.remove(name);
        let held = self.held(name)?;
        self.take_up(held)
    }

    fn take_up(&mut self, held: Held) -> Option<InstalledVersion> {
        match self.taking.take(&self.store, &held) {
            Ok(version) => {
                self.active.insert(held.name, held.digest);
                Some(version)
            }
            Err(why) => {
                if let Some(why) = why {
                    self.note(format!("{held} can't be gone back to yet: {why}"));
                }
                None
            }
        }
    }

    /// The memory that was put back for whoever is active now.
    fn read_again(&mut self, name: &str) -> BTreeMap<String, Vec<u8>> {
        match self.store.memory(name) {
            Ok(memory) => {
                self.read.insert(name.to_owned(), memory.clone());
                memory.entries
            }
            Err(error) => {
                self.note(format!("the memory of {name}: {error}"));
                self.read.remove(name);
                BTreeMap::new()
            }
        }
    }

    /// What has become of versions that were left when nobody waited for it. Who runs instead has the memory that was put back
    /// from the next cycle on: until then the one that was left may still write into it.
    fn news_of_left(&mut self) -> Vec<News> {
        let left = std::mem::take(&mut self.left);
        (left.into_iter())
            .map(|booking| News {
                what: NewsOf::Left(booking.digest, self.go_back(&booking.name)),
                words: format!("{} {} was left", booking.name, booking.version),
                name: booking.name,
            })
            .collect()
    }

    /// Revoked while it ran here: no task begins with it any more. One that runs comes to its end, as if it had been replaced.
    fn distrust(&mut self, held: Held, why: &str) -> News {
        let words = format!("no task begins with it any more: {why}");
        self.note(words.clone());
        self.unsaid
            .push((held.clone(), why.to_owned(), by(self.clock)));
        self.active.remove(&held.name);
        self.distrusted.insert(held.digest);
        News {
            name: held.name,
            what: NewsOf::Gone,
            words,
        }
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
                what: NewsOf::Gone,
                name,
            });
        }
        (self.left_here).retain(|left| active.iter().any(|held| held.digest == *left));
        let trust = (!active.is_empty()).then(|| self.trust()).flatten();
        for held in active {
            if self.left_here.contains(&held.digest) {
                continue;
            }
            let State::Active { swap_at, .. } = held.state else {
                continue;
            };
            // Without a trust file that can be read nothing is known, and nothing is taken up.
            let distrust = (trust.as_ref()).and_then(|trust| held.check_trust(trust).err());
            let runs = self.active.get(&held.name) == Some(&held.digest);
            match distrust {
                Some(error) if runs => {
                    news.push(self.distrust(held, &error.to_string()));
                    continue;
                }
                Some(_) if self.distrusted.contains(&held.digest) => continue,
                _ if runs => continue,
                None if trust.is_none() && self.distrusted.contains(&held.digest) => continue,
                _ => self.distrusted.remove(&held.digest),
            };
            let (what, words) = match self.taking.take(&self.store, &held) {
                Ok(version) => {
                    self.active.insert(held.name.clone(), held.digest);
                    let what = NewsOf::Version(version, at(swap_at));
                    (what, format!("{held} was made active"))
                }
                Err(Some(why)) => {
                    let words = format!("{held} was made active and can't be taken up yet: {why}");
                    self.note(words.clone());
                    (NewsOf::NotTaken, words)
                }
                Err(None) => continue,
            };
            news.push(News {
                name: held.name,
                what,
                words,
            });
        }
        news
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
        self.inner().to_book = BOOKED_IN_STEP;
    }

    fn book(
        &self,
        version: &InstalledVersion,
        account: &Account,
        usage: &RunUsage,
    ) -> Option<Left> {
        let mut inner = self.inner();
        let booking = Booking::of(version, account, usage, inner.clock)?;
        let digest = booking.digest;
        inner.unbooked.push_back(booking);
        inner.book_in_step();
        let is_this = |left: &Booking| left.digest == digest;
        let Some(at) = inner.left.iter().position(is_this) else {
            return inner.leave_unbooked(digest);
        };
        let name = inner.left.remove(at).name;
        Some(Left {
            instead: inner.go_back(&name),
            memory: inner.read_again(&name),
        })
    }
}
