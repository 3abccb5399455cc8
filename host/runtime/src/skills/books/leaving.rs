//! Versions that their ends make unfit while the store can't be changed: left here first, and in the store later.

use sinew_skill_store::{Digest, RunOutcome, Standing, State};
use sinew_tasks::{Left, Version as _};

use super::{Booking, Inner, NOTHING_INSTEAD};

impl Inner {
    /// A version on probation that its ends have made unfit, which can't be booked now: nothing runs on it here any more, and the
    /// store learns of it later.
    pub(super) fn leave_unbooked(&mut self, digest: Digest) -> Option<Left> {
        let speaks_against = |end: &Booking| {
            let is_so = matches!(end.outcome, RunOutcome::Failed | RunOutcome::Faulted(_));
            end.digest == digest && is_so
        };
        let is_fit = !self.unbooked.iter().any(speaks_against);
        if is_fit || self.left_here.values().any(|left| *left == digest) {
            return None;
        }
        // However many end in a step, it waits for others once.
        if !self.has_looked {
            self.look();
        }
        let held = self.known.iter().find(|held| held.digest == digest)?;
        let State::Active { standing, .. } = held.state else {
            return None;
        };
        let ends = self.unbooked.iter().filter(|end| end.digest == digest);
        let why = (ends.map(|end| &end.outcome))
            .try_fold(standing, Standing::after)
            .err()?;
        let (name, version) = (held.name.clone(), held.version.clone());
        self.left_here.insert(name.clone(), digest);
        // It is of the version that is left.
        self.unkept.remove(&name);
        self.without_epoch.remove(&name);
        let instead = self.go_back(&name, digest);
        let back = match (&instead, self.wanted_of(&name)) {
            (Some(instead), _) => format!("back to {}", instead.manifest().version),
            (None, Some(held)) => format!("back to {}, once it can be taken up", held.version),
            (None, None) => NOTHING_INSTEAD.to_owned(),
        };
        self.rollbacks.push(format!(
            "{name} {version}: {why}; {back}; the store is told of it when it can be changed"
        ));
        let memory = self.memory_before(&name);
        Some(Left { instead, memory })
    }

    /// The store has left a version that was left here before. What is kept since then is of whoever runs instead.
    pub(super) fn store_has_left(&mut self, name: &str) {
        self.left_here.remove(name);
        self.keep_in_epoch(name);
    }

    /// What is kept belongs to the memory that the store has put back. If that can't be read, it shows later.
    pub(super) fn keep_in_epoch(&mut self, name: &str) {
        match self.store.memory(name) {
            Ok(memory) => {
                if let Some(unkept) = self.unkept.get_mut(name) {
                    unkept.memory.epoch = memory.epoch;
                }
                if let Some(read) = self.read.get_mut(name) {
                    *read = memory;
                }
            }
            Err(error) => {
                self.note(format!("the memory of {name}: {error}"));
                self.without_epoch.insert(name.to_owned());
            }
        }
    }

    /// An end is booked that has not made the store leave its version. If that was left here, and nothing of it is still to be
    /// booked, somebody has decided otherwise meanwhile: here it goes on as well.
    pub(super) fn keep_on(&mut self, end: &Booking) {
        if self.is_left_here(end) && !self.unbooked.iter().any(|other| other.digest == end.digest) {
            self.leave_no_more(&end.name);
        }
    }

    /// What was kept since a version was left here belongs to nobody.
    pub(super) fn leave_no_more(&mut self, name: &str) {
        self.left_here.remove(name);
        self.read.remove(name);
        self.unkept.remove(name);
    }

    pub(super) fn is_left_here(&self, end: &Booking) -> bool {
        self.left_here.get(&end.name) == Some(&end.digest)
    }
}
