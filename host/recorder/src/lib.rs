//! What is kept of what happened: the flight buffer, incidents as MCAP files, and the run report.
//!
//! The recorder is always on and keeps the last seconds of everything it is shown: tick records from the
//! flight ring, world snapshots, camera frames, transforms, events (of the host and of plugins, each with room of their
//! own). [`Recorder::freeze`] turns that into a
//! [`Frozen`] copy with a file name; [`Frozen::write`] makes an MCAP file of it, here or on another thread,
//! so that a slow disk never holds up whoever calls the recorder.
//!
//! Nothing here decides anything: a recorder that fails loses evidence and says so, and the robot goes on.
//! Time stamps are ticks in nanoseconds; no wall clock is read.

mod buffer;
mod event;
mod events;
mod foxglove;
mod incident;
mod reading;
pub mod report;
mod rows;
pub mod statistics;

pub use buffer::{ConfigError, LinkPoses, Recorder, RecorderConfig};
pub use event::{FlightEvent, Level};
pub use incident::{
    Cause, EncodedRun, Frozen, IncidentWriter, RUN_MEDIA_TYPE, RecordError, Written,
};

pub use reading::{INCIDENT_MAGIC, recorded_runs};

#[cfg(test)]
mod tests;
