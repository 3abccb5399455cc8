//! A publisher, a store that trusts it, and a skill that nobody has heard of.
#![allow(dead_code, reason = "each test needs some of it")]

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use sinew_skill_artifacts::SKILLS;

use crate::folder::Folder;
use crate::repack;

pub(crate) const GRANTS: &str = r#"
[plugins."acme/look"]
interfaces = ["clock", "events", "motion"]
"#;

pub(crate) const RUN: [&str; 13] = [
    "run",
    "--skill",
    "acme/look",
    "--store",
    "out/skills",
    "--grants",
    "grants.toml",
    "--cycles",
    "2",
    "--params",
    r#"{"pose":"look-tray"}"#,
    "--json",
    "report.json",
];
/// Where the skill stands in it.
const SKILL: usize = 2;

/// `sinew/go-home` under another name, as a publisher would make it that this host has never heard of.
pub(crate) fn look(version: &str, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (_, go_home) = (SKILLS.iter().find(|(name, _)| name.contains("go-home")))
        .expect("it is part of the program");
    let mut manifest = repack::manifest(go_home);
    manifest["name"] = json!("acme/look");
    manifest["version"] = json!(version);
    // What the world has to be like afterwards is its own affair, too.
    manifest["post_conditions"] = json!([
        {"predicate": "at-pose", "pose": "/pose"},
        {"predicate": "holding", "value": false},
    ]);
    edit(&mut manifest);
    repack::repack(go_home, &[manifest])
}

/// A folder with a grants file, the key of `acme`, and a store that trusts it.
pub(crate) struct Cell(pub(crate) Folder);

impl Cell {
    pub(crate) fn new() -> Self {
        let cell = Self(Folder::with(&[("grants.toml", GRANTS.as_bytes())]));
        let line = cell
            .0
            .gives(0, &["skill", "keygen", "acme.key", "--publisher", "acme"]);
        cell.trust(&line);
        cell
    }

    pub(crate) fn trust(&self, text: &str) {
        let store = self.0.path().join("out/skills");
        std::fs::create_dir_all(&store).expect("there is room");
        std::fs::set_permissions(&store, PermissionsExt::from_mode(0o700)).expect("it is ours");
        std::fs::write(store.join("trust.toml"), text).expect("there is room");
    }

    /// `sinew skill …` with the grants.
    #[track_caller]
    pub(crate) fn skill(&self, code: i32, arguments: &[&str]) -> String {
        self.0.gives(
            code,
            &[&["skill"], arguments, &["--grants", "grants.toml"]].concat(),
        )
    }

    #[track_caller]
    pub(crate) fn json(&self, code: i32, arguments: &[&str]) -> Value {
        self.0.json(
            code,
            &[&["skill"], arguments, &["--grants", "grants.toml"]].concat(),
        )
    }

    /// Signs a version and lets it in.
    #[track_caller]
    pub(crate) fn install(&self, version: &str, edit: impl FnOnce(&mut Value)) {
        self.0.write("look.wasm", &look(version, edit));
        self.0
            .gives(0, &["skill", "sign", "look.wasm", "--key", "acme.key"]);
        self.skill(0, &["install", "look.wasm", "--actor", "ann"]);
    }

    /// The report of two cycles on the store.
    #[track_caller]
    pub(crate) fn run(&self, skill: &str) -> Value {
        let mut arguments = RUN;
        arguments[SKILL] = skill;
        self.0.gives(0, &arguments);
        let report = std::fs::read(self.0.path().join("report.json")).expect("it was written");
        serde_json::from_slice(&report).expect("it is JSON")
    }

    /// What `sinew run` says of one cycle on the store.
    #[track_caller]
    pub(crate) fn run_once(&self, code: i32, more: &[&str]) -> String {
        let run = ["run", "--store", "out/skills", "--cycles", "1"];
        self.0.gives(code, &[&run, more].concat())
    }

    pub(crate) fn states(&self) -> Vec<String> {
        let listed = self.json(0, &["list"]);
        let skills = listed["skills"].as_array().expect("a list");
        (skills.iter())
            .map(|skill| format!("{} {}", skill["version"], skill["state"]).replace('"', ""))
            .collect()
    }

    pub(crate) fn audit(&self) -> String {
        self.0.gives(0, &["audit", "verify"]);
        self.0.gives(0, &["audit", "export"])
    }
}

#[track_caller]
pub(crate) fn says(text: &str, pieces: &[&str]) {
    for piece in pieces {
        assert!(text.contains(piece), "no {piece:?} in: {text}");
    }
}
