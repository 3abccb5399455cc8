//! The models: part of the binary, or from a folder that replaces them.

use std::path::Path;

use sinew_inference::{Backend, Choice, choose, sha256_hex};
use sinew_perception::Detector;
use sinew_policy::{Manifest, Policy, PolicyStore};

use crate::doctor::{Check, Status};
use crate::trouble::input;

/// A model with its manifest.
struct Embedded {
    manifest: &'static str,
    model: &'static [u8],
}

const DETECTOR: Option<Embedded> = None;
const GRASP: Option<Embedded> = None;
const GRASP_MANIFEST: &str = include_str!("../../../policies/grasp/policy.toml");

/// The manifest of the grasp policy, with or without a model: what demonstrations are made for.
pub(crate) fn grasp_manifest(models: Option<&Path>) -> anyhow::Result<Manifest> {
    let (text, origin) = match models {
        Some(folder) => {
            let path = folder.join("grasp/policy.toml");
            (crate::sources::read(&path)?, path.display().to_string())
        }
        None => (
            GRASP_MANIFEST.to_owned(),
            "the built-in policy.toml".to_owned(),
        ),
    };
    Manifest::from_toml_str(&text, &origin).map_err(|error| input(error.to_string()))
}

/// The detector, and its digest.
pub(crate) fn detector(
    models: Option<&Path>,
    backend: &dyn Backend,
) -> anyhow::Result<(Detector, String)> {
    let (manifest, model, origin) = match models {
        Some(folder) => {
            let folder = folder.join("detector");
            let read = |name: &str| {
                let path = folder.join(name);
                std::fs::read(&path).map_err(|error| input(format!("{}: {error}", path.display())))
            };
            let manifest = String::from_utf8(read("detector.toml")?)
                .map_err(|error| input(format!("{}/detector.toml: {error}", folder.display())))?;
            (
                manifest,
                read("detector.onnx")?,
                folder.display().to_string(),
            )
        }
        None => match DETECTOR {
            Some(e) => (
                e.manifest.to_owned(),
                e.model.to_vec(),
                "the built-in detector".to_owned(),
            ),
            None => return Err(input("no detector is built in yet: --models DIR")),
        },
    };
    let detector = Detector::load(backend, &manifest, &model, &origin)
        .map_err(|error| input(error.to_string()))?;
    Ok((detector, sha256_hex(&model)))
}

/// Every policy.
pub(crate) fn policies(models: Option<&Path>) -> anyhow::Result<PolicyStore> {
    let mut store = PolicyStore::default();
    match models {
        Some(folder) => {
            let entries = std::fs::read_dir(folder)
                .map_err(|error| input(format!("{}: {error}", folder.display())))?;
            let mut folders: Vec<_> = entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect();
            folders.sort();
            for folder in folders {
                if folder.join("policy.toml").is_file() {
                    store.insert(
                        Policy::from_dir(&folder).map_err(|error| input(error.to_string()))?,
                    );
                }
            }
        }
        None => {
            if let Some(e) = GRASP {
                store = PolicyStore::from_embedded(e.manifest, e.model)
                    .map_err(|error| input(error.to_string()))?;
            }
        }
    }
    Ok(store)
}

/// What `sinew doctor` says about the built-in models.
pub(crate) fn checks() -> Vec<Check> {
    let name = "models";
    let check = |status, detail: String| Check {
        name,
        status,
        detail,
        fix: match status {
            Status::Ok => String::new(),
            _ => "name a folder with models: --models DIR".into(),
        },
    };
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
    vec![match loaded {
        Ok(detail) => check(Status::Ok, detail),
        Err(error) => check(Status::Fail, error.to_string()),
    }]
}
