//! What stands in a record.

use serde::{Deserialize, Serialize};

use crate::clock::utc;

/// When something happened, and in which run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Tick of the run, if it happened in one.
    pub tick: Option<u64>,
    /// Milliseconds since 1970, if a real clock ran.
    pub time_unix_ms: Option<u64>,
    /// The run: `seed7-cycle3`.
    pub episode: Option<String>,
}

/// A robot's software was started.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boot {
    /// Version of Sinew.
    pub version: String,
    /// Name of the robot.
    pub robot: String,
    /// SHA-256 of the file that describes it, 64 hexadecimal digits.
    pub robot_sha256: String,
    /// Hash of the safety configuration, 64 hexadecimal digits.
    pub safety_hash: String,
    /// Seed of the run.
    pub seed: u64,
    /// `virtual` or `real` time.
    pub clock: &'static str,
}

/// A latched stop, or why one could not be reset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stop {
    /// Stop category of IEC 60204-1: 0, 1 or 2.
    pub category: u32,
    /// The reason's name.
    pub reason: String,
    /// Joint, link, channel or zone that the reason is about, by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Its name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The limit, in the unit of the reason. Absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// What was asked or measured, in the unit of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<f64>,
}

/// A run of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginRun {
    /// `publisher/name`.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// Number of the task.
    pub task: u64,
    /// Which run of it, from 1.
    pub run: u64,
    /// A recovery was only asked what it would do.
    #[serde(skip_serializing_if = "is_false")]
    pub assess: bool,
}

/// How often something was refused to a run, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// How many there were.
    pub count: u64,
    /// Tick of the first one.
    pub first_tick: u64,
    /// Tick of the last one.
    pub last_tick: u64,
}

/// How many quantities of a configuration change, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// What lets more happen.
    pub looser: usize,
    /// What lets less happen.
    pub tighter: usize,
    /// Neither, or both.
    pub other: usize,
}

/// What happened to a version of a plugin: it came into the store, became active, left, was refused, …
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginRecord {
    /// The record's kind: `plugin-installed` and the like.
    #[serde(skip)]
    pub kind: &'static str,
    /// `publisher/name`; the file, if it never came that far.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// SHA-256 of the artifact, hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Why, or what else there is to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Number of the event in its store's history. Whoever writes the log may be cut off before the store knows that it was told:
    /// then the same event stands there twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<i64>,
}

/// What a record says. Hashes of configurations are 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// A robot's software was started.
    Boot(Boot),
    /// It was started on a robot that was parked, and took it up as it was: a stop that was latched is, and nobody reset
    /// anything.
    Resumed(Boot),
    /// Somebody goes on with a robot whose own log is not this one.
    LogAccepted {
        /// Records that its own log had at least.
        records: u64,
        /// Hash of the last of these, hexadecimal.
        head: String,
    },
    /// A stop latched.
    Stop(Stop),
    /// The latched stop became more severe.
    StopWorsened(Stop),
    /// Somebody asks for a stop. What came of it is another record, if anything did: what is latched already is not
    /// latched again.
    StopAsked {
        /// Stop category of IEC 60204-1: 0, 1 or 2.
        category: u32,
    },
    /// A wired contact was opened.
    ContactOpened {
        /// Its name.
        contact: &'static str,
    },
    /// A wired contact was closed again.
    ContactClosed {
        /// Its name.
        contact: &'static str,
    },
    /// More happened than could be kept until the log could be written.
    RecordsLost {
        /// Records that are missing.
        records: u64,
    },
    /// Somebody asks for a reset. Written before it is passed on.
    ResetAsked {},
    /// A reset was granted.
    ResetGranted {
        /// Number of the request.
        request: u64,
    },
    /// A reset was refused.
    ResetRefused {
        /// Number of the request.
        request: u64,
        /// Why.
        answer: &'static str,
        /// The stop that stays latched.
        #[serde(skip_serializing_if = "Option::is_none")]
        stop: Option<Stop>,
    },
    /// Another mode is in force.
    ModeChanged {
        /// Before.
        from: &'static str,
        /// Now.
        to: &'static str,
    },
    /// Somebody wants another safety configuration.
    ConfigurationProposed {
        /// Its hash.
        hash: String,
        /// Its name.
        name: String,
        /// Hash of what it was compared with: what was active.
        against: String,
        /// How it differs from that; absent if that is not to be had any more.
        #[serde(skip_serializing_if = "Option::is_none")]
        changes: Option<Changes>,
    },
    /// Somebody approves the next change to this configuration.
    ConfigurationApproved {
        /// Its hash.
        hash: String,
        /// The approval was given by the person who proposed it.
        #[serde(skip_serializing_if = "is_false")]
        same_person: bool,
    },
    /// A host that runs is about to make this configuration active, by an approval that nobody else can use meanwhile.
    ActivationAsked {
        /// Its hash.
        hash: String,
    },
    /// Another safety configuration is active from now on.
    ConfigurationActivated {
        /// Its hash.
        hash: String,
        /// Hash of the one before.
        previous: String,
        /// How it differs; absent if the one before is not to be had any more.
        #[serde(skip_serializing_if = "Option::is_none")]
        changes: Option<Changes>,
    },
    /// A safety configuration was not activated.
    ConfigurationRefused {
        /// Its hash.
        hash: String,
        /// Hash of what stays active.
        active: String,
        /// Why.
        reason: String,
    },
    /// Something happened to a version of a plugin.
    Plugin(PluginRecord),
    /// Calls of a plugin were refused for want of a grant or a lease: those of one function for one reason in one run,
    /// together, when the run has ended. Their text is one line, of which the plugin chose a part.
    GrantDenied {
        /// The run.
        #[serde(flatten)]
        by: PluginRun,
        /// What was called: `motion.start`.
        function: String,
        /// Class of the reason: `zone`.
        reason: &'static str,
        /// What was said of the first one.
        text: String,
        /// How many, and when.
        #[serde(flatten)]
        refusals: Refusals,
    },
    /// There were more kinds of refused calls in a run than have a record each.
    GrantDeniedMore {
        /// The run.
        #[serde(flatten)]
        by: PluginRun,
        /// How many more kinds.
        kinds: u64,
        /// How many calls of these kinds, and when.
        #[serde(flatten)]
        refusals: Refusals,
    },
    /// A plugin misbehaved in a run, which has ended.
    PluginFault {
        /// The run.
        #[serde(flatten)]
        by: PluginRun,
        /// Its kind: `trap`.
        fault: &'static str,
        /// What it did: one line, of which the plugin may have chosen a part.
        text: String,
    },
    /// A crash in the middle of a write left bytes that are no record.
    Torn {
        /// How many.
        bytes: u64,
        /// Their sha256, hexadecimal.
        sha256: String,
        /// File that they were moved to, in the folder of the log.
        kept_as: String,
    },
    /// What was kept elsewhere until the log could be written: [`Deferred`].
    Deferred {
        /// The record's kind.
        #[serde(skip)]
        kind: String,
        /// What it says.
        #[serde(flatten)]
        content: serde_json::Map<String, serde_json::Value>,
    },
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Entry {
    /// The record's kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Boot(_) => "boot",
            Self::Resumed(_) => "resumed",
            Self::LogAccepted { .. } => "log-accepted",
            Self::Stop(_) => "stop",
            Self::StopWorsened(_) => "stop-worsened",
            Self::StopAsked { .. } => "stop-asked",
            Self::ContactOpened { .. } => "contact-opened",
            Self::ContactClosed { .. } => "contact-closed",
            Self::RecordsLost { .. } => "records-lost",
            Self::ResetAsked {} => "reset-asked",
            Self::ResetGranted { .. } => "reset-granted",
            Self::ResetRefused { .. } => "reset-refused",
            Self::ModeChanged { .. } => "mode-changed",
            Self::ConfigurationProposed { .. } => "configuration-proposed",
            Self::ConfigurationApproved { .. } => APPROVED,
            Self::ActivationAsked { .. } => ASKED,
            Self::ConfigurationActivated { .. } => ACTIVATED,
            Self::ConfigurationRefused { .. } => REFUSED,
            Self::Plugin(record) => record.kind,
            Self::GrantDenied { .. } => "grant-denied",
            Self::GrantDeniedMore { .. } => "grant-denied-more",
            Self::PluginFault { .. } => "plugin-fault",
            Self::Torn { .. } => TORN,
            Self::Deferred { kind, .. } => kind,
        }
    }
}

pub(crate) const APPROVED: &str = "configuration-approved";
pub(crate) const ACTIVATED: &str = "configuration-activated";
pub(crate) const ASKED: &str = "activation-asked";
pub(crate) const REFUSED: &str = "configuration-refused";
/// Reason of a refusal for want of an approval: there was nothing to give back.
pub const NOT_APPROVED: &str = "not-approved";
pub(crate) const PROPOSED: &str = "configuration-proposed";
pub(crate) const TORN: &str = "torn";

/// A record that has not been written yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// When.
    pub stamp: Stamp,
    /// Who acted, if somebody did.
    pub actor: Option<String>,
    /// What.
    pub entry: Entry,
}

/// A record that could not be written, as it is kept in a file until it can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deferred {
    /// What kind of record it is.
    pub kind: String,
    /// Tick of the run, if it happened in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<u64>,
    /// Milliseconds since 1970, if a real clock ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_unix_ms: Option<u64>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<String>,
    /// Who acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What it says.
    pub content: serde_json::Map<String, serde_json::Value>,
}

impl From<&Pending> for Deferred {
    fn from(pending: &Pending) -> Self {
        let content = match serde_json::to_value(&pending.entry) {
            Ok(serde_json::Value::Object(content)) => content,
            // Every entry is an object of plain fields.
            _ => serde_json::Map::new(),
        };
        Self {
            kind: pending.entry.kind().to_owned(),
            tick: pending.stamp.tick,
            time_unix_ms: pending.stamp.time_unix_ms,
            episode: pending.stamp.episode.clone(),
            actor: pending.actor.clone(),
            content,
        }
    }
}

impl From<Deferred> for Pending {
    fn from(deferred: Deferred) -> Self {
        Self {
            stamp: Stamp {
                tick: deferred.tick,
                time_unix_ms: deferred.time_unix_ms,
                episode: deferred.episode,
            },
            actor: deferred.actor,
            entry: Entry::Deferred {
                kind: deferred.kind,
                content: deferred.content,
            },
        }
    }
}

/// A record as it was read. Kinds and contents of later versions are kept as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Number in the file, from 1.
    pub seq: u64,
    /// Tick of the run, if it happened in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<u64>,
    /// Milliseconds since 1970, if a real clock ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_unix_ms: Option<u64>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<String>,
    /// What kind of record it is.
    pub kind: String,
    /// Who acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What it says.
    pub content: serde_json::Value,
    /// Hash of the record before, hexadecimal.
    pub prev: String,
    /// Its own hash, hexadecimal.
    pub sha256: String,
}

/// Stands where a time of day would, in a record of a run in virtual time.
pub const NO_WALL_CLOCK: &str = "no wall clock";
/// Stands where a name would, in a record of what the robot did by itself.
pub const NOBODY: &str = "nobody";
/// Stands where a name would, for a person who gave none: to stop a robot takes no name.
pub const UNNAMED: &str = "unnamed";

impl Record {
    /// The time of day, UTC, or that there was no clock to tell it.
    #[must_use]
    pub fn time(&self) -> String {
        self.time_unix_ms
            .map_or_else(|| NO_WALL_CLOCK.to_owned(), utc)
    }

    /// Who acted, or that nobody did.
    #[must_use]
    pub fn who(&self) -> &str {
        self.actor.as_deref().unwrap_or(NOBODY)
    }

    /// The content in words: `key value` pairs.
    #[must_use]
    pub fn words(&self) -> String {
        let mut out = Vec::new();
        words("", &self.content, &mut out);
        out.join(", ")
    }
}

fn words(name: &str, value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let name = if name.is_empty() {
                    key.replace('_', " ")
                } else {
                    format!("{name} {}", key.replace('_', " "))
                };
                words(&name, value, out);
            }
        }
        serde_json::Value::Null => {}
        serde_json::Value::String(text) => out.push(format!("{name} {text}")),
        other => out.push(format!("{name} {other}")),
    }
}
