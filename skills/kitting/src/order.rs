//! The order: which part goes into which pocket.

use sinew_sdk::prelude::*;

/// What to kit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The lines of the order, worked off one after the other.
    #[schemars(length(min = 1, max = 32))]
    pub order: Vec<Line>,
    /// Share of the granted speed.
    #[serde(default = "full")]
    #[schemars(range(min = 0.05, max = 1.0))]
    pub speed: f64,
}

/// One part and its pocket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Class of the part, as perception names it.
    #[schemars(extend("x-sinew-class" = true))]
    pub class: String,
    /// Its colour; any if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-sinew-color" = true))]
    pub color: Option<String>,
    /// Name of the pocket that it goes into.
    #[schemars(extend("x-sinew-place" = "pocket", "x-sinew-unique" = true))]
    pub slot: String,
}

fn full() -> f64 {
    1.0
}

impl Params {
    /// The pocket of every line.
    ///
    /// # Errors
    /// A pocket that the cell doesn't have (the message lists those that it has) or that two lines ask for.
    pub fn slots(&self, places: &[Place]) -> Result<Vec<Place>, Failure> {
        let mut slots: Vec<Place> = Vec::with_capacity(self.order.len());
        for (index, line) in self.order.iter().enumerate() {
            let refused = |why: String| {
                Failure::new(
                    "skill-fault",
                    format!("parameters: /order/{index}/slot: {why}"),
                )
            };
            let pockets = || places.iter().filter(|place| place.kind == "pocket");
            let Some(slot) = pockets().find(|place| place.name == line.slot) else {
                let names: Vec<&str> = pockets().map(|place| place.name.as_str()).collect();
                return Err(refused(format!(
                    "there is no pocket `{}`; this cell has {}",
                    line.slot,
                    names.join(", ")
                )));
            };
            if slots.iter().any(|taken| taken.name == slot.name) {
                return Err(refused(format!(
                    "pocket `{}` is asked for twice",
                    line.slot
                )));
            }
            slots.push(slot.clone());
        }
        Ok(slots)
    }
}

impl Line {
    /// True if `object` is what the line asks for.
    #[must_use]
    pub fn fits(&self, object: &Object) -> bool {
        object.class == self.class
            && self
                .color
                .as_ref()
                .is_none_or(|color| object.color == *color)
    }

    /// In words: `red block`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.color {
            Some(color) => format!("{color} {}", self.class),
            None => self.class.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, kind: &str) -> Place {
        Place {
            name: name.to_owned(),
            kind: kind.to_owned(),
            pose: Pose::upright(0.4, 0.2, 0.0, 0.0),
            size: Vec3::new(0.08, 0.08, 0.05),
        }
    }

    fn params(slots: &[&str]) -> Params {
        Params {
            order: slots
                .iter()
                .map(|slot| Line {
                    class: "block".to_owned(),
                    color: None,
                    slot: (*slot).to_owned(),
                })
                .collect(),
            speed: 1.0,
        }
    }

    #[test]
    fn unknown_and_doubled_pockets_are_named_with_their_path() {
        let places = [
            place("bin", "bin"),
            place("A1", "pocket"),
            place("A2", "pocket"),
        ];
        let slots = params(&["A2", "A1"]).slots(&places).expect("both exist");
        assert_eq!(slots[0].name, "A2");
        let unknown = params(&["A1", "bin"])
            .slots(&places)
            .expect_err("no pocket");
        assert!(unknown.message.contains("/order/1/slot"), "{unknown}");
        assert!(unknown.message.contains("A1, A2"), "{unknown}");
        let twice = params(&["A1", "A1"]).slots(&places).expect_err("twice");
        assert!(twice.message.contains("twice"), "{twice}");
    }
}
