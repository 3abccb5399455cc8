//! What a contact may be: force, how long it lasts, and the power that goes into it, as measured at the hand. And what
//! is done about one that is more: braking to an unlatched hold, a latched stop, or giving way.

use nalgebra::Vector3;
use sinew_kinematics::{Chain, Forward, Masses};
use sinew_messages::{JointVector, LimitKind, SensorFrame};
use sinew_units::TICK_S;

use crate::brake::ArmState;
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
    /// Where the tool was given to be, m.
    at: Vector3<f64>,
    /// How much farther in that is than the tool was before, m; at most the band that a motion may use.
    deeper_m: f64,
}

impl Pressed {
    /// Unit vector into the contact: the force is that of the world on the hand.
    fn inward(&self) -> Vector3<f64> {
        -self.force / self.force.norm().max(1e-9)
    }

    /// How much farther out the tool is here than it has to stay, m.
    pub(crate) fn margin(&self, tool: &Vector3<f64>) -> f64 {
        -self.inward().dot(&(tool - self.at)) - self.deeper_m
    }

    /// It goes on from `before`, and forgets nothing of what was gone in since then.
    fn follows(&mut self, before: &Self) {
        let gone_in = self.inward().dot(&(self.at - before.at));
        self.deeper_m = (before.deeper_m + gone_in).clamp(0.0, PRESS_BAND_M);
    }
}

/// Memory of the contact.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ContactWatch {
    /// Why it brakes or gives way, until the robot stands.
    met: Option<Violation>,
    /// Least force since it stood in this contact first, N; none without a contact.
    base_n: Option<f64>,
    /// How often it was met since then.
    stops: u32,
    /// Ticks for which the force has been more than what may last.
    lasting_for: u32,
    /// Where the tool began to give way, and for how many ticks it has.
    retreat: Option<(Vector3<f64>, u32)>,
    /// The contact that it stands in or gives way to.
    pressed: Option<Pressed>,
}

impl ContactWatch {
    /// `tool_velocity` is that of the setpoint given last, m/s.
    pub(crate) fn look(
        &mut self,
        frame: &SensorFrame,
        c: &SafetyConfig,
        tool: &Forward,
        tool_velocity: &Vector3<f64>,
        at_rest: bool,
    ) -> Answer {
        let before = self.pressed.take();
        if c.force_reaction == ForceReaction::Off {
            return Answer::GoOn;
        }
        let force = Vector3::from(frame.tool_force_n.map(|n| n.clamp(-SEEN_MAX_N, SEEN_MAX_N)));
        let force_n = force.norm();
        let over = self.over(c, &force, force_n, tool_velocity);
        if force_n < released_n(c) {
            (self.base_n, self.stops) = (None, 0);
        }
        // It follows a contact that eases, and never one that grows.
        self.base_n = self.base_n.map(|base| base.min(force_n));
        let at = tool.tool.translation.vector;
        let answer = self.answer(c, over, &force, &at, tool_velocity, at_rest);
        // Whoever stands in a contact from this tick on may not press in this tick.
        let pressed = match answer {
            // Joints that do not get there together must not push on the way.
            Answer::Yield(violation, _) => Some((violation, PUSH_M_S)),
            _ => (over.filter(|_| self.base_n.is_some())).map(|over| (over, ROUNDING_M_S)),
        };
        self.pressed = pressed.map(|(violation, push_max_m_s)| Pressed {
            force,
            violation,
            push_max_m_s,
            at,
            deeper_m: 0.0,
        });
        if let (Some(pressed), Some(before)) = (&mut self.pressed, before) {
            pressed.follows(&before);
        }
        answer
    }

    /// What is to be done about a force of the world on the hand, N, with the limit that the contact exceeds.
    fn answer(
        &mut self,
        c: &SafetyConfig,
        over: Option<Violation>,
        force: &Vector3<f64>,
        at: &Vector3<f64>,
        tool_velocity: &Vector3<f64>,
        at_rest: bool,
    ) -> Answer {
        let force_n = force.norm();
        let grew = |violation: &Violation| {
            violation.limit == LimitKind::Power
                || self.base_n.is_none_or(|base| force_n > GROWTH * base)
        };
        let new = over.filter(grew);
        match c.force_reaction {
            ForceReaction::Off => Answer::GoOn,
            ForceReaction::Latch => over.map_or(Answer::GoOn, Answer::Latch),
            ForceReaction::Hold => {
                if at_rest && self.met.take().is_some() {
                    self.stand(c, force_n);
                }
                if self.met.is_none() && !at_rest && new.is_some() {
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
                // Nobody gives way who pushes, or pushes again: that is braked first, and as hard as a stop may.
                if -force.dot(tool_velocity) > PUSH_M_S * force_n {
                    return Answer::Hold(violation);
                }
                let (from, ticks) = self.retreat.unwrap_or((*at, 0));
                self.retreat = Some((from, ticks + 1));
                let room = limits.distance_max_m - (at - from).norm();
                let over =
                    force_n < released_n(c) || ticks >= YIELD_TICKS_MAX || room <= limits.end_m();
                if over && at_rest {
                    (self.met, self.retreat) = (None, None);
                    self.stand(c, force_n);
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
    fn stand(&mut self, c: &SafetyConfig, force_n: f64) {
        if force_n >= released_n(c) {
            self.base_n = Some(self.base_n.map_or(force_n, |base| base.min(force_n)));
        }
    }

    /// Counts a stop in a contact that it stood in already: one that does not end in a retreat is for a person.
    fn count(&mut self) -> Option<Answer> {
        if self.base_n.is_some() {
            self.stops += 1;
        }
        (self.stops > STOPS_MAX)
            .then(|| self.met.map(Answer::Latch))
            .flatten()
    }

    /// Checks that a candidate with this tool velocity does not push into a contact that the robot stands in or gives way
    /// to.
    pub(crate) fn check(&self, tool_velocity: &Vector3<f64>) -> Result<(), Violation> {
        match &self.pressed {
            Some(pressed)
                if !at_most(
                    -pressed.force.dot(tool_velocity),
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

    /// The limit that the contact exceeds.
    fn over(
        &mut self,
        c: &SafetyConfig,
        force: &Vector3<f64>,
        force_n: f64,
        tool_velocity: &Vector3<f64>,
    ) -> Option<Violation> {
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
        self.lasting_for = if at_most(force_n, lasting) {
            0
        } else {
            self.lasting_for.saturating_add(1)
        };
        let bears = if self.lasting_for > contact.transient_ticks {
            lasting
        } else {
            contact.transient_n()
        };
        // The force is that of the world on the hand: what the hand pushes into goes against it.
        let power = -force.dot(tool_velocity);
        found
            .or_else(|| exceeds(LimitKind::Force, bears, force_n))
            .or_else(|| exceeds(LimitKind::Power, contact.power_max_w, power))
    }
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

/// Velocity of the TCP, m/s.
pub(crate) fn tool_velocity(forward: &Forward, v: &JointVector) -> Vector3<f64> {
    let tool = forward.tool.translation.vector;
    let mut velocity = Vector3::zeros();
    for ((link, axis), v) in forward.links.iter().zip(&forward.axes).zip(v) {
        velocity += axis.cross(&(tool - link.translation.vector)) * *v;
    }
    velocity
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
        .map(|(value, most)| {
            if value.abs() > *most {
                most / value.abs()
            } else {
                1.0
            }
        })
        .fold(1.0, f64::min)
}

/// Of the least squares that a retreat is found by, m and 1.
const RETREAT_DAMPING: f64 = 0.05;

#[cfg(test)]
mod tests;
