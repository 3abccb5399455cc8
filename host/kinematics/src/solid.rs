//! Solids that a capsule keeps away from, and how far it is from them.
//!
//! Every distance here is *signed* and convex along a segment: outside it is the distance to the solid or a
//! bound below it, inside the depth below the nearest face as a negative number. So the least value over a
//! segment is bounded from below by two tangents, rigorously and in a bounded number of steps
//! (Kelley's cutting planes, in one dimension).

use nalgebra::Vector3;

use crate::capsule::{Aabb, HalfSpace, distance_to_box};
use crate::{PlacedCapsule, Point};

/// Points that a hull may have: its planes are found by trying all triples.
pub const HULL_POINTS_MAX: usize = 32;
/// Cuts along one segment.
const CUTS_MAX: u32 = 24;
/// Gap between bound and value at which cutting ends, m: what a distance may be too small by.
const CUT_GAP_M: f64 = 1e-6;
/// Distance to a box from which on a segment counts as outside, m.
const TOUCHING_M: f64 = 1e-9;

/// An upright cylinder, m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cylinder {
    /// Middle of the lower face, base frame.
    pub base: Point,
    /// Radius.
    pub radius_m: f64,
    /// Height, upwards.
    pub height_m: f64,
}

/// The convex hull of some points, as the half-spaces whose intersection it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Hull {
    points: Vec<Point>,
    faces: Vec<HalfSpace>,
}

/// Why points have no hull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HullError {
    /// Too few or too many points.
    #[error("{count} points; a hull takes 4 to {HULL_POINTS_MAX}")]
    Count {
        /// How many there were.
        count: usize,
    },
    /// A coordinate is NaN or infinite.
    #[error("point {index} is not finite")]
    NonFinite {
        /// Position in the list.
        index: usize,
    },
    /// All points lie in one plane, or nearly.
    #[error("the points lie in one plane: they enclose nothing")]
    Flat,
}

impl Hull {
    /// The hull of `points`.
    ///
    /// # Errors
    /// [`HullError`] if there are too few or too many, or if they lie in one plane.
    pub fn new(points: &[Point]) -> Result<Self, HullError> {
        let count = points.len();
        if !(4..=HULL_POINTS_MAX).contains(&count) {
            return Err(HullError::Count { count });
        }
        if let Some(index) = points.iter().position(|p| !p.iter().all(|c| c.is_finite())) {
            return Err(HullError::NonFinite { index });
        }
        let size = points
            .iter()
            .map(|p| (p - points[0]).norm())
            .fold(0.0, f64::max);
        // Points nearer to a face's plane than this lie in it.
        let flat = 1e-9 * size.max(1e-3);
        let mut faces: Vec<HalfSpace> = Vec::new();
        for (i, a) in points.iter().enumerate() {
            for (j, b) in points.iter().enumerate().skip(i + 1) {
                for c in &points[j + 1..] {
                    let cross = (b - a).cross(&(c - a));
                    let area = cross.norm();
                    // Slivers say nothing about where their plane lies.
                    if area <= 1e-9 * size * size {
                        continue;
                    }
                    for normal in [cross / area, -cross / area] {
                        let offset_m = normal.dot(&a.coords);
                        let face = HalfSpace { normal, offset_m };
                        let outside = points.iter().any(|p| height(p, &face) > flat);
                        let known = faces.iter().any(|f| {
                            (f.normal - normal).norm() < 1e-9
                                && (f.offset_m - offset_m).abs() <= flat
                        });
                        if !outside && !known {
                            faces.push(face);
                        }
                    }
                }
            }
        }
        let depth = |face: &HalfSpace| points.iter().map(|p| -height(p, face)).fold(0.0, f64::max);
        if faces.len() < 4 || faces.iter().any(|face| depth(face) < 1e-6) {
            return Err(HullError::Flat);
        }
        // A point of a face may be up to `flat` outside of it: the solid is the larger one.
        for face in &mut faces {
            face.offset_m += flat;
        }
        Ok(Self {
            points: points.to_vec(),
            faces,
        })
    }

    /// The points it was made of.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Its faces.
    #[must_use]
    pub fn faces(&self) -> &[HalfSpace] {
        &self.faces
    }
}

/// Height of a point over the boundary of a half-space, m.
fn height(p: &Point, half_space: &HalfSpace) -> f64 {
    half_space.normal.dot(&p.coords) - half_space.offset_m
}

/// Clearance of a capsule to a box, m; negative inside, down to the depth of its axis.
#[must_use]
pub fn clearance_to_box(capsule: &PlacedCapsule, aabb: &Aabb) -> f64 {
    let outside = distance_to_box(&capsule.a, &capsule.b, aabb);
    // What rounding leaves of a segment that passes through is no distance.
    if outside > TOUCHING_M {
        return outside - capsule.radius_m;
    }
    let direction = capsule.b - capsule.a;
    let depth = least_along(|t| {
        let p = capsule.a + direction * t;
        let mut deepest = (f64::NEG_INFINITY, 0.0);
        for i in 0..3 {
            for (value, slope) in [
                (aabb.min[i] - p[i], -direction[i]),
                (p[i] - aabb.max[i], direction[i]),
            ] {
                if value > deepest.0 {
                    deepest = (value, slope);
                }
            }
        }
        deepest
    });
    depth.min(0.0) - capsule.radius_m
}

/// Clearance of a capsule to an upright cylinder, m; negative inside. At most a micrometre too small.
#[must_use]
pub fn clearance_to_cylinder(capsule: &PlacedCapsule, cylinder: &Cylinder) -> f64 {
    let direction = capsule.b - capsule.a;
    let middle = 0.5 * cylinder.height_m;
    let least = least_along(|t| {
        let p = capsule.a + direction * t - cylinder.base;
        let across = libm::sqrt(p.x * p.x + p.y * p.y);
        let side = across - cylinder.radius_m;
        let side_slope = if across > 0.0 {
            (p.x * direction.x + p.y * direction.y) / across
        } else {
            // At the axis: any slope between ± the speed across is one; this one is.
            0.0
        };
        let above = p.z - middle;
        let end = above.abs() - middle;
        let end_slope = direction.z * above.signum();
        if side > 0.0 && end > 0.0 {
            let distance = libm::sqrt(side * side + end * end);
            (distance, (side * side_slope + end * end_slope) / distance)
        } else if side > end {
            (side, side_slope)
        } else {
            (end, end_slope)
        }
    });
    least - capsule.radius_m
}

/// Clearance of a capsule to a hull, m; negative inside. Over the faces alone: never more than the true
/// clearance, and less near edges and corners.
#[must_use]
pub fn clearance_to_hull(capsule: &PlacedCapsule, hull: &Hull) -> f64 {
    let direction = capsule.b - capsule.a;
    let least = least_along(|t| {
        let p = capsule.a + direction * t;
        hull.faces
            .iter()
            .fold((f64::NEG_INFINITY, 0.0), |highest, face| {
                let over = height(&p, face);
                if over > highest.0 {
                    (over, face.normal.dot(&direction))
                } else {
                    highest
                }
            })
    });
    least - capsule.radius_m
}

/// Clearance of a capsule to an endless upright column through `(x, y)`, m; negative inside.
#[must_use]
pub fn clearance_to_column(capsule: &PlacedCapsule, x: f64, y: f64, radius_m: f64) -> f64 {
    let flat = |p: &Point| Vector3::new(p.x - x, p.y - y, 0.0);
    distance_to_origin(&flat(&capsule.a), &flat(&capsule.b)) - radius_m - capsule.radius_m
}

/// Clearance of a capsule to a ball, m; negative inside.
#[must_use]
pub fn clearance_to_ball(capsule: &PlacedCapsule, center: &Point, radius_m: f64) -> f64 {
    distance_to_origin(&(capsule.a - center), &(capsule.b - center)) - radius_m - capsule.radius_m
}

/// Distance of the segment `a b` from the origin.
fn distance_to_origin(a: &Vector3<f64>, b: &Vector3<f64>) -> f64 {
    let direction = b - a;
    let squared = direction.norm_squared();
    let t = if squared > 0.0 {
        (-a.dot(&direction) / squared).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (a + direction * t).norm()
}

/// A bound from below on the least value of a convex function over [0, 1]; `f` gives value and a slope. At most
/// [`CUT_GAP_M`] below it where the cuts suffice.
fn least_along(f: impl Fn(f64) -> (f64, f64)) -> f64 {
    let (mut low, mut high) = ((0.0, f(0.0)), (1.0, f(1.0)));
    if low.1.1 >= 0.0 {
        return low.1.0;
    }
    if high.1.1 <= 0.0 {
        return high.1.0;
    }
    let mut bound = f64::NEG_INFINITY;
    for _ in 0..CUTS_MAX {
        let ((t0, (f0, s0)), (t1, (f1, s1))) = (low, high);
        // Where the two tangents meet; s0 < 0 < s1.
        let t = ((f0 - s0 * t0 - f1 + s1 * t1) / (s1 - s0)).clamp(t0, t1);
        // Rounding aside both give the same; the lower one is the bound.
        bound = (f0 + s0 * (t - t0)).min(f1 + s1 * (t - t1));
        let here = f(t);
        if here.0 - bound <= CUT_GAP_M {
            break;
        }
        if here.1 < 0.0 {
            low = (t, here);
        } else if here.1 > 0.0 {
            high = (t, here);
        } else {
            return here.0;
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cheap deterministic stream in (-2, 2).
    fn stream(seed: &mut u64) -> f64 {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((*seed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5) * 4.0
    }

    fn capsule(seed: &mut u64) -> PlacedCapsule {
        let mut point = || Point::new(stream(seed), stream(seed), stream(seed));
        PlacedCapsule {
            link: 1,
            a: point(),
            b: point(),
            radius_m: 0.0,
        }
    }

    fn samples(capsule: &PlacedCapsule) -> impl Iterator<Item = Point> + '_ {
        (0..=2_000).map(|n| capsule.a + (capsule.b - capsule.a) * (f64::from(n) / 2_000.0))
    }

    /// Smallest of `distance` over samples of many capsules, against `clearance`: never more, and less by at
    /// most `gap` and what lies between two samples.
    fn compare(
        clearance: impl Fn(&PlacedCapsule) -> f64,
        distance: impl Fn(&Point) -> f64,
        gap: f64,
    ) {
        let mut seed = 5;
        let mut inside = 0;
        for _ in 0..2_000 {
            let capsule = capsule(&mut seed);
            let least = samples(&capsule)
                .map(|p| distance(&p))
                .fold(f64::INFINITY, f64::min);
            let bound = clearance(&capsule);
            assert!(bound <= least + 1e-12, "{bound} over {least}: {capsule:?}");
            let between = (capsule.b - capsule.a).norm() / 2_000.0;
            assert!(least - bound <= gap + between, "{bound} far below {least}");
            inside += u32::from(least < 0.0);
        }
        assert!(inside > 100, "the inside was met {inside} times only");
    }

    #[test]
    fn box_clearance_is_signed() {
        let aabb = Aabb {
            min: Point::new(-0.8, -0.5, -0.6),
            max: Point::new(0.8, 0.5, 0.6),
        };
        compare(
            |capsule| clearance_to_box(capsule, &aabb),
            |p| {
                let over = [0, 1, 2].map(|i: usize| p[i].abs() - aabb.max[i]);
                let outside = over.map(|o| o.max(0.0));
                let distance = outside.iter().map(|o| o * o).sum::<f64>().sqrt();
                if distance > 0.0 {
                    distance
                } else {
                    over.into_iter().fold(f64::NEG_INFINITY, f64::max)
                }
            },
            CUT_GAP_M,
        );
    }

    #[test]
    fn cylinder_clearance_is_the_least_over_samples() {
        let cylinder = Cylinder {
            base: Point::new(0.1, -0.2, -0.5),
            radius_m: 0.6,
            height_m: 1.2,
        };
        compare(
            |capsule| clearance_to_cylinder(capsule, &cylinder),
            |p| {
                let side = (p.x - 0.1).hypot(p.y + 0.2) - 0.6;
                let end = (p.z - 0.1).abs() - 0.6;
                if side > 0.0 && end > 0.0 {
                    side.hypot(end)
                } else {
                    side.max(end)
                }
            },
            CUT_GAP_M,
        );
    }

    #[test]
    fn a_capsule_through_the_axis_of_a_cylinder_is_as_deep_as_it_is() {
        let cylinder = Cylinder {
            base: Point::origin(),
            radius_m: 0.3,
            height_m: 2.0,
        };
        for (from, to, depth) in [
            ([-1.0, 0.0, 1.0], [1.0, 0.0, 1.0], -0.3),
            ([0.0, 0.0, 0.9], [0.0, 0.0, 1.1], -0.3),
            ([0.0, 0.0, -5.0], [0.0, 0.0, -3.0], 3.0),
        ] {
            let capsule = PlacedCapsule {
                link: 1,
                a: Point::from(from),
                b: Point::from(to),
                radius_m: 0.0,
            };
            let found = clearance_to_cylinder(&capsule, &cylinder);
            assert!((found - depth).abs() < 1e-5, "{found}, not {depth}");
        }
    }

    #[test]
    fn the_hull_of_a_cube_is_its_faces() {
        let corners: Vec<Point> = (0..8)
            .map(|n| {
                let side = |bit: u32| if n >> bit & 1 == 0 { -0.5 } else { 0.5 };
                Point::new(side(0), side(1), side(2))
            })
            .collect();
        let hull = Hull::new(&corners).expect("a cube has a hull");
        assert_eq!(hull.faces().len(), 6);
        compare(
            |capsule| clearance_to_hull(capsule, &hull),
            |p| {
                p.iter()
                    .map(|c| c.abs() - 0.5)
                    .fold(f64::NEG_INFINITY, f64::max)
            },
            CUT_GAP_M,
        );
        let aabb = Aabb {
            min: Point::new(-0.5, -0.5, -0.5),
            max: Point::new(0.5, 0.5, 0.5),
        };
        let mut seed = 3;
        for _ in 0..2_000 {
            let capsule = capsule(&mut seed);
            let over_faces = clearance_to_hull(&capsule, &hull);
            let exact = clearance_to_box(&capsule, &aabb);
            assert!(over_faces <= exact + 1e-9, "{over_faces} over {exact}");
        }
    }

    #[test]
    fn what_encloses_nothing_has_no_hull() {
        let square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let flat: Vec<Point> = square.iter().map(|p| Point::new(p[0], p[1], 0.3)).collect();
        assert_eq!(Hull::new(&flat), Err(HullError::Flat));
        assert_eq!(Hull::new(&flat[..3]), Err(HullError::Count { count: 3 }));
        assert_eq!(
            Hull::new(&[flat[0]; HULL_POINTS_MAX + 1]),
            Err(HullError::Count {
                count: HULL_POINTS_MAX + 1
            })
        );
        assert_eq!(Hull::new(&[flat[0]; 5]), Err(HullError::Flat));
        let mut bad = flat.clone();
        bad[2].y = f64::NAN;
        assert_eq!(Hull::new(&bad), Err(HullError::NonFinite { index: 2 }));
    }

    #[test]
    fn columns_and_balls() {
        compare(
            |capsule| clearance_to_column(capsule, 0.2, -0.1, 0.5),
            |p| (p.x - 0.2).hypot(p.y + 0.1) - 0.5,
            1e-9,
        );
        let center = Point::new(0.3, 0.1, -0.2);
        compare(
            |capsule| clearance_to_ball(capsule, &center, 0.7),
            |p| (p - center).norm() - 0.7,
            1e-9,
        );
    }
}
