//! Keeping every moving capsule inside the envelope and out of the zones, along the whole stop.
//!
//! A point at distance `r` from a joint's axis moves at most `r·|Δq|` when the joint turns by `Δq`, and the
//! displacements of all joints add up. So while the joints travel `w_j`, a capsule's clearance falls by at
//! most `ℓ = Σ r_j w_j`, and between two samples with clearances `c₀`, `c₁` it is nowhere below
//! `(c₀ + c₁ − ℓ)/2`. That decides an interval of the stop, or it is halved; what a bounded number of
//! samples cannot decide is a violation. `r_j` is the distance at the given state plus all that it can
//! grow by, and never more than the stretched-out arm.
//!
//! The broad phase is the same bound over the whole stop, from the last clearances that were computed: far
//! from everything, a tick costs a few dozen multiplications.

use sinew_kinematics::{
    CAPSULES_MAX, Chain, PlacedCapsule, clearance_to_box, clearance_to_half_space,
};
use sinew_messages::{JOINTS, JointVector, LimitKind};
use sinew_units::TICK_S;

use crate::brake::{ArmState, STOP_TICKS_MAX, StopLaw};
use crate::limits::{SafetyConfig, SafetyLimits, ZoneShape};
use crate::setpoint::at_most;
use crate::verdict::Violation;

/// Samples of one stop at most, for what is proposed.
pub(crate) const SAMPLES_PROPOSED: usize = 48;
/// And for each candidate of the search below it: fewer, so that a tick at a margin stays bounded. What passes
/// with fewer passes with more, so an output of the search passes when it is proposed.
pub(crate) const SAMPLES_SEARCHED: usize = 16;
/// Intervals that can be open at once: halving the longest stop.
const OPEN_MAX: usize = 12;
/// Room that a motion which only gains clearance may use, m: without it, a robot that came to rest at a
/// margin could not start to leave it.
const RETREAT_BAND_M: f64 = 1e-3;

const _: () = assert!(1 << (OPEN_MAX - 2) >= STOP_TICKS_MAX);

type PerCapsule = [f64; CAPSULES_MAX];

/// Clearances and lever arms at one joint position.
#[derive(Clone, Debug)]
struct Survey {
    q: JointVector,
    clearance: PerCapsule,
    /// Distance of the capsule's farther end from each joint's axis, m.
    lever: [[f64; JOINTS]; CAPSULES_MAX],
}

/// The check and its scratch space.
#[derive(Clone, Debug)]
pub(crate) struct Keepout {
    chain: Chain,
    /// Longest lever arm of each capsule about each joint, whatever the posture.
    lever_max: [[f64; JOINTS]; CAPSULES_MAX],
    survey: Survey,
    /// The stop under check, tick by tick.
    path: Box<[JointVector]>,
    /// Way travelled by each joint up to that tick.
    travelled: Box<[JointVector]>,
}

/// What one check works with.
struct Task {
    /// Bounds on the lever arms during this stop.
    lever: [[f64; JOINTS]; CAPSULES_MAX],
    /// Capsules that the broad phase left open.
    open: [bool; CAPSULES_MAX],
    /// Clearance that each capsule must keep.
    need: PerCapsule,
    samples_max: usize,
}

impl Keepout {
    pub(crate) fn new(chain: Chain, limits: &SafetyLimits) -> Self {
        let mut lever_max = [[0.0; JOINTS]; CAPSULES_MAX];
        for (lever, capsule) in lever_max.iter_mut().zip(chain.capsules()) {
            let mut reach = capsule.a.coords.norm().max(capsule.b.coords.norm());
            if capsule.link > JOINTS {
                reach += chain.hand().translation.vector.norm();
            }
            for joint in (0..capsule.link.min(JOINTS)).rev() {
                lever[joint] = reach;
                reach += chain.joints()[joint].origin.translation.vector.norm();
            }
        }
        let mut keepout = Self {
            chain,
            lever_max,
            survey: Survey {
                q: [0.0; JOINTS],
                clearance: [0.0; CAPSULES_MAX],
                lever: [[0.0; JOINTS]; CAPSULES_MAX],
            },
            path: vec![[0.0; JOINTS]; STOP_TICKS_MAX + 1].into_boxed_slice(),
            travelled: vec![[0.0; JOINTS]; STOP_TICKS_MAX + 1].into_boxed_slice(),
        };
        keepout.take_survey(&[0.0; JOINTS], limits.config());
        keepout
    }

    /// Moving capsules: those that a joint carries.
    fn capsules(&self) -> usize {
        self.chain.capsules().len()
    }

    fn moves(&self, capsule: usize) -> bool {
        self.chain.capsules()[capsule].link > 0
    }

    /// Clearance of the capsules `which` to the nearest thing, m; infinite for the others.
    fn clearances(
        &self,
        q: &JointVector,
        which: &[bool; CAPSULES_MAX],
        config: &SafetyConfig,
    ) -> PerCapsule {
        let forward = self.chain.forward(q);
        let mut clearance = [f64::INFINITY; CAPSULES_MAX];
        for (n, capsule) in self.chain.place_capsules(&forward).enumerate() {
            if which[n] {
                clearance[n] = nearest(&capsule, config).0;
            }
        }
        clearance
    }

    fn take_survey(&mut self, q: &JointVector, config: &SafetyConfig) {
        let forward = self.chain.forward(q);
        let mut survey = Survey {
            q: *q,
            clearance: [f64::INFINITY; CAPSULES_MAX],
            lever: [[0.0; JOINTS]; CAPSULES_MAX],
        };
        for (n, capsule) in self.chain.place_capsules(&forward).enumerate() {
            if capsule.link == 0 {
                continue;
            }
            survey.clearance[n] = nearest(&capsule, config).0;
            for (joint, link) in forward.links.iter().enumerate().take(capsule.link) {
                let axis = link.rotation * nalgebra::Vector3::z();
                let origin = nalgebra::Point3::from(link.translation.vector);
                let a = axis.cross(&(capsule.a - origin)).norm();
                let b = axis.cross(&(capsule.b - origin)).norm();
                survey.lever[n][joint] = a.max(b);
            }
        }
        self.survey = survey;
    }

    /// True if from the survey alone every capsule keeps its margin along the stop; otherwise `task` says
    /// which are open.
    fn is_clear_from_survey(&self, way: &JointVector, margin: f64, task: &mut Task) -> bool {
        let mut clear = true;
        for n in 0..self.capsules() {
            task.open[n] = false;
            if !self.moves(n) {
                continue;
            }
            let most = dot(&self.lever_max[n], way);
            for joint in 0..JOINTS {
                task.lever[n][joint] =
                    (self.survey.lever[n][joint] + most).min(self.lever_max[n][joint]);
            }
            let falls = dot(&task.lever[n], way);
            if !at_most(margin, self.survey.clearance[n] - falls) {
                task.open[n] = true;
                clear = false;
            }
        }
        clear
    }

    /// Checks the stop from `candidate`, which follows `given`. `carry_on` is how far each joint may go on
    /// during the reaction time, beyond the stop itself.
    pub(crate) fn check(
        &mut self,
        given: &ArmState,
        candidate: &ArmState,
        carry_on: &JointVector,
        law: &StopLaw,
        limits: &SafetyLimits,
        samples_max: usize,
    ) -> Result<(), Violation> {
        let config = limits.config();
        let margin = config.tracking_margin_m;
        let mut task = Task {
            lever: [[0.0; JOINTS]; CAPSULES_MAX],
            open: [false; CAPSULES_MAX],
            need: [margin; CAPSULES_MAX],
            samples_max,
        };
        let stop_way: JointVector = core::array::from_fn(|i| {
            let (up, down) = law.way(i, candidate.v[i], candidate.a[i]);
            up + down + carry_on[i]
        });
        let way_from = |q: &JointVector| -> JointVector {
            core::array::from_fn(|i| stop_way[i] + (candidate.q[i] - q[i]).abs())
        };
        if self.is_clear_from_survey(&way_from(&self.survey.q), margin, &mut task) {
            return Ok(());
        }
        self.take_survey(&given.q, config);
        if self.is_clear_from_survey(&way_from(&given.q), margin, &mut task) {
            return Ok(());
        }
        self.check_finely(candidate, carry_on, law, limits, &mut task)
    }

    fn check_finely(
        &mut self,
        candidate: &ArmState,
        carry_on: &JointVector,
        law: &StopLaw,
        limits: &SafetyLimits,
        task: &mut Task,
    ) -> Result<(), Violation> {
        let config = limits.config();
        let Some(end) = self.lay_out(candidate, law) else {
            return Err(Violation {
                limit: LimitKind::Configuration,
                index: None,
                limit_value: STOP_TICKS_MAX as f64,
                asked: STOP_TICKS_MAX as f64 + 1.0,
            });
        };
        let at_start = self.clearances(&self.path[0], &task.open, config);
        let at_end = self.clearances(&self.path[end], &task.open, config);
        for n in 0..self.capsules() {
            if !task.open[n] {
                continue;
            }
            let gains = at_start[n] >= self.survey.clearance[n] && at_end[n] >= at_start[n];
            task.need[n] = if gains {
                config.tracking_margin_m - RETREAT_BAND_M
            } else {
                config.tracking_margin_m + dot(&task.lever[n], carry_on)
            };
        }
        // Intervals still to decide: their first and last tick, with the clearances there.
        let mut stack = [(0_usize, 0_usize, at_start, at_end); OPEN_MAX];
        stack[0].1 = end;
        let mut open = 1;
        let mut samples = 2;
        while open > 0 {
            open -= 1;
            let (first, last, at_first, at_last) = stack[open];
            let undecided = (0..self.capsules()).find(|n| {
                let way: JointVector =
                    core::array::from_fn(|j| self.travelled[last][j] - self.travelled[first][j]);
                let lowest = 0.5 * (at_first[*n] + at_last[*n] - dot(&task.lever[*n], &way));
                task.open[*n] && !at_most(task.need[*n], lowest)
            });
            let Some(n) = undecided else {
                continue;
            };
            let breaks = !at_most(task.need[n], at_first[n]) || !at_most(task.need[n], at_last[n]);
            if breaks || last - first <= 1 || samples == task.samples_max || open + 2 > OPEN_MAX {
                let worst = if at_first[n] < at_last[n] {
                    first
                } else {
                    last
                };
                return Err(self.violation(n, worst, task.need[n], config));
            }
            let middle = first.midpoint(last);
            let at_middle = self.clearances(&self.path[middle], &task.open, config);
            samples += 1;
            stack[open] = (first, middle, at_first, at_middle);
            stack[open + 1] = (middle, last, at_middle, at_last);
            open += 2;
        }
        Ok(())
    }

    /// Writes the stop from `candidate` down; the tick at which it rests, if it does.
    fn lay_out(&mut self, candidate: &ArmState, law: &StopLaw) -> Option<usize> {
        let mut state = *candidate;
        self.path[0] = state.q;
        self.travelled[0] = [0.0; JOINTS];
        for tick in 1..=STOP_TICKS_MAX {
            if state.is_at_rest() {
                return Some(tick - 1);
            }
            let next = state.brake(law);
            for j in 0..JOINTS {
                self.travelled[tick][j] =
                    self.travelled[tick - 1][j] + (next.q[j] - state.q[j]).abs();
            }
            self.path[tick] = next.q;
            state = next;
        }
        None
    }

    fn violation(
        &self,
        capsule: usize,
        tick: usize,
        need: f64,
        config: &SafetyConfig,
    ) -> Violation {
        let (clearance, zone) = self.clearance_of(capsule, &self.path[tick], config);
        Violation {
            limit: if zone.is_some() {
                LimitKind::Zone
            } else {
                LimitKind::Envelope
            },
            index: zone.or(Some(self.chain.capsules()[capsule].link as u32)),
            limit_value: need,
            asked: clearance,
        }
    }

    fn clearance_of(
        &self,
        capsule: usize,
        q: &JointVector,
        config: &SafetyConfig,
    ) -> (f64, Option<u32>) {
        let forward = self.chain.forward(q);
        self.chain
            .place_capsules(&forward)
            .nth(capsule)
            .map_or((f64::INFINITY, None), |placed| nearest(&placed, config))
    }

    /// Smallest clearance of any moving capsule at `q`, m.
    pub(crate) fn smallest_clearance(&self, q: &JointVector, config: &SafetyConfig) -> f64 {
        let moving = core::array::from_fn(|n| n < self.capsules() && self.moves(n));
        self.clearances(q, &moving, config)
            .iter()
            .fold(f64::INFINITY, |least, c| least.min(*c))
    }

    /// True if no capsule is farther than the tracking margin from where `setpoint` puts it.
    pub(crate) fn tracks(
        &self,
        measured: &JointVector,
        setpoint: &JointVector,
        margin: f64,
    ) -> bool {
        let off: JointVector = core::array::from_fn(|i| (measured[i] - setpoint[i]).abs());
        let worst = self
            .lever_max
            .iter()
            .fold(0.0_f64, |worst, lever| worst.max(dot(lever, &off)));
        if worst <= margin {
            return true;
        }
        let (is, should) = (self.chain.forward(measured), self.chain.forward(setpoint));
        self.chain
            .place_capsules(&is)
            .zip(self.chain.place_capsules(&should))
            .all(|(is, should)| {
                (is.a - should.a).norm() <= margin && (is.b - should.b).norm() <= margin
            })
    }
}

/// Clearance to the envelope or the nearest zone, m, and which zone it is.
fn nearest(capsule: &PlacedCapsule, config: &SafetyConfig) -> (f64, Option<u32>) {
    let mut least = f64::INFINITY;
    for axis in 0..3 {
        let (low, high) = (
            capsule.a[axis].min(capsule.b[axis]),
            capsule.a[axis].max(capsule.b[axis]),
        );
        least = least
            .min(low - config.envelope_min_m[axis])
            .min(config.envelope_max_m[axis] - high);
    }
    let mut nearest = (least - capsule.radius_m, None);
    for (index, zone) in config.zones.iter().enumerate() {
        let clearance = match &zone.shape {
            ZoneShape::Box(aabb) => clearance_to_box(capsule, aabb),
            ZoneShape::HalfSpace(half_space) => clearance_to_half_space(capsule, half_space),
        };
        if clearance < nearest.0 {
            nearest = (clearance, Some(index as u32));
        }
    }
    nearest
}

/// How far a joint may go on during the reaction time beyond its stop, rad: for L ticks it keeps the velocity
/// and acceleration that it was given, and the stop then starts from the higher speed.
pub(crate) fn carry_on(state: &ArmState, law: &StopLaw, reaction_ticks: u32) -> JointVector {
    let reaction_s = f64::from(reaction_ticks) * TICK_S;
    core::array::from_fn(|i| {
        let speed = state.v[i].abs();
        let gaining = state.v[i] * state.a[i] >= 0.0;
        let a = if gaining { state.a[i].abs() } else { 0.0 };
        let faster = a * reaction_s;
        reaction_s * (speed + 0.5 * faster) + faster * law.longest_s(i, speed + faster, a)
    })
}

fn dot(a: &[f64; JOINTS], b: &[f64; JOINTS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
