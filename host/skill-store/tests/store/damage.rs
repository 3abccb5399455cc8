//! Stores that are not as they should be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sinew_skill_store::{Access, Store, StoreError};

use crate::rig::{ENGINE, Rig, by, refused, states};

#[test]
fn a_folder_that_is_no_store_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, access| Store::open(&folder.path().join(name), access).map(|_| ());
    refused(open("none", Access::Read), "is no store of skills");
    refused(open("none", Access::Change), "is no store of skills");
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(
        other.join("state.sqlite"),
        "a text that is no database, and long enough to be looked at",
    )
    .unwrap();
    for access in [Access::Read, Access::Change, Access::Create] {
        refused(open("other", access), "but something else");
    }
    fs::write(folder.path().join("file"), "x").unwrap();
    refused(open("file", Access::Create), "is no store of skills");
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    refused(
        open("shared", Access::Create),
        "is open to others (mode 755)",
    );
}

#[test]
fn artifacts_without_a_state_are_damage_and_no_new_store() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    drop(store);
    let state = rig.root().join("state.sqlite");
    let artifact = rig.root().join(format!("artifacts/{}.wasm", one.digest));
    let sound = fs::read(&state).unwrap();
    for damage in [
        |path: &_| fs::write(path, ""),
        |path: &_| fs::remove_file(path),
    ] {
        damage(&state).unwrap();
        for access in [Access::Read, Access::Change, Access::Create] {
            refused(
                Store::open(&rig.root(), access).map(|_| ()),
                "is damaged: it is gone or empty, and there are artifacts beside it",
            );
        }
        assert!(artifact.exists());
        assert_eq!(fs::metadata(&state).map_or(0, |there| there.len()), 0);
    }
    fs::write(&state, sound).unwrap();
    assert_eq!(states(&rig.open()), ["1.0.0 installed"]);
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let rig = Rig::new();
    drop(rig.open());
    let path = rig.root().join("state.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 3).unwrap();
    drop(database);
    let before = fs::read(&path).unwrap();
    for access in [Access::Read, Access::Create] {
        refused(
            Store::open(&rig.root(), access).map(|_| ()),
            "has the format 3, this version of sinew knows up to 2",
        );
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_of_a_development_build_says_so() {
    let rig = Rig::new();
    drop(rig.open());
    let database = rusqlite::Connection::open(rig.root().join("state.sqlite")).unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
    for access in [Access::Read, Access::Create] {
        refused(
            Store::open(&rig.root(), access).map(|_| ()),
            "has the format 1 of a development build, this version of sinew knows 2: move it away",
        );
    }
}

#[test]
fn a_changed_file_is_noticed_and_mended_by_installing_it_again() {
    let rig = Rig::new();
    let mut store = rig.open();
    let held = rig.pick(&mut store, "1.0.0");
    let only = |folder: &str| {
        let mut files = fs::read_dir(rig.root().join(folder)).unwrap();
        files.next().unwrap().unwrap().path()
    };
    let flip = |folder: &str| {
        let mut bytes = fs::read(only(folder)).unwrap();
        bytes[9] ^= 1;
        fs::write(only(folder), bytes).unwrap();
    };
    flip("compiled");
    assert!(
        store
            .load(&held, &rig.trust, ENGINE)
            .unwrap()
            .compiled
            .is_none(),
        "it is not used"
    );
    store.recompiled(&held, b"made anew", ENGINE).unwrap();
    let held = store.all().unwrap().remove(0);
    assert_eq!(
        store
            .load(&held, &rig.trust, ENGINE)
            .unwrap()
            .compiled
            .unwrap(),
        b"made anew"
    );
    assert_eq!(
        fs::read_dir(rig.root().join("compiled")).unwrap().count(),
        1,
        "the old one is gone"
    );

    flip("artifacts");
    refused(
        store.load(&held, &rig.trust, ENGINE),
        "is not what was installed any more",
    );
    refused(
        store.activate(&held, &rig.terms(), &by("ben")),
        "is not what was installed any more",
    );
    fs::write(only("artifacts"), vec![0; 1 << 16]).unwrap();
    refused(
        store.load(&held, &rig.trust, ENGINE),
        "is not what was installed any more",
    );
    rig.pick(&mut store, "1.0.0");
    let held = store.all().unwrap().remove(0);
    assert!(
        store
            .load(&held, &rig.trust, ENGINE)
            .unwrap()
            .compiled
            .is_some()
    );
}

/// Pipes and folders where files ought to be: nobody waits for the other end of a pipe, and the next change goes on.
#[test]
fn what_is_no_file_holds_nothing_up() {
    let rig = Rig::new();
    let mut store = rig.open();
    let held = rig.pick(&mut store, "1.0.0");
    let pipe_instead_of_the_one_in = |folder: &str| {
        let mut files = fs::read_dir(rig.root().join(folder)).unwrap();
        let path = files.next().unwrap().unwrap().path();
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    };
    pipe_instead_of_the_one_in("compiled");
    let loaded = store.load(&held, &rig.trust, ENGINE).unwrap();
    assert!(loaded.compiled.is_none());
    let pipe = pipe_instead_of_the_one_in("artifacts");
    refused(
        store.load(&held, &rig.trust, ENGINE),
        "is not what was installed any more",
    );
    fs::create_dir(pipe.with_file_name("folder.part")).unwrap();
    rig.pick(&mut store, "1.0.0");
    rig.pick(&mut store, "2.0.0");
    let loaded = store.load(&held, &rig.trust, ENGINE).unwrap();
    assert!(loaded.compiled.is_some());
    assert_eq!(states(&store), ["2.0.0 installed", "1.0.0 installed"]);
    // Nor does a pipe where the store keeps what it works with.
    let pipe_at = |name: &str| {
        let path = rig.root().join(name);
        let _ = fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    };
    let lock = pipe_at("lock");
    refused(store.pin(&held, true, &by("ben")), "it is no file");
    fs::remove_file(lock).unwrap();
    drop(store);
    for name in ["state.sqlite-journal", "state.sqlite"] {
        let pipe = pipe_at(name);
        for access in [Access::Read, Access::Change] {
            let opened = Store::open(&rig.root(), access).map(|_| ());
            refused(opened, "but something else");
        }
        fs::remove_file(pipe).unwrap();
    }
}

#[test]
fn a_row_that_makes_no_sense_is_an_error_and_no_panic() {
    let rig = Rig::new();
    let mut store = rig.open();
    rig.pick(&mut store, "1.0.0");
    let path = rig.root().join("state.sqlite");
    let edit = |sql: &str| {
        let database = rusqlite::Connection::open(&path).unwrap();
        database.execute_batch(sql).unwrap();
    };
    edit("UPDATE artifacts SET version = 'one'");
    refused(store.all(), "is damaged: what it says about the artifact");
    edit("UPDATE artifacts SET version = '1.0.0', bytes = -1");
    refused(store.all(), "is damaged");
    edit(
        "UPDATE artifacts SET bytes = 8; UPDATE skills SET probation_runs = -1, active = (SELECT digest FROM artifacts)",
    );
    refused(store.all(), "is damaged");
    edit("UPDATE skills SET probation_runs = 0, swap_at = 'noon'");
    refused(store.all(), "is damaged");
    edit("UPDATE skills SET active = NULL; UPDATE history SET what = 'sung'");
    refused(store.history(None), "an event `sung`");
    edit("DROP TABLE history");
    refused(store.history(None), "no such table");
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let rig = Rig::new();
    let mut store = rig.open();
    rig.pick(&mut store, "1.0.0");
    drop(store);
    let mut reading = Store::open(&rig.root(), Access::Read).unwrap();
    let held = reading.all().unwrap().remove(0);
    let error = refused(
        reading.pin(&held, true, &by("ben")).map(|_| ()),
        "is not active",
    );
    assert!(!error.is_refusal());
    let error = refused(
        reading.activate(&held, &rig.terms(), &by("ben")),
        "readonly",
    );
    assert!(error.is_refusal(), "{error:?}");
    assert_eq!(states(&reading), ["1.0.0 installed"]);
}

#[test]
fn one_changes_it_at_a_time() {
    let rig = Rig::new();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (root, key) = (rig.root(), rig.trust.clone());
            let artifacts: Vec<Vec<u8>> = (0..5)
                .map(|index| rig.signed(&format!("acme/pick {thread}.{index}.0")))
                .collect();
            std::thread::spawn(move || {
                let mut store = Store::open(&root, Access::Create).unwrap();
                for artifact in artifacts {
                    let how = sinew_skill_store::Installation {
                        origin: "pick.wasm",
                        trust: &key,
                        today: crate::rig::TODAY,
                        unsigned: false,
                        most_bytes: 1 << 20,
                    };
                    let mut reader = crate::rig::Reader::default();
                    store
                        .install(&artifact, &how, &mut reader, &by("ina"))
                        .unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let store = rig.open();
    let all = store.all().unwrap();
    assert_eq!(all.len(), 20);
    for held in &all {
        assert!(
            store
                .load(held, &rig.trust, ENGINE)
                .unwrap()
                .compiled
                .is_some()
        );
    }
}

#[test]
fn one_tells_at_a_time() {
    let rig = Rig::new();
    let mut store = rig.open();
    rig.pick(&mut store, "1.0.0");
    let told = store.hand_out(|events| {
        assert_eq!(events.len(), 1);
        let mut other = rig.open();
        other.patience(std::time::Duration::ZERO)?;
        let told = other.hand_out(|_| -> Result<(), StoreError> { panic!("it tells, too") });
        refused(told, "is being changed by another sinew");
        Ok::<(), StoreError>(())
    });
    told.unwrap();
    // What could not be told is told the next time.
    rig.pick(&mut store, "2.0.0");
    let full = || StoreError::Busy { path: rig.root() };
    assert!(store.hand_out(|_| Err(full())).is_err());
    let mut heard = Vec::new();
    for _ in 0..2 {
        let told = store.hand_out(|events| {
            heard.extend(events.iter().map(|event| event.version.clone()));
            Ok::<(), StoreError>(())
        });
        told.unwrap();
    }
    assert_eq!(heard, ["2.0.0"]);
}

#[test]
fn a_change_that_the_power_went_in_is_taken_back_by_whoever_opens_it() {
    let rig = Rig::new();
    let mut store = rig.open();
    rig.pick(&mut store, "1.0.0");
    drop(store);
    let path = rig.root().join("state.sqlite");
    let journal = rig.root().join("state.sqlite-journal");
    // In the middle of a commit: pages are in the file already, what they were is in the journal.
    let copy = rig.folder.path().join("copy");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "cache_size", 1).unwrap();
    database.pragma_update(None, "cache_spill", true).unwrap();
    database
        .execute_batch("BEGIN IMMEDIATE; UPDATE artifacts SET summary = hex(zeroblob(200000));")
        .unwrap();
    let torn = [&path, &journal].map(|file| std::fs::read(file).unwrap());
    assert!(torn[1].len() > 512, "the journal is there");
    database.execute_batch("ROLLBACK").unwrap();
    drop(database);
    fs::create_dir(&copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).unwrap();
    for (name, bytes) in ["state.sqlite", "state.sqlite-journal"].iter().zip(&torn) {
        fs::write(copy.join(name), bytes).unwrap();
    }
    let read = Store::open(&copy, Access::Read).unwrap();
    assert_eq!(states(&read), ["1.0.0 installed"]);
    assert_eq!(read.all().unwrap()[0].summary, "a test");
}

#[test]
fn a_database_that_somebody_has_rebuilt_is_not_looked_into() {
    for (edit, odd) in [
        (
            "ALTER TABLE artifacts RENAME TO real;
             CREATE VIEW artifacts AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM real, n",
            "the ",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON history BEGIN DELETE FROM history; END",
            "the trigger `t`",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON history BEGIN DELETE FROM history; END;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET name = 'sqlite_t', sql = replace(sql, 'TRIGGER t', 'TRIGGER sqlite_t') WHERE name = 't'",
            "the trigger `sqlite_t`",
        ),
        (
            "DROP INDEX artifacts_by_name",
            "the index `artifacts_by_name`",
        ),
        ("PRAGMA journal_mode = WAL", "its journal (`wal`)"),
    ] {
        let rig = Rig::new();
        drop(rig.open());
        let path = rig.root().join("state.sqlite");
        let database = rusqlite::Connection::open(path).unwrap();
        database.execute_batch(edit).unwrap();
        for access in [Access::Read, Access::Change] {
            let opened = Store::open(&rig.root(), access).map(|_| ());
            refused(opened, odd);
            let opened = Store::open(&rig.root(), access).map(|_| ());
            refused(opened, "is not as it was made");
        }
    }
}

#[test]
fn what_somebody_has_written_into_it_makes_no_lines() {
    let rig = Rig::new();
    let mut store = rig.open();
    rig.pick(&mut store, "1.0.0");
    let edit = |sql: &str| {
        let database = rusqlite::Connection::open(rig.root().join("state.sqlite")).unwrap();
        assert_eq!(database.execute(sql, []).unwrap(), 1);
    };
    edit("UPDATE history SET actor = 'ann' || char(10) || 'all is well'");
    let event = store.history(None).unwrap().remove(0);
    assert_eq!(event.actor, "ann all is well");
    edit("UPDATE artifacts SET summary = 'picks' || char(10) || 'all is well'");
    refused(store.all(), "what it says about the artifact");
}
