//! Orders that make a robot stand. They are turned away by nobody: not by a command that is at work on the cell, not by a full
//! disk, not by an audit log that can't be written.
//!
//! An order is an empty file whose name says it, in a folder beside the cell. Whoever works on the cell looks there every few
//! ticks, and every command does when it opens the cell. An order is removed only after it is in the cell's file, so it is
//! there or in that at any moment; carried out twice it is what it was.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use sinew_messages::StopCategory;
use sinew_sim::scenario::WiredInput;

use super::place::Place;
use crate::trouble::input;

/// What makes a robot stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    /// A stop on request.
    Stop(StopCategory),
    /// A contact is opened.
    Press(WiredInput),
    /// Mode `hold`.
    Hold,
}

/// Where orders for one cell are put.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    folder: PathBuf,
}

impl Order {
    /// Every order, with the name that its file begins with.
    fn all() -> impl Iterator<Item = (Self, String)> {
        let stops = [
            (StopCategory::PowerOff, "stop-0"),
            (StopCategory::ControlledThenOff, "stop-1"),
            (StopCategory::ControlledHold, "stop-2"),
        ]
        .map(|(category, name)| (Self::Stop(category), name.to_owned()));
        let presses =
            WiredInput::ALL.map(|(contact, name)| (Self::Press(contact), format!("press-{name}")));
        (stops.into_iter())
            .chain(presses)
            .chain([(Self::Hold, "hold".to_owned())])
    }

    fn name(self) -> String {
        Self::all()
            .find_map(|(order, name)| (order == self).then_some(name))
            .unwrap_or_default()
    }

    /// What nobody can read is a stop: a later version may know more orders than this one.
    fn named(file: &str) -> Self {
        let name = file.rsplit_once('.').map_or(file, |(name, _)| name);
        Self::all()
            .find_map(|(order, known)| (known == name).then_some(order))
            .unwrap_or(Self::Stop(StopCategory::ControlledHold))
    }
}

impl Orders {
    pub(super) fn of(place: &Place) -> Self {
        Self {
            folder: place.beside("orders"),
        }
    }

    /// The folder, made before a disk is full.
    pub(super) fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)
    }

    /// The folder's trouble, as that of whoever needs it.
    pub(super) fn trouble(&self, error: &io::Error) -> anyhow::Error {
        input(format!(
            "{}, where orders to stop are put: {error}. It has to be a folder that can be read and written",
            self.folder.display()
        ))
    }

    /// Puts an order down; it counts from now on.
    pub(super) fn put(&self, order: Order) -> io::Result<()> {
        self.prepare()?;
        tempfile::Builder::new()
            .prefix(&format!("{}.", order.name()))
            .tempfile_in(&self.folder)?
            .keep()
            .map_err(|error| error.error)?;
        self.sync();
        Ok(())
    }

    /// The orders that are there, and their files.
    pub(super) fn waiting(&self) -> io::Result<Vec<(Order, PathBuf)>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let name = |path: &PathBuf| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        Ok((paths.into_iter())
            .map(|path| (Order::named(&name(&path).unwrap_or_default()), path))
            .collect())
    }

    /// Removes what was carried out.
    pub(super) fn remove(&self, done: &[PathBuf]) -> io::Result<()> {
        for path in done {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.sync();
        Ok(())
    }

    /// An order has to outlive a power cut. Not every system can sync a folder.
    fn sync(&self) {
        let _ = File::open(&self.folder).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_there_until_they_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::of(&folder.path().join("robot.json")).expect("a name");
        let orders = Orders::of(&place);
        assert!(orders.waiting().expect("nothing yet").is_empty());
        for (order, _) in Order::all() {
            orders.put(order).expect("put");
            orders.put(order).expect("and again");
        }
        std::fs::write(orders.folder.join("dance.abc"), "").expect("one of a later version");
        let waiting = orders.waiting().expect("readable");
        for (order, _) in Order::all() {
            let expected = 2 + usize::from(order == Order::Stop(StopCategory::ControlledHold));
            let found = waiting.iter().filter(|(found, _)| *found == order).count();
            assert_eq!(found, expected, "{order:?}");
        }
        let paths: Vec<PathBuf> = waiting.into_iter().map(|(_, path)| path).collect();
        orders.remove(&paths[1..]).expect("removed");
        let left = orders.waiting().expect("readable");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].1, paths[0]);
        orders
            .remove(&paths)
            .expect("one that is gone is no trouble");
    }
}
