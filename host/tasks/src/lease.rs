//! Leases on the parts of the robot: one holder at a time.

use std::collections::BTreeMap;

use sinew_plugin_host::{Lease, Manifest, RobotPart};

use crate::task::TaskId;

/// A set of robot parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RobotParts {
    /// The arm.
    pub arm: bool,
    /// The gripper.
    pub gripper: bool,
}

impl RobotParts {
    /// Every part.
    pub const ALL: [RobotPart; 2] = [RobotPart::Arm, RobotPart::Gripper];

    /// What a plugin needs; one that names nothing gets everything.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            arm: manifest.needs(RobotPart::Arm),
            gripper: manifest.needs(RobotPart::Gripper),
        }
    }

    fn iter(self) -> impl Iterator<Item = RobotPart> {
        Self::ALL.into_iter().filter(move |part| match part {
            RobotPart::Arm => self.arm,
            RobotPart::Gripper => self.gripper,
        })
    }

    /// What the plugin host is told.
    #[must_use]
    pub fn lease(self) -> Lease {
        Lease {
            arm: self.arm,
            gripper: self.gripper,
        }
    }

    /// In words, for events.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(part_name).collect()
    }
}

/// Name of a part in manifests and events.
pub(crate) fn part_name(part: RobotPart) -> &'static str {
    match part {
        RobotPart::Arm => "arm",
        RobotPart::Gripper => "gripper",
    }
}

/// Who holds what.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    holders: BTreeMap<RobotPart, TaskId>,
    /// Tasks that wait for a part in this step: who was submitted later does not take it before them.
    waiting: BTreeMap<RobotPart, TaskId>,
}

impl Leases {
    /// Takes all of `parts` for `task`, or none of them. A part that the task holds already stays its own.
    ///
    /// # Errors
    /// A part that is held by another task, and by whom.
    pub fn take(&mut self, parts: RobotParts, task: TaskId) -> Result<(), (RobotPart, TaskId)> {
        for part in parts.iter() {
            match self.holders.get(&part) {
                Some(&holder) if holder != task => return Err((part, holder)),
                _ => {}
            }
        }
        self.holders.extend(parts.iter().map(|part| (part, task)));
        Ok(())
    }

    /// A step of the engine begins.
    pub(crate) fn begin_step(&mut self) {
        self.waiting.clear();
    }

    /// [`Self::take`] for a task that has not begun: what one that was submitted before waits for, it leaves.
    ///
    /// # Errors
    /// A part that another task holds or waits for, and which.
    pub(crate) fn take_in_turn(
        &mut self,
        parts: RobotParts,
        task: TaskId,
    ) -> Result<(), (RobotPart, TaskId)> {
        let earlier = parts.iter().find_map(|part| {
            let waits = *self.waiting.get(&part)?;
            (waits < task).then_some((part, waits))
        });
        let taken = earlier.map_or_else(|| self.take(parts, task), Err);
        if taken.is_err() {
            for part in parts.iter() {
                self.waiting.entry(part).or_insert(task);
            }
        }
        taken
    }

    /// Gives back everything that `task` holds.
    pub fn release(&mut self, task: TaskId) {
        self.holders.retain(|_, holder| *holder != task);
    }

    /// Who holds a part.
    #[must_use]
    pub fn holder(&self, part: RobotPart) -> Option<TaskId> {
        self.holders.get(&part).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_one_holder_and_taking_is_all_or_nothing() {
        let (arm, both) = (
            RobotParts {
                arm: true,
                gripper: false,
            },
            RobotParts {
                arm: true,
                gripper: true,
            },
        );
        let (first, second) = (TaskId(1), TaskId(2));
        let mut leases = Leases::default();
        assert_eq!(leases.take(arm, first), Ok(()));
        assert_eq!(leases.take(both, second), Err((RobotPart::Arm, first)));
        assert_eq!(leases.holder(RobotPart::Gripper), None);
        assert_eq!(leases.take(both, first), Ok(()));
        leases.release(second);
        assert_eq!(leases.holder(RobotPart::Arm), Some(first));
        leases.release(first);
        assert_eq!(leases.take(both, second), Ok(()));
        assert_eq!(both.names(), ["arm", "gripper"]);
    }
}
