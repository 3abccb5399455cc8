//! What commands change of a cell that stands, each with the record that it leaves. Nothing here needs a loop, so nothing of it
//! can fail.

use sinew_audit::Entry;
use sinew_messages::{LimitKind, SafetyInputs, SafetyMode};
use sinew_sim::scenario::WiredInput;

use super::cell_file::{CONTACTS, CellFile, KeptStop};
use super::evidence::record;
use super::orders::Order;
use super::status::category_number;

impl CellFile {
    /// Carries out an order.
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Stop(category) => self.latch(KeptStop {
                category: category_number(category),
                reason: LimitKind::Requested.name().to_owned(),
                detail: String::new(),
            }),
            Order::Press(contact) => {
                self.set_contacts(contact, true);
                if let Some(stop) = self.contact_stop() {
                    self.latch(stop);
                }
            }
            Order::Hold => self.set_mode(SafetyMode::Hold),
        }
    }

    /// Closes a contact again; a latched stop stays.
    pub(super) fn release(&mut self, contact: WiredInput) {
        self.set_contacts(contact, false);
    }

    pub(super) fn set_mode(&mut self, mode: SafetyMode) {
        let before = self.mode().unwrap_or(SafetyMode::Hold);
        if before != mode {
            self.note(
                None,
                Entry::ModeChanged {
                    from: before.name(),
                    to: mode.name(),
                },
            );
        }
        self.mode = mode.name().to_owned();
    }

    /// A latched stop only gets more severe: 2, then 1, then 0.
    pub(super) fn latch(&mut self, stop: KeptStop) {
        let about = (!self.open.is_empty()).then(|| self.open.join(", "));
        let entry = match &self.stop {
            Some(held) if held.category <= stop.category => return,
            Some(_) => Entry::StopWorsened(record(&stop, about)),
            None => Entry::Stop(record(&stop, about)),
        };
        self.note(None, entry);
        self.stop = Some(stop);
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

    fn set_contacts(&mut self, contact: WiredInput, is_open: bool) {
        for (name, _) in CONTACTS
            .iter()
            .filter(|(_, bit)| contact.bits() & *bit != 0)
        {
            self.open.retain(|open| open != name);
            if is_open {
                self.open.push((*name).to_owned());
            }
        }
        self.open.sort();
    }
}
