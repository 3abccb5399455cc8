//! What a skill leaves behind so that its work can be taken up again.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::capabilities::sinew::plugin::types;

/// State at a safe point of a skill.
///
/// ```ignore
/// #[derive(Serialize, Deserialize)]
/// struct Progress { placed: Vec<bool> }
///
/// impl Checkpoint for Progress { const SCHEMA: u32 = 1; }
/// ```
pub trait Checkpoint: Serialize + DeserializeOwned {
    /// Version of the shape that this code writes. It stands among `checkpoints` in the manifest.
    const SCHEMA: u32;

    /// Reads a checkpoint of version `schema`. Override it to take up what an older version left.
    ///
    /// # Errors
    /// A sentence that says why it can't be read.
    fn read(schema: u32, bytes: &[u8]) -> Result<Self, String> {
        if schema != Self::SCHEMA {
            return Err(format!(
                "checkpoint version {schema}, this plugin reads {}",
                Self::SCHEMA
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| format!("checkpoint: {error}"))
    }
}

/// For skills that always start over.
impl Checkpoint for () {
    const SCHEMA: u32 = 0;
}

pub(crate) fn write<C: Checkpoint>(state: &C) -> Result<types::Checkpoint, String> {
    Ok(types::Checkpoint {
        schema: C::SCHEMA,
        bytes: serde_json::to_vec(state).map_err(|error| format!("checkpoint: {error}"))?,
    })
}
