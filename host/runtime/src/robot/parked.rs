//! What commands do to a simulated cell that is kept in a file between two of them. Meanwhile its drives are off and its
//! brakes closed.
//!
//! What makes a robot stand is in the file before anything else is tried, whatever the audit log is like. What lets it move
//! needs the log first.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use sinew_audit::WallClock;
use sinew_messages::{JointVector, LoopStatus, Mailbox, SafetyMode, StopCategory, VerdictRecord};
use sinew_sim::scenario::WiredInput;
use sinew_units::TICK_S;

use super::cell_file::CellFile;
use super::evidence::{EPISODE, LogView};
use super::jog::{Jog, JogReport, jog};
use super::kept::KeptCell;
use super::orders::{Order, Orders};
use super::place::Place;
use super::running::{ANSWER_TICKS, Running};
use super::status::{RobotStatus, StopView, look, unapproved};
use super::{Operated, Stored};
use crate::audit::{AuditTarget, now_unix_ms, open_audit_with};
use crate::safety_change::check_approved;
use crate::sources::{Config, Sources};
use crate::trouble::{input, refused};

/// Longest that a robot takes to come to rest, ticks.
const REST_TICKS: u64 = 5_000;
/// Every how many ticks orders are looked for.
const ORDER_TICKS: u64 = 10;

/// What to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StopOrder {
    /// A stop on request.
    Request(StopCategory),
    /// A contact is opened.
    Press(WiredInput),
    /// A contact is closed again; the stop stays latched.
    Release(WiredInput),
}

/// How a reset was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum ResetAnswer {
    /// The robot may move.
    Granted,
    /// No stop was latched.
    NotNeeded,
    /// A stop stays latched, for this reason.
    Refused(String),
}

/// A wired contact by its name.
#[must_use]
pub fn wired_input(name: &str) -> Option<WiredInput> {
    WiredInput::ALL
        .into_iter()
        .find_map(|(input, known)| (known == name).then_some(input))
}

/// Where the robot stands. Changes nothing and waits for nobody; a cell that is not there yet is begun.
///
/// # Errors
/// [`InputError`](crate::InputError) for configuration or a file that can't be used.
pub fn status(sources: &Sources, path: &Path) -> anyhow::Result<Stored> {
    let config = sources.load()?;
    let place = Place::of(path)?;
    if !place.exists() {
        return KeptCell::open(config, place)?.finish();
    }
    Ok(Stored {
        status: view(&config, &place)?,
        trouble: None,
    })
}

/// The cell as it is on the disk, with the orders that wait.
fn view(config: &Config, place: &Place) -> anyhow::Result<RobotStatus> {
    // In this order: an order that is gone by the time that the file is read is in the file.
    let orders = Orders::of(place);
    let waiting = orders.waiting().map_err(|error| orders.trouble(&error))?;
    let mut file = CellFile::read(&place.file, &config.robot)?;
    for (order, _) in waiting {
        file.obey(order);
    }
    let log = LogView::read(&place.log(), file.log.as_ref());
    Ok(look(config, place, &file, log))
}

/// Begins a cell anew with the robot at `start`, rad. It stands stopped.
///
/// # Errors
/// As [`status`], and for a posture that can't be; [`Refused`](crate::Refused) while another command is at work on the cell.
pub fn begin(sources: &Sources, path: &Path, start: &JointVector) -> anyhow::Result<Stored> {
    KeptCell::begin(sources.load()?, Place::of(path)?, start)?.finish()
}

/// Stops the robot, or presses or releases a wired contact. A stop is turned away by nobody: while another command is at work on
/// the cell that one carries it out.
///
/// # Errors
/// As [`status`]; a stop is latched if this is not an error.
pub fn stop(sources: &Sources, path: &Path, order: StopOrder) -> anyhow::Result<Stored> {
    match order {
        StopOrder::Request(category) => stand(sources, path, Order::Stop(category)),
        StopOrder::Press(contact) => stand(sources, path, Order::Press(contact)),
        StopOrder::Release(contact) => {
            let mut kept = KeptCell::open(sources.load()?, Place::of(path)?)?;
            kept.file.release(contact);
            kept.finish()
        }
    }
}

/// Sets the mode. `Hold` is an order like a stop; any other needs the audit log.
///
/// # Errors
/// As [`begin`]; [`Refused`](crate::Refused) without the log.
pub fn set_mode(sources: &Sources, path: &Path, mode: SafetyMode) -> anyhow::Result<Stored> {
    if mode == SafetyMode::Hold {
        return stand(sources, path, Order::Hold);
    }
    let mut kept = KeptCell::open(sources.load()?, Place::of(path)?)?;
    kept.require_log(None)?;
    kept.file.set_mode(mode);
    if kept.file.stop.is_none()
        // Where a robot stood in one mode it may not be free to move in another, though nothing has moved it.
        && let (_, Some(refusal)) = Running::take_up(&kept.config, &kept.file)
    {
        kept.file.latch(refusal);
    }
    // A mode that lets more happen is in the log before it is in force.
    let log = kept.place.log();
    kept.file.hand_in(&log, None)?;
    kept.finish()
}

/// The order is put down first, where every command finds it; then it is carried out, or whoever is at work does.
fn stand(sources: &Sources, path: &Path, order: Order) -> anyhow::Result<Stored> {
    let config = sources.load()?;
    let place = Place::of(path)?;
    if place.exists() {
        // What is no cell has nothing to stop, and gets nothing laid beside it.
        CellFile::read(&place.file, &config.robot)?;
    }
    let put = Orders::of(&place).put(order);
    let carried_out = KeptCell::open(config.clone(), place.clone()).and_then(|mut kept| {
        if put.is_err() {
            kept.file.obey(order);
        }
        kept.finish()
    });
    match (carried_out, put) {
        (Ok(stored), _) => Ok(stored),
        (Err(error), Ok(())) => Ok(Stored {
            status: view(&config, &place)?,
            trouble: Some(format!(
                "the order is given, and every command on this cell carries it out before it does anything else; it is not in \
                 the cell's file yet: {error:#}"
            )),
        }),
        (Err(error), Err(_)) => Err(error),
    }
}

/// A parked cell with a loop running on it, which can move it.
pub struct ParkedCell {
    kept: KeptCell,
    running: Running,
    view: LogView,
    /// Orders that came while the loop ran.
    heard: Vec<Order>,
}

impl ParkedCell {
    /// Boots a loop on the cell in `path`. With `accepting`, that person goes on with an audit log that is not the cell's own.
    ///
    /// # Errors
    /// As [`begin`]; [`Refused`](crate::Refused) without an audit log.
    pub fn open(sources: &Sources, path: &Path, accepting: Option<&str>) -> anyhow::Result<Self> {
        let mut kept = KeptCell::open(sources.load()?, Place::of(path)?)?;
        let view = kept.require_log(accepting)?;
        if kept.file.stop.is_none()
            && let Some(stop) = unapproved(&kept.config, &view, &kept.place.log())
        {
            kept.file.latch(stop);
        }
        let (running, refusal) = Running::take_up(&kept.config, &kept.file);
        if let Some(stop) = refusal {
            kept.file.latch(stop);
        }
        Ok(Self {
            kept,
            running,
            view,
            heard: Vec::new(),
        })
    }

    /// Asks for a reset as `actor`. It causes no motion.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) for a name that is none; [`Refused`](crate::Refused) if the limits were not approved,
    /// or the log can't be written.
    pub fn reset(&mut self, actor: &str) -> anyhow::Result<ResetAnswer> {
        let name = actor_name(actor)?;
        if self.kept.file.stop.is_none() {
            return Ok(ResetAnswer::NotNeeded);
        }
        check_approved(
            &self.kept.config,
            &self.view.approvals,
            &self.kept.place.log(),
        )?;
        self.begin_log()?;
        let heard = self.heard.len();
        let tick = self.running.last.tick;
        if let Some(log) = self.running.log() {
            log.ask_reset(tick, name)?;
        }
        let request = self.running.mailbox.requests.reset();
        if let Some(log) = self.running.log() {
            log.name_reset(request, name);
        }
        for _ in 0..ANSWER_TICKS {
            self.step()?;
        }
        if self.running.is_latched() && self.heard.len() == heard {
            let refusal = self.running.refusal(&self.kept.config, &self.kept.file);
            let words = StopView::from(&refusal).words();
            let held = self.kept.file.stop.get_or_insert_with(|| refusal.clone());
            // Why it cannot be reset is what a person has to know; how severe it is stays.
            let category = held.category;
            *held = refusal;
            held.category = category;
            return Ok(ResetAnswer::Refused(words));
        }
        self.kept.file.stop = None;
        self.kept.file.reset_by = Some(name.to_owned());
        // Whoever stops the robot meanwhile is not overruled by it.
        for order in &self.heard[heard..] {
            self.kept.file.obey(*order);
        }
        Ok(match &self.kept.file.stop {
            None => ResetAnswer::Granted,
            Some(stop) => ResetAnswer::Refused(StopView::from(stop).words()),
        })
    }

    /// Holds on to a jog.
    ///
    /// # Errors
    /// As [`jog`].
    pub fn jog(&mut self, asked: &Jog, interrupt: &AtomicBool) -> anyhow::Result<JogReport> {
        asked.check(&self.kept.config)?;
        if let Some(stop) = &self.kept.file.stop {
            return Err(refused(format!(
                "a stop is latched: {}. `sinew robot status` says more, `sinew robot reset --actor NAME` clears it",
                StopView::from(stop).words()
            )));
        }
        self.begin_log()?;
        jog(self, asked, interrupt)
    }

    /// From now on what happens stands in the log.
    fn begin_log(&mut self) -> anyhow::Result<()> {
        let target = AuditTarget {
            writer: open_audit_with(&self.kept.place.log(), WallClock::UnixMs(now_unix_ms))?,
            episode: EPISODE.to_owned(),
            seed: 0,
        };
        self.running.log_to(&self.kept.config, target);
        Ok(())
    }

    /// Carries out what was ordered since; true if anything was.
    fn listen(&mut self) -> anyhow::Result<bool> {
        let orders = self.kept.take_orders()?;
        for order in &orders {
            let order = *order;
            let was_free = self.kept.file.stop.is_none();
            let records = self.kept.file.unwritten.len();
            self.kept.file.obey(order);
            if was_free && self.running.log().is_some() {
                // The loop says it itself.
                self.kept.file.unwritten.truncate(records);
            }
            self.running.tell(order, &self.kept.file);
            self.heard.push(order);
        }
        Ok(!orders.is_empty())
    }

    /// Lets the robot come to rest, and keeps the cell in its file.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if the file can't be written.
    pub fn park(mut self) -> anyhow::Result<Stored> {
        for _ in 0..REST_TICKS {
            if self.running.rests() {
                break;
            }
            self.step()?;
        }
        if self.listen()? {
            // So that the loop says it.
            self.running.run(ANSWER_TICKS);
        }
        let Self {
            mut kept,
            mut running,
            ..
        } = self;
        if kept.file.stop.is_none() && running.is_latched() {
            kept.file.stop = Some(running.latched(&kept.config, &kept.file));
        }
        kept.file.joints_rad = running.last.status.frame.position_rad.to_vec();
        kept.file.ran_s += running.last.tick as f64 * TICK_S;
        let unwritten = running.end_log();
        kept.file.unwritten.extend(unwritten);
        let shown = kept.place.shown.display().to_string();
        kept.finish().map_err(|error| {
            // Not wrong input any more: it ran.
            anyhow::anyhow!(
                "{shown} still says where the robot was before, and what the audit log does not have is lost: {error:#}"
            )
        })
    }
}

impl Operated for ParkedCell {
    fn step(&mut self) -> anyhow::Result<()> {
        self.running.step();
        if self.running.last.tick.is_multiple_of(ORDER_TICKS) {
            self.listen()?;
        }
        Ok(())
    }

    fn mailbox(&self) -> &Mailbox {
        &self.running.mailbox
    }

    fn status(&self) -> &LoopStatus {
        &self.running.last.status
    }

    fn verdict(&self) -> &VerdictRecord {
        &self.running.last.record.verdict
    }

    fn config(&self) -> &Config {
        &self.kept.config
    }
}

/// The name of whoever acts.
///
/// # Errors
/// [`InputError`](crate::InputError) for one that is none.
pub fn actor_name(actor: &str) -> anyhow::Result<&str> {
    sinew_audit::actor_name(actor).map_err(|error| input(format!("--actor: {error}")))?;
    Ok(actor.trim())
}
