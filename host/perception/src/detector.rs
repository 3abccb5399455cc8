//! One image → detections, by an ONNX model.
//!
//! Input `1 × 4 × height × width`: red, green, blue in −0.5…0.5, then the height above the table (depth
//! taken back to the base frame by the camera's pose), in the manifest's unit. Output
//! `1 × channels × height/stride × width/stride`; per cell: probability of each class, where in the cell
//! the middle of the part's top lies (x, y in cells from the middle of the cell), cosine and sine of twice
//! the angle of its long axis in the image, the height of its top, and a logit for each colour.

use std::sync::{Arc, Mutex, PoisonError};

use nalgebra::Vector3;
use sinew_hardware::RgbdFrame;
use sinew_inference::{Backend, Session, sha256_hex, try_out};
use sinew_messages::Pose;

use crate::DetectorError;
use crate::lens::{Lens, upright, wrap};
use crate::manifest::{DetectorManifest, PartClass};

/// A part that one image shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Index of the class in the manifest.
    pub class: usize,
    /// Index of the colour in the manifest.
    pub color: usize,
    /// Probability, 0 to 1.
    pub score: f64,
    /// Base frame: origin at the part's centre, x along its length, z up.
    pub pose: Pose,
    /// Yaw of [`Self::pose`], rad, within half the class's symmetry.
    pub yaw_rad: f64,
    /// Middle of the part's top in the image, pixels.
    pub pixel: [f64; 2],
    /// Size of a pixel at the part, m: what the accuracy of the position scales with.
    pub pixel_m: f64,
}

struct Loaded {
    manifest: DetectorManifest,
    session: Mutex<Box<dyn Session>>,
}

/// A loaded detector. Clones share one session, which runs one image at a time.
#[derive(Clone)]
pub struct Detector(Arc<Loaded>);

/// Pixels on each side of a detection's middle whose depth is asked.
const DEPTH_REACH: usize = 2;
/// Depth counts as the part's top if it is this near to where the model says the top is, m.
const TOP_WINDOW_M: f64 = 0.012;
/// Fewer such pixels than this, and the model's height stands alone.
const TOP_PIXELS_MIN: usize = 4;
/// Two detections nearer than this share of a part's shorter side are the same part.
const SAME_PART_SHARE: f64 = 0.6;
/// Length in the image over which a direction is taken to the table, pixels.
const DIRECTION_PIXELS: f64 = 3.0;

impl Detector {
    /// Loads a detector: `manifest` is the text of `detector.toml`, `model` the ONNX file, `origin` names
    /// both in errors.
    ///
    /// # Errors
    /// [`DetectorError`] for a manifest or a model that isn't one, a digest that differs from the
    /// manifest's (an empty one is not compared), or other tensor shapes than the manifest describes.
    pub fn load(
        backend: &dyn Backend,
        manifest: &str,
        model: &[u8],
        origin: &str,
    ) -> Result<Self, DetectorError> {
        let manifest = DetectorManifest::from_toml_str(manifest, origin)?;
        let found = sha256_hex(model);
        if !manifest.sha256.is_empty() && manifest.sha256 != found {
            return Err(DetectorError::Digest {
                origin: origin.to_owned(),
                expected: manifest.sha256,
                found,
            });
        }
        let mut session = backend.load(&manifest.name, model)?;
        try_out(&mut *session)?;
        Self::new(manifest, session, origin)
    }

    /// A detector from a checked manifest and a loaded model.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if they do not fit together.
    pub fn new(
        manifest: DetectorManifest,
        session: Box<dyn Session>,
        origin: &str,
    ) -> Result<Self, DetectorError> {
        let (rows, columns) = (manifest.height as usize, manifest.width as usize);
        let stride = manifest.stride as usize;
        let input = vec![1, 4, rows, columns];
        let output = vec![1, manifest.channels(), rows / stride, columns / stride];
        let [inputs, outputs] = [session.inputs(), session.outputs()];
        let fits = |specs: &[sinew_inference::TensorSpec], shape: &[usize]| {
            specs.len() == 1 && specs[0].shape == shape
        };
        if !fits(inputs, &input) || !fits(outputs, &output) {
            let list = |specs: &[sinew_inference::TensorSpec]| {
                let texts: Vec<String> = specs.iter().map(ToString::to_string).collect();
                texts.join(", ")
            };
            return Err(DetectorError::Shape {
                origin: origin.to_owned(),
                expected: format!("one input {input:?} and one output {output:?}"),
                found: format!("inputs {} and outputs {}", list(inputs), list(outputs)),
            });
        }
        Ok(Self(Arc::new(Loaded {
            manifest,
            session: Mutex::new(session),
        })))
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &DetectorManifest {
        &self.0.manifest
    }

    /// Names of the classes, in the order of [`Detection::class`].
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        self.0.manifest.classes.iter().map(|class| &*class.name)
    }

    /// Names of the colours, in the order of [`Detection::color`].
    pub fn colors(&self) -> impl Iterator<Item = &str> {
        self.0.manifest.colors.iter().map(|color| &**color)
    }

    /// The parts that an image shows, the surest first.
    ///
    /// # Errors
    /// [`DetectorError`] for an image of another size, and for whatever the backend says, non-finite
    /// values on either side included.
    pub fn detect(&self, frame: &RgbdFrame) -> Result<Vec<Detection>, DetectorError> {
        let manifest = &self.0.manifest;
        let lens = Lens::of(frame);
        let input = tensor(manifest, frame, &lens)?;
        let mut session = self
            .0
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut outputs = session.output_buffers();
        session.run(&[&input], &mut outputs)?;
        drop(session);
        Ok(decode(manifest, frame, &lens, &outputs[0]))
    }
}

/// The image as the model takes it.
fn tensor(
    manifest: &DetectorManifest,
    frame: &RgbdFrame,
    lens: &Lens,
) -> Result<Vec<f32>, DetectorError> {
    let (width, height) = (manifest.width as usize, manifest.height as usize);
    let pixels = width * height;
    let k = &frame.intrinsics;
    let same = (k.width, k.height) == (manifest.width, manifest.height);
    if !same || frame.rgb.len() != 3 * pixels || frame.depth_m.len() != pixels {
        return Err(DetectorError::Frame {
            camera: frame.camera.clone(),
            expected: format!("{width}x{height}"),
            found: format!(
                "{}x{} with {} colour bytes and {} depths",
                k.width,
                k.height,
                frame.rgb.len(),
                frame.depth_m.len()
            ),
        });
    }
    let mut input = vec![0.0_f32; 4 * pixels];
    let (colors, heights) = input.split_at_mut(3 * pixels);
    for (channel, plane) in colors.chunks_exact_mut(pixels).enumerate() {
        for (value, rgb) in plane.iter_mut().zip(frame.rgb.chunks_exact(3)) {
            *value = f32::from(rgb[channel]) / 255.0 - 0.5;
        }
    }
    let [low, high] = manifest.height_range;
    let eye_z = lens.eye().z;
    // How far a pixel's ray climbs is a sum of what its column and its row contribute.
    let climb = |u: f64, v: f64| lens.ray(u, v).z;
    let axis = climb(k.cx, k.cy);
    let of_column: Vec<f64> = (0..width)
        .map(|column| climb(column as f64 + 0.5, k.cy) - axis)
        .collect();
    let rows = heights.chunks_exact_mut(width);
    for (row, (heights, depths_m)) in rows.zip(frame.depth_m.chunks_exact(width)).enumerate() {
        let of_row = climb(k.cx, row as f64 + 0.5);
        for ((value, depth_m), of_column) in heights.iter_mut().zip(depths_m).zip(&of_column) {
            let height_m = eye_z + f64::from(*depth_m) * (of_row + of_column);
            let height = ((height_m / manifest.height_unit_m) as f32).clamp(low, high);
            *value = if *depth_m > 0.0 { height } else { low };
        }
    }
    Ok(input)
}

/// The output's channels, one plane each.
struct Maps<'a> {
    values: &'a [f32],
    columns: usize,
    rows: usize,
}

impl Maps<'_> {
    fn at(&self, channel: usize, row: usize, column: usize) -> f32 {
        self.values[(channel * self.rows + row) * self.columns + column]
    }

    /// True if no neighbouring cell has a higher probability; of equal ones the first counts.
    fn is_peak(&self, channel: usize, row: usize, column: usize) -> bool {
        let own = self.at(channel, row, column);
        let rows = row.saturating_sub(1)..=(row + 1).min(self.rows - 1);
        rows.into_iter().all(|r| {
            let columns = column.saturating_sub(1)..=(column + 1).min(self.columns - 1);
            columns.into_iter().all(|c| {
                let other = self.at(channel, r, c);
                other < own || (other == own && (r, c) >= (row, column))
            })
        })
    }
}

fn decode(
    manifest: &DetectorManifest,
    frame: &RgbdFrame,
    lens: &Lens,
    values: &[f32],
) -> Vec<Detection> {
    let stride = manifest.stride as usize;
    let maps = Maps {
        values,
        columns: manifest.width as usize / stride,
        rows: manifest.height as usize / stride,
    };
    let mut found = Vec::new();
    for (index, class) in manifest.classes.iter().enumerate() {
        for row in 0..maps.rows {
            for column in 0..maps.columns {
                let score = f64::from(maps.at(index, row, column));
                if score >= manifest.score_min
                    && maps.is_peak(index, row, column)
                    && let Some((yaw_rad, pose, pixel, pixel_m)) =
                        lift(manifest, class, frame, lens, &maps, row, column)
                {
                    found.push(Detection {
                        class: index,
                        color: color(manifest, &maps, row, column),
                        score,
                        pose,
                        yaw_rad,
                        pixel,
                        pixel_m,
                    });
                }
            }
        }
    }
    found.sort_by(|a, b| {
        let place = |d: &Detection| (d.pixel[1], d.pixel[0]);
        b.score.total_cmp(&a.score).then(
            place(a)
                .partial_cmp(&place(b))
                .unwrap_or(core::cmp::Ordering::Equal),
        )
    });
    let mut kept: Vec<Detection> = Vec::new();
    for detection in found {
        let at = Vector3::from(detection.pose.position_m);
        let [x, y, _] = manifest.classes[detection.class].size_m;
        let reach = SAME_PART_SHARE * x.min(y);
        let known = kept
            .iter()
            .any(|other| (Vector3::from(other.pose.position_m) - at).xy().norm() < reach);
        if !known {
            kept.push(detection);
        }
    }
    kept
}

fn color(manifest: &DetectorManifest, maps: &Maps<'_>, row: usize, column: usize) -> usize {
    let first = manifest.classes.len() + 5;
    let logit = |color: usize| maps.at(first + color, row, column);
    (1..manifest.colors.len()).fold(0, |best, c| if logit(c) > logit(best) { c } else { best })
}

/// Takes a cell's part to the base frame: yaw, pose, pixel, size of a pixel there.
fn lift(
    manifest: &DetectorManifest,
    class: &PartClass,
    frame: &RgbdFrame,
    lens: &Lens,
    maps: &Maps<'_>,
    row: usize,
    column: usize,
) -> Option<(f64, Pose, [f64; 2], f64)> {
    let first = manifest.classes.len();
    let value = |channel: usize| f64::from(maps.at(first + channel, row, column));
    let stride = f64::from(manifest.stride);
    // A centre more than a cell and a half away is the business of another cell.
    let offset = |channel: usize| value(channel).clamp(-1.5, 1.5);
    let u = (column as f64 + 0.5 + offset(0)) * stride;
    let v = (row as f64 + 0.5 + offset(1)) * stride;
    let said_m = value(4) * manifest.height_unit_m;
    let top_m = measured_top(frame, lens, u, v, said_m).unwrap_or(said_m);
    let top = lens.meet_plane(u, v, top_m)?;
    let angle = 0.5 * libm::atan2(value(3), value(2));
    let (sin, cos) = libm::sincos(angle);
    let ahead = lens.meet_plane(
        u + DIRECTION_PIXELS * cos,
        v + DIRECTION_PIXELS * sin,
        top_m,
    )?;
    let along = ahead - top;
    let yaw_rad = wrap(libm::atan2(along.y, along.x), class.yaw_symmetry_rad);
    let position_m = [top.x, top.y, top_m - 0.5 * class.size_m[2]];
    if !position_m.iter().all(|c| c.is_finite() && c.abs() < 10.0) {
        return None;
    }
    let (_, _, depth_m) = lens.project(&top)?;
    let pixel_m = depth_m / lens.intrinsics.fx;
    Some((yaw_rad, upright(position_m, yaw_rad), [u, v], pixel_m))
}

/// Height of the part's top by the depth image: the median of what lies near `said_m` around the pixel.
fn measured_top(frame: &RgbdFrame, lens: &Lens, u: f64, v: f64, said_m: f64) -> Option<f64> {
    let (x, y) = lens.pixel(u, v, 0.0)?;
    let (width, height) = (
        frame.intrinsics.width as usize,
        frame.intrinsics.height as usize,
    );
    let eye_z = lens.eye().z;
    let mut heights = Vec::with_capacity((2 * DEPTH_REACH + 1).pow(2));
    for row in y.saturating_sub(DEPTH_REACH)..=(y + DEPTH_REACH).min(height - 1) {
        for column in x.saturating_sub(DEPTH_REACH)..=(x + DEPTH_REACH).min(width - 1) {
            let depth_m = f64::from(frame.depth_m[row * width + column]);
            let slope = lens.ray(column as f64 + 0.5, row as f64 + 0.5).z;
            let z = eye_z + depth_m * slope;
            if depth_m > 0.0 && (z - said_m).abs() < TOP_WINDOW_M {
                heights.push(z);
            }
        }
    }
    if heights.len() < TOP_PIXELS_MIN {
        return None;
    }
    heights.sort_by(f64::total_cmp);
    Some(heights[heights.len() / 2])
}

#[cfg(test)]
mod tests;
