//! Scenarios: persons, faults of the scanner that sees them, and the wired stops, at simulated times.
//!
//! A scenario is kept apart from fault profiles, which say how often the work itself goes wrong. Without one nobody is
//! there, the scanner works, and every contact is closed.

use serde::Deserialize;
use sinew_messages::SafetyInputs;

use crate::catalogue::{Catalogue, Listed};

/// Latest that anything may happen, s.
const TIME_MAX_S: f64 = 3_600.0;
/// Farthest that anything may be, m.
const PLACE_MAX_M: f64 = 50.0;
/// Fastest that a person walks: what ISO 13855 counts on, m/s.
pub const WALK_MAX_M_S: f64 = 1.6;
/// Most stations of a path.
const STATIONS_MAX: usize = 64;

/// What happens around the robot during a cycle.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name in the file.
    #[serde(skip)]
    pub name: String,
    /// Somebody who walks.
    pub person: Option<Walk>,
    /// When the scanner doesn't say what is there.
    #[serde(default)]
    pub scanner_fault: Vec<ScannerFault>,
    /// When wired stops are pressed.
    #[serde(default)]
    pub wired: Vec<WiredPress>,
}

/// How a person walks through the cell.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walk {
    /// When they start at the first station, s into the cycle: least and most.
    pub start_s: [f64; 2],
    /// Speed, m/s: least and most; at most [`WALK_MAX_M_S`].
    pub speed_m_s: [f64; 2],
    /// Radius of the upright column that holds the whole person, arms included, m.
    #[serde(default = "usual_radius")]
    pub radius_m: f64,
    /// Stations, walked to in straight lines. Before the first and after the last there is nobody.
    pub path: Vec<Station>,
}

fn usual_radius() -> f64 {
    0.25
}

/// One station of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Station {
    /// Where, x and y, base frame, m.
    pub at: [f64; 2],
    /// How far from there the drawn place may be along each axis, m.
    #[serde(default)]
    pub spread_m: f64,
    /// How long they stay, s: least and most.
    #[serde(default)]
    pub pause_s: [f64; 2],
}

/// What a scanner can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScannerFaultKind {
    /// It says nothing.
    Silent,
    /// It sees somebody and doesn't know where.
    Somewhere,
    /// It says that it sees, and gives the places of before with their true age.
    Old,
}

/// A time in which the scanner doesn't do what it should.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerFault {
    /// What it does.
    pub kind: ScannerFaultKind,
    /// First moment, s into the cycle.
    pub from_s: f64,
    /// First moment after it, s into the cycle.
    pub until_s: f64,
}

/// A contact in the robot's safety wiring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WiredInput {
    /// The emergency stop: both channels.
    Emergency,
    /// Its channel A alone, as when a wire breaks.
    EmergencyA,
    /// Its channel B alone.
    EmergencyB,
    /// The protective stop.
    Protective,
}

impl WiredInput {
    /// Every contact, with the name that files and the command line use.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Emergency, "emergency"),
        (Self::EmergencyA, "emergency-a"),
        (Self::EmergencyB, "emergency-b"),
        (Self::Protective, "protective"),
    ];

    /// Its [`SafetyInputs`] bits: set while the contact is closed.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Emergency => SafetyInputs::EMERGENCY_A_CLOSED | SafetyInputs::EMERGENCY_B_CLOSED,
            Self::EmergencyA => SafetyInputs::EMERGENCY_A_CLOSED,
            Self::EmergencyB => SafetyInputs::EMERGENCY_B_CLOSED,
            Self::Protective => SafetyInputs::PROTECTIVE_CLOSED,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(input, _)| *input == self)
            .map_or("", |(_, name)| name)
    }
}

/// A contact that is opened, and perhaps closed again.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WiredPress {
    /// Which.
    pub input: WiredInput,
    /// When it opens, s into the cycle.
    pub pressed_s: f64,
    /// When it closes again; never if absent.
    pub released_s: Option<f64>,
}

/// Scenarios by name.
pub type Scenarios = Catalogue<Scenario>;

impl Listed for Scenario {
    const KIND: &'static str = "scenario";
    const BUILTIN: (&'static str, &'static str) =
        (include_str!("../scenarios.toml"), "builtin scenarios.toml");

    fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    fn check(&self) -> Result<(), (String, String)> {
        let range = |key: String, value: f64, low: f64, high: f64| {
            if value.is_finite() && value >= low && value <= high {
                Ok(())
            } else {
                Err((key, format!("is {value}, allowed are {low} to {high}")))
            }
        };
        let span = |key: String, [least, most]: [f64; 2], low: f64, high: f64| {
            range(key.clone(), least, low, high)?;
            range(key, most, least, high)
        };
        if let Some(walk) = &self.person {
            span("person.start_s".into(), walk.start_s, 0.0, TIME_MAX_S)?;
            // Slower than this nobody arrives.
            span(
                "person.speed_m_s".into(),
                walk.speed_m_s,
                0.05,
                WALK_MAX_M_S,
            )?;
            range("person.radius_m".into(), walk.radius_m, 0.05, 1.0)?;
            if walk.path.is_empty() || walk.path.len() > STATIONS_MAX {
                let count = walk.path.len();
                return Err((
                    "person.path".into(),
                    format!("has {count} stations, allowed are 1 to {STATIONS_MAX}"),
                ));
            }
            for (n, station) in walk.path.iter().enumerate() {
                let key = |what: &str| format!("person.path[{n}].{what}");
                for place in station.at {
                    range(key("at"), place, -PLACE_MAX_M, PLACE_MAX_M)?;
                }
                range(key("spread_m"), station.spread_m, 0.0, 5.0)?;
                span(key("pause_s"), station.pause_s, 0.0, TIME_MAX_S)?;
            }
        }
        for (n, fault) in self.scanner_fault.iter().enumerate() {
            let key = |what: &str| format!("scanner_fault[{n}].{what}");
            range(key("from_s"), fault.from_s, 0.0, TIME_MAX_S)?;
            range(key("until_s"), fault.until_s, fault.from_s, TIME_MAX_S)?;
        }
        for (n, press) in self.wired.iter().enumerate() {
            let key = |what: &str| format!("wired[{n}].{what}");
            range(key("pressed_s"), press.pressed_s, 0.0, TIME_MAX_S)?;
            if let Some(released_s) = press.released_s {
                range(key("released_s"), released_s, press.pressed_s, TIME_MAX_S)?;
            }
        }
        Ok(())
    }
}

impl Scenario {
    /// The contacts that are closed at a moment of the cycle, as [`SafetyInputs`] bits.
    pub(crate) fn wired_at(&self, at_ms: u64) -> u32 {
        let at_s = at_ms as f64 * 1e-3;
        (self.wired.iter())
            .filter(|press| {
                press.pressed_s <= at_s && press.released_s.is_none_or(|end| at_s < end)
            })
            .fold(SafetyInputs::ALL_CLOSED, |closed, press| {
                closed & !press.input.bits()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_files_say_where_and_what() {
        let person = |rest: &str| {
            format!("[x.person]\nstart_s = [0.0, 1.0]\nspeed_m_s = [1.0, 1.5]\n{rest}")
        };
        for (text, needle) in [
            (person("path = []"), "x.person.path: has 0 stations"),
            (
                person("path = [{ at = [nan, 0.0] }]"),
                "x.person.path[0].at",
            ),
            (
                person("path = [{ at = [1.0, 0.0], pause_s = [2.0, 1.0] }]"),
                "pause_s",
            ),
            (
                person("path = [{ at = [1.0, 0.0] }]").replace("1.5]", "1.7]"),
                "x.person.speed_m_s: is 1.7",
            ),
            (
                "[x]\nscanner_fault = [{ kind = \"blind\", from_s = 0.0, until_s = 1.0 }]".into(),
                "blind",
            ),
            (
                "[x]\nscanner_fault = [{ kind = \"silent\", from_s = 2.0, until_s = 1.0 }]".into(),
                "until_s",
            ),
            (
                "[x]\nwired = [{ input = \"door\", pressed_s = 1.0 }]".into(),
                "door",
            ),
            (
                "[x]\nwired = [{ input = \"protective\", pressed_s = -1.0 }]".into(),
                "x.wired[0].pressed_s",
            ),
            ("[x]\nghost = 1".into(), "ghost"),
        ] {
            let error = Scenarios::from_toml(&text, "s.toml")
                .expect_err(&text)
                .to_string();
            assert!(
                error.contains("s.toml") && error.contains(needle),
                "{error}"
            );
        }
        let unknown = Scenarios::builtin().get("ghost").expect_err("no such");
        assert!(unknown.to_string().contains("person-stays"), "{unknown}");
    }

    #[test]
    fn contacts_open_and_close_when_they_should() {
        let scenarios = Scenarios::builtin();
        let check = |name: &str, at_ms: u64, open: u32| {
            let scenario = scenarios.get(name).expect(name);
            let closed = SafetyInputs::ALL_CLOSED & !open;
            assert_eq!(scenario.wired_at(at_ms), closed, "{name} at {at_ms}");
        };
        check("protective-stop", 9_999, 0);
        check("protective-stop", 10_000, SafetyInputs::PROTECTIVE_CLOSED);
        check("protective-stop", 12_000, 0);
        check("emergency-stop", 600_000, WiredInput::Emergency.bits());
        check(
            "emergency-channel",
            10_000,
            SafetyInputs::EMERGENCY_A_CLOSED,
        );
        check("person", 20_000, 0);
    }
}
