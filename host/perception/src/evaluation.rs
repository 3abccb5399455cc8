//! How good a detector is, against whoever knows the truth.

use nalgebra::Vector3;

use crate::detector::Detection;
use crate::lens::wrap;
use crate::manifest::DetectorManifest;

/// A part that an image truly shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Class name.
    pub class: String,
    /// Colour name.
    pub color: String,
    /// Centre, base frame, m.
    pub position_m: [f64; 3],
    /// Yaw of its long axis, rad.
    pub yaw_rad: f64,
    /// True if it lies as delivered; others have no position, yaw or height to compare.
    pub is_upright: bool,
    /// Share of it that the image shows. Below [`VISIBLE_MIN`] it is neither asked for nor counted as false.
    pub visible: f64,
    /// Middle of its top in the image, pixels.
    pub pixel: [f64; 2],
}

/// Least visible share of a part that the detector is asked for.
pub const VISIBLE_MIN: f64 = 0.5;
/// Parts whose middle is nearer to the image's border than this are not asked for, pixels.
pub const BORDER: f64 = 6.0;
/// A detection this near to a part is of that part, m.
const MATCH_M: f64 = 0.025;

/// Figures over many images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Parts that the images show.
    pub asked: usize,
    /// Those that were found.
    pub found: usize,
    /// Detections where no part is.
    pub invented: usize,
    /// Found parts of the right class.
    pub right_class: usize,
    /// Found parts that lie as delivered.
    pub found_upright: usize,
    /// Those of the right class.
    pub right_class_upright: usize,
    /// Found parts of the right colour.
    pub right_color: usize,
    position_m: Vec<f64>,
    lateral_m: Vec<f64>,
    yaw_deg: Vec<f64>,
}

impl Evaluation {
    /// Counts one image.
    pub fn add(&mut self, manifest: &DetectorManifest, detections: &[Detection], truths: &[Truth]) {
        let mut taken = vec![false; truths.len()];
        for detection in detections {
            let at = Vector3::from(detection.pose.position_m);
            let apart = |truth: &Truth| (Vector3::from(truth.position_m) - at).norm();
            let free = truths
                .iter()
                .enumerate()
                .filter(|(index, _)| !taken[*index]);
            let nearest = free.min_by(|a, b| apart(a.1).total_cmp(&apart(b.1)));
            let Some((index, truth)) = nearest.filter(|(_, truth)| apart(truth) < MATCH_M) else {
                self.invented += 1;
                continue;
            };
            taken[index] = true;
            if !is_asked(manifest, truth) {
                continue;
            }
            self.found += 1;
            let class = &manifest.classes[detection.class];
            let right = *class.name == *truth.class;
            self.right_class += usize::from(right);
            self.right_color += usize::from(*manifest.colors[detection.color] == *truth.color);
            if !truth.is_upright {
                continue;
            }
            self.found_upright += 1;
            self.right_class_upright += usize::from(right);
            let error = Vector3::from(truth.position_m) - at;
            self.position_m.push(error.norm());
            self.lateral_m.push(error.xy().norm());
            if right && class.yaw_symmetry_rad > 0.0 {
                let turn = wrap(detection.yaw_rad - truth.yaw_rad, class.yaw_symmetry_rad);
                self.yaw_deg.push(turn.abs().to_degrees());
            }
        }
        self.asked += truths
            .iter()
            .filter(|truth| is_asked(manifest, truth))
            .count();
    }

    /// Share of the asked parts that were found; 1 if none was asked for.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.found, self.asked)
    }

    /// Share of the found parts whose class is right.
    #[must_use]
    pub fn class_accuracy(&self) -> f64 {
        share(self.right_class, self.found)
    }

    /// The same among parts that lie as delivered: a toppled puck shows the outline of a block.
    #[must_use]
    pub fn class_accuracy_upright(&self) -> f64 {
        share(self.right_class_upright, self.found_upright)
    }

    /// Share of the found parts whose colour is right.
    #[must_use]
    pub fn color_accuracy(&self) -> f64 {
        share(self.right_color, self.found)
    }

    /// Quantile of the distance between found and true centres, m; NaN if nothing was found.
    #[must_use]
    pub fn position_error_m(&self, quantile: f64) -> f64 {
        at_quantile(&self.position_m, quantile)
    }

    /// The same of its horizontal part.
    #[must_use]
    pub fn lateral_error_m(&self, quantile: f64) -> f64 {
        at_quantile(&self.lateral_m, quantile)
    }

    /// Quantile of the yaw error of parts that have a yaw, degrees; NaN if nothing was found.
    #[must_use]
    pub fn yaw_error_deg(&self, quantile: f64) -> f64 {
        at_quantile(&self.yaw_deg, quantile)
    }
}

fn is_asked(manifest: &DetectorManifest, truth: &Truth) -> bool {
    let size = [manifest.width, manifest.height].map(f64::from);
    let inside =
        |axis: usize| truth.pixel[axis] >= BORDER && truth.pixel[axis] <= size[axis] - BORDER;
    truth.visible >= VISIBLE_MIN && inside(0) && inside(1)
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 1.0;
    }
    part as f64 / whole as f64
}

/// The value below which a share `quantile` of the values lies (nearest rank).
fn at_quantile(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (quantile.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::upright;

    #[test]
    fn figures_count_what_they_say() {
        let manifest =
            DetectorManifest::from_toml_str(crate::manifest::tests::TEXT, "test").expect("sound");
        let detection = |class, x: f64, yaw_rad| Detection {
            class,
            color: 0,
            score: 0.9,
            pose: upright([x, 0.0, 0.015], yaw_rad),
            yaw_rad,
            pixel: [50.0, 50.0],
            pixel_m: 0.004,
        };
        let truth = |class: &str, x: f64, visible| Truth {
            class: class.into(),
            color: "red".into(),
            position_m: [x, 0.0, 0.015],
            yaw_rad: 3.0,
            is_upright: true,
            visible,
            pixel: [50.0, 50.0],
        };
        let mut evaluation = Evaluation::default();
        evaluation.add(
            &manifest,
            // Off by 2 mm and, half a turn being the same, by 0.0416 rad; of the wrong class; invented;
            // hidden and found all the same.
            &[
                detection(0, 0.302, -0.1),
                detection(1, 0.4, 0.0),
                detection(1, 0.6, 0.0),
                detection(2, 0.7, 0.0),
            ],
            &[
                truth("block", 0.3, 1.0),
                truth("wedge", 0.4, 1.0),
                truth("block", 0.5, 1.0),
                truth("wedge", 0.7, 0.2),
            ],
        );
        assert_eq!(
            (evaluation.asked, evaluation.found, evaluation.invented),
            (3, 2, 1)
        );
        assert_eq!((evaluation.right_class, evaluation.right_color), (1, 2));
        let toppled = Truth {
            is_upright: false,
            ..truth("block", 0.8, 1.0)
        };
        evaluation.add(&manifest, &[detection(1, 0.8, 0.0)], &[toppled]);
        assert!((evaluation.class_accuracy() - 1.0 / 3.0).abs() < 1e-12);
        assert!((evaluation.class_accuracy_upright() - 0.5).abs() < 1e-12);
        assert!((evaluation.position_error_m(1.0) - 0.002).abs() < 1e-9);
        let expected = (0.1 + 3.0 - core::f64::consts::PI).abs().to_degrees();
        assert!((evaluation.yaw_error_deg(0.5) - expected).abs() < 1e-9);
        assert!((evaluation.recall() - 3.0 / 4.0).abs() < 1e-12);
    }
}
