//! The file: opened, repaired where a crash tore its last line, appended to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::approvals::Approvals;
use crate::chain::{FIRST_BYTES, Head, check, line, sha256};
use crate::clock::WallClock;
use crate::error::AuditError;
use crate::place::{folder_of, move_into_place, no_file};
use crate::reading::{Ending, LINE_BYTES_MAX, follow};
use crate::record::{Entry, Pending, Record, Stamp, TORN};

/// How often a lock that another process holds is tried, and how long is waited in between.
const LOCK_TRIES: u32 = 200;
const LOCK_NAP: Duration = Duration::from_millis(10);

/// An audit log that can be appended to.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    file: File,
    /// Bytes that are known to be whole records.
    end: u64,
    head: Head,
    approvals: Approvals,
    clock: WallClock,
}

impl AuditFile {
    /// Opens a log, or begins one; the folder is made if it is not there. Verifies every line. Records get their time
    /// from `clock`.
    ///
    /// # Errors
    /// [`AuditError`]: it is no file, can't be read, written or locked, or its chain is broken.
    pub fn open(path: &Path, clock: WallClock) -> Result<Self, AuditError> {
        let at = |doing| move |source| failed(path, doing, source);
        let folder = folder_of(path);
        fs::create_dir_all(folder).map_err(at("making its folder"))?;
        // Before it is opened: to open a pipe may take for ever, and a link leads to what is somebody else's.
        if let Ok(there) = fs::symlink_metadata(path) {
            is_file(path, &there)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(at("opening it"))?;
        is_file(path, &file.metadata().map_err(at("opening it"))?)?;
        // The folder's entry has to outlive a power cut as well. Not every system can sync a folder.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        let mut log = Self {
            path: path.to_owned(),
            file,
            end: 0,
            head: Head::start(),
            approvals: Approvals::default(),
            clock,
        };
        log.locked(Self::catch_up)?;
        Ok(log)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records in it.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.head.seq
    }

    /// Hash of the last record, hexadecimal.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head.sha256
    }

    /// What it says of safety configurations.
    #[must_use]
    pub fn approvals(&self) -> &Approvals {
        &self.approvals
    }

    /// Reads what other processes have written since.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh(&mut self) -> Result<(), AuditError> {
        self.locked(Self::catch_up)
    }

    /// Has the system set room aside behind what is there, where it can: what is written later does not meet a full disk. The
    /// file becomes no longer by it.
    ///
    /// # Errors
    /// There is no room.
    pub fn reserve(&self, bytes: u64) -> Result<(), AuditError> {
        match set_aside(&self.file, self.end, bytes) {
            Err(error) if is_no_room(error.kind()) => {
                Err(failed(&self.path, "making room in it", error))
            }
            // Not every file system can.
            _ => Ok(()),
        }
    }

    /// Appends records, in order, and syncs them to the disk. All of them are there afterwards, or the error says why not;
    /// then none of them counts.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn append(&mut self, records: &[Pending]) -> Result<(), AuditError> {
        self.locked(|log| {
            log.catch_up()?;
            log.write(records)
        })
    }

    /// Appends what `decide` makes of what the log says of safety configurations. Nobody else writes in between, in this
    /// process or another: two can't both act on what only one of them may use.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_if<T>(
        &mut self,
        decide: impl FnOnce(&Approvals) -> (Vec<Pending>, T),
    ) -> Result<T, AuditError> {
        self.locked(|log| {
            log.catch_up()?;
            let (records, answer) = decide(&log.approvals);
            if !records.is_empty() {
                log.write(&records)?;
            }
            Ok(answer)
        })
    }

    fn locked<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, AuditError>,
    ) -> Result<T, AuditError> {
        self.lock()?;
        let result = work(self);
        // A lock that can't be given back goes with the file.
        let _ = self.file.unlock();
        result
    }

    fn lock(&self) -> Result<(), AuditError> {
        for _ in 0..LOCK_TRIES {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_NAP),
                Err(TryLockError::Error(source)) => {
                    return Err(failed(&self.path, "locking it", source));
                }
            }
        }
        Err(AuditError::Locked {
            path: self.path.clone(),
        })
    }

    /// Takes over what stands behind the records that are known.
    fn catch_up(&mut self) -> Result<(), AuditError> {
        let path = self.path.clone();
        let at = |doing| {
            let path = path.clone();
            move |source| failed(&path, doing, source)
        };
        if !still_there(&self.file, &self.path) {
            return Err(AuditError::Replaced { path });
        }
        let length = self.file.metadata().map_err(at("reading it"))?.len();
        if length < self.end {
            return Err(AuditError::Replaced { path });
        }
        self.file
            .seek(SeekFrom::Start(self.end))
            .map_err(at("reading it"))?;
        let mut last: Option<Record> = None;
        let approvals = &mut self.approvals;
        let (head, bytes, ending) =
            follow(BufReader::new(&self.file), self.head.clone(), |record| {
                approvals.take(&record);
                last = Some(record);
            })
            .map_err(at("reading it"))?;
        self.head = head;
        self.end += bytes;
        match ending {
            Ending::Clean => self.finish_repair(last.as_ref()),
            Ending::Torn(rest) => self.repair(&rest),
            Ending::Bad(line, flaw) => Err(AuditError::Broken {
                path,
                line,
                flaw: flaw.to_string(),
                active: self.approvals.active().map(str::to_owned),
            }),
        }
    }

    /// Deals with a last line that has no end. At any moment of it a crash loses nothing: first the bytes are safe
    /// beside the log, then they are cut off it, then a record says so, then the file beside it gets its name.
    fn repair(&mut self, rest: &[u8]) -> Result<(), AuditError> {
        let path = self.path.clone();
        let at = |doing| {
            let path = path.clone();
            move |source| failed(&path, doing, source)
        };
        if let Ok(record) = check(rest, &self.head) {
            // Only the line feed is missing.
            self.write_at_end(b"\n", rest.len() as u64)?;
            self.end += rest.len() as u64 + 1;
            self.head = Head {
                seq: record.seq,
                sha256: record.sha256.clone(),
            };
            self.approvals.take(&record);
            return self.finish_repair(Some(&record));
        }
        // A crash leaves the beginning of a record. Nothing else was ever a log, so it is not this crate's to cut.
        if self.head == Head::start() && !begins_a_record(rest) {
            return Err(AuditError::NoFile {
                path,
                problem: "it is no audit log: give another path, or move it away".to_owned(),
            });
        }
        let aside = beside(&self.path, "torn");
        let mut kept = read_aside(&aside)
            .map_err(at("reading what was moved aside before"))?
            .unwrap_or_default();
        // An earlier repair was cut off, before it shortened the log or while it wrote its record.
        if kept != rest {
            kept.extend_from_slice(rest);
        }
        move_into_place(&aside, &kept).map_err(at("moving a torn line aside"))?;
        self.file
            .set_len(self.end)
            .and_then(|()| self.file.sync_all())
            .map_err(at("removing a torn line"))?;
        self.finish_repair(None)
    }

    /// Records what lies beside the log without a record, if anything does.
    fn finish_repair(&mut self, last: Option<&Record>) -> Result<(), AuditError> {
        let aside = beside(&self.path, "torn");
        let Some(kept) = read_aside(&aside)
            .map_err(|error| failed(&self.path, "reading what was moved aside", error))?
        else {
            return Ok(());
        };
        let sha256 = sha256(&kept);
        let recorded = last
            .filter(|record| {
                record.kind == TORN && record.content["sha256"].as_str() == Some(&sha256)
            })
            .and_then(|record| record.content["kept_as"].as_str())
            .filter(|name| Path::new(name).file_name() == Some(name.as_ref()));
        let named = match recorded {
            Some(name) => self.path.with_file_name(name),
            // By what is in it, too: of a log that lay here before there may be one with this number.
            None => {
                let number = self.head.seq + 1;
                beside(&self.path, &format!("torn-{number}-{}", &sha256[..8]))
            }
        };
        if recorded.is_none() {
            self.write(&[Pending {
                stamp: Stamp::default(),
                actor: None,
                entry: Entry::Torn {
                    bytes: kept.len() as u64,
                    sha256,
                    kept_as: file_name(&named),
                },
            }])?;
        }
        fs::rename(&aside, &named)
            .map_err(|source| failed(&self.path, "naming what was moved aside", source))
    }

    fn write(&mut self, records: &[Pending]) -> Result<(), AuditError> {
        let mut text = String::new();
        let mut head = self.head.clone();
        for pending in records {
            let mut pending = pending.clone();
            self.clock.stamp(&mut pending);
            let (next, after) = line(&head, &pending).map_err(|error| {
                failed(&self.path, "encoding a record", io::Error::other(error))
            })?;
            if next.len() as u64 > LINE_BYTES_MAX {
                return Err(AuditError::TooLong {
                    path: self.path.clone(),
                    kind: pending.entry.kind().to_owned(),
                    bytes: next.len(),
                });
            }
            text.push_str(&next);
            head = after;
        }
        self.write_at_end(text.as_bytes(), 0)?;
        self.end += text.len() as u64;
        for record in text.lines() {
            // Just written: it is a record.
            if let Ok(record) = serde_json::from_str(record) {
                self.approvals.take(&record);
            }
        }
        self.head = head;
        Ok(())
    }

    /// Writes `after` bytes behind the records that are known. If that fails, what stood there before stays.
    fn write_at_end(&mut self, bytes: &[u8], after: u64) -> Result<(), AuditError> {
        let start = self.end + after;
        let result = self
            .file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.write_all(bytes))
            .and_then(|()| self.file.sync_data());
        if result.is_err() {
            // Under the same lock, so it is nobody else's. If it can't be removed it is a torn line for who comes next.
            let _ = self.file.set_len(start);
        }
        result.map_err(|source| failed(&self.path, "writing it", source))
    }
}

#[cfg(target_os = "linux")]
fn set_aside(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, from, bytes)
        .map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn set_aside(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

fn is_no_room(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn failed(path: &Path, doing: &'static str, source: io::Error) -> AuditError {
    AuditError::File {
        path: path.to_owned(),
        doing,
        source,
    }
}

fn is_file(path: &Path, there: &fs::Metadata) -> Result<(), AuditError> {
    if there.is_file() {
        return Ok(());
    }
    Err(AuditError::NoFile {
        path: path.to_owned(),
        problem: no_file(there),
    })
}

/// The first bytes of a log, as far as they go.
fn begins_a_record(bytes: &[u8]) -> bool {
    (bytes.iter())
        .zip(FIRST_BYTES)
        .all(|(byte, first)| byte == first)
}

/// What lies beside the log, if anything does. Only this crate puts it there, so a link or a pipe is somebody's trap.
fn read_aside(aside: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(aside) {
        Ok(there) if there.is_file() => fs::read(aside).map(Some),
        Ok(there) => Err(io::Error::other(format!(
            "{}: {}",
            aside.display(),
            no_file(&there)
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `audit.jsonl` and `torn` make `audit.jsonl.torn`.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The open file still is what lies there. Records in a file that nobody can find are no evidence.
#[cfg(unix)]
fn still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn still_there(_: &File, path: &Path) -> bool {
    path.exists()
}
