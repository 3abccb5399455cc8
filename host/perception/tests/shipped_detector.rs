//! The detector that ships, on images of the simulated cell that it was not trained on, on images that show
//! nothing, and on files that are no models.

use sinew_description::RobotDescription;
use sinew_hardware::RgbdFrame;
use sinew_inference::{Choice, select};
use sinew_perception::evaluation::{Evaluation, Truth};
use sinew_perception::{Detector, DetectorError};
use sinew_sim::CellConfig;
use sinew_sim::camera::dataset::Sampler;
use sinew_sim::camera::labels::Label;

const MANIFEST: &str = include_str!("../../../policies/detector/detector.toml");
const MODEL: &[u8] = include_bytes!("../../../policies/detector/detector.onnx");
/// Neither the seed of the training images nor those that the reported figures come from.
const SEED: u64 = 888_000;
const SCENES: u64 = 30;

fn load(manifest: &str, model: &[u8]) -> Result<Detector, DetectorError> {
    let backend = select(&Choice::Auto)?;
    Detector::load(&*backend, manifest, model, "detector.toml")
}

fn detector() -> Detector {
    load(MANIFEST, MODEL).expect("the shipped model loads")
}

fn sampler() -> Sampler {
    Sampler::new(CellConfig::builtin(), RobotDescription::builtin())
}

fn truth(label: Label) -> Truth {
    Truth {
        class: label.class,
        color: label.color,
        position_m: label.position_m,
        yaw_rad: label.yaw_rad,
        is_upright: label.upright > 0.9,
        visible: label.visible,
        pixel: label.pixel,
    }
}

#[test]
fn scenes_it_was_not_trained_on_are_read_well() {
    let (detector, sampler) = (detector(), sampler());
    let mut evaluation = Evaluation::default();
    for sample in (0..SCENES).flat_map(|index| sampler.sample(SEED, index)) {
        let found = detector.detect(&sample.frame).expect("runs");
        let parts = sample.labels.into_iter().filter(|label| label.is_part);
        let truths: Vec<Truth> = parts.map(truth).collect();
        evaluation.add(detector.manifest(), &found, &truths);
    }
    assert!(evaluation.asked > 200, "{} parts", evaluation.asked);
    assert!(evaluation.recall() > 0.96, "recall {}", evaluation.recall());
    assert!(
        evaluation.invented * 50 < evaluation.found,
        "{} invented",
        evaluation.invented
    );
    assert!(
        evaluation.class_accuracy() > 0.96,
        "class {}",
        evaluation.class_accuracy()
    );
    assert!(
        evaluation.color_accuracy() > 0.99,
        "colour {}",
        evaluation.color_accuracy()
    );
    let position = evaluation.position_error_m(0.5);
    assert!(position < 0.005, "position {position}");
    let yaw = evaluation.yaw_error_deg(0.5);
    assert!(yaw < 8.0, "yaw {yaw}");
}

/// Whatever the backend, the same parts are seen in the same places.
#[test]
fn both_backends_see_the_same() {
    let load = |choice: &Choice| -> Result<Detector, DetectorError> {
        Detector::load(&*select(choice)?, MANIFEST, MODEL, "detector.toml")
    };
    let embedded = load(&Choice::Embedded).expect("the embedded backend is built in");
    let onnxruntime = match load(&Choice::OnnxRuntime(None)) {
        Ok(detector) => detector,
        Err(error) => {
            let both = std::env::var_os("SINEW_TEST_BOTH_BACKENDS").is_some();
            assert!(!both, "ONNX Runtime must take part: {error}");
            return eprintln!("ONNX Runtime does not take part: {error}");
        }
    };
    let mut seen = 0;
    for sample in (0..3).flat_map(|index| sampler().sample(SEED, index)) {
        let one = embedded.detect(&sample.frame).expect("runs");
        let other = onnxruntime.detect(&sample.frame).expect("runs");
        assert_eq!(one.len(), other.len());
        for (a, b) in one.iter().zip(&other) {
            assert_eq!((a.class, a.color), (b.class, b.color));
            let apart = (0..3).map(|i| (a.pose.position_m[i] - b.pose.position_m[i]).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-4, "{a:?} against {b:?}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} parts");
}

#[test]
fn images_that_show_nothing_show_no_parts() {
    let detector = detector();
    let sampler = sampler();
    let images: Vec<RgbdFrame> = sampler
        .sample(SEED, 0)
        .into_iter()
        .map(|s| s.frame)
        .collect();
    for mut frame in images {
        for (rgb, depth_m) in [(0, 0.0), (255, 0.0), (128, 0.7), (0, 3.0)] {
            frame.rgb.fill(rgb);
            frame.depth_m.fill(depth_m);
            let found = detector.detect(&frame).expect("runs");
            assert!(found.is_empty(), "colour {rgb}, depth {depth_m}: {found:?}");
        }
    }
}

#[test]
fn a_pose_that_is_no_number_is_an_error_and_no_part() {
    let detector = detector();
    let mut frame = sampler().sample(SEED, 0).remove(0).frame;
    frame.pose.position_m[2] = f64::NAN;
    assert!(detector.detect(&frame).is_err());
}

#[test]
fn files_that_are_no_models_are_refused_with_a_reason() {
    let unchecked = MANIFEST
        .lines()
        .map(|line| {
            if line.starts_with("sha256") {
                "sha256 = \"\""
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n");
    assert!(load(&unchecked, MODEL).is_ok());
    for (manifest, model, needle) in [
        (MANIFEST, &b"garbage"[..], "sha256"),
        (&unchecked, &b"garbage"[..], "detector"),
        (&unchecked, &MODEL[..MODEL.len() / 2], "detector"),
        (&unchecked, &[][..], "detector"),
        (
            &unchecked.replacen("\"yellow\"]", "\"yellow\", \"pink\"]", 1),
            MODEL,
            "13",
        ),
    ] {
        let error = load(manifest, model).err().expect("refused").to_string();
        assert!(error.contains(needle), "{error}");
    }
}
