//! Versions of `kit-parts` swapped under a kitting job, good ones and broken ones, by a real store.

mod books;
mod changing;
mod leaving;
#[path = "../../../plugin-host/tests/plugins/repack.rs"]
#[allow(clippy::unwrap_used)]
mod repack;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use sinew_inference::Choice;
use sinew_plugin_host::{Grants, Limits, PluginHost};
use sinew_sim::{Cell, Profile, Scenario};
use sinew_skill_artifacts::{BROKEN_KIT, KIT_PARTS};
use sinew_skill_store::{
    Access, Activation, By, Date, Examined, Examiner, Gate, Held, Installation, RunOutcome,
    Standing, State, Store, SwapAt, Trust, Unfit, Usage, What,
};
use sinew_tasks::{Happening, SubmitOptions, TaskEvent, TaskId};

use super::{StorePlace, kind_name};
use crate::grants::allowed;
use crate::host::{Host, HostOptions, Surroundings};
use crate::job::take_news;
use crate::kit::{Kit, PluginFile, idle_ports};
use crate::sources::Sources;

const NAME: &str = "sinew/kit-parts";

/// Compiles here: what it looks at was built beside it.
struct Here(PluginHost);

impl Examiner for Here {
    fn examine(&mut self, artifact: &[u8], origin: &str) -> Result<Examined, Unfit> {
        let compiled = self.0.compile(artifact, origin);
        let (manifest, compiled) = compiled.map_err(|error| Unfit(error.to_string()))?;
        Ok(Examined {
            version: manifest.version.parse().expect("it is one"),
            kind: kind_name(manifest.kind).to_owned(),
            name: manifest.name,
            summary: manifest.summary,
            compiled,
            compiled_for: self.0.code_for(),
        })
    }
}

fn sources(store: &Path) -> Sources {
    Sources {
        default_grants: sinew_skill_artifacts::GRANTS.to_owned(),
        backend: Choice::Embedded,
        store: Some(StorePlace {
            folder: store.to_owned(),
            ..StorePlace::default()
        }),
        ..Sources::default()
    }
}

fn by() -> By {
    By {
        actor: "ben".to_owned(),
        unix_ms: None,
    }
}

/// A store with good and broken versions of the skill.
struct Shelf {
    store: Store,
    good: Vec<Held>,
    broken: Vec<Held>,
    allowed: BTreeSet<String>,
}

impl Shelf {
    fn fill(root: &Path, good: u32, broken: u32) -> Self {
        let mut store = Store::open(root, Access::Create).expect("a store");
        let config = sources(root).load().expect("what is built in fits");
        let host = PluginHost::new(Limits::default(), Grants::default(), idle_ports(&config));
        let mut examiner = Here(host.expect("an engine"));
        let trust = Trust::default();
        let how = Installation {
            origin: "kit-parts.wasm",
            trust: &trust,
            today: Date {
                year: 2026,
                month: 1,
                day: 1,
            },
            unsigned: true,
            most_bytes: 1 << 30,
        };
        let mut install = |artifact: &[u8], version: String| {
            let mut manifest = repack::manifest(artifact);
            manifest["version"] = json!(version);
            let artifact = repack::repack(artifact, &[manifest]);
            let installed = store.install(&artifact, &how, &mut examiner, &by());
            installed.expect("it is sound").held
        };
        let good = (1..=good)
            .map(|n| install(KIT_PARTS, format!("{n}.0.0")))
            .collect();
        let broken = (1..=broken)
            .map(|n| install(BROKEN_KIT, format!("{n}.0.1-broken")))
            .collect();
        let manifest = repack::manifest(KIT_PARTS).to_string();
        let manifest = sinew_plugin_host::Manifest::from_json(manifest.as_bytes());
        Self {
            allowed: allowed(&manifest.expect("it is one"), &config.grants),
            store,
            good,
            broken,
        }
    }

    fn activate(&mut self, held: &Held, at: SwapAt) {
        let held = (self.store.all().expect("it can be read").into_iter())
            .find(|now| now.digest == held.digest)
            .expect("it is still there");
        let trust = Trust::default();
        let how = Activation {
            trust: &trust,
            allowed: self.allowed.clone(),
            downgrade: true,
            again: true,
            swap_at: at,
            // A broken one that takes over when everything is done, and says so, is right by chance: once proves nothing of it.
            gate: Gate {
                runs: if is_broken(&held) { 20 } else { 1 },
                failures: 0,
            },
        };
        self.store
            .activate(&held, &how, &by())
            .expect("nothing speaks against it");
    }

    /// Makes the first good version active, and proves it.
    fn prove_first(&mut self) {
        let first = self.good[0].clone();
        self.activate(&first, SwapAt::NextTask);
        let proven = (self.store).count_run(
            first.digest,
            &RunOutcome::Succeeded,
            &Usage::default(),
            None,
            &by(),
        );
        assert_eq!(proven.expect("it can be written"), None);
    }

    fn active(&self) -> Option<Held> {
        self.store.active().expect("it can be read").pop()
    }
}

fn is_broken(held: &Held) -> bool {
    held.version.pre.as_str() == "broken"
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// Memory of this process, KiB.
fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4
}

/// What the events of one task say about versions: each run is of the version that the task has then.
fn check_task(events: &[TaskEvent], task: TaskId, start: &str) -> (String, u64) {
    let (mut version, mut swaps, mut ends) = (String::new(), 0, 0);
    for event in events.iter().filter(|event| event.task == task) {
        match &event.what {
            Happening::RunStarted {
                plugin,
                version: of,
                ..
            } if plugin == NAME => {
                if version.is_empty() {
                    version.clone_from(of);
                }
                assert_eq!(
                    *of, version,
                    "{start}: a run of another version than the task's"
                );
            }
            Happening::Swapped { from, to, .. } => {
                assert_eq!(*from, version, "{start}: a swap from what it did not have");
                version.clone_from(to);
                swaps += 1;
            }
            Happening::State { to, .. } if to.is_final() => ends += 1,
            _ => {}
        }
    }
    assert_eq!(ends, 1, "{start}: one end");
    (version, swaps)
}

/// Swaps of a full run (`SINEW_TEST_ALL=1 cargo test --release -p sinew-runtime --lib swapped_under -- --nocapture`); a part
/// of them in the usual one.
const SWAPS_ALL: u64 = 1_000;
const SWAPS: u64 = 40;

#[test]
fn versions_are_swapped_under_a_kitting_job() {
    let asked = if std::env::var_os("SINEW_TEST_ALL").is_some() {
        SWAPS_ALL
    } else {
        SWAPS
    };
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("skills");
    let mut shelf = Shelf::fill(&root, 3, 3);
    shelf.prove_first();
    let sources = sources(&root);
    let others: Vec<PluginFile> = (sinew_skill_artifacts::SKILLS.iter())
        .map(|(name, bytes)| PluginFile {
            origin: (*name).to_owned(),
            bytes: bytes.to_vec(),
            built_in: true,
        })
        .collect();
    let mut kit = Kit::load(&sources, &others).expect("all of it fits");
    kit.keep_books(&sources, None).expect("the store is there");
    let cell = Cell::new(&kit.config().robot, &kit.config().cell);
    let mut dice = Dice(7);
    let (mut swaps, mut by_kind, mut tasks, mut succeeded) = (0, BTreeMap::new(), 0_u64, 0_u64);
    let mut failures = BTreeMap::new();
    let mut activated_broken = 0_u64;
    let mut resident = None;
    let mut seed = 0;
    while swaps < asked {
        seed += 1;
        let scene = cell.reset_with(seed, 0, &Profile::calm(), &Scenario::default());
        let options = HostOptions {
            speed: crate::host::Speed::Max,
            incidents: folder.path().join("incidents"),
            keep_runs: false,
            audit: None,
        };
        let mut host = Host::new(&kit, Surroundings::of(&cell), &options).expect("a host");
        host.reset("ben").expect("nothing speaks against it");
        let lines: Vec<_> = (scene.order.iter())
            .map(|line| json!({"class": line.class, "color": line.color, "slot": line.slot}))
            .collect();
        let params = json!({ "order": lines }).to_string();
        let options = SubmitOptions {
            seed,
            ..SubmitOptions::default()
        };
        let task = host.tasks().submit(NAME, &params, options);
        let task = task.expect("it is a sound order");
        let mut next_swap = host.now().0 + 500;
        let mut events = Vec::new();
        while host.tasks().end(task).is_none() {
            host.step().expect("virtual time goes on");
            events.extend(host.take_events());
            if host.now().0 < next_swap || swaps == asked {
                continue;
            }
            // A broken version is waited for: it is to be rolled back, not replaced.
            let active = shelf.active();
            if active.as_ref().is_some_and(is_broken) {
                next_swap = host.now().0 + 100;
                continue;
            }
            let all = shelf.store.all().expect("it can be read");
            let has_good = all.iter().any(|held| match held.state {
                State::LastGood => true,
                State::Active { standing, .. } => standing == Standing::Good,
                _ => false,
            });
            let at = SwapAt::ALL[dice.below(3) as usize];
            // Without a version that has shown itself good there is nothing to go back to.
            let pick = if has_good && dice.below(3) == 0 {
                activated_broken += 1;
                &shelf.broken
            } else {
                &shelf.good
            };
            let pick = pick[dice.below(3) as usize].clone();
            shelf.activate(&pick, at);
            take_news(&kit, Some(&mut host), &mut |_| {});
            swaps += 1;
            *by_kind.entry(at.name()).or_insert(0_u64) += 1;
            next_swap = host.now().0 + 200 + dice.below(1_500);
        }
        let end = host.tasks().end(task).cloned().expect("it is over");
        let (version, task_swaps) = check_task(&events, task, &format!("seed {seed}"));
        assert_eq!((version, task_swaps), (end.version.clone(), end.swaps));
        let verdicts = &host.brain.verdicts;
        let told = verdicts.passed_ticks + verdicts.limited_ticks + verdicts.stop_ticks;
        assert_eq!(told, host.now().0, "seed {seed}: a tick without a verdict");
        tasks += 1;
        match end.label {
            None => succeeded += 1,
            Some(label) => {
                println!("seed {seed}: {label}: {}", end.message);
                *failures.entry(label.code()).or_insert(0_u64) += 1;
            }
        }
        if swaps > asked / 4 {
            resident.get_or_insert_with(resident_kib);
        }
    }
    let history = shelf.store.history(Some(NAME)).expect("it can be read");
    let count = |what: What| {
        let of_broken = history
            .iter()
            .filter(|event| event.version.ends_with("broken"));
        of_broken.filter(|event| event.what == what).count() as u64
    };
    let waiting = u64::from(shelf.active().as_ref().is_some_and(is_broken));
    assert_eq!(count(What::Activated), activated_broken);
    assert_eq!(count(What::RolledBack), activated_broken - waiting);
    assert_eq!(count(What::Proven), 0);
    assert!(
        activated_broken > asked / 20,
        "{activated_broken} of {asked} were broken"
    );
    assert_eq!(by_kind.len(), 3, "{by_kind:?}");
    let (before, after) = (resident.unwrap_or(0), resident_kib());
    println!(
        "{swaps} swaps ({by_kind:?}), {activated_broken} of broken versions; {tasks} tasks, {succeeded} succeeded, failed {failures:?}; \
         {before} KiB resident after a quarter, {after} KiB at the end"
    );
    // The first tasks still fill caches: only a long run can be flat.
    let most = if asked == SWAPS_ALL {
        before / 10
    } else {
        64 << 10
    };
    assert!(
        after < before + most,
        "memory grows: {before} KiB after a quarter, {after} KiB at the end"
    );
}
