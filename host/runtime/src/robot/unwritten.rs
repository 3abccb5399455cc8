//! Records that a cell keeps until its audit log can be written.
//!
//! A cell's file can be written by whoever may write the folder, so what comes out of it is evidence of less weight: it is
//! bounded, and says in the log that it came late. What a command notes itself goes there as it is.

use serde_json::Value;
use sinew_audit::{Deferred, Entry, Pending, Stamp, UNNAMED, actor_name};

use super::cell_file::CellFile;
use crate::audit::now_unix_ms;

/// Kinds of records that a cell may keep until the log can be written. Approvals are not among them: nobody gives one by
/// writing it into a cell.
const KINDS: [&str; 13] = [
    "boot",
    "resumed",
    "stop",
    "stop-worsened",
    "stop-asked",
    "contact-opened",
    "contact-closed",
    "records-lost",
    "reset-asked",
    "reset-granted",
    "reset-refused",
    "mode-changed",
    "log-accepted",
];
/// Most records that are kept. What comes then is counted.
pub(super) const KEPT_MAX: usize = 1_000;
/// Longest content of one that was kept, bytes: some times the longest that is written.
const CONTENT_BYTES_MAX: usize = 4 * 1024;
/// Stands in the content of a record that came out of a cell's file.
pub(super) const DEFERRED: &str = "deferred";

impl CellFile {
    /// What this cell's records belong to. Several cells may share a log.
    pub(super) fn episode(&self) -> String {
        format!("by-hand {}", self.kept_as)
    }

    /// Keeps a record until it is in the log.
    pub(super) fn note(&mut self, actor: Option<&str>, entry: Entry) {
        self.note_at(None, actor, entry);
    }

    /// The same of what happened then; now, if nobody knows.
    pub(super) fn note_at(&mut self, unix_ms: Option<u64>, actor: Option<&str>, entry: Entry) {
        if self.unwritten.len() >= KEPT_MAX {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let mut pending = self.now(actor, entry);
        pending.stamp.time_unix_ms = unix_ms.or(pending.stamp.time_unix_ms);
        self.unwritten.push(Deferred::from(&pending));
    }

    /// The records that the log does not have yet, as it gets them.
    pub(super) fn late(&self) -> Vec<Pending> {
        let lost =
            (self.lost > 0).then(|| self.now(None, Entry::RecordsLost { records: self.lost }));
        let mark = |(index, mut kept): (usize, Deferred)| {
            if index < self.out_of_file {
                kept.content.insert(DEFERRED.into(), true.into());
            }
            kept
        };
        (self.unwritten.iter().cloned().enumerate())
            .map(mark)
            .map(Pending::from)
            .chain(lost)
            .collect()
    }

    fn now(&self, actor: Option<&str>, entry: Entry) -> Pending {
        Pending {
            stamp: Stamp {
                episode: Some(self.episode()),
                // When it happened: it may be written much later.
                time_unix_ms: Some(now_unix_ms()),
                ..Stamp::default()
            },
            actor: actor.map(str::to_owned),
            entry,
        }
    }

    /// What is wrong with the records that are kept. That they are many is not: a stop must be able to come after them.
    pub(super) fn check_unwritten(&self) -> Result<(), String> {
        match (self.unwritten.iter()).find(|kept| !KINDS.contains(&&*kept.kind)) {
            Some(stray) => Err(format!("unwritten: a cell keeps no `{}`", stray.kind)),
            None => Ok(()),
        }
    }

    /// Bounds what came out of the file.
    pub(super) fn bound_unwritten(&mut self) {
        let over = self.unwritten.len().saturating_sub(KEPT_MAX);
        self.unwritten.truncate(KEPT_MAX);
        self.lost = self.lost.saturating_add(over as u64);
        let (episode, now) = (self.episode(), now_unix_ms());
        for kept in &mut self.unwritten {
            kept.episode = Some(episode.clone());
            kept.time_unix_ms = kept.time_unix_ms.map(|time| time.min(now));
            let bytes = Value::Object(kept.content.clone()).to_string().len();
            if bytes > CONTENT_BYTES_MAX {
                kept.content.clear();
                kept.content.insert("too_long_bytes".into(), bytes.into());
            }
            if kept
                .actor
                .as_deref()
                .is_some_and(|name| name != UNNAMED && actor_name(name).is_err())
            {
                kept.actor = None;
                kept.content.insert("actor_was_no_name".into(), true.into());
            }
        }
        self.out_of_file = self.unwritten.len();
    }
}

#[cfg(test)]
mod tests {
    use sinew_description::RobotDescription;

    use super::*;

    fn read_again(file: &CellFile) -> CellFile {
        let robot = RobotDescription::builtin();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("robot.json");
        file.write(&path).expect("writable");
        CellFile::read(&path, &robot).expect("it is read")
    }

    fn new() -> CellFile {
        let robot = RobotDescription::builtin();
        CellFile::new(&robot, robot.chain().rest())
    }

    /// However long the log can't be written, the cell can be read and stopped.
    #[test]
    fn more_than_can_be_kept_is_counted_and_never_refused() {
        let mut file = new();
        for _ in 0..KEPT_MAX + 7 {
            file.note(None, Entry::StopAsked { category: 0 });
        }
        assert_eq!((file.unwritten.len(), file.lost), (KEPT_MAX, 7));
        let more = file.unwritten[0].clone();
        file.unwritten.extend([more.clone(), more]);
        let again = read_again(&file);
        assert_eq!((again.unwritten.len(), again.lost), (KEPT_MAX, 9));
        let last = again.late().pop().expect("there are some");
        assert_eq!(last.entry, Entry::RecordsLost { records: 9 });
    }

    /// What somebody wrote into a cell's file does not pass for what happened in a run, tomorrow, or under a name that is none.
    #[test]
    fn what_came_out_of_a_file_is_bounded_and_says_so() {
        let mut file = new();
        file.note(Some("ann"), Entry::StopAsked { category: 0 });
        file.note(Some(UNNAMED), Entry::StopAsked { category: 0 });
        let mut forged = file.unwritten[0].clone();
        forged.kind = "reset-granted".into();
        forged.actor = Some("an\u{202e}n".into());
        forged.time_unix_ms = Some(u64::MAX);
        forged.episode = Some("seed1-cycle0".into());
        let long = "x".repeat(2 * CONTENT_BYTES_MAX);
        forged.content.insert("long".into(), long.into());
        file.unwritten.push(forged);
        let again = read_again(&file);
        let [ann, unnamed, forged] = &again.unwritten[..] else {
            panic!("there are three");
        };
        assert_eq!(ann.actor.as_deref(), Some("ann"));
        assert_eq!(unnamed.actor.as_deref(), Some(UNNAMED));
        assert_eq!(forged.actor, None);
        assert_eq!(forged.episode.as_deref(), Some("by-hand robot.json"));
        assert!(
            forged
                .time_unix_ms
                .is_some_and(|time| time <= now_unix_ms())
        );
        assert!(forged.content.get("long").is_none());
        let mut again = again;
        again.note(None, Entry::StopAsked { category: 0 });
        let marked: Vec<bool> = (again.late().iter().map(Deferred::from))
            .map(|late| late.content.get(DEFERRED) == Some(&true.into()))
            .collect();
        assert_eq!(marked, [true, true, true, false]);
    }
}
