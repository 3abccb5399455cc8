//! What a stop is, worked out a second time: the braking law from its description, and distances by sampling.

use nalgebra::Vector3;
use sinew_kinematics::{PlacedCapsule, Point};
use sinew_messages::{JOINTS, JointVector};
use sinew_safety::{SafetyConfig, ZoneShape};

use crate::rig::{T, chain};

/// Distance of two samples along a capsule's axis, m.
const STEP_M: f64 = 0.01;

/// Positions, velocities and accelerations of the joints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Motion {
    pub(crate) q: JointVector,
    pub(crate) v: JointVector,
    pub(crate) a: JointVector,
}

impl Motion {
    /// From three positions, one tick apart, the newest last.
    pub(crate) fn of(positions: &[JointVector; 3]) -> Self {
        let v = |n: usize| -> JointVector {
            core::array::from_fn(|i| (positions[n][i] - positions[n - 1][i]) / T)
        };
        let (last, now) = (v(1), v(2));
        Self {
            q: positions[2],
            v: now,
            a: core::array::from_fn(|i| (now[i] - last[i]) / T),
        }
    }

    /// One tick of going on: with its acceleration, and it may turn round. A stop is on its way: whoever slows down there
    /// stays as fast.
    pub(crate) fn go_on(&mut self, is_motion: bool) {
        for i in 0..JOINTS {
            if is_motion || self.v[i] * self.a[i] > 0.0 {
                self.v[i] += T * self.a[i];
            }
            self.q[i] += T * self.v[i];
        }
    }

    /// True if `next` is this one's next tick on the stop.
    pub(crate) fn stopped_by(&self, next: &Self, c: &SafetyConfig) -> bool {
        let mut stop = *self;
        stop.brake(c);
        (stop.a.iter().zip(&next.a)).all(|(stop, next)| (stop - next).abs() < 1e-5)
    }

    /// One tick of the stop: toward a ramp `x, x − d, …` of whole ticks that ends at rest, one jerk step a tick, and
    /// within the stop's deceleration.
    pub(crate) fn brake(&mut self, c: &SafetyConfig) {
        for i in 0..JOINTS {
            let (most, d) = (c.stop_acceleration_rad_s2[i], c.stop_jerk_rad_s3[i] * T);
            let ticks = self.v[i].abs() / T;
            let mut m = 1.0;
            while m * (m + 1.0) / 2.0 * d < ticks {
                m += 1.0;
            }
            let ramp = (ticks / m + 0.5 * d * (m - 1.0)).min(most);
            let wanted = if self.v[i] == 0.0 {
                0.0
            } else {
                -ramp.copysign(self.v[i])
            };
            let a = wanted.clamp(self.a[i] - d, self.a[i] + d);
            let cap = most.max(self.a[i].abs() - d);
            self.a[i] = a.clamp(-cap, cap);
            self.v[i] += T * self.a[i];
            if self.v[i].abs() < 1e-10 && self.a[i].abs() <= d {
                self.v[i] = 0.0;
            }
            self.q[i] += T * self.v[i];
        }
    }
}

/// Points along a capsule's axis.
fn along(capsule: &PlacedCapsule) -> impl Iterator<Item = Point> {
    let (a, way) = (capsule.a, capsule.b - capsule.a);
    let count = (way.norm() / STEP_M).ceil().max(1.0) as u32;
    (0..=count).map(move |n| a + way * (f64::from(n) / f64::from(count)))
}

/// Distance of a point to a shape of the test cell, m.
fn to_shape(p: &Point, shape: &ZoneShape) -> f64 {
    match shape {
        ZoneShape::Box(b) => {
            let out: Vector3<f64> =
                Vector3::from_fn(|i, _| (b.min[i] - p[i]).max(p[i] - b.max[i]).max(0.0));
            out.norm()
        }
        ZoneShape::HalfSpace(h) => h.normal.dot(&p.coords) - h.offset_m,
        ZoneShape::Cylinder(c) => {
            let across = (p.x - c.base.x).hypot(p.y - c.base.y) - c.radius_m;
            let along = (c.base.z - p.z).max(p.z - c.base.z - c.height_m);
            across.max(0.0).hypot(along.max(0.0))
        }
        ZoneShape::Hull(hull) => (hull.faces().iter())
            .map(|face| face.normal.dot(&p.coords) - face.offset_m)
            .fold(f64::NEG_INFINITY, f64::max),
    }
}

/// Least distances at `q`: of the arm to envelope and forbidden zones, of two links to each other, m.
pub(crate) fn clearances(c: &SafetyConfig, q: &JointVector) -> [f64; 2] {
    let chain = chain();
    let forward = chain.forward(q);
    let placed: Vec<PlacedCapsule> = chain.place_capsules(&forward).collect();
    let (mut space, mut links) = (f64::INFINITY, f64::INFINITY);
    for capsule in &placed {
        let points: Vec<Point> = along(capsule).collect();
        if capsule.link > 0 {
            for p in &points {
                for i in 0..3 {
                    space = space
                        .min(p[i] - c.envelope_min_m[i] - capsule.radius_m)
                        .min(c.envelope_max_m[i] - p[i] - capsule.radius_m);
                }
                for zone in c.zones.iter().filter(|zone| zone.speed_max_m_s.is_none()) {
                    space = space.min(to_shape(p, &zone.shape) - capsule.radius_m);
                }
            }
        }
        let Some(collision) = &c.self_collision else {
            continue;
        };
        for other in &placed {
            let (a, b) = (capsule.link.min(JOINTS), other.link.min(JOINTS));
            let known =
                (collision.ignored.iter()).any(|[x, y]| [*x, *y] == [capsule.link, other.link]);
            if a + 2 <= b && !known {
                let far: Vec<Point> = along(other).collect();
                for (p, r) in points.iter().flat_map(|p| far.iter().map(move |r| (p, r))) {
                    links = links.min((p - r).norm() - capsule.radius_m - other.radius_m);
                }
            }
        }
    }
    [space, links]
}
