//! Operating the robot by hand: its status, mode, stops, resets, and hold-to-run.
//!
//! [`jog`] moves whatever is [`Operated`]; [`ParkedCell`] is a simulated cell that is kept in a file between two commands.
//! What is promised is the gate's to keep: nothing here moves a joint but through goals in the mailbox.

mod asked;
mod by_log;
mod cell_file;
mod changes;
mod evidence;
mod jog;
mod kept;
mod orders;
mod parked;
mod place;
mod running;
mod stand;
mod status;
#[cfg(test)]
mod tests;
mod unwritten;
mod words;

use sinew_messages::{LoopStatus, Mailbox, VerdictRecord};

pub use cell_file::{CellFile, KeptStop};
pub use evidence::LogMark;
pub use jog::{Jog, JogAlong, JogOutcome, JogReport, jog};
pub use parked::{
    ParkedCell, ResetAnswer, StopOrder, actor_name, begin, set_mode, status, stop, wired_input,
};
pub use sinew_messages::{SafetyMode, StopCategory};
pub use stand::NOT_GIVEN;
pub use status::{
    BreachView, CELL_DEFAULT, JointView, RobotStatus, StopView, WiredView, category_number,
};

/// What a command made of a cell.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where the robot stands now.
    pub status: RobotStatus,
    /// What could not be done with it: evidence that is not in the audit log yet, an order that is not in the file yet.
    pub trouble: Option<String>,
}

/// A robot that can be operated, with the loop that moves it.
pub trait Operated {
    /// One tick.
    ///
    /// # Errors
    /// If no tick will come any more.
    fn step(&mut self) -> anyhow::Result<()>;
    /// The way to the loop.
    fn mailbox(&self) -> &Mailbox;
    /// What the loop said of the newest tick.
    fn status(&self) -> &LoopStatus;
    /// What the gate said in it.
    fn verdict(&self) -> &VerdictRecord;
    /// Robot and limits.
    fn config(&self) -> &crate::Config;
}
