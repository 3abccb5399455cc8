//! Convex solids and where a ray enters them.
//!
//! Rays are given in the solid's own frame with a direction of any length; `t` counts in that length, so
//! that a direction with z = 1 in the camera gives the depth along the camera's axis. A ray that starts
//! inside a solid doesn't see it. Closed forms throughout, single precision: 1e-7 of a metre-sized cell is
//! far below the depth noise.

use nalgebra::{Isometry3, Matrix3, Vector3};

pub(crate) type V3 = Vector3<f32>;

/// A half-space `normal · p ≤ offset` in the solid's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Facet {
    pub(crate) normal: V3,
    pub(crate) offset: f32,
}

/// The shape in its own frame, centred on the origin; round shapes stand along z.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Block { half: V3 },
    Cylinder { radius: f32, half_height: f32 },
    Capsule { radius: f32, half_length: f32 },
    Sphere { radius: f32 },
    Convex { facets: Vec<Facet>, half: V3 },
}

/// Where a ray enters: distance in lengths of the direction, outward unit normal in the solid's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) t: f32,
    pub(crate) normal: V3,
}

/// Part of the ray that is looked at, in lengths of its direction; both ends excluded.
pub(crate) type Span = core::ops::Range<f32>;

impl Kind {
    /// Half extents of the axis-aligned box around the shape, in its own frame.
    pub(crate) fn half_extents(&self) -> V3 {
        match self {
            Self::Block { half } | Self::Convex { half, .. } => *half,
            Self::Cylinder {
                radius,
                half_height,
            } => V3::new(*radius, *radius, *half_height),
            Self::Capsule {
                radius,
                half_length,
            } => V3::new(*radius, *radius, half_length + radius),
            Self::Sphere { radius } => V3::repeat(*radius),
        }
    }

    /// Where the ray `origin + t · direction` enters, for a `t` inside `span`.
    #[inline]
    pub(crate) fn enter(&self, origin: &V3, direction: &V3, span: &Span) -> Option<Entry> {
        match self {
            Self::Block { half } => enter_block(half, origin, direction, span),
            Self::Cylinder {
                radius,
                half_height,
            } => enter_cylinder(*radius, *half_height, origin, direction, span),
            Self::Capsule {
                radius,
                half_length,
            } => enter_capsule(*radius, *half_length, origin, direction, span),
            Self::Sphere { radius } => enter_sphere(&V3::zeros(), *radius, origin, direction, span),
            Self::Convex { facets, .. } => enter_convex(facets, origin, direction, span),
        }
    }
}

/// Rays that are tested together, so that the compiler can use vector instructions.
pub(crate) const STRIP: usize = 8;

/// Directions of a strip of rays: x, y and z.
pub(crate) type Directions = [[f32; STRIP]; 3];

/// Where a strip of rays enters a block.
pub(crate) struct Strip {
    /// Distance of each ray; infinity where it doesn't enter.
    pub(crate) t: [f32; STRIP],
    /// Axis of the face through which it enters.
    pub(crate) axis: [u32; STRIP],
}

impl Strip {
    /// [`Kind::enter`] of a block, for a strip of rays from one origin. Entries behind it are included.
    #[inline]
    pub(crate) fn enter_block(half: &V3, origin: &V3, directions: &Directions) -> Self {
        let mut near = [f32::NEG_INFINITY; STRIP];
        let mut far = [f32::INFINITY; STRIP];
        let mut axis = [0; STRIP];
        for (i, components) in directions.iter().enumerate() {
            let (low, high) = (-half[i] - origin[i], half[i] - origin[i]);
            for (ray, component) in components.iter().enumerate() {
                // As in `enter_block`, but without a branch.
                let inverse = 1.0 / component;
                let (a, b) = (low * inverse, high * inverse);
                let entering = a.min(b);
                let is_later = entering > near[ray];
                near[ray] = if is_later { entering } else { near[ray] };
                axis[ray] = if is_later { i as u32 } else { axis[ray] };
                far[ray] = far[ray].min(a.max(b));
            }
        }
        for (near, far) in near.iter_mut().zip(far) {
            *near = if *near > far { f32::INFINITY } else { *near };
        }
        Self { t: near, axis }
    }
}

#[inline]
fn within(t: f32, span: &Span) -> bool {
    t > span.start && t < span.end
}

#[inline]
fn enter_block(half: &V3, origin: &V3, direction: &V3, span: &Span) -> Option<Entry> {
    let (mut near, mut far) = (f32::NEG_INFINITY, f32::INFINITY);
    let mut axis = 0;
    for i in 0..3 {
        // A zero component divides to an infinity of the right sign, or to a NaN that `max`/`min` ignore.
        let inverse = 1.0 / direction[i];
        let (a, b) = (
            (-half[i] - origin[i]) * inverse,
            (half[i] - origin[i]) * inverse,
        );
        let entering = a.min(b);
        if entering > near {
            near = entering;
            axis = i;
        }
        far = far.min(a.max(b));
    }
    if near > far || !within(near, span) {
        return None;
    }
    let mut normal = V3::zeros();
    normal[axis] = -direction[axis].signum();
    Some(Entry { t: near, normal })
}

#[inline]
fn enter_convex(facets: &[Facet], origin: &V3, direction: &V3, span: &Span) -> Option<Entry> {
    let (mut near, mut far) = (f32::NEG_INFINITY, f32::INFINITY);
    let mut normal = V3::zeros();
    for facet in facets {
        let along = facet.normal.dot(direction);
        let gap = facet.offset - facet.normal.dot(origin);
        if along == 0.0 {
            if gap < 0.0 {
                return None;
            }
        } else if along < 0.0 {
            let t = gap / along;
            if t > near {
                near = t;
                normal = facet.normal;
            }
        } else {
            far = far.min(gap / along);
        }
        if near > far {
            return None;
        }
    }
    within(near, span).then_some(Entry { t: near, normal })
}

#[inline]
fn enter_sphere(
    center: &V3,
    radius: f32,
    origin: &V3,
    direction: &V3,
    span: &Span,
) -> Option<Entry> {
    let offset = origin - center;
    let a = direction.norm_squared();
    let b = offset.dot(direction);
    let c = offset.norm_squared() - radius * radius;
    let discriminant = b * b - a * c;
    if discriminant < 0.0 {
        return None;
    }
    let t = (-b - discriminant.sqrt()) / a;
    within(t, span).then(|| Entry {
        t,
        normal: (offset + direction * t) / radius,
    })
}

/// The smaller root of the infinite cylinder around z, and its normal.
#[inline]
fn enter_tube(radius: f32, origin: &V3, direction: &V3) -> Option<(f32, V3)> {
    let a = direction.x * direction.x + direction.y * direction.y;
    if a < 1e-12 {
        return None;
    }
    let b = origin.x * direction.x + origin.y * direction.y;
    let c = origin.x * origin.x + origin.y * origin.y - radius * radius;
    let discriminant = b * b - a * c;
    if discriminant < 0.0 {
        return None;
    }
    let t = (-b - discriminant.sqrt()) / a;
    let normal = V3::new(
        (origin.x + t * direction.x) / radius,
        (origin.y + t * direction.y) / radius,
        0.0,
    );
    Some((t, normal))
}

#[inline]
fn enter_cylinder(
    radius: f32,
    half_height: f32,
    origin: &V3,
    direction: &V3,
    span: &Span,
) -> Option<Entry> {
    if let Some((t, normal)) = enter_tube(radius, origin, direction)
        && (origin.z + t * direction.z).abs() <= half_height
    {
        return within(t, span).then_some(Entry { t, normal });
    }
    if direction.z == 0.0 {
        return None;
    }
    let side = -direction.z.signum();
    let t = (side * half_height - origin.z) / direction.z;
    let (x, y) = (origin.x + t * direction.x, origin.y + t * direction.y);
    (x * x + y * y <= radius * radius && within(t, span)).then_some(Entry {
        t,
        normal: V3::new(0.0, 0.0, side),
    })
}

#[inline]
fn enter_capsule(
    radius: f32,
    half_length: f32,
    origin: &V3,
    direction: &V3,
    span: &Span,
) -> Option<Entry> {
    if let Some((t, normal)) = enter_tube(radius, origin, direction) {
        let z = origin.z + t * direction.z;
        if z.abs() <= half_length {
            return within(t, span).then_some(Entry { t, normal });
        }
        let center = V3::new(0.0, 0.0, half_length * z.signum());
        return enter_sphere(&center, radius, origin, direction, span);
    }
    let center = V3::new(0.0, 0.0, -half_length * direction.z.signum());
    enter_sphere(&center, radius, origin, direction, span)
}

/// A coloured solid in the base frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Solid {
    pub(crate) kind: Kind,
    /// Solid's frame → base frame.
    pub(crate) rotation: Matrix3<f32>,
    pub(crate) position: V3,
    /// Linear albedo, 0 to 1.
    pub(crate) albedo: [f32; 3],
    pub(crate) casts_shadow: bool,
}

impl Solid {
    pub(crate) fn new(kind: Kind, pose: &Isometry3<f64>, albedo: [f32; 3]) -> Self {
        Self {
            kind,
            rotation: pose
                .rotation
                .to_rotation_matrix()
                .into_inner()
                .map(|c| c as f32),
            position: pose.translation.vector.map(|c| c as f32),
            albedo,
            casts_shadow: true,
        }
    }

    /// The eight corners of the oriented box around the solid, base frame.
    pub(crate) fn corners(&self) -> [V3; 8] {
        let half = self.kind.half_extents();
        core::array::from_fn(|i| {
            let sign = |bit: usize| if i & bit == 0 { -1.0 } else { 1.0 };
            self.position
                + self.rotation * V3::new(half.x * sign(1), half.y * sign(2), half.z * sign(4))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        kind: &Kind,
        origin: [f32; 3],
        direction: [f32; 3],
        expected: Option<(f32, [f32; 3])>,
    ) {
        let entry = kind.enter(
            &V3::from(origin),
            &V3::from(direction),
            &(0.0..f32::INFINITY),
        );
        match (entry, expected) {
            (None, None) => {}
            (Some(entry), Some((t, normal))) => {
                assert!(
                    (entry.t - t).abs() < 1e-5,
                    "{kind:?}: {entry:?}, expected {t}"
                );
                assert!(
                    (entry.normal - V3::from(normal)).norm() < 1e-4,
                    "{kind:?}: {entry:?}, expected {normal:?}"
                );
            }
            (entry, expected) => panic!("{kind:?}: {entry:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn rays_enter_where_geometry_says() {
        let block = Kind::Block {
            half: V3::new(0.1, 0.2, 0.3),
        };
        let down = [0.0, 0.0, -1.0];
        check(&block, [0.05, 0.1, 1.0], down, Some((0.7, [0.0, 0.0, 1.0])));
        check(&block, [0.11, 0.1, 1.0], down, None);
        check(&block, [0.0, 0.0, 0.0], down, None);
        check(&block, [0.0, 0.0, -1.0], down, None);
        check(
            &block,
            [1.0, 0.0, 0.0],
            [-2.0, 0.0, 0.0],
            Some((0.45, [1.0, 0.0, 0.0])),
        );
        let cylinder = Kind::Cylinder {
            radius: 0.1,
            half_height: 0.2,
        };
        check(
            &cylinder,
            [0.05, 0.0, 1.0],
            down,
            Some((0.8, [0.0, 0.0, 1.0])),
        );
        check(&cylinder, [0.1001, 0.0, 1.0], down, None);
        check(
            &cylinder,
            [1.0, 0.0, 0.1],
            [-1.0, 0.0, 0.0],
            Some((0.9, [1.0, 0.0, 0.0])),
        );
        check(&cylinder, [1.0, 0.0, 0.21], [-1.0, 0.0, 0.0], None);
        let capsule = Kind::Capsule {
            radius: 0.1,
            half_length: 0.2,
        };
        check(
            &capsule,
            [0.0, 0.0, 1.0],
            down,
            Some((0.7, [0.0, 0.0, 1.0])),
        );
        check(
            &capsule,
            [1.0, 0.0, 0.2],
            [-1.0, 0.0, 0.0],
            Some((0.9, [1.0, 0.0, 0.0])),
        );
        check(
            &capsule,
            [0.06, 0.0, 1.0],
            down,
            Some((0.72, [0.6, 0.0, 0.8])),
        );
        let sphere = Kind::Sphere { radius: 0.5 };
        check(&sphere, [0.3, 0.0, 2.0], down, Some((1.6, [0.6, 0.0, 0.8])));
        check(&sphere, [0.51, 0.0, 2.0], down, None);
        // A roof: slopes of 2 on both sides of x = 0, cut off at z = 0.1.
        let slope = 5.0_f32.sqrt();
        let facet = |normal: [f32; 3], offset| Facet {
            normal: V3::from(normal),
            offset,
        };
        let roof = Kind::Convex {
            facets: vec![
                facet([2.0 / slope, 0.0, 1.0 / slope], 0.3 / slope),
                facet([-2.0 / slope, 0.0, 1.0 / slope], 0.3 / slope),
                facet([0.0, 1.0, 0.0], 0.3),
                facet([0.0, -1.0, 0.0], 0.3),
                facet([0.0, 0.0, 1.0], 0.1),
                facet([0.0, 0.0, -1.0], 0.1),
            ],
            half: V3::new(0.2, 0.3, 0.1),
        };
        check(&roof, [0.05, 0.2, 1.0], down, Some((0.9, [0.0, 0.0, 1.0])));
        check(
            &roof,
            [0.15, 0.0, 1.0],
            down,
            Some((1.0, [2.0 / slope, 0.0, 1.0 / slope])),
        );
        check(&roof, [0.0, 0.31, 1.0], down, None);
    }

    #[test]
    fn a_strip_of_rays_enters_a_block_where_each_of_them_does() {
        let half = V3::new(0.1, 0.2, 0.3);
        let block = Kind::Block { half };
        let origin = V3::new(0.5, -0.1, 1.0);
        let mut entered = 0;
        for step in 0..200 {
            let directions: Directions = core::array::from_fn(|axis| {
                core::array::from_fn(|ray| {
                    let number = STRIP * step + ray;
                    let offset = [-0.5, 0.1, -1.0][axis];
                    // Every seventh ray is parallel to a face.
                    let spread = ((number * (axis + 3)) % 7) as f32 - 3.0;
                    offset * (number % 7).min(1) as f32 + 0.06 * spread
                })
            });
            let strip = Strip::enter_block(&half, &origin, &directions);
            for ray in 0..STRIP {
                let direction = V3::from(directions.map(|components| components[ray]));
                let Some(entry) = block.enter(&origin, &direction, &(0.0..f32::INFINITY)) else {
                    let t = strip.t[ray];
                    assert!(t <= 0.0 || t == f32::INFINITY, "{direction:?}: {t}");
                    continue;
                };
                entered += 1;
                assert_eq!(strip.t[ray].to_bits(), entry.t.to_bits(), "{direction:?}");
                assert_eq!(strip.axis[ray] as usize, entry.normal.iamax());
            }
        }
        assert!(entered > 100, "{entered}");
    }

    #[test]
    fn what_lies_behind_a_nearer_hit_is_not_entered() {
        let sphere = Kind::Sphere { radius: 0.5 };
        let (origin, direction) = (V3::new(0.0, 0.0, 2.0), V3::new(0.0, 0.0, -1.0));
        assert!(sphere.enter(&origin, &direction, &(0.0..1.4)).is_none());
        assert!(sphere.enter(&origin, &direction, &(0.0..1.6)).is_some());
    }
}
