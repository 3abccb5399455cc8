//! What commands do to a simulated cell that is kept in a file between two of them. Meanwhile its drives are off and its
//! brakes closed.
//!
//! What makes a robot stand is in the file before anything else is tried, whatever the audit log is like. What lets it move
//! needs the log first, and gives way to every stop that came after it was asked for.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use sinew_audit::{UNNAMED, WallClock};
use sinew_messages::{
    JointVector, LimitKind, LoopStatus, Mailbox, SafetyMode, StopCategory, VerdictRecord,
};
use sinew_sim::scenario::WiredInput;
use sinew_units::TICK_S;

use super::asked::Asked;
use super::by_log;
use super::cell_file::CellFile;
use super::evidence::{LogView, record};
use super::jog::{Jog, JogReport, jog};
use super::kept::{KeptCell, stranger};
use super::orders::{Given, Order, Orders};
use super::place::Place;
use super::running::{ANSWER_TICKS, Running};
use super::stand::stand;
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
    let place = Place::of(path)?;
    let (config, odd) = by_log::load_to_stand(sources, &place)?;
    let mut stored = if place.exists() {
        Stored {
            status: view(&config, &place)?,
            trouble: None,
        }
    } else {
        KeptCell::open(config, place)?.finish()?
    };
    stored.status.warnings.extend(odd);
    Ok(stored)
}

/// The cell as it is on the disk, with the orders that wait.
pub(super) fn view(config: &Config, place: &Place) -> anyhow::Result<RobotStatus> {
    // In this order: an order that is gone by the time that the file is read is in the file.
    let orders = Orders::of(place);
    let waiting = orders.waiting().map_err(|error| orders.trouble(&error))?;
    let is_at_work = place.is_at_work();
    let mut file = CellFile::read(&place.file, &config.robot).map_err(|error| {
        let given: Vec<String> = (waiting.orders.iter())
            .map(|(given, _)| given.words())
            .collect();
        if given.is_empty() {
            return error;
        }
        error.context(format!(
            "orders wait for this cell, and count as soon as it can be read ({})",
            given.join(", ")
        ))
    })?;
    if !is_at_work {
        file.find_moving();
    }
    for (given, _) in &waiting.orders {
        file.obey(given);
    }
    if !waiting.strangers.is_empty() {
        file.carry_out(&Given::by_itself());
    }
    let log = LogView::read(&place.log(), &file);
    if let Ok(view) = &log
        && view.stranger.is_none()
        && !is_at_work
    {
        file.catch_up(&view.said);
    }
    let mut status = look(config, place, &file, log);
    (status.warnings).extend(waiting.strangers.iter().map(|path| stranger(path)));
    Ok(status)
}

/// Begins a cell anew with the robot at `start`, rad. It stands stopped.
///
/// # Errors
/// As [`status`], and for a posture that can't be; [`Refused`](crate::Refused) while another command is at work on the cell, and
/// if somebody stopped the robot after this was asked for.
pub fn begin(sources: &Sources, path: &Path, start: &JointVector) -> anyhow::Result<Stored> {
    let place = Place::of(path)?;
    let asked = Asked::now(&place);
    KeptCell::begin(by_log::load(sources, &place)?, place, &asked, start)?.finish()
}

/// Stops the robot, or presses or releases a wired contact. A stop is turned away by nobody: while another command is at work on
/// the cell that one carries it out. `actor` is whoever does it, if they gave a name.
///
/// # Errors
/// Says in capitals if the stop was not given. Where it was and the cell can't be shown, it is neither an
/// [`InputError`](crate::InputError) nor [`Refused`](crate::Refused). To release a contact: as [`begin`].
pub fn stop(
    sources: &Sources,
    path: &Path,
    order: StopOrder,
    actor: Option<&str>,
) -> anyhow::Result<Stored> {
    match order {
        StopOrder::Request(category) => stand(sources, path, Order::Stop(category), actor),
        StopOrder::Press(contact) => stand(sources, path, Order::Press(contact), actor),
        StopOrder::Release(contact) => {
            let actor = actor.map(actor_name).transpose()?;
            let place = Place::of(path)?;
            let asked = Asked::now(&place);
            let mut kept = KeptCell::open_asked(by_log::load(sources, &place)?, place, &asked)?;
            kept.file.release(contact, actor);
            kept.finish()
        }
    }
}

/// Sets the mode. `Hold` is an order like a stop; any other needs the audit log.
///
/// # Errors
/// As [`stop`] and [`begin`]; [`Refused`](crate::Refused) without the log.
pub fn set_mode(
    sources: &Sources,
    path: &Path,
    mode: SafetyMode,
    actor: Option<&str>,
) -> anyhow::Result<Stored> {
    if mode == SafetyMode::Hold {
        return stand(sources, path, Order::Hold, actor);
    }
    let actor = actor.map(actor_name).transpose()?;
    let place = Place::of(path)?;
    let asked = Asked::now(&place);
    let mut kept = KeptCell::open_asked(by_log::load(sources, &place)?, place, &asked)?;
    kept.require_log(None)?;
    kept.file.set_mode(mode, Some(actor.unwrap_or(UNNAMED)));
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

/// A parked cell with a loop running on it, which can move it.
pub struct ParkedCell {
    kept: KeptCell,
    running: Running,
    view: LogView,
    /// Orders that came while the loop ran.
    heard: Vec<Given>,
    /// Orders can't be heard any more, so the robot was stopped.
    is_deaf: bool,
    /// Ticks that the file has.
    stored_ticks: u64,
}

impl ParkedCell {
    /// Boots a loop on the cell in `path`. With `accepting`, that person goes on with an audit log that is not the cell's own.
    ///
    /// # Errors
    /// As [`begin`]; [`Refused`](crate::Refused) without an audit log.
    pub fn open(sources: &Sources, path: &Path, accepting: Option<&str>) -> anyhow::Result<Self> {
        let place = Place::of(path)?;
        let asked = Asked::now(&place);
        let mut kept = KeptCell::open_asked(by_log::load(sources, &place)?, place, &asked)?;
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
            is_deaf: false,
            stored_ticks: 0,
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
            // A file may say any text.
            if let Some(held) = &self.kept.file.stop
                && LimitKind::ALL
                    .iter()
                    .any(|limit| limit.name() == held.reason)
            {
                log.name_boot(record(held, self.kept.file.about()));
            }
        }
        for _ in 0..ANSWER_TICKS {
            self.step()?;
        }
        // The gate's answer counts, whatever was ordered meanwhile.
        if !self.running.has_granted(request) {
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
        // Whoever stops the robot meanwhile is not overruled by it. The loop has said so.
        let records = self.kept.file.unwritten.len();
        for given in &self.heard[heard..] {
            self.kept.file.carry_out(given);
        }
        self.kept.file.unwritten.truncate(records);
        if self.kept.file.stop.is_none() && self.running.is_latched() {
            self.kept.file.stop = Some(self.running.latched(&self.kept.config, &self.kept.file));
            self.kept.file.count_stood();
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
            let (config, place, file) = (&self.kept.config, &self.kept.place, &self.kept.file);
            let log = LogView::read(&place.log(), file);
            let begun = match self.kept.begun() {
                Some(words) => format!("{words}. "),
                None => String::new(),
            };
            return Err(refused(format!(
                "{begun}a stop is latched: {}. Next: {}",
                StopView::from(stop).words(),
                look(config, place, file, log).next
            )));
        }
        self.begin_log()?;
        // Whoever finds this without a command at work knows that nobody says where the robot stands.
        self.kept.file.moving = true;
        self.kept.store()?;
        jog(self, asked, interrupt).map_err(|error| {
            self.come_to_rest();
            match self.kept.keep() {
                Ok(None) => error,
                Ok(Some(trouble)) => error.context(trouble),
                Err(kept) => error.context(not_kept(&self.kept.place, &kept)),
            }
        })
    }

    /// From now on what happens stands in the log.
    fn begin_log(&mut self) -> anyhow::Result<()> {
        let target = AuditTarget {
            writer: open_audit_with(&self.kept.place.log(), WallClock::UnixMs(now_unix_ms))?,
            episode: self.kept.file.episode(),
            seed: 0,
        };
        self.running.log_to(&self.kept.config, target);
        Ok(())
    }

    /// Carries out what was ordered since; true if anything was. Whoever can't hear orders any more stops.
    fn listen(&mut self) -> bool {
        if self.is_deaf {
            return false;
        }
        let orders = match self.kept.take_orders() {
            Ok(orders) => orders,
            Err(error) => {
                self.is_deaf = true;
                self.kept
                    .say_trouble(format!("the robot was stopped: {error}"));
                Vec::new()
            }
        };
        if !self.kept.is_alone() {
            self.is_deaf = true;
            self.kept.say_trouble(format!(
                "{}: its lock was removed while this command was at work, so another may be, too: the robot was stopped",
                self.kept.place.shown.display()
            ));
        }
        if !self.kept.can_hear() && !self.is_deaf {
            self.is_deaf = true;
            self.kept.say_trouble(format!(
                "{}: the folder where orders to stop are put is gone, or nobody may write there any more: the robot was stopped",
                self.kept.place.shown.display()
            ));
        }
        for given in &orders {
            self.kept.file.note_order(given);
        }
        let by_itself = self.is_deaf.then(Given::by_itself);
        let orders: Vec<Given> = orders.into_iter().chain(by_itself).collect();
        for given in &orders {
            let records = self.kept.file.unwritten.len();
            self.kept.file.carry_out(given);
            if self.running.says(given.order) {
                self.kept.file.unwritten.truncate(records);
            }
            self.running.tell(given, &self.kept.file);
        }
        let any = !orders.is_empty();
        self.heard.extend(orders);
        any
    }

    /// Lets the robot come to rest, and takes down in the cell how it stands then.
    fn come_to_rest(&mut self) {
        for _ in 0..REST_TICKS {
            if self.running.rests() {
                break;
            }
            self.tick();
        }
        if self.listen() {
            // So that the loop says it.
            self.running.run(ANSWER_TICKS);
        }
        let file = &mut self.kept.file;
        if file.stop.is_none() && self.running.is_latched() {
            file.stop = Some(self.running.latched(&self.kept.config, file));
            file.count_stood();
        }
        file.joints_rad = self.running.last.status.frame.position_rad.to_vec();
        file.ran_s += (self.running.last.tick - self.stored_ticks) as f64 * TICK_S;
        file.moving = false;
        self.stored_ticks = self.running.last.tick;
        let unwritten = self.running.end_log();
        file.unwritten.extend(unwritten);
    }

    fn tick(&mut self) {
        self.running.step();
        if self.running.last.tick.is_multiple_of(ORDER_TICKS) {
            self.listen();
        }
    }

    /// Lets the robot come to rest, and keeps the cell in its file.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn park(mut self) -> anyhow::Result<Stored> {
        self.come_to_rest();
        let place = self.kept.place.clone();
        self.kept
            .finish()
            // Not wrong input any more: it ran.
            .map_err(|error| anyhow::anyhow!(not_kept(&place, &error)))
    }
}

/// What is said when the file does not have what happened.
fn not_kept(place: &Place, error: &anyhow::Error) -> String {
    format!(
        "{} still says where the robot was before, and what the audit log does not have is lost: {error:#}",
        place.shown.display()
    )
}

impl Operated for ParkedCell {
    fn step(&mut self) -> anyhow::Result<()> {
        self.tick();
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
