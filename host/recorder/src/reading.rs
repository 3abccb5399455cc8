//! What an incident file holds of plugin runs.

use mcap::McapError;
use mcap::read::LinearReader;
use mcap::records::Record;

use crate::incident::RUN_MEDIA_TYPE;

/// What an incident file begins with.
pub const INCIDENT_MAGIC: &[u8] = mcap::MAGIC;

/// The recorded runs in an incident file: the name of each, and its bytes.
///
/// # Errors
/// It is no MCAP file, or it is damaged before its end.
pub fn recorded_runs(incident: &[u8]) -> Result<Vec<(String, Vec<u8>)>, McapError> {
    let mut runs = Vec::new();
    for record in LinearReader::new(incident)? {
        if let Record::Attachment { header, data, .. } = record?
            && header.media_type == RUN_MEDIA_TYPE
        {
            runs.push((header.name, data.into_owned()));
        }
    }
    Ok(runs)
}
