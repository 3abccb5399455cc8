//! What commands change of a cell that stands, each with the record that it leaves. Nothing here needs a loop, so nothing of it
//! can fail.

use std::path::Path;

use sinew_audit::{Entry, UNNAMED};
use sinew_messages::{LimitKind, SafetyInputs, SafetyMode};
use sinew_sim::scenario::WiredInput;

use super::cell_file::{CONTACTS, CellFile, KeptStop};
use super::evidence::record;
use super::orders::{Given, Order};
use super::status::category_number;

impl CellFile {
    /// Takes down an order and carries it out.
    pub(super) fn obey(&mut self, given: &Given) {
        self.note_order(given);
        self.carry_out(given);
    }

    /// Takes down an order, whatever comes of it: what is latched already is evidence, too.
    pub(super) fn note_order(&mut self, given: &Given) {
        let by = Some(given.name());
        match given.order {
            Order::Stop(category) => {
                let category = u32::from(category_number(category));
                self.note_at(given.at_unix_ms, by, Entry::StopAsked { category });
            }
            Order::Press(contact) => {
                for (contact, _) in of_contact(contact) {
                    self.note_at(given.at_unix_ms, by, Entry::ContactOpened { contact });
                }
            }
            // A mode that was in force already is not changed.
            Order::Hold => {}
        }
    }

    /// Carries out an order.
    pub(super) fn carry_out(&mut self, given: &Given) {
        match given.order {
            Order::Stop(category) => self.latch(KeptStop {
                category: category_number(category),
                reason: LimitKind::Requested.name().to_owned(),
                detail: String::new(),
            }),
            Order::Press(contact) => {
                self.set_contacts(contact, true);
                let Some(stop) = self.contact_stop() else {
                    return;
                };
                self.latch(stop.clone());
                if let Some(held) = &mut self.stop {
                    // What keeps it from being reset is what a person has to know; how severe it is stays.
                    held.reason = stop.reason;
                    held.detail = stop.detail;
                }
            }
            Order::Hold => {
                self.set_mode_at(given.at_unix_ms, SafetyMode::Hold, Some(given.name()));
            }
        }
    }

    /// True while the robot stands as it was ordered to.
    pub(super) fn stands_by(&self, order: Order) -> bool {
        let latched = |category| (self.stop.as_ref()).is_some_and(|held| held.category <= category);
        match order {
            Order::Stop(category) => latched(category_number(category)),
            Order::Press(contact) => latched(2) && self.closed() & contact.bits() == 0,
            Order::Hold => self.mode() == Some(SafetyMode::Hold),
        }
    }

    /// Closes a contact again; a latched stop stays.
    pub(super) fn release(&mut self, contact: WiredInput, by: Option<&str>) {
        for (contact, _) in of_contact(contact) {
            self.note(
                Some(by.unwrap_or(UNNAMED)),
                Entry::ContactClosed { contact },
            );
        }
        self.set_contacts(contact, false);
    }

    pub(super) fn set_mode(&mut self, mode: SafetyMode, by: Option<&str>) {
        self.set_mode_at(None, mode, by);
    }

    /// The same, asked for then.
    fn set_mode_at(&mut self, unix_ms: Option<u64>, mode: SafetyMode, by: Option<&str>) {
        let before = self.mode().unwrap_or(SafetyMode::Hold);
        if before != mode {
            self.note_at(
                unix_ms,
                by,
                Entry::ModeChanged {
                    from: before.name(),
                    to: mode.name(),
                },
            );
        }
        if mode == SafetyMode::Hold {
            self.count_stood();
        }
        self.mode = mode.name().to_owned();
    }

    /// The command that moved the robot did not end: nobody can say where it stands.
    pub(super) fn find_moving(&mut self) {
        if std::mem::take(&mut self.moving) {
            self.latch(KeptStop {
                category: 1,
                reason: LimitKind::Boot.name().to_owned(),
                detail: "the command that moved it was ended before it could say where it stands"
                    .to_owned(),
            });
        }
    }

    /// A cell under another name is a copy, or was moved: what was ordered under the old name is not here.
    pub(super) fn settle_in(&mut self, path: &Path) {
        let name = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let before = std::mem::replace(&mut self.kept_as, name);
        if !before.is_empty() && before != self.kept_as {
            self.latch(KeptStop {
                category: 1,
                reason: LimitKind::Boot.name().to_owned(),
                detail: format!(
                    "the cell was kept as {before:?} before: what was ordered there is not known here"
                ),
            });
        }
    }

    /// A latched stop only gets more severe: 2, then 1, then 0.
    pub(super) fn latch(&mut self, stop: KeptStop) {
        self.count_stood();
        let about = self.about();
        let entry = match &self.stop {
            Some(held) if held.category <= stop.category => return,
            Some(_) => Entry::StopWorsened(record(&stop, about)),
            None => Entry::Stop(record(&stop, about)),
        };
        self.note(None, entry);
        self.stop = Some(stop);
    }

    /// What a stop is about, where contacts are open.
    pub(super) fn about(&self) -> Option<String> {
        (!self.open.is_empty()).then(|| self.open.join(", "))
    }

    /// The stop that an open contact is.
    pub(super) fn contact_stop(&self) -> Option<KeptStop> {
        let closed = self.closed();
        let (_, bit) = CONTACTS.iter().find(|(_, bit)| closed & bit == 0)?;
        let (category, reason) = if *bit == SafetyInputs::PROTECTIVE_CLOSED {
            (2, LimitKind::ProtectiveStop)
        } else {
            (1, LimitKind::EmergencyStop)
        };
        Some(KeptStop {
            category,
            reason: reason.name().to_owned(),
            detail: self.open_contacts(),
        })
    }

    /// The contacts that are open, in words.
    pub(super) fn open_contacts(&self) -> String {
        let open = &self.open;
        let channels = ["emergency-a", "emergency-b"];
        let opened = |name: &str| open.iter().any(|open| open == name);
        let disagree = if opened(channels[0]) == opened(channels[1]) {
            ""
        } else {
            "; its two channels disagree, which a broken wire or a welded contact does"
        };
        format!("open: {}{disagree}", open.join(", "))
    }

    /// Whoever asked for something before this did not know of it.
    pub(super) fn count_stood(&mut self) {
        // Only that it differs matters, and a file may say any number.
        self.stood = self.stood.wrapping_add(1);
    }

    fn set_contacts(&mut self, contact: WiredInput, is_open: bool) {
        for (name, _) in of_contact(contact) {
            self.open.retain(|open| open != name);
            if is_open {
                self.open.push(name.to_owned());
            }
        }
        self.open.sort();
    }
}

/// The channels of a contact.
fn of_contact(contact: WiredInput) -> impl Iterator<Item = (&'static str, u32)> {
    CONTACTS
        .into_iter()
        .filter(move |(_, bit)| contact.bits() & *bit != 0)
}
