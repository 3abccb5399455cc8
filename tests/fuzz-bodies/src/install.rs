//! Everything that an installation does to an artifact, but for the process that it is compiled in: size, revocation, signature,
//! manifest, imports, machine code, the store.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::json;
use sinew_plugin_host::{CAPABILITIES, Grants, Kind, Limits, PluginHost, read_manifest};
use sinew_skill_store::{
    Access, By, Date, Digest, Examined, Examiner, Installation, SecretKey, Store, Trust, Unfit,
    layout, sign,
};
use sinew_tasks::check_manifest;

use crate::choices::Choices;
use crate::raw::{component, imports_everything, with_manifest, with_manifest_of};
use crate::seeds::{COMPONENT, manifest_of};
use crate::signature::{edit, key};
use crate::surroundings::{Events, Surroundings};

const TODAY: Date = Date {
    year: 2026,
    month: 7,
    day: 1,
};

/// Largest artifact that is let in here.
const BYTES_MAX: usize = 64 << 10;
/// Fuel of what runs at its start.
const FUEL: u64 = 1_000_000;

struct Place {
    host: PluginHost,
    /// The publisher `lab`'s, one of another publisher, one that is revoked, one that nobody knows.
    keys: [SecretKey; 4],
    trust: Trust,
    components: Vec<Vec<u8>>,
}

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let keys = [key(1), key(2), key(3), key(4)];
        let trust = format!(
            "[[publishers.lab.keys]]\nkey = \"{}\"\n[[publishers.acme.keys]]\nkey = \"{}\"\n\
             [[publishers.lab.keys]]\nkey = \"{}\"\nrevoked = \"it is lost\"\n",
            keys[0].public(),
            keys[1].public(),
            keys[2].public()
        );
        let limits = Limits {
            fuel_between_calls: FUEL,
            artifact_bytes: BYTES_MAX,
            ..Limits::default()
        };
        let (_, ports) = Surroundings::new(Events::drawn(&mut Choices::of(&[])));
        Place {
            host: PluginHost::new(limits, Grants::default(), ports).expect("the engine starts"),
            trust: Trust::from_toml_str(&trust, "trust.toml").expect("it is in order"),
            keys,
            components: components(),
        }
    })
}

/// Components that are edited: from nothing to everything that a world has.
fn components() -> Vec<Vec<u8>> {
    let small = "(module (memory (export \"memory\") 1)
        (func (export \"sinew:plugin/skill-run@0.1.0#run\") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable)
        (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable))";
    let small = wat::parse_str(small).expect("it is WebAssembly");
    vec![
        component("skill", &small),
        COMPONENT.to_vec(),
        imports_everything("skill"),
        imports_everything("recovery"),
    ]
}

/// Looks into artifacts as the child process does, in this one.
struct Here {
    calls: usize,
}

impl Examiner for Here {
    fn examine(&mut self, artifact: &[u8], origin: &str) -> Result<Examined, Unfit> {
        self.calls += 1;
        let host = &place().host;
        let unfit = |error: &dyn std::fmt::Display| Unfit(error.to_string());
        let compiled = host.compile(artifact, origin);
        assert_eq!(host.running(), 0, "an instance lives on");
        let (manifest, code) = compiled.map_err(|error| unfit(&error))?;
        check_manifest(&manifest).map_err(|error| unfit(&error))?;
        // Read once more, as it is outside of the child.
        let again = read_manifest(artifact, origin).map_err(|error| unfit(&error))?;
        assert_eq!(again.name, manifest.name);
        let version = manifest.version.parse();
        let kind = match manifest.kind {
            Kind::Skill => "skill",
            Kind::Recovery => "recovery",
        };
        Ok(Examined {
            name: manifest.name,
            version: version.map_err(|error| unfit(&error))?,
            kind: kind.to_owned(),
            summary: manifest.summary,
            compiled: code,
            compiled_for: host.code_for(),
        })
    }
}

/// The first byte says whether the others are the artifact, or how one is made: out of which component, with which manifest,
/// signed by whom, and what happened to it before and after.
pub fn install(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let unsigned = choices.once_in(2);
    let artifact = if choices.byte().is_multiple_of(8) {
        choices.rest().to_vec()
    } else {
        artifact(&mut choices)
    };
    check(&artifact, unsigned);
}

fn artifact(choices: &mut Choices<'_>) -> Vec<u8> {
    let place = place();
    let mut artifact = choices.one(&place.components).clone();
    let edits = choices.byte() % 4;
    for _ in 0..edits {
        edit(&mut artifact, choices);
    }
    let kind = if choices.once_in(3) {
        "recovery"
    } else {
        "skill"
    };
    let name = *choices.one(&[
        "lab/pick",
        "lab/place",
        "acme/pick",
        "nobody/pick",
        "Lab/pick",
    ]);
    let asks: [&[&str]; 3] = [&CAPABILITIES, &[], &CAPABILITIES[..3]];
    let mut manifest = manifest_of(name, kind, asks[choices.below(asks.len())]);
    manifest["version"] = json!(choices.one(&["1.0.0", "1.0.1", "2.0.0-rc.1+b", "1", ""]));
    artifact = if choices.once_in(6) {
        let text = choices.below(300);
        with_manifest_of(artifact, choices.bytes(text))
    } else {
        with_manifest(artifact, &manifest)
    };
    if choices.once_in(5) {
        edit(&mut artifact, choices);
    }
    let signer = choices.byte() % 8;
    if let Some(key) = place.keys.get(usize::from(signer.saturating_sub(4)))
        && signer > 0
        && let Ok(signed) = sign(&artifact, key)
    {
        artifact = signed;
    }
    if choices.once_in(5) {
        edit(&mut artifact, choices);
    }
    artifact
}

/// A store whose files are gone with it.
fn store() -> (tempfile::TempDir, Store) {
    // In memory where there is such a folder: a store waits for the disk, and hundreds of them a second would wear it out.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let folder = folder.expect("there is room for a temporary folder");
    let store = Store::open(&folder.path().join("store"), Access::Create).expect("it is new");
    (folder, store)
}

thread_local! {
    /// A store that holds nothing: whatever is refused leaves it so, and it serves again.
    static EMPTY: RefCell<Option<(tempfile::TempDir, Store)>> = const { RefCell::new(None) };
}

/// Whether it was let in.
fn check(artifact: &[u8], unsigned: bool) -> bool {
    let place = place();
    let how = Installation {
        origin: "it",
        trust: &place.trust,
        today: TODAY,
        unsigned,
        most_bytes: BYTES_MAX,
    };
    let by = By {
        actor: "fuzz".to_owned(),
        unix_ms: None,
    };
    let mut examiner = Here { calls: 0 };
    let (folder, mut store) = EMPTY.take().unwrap_or_else(store);
    let installed = store.install(artifact, &how, &mut examiner, &by);
    if !could_be_let_in(artifact, unsigned) {
        assert!(installed.is_err());
        assert_eq!(
            examiner.calls, 0,
            "it was looked into before it was known whose it is"
        );
    }
    let Ok(installed) = installed else {
        assert!(store.all().expect("it can be read").is_empty());
        assert!(files(folder.path()).is_empty(), "the store is as it was");
        EMPTY.set(Some((folder, store)));
        return false;
    };
    assert!(!installed.already);
    let held = installed.held;
    assert_eq!(held.digest, Digest::of(artifact));
    assert_eq!(held.signer.is_some(), layout(artifact).signature.is_some());
    let loadable = store.load(&held, &place.trust, &place.host.code_for());
    let loadable = loadable.expect("what was let in can be loaded");
    assert_eq!(loadable.artifact, artifact);
    assert!(loadable.compiled.is_some());
    assert_eq!(
        files(folder.path()).len(),
        2,
        "the artifact and its machine code"
    );
    let again = store.install(artifact, &how, &mut examiner, &by);
    assert!(again.expect("it was let in before").already);
    true
}

/// What the store has to find out before anything is looked into.
fn could_be_let_in(artifact: &[u8], unsigned: bool) -> bool {
    let place = place();
    let found = layout(artifact);
    let is_trusted = match found.signature {
        Some((key, _)) => [0, 1]
            .iter()
            .any(|known: &usize| place.keys[*known].public() == key),
        None => unsigned,
    };
    artifact.len() <= BYTES_MAX
        && is_trusted
        && found.verify().is_ok()
        && found.check_sections().is_ok()
}

/// Artifacts, machine code, and what was half written of them.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["artifacts", "compiled"] {
        let folder = std::fs::read_dir(root.join("store").join(folder));
        found.extend(
            folder
                .expect("it is there")
                .flatten()
                .map(|entry| entry.path()),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the target would try refusals only, and nobody would see it.
    #[test]
    fn what_is_sound_is_let_in() {
        let of = |name: &str| {
            let manifest = manifest_of(name, "skill", &CAPABILITIES);
            with_manifest(imports_everything("skill"), &manifest)
        };
        let (trusted, nobodys) = (of("lab/pick"), of("nobody/pick"));
        let signed = sign(&trusted, &place().keys[0]).expect("it can be signed");
        assert!(check(&signed, false));
        assert!(!check(&trusted, true), "whoever has a key signs");
        assert!(check(&nobodys, true));
        assert!(!check(&nobodys, false), "nobody has signed it");
    }
}
