//! The books of a host that runs, while others change the store.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sinew_audit::{WallClock, Writer};
use sinew_plugin_host::{Lease, PluginHost, Run, Usage as RunUsage};
use sinew_skill_store::{Held, Memory, MemoryOf, SwapAt, Trust, What};
use sinew_tasks::{Account, Bookkeeper as _, InstalledVersion, Left};
use sinew_units::Tick;
use tempfile::TempDir;

use super::{NAME, Shelf, StorePlace, by, sources};
use crate::kit::idle_ports;
use crate::skills::looking::provided;
use crate::skills::{Admission, Books, Clock, News, NewsOf};

/// A store with 1.0.0 proven and 2.0.0 on probation.
pub(super) struct Rig {
    pub(super) folder: TempDir,
    pub(super) shelf: Shelf,
    pub(super) host: PluginHost,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(2)
    }

    /// The same with that many versions.
    pub(super) fn with(versions: u32) -> Self {
        let mut rig = Self::of_none(versions);
        rig.shelf.prove_first();
        keep(&mut rig.shelf, "one");
        let second = rig.shelf.good[1].clone();
        rig.shelf.activate(&second, SwapAt::SafePoint);
        rig
    }

    /// None is active.
    pub(super) fn of_none(versions: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::fill(&folder.path().join("skills"), versions, 0);
        Self {
            host: host(),
            folder,
            shelf,
        }
    }

    /// The host of these tests is told that a version was left.
    pub(super) fn put_back(&self, version: &InstalledVersion, left: Left) {
        let digest = sinew_tasks::Version::digest(version);
        let back_to = left.back_to.as_deref();
        (self.host).put_back_memory(NAME, left.memory, digest, back_to);
    }

    pub(super) fn place(&self) -> StorePlace {
        StorePlace {
            folder: self.root(),
            ..StorePlace::default()
        }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("skills")
    }

    /// Books of a host that runs a version.
    pub(super) fn books(&self, running: Option<&Held>, clock: Clock) -> Books {
        self.books_at(self.place(), running, clock)
    }

    fn books_at(&self, place: StorePlace, running: Option<&Held>, clock: Clock) -> Books {
        let all = self.shelf.store.all().expect("it can be read").into_iter();
        let runs = |held: &Held| running.is_some_and(|running| running.digest == held.digest);
        let loaded: Vec<Held> = all.filter(runs).collect();
        self.books_of(place, &loaded, clock)
    }

    fn books_of(&self, place: StorePlace, loaded: &[Held], clock: Clock) -> Books {
        let config = sources(&self.root()).load().expect("what is built in fits");
        let host = self.host.with_ports(idle_ports(&config));
        let admission = Admission {
            grants: config.grants.clone(),
            provided: provided(&sources(&self.root()), &config).expect("what is built in is there"),
        };
        Books::open(place, host, admission, clock, loaded).expect("the store is there")
    }

    /// A run of a version begins on the host of these tests.
    pub(super) fn begin(&self, held: &Held) -> Run {
        let artifact = fs::read(self.file("artifacts", held, "wasm")).expect("it is there");
        let plugin = self.host.load(&artifact, "kit-parts.wasm");
        let run = self.host.start_skill(
            &plugin.expect("it is sound"),
            r#"{"order":[{"class":"puck","color":"red","slot":"A1"}]}"#,
            None,
            Lease::ALL,
            1,
            Tick(0),
        );
        run.expect("it has what it needs")
    }

    pub(super) fn revoke(&self, held: &Held) {
        let revoked = format!(
            "[[revoked]]\ndigest = \"{}\"\nwhy = \"unsafe\"\n",
            held.digest
        );
        fs::write(self.root().join("trust.toml"), revoked).expect("it can be written");
    }

    pub(super) fn file(&self, folder: &str, held: &Held, end: &str) -> PathBuf {
        self.root()
            .join(folder)
            .join(format!("{}.{end}", held.digest))
    }

    pub(super) fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        self.shelf
            .store
            .memory(NAME)
            .expect("it can be read")
            .entries
    }
}

fn host() -> PluginHost {
    let config = sources(&PathBuf::new())
        .load()
        .expect("what is built in fits");
    let (limits, grants) = (Default::default(), config.grants.clone());
    PluginHost::new(limits, grants, idle_ports(&config)).expect("an engine")
}

pub(super) fn memory(of: &str) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([("of".to_owned(), of.as_bytes().to_vec())])
}

pub(super) fn keep(shelf: &mut Shelf, of: &str) {
    let there = shelf.store.memory(NAME).expect("it can be read");
    let memory = Memory {
        entries: memory(of),
        ..there
    };
    let kept = (shelf.store).keep_memory(NAME, &memory, &MemoryOf::default());
    assert!(kept.expect("it can be written"));
}

pub(super) fn version(news: Vec<News>) -> InstalledVersion {
    match news.into_iter().next().map(|news| news.what) {
        Some(NewsOf::Version(version, ..)) => version,
        _ => panic!("no version became active"),
    }
}

pub(super) fn number(version: &InstalledVersion) -> &str {
    sinew_tasks::Version::manifest(version).version.as_str()
}

#[test]
fn what_a_person_has_put_back_under_a_running_host_stays() {
    let mut rig = Rig::new();
    let second = rig.shelf.good[1].clone();
    let books = rig.books(Some(&second), None);
    assert_eq!(books.memories()[NAME].entries, memory("one"));
    rig.host.set_memory(NAME, memory("two"));
    let back = (rig.shelf.store).roll_back(NAME, "slow", &Trust::default(), &by());
    back.expect("nothing speaks against it");
    assert_eq!(number(&version(books.news())), "1.0.0");
    books.keep_memories(&rig.host);
    assert_eq!(rig.kept(), memory("one"));
    // From the next cycle on it counts again.
    assert_eq!(books.memories()[NAME].entries, memory("one"));
    rig.host.set_memory(NAME, memory("one, later"));
    books.keep_memories(&rig.host);
    assert_eq!(rig.kept(), memory("one, later"));
}

#[test]
fn what_was_never_read_is_not_written() {
    let rig = Rig::new();
    let books = rig.books(None, None);
    assert!(books.memories().is_empty(), "nothing runs out of the store");
    assert_eq!(books.news().len(), 1);
    books.keep_memories(&rig.host);
    assert_eq!(rig.kept(), memory("one"));
}

#[test]
fn a_store_that_can_not_be_read_is_a_trouble_and_no_end() {
    let rig = Rig::new();
    let books = rig.books(Some(&rig.shelf.good[1]), None);
    let database = rig.root().join("state.sqlite");
    let sound = fs::read(&database).expect("it is there");
    fs::write(&database, vec![7; sound.len()]).expect("it can be written");
    assert!(books.memories().is_empty());
    assert_eq!(books.take_words().1.len(), 1);
    fs::write(&database, sound).expect("it can be written");
    rig.host.set_memory(NAME, memory("two"));
    books.keep_memories(&rig.host);
    assert_eq!(
        rig.kept(),
        memory("one"),
        "what was not read is not written"
    );
    assert_eq!(books.memories()[NAME].entries, memory("one"));
}

#[test]
fn what_can_not_be_kept_is_kept_later() {
    let rig = Rig::new();
    let books = rig.books(Some(&rig.shelf.good[1]), None);
    books.memories();
    let database = rig.root().join("state.sqlite");
    let sound = fs::read(&database).expect("it is there");
    fs::write(&database, vec![7; sound.len()]).expect("it can be written");
    rig.host.set_memory(NAME, memory("two"));
    books.keep_memories(&rig.host);
    assert_eq!(books.take_words().1.len(), 1);
    fs::write(&database, sound).expect("it can be written");
    assert_eq!(books.memories()[NAME].entries, memory("two"));
    assert_eq!(rig.kept(), memory("two"));
    // Nobody changes it back for having been late.
    rig.host.set_memory(NAME, memory("three"));
    books.keep_memories(&rig.host);
    assert_eq!(books.memories()[NAME].entries, memory("three"));
    assert!(books.take_words().1.is_empty());
}

#[test]
fn what_became_active_since_it_was_loaded_is_news() {
    let rig = Rig::new();
    let books = rig.books(Some(&rig.shelf.good[0]), None);
    assert_eq!(number(&version(books.news())), "2.0.0");
    assert!(books.news().is_empty());
}

/// Whoever books keeps the brain from its next step: what has piled up is not booked in one go.
#[test]
fn what_piled_up_while_the_store_was_busy_is_booked_little_by_little() {
    let rig = Rig::new();
    let books = rig.books(None, None);
    let second = version(books.news());
    let digest = rig.shelf.good[1].digest;
    let usage = RunUsage {
        calls: 1,
        ..RunUsage::default()
    };
    let calls = || {
        let used = rig.shelf.store.usage(digest).expect("it can be read");
        used.calls
    };
    let busy = File::open(rig.root().join("lock")).expect("it is there");
    busy.lock().expect("nobody else has it");
    books.wait_at_most(Duration::from_millis(5));
    for _ in 0..7 {
        assert!(books.book(&second, &Account::Ended, &usage).is_none());
    }
    assert_eq!(calls(), 0);
    drop(busy);
    books.begin_step();
    for _ in 0..3 {
        assert!(books.book(&second, &Account::Ended, &usage).is_none());
    }
    assert_eq!(calls(), 2);
    books.begin_step();
    books.news();
    assert_eq!(calls(), 4);
    let path = rig.folder.path().join("audit.jsonl");
    let log = Writer::open(&path, WallClock::VirtualTime).expect("a log");
    books.tell(&log);
    assert_eq!(calls(), 10);
}

#[test]
fn a_fault_goes_back_at_once_with_the_memory() {
    let rig = Rig::new();
    let books = rig.books(None, None);
    let second = version(books.news());
    books.memories();
    let fault = Account::Faulted("it trapped".to_owned());
    let left = books
        .book(&second, &fault, &RunUsage::default())
        .expect("it is left");
    assert_eq!(left.instead.as_ref().map(number), Some("1.0.0"));
    assert_eq!(left.memory, memory("one"));
    rig.host.set_memory(NAME, memory("one, later"));
    books.keep_memories(&rig.host);
    assert_eq!(rig.kept(), memory("one, later"));
}

#[test]
fn without_a_trust_file_that_can_be_read_nothing_runs_instead() {
    let rig = Rig::new();
    let books = rig.books(None, None);
    let second = version(books.news());
    let trust = rig.root().join("trust.toml");
    fs::write(&trust, "[[publishers").expect("it can be written");
    let fault = Account::Faulted("it trapped".to_owned());
    let left = books
        .book(&second, &fault, &RunUsage::default())
        .expect("it is left");
    assert!(left.instead.is_none());
    assert_eq!(
        rig.shelf.active().map(|held| held.digest),
        Some(rig.shelf.good[0].digest)
    );
    let (_, troubles) = books.take_words();
    assert!(
        troubles.iter().all(|words| words.contains("trust.toml")),
        "{troubles:?}"
    );
    fs::remove_file(&trust).expect("it is there");
    assert_eq!(number(&version(books.news())), "1.0.0");
}

#[test]
fn what_is_revoked_while_it_runs_begins_no_task_any_more() {
    let rig = Rig::new();
    let second = rig.shelf.good[1].clone();
    let books = rig.books(Some(&second), None);
    assert!(books.news().is_empty());
    let trust = rig.root().join("trust.toml");
    let revoked = format!(
        "[[revoked]]\ndigest = \"{}\"\nwhy = \"unsafe\"\n",
        second.digest
    );
    fs::write(&trust, revoked).expect("it can be written");
    let news = books.news();
    assert!(matches!(
        &news[..],
        [News { what: NewsOf::Gone, words, .. }]
            if words.contains("no task begins with it any more") && words.contains("revoked: unsafe")
    ));
    assert_eq!(books.take_words().1, [news[0].words.clone()]);
    assert!(books.news().is_empty() && books.take_words().1.is_empty());
    let path = rig.folder.path().join("audit.jsonl");
    let log = Writer::open(&path, WallClock::VirtualTime).expect("a log");
    books.tell(&log);
    books.tell(&log);
    let told = fs::read_to_string(&path).expect("it was written");
    assert_eq!(told.matches("plugin-distrusted").count(), 1, "{told}");
    assert!(told.contains("revoked: unsafe"), "{told}");
    // A trust file that can't be read takes nothing up again, and forgets nothing.
    fs::write(&trust, "[[revoked").expect("it can be written");
    assert!(books.news().is_empty());
    assert_eq!(books.take_words().1.len(), 1, "that it can't be read");
    fs::remove_file(&trust).expect("it is there");
    assert_eq!(number(&version(books.news())), "2.0.0");
    assert!(books.news().is_empty());
}

#[test]
fn while_nobody_can_tell_what_is_revoked_no_task_begins() {
    let rig = Rig::new();
    let second = rig.shelf.good[1].clone();
    static NOW: AtomicU64 = AtomicU64::new(5);
    let books = rig.books(Some(&second), None);
    let in_real_time = rig.books(Some(&second), Some(|| NOW.load(Ordering::SeqCst)));
    let trust = rig.root().join("trust.toml");
    // Somebody revokes it, and mistypes that.
    let revoked = format!("[[revoked]]\ndigest = \"{}\"\nwhy = ", second.digest);
    fs::write(&trust, &revoked).expect("it can be written");
    let news = books.news();
    assert!(matches!(
        &news[..],
        [News { what: NewsOf::Gone, words, .. }]
            if words.contains("whom to trust can't be read") && words.contains("trust.toml")
    ));
    let why = books.awaits(NAME).expect_err("it may not run");
    assert!(why.contains("trust.toml") && !why.contains('\n'), "{why}");
    assert!(books.news().is_empty());
    assert_eq!(in_real_time.news().len(), 1);
    assert_eq!(in_real_time.awaits(NAME), Ok(()), "it may be mended");
    // It is what it was meant to be, and what it was taken for does not stand instead of it.
    fs::write(&trust, format!("{revoked}\"unsafe\"\n")).expect("it can be written");
    let news = books.news();
    assert!(
        news[0].words.contains("revoked: unsafe"),
        "{}",
        news[0].words
    );
    assert!(books.news().is_empty());
    assert_eq!(in_real_time.news().len(), 1);
    assert!(in_real_time.awaits(NAME).is_err(), "it was revoked");
    let path = rig.folder.path().join("audit.jsonl");
    let log = Writer::open(&path, WallClock::VirtualTime).expect("a log");
    books.tell(&log);
    let told = fs::read_to_string(&path).expect("it was written");
    assert_eq!(told.matches("plugin-distrusted").count(), 2, "{told}");
    fs::remove_file(&trust).expect("it is there");
    assert_eq!(number(&version(books.news())), "2.0.0");
}

/// Books of a host that goes on with 1.0.0, because 2.0.0 can't be taken up.
fn without_the_second(rig: &Rig) -> Books {
    let books = rig.books(Some(&rig.shelf.good[0]), None);
    let artifact = rig.file("artifacts", &rig.shelf.good[1], "wasm");
    fs::remove_file(artifact).expect("it is there");
    assert!(matches!(
        books.news()[..],
        [News {
            what: NewsOf::NotTaken,
            ..
        }]
    ));
    books
}

#[test]
fn what_runs_until_another_can_be_taken_up_is_judged_as_well() {
    let rig = Rig::new();
    let books = without_the_second(&rig);
    rig.revoke(&rig.shelf.good[0]);
    let news = books.news();
    assert!(matches!(
        &news[..],
        [News { what: NewsOf::Gone, words, .. }] if words.contains("revoked: unsafe")
    ));
    assert!(books.news().is_empty());
}

#[test]
fn it_goes_on_once_whom_to_trust_can_be_read_again() {
    let rig = Rig::new();
    let books = without_the_second(&rig);
    let trust = rig.root().join("trust.toml");
    fs::write(&trust, "[[revoked]").expect("it can be written");
    assert!(matches!(
        &books.news()[..],
        [News { what: NewsOf::Gone, words, .. }, ..] if words.contains("can't be read")
    ));
    assert!(books.news().is_empty());
    fs::remove_file(&trust).expect("it is there");
    let back = books.news().pop().expect("it runs again");
    assert!(back.words.ends_with(" goes on"), "{}", back.words);
    assert_eq!(number(&version(vec![back])), "1.0.0");
    assert!(books.news().is_empty());
}

#[test]
fn it_does_not_go_on_once_nothing_of_its_name_is_active() {
    let mut rig = Rig::new();
    let second = rig.shelf.good[1].clone();
    let books = without_the_second(&rig);
    let trust = rig.root().join("trust.toml");
    fs::write(&trust, "[[revoked]").expect("it can be written");
    assert!(matches!(books.news()[0].what, NewsOf::Gone));
    let removed = rig.shelf.store.remove(&second, true, &by());
    removed.expect("it is active");
    fs::remove_file(&trust).expect("it is there");
    assert!(books.news().is_empty());
}

#[test]
fn what_was_taken_out_since_it_was_loaded_is_news() {
    let mut rig = Rig::new();
    let second = rig.shelf.active().expect("2.0.0 is");
    let removed = rig.shelf.store.remove(&second, true, &by());
    removed.expect("it is active");
    let books = rig.books_of(rig.place(), &[second], None);
    assert!(matches!(
        books.news()[..],
        [News {
            what: NewsOf::Gone,
            ..
        }]
    ));
}

#[test]
fn it_is_judged_although_it_was_taken_out_of_the_store() {
    let mut rig = Rig::with(3);
    let [_, second, third] = [0, 1, 2].map(|n| rig.shelf.good[n].clone());
    let books = rig.books(Some(&second), None);
    rig.shelf.activate(&third, SwapAt::NextTask);
    fs::remove_file(rig.file("artifacts", &third, "wasm")).expect("it is there");
    assert_eq!(books.news().len(), 1, "it can't be taken up");
    let removed = rig.shelf.store.remove(&second, false, &by());
    removed.expect("it is not active");
    assert!(books.news().is_empty(), "what runs goes on");
    rig.revoke(&second);
    assert!(matches!(
        &books.news()[..],
        [News { what: NewsOf::Gone, words, .. }] if words.contains("revoked: unsafe")
    ));
}

#[test]
fn what_is_kept_up_to_the_first_run_of_another_is_of_the_version_before() {
    let mut rig = Rig::new();
    let [first, second] = [0, 1].map(|n| rig.shelf.good[n].clone());
    let books = rig.books(Some(&first), None);
    assert_eq!(books.memories()[NAME].entries, memory("one"));
    let run = rig.begin(&first);
    assert_eq!(number(&version(books.news())), "2.0.0");
    // Its task goes on after that.
    rig.host.set_memory(NAME, memory("one, later"));
    drop(run);
    let _run = rig.begin(&second);
    rig.host.set_memory(NAME, memory("two"));
    books.keep_memories(&rig.host);
    assert_eq!(rig.kept(), memory("two"));
    let back = (rig.shelf.store).roll_back(NAME, "slow", &Trust::default(), &by());
    back.expect("nothing speaks against it");
    assert_eq!(rig.kept(), memory("one, later"));
}

#[test]
fn what_is_taken_up_in_a_cycle_has_its_memory() {
    let rig = Rig::new();
    let books = rig.books(None, None);
    assert!(books.memories().is_empty(), "nothing runs out of the store");
    assert_eq!(number(&version(books.news())), "2.0.0");
    let begun = books.memory_of(NAME).expect("it was not read before");
    assert_eq!(begun.entries, memory("one"));
    begun.tell(NAME, &rig.host);
    assert!(books.memory_of(NAME).is_none());
    rig.host.set_memory(NAME, memory("two"));
    books.keep_memories(&rig.host);
    assert_eq!(rig.kept(), memory("two"));
}

#[test]
fn a_store_that_takes_nothing_is_known_before_anything_runs() {
    let rig = Rig::new();
    let books = rig.books(None, None);
    assert_eq!(books.would_not_keep(), None);
    let journal = rig.root().join("state.sqlite-journal");
    fs::create_dir(&journal).expect("nothing is there");
    let why = books.would_not_keep().expect("nothing can be written");
    assert!(why.contains("state.sqlite"), "{why}");
}

#[test]
fn what_can_not_be_taken_up_is_told_once_and_tried_again() {
    let rig = Rig::new();
    let books = rig.books(Some(&rig.shelf.good[0]), None);
    let artifact = rig.file("artifacts", &rig.shelf.good[1], "wasm");
    let aside = rig.folder.path().join("aside");
    fs::rename(&artifact, &aside).expect("it is there");
    let news = books.news();
    assert!(matches!(
        news[..],
        [News {
            what: NewsOf::NotTaken,
            ..
        }]
    ));
    assert!(
        news[0].words.contains("can't be taken up yet"),
        "{}",
        news[0].words
    );
    assert!(books.news().is_empty() && books.news().is_empty());
    assert_eq!(books.take_words().1.len(), 1);
    fs::rename(&aside, &artifact).expect("it is there");
    assert_eq!(number(&version(books.news())), "2.0.0");
}

#[test]
fn what_the_one_before_keeps_until_the_other_is_taken_up_is_its_own() {
    let mut rig = Rig::new();
    let books = without_the_second(&rig);
    assert_eq!(books.memories()[NAME].entries, memory("one"));
    rig.host.set_memory(NAME, memory("one, later"));
    books.keep_memories(&rig.host);
    let back = (rig.shelf.store).roll_back(NAME, "slow", &Trust::default(), &by());
    back.expect("nothing speaks against it");
    assert_eq!(rig.kept(), memory("one, later"));
}

#[test]
fn nothing_is_compiled_where_a_robot_waits() {
    let rig = Rig::new();
    let artifact = rig.file("artifacts", &rig.shelf.good[1], "wasm");
    let artifact = fs::read(artifact).expect("it is there");
    let (_, code) = rig
        .host
        .compile(&artifact, "kit-parts.wasm")
        .expect("it is sound");
    let head = serde_json::json!({ "fit": { "compiled_for": rig.host.code_for() } }).to_string();
    let answer = [
        &(head.len() as u64).to_le_bytes()[..],
        head.as_bytes(),
        &code,
    ]
    .concat();
    let file = rig.folder.path().join("answer");
    fs::write(&file, answer).expect("it can be written");
    fs::remove_dir_all(rig.root().join("compiled")).expect("it is there");
    fs::create_dir(rig.root().join("compiled")).expect("it is gone");
    let made = rig.folder.path().join("made");
    let slow = format!(
        "sleep 2; touch '{}'; cat '{}'",
        made.display(),
        file.display()
    );
    let place = StorePlace {
        examiner: ["/bin/sh", "-c", &slow].map(Into::into).to_vec(),
        ..rig.place()
    };
    let books = rig.books_at(place, Some(&rig.shelf.good[0]), Some(|| 1));
    let since = Instant::now();
    let news = books.news();
    assert!(!made.exists(), "nobody waited until it was made");
    assert!(
        news[0].words.contains("its machine code is made anew"),
        "{}",
        news[0].words
    );
    let taken = loop {
        let news = books.news();
        if !news.is_empty() {
            break version(news);
        }
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{:?}",
            books.take_words()
        );
        sleep(Duration::from_millis(50));
    };
    assert_eq!(number(&taken), "2.0.0");
}

#[test]
fn a_log_that_can_not_be_written_is_told_once_when_it_can() {
    let rig = Rig::new();
    let books = rig.books(Some(&rig.shelf.good[1]), None);
    let path = rig.folder.path().join("audit.jsonl");
    let log = Writer::open(&path, WallClock::VirtualTime).expect("a log");
    let sound = fs::read(&path).expect("it is there");
    fs::write(&path, "no log at all\n").expect("it can be written");
    for _ in 0..3 {
        books.tell(&log);
    }
    let (_, troubles) = books.take_words();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    fs::write(&path, sound).expect("it can be written");
    books.tell(&log);
    books.tell(&log);
    assert_eq!(books.take_words().1, [""; 0]);
    let events = rig.shelf.store.history(None).expect("it can be read").len();
    let text = fs::read_to_string(&path).expect("it is there");
    assert_eq!(text.matches("plugin-").count(), events, "{text}");
}

#[test]
fn an_end_is_booked_with_its_own_time() {
    static NOW: AtomicU64 = AtomicU64::new(5);
    let rig = Rig::new();
    let books = rig.books(None, Some(|| NOW.load(Ordering::SeqCst)));
    let second = version(books.news());
    NOW.store(7, Ordering::SeqCst);
    let left = books.book(&second, &Account::Succeeded, &RunUsage::default());
    assert!(left.is_none());
    let history = rig.shelf.store.history(None).expect("it can be read");
    let last = history.last().map(|event| (event.what, event.time_unix_ms));
    assert_eq!(last, Some((What::Proven, Some(7))));
}
