//! The detail of a kitting failure: what `regrasp` and `search-missing` read.

use sinew_sdk::prelude::*;

use crate::Line;

/// Which line failed and what is known about its part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// Index of the order line, from 0.
    pub line: usize,
    /// Class that it asks for.
    pub class: String,
    /// Colour that it asks for.
    #[serde(default)]
    pub color: Option<String>,
    /// Pocket that it goes into.
    pub slot: String,
    /// The tracked object that it is about.
    #[serde(default)]
    pub object: Option<u64>,
    /// Where that object, or the hand that held it, was last.
    #[serde(default)]
    pub last_seen: Option<Pose>,
}

impl Trouble {
    /// About a line whose part isn't known yet.
    #[must_use]
    pub fn with(index: usize, line: &Line) -> Self {
        Self {
            line: index,
            class: line.class.clone(),
            color: line.color.clone(),
            slot: line.slot.clone(),
            object: None,
            last_seen: None,
        }
    }

    /// About this object.
    pub fn about(&mut self, object: &Object) {
        self.object = Some(object.id);
        self.last_seen = Some(object.pose);
    }

    /// The line that it is about.
    #[must_use]
    pub fn line(&self) -> Line {
        Line {
            class: self.class.clone(),
            color: self.color.clone(),
            slot: self.slot.clone(),
        }
    }
}
