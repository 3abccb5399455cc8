//! How fast a backend is here: a measurement for `sinew doctor`, never an input to a decision.

use std::time::{Duration, Instant};

use crate::{Backend, InferenceError, Session};

/// A network 64 → 128 → 128 → 7, made by `tests/models/make.py`.
const MODEL: &[u8] = include_bytes!("../tests/models/probe.onnx");
const RUNS: usize = 200;
/// First output for an input of all 0.5, as the exporting side computed it.
const EXPECTED_FIRST: f32 = 0.424700;
/// The embedded backend agrees to 3e-6 with the exporter; this leaves room and still finds a wrong kernel.
const TOLERANCE: f32 = 1e-4;

/// What a probe measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Name of the backend.
    pub backend: &'static str,
    /// Version of the backend.
    pub version: String,
    /// Time to load the model.
    pub load: Duration,
    /// Median time of one run.
    pub run_p50: Duration,
    /// 99th percentile of the time of one run.
    pub run_p99: Duration,
}

/// Runs a model once on zeros: finds weights that give no numbers, whatever the input.
///
/// # Errors
/// As [`Session::run`].
pub fn try_out(session: &mut dyn Session) -> Result<(), InferenceError> {
    let zeros: Vec<Vec<f32>> = (session.inputs().iter())
        .map(|spec| vec![0.0; spec.len()])
        .collect();
    let inputs: Vec<&[f32]> = zeros.iter().map(Vec::as_slice).collect();
    let mut outputs = session.output_buffers();
    session.run(&inputs, &mut outputs)
}

/// Loads and times a small model, and checks that its result is right.
///
/// # Errors
/// [`InferenceError`] if the backend cannot load or run it, or computes something else.
pub fn probe(backend: &dyn Backend) -> Result<Probe, InferenceError> {
    let start = Instant::now();
    let mut session = backend.load("probe", MODEL)?;
    let load = start.elapsed();
    let input = vec![0.5_f32; session.inputs()[0].len()];
    let mut outputs = session.output_buffers();
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        session.run(&[&input], &mut outputs)?;
        times.push(start.elapsed());
    }
    let found = outputs[0][0];
    if (found - EXPECTED_FIRST).abs() > TOLERANCE {
        return Err(InferenceError::Run {
            model: "probe".into(),
            backend: backend.name(),
            reason: format!("it computed {found}, expected {EXPECTED_FIRST}"),
        });
    }
    times.sort();
    Ok(Probe {
        backend: backend.name(),
        version: backend.version(),
        load,
        run_p50: times[RUNS / 2],
        run_p99: times[RUNS * 99 / 100],
    })
}
