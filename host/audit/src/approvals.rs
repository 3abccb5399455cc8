//! Which safety configuration may become active, by what stands in the log.
//!
//! The rule: **every change needs an approval that names the hash of what comes, and an approval counts for the next change
//! only.** Whatever is activated, approvals given and proposals made before are void afterwards: a person looked at each of
//! them beside what was active then. Going back to what was active earlier is a change like any other, with a proposal of its
//! own. Tighter limits are no exception: whoever approves them sees what they are. Nobody who proposed a configuration since it
//! was approved last approves it.
//!
//! A host that runs asks its gate before it knows whether a change comes about. Meanwhile it has all approvals to itself; if
//! the gate refuses they are given back, and if it is never heard of again they are void.

use std::collections::BTreeMap;

use crate::actor::may_be_same_person;
use crate::record::{ACTIVATED, APPROVED, ASKED, NOT_APPROVED, PROPOSED, REFUSED, Record};

/// What the log says of safety configurations. Hashes are 64 hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    active: Option<String>,
    /// Since the last change.
    proposed: BTreeMap<String, Proposals>,
    /// Configuration to who approved the next change to it.
    open: BTreeMap<String, String>,
    /// Those that were open when somebody asked a gate, which has not answered.
    held: BTreeMap<String, String>,
}

/// Who proposed one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Proposals {
    /// Since it was approved last, or before that if nobody did since. In the order of the log.
    by: Vec<String>,
    /// It was approved since the last of them.
    approved: bool,
}

impl Approvals {
    /// The configuration that was activated last; `None` in a log that knows of none, which means what is built in.
    #[must_use]
    pub fn active(&self) -> Option<&str> {
        self.active.as_deref()
    }

    /// Who proposed the configuration last, since the last change.
    #[must_use]
    pub fn proposer(&self, hash: &str) -> Option<&str> {
        let proposals = self.proposed.get(hash)?;
        proposals.by.last().map(String::as_str)
    }

    /// The name under which this person may have proposed the configuration, if they may have.
    #[must_use]
    pub fn proposed_as(&self, hash: &str, actor: &str) -> Option<&str> {
        let mut names = self.proposed.get(hash)?.by.iter().map(String::as_str);
        names.find(|name| may_be_same_person(name, actor))
    }

    /// Who approved that the next change is one to this configuration.
    #[must_use]
    pub fn approver(&self, hash: &str) -> Option<&str> {
        self.open.get(hash).map(String::as_str)
    }

    /// Takes over the next record: for who only [`read`](crate::read)s a log.
    pub fn take(&mut self, record: &Record) {
        let Some(hash) = record.content["hash"].as_str() else {
            return;
        };
        let actor = record.actor.clone().unwrap_or_default();
        match record.kind.as_str() {
            PROPOSED => {
                let proposals = self.proposed.entry(hash.to_owned()).or_default();
                if std::mem::take(&mut proposals.approved) {
                    proposals.by.clear();
                }
                proposals.by.push(actor);
            }
            APPROVED => {
                if let Some(proposals) = self.proposed.get_mut(hash) {
                    proposals.approved = true;
                }
                self.open.insert(hash.to_owned(), actor);
            }
            ASKED => {
                let open = std::mem::take(&mut self.open);
                self.held.extend(open);
            }
            REFUSED if record.content["reason"].as_str() != Some(NOT_APPROVED) => {
                for (hash, approver) in std::mem::take(&mut self.held) {
                    self.open.entry(hash).or_insert(approver);
                }
            }
            ACTIVATED => {
                self.active = Some(hash.to_owned());
                self.proposed.clear();
                self.open.clear();
                self.held.clear();
            }
            _ => {}
        }
    }
}
