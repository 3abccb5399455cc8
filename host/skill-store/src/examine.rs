//! What the store has to know of the inside of an artifact, and who finds it out.

use crate::store::Version;

/// What was found out about an artifact.
#[derive(Clone, Debug)]
pub struct Examined {
    /// `publisher/name`.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// `skill` or `recovery`.
    pub kind: String,
    /// One line for people.
    pub summary: String,
    /// Machine code.
    pub compiled: Vec<u8>,
    /// What the machine code is good for: engine, its version and settings, processor.
    pub compiled_for: String,
}

/// Why an artifact can't be used here: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit(pub String);

/// Looks into an artifact whose signature was verified. It is expected to be careful: what it looks at may have been
/// made to harm whoever looks.
pub trait Examiner {
    /// Manifest, imports, exports, requirements; compiles it and instantiates it once.
    ///
    /// # Errors
    /// Why it can't be used here.
    fn examine(&mut self, artifact: &[u8], origin: &str) -> Result<Examined, Unfit>;
}
