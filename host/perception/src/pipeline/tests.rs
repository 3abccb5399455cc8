use std::sync::Mutex;

use bytemuck::Zeroable;
use sinew_hardware::{Exposure, Intrinsics};
use sinew_inference::{InferenceError, Session, TensorSpec};
use sinew_messages::Pose;
use sinew_world::{WorldReader, world};

use super::*;
use crate::manifest::DetectorManifest;

/// Answers with a block in the middle of the image if the image is bright, with nothing if it is dark.
struct Bright {
    specs: [Vec<TensorSpec>; 2],
}

impl Session for Bright {
    fn inputs(&self) -> &[TensorSpec] {
        &self.specs[0]
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.specs[1]
    }

    fn run(&mut self, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), InferenceError> {
        outputs[0].clear();
        outputs[0].resize(12 * 36 * 48, 0.0);
        if inputs[0][0] > 0.0 {
            let cell = 18 * 48 + 24;
            outputs[0][cell] = 0.9;
            outputs[0][7 * 36 * 48 + cell] = 0.3;
        }
        Ok(())
    }
}

fn detector() -> Detector {
    let spec = |name: &str, shape: &[usize]| TensorSpec {
        name: name.into(),
        shape: shape.to_vec(),
    };
    let session = Bright {
        specs: [
            vec![spec("image", &[1, 4, 144, 192])],
            vec![spec("maps", &[1, 12, 36, 48])],
        ],
    };
    let manifest =
        DetectorManifest::from_toml_str(crate::manifest::tests::TEXT, "test").expect("sound");
    Detector::new(manifest, Box::new(session), "test").expect("fits")
}

/// What a test camera shows.
#[derive(Clone, Copy)]
struct Show {
    /// Time of the newest exposure.
    tick: u64,
    brightness: u8,
    /// Same noise in every image.
    frozen: bool,
}

#[derive(Clone)]
struct TestCamera(Arc<Mutex<Show>>);

struct TestExposure(Show);

impl Camera for TestCamera {
    fn name(&self) -> &str {
        "overhead"
    }

    fn newest(&mut self, after: u64) -> Option<Box<dyn Exposure>> {
        let show = *self.0.lock().expect("no panic");
        (show.tick > after).then(|| Box::new(TestExposure(show)) as Box<dyn Exposure>)
    }
}

impl Exposure for TestExposure {
    fn camera(&self) -> &str {
        "overhead"
    }

    fn tick(&self) -> u64 {
        self.0.tick
    }

    fn sequence(&self) -> u64 {
        self.0.tick / 33
    }

    fn develop(self: Box<Self>) -> RgbdFrame {
        let mut rgb = vec![self.0.brightness; 3 * 192 * 144];
        rgb[3] = if self.0.frozen { 0 } else { self.0.tick as u8 };
        let half = core::f64::consts::FRAC_1_SQRT_2;
        RgbdFrame {
            camera: "overhead".into(),
            tick: self.0.tick,
            sequence: self.sequence(),
            intrinsics: Intrinsics {
                width: 192,
                height: 144,
                fx: 200.0,
                fy: 200.0,
                cx: 96.0,
                cy: 72.0,
            },
            pose: Pose {
                position_m: [0.5, 0.0, 1.0],
                orientation_xyzw: [half, -half, 0.0, 0.0],
            },
            rgb,
            depth_m: vec![0.97; 192 * 144],
        }
    }
}

/// Runs ticks `from..to`; `show` says what the camera has at a tick.
fn run(
    perception: &mut Perception,
    camera: &TestCamera,
    ticks: std::ops::Range<u64>,
    show: impl Fn(u64) -> Option<Show>,
) {
    for tick in ticks {
        if let Some(show) = show(tick) {
            *camera.0.lock().expect("no panic") = show;
        }
        let mut status = LoopStatus::zeroed();
        status.tick = tick;
        perception.step(Tick(tick), &status);
    }
}

fn live(tick: u64) -> Option<Show> {
    (tick.is_multiple_of(33) && tick > 0).then_some(Show {
        tick,
        brightness: 200,
        frozen: false,
    })
}

fn pipeline(config: PerceptionConfig) -> (Perception, TestCamera, WorldReader) {
    let camera = TestCamera(Arc::new(Mutex::new(Show {
        tick: 0,
        brightness: 0,
        frozen: false,
    })));
    let (writer, reader) = world(Vec::new());
    let perception = Perception::new(&detector(), vec![Box::new(camera.clone())], writer, config);
    (perception.expect("sound"), camera, reader)
}

#[test]
fn a_look_is_used_exactly_when_its_latency_is_over() {
    let (mut perception, camera, reader) = pipeline(PerceptionConfig::default());
    // Turns at 1, 101, 201, …; the first exposure is of 33, so the first look starts at 101.
    run(&mut perception, &camera, 1..161, live);
    assert_eq!(reader.snapshot().image_tick, 0);
    run(&mut perception, &camera, 161..162, live);
    let snapshot = reader.snapshot();
    assert_eq!((snapshot.image_tick, snapshot.published_tick), (99, 161));
    run(&mut perception, &camera, 162..400, live);
    let snapshot = reader.snapshot();
    assert_eq!(snapshot.objects.len(), 1);
    assert_eq!(&*snapshot.objects[0].class, "block");
    assert!(!snapshot.is_stalled());
    assert_eq!(snapshot.cameras[0].dropped, 0);
    assert_eq!(perception.looks(), 3);
    assert_eq!(perception.take_frames().len(), 3);
}

#[test]
fn dark_images_show_nothing() {
    let (mut perception, camera, reader) = pipeline(PerceptionConfig::default());
    run(&mut perception, &camera, 1..1000, |tick| {
        live(tick).map(|show| Show {
            brightness: 10,
            ..show
        })
    });
    let snapshot = reader.snapshot();
    assert!(snapshot.objects.is_empty() && !snapshot.is_stalled());
}

#[test]
fn a_stalled_camera_is_a_fault_and_comes_back() {
    let (mut perception, camera, reader) = pipeline(PerceptionConfig::default());
    run(&mut perception, &camera, 1..1000, live);
    assert!(!reader.snapshot().is_stalled());
    run(&mut perception, &camera, 1000..1600, |_| None);
    let snapshot = reader.snapshot();
    assert!(snapshot.is_stalled());
    assert_eq!(snapshot.objects.len(), 1, "what was known stays known");
    assert!(snapshot.image_tick < 1000);
    run(&mut perception, &camera, 1600..2000, live);
    let snapshot = reader.snapshot();
    assert!(!snapshot.is_stalled());
    assert!(
        (10..=18).contains(&snapshot.cameras[0].dropped),
        "{}",
        snapshot.cameras[0].dropped
    );
}

#[test]
fn a_frozen_camera_is_a_fault() {
    let (mut perception, camera, reader) = pipeline(PerceptionConfig::default());
    run(&mut perception, &camera, 1..500, |tick| {
        live(tick).map(|show| Show {
            frozen: true,
            ..show
        })
    });
    assert!(reader.snapshot().is_stalled());
}

#[test]
fn the_same_images_give_the_same_world_however_fast_the_worker_is() {
    let run_once = |pause: bool| {
        let (mut perception, camera, reader) = pipeline(PerceptionConfig::default());
        let mut seen = Vec::new();
        for hundred in 0..10 {
            run(
                &mut perception,
                &camera,
                hundred * 100 + 1..hundred * 100 + 101,
                live,
            );
            if pause {
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
            seen.push(reader.snapshot().objects.clone());
        }
        seen
    };
    assert_eq!(run_once(false), run_once(true));
}

#[test]
fn without_waiting_a_look_is_used_when_it_is_there() {
    let config = PerceptionConfig {
        wait: false,
        ..PerceptionConfig::default()
    };
    let (mut perception, camera, reader) = pipeline(config);
    for tick in 1..600 {
        run(&mut perception, &camera, tick..tick + 1, live);
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
    assert_eq!(reader.snapshot().objects.len(), 1);
}

#[test]
fn impossible_settings_are_refused() {
    let (writer, _) = world(Vec::new());
    let nobody = Perception::new(&detector(), Vec::new(), writer, PerceptionConfig::default());
    assert!(matches!(nobody, Err(PerceptionError::NoCamera)));
    for rate_hz in [0.0, f64::NAN, 1e9] {
        let (writer, _) = world(Vec::new());
        let camera = TestCamera(Arc::new(Mutex::new(Show {
            tick: 0,
            brightness: 0,
            frozen: false,
        })));
        let config = PerceptionConfig {
            rate_hz,
            ..PerceptionConfig::default()
        };
        let refused = Perception::new(&detector(), vec![Box::new(camera)], writer, config);
        assert!(
            refused
                .err()
                .expect("refused")
                .to_string()
                .contains("rate_hz")
        );
    }
}
