use std::path::PathBuf;

/// Why a backend could not be used, a model not be loaded, or a run gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InferenceError {
    /// No ONNX Runtime library anywhere.
    #[error(
        "no ONNX Runtime library in {}; run `sinew setup onnxruntime`, or set ORT_DYLIB_PATH to the library",
        folders(.searched)
    )]
    LibraryNotFound {
        /// Where was looked.
        searched: Vec<PathBuf>,
    },
    /// The library is there but cannot be used.
    #[error(
        "the ONNX Runtime library {path} cannot be used: {reason}; run `sinew setup onnxruntime`, or point ORT_DYLIB_PATH at version 1.17 or newer"
    )]
    Library {
        /// The library.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// This build has no embedded backend.
    #[error(
        "this build has no embedded inference backend; build with the feature `embedded`, or run `sinew setup onnxruntime`"
    )]
    NotBuilt,
    /// The bytes are no model, or none that the backend can run.
    #[error("model `{model}` cannot be loaded by the {backend} backend: {reason}")]
    Model {
        /// The model.
        model: String,
        /// Name of the backend.
        backend: &'static str,
        /// The backend's own words, on one line.
        reason: String,
    },
    /// A dimension has no fixed extent.
    #[error(
        "model `{model}`: dimension {dimension} of `{tensor}` has no fixed extent; export it with fixed shapes and batch 1"
    )]
    Dynamic {
        /// The model.
        model: String,
        /// The tensor.
        tensor: String,
        /// Index of the dimension.
        dimension: usize,
    },
    /// Only `f32` tensors are taken.
    #[error("model `{model}`: `{tensor}` holds {found}, expected f32")]
    ElementType {
        /// The model.
        model: String,
        /// The tensor.
        tensor: String,
        /// What the model has.
        found: String,
    },
    /// Wrong number of tensors.
    #[error("model `{model}` has {expected} {side}s, found {found}")]
    Arity {
        /// The model.
        model: String,
        /// `input` or `output`.
        side: &'static str,
        /// How many the model has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// Wrong number of values in a tensor.
    #[error("model `{model}`: `{tensor}` has shape {expected:?}, found {found} values")]
    Length {
        /// The model.
        model: String,
        /// The tensor.
        tensor: String,
        /// Shape of the tensor.
        expected: Vec<usize>,
        /// How many values there were.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("model `{model}`: value {index} of {side} `{tensor}` is not finite")]
    NonFinite {
        /// The model.
        model: String,
        /// `input` or `output`.
        side: &'static str,
        /// The tensor.
        tensor: String,
        /// Index of the first such value.
        index: usize,
    },
    /// The backend failed in a run.
    #[error("model `{model}` failed in the {backend} backend: {reason}")]
    Run {
        /// The model.
        model: String,
        /// Name of the backend.
        backend: &'static str,
        /// The backend's own words, on one line.
        reason: String,
    },
}

/// The words of a foreign error on one line, with all causes, bounded.
pub(crate) fn one_line(error: &dyn std::fmt::Display) -> String {
    const LENGTH_MAX: usize = 400;
    let mut line = format!("{error:#}")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LENGTH_MAX) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// The message of a caught panic.
pub(crate) fn panic_words(payload: &(dyn std::any::Any + Send)) -> String {
    let words = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    one_line(&format!("it panicked: {words}"))
}

fn folders(searched: &[PathBuf]) -> String {
    let names: Vec<_> = searched
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    names.join(" or ")
}
