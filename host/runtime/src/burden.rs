//! Tells the gate what the hand carries: what perception says it holds, and what that weighs.

use std::collections::BTreeMap;
use std::sync::Arc;

use sinew_messages::{LimitKind, LoopStatus, Mailbox, MotionState, Payload};
use sinew_perception::InHand;

/// Ticks after which something that is no longer felt is taken off the record, if the gate did not miss it.
const FORGET_TICKS: u64 = 500;

/// What things weigh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// By class, kg.
    by_class: BTreeMap<String, f64>,
}

impl Weights {
    /// From the weight of each class, kg.
    pub fn new(by_class: impl IntoIterator<Item = (String, f64)>) -> Self {
        Self {
            by_class: by_class.into_iter().collect(),
        }
    }

    /// That of a class, kg; of something unknown, the heaviest that there is.
    fn of(&self, class: Option<&str>) -> f64 {
        let known = class.and_then(|class| self.by_class.get(class)).copied();
        known.unwrap_or_else(|| self.by_class.values().copied().fold(0.0, f64::max))
    }
}

/// What the gate has been told.
#[derive(Debug)]
pub(crate) struct Burden {
    mailbox: Arc<Mailbox>,
    weights: Weights,
    /// Where the tool is in the hand's frame, m: parts are held there.
    tool_in_hand_m: [f64; 3],
    told: Option<InHand>,
    /// Tick since which what it was told is no longer felt.
    missing_since: Option<u64>,
}

impl Burden {
    pub(crate) fn new(mailbox: Arc<Mailbox>, weights: Weights, tool_in_hand_m: [f64; 3]) -> Self {
        Self {
            mailbox,
            weights,
            tool_in_hand_m,
            told: None,
            missing_since: None,
        }
    }

    /// One step of the brain.
    pub(crate) fn step(&mut self, in_hand: Option<InHand>, status: &LoopStatus) {
        let Some(held) = in_hand else {
            if self.told.is_some() && self.is_over(status) {
                self.tell(None);
            }
            return;
        };
        self.missing_since = None;
        if self.told.as_ref() != Some(&held) {
            self.tell(Some(held));
        }
    }

    /// Nothing is felt any more. If it was let go of, that is all. If it was lost, the gate holds the robot, and whoever
    /// moved it learns of that first.
    fn is_over(&mut self, status: &LoopStatus) -> bool {
        let since = *self.missing_since.get_or_insert(status.tick);
        let opens = status.setpoint.gripper_width_m > status.frame.gripper_width_m;
        let holds = status.reason == LimitKind::GripLost as u32;
        let moves = status.arm_state == MotionState::Active as u32;
        opens || (holds && !moves) || status.tick.saturating_sub(since) >= FORGET_TICKS
    }

    fn tell(&mut self, held: Option<InHand>) {
        // Parts are no larger than what the hand's own capsules and the tracking margin cover: nothing stands out.
        let payload = held.as_ref().map_or(Payload::NONE, |held| Payload {
            mass_kg: self.weights.of(held.class.as_deref()),
            com_m: self.tool_in_hand_m,
            ..Payload::NONE
        });
        self.mailbox.payload.write(&payload);
        self.told = held;
        self.missing_since = None;
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    fn told(mailbox: &Mailbox, seen: &mut u64) -> Option<f64> {
        let mut payload = Payload::NONE;
        let sequence = mailbox.payload.read_newer(*seen, &mut payload)?;
        *seen = sequence;
        Some(payload.mass_kg)
    }

    #[test]
    fn the_gate_learns_what_is_carried_lost_and_let_go() {
        let mailbox = Arc::new(Mailbox::default());
        let weights = Weights::new([("block".to_owned(), 0.09), ("ring".to_owned(), 0.04)]);
        let mut burden = Burden::new(Arc::clone(&mailbox), weights, [0.0, 0.0, 0.12]);
        let of = |class: Option<&str>| {
            Some(InHand {
                class: class.map(Arc::from),
            })
        };
        let mut seen = 0;
        let mut status = LoopStatus::zeroed();
        status.frame.gripper_width_m = 0.03;
        burden.step(None, &status);
        assert_eq!(told(&mailbox, &mut seen), None);
        burden.step(of(Some("ring")), &status);
        assert_eq!(told(&mailbox, &mut seen), Some(0.04));
        burden.step(of(Some("ring")), &status);
        assert_eq!(told(&mailbox, &mut seen), None, "it is told once");
        // Let go of.
        status.setpoint.gripper_width_m = 0.05;
        burden.step(None, &status);
        assert_eq!(told(&mailbox, &mut seen), Some(0.0));

        // Lost on the way: the motion ends first.
        status.setpoint.gripper_width_m = 0.0;
        burden.step(of(None), &status);
        assert_eq!(
            told(&mailbox, &mut seen),
            Some(0.09),
            "unknown: the heaviest"
        );
        status.arm_state = MotionState::Active as u32;
        status.reason = LimitKind::GripLost as u32;
        burden.step(None, &status);
        assert_eq!(told(&mailbox, &mut seen), None);
        status.arm_state = MotionState::Held as u32;
        burden.step(None, &status);
        assert_eq!(told(&mailbox, &mut seen), Some(0.0));

        // Not felt any more, but the gate says nothing: in the end it is forgotten.
        burden.step(of(Some("block")), &status);
        assert_eq!(told(&mailbox, &mut seen), Some(0.09));
        status.reason = LimitKind::None as u32;
        for _ in 0..FORGET_TICKS {
            burden.step(None, &status);
            assert_eq!(told(&mailbox, &mut seen), None);
            status.tick += 1;
        }
        burden.step(None, &status);
        assert_eq!(told(&mailbox, &mut seen), Some(0.0));
    }
}
