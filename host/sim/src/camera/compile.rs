//! From the scene's plain data to solids that rays can be cast at.

use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

use super::lens::isometry;
use super::render::Illumination;
use super::solid::{Facet, Kind, Solid, V3};
use crate::scene::{Light, SceneState, Shape, SolidKind};

/// Fixtures larger than this lie under everything and shade nothing, m.
const GROUND_HALF_M: f64 = 0.5;

/// Every solid of the scene in its order, so that indices mean the same in both.
pub(crate) fn solids(scene: &SceneState) -> Vec<Solid> {
    scene
        .model
        .solids
        .iter()
        .zip(&scene.poses)
        .map(|(solid, pose)| {
            let (kind, own) = kind(&solid.shape);
            let mut compiled = Solid::new(kind, &(isometry(pose) * own), solid.rgb);
            compiled.casts_shadow = solid.kind != SolidKind::Fixture
                || solid
                    .shape
                    .half_extents_m()
                    .iter()
                    .all(|h| *h < GROUND_HALF_M);
            compiled
        })
        .collect()
}

/// The shape around its own centre, and where that centre is in the frame of the scene's solid.
fn kind(shape: &Shape) -> (Kind, Isometry3<f64>) {
    let kind = match shape {
        Shape::Box { half_m } => Kind::Block {
            half: V3::from(half_m.map(|h| h as f32)),
        },
        Shape::Cylinder {
            radius_m,
            half_height_m,
        } => Kind::Cylinder {
            radius: *radius_m as f32,
            half_height: *half_height_m as f32,
        },
        Shape::Sphere { radius_m } => Kind::Sphere {
            radius: *radius_m as f32,
        },
        Shape::Capsule { a_m, b_m, radius_m } => {
            let (a, b) = (Vector3::from(*a_m), Vector3::from(*b_m));
            let axis = b - a;
            let turn = UnitQuaternion::rotation_between(&Vector3::z(), &axis)
                // Only a segment that points straight down has no unique turn.
                .unwrap_or_else(UnitQuaternion::identity);
            let kind = Kind::Capsule {
                radius: *radius_m as f32,
                half_length: (axis.norm() / 2.0) as f32,
            };
            let center = Translation3::from((a + b) / 2.0);
            return (kind, Isometry3::from_parts(center, turn));
        }
        Shape::Prism { points_m } => hull(points_m),
    };
    (kind, Isometry3::identity())
}

/// The half-spaces of the convex hull: every plane through three points that has all others on one side.
fn hull(points_m: &[[f64; 3]]) -> Kind {
    let points: Vec<Vector3<f64>> = points_m.iter().map(|p| Vector3::from(*p)).collect();
    let mut facets: Vec<Facet> = Vec::new();
    for (i, a) in points.iter().enumerate() {
        for (j, b) in points.iter().enumerate().skip(i + 1) {
            for c in points.iter().skip(j + 1) {
                let cross = (b - a).cross(&(c - a));
                if cross.norm() < 1e-12 {
                    continue;
                }
                let normal = cross.normalize();
                for outward in [normal, -normal] {
                    let offset = outward.dot(a);
                    let facet = Facet {
                        normal: outward.map(|n| n as f32),
                        offset: offset as f32,
                    };
                    let known = facets
                        .iter()
                        .any(|f| (f.normal - facet.normal).norm() < 1e-4);
                    if !known && points.iter().all(|p| outward.dot(p) <= offset + 1e-9) {
                        facets.push(facet);
                    }
                }
            }
        }
    }
    let mut half = V3::zeros();
    for point in &points {
        half = half.sup(&point.map(|c| c.abs() as f32));
    }
    Kind::Convex { facets, half }
}

/// The scene's light as the renderer takes it.
pub(crate) fn illumination(light: &Light) -> Illumination {
    let towards = Vector3::from(light.towards_lamp);
    let towards = towards
        .try_normalize(1e-9)
        .unwrap_or_else(Vector3::z)
        .map(|c| c as f32);
    Illumination {
        towards,
        direct: LAMP * light.intensity as f32,
        ambient: light.ambient as f32,
    }
}

/// Share of a lamp of intensity 1 that a surface facing it returns on top of the ambient light; with the
/// nominal ambient 0.35 and 30 % more of both, white just about reaches full scale.
const LAMP: f32 = 0.55;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hull_has_each_face_once() {
        let roof = crate::config::ShapeConfig::Roof {
            length: 0.046,
            ridge: 0.016,
            width: 0.030,
            height: 0.028,
        };
        let Shape::Prism { points_m } = roof.shape() else {
            panic!("a roof is a prism");
        };
        let Kind::Convex { facets, half } = hull(&points_m) else {
            panic!("a hull is convex");
        };
        assert_eq!(facets.len(), 6, "{facets:?}");
        assert!((half - V3::new(0.023, 0.015, 0.014)).norm() < 1e-6);
        for facet in &facets {
            let touching = points_m
                .iter()
                .filter(|p| {
                    let p = V3::from(p.map(|c| c as f32));
                    (facet.normal.dot(&p) - facet.offset).abs() < 1e-6
                })
                .count();
            assert_eq!(touching, 4, "{facet:?}");
        }
    }

    #[test]
    fn a_capsule_between_two_points_has_both_ends() {
        for b in [[0.1, 0.2, 0.3], [0.0, 0.0, 0.4], [0.0, 0.0, -0.4]] {
            let (kind, pose) = kind(&Shape::Capsule {
                a_m: [0.0, 0.0, 0.1],
                b_m: b,
                radius_m: 0.02,
            });
            let Kind::Capsule { half_length, .. } = kind else {
                panic!("a capsule stays one");
            };
            let tip = f64::from(half_length);
            let ends = [tip, -tip].map(|z| (pose * nalgebra::Point3::new(0.0, 0.0, z)).coords);
            for wanted in [Vector3::new(0.0, 0.0, 0.1), Vector3::from(b)] {
                let near = ends.iter().any(|end| (end - wanted).norm() < 1e-6);
                assert!(near, "{wanted:?} not among {ends:?}");
            }
        }
    }
}
