//! Which version is active, and how it comes to be another one.

use std::collections::BTreeMap;

use sinew_skill_store::{
    Activation, Held, Memory, MemoryOf, RunOutcome, Selector, Store, SwapAt, Trust, Usage,
};

use crate::rig::{Rig, allowed, by, keep, ran, refused, states};

fn faulted() -> RunOutcome {
    RunOutcome::Faulted("it trapped".to_owned())
}

#[test]
fn a_version_is_proven_by_its_runs() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    rig.activate(&mut store, &one);
    let mut run = |outcome| ran(&mut store, &one, &outcome, Some(&rig.trust));
    assert_eq!(run(RunOutcome::Succeeded), None);
    assert_eq!(run(RunOutcome::Ended), None);
    assert_eq!(run(RunOutcome::Failed), None);
    assert_eq!(states(&store), ["1.0.0 probation"]);
    let mut run = |outcome| ran(&mut store, &one, &outcome, Some(&rig.trust));
    assert_eq!(run(RunOutcome::Succeeded), None);
    // It is good: what happens now is no reason to leave it.
    assert_eq!(run(faulted()), None);
    assert_eq!(states(&store), ["1.0.0 active"]);
    let expected = Usage {
        runs: 5,
        failures: 2,
        faults: 1,
        cpu_ns: 25,
        fuel: 35,
        calls: 10,
        denials: 5,
        deadline_misses: 0,
        memory_peak_bytes: 100,
    };
    assert_eq!(store.usage(one.digest).unwrap(), expected);
    let what: Vec<_> = store
        .history(None)
        .unwrap()
        .iter()
        .map(|event| event.what.name())
        .collect();
    assert_eq!(what, ["installed", "activated", "proven"]);
}

/// Proves the active version.
fn prove(store: &mut Store, held: &Held) {
    for _ in 0..3 {
        let left = ran(store, held, &RunOutcome::Succeeded, Some(&Trust::default()));
        assert_eq!(left, None);
    }
}

/// Version 1.0.0, proven, and 2.0.0, active instead of it and on trial.
fn one_good_two_on_trial(rig: &Rig, store: &mut Store) -> [Held; 2] {
    let [one, two] = ["1.0.0", "2.0.0"].map(|version| rig.pick(store, version));
    rig.activate(store, &one);
    prove(store, &one);
    rig.activate(store, &two);
    [one, two]
}

#[test]
fn a_fault_in_probation_goes_back_all_the_way() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    rig.activate(&mut store, &one);
    prove(&mut store, &one);
    let before = BTreeMap::from([("bins".to_owned(), b"seven".to_vec())]);
    keep(&mut store, &before);
    let two = rig.pick(&mut store, "2.0.0");
    rig.activate(&mut store, &two);
    assert_eq!(states(&store), ["2.0.0 probation", "1.0.0 last-good"]);
    let changed = BTreeMap::from([("bins".to_owned(), b"none".to_vec())]);
    keep(&mut store, &changed);
    let reason = ran(&mut store, &two, &faulted(), Some(&rig.trust));
    assert_eq!(reason.as_deref(), Some("it trapped"));
    assert_eq!(states(&store), ["2.0.0 rolled-back", "1.0.0 active"]);
    assert_eq!(store.memory("acme/pick").unwrap().entries, before);
    let last = store.history(None).unwrap().pop().unwrap();
    assert_eq!(
        (last.what.name(), last.reason.as_str()),
        ("rolled-back", "it trapped; back to 1.0.0")
    );
    // It is not tried again by mistake.
    let two = store.select_one(&"pick@2.0.0".parse().unwrap()).unwrap();
    refused(
        store.activate(&two, &rig.terms(), &by("ben")),
        "was rolled back: it trapped",
    );
    let again = Activation {
        again: true,
        ..rig.terms()
    };
    store.activate(&two, &again, &by("ben")).unwrap();
    let reason = &store.history(None).unwrap().pop().unwrap().reason;
    assert_eq!(
        reason,
        "again, after it was rolled back, on probation for 3 runs, of which 1 may fail"
    );
}

#[test]
fn failures_are_borne_up_to_a_number() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    rig.activate(&mut store, &one);
    let mut fail = || ran(&mut store, &one, &RunOutcome::Failed, Some(&rig.trust));
    assert_eq!(fail(), None);
    assert_eq!(
        fail().as_deref(),
        Some("it failed more often in its probation than is borne")
    );
    assert_eq!(
        states(&store),
        ["1.0.0 rolled-back"],
        "nothing was good before it"
    );
    assert!(store.active().unwrap().is_empty());
}

#[test]
fn only_what_was_good_is_gone_back_to() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two, three] =
        ["1.0.0", "2.0.0", "3.0.0"].map(|version| rig.pick(&mut store, version));
    rig.activate(&mut store, &one);
    prove(&mut store, &one);
    let kept = BTreeMap::from([("of".to_owned(), b"one".to_vec())]);
    keep(&mut store, &kept);
    rig.activate(&mut store, &two);
    keep(&mut store, &BTreeMap::new());
    rig.activate(&mut store, &three);
    ran(&mut store, &three, &faulted(), Some(&rig.trust));
    assert_eq!(
        states(&store),
        ["3.0.0 rolled-back", "2.0.0 installed", "1.0.0 active"]
    );
    assert_eq!(
        store.memory("acme/pick").unwrap().entries,
        kept,
        "as it was when 1.0.0 was left"
    );
}

#[test]
fn a_person_can_go_back_once() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    let back = |store: &mut sinew_skill_store::Store, rig: &Rig| {
        store.roll_back("acme/pick", "too slow", &rig.trust, &by("ben"))
    };
    refused(back(&mut store, &rig), "`acme/pick` is not active");
    rig.activate(&mut store, &one);
    refused(back(&mut store, &rig), "no version that was good before");
    prove(&mut store, &one);
    let two = rig.pick(&mut store, "2.0.0");
    rig.activate(&mut store, &two);
    assert_eq!(back(&mut store, &rig).unwrap().version.to_string(), "1.0.0");
    assert_eq!(states(&store), ["2.0.0 installed", "1.0.0 active"]);
    refused(back(&mut store, &rig), "no version that was good before");
}

#[test]
fn what_would_be_gone_back_to_is_good_when_it_is_activated_again() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    rig.activate(&mut store, &one);
    prove(&mut store, &one);
    let two = rig.pick(&mut store, "2.0.0");
    rig.activate(&mut store, &two);
    let anyway = Activation {
        downgrade: true,
        ..rig.terms()
    };
    store.activate(&one, &anyway, &by("ben")).unwrap();
    assert_eq!(states(&store), ["2.0.0 installed", "1.0.0 active"]);
}

#[test]
fn what_is_older_than_what_was_active_is_activated_on_purpose_only() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = ["1.0.0", "2.0.0"].map(|version| rig.pick(&mut store, version));
    rig.activate(&mut store, &two);
    refused(
        store.activate(&one, &rig.terms(), &by("ben")),
        "older than 2.0.0, which was active once",
    );
    let anyway = Activation {
        downgrade: true,
        ..rig.terms()
    };
    store.activate(&one, &anyway, &by("ben")).unwrap();
    assert_eq!(
        store.history(None).unwrap().pop().unwrap().reason,
        "a downgrade, on probation for 3 runs, of which 1 may fail"
    );
    // The mark does not sink, even if the higher version leaves the store.
    let two = store.select_one(&"pick@2.0.0".parse().unwrap()).unwrap();
    store.remove(&two, false, &by("ben")).unwrap();
    let middle = rig.pick(&mut store, "1.5.0");
    refused(
        store.activate(&middle, &rig.terms(), &by("ben")),
        "older than 2.0.0",
    );
}

#[test]
fn an_update_that_would_be_allowed_more_waits_for_somebody_to_agree() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = ["1.0.0", "2.0.0"].map(|version| rig.pick(&mut store, version));
    rig.activate(&mut store, &one);
    let more = Activation {
        allowed: allowed(&["interface files", "interface motion"]),
        ..rig.terms()
    };
    let error = refused(
        store.activate(&two, &more, &by("ben")),
        "until now: interface files. Somebody",
    );
    assert!(error.is_refusal());
    assert_eq!(states(&store), ["2.0.0 installed", "1.0.0 probation"]);
    let new = store.approve(&two, &more.allowed, &by("ben")).unwrap();
    assert_eq!(new, allowed(&["interface files"]));
    store.activate(&two, &more, &by("ben")).unwrap();
}

#[test]
fn a_revoked_version_neither_runs_nor_comes_back() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = one_good_two_on_trial(&rig, &mut store);
    let text = format!(
        "[[publishers.acme.keys]]\nkey = \"{}\"\n[[revoked]]\ndigest = \"{}\"\nwhy = \"unsafe\"",
        rig.key.public(),
        one.digest
    );
    let trust = Trust::from_toml_str(&text, "trust.toml").unwrap();
    let how = Activation {
        trust: &trust,
        downgrade: true,
        ..rig.terms()
    };
    refused(store.activate(&one, &how, &by("ben")), "is revoked: unsafe");
    refused(store.load(&one, &trust, "engine 1"), "is revoked: unsafe");
    refused(
        store.roll_back("acme/pick", "slow", &trust, &by("ben")),
        "is revoked: unsafe",
    );
    let revoked = text.replacen("[[revoked]]", "revoked = \"stolen\"\n[[revoked]]", 1);
    let trust = Trust::from_toml_str(&revoked, "trust.toml").unwrap();
    refused(
        store.load(&two, &trust, "engine 1"),
        "which is revoked: stolen",
    );
}

#[test]
fn a_fault_does_not_go_back_to_what_is_revoked() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = one_good_two_on_trial(&rig, &mut store);
    let text = format!(
        "[[publishers.acme.keys]]\nkey = \"{}\"\n[[revoked]]\ndigest = \"{}\"\nwhy = \"unsafe\"",
        rig.key.public(),
        one.digest
    );
    let trust = Trust::from_toml_str(&text, "trust.toml").unwrap();
    let left = ran(&mut store, &two, &faulted(), Some(&trust));
    assert_eq!(left.as_deref(), Some("it trapped"));
    assert!(store.active().unwrap().is_empty());
    let last = store.history(None).unwrap().pop().unwrap();
    assert_eq!(
        last.reason,
        "it trapped; 1.0.0 was good before and is not trusted any more, none is active"
    );
}

#[test]
fn without_a_trust_file_that_can_be_read_a_fault_goes_back_all_the_same() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [_, two] = one_good_two_on_trial(&rig, &mut store);
    let left = ran(&mut store, &two, &faulted(), None);
    assert!(left.is_some());
    assert_eq!(states(&store), ["2.0.0 rolled-back", "1.0.0 active"]);
}

#[test]
fn why_a_version_was_left_is_one_bounded_line() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    rig.activate(&mut store, &one);
    let forged = format!(
        "it trapped\n2026-01-01 ann\tapproved\u{1b}[2K {}",
        "x".repeat(9_000)
    );
    let fault = RunOutcome::Faulted(forged);
    ran(&mut store, &one, &fault, None);
    let told = store.history(None).unwrap().pop().unwrap().reason;
    let condemned = store.all().unwrap().remove(0).condemned.unwrap();
    for text in [&told, &condemned] {
        assert!(
            text.starts_with("it trapped 2026-01-01 ann approved [2K xxx"),
            "{text}"
        );
        assert!(text.chars().count() <= 500, "{}", text.len());
    }
}

#[test]
fn goodness_belongs_to_a_version_and_stays() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two, three] =
        ["1.0.0", "2.0.0", "3.0.0"].map(|version| rig.pick(&mut store, version));
    rig.activate(&mut store, &one);
    prove(&mut store, &one);
    rig.activate(&mut store, &two);
    let anyway = Activation {
        downgrade: true,
        ..rig.terms()
    };
    store.activate(&one, &anyway, &by("ben")).unwrap();
    store.activate(&one, &anyway, &by("ben")).unwrap();
    rig.activate(&mut store, &three);
    let left = ran(&mut store, &three, &faulted(), Some(&rig.trust));
    assert!(left.is_some());
    assert_eq!(
        states(&store),
        ["3.0.0 rolled-back", "2.0.0 installed", "1.0.0 active"]
    );
}

#[test]
fn what_is_known_of_a_version_outlives_it() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [_, two] = one_good_two_on_trial(&rig, &mut store);
    ran(&mut store, &two, &faulted(), Some(&rig.trust));
    store.remove(&two, false, &by("ben")).unwrap();
    refused(
        rig.install(&mut store, "acme/pick 2.0.0 "),
        "a version is never used twice",
    );
    let two = rig.pick(&mut store, "2.0.0");
    refused(
        store.activate(&two, &rig.terms(), &by("ben")),
        "was rolled back: it trapped",
    );
}

#[test]
fn what_is_here_is_not_condemned_or_acquitted_by_installing_it_again() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    let again = Activation {
        again: true,
        ..rig.terms()
    };
    let condemn = |store: &mut sinew_skill_store::Store| {
        store.activate(&one, &again, &by("ben")).unwrap();
        ran(store, &one, &faulted(), None);
    };
    // It was removed before anything was known against it.
    store.remove(&one, false, &by("ben")).unwrap();
    rig.pick(&mut store, "1.0.0");
    condemn(&mut store);
    rig.pick(&mut store, "1.0.0");
    assert_eq!(states(&store), ["1.0.0 rolled-back"]);
    // It was removed when it was condemned, and somebody has let it off since.
    store.remove(&one, false, &by("ben")).unwrap();
    rig.pick(&mut store, "1.0.0");
    assert_eq!(states(&store), ["1.0.0 rolled-back"]);
    store.activate(&one, &again, &by("ben")).unwrap();
    rig.pick(&mut store, "1.0.0");
    assert_eq!(store.all().unwrap()[0].condemned, None);
}

#[test]
fn memory_that_was_put_back_is_not_written_over_by_what_was_read_before() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = ["1.0.0", "2.0.0"].map(|version| rig.pick(&mut store, version));
    rig.activate(&mut store, &one);
    prove(&mut store, &one);
    let before = BTreeMap::from([("of".to_owned(), b"one".to_vec())]);
    keep(&mut store, &before);
    rig.activate(&mut store, &two);
    let read = store.memory("acme/pick").unwrap();
    assert_eq!(read.entries, before, "as 1.0.0 has left it");
    (store.roll_back("acme/pick", "slow", &rig.trust, &by("ben"))).unwrap();
    let later = BTreeMap::from([("of".to_owned(), b"two".to_vec())]);
    let written = Memory {
        entries: later.clone(),
        ..read
    };
    let kept = store.keep_memory("acme/pick", &written, &MemoryOf::default());
    assert!(!kept.unwrap());
    assert_eq!(store.memory("acme/pick").unwrap().entries, before);
    keep(&mut store, &later);
    assert_eq!(store.memory("acme/pick").unwrap().entries, later);
}

#[test]
fn what_a_good_version_keeps_until_it_is_left_it_has_again() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = ["1.0.0", "2.0.0"].map(|version| rig.pick(&mut store, version));
    rig.activate(&mut store, &one);
    prove(&mut store, &one);
    let of = |text: &str| BTreeMap::from([("of".to_owned(), text.as_bytes().to_vec())]);
    let keep = |store: &mut Store, ran: &Held, text: &str, before: &[(&Held, &str)]| {
        let epoch = store.memory("acme/pick").unwrap().epoch;
        let before = before.iter().map(|(held, text)| (held.digest, of(text)));
        let whose = MemoryOf {
            version: Some(ran.digest),
            before: before.collect(),
        };
        let entries = of(text);
        let memory = Memory { entries, epoch };
        assert!((store.keep_memory("acme/pick", &memory, &whose)).unwrap());
        memory.entries
    };
    keep(&mut store, &one, "one", &[]);
    rig.activate(&mut store, &two);
    // The host has not taken it up yet.
    let later = keep(&mut store, &one, "one, later", &[]);
    assert_eq!(store.memory("acme/pick").unwrap().entries, later);
    keep(&mut store, &two, "two", &[]);
    ran(&mut store, &two, &faulted(), None);
    assert_eq!(states(&store), ["2.0.0 rolled-back", "1.0.0 active"]);
    assert_eq!(store.memory("acme/pick").unwrap().entries, later);

    // It took it up between two times of keeping.
    let three = rig.pick(&mut store, "3.0.0");
    rig.activate(&mut store, &three);
    keep(
        &mut store,
        &three,
        "three",
        &[(&two, "two"), (&one, "one, at last")],
    );
    assert_eq!(store.memory("acme/pick").unwrap().entries, of("three"));
    ran(&mut store, &three, &faulted(), None);
    assert_eq!(
        store.memory("acme/pick").unwrap().entries,
        of("one, at last")
    );
}

#[test]
fn removing_the_active_one_takes_back_memory_of_a_trial_only() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = ["1.0.0", "2.0.0"].map(|version| rig.pick(&mut store, version));
    let of = |text: &str| BTreeMap::from([("of".to_owned(), text.as_bytes().to_vec())]);
    rig.activate(&mut store, &one);
    prove(&mut store, &one);
    keep(&mut store, &of("one"));
    rig.activate(&mut store, &two);
    keep(&mut store, &of("two"));
    store.remove(&two, true, &by("ben")).unwrap();
    assert_eq!(store.memory("acme/pick").unwrap().entries, of("one"));
    let left = &store.history(None).unwrap()[5];
    assert_eq!(left.reason, "removed by hand, none is active");

    // What was good, with nothing before it, and with something before it that it is not gone back to any more.
    let anyway = Activation {
        downgrade: true,
        ..rig.terms()
    };
    store.activate(&one, &anyway, &by("ben")).unwrap();
    keep(&mut store, &of("one, later"));
    store.remove(&one, true, &by("ben")).unwrap();
    assert_eq!(store.memory("acme/pick").unwrap().entries, of("one, later"));
    let [one, two] = ["1.0.0", "3.0.0"].map(|version| rig.pick(&mut store, version));
    store.activate(&one, &anyway, &by("ben")).unwrap();
    prove(&mut store, &one);
    rig.activate(&mut store, &two);
    prove(&mut store, &two);
    keep(&mut store, &of("three"));
    store.remove(&two, true, &by("ben")).unwrap();
    assert_eq!(store.memory("acme/pick").unwrap().entries, of("three"));
    // Nor does what was kept of it come back with a later one that breaks.
    let four = rig.pick(&mut store, "4.0.0");
    rig.activate(&mut store, &four);
    ran(&mut store, &four, &faulted(), None);
    assert_eq!(store.memory("acme/pick").unwrap().entries, BTreeMap::new());
}

#[test]
fn the_active_one_is_removed_on_purpose_only() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    rig.activate(&mut store, &one);
    refused(
        store.remove(&one, false, &by("ben")),
        "say --active to leave none active",
    );
    store.remove(&one, true, &by("ben")).unwrap();
    assert!(store.all().unwrap().is_empty());
    let what: Vec<_> = store
        .history(None)
        .unwrap()
        .iter()
        .map(|event| event.what.name())
        .collect();
    assert_eq!(what, ["installed", "activated", "rolled-back", "removed"]);
}

#[test]
fn builds_and_releases_are_told_apart() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [plain, built, early] =
        ["1.0.0", "1.0.0+b", "2.0.0-rc.1"].map(|version| rig.pick(&mut store, version));
    let newest = store.select_one(&"pick".parse().unwrap()).unwrap();
    assert_eq!(
        newest.digest, built.digest,
        "not the one before its release"
    );
    rig.activate(&mut store, &built);
    refused(
        store.activate(&plain, &rig.terms(), &by("ben")),
        "older than 1.0.0+b",
    );
    rig.activate(&mut store, &early);
}

#[test]
fn who_signs_by_now_is_taken_signed_only_and_keys_do_not_change_hands() {
    let rig = Rig::new();
    let mut store = rig.open();
    let unsigned = sinew_skill_store::Installation {
        unsigned: true,
        ..rig.how()
    };
    let artifact = crate::rig::component("newco/pick 1.0.0");
    let mut reader = crate::rig::Reader::default();
    let held = store
        .install(&artifact, &unsigned, &mut reader, &by("ina"))
        .unwrap()
        .held;
    store.load(&held, &rig.trust, "engine 1").unwrap();
    let key = sinew_skill_store::SecretKey::generate().unwrap().public();
    let text = format!(
        "[[publishers.newco.keys]]\nkey = \"{key}\"\n[[publishers.other.keys]]\nkey = \"{}\"",
        rig.key.public()
    );
    let trust = Trust::from_toml_str(&text, "trust.toml").unwrap();
    refused(
        store.load(&held, &trust, "engine 1"),
        "has keys of its publisher `newco`",
    );
    let signed = rig.pick(&mut store, "1.0.0");
    refused(
        store.load(&signed, &trust, "engine 1"),
        "is a key of other, and not of `acme`",
    );
}

#[test]
fn a_pin_holds() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = ["1.0.0", "2.0.0"].map(|version| rig.pick(&mut store, version));
    refused(
        store.pin(&one, true, &by("ben")),
        "`acme/pick` 1.0.0 is not active",
    );
    rig.activate(&mut store, &one);
    assert!(store.pin(&one, true, &by("ben")).unwrap().pinned);
    refused(
        store.activate(&two, &rig.terms(), &by("ben")),
        "is pinned to 1.0.0",
    );
    refused(
        store.roll_back("acme/pick", "", &rig.trust, &by("ben")),
        "is pinned to 1.0.0",
    );
    refused(store.remove(&one, true, &by("ben")), "is pinned to 1.0.0");
    store.pin(&one, false, &by("ben")).unwrap();
    rig.activate(&mut store, &two);
}

#[test]
fn what_is_needed_is_not_removed() {
    let rig = Rig::new();
    let mut store = rig.open();
    let [one, two] = one_good_two_on_trial(&rig, &mut store);
    refused(
        store.remove(&one, false, &by("ben")),
        "is what is gone back to",
    );
    refused(store.remove(&two, false, &by("ben")), "is active");
    let three = rig.pick(&mut store, "3.0.0");
    store.remove(&three, false, &by("ben")).unwrap();
    let files = std::fs::read_dir(rig.root().join("artifacts"))
        .unwrap()
        .count();
    assert_eq!(files, 2, "its file is gone, too");
}

#[test]
fn plugins_are_named_as_people_name_them() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    rig.pick(&mut store, "2.0.0");
    let find = |text: &str| {
        let selector: Selector = text.parse().map_err(|error| format!("{error}"))?;
        store
            .select_one(&selector)
            .map(|held| held.version.to_string())
            .map_err(|error| error.to_string())
    };
    assert_eq!(find("pick").unwrap(), "2.0.0");
    assert_eq!(find("acme/pick@1.0.0").unwrap(), "1.0.0");
    assert_eq!(
        find(&format!("pick@{}", one.digest.short())).unwrap(),
        "1.0.0"
    );
    assert!(
        find("pick@9.9.9")
            .unwrap_err()
            .contains("there are: acme/pick 2.0.0")
    );
    assert!(
        find("place")
            .unwrap_err()
            .contains("no plugin in the store fits `place`")
    );
    for wrong in ["", "a b", "../x", "a/b/c", "pick@", "pick@1 0", "pick@abc"] {
        assert!(
            find(wrong).unwrap_err().contains("names no plugin"),
            "{wrong}"
        );
    }
    let other = sinew_skill_store::Installation {
        unsigned: true,
        ..rig.how()
    };
    let artifact = crate::rig::component("lab/pick 1.0.0");
    let mut reader = crate::rig::Reader::default();
    store
        .install(&artifact, &other, &mut reader, &by("ina"))
        .unwrap();
    let error = store
        .select_one(&"pick".parse().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("it fits acme/pick and lab/pick"), "{error}");
    // Only one of them has it.
    let two = store.select_one(&"pick@2.0.0".parse().unwrap()).unwrap();
    assert_eq!(
        (two.name.as_str(), two.version.to_string().as_str()),
        ("acme/pick", "2.0.0")
    );
}

#[test]
fn when_running_tasks_go_over_is_kept() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    for at in SwapAt::ALL {
        let how = Activation {
            swap_at: at,
            ..rig.terms()
        };
        let held = store.activate(&one, &how, &by("ben")).unwrap();
        assert!(
            matches!(held.state, sinew_skill_store::State::Active { swap_at, .. } if swap_at == at)
        );
    }
}
