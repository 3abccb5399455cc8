//! Orders that make a robot stand. They are turned away by nobody: not by a command that is at work on the cell, not by a full
//! disk, not by an audit log that can't be written.
//!
//! An order is an empty file whose name says it, and who gave it, in a folder beside the cell. Whoever works on the cell looks
//! there every few ticks, and every command does when it opens the cell. An order is removed only after it is in the cell's
//! file, so it is there or in that at any moment; carried out twice it is what it was.
//!
//! Nothing else belongs there. What does is not deleted, and keeps the robot stopped until somebody has looked at it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use sinew_audit::{UNNAMED, actor_name};
use sinew_messages::StopCategory;
use sinew_sim::scenario::WiredInput;

use super::place::Place;
use crate::audit::now_unix_ms;
use crate::trouble::input;

/// What a spare order's name begins with. Spares become orders where no file can be made any more.
const SPARE: &str = "spare";
/// How many there are.
const SPARES: usize = 4;

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

/// An order, and who gave it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) order: Order,
    /// Their name, if they gave one.
    pub(super) by: Option<String>,
    /// When, if it is known, in ms since 1970.
    pub(super) at_unix_ms: Option<u64>,
}

/// What lies in the folder for orders.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// Orders, and their files.
    pub(super) orders: Vec<(Given, PathBuf)>,
    /// What is no order.
    pub(super) strangers: Vec<PathBuf>,
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
}

impl Given {
    /// The stop of whoever can't tell what is ordered.
    pub(super) fn by_itself() -> Self {
        Self {
            order: Order::Stop(StopCategory::ControlledThenOff),
            by: None,
            at_unix_ms: None,
        }
    }

    /// Who gave it, as the log has it.
    pub(super) fn name(&self) -> &str {
        self.by.as_deref().unwrap_or(UNNAMED)
    }

    /// As a person reads it.
    pub(super) fn words(&self) -> String {
        format!("`{}` by {}", self.order.name(), self.name())
    }

    /// What its file's name begins with.
    fn prefix(&self) -> String {
        let name = self.order.name();
        match &self.by {
            Some(by) => format!("{name}.{by}."),
            None => format!("{name}."),
        }
    }

    /// The order that a file's name says.
    fn named(file: &str) -> Option<Self> {
        let (name, rest) = file.split_once('.')?;
        let order = Order::all().find_map(|(order, known)| (known == name).then_some(order))?;
        let by = rest
            .rsplit_once('.')
            .and_then(|(by, _)| actor_name(by).ok());
        Some(Self {
            order,
            by,
            at_unix_ms: None,
        })
    }
}

impl Waiting {
    /// Everything that lies there.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        (self.orders.iter().map(|(_, path)| path)).chain(&self.strangers)
    }
}

impl Orders {
    pub(super) fn of(place: &Place) -> Self {
        Self {
            folder: place.beside("orders"),
        }
    }

    /// The folder and the spares, made before a disk is full.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.make_folder()?;
        self.check_writable()?;
        for spare in self.spares() {
            // Without spares an order needs room for a file.
            let _ = File::options().write(true).create_new(true).open(spare);
        }
        Ok(())
    }

    fn make_folder(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.check_folder()
    }

    /// In a folder that a link leads to there are other people's files.
    fn check_folder(&self) -> io::Result<()> {
        if fs::symlink_metadata(&self.folder)?.is_dir() {
            return Ok(());
        }
        Err(io::Error::other("this is a link or a file"))
    }

    fn spares(&self) -> impl Iterator<Item = PathBuf> {
        (0..SPARES).map(|number| self.folder.join(format!("{SPARE}.{number}")))
    }

    /// The folder's trouble, as that of whoever needs it.
    pub(super) fn trouble(&self, error: &io::Error) -> anyhow::Error {
        input(format!(
            "{}, where orders to stop are put: {error}. It has to be a folder that can be read and written",
            self.folder.display()
        ))
    }

    /// Puts an order down; it counts from now on.
    pub(super) fn put(&self, given: &Given) -> io::Result<()> {
        self.make_folder()?;
        let made = tempfile::Builder::new()
            .prefix(&given.prefix())
            .tempfile_in(&self.folder)
            .and_then(|file| file.keep().map_err(|error| error.error));
        if let Err(error) = made
            && !self.put_spare(given)
        {
            return Err(error);
        }
        self.sync();
        Ok(())
    }

    /// Makes an order of a spare: a disk on which no file can be made any more lets one be renamed.
    fn put_spare(&self, given: &Given) -> bool {
        // Named anew: an order of the same name may be about to be removed.
        let name = format!("{}{}-{}", given.prefix(), now_unix_ms(), process::id());
        let to = self.folder.join(name);
        self.spares()
            .any(|spare| is_empty_file(&spare) && fs::rename(spare, &to).is_ok())
    }

    /// False where the folder for them is gone, or nobody may put anything there.
    pub(super) fn can_come(&self) -> bool {
        self.check_writable().is_ok()
    }

    fn check_writable(&self) -> io::Result<()> {
        self.check_folder()?;
        if fs::symlink_metadata(&self.folder)?.permissions().readonly() {
            return Err(io::Error::other("nobody may write there"));
        }
        Ok(())
    }

    /// What lies there.
    pub(super) fn waiting(&self) -> io::Result<Waiting> {
        match self.check_folder() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Waiting::default()),
            checked => checked?,
        }
        let mut paths = fs::read_dir(&self.folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let mut waiting = Waiting::default();
        for path in paths {
            let name = path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let is_there = fs::symlink_metadata(&path).is_ok();
            match Given::named(&name) {
                Some(given) if is_empty_file(&path) => {
                    let at_unix_ms = put_at(&path);
                    waiting.orders.push((
                        Given {
                            at_unix_ms,
                            ..given
                        },
                        path,
                    ));
                }
                None if name.starts_with(SPARE) && is_empty_file(&path) => {}
                // Somebody else carried it out just now: it is in the cell's file.
                _ if !is_there => {}
                _ => waiting.strangers.push(path),
            }
        }
        // As they were given, whatever they are called.
        waiting.orders.sort_by_key(|(given, _)| given.at_unix_ms);
        Ok(waiting)
    }

    /// Removes what was carried out.
    ///
    /// # Errors
    /// Names what can't be removed.
    pub(super) fn remove(&self, done: &[PathBuf]) -> io::Result<()> {
        for path in done {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io::Error::other(format!("{}: {error}", path.display())));
                }
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

/// When an order was put down: when its file was made or renamed, which nobody can set back. Nobody gives one tomorrow.
#[cfg(unix)]
fn put_at(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let there = fs::symlink_metadata(path).ok()?;
    let seconds = u64::try_from(there.ctime()).ok()?;
    let millis = u64::try_from(there.ctime_nsec()).ok()? / 1_000_000;
    Some((seconds.saturating_mul(1_000) + millis).min(now_unix_ms()))
}

#[cfg(not(unix))]
fn put_at(_: &Path) -> Option<u64> {
    None
}

fn is_empty_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_file() && there.len() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> (tempfile::TempDir, Orders) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::of(&folder.path().join("robot.json")).expect("a name");
        (folder, Orders::of(&place))
    }

    fn by(order: Order, name: Option<&str>) -> Given {
        Given {
            order,
            by: name.map(str::to_owned),
            at_unix_ms: None,
        }
    }

    /// But for the time.
    fn is_same(a: &Given, b: &Given) -> bool {
        (a.order, &a.by) == (b.order, &b.by)
    }

    #[test]
    fn orders_are_there_until_they_are_removed() {
        let (_folder, orders) = orders();
        assert_eq!(orders.waiting().expect("nothing yet").paths().count(), 0);
        let all: Vec<Given> = Order::all()
            .flat_map(|(order, _)| [by(order, None), by(order, Some("o'brien-2. b@cell"))])
            .collect();
        for given in &all {
            orders.put(given).expect("put");
            orders.put(given).expect("and again");
        }
        orders.prepare().expect("spares are no orders");
        let waiting = orders.waiting().expect("readable");
        for given in &all {
            let found = (waiting.orders.iter()).filter(|(found, _)| is_same(found, given));
            assert_eq!(found.count(), 2, "{given:?}");
        }
        let paths: Vec<PathBuf> = waiting.paths().cloned().collect();
        orders.remove(&paths[1..]).expect("removed");
        let left = orders.waiting().expect("readable");
        assert_eq!(left.paths().collect::<Vec<_>>(), [&paths[0]]);
        orders
            .remove(&paths)
            .expect("one that is gone is no trouble");
    }

    /// What is no order is not taken for one, and not deleted.
    #[test]
    fn what_else_lies_there_is_somebody_elses() {
        let (_folder, orders) = orders();
        orders.prepare().expect("made");
        let stop = Order::Stop(StopCategory::PowerOff);
        orders.put(&by(stop, None)).expect("put");
        for name in ["notes.txt", "stop-0.full", "dance.abc", "spare.full"] {
            let content = if name.contains("full") { "x" } else { "" };
            fs::write(orders.folder.join(name), content).expect("writable");
        }
        fs::create_dir(orders.folder.join("hold.folder")).expect("made");
        let waiting = orders.waiting().expect("readable");
        assert_eq!((waiting.orders.len(), waiting.strangers.len()), (1, 5));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_folder_for_orders() {
        let (folder, orders) = orders();
        let precious = folder.path().join("precious");
        fs::create_dir(&precious).expect("made");
        fs::write(precious.join("stop-0.x"), "").expect("writable");
        std::os::unix::fs::symlink(&precious, &orders.folder).expect("laid");
        assert!(orders.waiting().is_err() && orders.prepare().is_err());
        let stop = Order::Stop(StopCategory::PowerOff);
        assert!(orders.put(&by(stop, None)).is_err());
        assert_eq!(fs::read_dir(precious).expect("there").count(), 1);
    }

    /// A folder in which no file can be made any more still takes a stop.
    #[test]
    fn a_spare_becomes_an_order() {
        let (_folder, orders) = orders();
        orders.prepare().expect("made");
        let given = by(Order::Stop(StopCategory::PowerOff), Some("ann"));
        for left in (0..SPARES).rev() {
            assert!(orders.put_spare(&given));
            let spares = orders.spares().filter(|spare| is_empty_file(spare));
            assert_eq!(spares.count(), left);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(!orders.put_spare(&given), "there is none left");
        let waiting = orders.waiting().expect("readable");
        assert_eq!(waiting.orders.len(), SPARES);
        assert!(
            waiting
                .orders
                .iter()
                .all(|(found, _)| is_same(found, &given))
        );
        orders.prepare().expect("and they are made again");
        assert!(orders.put_spare(&given));
    }
}
