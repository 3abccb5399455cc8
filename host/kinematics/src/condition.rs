//! How well the tool can be moved: the condition of its Jacobian, and joint velocities that stay small near a
//! singularity. Plain loops in a fixed order, so that the same joints give the same bits on every machine.

use nalgebra::Vector3;
use sinew_messages::{JOINTS, JointVector};

use crate::{Chain, Forward, Jacobian};

const ROWS: usize = 6;

/// A symmetric matrix, or the lower triangle that it is made of.
type Square = [[f64; ROWS]; ROWS];

/// How evenly the tool can be moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditioning {
    /// Frobenius norm of the Jacobian, linear rows divided by the characteristic length.
    pub norm: f64,
    /// Frobenius norm of its pseudo-inverse; infinite at a singularity. No singular value is below one over it.
    pub inverse_norm: f64,
}

impl Conditioning {
    /// The Frobenius condition number `√(tr(J Jᵀ)·tr((J Jᵀ)⁻¹))/6` (Angeles, *Fundamentals of Robotic Mechanical
    /// Systems*, 4.9): 1 where the tool moves equally well in every direction, infinite at a singularity.
    #[must_use]
    pub fn number(&self) -> f64 {
        self.norm * self.inverse_norm / ROWS as f64
    }
}

impl Chain {
    /// Conditioning of the TCP's Jacobian, its linear rows divided by a characteristic length.
    #[must_use]
    pub fn conditioning(&self, forward: &Forward, length_m: f64) -> Conditioning {
        let mut jacobian = self.jacobian(forward);
        for row in 0..3 {
            for column in 0..JOINTS {
                jacobian[(row, column)] /= length_m;
            }
        }
        let squared = squared(&jacobian, 0.0);
        let trace: f64 = (0..ROWS).map(|i| squared[i][i]).sum();
        // The trace of the inverse is the sum of the squares of the inverted triangle.
        let inverse_trace = cholesky(&squared).map_or(f64::INFINITY, |lower| {
            inverted(&lower).iter().flatten().map(|x| x * x).sum()
        });
        Conditioning {
            norm: libm::sqrt(trace),
            inverse_norm: libm::sqrt(inverse_trace),
        }
    }

    /// Joint velocities, rad/s, that move the TCP with `linear_m_s` and don't turn it, by damped least squares
    /// `Jᵀ (J Jᵀ + λ² I)⁻¹ v`: the nearer to a singularity, the less of it.
    #[must_use]
    pub fn velocities_for(
        &self,
        forward: &Forward,
        linear_m_s: &Vector3<f64>,
        damping: f64,
    ) -> JointVector {
        let jacobian = self.jacobian(forward);
        let Some(lower) = cholesky(&squared(&jacobian, damping * damping)) else {
            return [0.0; JOINTS];
        };
        let wanted = [linear_m_s.x, linear_m_s.y, linear_m_s.z, 0.0, 0.0, 0.0];
        // (L Lᵀ)⁻¹ = L⁻ᵀ L⁻¹.
        let inverse = inverted(&lower);
        let half: [f64; ROWS] =
            core::array::from_fn(|i| (0..ROWS).map(|j| inverse[i][j] * wanted[j]).sum());
        let part: [f64; ROWS] =
            core::array::from_fn(|i| (0..ROWS).map(|j| inverse[j][i] * half[j]).sum());
        core::array::from_fn(|column| {
            (0..ROWS)
                .map(|row| jacobian[(row, column)] * part[row])
                .sum()
        })
    }
}

/// `J Jᵀ + damping·I`, its lower triangle.
fn squared(jacobian: &Jacobian, damping: f64) -> Square {
    let mut squared = [[0.0; ROWS]; ROWS];
    for column in jacobian.column_iter() {
        for i in 0..ROWS {
            for j in 0..=i {
                squared[i][j] += column[i] * column[j];
            }
        }
    }
    for (i, row) in squared.iter_mut().enumerate() {
        row[i] += damping;
    }
    squared
}

/// `L` with `L Lᵀ = m`; none if `m` is not positive definite.
fn cholesky(m: &Square) -> Option<Square> {
    let mut lower = [[0.0; ROWS]; ROWS];
    for i in 0..ROWS {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let left = m[i][j] - sum;
            if i != j {
                lower[i][j] = left / lower[j][j];
            } else if left > 0.0 {
                lower[i][i] = libm::sqrt(left);
            } else {
                return None;
            }
        }
    }
    Some(lower)
}

/// `L⁻¹`.
fn inverted(lower: &Square) -> Square {
    let mut inverse = [[0.0; ROWS]; ROWS];
    for i in 0..ROWS {
        let scale = 1.0 / lower[i][i];
        inverse[i][i] = scale;
        let (above, rest) = inverse.split_at_mut(i);
        for (j, entry) in rest[0][..i].iter_mut().enumerate() {
            let sum: f64 = (j..i).map(|k| lower[i][k] * above[k][j]).sum();
            *entry = -scale * sum;
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tests::arm;

    const HOME: JointVector = [0.0, 0.3, 0.0, 1.8, 0.0, 1.0, 0.0];

    /// By the singular values of another library: `√(Σσ²·Σσ⁻²)/6`.
    #[test]
    fn the_condition_is_that_of_the_singular_values() {
        let chain = arm();
        for q in [HOME, [0.4, -0.5, 0.3, 1.1, -0.7, 0.6, 0.2]] {
            let forward = chain.forward(&q);
            let mut scaled = chain.jacobian(&forward);
            scaled.fixed_rows_mut::<3>(0).scale_mut(1.0 / 0.4);
            let values = scaled.singular_values();
            let squares: f64 = values.iter().map(|s| s * s).sum();
            let inverse: f64 = values.iter().map(|s| 1.0 / (s * s)).sum();
            let expected = (squares * inverse).sqrt() / 6.0;
            let found = chain.conditioning(&forward, 0.4).number();
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
            assert!(found >= 1.0);
        }
    }

    #[test]
    fn the_condition_grows_without_bound_towards_the_stretched_arm() {
        let chain = arm();
        let mut last = 0.0;
        for elbow in [0.5, 0.1, 0.01, 0.001] {
            let mut q = HOME;
            (q[3], q[5]) = (elbow, 1.2);
            let found = chain.conditioning(&chain.forward(&q), 0.4).number();
            assert!(found > 2.0 * last, "{found} after {last}");
            last = found;
        }
        let mut q = [0.0; JOINTS];
        q[3] = 0.0;
        let stretched = chain.conditioning(&chain.forward(&q), 0.4).number();
        assert!(stretched > 1e6, "{stretched}");
    }

    #[test]
    fn velocities_move_the_tool_as_asked_away_from_singularities() {
        let chain = arm();
        let forward = chain.forward(&HOME);
        let asked = Vector3::new(0.03, -0.02, 0.05);
        let joints = chain.velocities_for(&forward, &asked, 1e-4);
        let jacobian = chain.jacobian(&forward);
        for row in 0..6 {
            let moved: f64 = (0..JOINTS).map(|j| jacobian[(row, j)] * joints[j]).sum();
            let wanted = if row < 3 { asked[row] } else { 0.0 };
            assert!((moved - wanted).abs() < 1e-6, "row {row}: {moved} {wanted}");
        }
        // Stretched out, the damping keeps them small.
        let singular = chain.forward(&[0.0; JOINTS]);
        let joints = chain.velocities_for(&singular, &asked, 0.05);
        assert!(joints.iter().all(|v| v.abs() < 1.0), "{joints:?}");
    }
}
