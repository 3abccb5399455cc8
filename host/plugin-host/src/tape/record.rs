//! What is kept of a run: everything that came into the component, so that the run can be done again, and everything that
//! it called, so that it can be told where another run differs.

use std::ops::Range;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::codec::{Recorded, put_bytes_of, recorded_fields};
use crate::limits::Limits;
use crate::run::Entry;

/// What a file begins with; its last byte is the layout's number.
const MAGIC: &[u8; 8] = b"SINEWRN\x03";
/// Bytes of the hash at a file's end.
const HASH: usize = 32;

/// A run of a plugin, as it was recorded.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// `publisher/name`.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// Tick of the start.
    pub started: u64,
    /// How it ended.
    pub end: RecordedEnd,
    /// Seed of what is random in it.
    pub(crate) seed: u64,
    /// What was called, and with what.
    pub(crate) entry: Entry,
    /// The budgets that decide where it ends.
    pub(crate) budgets: Budgets,
    pub(crate) calls: Calls,
}

/// How a recorded run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEnd {
    /// `finished`, `failed`, `proposed`, `trapped`, `out-of-budget`, `starved`, `handed-over` or `cancelled`.
    pub kind: String,
    /// What it gave, or why it ended.
    pub text: String,
    /// The host ended it: a deadline, a cancellation, the end of a stop's patience. The component alone would have gone on.
    pub by_host: bool,
}

/// Budgets that decide where a component ends. What only spreads it over time is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budgets {
    memory_bytes: u64,
    table_elements: u64,
    instances: u64,
    handles: u64,
    call_bytes: u64,
    fuel_between_calls: u64,
}

/// Calls, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    /// Names of the functions that are called, by number.
    pub(crate) functions: Vec<String>,
    /// How many calls are kept.
    pub(crate) count: u64,
    /// How many were not, because there were too many.
    pub(crate) left_out: u64,
    pub(crate) bytes: Vec<u8>,
    /// The call that was not answered any more: the host ended the component in it.
    pub(crate) pending: Option<Begun>,
}

/// Calls as they are taken down: in place, and not as values of their own, because this is most of what a call costs beside
/// its work.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    calls: Calls,
    /// Where the call begins in `calls.bytes` that was not answered yet.
    open: Option<usize>,
    /// Number of the function that is called, or was called last.
    calling: usize,
}

/// What is called, before it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) function: u32,
    pub(crate) params: Vec<u8>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) function: u32,
    /// Tick at which it was answered.
    pub(crate) tick: u64,
    pub(crate) params: Vec<u8>,
    /// What was answered, or what the host ended the component with.
    pub(crate) answer: Result<Vec<u8>, String>,
}

recorded_fields! {
    Call { function, tick, params, answer }
    Begun { function, params }
    Calls { functions, count, left_out, bytes, pending }
    RecordedEnd { kind, text, by_host }
    Budgets { memory_bytes, table_elements, instances, handles, call_bytes, fuel_between_calls }
    RunRecord { plugin, version, digest, started, end, seed, entry, budgets, calls }
}

/// Why bytes are no recorded run.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// They begin with something else.
    #[error("this is no recorded run")]
    Other,
    /// An older host wrote it.
    #[error("an older sinew recorded this run (layout {0}); replay it with that")]
    Older(u8),
    /// A newer host wrote it.
    #[error("a newer sinew recorded this run (layout {0}); replay it with that")]
    Newer(u8),
    /// Cut off, or changed since.
    #[error(
        "this recorded run is damaged: its hash at the end is not that of what stands before it"
    )]
    Damaged,
}

impl RunRecord {
    /// As a file has it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        self.put(&mut bytes);
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        bytes
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let (version, name) = MAGIC.split_last().ok_or(RecordError::Other)?;
        if bytes.len() < MAGIC.len() || &bytes[..name.len()] != name {
            return Err(RecordError::Other);
        }
        match bytes[name.len()] {
            found if found > *version => return Err(RecordError::Newer(found)),
            found if found < *version => return Err(RecordError::Older(found)),
            _ => {}
        }
        let end = bytes.len().saturating_sub(HASH).max(MAGIC.len());
        let (content, hash) = bytes.split_at(end);
        if Sha256::digest(content).as_slice() != hash {
            return Err(RecordError::Damaged);
        }
        super::codec::value_of(&content[MAGIC.len()..]).ok_or(RecordError::Damaged)
    }

    /// How many calls are kept.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.count
    }

    /// How many calls came after the last one that is kept.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.calls.left_out
    }
}

impl Budgets {
    pub(crate) fn of(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes as u64,
            table_elements: limits.table_elements as u64,
            instances: limits.instances as u64,
            handles: limits.handles as u64,
            call_bytes: limits.call_bytes as u64,
            fuel_between_calls: limits.fuel_between_calls,
        }
    }

    /// Limits with these budgets, and never more than those of the host that does it again: a record may be forged.
    pub(crate) fn to_limits(self, limits: &Limits) -> Limits {
        let least =
            |recorded: u64, host: usize| host.min(usize::try_from(recorded).unwrap_or(host));
        Limits {
            memory_bytes: least(self.memory_bytes, limits.memory_bytes),
            table_elements: least(self.table_elements, limits.table_elements),
            instances: least(self.instances, limits.instances),
            handles: least(self.handles, limits.handles),
            call_bytes: least(self.call_bytes, limits.call_bytes),
            fuel_between_calls: limits.fuel_between_calls.min(self.fuel_between_calls),
            ..limits.clone()
        }
    }
}

/// Where the tick of a [`Call`] stands: behind its function's number.
const TICK: Range<usize> = 4..12;

impl Writer {
    /// A call begins.
    pub(crate) fn begin(&mut self, function: &str, params: &impl Recorded) {
        self.calling = self.number(function);
        if self.is_cut() {
            return;
        }
        let number = self.calling as u32;
        let bytes = &mut self.calls.bytes;
        self.open = Some(bytes.len());
        number.put(bytes);
        // When it will be answered is not known yet.
        0_u64.put(bytes);
        put_bytes_of(params, bytes);
    }

    /// It was answered: it is kept as a [`Call`], unless there are more than `most_bytes` already. Then neither this one nor any
    /// after it.
    pub(crate) fn end<R: Recorded>(
        &mut self,
        tick: u64,
        answer: Result<&R, String>,
        most_bytes: usize,
    ) {
        if self.is_cut() {
            self.calls.left_out += 1;
            return;
        }
        let Some(begin) = self.open.take() else {
            return;
        };
        let bytes = &mut self.calls.bytes;
        bytes[begin..][TICK].copy_from_slice(&tick.to_le_bytes());
        answer.is_ok().put(bytes);
        match answer {
            Ok(answer) => put_bytes_of(answer, bytes),
            Err(end) => end.put(bytes),
        }
        if bytes.len() > most_bytes {
            bytes.truncate(begin);
            self.calls.left_out = 1;
            return;
        }
        self.calls.count += 1;
    }

    /// What was taken down, with the call that was not answered any more.
    pub(crate) fn finish(mut self) -> Calls {
        if let Some(begin) = self.open {
            let mut begun = &self.calls.bytes[begin..];
            let function = u32::take(&mut begun);
            let params = u64::take(&mut begun).and_then(|_| Vec::take(&mut begun));
            self.calls.pending = function
                .zip(params)
                .map(|(function, params)| Begun { function, params });
            self.calls.bytes.truncate(begin);
        }
        self.calls
    }

    /// Nothing more is kept.
    fn is_cut(&self) -> bool {
        self.calls.left_out > 0
    }

    /// The function that is called, or was called last, also once no more calls are kept.
    pub(super) fn calling(&self) -> &str {
        (self.calls.functions.get(self.calling)).map_or("", String::as_str)
    }

    fn number(&mut self, function: &str) -> usize {
        let functions = &mut self.calls.functions;
        let known = functions.iter().position(|name| name == function);
        known.unwrap_or_else(|| {
            functions.push(function.to_owned());
            functions.len() - 1
        })
    }
}
