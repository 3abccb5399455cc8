//! Why a plugin was not loaded or not started.

use thiserror::Error;

use crate::WIT_VERSION;
use crate::manifest::ManifestError;

/// The host itself could not be set up.
#[derive(Debug, Error)]
pub enum HostError {
    /// The engine does not take its configuration on this machine.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
    /// No thread for the guard.
    #[error("the guard thread of the WebAssembly engine could not be started: {0}")]
    Guard(#[from] std::io::Error),
}

/// Why a plugin was not loaded. `origin` is the file, as it was given.
#[derive(Debug, Error)]
pub enum LoadError {
    /// More bytes than allowed.
    #[error("{origin} has {size} bytes, {limit} are allowed")]
    TooLarge {
        /// The file.
        origin: String,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Something else than a component.
    #[error("{origin} is no WebAssembly component: {reason}")]
    NotAComponent {
        /// The file.
        origin: String,
        /// What it is instead.
        reason: String,
    },
    /// None or several manifests.
    #[error(
        "{origin} has {count} sections `sinew:manifest`, a plugin has one: `sinew skill pack` makes a plugin of a component and its manifest"
    )]
    ManifestSections {
        /// The file.
        origin: String,
        /// How many were found.
        count: usize,
    },
    /// It was to be packed, and has a manifest.
    #[error("{origin} has a manifest already; pack the component as it was built")]
    Packed {
        /// The file.
        origin: String,
    },
    /// The manifest is wrong.
    #[error("{origin}: {source}")]
    Manifest {
        /// The file.
        origin: String,
        /// What is wrong.
        source: ManifestError,
    },
    /// The component does not export what its kind has to.
    #[error(
        "{origin}: `{name}` says that it is a {kind}, but does not export `{export}`; build it for the world `{kind}` of sinew:plugin@{WIT_VERSION}"
    )]
    World {
        /// The file.
        origin: String,
        /// The plugin.
        name: String,
        /// `skill` or `recovery`.
        kind: &'static str,
        /// The export that is missing.
        export: String,
    },
    /// It imports something that does not exist here, or in another shape.
    #[error("{origin}: `{name}` can't be linked: {reason}")]
    Import {
        /// The file.
        origin: String,
        /// The plugin.
        name: String,
        /// Which import, and why.
        reason: String,
    },
    /// It imports an interface that its manifest does not ask for.
    #[error(
        "{origin}: `{name}` imports `{interface}`, but its manifest does not ask for it; add it to `imports` with a reason and pack it again, or build it for a world without it"
    )]
    Undeclared {
        /// The file.
        origin: String,
        /// The plugin.
        name: String,
        /// The interface.
        interface: String,
    },
    /// It can't even be started.
    #[error("{origin}: `{name}` can't be instantiated: {reason}")]
    Instantiate {
        /// The file.
        origin: String,
        /// The plugin.
        name: String,
        /// Why.
        reason: String,
    },
    /// It asks for more than it was granted.
    #[error("{text}")]
    NotGranted {
        /// The plugin.
        name: String,
        /// What is missing and what to add to the grants file.
        text: String,
    },
}

/// Why a run was not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// A skill was started as a recovery, or the other way round.
    #[error("`{name}` is no {expected}")]
    Kind {
        /// The plugin.
        name: String,
        /// `skill` or `recovery`.
        expected: &'static str,
    },
    /// The parameters are no JSON.
    #[error("the parameters are not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The parameters are too long.
    #[error("the parameters have {size} bytes, {limit} are allowed")]
    TooLarge {
        /// Their size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The parameters miss the plugin's schema.
    #[error("parameters of `{name}`: at `{path}`: {reason}")]
    Params {
        /// The plugin.
        name: String,
        /// JSON Pointer to the value that is wrong; `/` for the whole.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint is of a version that the plugin does not read.
    #[error("`{name}` does not read checkpoints of version {schema}; it reads {reads:?}")]
    Checkpoint {
        /// The plugin.
        name: String,
        /// The checkpoint's version.
        schema: u32,
        /// Versions that it reads.
        reads: Vec<u32>,
    },
    /// A robot part that the manifest lists is not held.
    #[error("`{name}` needs the {part}, and the run was given no lease on it")]
    Lease {
        /// The plugin.
        name: String,
        /// `arm` or `gripper`.
        part: &'static str,
    },
}
