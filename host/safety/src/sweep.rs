//! Keeping clear along the whole stop: of the envelope, zones, other links, moving obstacles, and the edge of the
//! tool's cone.
//!
//! Everything here is a *margin*: a number that falls at most by `ℓ = Σ r_j w_j` while the joints travel `w_j`.
//! For the clearance of a capsule `r_j` is its distance from joint j's axis: a point at distance `r` moves
//! `r·|Δq|`, and the displacements of all joints add up. For two links only the joints between them count.
//! For the tilt of the tool every `r_j` is 1. So between two samples with margins `c₀`, `c₁` it is nowhere
//! below `(c₀ + c₁ − ℓ)/2`. That decides an interval of the stop, or it is halved; what a bounded number of
//! samples cannot decide is a violation. `r_j` is the distance at the given state plus all that it can grow
//! by, and never more than the stretched-out arm.
//!
//! The broad phase is the same bound over the whole stop, from the last margins that were computed: far
//! from everything, a tick costs a few dozen multiplications.

mod pairs;
mod posture;

use nalgebra::Vector3;
use sinew_kinematics::{
    Aabb, CAPSULES_MAX, Chain, Forward, HAND, LinkCapsule, PlacedCapsule, Point,
};
use sinew_messages::{JOINTS, JointVector, LimitKind};

use crate::brake::{ArmState, STOP_TICKS_MAX, StopLaw};
use crate::limits::{SafetyConfig, SafetyLimits};
use crate::obstacles::{Near, Threats};
use crate::setpoint::at_most;
use crate::stop::StopPath;
use crate::verdict::Violation;
use crate::zones::ZoneIndex;

pub use pairs::{ClosePair, close_at_rest};
use pairs::{Pair, apart, pairs_of, self_margin, slack};
use posture::cone_margin;

/// Samples of one stop at most, for what is proposed.
pub(crate) const SAMPLES_PROPOSED: usize = 48;
/// And for each candidate of the search below it: fewer, so that a tick at a margin stays bounded. What passes
/// with fewer passes with more, so an output of the search passes when it is proposed.
pub(crate) const SAMPLES_SEARCHED: usize = 16;
/// Intervals that can be open at once: halving the longest stop.
const OPEN_MAX: usize = 12;
/// Room that a motion which only gains margin may use: without it, a robot that came to rest at a margin could
/// not start to leave it. In m, or rad for the cone.
const RETREAT_BAND: f64 = 1e-3;
/// A motion that loses at most this share of its way slides along: it may use that room too, or a robot that came to
/// rest at a margin could not go anywhere but straight away from it.
const SLIDE: f64 = 0.1;
/// How much a violation may grow on a motion out of it, between two ticks of its stop: what the bound on the way
/// cannot tell from standing still.
const RECOVERY_BAND: f64 = 2e-4;
/// What rounding makes of no change of a margin is less than this, m or rad.
const ROUNDING: f64 = 5e-10;
/// Capsules of the arm, and one of what it carries.
pub(crate) const BODIES_MAX: usize = CAPSULES_MAX + 1;
/// Zones, and moving obstacles, that are told apart for each body.
const APART_MAX: usize = 8;
/// Pairs of capsules that could meet.
const PAIRS_MAX: usize = BODIES_MAX * (BODIES_MAX - 1) / 2;

const _: () = assert!(1 << (OPEN_MAX - 2) >= STOP_TICKS_MAX);

/// A box around nothing.
const NOWHERE: Aabb = Aabb {
    min: Point::new(f64::INFINITY, f64::INFINITY, f64::INFINITY),
    max: Point::new(f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY),
};

type Levers = [f64; JOINTS];

/// Which margins a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// All that no motion may use up.
    Hard,
    /// Slow zones.
    Slow,
}

/// What a margin is about. Each thing that a body could come too near to has one of its own: a motion that gains on
/// one may lose on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// A body against a face of the envelope: its axis, and whether it is the upper one.
    Face(usize, usize, bool),
    /// A body against a forbidden zone.
    Zone(usize, usize),
    /// A body against more forbidden zones than are told apart.
    Zones(usize),
    /// A body against a slow zone that is slower than the motion.
    Slow(usize, usize),
    /// A body against more of those than are told apart.
    SlowZones(usize),
    /// A pair of bodies.
    Pair(usize),
    /// A body against a moving obstacle, with what that needs taken off.
    Threat(usize, usize),
    /// A body against more of those than are told apart.
    Threats(usize),
    /// Something is somewhere.
    Somewhere,
    /// The tool against its cone.
    Cone,
}

impl Subject {
    /// True for several things together: what a motion gains on one of them says nothing about the others.
    fn is_many(self) -> bool {
        matches!(self, Self::Zones(_) | Self::SlowZones(_) | Self::Threats(_))
    }
}

/// One margin under check.
#[derive(Clone, Copy, Debug)]
struct Item {
    subject: Subject,
    /// Margin to be kept.
    need: f64,
    /// Margin at the state of the survey.
    surveyed: f64,
    lever: Levers,
}

/// Margins and lever arms at one joint position.
#[derive(Clone, Debug)]
struct Survey {
    q: JointVector,
    bodies: [PlacedCapsule; BODIES_MAX],
    /// Box around those that move.
    bounds: Aabb,
    fixed: [f64; BODIES_MAX],
    slow: [f64; BODIES_MAX],
    /// Distance of the body's farther end from each joint's axis, m.
    lever: [Levers; BODIES_MAX],
    pairs: [f64; PAIRS_MAX],
    cone: f64,
}

/// What one check is about.
pub(crate) struct Question<'a> {
    /// What was given before.
    pub(crate) given: &'a ArmState,
    /// Where that put the links.
    pub(crate) given_forward: &'a Forward,
    /// What is proposed after it.
    pub(crate) candidate: &'a ArmState,
    /// Where that puts them.
    pub(crate) forward: &'a Forward,
    /// How far each joint may be from where it is on the stop, if that takes effect late.
    pub(crate) carry_on: &'a JointVector,
    /// Moving obstacles of this tick, with the margin that each needs.
    pub(crate) threats: &'a Threats,
    /// Fastest point of the arm along the stop, m/s: slow zones that allow it don't matter.
    pub(crate) speed_m_s: f64,
    /// Whoever is outside may move if it gets better by that.
    pub(crate) recovers: bool,
    /// Samples of the stop that may be taken.
    pub(crate) samples_max: usize,
}

/// The check and its scratch space.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    chain: Chain,
    carried: Option<LinkCapsule>,
    forbidden: ZoneIndex,
    slow: ZoneIndex,
    /// Longest lever arm of each body about each joint, whatever the posture.
    lever_max: [Levers; BODIES_MAX],
    pairs: Vec<Pair>,
    survey: Survey,
    /// Moving obstacles that the check is about.
    near: Near,
    /// What the survey said did not decide the last check.
    is_near: bool,
    items: Vec<Item>,
    /// Margins of all items at each sample.
    margins: Vec<f64>,
    /// Ways of the joints up to each sample.
    travelled: [JointVector; SAMPLES_PROPOSED],
}

impl Sweep {
    pub(crate) fn new(chain: Chain, limits: &SafetyLimits) -> Self {
        let config = limits.config();
        let nowhere = PlacedCapsule {
            link: 0,
            a: Point::origin(),
            b: Point::origin(),
            radius_m: 0.0,
        };
        // What is carried is one more. Slow zones are looked at by themselves.
        let bodies = chain.capsules().len() + 1;
        let items_max = bodies * (6 + 2 * APART_MAX) + bodies * (bodies - 1) / 2 + 2;
        let mut sweep = Self {
            forbidden: ZoneIndex::new(&config.zones, |zone| zone.speed_max_m_s.is_none()),
            slow: ZoneIndex::new(&config.zones, |zone| zone.speed_max_m_s.is_some()),
            lever_max: [[0.0; JOINTS]; BODIES_MAX],
            pairs: Vec::new(),
            survey: Survey {
                q: [0.0; JOINTS],
                bodies: [nowhere; BODIES_MAX],
                bounds: NOWHERE,
                fixed: [f64::INFINITY; BODIES_MAX],
                slow: [f64::INFINITY; BODIES_MAX],
                lever: [[0.0; JOINTS]; BODIES_MAX],
                pairs: [f64::INFINITY; PAIRS_MAX],
                cone: f64::INFINITY,
            },
            near: Near::NONE,
            is_near: false,
            items: Vec::with_capacity(items_max),
            margins: vec![0.0; SAMPLES_PROPOSED * items_max],
            travelled: [[0.0; JOINTS]; SAMPLES_PROPOSED],
            carried: None,
            chain,
        };
        for body in 0..sweep.bodies() {
            sweep.lever_max[body] = longest_levers(&sweep.chain, &sweep.capsule(body));
        }
        if let Some(collision) = &config.self_collision {
            sweep.pairs = pairs_of(&sweep.chain, collision, config);
        }
        let forward = sweep.chain.forward(&[0.0; JOINTS]);
        sweep.take_survey(&[0.0; JOINTS], &forward, config);
        sweep
    }

    /// Takes over what the hand carries. The survey is of another body then, so it is taken again.
    pub(crate) fn carry(&mut self, carried: Option<LinkCapsule>, config: &SafetyConfig) {
        self.carried = carried;
        self.survey.lever[self.chain.capsules().len()] = [0.0; JOINTS];
        let body = self.chain.capsules().len();
        self.pairs.retain(|pair| pair.far != body);
        if let Some(capsule) = carried {
            self.lever_max[body] = longest_levers(&self.chain, &capsule);
            if config.self_collision.is_some() {
                for near in 0..body {
                    let from = self.capsule(near).link;
                    if from + 2 < HAND {
                        let need = self_margin(config) + slack(from, &self.lever_max[body], config);
                        self.pairs.push(Pair {
                            near,
                            far: body,
                            need,
                        });
                    }
                }
            }
        }
        let q = self.survey.q;
        let forward = self.chain.forward(&q);
        self.take_survey(&q, &forward, config);
    }

    fn bodies(&self) -> usize {
        self.chain.capsules().len() + usize::from(self.carried.is_some())
    }

    fn capsule(&self, body: usize) -> LinkCapsule {
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
    fn moves(&self, body: usize) -> bool {
        self.capsule(body).link > 0
    }

    fn place(&self, body: usize, forward: &Forward) -> PlacedCapsule {
        let capsule = self.capsule(body);
        let frame = forward.frame(capsule.link);
        PlacedCapsule {
            link: capsule.link,
            a: frame * capsule.a,
            b: frame * capsule.b,
            radius_m: capsule.radius_m,
        }
    }

    fn take_survey(&mut self, q: &JointVector, forward: &Forward, config: &SafetyConfig) {
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
            self.survey.fixed[body] = self.to_fixed(&placed, config).0;
            self.survey.slow[body] = self.slow.nearest(&placed, f64::INFINITY, f64::INFINITY).0;
            for (joint, link) in forward.links.iter().enumerate().take(placed.link) {
                let axis = forward.axes[joint];
                let origin = Point::from(link.translation.vector);
                let a = axis.cross(&(placed.a - origin)).norm();
                let b = axis.cross(&(placed.b - origin)).norm();
                self.survey.lever[body][joint] = a.max(b);
            }
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
    fn to_fixed(&self, capsule: &PlacedCapsule, config: &SafetyConfig) -> (f64, Option<u32>) {
        let mut least = f64::INFINITY;
        for axis in 0..3 {
            let low = capsule.a[axis].min(capsule.b[axis]);
            let high = capsule.a[axis].max(capsule.b[axis]);
            least = least
                .min(low - config.envelope_min_m[axis])
                .min(config.envelope_max_m[axis] - high);
        }
        self.forbidden
            .nearest(capsule, least - capsule.radius_m, f64::INFINITY)
    }

    /// Speeds that the slow zones allow, ascending, m/s.
    pub(crate) fn slow_speeds(&self) -> Vec<f64> {
        self.slow.speeds()
    }

    /// True if slow zones are so near that the stop could touch one: then it matters how fast the motion is.
    pub(crate) fn nears_slow_zones(
        &mut self,
        question: &Question<'_>,
        law: &StopLaw,
        config: &SafetyConfig,
    ) -> bool {
        !self.slow.is_empty() && self.leaves_open(Group::Slow, question, law, config)
    }

    /// Lists the margins that the survey leaves open. `way` is how far each joint gets from where the survey
    /// was taken; none are left if every one is kept for sure.
    fn list_open(
        &mut self,
        group: Group,
        way: &JointVector,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) {
        self.items.clear();
        if group == Group::Hard {
            self.list_open_threats(way, question);
        }
        for body in 0..self.bodies() {
            if !self.moves(body) {
                continue;
            }
            let most = dot(&self.lever_max[body], way);
            let need = config.tracking_margin_m;
            let pooled = match group {
                Group::Hard => self.survey.fixed[body],
                Group::Slow => self.survey.slow[body],
            };
            if at_most(need, pooled - most) {
                continue;
            }
            let lever = self.levers(body, most);
            let reach = need + dot(&lever, way);
            if at_most(reach, pooled) {
                continue;
            }
            match group {
                Group::Hard => self.list_fixed(body, need, reach, &lever, config),
                Group::Slow => self.list_slow(body, need, reach, &lever, question.speed_m_s),
            }
        }
        if group == Group::Slow {
            return;
        }
        self.list_open_pairs(way);
        let lever = [1.0; JOINTS];
        if config.cone.is_some() && !at_most(0.0, self.survey.cone - dot(&lever, way)) {
            self.items.push(Item {
                subject: Subject::Cone,
                need: 0.0,
                surveyed: self.survey.cone,
                lever,
            });
        }
    }

    /// Lever arms of a body while no part of it gets farther than `most` from where it was surveyed.
    fn levers(&self, body: usize, most: f64) -> Levers {
        core::array::from_fn(|j| (self.survey.lever[body][j] + most).min(self.lever_max[body][j]))
    }

    /// Faces of the envelope and forbidden zones that are nearer to a body than `reach`.
    fn list_fixed(
        &mut self,
        body: usize,
        need: f64,
        reach: f64,
        lever: &Levers,
        config: &SafetyConfig,
    ) {
        let placed = self.survey.bodies[body];
        for axis in 0..3 {
            for upper in [false, true] {
                let surveyed = to_face(&placed, axis, upper, config);
                if !at_most(reach, surveyed) {
                    self.items.push(Item {
                        subject: Subject::Face(body, axis, upper),
                        need,
                        surveyed,
                        lever: *lever,
                    });
                }
            }
        }
        let from = self.items.len();
        let (items, forbidden) = (&mut self.items, &self.forbidden);
        let mut least = f64::INFINITY;
        forbidden.within(&placed, reach, f64::INFINITY, |zone, surveyed| {
            least = least.min(surveyed);
            if items.len() - from < APART_MAX {
                items.push(Item {
                    subject: Subject::Zone(body, zone),
                    need,
                    surveyed,
                    lever: *lever,
                });
            } else {
                items.truncate(from + APART_MAX - 1);
                items.push(Item {
                    subject: Subject::Zones(body),
                    need,
                    surveyed: least,
                    lever: *lever,
                });
            }
        });
    }

    /// Slow zones that are nearer to a body than `reach` and don't allow the speed.
    fn list_slow(&mut self, body: usize, need: f64, reach: f64, lever: &Levers, speed_m_s: f64) {
        let placed = self.survey.bodies[body];
        let from = self.items.len();
        let (items, slow) = (&mut self.items, &self.slow);
        let mut least = f64::INFINITY;
        slow.within(&placed, reach, speed_m_s, |zone, surveyed| {
            least = least.min(surveyed);
            if items.len() - from < APART_MAX {
                items.push(Item {
                    subject: Subject::Slow(body, zone),
                    need,
                    surveyed,
                    lever: *lever,
                });
            } else {
                items.truncate(from + APART_MAX - 1);
                items.push(Item {
                    subject: Subject::SlowZones(body),
                    need,
                    surveyed: least,
                    lever: *lever,
                });
            }
        });
    }

    /// Moving obstacles that a body could come too near to. What one needs is taken off its distance.
    fn list_open_threats(&mut self, way: &JointVector, question: &Question<'_>) {
        let threats = question.threats;
        if threats.is_lost() {
            self.items.push(Item {
                subject: Subject::Somewhere,
                need: 0.0,
                surveyed: f64::NEG_INFINITY,
                lever: [0.0; JOINTS],
            });
            return;
        }
        if threats.is_empty() {
            return;
        }
        let farthest = (self.lever_max[..self.bodies()].iter())
            .fold(0.0_f64, |most, lever| most.max(dot(lever, way)));
        self.near = threats.near(&self.survey.bounds, farthest);
        for body in 0..self.bodies() {
            if !self.moves(body) {
                continue;
            }
            let placed = self.survey.bodies[body];
            let most = dot(&self.lever_max[body], way);
            let from = self.items.len();
            for threat in self.near {
                let surveyed = threats.margin(threat, &placed);
                if at_most(0.0, surveyed - most) {
                    continue;
                }
                let lever = self.levers(body, most);
                if at_most(0.0, surveyed - dot(&lever, way)) {
                    continue;
                }
                let subject = if self.items.len() - from < APART_MAX {
                    Subject::Threat(body, threat)
                } else {
                    self.items.truncate(from + APART_MAX - 1);
                    Subject::Threats(body)
                };
                let surveyed = if subject.is_many() {
                    threats.least(self.near, &placed)
                } else {
                    surveyed
                };
                self.items.push(Item {
                    subject,
                    need: 0.0,
                    surveyed,
                    lever,
                });
            }
        }
    }

    fn list_open_pairs(&mut self, way: &JointVector) {
        // How far each body gets by the joints from each one on.
        let mut most_from = [[0.0; JOINTS + 1]; BODIES_MAX];
        for (most, lever) in most_from[..self.bodies()].iter_mut().zip(&self.lever_max) {
            for j in (0..JOINTS).rev() {
                most[j] = most[j + 1] + lever[j] * way[j];
            }
        }
        for (n, pair) in self.pairs.iter().enumerate() {
            let from = self.survey.bodies[pair.near].link;
            let far = pair.far;
            let between = |j: usize, lever: f64| if j < from { 0.0 } else { lever };
            let most = most_from[far][from];
            if at_most(pair.need, self.survey.pairs[n] - most) {
                continue;
            }
            let lever: Levers = core::array::from_fn(|j| {
                between(
                    j,
                    (self.survey.lever[far][j] + most).min(self.lever_max[far][j]),
                )
            });
            if !at_most(pair.need, self.survey.pairs[n] - dot(&lever, way)) {
                self.items.push(Item {
                    subject: Subject::Pair(n),
                    need: pair.need,
                    surveyed: self.survey.pairs[n],
                    lever,
                });
            }
        }
    }

    /// Checks the stop from the candidate.
    pub(crate) fn check(
        &mut self,
        group: Group,
        question: &Question<'_>,
        path: &mut StopPath,
        law: &StopLaw,
        config: &SafetyConfig,
    ) -> Result<(), Violation> {
        if self.leaves_open(group, question, law, config) {
            return self.check_finely(question, path, law, config);
        }
        Ok(())
    }

    /// Lists what the broad phase cannot decide; false if there is nothing.
    fn leaves_open(
        &mut self,
        group: Group,
        question: &Question<'_>,
        law: &StopLaw,
        config: &SafetyConfig,
    ) -> bool {
        let Question {
            given, candidate, ..
        } = question;
        let stop_way: JointVector = core::array::from_fn(|i| {
            let (up, down) = law.way(i, candidate.v[i], candidate.a[i]);
            up + down + question.carry_on[i]
        });
        let way_from = |q: &JointVector| -> JointVector {
            core::array::from_fn(|i| stop_way[i] + (candidate.q[i] - q[i]).abs())
        };
        // Where an old survey did not do in the tick before, it won't now.
        if self.is_near && self.survey.q != given.q {
            self.take_survey(&given.q, question.given_forward, config);
        }
        self.list_open(group, &way_from(&self.survey.q), question, config);
        if !self.items.is_empty() && self.survey.q != given.q {
            self.take_survey(&given.q, question.given_forward, config);
            self.list_open(group, &way_from(&given.q), question, config);
        }
        if group == Group::Hard {
            self.is_near = !self.items.is_empty();
        }
        !self.items.is_empty()
    }

    fn check_finely(
        &mut self,
        question: &Question<'_>,
        path: &mut StopPath,
        law: &StopLaw,
        config: &SafetyConfig,
    ) -> Result<(), Violation> {
        if !path.lay(question.candidate, law) {
            return Err(Violation {
                limit: LimitKind::Configuration,
                index: None,
                limit_value: STOP_TICKS_MAX as f64,
                asked: STOP_TICKS_MAX as f64 + 1.0,
            });
        }
        let end = path.ticks();
        self.note(0, question.forward, [0.0; JOINTS], question, config);
        self.sample(1, end, path, question, config);
        for n in 0..self.items.len() {
            let at_given = self.items[n].surveyed;
            let (at_start, at_end) = (self.margin(0, n), self.margin(1, n));
            let gains = if question.recovers {
                // Along a wall that it is in, the depth stays what it is but for rounding.
                let [given, start, end] = [at_given, at_start, at_end].map(in_steps);
                start >= given && end >= start
            } else {
                at_start >= at_given && at_end >= at_start
            };
            let way: JointVector = core::array::from_fn(|j| {
                self.travelled[1][j] + (question.candidate.q[j] - question.given.q[j]).abs()
            });
            let item = &mut self.items[n];
            let carry_on = dot(&item.lever, question.carry_on);
            let loses = at_given - at_end.min(at_start);
            let retreat = item.need - RETREAT_BAND;
            item.need = if item.subject.is_many() {
                item.need + carry_on
            } else if gains && question.recovers && at_given < retreat {
                at_given - RECOVERY_BAND
            } else if gains {
                retreat
            } else if loses <= SLIDE * dot(&item.lever, &way) {
                retreat + carry_on
            } else {
                item.need + carry_on
            };
        }
        self.decide(end, path, question, config)
    }

    /// Decides every interval of the stop, halving what two samples leave open.
    fn decide(
        &mut self,
        end: usize,
        path: &StopPath,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) -> Result<(), Violation> {
        // Intervals still to decide: first and last tick, with the samples there.
        let mut stack = [(0_usize, 0_usize, 0_usize, 0_usize); OPEN_MAX];
        stack[0] = (0, end, 0, 1);
        let mut open = 1;
        let mut samples = 2;
        while open > 0 {
            open -= 1;
            let (first, last, at_first, at_last) = stack[open];
            let Some(n) = self.undecided(at_first, at_last) else {
                continue;
            };
            let need = self.items[n].need;
            let (low, high) = (self.margin(at_first, n), self.margin(at_last, n));
            let breaks = !at_most(need, low) || !at_most(need, high);
            let exhausted = samples >= question.samples_max || open + 2 > OPEN_MAX;
            if breaks || last - first <= 1 || exhausted {
                let tick = if low < high { first } else { last };
                return Err(self.violation(n, &path.position(tick), question, config));
            }
            let middle = first.midpoint(last);
            self.sample(samples, middle, path, question, config);
            stack[open] = (first, middle, at_first, samples);
            stack[open + 1] = (middle, last, samples, at_last);
            samples += 1;
            open += 2;
        }
        Ok(())
    }

    /// The first item that two samples do not decide for the interval between them.
    fn undecided(&self, first: usize, last: usize) -> Option<usize> {
        let way: JointVector =
            core::array::from_fn(|j| self.travelled[last][j] - self.travelled[first][j]);
        self.items.iter().enumerate().position(|(n, item)| {
            let (low, high) = (self.margin(first, n), self.margin(last, n));
            !at_most(item.need, 0.5 * (low + high - dot(&item.lever, &way)))
        })
    }

    fn margin(&self, sample: usize, item: usize) -> f64 {
        self.margins[sample * self.items.len() + item]
    }

    /// Writes the margins at one tick of the stop down as sample `sample`.
    fn sample(
        &mut self,
        sample: usize,
        tick: usize,
        path: &StopPath,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) {
        let forward = self.chain.forward(&path.position(tick));
        self.note(sample, &forward, path.travelled(tick), question, config);
    }

    fn note(
        &mut self,
        sample: usize,
        forward: &Forward,
        travelled: JointVector,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) {
        self.travelled[sample] = travelled;
        let from = sample * self.items.len();
        for n in 0..self.items.len() {
            self.margins[from + n] = self.measure(self.items[n].subject, forward, question, config);
        }
    }

    fn measure(
        &self,
        subject: Subject,
        forward: &Forward,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) -> f64 {
        match subject {
            Subject::Face(body, axis, upper) => {
                to_face(&self.place(body, forward), axis, upper, config)
            }
            Subject::Zone(body, zone) => {
                (self.forbidden).clearance(zone, &self.place(body, forward))
            }
            Subject::Zones(body) => {
                let placed = self.place(body, forward);
                self.forbidden
                    .nearest(&placed, f64::INFINITY, f64::INFINITY)
                    .0
            }
            Subject::Slow(body, zone) => self.slow.clearance(zone, &self.place(body, forward)),
            Subject::SlowZones(body) => {
                let placed = self.place(body, forward);
                self.slow
                    .nearest(&placed, f64::INFINITY, question.speed_m_s)
                    .0
            }
            Subject::Pair(n) => {
                let Pair { near, far, .. } = self.pairs[n];
                apart(&self.place(near, forward), &self.place(far, forward))
            }
            Subject::Threat(body, threat) => {
                (question.threats).margin(threat, &self.place(body, forward))
            }
            Subject::Threats(body) => {
                (question.threats).least(self.near, &self.place(body, forward))
            }
            Subject::Somewhere => f64::NEG_INFINITY,
            Subject::Cone => cone_margin(forward, config),
        }
    }

    fn violation(
        &self,
        item: usize,
        q: &JointVector,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) -> Violation {
        let Item { subject, need, .. } = self.items[item];
        let forward = self.chain.forward(q);
        let link = |body: usize| Some(self.capsule(body).link as u32);
        let (limit, index) = match subject {
            Subject::Face(body, ..) => (LimitKind::Envelope, link(body)),
            Subject::Zone(_, zone) => (LimitKind::Zone, Some(self.forbidden.number(zone))),
            Subject::Zones(body) => {
                let placed = self.place(body, &forward);
                let nearest = self
                    .forbidden
                    .nearest(&placed, f64::INFINITY, f64::INFINITY);
                (LimitKind::Zone, nearest.1)
            }
            Subject::Slow(_, zone) => (LimitKind::SlowZone, Some(self.slow.number(zone))),
            Subject::SlowZones(body) => {
                let placed = self.place(body, &forward);
                let nearest = self
                    .slow
                    .nearest(&placed, f64::INFINITY, question.speed_m_s);
                (LimitKind::SlowZone, nearest.1)
            }
            Subject::Pair(n) => (LimitKind::SelfCollision, link(self.pairs[n].far)),
            Subject::Threat(body, _) | Subject::Threats(body) => {
                (LimitKind::Separation, link(body))
            }
            Subject::Somewhere => (LimitKind::Separation, None),
            Subject::Cone => (LimitKind::Orientation, None),
        };
        Violation {
            limit,
            index,
            limit_value: need,
            asked: self.measure(subject, &forward, question, config),
        }
    }

    /// True if the stop that goes on from `state` keeps every margin with what is carried now.
    pub(crate) fn holds(
        &mut self,
        state: &ArmState,
        forward: &Forward,
        threats: &Threats,
        path: &mut StopPath,
        law: &StopLaw,
        config: &SafetyConfig,
    ) -> Result<(), Violation> {
        let question = Question {
            given: state,
            given_forward: forward,
            candidate: state,
            forward,
            carry_on: &[0.0; JOINTS],
            threats,
            speed_m_s: f64::INFINITY,
            recovers: false,
            samples_max: SAMPLES_PROPOSED,
        };
        self.check(Group::Hard, &question, path, law, config)
    }
}

/// A margin in whole steps of what rounding may do to it. Other than room for rounding at each tick, that never adds
/// up. No step begins at a round number: what stays near one would cross it to and fro.
fn in_steps(margin: f64) -> f64 {
    (margin / ROUNDING + 0.381_966).floor()
}

/// Clearance of a capsule to a face of the envelope, m.
fn to_face(capsule: &PlacedCapsule, axis: usize, upper: bool, config: &SafetyConfig) -> f64 {
    let (a, b) = (capsule.a[axis], capsule.b[axis]);
    let room = if upper {
        config.envelope_max_m[axis] - a.max(b)
    } else {
        a.min(b) - config.envelope_min_m[axis]
    };
    room - capsule.radius_m
}

/// Longest lever arms of a capsule about each joint, whatever the posture.
pub(crate) fn longest_levers(chain: &Chain, capsule: &LinkCapsule) -> Levers {
    let mut lever = [0.0; JOINTS];
    let mut reach = capsule.a.coords.norm().max(capsule.b.coords.norm());
    if capsule.link > JOINTS {
        reach += chain.hand().translation.vector.norm();
    }
    for joint in (0..capsule.link.min(JOINTS)).rev() {
        lever[joint] = reach;
        reach += chain.joints()[joint].origin.translation.vector.norm();
    }
    lever
}

pub(crate) fn dot(a: &[f64; JOINTS], b: &[f64; JOINTS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
