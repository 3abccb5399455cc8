//! What an image truly shows: for training, for evaluation and for nothing else.

use nalgebra::{Isometry3, Vector3};

use super::{Optics, compile, lens, render};
use crate::scene::{SceneState, SolidKind};

/// A loose object and how it appears in one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Name of the solid in the scene.
    pub name: String,
    /// True for the classes that orders may ask for.
    pub is_part: bool,
    /// Class.
    pub class: String,
    /// Name of its colour.
    pub color: String,
    /// Centre, base frame, m.
    pub position_m: [f64; 3],
    /// Direction of the object's x axis about the base frame's z, rad in −π…π.
    pub yaw_rad: f64,
    /// Cosine of the angle between the object's z axis and up: 1 as delivered, 0 on its side.
    pub upright: f64,
    /// Centre of its top face (for one as delivered): half its height straight above the centre, base frame, m.
    pub top_m: [f64; 3],
    /// [`Self::top_m`] in the image: pixel coordinates, with the middle of the first pixel at 0.5.
    pub pixel: [f64; 2],
    /// Pixels that show it.
    pub pixels: usize,
    /// [`Self::pixels`] over those that would show it if nothing stood before it, 0…1. Parts outside the
    /// image count on neither side.
    pub visible: f64,
}

/// Labels of all loose objects that show in at least one pixel, in the order of the scene.
#[must_use]
pub fn labels(optics: &Optics, scene: &SceneState) -> Vec<Label> {
    let view = optics.view(scene);
    let solids = compile::solids(scene);
    let visibility = render::visibility(&view, &solids);
    let loose = scene.model.solids.iter().zip(&scene.poses).zip(visibility);
    loose
        .filter(|((solid, _), seen)| {
            matches!(solid.kind, SolidKind::Part | SolidKind::Distractor) && seen.seen > 0
        })
        .filter_map(|((solid, pose), seen)| {
            let pose = lens::isometry(pose);
            let center = pose.translation.vector;
            let top = center + Vector3::z() * half_height_m(&pose, solid.shape.half_extents_m());
            let [u, v, _] = view.project(top.into())?;
            let x_axis = pose.rotation * Vector3::x();
            Some(Label {
                name: solid.name.clone(),
                is_part: solid.kind == SolidKind::Part,
                class: solid.class.clone(),
                color: solid.color.clone(),
                position_m: center.into(),
                yaw_rad: libm::atan2(x_axis.y, x_axis.x),
                upright: (pose.rotation * Vector3::z()).z,
                top_m: top.into(),
                pixel: [u, v],
                pixels: seen.seen,
                visible: seen.seen as f64 / seen.alone.max(1) as f64,
            })
        })
        .collect()
}

/// Half the extent along the base frame's z of the object's own axis that is nearest to it.
fn half_height_m(pose: &Isometry3<f64>, half_m: [f64; 3]) -> f64 {
    let axes = [Vector3::x(), Vector3::y(), Vector3::z()];
    let mut best = (0.0, 0.0);
    for (axis, half) in axes.iter().zip(half_m) {
        let along = (pose.rotation * axis).z.abs();
        if along > best.0 {
            best = (along, half);
        }
    }
    best.1
}
