//! What both backends check before and after a run, and while they read a model's shapes.

use crate::{InferenceError, TensorSpec};

/// Values that one tensor may hold: 64 MiB. A model file may claim any shape.
const TENSOR_LEN_MAX: usize = 16 << 20;

/// Fixes the shape of one tensor: a leading dimension without a number is a batch of 1.
pub(crate) fn fix_shape(
    model: &str,
    backend: &'static str,
    tensor: &str,
    dimensions: impl IntoIterator<Item = Option<usize>>,
) -> Result<TensorSpec, InferenceError> {
    let mut shape = Vec::new();
    for (dimension, extent) in dimensions.into_iter().enumerate() {
        shape.push(match extent {
            Some(extent) => extent,
            None if dimension == 0 => 1,
            None => {
                return Err(InferenceError::Dynamic {
                    model: model.into(),
                    tensor: tensor.into(),
                    dimension,
                });
            }
        });
    }
    let len = shape
        .iter()
        .try_fold(1_usize, |product, extent| product.checked_mul(*extent));
    match len {
        Some(1..=TENSOR_LEN_MAX) => Ok(TensorSpec {
            name: tensor.into(),
            shape,
        }),
        _ => Err(InferenceError::Model {
            model: model.into(),
            backend,
            reason: format!("`{tensor}` has shape {shape:?}: empty or too large"),
        }),
    }
}

/// Number of tensors, number of values, finite values.
pub(crate) fn inputs(
    model: &str,
    specs: &[TensorSpec],
    inputs: &[&[f32]],
) -> Result<(), InferenceError> {
    arity(model, "input", specs.len(), inputs.len())?;
    for (spec, values) in specs.iter().zip(inputs) {
        tensor(model, "input", spec, values)?;
    }
    Ok(())
}

/// Number of output buffers.
pub(crate) fn output_arity(
    model: &str,
    specs: &[TensorSpec],
    found: usize,
) -> Result<(), InferenceError> {
    arity(model, "output", specs.len(), found)
}

/// Length and finite values of one output, then copies it into the caller's buffer.
pub(crate) fn take_output(
    model: &str,
    spec: &TensorSpec,
    values: &[f32],
    buffer: &mut Vec<f32>,
) -> Result<(), InferenceError> {
    tensor(model, "output", spec, values)?;
    buffer.clear();
    buffer.extend_from_slice(values);
    Ok(())
}

fn arity(
    model: &str,
    side: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), InferenceError> {
    if expected == found {
        return Ok(());
    }
    Err(InferenceError::Arity {
        model: model.into(),
        side,
        expected,
        found,
    })
}

fn tensor(
    model: &str,
    side: &'static str,
    spec: &TensorSpec,
    values: &[f32],
) -> Result<(), InferenceError> {
    if values.len() != spec.len() {
        return Err(InferenceError::Length {
            model: model.into(),
            tensor: spec.name.clone(),
            expected: spec.shape.clone(),
            found: values.len(),
        });
    }
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(InferenceError::NonFinite {
            model: model.into(),
            side,
            tensor: spec.name.clone(),
            index,
        }),
    }
}
