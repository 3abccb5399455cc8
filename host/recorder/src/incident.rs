//! Incidents: a frozen buffer and the file it becomes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use mcap::records::{MessageHeader, Metadata};
use mcap::{Attachment, Compression, McapError, WriteOptions};
use serde_json::{Map, Value};
use sinew_hardware::RgbdFrame;
use sinew_messages::{JOINTS, Pose, TickRecord};
use sinew_units::Tick;
use sinew_world::{Place, WorldSnapshot};

use crate::event::FlightEvent;
use crate::rows::{
    Row, event_rows, frame_rows, link_row, log_time_ns, metadata_text, places_row, tick_rows,
    world_row,
};

/// Longest part of a file name that comes from outside.
const NAME_PART_MAX: usize = 48;

/// Why an incident was frozen.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Failure label, or `operator`, `near-miss`, ….
    pub label: String,
    /// One line for people.
    pub reason: String,
    /// What it belongs to, as a part of the file name: `seed7-cycle3`.
    pub episode: String,
    /// Everything else worth knowing about it (task, parameters, versions, hashes), one level deep.
    pub detail: Map<String, Value>,
}

impl Cause {
    pub(crate) fn file_name(&self, number: u64, tick: Tick) -> String {
        format!(
            "{}-{number:03}-{}-{tick}.mcap",
            name_part(&self.episode),
            name_part(&self.label)
        )
    }
}

/// What a folder or a file may be called on any system.
fn name_part(text: &str) -> String {
    let part: String = text
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => c,
            _ => '_',
        })
        .take(NAME_PART_MAX)
        .collect();
    if part.is_empty() {
        "incident".to_owned()
    } else {
        part
    }
}

/// A plugin run, as whoever recorded it encoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRun {
    /// Name of its attachment.
    pub name: String,
    /// Tick of its end.
    pub tick: Tick,
    /// The record.
    pub bytes: Arc<[u8]>,
}

/// Media type of such an attachment.
pub const RUN_MEDIA_TYPE: &str = "application/x-sinew-run";

/// Evidence that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file operation failed. The temporary file was removed as far as possible.
    #[error("incident {}: cannot {doing}: {source}", path.display())]
    File {
        /// The incident's path.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The MCAP writer refused.
    #[error("incident {}: MCAP: {source}", path.display())]
    Mcap {
        /// The incident's path.
        path: PathBuf,
        /// The writer's answer.
        source: McapError,
    },
    /// The writing thread ended without an answer.
    #[error("incident {}: its writer died", path.display())]
    WriterDied {
        /// The incident's path.
        path: PathBuf,
    },
}

/// An incident file that is safely on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// Messages in it.
    pub messages: u64,
    /// Its size.
    pub bytes: u64,
}

/// A copy of the flight buffer with a cause and a file name, ready to be written on any thread.
pub struct Frozen {
    pub(crate) path: PathBuf,
    pub(crate) cause: Cause,
    pub(crate) tick: Tick,
    pub(crate) every: u64,
    pub(crate) joint_names: [String; JOINTS],
    pub(crate) places: Vec<Place>,
    pub(crate) ticks: Vec<TickRecord>,
    pub(crate) links: Vec<(u64, Vec<(String, Pose)>)>,
    pub(crate) snapshots: Vec<Arc<WorldSnapshot>>,
    pub(crate) frames: Vec<Arc<RgbdFrame>>,
    pub(crate) events: Vec<FlightEvent>,
    pub(crate) runs: Vec<EncodedRun>,
}

impl Frozen {
    /// Where the file will lie.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file: into a temporary one beside it, synced, renamed, the folder synced. After an error
    /// there is no file under [`Frozen::path`].
    ///
    /// # Errors
    /// [`RecordError`] with the path and what failed (no room, no right, …).
    pub fn write(&self) -> Result<Written, RecordError> {
        let temporary = self.path.with_extension("mcap.part");
        let result = self.write_through(&temporary);
        if result.is_err() {
            // Best effort: the first error is the one worth reporting.
            let _ = fs::remove_file(&temporary);
        }
        result
    }

    fn write_through(&self, temporary: &Path) -> Result<Written, RecordError> {
        let failed = |doing: &'static str| {
            move |source: io::Error| RecordError::File {
                path: self.path.clone(),
                doing,
                source,
            }
        };
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder).map_err(failed("make the folder"))?;
        let file = File::create(temporary).map_err(failed("create the file"))?;
        let (writer, messages) =
            self.encode(BufWriter::new(file))
                .map_err(|error| match error {
                    McapError::Io(source) => failed("write the file")(source),
                    source => RecordError::Mcap {
                        path: self.path.clone(),
                        source,
                    },
                })?;
        let file = writer
            .into_inner()
            .map_err(|error| failed("write the file")(error.into_error()))?;
        file.sync_all().map_err(failed("sync the file"))?;
        let bytes = file.metadata().map_err(failed("measure the file"))?.len();
        drop(file);
        fs::rename(temporary, &self.path).map_err(failed("rename the file"))?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync the folder"))?;
        Ok(Written {
            path: self.path.clone(),
            messages,
            bytes,
        })
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let first = self.ticks.first().map(|record| record.frame.tick);
        places_row(first.unwrap_or(self.tick.0), &self.places, &mut rows);
        for record in &self.ticks {
            let sampled = record.frame.tick % self.every == 0;
            tick_rows(record, &self.joint_names, sampled, &mut rows);
        }
        for (tick, links) in &self.links {
            link_row(*tick, links, &mut rows);
        }
        let mut before = None;
        for snapshot in &self.snapshots {
            world_row(snapshot, before, &mut rows);
            before = Some(snapshot);
        }
        for frame in &self.frames {
            frame_rows(frame, &mut rows);
        }
        for event in &self.events {
            event_rows(event, &mut rows);
        }
        // Stable: messages of one tick keep the order above.
        rows.sort_by_key(|row| row.tick);
        rows
    }

    fn encode<W: io::Write + io::Seek>(&self, out: W) -> Result<(W, u64), McapError> {
        let mut writer = WriteOptions::new()
            .compression(Some(Compression::Lz4))
            .library(concat!("sinew-recorder ", env!("CARGO_PKG_VERSION")))
            .create(out)?;
        writer.write_metadata(&Metadata {
            name: "sinew.incident".to_owned(),
            metadata: self.metadata(),
        })?;
        let mut channels: BTreeMap<String, (u16, u32)> = BTreeMap::new();
        let rows = self.rows();
        for row in &rows {
            if !channels.contains_key(&row.topic) {
                let json = row.schema.json().to_string();
                let schema = writer.add_schema(row.schema.name(), "jsonschema", json.as_bytes())?;
                let channel = writer.add_channel(schema, &row.topic, "json", &BTreeMap::new())?;
                channels.insert(row.topic.clone(), (channel, 0));
            }
            let Some((channel, sequence)) = channels.get_mut(&row.topic) else {
                continue;
            };
            let time = log_time_ns(row.tick);
            writer.write_to_known_channel(
                &MessageHeader {
                    channel_id: *channel,
                    sequence: *sequence,
                    log_time: time,
                    publish_time: time,
                },
                &row.json,
            )?;
            *sequence = sequence.wrapping_add(1);
        }
        for run in &self.runs {
            let time = log_time_ns(run.tick.0);
            writer.attach(&Attachment {
                log_time: time,
                create_time: time,
                name: run.name.clone(),
                media_type: RUN_MEDIA_TYPE.to_owned(),
                data: Cow::Borrowed(&run.bytes),
            })?;
        }
        writer.finish()?;
        Ok((writer.into_inner(), rows.len() as u64))
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata: BTreeMap<String, String> = self
            .cause
            .detail
            .iter()
            .map(|(key, value)| (key.clone(), metadata_text(value)))
            .collect();
        metadata.insert("label".to_owned(), self.cause.label.clone());
        metadata.insert("reason".to_owned(), self.cause.reason.clone());
        metadata.insert("episode".to_owned(), self.cause.episode.clone());
        metadata.insert("tick".to_owned(), self.tick.0.to_string());
        metadata
    }
}

/// Writes incidents on threads of their own, so that nobody waits for the disk.
#[derive(Default)]
pub struct IncidentWriter {
    running: Vec<Pending>,
}

enum Pending {
    Running(PathBuf, JoinHandle<Result<Written, RecordError>>),
    Done(Result<Written, RecordError>),
}

impl IncidentWriter {
    /// Starts writing; returns where the file will lie. If no thread can be started it is written here.
    pub fn write(&mut self, frozen: Frozen) -> PathBuf {
        let path = frozen.path.clone();
        let frozen = Arc::new(frozen);
        let theirs = Arc::clone(&frozen);
        let spawned = std::thread::Builder::new()
            .name("incident-writer".to_owned())
            .spawn(move || theirs.write());
        self.running.push(match spawned {
            Ok(handle) => Pending::Running(path.clone(), handle),
            Err(_) => Pending::Done(frozen.write()),
        });
        path
    }

    /// Waits for everything started so far; answers in the order of the starts.
    pub fn finish(&mut self) -> Vec<Result<Written, RecordError>> {
        self.running
            .drain(..)
            .map(|pending| match pending {
                Pending::Running(path, handle) => handle
                    .join()
                    .unwrap_or(Err(RecordError::WriterDied { path })),
                Pending::Done(result) => result,
            })
            .collect()
    }
}
