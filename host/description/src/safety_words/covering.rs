//! Whether one zone's shape covers another's.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, Cylinder, HalfSpace, Point};
use sinew_safety::ZoneShape;

/// What rounding may leave uncovered, m: faces of a hull are computed.
const ROUNDING_M: f64 = 1e-9;

/// Whether every point of `inner` is in `outer`.
pub(super) fn covers(outer: &ZoneShape, inner: &ZoneShape) -> bool {
    match outer {
        ZoneShape::Box(aabb) => faces(aabb).iter().all(|face| is_below(inner, face)),
        ZoneShape::HalfSpace(face) => is_below(inner, face),
        ZoneShape::Hull(hull) => hull.faces().iter().all(|face| is_below(inner, face)),
        ZoneShape::Cylinder(cylinder) => is_in_cylinder(inner, cylinder),
    }
}

/// The half-spaces whose intersection a box is.
fn faces(aabb: &Aabb) -> [HalfSpace; 6] {
    core::array::from_fn(|i| {
        let mut normal = Vector3::zeros();
        let axis = i / 2;
        let (side, offset_m) = if i % 2 == 0 {
            (1.0, aabb.max[axis])
        } else {
            (-1.0, -aabb.min[axis])
        };
        normal[axis] = side;
        HalfSpace { normal, offset_m }
    })
}

fn is_below(shape: &ZoneShape, face: &HalfSpace) -> bool {
    if let ZoneShape::HalfSpace(inner) = shape {
        // Only one that has the same direction.
        return inner.normal == face.normal && inner.offset_m <= face.offset_m + ROUNDING_M;
    }
    let farthest = match shape {
        ZoneShape::Cylinder(cylinder) => {
            let n = &face.normal;
            n.dot(&cylinder.base.coords)
                + cylinder.radius_m * n.x.hypot(n.y)
                + (cylinder.height_m * n.z).max(0.0)
        }
        other => (corners(other).iter())
            .map(|corner| face.normal.dot(&corner.coords))
            .fold(f64::NEG_INFINITY, f64::max),
    };
    farthest <= face.offset_m + ROUNDING_M
}

/// The points whose hull a shape is: none of what is round or endless.
fn corners(shape: &ZoneShape) -> Vec<Point> {
    match shape {
        ZoneShape::Box(aabb) => (0..8)
            .map(|corner| {
                let at = |axis: usize| {
                    if corner >> axis & 1 == 0 {
                        aabb.min[axis]
                    } else {
                        aabb.max[axis]
                    }
                };
                Point::new(at(0), at(1), at(2))
            })
            .collect(),
        ZoneShape::Hull(hull) => hull.points().to_vec(),
        ZoneShape::HalfSpace(_) | ZoneShape::Cylinder(_) => Vec::new(),
    }
}

fn is_in_cylinder(shape: &ZoneShape, outer: &Cylinder) -> bool {
    let is_in = |point: &Point, radius_m: f64| {
        let off = point - outer.base;
        let across = off.x.hypot(off.y) + radius_m;
        across <= outer.radius_m + ROUNDING_M
            && (-ROUNDING_M..=outer.height_m + ROUNDING_M).contains(&off.z)
    };
    match shape {
        ZoneShape::HalfSpace(_) => false,
        ZoneShape::Cylinder(inner) => {
            let top = inner.base + Vector3::z() * inner.height_m;
            is_in(&inner.base, inner.radius_m) && is_in(&top, inner.radius_m)
        }
        other => corners(other).iter().all(|corner| is_in(corner, 0.0)),
    }
}

#[cfg(test)]
mod tests {
    use sinew_kinematics::Hull;

    use super::*;

    fn aabb(min: [f64; 3], max: [f64; 3]) -> ZoneShape {
        ZoneShape::Box(Aabb {
            min: min.into(),
            max: max.into(),
        })
    }

    fn cylinder(base: [f64; 3], radius_m: f64, height_m: f64) -> ZoneShape {
        ZoneShape::Cylinder(Cylinder {
            base: base.into(),
            radius_m,
            height_m,
        })
    }

    fn hull(size: f64) -> ZoneShape {
        let points = [
            [0.0; 3],
            [size, 0.0, 0.0],
            [0.0, size, 0.0],
            [0.0, 0.0, size],
        ];
        ZoneShape::Hull(Hull::new(&points.map(Point::from)).expect("a tetrahedron"))
    }

    fn below(offset_m: f64) -> ZoneShape {
        ZoneShape::HalfSpace(HalfSpace {
            normal: Vector3::x(),
            offset_m,
        })
    }

    #[test]
    fn what_lies_in_what() {
        let unit = || aabb([0.0; 3], [1.0; 3]);
        for (outer, inner) in [
            (aabb([-1.0; 3], [2.0; 3]), unit()),
            (unit(), hull(1.0)),
            (unit(), cylinder([0.5, 0.5, 0.1], 0.4, 0.8)),
            (below(1.0), unit()),
            (below(1.0), hull(1.0)),
            (below(1.0), below(0.9)),
            (below(1.0), cylinder([0.5, 9.0, 0.0], 0.5, 3.0)),
            (hull(4.0), unit()),
            (hull(2.0), hull(1.9)),
            (hull(4.0), cylinder([0.5, 0.5, 0.0], 0.5, 1.0)),
            (cylinder([0.5, 0.5, -0.1], 0.8, 1.2), unit()),
            (cylinder([0.5, 0.5, -0.1], 0.8, 1.2), hull(1.0)),
            (
                cylinder([0.0; 3], 1.0, 1.0),
                cylinder([0.4, 0.3, 0.1], 0.5, 0.9),
            ),
        ] {
            assert!(covers(&outer, &inner), "{outer:?} {inner:?}");
            assert!(covers(&outer, &outer) && covers(&inner, &inner));
            assert!(!covers(&inner, &outer), "{inner:?} {outer:?}");
        }
    }

    #[test]
    fn what_sticks_out_is_not_covered() {
        let unit = || aabb([0.0; 3], [1.0; 3]);
        for (outer, inner) in [
            (unit(), aabb([0.1, 0.1, 0.9], [0.2, 0.2, 1.01])),
            (unit(), cylinder([0.5, 0.5, 0.1], 0.51, 0.8)),
            (unit(), cylinder([0.5, 0.5, 0.3], 0.1, 0.8)),
            (unit(), below(-9.0)),
            (hull(1.0), below(-9.0)),
            (cylinder([0.0; 3], 1.0, 1.0), below(-9.0)),
            (hull(2.9), unit()),
            (cylinder([0.5, 0.5, 0.0], 0.7, 1.0), unit()),
            (
                cylinder([0.0; 3], 1.0, 1.0),
                cylinder([0.4, 0.3, 0.1], 0.51, 0.5),
            ),
            (
                cylinder([0.0; 3], 1.0, 1.0),
                cylinder([0.0, 0.0, -0.1], 0.5, 0.5),
            ),
            (below(1.0), below(1.1)),
        ] {
            assert!(!covers(&outer, &inner), "{outer:?} {inner:?}");
        }
        let tilted = ZoneShape::HalfSpace(HalfSpace {
            normal: Vector3::y(),
            offset_m: -5.0,
        });
        assert!(!covers(&below(9.0), &tilted));
    }
}
