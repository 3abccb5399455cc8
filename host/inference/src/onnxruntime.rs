//! The ONNX Runtime backend: its shared library, loaded at run time through `ort`.
//!
//! A process can hold one such library. The first that loads stays; asking for another one later is an
//! error rather than a silent substitution.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{
    HasSelectedOutputs, OutputSelector, RunOptions, Session as OrtSession, SessionInputValue,
};
use ort::value::{Outlet, Tensor, TensorElementType};

use crate::error::{one_line, panic_words};
use crate::{Backend, InferenceError, Session, TensorSpec, check};

const NAME: &str = "onnxruntime";

/// The library of this process, once there is one.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

pub(crate) struct OnnxRuntime {
    environment: Environment,
    path: PathBuf,
}

impl OnnxRuntime {
    /// Loads the library at `path`.
    ///
    /// # Errors
    /// [`InferenceError::Library`] if it is missing, no ONNX Runtime, too old, or not the one that
    /// this process already holds.
    pub(crate) fn open(path: &Path) -> Result<Self, InferenceError> {
        let unusable = |reason: String| InferenceError::Library {
            path: path.into(),
            reason,
        };
        let path = path
            .canonicalize()
            .map_err(|error| unusable(one_line(&error)))?;
        #[cfg(target_os = "linux")]
        if let Some(reason) = crate::elf::cut_off(&path) {
            return Err(unusable(reason));
        }
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((held, environment)) = &*loaded {
            if *held != path {
                return Err(unusable(format!(
                    "this process already holds {}",
                    held.display()
                )));
            }
            return Ok(Self {
                environment: environment.clone(),
                path,
            });
        }
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let builder = ort::init_from(&path).map_err(|error| one_line(&error))?;
            builder
                .with_telemetry(false)
                .build()
                .map_err(|error| one_line(&error))
        }));
        let environment = match opened {
            Ok(opened) => opened.map_err(unusable)?,
            Err(payload) => return Err(unusable(panic_words(&*payload))),
        };
        *loaded = Some((path.clone(), environment.clone()));
        Ok(Self { environment, path })
    }

    fn build(&self, bytes: &[u8]) -> Result<OrtSession, ort::Error> {
        // Nothing else in the process may be slowed by a model: one thread, and it sleeps when idle.
        let mut builder = OrtSession::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_deterministic_compute(true)?
            .with_log_level(LogLevel::Fatal)?;
        builder.commit_from_memory(bytes)
    }
}

impl Backend for OnnxRuntime {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        // The build information of a release starts with `… git-branch=rel-1.31.1, …`; that of the wheel names
        // no branch, but its file is called `libonnxruntime.so.1.31.1`.
        let built = ort::info()
            .split_once("git-branch=rel-")
            .and_then(|(_, rest)| rest.split([',', ' ']).next());
        let named = || {
            let name = self.path.file_name()?.to_str()?;
            name.split_once(".so.").map(|(_, version)| version)
        };
        let version = built.or_else(named).unwrap_or("of unknown version");
        format!("{version}, {}", self.path.display())
    }

    fn load(&self, name: &str, bytes: &[u8]) -> Result<Box<dyn Session>, InferenceError> {
        let refused = |reason: &dyn std::fmt::Display| InferenceError::Model {
            model: name.into(),
            backend: NAME,
            reason: one_line(reason),
        };
        let session = self.build(bytes).map_err(|error| refused(&error))?;
        let specs = |outlets: &[Outlet]| -> Result<Vec<TensorSpec>, InferenceError> {
            outlets.iter().map(|outlet| spec(name, outlet)).collect()
        };
        let inputs = specs(session.inputs())?;
        let outputs = specs(session.outputs())?;

        let mut tensors = Vec::new();
        for spec in &inputs {
            let zeros = vec![0.0_f32; spec.len()];
            tensors.push(
                Tensor::from_array((spec.shape.clone(), zeros)).map_err(|error| refused(&error))?,
            );
        }
        let mut selector = OutputSelector::default();
        for spec in &outputs {
            let zeros = vec![0.0_f32; spec.len()];
            let tensor =
                Tensor::from_array((spec.shape.clone(), zeros)).map_err(|error| refused(&error))?;
            selector = selector.preallocate(spec.name.as_str(), tensor);
        }
        let options = RunOptions::new()
            .map_err(|error| refused(&error))?
            .with_outputs(selector);
        Ok(Box::new(OnnxRuntimeSession {
            model: name.into(),
            session,
            tensors,
            options,
            inputs,
            outputs,
        }))
    }
}

fn spec(model: &str, outlet: &Outlet) -> Result<TensorSpec, InferenceError> {
    let (Some(TensorElementType::Float32), Some(shape)) =
        (outlet.dtype().tensor_type(), outlet.dtype().tensor_shape())
    else {
        return Err(InferenceError::ElementType {
            model: model.into(),
            tensor: outlet.name().into(),
            found: outlet
                .dtype()
                .tensor_type()
                .map_or_else(|| "no tensor".into(), |element| element.to_string()),
        });
    };
    check::fix_shape(
        model,
        NAME,
        outlet.name(),
        shape.iter().map(|extent| usize::try_from(*extent).ok()),
    )
}

struct OnnxRuntimeSession {
    model: String,
    session: OrtSession,
    /// Written in place before each run.
    tensors: Vec<Tensor<f32>>,
    /// Holds the output tensors, which every run writes into.
    options: RunOptions<HasSelectedOutputs>,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Session for OnnxRuntimeSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), InferenceError> {
        check::inputs(&self.model, &self.inputs, inputs)?;
        check::output_arity(&self.model, &self.outputs, outputs.len())?;
        for (tensor, values) in self.tensors.iter_mut().zip(inputs) {
            tensor.extract_tensor_mut().1.copy_from_slice(values);
        }
        let failed = |error: ort::Error| InferenceError::Run {
            model: self.model.clone(),
            backend: NAME,
            reason: one_line(&error),
        };
        let values: Vec<SessionInputValue<'_>> = self.tensors.iter().map(Into::into).collect();
        let results = self
            .session
            .run_with_options(values.as_slice(), &self.options)
            .map_err(failed)?;
        for (index, (spec, buffer)) in self.outputs.iter().zip(outputs).enumerate() {
            let (_, values) = results[index].try_extract_tensor::<f32>().map_err(failed)?;
            check::take_output(&self.model, spec, values, buffer)?;
        }
        Ok(())
    }
}
