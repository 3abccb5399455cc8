//! What can be wrong with a detector, a frame or a configuration.

use sinew_inference::InferenceError;

/// Why a detector was refused, or an image could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// The manifest is not one.
    #[error("{origin}: {problem}")]
    Manifest {
        /// Where the text came from.
        origin: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The model file is not the one that the manifest was written for.
    #[error(
        "{origin}: the model's sha256 is {found}, the manifest says {expected}; \
         put the right file there, or correct `sha256` if the model was trained anew"
    )]
    Digest {
        /// Name of the manifest.
        origin: String,
        /// From the manifest.
        expected: String,
        /// Of the file.
        found: String,
    },
    /// The model does not have the manifest's inputs and outputs.
    #[error("{origin}: the model has {found}, the manifest asks for {expected}")]
    Shape {
        /// Name of the manifest.
        origin: String,
        /// Inputs and outputs that the manifest describes.
        expected: String,
        /// Those of the file.
        found: String,
    },
    /// The image is not of the size that the model takes, or its arrays are too short.
    #[error("camera `{camera}` gives {found}, the detector takes {expected}")]
    Frame {
        /// Name of the camera.
        camera: String,
        /// Width × height that the model takes.
        expected: String,
        /// What came.
        found: String,
    },
    /// The backend would not load or run the model.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

/// Why a pipeline could not be built.
#[derive(Debug, thiserror::Error)]
pub enum PerceptionError {
    /// A value of the configuration cannot be.
    #[error("perception: {key} is {found}, allowed is {allowed}")]
    Config {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would be right.
        allowed: &'static str,
    },
    /// There is nothing to see with.
    #[error("perception needs at least one camera")]
    NoCamera,
    /// The worker thread could not be started.
    #[error("perception could not start its worker thread: {0}")]
    Thread(#[from] std::io::Error),
}
