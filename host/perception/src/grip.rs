//! Whether the gripper holds something, from what the loop measures: the eyes cannot see between fingers.

use std::sync::Arc;

use nalgebra::Isometry3;
use sinew_messages::LoopStatus;

use crate::lens::isometry;

/// When a grip counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GripConfig {
    /// Least pad force that can hold a part, N.
    pub force_on_n: f64,
    /// Below this the part is loose again, N.
    pub force_off_n: f64,
    /// Narrower than this there is nothing between the pads, m.
    pub width_min_m: f64,
    /// Ticks that the force must last before a part counts as held, and be gone before it counts as loose.
    pub settle_ticks: u64,
}

impl Default for GripConfig {
    fn default() -> Self {
        Self {
            force_on_n: 2.0,
            force_off_n: 0.7,
            width_min_m: 0.008,
            settle_ticks: 40,
        }
    }
}

/// What the hand holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InHand {
    /// Its class, if it was tracked.
    pub class: Option<Arc<str>>,
}

/// What changed in this tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum GripChange {
    None,
    /// The pads closed on something of this width, m.
    Closed(f64),
    Opened,
}

/// The gripper over time.
#[derive(Clone, Debug)]
pub(crate) struct Grip {
    config: GripConfig,
    holds: bool,
    /// Tick since which the force says the opposite of `holds`.
    changing_since: Option<u64>,
}

impl Grip {
    pub(crate) fn new(config: GripConfig) -> Self {
        Self {
            config,
            holds: false,
            changing_since: None,
        }
    }

    /// True while something is held.
    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    pub(crate) fn observe(&mut self, status: &LoopStatus) -> GripChange {
        let frame = &status.frame;
        let (force, width) = (frame.gripper_force_n, frame.gripper_width_m);
        let threshold = if self.holds {
            self.config.force_off_n
        } else {
            self.config.force_on_n
        };
        let says = force >= threshold && width >= self.config.width_min_m;
        if says == self.holds {
            self.changing_since = None;
            return GripChange::None;
        }
        let since = *self.changing_since.get_or_insert(status.tick);
        // Pads that closed on each other hold nothing, whatever their force.
        let at_once = self.holds && width < self.config.width_min_m;
        if !at_once && status.tick.saturating_sub(since) < self.config.settle_ticks {
            return GripChange::None;
        }
        self.changing_since = None;
        self.holds = says;
        if says {
            GripChange::Closed(width)
        } else {
            GripChange::Opened
        }
    }
}

/// The tool in the base frame.
pub(crate) fn tool(status: &LoopStatus) -> Isometry3<f64> {
    isometry(&status.tool_pose)
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    #[test]
    fn a_grip_counts_when_it_lasts() {
        let mut grip = Grip::new(GripConfig::default());
        let mut status = LoopStatus::zeroed();
        let mut changes = Vec::new();
        // (force, width) for 100 ticks each: nothing, a touch too light, a grip, slipping out, closed on nothing.
        let phases = [
            (0.0, 0.08),
            (1.0, 0.03),
            (15.0, 0.03),
            (0.2, 0.03),
            (15.0, 0.0),
        ];
        for (force, width) in phases {
            for _ in 0..100 {
                status.tick += 1;
                status.frame.gripper_force_n = force;
                status.frame.gripper_width_m = width;
                let change = grip.observe(&status);
                if change != GripChange::None {
                    changes.push((status.tick, change));
                }
            }
        }
        assert_eq!(
            changes,
            [(241, GripChange::Closed(0.03)), (341, GripChange::Opened)]
        );
    }

    #[test]
    fn a_short_bump_is_no_grip() {
        let mut grip = Grip::new(GripConfig::default());
        let mut status = LoopStatus::zeroed();
        status.frame.gripper_width_m = 0.03;
        for tick in 1..500 {
            status.tick = tick;
            status.frame.gripper_force_n = if tick % 40 < 30 { 10.0 } else { 0.0 };
            assert_eq!(grip.observe(&status), GripChange::None);
        }
    }
}
