//! What a detector's manifest says: what it sees, how its tensors are laid out, when to believe it.

use std::sync::Arc;

use serde::Deserialize;

use crate::DetectorError;

/// A class of parts.
#[derive(Clone, Debug, PartialEq)]
pub struct PartClass {
    /// Name.
    pub name: Arc<str>,
    /// Full extents along the part's own axes as it lies, m.
    pub size_m: [f64; 3],
    /// Yaw is known modulo this, rad; 0 for a part that looks the same from all sides.
    pub yaw_symmetry_rad: f64,
}

/// A detector's manifest, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorManifest {
    /// Name of the model, for messages and reports.
    pub name: String,
    /// sha256 of the model file in lower-case hexadecimal.
    pub sha256: String,
    /// Image width that the model takes, pixels.
    pub width: u32,
    /// Image height that the model takes, pixels.
    pub height: u32,
    /// Pixels a cell of the output, along each side.
    pub stride: u32,
    /// Heights are given and returned in this unit, m.
    pub height_unit_m: f64,
    /// Heights are clipped to this range, in that unit; the first is also what a pixel without depth gets.
    pub height_range: [f32; 2],
    /// Least probability of a detection.
    pub score_min: f64,
    /// Classes in the order of the output's channels.
    pub classes: Vec<PartClass>,
    /// Colours in the order of the output's channels.
    pub colors: Vec<Arc<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Model,
    #[serde(rename = "class")]
    classes: Vec<Class>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    name: String,
    sha256: String,
    width: u32,
    height: u32,
    stride: u32,
    height_unit_m: f64,
    height_range: [f32; 2],
    score_min: f64,
    colors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    name: String,
    size_m: [f64; 3],
    yaw_symmetry_rad: f64,
}

impl DetectorManifest {
    /// Reads and checks a manifest; `origin` names the file in errors.
    ///
    /// # Errors
    /// [`DetectorError::Manifest`] with the line or the key, and what is allowed.
    pub fn from_toml_str(text: &str, origin: &str) -> Result<Self, DetectorError> {
        let refuse = |problem: String| DetectorError::Manifest {
            origin: origin.to_owned(),
            problem,
        };
        let file: File = toml::from_str(text).map_err(|error| refuse(error.to_string()))?;
        let model = file.model;
        for (key, pixels) in [("width", model.width), ("height", model.height)] {
            if !(16..=4096).contains(&pixels) {
                return Err(refuse(format!(
                    "model.{key} is {pixels}, allowed are 16 to 4096"
                )));
            }
            if model.stride == 0 || pixels % model.stride != 0 {
                let stride = model.stride;
                return Err(refuse(format!(
                    "model.stride is {stride}, which does not divide model.{key}, {pixels}"
                )));
            }
        }
        if !(model.height_unit_m > 0.0 && model.height_unit_m <= 10.0) {
            let unit = model.height_unit_m;
            return Err(refuse(format!(
                "model.height_unit_m is {unit}, allowed is up to 10"
            )));
        }
        let [low, high] = model.height_range;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(refuse(format!(
                "model.height_range is [{low}, {high}]: low first"
            )));
        }
        if !(model.score_min > 0.0 && model.score_min < 1.0) {
            let score = model.score_min;
            return Err(refuse(format!(
                "model.score_min is {score}, allowed is between 0 and 1"
            )));
        }
        if file.classes.is_empty() || model.colors.is_empty() {
            return Err(refuse(
                "needs at least one [[class]] and one colour".to_owned(),
            ));
        }
        let mut classes: Vec<PartClass> = Vec::new();
        for class in file.classes {
            if class
                .size_m
                .iter()
                .any(|side| !(*side > 0.0 && *side < 1.0))
            {
                let (name, size) = (&class.name, class.size_m);
                return Err(refuse(format!(
                    "size_m of class `{name}` is {size:?}, allowed are sides up to 1 m"
                )));
            }
            if !(0.0..=core::f64::consts::TAU + 1e-6).contains(&class.yaw_symmetry_rad) {
                let (name, yaw) = (&class.name, class.yaw_symmetry_rad);
                return Err(refuse(format!(
                    "yaw_symmetry_rad of class `{name}` is {yaw}, allowed are 0 to 2 pi"
                )));
            }
            if class.name.is_empty() || classes.iter().any(|c| *c.name == *class.name) {
                let name = &class.name;
                return Err(refuse(format!(
                    "class name `{name}` is empty or occurs twice"
                )));
            }
            classes.push(PartClass {
                name: Arc::from(class.name),
                size_m: class.size_m,
                yaw_symmetry_rad: class.yaw_symmetry_rad,
            });
        }
        Ok(Self {
            name: model.name,
            sha256: model.sha256,
            width: model.width,
            height: model.height,
            stride: model.stride,
            height_unit_m: model.height_unit_m,
            height_range: model.height_range,
            score_min: model.score_min,
            classes,
            colors: model.colors.into_iter().map(Arc::from).collect(),
        })
    }

    /// Channels of the output: classes, offset (2), double angle (2), height, colours.
    #[must_use]
    pub(crate) fn channels(&self) -> usize {
        self.classes.len() + 5 + self.colors.len()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const TEXT: &str = r#"
[model]
name = "detector"
sha256 = ""
width = 192
height = 144
stride = 4
height_unit_m = 0.1
height_range = [-0.5, 3.5]
score_min = 0.4
colors = ["red", "green", "blue", "yellow"]

[[class]]
name = "block"
size_m = [0.05, 0.03, 0.03]
yaw_symmetry_rad = 3.141592653589793

[[class]]
name = "puck"
size_m = [0.036, 0.036, 0.03]
yaw_symmetry_rad = 0.0

[[class]]
name = "wedge"
size_m = [0.046, 0.03, 0.028]
yaw_symmetry_rad = 3.141592653589793
"#;

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        assert!(DetectorManifest::from_toml_str(TEXT, "detector.toml").is_ok());
        for (from, to, needle) in [
            ("stride = 4", "stride = 5", "model.stride is 5"),
            ("stride = 4", "stride = 0", "model.stride is 0"),
            ("stride = 4", "strid = 4", "strid"),
            ("score_min = 0.4", "score_min = nan", "model.score_min"),
            ("[-0.5, 3.5]", "[3.5, -0.5]", "height_range"),
            ("[0.05, 0.03, 0.03]", "[0.05, -0.03, 0.03]", "class `block`"),
            ("\"puck\"", "\"block\"", "`block` is empty or occurs twice"),
            (
                "height_unit_m = 0.1",
                "height_unit_m = 0.0",
                "height_unit_m",
            ),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT, "{from}");
            let error = DetectorManifest::from_toml_str(&text, "x.toml")
                .expect_err(to)
                .to_string();
            assert!(
                error.contains(needle) && error.contains("x.toml"),
                "{to}: {error}"
            );
        }
    }
}
