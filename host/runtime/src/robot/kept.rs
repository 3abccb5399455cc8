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
use crate::trouble::{input, refused};

/// A cell that nobody else writes.
pub(super) struct KeptCell {
    pub(super) config: Config,
    pub(super) file: CellFile,
    pub(super) place: Place,
    orders: Orders,
    /// What the disk has.
    on_disk: Option<CellFile>,
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
        let on_disk = if place.exists() {
            Some(CellFile::read(&place.file, &config.robot)?)
        } else {
            None
        };
        let file = match (&on_disk, start) {
            (Some(file), None) => file.clone(),
            (before, start) => {
                let rest = *config.robot.chain().rest();
                let mut file = CellFile::new(&config.robot, start.unwrap_or(&rest));
                // What could not be written of the cell before is not lost by that.
                file.unwritten = before
                    .iter()
                    .flat_map(|old| old.unwritten.clone())
                    .collect();
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
        let waiting = (self.orders.waiting())
            .map_err(|error| input(format!("looking for orders to stop: {error}")))?;
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
    /// [`InputError`](crate::InputError) if that can't be.
    pub(super) fn store(&mut self) -> anyhow::Result<()> {
        if self.on_disk.as_ref() != Some(&self.file) {
            self.file.write(&self.place.file)?;
            self.on_disk = Some(self.file.clone());
        }
        if !self.obeyed.is_empty() {
            (self.orders.remove(&self.obeyed)).map_err(|error| {
                input(format!("removing an order that was carried out: {error}"))
            })?;
            self.obeyed.clear();
        }
        // Made now, an order needs no more than a name.
        (self.orders.prepare()).map_err(|error| input(format!("a folder for orders: {error}")))
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
