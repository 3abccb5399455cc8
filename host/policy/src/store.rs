use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use sinew_inference::{Backend, InferenceError, Session, TensorSpec, sha256_hex};

use crate::{Manifest, TensorShape};

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file is missing or cannot be read.
    #[error("policy file {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The manifest is wrong.
    #[error("{origin}: {reason}")]
    Manifest {
        /// Where the manifest is from.
        origin: String,
        /// Line and key, or the rule that is broken.
        reason: String,
    },
    /// The model file is another one than the manifest's.
    #[error(
        "{origin}: model.sha256 is {expected}, but `{file}` has {found}; take the model that belongs to the manifest"
    )]
    Digest {
        /// Where the manifest is from.
        origin: String,
        /// The model file.
        file: String,
        /// What the manifest says.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// The model does not load.
    #[error(transparent)]
    Model(#[from] InferenceError),
    /// The model loads, but its tensors are not the ones in the manifest.
    #[error("policy `{policy}`: the model's {side} is {found}, the manifest says {expected}")]
    Tensor {
        /// The policy.
        policy: String,
        /// `input` or `output`.
        side: &'static str,
        /// What the manifest says.
        expected: String,
        /// What the model has.
        found: String,
    },
}

/// A manifest and its model, digest checked.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) model: Arc<[u8]>,
}

impl Policy {
    /// Checks that manifest and model belong together. `origin` is only used in messages.
    ///
    /// # Errors
    /// [`PolicyError::Manifest`] or [`PolicyError::Digest`].
    pub fn new(manifest: Manifest, model: &[u8], origin: &str) -> Result<Self, PolicyError> {
        manifest.check().map_err(|reason| PolicyError::Manifest {
            origin: origin.into(),
            reason,
        })?;
        let found = sha256_hex(model);
        if found != manifest.model.sha256 {
            return Err(PolicyError::Digest {
                origin: origin.into(),
                file: manifest.model.file,
                expected: manifest.model.sha256,
                found,
            });
        }
        Ok(Self {
            manifest: Arc::new(manifest),
            model: model.into(),
        })
    }

    /// Reads `policy.toml` text and the bytes of its model.
    ///
    /// # Errors
    /// [`PolicyError::Manifest`] or [`PolicyError::Digest`].
    pub fn from_parts(text: &str, model: &[u8], origin: &str) -> Result<Self, PolicyError> {
        Self::new(Manifest::from_toml_str(text, origin)?, model, origin)
    }

    /// Reads a policy's directory.
    ///
    /// # Errors
    /// Any [`PolicyError`] but the ones of loading the model.
    pub fn from_dir(dir: &Path) -> Result<Self, PolicyError> {
        let read = |path: &Path| {
            read_bounded(path).map_err(|source| PolicyError::File {
                path: path.display().to_string(),
                source,
            })
        };
        let path = dir.join("policy.toml");
        let origin = path.display().to_string();
        let wrong = |reason: String| PolicyError::Manifest {
            origin: origin.clone(),
            reason,
        };
        let text = String::from_utf8(read(&path)?).map_err(|error| wrong(error.to_string()))?;
        let manifest = Manifest::from_toml_str(&text, &origin)?;
        if Path::new(&manifest.model.file).file_name() != Some(manifest.model.file.as_ref()) {
            return Err(wrong(format!(
                "model.file `{}` must be a file name beside policy.toml",
                manifest.model.file
            )));
        }
        let model = read(&dir.join(&manifest.model.file))?;
        Self::new(manifest, &model, &origin)
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Loads the model, and holds it to its manifest.
    ///
    /// # Errors
    /// [`PolicyError`] if the model does not load or has other tensors than the manifest says.
    pub fn load(&self, backend: &dyn Backend) -> Result<Box<dyn Session>, PolicyError> {
        let manifest = &self.manifest;
        let session = backend.load(&manifest.name, &self.model)?;
        for (side, expected, found) in [
            ("input", &manifest.model.input, session.inputs()),
            ("output", &manifest.model.output, session.outputs()),
        ] {
            check_tensor(&manifest.name, side, expected, found)?;
        }
        Ok(session)
    }

    /// The bytes of the model.
    #[must_use]
    pub fn model(&self) -> &[u8] {
        &self.model
    }
}

/// Policies by name.
#[derive(Clone, Debug, Default)]
pub struct PolicyStore {
    policies: BTreeMap<String, Policy>,
}

impl PolicyStore {
    /// A store with one policy that was built into the binary.
    ///
    /// # Errors
    /// [`PolicyError::Manifest`] or [`PolicyError::Digest`].
    pub fn from_embedded(policy_toml: &str, model: &[u8]) -> Result<Self, PolicyError> {
        let mut store = Self::default();
        store.insert(Policy::from_parts(
            policy_toml,
            model,
            "built-in policy.toml",
        )?);
        Ok(store)
    }

    /// A store with one policy from its directory.
    ///
    /// # Errors
    /// Any [`PolicyError`] but the ones of loading the model.
    pub fn load_dir(dir: &Path) -> Result<Self, PolicyError> {
        let mut store = Self::default();
        store.insert(Policy::from_dir(dir)?);
        Ok(store)
    }

    /// Adds a policy, or replaces the one of the same name.
    pub fn insert(&mut self, policy: Policy) {
        self.policies.insert(policy.manifest.name.clone(), policy);
    }

    /// The policy of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.policies.get(name)
    }

    /// Names of all policies, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.keys().map(String::as_str)
    }

    /// All policies in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }
}

fn check_tensor(
    policy: &str,
    side: &'static str,
    expected: &TensorShape,
    found: &[TensorSpec],
) -> Result<(), PolicyError> {
    let fits = matches!(found, [one] if one.name == expected.name && one.shape == expected.shape);
    if fits {
        return Ok(());
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    Err(PolicyError::Tensor {
        policy: policy.into(),
        side,
        expected: format!("{}{:?}", expected.name, expected.shape),
        found: found.join(", "),
    })
}

/// Most bytes of a manifest or a model.
const FILE_MAX: u64 = 64 << 20;

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(std::io::Error::other(format!("more than {FILE_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::fixture::manifest_text;

    fn refusal(text: &str) -> String {
        match Policy::from_parts(text, b"", "policy.toml") {
            Ok(_) => "accepted".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_wrong_manifest_says_what_is_wrong() {
        let good = manifest_text();
        assert_eq!(refusal(&good), "accepted");
        for (from, to, expected) in [
            ("step_ms = 50", "step_ms = 50\ncolour = 1", "colour"),
            ("step_ms = 50", "step_ms = 0", "step_ms"),
            ("chunk_steps = 16", "chunk_steps = 64", "chunk_steps"),
            ("chunk_steps = 16", "chunk_steps = 12", "model.output.shape"),
            ("history = 2", "history = 3", "model.input.shape"),
            ("\"object-x\"", "\"object-taste\"", "object-taste"),
            ("\"yaw-cos\"", "\"x\"", "action.channels"),
            (
                "condition = \"lifted\"",
                "condition = \"levitated\"",
                "levitated",
            ),
            ("rise_m = 0.06", "rise_m = -1.0", "end:"),
            (
                "action_std = [1.0",
                "action_std = [0.0",
                "standard deviations",
            ),
            ("sha256 = \"e3", "sha256 = \"ff", "model.sha256"),
            ("worst_scores = [1.0", "worst_scores = [9.0", "worst_scores"),
        ] {
            assert!(good.contains(from), "{from}");
            let refusal = refusal(&good.replace(from, to));
            assert!(refusal.contains(expected), "{to}: {refusal}");
        }
    }

    #[test]
    fn a_directory_is_read_and_its_model_checked() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let error = PolicyStore::load_dir(dir.path()).expect_err("it is empty");
        assert!(error.to_string().contains("policy.toml"), "{error}");
        std::fs::write(dir.path().join("policy.toml"), manifest_text()).expect("a file");
        std::fs::write(dir.path().join("grasp.onnx"), b"changed").expect("a file");
        let error = PolicyStore::load_dir(dir.path()).expect_err("the digest is another");
        assert!(matches!(error, PolicyError::Digest { .. }), "{error}");
        std::fs::write(dir.path().join("grasp.onnx"), b"").expect("a file");
        let store = PolicyStore::load_dir(dir.path()).expect("it is whole now");
        assert_eq!(store.names().collect::<Vec<_>>(), ["grasp"]);
        let elsewhere = manifest_text().replace("\"grasp.onnx\"", "\"../grasp.onnx\"");
        std::fs::write(dir.path().join("policy.toml"), elsewhere).expect("a file");
        let error = PolicyStore::load_dir(dir.path()).expect_err("it leaves the folder");
        assert!(error.to_string().contains("beside policy.toml"), "{error}");
    }
}
