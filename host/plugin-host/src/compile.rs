//! Machine code: made once, kept, and used again.

use std::borrow::Cow;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rustix::fs::{FallocateFlags, Mode, OFlags};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::bulk;
use crate::plugin::Plugin;
use crate::reaper::Reaper;
use crate::run;
use crate::state::{RunState, lock};
use crate::windows::Mapped;

/// Machine code that a host made of a component. To use it is to run it outside of every sandbox, so whoever has it in hand
/// has to know where it comes from.
pub struct MachineCode<'a> {
    bytes: &'a [u8],
    folder: Option<&'a Path>,
    /// SHA-256 of the component, hexadecimal, if the caller knows it.
    pub(crate) made_of: Option<String>,
}

impl<'a> MachineCode<'a> {
    /// Vouches for machine code.
    ///
    /// # Safety
    /// The bytes are exactly what [`PluginHost::compile`](crate::PluginHost::compile) gave for the component that they will
    /// be loaded with. Anything else can do whatever this process can.
    #[must_use]
    #[allow(
        unsafe_code,
        reason = "the bytes are run; where they come from is known to the caller only"
    )]
    pub unsafe fn made_here(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            folder: None,
            made_of: None,
        }
    }

    /// The SHA-256 of the component that it was made of, hexadecimal: whoever has compared it need not have it counted again.
    #[must_use]
    pub fn made_of(self, digest: String) -> Self {
        Self {
            made_of: Some(digest),
            ..self
        }
    }

    /// Maps it from a file without a name in this folder: then it takes memory only where it was run, and that memory can be
    /// taken back. The file is a copy that nobody else can change or cut off, unlike one with a name. Where there is no room for
    /// it, or nothing may be run, it is in memory as a whole.
    #[must_use]
    pub fn mapped_in(self, folder: &'a Path) -> Self {
        Self {
            folder: Some(folder),
            ..self
        }
    }

    #[allow(
        unsafe_code,
        reason = "wasmtime can't check machine code that was made before"
    )]
    pub(crate) fn component(
        &self,
        engine: &Engine,
        reaper: &Reaper,
    ) -> wasmtime::Result<Component> {
        if let Some(file) = self.folder.and_then(|folder| self.nameless(folder).ok()) {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            // SAFETY: as below, and the file can't be opened by anybody else: it has no name.
            if let Ok(component) = unsafe { Component::deserialize_file(engine, path) } {
                // SAFETY: it is mapped, and wasmtime has written nothing into it: machine code has no relocations (a test of
                // `windows` compares).
                let mapped = unsafe { Mapped::new(&component) };
                reaper.take(Box::new(mapped));
                return Ok(component);
            }
        }
        // SAFETY: whoever made `self` has vouched that these are bytes of `Component::serialize`; that they were made for
        // this engine is checked by wasmtime.
        unsafe { Component::deserialize(engine, self.bytes) }
    }

    /// A file with these bytes that no name leads to.
    fn nameless(&self, folder: &Path) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?);
        // All of its room at once costs a third less than page by page. Where a file system has no such call, it is page by page.
        let _ = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.bytes.len() as u64);
        file.write_all(self.bytes)?;
        Ok(file)
    }
}

/// Why a component is refused that wasmtime would take as it is. Nothing that a toolchain makes is, short of wasmtime's limits.
const NOT_IN_PIECES: &str = "its bulk memory instructions can't be made to be interrupted";

/// Compiles a component, with bulk memory instructions that can be interrupted.
pub(crate) fn compiled(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    let error = match bulk::in_pieces(bytes) {
        Ok(Cow::Borrowed(same)) => return Component::new(engine, same),
        Ok(Cow::Owned(other)) => match Component::new(engine, other) {
            Ok(component) => return Ok(component),
            Err(error) => error,
        },
        Err(error) => error.into(),
    };
    // What is wrong with it is told by its places in what the caller has.
    Component::new(engine, bytes)?;
    Err(error.context(NOT_IN_PIECES))
}

/// Machine code made for one engine is good for another one with the same answer.
pub(crate) fn code_for(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    bulk::VERSION.hash(&mut hasher);
    format!("wasmtime-{:016x}", hasher.finish())
}

/// Instantiates a plugin, within its limits, and lets it go again.
pub(crate) fn instantiate_once(plugin: &Arc<Plugin>, state: RunState) -> Result<(), String> {
    let shared = Arc::clone(&state.shared);
    let mut work = Box::pin(run::instantiate(plugin, state));
    let mut context = Context::from_waker(Waker::noop());
    lock(&shared).step_began = Instant::now();
    loop {
        // Only slices of fuel make it come back, and of these it has a number.
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
        let shared = lock(&shared);
        if shared.interrupted {
            return Err(run::kept_the_thread(&plugin.limits));
        }
        if shared.suspended {
            return Err("it waits for something before anybody has called it".to_owned());
        }
    }
}
