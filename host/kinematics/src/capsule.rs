//! Exact distances of capsules to boxes, half-spaces and each other.
//!
//! A capsule is a segment and a radius, so everything reduces to distances of a segment.

use nalgebra::Vector3;

use crate::{PlacedCapsule, Point};

/// An axis-aligned box in the base frame, m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aabb {
    /// Corner with the smallest coordinates.
    pub min: Point,
    /// Corner with the largest coordinates.
    pub max: Point,
}

/// The points `p` with `normal · p ≤ offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfSpace {
    /// Unit vector out of the half-space, base frame.
    pub normal: Vector3<f64>,
    /// Distance of the boundary from the origin along the normal, m.
    pub offset_m: f64,
}

/// Distance from the segment `a b` to a box, m; 0 if they meet.
///
/// Along the segment the squared distance is convex and piecewise quadratic, with breaks where a coordinate
/// passes a face. Its derivative is therefore monotone and piecewise linear, and the zero is found exactly
/// between the two breaks where the sign turns.
#[must_use]
pub fn distance_to_box(a: &Point, b: &Point, aabb: &Aabb) -> f64 {
    let direction = b - a;
    // Half the derivative of the squared distance at t.
    let slope = |t: f64| -> f64 {
        (0..3)
            .map(|i| {
                let c = a[i] + t * direction[i];
                (c - c.clamp(aabb.min[i], aabb.max[i])) * direction[i]
            })
            .sum()
    };
    let distance = |t: f64| -> f64 {
        let squared: f64 = (0..3)
            .map(|i| {
                let c = a[i] + t * direction[i];
                let d = c - c.clamp(aabb.min[i], aabb.max[i]);
                d * d
            })
            .sum();
        libm::sqrt(squared)
    };
    let (mut low, mut high) = (0.0, 1.0);
    let (mut slope_low, mut slope_high) = (slope(low), slope(high));
    if slope_low >= 0.0 {
        return distance(low);
    }
    if slope_high <= 0.0 {
        return distance(high);
    }
    for i in 0..3 {
        if direction[i] == 0.0 {
            continue;
        }
        for face in [aabb.min[i], aabb.max[i]] {
            let t = (face - a[i]) / direction[i];
            if t > low && t < high {
                let s = slope(t);
                if s < 0.0 {
                    (low, slope_low) = (t, s);
                } else {
                    (high, slope_high) = (t, s);
                }
            }
        }
    }
    let t = low + (high - low) * (-slope_low / (slope_high - slope_low));
    distance(t.clamp(low, high))
}

/// Height of the nearest point of the segment over the boundary of a half-space, m; negative inside.
#[must_use]
pub fn height_over_half_space(a: &Point, b: &Point, half_space: &HalfSpace) -> f64 {
    let height = |p: &Point| half_space.normal.dot(&p.coords) - half_space.offset_m;
    height(a).min(height(b))
}

/// Clearance of a capsule to a half-space, m. Negative if they overlap.
#[must_use]
pub fn clearance_to_half_space(capsule: &PlacedCapsule, half_space: &HalfSpace) -> f64 {
    height_over_half_space(&capsule.a, &capsule.b, half_space) - capsule.radius_m
}

/// Distance between the segments `a b` and `c d`, m (Ericson, *Real-Time Collision Detection*, 5.1.9).
#[must_use]
pub fn distance_between_segments(a: &Point, b: &Point, c: &Point, d: &Point) -> f64 {
    let (u, v, w) = (b - a, d - c, a - c);
    let (uu, vv, uv) = (u.norm_squared(), v.norm_squared(), u.dot(&v));
    let (uw, vw) = (u.dot(&w), v.dot(&w));
    let share = |numerator: f64, denominator: f64| -> f64 {
        if denominator > 0.0 {
            (numerator / denominator).clamp(0.0, 1.0)
        } else {
            0.0
        }
    };
    let mut s = share(uv * vw - vv * uw, uu * vv - uv * uv);
    let t = (uv * s + vw) / vv;
    let t = if !t.is_finite() || t < 0.0 {
        s = share(-uw, uu);
        0.0
    } else if t > 1.0 {
        s = share(uv - uw, uu);
        1.0
    } else {
        t
    };
    (w + u * s - v * t).norm()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Aabb = Aabb {
        min: Point::new(-0.5, -0.5, -0.5),
        max: Point::new(0.5, 0.5, 0.5),
    };

    /// A cheap deterministic stream in (-2, 2).
    fn stream(seed: &mut u64) -> f64 {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((*seed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5) * 4.0
    }

    #[test]
    fn box_distance_is_the_minimum_over_samples() {
        let mut seed = 7;
        for _ in 0..2_000 {
            let mut point = || Point::new(stream(&mut seed), stream(&mut seed), stream(&mut seed));
            let (a, b) = (point(), point());
            let exact = distance_to_box(&a, &b, &UNIT);
            let sampled = (0..=1_000)
                .map(|n| {
                    let p = a + (b - a) * (f64::from(n) / 1_000.0);
                    let nearest = Point::new(
                        p.x.clamp(-0.5, 0.5),
                        p.y.clamp(-0.5, 0.5),
                        p.z.clamp(-0.5, 0.5),
                    );
                    (p - nearest).norm()
                })
                .fold(f64::INFINITY, f64::min);
            assert!(exact <= sampled + 1e-12, "{exact} > {sampled}");
            assert!(sampled - exact < 5e-3, "{exact} far below {sampled}");
        }
    }

    #[test]
    fn segment_distance_is_the_minimum_over_samples() {
        let mut seed = 11;
        for _ in 0..300 {
            let mut point = || Point::new(stream(&mut seed), stream(&mut seed), stream(&mut seed));
            let (a, b, c, d) = (point(), point(), point(), point());
            let exact = distance_between_segments(&a, &b, &c, &d);
            let mut sampled = f64::INFINITY;
            for n in 0..=100 {
                for m in 0..=100 {
                    let p = a + (b - a) * (f64::from(n) / 100.0);
                    let q = c + (d - c) * (f64::from(m) / 100.0);
                    sampled = sampled.min((p - q).norm());
                }
            }
            assert!(exact <= sampled + 1e-9);
            assert!(sampled - exact < 0.06);
        }
    }

    #[test]
    fn degenerate_segments_are_points() {
        let p = Point::new(1.5, 0.0, 0.0);
        assert!((distance_to_box(&p, &p, &UNIT) - 1.0).abs() < 1e-15);
        let q = Point::new(0.0, 2.0, 0.0);
        assert!((distance_between_segments(&p, &p, &q, &q) - 2.5).abs() < 1e-15);
        let floor = HalfSpace {
            normal: Vector3::z(),
            offset_m: -0.1,
        };
        assert!((height_over_half_space(&p, &q, &floor) - 0.1).abs() < 1e-15);
    }
}
