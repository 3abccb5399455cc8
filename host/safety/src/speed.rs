//! Speed of the tool, the gripper and the elbow along the whole stop.
//!
//! Joints that brake each by itself may let a point of the arm go faster for a moment than it went before: the
//! joint that held against another one stops first. So the speed is bounded over the stop, not at its start.
//!
//! A point moves with `Σ c_j v_j`, where `c_j = z_j × (p − o_j)`. While the joints travel `w_k`, `c_j` changes by at
//! most `Σ_k r w_k` with `r` the lever of the point about the farther out of the two joints. Over an interval of the
//! stop the velocity of joint j stays between two bounds, `m_j ± h_j`, so the speed is at most
//! `‖Σ c_j m_j‖ + Σ ‖c_j‖ h_j + Σ |v_j| Σ_k r w_k`. Intervals that this leaves open are halved, with new `c_j`.
//! What the robot may gain during the reaction time is added.

use nalgebra::Vector3;
use sinew_kinematics::{Chain, Forward, HAND, LinkCapsule, Point};
use sinew_messages::{JOINTS, JointVector, LimitKind};
use sinew_units::TICK_S;

use crate::brake::{ArmState, StopLaw};
use crate::setpoint::at_most;
use crate::stop::StopPath;
use crate::sweep::longest_levers;
use crate::verdict::Violation;

/// Points that are watched.
const POINTS_MAX: usize = 8;
/// Link whose origin is the elbow.
const ELBOW_LINK: usize = 4;
/// Intervals that the stop is looked at in before any is halved.
const INTERVALS: usize = 6;
/// Halvings, for what is proposed and for each candidate of the search.
pub(crate) const HALVINGS_PROPOSED: usize = 24;
pub(crate) const HALVINGS_SEARCHED: usize = 8;

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

/// Speed limits of the moment, m/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SpeedLimits {
    pub(crate) tool_m_s: f64,
    pub(crate) elbow_m_s: f64,
}

impl SpeedLimits {
    fn of(&self, point: &Watched) -> f64 {
        if point.is_elbow {
            self.elbow_m_s
        } else {
            self.tool_m_s
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
    /// Speed that each joint may gain in the reaction time, rad/s.
    pub(crate) gain: &'a JointVector,
    pub(crate) law: &'a StopLaw,
    /// Halvings that each interval may take.
    pub(crate) halvings: usize,
}

/// The check of one arm.
#[derive(Clone, Debug)]
pub(crate) struct SpeedCheck {
    points: Vec<Watched>,
}

/// One interval of the stop under check.
struct Span<'a> {
    path: &'a StopPath,
    /// Tick at which the columns were taken.
    taken: usize,
    first: usize,
    last: usize,
    /// Way of each joint in the tick before the stop.
    approach: &'a JointVector,
    /// Speed that each joint may gain in the reaction time.
    gain: &'a JointVector,
}

impl SpeedCheck {
    pub(crate) fn new(chain: &Chain) -> Self {
        let tool = Point::from(chain.tool_in_hand().translation.vector);
        let mut points = vec![watched(chain, HAND, tool, false)];
        if JOINTS >= ELBOW_LINK {
            points.push(watched(chain, ELBOW_LINK, Point::origin(), true));
        }
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
            if points.len() < POINTS_MAX {
                points.push(watched(chain, HAND, far, false));
            }
        }
        Self { points }
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
            chain,
            given,
            candidate,
            gain,
            law,
            halvings,
        } = *question;
        let peak = peaks(candidate, gain, law);
        let mut open = [false; POINTS_MAX];
        let mut any = false;
        for (open, point) in open.iter_mut().zip(&self.points) {
            *open = !at_most(sum(&point.lever, &peak), limits.of(point));
            any |= *open;
        }
        if !any {
            return Ok(());
        }
        if !path.lay(candidate, law) {
            return Err(Violation::of(LimitKind::Configuration));
        }
        let approach: JointVector = core::array::from_fn(|j| (candidate.q[j] - given.q[j]).abs());
        let start = chain.forward(&candidate.q);
        let end = path.ticks().max(1);
        for (n, point) in self.points.iter().enumerate() {
            if !open[n] {
                continue;
            }
            let columns = point.columns(&start);
            for i in 0..INTERVALS {
                let span = Span {
                    path,
                    taken: 0,
                    first: i * end / INTERVALS,
                    last: (i + 1) * end / INTERVALS,
                    approach: &approach,
                    gain,
                };
                if !at_most(point.bound(&columns, &span), limits.of(point)) {
                    self.halve(chain, point, span, limits, halvings)?;
                }
            }
        }
        Ok(())
    }

    /// Decides an interval by halving it, with the columns of each part's own start.
    fn halve(
        &self,
        chain: &Chain,
        point: &Watched,
        span: Span<'_>,
        limits: &SpeedLimits,
        halvings: usize,
    ) -> Result<(), Violation> {
        let limit = limits.of(point);
        let mut stack = [(0_usize, 0_usize); 16];
        stack[0] = (span.first, span.last);
        let mut count = 1;
        let mut left = halvings;
        while count > 0 {
            count -= 1;
            let (first, last) = stack[count];
            let taken = first.midpoint(last);
            let forward = chain.forward(&span.path.position(taken));
            let columns = point.columns(&forward);
            let here = Span {
                path: span.path,
                taken,
                first,
                last,
                approach: span.approach,
                gain: span.gain,
            };
            let bound = point.bound(&columns, &here);
            if at_most(bound, limit) {
                continue;
            }
            if left == 0 || last - first <= 1 || count + 2 > stack.len() {
                return Err(Violation {
                    limit: LimitKind::ToolSpeed,
                    index: Some(if point.is_elbow { 1 } else { 0 }),
                    limit_value: limit,
                    asked: bound,
                });
            }
            left -= 1;
            stack[count] = (first, taken);
            stack[count + 1] = (taken, last);
            count += 2;
        }
        Ok(())
    }
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
    /// Velocity of the point for one rad/s of each joint, m/s.
    fn columns(&self, forward: &Forward) -> [Vector3<f64>; JOINTS] {
        let place = forward.frame(self.link) * self.at;
        core::array::from_fn(|j| {
            if j >= self.link {
                return Vector3::zeros();
            }
            let link = &forward.links[j];
            let axis = link.rotation * Vector3::z();
            axis.cross(&(place.coords - link.translation.vector))
        })
    }

    /// Bound on the speed over an interval, m/s.
    fn bound(&self, columns: &[Vector3<f64>; JOINTS], span: &Span<'_>) -> f64 {
        let before = span.path.travelled(span.first);
        let taken = span.path.travelled(span.taken);
        let after = span.path.travelled(span.last);
        let mut middle = Vector3::zeros();
        let mut around = 0.0;
        let mut fastest = [0.0; JOINTS];
        let mut off = [0.0; JOINTS];
        for j in 0..JOINTS.min(self.link) {
            let (low, high) = span.path.velocities(j, span.first, span.last);
            middle += columns[j] * (0.5 * (low + high));
            around += columns[j].norm() * (0.5 * (high - low) + span.gain[j]);
            fastest[j] = low.abs().max(high.abs()) + span.gain[j];
            off[j] = (after[j] - taken[j]).max(taken[j] - before[j]);
            if span.first == 0 {
                off[j] = off[j].max(taken[j] + span.approach[j]);
            }
        }
        // How far column j can have turned: by joints before it as a whole, by those after it at their lever.
        let turned: f64 = (fastest.iter().enumerate())
            .map(|(j, fastest)| {
                let ways = off.iter().enumerate();
                let by: f64 = ways.map(|(k, off)| self.lever[j.max(k)] * off).sum();
                fastest * by
            })
            .sum();
        middle.norm() + around + turned
    }
}

/// Largest speed of each joint along the stop, rad/s.
fn peaks(candidate: &ArmState, gain: &JointVector, law: &StopLaw) -> JointVector {
    core::array::from_fn(|j| law.peak_speed(j, candidate.v[j], candidate.a[j]) + gain[j])
}

/// Speed that each joint may gain while the robot goes on for the reaction time, rad/s.
pub(crate) fn reaction_gain(candidate: &ArmState, reaction_ticks: u32) -> JointVector {
    core::array::from_fn(|j| {
        if candidate.v[j] * candidate.a[j] >= 0.0 {
            candidate.a[j].abs() * f64::from(reaction_ticks) * TICK_S
        } else {
            0.0
        }
    })
}

fn sum(a: &JointVector, b: &JointVector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
