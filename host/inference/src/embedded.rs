//! The embedded backend: tract, in this binary, nothing to install.
//!
//! tract can panic on files that are not what they claim, so both loading and running are caught, and
//! a session that panicked is not used again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::pb::{TypeProto, type_proto::Value};
use tract_onnx::prelude::*;

use crate::error::{one_line, panic_words};
use crate::{Backend, InferenceError, Session, TensorSpec, check, registers};

const NAME: &str = "embedded";
/// `f32` in ONNX's own numbering of element types.
const ONNX_FLOAT: i32 = 1;

pub(crate) struct Embedded;

impl Backend for Embedded {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        "tract 0.23, in this binary".into()
    }

    fn load(&self, name: &str, bytes: &[u8]) -> Result<Box<dyn Session>, InferenceError> {
        let loaded = catch_unwind(AssertUnwindSafe(|| load(name, bytes)));
        match loaded {
            Ok(session) => session.map(|session| Box::new(session) as Box<dyn Session>),
            Err(payload) => Err(InferenceError::Model {
                model: name.into(),
                backend: NAME,
                reason: panic_words(&*payload),
            }),
        }
    }
}

struct EmbeddedSession {
    model: String,
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    panicked: bool,
}

fn load(name: &str, bytes: &[u8]) -> Result<EmbeddedSession, InferenceError> {
    let refused = |reason: &dyn std::fmt::Display| InferenceError::Model {
        model: name.into(),
        backend: NAME,
        reason: one_line(reason),
    };
    let onnx = tract_onnx::onnx();
    let proto = onnx
        .proto_model_for_read(&mut &*bytes)
        .map_err(|error| refused(&error))?;
    let graph = proto
        .graph
        .as_ref()
        .ok_or_else(|| refused(&"the file holds no graph"))?;
    if graph.output.is_empty() {
        return Err(refused(&"the graph has no output"));
    }

    let mut inputs = Vec::new();
    for input in &graph.input {
        // Old exporters list the weights among the inputs.
        if graph
            .initializer
            .iter()
            .any(|weight| weight.name == input.name)
        {
            continue;
        }
        inputs.push(declared(name, &input.name, input.r#type.as_ref())?);
    }

    let mut model = onnx
        .model_for_proto_model(&proto)
        .map_err(|error| refused(&error))?;
    for (index, spec) in inputs.iter().enumerate() {
        let fact = f32::fact(spec.shape.as_slice());
        model
            .set_input_fact(index, fact.into())
            .map_err(|error| refused(&error))?;
    }
    // With the inputs fixed the outputs follow; what the file says about them (a named batch) may not.
    let model = model.into_optimized().map_err(|error| refused(&error))?;
    let mut outputs = Vec::new();
    for (index, output) in graph.output.iter().enumerate() {
        let fact = model.output_fact(index).map_err(|error| refused(&error))?;
        if fact.datum_type != f32::datum_type() {
            return Err(InferenceError::ElementType {
                model: name.into(),
                tensor: output.name.clone(),
                found: format!("{:?}", fact.datum_type).to_lowercase(),
            });
        }
        outputs.push(check::fix_shape(
            name,
            NAME,
            &output.name,
            fact.shape
                .iter()
                .map(|extent| extent.to_i64().ok().and_then(|n| usize::try_from(n).ok())),
        )?);
    }
    let plan = model.into_runnable().map_err(|error| refused(&error))?;
    Ok(EmbeddedSession {
        model: name.into(),
        plan,
        inputs,
        outputs,
        panicked: false,
    })
}

/// Shape of a tensor as the file declares it.
fn declared(
    model: &str,
    tensor: &str,
    declared: Option<&TypeProto>,
) -> Result<TensorSpec, InferenceError> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value as Extent;

    let Some(Value::TensorType(declared)) = declared.and_then(|declared| declared.value.as_ref())
    else {
        return Err(InferenceError::ElementType {
            model: model.into(),
            tensor: tensor.into(),
            found: "no tensor".into(),
        });
    };
    if declared.elem_type != ONNX_FLOAT {
        return Err(InferenceError::ElementType {
            model: model.into(),
            tensor: tensor.into(),
            found: format!("ONNX element type {}", declared.elem_type),
        });
    }
    let dimensions = declared.shape.iter().flat_map(|shape| &shape.dim);
    check::fix_shape(
        model,
        NAME,
        tensor,
        dimensions.map(|dimension| match dimension.value {
            Some(Extent::DimValue(extent)) => usize::try_from(extent).ok(),
            _ => None,
        }),
    )
}

impl EmbeddedSession {
    fn failed(&self, reason: String) -> InferenceError {
        InferenceError::Run {
            model: self.model.clone(),
            backend: NAME,
            reason,
        }
    }
}

impl Session for EmbeddedSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), InferenceError> {
        if self.panicked {
            return Err(self.failed("it panicked before; load the model again".into()));
        }
        check::inputs(&self.model, &self.inputs, inputs)?;
        check::output_arity(&self.model, &self.outputs, outputs.len())?;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut tensors: TVec<TValue> = TVec::new();
            for (spec, values) in self.inputs.iter().zip(inputs) {
                tensors.push(Tensor::from_shape(&spec.shape, values)?.into_tvalue());
            }
            self.plan.run(tensors)
        }));
        registers::clear_upper_halves();
        let results = match ran {
            Ok(Ok(results)) => results,
            Ok(Err(error)) => return Err(self.failed(one_line(&error))),
            Err(payload) => {
                self.panicked = true;
                return Err(self.failed(panic_words(&*payload)));
            }
        };
        for ((spec, result), buffer) in self.outputs.iter().zip(&results).zip(outputs) {
            let values = result
                .view()
                .as_slice::<f32>()
                .map_err(|error| self.failed(one_line(&error)))?;
            check::take_output(&self.model, spec, values, buffer)?;
        }
        Ok(())
    }
}
