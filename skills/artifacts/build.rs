//! One nested build of the guests, and their packing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::{Parser, Payload};

const TARGET: &str = "wasm32-wasip2";

/// A guest: package, constant, documentation.
type Guest = (&'static str, &'static str, &'static str);

/// What Sinew ships.
const SKILLS: [Guest; 4] = [
    (
        "kit-parts",
        "KIT_PARTS",
        "Skill: puts ordered parts into their tray pockets.",
    ),
    (
        "go-home",
        "GO_HOME",
        "Skill: takes the arm to a named pose.",
    ),
    ("regrasp", "REGRASP", "Recovery: takes a lost part again."),
    (
        "search-missing",
        "SEARCH_MISSING",
        "Recovery: brings a spare for a missing part.",
    ),
];

/// Fixtures.
const TEST_GUESTS: [Guest; 3] = [
    (
        "broken-kit",
        "BROKEN_KIT",
        "Fixture: a version of `kit-parts` that is broken.",
    ),
    (
        "misbehave",
        "MISBEHAVE",
        "Fixture: a skill that does wrong on demand.",
    ),
    (
        "probe",
        "PROBE",
        "Fixture: a recovery that tries what it may not do.",
    ),
];

/// What is measured.
const BENCH_GUESTS: [Guest; 1] = [(
    "bench-guest",
    "BENCH_GUEST",
    "A skill that does what `sinew bench plugin` measures.",
)];

/// Variables of the outer build that stay; the others say how *it* is compiled, which is not how guests are.
const INHERITED: [&str; 5] = [
    "CARGO_HOME",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_OFFLINE",
    "CARGO_HTTP_CAINFO",
    "CARGO_HTTP_PROXY",
];

fn main() {
    if let Err(message) = build() {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let skills = here.parent().ok_or("skills/artifacts lies in skills")?;
    // …/target/<profile>/build/<package>/out: one folder for all profiles, so that guests are built once.
    let target = out
        .ancestors()
        .nth(4)
        .ok_or("OUT_DIR is not where cargo puts it")?
        .join("guests");

    let guests = SKILLS
        .iter()
        .chain(&TEST_GUESTS)
        .chain(&BENCH_GUESTS)
        .flat_map(|(package, ..)| ["-p", package]);
    let build_guests = || {
        cargo(skills, &target)
            .args(["--release", "--target", TARGET])
            .args(guests.clone())
            .run()
    };
    match build_guests() {
        // Where rustup doesn't install by itself what rust-toolchain.toml lists (RUSTUP_AUTO_INSTALL=0, or a
        // toolchain from before that file), it is asked to.
        Err(Failure::NoTarget(said)) => install_target(said).and_then(|()| build_guests()),
        built => built,
    }
    .map_err(|failure| failure.of("the guests"))?;
    cargo(skills, &target)
        .args(["-p", "pack"])
        .run()
        .map_err(|failure| failure.of("the tool that prints their manifests"))?;

    let built = target.join(TARGET).join("release");
    let pack = target
        .join("debug")
        .join(format!("pack{}", env::consts::EXE_SUFFIX));
    let mut sources = BTreeSet::from([
        here.join("build.rs"),
        skills.join("Cargo.toml"),
        skills.join("Cargo.lock"),
    ]);
    read_depfile(&pack.with_extension("d"), &mut sources)?;
    let mut code = String::new();
    for (list, about, guests) in [
        (
            "SKILLS",
            "Every plugin that Sinew ships, by name.",
            &SKILLS[..],
        ),
        ("TEST_GUESTS", "Every fixture, by name.", &TEST_GUESTS[..]),
        (
            "BENCH_GUESTS",
            "Every guest of a benchmark, by name.",
            &BENCH_GUESTS[..],
        ),
    ] {
        let mut entries = String::new();
        for (package, constant, documentation) in guests {
            let file = built.join(package.replace('-', "_")).with_extension("wasm");
            read_depfile(&file.with_extension("d"), &mut sources)?;
            let component =
                fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let manifest = manifest_of(&pack, package)?;
            check_imports(package, &component, &manifest)?;
            let mut plugin = component;
            CustomSection {
                name: "sinew:manifest".into(),
                data: manifest.as_bytes().into(),
            }
            .append_to_component(&mut plugin);
            let packed = out.join(package).with_extension("wasm");
            fs::write(&packed, plugin).map_err(|error| format!("{}: {error}", packed.display()))?;
            writeln!(
                code,
                "/// {documentation}\npub const {constant}: &[u8] = include_bytes!({packed:?});"
            )
            .map_err(|error| error.to_string())?;
            write!(entries, "({package:?}, {constant}), ").map_err(|error| error.to_string())?;
        }
        writeln!(
            code,
            "/// {about}\npub const {list}: &[(&str, &[u8])] = &[{entries}];"
        )
        .map_err(|error| error.to_string())?;
    }
    fs::write(out.join("artifacts.rs"), code).map_err(|error| error.to_string())?;

    // A crate's manifest is no source of rustc, but of ours.
    let manifests: BTreeSet<PathBuf> = sources
        .iter()
        .filter_map(|source| {
            source
                .ancestors()
                .map(|dir| dir.join("Cargo.toml"))
                .find(|toml| toml.exists())
        })
        .collect();
    for source in sources.union(&manifests) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}

struct Cargo(Command);

/// `cargo build` in the guest workspace, as if nobody had called us.
fn cargo(skills: &Path, target: &Path) -> Cargo {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let of_outer_build = name.starts_with("CARGO") && !INHERITED.contains(&name.as_str())
            || name.starts_with("RUSTC")
            || name == "RUSTFLAGS"
            || name == "RUSTDOCFLAGS";
        if of_outer_build {
            command.env_remove(name);
        }
    }
    command
        .current_dir(skills)
        .args(["build", "--locked", "--color", "never", "--target-dir"])
        .arg(target)
        .stdin(Stdio::null());
    Cargo(command)
}

impl Cargo {
    fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.args(arguments);
        self
    }

    fn run(mut self) -> Result<(), Failure> {
        let output = self
            .0
            .output()
            .map_err(|error| Failure::Other(format!("cargo could not be started: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let missing = text.contains("can't find crate for `core`")
            || text.contains("can't find crate for `std`")
            || text.contains("target may not be installed");
        Err(if missing {
            Failure::NoTarget(text.into())
        } else {
            Failure::Other(text.into())
        })
    }
}

/// Why a nested build failed.
enum Failure {
    /// The toolchain has no standard library for the guests' target. What cargo said.
    NoTarget(String),
    Other(String),
}

impl Failure {
    fn of(self, what: &str) -> String {
        match self {
            Self::NoTarget(text) => format!(
                "{text}\nthe skills are built for {TARGET}, which this toolchain does not have; install it with:\n    \
                 rustup target add {TARGET}"
            ),
            Self::Other(text) => format!("building {what} failed:\n{text}"),
        }
    }
}

/// Has rustup add the target to the toolchain that builds this, if it is one of rustup's and there is a network.
fn install_target(said: String) -> Result<(), Failure> {
    let toolchain = env::var_os("RUSTUP_TOOLCHAIN");
    let is_offline = env::var_os("CARGO_NET_OFFLINE").is_some_and(|offline| offline == "true");
    let (Some(toolchain), false) = (toolchain, is_offline) else {
        return Err(Failure::NoTarget(said));
    };
    let asked = Command::new("rustup")
        .args(["target", "add", TARGET, "--toolchain"])
        .arg(toolchain)
        .stdin(Stdio::null())
        .output();
    match asked {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Failure::NoTarget(format!(
            "{said}\nrustup said: {}",
            String::from_utf8_lossy(&output.stderr)
        ))),
        Err(error) => Err(Failure::NoTarget(format!("{said}\nrustup: {error}"))),
    }
}

fn manifest_of(pack: &Path, package: &str) -> Result<String, String> {
    let output = Command::new(pack)
        .arg(package)
        .output()
        .map_err(|error| format!("{}: {error}", pack.display()))?;
    if !output.status.success() {
        return Err(format!(
            "manifest of {package}: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("manifest of {package}: {error}"))
}

/// The manifest asks for what the component imports, no more and no less: an operator grants by it.
fn check_imports(package: &str, component: &[u8], manifest: &str) -> Result<(), String> {
    let mut imported = BTreeSet::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| format!("{package}: {error}"))? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import.map_err(|error| format!("{package}: {error}"))?;
                    let interface = import.name.name.strip_prefix("sinew:plugin/");
                    if let Some((name, _)) = interface.and_then(|name| name.split_once('@'))
                        && name != "types"
                    {
                        imported.insert(name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    let manifest: serde_json::Value = serde_json::from_str(manifest)
        .map_err(|error| format!("manifest of {package}: {error}"))?;
    let asked: BTreeSet<String> = manifest["imports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|ask| ask["interface"].as_str().map(str::to_owned))
        .collect();
    if asked == imported {
        return Ok(());
    }
    Err(format!(
        "manifest.toml of {package} asks for {asked:?}, but its code imports {imported:?}; make `imports` say what is used"
    ))
}

fn read_depfile(file: &Path, sources: &mut BTreeSet<PathBuf>) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    for line in text.lines() {
        let Some((_, paths)) = line.split_once(": ") else {
            continue;
        };
        // Spaces in names are escaped with a backslash.
        let paths = paths.replace("\\ ", "\0");
        sources.extend(
            paths
                .split_whitespace()
                .map(|path| PathBuf::from(path.replace('\0', " "))),
        );
    }
    Ok(())
}
