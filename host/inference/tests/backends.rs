//! Both backends against the same models. ONNX Runtime takes part where it is found (`ORT_DYLIB_PATH`,
//! or the cache of `sinew setup onnxruntime`).

use std::sync::Arc;

use sinew_inference::{Backend, Choice, InferenceError, Session, choose, probe, select};

fn backends() -> Vec<Arc<dyn Backend>> {
    let mut backends = Vec::new();
    #[cfg(feature = "embedded")]
    backends.push(select(&Choice::Embedded).expect("the embedded backend is built in"));
    match select(&Choice::OnnxRuntime(None)) {
        Ok(backend) => backends.push(backend),
        Err(error) => {
            let both = std::env::var_os("SINEW_TEST_BOTH_BACKENDS").is_some();
            assert!(!both, "ONNX Runtime must take part: {error}");
            eprintln!("ONNX Runtime does not take part: {error}");
        }
    }
    backends
}

macro_rules! model {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("models/", $name, ".onnx")).as_slice(),
        )
    };
}

/// Values in -1..1 that differ from each other.
fn values(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0)
        .collect()
}

fn run(session: &mut dyn Session) -> Result<Vec<Vec<f32>>, InferenceError> {
    let inputs: Vec<Vec<f32>> = session
        .inputs()
        .iter()
        .map(|spec| values(spec.len()))
        .collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs = session.output_buffers();
    session.run(&inputs, &mut outputs)?;
    Ok(outputs)
}

#[test]
fn shapes_are_read_and_backends_agree() {
    for (name, bytes) in [
        model!("mlp"),
        model!("dynamic_batch"),
        model!("conv"),
        model!("two_in_two_out"),
        model!("probe"),
    ] {
        let mut first: Option<Vec<Vec<f32>>> = None;
        for backend in backends() {
            let mut session = backend.load(name, bytes).expect(name);
            let specs: Vec<String> = session
                .inputs()
                .iter()
                .chain(session.outputs())
                .map(ToString::to_string)
                .collect();
            let expected: &[&str] = match name {
                "conv" => &["image[1, 2, 8, 12]", "heat[1, 4, 4, 6]"],
                "two_in_two_out" => &["a[1, 4]", "b[1, 4]", "sum[1, 4]", "difference[1, 4]"],
                "probe" => &["obs[1, 64]", "action[1, 7]"],
                _ => &["obs[1, 8]", "action[1, 3]"],
            };
            assert_eq!(specs, expected, "{name} on {}", backend.name());
            let once = run(&mut *session).expect(name);
            let again = run(&mut *session).expect(name);
            assert_eq!(
                once,
                again,
                "{name} on {} is not repeatable",
                backend.name()
            );
            let Some(first) = &first else {
                first = Some(once);
                continue;
            };
            for (a, b) in first.iter().flatten().zip(once.iter().flatten()) {
                assert!((a - b).abs() < 1e-5, "{name}: {a} against {b}");
            }
        }
    }
}

/// What flies on the robot gives the same on both backends. On a small backend of one's own build a difference
/// in the order of sums is all that there may be.
#[test]
fn the_shipped_models_give_the_same_on_both_backends() {
    for (name, bytes) in [
        (
            "detector",
            include_bytes!("../../../policies/detector/detector.onnx").as_slice(),
        ),
        (
            "grasp",
            include_bytes!("../../../policies/grasp/grasp.onnx").as_slice(),
        ),
    ] {
        let outputs: Vec<Vec<Vec<f32>>> = backends()
            .iter()
            .map(|backend| {
                let mut session = backend.load(name, bytes).expect(name);
                let once = run(&mut *session).expect(name);
                assert_eq!(
                    once,
                    run(&mut *session).expect(name),
                    "{name} is repeatable"
                );
                once
            })
            .collect();
        for other in &outputs[1..] {
            let mut largest = 0.0_f32;
            for (a, b) in outputs[0].iter().flatten().zip(other.iter().flatten()) {
                assert!(a.is_finite() && b.is_finite(), "{name}");
                largest = largest.max((a - b).abs() / (1.0 + a.abs()));
            }
            assert!(largest < 1e-4, "{name}: {largest} apart");
        }
    }
}

#[test]
fn bad_models_are_refused_with_a_reason() {
    for (name, bytes) in [
        model!("bad_dynamic"),
        model!("bad_integer"),
        model!("bad_operator"),
        model!("bad_product"),
        model!("bad_weight"),
        model!("bad_huge"),
        model!("bad_garbage"),
        model!("bad_text"),
        model!("bad_truncated"),
        model!("bad_empty"),
    ] {
        for backend in backends() {
            let Err(error) = backend.load(name, bytes) else {
                panic!("{name} was loaded by {}", backend.name());
            };
            let kind_fits = match name {
                "bad_dynamic" => matches!(error, InferenceError::Dynamic { dimension: 1, .. }),
                "bad_integer" => matches!(error, InferenceError::ElementType { .. }),
                _ => matches!(error, InferenceError::Model { .. }),
            };
            assert!(kind_fits, "{name} on {}: {error:?}", backend.name());
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

/// A model with bytes changed at random is loaded or refused, and run or refused; nothing else.
#[test]
fn damaged_models_never_take_the_process_down() {
    let (_, good) = model!("mlp");
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    for round in 0..60 {
        let mut bytes = good.to_vec();
        for _ in 0..1 + round % 8 {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        for backend in backends() {
            if let Ok(mut session) = backend.load("damaged", &bytes) {
                let _ = run(&mut *session);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_before_it_runs() {
    let (name, bytes) = model!("two_in_two_out");
    for backend in backends() {
        let mut session = backend.load(name, bytes).expect(name);
        let good = [1.0_f32; 4];
        let mut outputs = session.output_buffers();
        let arity = session.run(&[&good], &mut outputs);
        assert!(
            matches!(
                arity,
                Err(InferenceError::Arity {
                    side: "input",
                    expected: 2,
                    found: 1,
                    ..
                })
            ),
            "{arity:?}"
        );
        let arity = session.run(&[&good, &good], &mut outputs[..1]);
        assert!(
            matches!(arity, Err(InferenceError::Arity { side: "output", .. })),
            "{arity:?}"
        );
        let length = session.run(&[&good, &good[..3]], &mut outputs);
        assert!(
            matches!(&length, Err(InferenceError::Length { tensor, found: 3, .. }) if tensor == "b"),
            "{length:?}"
        );
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let poisoned = [0.0, 0.0, bad, 0.0];
            let result = session.run(&[&good, &poisoned], &mut outputs);
            assert!(
                matches!(
                    &result,
                    Err(InferenceError::NonFinite {
                        side: "input",
                        index: 2,
                        ..
                    })
                ),
                "{result:?}"
            );
        }
        // The session is still good.
        session
            .run(&[&good, &good], &mut outputs)
            .expect("a good run");
        assert_eq!(outputs, [[2.0; 4], [0.0; 4]]);
    }
}

#[test]
fn a_result_that_is_not_finite_is_an_error() {
    let (name, bytes) = model!("overflow");
    for backend in backends() {
        let mut session = backend.load(name, bytes).expect(name);
        let mut outputs = session.output_buffers();
        let result = session.run(&[&[0.0, 1000.0]], &mut outputs);
        assert!(
            matches!(
                &result,
                Err(InferenceError::NonFinite {
                    side: "output",
                    index: 1,
                    ..
                })
            ),
            "{} gave {result:?}",
            backend.name()
        );
    }
}

#[test]
fn probe_measures_and_checks() {
    for backend in backends() {
        let measured = probe(&*backend).expect("the probe's model runs");
        assert!(measured.run_p50 <= measured.run_p99);
        assert_eq!(measured.backend, backend.name());
        assert!(!measured.version.is_empty());
    }
}

#[cfg(feature = "embedded")]
#[test]
fn auto_always_finds_a_backend_and_says_what_it_skipped() {
    let selection = choose(&Choice::Auto).expect("there is always the embedded one");
    if selection.backend.name() == "embedded" {
        assert!(!selection.skipped.is_empty());
    }
}
