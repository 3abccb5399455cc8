//! Plugins that do wrong on a whole host, one after the other on the same one: it stays up, the loop ticks on, the robot holds, the
//! label is right, the audit log says what happened, and nothing stays behind.
//!
//! Artifacts that are wrong before they run (signatures, manifests, files, the store) are tried against the command line, in
//! `host/cli/tests/skill_admission.rs`, and against the store, in `host/skill-store/tests`.

mod guests;
mod hogs;
mod recoveries;
mod running;
mod sharing;
mod zones;

use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};
use sinew_runtime::kit::{Kit, PluginFile};
use sinew_runtime::{Choice, Sources};
use sinew_tests::plugins;

/// What the guests that are no guests of the raw kind may have.
const GRANTS: &str = r#"
[plugins."test/misbehave"]
interfaces = ["clock", "events", "files", "gripper", "lifecycle", "log", "memory", "motion", "operator", "policy", "world"]
policies = ["grasp"]
"#;

/// Every built-in plugin, and every guest of this suite, on one host.
fn kit() -> &'static Kit {
    static KIT: OnceLock<Kit> = OnceLock::new();
    KIT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let notes = folder.path().join("notes");
        lay_out(&notes);
        let mut grants = GRANTS.to_owned();
        grants += &format!(
            "[[plugins.\"test/misbehave\".directories]]\nname = \"notes\"\npath = {notes:?}\nwrite = true\nquota_bytes = 1000\nquota_files = 4\n"
        );
        let raw = guests::all();
        let recoveries = recoveries::all();
        grants += &guests::grants((raw.iter().map(guests::asks)).chain(recoveries.iter().map(recoveries::asks)));
        let mut all: Vec<PluginFile> = plugins();
        all.extend(raw.iter().map(guests::Guest::plugin));
        all.extend(recoveries.iter().map(recoveries::Recovery::plugin));
        let kit = kit_with(&grants, &all);
        // The guests write into it for as long as the tests run.
        std::mem::forget(folder);
        kit
    })
}

/// A host on which the operator has granted that.
fn kit_with(grants: &str, plugins: &[PluginFile]) -> Kit {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(grants.as_bytes()).expect("there is room");
    let sources = Sources {
        default_grants: sinew_skill_artifacts::GRANTS.into(),
        grants: Some(file.path().to_owned()),
        backend: Choice::Embedded,
        ..Sources::default()
    };
    Kit::load(&sources, plugins).expect("they can all be loaded")
}

/// A directory to get out of.
fn lay_out(notes: &Path) {
    let outside = notes.with_file_name("outside");
    std::fs::create_dir_all(&outside).expect("there is room");
    std::fs::create_dir_all(notes).expect("there is room");
    std::fs::write(outside.join("secret"), "do not read").expect("there is room");
    for (to, name) in [
        ("../outside/secret", "to-secret"),
        ("../outside", "to-outside"),
    ] {
        std::os::unix::fs::symlink(to, notes.join(name)).expect("there is room");
    }
    let absolute = outside.join("secret");
    std::os::unix::fs::symlink(absolute, notes.join("to-absolute")).expect("there is room");
}

fn nothing() -> Value {
    json!({})
}
