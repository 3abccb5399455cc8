//! What is to run of what the store holds, and what of it runs here.

use std::collections::BTreeSet;

use sinew_skill_store::{Digest, Held, Standing, State, SwapAt, Trust};
use sinew_tasks::{InstalledVersion, SwapAt as TaskSwapAt};

use super::{Inner, News, NewsOf, Running, by};

impl Inner {
    /// Looks into the store: false if it can't be read, and what is known of it is what it was.
    pub(super) fn look(&mut self) -> bool {
        self.has_looked = true;
        match self.store.all() {
            Ok(all) => self.known = all,
            Err(error) => {
                self.note(error.to_string());
                return false;
            }
        }
        true
    }

    /// What is to run here: what is active in the store and, instead of what is left here, what was good before.
    fn wanted(&self) -> impl Iterator<Item = &Held> {
        let is_left = |held: &Held| self.left_here.get(&held.name) == Some(&held.digest);
        self.known.iter().filter(move |held| match held.state {
            State::Active { .. } => !is_left(held),
            State::LastGood => (self.known.iter())
                .any(|left| left.name == held.name && left.is_active() && is_left(left)),
            State::RolledBack | State::Installed => false,
        })
    }

    pub(super) fn wanted_of(&self, name: &str) -> Option<Held> {
        self.wanted().find(|held| held.name == name).cloned()
    }

    /// A version runs here from now on.
    pub(super) fn runs(&mut self, held: Held) {
        let is_before = |other: &&Held| other.name == held.name && other.state == State::LastGood;
        let before = self.known.iter().find(is_before).cloned();
        let digest = |held: &Option<Held>| held.as_ref().map(|held| held.digest);
        let ran = self
            .active
            .remove(&held.name)
            .filter(|ran| ran.held.digest == held.digest && digest(&ran.before) == digest(&before));
        let running = Running {
            standing: self.standing_of(&held),
            memory_before: ran.and_then(|ran| ran.memory_before),
            before,
            held,
        };
        self.suspended.remove(&running.held.name);
        self.active.insert(running.held.name.clone(), running);
    }

    /// How a version stands by what the store knows, and by its ends that the store does not know yet.
    fn standing_of(&self, held: &Held) -> Standing {
        let State::Active { standing, .. } = held.state else {
            return Standing::Good;
        };
        let ends = self.unbooked.iter().filter(|end| end.digest == held.digest);
        (ends.map(|end| &end.outcome)).fold(standing, |standing, end| {
            // What was left for an end does not run.
            standing.after(end).unwrap_or(standing)
        })
    }

    /// What is to run here instead of a version that was left, and does if it can be taken up now; what can't is among the news once
    /// it can.
    pub(super) fn go_back(
        &mut self,
        name: &str,
        left: Digest,
    ) -> (Option<Held>, Option<InstalledVersion>) {
        self.active.remove(name);
        self.suspended.remove(name);
        self.look();
        // If it could not be looked into, the one that was left is what is known.
        let held = self.wanted_of(name).filter(|held| held.digest != left);
        let instead = held.clone().and_then(|held| self.take_up(held));
        (held, instead)
    }

    pub(super) fn take_up(&mut self, held: Held) -> Option<InstalledVersion> {
        match self.taking.take(&self.store, &held) {
            Ok(version) => {
                self.runs(held);
                Some(version)
            }
            Err(why) => {
                if let Some(why) = why {
                    self.note(format!("{held} can't be gone back to yet: {why}"));
                }
                None
            }
        }
    }

    /// What has become of versions that were left when nobody waited for it.
    pub(super) fn news_of_left(&mut self) -> Vec<News> {
        let left = std::mem::take(&mut self.left);
        (left.into_iter())
            .map(|booking| News {
                what: NewsOf::Left(
                    booking.digest,
                    self.left_by_store(&booking.name, booking.digest),
                ),
                words: format!("{} {} was left", booking.name, booking.version),
                name: booking.name,
            })
            .collect()
    }

    /// What is to run here now beside what runs.
    pub(super) fn compare(&mut self) -> Vec<News> {
        let is_active = |digest: &Digest| {
            let mut active = self.known.iter().filter(|held| held.is_active());
            active.any(|held| held.digest == *digest)
        };
        let left = self.left_here.iter();
        let left = left.filter(|(_, digest)| !is_active(digest));
        let left: Vec<String> = left.map(|(name, _)| name.clone()).collect();
        for name in left {
            self.leave_no_more(&name);
        }
        let wanted: Vec<Held> = self.wanted().cloned().collect();
        let is_gone = |name: &String| !wanted.iter().any(|held| held.name == *name);
        let gone: Vec<String> =
            (self.active.keys().filter(|name| is_gone(name)).cloned()).collect();
        let mut news = Vec::new();
        for name in gone {
            self.active.remove(&name);
            news.push(News {
                words: format!("{name} is not active any more"),
                what: NewsOf::Gone,
                name,
            });
        }
        self.suspended.retain(|name, _| !is_gone(name));
        let trust = self.place.trust();
        // What runs until another version can be taken up is judged as well, whatever the store knows of it.
        let wanted_digests: BTreeSet<Digest> = wanted.iter().map(|held| held.digest).collect();
        let running = self.active.values().map(|running| running.held.clone());
        let staying = running.filter(|held| !wanted_digests.contains(&held.digest));
        let staying: Vec<Held> = staying.collect();
        for held in staying {
            if let Some((why, _)) = judge(&trust, &held) {
                news.push(self.distrust(held, why));
            }
        }
        for held in wanted {
            let (swap_at, became) = match held.state {
                State::Active { swap_at, .. } => (swap_at, format!("{held} was made active")),
                _ => (SwapAt::NextTask, format!("{held} is gone back to")),
            };
            let running = self.active.get(&held.name);
            let runs = running.is_some_and(|running| running.held.digest == held.digest);
            let known = self.distrusted.get(&held.digest);
            match judge(&trust, &held) {
                // What was found before may have been that nothing could be read.
                Some((why, is_known))
                    if runs || (is_known && known.is_some_and(|known| *known != why)) =>
                {
                    news.push(self.distrust(held, why));
                    continue;
                }
                Some((why, is_known)) if known.is_some() => {
                    if !is_known {
                        self.note(why);
                    }
                    continue;
                }
                _ => {}
            }
            if runs {
                // What others have done to it counts from now on.
                self.runs(held);
                continue;
            }
            self.distrusted.remove(&held.digest);
            let (what, words) = match self.taking.take(&self.store, &held) {
                Ok(version) => {
                    self.runs(held.clone());
                    (NewsOf::Version(version, at(swap_at)), became)
                }
                Err(Some(why)) => {
                    let words = format!("{became} and can't be taken up yet: {why}");
                    self.note(words.clone());
                    (NewsOf::NotTaken, words)
                }
                Err(None) => continue,
            };
            news.push(News {
                name: held.name,
                what,
                words,
            });
        }
        let is_wanted = |held: &Held| wanted_digests.contains(&held.digest);
        news.extend(self.resume(&trust, is_wanted));
        news
    }

    /// What ran instead of a version that can't be taken up goes on once nothing is known against it any more.
    fn resume(
        &mut self,
        trust: &anyhow::Result<Trust>,
        is_wanted: impl Fn(&Held) -> bool,
    ) -> Vec<News> {
        let mut news = Vec::new();
        for (name, running) in std::mem::take(&mut self.suspended) {
            let held = running.held.clone();
            let taken = match judge(trust, &held) {
                None if !is_wanted(&held) => self.take_up(held.clone()),
                _ => None,
            };
            let Some(version) = taken else {
                self.suspended.insert(name, running);
                continue;
            };
            self.distrusted.remove(&held.digest);
            self.active.insert(name.clone(), running);
            news.push(News {
                what: NewsOf::Version(version, TaskSwapAt::NextTask),
                words: format!("{held} goes on"),
                name,
            });
        }
        news
    }

    /// Revoked while it ran here, or nobody can tell: no task begins with it any more. One that runs comes to its end, as if it had
    /// been replaced.
    fn distrust(&mut self, held: Held, why: String) -> News {
        let words = format!("no task begins with it any more: {why}");
        self.note(words.clone());
        self.unsaid
            .push((held.clone(), why.clone(), by(self.clock)));
        let running = self.active.remove(&held.name);
        (self.suspended).extend(running.map(|running| (held.name.clone(), running)));
        self.distrusted.insert(held.digest, why);
        News {
            name: held.name,
            what: NewsOf::Gone,
            words,
        }
    }
}

/// Why a version may not run, if that is so, and whether that is known: nobody can tell what is revoked if the file can't be read, and
/// somebody may just have revoked it, and have mistyped that.
fn judge(trust: &anyhow::Result<Trust>, held: &Held) -> Option<(String, bool)> {
    match trust {
        Ok(trust) => Some((held.check_trust(trust).err()?.to_string(), true)),
        Err(error) => {
            let error = format!("{error:#}");
            let words: Vec<&str> = error.split_whitespace().collect();
            let why = format!("whom to trust can't be read: {}", words.join(" "));
            Some((why, false))
        }
    }
}

fn at(at: SwapAt) -> TaskSwapAt {
    match at {
        SwapAt::NextTask => TaskSwapAt::NextTask,
        SwapAt::SafePoint => TaskSwapAt::SafePoint,
        SwapAt::Now => TaskSwapAt::Now,
    }
}
