//! Versions that their ends make unfit: judged here, so that neither a store that can't be changed nor what others do to it
//! meanwhile lets one of them go on; the store learns of it with the end, or later.

use sinew_skill_store::Digest;
use sinew_tasks::{Left, Version as _};

use super::{Booking, Inner, NOTHING_INSTEAD};

impl Inner {
    /// What an end makes of the version that runs here: why it is to be left, if that is so.
    pub(super) fn judge_end(&mut self, end: &Booking) -> Option<String> {
        let running = self.active.get_mut(&end.name)?;
        if running.held.digest != end.digest {
            return None;
        }
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
        let running = self.active.remove(name);
        let version = (running.as_ref()).map_or_else(String::new, |it| it.held.version.to_string());
        let (before, known) = running.map_or((None, None), |it| (it.before, it.memory_before));
        let is_active = (self.known.iter()).any(|held| is_it(held.digest) && held.is_active());
        self.without_epoch.remove(name);
        let (then, (back_to, instead)) = if is_active && is_unbooked {
            self.left_here.insert(name.to_owned(), left);
            let then = "the store is told of it when it can be changed";
            (then, self.go_back(name, left))
        } else {
            let then = match is_active {
                true => "somebody has made it active anew meanwhile",
                false => "somebody has made another one active meanwhile",
            };
            let instead = before.clone().and_then(|before| self.take_up(before));
            match instead {
                Some(instead) => (then, (before, Some(instead))),
                None => (then, self.go_back(name, left)),
            }
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
