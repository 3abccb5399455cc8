//! A store in a folder of its own, components that say what they are, and somebody who looks into them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sinew_skill_store::{
    Access, Activation, By, Date, Examined, Examiner, Gate, Held, Installation, Installed, Memory,
    MemoryOf, RunOutcome, SecretKey, Store, StoreError, SwapAt, Trust, Unfit, Usage, sign,
};
use tempfile::TempDir;
use wasm_encoder::{Component, CustomSection};

pub(crate) const TODAY: Date = Date {
    year: 2026,
    month: 6,
    day: 15,
};
pub(crate) const ENGINE: &str = "engine 1";

pub(crate) fn by(actor: &str) -> By {
    By {
        actor: actor.to_owned(),
        unix_ms: Some(1_781_000_000_000),
    }
}

/// A component that holds `text`, by which [`Reader`] knows it.
pub(crate) fn component(text: &str) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&CustomSection {
        name: "what".into(),
        data: text.as_bytes().into(),
    });
    component.finish()
}

/// Reads `name version` out of a component.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) looked: usize,
}

impl Examiner for Reader {
    fn examine(&mut self, artifact: &[u8], _: &str) -> Result<Examined, Unfit> {
        self.looked += 1;
        let text = String::from_utf8_lossy(&artifact[8..]).into_owned();
        let text = text.split("what").nth(1).unwrap_or_default();
        let words: Vec<&str> = text.split(['\0', ' ']).collect();
        let [name, version, ..] = words[..] else {
            return Err(Unfit(format!("{text:?} is no plugin")));
        };
        let digits: String = version
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || ".-+".contains(*c))
            .collect();
        Ok(Examined {
            name: name.to_owned(),
            version: digits
                .parse()
                .map_err(|_| Unfit(format!("{digits} is no version")))?,
            kind: "skill".to_owned(),
            summary: "a test".to_owned(),
            compiled: format!("machine code of {text}").into_bytes(),
            compiled_for: ENGINE.to_owned(),
        })
    }
}

pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) key: SecretKey,
    pub(crate) trust: Trust,
}

impl Rig {
    /// A trust file with one key of `acme`.
    pub(crate) fn new() -> Self {
        let key = SecretKey::generate().expect("the system has randomness");
        let text = format!("[[publishers.acme.keys]]\nkey = \"{}\"", key.public());
        Self {
            folder: TempDir::new().expect("a temporary folder"),
            trust: Trust::from_toml_str(&text, "trust.toml").expect("a trust file"),
            key,
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("skills")
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(&self.root(), Access::Create).expect("a store")
    }

    pub(crate) fn how(&self) -> Installation<'_> {
        Installation {
            origin: "pick.wasm",
            trust: &self.trust,
            today: TODAY,
            unsigned: false,
            most_bytes: 1 << 20,
        }
    }

    pub(crate) fn signed(&self, text: &str) -> Vec<u8> {
        sign(&component(text), &self.key).expect("it can be signed")
    }

    pub(crate) fn install(&self, store: &mut Store, text: &str) -> Result<Installed, StoreError> {
        store.install(
            &self.signed(text),
            &self.how(),
            &mut Reader::default(),
            &by("ina"),
        )
    }

    /// Installs `acme/pick` of a version.
    pub(crate) fn pick(&self, store: &mut Store, version: &str) -> Held {
        self.install(store, &format!("acme/pick {version}"))
            .expect("it is let in")
            .held
    }

    pub(crate) fn terms(&self) -> Activation<'_> {
        Activation {
            trust: &self.trust,
            allowed: allowed(&["interface motion"]),
            downgrade: false,
            again: false,
            swap_at: SwapAt::NextTask,
            gate: Gate {
                runs: 3,
                failures: 1,
            },
        }
    }

    pub(crate) fn activate(&self, store: &mut Store, held: &Held) -> Held {
        store
            .activate(held, &self.terms(), &by("ben"))
            .expect("it becomes active")
    }
}

pub(crate) fn allowed(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Keeps memory of `acme/pick`, as it is now.
pub(crate) fn keep(store: &mut Store, entries: &BTreeMap<String, Vec<u8>>) {
    let there = store.memory("acme/pick").expect("it can be read");
    let memory = Memory {
        entries: entries.clone(),
        ..there
    };
    let kept = store.keep_memory("acme/pick", &memory, &MemoryOf::default());
    assert!(kept.expect("it can be written"));
}

/// Books that a run of a version ended. Why the version was left, if it was.
#[track_caller]
pub(crate) fn ran(
    store: &mut Store,
    held: &Held,
    outcome: &RunOutcome,
    trust: Option<&Trust>,
) -> Option<String> {
    store
        .count_run(held.digest, outcome, &usage(), trust, &by("sinew"))
        .expect("it can be written")
}

pub(crate) fn usage() -> Usage {
    Usage {
        cpu_ns: 5,
        fuel: 7,
        calls: 2,
        denials: 1,
        memory_peak_bytes: 100,
        ..Usage::default()
    }
}

/// What the store says of each version: `1.0.0 active`.
pub(crate) fn states(store: &Store) -> Vec<String> {
    let all = store.all().expect("it can be read");
    all.iter()
        .map(|held| format!("{} {}", held.version, held.state.name()))
        .collect()
}

pub(crate) fn refused<T: std::fmt::Debug>(
    result: Result<T, StoreError>,
    expected: &str,
) -> StoreError {
    let error = result.expect_err(expected);
    let words = error.to_string();
    assert!(words.contains(expected), "`{expected}` is not in: {words}");
    error
}
