//! Who may know whom, read from `cargo metadata`. A broken rule prints the path that breaks it.
//!
//! Development dependencies don't count: what a crate's own tests use is not part of the robot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;

use serde_json::Value;

/// What the reflex must never contain, however far down.
const NEVER_IN_REFLEX: &[&str] = &["tokio", "wasmtime", "ort", "tonic", "serde", "rusqlite"];

/// Crates of the reflex: they run in the control thread, or hand it what it runs on.
const REFLEX: &[&str] = &[
    "sinew-units",
    "sinew-messages",
    "sinew-kinematics",
    "sinew-safety",
    "sinew-flight-ring",
    "sinew-hardware",
    "sinew-control",
];

/// Which of our crates a crate may name in its manifest. A crate that isn't listed here may name any
/// that the other rules don't forbid.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("sinew-units", &[]),
    ("sinew-messages", &["sinew-units"]),
    ("sinew-kinematics", &["sinew-messages", "sinew-units"]),
    (
        "sinew-safety",
        &["sinew-kinematics", "sinew-messages", "sinew-units"],
    ),
    (
        "sinew-adversary",
        &[
            "sinew-safety",
            "sinew-kinematics",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    (
        "sinew-hardware",
        // Kinematics for the reference robot of the conformance suite.
        &[
            "sinew-safety",
            "sinew-kinematics",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    ("sinew-flight-ring", &["sinew-messages", "sinew-units"]),
    (
        "sinew-control",
        &[
            "sinew-hardware",
            "sinew-safety",
            "sinew-kinematics",
            "sinew-flight-ring",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    ("sinew-world", &["sinew-messages", "sinew-units"]),
    (
        "sinew-sim",
        &[
            "sinew-hardware",
            "sinew-kinematics",
            "sinew-description",
            "sinew-safety",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    (
        "sinew-plugin-host",
        &[
            "sinew-world",
            "sinew-policy",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    ("sinew-inference", &[]),
    // A process that is compared with: it knows nothing of the host, and the host's skills are not in it.
    ("sinew-bench-sidecar", &[]),
    // Files, signatures and state: what is inside an artifact is found out by whoever lends it an examiner.
    ("sinew-skill-store", &[]),
    // What stands in it is plain text and numbers: whoever writes it says what they mean.
    ("sinew-audit", &[]),
    (
        "sinew-description",
        &[
            "sinew-safety",
            "sinew-kinematics",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    (
        "sinew-perception",
        &[
            "sinew-hardware",
            "sinew-inference",
            "sinew-world",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    (
        "sinew-policy",
        &[
            "sinew-inference",
            "sinew-world",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    (
        "sinew-tasks",
        &[
            "sinew-plugin-host",
            "sinew-world",
            "sinew-messages",
            "sinew-units",
        ],
    ),
    (
        // Camera frames and tracked objects are part of the evidence.
        "sinew-recorder",
        &[
            "sinew-hardware",
            "sinew-world",
            "sinew-messages",
            "sinew-units",
        ],
    ),
];

/// Crates that only the listed ones may name in their manifest.
const ONLY_NAMED_BY: &[(&str, &[&str])] = &[
    // Simulator truth is read by the simulator and by what grades runs on it.
    ("sinew-sim", &["sinew-runtime", "sinew-cli", "sinew-tests"]),
    ("wasmtime", &["sinew-plugin-host"]),
    // The benchmark's, and nobody's way to the robot.
    ("sinew-bench-sidecar", &["sinew-runtime"]),
    ("tonic", &["sinew-bench-sidecar"]),
    ("tokio", &["sinew-bench-sidecar"]),
    ("ed25519-dalek", &["sinew-skill-store"]),
    ("ort", &["sinew-inference"]),
    ("tract-onnx", &["sinew-inference"]),
    ("sinew-skill-artifacts", &["sinew-cli", "sinew-tests"]),
    // What is made to do harm is in no program.
    ("sinew-fuzz-bodies", &["sinew-tests"]),
];

/// Crates that may not name the listed ones in their manifest.
const NEVER_NAMES: &[(&str, &[&str])] = &[
    ("sinew-plugin-host", &["sinew-control", "sinew-hardware"]),
    (
        "sinew-tasks",
        &["tonic", "sinew-control", "sinew-hardware", "sinew-sim"],
    ),
    ("sinew-perception", &["sinew-sim", "sinew-control"]),
    (
        "sinew-policy",
        &["sinew-sim", "sinew-control", "sinew-hardware"],
    ),
    (
        "sinew-control-plane",
        &["sinew-hardware", "sinew-control", "wasmtime"],
    ),
    (
        "sinew-llm-bridge",
        &["sinew-hardware", "sinew-control", "wasmtime"],
    ),
];

/// Packages and the packages that each needs to build or run, by name.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    /// The whole graph of this workspace, as it is resolved for this machine.
    fn read() -> Self {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let output = Command::new(cargo)
            .args(["metadata", "--format-version=1", "--locked"])
            .args(["--filter-platform", env!("SINEW_TEST_TARGET")])
            .args(["--manifest-path", manifest])
            .output()
            .expect("cargo runs this test, so cargo can be run");
        assert!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value =
            serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
        Self::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Value) -> Self {
        let names: BTreeMap<&str, &str> = array(&metadata["packages"])
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in array(&metadata["resolve"]["nodes"]) {
            let from = names[text(&node["id"])];
            let to = edges.entry(from.to_owned()).or_default();
            for dependency in array(&node["deps"]) {
                let counts = array(&dependency["dep_kinds"])
                    .any(|kind| kind["kind"].as_str() != Some("dev"));
                if counts {
                    to.insert(names[text(&dependency["pkg"])].to_owned());
                }
            }
        }
        Self(edges)
    }

    fn named_by(&self, from: &str) -> impl Iterator<Item = &str> {
        self.0.get(from).into_iter().flatten().map(String::as_str)
    }

    /// The shortest chain of manifests from `from` to `to`.
    fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            if at == to {
                let mut path = vec![at.to_owned()];
                let mut step = at;
                while let Some(&before) = came_from.get(step) {
                    path.push(before.to_owned());
                    step = before;
                }
                path.reverse();
                return Some(path);
            }
            for next in self.named_by(at) {
                if next != from && !came_from.contains_key(next) {
                    came_from.insert(next, at);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// Every broken rule, in words.
    fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for &member in REFLEX {
            for &forbidden in NEVER_IN_REFLEX {
                if let Some(path) = self.path(member, forbidden) {
                    found.push(format!(
                        "{member} must never contain {forbidden}: {}",
                        path.join(" -> ")
                    ));
                }
            }
        }
        for (from, allowed) in MAY_NAME {
            for to in self.named_by(from).filter(|to| to.starts_with("sinew-")) {
                if !allowed.contains(&to) {
                    found.push(format!(
                        "{from} -> {to}: {from} may only know {}",
                        if allowed.is_empty() {
                            "nobody of ours".to_owned()
                        } else {
                            allowed.join(", ")
                        }
                    ));
                }
            }
        }
        for (to, allowed) in ONLY_NAMED_BY {
            for from in self.0.keys().filter(|from| from.starts_with("sinew-")) {
                if !allowed.contains(&from.as_str()) && self.named_by(from).any(|name| name == *to)
                {
                    found.push(format!(
                        "{from} -> {to}: only {} may name {to}",
                        allowed.join(", ")
                    ));
                }
            }
        }
        for (from, forbidden) in NEVER_NAMES {
            for to in self.named_by(from).filter(|to| forbidden.contains(to)) {
                found.push(format!("{from} -> {to}: {from} must not name {to}"));
            }
        }
        found
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("ids and names are strings")
}

#[test]
fn the_house_looks_in_the_right_directions() {
    let graph = Graph::read();
    for member in REFLEX {
        assert!(
            graph.0.contains_key(*member),
            "{member} is not in the graph"
        );
    }
    let violations = graph.violations();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn a_broken_rule_is_found_and_its_path_is_printed() {
    let graph = |edges: &[(&str, &str)]| {
        let mut map: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            map.entry((*from).into()).or_default().insert((*to).into());
            map.entry((*to).into()).or_default();
        }
        Graph(map)
    };
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[
                ("sinew-control", "sinew-hardware"),
                ("sinew-hardware", "innocent"),
                ("innocent", "tokio"),
            ],
            "sinew-control -> sinew-hardware -> innocent -> tokio",
        ),
        (
            &[("sinew-safety", "sinew-world")],
            "sinew-safety -> sinew-world",
        ),
        (
            &[("sinew-perception", "sinew-sim")],
            "sinew-perception -> sinew-sim",
        ),
        (&[("sinew-tasks", "wasmtime")], "sinew-tasks -> wasmtime"),
        (
            &[("sinew-plugin-host", "sinew-control")],
            "sinew-plugin-host -> sinew-control",
        ),
    ];
    for (edges, expected) in cases {
        let violations = graph(edges).violations();
        assert!(
            violations.iter().any(|line| line.contains(expected)),
            "{expected} is not among {violations:?}"
        );
    }
    assert!(
        graph(&[("sinew-control", "sinew-safety")])
            .violations()
            .is_empty()
    );
}
