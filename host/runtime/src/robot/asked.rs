//! What a cell was like when a command was asked for, so that what lets a robot move never overrules a stop that came after it.
//!
//! A command waits while another is at work on the cell. Whoever stops the robot meanwhile has not seen that command coming, and
//! whoever asked for it has not seen the stop.

use std::path::PathBuf;

use super::orders::Orders;
use super::place::Place;
use crate::files::read_text;

/// A cell at the moment when a command was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// How often it had been made to stand; nothing if there was no cell.
    stood: Option<u64>,
    /// The orders that waited.
    waiting: Vec<PathBuf>,
}

impl Asked {
    /// Now. What can't be read is told by whoever opens the cell.
    pub(super) fn now(place: &Place) -> Self {
        // In this order: an order that goes in between is counted by the file that is read when the cell is opened.
        let stood = read_text(&place.file)
            .ok()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
            .map(|cell| cell["stood"].as_u64().unwrap_or(0));
        let waiting = Orders::of(place)
            .waiting()
            .map_or_else(|_| Vec::new(), |waiting| waiting.paths().cloned().collect());
        Self { stood, waiting }
    }

    /// True if the robot was made to stand since: the cell says now that it was so often.
    pub(super) fn is_overtaken_by_cell(&self, stood: u64) -> bool {
        // A cell that was begun in between stands once.
        self.stood.unwrap_or(1) != stood
    }

    /// True if one of these orders came since.
    pub(super) fn is_overtaken_by_orders<'a>(
        &self,
        mut orders: impl Iterator<Item = &'a PathBuf>,
    ) -> bool {
        orders.any(|path| !self.waiting.contains(path))
    }
}
