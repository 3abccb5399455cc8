//! The other way to keep a skill apart: a process of its own behind gRPC on a Unix socket. `sinew bench plugin` compares
//! with it, and nothing else uses it.
//!
//! [`Sidecar`] is the host's side: it starts the process, keeps one connection open, and calls. [`serve`] is the other side.
//! The socket lies in a folder that only this user can enter. The process ends when its standard input does, so it
//! outlives nobody, however its parent ends.

mod client;
mod server;

/// The messages, generated from `proto/skill.proto`.
#[allow(missing_docs, unreachable_pub, reason = "generated")]
pub mod messages {
    tonic::include_proto!("sinew.bench");
}

pub use client::{Sidecar, SidecarError};
pub use server::serve;

/// Largest message either side takes, bytes: a hundred times what is sent.
const MESSAGE_MAX: usize = 256 << 10;
/// Windows of a stream and of the connection, bytes.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
