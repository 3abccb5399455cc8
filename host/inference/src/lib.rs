//! ONNX sessions behind one trait: ONNX Runtime where its library is found, an embedded pure-Rust
//! backend otherwise.
//!
//! A [`Session`] is one loaded model with **fixed shapes**: they are read from the file, a leading
//! batch dimension without a number counts as 1, any other dimension without a number is refused at
//! load. All tensors are `f32`, row-major. Values are checked on both sides of a run: a NaN that goes
//! into a ReLU network comes out finite on some backends, so checking the outputs alone would hide it.
//!
//! Models arrive as bytes, never as paths: what was hashed is what is loaded, and a model cannot pull
//! in other files.

mod check;
mod digest;
#[cfg(target_os = "linux")]
mod elf;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod onnxruntime;
mod probe;
#[cfg(feature = "embedded")]
mod registers;
mod select;
pub mod setup;

use std::fmt;

pub use digest::sha256_hex;
pub use error::InferenceError;
pub use probe::{Probe, probe, try_out};
pub use select::{Choice, Selection, cache_dir, choose, select};

/// Name and fixed shape of one input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name in the model.
    pub name: String,
    /// Extent of each dimension, outermost first; batch 1 included.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if the tensor holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.shape)
    }
}

/// Something that can load ONNX models.
pub trait Backend: Send + Sync {
    /// `onnxruntime` or `embedded`: what reports and `sinew doctor` print.
    fn name(&self) -> &'static str;

    /// Version of the library that does the work, and where it was found.
    fn version(&self) -> String;

    /// Loads a model. `name` is only used in messages.
    ///
    /// # Errors
    /// [`InferenceError`] if the bytes are no model, or one that this backend or the rules of this
    /// crate (fixed `f32` shapes) do not take.
    fn load(&self, name: &str, bytes: &[u8]) -> Result<Box<dyn Session>, InferenceError>;
}

/// One loaded model. Runs on the calling thread alone.
pub trait Session: Send {
    /// Inputs in the order of [`Self::run`].
    fn inputs(&self) -> &[TensorSpec];

    /// Outputs in the order of [`Self::run`].
    fn outputs(&self) -> &[TensorSpec];

    /// Runs the model once. Each output buffer is resized to its tensor's length; buffers that were
    /// used before are not allocated again.
    ///
    /// # Errors
    /// [`InferenceError`] if the number of tensors or the number of values does not match, if a value
    /// on either side is not finite, or if the backend failed. The output buffers are then unspecified.
    fn run(&mut self, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), InferenceError>;

    /// Empty buffers, one an output, for [`Self::run`].
    fn output_buffers(&self) -> Vec<Vec<f32>> {
        self.outputs()
            .iter()
            .map(|spec| Vec::with_capacity(spec.len()))
            .collect()
    }
}
