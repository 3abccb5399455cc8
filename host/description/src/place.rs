//! Where in a file a key stands, so that an error can name the line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line (from 1) of the value at `path`, e.g. `joint[2].mass_kg`; the nearest ancestor's where the key
/// itself is missing.
pub(crate) fn line_of(text: &str, path: &str) -> usize {
    let Ok(root) = DeTable::parse(text) else {
        return 1;
    };
    let mut at = 0;
    let mut table: Option<&DeTable<'_>> = Some(root.get_ref());
    for segment in path.split('.') {
        let (key, index) = match segment.split_once('[') {
            Some((key, rest)) => (key, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (segment, None),
        };
        let Some(value) = table.and_then(|t| t.get(key)) else {
            break;
        };
        let mut value: &Spanned<DeValue<'_>> = value;
        at = value.span().start;
        if let (Some(index), DeValue::Array(array)) = (index, value.get_ref()) {
            let Some(element) = array.get(index) else {
                break;
            };
            value = element;
            at = value.span().start;
        }
        table = match value.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => None,
        };
    }
    line_at(text, at)
}

/// The line (from 1) of a byte offset.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}
