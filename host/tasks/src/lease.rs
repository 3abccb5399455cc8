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
    /// What tasks that go on once they have it have waited for in this step.
    going_on: BTreeMap<TaskId, RobotParts>,
    /// What tasks that begin once they have it have waited for in this step.
    queued: BTreeMap<TaskId, RobotParts>,
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
        self.going_on.clear();
        self.queued.clear();
    }

    /// [`Self::take`] for a task that has not begun: what another one waits for, it leaves. Tasks that have begun come before those
    /// that have not, and these in the order of their submission, if they ask in this order.
    ///
    /// # Errors
    /// A part that another task holds or waits for, and which.
    pub(crate) fn take_to_begin(
        &mut self,
        parts: RobotParts,
        task: TaskId,
    ) -> Result<(), (RobotPart, TaskId)> {
        let before = (self.going_on.iter().chain(&self.queued)).find_map(|(waits, wanted)| {
            let mut shared = wanted
                .iter()
                .filter(|part| parts.iter().any(|own| own == *part));
            shared.next().map(|part| (part, *waits))
        });
        let taken = before.map_or_else(|| self.take(parts, task), Err);
        if taken.is_err() {
            self.queued.insert(task, parts);
        }
        taken
    }

    /// [`Self::take`] for a task that has begun: what it waits for nobody begins with. What it holds meanwhile, with what is in the
    /// gripper, it keeps, unless another one waits like that already: two of them could wait for each other.
    ///
    /// # Errors
    /// A part that another task holds, and which.
    pub(crate) fn take_to_go_on(
        &mut self,
        parts: RobotParts,
        task: TaskId,
    ) -> Result<(), (RobotPart, TaskId)> {
        let taken = self.take(parts, task);
        if taken.is_err() {
            if (self.holders.values()).any(|holder| self.going_on.contains_key(holder)) {
                self.release(task);
            }
            self.going_on.insert(task, parts);
        }
        taken
    }

    /// Whether a task that has begun waits for parts in this step.
    pub(crate) fn waits(&self, task: TaskId) -> bool {
        self.going_on.contains_key(&task)
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

    #[test]
    fn who_has_begun_comes_first_and_of_two_that_wait_one_keeps_what_it_holds() {
        let arm = RobotParts {
            arm: true,
            gripper: false,
        };
        let gripper = RobotParts {
            arm: false,
            gripper: true,
        };
        let both = RobotParts {
            arm: true,
            gripper: true,
        };
        let (queued, one, two) = (TaskId(1), TaskId(2), TaskId(3));
        let mut leases = Leases::default();
        assert_eq!(leases.take(arm, one), Ok(()));
        assert_eq!(leases.take(gripper, two), Ok(()));
        leases.begin_step();
        assert_eq!(
            leases.take_to_begin(arm, queued),
            Err((RobotPart::Arm, one))
        );
        assert_eq!(leases.take_to_go_on(both, two), Err((RobotPart::Arm, one)));
        assert_eq!(
            leases.holder(RobotPart::Gripper),
            Some(two),
            "it has something in it"
        );
        assert_eq!(
            leases.take_to_go_on(both, one),
            Err((RobotPart::Gripper, two))
        );
        assert_eq!(
            leases.holder(RobotPart::Arm),
            None,
            "or both would wait for ever"
        );
        leases.begin_step();
        assert_eq!(
            leases.take_to_go_on(both, one),
            Err((RobotPart::Gripper, two))
        );
        assert_eq!(leases.take_to_go_on(both, two), Ok(()));
        assert!(leases.take_to_begin(arm, queued).is_err());
        leases.release(two);
        assert_eq!(
            leases.take_to_begin(arm, queued),
            Err((RobotPart::Arm, one))
        );
        leases.begin_step();
        assert_eq!(
            leases.take_to_begin(arm, queued),
            Ok(()),
            "nobody waits any more"
        );
    }
}
