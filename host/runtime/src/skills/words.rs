//! What `sinew skill` says.

use std::collections::BTreeSet;

use serde::Serialize;
use sinew_audit::utc;
use sinew_skill_store::{Event, Held, Standing, State, SwapAt, Usage};

/// Something was done to a version.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// What.
    pub what: &'static str,
    /// `publisher/name`.
    pub name: String,
    /// Version.
    pub version: String,
    /// SHA-256 of the artifact.
    pub digest: String,
    /// What it is now.
    pub state: String,
    /// Nobody has signed it.
    pub unsigned: bool,
    /// What one might do next.
    pub next: String,
    /// What did not go as it should; may be empty.
    pub warning: String,
}

/// An artifact was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// `publisher/name`.
    pub name: String,
    /// Version.
    pub version: String,
    /// `skill` or `recovery`.
    pub kind: String,
    /// One line for people.
    pub summary: String,
    /// SHA-256 of the artifact.
    pub digest: String,
    /// Its size.
    pub bytes: usize,
    /// Size of its machine code.
    pub compiled_bytes: usize,
    /// The key that has signed it; whose that is says a trust file.
    pub signed_by: Option<String>,
    /// What it would be allowed here.
    pub allowed: BTreeSet<String>,
    /// What it was not granted, with lines to paste.
    pub not_granted: Option<String>,
}

/// Everything in a store.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// By name, the newest version first.
    pub skills: Vec<ListedSkill>,
}

/// One version.
#[derive(Clone, Debug, Serialize)]
pub struct ListedSkill {
    /// `publisher/name`.
    pub name: String,
    /// Version.
    pub version: String,
    /// SHA-256 of the artifact.
    pub digest: String,
    /// `active`, `probation`, `last-good`, `rolled-back` or `installed`.
    pub state: &'static str,
    /// Runs until it is proven; 0 if it is not on probation.
    pub probation_runs_left: u32,
    /// First part of its name.
    pub publisher: String,
    /// `skill` or `recovery`.
    pub kind: String,
    /// One line for people.
    pub summary: String,
    /// Nobody has signed it: for development only.
    pub unsigned: bool,
    /// The key that has signed it.
    pub signed_by: Option<String>,
    /// Nothing else becomes active instead of it.
    pub pinned: bool,
    /// What it may do.
    pub grants: BTreeSet<String>,
    /// Why it would not be loaded; absent if it would.
    pub trouble: Option<String>,
    /// Why it was rolled back, if it was.
    pub rolled_back: Option<String>,
    /// Runs that came to an end.
    pub runs: u64,
    /// Of these, those that failed or misbehaved.
    pub failures: u64,
    /// What its runs have used.
    pub usage: Usage,
    /// When it was installed, milliseconds since 1970.
    pub installed_unix_ms: Option<u64>,
}

/// One plugin.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// `publisher/name`.
    pub name: String,
    /// Its versions, the newest first.
    pub versions: Vec<ListedSkill>,
    /// What its versions may have without anybody being asked.
    pub agreed: BTreeSet<String>,
    /// What happened, oldest first.
    pub history: Vec<Event>,
}

/// Stands where a signer would, everywhere.
const UNSIGNED: &str = "UNSIGNED (development)";

impl Change {
    pub(crate) fn of(what: &'static str, held: &Held, next: String) -> Self {
        Self {
            what,
            name: held.name.clone(),
            version: held.version.to_string(),
            digest: held.digest.to_string(),
            state: state(held),
            unsigned: held.signer.is_none(),
            next,
            warning: String::new(),
        }
    }

    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let unsigned = if self.unsigned { UNSIGNED } else { "" };
        let mut text = format!(
            "{} {} {}  {}  {unsigned}",
            self.what, self.name, self.version, self.state
        );
        text.truncate(text.trim_end().len());
        text.push_str(&format!("\n  digest  {}", self.digest));
        if !self.next.is_empty() {
            text.push_str(&format!("\n  next    {}", self.next));
        }
        if !self.warning.is_empty() {
            text.push_str(&format!("\n  BUT     {}", self.warning));
        }
        text
    }
}

fn state(held: &Held) -> String {
    match held.state {
        State::Active {
            standing: Standing::Probation { runs_left, .. },
            swap_at,
        } => {
            let from = match swap_at {
                SwapAt::NextTask => "from the next task on",
                SwapAt::SafePoint => "from the next safe point on",
                SwapAt::Now => "from now on",
            };
            format!("on probation for {runs_left} runs, {from}")
        }
        state => state.name().to_owned(),
    }
}

impl Checked {
    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let allowed: Vec<&str> = self.allowed.iter().map(String::as_str).collect();
        let mut text = format!(
            "{} {} ({}) can be used here{}\n  {}\n  digest   {}\n  size     {} KiB, compiled {} KiB\n  signed   {}\n  allowed  {}",
            self.name,
            self.version,
            self.kind,
            match self.not_granted {
                Some(_) => ", once it is granted what it asks for",
                None => "",
            },
            self.summary,
            self.digest,
            self.bytes.div_ceil(1024),
            self.compiled_bytes.div_ceil(1024),
            self.signed_by.as_deref().unwrap_or("by nobody"),
            if allowed.is_empty() {
                "nothing".to_owned()
            } else {
                allowed.join(", ")
            }
        );
        if let Some(missing) = &self.not_granted {
            text.push_str(&format!("\n{missing}"));
        }
        text
    }
}

impl ListedSkill {
    pub(crate) fn of(
        held: &Held,
        grants: BTreeSet<String>,
        trouble: Option<String>,
        usage: Usage,
    ) -> Self {
        let publisher = held.name.split('/').next().unwrap_or_default();
        Self {
            name: held.name.clone(),
            version: held.version.to_string(),
            digest: held.digest.to_string(),
            state: held.state.name(),
            probation_runs_left: match held.state {
                State::Active {
                    standing: Standing::Probation { runs_left, .. },
                    ..
                } => runs_left,
                _ => 0,
            },
            publisher: publisher.to_owned(),
            kind: held.kind.clone(),
            summary: held.summary.clone(),
            unsigned: held.signer.is_none(),
            signed_by: held.signer.map(|key| key.to_string()),
            pinned: held.pinned,
            grants,
            trouble,
            rolled_back: held.condemned.clone(),
            runs: usage.runs,
            failures: usage.failures,
            usage,
            installed_unix_ms: held.installed_ms,
        }
    }

    fn line(&self) -> String {
        let mut marks = Vec::new();
        marks.extend(
            (self.probation_runs_left > 0)
                .then(|| format!("{} runs to go", self.probation_runs_left)),
        );
        marks.extend(self.pinned.then(|| "pinned".to_owned()));
        marks.extend(self.unsigned.then(|| UNSIGNED.to_owned()));
        marks.extend(
            self.trouble
                .as_ref()
                .map(|_| "would NOT be loaded".to_owned()),
        );
        let line = format!(
            "{:<28} {:<10} {:<12} {}  {:>5} runs, {} failed  {}",
            self.name,
            self.version,
            self.state,
            &self.digest[..12],
            self.runs,
            self.failures,
            marks.join(", ")
        );
        line.trim_end().to_owned()
    }
}

impl Listed {
    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.skills.is_empty() {
            return "the store is empty".to_owned();
        }
        let lines: Vec<String> = self.skills.iter().map(ListedSkill::line).collect();
        lines.join("\n")
    }
}

impl Shown {
    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for version in &self.versions {
            let Usage {
                runs,
                failures,
                faults,
                cpu_ns,
                fuel,
                calls,
                denials,
                deadline_misses,
                memory_peak_bytes,
            } = version.usage;
            lines.push(version.line());
            lines.push(format!("  {}", version.summary));
            lines.push(format!("  digest   {}", version.digest));
            let signed = version.signed_by.as_deref().unwrap_or(UNSIGNED);
            lines.push(format!("  signed   {signed}"));
            let grants: Vec<&str> = version.grants.iter().map(String::as_str).collect();
            let grants = match grants[..] {
                [] => "nothing".to_owned(),
                _ => grants.join(", "),
            };
            lines.push(format!("  allowed  {grants}"));
            lines.push(format!(
                "  used     {runs} runs ({failures} failed, {faults} of them misbehaved), {:.3} s of processor time, {fuel} units of fuel, \
                 {calls} calls, {denials} denied, {deadline_misses} deadlines missed, {} KiB of memory at most",
                cpu_ns as f64 * 1e-9,
                memory_peak_bytes.div_ceil(1024)
            ));
            if let Some(why) = &version.rolled_back {
                lines.push(format!("  rolled back: {why}"));
            }
            if let Some(trouble) = &version.trouble {
                lines.push(format!("  would not be loaded: {trouble}"));
            }
        }
        let agreed: Vec<&str> = self.agreed.iter().map(String::as_str).collect();
        lines.push(format!(
            "agreed to for {}: {}",
            self.name,
            agreed.join(", ")
        ));
        for event in &self.history {
            let time = event.time_unix_ms.map_or_else(|| "-".to_owned(), utc);
            let line = format!(
                "{time}  {:<12} {:<10} by {}  {}",
                event.what.name(),
                event.version,
                event.actor,
                event.reason
            );
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }
}
