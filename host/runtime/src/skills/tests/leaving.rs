//! A version that its ends make unfit while the store can't be changed: it is left here first, and in the store later.

use std::fs::{self, File};
use std::time::Duration;

use rusqlite::Connection;
use sinew_audit::{WallClock, Writer};
use sinew_plugin_host::Usage as RunUsage;
use sinew_skill_store::SwapAt;
use sinew_tasks::{Account, Bookkeeper as _, InstalledVersion, Left};

use super::NAME;
use super::books::{Rig, keep, memory, number, version};
use crate::skills::{Books, NewsOf};

/// A host that runs 2.0.0, which is on probation, in a store that somebody else keeps.
struct Busy {
    rig: Rig,
    books: Books,
    second: InstalledVersion,
    lock: Option<File>,
}

impl Busy {
    fn new() -> Self {
        let mut rig = Rig::new();
        keep(&mut rig.shelf, "two");
        let books = rig.books(None, None);
        let second = version(books.news());
        assert_eq!(books.memories()[NAME].entries, memory("two"));
        let lock = File::open(rig.root().join("lock")).expect("it is there");
        lock.lock().expect("nobody else has it");
        books.wait_at_most(Duration::from_millis(5));
        Self {
            rig,
            books,
            second,
            lock: Some(lock),
        }
    }

    fn book(&self, account: &Account) -> Option<Left> {
        (self.books).book(&self.second, account, &RunUsage::default())
    }

    fn fault(&self) -> Option<Left> {
        self.book(&Account::Faulted("it trapped".to_owned()))
    }

    /// The store can be changed again, and a step of the brain begins.
    fn let_go(&mut self) {
        self.lock = None;
        self.books.begin_step();
    }

    fn active(&self) -> Option<String> {
        let active = self.rig.shelf.active()?;
        Some(active.version.to_string())
    }

    fn revoke_first(&self) {
        self.rig.revoke(&self.rig.shelf.good[0]);
    }

    fn revoke_nothing(&self) {
        fs::remove_file(self.rig.root().join("trust.toml")).expect("it is there");
    }
}

#[test]
fn a_fault_that_meets_a_busy_store_counts_at_once_and_is_booked_later() {
    let mut busy = Busy::new();
    let left = busy.fault().expect("a fault is never borne");
    assert_eq!(left.instead.as_ref().map(number), Some("1.0.0"));
    assert!(busy.fault().is_none(), "left once");
    assert!(busy.books.news().is_empty() && busy.books.news().is_empty());
    let (rollbacks, troubles) = busy.books.take_words();
    assert_eq!(
        rollbacks,
        [
            "sinew/kit-parts 2.0.0: it trapped; back to 1.0.0; the store is told of it when it can be changed"
        ]
    );
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert!(troubles[0].contains("is being changed by another sinew"));
    assert_eq!(busy.active().as_deref(), Some("2.0.0"));
    // If it ended here, that would be lost: whoever reads the report has to know.
    let lost = busy.books.lost();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost[0].contains("the ends of 2 runs are not booked"));
    assert!(lost[1].ends_with("sinew skill rollback sinew/kit-parts --actor NAME"));
    busy.let_go();
    assert!(busy.books.news().is_empty(), "it was told of, and left");
    assert_eq!(busy.active().as_deref(), Some("1.0.0"));
    assert!(busy.books.lost().is_empty());
    let (rollbacks, troubles) = busy.books.take_words();
    assert!(rollbacks.is_empty());
    assert_eq!(
        troubles,
        ["the ends of runs that were not booked when they should have been are booked now"]
    );
}

#[test]
fn it_goes_on_with_the_memory_from_before_and_what_it_writes_is_not_lost() {
    let mut busy = Busy::new();
    let left = busy.fault().expect("a fault is never borne");
    assert_eq!(left.memory, memory("one"));
    busy.rig.host.set_memory(NAME, memory("one, later"));
    busy.books.keep_memories(&busy.rig.host);
    assert_eq!(busy.rig.kept(), memory("two"), "it can't be written");
    // Another cycle begins.
    assert_eq!(busy.books.memories()[NAME].entries, memory("one, later"));
    assert_eq!(
        busy.rig.kept(),
        memory("two"),
        "nor is it written over that"
    );
    busy.let_go();
    busy.books.news();
    assert_eq!(busy.rig.kept(), memory("one"), "it is what was put back");
    busy.rig.host.set_memory(NAME, memory("one, at last"));
    busy.books.keep_memories(&busy.rig.host);
    assert_eq!(busy.rig.kept(), memory("one, at last"));
    assert_eq!(busy.books.memories()[NAME].entries, memory("one, at last"));
}

#[test]
fn what_was_kept_between_two_cycles_is_written_once_the_store_has_left_it() {
    let mut busy = Busy::new();
    busy.fault().expect("a fault is never borne");
    busy.rig.host.set_memory(NAME, memory("one, later"));
    busy.books.keep_memories(&busy.rig.host);
    busy.let_go();
    let path = busy.rig.folder.path().join("audit.jsonl");
    let log = Writer::open(&path, WallClock::VirtualTime).expect("a log");
    busy.books.tell(&log);
    assert_eq!(busy.rig.kept(), memory("one, later"));
}

#[test]
fn a_cycle_without_a_word_keeps_the_memory_from_before() {
    let busy = Busy::new();
    // What the other one has kept and could not be written is its own.
    busy.rig.host.set_memory(NAME, memory("two, later"));
    busy.books.keep_memories(&busy.rig.host);
    assert_eq!(busy.books.memories()[NAME].entries, memory("two, later"));
    busy.fault().expect("a fault is never borne");
    busy.rig.host.set_memory(NAME, memory("one"));
    busy.books.keep_memories(&busy.rig.host);
    assert_eq!(busy.books.memories()[NAME].entries, memory("one"));
}

#[test]
fn an_end_that_is_to_be_booked_before_it_counts_before_it() {
    let mut busy = Busy::new();
    // It was proven by this, whether the store knows it yet or not.
    assert!(busy.book(&Account::Succeeded).is_none());
    assert!(busy.fault().is_none());
    busy.let_go();
    assert!(busy.books.news().is_empty());
    assert_eq!(busy.active().as_deref(), Some("2.0.0"));
}

#[test]
fn what_can_not_be_gone_back_to_at_once_is_gone_back_to_later() {
    let busy = Busy::new();
    let artifact = (busy.rig).file("artifacts", &busy.rig.shelf.good[0], "wasm");
    let aside = busy.rig.folder.path().join("aside");
    fs::rename(&artifact, &aside).expect("it is there");
    let left = busy.fault().expect("a fault is never borne");
    assert!(left.instead.is_none());
    assert_eq!(busy.books.awaits(NAME), Ok(()));
    let (rollbacks, _) = busy.books.take_words();
    assert!(
        rollbacks[0].contains("back to 1.0.0, once it can be taken up"),
        "{rollbacks:?}"
    );
    fs::rename(&aside, &artifact).expect("it is there");
    let news = busy.books.news();
    let words = &news[0].words;
    assert!(
        words.starts_with("sinew/kit-parts 1.0.0 (") && words.ends_with(" is gone back to"),
        "{words}"
    );
    assert_eq!(number(&version(news)), "1.0.0");
    assert_eq!(busy.active().as_deref(), Some("2.0.0"), "it is busy still");
}

#[test]
fn what_is_revoked_is_not_gone_back_to() {
    let busy = Busy::new();
    busy.revoke_first();
    let left = busy.fault().expect("a fault is never borne");
    assert!(left.instead.is_none());
    let (_, troubles) = busy.books.take_words();
    assert!(
        troubles
            .iter()
            .any(|words| words.contains("revoked: unsafe")),
        "{troubles:?}"
    );
    busy.revoke_nothing();
    assert_eq!(number(&version(busy.books.news())), "1.0.0");
    busy.revoke_first();
    let news = busy.books.news();
    assert!(matches!(news[0].what, NewsOf::Gone), "{}", news[0].words);
    assert!(news[0].words.contains("no task begins with it any more"));
    let why = busy.books.awaits(NAME).expect_err("it may not run");
    assert!(why.contains("revoked: unsafe"), "{why}");
}

#[test]
fn a_store_that_can_not_be_read_bears_no_fault_either() {
    let busy = Busy::new();
    let database = busy.rig.root().join("state.sqlite");
    let sound = fs::read(&database).expect("it is there");
    fs::write(&database, vec![7; sound.len()]).expect("it can be written");
    assert!(busy.fault().is_some());
    fs::write(&database, sound).expect("it can be written");
    let news = busy.books.news();
    assert_eq!(number(&version(news)), "1.0.0");
}

#[test]
fn what_a_person_decides_meanwhile_counts() {
    let mut busy = Busy::new();
    busy.fault().expect("a fault is never borne");
    busy.rig.host.set_memory(NAME, memory("one, later"));
    busy.books.keep_memories(&busy.rig.host);
    busy.lock = None;
    // Nothing is booked before somebody has gone back by hand.
    let back = busy.rig.shelf.store.roll_back(
        NAME,
        "slow",
        &sinew_skill_store::Trust::default(),
        &super::by(),
    );
    back.expect("nothing speaks against it");
    busy.books.begin_step();
    busy.books.news();
    assert_eq!(busy.active().as_deref(), Some("1.0.0"));
    assert_eq!(busy.books.memories()[NAME].entries, memory("one"));
    assert_eq!(busy.rig.kept(), memory("one"));
}

#[test]
fn what_was_put_back_to_what_it_was_is_not_what_could_not_be_written() {
    let mut busy = Busy::new();
    busy.fault().expect("a fault is never borne");
    busy.rig.host.set_memory(NAME, memory("one, later"));
    busy.books.keep_memories(&busy.rig.host);
    assert_eq!(busy.books.memories()[NAME].entries, memory("one, later"));
    busy.let_go();
    busy.books.news();
    busy.rig.host.set_memory(NAME, memory("one"));
    busy.books.keep_memories(&busy.rig.host);
    assert_eq!(busy.rig.kept(), memory("one"));
    assert_eq!(busy.books.memories()[NAME].entries, memory("one"));
}

fn fault(books: &Books, version: &InstalledVersion) -> Option<Left> {
    let fault = Account::Faulted("it trapped".to_owned());
    books.book(version, &fault, &RunUsage::default())
}

/// Somebody else writes into the database: it can be read all the same.
fn write_lock(rig: &Rig) -> Connection {
    let other = Connection::open(rig.root().join("state.sqlite")).expect("it is there");
    let begun = other.execute_batch("BEGIN IMMEDIATE");
    begun.expect("nobody else writes");
    other
}

#[test]
fn what_the_one_before_could_not_write_is_its_own() {
    let rig = Rig::new();
    let [first, second] = [0, 1].map(|n| rig.shelf.good[n].clone());
    let books = rig.books(Some(&first), None);
    books.memories();
    rig.host.set_memory(NAME, memory("one, later"));
    let lock = write_lock(&rig);
    books.wait_at_most(Duration::from_millis(5));
    books.keep_memories(&rig.host);
    assert_eq!(rig.kept(), memory("one"), "it can't be written");
    let taken = version(books.news());
    let begun = books.memories().remove(NAME).expect("it runs");
    assert_eq!(begun.entries, memory("one, later"));
    assert_eq!(begun.of, Some(first.digest));
    begun.tell(NAME, &rig.host);
    let _run = rig.begin(&second);
    rig.host.set_memory(NAME, memory("two"));
    // Twice over, while nobody can write.
    books.keep_memories(&rig.host);
    assert_eq!(books.memories()[NAME].entries, memory("two"));
    let left = fault(&books, &taken).expect("a fault is never borne");
    assert_eq!(left.memory, memory("one, later"));
    assert_eq!(left.back_to, Some(first.digest.to_string()));
    rig.put_back(&taken, left);
    books.keep_memories(&rig.host);
    drop(lock);
    books.begin_step();
    books.news();
    assert_eq!(books.memories()[NAME].entries, memory("one, later"));
    assert_eq!(rig.kept(), memory("one, later"));
    assert_eq!(
        rig.shelf.active().map(|held| held.digest),
        Some(first.digest)
    );
}

#[test]
fn what_could_not_be_written_is_written_before_the_version_is_left() {
    let rig = Rig::new();
    let first = rig.shelf.good[0].clone();
    let books = rig.books(Some(&first), None);
    books.memories();
    rig.host.set_memory(NAME, memory("one, later"));
    let lock = write_lock(&rig);
    books.wait_at_most(Duration::from_millis(5));
    books.keep_memories(&rig.host);
    let taken = version(books.news());
    drop(lock);
    books.begin_step();
    let left = fault(&books, &taken).expect("a fault is never borne");
    assert_eq!(left.memory, memory("one, later"));
    assert_eq!(
        rig.shelf.active().map(|held| held.digest),
        Some(first.digest)
    );
    assert_eq!(rig.kept(), memory("one, later"));
}

/// What is typed while a cycle runs under virtual time decides nothing in it.
#[test]
fn a_fault_counts_whatever_others_have_made_active_meanwhile() {
    type Typed = fn(&mut Rig);
    let typed: [(Typed, &str); 4] = [
        (|_| (), "back to 1.0.0"),
        (
            |rig| {
                let third = rig.shelf.good[2].clone();
                rig.shelf.activate(&third, SwapAt::Now);
            },
            "back to 1.0.0; it is not the active one any more",
        ),
        (
            |rig| {
                let trust = sinew_skill_store::Trust::default();
                let back = (rig.shelf.store).roll_back(NAME, "slow", &trust, &super::by());
                back.expect("nothing speaks against it");
            },
            "back to 1.0.0; it is not the active one any more",
        ),
        (
            |rig| {
                let first = rig.shelf.good[0].clone();
                rig.shelf.activate(&first, SwapAt::Now);
            },
            "back to 1.0.0; it is not the active one any more",
        ),
    ];
    for (number_of, (type_it, words)) in typed.into_iter().enumerate() {
        let mut rig = Rig::with(3);
        keep(&mut rig.shelf, "two");
        let books = rig.books(None, None);
        let second = version(books.news());
        assert_eq!(books.memories()[NAME].entries, memory("two"));
        rig.host.set_memory(NAME, memory("two, later"));
        type_it(&mut rig);
        let left = fault(&books, &second).expect("a fault is never borne");
        assert_eq!(
            left.instead.as_ref().map(number),
            Some("1.0.0"),
            "{number_of}"
        );
        assert_eq!(left.memory, memory("one"), "{number_of}");
        rig.put_back(&second, left);
        books.keep_memories(&rig.host);
        let (rollbacks, troubles) = books.take_words();
        assert!(rollbacks[0].ends_with(words), "{rollbacks:?}");
        assert!(troubles.is_empty(), "{troubles:?}");
        assert!(books.lost().is_empty());
        // Between two cycles it counts.
        let news = books.news();
        match number_of {
            1 => assert_eq!(number(&version(news)), "3.0.0"),
            _ => assert!(news.is_empty(), "{}", news[0].words),
        }
        assert_eq!(books.memories()[NAME].entries, memory("one"), "{number_of}");
        assert_eq!(rig.kept(), memory("one"), "{number_of}");
    }
}

#[test]
fn what_is_typed_in_a_cycle_runs_in_the_next_one_if_nothing_was_good_before() {
    for typed in [false, true] {
        let mut rig = Rig::of_none(2);
        let [first, second] = [0, 1].map(|n| rig.shelf.good[n].clone());
        rig.shelf.activate(&first, SwapAt::NextTask);
        let books = rig.books(None, None);
        let runs = version(books.news());
        books.memories();
        if typed {
            rig.shelf.activate(&second, SwapAt::Now);
        }
        let left = fault(&books, &runs).expect("a fault is never borne");
        assert!(left.instead.is_none() && left.back_to.is_none(), "{typed}");
        let (rollbacks, _) = books.take_words();
        assert!(rollbacks[0].contains("nothing is active instead"));
        let news = books.news();
        assert_eq!(news.len(), usize::from(typed));
    }
}

/// Books of a host that goes on with 2.0.0, which is on trial, because 3.0.0 can't be taken up.
fn without_the_third(rig: &mut Rig) -> (Books, InstalledVersion) {
    let third = rig.shelf.good[2].clone();
    let books = rig.books(None, None);
    let second = version(books.news());
    rig.shelf.activate(&third, SwapAt::NextTask);
    fs::remove_file(rig.file("artifacts", &third, "wasm")).expect("it is there");
    assert!(matches!(books.news()[0].what, NewsOf::NotTaken));
    (books, second)
}

#[test]
fn what_runs_instead_of_what_can_not_be_taken_up_is_on_trial_still() {
    let mut rig = Rig::with(3);
    let (books, second) = without_the_third(&mut rig);
    let left = fault(&books, &second).expect("a fault is never borne");
    assert_eq!(left.instead.as_ref().map(number), Some("1.0.0"));
    assert!(books.news().is_empty());
    assert!(fault(&books, &second).is_none(), "left once");
}

#[test]
fn its_faults_count_while_it_may_not_run_as_well() {
    let mut rig = Rig::with(3);
    let (books, second) = without_the_third(&mut rig);
    let trust = rig.root().join("trust.toml");
    fs::write(&trust, "[[revoked]").expect("it can be written");
    assert!(matches!(books.news()[0].what, NewsOf::Gone));
    // A run of it that has begun before.
    let left = fault(&books, &second).expect("a fault is never borne");
    assert!(left.instead.is_none());
    let (rollbacks, _) = books.take_words();
    assert!(rollbacks[0].contains("back to 1.0.0, once it can be taken up"));
    fs::remove_file(&trust).expect("it is there");
    let back = books.news().pop().expect("it runs again");
    assert_eq!(number(&version(vec![back])), "1.0.0");
    assert!(books.news().is_empty());
}

#[test]
fn what_is_active_and_may_not_run_is_on_trial_still() {
    let busy = Busy::new();
    let trust = busy.rig.root().join("trust.toml");
    fs::write(&trust, "[[revoked]").expect("it can be written");
    assert!(matches!(busy.books.news()[0].what, NewsOf::Gone));
    assert!(busy.fault().is_some());
    fs::remove_file(&trust).expect("it is there");
    let news = busy.books.news();
    assert_eq!(number(&version(news)), "1.0.0");
}

#[test]
fn what_was_kept_since_it_was_left_is_of_whoever_has_run_since() {
    let mut busy = Busy::new();
    let left = busy.fault().expect("a fault is never borne");
    assert_eq!(left.instead.as_ref().map(number), Some("1.0.0"));
    let second = busy.second.clone();
    busy.rig.put_back(&second, left);
    busy.books.keep_memories(&busy.rig.host);
    assert_eq!(busy.books.memories()[NAME].entries, memory("one"));
    busy.rig.host.set_memory(NAME, memory("one, later"));
    // Somebody has made it active again before the fault could be booked.
    busy.lock = None;
    let first = busy.rig.shelf.good[0].clone();
    busy.rig.shelf.activate(&first, SwapAt::NextTask);
    busy.books.begin_step();
    assert!(busy.books.news().is_empty(), "it runs already");
    busy.books.keep_memories(&busy.rig.host);
    assert_eq!(busy.rig.kept(), memory("one, later"));
    assert_eq!(busy.books.memories()[NAME].entries, memory("one, later"));
}
