//! What a contact may be: force, how long it lasts, and the power that goes into it, as measured at the hand. And what
//! is done about one that is more: braking to an unlatched hold, a latched stop, or giving way.

use nalgebra::Vector3;
use sinew_kinematics::{Chain, Forward, Isometry, Masses};
use sinew_messages::{JointVector, LimitKind, SensorFrame};
use sinew_units::TICK_S;

use crate::brake::ArmState;
use crate::hand::{HandMotion, HandPoints};
use crate::limits::{ForceReaction, SafetyConfig, YieldLimits};
use crate::setpoint::at_most;
use crate::verdict::Violation;

/// Below this share of the least force that is ever over a limit the contact counts as gone.
const RELEASED: f64 = 0.8;
/// A force that was held at may grow by this factor before it stops again: a retreat must be able to begin.
const GROWTH: f64 = 1.25;
/// Stops in one contact that the robot stood in already, after which it latches.
const STOPS_MAX: u32 = 3;
/// Speed into a contact that counts as pushing, m/s; and what rounding makes of none.
const PUSH_M_S: f64 = 1e-3;
const ROUNDING_M_S: f64 = 1e-9;
/// Room that a motion may use which leaves a contact or slides along it, m: the bound on the way cannot tell less.
pub(crate) const PRESS_BAND_M: f64 = 1e-4;
/// Ticks over which the force of a contact is smoothed, to tell one that grows or is gone from a noisy one.
const SMOOTH_TICKS: f64 = 32.0;
/// Below this share of the force at which a contact is gone it is noise.
const NOISE: f64 = 0.25;
/// Who is faster than a retreat may be by this factor has come to it too fast.
const FASTER: f64 = 1.1;
/// Longest retreat, ticks.
const YIELD_TICKS_MAX: u32 = 2_000;
/// The last part of the way that a retreat may go is gone in this time, s, so that it ends softly and in time.
const YIELD_SETTLE_S: f64 = 0.1;

/// A part of a person's body that could be touched, after ISO/TS 15066, annex A.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyRegion {
    /// Its name.
    pub name: String,
    /// Force that it may bear for long, N (quasi-static contact).
    pub force_max_n: f64,
    /// How many times as much it may bear for a moment (transient contact).
    pub transient_factor: f64,
    /// Its stiffness, N/m.
    pub stiffness_n_m: f64,
    /// Mass that moves with it, kg.
    pub mass_kg: f64,
}

/// Parts of the body that may be told apart: annex A knows 29.
pub const REGIONS_MAX: usize = 64;

/// What contacts may be.
#[derive(Clone, Debug, PartialEq)]
pub struct ContactLimits {
    /// Parts of the body that could be touched. The most sensitive one counts.
    pub regions: Vec<BodyRegion>,
    /// Ticks after which a contact is no longer one of a moment.
    pub transient_ticks: u32,
    /// Largest power that the tool may put into a contact, W.
    pub power_max_w: f64,
    /// Largest momentum of the moving links and the load, along the stop, kg·m/s: the sum over their centres of mass.
    pub momentum_max_kg_m_s: f64,
}

impl ContactLimits {
    /// Force that every region bears for long, N.
    fn lasting_n(&self) -> f64 {
        (self.regions.iter())
            .map(|region| region.force_max_n)
            .fold(f64::INFINITY, f64::min)
    }

    /// Force that every region bears for a moment, N.
    fn transient_n(&self) -> f64 {
        (self.regions.iter())
            .map(|region| region.transient_factor * region.force_max_n)
            .fold(f64::INFINITY, f64::min)
    }

    /// Speed at which a contact stays below what every region bears for a moment, m/s:
    /// `F/√k·√(1/m_R + 1/m_H)` (ISO/TS 15066, A.3.4), with half of what moves of the robot, and its load, as `m_R`.
    pub(crate) fn speed_max_m_s(&self, masses: Option<&Masses>, load_kg: f64) -> f64 {
        let robot_share = masses.map_or(0.0, |masses| {
            let links: f64 = masses.links.iter().map(|body| body.mass_kg).sum();
            1.0 / (0.5 * (links + masses.hand.mass_kg) + load_kg)
        });
        (self.regions.iter())
            .map(|region| {
                let force = region.transient_factor * region.force_max_n;
                force * ((robot_share + 1.0 / region.mass_kg) / region.stiffness_n_m).sqrt()
            })
            .fold(f64::INFINITY, f64::min)
    }
}

/// Beyond this a force is only said to be too large, N: it is a hundred times any limit, and its square is a number.
const SEEN_MAX_N: f64 = 1e6;

/// What is to be done about the contact in this tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Nothing.
    GoOn,
    /// Brake to an unlatched hold.
    Hold(Violation),
    /// Latch a stop.
    Latch(Violation),
    /// Give way: the tool is to move with this velocity, m/s.
    Yield(Violation, Vector3<f64>),
}

/// A contact that may only be left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pressed {
    force: Vector3<f64>,
    /// The limit that it exceeds.
    pub(crate) violation: Violation,
    /// Fastest that the tool may go into it, m/s.
    push_max_m_s: f64,
    /// Where the hand was given to be.
    at: Isometry,
    /// How much farther in that is than it was before, m; at most the band that a motion may use.
    deeper_m: f64,
}

impl Pressed {
    /// Unit vector into the contact: the force is that of the world on the hand.
    pub(crate) fn inward(&self) -> Vector3<f64> {
        -self.force / self.force.norm().max(1e-9)
    }

    /// How much farther out all of the hand is here than it has to stay, m.
    pub(crate) fn margin(&self, hand_at: &Isometry, hand: &HandPoints) -> f64 {
        -hand.farthest(&self.at, hand_at, &self.inward()) - self.deeper_m
    }

    /// It goes on from `before`, and forgets nothing of what was gone in since then.
    fn follows(&mut self, before: &Self, hand: &HandPoints) {
        let gone_in = hand.farthest(&before.at, &self.at, &self.inward());
        self.deeper_m = (before.deeper_m + gone_in).clamp(0.0, PRESS_BAND_M);
    }
}

/// A contact that was over its limit and that the arm stands in. It may only be left until it is gone.
#[derive(Clone, Copy, Debug)]
struct Stood {
    /// The limit that it exceeded last.
    violation: Violation,
    /// The force without its noise, N.
    smooth_n: f64,
    /// Least force since the arm stood in it first, N: what grows beyond that is a harder contact.
    base_n: f64,
    /// The arm has moved since then: before, whatever grows is none of its doing.
    moved: bool,
    /// How often the arm was stopped in it since then.
    stops: u32,
}

/// Memory of the contact.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ContactWatch {
    /// Why it brakes or gives way, until the robot stands.
    met: Option<Violation>,
    stood: Option<Stood>,
    /// Ticks for which the force has been more than what may last, less those in which it was not.
    lasting_for: u32,
    /// Where the tool began to give way, and for how many ticks it has.
    retreat: Option<(Vector3<f64>, u32)>,
    /// The contact that it stands in or gives way to.
    pressed: Option<Pressed>,
}

/// What is seen of a contact in one tick.
pub(crate) struct Touch<'a> {
    pub(crate) frame: &'a SensorFrame,
    /// Where the arm was given to be.
    pub(crate) forward: &'a Forward,
    /// How the hand moves there, and what of it may touch somebody.
    pub(crate) motion: &'a HandMotion,
    pub(crate) hand: &'a HandPoints,
    pub(crate) at_rest: bool,
    /// A person leads the robot out of something: what would latch holds, and can be left.
    pub(crate) recovers: bool,
}

impl ContactWatch {
    pub(crate) fn look(&mut self, touch: &Touch<'_>, c: &SafetyConfig) -> Answer {
        let before = self.pressed.take();
        let reaction = match c.force_reaction {
            ForceReaction::Off => return Answer::GoOn,
            ForceReaction::Latch if touch.recovers => ForceReaction::Hold,
            reaction => reaction,
        };
        let force = force_of(touch.frame);
        let over = self.over(c, &force, touch.motion.most_against(&force, touch.hand));
        self.follow(c, over, force.norm(), touch.at_rest);
        let answer = self.answer(c, reaction, over, &force, touch);
        // Whoever stands in a contact from this tick on may not press in this tick.
        let pressed = match answer {
            // Joints that do not get there together must not push on the way.
            Answer::Yield(violation, _) => Some((violation, PUSH_M_S)),
            // Where hardly any force is, its direction is noise.
            _ => (self.stood)
                .filter(|_| force.norm() >= NOISE * released_n(c))
                .map(|stood| (stood.violation, ROUNDING_M_S)),
        };
        self.pressed = pressed.map(|(violation, push_max_m_s)| Pressed {
            force,
            violation,
            push_max_m_s,
            at: touch.forward.hand,
            deeper_m: 0.0,
        });
        if let (Some(pressed), Some(before)) = (&mut self.pressed, before) {
            pressed.follows(&before, touch.hand);
        }
        answer
    }

    /// The contact that a robot that is switched on now would latch for, if it latches for contacts.
    pub(crate) fn would_latch(frame: &SensorFrame, c: &SafetyConfig) -> Option<Violation> {
        let force = force_of(frame);
        (c.force_reaction == ForceReaction::Latch)
            .then(|| Self::default().over(c, &force, 0.0))
            .flatten()
    }

    /// Follows the force of a contact that the arm stands in, until it is gone.
    fn follow(&mut self, c: &SafetyConfig, over: Option<Violation>, force_n: f64, at_rest: bool) {
        let Some(stood) = &mut self.stood else {
            return;
        };
        stood.smooth_n += (force_n - stood.smooth_n) / SMOOTH_TICKS;
        stood.moved |= !at_rest;
        stood.base_n = if stood.moved {
            // It follows a contact that eases, and never one that grows.
            stood.base_n.min(stood.smooth_n)
        } else {
            stood.smooth_n
        };
        stood.violation = over.unwrap_or(stood.violation);
        if stood.smooth_n < released_n(c) {
            self.stood = None;
        }
    }

    /// What is to be done about a force of the world on the hand, N, with the limit that the contact exceeds.
    fn answer(
        &mut self,
        c: &SafetyConfig,
        reaction: ForceReaction,
        over: Option<Violation>,
        force: &Vector3<f64>,
        touch: &Touch<'_>,
    ) -> Answer {
        let force_n = force.norm();
        let grew = |violation: &Violation| {
            violation.limit == LimitKind::Power
                || (self.stood).is_none_or(|stood| force_n > GROWTH * stood.base_n)
        };
        let new = over.filter(grew);
        match reaction {
            ForceReaction::Off => Answer::GoOn,
            ForceReaction::Latch => over.map_or(Answer::GoOn, Answer::Latch),
            ForceReaction::Hold => {
                if touch.at_rest {
                    // It was stopped, or is touched where it stands.
                    let why = self.met.take().or(over);
                    self.stand(c, why, force_n);
                }
                if self.met.is_none() && !touch.at_rest && new.is_some() {
                    self.met = new;
                    if let Some(latch) = self.count() {
                        return latch;
                    }
                }
                self.met.map_or(Answer::GoOn, Answer::Hold)
            }
            ForceReaction::Yield(limits) => {
                if self.met.is_none() && new.is_some() {
                    self.met = new;
                    if let Some(latch) = self.count() {
                        return latch;
                    }
                }
                let Some(violation) = self.met else {
                    return Answer::GoOn;
                };
                // Nobody gives way who pushes, or pushes again, or is faster than that: it is braked first, and as hard as
                // a stop may.
                let pushes = touch.motion.most_against(force, touch.hand) > PUSH_M_S * force_n;
                if pushes || touch.motion.tool_speed(touch.hand) > FASTER * limits.speed_max_m_s {
                    return Answer::Hold(violation);
                }
                let at = touch.forward.tool.translation.vector;
                let (from, ticks) = self.retreat.unwrap_or((at, 0));
                self.retreat = Some((from, ticks + 1));
                let room = limits.distance_max_m - (at - from).norm();
                let over =
                    force_n < released_n(c) || ticks >= YIELD_TICKS_MAX || room <= limits.end_m();
                if over && touch.at_rest {
                    (self.met, self.retreat) = (None, None);
                    self.stand(c, Some(violation), force_n);
                    return Answer::GoOn;
                }
                if over {
                    return Answer::Hold(violation);
                }
                let speed = (limits.admittance_m_s_n * force_n)
                    .min(limits.speed_max_m_s)
                    .min(room / YIELD_SETTLE_S);
                Answer::Yield(violation, force * (speed / force_n.max(1e-9)))
            }
        }
    }

    /// It stands, and what is left of the force is where the contact begins.
    fn stand(&mut self, c: &SafetyConfig, why: Option<Violation>, force_n: f64) {
        if let Some(violation) = why
            && self.stood.is_none()
            && force_n >= released_n(c)
        {
            self.stood = Some(Stood {
                violation,
                smooth_n: force_n,
                base_n: force_n,
                moved: false,
                stops: 0,
            });
        }
    }

    /// Counts a stop in a contact that it stood in already: one that does not end in a retreat is for a person.
    fn count(&mut self) -> Option<Answer> {
        let stood = self.stood.as_mut()?;
        stood.stops += 1;
        (stood.stops > STOPS_MAX)
            .then(|| self.met.map(Answer::Latch))
            .flatten()
    }

    /// Checks that no part of the hand pushes into a contact that the robot stands in or gives way to.
    pub(crate) fn check(&self, motion: &HandMotion, hand: &HandPoints) -> Result<(), Violation> {
        match &self.pressed {
            Some(pressed)
                if !at_most(
                    motion.most_against(&pressed.force, hand),
                    pressed.push_max_m_s * pressed.force.norm(),
                ) =>
            {
                Err(pressed.violation)
            }
            _ => Ok(()),
        }
    }

    /// The contact that it stands in or gives way to: no motion or stop may get farther into it.
    pub(crate) fn pressed(&self) -> Option<&Pressed> {
        self.pressed.as_ref()
    }

    /// The limit that the contact exceeds. `power` is what goes into it at the most, W.
    fn over(&mut self, c: &SafetyConfig, force: &Vector3<f64>, power: f64) -> Option<Violation> {
        let force_n = force.norm();
        let exceeds = |limit, limit_value, asked| {
            (!at_most(asked, limit_value)).then_some(Violation {
                limit,
                index: None,
                limit_value,
                asked,
            })
        };
        let found = exceeds(LimitKind::Force, c.force_stop_n, force_n);
        let Some(contact) = &c.contact else {
            return found;
        };
        let lasting = contact.lasting_n();
        // A force that is noisy, or eases now and then, lasts nevertheless.
        self.lasting_for = if at_most(force_n, lasting) {
            self.lasting_for.saturating_sub(1)
        } else {
            (self.lasting_for + 1).min(contact.transient_ticks.saturating_add(1))
        };
        let bears = if self.lasting_for > contact.transient_ticks {
            lasting
        } else {
            contact.transient_n()
        };
        found
            .or_else(|| exceeds(LimitKind::Force, bears, force_n))
            .or_else(|| exceeds(LimitKind::Power, contact.power_max_w, power))
    }
}

/// Force of the world on the hand, N.
fn force_of(frame: &SensorFrame) -> Vector3<f64> {
    Vector3::from(frame.tool_force_n.map(|n| n.clamp(-SEEN_MAX_N, SEEN_MAX_N)))
}

/// Force below which nothing is touched any more, N. What a part of the body bears may be less than the force that stops.
fn released_n(c: &SafetyConfig) -> f64 {
    let bears = (c.contact.as_ref()).map_or(f64::INFINITY, ContactLimits::lasting_n);
    RELEASED * c.force_stop_n.min(bears)
}

impl YieldLimits {
    /// What may be left of the way when the retreat is over, m: it ends softly, and never quite gets there.
    fn end_m(&self) -> f64 {
        0.02 * self.distance_max_m
    }
}

/// Joint velocities that move the tool with `velocity`, none of them over `most`.
pub(crate) fn retreat_velocities(
    chain: &Chain,
    forward: &Forward,
    velocity: &Vector3<f64>,
    most: &JointVector,
) -> JointVector {
    let wanted = chain.velocities_for(forward, velocity, RETREAT_DAMPING);
    let share = common_share(&wanted, most);
    wanted.map(|v| share * v)
}

/// Time in which a retreat takes up most of its velocity where nothing limits it, s: longer than it takes to change an
/// acceleration.
const RETREAT_RISE_S: f64 = 0.02;

/// The next state of an arm that takes up these joint velocities. All joints have the same share of what they lack, so
/// that the tool goes where it is pushed from the first tick on.
pub(crate) fn retreat_step(state: &ArmState, wanted: &JointVector, c: &SafetyConfig) -> ArmState {
    let rise_s = (c.acceleration_max_rad_s2.iter().zip(&c.jerk_max_rad_s3))
        .map(|(acceleration, jerk)| 2.0 * acceleration / jerk)
        .fold(RETREAT_RISE_S, f64::max);
    let lacks: JointVector = core::array::from_fn(|i| (wanted[i] - state.v[i]) / rise_s);
    let share = common_share(&lacks, &c.acceleration_max_rad_s2);
    let change: JointVector = core::array::from_fn(|i| share * lacks[i] - state.a[i]);
    let share = common_share(&change, &c.jerk_max_rad_s3.map(|jerk| jerk * TICK_S));
    let mut next = *state;
    for (i, change) in change.iter().enumerate() {
        next.a[i] = state.a[i] + share * change;
        next.v[i] = state.v[i] + TICK_S * next.a[i];
        next.q[i] = state.q[i] + TICK_S * next.v[i];
    }
    next
}

/// The largest share, at most all, of each value that keeps every one within its limit.
fn common_share(values: &JointVector, most: &JointVector) -> f64 {
    (values.iter().zip(most))
        .map(|(value, most)| most / value.abs())
        .fold(1.0, f64::min)
}

/// Of the least squares that a retreat is found by, m and 1.
const RETREAT_DAMPING: f64 = 0.05;

#[cfg(test)]
impl Pressed {
    /// A contact with this force that the hand stands in there.
    pub(crate) fn standing(force: Vector3<f64>, at: Isometry) -> Self {
        Self {
            force,
            violation: Violation::of(sinew_messages::LimitKind::Force),
            push_max_m_s: 1.0,
            at,
            deeper_m: 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
