//! The whole way from a scene to a frame, against what geometry says.

use std::sync::Arc;

use sinew_hardware::{Camera, RgbdFrame};
use sinew_messages::Pose;

use super::labels::labels;
use super::{Optics, SimCamera, View, lens, picture};
use crate::config::{CameraConfig, CellConfig};
use crate::film::{Film, Shot};
use crate::scene::{Light, SceneModel, SceneState, Shape, Solid, SolidKind};

fn solid(name: &str, kind: SolidKind, rgb: [f32; 3], half_m: [f64; 3]) -> Solid {
    Solid {
        name: name.into(),
        kind,
        class: if kind == SolidKind::Part {
            "block".into()
        } else {
            String::new()
        },
        color: String::new(),
        rgb,
        shape: Shape::Box { half_m },
    }
}

fn at(x: f64, y: f64, z: f64) -> Pose {
    Pose {
        position_m: [x, y, z],
        ..Pose::IDENTITY
    }
}

/// A table and boxes on it, lit from straight above.
fn scene(boxes: &[([f64; 3], [f64; 3])]) -> SceneState {
    let mut solids = vec![solid(
        "table",
        SolidKind::Fixture,
        [0.5; 3],
        [1.0, 1.0, 0.05],
    )];
    let mut poses = vec![at(0.3, 0.0, -0.05)];
    for (index, (half_m, position)) in boxes.iter().enumerate() {
        let name = format!("part-{index}");
        solids.push(solid(&name, SolidKind::Part, [0.7, 0.05, 0.05], *half_m));
        poses.push(at(position[0], position[1], position[2]));
    }
    SceneState {
        model: Arc::new(SceneModel {
            solids,
            light: Light {
                towards_lamp: [0.0, 0.0, 1.0],
                intensity: 1.0,
                ambient: 0.35,
            },
        }),
        tick: 0,
        poses,
        tool_pose: at(0.3, 0.0, 0.4),
        flange_pose: at(0.3, 0.0, 0.5),
    }
}

fn overhead(noise: f64) -> Optics {
    let config = CellConfig::builtin();
    let overhead = config
        .cameras
        .iter()
        .find(|camera| camera.name == "overhead");
    let config = CameraConfig {
        depth_noise_sigma: noise,
        ..overhead.expect("the cell has one").clone()
    };
    Optics::new(&config, &nalgebra::Isometry3::identity())
}

fn shoot(optics: &Optics, scene: SceneState) -> RgbdFrame {
    optics.develop(&Shot {
        tick: 40,
        sequence: 1,
        noise_seed: 9,
        scene: Arc::new(scene),
    })
}

fn pixel(frame: &RgbdFrame, [u, v]: [f64; 2]) -> usize {
    v as usize * frame.intrinsics.width as usize + u as usize
}

#[test]
fn depth_and_pose_take_a_pixel_back_to_the_surface() {
    let optics = overhead(0.0);
    let scene = scene(&[([0.025, 0.015, 0.015], [0.45, -0.2, 0.015])]);
    let view = optics.view(&scene);
    let frame = shoot(&optics, scene);
    assert_eq!(frame.pose, view.message_pose());
    for (point, height) in [([0.45, -0.2, 0.03], 0.03), ([0.5, 0.2, 0.0], 0.0)] {
        let [u, v, depth] = view.project(point).expect("in view");
        let at = pixel(&frame, [u, v]);
        assert!(
            (f64::from(frame.depth_m[at]) - depth).abs() < 1e-5,
            "depth at {point:?}"
        );
        let column = f64::from((at % 192) as u32) + 0.5;
        let row = f64::from((at / 192) as u32) + 0.5;
        let seen = View {
            intrinsics: frame.intrinsics,
            pose: lens::isometry(&frame.pose),
        }
        .unproject(column, row, f64::from(frame.depth_m[at]));
        assert!((seen[2] - height).abs() < 1e-5, "{seen:?}");
        assert!(
            (seen[0] - point[0]).hypot(seen[1] - point[1]) < 0.004,
            "{seen:?}"
        );
    }
}

#[test]
fn a_box_throws_its_shadow_away_from_the_lamp() {
    let mut scene = scene(&[([0.02, 0.02, 0.05], [0.45, 0.0, 0.05])]);
    let model = Arc::make_mut(&mut scene.model);
    model.light.towards_lamp = [0.0, 1.0, 1.0];
    let optics = overhead(0.0);
    let view = optics.view(&scene);
    let frame = shoot(&optics, scene);
    let brightness = |y: f64| {
        let [u, v, _] = view.project([0.45, y, 0.0]).expect("in view");
        frame.rgb[3 * pixel(&frame, [u, v])]
    };
    // The lamp stands at +y, 45° high, so that the shadow reaches 0.1 m beyond the far side at −0.02.
    assert!(brightness(-0.08) + 30 < brightness(-0.16), "no shadow");
    assert!(
        brightness(0.08).abs_diff(brightness(-0.16)) < 12,
        "lit side differs"
    );
}

#[test]
fn labels_tell_what_stands_before_what() {
    // The second box hovers over half of the first; the third lies outside the image.
    let optics = overhead(0.0);
    let scene = scene(&[
        ([0.04, 0.04, 0.01], [0.47, 0.0, 0.01]),
        ([0.02, 0.04, 0.01], [0.49, 0.0, 0.05]),
        ([0.02, 0.02, 0.02], [-0.4, 0.0, 0.02]),
    ]);
    let labels = labels(&optics, &scene);
    assert_eq!(labels.len(), 2, "{labels:?}");
    let [under, over] = [&labels[0], &labels[1]];
    assert!((0.4..0.6).contains(&under.visible), "{under:?}");
    assert!((over.visible - 1.0).abs() < 1e-9, "{over:?}");
    assert!((under.top_m[2] - 0.02).abs() < 1e-9 && under.yaw_rad.abs() < 1e-9);
    let [u, v, _] = optics.view(&scene).project(under.top_m).expect("in view");
    assert_eq!(under.pixel, [u, v]);
}

#[test]
fn an_exposure_develops_to_the_same_bytes_on_any_thread() {
    let film = Arc::new(Film::default());
    let mut camera = SimCamera::new(overhead(0.002), Arc::clone(&film));
    assert!(camera.newest(0).is_none());
    film.expose(Shot {
        tick: 34,
        sequence: 3,
        noise_seed: 5,
        scene: Arc::new(scene(&[([0.025, 0.015, 0.015], [0.45, -0.2, 0.015])])),
    });
    assert!(camera.newest(34).is_none());
    let [first, second] = [0, 33].map(|after| camera.newest(after).expect("one was taken"));
    assert_eq!(
        (first.camera(), first.tick(), first.sequence()),
        ("overhead", 34, 3)
    );
    let here = first.develop();
    let there = std::thread::spawn(move || second.develop())
        .join()
        .expect("no panic");
    assert_eq!(here, there);
}

#[test]
fn a_picture_has_the_asked_size_and_something_on_it() {
    let rgb = picture(&scene(&[([0.05, 0.05, 0.05], [0.4, 0.0, 0.05])]), 80, 60);
    assert_eq!(rgb.len(), 3 * 80 * 60);
    let red = rgb.chunks_exact(3).filter(|p| p[0] / 2 > p[1]).count();
    assert!(red > 10, "{red} red pixels");
}
