//! The models: part of the binary, or from a folder that replaces them.

use std::path::Path;

use sinew_inference::{Backend, Choice, choose, sha256_hex, try_out};
use sinew_perception::Detector;
use sinew_policy::{Manifest, Policy, PolicyStore};

use crate::doctor::{Check, Status};
use crate::files::{BINARY_MAX, read, read_bytes};
use crate::trouble::input;

/// A model with its manifest.
struct Embedded {
    manifest: &'static str,
    model: &'static [u8],
}

const DETECTOR: Embedded = Embedded {
    manifest: include_str!("../../../policies/detector/detector.toml"),
    model: include_bytes!("../../../policies/detector/detector.onnx"),
};

const GRASP: Embedded = Embedded {
    manifest: include_str!("../../../policies/grasp/policy.toml"),
    model: include_bytes!("../../../policies/grasp/grasp.onnx"),
};

/// The detector and its digest, from `models/detector` or built in.
pub(crate) fn detector(
    models: Option<&Path>,
    backend: &dyn Backend,
) -> anyhow::Result<(Detector, String)> {
    let Some(models) = models else {
        let Embedded { manifest, model } = DETECTOR;
        return load_detector(backend, manifest, model, "the built-in detector");
    };
    let folder = models.join("detector");
    let manifest = read(&folder.join("detector.toml"))?;
    let model = read_bytes(&folder.join("detector.onnx"), BINARY_MAX)?;
    load_detector(backend, &manifest, &model, &folder.display().to_string())
}

fn load_detector(
    backend: &dyn Backend,
    manifest: &str,
    model: &[u8],
    origin: &str,
) -> anyhow::Result<(Detector, String)> {
    let detector = Detector::load(backend, manifest, model, origin)
        .map_err(|error| input(error.to_string()))?;
    Ok((detector, sha256_hex(model)))
}

/// Every policy: each folder of `models` with a `policy.toml`, or what is built in.
pub(crate) fn policies(models: Option<&Path>) -> anyhow::Result<PolicyStore> {
    let Some(models) = models else {
        return PolicyStore::from_embedded(GRASP.manifest, GRASP.model)
            .map_err(|error| input(error.to_string()));
    };
    let unreadable =
        |error: std::io::Error| input(format!("--models {}: {error}", models.display()));
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(models).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        if folder.join("policy.toml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    let mut store = PolicyStore::default();
    for folder in folders {
        store.insert(Policy::from_dir(&folder).map_err(|error| input(error.to_string()))?);
    }
    Ok(store)
}

/// Loads a policy's model and runs it once: whether a host can, before one starts.
pub(crate) fn try_policy(policy: &Policy, backend: &dyn Backend) -> anyhow::Result<()> {
    let mut session = (policy.load(backend)).map_err(|error| input(error.to_string()))?;
    try_out(&mut *session).map_err(|error| input(error.to_string()))
}

/// The manifest of the grasp policy, whatever its model: what demonstrations are made for.
pub(crate) fn grasp_manifest(models: Option<&Path>) -> anyhow::Result<Manifest> {
    let (text, origin) = match models {
        Some(models) => {
            let path = models.join("grasp/policy.toml");
            (read(&path)?, path.display().to_string())
        }
        None => (
            GRASP.manifest.to_owned(),
            "the built-in policy.toml".to_owned(),
        ),
    };
    Manifest::from_toml_str(&text, &origin).map_err(|error| input(error.to_string()))
}

/// What `sinew doctor` says about the built-in models.
pub(crate) fn checks() -> Vec<Check> {
    let loaded = choose(&Choice::Auto)
        .map_err(anyhow::Error::from)
        .and_then(|selection| {
            let (_, digest) = detector(None, &*selection.backend)?;
            let names: Vec<String> = policies(None)?
                .iter()
                .map(|policy| policy.manifest().name.clone())
                .collect();
            Ok(format!(
                "detector {}, policies: {}",
                &digest[..12],
                names.join(", ")
            ))
        });
    let (status, detail, fix) = match loaded {
        Ok(detail) => (Status::Ok, detail, ""),
        Err(error) => (
            Status::Fail,
            error.to_string(),
            "name a folder with models: --models DIR",
        ),
    };
    vec![Check {
        name: "models",
        status,
        detail,
        fix: fix.into(),
    }]
}
