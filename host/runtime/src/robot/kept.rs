//! A parked cell in one command's hands: its file, locked, and the orders that are given meanwhile.

use std::path::PathBuf;

use sinew_audit::{Boot, Entry};
use sinew_messages::{JointVector, SafetyMode};

use super::Stored;
use super::asked::Asked;
use super::cell_file::{CellFile, check_posture};
use super::evidence::{LogView, record};
use super::orders::{Given, Orders};
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
    /// What lies among the orders and is none.
    strangers: Vec<PathBuf>,
    /// There was no cell in its place.
    is_new: bool,
    /// What is wrong beside the file. Nothing moves before that is mended.
    troubles: Vec<String>,
    lock: CellLock,
}

impl KeptCell {
    /// Takes the cell for what makes it stand, begun anew at the robot's rest posture if there is none, with every order that
    /// was given.
    ///
    /// # Errors
    /// As [`Place::lock`] and [`CellFile::read`].
    pub(super) fn open(config: Config, place: Place) -> anyhow::Result<Self> {
        Self::take(config, place, None, None)
    }

    /// Takes it for what lets it move, and what was asked for at that time.
    ///
    /// # Errors
    /// As [`Self::open`]; [`InputError`](crate::InputError) if orders can't be heard; [`Refused`](crate::Refused) if somebody
    /// stopped the robot since.
    pub(super) fn open_asked(config: Config, place: Place, asked: &Asked) -> anyhow::Result<Self> {
        let kept = Self::take(config, place, Some(asked), None)?;
        kept.check_sound()?;
        Ok(kept)
    }

    /// Begins the cell anew at `start`, rad. What was latched or open stays so, and it is the same robot for its log.
    ///
    /// # Errors
    /// As [`Self::open_asked`]; [`InputError`](crate::InputError) for a posture that the robot can't have.
    pub(super) fn begin(
        config: Config,
        place: Place,
        asked: &Asked,
        start: &JointVector,
    ) -> anyhow::Result<Self> {
        check_posture(&config.robot, start)
            .map_err(|problem| input(format!("--start: {problem}")))?;
        let kept = Self::take(config, place, Some(asked), Some(start))?;
        kept.check_sound()?;
        Ok(kept)
    }

    fn take(
        config: Config,
        place: Place,
        asked: Option<&Asked>,
        start: Option<&JointVector>,
    ) -> anyhow::Result<Self> {
        if place.exists() {
            // Before anything is made beside what is no cell.
            CellFile::read(&place.file, &config.robot)?;
        }
        let lock = place.lock()?;
        // What is there is replaced, if it is a cell: nobody's other file.
        let mut was_left = false;
        let (before, on_disk) = if place.exists() {
            let (mut file, text) = CellFile::read_with_text(&place.file, &config.robot)?;
            was_left = file.moving;
            file.find_moving();
            (Some(file), Some(text))
        } else {
            (None, None)
        };
        let is_new = before.is_none();
        let orders = Orders::of(&place);
        let stood = before.as_ref().map_or(1, |file| file.stood);
        let waiting = orders.waiting().unwrap_or_default();
        let is_overtaken = asked.is_some_and(|asked| {
            asked.is_overtaken_by_cell(stood) || asked.is_overtaken_by_orders(waiting.paths())
        });
        let file = match (before, start) {
            (Some(file), None) => file,
            (Some(file), Some(_)) if is_overtaken => file,
            (before, start) => anew(&config, &place, before, start),
        };
        let mut kept = Self {
            config,
            file,
            place,
            orders,
            on_disk,
            obeyed: Vec::new(),
            strangers: Vec::new(),
            is_new,
            troubles: Vec::new(),
            lock,
        };
        match kept.take_orders() {
            Ok(given) => given.iter().for_each(|given| kept.file.obey(given)),
            // A stop can come to a cell all the same.
            Err(error) => kept.say_trouble(error.to_string()),
        }
        // Whatever came just now came after the command, too.
        let is_overtaken = is_overtaken
            || (start.is_none())
                && asked.is_some_and(|asked| {
                    asked.is_overtaken_by_orders(kept.obeyed.iter().chain(&kept.strangers))
                });
        if is_overtaken {
            kept.keep()?;
            let why = if was_left {
                "the command that moved the robot was ended before it could say where it stands (and somebody may have stopped it \
                 since)"
            } else {
                "somebody stopped the robot after this was asked for"
            };
            return Err(refused(format!(
                "{}: {why}, so nothing of this was done. Look (`sinew robot status`), then ask again",
                kept.place.shown.display()
            )));
        }
        Ok(kept)
    }

    /// The orders that came since this was asked last. Whoever asks carries them out.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if they can't be looked for.
    pub(super) fn take_orders(&mut self) -> anyhow::Result<Vec<Given>> {
        let waiting = (self.orders.waiting()).map_err(|error| self.orders.trouble(&error))?;
        let mut new = Vec::new();
        for (given, path) in waiting.orders {
            if !self.obeyed.contains(&path) {
                self.obeyed.push(path);
                new.push(given);
            }
        }
        for path in waiting.strangers {
            if !self.strangers.contains(&path) {
                self.say_trouble(stranger(&path));
                self.strangers.push(path);
                new.push(Given::by_itself());
            }
        }
        Ok(new)
    }

    /// True while nobody else can be at work on the cell.
    pub(super) fn is_alone(&self) -> bool {
        self.lock.is_held()
    }

    /// Whoever mistyped the name of another cell has to see it.
    pub(super) fn begun(&self) -> Option<String> {
        (self.is_new).then(|| {
            format!(
                "there was no cell in {}: it was begun now",
                self.place.shown.display()
            )
        })
    }

    /// True while orders can reach the command that has the cell.
    pub(super) fn can_hear(&self) -> bool {
        self.orders.can_come()
    }

    /// Keeps in mind what is wrong beside the file; said when the command is over.
    pub(super) fn say_trouble(&mut self, words: String) {
        if !self.troubles.contains(&words) {
            self.troubles.push(words);
        }
    }

    /// What lets a robot move has to hear whoever stops it.
    fn check_sound(&self) -> anyhow::Result<()> {
        if self.troubles.is_empty() {
            return Ok(());
        }
        Err(input(self.troubles.join("; ")))
    }

    /// Puts the cell on the disk, and removes the orders that it has. What can't be done beside the file is kept in mind.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if the file can't be written; [`Refused`](crate::Refused) if the disk is full or
    /// read-only, or somebody else wrote it meanwhile.
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
            match self.orders.remove(&self.obeyed) {
                Ok(()) => self.obeyed.clear(),
                Err(error) => self.say_trouble(format!(
                    "an order that is carried out can't be removed, so every command stops the robot again: {error}. Remove it"
                )),
            }
        }
        // Made now, an order needs no more than a name.
        if let Err(error) = self.orders.prepare() {
            self.say_trouble(self.orders.trouble(&error).to_string());
        }
        Ok(())
    }

    /// The cell first, and then its evidence: what could not be done of that.
    ///
    /// # Errors
    /// As [`Self::store`], before anything was stored.
    pub(super) fn keep(&mut self) -> anyhow::Result<Option<String>> {
        self.store()?;
        let handed_in = self.file.hand_in(&self.place.log(), None);
        if let Err(error) = handed_in
            && !self.file.late().is_empty()
        {
            self.say_trouble(format!(
                "it is done, and the audit log does not have it yet: {error:#}. It is kept with the cell, and written by the \
                 next command that can"
            ));
        }
        if let Err(error) = self.store() {
            self.say_trouble(format!(
                "it is done, and the cell's file does not have all of it: {error:#}"
            ));
        }
        Ok((!self.troubles.is_empty()).then(|| self.troubles.join("; ")))
    }

    /// What lets something move needs its log: whole, the cell's own, and with everything in it. With `accepting`, somebody
    /// goes on with another.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) without one, and if it says that the robot was stopped while the cell's file does not; as
    /// [`Self::store`].
    pub(super) fn require_log(&mut self, accepting: Option<&str>) -> anyhow::Result<LogView> {
        self.store()?;
        self.check_sound()?;
        let view = (self.file)
            .hand_in(&self.place.log(), accepting)
            .map_err(|error| refused(format!("nothing moves without its audit log: {error:#}")))?;
        self.store()?;
        if view.tightened {
            return Err(refused(format!(
                "the audit log says that the robot was stopped after {} was stored: that file is an older one, or a command was \
                 ended. It is stopped now. Look (`sinew robot status`), then ask again",
                self.place.shown.display()
            )));
        }
        Ok(view)
    }

    /// Keeps the cell, and says what it is now.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(super) fn finish(mut self) -> anyhow::Result<Stored> {
        let trouble = self.keep()?;
        let log = LogView::read(&self.place.log(), &self.file);
        let mut status = look(&self.config, &self.place, &self.file, log);
        status.warnings.extend(self.begun());
        Ok(Stored { status, trouble })
    }
}

/// A cell that is begun anew. Nobody resets anything by that: what the one before had latched, open, on hold and in its log
/// goes with it.
fn anew(
    config: &Config,
    place: &Place,
    before: Option<CellFile>,
    start: Option<&JointVector>,
) -> CellFile {
    let rest = *config.robot.chain().rest();
    let mut file = CellFile::new(&config.robot, start.unwrap_or(&rest));
    file.settle_in(&place.file);
    let mut is_hold = false;
    if let Some(before) = before {
        is_hold = before.mode() == Some(SafetyMode::Hold);
        file.stood = before.stood.wrapping_add(1);
        file.log = before.log;
        file.open = before.open;
        // What could not be written of the cell before is not lost by that.
        file.unwritten = before.unwritten;
        file.lost = before.lost;
        file.out_of_file = before.out_of_file;
        if let (Some(stop), Some(held)) = (&mut file.stop, before.stop) {
            stop.category = stop.category.min(held.category);
        }
    }
    file.note(None, Entry::Boot(boot(config)));
    if let Some(stop) = &file.stop {
        let stop = record(stop, None);
        file.note(None, Entry::Stop(stop));
    }
    if is_hold {
        file.set_mode(SafetyMode::Hold, None);
    }
    file
}

/// What is said of something that lies among the orders.
pub(super) fn stranger(path: &std::path::Path) -> String {
    format!(
        "{}: this is no order, and it lies where orders to stop are put. Nothing moves before somebody has looked at it and \
         moved it away; it is not deleted",
        path.display()
    )
}

/// What runs.
pub(super) fn boot(config: &Config) -> Boot {
    Boot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        robot: config.robot.name.clone(),
        robot_sha256: config.robot.sha256.clone(),
        safety_hash: config.safety.hash().to_string(),
        seed: 0,
        clock: "virtual",
    }
}
