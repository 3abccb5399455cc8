//! Speed of the tool, the gripper and the elbow, and the momentum of what moves, along the whole stop.
//!
//! Joints that brake each by itself may let a point of the arm go faster for a moment than it went before: the
//! joint that held against another one stops first. So the speed is bounded over the stop, not at its start.
//!
//! A point moves with `Σ c_j v_j`, where `c_j = z_j × (p − o_j)`. While the joints travel `w_k`, `c_j` changes by at
//! most `Σ_k r w_k` with `r` the lever of the point about the farther out of the two joints. Over an interval of the
//! stop the velocity of joint j stays between two bounds, `m_j ± h_j`, so the speed is at most
//! `‖Σ c_j m_j‖ + Σ ‖c_j‖ h_j + Σ |v_j| Σ_k r w_k`. Intervals that this leaves open are halved, with new `c_j`.
//! What a stop that takes effect late does differently is added ([`crate::late`]).

use nalgebra::Vector3;
use sinew_kinematics::{Body, CAPSULES_MAX, Chain, Forward, HAND, LinkCapsule, Point};
use sinew_messages::{JOINTS, JointVector, LimitKind};

use crate::brake::{ArmState, StopLaw};
use crate::late;
use crate::setpoint::at_most;
use crate::stop::{Knot, StopPath, cannot_be_halved};
use crate::sweep::longest_levers;
use crate::verdict::Violation;

/// Points that are watched: one of each capsule, the tool's, the elbow, and both ends of what is carried.
const POINTS_MAX: usize = CAPSULES_MAX + 4;
/// Link whose origin is the elbow.
const ELBOW_LINK: usize = 4;
/// Intervals that the stop is looked at in before any is halved.
const INTERVALS: usize = 3;
/// Halvings, for what is proposed and for each candidate of the search.
pub(crate) const HALVINGS_PROPOSED: usize = 24;
pub(crate) const HALVINGS_SEARCHED: usize = 8;
/// Intervals that can be open at once: halving a sixth of the longest stop.
const OPEN_MAX: usize = 12;

/// Some of the watched points, a bit each.
type PointSet = u32;
/// The bit of all masses together.
const MOMENTUM: PointSet = 1 << POINTS_MAX;
const _: () = assert!(POINTS_MAX < PointSet::BITS as usize);

/// A point of the arm whose speed is limited.
#[derive(Clone, Copy, Debug)]
struct Watched {
    /// Link that it is part of, numbered as in [`LinkCapsule::link`].
    link: usize,
    /// Where in the link's frame, m.
    at: Point,
    /// Longest lever about each joint.
    lever: JointVector,
    is_elbow: bool,
}

/// Limits of the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SpeedLimits {
    /// Of tool and gripper, m/s.
    pub(crate) tool_m_s: f64,
    /// Of the elbow, m/s.
    pub(crate) elbow_m_s: f64,
    /// Of both, for what a contact may do, m/s.
    pub(crate) contact_m_s: f64,
    /// Of all masses together, kg·m/s.
    pub(crate) momentum_kg_m_s: f64,
}

impl SpeedLimits {
    /// Only of what the points of the arm do.
    pub(crate) fn of_points(speed_m_s: f64) -> Self {
        Self {
            tool_m_s: speed_m_s,
            elbow_m_s: speed_m_s,
            contact_m_s: f64::INFINITY,
            momentum_kg_m_s: f64::INFINITY,
        }
    }

    fn of(&self, point: &Watched) -> f64 {
        let own = if point.is_elbow {
            self.elbow_m_s
        } else {
            self.tool_m_s
        };
        own.min(self.contact_m_s)
    }

    fn violation(&self, point: &Watched, asked: f64) -> Violation {
        let limit_value = self.of(point);
        Violation {
            limit: if limit_value < self.contact_m_s {
                LimitKind::ToolSpeed
            } else {
                LimitKind::ContactSpeed
            },
            index: Some(u32::from(point.is_elbow)),
            limit_value,
            asked,
        }
    }
}

/// What one check is about.
#[derive(Clone, Copy)]
pub(crate) struct SpeedQuestion<'a> {
    pub(crate) chain: &'a Chain,
    /// What was given before.
    pub(crate) given: &'a ArmState,
    /// What is proposed after it.
    pub(crate) candidate: &'a ArmState,
    /// Where that puts the links.
    pub(crate) forward: &'a Forward,
    /// By how much the velocity of each joint may differ if the stop takes effect late, rad/s ([`late::drift`]).
    pub(crate) drift: &'a JointVector,
    pub(crate) law: &'a StopLaw,
    /// Halvings that each interval may take.
    pub(crate) halvings: usize,
}

/// The check of one arm.
#[derive(Clone, Debug)]
pub(crate) struct SpeedCheck {
    points: Vec<Watched>,
    /// How many of them are the arm's: what follows is carried.
    of_arm: usize,
    /// Centres of mass of what moves, the load last, and their masses, kg.
    masses: Vec<(f64, Watched)>,
    /// Most momentum that a rad/s of each joint can make, kg·m.
    momentum_levers: JointVector,
}

/// What the joints do in one interval of the stop: the same for every point.
struct Span {
    /// Middle of the velocities of each joint, rad/s.
    middle: JointVector,
    /// How far they are from it at most, rad/s.
    around: JointVector,
    /// Largest speed, rad/s.
    fastest: JointVector,
    /// Farthest from where the columns were taken, rad.
    off: JointVector,
}

/// A tick of the stop.
#[derive(Clone, Copy)]
struct Moment {
    tick: usize,
    joints: [Knot; JOINTS],
}

impl Moment {
    fn of(path: &StopPath, tick: usize) -> Self {
        Self {
            tick,
            joints: path.knots(tick),
        }
    }
}

impl Span {
    /// Between two ticks of the stop, with columns taken at `taken`.
    fn new(
        path: &StopPath,
        first: &Moment,
        taken: &Moment,
        last: &Moment,
        approach: &Approach<'_>,
    ) -> Self {
        let mut span = Self {
            middle: [0.0; JOINTS],
            around: [0.0; JOINTS],
            fastest: [0.0; JOINTS],
            off: [0.0; JOINTS],
        };
        for j in 0..JOINTS {
            let (before, here, after) = (&first.joints[j], &taken.joints[j], &last.joints[j]);
            let (low, high) = path.velocities(j, first.tick, last.tick, [before.v, after.v]);
            let (low, high) = (
                low + approach.drift[j].min(0.0),
                high + approach.drift[j].max(0.0),
            );
            span.middle[j] = 0.5 * (low + high);
            span.around[j] = 0.5 * (high - low);
            span.fastest[j] = low.abs().max(high.abs());
            let way = |from: &Knot, to: &Knot| (to.travelled - from.travelled).abs();
            span.off[j] = way(here, after).max(way(before, here));
            if first.tick == 0 {
                span.off[j] = span.off[j].max(here.travelled + approach.way[j]);
            }
        }
        span
    }
}

/// What comes before the stop.
struct Approach<'a> {
    /// Way of each joint in the tick before it, rad.
    way: JointVector,
    /// As in the question.
    drift: &'a JointVector,
}

impl SpeedCheck {
    pub(crate) fn new(chain: &Chain) -> Self {
        let tool = Point::from(chain.tool_in_hand().translation.vector);
        let mut points = Vec::with_capacity(POINTS_MAX);
        points.push(watched(chain, HAND, tool, false));
        points.push(watched(chain, ELBOW_LINK, Point::origin(), true));
        // Of each capsule of the hand the end that is farther out.
        for capsule in chain
            .capsules()
            .iter()
            .filter(|capsule| capsule.link == HAND)
        {
            let far = if capsule.a.coords.norm() > capsule.b.coords.norm() {
                capsule.a
            } else {
                capsule.b
            };
            points.push(watched(chain, HAND, far, false));
        }
        let mut check = Self {
            of_arm: points.len(),
            points,
            masses: Vec::new(),
            momentum_levers: [0.0; JOINTS],
        };
        check.carry(chain, &Body::NONE, None);
        check
    }

    /// Takes over what the hand carries.
    pub(crate) fn carry(&mut self, chain: &Chain, load: &Body, carried: Option<&LinkCapsule>) {
        self.points.truncate(self.of_arm);
        for end in carried.into_iter().flat_map(|thing| [thing.a, thing.b]) {
            self.points.push(watched(chain, HAND, end, false));
        }
        self.masses.clear();
        if let Some(masses) = chain.masses() {
            for (n, body) in masses.links.iter().enumerate() {
                self.masses.push(weighing(chain, n + 1, body));
            }
            self.masses.push(weighing(chain, HAND, &masses.hand));
        }
        self.masses.push(weighing(chain, HAND, load));
        self.momentum_levers = core::array::from_fn(|j| {
            (self.masses.iter())
                .map(|(mass, at)| mass * at.lever[j])
                .sum()
        });
    }

    /// The violation where the bound on the momentum over an interval exceeds its limit.
    fn momentum_over(
        &self,
        forward: &Forward,
        span: &Span,
        limits: &SpeedLimits,
    ) -> Option<Violation> {
        let bound = (self.masses.iter())
            .map(|(mass, at)| mass * at.bound(&at.columns(forward), span))
            .sum();
        (!at_most(bound, limits.momentum_kg_m_s)).then_some(Violation {
            limit: LimitKind::Momentum,
            index: None,
            limit_value: limits.momentum_kg_m_s,
            asked: bound,
        })
    }

    /// Checks that no point exceeds its limit on the way to the candidate and along the stop after it. The stop is
    /// written to `path` if it is needed.
    pub(crate) fn check(
        &self,
        question: &SpeedQuestion<'_>,
        path: &mut StopPath,
        limits: &SpeedLimits,
    ) -> Result<(), Violation> {
        let SpeedQuestion {
            chain: _,
            given,
            candidate,
            forward,
            drift,
            law,
            halvings: _,
        } = *question;
        let peak = late::peaks(candidate, law, drift);
        let mut open = [false; POINTS_MAX];
        let mut any = false;
        for (open, point) in open.iter_mut().zip(&self.points) {
            *open = !at_most(sum(&point.lever, &peak), limits.of(point));
            any |= *open;
        }
        let momentum_open = !at_most(sum(&self.momentum_levers, &peak), limits.momentum_kg_m_s);
        if !any && !momentum_open {
            return Ok(());
        }
        if !path.lay(candidate, law) {
            return Err(Violation::of(LimitKind::Configuration));
        }
        let approach = Approach {
            way: core::array::from_fn(|j| (candidate.q[j] - given.q[j]).abs()),
            drift,
        };
        let mut columns = [Columns::NONE; POINTS_MAX];
        for (n, point) in self.points.iter().enumerate() {
            if open[n] {
                columns[n] = point.columns(forward);
            }
        }
        let end = path.ticks().max(1);
        let start = Moment::of(path, 0);
        let mut first = start;
        for i in 1..=INTERVALS {
            let last = Moment::of(path, i * end / INTERVALS);
            // The columns are those of the start.
            let span = Span::new(path, &first, &start, &last, &approach);
            let mut left = 0;
            for (n, point) in self.points.iter().enumerate().filter(|(n, _)| open[*n]) {
                if !at_most(point.bound(&columns[n], &span), limits.of(point)) {
                    left |= 1 << n;
                }
            }
            if momentum_open {
                left |= self
                    .momentum_over(forward, &span, limits)
                    .map_or(0, |_| MOMENTUM);
            }
            if left != 0 {
                self.halve(question, left, path, [&first, &last], &approach, limits)?;
            }
            first = last;
        }
        Ok(())
    }

    /// Decides an interval for some points, a bit each, by halving it, with the columns of each part's own middle.
    fn halve(
        &self,
        question: &SpeedQuestion<'_>,
        points: PointSet,
        path: &StopPath,
        [first, last]: [&Moment; 2],
        approach: &Approach<'_>,
        limits: &SpeedLimits,
    ) -> Result<(), Violation> {
        let mut stack = [(*first, *last, points); OPEN_MAX];
        let mut count = 1;
        let mut halvings = question.halvings;
        while count > 0 {
            count -= 1;
            let (first, last, points) = stack[count];
            let taken = Moment::of(path, first.tick.midpoint(last.tick));
            let forward = (question.chain).forward(&core::array::from_fn(|j| taken.joints[j].q));
            let span = Span::new(path, &first, &taken, &last, approach);
            let exhausted =
                halvings == 0 || cannot_be_halved(first.tick, last.tick, count, OPEN_MAX);
            let mut left = 0;
            for (n, point) in self.points.iter().enumerate() {
                if points & (1 << n) == 0 {
                    continue;
                }
                let bound = point.bound(&point.columns(&forward), &span);
                if at_most(bound, limits.of(point)) {
                    continue;
                }
                if exhausted {
                    return Err(limits.violation(point, bound));
                }
                left |= 1 << n;
            }
            if points & MOMENTUM != 0
                && let Some(violation) = self.momentum_over(&forward, &span, limits)
            {
                if exhausted {
                    return Err(violation);
                }
                left |= MOMENTUM;
            }
            if left != 0 {
                halvings -= 1;
                stack[count] = (first, taken, left);
                stack[count + 1] = (taken, last, left);
                count += 2;
            }
        }
        Ok(())
    }
}

/// Velocity of a point for one rad/s of each joint, m/s, and its length.
#[derive(Clone, Copy)]
struct Columns {
    velocity: [Vector3<f64>; JOINTS],
    length: JointVector,
}

impl Columns {
    const NONE: Self = Self {
        velocity: [Vector3::new(0.0, 0.0, 0.0); JOINTS],
        length: [0.0; JOINTS],
    };
}

/// A body's mass and its centre.
fn weighing(chain: &Chain, link: usize, body: &Body) -> (f64, Watched) {
    let at = Point::from(body.com_m);
    (body.mass_kg, watched(chain, link, at, false))
}

fn watched(chain: &Chain, link: usize, at: Point, is_elbow: bool) -> Watched {
    let capsule = LinkCapsule {
        link,
        a: at,
        b: at,
        radius_m: 0.0,
    };
    Watched {
        link,
        at,
        lever: longest_levers(chain, &capsule),
        is_elbow,
    }
}

impl Watched {
    fn columns(&self, forward: &Forward) -> Columns {
        let place = forward.frame(self.link) * self.at;
        let mut columns = Columns::NONE;
        for (j, link) in forward.links.iter().enumerate().take(self.link) {
            let column = forward.axes[j].cross(&(place.coords - link.translation.vector));
            columns.velocity[j] = column;
            columns.length[j] = column.norm();
        }
        columns
    }

    /// Bound on the speed over an interval, m/s.
    fn bound(&self, columns: &Columns, span: &Span) -> f64 {
        let moving = JOINTS.min(self.link);
        let middle: Vector3<f64> = columns.velocity[..moving]
            .iter()
            .zip(&span.middle)
            .map(|(column, velocity)| column * *velocity)
            .sum();
        let mut around = 0.0;
        // How far column j can have turned: by the joints up to it as a whole, by those after it at their lever.
        let mut after: f64 = sum(&self.lever, &span.off);
        let mut before = 0.0;
        let mut turned = 0.0;
        for j in 0..moving {
            around += columns.length[j] * span.around[j];
            before += span.off[j];
            after -= self.lever[j] * span.off[j];
            turned += span.fastest[j] * (self.lever[j] * before + after.max(0.0));
        }
        middle.norm() + around + turned
    }
}

fn sum(a: &JointVector, b: &JointVector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests;
