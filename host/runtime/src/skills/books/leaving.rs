//! Versions that their ends make unfit: judged here, so that neither a store that can't be changed nor what others do to it
//! meanwhile lets one of them go on; the store learns of it with the end, or later.

use sinew_skill_store::{Digest, Held, Standing};
use sinew_tasks::{InstalledVersion, Left, Version as _};

use super::{Booking, Inner, NOTHING_INSTEAD, Running};

impl Inner {
    /// What an end makes of the version that runs here: why it is to be left, if that is so.
    pub(super) fn judge_end(&mut self, end: &Booking) -> Option<String> {
        let (active, suspended) = (&mut self.active, &mut self.suspended);
        let mut running = active
            .get_mut(&end.name)
            .into_iter()
            .chain(suspended.get_mut(&end.name));
        let running = running.find(|running| running.held.digest == end.digest)?;
        match running.standing.after(&end.outcome) {
            Ok(standing) => {
                running.standing = standing;
                None
            }
            Err(why) => Some(why),
        }
    }

    /// The store has left a version because of its end.
    pub(super) fn left_by_store(&mut self, name: &str, left: Digest) -> Left {
        let (back_to, instead) = self.go_back(name, left);
        Left {
            instead,
            back_to: back_to.map(|held| held.digest.to_string()),
            memory: self.read_again(name),
        }
    }

    /// A version that runs here is unfit, and the store has not left it: its end can't be booked now, or somebody has made
    /// another one active meanwhile. Nothing runs on it here any more.
    pub(super) fn leave(&mut self, name: &str, left: Digest, why: &str) -> Left {
        let is_it = |digest: Digest| digest == left;
        let is_unbooked = self.unbooked.iter().any(|end| is_it(end.digest));
        // However many end in a step that can't be booked, it waits for others once.
        if !is_unbooked || !self.has_looked {
            self.look();
        }
        let suspended = self.suspended.remove(name);
        let running = self.active.remove(name).or(suspended);
        let version = (running.as_ref()).map_or_else(String::new, |it| it.held.version.to_string());
        let (before, known) = running.map_or((None, None), |it| (it.before, it.memory_before));
        let is_active = (self.known.iter()).any(|held| is_it(held.digest) && held.is_active());
        self.without_epoch.remove(name);
        let then = match (is_active, is_unbooked) {
            (true, true) => "the store is told of it when it can be changed",
            (true, false) => "somebody has made it active anew meanwhile",
            (false, _) => "it is not the active one any more",
        };
        let (back_to, instead) = if is_active && is_unbooked {
            self.left_here.insert(name.to_owned(), left);
            self.go_back(name, left)
        } else {
            self.go_back_to(name, left, before)
        };
        let back = match (&instead, &back_to) {
            (Some(instead), _) => format!("back to {}", instead.manifest().version),
            (None, Some(held)) => format!("back to {}, once it can be taken up", held.version),
            (None, None) => NOTHING_INSTEAD.to_owned(),
        };
        self.rollbacks
            .push(format!("{name} {version}: {why}; {back}; {then}"));
        let memory = self.memory_before(name, left, back_to.as_ref(), known);
        Left {
            instead,
            back_to: back_to.map(|held| held.digest.to_string()),
            memory,
        }
    }

    /// What was good before a version that is left, whatever somebody has made active meanwhile. If there is nothing, that one takes
    /// over where a clock runs; under virtual time it does between two cycles.
    fn go_back_to(
        &mut self,
        name: &str,
        left: Digest,
        before: Option<Held>,
    ) -> (Option<Held>, Option<InstalledVersion>) {
        let Some(before) = before else {
            return match self.clock {
                Some(_) => self.go_back(name, left),
                None => (None, None),
            };
        };
        let instead = self.take_up(before.clone());
        if instead.is_none() {
            // It is among the news once it can be.
            let held = before.clone();
            let running = Running {
                held,
                standing: Standing::Good,
                before: None,
                memory_before: None,
            };
            self.suspended.insert(name.to_owned(), running);
        }
        (Some(before), instead)
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
    /// booked, somebody has decided otherwise meanwhile, which counts here as well.
    pub(super) fn keep_on(&mut self, end: &Booking) {
        if self.is_left_here(end) && !self.unbooked.iter().any(|other| other.digest == end.digest) {
            self.look();
            self.leave_no_more(&end.name);
        }
    }

    /// Somebody has decided otherwise. If the version that was left here goes on, what was kept since belongs to nobody.
    pub(super) fn leave_no_more(&mut self, name: &str) {
        let Some(digest) = self.left_here.remove(name) else {
            return;
        };
        let is_it = |held: &&Held| held.digest == digest;
        if (self.known.iter().find(is_it)).is_some_and(Held::is_active) {
            self.read.remove(name);
            self.unkept.remove(name);
            return;
        }
        // It is of whoever has run since; what the store has is of the version that was left, unless it was put back by hand.
        match self.store.memory(name) {
            Ok(there) => {
                let read = self.read.get_mut(name);
                if let Some(read) = read.filter(|read| read.epoch == there.epoch) {
                    *read = there;
                }
            }
            Err(error) => self.note(format!("the memory of {name}: {error}")),
        }
    }

    pub(super) fn is_left_here(&self, end: &Booking) -> bool {
        self.left_here.get(&end.name) == Some(&end.digest)
    }
}
