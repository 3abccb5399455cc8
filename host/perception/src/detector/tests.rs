use sinew_hardware::Intrinsics;
use sinew_inference::{InferenceError, TensorSpec};

use super::*;
use crate::manifest::tests::TEXT;

const COLUMNS: usize = 48;
const ROWS: usize = 36;
const CHANNELS: usize = 12;

/// A model that answers with fixed maps.
struct Fixed {
    inputs: [TensorSpec; 1],
    outputs: [TensorSpec; 1],
    maps: Vec<f32>,
}

impl Session for Fixed {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&mut self, _: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), InferenceError> {
        outputs[0].clone_from(&self.maps);
        Ok(())
    }
}

fn spec(name: &str, shape: &[usize]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        shape: shape.to_vec(),
    }
}

fn fixed(channels: usize, maps: Vec<f32>) -> Box<dyn Session> {
    Box::new(Fixed {
        inputs: [spec("image", &[1, 4, 144, 192])],
        outputs: [spec("maps", &[1, channels, ROWS, COLUMNS])],
        maps,
    })
}

fn manifest() -> DetectorManifest {
    DetectorManifest::from_toml_str(TEXT, "detector.toml").expect("sound")
}

/// A camera 1 m above (0.5, 0, 0), looking straight down, right = −y, one millimetre a pixel at 0.2 m depth.
fn frame(depth_m: f32) -> RgbdFrame {
    RgbdFrame {
        camera: "test".into(),
        tick: 1,
        sequence: 1,
        intrinsics: Intrinsics {
            width: 192,
            height: 144,
            fx: 200.0,
            fy: 200.0,
            cx: 96.0,
            cy: 72.0,
        },
        pose: {
            // z forward = −z, x right = −y, y down = −x.
            let half = core::f64::consts::FRAC_1_SQRT_2;
            Pose {
                position_m: [0.5, 0.0, 1.0],
                orientation_xyzw: [half, -half, 0.0, 0.0],
            }
        },
        rgb: vec![128; 3 * 192 * 144],
        depth_m: vec![depth_m; 192 * 144],
    }
}

fn set(maps: &mut [f32], channel: usize, row: usize, column: usize, value: f32) {
    maps[(channel * ROWS + row) * COLUMNS + column] = value;
}

#[test]
fn a_peak_becomes_a_pose_by_depth_and_intrinsics() {
    let mut maps = vec![0.0; CHANNELS * ROWS * COLUMNS];
    // A block whose top's middle is at pixel (106, 52), 0.9 probable, with a lesser neighbour.
    let (row, column) = (13, 26);
    set(&mut maps, 0, row, column, 0.9);
    set(&mut maps, 0, row, column + 1, 0.6);
    set(&mut maps, 3, row, column, 0.0);
    set(&mut maps, 4, row, column, -0.5);
    // Long axis 30° below the image's x axis: 2a = 60°.
    set(&mut maps, 5, row, column, 0.5);
    set(&mut maps, 6, row, column, 0.866_025_4);
    set(&mut maps, 7, row, column, 0.28);
    set(&mut maps, 8 + 2, row, column, 3.0);
    let detector = Detector::new(manifest(), fixed(CHANNELS, maps), "test").expect("shapes fit");
    let found = detector.detect(&frame(0.97)).expect("runs");
    assert_eq!(found.len(), 1, "{found:?}");
    let block = &found[0];
    assert_eq!((block.class, block.color), (0, 2));
    assert_eq!(block.pixel, [106.0, 52.0]);
    // The depth says that the top is at 0.03, the model said 0.028; 10 pixels right, 20 up, at 0.97 m.
    let expected = [0.5 + 20.0 / 200.0 * 0.97, -10.0 / 200.0 * 0.97, 0.015];
    for (axis, (got, wanted)) in block.pose.position_m.iter().zip(expected).enumerate() {
        assert!(
            (got - wanted).abs() < 1e-6,
            "axis {axis}: {got} instead of {wanted}"
        );
    }
    // In the image 30° from right towards down, right being −y and down −x.
    let (sin, cos) = libm::sincos(30.0_f64.to_radians());
    let expected = wrap(libm::atan2(-cos, -sin), core::f64::consts::PI);
    assert!(wrap(block.yaw_rad - expected, core::f64::consts::PI).abs() < 1e-6);
}

#[test]
fn without_depth_the_model_s_height_counts() {
    let mut maps = vec![0.0; CHANNELS * ROWS * COLUMNS];
    set(&mut maps, 1, 18, 24, 0.8);
    set(&mut maps, 7, 18, 24, 0.4);
    let detector = Detector::new(manifest(), fixed(CHANNELS, maps), "test").expect("shapes fit");
    for depth_m in [0.0, 0.5] {
        let found = detector.detect(&frame(depth_m)).expect("runs");
        let z = found[0].pose.position_m[2];
        assert!(
            (z - (0.04 - 0.015)).abs() < 1e-6,
            "depth {depth_m}: centre at {z}"
        );
        assert!(found[0].yaw_rad.abs() < 1e-9, "a puck has no yaw");
    }
}

#[test]
fn two_classes_on_one_part_are_one_detection() {
    let mut maps = vec![0.0; CHANNELS * ROWS * COLUMNS];
    for (class, score) in [(0, 0.6), (2, 0.7)] {
        set(&mut maps, class, 18, 24, score);
    }
    let detector = Detector::new(manifest(), fixed(CHANNELS, maps), "test").expect("shapes fit");
    let found = detector.detect(&frame(0.97)).expect("runs");
    assert_eq!(found.iter().map(|d| d.class).collect::<Vec<_>>(), [2]);
}

#[test]
fn empty_maps_show_nothing() {
    let maps = vec![0.0; CHANNELS * ROWS * COLUMNS];
    let detector = Detector::new(manifest(), fixed(CHANNELS, maps), "test").expect("shapes fit");
    assert!(detector.detect(&frame(0.97)).expect("runs").is_empty());
}

#[test]
fn other_shapes_are_refused_with_both_sides_named() {
    let maps = vec![0.0; 11 * ROWS * COLUMNS];
    let error = Detector::new(manifest(), fixed(11, maps), "detector.toml")
        .err()
        .expect("refused");
    let text = error.to_string();
    assert!(
        text.contains("detector.toml") && text.contains("[1, 12, 36, 48]"),
        "{text}"
    );
    assert!(text.contains("maps[1, 11, 36, 48]"), "{text}");
}

#[test]
fn an_image_of_another_size_is_refused() {
    let maps = vec![0.0; CHANNELS * ROWS * COLUMNS];
    let detector = Detector::new(manifest(), fixed(CHANNELS, maps), "test").expect("shapes fit");
    let mut short = frame(0.97);
    short.depth_m.pop();
    let mut other = frame(0.97);
    other.intrinsics.width = 160;
    for frame in [short, other] {
        let error = detector.detect(&frame).expect_err("refused").to_string();
        assert!(
            error.contains("camera `test`") && error.contains("192x144"),
            "{error}"
        );
    }
}
