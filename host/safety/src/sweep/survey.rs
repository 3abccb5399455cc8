//! Where the bodies are at one posture, how far from everything, and how far each joint can swing them.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, Forward, LinkCapsule, PlacedCapsule, Point};
use sinew_messages::{JOINTS, JointVector};

use super::pairs::apart;
use super::posture::cone_margin;
use super::{BODIES_MAX, Levers, PAIRS_MAX, Sweep};
use crate::limits::SafetyConfig;
use crate::work::Work;

/// A box around nothing.
const NOWHERE: Aabb = Aabb {
    min: Point::new(f64::INFINITY, f64::INFINITY, f64::INFINITY),
    max: Point::new(f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY),
};

/// Margins and lever arms at one joint position.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    pub(super) q: JointVector,
    pub(super) bodies: [PlacedCapsule; BODIES_MAX],
    /// Box around those that move.
    pub(super) bounds: Aabb,
    pub(super) fixed: [f64; BODIES_MAX],
    pub(super) slow: [f64; BODIES_MAX],
    /// Distance of the body's farther end from each joint's axis, m.
    pub(super) lever: [Levers; BODIES_MAX],
    pub(super) pairs: [f64; PAIRS_MAX],
    pub(super) cone: f64,
}
impl Survey {
    /// Of an arm that is nowhere.
    pub(super) fn none() -> Self {
        let nowhere = PlacedCapsule {
            link: 0,
            a: Point::origin(),
            b: Point::origin(),
            radius_m: 0.0,
        };
        Self {
            q: [0.0; JOINTS],
            bodies: [nowhere; BODIES_MAX],
            bounds: NOWHERE,
            fixed: [f64::INFINITY; BODIES_MAX],
            slow: [f64::INFINITY; BODIES_MAX],
            lever: [[0.0; JOINTS]; BODIES_MAX],
            pairs: [f64::INFINITY; PAIRS_MAX],
            cone: f64::INFINITY,
        }
    }
}

impl Sweep {
    pub(super) fn bodies(&self) -> usize {
        self.chain.capsules().len() + usize::from(self.carried.is_some())
    }

    pub(super) fn capsule(&self, body: usize) -> LinkCapsule {
        match self.chain.capsules().get(body) {
            Some(capsule) => *capsule,
            None => self.carried.unwrap_or(LinkCapsule {
                link: 0,
                a: Point::origin(),
                b: Point::origin(),
                radius_m: 0.0,
            }),
        }
    }

    /// True for what a joint carries: the base stands where it was put.
    pub(super) fn moves(&self, body: usize) -> bool {
        self.capsule(body).link > 0
    }

    pub(super) fn place(&self, body: usize, forward: &Forward) -> PlacedCapsule {
        self.capsule(body).placed(forward)
    }

    pub(super) fn take_survey(
        &mut self,
        q: &JointVector,
        forward: &Forward,
        config: &SafetyConfig,
    ) {
        self.survey.q = *q;
        self.survey.bounds = NOWHERE;
        for body in 0..self.bodies() {
            let placed = self.place(body, forward);
            self.survey.bodies[body] = placed;
            if placed.link == 0 {
                continue;
            }
            let radius = Vector3::repeat(placed.radius_m);
            let bounds = &mut self.survey.bounds;
            bounds.min = bounds.min.inf(&(placed.a.inf(&placed.b) - radius));
            bounds.max = bounds.max.sup(&(placed.a.sup(&placed.b) + radius));
            let mut work = self.work;
            self.survey.fixed[body] = self.to_fixed(&placed, config, &mut work).0;
            let slow = (self.slow).nearest(&placed, f64::INFINITY, f64::INFINITY, &mut work);
            self.survey.slow[body] = slow.0;
            self.work = work;
            self.survey.lever[body] = levers_of(&placed, forward);
        }
        for (n, pair) in self.pairs.iter().enumerate() {
            self.survey.pairs[n] = apart(
                &self.survey.bodies[pair.near],
                &self.survey.bodies[pair.far],
            );
        }
        self.survey.cone = cone_margin(forward, config);
    }

    /// Clearance to envelope and forbidden zones, m, and which zone it is.
    pub(super) fn to_fixed(
        &self,
        capsule: &PlacedCapsule,
        config: &SafetyConfig,
        work: &mut Work,
    ) -> (f64, Option<u32>) {
        let least = (0..3)
            .map(|axis| {
                let lower = to_face(capsule, axis, false, config);
                lower.min(to_face(capsule, axis, true, config))
            })
            .fold(f64::INFINITY, f64::min);
        self.forbidden.nearest(capsule, least, f64::INFINITY, work)
    }

    /// Lever arms of a body while no part of it gets farther than `most` from where it was surveyed.
    pub(super) fn levers(&self, body: usize, most: f64) -> Levers {
        core::array::from_fn(|j| (self.survey.lever[body][j] + most).min(self.lever_max[body][j]))
    }
}

/// Distance of a body's farther end from the axis of each joint that moves it, m.
pub(super) fn levers_of(placed: &PlacedCapsule, forward: &Forward) -> Levers {
    let mut lever = [0.0; JOINTS];
    let joints = forward.links.iter().zip(&forward.axes);
    for (lever, (link, axis)) in lever.iter_mut().zip(joints).take(placed.link) {
        let origin = Point::from(link.translation.vector);
        let a = axis.cross(&(placed.a - origin)).norm_squared();
        let b = axis.cross(&(placed.b - origin)).norm_squared();
        *lever = a.max(b).sqrt();
    }
    lever
}

/// Clearance of a capsule to a face of the envelope, m.
pub(super) fn to_face(
    capsule: &PlacedCapsule,
    axis: usize,
    upper: bool,
    config: &SafetyConfig,
) -> f64 {
    let (a, b) = (capsule.a[axis], capsule.b[axis]);
    let room = if upper {
        config.envelope_max_m[axis] - a.max(b)
    } else {
        a.min(b) - config.envelope_min_m[axis]
    };
    room - capsule.radius_m
}
