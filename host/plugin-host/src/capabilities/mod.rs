//! One module a capability: what a granted call does.

mod clock;
mod events;
mod files;
mod gripper;
mod lifecycle;
mod log;
mod memory;
mod motion;
mod operator;
mod policy;
mod world;

use std::collections::BTreeMap;

use wasmtime::component::Linker;

use crate::WIT_VERSION;
use crate::link::Interface;
use crate::manifest::CAPABILITIES;
use crate::state::RunState;
use crate::tape::Describe;

pub(crate) use files::Tallies;
pub(crate) use log::line;
pub(crate) use world::{look, robot_state};

/// The functions of every capability, by its name, and how their calls are described.
pub(crate) type Functions = BTreeMap<&'static str, BTreeMap<String, Describe>>;

/// Links every capability; gives their functions. Which of them a plugin may call is looked up at each call, and a plugin that was not
/// granted what it needs does not get this far.
pub(crate) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<Functions> {
    type Link = fn(&mut Interface<'_>) -> wasmtime::Result<()>;
    let all: [(&'static str, Link); 11] = [
        ("clock", clock::link),
        ("events", events::link),
        ("files", files::link),
        ("gripper", gripper::link),
        ("lifecycle", lifecycle::link),
        ("log", log::link),
        ("memory", memory::link),
        ("motion", motion::link),
        ("operator", operator::link),
        ("policy", policy::link),
        ("world", world::link),
    ];
    let mut functions = Functions::new();
    for (name, link) in all {
        let capability = (CAPABILITIES.iter().position(|one| *one == name))
            .ok_or_else(|| wasmtime::Error::msg(format!("`{name}` is no capability")))?;
        link(&mut Interface {
            linker: linker.instance(&format!("sinew:plugin/{name}@{WIT_VERSION}"))?,
            name,
            capability,
            functions: functions.entry(name).or_default(),
        })?;
    }
    linker.instance(&format!("sinew:plugin/types@{WIT_VERSION}"))?;
    Ok(functions)
}
