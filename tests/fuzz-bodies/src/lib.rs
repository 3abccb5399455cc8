//! What the fuzz targets in `tests/fuzz` do with the bytes that they are given. Each body checks what has to hold whatever the
//! bytes are, and panics where it does not.
//!
//! They are in a crate of the workspace so that they are built, linted and run over their seeds with everything else: the
//! targets need a nightly compiler, their bodies don't.

mod boundary;
mod choices;
mod install;
mod interpreter;
mod manifest;
pub mod raw;
mod script;
pub mod seeds;
mod signature;
mod surroundings;
mod trust_and_grants;

pub use boundary::{guest, wit_boundary};
pub use choices::Choices;
pub use install::install;
pub use manifest::manifest;
pub use signature::signature;
pub use trust_and_grants::trust_and_grants;
