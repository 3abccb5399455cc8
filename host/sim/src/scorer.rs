//! The scorer: grades an order by the simulator's truth, whatever anybody else believes.

use crate::config::CellConfig;
use crate::draw::OrderLine;
use crate::physics::Physics;

/// Speed below which a part counts as resting, m/s.
const RESTING_M_S: f64 = 0.02;
/// How far a part's centre may be above or below where it lies flat in its pocket, m.
const HEIGHT_TOLERANCE_M: f64 = 0.006;
/// Cosine of the largest tilt of a part that lies as delivered (10°).
const UPRIGHT_COS: f64 = 0.984_807_753;

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
        held: false,
    };
    let tray = &config.tray;
    let Some(pocket) = tray.pockets.iter().find(|pocket| pocket.name == line.slot) else {
        return best;
    };
    let symmetry = config
        .class(&line.class)
        .map_or(0.0, |class| class.yaw_symmetry);
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
        let x_axis = state.pose.rotation * nalgebra::Vector3::x();
        let up = state.pose.rotation * nalgebra::Vector3::z();
        let yaw = libm::atan2(x_axis.y, x_axis.x);
        let yaw_error_rad = symmetric_error(yaw - pocket.yaw, symmetry);
        let height_error = (t.z - tray.floor_thickness - state.half_height_m).abs();
        let grading = &config.grading;
        best = LineGrade {
            line: line.clone(),
            placed: position_error_m <= grading.position_tolerance
                && yaw_error_rad <= grading.yaw_tolerance_deg.to_radians()
                && height_error <= HEIGHT_TOLERANCE_M
                && up.z >= UPRIGHT_COS
                && state.speed_m_s <= RESTING_M_S
                && !state.is_held,
            position_error_m,
            yaw_error_rad,
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
}
