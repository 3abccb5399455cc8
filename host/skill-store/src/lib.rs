//! Plugins on disk: one file each by its digest, and beside them which version is active, which was good before it, and
//! what became of every one.
//!
//! What goes in is checked in an order that nothing can jump: size, revocation, signature, and only then whatever is
//! inside. The looking inside (manifest, imports, compiling) is done by an [`Examiner`] that the caller lends; this crate
//! runs no plugin and knows no engine.
//!
//! State is one SQLite file. Everything that belongs together changes in one transaction; files are written whole, under
//! names that say what is in them, before the transaction that refers to them and removed after it. Power loss at any
//! byte leaves the old state or the new one, and files that nothing refers to are swept at the next change.
//!
//! The time of day is handed in: it decides whether a key is valid at installation, and dates history. Nothing else
//! depends on it.

mod activation;
mod artifacts;
mod database;
mod digest;
mod error;
mod examine;
mod history;
mod install;
mod keys;
mod memory;
mod probation;
mod removal;
mod selector;
mod signature;
mod store;
mod trust;

pub use activation::{Activation, SwapAt};
pub use digest::Digest;
pub use error::StoreError;
pub use examine::{Examined, Examiner, Unfit};
pub use history::{Event, What};
pub use install::{Installation, Installed};
pub use keys::{KeyError, PublicKey, SECRET_PREFIX, SecretKey};
pub use memory::{Memory, MemoryOf};
pub use probation::{Gate, RunOutcome, Standing, Usage};
pub use selector::{Selector, SelectorError};
pub use signature::{Layout, SIGNATURE_SECTION, SignatureError, layout, sign};
pub use store::{Access, By, Held, Loadable, PATIENCE, State, Store, Version};
pub use trust::{Date, Trust, TrustError};
