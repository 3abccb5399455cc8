//! Makes the planned faults of a cycle come about when the physical state says so.

use crate::draw::OrderLine;
use crate::physics::Physics;
use crate::profile::FaultPlan;

/// Grip force that is left while the force is cut, N: less than the weight of any part needs.
const CUT_FORCE_N: f64 = 0.05;
/// Width above which the gripper counts as open, m.
const OPEN_M: f64 = 0.050;
/// How far beside a part the tool may be and still be approaching it, m.
const BESIDE_M: f64 = 0.045;

/// A fault that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultEvent {
    /// `nudge`, `grip-cut`, `dropped-frames` or `missing-part`.
    pub kind: &'static str,
    /// Millisecond of the cycle.
    pub at_ms: u64,
}

/// What is left of a cycle's plan.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    plan: FaultPlan,
    /// Loose object of the nudged line.
    nudge_target: Option<usize>,
    /// Transits seen, and whether one is going on.
    transits: usize,
    in_transit: bool,
    cut_ends_ms: Option<u64>,
    events: Vec<FaultEvent>,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan, order: &[OrderLine], physics: &Physics) -> Self {
        let nudge_target = plan
            .nudge
            .as_ref()
            .and_then(|nudge| order.get(nudge.line))
            .and_then(|line| {
                physics
                    .loose()
                    .iter()
                    .position(|object| object.class == line.class && object.color == line.color)
            });
        let mut events = Vec::new();
        if plan.missing_line.is_some() {
            events.push(FaultEvent {
                kind: "missing-part",
                at_ms: 0,
            });
        }
        Self {
            plan,
            nudge_target,
            transits: 0,
            in_transit: false,
            cut_ends_ms: None,
            events,
        }
    }

    pub(crate) fn events(&self) -> &[FaultEvent] {
        &self.events
    }

    /// True if a camera loses the exposure of this millisecond.
    pub(crate) fn drops_frame(&mut self, at_ms: u64) -> bool {
        let Some((start, end)) = self.plan.dropped_frames_ms else {
            return false;
        };
        let dropped = (start..end).contains(&at_ms);
        if dropped
            && !self
                .events
                .iter()
                .any(|event| event.kind == "dropped-frames")
        {
            self.happened("dropped-frames", at_ms);
        }
        dropped
    }

    /// Looks at the state before the step of this millisecond, and interferes.
    pub(crate) fn before_step(&mut self, physics: &mut Physics, at_ms: u64) {
        self.nudge(physics, at_ms);
        self.cut_grip(physics, at_ms);
    }

    fn nudge(&mut self, physics: &mut Physics, at_ms: u64) {
        let (Some(nudge), Some(target)) = (&self.plan.nudge, self.nudge_target) else {
            return;
        };
        let Some(state) = physics.loose_state(target) else {
            return;
        };
        let offset = physics.tool().translation.vector - state.pose.translation.vector;
        let is_approached = offset.norm() < nudge.distance_m
            && libm::hypot(offset.x, offset.y) < BESIDE_M
            && physics.measured().width_m > OPEN_M;
        if is_approached && !state.is_touched {
            physics.push(target, nudge.velocity_m_s);
            self.plan.nudge = None;
            self.happened("nudge", at_ms);
        }
    }

    fn cut_grip(&mut self, physics: &mut Physics, at_ms: u64) {
        if let Some(end) = self.cut_ends_ms {
            if at_ms >= end {
                physics.cap_grip(None);
                self.cut_ends_ms = None;
            }
            return;
        }
        let Some(cut) = &self.plan.grip_cut else {
            return;
        };
        let is_high = (0..physics.loose().len()).any(|index| {
            physics.loose()[index].is_part
                && physics
                    .loose_state(index)
                    .is_some_and(|state| state.is_held && state.pose.translation.z >= cut.height_m)
        });
        if is_high && !self.in_transit {
            if self.transits == cut.transit {
                physics.cap_grip(Some(CUT_FORCE_N));
                self.cut_ends_ms = Some(at_ms + cut.duration_ms);
                self.plan.grip_cut = None;
                self.happened("grip-cut", at_ms);
            }
            self.transits += 1;
        }
        // A transit lasts until the hand is open again; a flicker of contact doesn't start a new one.
        self.in_transit = is_high || (self.in_transit && physics.measured().width_m < OPEN_M);
    }

    fn happened(&mut self, kind: &'static str, at_ms: u64) {
        self.events.push(FaultEvent { kind, at_ms });
    }
}
