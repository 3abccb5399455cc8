//! The tape of a run. While it runs, everything that the component calls is written down with the answer; done again, it gets
//! the same answers as long as it calls the same.

mod codec;
mod record;

use std::fmt::Debug;

pub(crate) use codec::{Recorded, recorded_cases, recorded_fields};
pub(crate) use record::Budgets;
pub use record::{RecordError, RecordedEnd, RunRecord};

use codec::{bytes_of, value_of};
use record::{Call, Calls, Writer};

/// Longest text of one side of a difference, bytes.
const WORDS_MAX: usize = 2 << 10;

/// Parameters of a recorded call that are described, bytes: what is read of them takes many times that, and few words are shown.
const DESCRIBED_MAX: usize = 64 << 10;

/// What a run is recorded on, or done again from.
pub(crate) enum Tape {
    /// Nothing is kept.
    Off,
    /// Calls are kept, up to so many bytes of them.
    Recording { calls: Writer, most_bytes: usize },
    /// Calls are answered as they were.
    Playing(Player),
}

/// A call in words, by its function and its parameters as they were recorded; `None` if they are no parameters of that function.
pub(crate) type Describe = fn(&str, &[u8]) -> Option<String>;

/// How the calls of a function are described, for those that are known.
pub(crate) type Describes = Box<dyn Fn(&str) -> Option<Describe> + Send>;

/// Describes calls that take `P`.
pub(crate) fn describe<P: Recorded + Debug>(function: &str, params: &[u8]) -> Option<String> {
    value_of::<P>(params).map(|params| words(function, &params))
}

/// Answers from a record.
pub(crate) struct Player {
    calls: Calls,
    describes: Describes,
    /// Bytes of them that are played.
    played: usize,
    /// How many calls that was.
    count: u64,
    /// Why it went no further.
    stopped: Option<Stopped>,
}

/// Why playing went no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The component called something else.
    Differs(Difference),
    /// It called on, where the record has no more calls.
    AtTheEnd {
        /// What.
        called: String,
    },
}

/// The first thing that a run did otherwise than the one that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Number of the call, from 0; the number of all of them if the end differs.
    pub call: u64,
    /// What was recorded.
    pub recorded: String,
    /// What came instead.
    pub replayed: String,
}

/// The text of the error that stops a component which does something else than its record.
const STOPPED: &str = "the record has no answer to this";

impl Tape {
    /// An empty one.
    pub(crate) fn recording(most_bytes: usize) -> Self {
        Self::Recording {
            calls: Writer::default(),
            most_bytes,
        }
    }

    /// The function that a component calls while it runs, also once no more of its calls are kept.
    pub(crate) fn calling(&self) -> &str {
        match self {
            Self::Recording { calls, .. } => calls.calling(),
            Self::Off | Self::Playing(_) => "",
        }
    }

    /// The answer that was recorded to this call, and its tick; `None` if nothing is played.
    pub(crate) fn play<P: Recorded + Debug, R: Recorded + Debug>(
        &mut self,
        function: &str,
        params: &P,
    ) -> Option<wasmtime::Result<(u64, R)>> {
        match self {
            Self::Playing(player) => Some(player.play(function, params)),
            Self::Off | Self::Recording { .. } => None,
        }
    }

    /// Takes down what is called. A component has one call at a time.
    pub(crate) fn begin<P: Recorded>(&mut self, function: &str, params: &P) {
        if let Self::Recording { calls, .. } = self {
            calls.begin(function, params);
        }
    }

    /// And what was answered, or what ended the component there.
    pub(crate) fn end<R: Recorded>(&mut self, tick: u64, answer: Result<&R, String>) {
        if let Self::Recording {
            calls, most_bytes, ..
        } = self
        {
            calls.end(tick, answer, *most_bytes);
        }
    }

    /// The calls that were recorded.
    pub(crate) fn take(&mut self) -> Option<Calls> {
        match std::mem::replace(self, Self::Off) {
            Self::Recording { calls, .. } => Some(calls.finish()),
            Self::Off | Self::Playing(_) => None,
        }
    }
}

impl Player {
    pub(crate) fn of(calls: Calls, describes: Describes) -> Self {
        Self {
            calls,
            describes,
            played: 0,
            count: 0,
            stopped: None,
        }
    }

    /// How many calls were the same.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// The call that comes next in the record, in words: also one that the host ended the component in.
    pub(crate) fn next_in_words(&self) -> Option<String> {
        let mut rest = &self.calls.bytes[self.played..];
        let answered = Call::take(&mut rest).map(|call| (call.function, call.params));
        let begun = || {
            let begun = self.calls.pending.as_ref();
            begun.map(|begun| (begun.function, begun.params.clone()))
        };
        let (function, params) = answered.or_else(begun)?;
        Some(format!("{} was called", self.in_words(function, &params)))
    }

    fn name(&self, function: u32) -> &str {
        (self.calls.functions.get(function as usize))
            .map_or("nothing that is known", String::as_str)
    }

    fn play<P: Recorded + Debug, R: Recorded + Debug>(
        &mut self,
        function: &str,
        params: &P,
    ) -> wasmtime::Result<(u64, R)> {
        let mut rest = &self.calls.bytes[self.played..];
        let Some(call) = Call::take(&mut rest) else {
            let called = words(function, params);
            let stopped = match &self.calls.pending {
                Some(begun)
                    if self.name(begun.function) != function
                        || begun.params != bytes_of(params) =>
                {
                    Stopped::Differs(Difference {
                        call: self.count,
                        recorded: self.in_words(begun.function, &begun.params),
                        replayed: called,
                    })
                }
                _ => Stopped::AtTheEnd { called },
            };
            return self.stop(stopped);
        };
        let left = rest.len();
        let name = self.name(call.function);
        let answer = match call.answer {
            Ok(bytes) => value_of::<R>(&bytes).map(Ok),
            Err(end) => Some(Err(end)),
        };
        match answer {
            Some(answer) if name == function && call.params == bytes_of(params) => {
                self.played = self.calls.bytes.len() - left;
                self.count += 1;
                answer
                    .map(|answer| (call.tick, answer))
                    .map_err(wasmtime::Error::msg)
            }
            _ => {
                let difference = Difference {
                    call: self.count,
                    recorded: self.in_words(call.function, &call.params),
                    replayed: words(function, params),
                };
                self.stop(Stopped::Differs(difference))
            }
        }
    }

    /// A recorded call in words, with its parameters if its function is known.
    fn in_words(&self, called: u32, params: &[u8]) -> String {
        let name = self.name(called);
        if params.len() > DESCRIBED_MAX {
            return format!("{name}(… {} bytes)", params.len());
        }
        (self.describes)(name)
            .and_then(|describe| describe(name, params))
            .unwrap_or_else(|| name.to_owned())
    }

    fn stop<T>(&mut self, stopped: Stopped) -> wasmtime::Result<T> {
        self.stopped.get_or_insert(stopped);
        Err(wasmtime::Error::msg(STOPPED))
    }
}

/// A call as a person reads it.
fn words(function: &str, params: &impl Debug) -> String {
    let mut words = format!("{function}{params:?}");
    if words.len() > WORDS_MAX {
        let end = (0..=WORDS_MAX)
            .rev()
            .find(|at| words.is_char_boundary(*at))
            .unwrap_or(0);
        words.truncate(end);
        words.push('…');
    }
    words
}
