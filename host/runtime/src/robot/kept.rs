//! A parked cell in one command's hands: its file, locked, and the orders that are given meanwhile.

use std::path::PathBuf;

use sinew_audit::{Boot, Entry};
use sinew_messages::JointVector;

use super::Stored;
use super::cell_file::{CellFile, check_posture};
use super::evidence::{LogView, record};
use super::orders::{Order, Orders};
use super::place::{CellLock, Place};
use super::status::look;
use crate::Config;
use crate::files::read_text;
use crate::trouble::{input, refused};

/// A cell that nobody else writes.
pub(super) struct KeptCell {
    pub(super) config: Config,
    pub(super) file: CellFile,
    pub(super) place: Place,
    orders: Orders,
    /// What the disk has, as text.
    on_disk: Option<String>,
    /// Orders that were taken up, and whose files go when the cell is on the disk.
    obeyed: Vec<PathBuf>,
    _lock: CellLock,
}

impl KeptCell {
    /// Takes the cell, begun anew at the robot's rest posture if there is none, with every order that was given.
    ///
    /// # Errors
    /// As [`Place::lock`] and [`CellFile::read`].
    pub(super) fn open(config: Config, place: Place) -> anyhow::Result<Self> {
        Self::take(config, place, None)
    }

    /// Begins the cell anew at `start`, rad.
    ///
    /// # Errors
    /// As [`Self::open`]; [`InputError`](crate::InputError) for a posture that the robot can't have.
    pub(super) fn begin(config: Config, place: Place, start: &JointVector) -> anyhow::Result<Self> {
        check_posture(&config.robot, start)
            .map_err(|problem| input(format!("--start: {problem}")))?;
        Self::take(config, place, Some(start))
    }

    fn take(config: Config, place: Place, start: Option<&JointVector>) -> anyhow::Result<Self> {
        if place.exists() {
            // Before anything is made beside what is no cell.
            CellFile::read(&place.file, &config.robot)?;
        }
        let lock = place.lock()?;
        // What is there is replaced, if it is a cell: nobody's other file.
        let (before, on_disk) = if place.exists() {
            let (file, text) = CellFile::read_with_text(&place.file, &config.robot)?;
            (Some(file), Some(text))
        } else {
            (None, None)
        };
        let file = match (before, start) {
            (Some(file), None) => file,
            (before, start) => {
                let rest = *config.robot.chain().rest();
                let mut file = CellFile::new(&config.robot, start.unwrap_or(&rest));
                // What could not be written of the cell before is not lost by that.
                file.unwritten = before.map_or_else(Vec::new, |old| old.unwritten);
                file.note(None, Entry::Boot(boot(&config)));
                if let Some(stop) = &file.stop {
                    let stop = record(stop, None);
                    file.note(None, Entry::Stop(stop));
                }
                file
            }
        };
        let orders = Orders::of(&place);
        let mut kept = Self {
            config,
            file,
            place,
            orders,
            on_disk,
            obeyed: Vec::new(),
            _lock: lock,
        };
        for order in kept.take_orders()? {
            kept.file.obey(order);
        }
        Ok(kept)
    }

    /// The orders that came since this was asked last. Whoever asks carries them out.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if they can't be looked for.
    pub(super) fn take_orders(&mut self) -> anyhow::Result<Vec<Order>> {
        let waiting = (self.orders.waiting()).map_err(|error| self.orders.trouble(&error))?;
        let mut new = Vec::new();
        for (order, path) in waiting {
            if !self.obeyed.contains(&path) {
                self.obeyed.push(path);
                new.push(order);
            }
        }
        Ok(new)
    }

    /// Puts the cell on the disk, and removes the orders that it has.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if that can't be; [`Refused`](crate::Refused) if somebody else wrote the file meanwhile.
    pub(super) fn store(&mut self) -> anyhow::Result<()> {
        let text = self.file.text()?;
        if self.on_disk.as_ref() != Some(&text) {
            // The lock keeps other commands away, not whoever removes the lock or edits the file.
            let there = self
                .place
                .exists()
                .then(|| read_text(&self.place.file))
                .transpose();
            if there.ok().flatten() != self.on_disk {
                return Err(refused(format!(
                    "{}: somebody else changed it while this command had it, so it is left as it is",
                    self.place.shown.display()
                )));
            }
            self.file.write(&self.place.file)?;
            self.on_disk = Some(text);
        }
        if !self.obeyed.is_empty() {
            (self.orders.remove(&self.obeyed)).map_err(|error| {
                input(format!("removing an order that was carried out: {error}"))
            })?;
            self.obeyed.clear();
        }
        // Made now, an order needs no more than a name.
        (self.orders.prepare()).map_err(|error| self.orders.trouble(&error))
    }

    /// The cell first, and then its evidence: why that is not written yet, if it isn't.
    ///
    /// # Errors
    /// As [`Self::store`].
    pub(super) fn keep(&mut self) -> anyhow::Result<Option<String>> {
        self.store()?;
        let handed_in = self.file.hand_in(&self.place.log(), None);
        self.store()?;
        Ok(match handed_in {
            Err(error) if !self.file.unwritten.is_empty() => Some(format!(
                "it is done, and the audit log does not have it yet: {error:#}. It is kept with the cell, and written by the \
                 next command that can"
            )),
            _ => None,
        })
    }

    /// What lets something move needs its log: whole, the cell's own, and with everything in it. With `accepting`, somebody
    /// goes on with another.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) without one; as [`Self::store`].
    pub(super) fn require_log(&mut self, accepting: Option<&str>) -> anyhow::Result<LogView> {
        self.store()?;
        let view = (self.file)
            .hand_in(&self.place.log(), accepting)
            .map_err(|error| refused(format!("nothing moves without its audit log: {error:#}")))?;
        self.store()?;
        Ok(view)
    }

    /// Keeps the cell, and says what it is now.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(super) fn finish(mut self) -> anyhow::Result<Stored> {
        let trouble = self.keep()?;
        let log = LogView::read(&self.place.log(), self.file.log.as_ref());
        Ok(Stored {
            status: look(&self.config, &self.place, &self.file, log),
            trouble,
        })
    }
}

/// What runs.
pub(super) fn boot(config: &Config) -> Boot {
    Boot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        robot: config.robot.name.clone(),
        safety_hash: config.safety.hash().to_string(),
        seed: 0,
        clock: "virtual",
    }
}
