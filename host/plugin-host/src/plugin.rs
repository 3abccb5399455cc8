//! A plugin that is ready to run.

use std::sync::Arc;

use serde_json::Value;
use wasmtime::Engine;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::WIT_VERSION;
use crate::errors::{LoadError, StartError};
use crate::grants::Grant;
use crate::limits::Limits;
use crate::manifest::{Kind, Manifest};
use crate::outcome::{Failure, RunEnd};
use crate::schema::Schema;
use crate::state::RunState;

/// A plugin that was checked and compiled, ready to run any number of times.
pub struct Plugin {
    pub(crate) manifest: Manifest,
    pub(crate) digest: Arc<str>,
    pub(crate) grant: Arc<Grant>,
    /// The budgets of its runs: the host's own, narrowed by its grant.
    pub(crate) limits: Arc<Limits>,
    pub(crate) wasi: Vec<String>,
    pub(crate) params: Schema,
    pub(crate) result: Schema,
    pub(crate) engine: Engine,
    pub(crate) instance: InstancePre<RunState>,
    pub(crate) entry: ComponentExportIndex,
    pub(crate) assess: Option<ComponentExportIndex>,
}

impl Plugin {
    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the component's bytes, hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it was granted.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The WASI interfaces that it imports. They are inert.
    #[must_use]
    pub fn wasi_imports(&self) -> &[String] {
        &self.wasi
    }

    /// Checks parameters without starting anything; gives them parsed.
    ///
    /// # Errors
    /// Not JSON, too long, or where they miss the schema.
    pub fn check_params(&self, params_json: &str) -> Result<Value, StartError> {
        if params_json.len() > self.limits.json_bytes {
            return Err(StartError::TooLarge {
                size: params_json.len(),
                limit: self.limits.json_bytes,
            });
        }
        let params = serde_json::from_str(params_json)?;
        self.params
            .check(&params)
            .map_err(|(path, reason)| StartError::Params {
                name: self.manifest.name.clone(),
                path: if path.is_empty() {
                    "/".to_owned()
                } else {
                    path
                },
                reason,
            })?;
        Ok(params)
    }

    /// The end of a skill that returned `json`.
    pub(crate) fn checked_result(&self, json: &str) -> RunEnd {
        let fault = |message: String| {
            RunEnd::Failed(Failure {
                label: "skill-fault".to_owned(),
                message,
                detail: Value::Null,
            })
        };
        let (size, most) = (json.len(), self.limits.json_bytes);
        if size > most {
            return fault(format!("the result has {size} bytes, {most} are allowed"));
        }
        let result = match serde_json::from_str(json) {
            Ok(result) => result,
            Err(error) => return fault(format!("the result is not JSON: {error}")),
        };
        match self.result.check(&result) {
            Ok(()) => RunEnd::Finished(result),
            Err((path, reason)) => fault(format!(
                "the result misses its schema at `{path}`: {reason}"
            )),
        }
    }
}

/// The entry points of the plugin's kind.
pub(crate) fn exports(
    component: &Component,
    manifest: &Manifest,
    origin: &str,
) -> Result<(ComponentExportIndex, Option<ComponentExportIndex>), LoadError> {
    let (kind, interface, function) = match manifest.kind {
        Kind::Skill => ("skill", "skill-run", "run"),
        Kind::Recovery => ("recovery", "recovery-run", "recover"),
    };
    let export = format!("sinew:plugin/{interface}@{WIT_VERSION}");
    let instance = component.get_export_index(None, &export);
    let find = |function: &str| {
        instance
            .as_ref()
            .and_then(|instance| component.get_export_index(Some(instance), function))
    };
    let missing = || LoadError::World {
        origin: origin.to_owned(),
        name: manifest.name.clone(),
        kind,
        export: export.clone(),
    };
    let entry = find(function).ok_or_else(missing)?;
    let assess = match manifest.kind {
        Kind::Skill => None,
        Kind::Recovery => Some(find("assess").ok_or_else(missing)?),
    };
    Ok((entry, assess))
}
