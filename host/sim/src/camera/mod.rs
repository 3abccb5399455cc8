//! The cell's RGB-D cameras.
//!
//! Taking an exposure stores an [`Arc`] of the scene's poses (see [`crate::film`]); the image is cast when
//! somebody consumes it, on whatever thread that is. What reaches the host is an
//! [`RgbdFrame`] and nothing else; [`labels`] is for training and evaluation.

mod compile;
pub mod dataset;
mod footprint;
pub mod labels;
mod lens;
mod render;
mod sensor;
mod solid;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use nalgebra::Isometry3;
use sinew_hardware::{Camera, Exposure, Intrinsics, RgbdFrame};

pub use lens::View;
pub use sensor::SensorNoise;

use crate::config::{CameraConfig, CameraMount};
use crate::film::{Film, Shot};
use crate::scene::SceneState;

/// Where a camera rides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mount {
    /// Camera in the base frame.
    Fixed(Isometry3<f64>),
    /// Camera in the frame of the last link.
    Flange(Isometry3<f64>),
}

/// The optics of one camera: everything but the moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Optics {
    name: Arc<str>,
    intrinsics: Intrinsics,
    mount: Mount,
    noise: SensorNoise,
}

impl Optics {
    /// The optics that the configuration describes. `hand_mount` is the camera in the frame of the last
    /// link (z forward, x right, y down), used by cameras that ride on the hand.
    #[must_use]
    pub fn new(config: &CameraConfig, hand_mount: &Isometry3<f64>) -> Self {
        let fov_deg = config.horizontal_fov.to_degrees();
        let intrinsics = View::intrinsics(config.width, config.height, fov_deg);
        let mount = match &config.mount {
            CameraMount::Fixed {
                position,
                look_at,
                up,
            } => Mount::Fixed(View::looking_at(intrinsics, *position, *look_at, *up).pose),
            CameraMount::Hand => Mount::Flange(*hand_mount),
        };
        let noise = SensorNoise {
            color_sigma: (255.0 * config.rgb_noise_sigma) as f32,
            depth_sigma_m: config.depth_noise_sigma as f32,
            ..SensorNoise::default()
        };
        Self {
            name: Arc::from(config.name.as_str()),
            intrinsics,
            mount,
            noise,
        }
    }

    /// Name of the camera.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the camera is and how it maps rays to pixels at the moment of `scene`.
    #[must_use]
    pub fn view(&self, scene: &SceneState) -> View {
        View {
            intrinsics: self.intrinsics,
            pose: match self.mount {
                Mount::Fixed(pose) => pose,
                Mount::Flange(mount) => lens::isometry(&scene.flange_pose) * mount,
            },
        }
    }

    /// Casts the image of one exposure.
    #[must_use]
    pub fn develop(&self, shot: &Shot) -> RgbdFrame {
        let view = self.view(&shot.scene);
        let solids = compile::solids(&shot.scene);
        let light = compile::illumination(&shot.scene.model.light);
        let image = render::render(&view, &solids, &light);
        let width = self.intrinsics.width as usize;
        let (rgb, depth_m) = sensor::read_out(&image, width, &self.noise, shot.noise_seed);
        RgbdFrame {
            camera: self.name.to_string(),
            tick: shot.tick,
            sequence: shot.sequence,
            intrinsics: self.intrinsics,
            pose: view.message_pose(),
            rgb,
            depth_m,
        }
    }
}

/// A camera of the simulated cell.
#[derive(Clone, Debug)]
pub struct SimCamera {
    optics: Arc<Optics>,
    film: Arc<Film>,
}

impl SimCamera {
    /// A camera with these optics that takes its exposures from `film`.
    #[must_use]
    pub fn new(optics: Optics, film: Arc<Film>) -> Self {
        Self {
            optics: Arc::new(optics),
            film,
        }
    }

    /// The optics.
    #[must_use]
    pub fn optics(&self) -> &Optics {
        &self.optics
    }
}

impl Camera for SimCamera {
    fn name(&self) -> &str {
        &self.optics.name
    }

    fn newest(&mut self, after: u64) -> Option<Box<dyn Exposure>> {
        let shot = self.film.newest(after)?;
        Some(Box::new(SimExposure {
            optics: Arc::clone(&self.optics),
            shot,
        }))
    }
}

struct SimExposure {
    optics: Arc<Optics>,
    shot: Shot,
}

impl Exposure for SimExposure {
    fn camera(&self) -> &str {
        &self.optics.name
    }

    fn tick(&self) -> u64 {
        self.shot.tick
    }

    fn sequence(&self) -> u64 {
        self.shot.sequence
    }

    fn develop(self: Box<Self>) -> RgbdFrame {
        self.optics.develop(&self.shot)
    }
}

/// A picture of the cell for people, seen obliquely: row-major RGB, 3 bytes a pixel. Every pixel is the
/// mean of 2 × 2 rays, without noise.
#[must_use]
pub fn picture(scene: &SceneState, width: u32, height: u32) -> Vec<u8> {
    let view = View::looking_at(
        View::intrinsics(2 * width, 2 * height, 44.0),
        [1.45, 0.75, 1.05],
        [0.33, 0.02, 0.10],
        [0.0, 0.0, 1.0],
    );
    let image = render::render(
        &view,
        &compile::solids(scene),
        &compile::illumination(&scene.model.light),
    );
    let (width, height) = (width as usize, height as usize);
    let mut rgb = Vec::with_capacity(3 * width * height);
    for pixel in 0..width * height {
        let corner = 4 * width * (pixel / width) + 2 * (pixel % width);
        for channel in 0..3 {
            let sum: f32 = [
                corner,
                corner + 1,
                corner + 2 * width,
                corner + 2 * width + 1,
            ]
            .iter()
            .map(|at| sensor::encode(image.color[*at][channel]))
            .sum();
            rgb.push((sum / 4.0 + 0.5) as u8);
        }
    }
    rgb
}
