//! Keeping clear along the whole stop: of the envelope, zones, other links, moving obstacles, and the edge of the
//! tool's cone.
//!
//! Everything here is a *margin*: a number that falls at most by `ℓ = Σ r_j w_j` while the joints travel `w_j`.
//! For the clearance of a capsule `r_j` is its distance from joint j's axis: a point at distance `r` moves
//! `r·|Δq|`, and the displacements of all joints add up. For two links only the joints between them count.
//! For the tilt of the tool every `r_j` is 1; for a contact the margin is how far the hand is out of it. So between two samples with margins `c₀`, `c₁` it is nowhere
//! below `(c₀ + c₁ − ℓ)/2`. That decides an interval of the stop, or it is halved; what a bounded number of
//! samples cannot decide is a violation. `r_j` is the distance at the given state plus all that it can grow
//! by, and never more than the stretched-out arm.
//!
//! The broad phase is the same bound over the whole stop, from the last margins that were computed: far
//! from everything, a tick costs a few dozen multiplications. What few margins it leaves open are looked at again
//! from where the arm is, before all are.

mod open;
mod pairs;
mod posture;
mod survey;

use sinew_kinematics::{CAPSULES_MAX, Chain, Forward, HAND, LinkCapsule};
use sinew_messages::{JOINTS, JointVector, LimitKind, OBSTACLES_MAX};

use crate::brake::{ArmState, STOP_TICKS_MAX, StopLaw};
use crate::contact::Pressed;
use crate::hand::HandPoints;
use crate::late::Apart;
use crate::limits::{SafetyConfig, SafetyLimits};
use crate::obstacles::{Near, Threats};
use crate::setpoint::at_most;
use crate::stop::{StopPath, cannot_be_halved};
use crate::verdict::Violation;
use crate::work::Work;
use crate::zones::ZoneIndex;

use open::{Item, Subject};
pub use pairs::{ClosePair, close_at_rest};
use pairs::{Pair, apart, pairs_of, self_margin, slack};
use posture::cone_margin;
use survey::{Survey, to_face};

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
/// Margins that are looked at again one by one where an old survey leaves them open; for more it is taken anew.
const AGAIN_MAX: usize = 2;
/// Pairs of capsules that could meet.
const PAIRS_MAX: usize = BODIES_MAX * (BODIES_MAX - 1) / 2;

const _: () = assert!(1 << (OPEN_MAX - 2) >= STOP_TICKS_MAX);

type Levers = [f64; JOINTS];

/// Which margins a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// All that no motion may use up.
    Hard,
    /// Slow zones.
    Slow,
}

impl Group {
    fn of_zones(self) -> LimitKind {
        match self {
            Self::Hard => LimitKind::Zone,
            Self::Slow => LimitKind::SlowZone,
        }
    }
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
    pub(crate) late: &'a Apart,
    /// Moving obstacles of this tick, with the margin that each needs.
    pub(crate) threats: &'a Threats,
    /// The contact that may only be left.
    pub(crate) pressed: Option<&'a Pressed>,
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
    /// Where the hand and what it carries may touch somebody.
    hand: HandPoints,
    pairs: Vec<Pair>,
    survey: Survey,
    /// Moving obstacles that the check is about.
    near: Near,
    /// What the survey said left much of the last check open.
    is_near: bool,
    /// What this tick may still look at.
    work: Work,
    items: Vec<Item>,
    /// Margins of all items at each sample.
    margins: Vec<f64>,
    /// Ways of the joints up to each sample.
    travelled: [JointVector; SAMPLES_PROPOSED],
}

impl Sweep {
    pub(crate) fn new(chain: Chain, limits: &SafetyLimits) -> Self {
        let config = limits.config();
        // What is carried is one more. Slow zones are looked at by themselves.
        let bodies = chain.capsules().len() + 1;
        let items_max = bodies * (6 + 2 * APART_MAX) + bodies * (bodies - 1) / 2 + 3;
        let mut sweep = Self {
            forbidden: ZoneIndex::new(&config.zones, |zone| zone.speed_max_m_s.is_none()),
            slow: ZoneIndex::new(&config.zones, |zone| zone.speed_max_m_s.is_some()),
            lever_max: [[0.0; JOINTS]; BODIES_MAX],
            hand: HandPoints::new(&chain, None),
            pairs: Vec::new(),
            survey: Survey::none(),
            near: Near::NONE,
            is_near: false,
            work: Work::ENDLESS,
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
        self.hand = HandPoints::new(&self.chain, carried.as_ref());
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

    /// True if slow zones are so near that the stop could touch one: then it matters how fast the motion is.
    pub(crate) fn nears_slow_zones(
        &mut self,
        question: &Question<'_>,
        law: &StopLaw,
        config: &SafetyConfig,
    ) -> bool {
        !self.slow.is_empty()
            && (self.leaves_open(Group::Slow, question, law, config) || self.work.is_spent())
    }

    /// Where the hand and what it carries may touch somebody.
    pub(crate) fn hand(&self) -> &HandPoints {
        &self.hand
    }

    /// A new tick begins: it may do its own work.
    pub(crate) fn begin_tick(&mut self) {
        self.work = Work::TICK;
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
        let decided = if self.leaves_open(group, question, law, config) {
            self.check_finely(question, path, law, config)
        } else {
            Ok(())
        };
        if self.work.is_spent() {
            return Err(Work::exceeded());
        }
        decided
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
            up + down + question.late.most(i)
        });
        let way_from = |q: &JointVector| -> JointVector {
            core::array::from_fn(|i| stop_way[i] + (candidate.q[i] - q[i]).abs())
        };
        self.renew_survey(question, config);
        self.list_open(group, &way_from(&self.survey.q), question, config);
        if self.survey.q != given.q {
            if self.are_many() {
                self.take_survey(&given.q, question.given_forward, config);
                self.list_open(group, &way_from(&given.q), question, config);
            } else {
                self.look_again(&way_from(&given.q), question, config);
            }
        }
        if group == Group::Hard {
            self.is_near = self.are_many();
        }
        !self.items.is_empty()
    }

    /// Where an old survey did not do in the tick before, it won't now.
    fn renew_survey(&mut self, question: &Question<'_>, config: &SafetyConfig) {
        let given = question.given;
        if self.is_near && self.survey.q != given.q {
            self.take_survey(&given.q, question.given_forward, config);
        }
    }

    /// More margins are open than are looked at again one by one.
    fn are_many(&self) -> bool {
        self.items.len() > AGAIN_MAX
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
        let carry_on: JointVector = core::array::from_fn(|j| question.late.most(j));
        let pressed_late = self.pressed_late(question);
        for n in 0..self.items.len() {
            let at_given = self.items[n].surveyed;
            let (at_start, at_end) = (self.margin(0, n), self.margin(1, n));
            let gains = if self.items[n].subject == Subject::Somewhere {
                // Nobody knows what would be nearer to it.
                false
            } else if question.recovers {
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
            let carry_on = match item.subject {
                Subject::Contact => pressed_late,
                _ => dot(&item.lever, &carry_on),
            };
            let loses = at_given - at_end.min(at_start);
            let band = item.need - item.subject.retreat_band();
            item.need = if item.subject.is_many() {
                item.need + carry_on
            } else if gains && question.recovers {
                // Out of a violation it may go on for the reaction time, and not turn round in it.
                let base = if at_given < band {
                    at_given - RECOVERY_BAND
                } else {
                    band
                };
                base + dot(&item.lever, &question.late.back)
            } else if gains || loses <= SLIDE * dot(&item.lever, &way) {
                // A stop that takes effect late may turn round what gains, too.
                band + carry_on
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
            let breaks = ![low, high].iter().all(|margin| at_most(need, *margin));
            let exhausted = samples >= question.samples_max;
            if breaks || exhausted || cannot_be_halved(first, last, open, OPEN_MAX) {
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
        let mut work = self.work;
        for (n, item) in self.items.iter().enumerate() {
            self.margins[from + n] =
                self.measure(item.subject, forward, question, config, &mut work);
        }
        self.work = work;
    }

    fn zones(&self, group: Group) -> &ZoneIndex {
        match group {
            Group::Hard => &self.forbidden,
            Group::Slow => &self.slow,
        }
    }

    fn measure(
        &self,
        subject: Subject,
        forward: &Forward,
        question: &Question<'_>,
        config: &SafetyConfig,
        work: &mut Work,
    ) -> f64 {
        let placed = |body| self.place(body, forward);
        match subject {
            Subject::Face(body, axis, upper) => to_face(&placed(body), axis, upper, config),
            Subject::Zone(group, body, zone) => {
                self.zones(group).clearance(zone, &placed(body), work)
            }
            Subject::Zones(group, body) => {
                let capsule = placed(body);
                (self.zones(group))
                    .nearest(&capsule, f64::INFINITY, question.speed_m_s, work)
                    .0
            }
            Subject::Pair(n) => {
                work.spend(1);
                let Pair { near, far, .. } = self.pairs[n];
                apart(&placed(near), &placed(far))
            }
            Subject::Threat(body, threat) => {
                work.spend(1);
                question.threats.margin(threat, &placed(body))
            }
            Subject::Threats(body) => {
                work.spend(OBSTACLES_MAX as u32);
                question.threats.least(self.near, &placed(body))
            }
            Subject::Somewhere => f64::NEG_INFINITY,
            Subject::Cone => cone_margin(forward, config),
            Subject::Contact => (question.pressed).map_or(f64::INFINITY, |pressed| {
                pressed.margin(&forward.hand, &self.hand)
            }),
        }
    }

    fn violation(
        &mut self,
        item: usize,
        q: &JointVector,
        question: &Question<'_>,
        config: &SafetyConfig,
    ) -> Violation {
        let Item { subject, need, .. } = self.items[item];
        let forward = self.chain.forward(q);
        let mut work = self.work;
        let link = |body: usize| Some(self.capsule(body).link as u32);
        let (limit, index) = match subject {
            Subject::Face(body, ..) => (LimitKind::Envelope, link(body)),
            Subject::Zone(group, _, zone) => {
                (group.of_zones(), Some(self.zones(group).number(zone)))
            }
            Subject::Zones(group, body) => {
                let placed = self.place(body, &forward);
                let nearest = (self.zones(group)).nearest(
                    &placed,
                    f64::INFINITY,
                    question.speed_m_s,
                    &mut work,
                );
                (group.of_zones(), nearest.1)
            }
            Subject::Pair(n) => (LimitKind::SelfCollision, link(self.pairs[n].far)),
            Subject::Threat(body, _) | Subject::Threats(body) => {
                (LimitKind::Separation, link(body))
            }
            Subject::Somewhere => (LimitKind::Separation, None),
            Subject::Cone => (LimitKind::Orientation, None),
            Subject::Contact => match question.pressed {
                // The force is what is too large; how deep it is nobody set a limit to.
                Some(pressed) => return pressed.violation,
                None => (LimitKind::Force, None),
            },
        };
        let asked = self.measure(subject, &forward, question, config, &mut work);
        self.work = work;
        Violation {
            limit,
            index,
            limit_value: need,
            asked,
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
            late: &Apart::NONE,
            threats,
            pressed: None,
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

#[cfg(test)]
mod tests;
