//! Reading and verifying a log, line by line.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use serde::Serialize;

use crate::approvals::Approvals;
use crate::chain::{Flaw, Head, check};
use crate::clock::utc;
use crate::place::open_to_read;
use crate::record::Record;

/// Longest line: some times the longest record, so that a file that is no log ends soon.
pub(crate) const LINE_BYTES_MAX: u64 = 1 << 20;

/// What came of reading a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Every line follows the one before.
    pub ok: bool,
    /// Records that do.
    pub records: u64,
    /// The first line that does not, from 1.
    pub first_bad: Option<u64>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Hash of the last record that was verified: kept elsewhere, it shows later that nothing was cut off.
    pub head: String,
    /// Bytes of a torn last line: a crash in the middle of a write. The next start moves them aside and records that.
    pub torn_bytes: u64,
    /// Milliseconds since 1970 of the first record that has a time of day.
    pub first_time_unix_ms: Option<u64>,
    /// Those of the last one.
    pub last_time_unix_ms: Option<u64>,
    /// Records without a time of day: of runs in virtual time.
    pub no_wall_clock: u64,
    /// Everybody who acted, by the names in the log.
    pub actors: BTreeSet<String>,
    /// Records of what the robot did by itself.
    pub by_nobody: u64,
}

/// What stands at the end of the readable part.
pub(crate) enum Ending {
    /// Nothing.
    Clean,
    /// A last line without a line feed.
    Torn(Vec<u8>),
    /// A whole line that does not fit, with its number.
    Bad(u64, Flaw),
}

/// Reads records that follow `head`, hands each to `take`, and says where they end: the head, how many bytes were
/// read, and what comes then.
pub(crate) fn follow(
    mut reader: impl BufRead,
    mut head: Head,
    mut take: impl FnMut(Record),
) -> io::Result<(Head, u64, Ending)> {
    let mut bytes = 0;
    loop {
        let mut line = Vec::new();
        let read = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok((head, bytes, Ending::Clean));
        }
        let number = head.seq + 1;
        if line.last() != Some(&b'\n') {
            let ending = if read == LINE_BYTES_MAX {
                Ending::Bad(number, Flaw::TooLong)
            } else {
                Ending::Torn(line)
            };
            return Ok((head, bytes, ending));
        }
        line.pop();
        match check(&line, &head) {
            Ok(record) => {
                head = Head {
                    seq: record.seq,
                    sha256: record.sha256.clone(),
                };
                bytes += read;
                take(record);
            }
            Err(flaw) => return Ok((head, bytes, Ending::Bad(number, flaw))),
        }
    }
}

/// Reads a log as far as it verifies, and hands every record to `take`.
///
/// # Errors
/// The system's, if the file can't be read. A broken chain is a result, not an error.
pub fn read(path: &Path, mut take: impl FnMut(Record)) -> io::Result<Verification> {
    let reader = BufReader::new(open_to_read(path)?);
    let mut verification = Verification {
        ok: true,
        records: 0,
        first_bad: None,
        problem: None,
        head: String::new(),
        torn_bytes: 0,
        first_time_unix_ms: None,
        last_time_unix_ms: None,
        no_wall_clock: 0,
        actors: BTreeSet::new(),
        by_nobody: 0,
    };
    let (head, _, ending) = follow(reader, Head::start(), |record| {
        verification.count(&record);
        take(record);
    })?;
    verification.records = head.seq;
    verification.head = head.sha256;
    match ending {
        Ending::Clean => {}
        Ending::Torn(bytes) => verification.torn_bytes = bytes.len() as u64,
        Ending::Bad(line, flaw) => {
            verification.ok = false;
            verification.first_bad = Some(line);
            verification.problem = Some(flaw.to_string());
        }
    }
    Ok(verification)
}

/// What a log says of safety configurations, as far as it verifies.
///
/// # Errors
/// As [`read`].
pub fn approvals(path: &Path) -> io::Result<(Verification, Approvals)> {
    let mut approvals = Approvals::default();
    let verification = read(path, |record| approvals.take(&record))?;
    Ok((verification, approvals))
}

/// [`read`] without looking at the records.
///
/// # Errors
/// As [`read`].
pub fn verify(path: &Path) -> io::Result<Verification> {
    read(path, |_| {})
}

impl Verification {
    /// Takes down when the record was written, and by whom.
    fn count(&mut self, record: &Record) {
        match record.time_unix_ms {
            Some(time) => {
                self.first_time_unix_ms.get_or_insert(time);
                self.last_time_unix_ms = Some(time);
            }
            None => self.no_wall_clock += 1,
        }
        match &record.actor {
            Some(actor) if !self.actors.contains(actor) => {
                self.actors.insert(actor.clone());
            }
            Some(_) => {}
            None => self.by_nobody += 1,
        }
    }

    /// The result as a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![match (&self.first_bad, &self.problem) {
            (Some(line), Some(problem)) => format!(
                "BROKEN at line {line}: {problem}; the {} records before it verify",
                self.records
            ),
            _ => format!("{} records, every one follows the one before", self.records),
        }];
        if let (Some(first), Some(last)) = (self.first_time_unix_ms, self.last_time_unix_ms) {
            lines.push(format!("from {} to {}", utc(first), utc(last)));
        }
        if self.no_wall_clock > 0 {
            lines.push(format!(
                "no wall clock in {} of them: runs in virtual time",
                self.no_wall_clock
            ));
        }
        if !self.actors.is_empty() {
            let names: Vec<&str> = self.actors.iter().map(String::as_str).collect();
            lines.push(format!("acted: {}", names.join(", ")));
        }
        if self.by_nobody > 0 {
            lines.push(format!(
                "nobody acted in {} of them: what the robot did by itself",
                self.by_nobody
            ));
        }
        if self.torn_bytes > 0 {
            lines.push(format!(
                "the last line is torn ({} bytes): a crash in the middle of a write; the next start moves them aside and \
                 records that",
                self.torn_bytes
            ));
        }
        lines.push(format!(
            "head {}: keep it elsewhere to see later that nothing was cut off the end",
            self.head
        ));
        lines.join("\n")
    }
}
