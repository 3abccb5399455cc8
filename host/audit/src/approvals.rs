//! Which safety configuration may become active, by what stands in the log.
//!
//! The rule: **every change needs an approval that names the hash of what comes, and an approval counts for the next change
//! only.** Whatever is activated, approvals given before are void afterwards; going back to what was active earlier
//! is a change like any other. Tighter limits are no exception: whoever approves them sees what they are.

use std::collections::BTreeMap;

use crate::record::{ACTIVATED, APPROVED, PROPOSED, Record};

/// What the log says of safety configurations. Hashes are 16 hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    active: Option<String>,
    /// Configuration to who proposed it last.
    proposed: BTreeMap<String, String>,
    /// Configuration to who approved the next change to it.
    open: BTreeMap<String, String>,
}

impl Approvals {
    /// The configuration that was activated last; `None` in a log that knows of none, which means what is built in.
    #[must_use]
    pub fn active(&self) -> Option<&str> {
        self.active.as_deref()
    }

    /// Who proposed the configuration last.
    #[must_use]
    pub fn proposer(&self, hash: &str) -> Option<&str> {
        self.proposed.get(hash).map(String::as_str)
    }

    /// Who approved that the next change is one to this configuration.
    #[must_use]
    pub fn approver(&self, hash: &str) -> Option<&str> {
        self.open.get(hash).map(String::as_str)
    }

    /// Takes over the next record.
    pub(crate) fn take(&mut self, record: &Record) {
        let Some(hash) = record.content["hash"].as_str() else {
            return;
        };
        let actor = record.actor.clone().unwrap_or_default();
        match record.kind.as_str() {
            PROPOSED => {
                self.proposed.insert(hash.to_owned(), actor);
            }
            APPROVED => {
                self.open.insert(hash.to_owned(), actor);
            }
            ACTIVATED => {
                self.active = Some(hash.to_owned());
                self.open.clear();
            }
            _ => {}
        }
    }
}
