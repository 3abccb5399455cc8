//! The log against crashes, other writers, a disk that fails, and whoever edits it.

use std::fs;
use std::path::{Path, PathBuf};

use sinew_audit::{
    AuditError, AuditFile, Boot, Entry, Pending, Record, Stamp, Stop, WallClock, Writer, read,
    verify,
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn stamp(tick: u64) -> Stamp {
    Stamp {
        tick: Some(tick),
        time_unix_ms: None,
        episode: Some("seed1-cycle0".into()),
    }
}

fn pending(tick: u64, actor: Option<&str>, entry: Entry) -> Pending {
    Pending {
        stamp: stamp(tick),
        actor: actor.map(str::to_owned),
        entry,
    }
}

fn stop(category: u32, reason: &str) -> Stop {
    Stop {
        category,
        reason: reason.into(),
        index: None,
        of: None,
        limit: None,
        asked: None,
    }
}

fn granted(request: u64) -> Pending {
    pending(9, Some("anna"), Entry::ResetGranted { request })
}

/// A small log.
fn story() -> Vec<Pending> {
    vec![
        pending(
            0,
            None,
            Entry::Boot(Boot {
                version: "0.1.0".into(),
                robot: "arm".into(),
                robot_sha256: "ab".repeat(32),
                safety_hash: "00000000000000aa".into(),
                seed: 1,
                clock: "virtual",
            }),
        ),
        pending(1, None, Entry::Stop(stop(1, "boot"))),
        pending(2, Some("anna"), Entry::ResetAsked {}),
        granted(1),
    ]
}

fn written(path: &Path) -> Vec<u8> {
    let mut log = AuditFile::open(path, WallClock::VirtualTime).expect("it can be begun");
    log.append(&story()).expect("there is room");
    fs::read(path).expect("it is there")
}

fn records(path: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let verification = read(path, |record| records.push(record)).expect("it can be read");
    assert!(verification.ok, "{verification:?}");
    records
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// These bytes are the format: whoever changes them breaks every log there is.
#[test]
fn the_same_story_is_the_same_bytes() {
    let folder = folder();
    let text = String::from_utf8(written(&folder.path().join("a.jsonl"))).expect("it is text");
    let first = text.lines().next().expect("it has lines");
    assert_eq!(
        first,
        "{\"seq\":1,\"tick\":0,\"episode\":\"seed1-cycle0\",\"kind\":\"boot\",\"content\":{\"version\":\"0.1.0\",\
         \"robot\":\"arm\",\"robot_sha256\":\"abababababababababababababababababababababababababababababababab\",\
         \"safety_hash\":\"00000000000000aa\",\"seed\":1,\"clock\":\"virtual\"},\
         \"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\
         \"sha256\":\"78d5b362528fe73d7ea67c9276641648b3d42e18ec0222f5a4e82cb99ade21a1\"}"
    );
    let again = written(&folder.path().join("b.jsonl"));
    assert_eq!(text.as_bytes(), again);
}

/// Wherever a crash cuts the file, what was whole stays, the rest is kept aside and named, and the chain goes on.
#[test]
fn a_crash_at_any_byte_loses_nothing() {
    let whole = {
        let folder = folder();
        written(&folder.path().join("audit.jsonl"))
    };
    for cut in 0..=whole.len() {
        let folder = folder();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, &whole[..cut]).expect("writable");
        let seen = verify(&path).expect("it can be read");
        assert!(seen.ok, "cut at {cut}: {seen:?}");
        let kept = lines(&whole[..cut]);
        let complete = kept
            .iter()
            .filter(|line| line.last() == Some(&b'\n'))
            .count();
        assert_eq!(seen.records, complete as u64);

        let mut log =
            AuditFile::open(&path, WallClock::VirtualTime).expect("a crash is no tampering");
        log.append(&[granted(7)]).expect("there is room");
        let records = records(&path);
        assert_eq!(
            records.last().map(|last| last.kind.as_str()),
            Some("reset-granted")
        );
        let torn: Vec<&Record> = records
            .iter()
            .filter(|record| record.kind == "torn")
            .collect();
        let rest = kept.get(complete).map_or(&[][..], Vec::as_slice);
        // Only the line feed was missing: the record is whole.
        let adopted = whole.get(cut) == Some(&b'\n') && !rest.is_empty();
        if rest.is_empty() || adopted {
            assert!(torn.is_empty(), "cut at {cut}");
            assert_eq!(records.len(), complete + usize::from(adopted) + 1);
            continue;
        }
        assert_eq!(
            (torn.len(), records.len()),
            (1, complete + 2),
            "cut at {cut}"
        );
        assert_eq!(torn[0].content["bytes"], rest.len());
        let kept_as = torn[0].content["kept_as"].as_str().expect("it is named");
        let aside = fs::read(folder.path().join(kept_as)).expect("it is there");
        assert_eq!(aside, rest);
    }
}

/// The repair is cut off too: in any of its steps.
#[test]
fn a_crash_in_the_repair_loses_nothing() {
    let (whole, repaired, torn) = {
        let folder = folder();
        let path = folder.path().join("audit.jsonl");
        let whole = written(&path);
        let torn = b"{\"seq\":5,\"ti".to_vec();
        fs::write(&path, [&whole[..], &torn].concat()).expect("writable");
        AuditFile::open(&path, WallClock::VirtualTime).expect("a crash is no tampering");
        (whole, fs::read(&path).expect("it is there"), torn)
    };
    let mut cases = vec![
        // Moved aside, and the log not yet shortened.
        [&whole[..], &torn].concat(),
    ];
    // Shortened, and the record of it cut anywhere.
    cases.extend((whole.len()..=repaired.len()).map(|cut| repaired[..cut].to_vec()));
    for log in cases {
        let folder = folder();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, &log).expect("writable");
        fs::write(folder.path().join("audit.jsonl.torn"), &torn).expect("writable");
        AuditFile::open(&path, WallClock::VirtualTime).expect("a crash is no tampering");
        let records = records(&path);
        let told: Vec<&Record> = records
            .iter()
            .filter(|record| record.kind == "torn")
            .collect();
        assert_eq!(told.len(), 1, "{} bytes", log.len());
        let kept_as = told[0].content["kept_as"].as_str().expect("it is named");
        let aside = fs::read(folder.path().join(kept_as)).expect("it is there");
        assert!(aside.starts_with(&torn));
        assert_eq!(told[0].content["bytes"], aside.len());
        assert!(!folder.path().join("audit.jsonl.torn").exists());
    }
}

/// A log that was moved away leaves what it moved aside; the one that is begun in its place overwrites none of it.
#[test]
fn what_was_moved_aside_stays_when_a_new_log_is_begun() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    for torn in ["{\"a", "{\"b"] {
        let whole = written(&path);
        fs::write(&path, [&whole[..], torn.as_bytes()].concat()).expect("writable");
        AuditFile::open(&path, WallClock::VirtualTime).expect("a crash is no tampering");
        fs::remove_file(&path).expect("it is there");
    }
    let mut kept: Vec<_> = fs::read_dir(folder.path())
        .expect("it is there")
        .map(|entry| fs::read_to_string(entry.expect("it is there").path()).expect("text"))
        .collect();
    kept.sort();
    assert_eq!(kept, ["{\"a", "{\"b"]);
}

#[test]
fn every_changed_byte_is_found_in_its_line() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let whole = written(&path);
    let mut line = 1;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).expect("writable");
        let seen = verify(&path).expect("it can be read");
        if at + 1 == whole.len() {
            // Without its line feed the last line looks like a crash: as much as if it had been cut off.
            assert!(seen.torn_bytes > 0 && seen.records == 3, "{seen:?}");
        } else {
            assert_eq!(
                (seen.ok, seen.first_bad),
                (false, Some(line)),
                "byte {at}: {seen:?}"
            );
            assert_eq!(seen.records, line - 1);
            let error = AuditFile::open(&path, WallClock::VirtualTime)
                .expect_err("it is broken")
                .to_string();
            assert!(
                error.contains(&format!("line {line}")) && error.contains("mv "),
                "{error}"
            );
        }
        line += u64::from(whole[at] == b'\n');
    }
    fs::write(&path, &whole).expect("writable");
    assert!(verify(&path).expect("it can be read").ok);
}

#[test]
fn lines_that_are_missing_moved_or_added_are_found() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let whole = written(&path);
    let original = lines(&whole);
    let forged = {
        // Somebody who knows the format makes a line that fits itself, for a place where another one stood.
        let other = folder.path().join("forged.jsonl");
        let mut log = AuditFile::open(&other, WallClock::VirtualTime).expect("it can be begun");
        log.append(&[
            story().remove(0),
            pending(1, None, Entry::Stop(stop(2, "requested"))),
        ])
        .expect("there is room");
        lines(&fs::read(&other).expect("it is there")).remove(1)
    };
    let check = |name: &str, change: &dyn Fn(&mut Vec<Vec<u8>>), first_bad: Option<u64>| {
        let mut changed = original.clone();
        change(&mut changed);
        fs::write(&path, changed.concat()).expect("writable");
        let seen = verify(&path).expect("it can be read");
        assert_eq!(seen.first_bad, first_bad, "{name}: {seen:?}");
        assert_eq!(seen.ok, first_bad.is_none(), "{name}");
        seen
    };
    let sound = check("untouched", &|_| {}, None);
    check("first deleted", &|lines| drop(lines.remove(0)), Some(1));
    check("one deleted", &|lines| drop(lines.remove(1)), Some(2));
    check("two swapped", &|lines| lines.swap(1, 2), Some(2));
    check(
        "one doubled",
        &|lines| lines.insert(2, lines[1].clone()),
        Some(3),
    );
    check(
        "an empty line",
        &|lines| lines.insert(3, b"\n".to_vec()),
        Some(4),
    );
    check(
        "one replaced by a forged one",
        &|lines| lines[1].clone_from(&forged),
        Some(3),
    );
    check(
        "one forged line added at the end",
        &|lines| lines.push(forged.clone()),
        Some(5),
    );
    check(
        "not a log",
        &|lines| *lines = vec![b"hello\n".to_vec()],
        Some(1),
    );
    // What a chain can't show, its head does, if it was kept elsewhere.
    let cut = check(
        "whole lines cut off the end",
        &|lines| drop(lines.pop()),
        None,
    );
    assert_ne!(cut.head, sound.head);
}

#[test]
fn several_writers_make_one_chain() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    std::thread::scope(|scope| {
        for actor in ["anna", "ben", "cleo"] {
            let path = &path;
            scope.spawn(move || {
                let writer = Writer::open(path, WallClock::VirtualTime).expect("it can be opened");
                for request in 0..30 {
                    writer.append(stamp(request), Some(actor), Entry::ResetGranted { request });
                    if request % 7 == 0 {
                        writer.flush().expect("there is room");
                    }
                }
            });
        }
    });
    let records = records(&path);
    assert_eq!(records.len(), 90);
    for actor in ["anna", "ben", "cleo"] {
        let ticks: Vec<_> = records
            .iter()
            .filter(|record| record.actor.as_deref() == Some(actor))
            .filter_map(|record| record.tick)
            .collect();
        assert_eq!(ticks, (0..30).collect::<Vec<_>>(), "each in its own order");
    }
}

#[test]
fn what_can_not_be_written_is_kept_until_it_can() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let away = folder.path().join("away");
    let writer = Writer::open(&path, WallClock::VirtualTime).expect("it can be begun");
    let first = writer.append(stamp(1), None, Entry::Stop(stop(2, "force")));
    writer.flush().expect("there is room");
    assert_eq!(writer.durable(), first);
    fs::rename(&path, &away).expect("it can be moved");
    let second = writer.append(stamp(2), Some("anna"), Entry::ResetAsked {});
    let error = writer.flush().expect_err("it is gone").to_string();
    assert!(
        error.contains("audit.jsonl") && error.contains("removed"),
        "{error}"
    );
    assert_eq!(
        writer.durable(),
        first,
        "nothing is said to be safe that is not"
    );
    fs::rename(&away, &path).expect("it can be moved back");
    writer.flush().expect("it is there again");
    assert_eq!(writer.durable(), second);
    drop(writer);
    assert_eq!(records(&path).len(), 2);
}

#[test]
fn a_log_that_is_broken_or_cut_meanwhile_is_not_written() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let whole = written(&path);
    let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it is sound");
    let length = whole.len() as u64;
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("writable");
    file.set_len(length - 20).expect("it can be cut");
    assert!(matches!(
        log.append(&[granted(2)]),
        Err(AuditError::Replaced { .. })
    ));
    fs::write(&path, [&whole[..], b"{}\n"].concat()).expect("writable");
    assert!(matches!(
        log.append(&[granted(2)]),
        Err(AuditError::Broken { line: 5, .. })
    ));
    fs::write(&path, &whole).expect("writable");
    log.append(&[granted(2)]).expect("it is sound again");
    assert_eq!(records(&path).len(), 5);
    let nowhere: PathBuf = path.join("below/a/file");
    assert!(matches!(
        AuditFile::open(&nowhere, WallClock::VirtualTime),
        Err(AuditError::File { .. })
    ));
}

/// Whoever may write one record can't break the log for good with it.
#[test]
fn a_record_that_no_reader_takes_is_not_written() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let whole = written(&path);
    let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it is sound");
    let named = |bytes: usize| {
        pending(
            1,
            Some("anna"),
            Entry::ConfigurationProposed {
                hash: "aa".into(),
                name: "x".repeat(bytes),
                against: "built-in".into(),
                changes: None,
            },
        )
    };
    let error = (log.append(&[granted(2), named(1 << 20)])).expect_err("nobody could read it");
    assert!(matches!(error, AuditError::TooLong { .. }), "{error}");
    let words = error.to_string();
    for piece in ["audit.jsonl", "configuration-proposed", "at most 1048576"] {
        assert!(words.contains(piece), "{words}");
    }
    assert_eq!(fs::read(&path).expect("it is there"), whole);
    // The longest that is written can be read.
    let around = {
        log.append(&[named(0)]).expect("there is room");
        let text = fs::read(&path).expect("it is there");
        lines(&text).pop().expect("it has lines").len()
    };
    log.append(&[named((1 << 20) - around)])
        .expect("it is as long as can be");
    assert!(log.append(&[named((1 << 20) - around + 1)]).is_err());
    assert_eq!(records(&path).len(), 6);
}

/// Who has to begin a new log learns what that changes.
#[test]
fn a_broken_log_says_what_was_active_by_it() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let told = |entry: Entry| {
        let _ = fs::remove_file(&path);
        let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it can be begun");
        log.append(&[pending(1, None, entry)])
            .expect("there is room");
        let sound = fs::read(&path).expect("it is there");
        fs::write(&path, [&sound[..], b"{}\n"].concat()).expect("writable");
        let error = AuditFile::open(&path, WallClock::VirtualTime).expect_err("it is broken");
        error.to_string()
    };
    let words = told(Entry::ConfigurationActivated {
        hash: "ab12".into(),
        previous: "before".into(),
        changes: None,
    });
    assert!(
        words.contains("no approvals") && words.contains("say ab12"),
        "{words}"
    );
    let words = told(Entry::ResetAsked {});
    assert!(
        words.ends_with("what is built in is active by it"),
        "{words}"
    );
}

/// The rule of approvals, on a log.
#[test]
fn an_approval_counts_for_the_next_change_only() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let writer = Writer::open(&path, WallClock::VirtualTime).expect("it can be begun");
    let put = |actor: &str, entry| {
        writer.append(Stamp::default(), Some(actor), entry);
    };
    let propose = |hash: &str| {
        put(
            "anna",
            Entry::ConfigurationProposed {
                hash: hash.into(),
                name: "cell".into(),
                against: "built-in".into(),
                changes: None,
            },
        );
    };
    let approve = |hash: &str| {
        put(
            "ben",
            Entry::ConfigurationApproved {
                hash: hash.into(),
                same_person: false,
            },
        );
    };
    let activate = |hash: &str| {
        put(
            "sinew run",
            Entry::ConfigurationActivated {
                hash: hash.into(),
                previous: "before".into(),
                changes: None,
            },
        );
    };
    let now = || writer.approvals().expect("it can be read");
    assert_eq!(now().active(), None);
    propose("loose");
    assert_eq!(now().proposer("loose"), Some("anna"));
    assert_eq!(now().approver("loose"), None, "a proposal is no approval");
    approve("loose");
    approve("tight");
    assert_eq!(now().approver("loose"), Some("ben"));
    activate("loose");
    assert_eq!(now().active(), Some("loose"));
    assert_eq!(now().approver("loose"), None, "it is used up");
    assert_eq!(
        now().approver("tight"),
        None,
        "it was for the change before"
    );
    approve("tight");
    activate("tight");
    assert_eq!(
        now().approver("loose"),
        None,
        "no way back by an old approval"
    );
    approve("loose");
    assert_eq!(now().approver("loose"), Some("ben"));
    // Another process reads the same.
    let other = AuditFile::open(&path, WallClock::VirtualTime).expect("it is sound");
    assert_eq!(*other.approvals(), now());
}

fn proposed(actor: &str) -> Pending {
    Pending {
        stamp: Stamp::default(),
        actor: Some(actor.into()),
        entry: Entry::ConfigurationProposed {
            hash: "aa".into(),
            name: "cell".into(),
            against: "built-in".into(),
            changes: None,
        },
    }
}

fn approved(actor: &str) -> Pending {
    Pending {
        stamp: Stamp::default(),
        actor: Some(actor.into()),
        entry: Entry::ConfigurationApproved {
            hash: "aa".into(),
            same_person: false,
        },
    }
}

/// To propose it once more after somebody else did makes nobody another person.
#[test]
fn everybody_who_proposed_it_since_it_was_approved_is_kept() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it can be begun");
    log.append(&[proposed("anna"), proposed("ben")])
        .expect("there is room");
    let as_whom = |log: &AuditFile, actor: &str| {
        let name = log.approvals().proposed_as("aa", actor);
        name.map(str::to_owned)
    };
    assert_eq!(as_whom(&log, "ANNA").as_deref(), Some("anna"));
    assert_eq!(as_whom(&log, "ben").as_deref(), Some("ben"));
    assert_eq!(as_whom(&log, "cleo"), None);
    log.append(&[approved("cleo")]).expect("there is room");
    assert_eq!(as_whom(&log, "anna").as_deref(), Some("anna"));
    // Approved: the next proposal is another one.
    log.append(&[proposed("cleo")]).expect("there is room");
    assert_eq!(as_whom(&log, "anna"), None);
    assert_eq!(as_whom(&log, "Cleo").as_deref(), Some("cleo"));
}

/// Two persons agreed on a change once; one of them alone does not bring it back later.
#[test]
fn a_change_voids_what_was_proposed_before_it() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it can be begun");
    let activated = |hash: &str| {
        let entry = Entry::ConfigurationActivated {
            hash: hash.into(),
            previous: "before".into(),
            changes: None,
        };
        pending(1, Some("sinew run"), entry)
    };
    log.append(&[proposed("anna"), approved("ben"), activated("aa")])
        .expect("there is room");
    assert_eq!(log.approvals().proposer("aa"), None, "it was used up");
    log.append(&[proposed("anna"), activated("built-in")])
        .expect("there is room");
    assert_eq!(
        log.approvals().proposer("aa"),
        None,
        "it was compared with another one"
    );
    assert_eq!(log.approvals().proposed_as("aa", "anna"), None);
    log.append(&[proposed("anna")]).expect("there is room");
    assert_eq!(log.approvals().proposer("aa"), Some("anna"));
}

/// Many processes see one approval, and one of them makes use of it.
#[test]
fn one_approval_is_used_once_whoever_comes_at_the_same_time() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    for round in 0..10 {
        let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it can be opened");
        log.append(&[proposed("anna"), approved("ben")])
            .expect("there is room");
        let gate = std::sync::Barrier::new(4);
        let used: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4)
                .map(|_| {
                    let (path, gate) = (&path, &gate);
                    scope.spawn(move || {
                        let writer =
                            Writer::open(path, WallClock::VirtualTime).expect("it can be opened");
                        gate.wait();
                        let used = writer.append_if(|approvals| {
                            if approvals.approver("aa").is_none() {
                                return (Vec::new(), false);
                            }
                            let entry = Entry::ConfigurationActivated {
                                hash: "aa".into(),
                                previous: "bb".into(),
                                changes: None,
                            };
                            let pending = Pending {
                                stamp: Stamp::default(),
                                actor: None,
                                entry,
                            };
                            (vec![pending], true)
                        });
                        usize::from(used.expect("there is room"))
                    })
                })
                .collect();
            (all.into_iter())
                .map(|one| one.join().expect("it ends"))
                .sum()
        });
        assert_eq!(used, 1, "round {round}");
    }
    let activated = records(&path)
        .iter()
        .filter(|record| record.kind == "configuration-activated")
        .count();
    assert_eq!(activated, 10);
}

/// The clock is the one that was handed in, for every record of that log, one about a torn line included.
#[test]
fn records_have_the_time_of_the_clock_that_was_handed_in() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let clock = WallClock::UnixMs(|| 951_782_400_000);
    let writer = Writer::open(&path, clock).expect("it can be begun");
    writer.append(stamp(1), Some("anna"), Entry::ResetAsked {});
    drop(writer);
    let mut bytes = fs::read(&path).expect("it is there");
    bytes.extend_from_slice(b"{\"seq\":2,");
    fs::write(&path, bytes).expect("writable");
    AuditFile::open(&path, clock).expect("a crash is no tampering");
    let mut virtual_time =
        AuditFile::open(&path, WallClock::VirtualTime).expect("it can be opened");
    virtual_time
        .append(&[pending(2, None, Entry::Stop(stop(2, "force")))])
        .expect("there is room");
    let told: Vec<_> = (records(&path).iter())
        .map(|record| (record.kind.clone(), record.time(), record.who().to_owned()))
        .collect();
    let expected = [
        ("reset-asked", "2000-02-29 00:00:00Z", "anna"),
        ("torn", "2000-02-29 00:00:00Z", "nobody"),
        ("stop", "no wall clock", "nobody"),
    ];
    assert_eq!(
        told,
        expected.map(|(kind, time, who)| (kind.to_owned(), time.to_owned(), who.to_owned()))
    );
    let seen = verify(&path).expect("it can be read");
    assert_eq!((seen.no_wall_clock, seen.by_nobody), (1, 2));
    assert_eq!(seen.last_time_unix_ms, Some(951_782_400_000));
    let words = seen.to_text();
    assert!(words.contains("acted: anna"), "{words}");
    assert!(words.contains("no wall clock in 1 of them"), "{words}");
}

/// Whoever keeps a record until it can be written may say when it was, and not that it is yet to come.
#[test]
fn no_record_is_of_a_time_after_it_was_written() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let clock = WallClock::UnixMs(|| 951_782_400_000);
    let mut log = AuditFile::open(&path, clock).expect("it can be begun");
    let at = |time_unix_ms| {
        let mut kept = granted(1);
        kept.stamp.time_unix_ms = Some(time_unix_ms);
        kept
    };
    log.append(&[at(951_782_399_000), at(u64::MAX)])
        .expect("there is room");
    let times: Vec<_> = (records(&path).iter()).map(|r| r.time_unix_ms).collect();
    assert_eq!(times, [Some(951_782_399_000), Some(951_782_400_000)]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_no_log() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("every unix has mkfifo").success());
    let check = |path: &Path, words: &str| {
        let opened = AuditFile::open(path, WallClock::VirtualTime).expect_err("no file");
        let read = verify(path).expect_err("no file");
        for error in [opened.to_string(), read.to_string()] {
            assert!(
                error.contains(words) && error.contains("give the path"),
                "{error}"
            );
        }
    };
    check(&pipe, "a pipe");
    check(folder.path(), "a folder");
    check(Path::new("/dev/null"), "a device");
}

/// Somebody who may write into the folder gets the log to write nowhere else.
#[cfg(unix)]
#[test]
fn links_beside_the_log_lead_nowhere() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let precious = folder.path().join("precious");
    let torn = b"{\"seq\":5,\"ti";
    let link = |name: &str| {
        let link = folder.path().join(name);
        std::os::unix::fs::symlink(&precious, &link).expect("links can be made");
        link
    };
    let tear = || {
        let whole = written(&path);
        fs::write(&path, [&whole[..], torn].concat()).expect("writable");
        fs::write(&precious, b"as it was").expect("writable");
    };
    tear();
    link("audit.jsonl.torn.part");
    AuditFile::open(&path, WallClock::VirtualTime).expect("a crash is no tampering");
    assert_eq!(fs::read(&precious).expect("it is there"), b"as it was");
    fs::remove_file(&path).expect("it is there");
    tear();
    link("audit.jsonl.torn");
    let error = AuditFile::open(&path, WallClock::VirtualTime).expect_err("a trap");
    assert!(error.to_string().contains("it is a link"), "{error}");
    assert_eq!(fs::read(&precious).expect("it is there"), b"as it was");
}

/// A file that was never a log is left as it is, whoever names it for one; and so is what a link leads to.
#[cfg(unix)]
#[test]
fn a_file_of_something_else_is_no_log() {
    let folder = folder();
    let notes = folder.path().join("notes.txt");
    let path = folder.path().join("audit.jsonl");
    for text in ["no newline", "{\"seq\":2,", "{", " ", "whole\nlines\n"] {
        fs::write(&notes, text).expect("writable");
        let opened = AuditFile::open(&notes, WallClock::VirtualTime);
        // One byte of a record may be left of a crash.
        assert_eq!(opened.is_ok(), text == "{", "{text:?}");
        if let Err(error) = opened {
            let left = fs::read_to_string(&notes).expect("it is there");
            assert_eq!(left, text, "{error}");
            let others = fs::read_dir(folder.path()).expect("it is there").count();
            assert_eq!(others, 1, "{error}");
            assert!(error.to_string().contains("notes.txt"), "{error}");
        } else {
            for entry in fs::read_dir(folder.path()).expect("it is there") {
                fs::remove_file(entry.expect("it is there").path()).expect("writable");
            }
        }
    }
    fs::write(&notes, "").expect("writable");
    std::os::unix::fs::symlink(&notes, &path).expect("links can be made");
    for there in [true, false] {
        if !there {
            fs::remove_file(&notes).expect("it is there");
        }
        let error = AuditFile::open(&path, WallClock::VirtualTime).expect_err("a link");
        assert!(error.to_string().contains("it is a link"), "{error}");
        let left = fs::read(&notes).ok();
        assert_eq!(left, there.then(Vec::new), "nothing is written or made");
    }
    // Neither where a link takes the place of a log that is open.
    fs::remove_file(&path).expect("it is there");
    let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it can be begun");
    fs::rename(&path, &notes).expect("it can be moved");
    std::os::unix::fs::symlink(&notes, &path).expect("links can be made");
    let error = log.append(&story()).expect_err("a link");
    assert!(matches!(error, AuditError::Replaced { .. }), "{error}");
}

/// While a gate is asked, nobody else finds an approval; a refusal gives back what was there.
#[test]
fn approvals_are_held_while_a_gate_is_asked() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it can be begun");
    let asked = || {
        pending(
            1,
            Some("cleo"),
            Entry::ActivationAsked { hash: "aa".into() },
        )
    };
    let refused = |reason: &str| {
        let entry = Entry::ConfigurationRefused {
            hash: "aa".into(),
            active: "bb".into(),
            reason: reason.into(),
        };
        pending(2, Some("cleo"), entry)
    };
    log.append(&[proposed("anna"), approved("ben"), asked()])
        .expect("there is room");
    assert_eq!(log.approvals().approver("aa"), None, "somebody has it");
    log.append(&[refused("not-approved")])
        .expect("there is room");
    assert_eq!(log.approvals().approver("aa"), None, "that was another one");
    log.append(&[refused("moving")]).expect("there is room");
    assert_eq!(log.approvals().approver("aa"), Some("ben"));
    let activated = Entry::ConfigurationActivated {
        hash: "aa".into(),
        previous: "bb".into(),
        changes: None,
    };
    log.append(&[
        asked(),
        pending(3, Some("cleo"), activated),
        refused("moving"),
    ])
    .expect("there is room");
    assert_eq!(log.approvals().approver("aa"), None, "it is used up");
}

#[cfg(target_os = "linux")]
#[test]
fn room_is_made_before_it_is_needed() {
    let folder = folder();
    let path = folder.path().join("audit.jsonl");
    let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it can be begun");
    log.reserve(64 << 10).expect("there is room");
    log.append(&story()).expect("there is room");
    let length = fs::metadata(&path).expect("it is there").len();
    assert!(length < 64 << 10, "what is set aside is not what is there");
    let error = log
        .reserve(1 << 60)
        .expect_err("nobody has a disk like that");
    assert!(error.to_string().contains("making room in it"), "{error}");
    assert_eq!(fs::metadata(&path).expect("it is there").len(), length);
    log.refresh().expect("it is as it was");
}
