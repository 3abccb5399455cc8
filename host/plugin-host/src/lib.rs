//! Runs skills and recoveries: WebAssembly components that see nothing but what the operator granted.
//!
//! This is the only crate that knows wasmtime. A plugin is one component with its [`Manifest`] in a custom
//! section. [`PluginHost::load`] checks it (component, manifest, world, grants, imports) and compiles it; a
//! [`Run`] is a fresh instance on a fiber. Guest code is ordinary sequential code: an import that has to wait
//! suspends the fiber, and [`Run::poll`], called once a brain step, takes it up again when what it waits for
//! has happened. There is no executor and no clock but the tick that `poll` is given.
//!
//! What decides anything counts ticks, calls, bytes or fuel. Epochs only guard the host's thread against
//! instructions that burn time without fuel, and a run that one of them ended says so.
//!
//! What is refused to a run is an event and is counted by kind ([`RunDenials`]), whatever else the plugin does.
//!
//! The host's own clean-up never depends on the guest: however a run ends, its motion is braked to a hold, its
//! policy run is cancelled and its handles go with its store.

mod artifact;
pub mod bare;
mod bulk;
mod capabilities;
mod compile;
mod denials;
mod desk;
mod errors;
mod fence;
mod grants;
mod guard;
mod host;
mod limits;
mod link;
mod linkers;
mod manifest;
mod memories;
mod outcome;
mod plugin;
mod ports;
mod preflight;
mod reaper;
mod replay;
mod run;
mod schema;
mod share;
mod state;
mod tape;
mod wasi;
mod windows;
mod wire;

pub use artifact::{MANIFEST_SECTION, pack, read_manifest};
pub use compile::MachineCode;
pub use denials::{DENIAL_KINDS_MAX, Denial, DenialReason, MoreDenials, RunDenials, line};
pub use errors::{HostError, LoadError, StartError};
pub use grants::{DirectoryGrant, Grant, Grants, GrantsError, Lack, Zone};
pub use host::PluginHost;
pub use limits::{Limits, NarrowedLimits};
pub use manifest::{
    Ask, CAPABILITIES, DirectoryAsk, Equipment, Kind, Manifest, ManifestError, RobotPart,
};
pub use memories::PluginMemory;
pub use outcome::{
    Assessment, Checkpoint, Failure, Lease, Proposal, RecoveryContext, RunEnd, RunEvent, Usage,
};
pub use plugin::Plugin;
pub use ports::{
    GoalIds, HostPorts, OperatorPort, PolicyEnd, PolicyOrder, PolicyPort, PolicyRefusal, RobotPort,
    ToolAt,
};
pub use replay::{Replay, ReplayVerdict};
pub use run::Run;
pub use schema::Schema;
pub use tape::{Difference, RecordError, RecordedEnd, RunRecord};

/// Version of the WIT package that this host serves.
pub const WIT_VERSION: &str = "0.1.0";
