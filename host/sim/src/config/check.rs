//! Refuses configurations that cannot be, before anything is built from them.

use std::collections::BTreeSet;

use super::{CameraMount, CellConfig, ConfigError, ObjectClass, ShapeConfig};

/// Collects the first problem; every check names its key.
struct Checker<'a> {
    origin: &'a str,
}

type Checked = Result<(), ConfigError>;

impl Checker<'_> {
    fn fail(&self, key: impl Into<String>, problem: impl Into<String>) -> Checked {
        Err(ConfigError::Value {
            origin: self.origin.to_owned(),
            key: key.into(),
            problem: problem.into(),
        })
    }

    /// `value` lies in `low..=high`; NaN does not.
    fn range(&self, key: impl Into<String>, value: f64, low: f64, high: f64) -> Checked {
        if value.is_finite() && value >= low && value <= high {
            return Ok(());
        }
        self.fail(key, format!("is {value}, allowed are {low} to {high}"))
    }

    fn each(&self, key: &str, values: &[f64], low: f64, high: f64) -> Checked {
        values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| self.range(format!("{key}[{index}]"), *value, low, high))
    }

    fn unique<'n>(&self, key: &str, names: impl Iterator<Item = &'n String>) -> Checked {
        let mut seen = BTreeSet::new();
        for name in names {
            if name.is_empty() {
                return self.fail(key, "a name is empty");
            }
            if !seen.insert(name) {
                return self.fail(key, format!("the name {name:?} occurs twice"));
            }
        }
        Ok(())
    }

    fn counts(&self, key: &str, [low, high]: [usize; 2], least: usize, most: usize) -> Checked {
        if least <= low && low <= high && high <= most {
            return Ok(());
        }
        self.fail(
            key,
            format!("is [{low}, {high}], needs {least} <= first <= second <= {most}"),
        )
    }
}

/// Side lengths that the physics resolves at its step size, metres.
const SIDE_M: (f64, f64) = (0.004, 0.30);

fn check_class(checker: &Checker<'_>, config: &CellConfig, class: &ObjectClass) -> Checked {
    let key = format!("class {:?}", class.class);
    let sides: Vec<f64> = match class.shape {
        ShapeConfig::Box { size } => size.to_vec(),
        ShapeConfig::Cylinder { diameter, height } => vec![diameter, height],
        ShapeConfig::Sphere { diameter } => vec![diameter],
        ShapeConfig::Capsule { diameter, length } => {
            checker.range(format!("{key}.shape.length"), length, diameter, SIDE_M.1)?;
            vec![diameter, length]
        }
        ShapeConfig::Roof {
            length,
            ridge,
            width,
            height,
        } => {
            checker.range(format!("{key}.shape.ridge"), ridge, 0.001, length)?;
            vec![length, width, height]
        }
    };
    checker.each(&format!("{key}.shape"), &sides, SIDE_M.0, SIDE_M.1)?;
    checker.range(format!("{key}.mass"), class.mass, 0.005, 5.0)?;
    checker.range(format!("{key}.friction"), class.friction, 0.0, 2.0)?;
    checker.range(
        format!("{key}.yaw_symmetry"),
        class.yaw_symmetry,
        0.0,
        2.0 * core::f64::consts::PI + 1e-9,
    )?;
    if class.colors.is_empty() {
        return checker.fail(format!("{key}.colors"), "needs at least one colour");
    }
    for color in &class.colors {
        if !config.colors.contains_key(color) {
            let known: Vec<_> = config.colors.keys().map(String::as_str).collect();
            return checker.fail(
                format!("{key}.colors"),
                format!("{color:?} is not in [colors]: {}", known.join(", ")),
            );
        }
    }
    Ok(())
}

fn check_cameras(checker: &Checker<'_>, config: &CellConfig) -> Checked {
    checker.unique("camera", config.cameras.iter().map(|camera| &camera.name))?;
    for camera in &config.cameras {
        let key = |field: &str| format!("camera {:?}.{field}", camera.name);
        for (field, pixels) in [("width", camera.width), ("height", camera.height)] {
            checker.range(key(field), f64::from(pixels), 16.0, 2048.0)?;
        }
        checker.range(key("horizontal_fov"), camera.horizontal_fov, 0.1, 2.6)?;
        checker.range(key("rate_hz"), camera.rate_hz, 1.0, 120.0)?;
        checker.range(key("depth_noise_sigma"), camera.depth_noise_sigma, 0.0, 0.1)?;
        checker.range(key("rgb_noise_sigma"), camera.rgb_noise_sigma, 0.0, 1.0)?;
        if let CameraMount::Fixed {
            position,
            look_at,
            up,
        } = &camera.mount
        {
            checker.each(&key("mount.position"), position, -5.0, 5.0)?;
            checker.each(&key("mount.look_at"), look_at, -5.0, 5.0)?;
            checker.each(&key("mount.up"), up, -1.0, 1.0)?;
            let axis: [f64; 3] = core::array::from_fn(|i| look_at[i] - position[i]);
            let cross: [f64; 3] = core::array::from_fn(|i| {
                let (j, k) = ((i + 1) % 3, (i + 2) % 3);
                axis[j] * up[k] - axis[k] * up[j]
            });
            if cross.iter().map(|c| c * c).sum::<f64>() < 1e-6 {
                return checker.fail(key("mount"), "`up` is parallel to the optical axis");
            }
        }
    }
    Ok(())
}

/// Checks every value of the file.
pub(super) fn check(config: &CellConfig, origin: &str) -> Checked {
    let checker = Checker { origin };
    checker.each("table.center", &config.table.center, -2.0, 2.0)?;
    checker.each("table.size", &config.table.size, 0.2, 4.0)?;
    let bin = &config.bin;
    checker.each("bin.center", &bin.center, -2.0, 2.0)?;
    checker.each("bin.size", &bin.size, 0.1, 1.0)?;
    checker.range("bin.wall_height", bin.wall_height, 0.001, 0.2)?;
    checker.range("bin.wall_thickness", bin.wall_thickness, 0.002, 0.05)?;
    checker.range("bin.floor_thickness", bin.floor_thickness, 0.001, 0.05)?;
    let margin_max = bin.size[0].min(bin.size[1]) / 2.0 - 0.01;
    checker.range("bin.wall_margin", bin.wall_margin, 0.0, margin_max)?;
    let tray = &config.tray;
    checker.range("tray.floor_thickness", tray.floor_thickness, 0.001, 0.05)?;
    checker.range("tray.rim_height", tray.rim_height, 0.001, 0.05)?;
    checker.range("tray.rim_thickness", tray.rim_thickness, 0.001, 0.05)?;
    checker.each("tray.pocket_size", &tray.pocket_size, 0.02, 0.5)?;
    checker.unique(
        "tray.pockets",
        tray.pockets.iter().map(|pocket| &pocket.name),
    )?;
    for pocket in &tray.pockets {
        let key = format!("tray.pockets {:?}", pocket.name);
        checker.each(&format!("{key}.position"), &pocket.position, -2.0, 2.0)?;
        checker.range(format!("{key}.yaw"), pocket.yaw, -7.0, 7.0)?;
    }
    let scanner = &config.scanner;
    checker.range("scanner.period_ms", scanner.period_ms as f64, 1.0, 1_000.0)?;
    checker.range(
        "scanner.latency_ms",
        scanner.latency_ms as f64,
        0.0,
        1_000.0,
    )?;
    checker.range("scanner.uncertainty", scanner.uncertainty, 0.0, 1.0)?;
    checker.range("scanner.range", scanner.range, 0.5, 50.0)?;
    checker.each("clutter.center", &config.clutter.center, -2.0, 2.0)?;
    checker.each("clutter.size", &config.clutter.size, 0.02, 1.0)?;
    checker.each("search.center", &config.search.center, -2.0, 2.0)?;
    checker.each("search.size", &config.search.size, 0.05, 1.0)?;
    checker.range("search.thickness", config.search.thickness, 0.001, 0.2)?;
    let light = &config.light;
    checker.each("light.towards_lamp", &light.towards_lamp, -10.0, 10.0)?;
    checker.range("light.towards_lamp[2]", light.towards_lamp[2], 0.1, 10.0)?;
    checker.range("light.intensity", light.intensity, 0.0, 10.0)?;
    checker.range("light.ambient", light.ambient, 0.0, 10.0)?;
    checker.range("light.variation", light.variation, 0.0, 0.9)?;
    checker.range("light.tilt", light.tilt, 0.0, 1.0)?;
    check_cameras(&checker, config)?;
    for (name, rgb) in &config.colors {
        checker.each(&format!("colors.{name}"), &rgb.map(f64::from), 0.0, 1.0)?;
    }
    checker.range(
        "contact.pad_friction",
        config.contact.pad_friction,
        0.0,
        2.0,
    )?;
    checker.range(
        "contact.fixture_friction",
        config.contact.fixture_friction,
        0.0,
        2.0,
    )?;
    checker.unique(
        "part/distractor classes",
        config
            .parts
            .iter()
            .chain(&config.distractors)
            .map(|class| &class.class),
    )?;
    for class in config.parts.iter().chain(&config.distractors) {
        check_class(&checker, config, class)?;
    }
    let classes = config.parts.len();
    if classes == 0 || config.distractors.is_empty() {
        return checker.fail("part/distractor", "needs at least one class of each");
    }
    let scene = &config.scene;
    checker.counts("scene.parts", scene.parts, scene.order_lines[1].max(1), 16)?;
    checker.counts("scene.distractors", scene.distractors, 0, 8)?;
    let pockets = tray.pockets.len();
    checker.counts("scene.order_lines", scene.order_lines, classes, pockets)?;
    checker.range("scene.clearance", scene.clearance, 0.0, 0.2)?;
    checker.range("scene.finger_reach", scene.finger_reach, 0.0, 0.2)?;
    checker.range(
        "scene.close_neighbour_share",
        scene.close_neighbour_share,
        0.0,
        1.0,
    )?;
    checker.range(
        "scene.close_gap[0]",
        scene.close_gap[0],
        0.001,
        scene.close_gap[1],
    )?;
    checker.range("scene.close_gap[1]", scene.close_gap[1], 0.001, 0.1)?;
    checker.range(
        "grading.position_tolerance",
        config.grading.position_tolerance,
        0.0,
        0.5,
    )?;
    checker.range(
        "grading.yaw_tolerance_deg",
        config.grading.yaw_tolerance_deg,
        0.0,
        180.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BUILTIN;

    #[test]
    fn the_shipped_cell_is_sound() {
        let config = CellConfig::builtin();
        assert_eq!(config.parts.len(), 3);
        assert_eq!(config.places().len(), 8);
    }

    #[test]
    fn impossible_values_are_named() {
        for (from, to, needle) in [
            (
                "wall_height = 0.020",
                "wall_height = -1.0",
                "bin.wall_height",
            ),
            (
                "wall_height = 0.020",
                "wall_height = nan",
                "bin.wall_height",
            ),
            ("wall_height = 0.020", "wall_hight = 0.020", "wall_hight"),
            ("mass = 0.090", "mass = 0.0", "class \"block\".mass"),
            ("name = \"A2\"", "name = \"A1\"", "\"A1\" occurs twice"),
            (
                "order_lines = [4, 5]",
                "order_lines = [5, 4]",
                "scene.order_lines",
            ),
            ("parts = [6, 8]", "parts = [2, 8]", "scene.parts"),
            (
                "red = [0.72",
                "crimson = [0.72",
                "\"red\" is not in [colors]",
            ),
            ("up = [1.0, 0.0, 0.0]", "up = [0.0, 0.0, 1.0]", "parallel"),
        ] {
            let text = BUILTIN.replacen(from, to, 1);
            assert_ne!(text, BUILTIN, "{from}");
            let error = CellConfig::from_toml(&text, "test.toml")
                .expect_err(to)
                .to_string();
            assert!(error.contains(needle), "{to}: {error}");
            assert!(error.starts_with("test.toml"), "{error}");
        }
    }
}
