//! What the tool does to somebody, or something, that it touches.

use nalgebra::Vector3;
use sinew_kinematics::{Chain, Point};
use sinew_messages::VerdictKind;
use sinew_safety::{ContactLimits, ForceReaction, SafetyConfig};
use sinew_units::TICK_S;

use super::braking::Motion;

/// What rounding makes of a tool that does not push, m/s.
const ROUNDING_M_S: f64 = 1e-6;
/// Speed into the contact below which the arm may begin to give way, m/s.
const RETREAT_PUSH_M_S: f64 = 1e-3;
/// How far the stop of a motion may get into the contact, m: what is told as the band of a retreat, and rounding.
const STOP_BAND_M: f64 = 1e-4 + 1e-8;
/// The tick's step of the arm, and what it feels.
pub(super) struct Step<'a> {
    pub(super) chain: &'a Chain,
    pub(super) c: &'a SafetyConfig,
    pub(super) before: &'a Motion,
    pub(super) now: &'a Motion,
    /// Force of the world on the hand as it was measured for this tick, N.
    pub(super) force: Vector3<f64>,
    pub(super) kind: VerdictKind,
    /// It is a step of the stop.
    pub(super) brakes: bool,
    /// Points of the hand and of what it carries, any of which may be what is touched.
    pub(super) hand: &'a [Point],
}

/// Memory of one contact.
#[derive(Clone, Debug, Default)]
pub(super) struct ContactJudge {
    /// Ticks with more than a part of the body bears for long.
    lasting_for: u32,
    /// Into the contact that is over its limit, and how far the tool may get, m.
    deepest: Option<(Vector3<f64>, f64)>,
}

impl ContactJudge {
    /// Looks at one step in a contact that is over its limit: how fast it presses, and how far its stop would, each as a
    /// margin with its name and words.
    pub(super) fn look(&mut self, step: &Step<'_>) -> Option<[(&'static str, f64, String); 2]> {
        let Step {
            chain,
            c,
            before,
            now,
            force,
            kind,
            brakes,
            hand,
        } = *step;
        let over = self.is_over(step);
        if c.force_reaction == ForceReaction::Off || !over {
            self.deepest = None;
            return None;
        }
        let into = -force / force.norm();
        // A force that turns round is another contact.
        let same = |(known, _): &(Vector3<f64>, f64)| known.dot(&into) > 0.99;
        if !self.deepest.as_ref().is_some_and(same) {
            // It brakes from here, a tick late at most.
            let slack = c.tracking_margin_m + TICK_S * c.tool_speed_max_m_s;
            let reach = before.tool_reach(chain, c, &into);
            self.deepest = Some((into, reach + slack));
        }
        if brakes {
            return None;
        }
        let push = now.fastest_in(chain, &into, hand);
        let most = if kind == VerdictKind::Yield {
            RETREAT_PUSH_M_S
        } else {
            0.0
        };
        let deeper = now.farthest_in(chain, c, &into, before, hand);
        let words = |figure| format!("{figure} into {} N, {kind:?}", force.norm());
        Some([
            (
                "contact-push",
                most + ROUNDING_M_S - push,
                words(format!("{push} m/s")),
            ),
            (
                "contact-stop",
                STOP_BAND_M - deeper,
                words(format!("a stop of {deeper} m")),
            ),
        ])
    }

    /// How much deeper the tool may truly get into a contact over its limit, m.
    pub(super) fn depth_left(&self, tool: &Vector3<f64>) -> Option<f64> {
        self.deepest.map(|(into, most)| most - into.dot(tool))
    }

    /// More force than may be, for a moment or for long, or more power.
    fn is_over(&mut self, step: &Step<'_>) -> bool {
        let c = step.c;
        let force = step.force.norm();
        let Some(contact) = &c.contact else {
            return force > c.force_stop_n;
        };
        let bears = |factor: fn(f64) -> f64| least_force(contact, factor);
        let lasting = bears(|_| 1.0);
        // What eases now and then lasts as long as it is over its limit more often than not.
        self.lasting_for = if force > lasting {
            (self.lasting_for + 1).min(contact.transient_ticks + 1)
        } else {
            self.lasting_for.saturating_sub(1)
        };
        let most = if self.lasting_for > contact.transient_ticks {
            lasting
        } else {
            bears(|factor| factor)
        };
        let power = -step.force.dot(&step.before.tool_velocity(step.chain));
        force > most.min(c.force_stop_n) || power > contact.power_max_w * (1.0 + 1e-6) + 1e-6
    }
}

/// What the most sensitive part of the body bears, N, of its force times what `factor` makes of its own.
fn least_force(contact: &ContactLimits, factor: fn(f64) -> f64) -> f64 {
    (contact.regions.iter())
        .map(|region| region.force_max_n * factor(region.transient_factor))
        .fold(f64::INFINITY, f64::min)
}
