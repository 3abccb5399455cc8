//! Policies at school: finds configuration, model and backend for what [`crate::grasp`] does.

use sinew_inference::choose;
use sinew_sim::camera::dataset::{Sampler, export};

use crate::assets;
use crate::grasp::{DemoOptions, DemoReport, EvalOptions, EvalReport, demos, eval};
use crate::sources::Sources;
use crate::trouble::input;

/// Evaluates a policy closed loop.
///
/// # Errors
/// [`InputError`](crate::InputError) for an unknown policy, and for models or configuration that can't be used.
pub fn evaluate(
    sources: &Sources,
    name: &str,
    options: &EvalOptions,
    progress: &(dyn Fn(usize) + Sync),
) -> anyhow::Result<EvalReport> {
    let config = sources.load()?;
    let backend = choose(&sources.backend)
        .map_err(|error| input(error.to_string()))?
        .backend;
    let store = assets::policies(sources.models.as_deref())?;
    let policy = store.get(name).ok_or_else(|| {
        let names: Vec<&str> = store
            .iter()
            .map(|policy| &*policy.manifest().name)
            .collect();
        input(format!(
            "there is no policy `{name}`; there are: {}",
            names.join(", ")
        ))
    })?;
    assets::try_policy(policy, &*backend)?;
    let (detector, _) = assets::detector(sources.models.as_deref(), &*backend)?;
    eval::run(&config, &backend, &detector, policy, options, progress)
}

/// Writes demonstrations of the grasp policy's task.
///
/// # Errors
/// For configuration or a learner that can't be used, and if the file can't be written.
pub fn demonstrate(
    sources: &Sources,
    options: &DemoOptions,
    progress: &(dyn Fn(usize) + Sync),
) -> anyhow::Result<DemoReport> {
    let config = sources.load()?;
    let backend = choose(&sources.backend)
        .map_err(|error| input(error.to_string()))?
        .backend;
    let manifest = assets::grasp_manifest(sources.models.as_deref())?;
    demos::generate(&config, &*backend, &manifest, options, progress)
}

/// Writes `scenes` scenes of labelled images for the detector into a folder.
///
/// # Errors
/// For configuration that can't be used, and if the files can't be written.
pub fn photograph(
    sources: &Sources,
    folder: &std::path::Path,
    seed: u64,
    scenes: u64,
) -> anyhow::Result<()> {
    let config = sources.load()?;
    let sampler = Sampler::new(config.cell, config.robot);
    export(&sampler, folder, seed, scenes)
        .map_err(|error| input(format!("--out {}: {error}", folder.display())))?;
    Ok(())
}
