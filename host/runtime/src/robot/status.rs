//! The state of a robot as people and scripts read it.

use serde::Serialize;
use sinew_messages::{JointVector, LimitKind, StopCategory};
use sinew_safety::{Breach, breaches, too_near};

use super::cell_file::KeptStop;
use crate::Config;
use crate::audit::first_digits;

/// Where a robot stands, and whether it may move.
#[derive(Clone, Debug, Serialize)]
pub struct RobotStatus {
    /// File that the cell is kept in.
    pub cell: String,
    /// Name of the robot.
    pub robot: String,
    /// Hash of the safety configuration, hexadecimal.
    pub safety_hash: String,
    /// Mode: `normal`, `reduced`, `recovery` or `hold`.
    pub mode: String,
    /// The stop that is latched; absent if the robot may move.
    pub stop: Option<StopView>,
    /// Who reset the robot last.
    pub reset_by: Option<String>,
    /// The wired safety inputs.
    pub wired: WiredView,
    /// Every joint.
    pub joints: Vec<JointView>,
    /// The tool, base frame, m.
    pub tool_position_m: [f64; 3],
    /// Limits that the robot breaks where it stands.
    pub breaches: Vec<BreachView>,
    /// Zones and sides of the envelope that it is outside of, and nearer to than the gate's margin: `depth` is 0 or below.
    pub near: Vec<BreachView>,
    /// Simulated time that the cell has run, s.
    pub ran_s: f64,
    /// That this is no certified safety function.
    pub statement: &'static str,
}

/// A latched stop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StopView {
    /// Category of IEC 60204-1: 0, 1 or 2.
    pub category: u8,
    /// Reason, as the gate names it.
    pub reason: String,
    /// What it is about, in words.
    pub detail: String,
}

/// The wired contacts: true while closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WiredView {
    /// Emergency stop, channel A.
    pub emergency_a_closed: bool,
    /// Emergency stop, channel B.
    pub emergency_b_closed: bool,
    /// Protective stop.
    pub protective_closed: bool,
}

/// One joint.
#[derive(Clone, Debug, Serialize)]
pub struct JointView {
    /// Number on the command line, from 1.
    pub number: usize,
    /// Name.
    pub name: String,
    /// Position, rad.
    pub position_rad: f64,
    /// Limits of normal motion, rad.
    pub limits_rad: [f64; 2],
}

/// One limit that a robot breaks where it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BreachView {
    /// Limit, as the gate names it.
    pub limit: String,
    /// Joint, zone or side of the envelope.
    pub name: String,
    /// Link that is deepest in it; empty for joints and the tool's tilt.
    pub link: String,
    /// How deep; below 0 it is outside by as much.
    pub depth: f64,
    /// Its unit: `m` or `rad`.
    pub unit: &'static str,
}

/// The number that people give a category.
#[must_use]
pub fn category_number(category: StopCategory) -> u8 {
    match category {
        StopCategory::PowerOff => 0,
        StopCategory::ControlledThenOff => 1,
        StopCategory::ControlledHold => 2,
    }
}

impl From<&KeptStop> for StopView {
    fn from(stop: &KeptStop) -> Self {
        Self {
            category: stop.category,
            reason: stop.reason.clone(),
            detail: stop.detail.clone(),
        }
    }
}

impl StopView {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let detail = match self.detail.as_str() {
            "" => String::new(),
            detail => format!(" ({detail})"),
        };
        format!("{}{detail}, category {}", self.reason, self.category)
    }
}

impl BreachView {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let size = match self.unit {
            "m" => format!("{:.1} mm", self.depth * 1e3),
            _ => format!("{:.4} rad", self.depth),
        };
        if self.depth <= 0.0 {
            let away = -1e3 * self.depth;
            let what = match self.limit.as_str() {
                "zone" => format!("zone `{}`", self.name),
                _ => format!("the envelope's end along {}", self.name),
            };
            return format!(
                "{} is {away:.1} mm from {what}, nearer than the gate's margin: away from it in mode recovery",
                self.link
            );
        }
        match (self.limit.as_str(), self.link.as_str()) {
            ("zone", link) => format!("{link} is {size} inside zone `{}`", self.name),
            ("envelope", link) => {
                format!("{link} is {size} outside the envelope along {}", self.name)
            }
            ("position", _) => format!("joint `{}` is {size} outside its limits", self.name),
            ("self-collision", link) => format!("{link} is {size} inside another link"),
            _ => format!("the tool is tilted {size} out of its cone"),
        }
    }
}

/// Everything that the robot breaks at `q`, with names.
pub(super) fn breach_views(config: &Config, q: &JointVector) -> Vec<BreachView> {
    breaches(&config.robot.chain(), &config.safety, q)
        .iter()
        .map(|breach| view(config, breach))
        .collect()
}

/// What the robot is too near to at `q`, with names.
pub(super) fn near_views(config: &Config, q: &JointVector) -> Vec<BreachView> {
    too_near(&config.robot.chain(), &config.safety, q)
        .iter()
        .map(|breach| view(config, breach))
        .collect()
}

fn view(config: &Config, breach: &Breach) -> BreachView {
    let index = breach.index.map_or(usize::MAX, |index| index as usize);
    let in_metres = !matches!(breach.limit, LimitKind::Position | LimitKind::Orientation);
    let name = match breach.limit {
        LimitKind::Position => (config.robot.joints.get(index)).map(|joint| joint.name.clone()),
        LimitKind::Zone => (config.safety.config().zones.get(index)).map(|zone| zone.name.clone()),
        LimitKind::Envelope => ["x", "y", "z"].get(index).map(|axis| (*axis).to_owned()),
        _ => None,
    };
    BreachView {
        limit: breach.limit.name().to_owned(),
        name: name.unwrap_or_default(),
        link: link_name(config, breach.link),
        depth: breach.depth,
        unit: if in_metres { "m" } else { "rad" },
    }
}

/// What a link is called: after the joint that turns it.
pub(super) fn link_name(config: &Config, link: usize) -> String {
    let joints = &config.robot.joints;
    match link {
        0 => String::new(),
        link if link <= joints.len() => format!("link `{}`", joints[link - 1].name),
        _ => "the hand".to_owned(),
    }
}

impl RobotStatus {
    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!("{} in {}", self.robot, self.cell)];
        lines.push(format!("  mode      {}", self.mode));
        lines.push(match &self.stop {
            Some(stop) => format!("  stop      latched: {}", stop.words()),
            None => format!(
                "  stop      none, reset by {}",
                self.reset_by.as_deref().unwrap_or("nobody")
            ),
        });
        let contact = |closed| if closed { "closed" } else { "OPEN" };
        lines.push(format!(
            "  wired     emergency stop A {}, B {}; protective stop {}",
            contact(self.wired.emergency_a_closed),
            contact(self.wired.emergency_b_closed),
            contact(self.wired.protective_closed)
        ));
        for joint in &self.joints {
            lines.push(format!(
                "  joint {}   {:<16} {:>8.4} rad, from {} to {}",
                joint.number,
                joint.name,
                joint.position_rad,
                joint.limits_rad[0],
                joint.limits_rad[1]
            ));
        }
        let [x, y, z] = self.tool_position_m;
        lines.push(format!("  tool      x {x:.4}, y {y:.4}, z {z:.4} m"));
        for breach in &self.breaches {
            lines.push(format!("  violated  {}", breach.words()));
        }
        for near in &self.near {
            lines.push(format!("  near      {}", near.words()));
        }
        lines.push(format!(
            "  safety configuration {}",
            first_digits(&self.safety_hash)
        ));
        lines.push(self.statement.to_owned());
        lines.join("\n")
    }
}
