//! The scorer: grades an order by the simulator's truth, whatever anybody else believes.

use nalgebra::{UnitQuaternion, Vector3};

use crate::config::{CellConfig, ShapeConfig};
use crate::draw::OrderLine;
use crate::physics::Physics;

/// Speed below which a part counts as resting, m/s.
const RESTING_M_S: f64 = 0.02;
/// How far a part's centre may be above or below where it lies flat in its pocket, m.
const HEIGHT_TOLERANCE_M: f64 = 0.006;
/// Cosine of the largest tilt of a part that lies as delivered (10°).
const UPRIGHT_COS: f64 = 0.984_807_753;
/// Sides of a box that differ by less are equal, m.
const EQUAL_SIDES_M: f64 = 1e-6;

/// How one line of an order came out.
#[derive(Clone, Debug, PartialEq)]
pub struct LineGrade {
    /// The line.
    pub line: OrderLine,
    /// In its pocket within the tolerances, resting, flat, and not held.
    pub placed: bool,
    /// Horizontal distance of the nearest matching part from the pocket's centre, m; infinite if the cell
    /// has no such part or no such pocket.
    pub position_error_m: f64,
    /// Yaw error of that part modulo its symmetry, rad; 0 where any yaw is right.
    pub yaw_error_rad: f64,
    /// Tilt of that part against how it is delivered, rad.
    pub tilt_rad: f64,
    /// How far that part's centre is above or below where it would lie in the pocket, m.
    pub height_error_m: f64,
    /// True if the part is still in the gripper.
    pub held: bool,
}

/// How an order came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    /// One grade a line, in the order's order.
    pub lines: Vec<LineGrade>,
}

impl Grade {
    /// True if every line is placed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line.placed)
    }

    /// Lines that are placed.
    #[must_use]
    pub fn placed(&self) -> usize {
        self.lines.iter().filter(|line| line.placed).count()
    }
}

/// Cosine of the tilt against how a part is delivered, and its yaw, rad. What looks and fits the same does not
/// count as turned: a box rolled over an edge onto an equal side, a cylinder on its other end.
fn attitude(shape: &ShapeConfig, rotation: &UnitQuaternion<f64>) -> (f64, f64) {
    let axes = [Vector3::x(), Vector3::y(), Vector3::z()].map(|axis| rotation * axis);
    let yaw = |x: &Vector3<f64>| libm::atan2(x.y, x.x);
    match shape {
        ShapeConfig::Box { size } => {
            let equal = |a: usize, b: usize| (size[a] - size[b]).abs() < EQUAL_SIDES_M;
            // Of the sides that could be its length and its height, those that make it most upright; the
            // sign of an axis makes no difference to a box.
            let mut best = (axes[2].z.abs(), yaw(&axes[0]));
            for (x, y, z) in [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)] {
                if equal(x, 0) && equal(y, 1) && equal(z, 2) && axes[z].z.abs() > best.0 + 1e-9 {
                    best = (axes[z].z.abs(), yaw(&axes[x]));
                }
            }
            best
        }
        ShapeConfig::Cylinder { .. } => (axes[2].z.abs(), yaw(&axes[0])),
        ShapeConfig::Sphere { .. } => (1.0, yaw(&axes[0])),
        ShapeConfig::Capsule { .. } => (libm::hypot(axes[0].x, axes[0].y), yaw(&axes[0])),
        ShapeConfig::Roof { .. } => (axes[2].z, yaw(&axes[0])),
    }
}

/// `angle` modulo `symmetry` around zero, as a magnitude; 0 if any angle is right.
fn symmetric_error(angle: f64, symmetry: f64) -> f64 {
    if symmetry <= 0.0 {
        return 0.0;
    }
    let turns = libm::round(angle / symmetry);
    (angle - turns * symmetry).abs()
}

/// Grades `order` by the state of `physics`.
pub(crate) fn grade(config: &CellConfig, physics: &Physics, order: &[OrderLine]) -> Grade {
    Grade {
        lines: order
            .iter()
            .map(|line| grade_line(config, physics, line))
            .collect(),
    }
}

fn grade_line(config: &CellConfig, physics: &Physics, line: &OrderLine) -> LineGrade {
    let mut best = LineGrade {
        line: line.clone(),
        placed: false,
        position_error_m: f64::INFINITY,
        yaw_error_rad: 0.0,
        tilt_rad: 0.0,
        height_error_m: 0.0,
        held: false,
    };
    let tray = &config.tray;
    let Some(pocket) = tray.pockets.iter().find(|pocket| pocket.name == line.slot) else {
        return best;
    };
    let Some(class) = config.class(&line.class) else {
        return best;
    };
    for (index, object) in physics.loose().iter().enumerate() {
        // An order without a colour takes any.
        let color_fits = line.color.is_empty() || object.color == line.color;
        if !object.is_part || object.class != line.class || !color_fits {
            continue;
        }
        let Some(state) = physics.loose_state(index) else {
            continue;
        };
        let t = state.pose.translation.vector;
        let position_error_m = libm::hypot(t.x - pocket.position[0], t.y - pocket.position[1]);
        if position_error_m >= best.position_error_m {
            continue;
        }
        let (up_cos, yaw) = attitude(&class.shape, &state.pose.rotation);
        let yaw_error_rad = symmetric_error(yaw - pocket.yaw, class.yaw_symmetry);
        let height_error = (t.z - tray.floor_thickness - state.half_height_m).abs();
        let grading = &config.grading;
        best = LineGrade {
            line: line.clone(),
            placed: position_error_m <= grading.position_tolerance
                && yaw_error_rad <= grading.yaw_tolerance_deg.to_radians()
                && height_error <= HEIGHT_TOLERANCE_M
                && up_cos >= UPRIGHT_COS
                && state.speed_m_s <= RESTING_M_S
                && !state.is_held,
            position_error_m,
            yaw_error_rad,
            tilt_rad: libm::acos(up_cos.clamp(-1.0, 1.0)),
            height_error_m: height_error,
            held: state.is_held,
        };
    }
    best
}

#[cfg(test)]
mod tests {
    use core::f64::consts::PI;

    use super::*;

    #[test]
    fn yaw_is_judged_modulo_the_symmetry() {
        for (angle, symmetry, error) in [
            (0.1, PI, 0.1),
            (PI - 0.1, PI, 0.1),
            (-PI + 0.2, PI, 0.2),
            (PI - 0.1, 2.0 * PI, PI - 0.1),
            (1.3, 0.0, 0.0),
        ] {
            assert!((symmetric_error(angle, symmetry) - error).abs() < 1e-12);
        }
    }

    #[test]
    fn a_part_turned_onto_an_equal_side_lies_as_delivered() {
        let rolled = |roll: f64, pitch: f64, yaw: f64| {
            UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw)
                * UnitQuaternion::from_axis_angle(&Vector3::y_axis(), pitch)
                * UnitQuaternion::from_axis_angle(&Vector3::x_axis(), roll)
        };
        let bar = ShapeConfig::Box {
            size: [0.05, 0.03, 0.03],
        };
        let slab = ShapeConfig::Box {
            size: [0.05, 0.03, 0.01],
        };
        let roof = ShapeConfig::Roof {
            length: 0.046,
            ridge: 0.016,
            width: 0.030,
            height: 0.028,
        };
        let puck = ShapeConfig::Cylinder {
            diameter: 0.036,
            height: 0.030,
        };
        let half = PI / 2.0;
        for (shape, roll, pitch, up) in [
            (&bar, 0.0, 0.0, true),
            (&bar, half, 0.0, true),
            (&bar, -half + 0.05, 0.0, true),
            (&bar, PI, 0.0, true),
            (&bar, 0.5, 0.0, false),
            (&bar, 0.0, half, false),
            (&slab, half, 0.0, false),
            (&slab, PI, 0.0, true),
            (&roof, 0.0, 0.0, true),
            (&roof, half, 0.0, false),
            (&roof, PI, 0.0, false),
            (&puck, PI, 0.0, true),
            (&puck, half, 0.0, false),
        ] {
            let (cos, yaw) = attitude(shape, &rolled(roll, pitch, 0.3));
            assert_eq!(cos >= UPRIGHT_COS, up, "{shape:?} {roll} {pitch}");
            if up {
                assert!(symmetric_error(yaw - 0.3, PI) < 1e-9, "{shape:?} {roll}");
            }
        }
        // A cube on any side is as good as on its own, up to a quarter turn.
        let cube = ShapeConfig::Box { size: [0.03; 3] };
        let (cos, yaw) = attitude(&cube, &rolled(0.0, half, 0.3));
        assert!(cos > 0.999 && symmetric_error(yaw - 0.3, half) < 1e-9);
    }
}
