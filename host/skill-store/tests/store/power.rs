//! The power goes at every step of a change, and now and then in the middle of one.
//!
//! A child of this test does the change and is killed, so that nothing of it is cleaned up by anybody; what it left is
//! opened again and must be the state from before or the one after, whole.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Signal, getpid, kill_process};
use sinew_skill_store::{
    Access, Activation, Installation, RunOutcome, Store, StoreError, Trust, layout,
};

use crate::rig::{ENGINE, Reader, Rig, TODAY, allowed, by, keep, ran, states, usage};

/// Set for the child: what it does, and the step that it dies at.
const CHANGE: &str = "SINEW_TEST_CHANGE";
const STEP: &str = "SINEW_TEST_STEP";
const FOLDER: &str = "SINEW_TEST_FOLDER";

/// The changes, each on a store with 1.0.0 proven, 2.0.0 on probation, 3.0.0 installed, and 2.5.0 condemned and removed.
const CHANGES: [&str; 13] = [
    "install",
    "install-again",
    "activate",
    "success",
    "fault",
    "roll-back",
    "remove",
    "remove-active",
    "pin",
    "tell",
    "memory",
    "recompile",
    "approve",
];

fn install(trust: &Trust) -> Installation<'_> {
    Installation {
        origin: "four.wasm",
        trust,
        today: TODAY,
        unsigned: false,
        most_bytes: 1 << 20,
    }
}

fn carry_out(store: &mut Store, change: &str, folder: &Path) -> Result<(), StoreError> {
    let artifact = std::fs::read(folder.join("four.wasm")).unwrap();
    let key = layout(&artifact).signature.unwrap().0;
    let text = format!("[[publishers.acme.keys]]\nkey = \"{key}\"");
    let trust = Trust::from_toml_str(&text, "trust.toml").unwrap();
    let find = |store: &Store, version: &str| {
        store.select_one(&format!("acme/pick@{version}").parse().unwrap())
    };
    let (by, how) = (
        by("ben"),
        Activation {
            trust: &trust,
            allowed: allowed(&["interface motion"]),
            downgrade: false,
            again: false,
            swap_at: sinew_skill_store::SwapAt::SafePoint,
            gate: sinew_skill_store::Gate::default(),
        },
    );
    match change {
        "install" => store
            .install(&artifact, &install(&trust), &mut Reader::default(), &by)
            .map(|_| ()),
        "activate" => {
            let three = find(store, "3.0.0")?;
            store.activate(&three, &how, &by).map(|_| ())
        }
        "fault" => {
            let two = find(store, "2.0.0")?;
            let fault = RunOutcome::Faulted("it trapped".to_owned());
            store
                .count_run(two.digest, &fault, &usage(), Some(&trust), &by)
                .map(|_| ())
        }
        "success" => {
            let two = find(store, "2.0.0")?;
            let done = RunOutcome::Succeeded;
            (store.count_run(two.digest, &done, &usage(), Some(&trust), &by)).map(|_| ())
        }
        "roll-back" => store
            .roll_back("acme/pick", "slow", &trust, &by)
            .map(|_| ()),
        "remove" => {
            let three = find(store, "3.0.0")?;
            store.remove(&three, false, &by)
        }
        "memory" => {
            keep(store, &[("of".to_owned(), b"two, later".to_vec())].into());
            Ok(())
        }
        "remove-active" => {
            let two = find(store, "2.0.0")?;
            store.remove(&two, true, &by)
        }
        "install-again" => {
            let artifact = std::fs::read(folder.join("gone.wasm")).unwrap();
            store
                .install(&artifact, &install(&trust), &mut Reader::default(), &by)
                .map(|_| ())
        }
        "pin" => {
            let two = find(store, "2.0.0")?;
            store.pin(&two, true, &by).map(|_| ())
        }
        "tell" => store.hand_out(|_| Ok(())),
        "recompile" => {
            let two = find(store, "2.0.0")?;
            store.recompiled(&two, b"made anew", ENGINE)
        }
        "approve" => {
            let three = find(store, "3.0.0")?;
            let all = allowed(&["interface files", "interface motion"]);
            store.approve(&three, &all, &by).map(|_| ())
        }
        other => panic!("no change `{other}`"),
    }
}

/// What the child does; nothing when it is not one.
#[test]
fn child() {
    let Ok(change) = std::env::var(CHANGE) else {
        return;
    };
    let folder = std::env::var(FOLDER).unwrap();
    let last: usize = std::env::var(STEP).unwrap().parse().unwrap();
    let steps = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&steps);
    let on_step = move |_: &'static str| {
        if counting.fetch_add(1, Ordering::SeqCst) == last {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    };
    let root = Path::new(&folder).join("skills");
    let mut store = Store::open_with_steps(&root, Access::Create, Arc::new(on_step)).unwrap();
    carry_out(&mut store, &change, Path::new(&folder)).unwrap();
}

fn in_child(folder: &Path, change: &str, step: usize) -> ExitStatus {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "power::child", "--test-threads=1"]);
    child
        .env(CHANGE, change)
        .env(STEP, step.to_string())
        .env(FOLDER, folder);
    child.output().unwrap().status
}

/// 1.0.0 proven, 2.0.0 on probation, 3.0.0 installed, 2.5.0 condemned and removed.
fn prepare(rig: &Rig) {
    let mut store = rig.open();
    let [one, two, _] = ["1.0.0", "2.0.0", "3.0.0"].map(|version| rig.pick(&mut store, version));
    rig.activate(&mut store, &one);
    for _ in 0..3 {
        ran(
            &mut store,
            &one,
            &RunOutcome::Succeeded,
            Some(&Trust::default()),
        );
    }
    let broken = rig.pick(&mut store, "2.5.0");
    rig.activate(&mut store, &broken);
    let fault = RunOutcome::Faulted("it trapped".to_owned());
    ran(&mut store, &broken, &fault, None);
    store.remove(&broken, false, &by("ben")).unwrap();
    std::fs::write(
        rig.folder.path().join("gone.wasm"),
        rig.signed("acme/pick 2.5.0"),
    )
    .unwrap();
    let mut entries = [("of".to_owned(), b"one".to_vec())].into();
    keep(&mut store, &entries);
    let anyway = Activation {
        downgrade: true,
        ..rig.terms()
    };
    store.activate(&two, &anyway, &by("ben")).unwrap();
    entries.insert("of".to_owned(), b"two".to_vec());
    keep(&mut store, &entries);
    std::fs::write(
        rig.folder.path().join("four.wasm"),
        rig.signed("acme/pick 4.0.0"),
    )
    .unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
    let mode = std::fs::metadata(from).unwrap().permissions();
    std::fs::set_permissions(to, mode).unwrap();
}

/// Everything that the store would tell a host or a person, and that all of it can be loaded.
fn whole(store: &Store, trust: &Trust) -> String {
    let held = store.all().unwrap();
    let loaded: Vec<String> = held
        .iter()
        .map(|held| {
            let loaded = store.load(held, trust, ENGINE).unwrap();
            format!(
                "{} {:?}",
                held.digest,
                loaded.compiled.map(|code| code.len())
            )
        })
        .collect();
    let condemned: Vec<_> = held.iter().map(|held| &held.condemned).collect();
    let pinned: Vec<_> = held.iter().map(|held| held.pinned).collect();
    let history: Vec<String> = (store.history(None).unwrap().iter())
        .map(|event| format!("{} {} {}", event.what.name(), event.version, event.reason))
        .collect();
    let usage: Vec<_> = held
        .iter()
        .map(|held| store.usage(held.digest).unwrap())
        .collect();
    format!(
        "{:?} {condemned:?} {pinned:?} {loaded:?} {history:?} {usage:?} {:?} {:?} {}",
        states(store),
        store.memory("acme/pick").unwrap().entries,
        store.consented("acme/pick").unwrap(),
        untold(store)
    )
}

/// How many rows the audit log was not told of, without telling it.
fn untold(store: &Store) -> i64 {
    let database = rusqlite::Connection::open(store.root().join("state.sqlite")).unwrap();
    let count = "SELECT count(*) FROM history WHERE told = 0";
    database.query_row(count, [], |row| row.get(0)).unwrap()
}

/// Files that nothing refers to go with the next change.
fn nothing_is_left_over(store: &mut Store, rig: &Rig) {
    rig.install(store, "acme/other 1.0.0").unwrap();
    let count = |folder: &str| std::fs::read_dir(rig.root().join(folder)).unwrap().count();
    let held = store.all().unwrap().len();
    assert_eq!((count("artifacts"), count("compiled")), (held, held));
}

#[test]
fn the_power_goes_at_every_step_of_every_change() {
    let mut kills = 0;
    for change in CHANGES {
        let rig = Rig::new();
        prepare(&rig);
        let pristine = rig.folder.path().join("pristine");
        copy_folder(&rig.root(), &pristine);
        let before = whole(&rig.open(), &rig.trust);
        carry_out(&mut rig.open(), change, rig.folder.path()).unwrap();
        let after = whole(&rig.open(), &rig.trust);
        assert_ne!(before, after, "{change} changes something");
        let (mut old, mut new) = (0, 0);
        for step in 0.. {
            std::fs::remove_dir_all(rig.root()).unwrap();
            copy_folder(&pristine, &rig.root());
            let status = in_child(rig.folder.path(), change, step);
            let mut store = rig.open();
            let found = whole(&store, &rig.trust);
            if status.success() {
                assert_eq!(found, after, "{change} was not killed and is done");
                break;
            }
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(9)
            );
            kills += 1;
            match (found == before, found == after) {
                (true, _) => old += 1,
                (_, true) => new += 1,
                _ => panic!("{change}, step {step}: neither\n{before}\nnor\n{after}\nbut\n{found}"),
            }
            nothing_is_left_over(&mut store, &rig);
        }
        assert!(old > 0 && new > 0, "{change}: {old} old, {new} new");
    }
    assert!(kills >= 40, "{kills} steps");
}

#[test]
fn the_power_goes_while_a_store_is_made() {
    let rig = Rig::new();
    std::fs::write(
        rig.folder.path().join("four.wasm"),
        rig.signed("acme/pick 4.0.0"),
    )
    .unwrap();
    for step in 0.. {
        let _ = std::fs::remove_dir_all(rig.root());
        let is_done = in_child(rig.folder.path(), "install", step).success();
        let mut store = rig.open();
        assert!(states(&store).len() <= 1);
        rig.install(&mut store, "acme/pick 4.0.0").unwrap();
        assert_eq!(states(&store), ["4.0.0 installed"]);
        if is_done {
            assert!(step > 10, "{step} steps");
            break;
        }
    }
}
