//! Where a shard takes place: the given configuration, made different at random, and who walks about.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, Body, Chain, Cylinder, HalfSpace, Hull, Point};
use sinew_messages::{JOINTS, JointVector, Obstacle, ObstacleFrame, ObstacleKind};
use sinew_safety::{Cone, SafetyConfig, Zone, ZoneShape};

use crate::sections;
use crate::stream::Stream;

/// Ticks between two scans of the person sensor.
const SCAN_TICKS: u64 = 40;

/// Room that the arm has where it starts, m.
const ROOM_M: f64 = 0.03;

/// A configuration that differs from `base` in its zones, its braking, its sections and in what is switched on. The arm may stand
/// at `start` in it.
pub(crate) fn vary(
    base: &SafetyConfig,
    chain: &Chain,
    start: &JointVector,
    stream: &mut Stream,
) -> SafetyConfig {
    let forward = chain.forward(start);
    let arm: Vec<_> = chain.place_capsules(&forward).collect();
    let is_free = |shape: &ZoneShape| {
        (arm.iter()).all(|capsule| capsule.link == 0 || shape.clearance(capsule) > ROOM_M)
    };
    let mut c = base.clone();
    let brakes = stream.between(0.5, 1.0);
    for i in 0..c.stop_acceleration_rad_s2.len() {
        c.stop_acceleration_rad_s2[i] *= brakes;
        c.stop_jerk_rad_s3[i] *= stream.between(0.6, 1.0);
    }
    c.tracking_margin_m = stream.between(0.005, 0.02);
    let zones = stream.below(12);
    c.zones.retain(|_| !stream.one_in(3));
    for n in 0..zones {
        let at = Point::new(
            stream.between(-0.6, 0.9),
            stream.between(-0.9, 0.9),
            stream.between(-0.1, 1.1),
        );
        let size = Vector3::new(
            stream.between(0.02, 0.3),
            stream.between(0.02, 0.3),
            stream.between(0.02, 0.5),
        );
        let shape = match stream.below(5) {
            0 | 1 => ZoneShape::Box(Aabb {
                min: at,
                max: at + size,
            }),
            2 => ZoneShape::Cylinder(Cylinder {
                base: at,
                radius_m: 0.5 * size.x,
                height_m: size.z,
            }),
            3 => {
                let corners = [
                    at,
                    at + Vector3::x() * size.x,
                    at + Vector3::y() * size.y,
                    at + Vector3::z() * size.z,
                    at + size,
                ];
                match Hull::new(&corners) {
                    Ok(hull) => ZoneShape::Hull(hull),
                    Err(_) => continue,
                }
            }
            _ => {
                let normal =
                    Vector3::new(stream.between(-1.0, 1.0), stream.between(-1.0, 1.0), 0.2)
                        .normalize();
                ZoneShape::HalfSpace(HalfSpace {
                    normal,
                    offset_m: stream.between(-1.0, -0.6),
                })
            }
        };
        let slow = stream.one_in(3).then(|| stream.between(0.05, 0.5));
        if slow.is_none() && !is_free(&shape) {
            continue;
        }
        c.zones.push(Zone {
            name: format!("drawn-{n}"),
            shape,
            speed_max_m_s: slow,
        });
    }
    if stream.one_in(3) {
        c.cone = Some(Cone {
            axis: [0.0, 0.0, -1.0],
            half_angle_rad: stream.between(0.3, 2.0),
        });
    }
    sections::vary(&mut c, chain, start, stream);
    weaken(&mut c, chain, start, &mut stream.apart());
    c
}

/// Drives that are often just strong enough: efforts are what stops such an arm first.
fn weaken(c: &mut SafetyConfig, chain: &Chain, start: &JointVector, stream: &mut Stream) {
    let still = [0.0; JOINTS];
    let weight = chain.efforts(start, &still, &still, &Body::NONE);
    if let (Some(limits), Some(weight), true) = (&mut c.effort, weight, stream.one_in(3)) {
        let quickness = stream.between(0.02, 0.3);
        for (i, weight) in weight.iter().enumerate() {
            let spare = stream.between(0.03, 0.2) * limits.max_nm[i];
            limits.max_nm[i] = (1.2 * weight.abs() + spare).min(limits.max_nm[i]);
            limits.rate_max_nm_s[i] *= quickness;
        }
    }
}

/// A person that walks about, and what the scanner says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// Where it truly is, m.
    pub(crate) at: [f64; 2],
    goal: [f64; 2],
    /// Position of the last scan and its tick.
    scanned: ([f64; 2], u64),
    pub(crate) radius_m: f64,
}

impl Person {
    pub(crate) fn new(stream: &mut Stream) -> Self {
        let far = [stream.between(1.4, 2.0), stream.between(-2.0, 2.0)];
        Self {
            at: far,
            goal: far,
            scanned: (far, 0),
            radius_m: stream.between(0.1, 0.3),
        }
    }

    /// One tick of walking, at most at `speed_m_s`.
    pub(crate) fn walk(&mut self, speed_m_s: f64, stream: &mut Stream) {
        let way = [self.goal[0] - self.at[0], self.goal[1] - self.at[1]];
        let left = libm::hypot(way[0], way[1]);
        let step = speed_m_s * sinew_units::TICK_S;
        if left <= step {
            self.at = self.goal;
            if stream.one_in(400) {
                self.goal = [stream.between(-1.2, 2.0), stream.between(-2.0, 2.0)];
            }
            return;
        }
        for (at, way) in self.at.iter_mut().zip(way) {
            *at += step * way / left;
        }
    }

    /// Nothing new comes from the scanner; what came before only grows older.
    pub(crate) fn grow_old(&self, tick: u64, out: &mut ObstacleFrame) {
        out.obstacles[0].age_ticks = tick - self.scanned.1;
    }

    /// What the scanner says at `tick`.
    pub(crate) fn scan(&mut self, tick: u64, stream: &mut Stream, out: &mut ObstacleFrame) {
        const UNCERTAINTY_M: f64 = 0.05;
        if tick >= self.scanned.1 + SCAN_TICKS {
            let angle = stream.between(0.0, core::f64::consts::TAU);
            let off = UNCERTAINTY_M * stream.unit();
            let (sin, cos) = libm::sincos(angle);
            self.scanned = ([self.at[0] + off * cos, self.at[1] + off * sin], tick);
        }
        out.seen_tick = tick;
        out.obstacles[0] = Obstacle {
            kind: ObstacleKind::Column as u32,
            reserved: 0,
            position_m: [self.scanned.0[0], self.scanned.0[1], 0.0],
            radius_m: self.radius_m,
            uncertainty_m: UNCERTAINTY_M,
            age_ticks: tick - self.scanned.1,
        };
    }
}
