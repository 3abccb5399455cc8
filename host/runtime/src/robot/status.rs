//! The state of a robot as people and scripts read it.

use std::path::Path;

use serde::Serialize;
use sinew_kinematics::isometry_to_pose;
use sinew_messages::{JointVector, LimitKind, SafetyInputs, SafetyMode, StopCategory};
use sinew_safety::{Breach, breaches, too_near};

use super::cell_file::{CellFile, KeptStop};
use super::evidence::LogView;
use super::place::Place;
use super::running::Running;
use crate::Config;
use crate::audit::first_digits;
use crate::safety_change::{check_approved, quoted};
use crate::safety_config::STATEMENT;

/// Where a cell is kept if nobody says otherwise.
pub const CELL_DEFAULT: &str = "out/robot.json";

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
    /// It may move now.
    pub may_move: bool,
    /// What to do next, and with which command.
    pub next: String,
    /// What is wrong with the cell's audit log, its limits or its orders, and that it was begun just now.
    pub warnings: Vec<String>,
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
        let category = match self.category {
            0 => "0: power off at once",
            1 => "1: controlled stop, then power off",
            _ => "2: controlled stop and hold",
        };
        format!("{}{detail}, category {category}", self.reason)
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

/// The cell in its file as a person reads it. A loop is booted on it beside the file, to know whether the gate lets it go on.
pub(super) fn look(
    config: &Config,
    place: &Place,
    file: &CellFile,
    log: anyhow::Result<LogView>,
) -> RobotStatus {
    let q = file.joints().unwrap_or(*config.robot.chain().rest());
    let safety = config.safety.config();
    let closed = file.closed();
    let mut warnings = Vec::new();
    let mut log_words = None;
    let mut stop = file.stop.clone();
    match &log {
        Err(error) => log_words = Some(format!("{error:#}")),
        Ok(view) => {
            log_words.clone_from(&view.stranger);
            stop = stop.or_else(|| unapproved(config, view, &place.log()));
        }
    }
    if stop.is_none() {
        stop = Running::take_up(config, file).1;
    }
    let other_names = place.other_names();
    warnings.extend(log_words.clone());
    warnings.extend(other_names.clone());
    if file.moving {
        warnings.push("a command moves it: the positions are those from before".to_owned());
    }
    if !file.unwritten.is_empty() {
        warnings.push(format!(
            "{} records are kept with the cell that the audit log does not have yet",
            file.unwritten.len()
        ));
    }
    let mode = file.mode().unwrap_or(SafetyMode::Hold);
    let breaches = breach_views(config, &q);
    let near = near_views(config, &q);
    let is_stranger = log.as_ref().is_ok_and(|view| view.stranger.is_some());
    let next = next_step(&Standing {
        cell: &place.shown,
        log: log_words.as_deref(),
        is_stranger,
        contacts_closed: closed == SafetyInputs::ALL_CLOSED,
        stop: stop.as_ref(),
        mode,
        is_out: !breaches.is_empty(),
        is_near: !near.is_empty(),
    });
    RobotStatus {
        cell: place.shown.display().to_string(),
        robot: config.robot.name.clone(),
        safety_hash: config.safety.hash().to_string(),
        mode: file.mode.clone(),
        may_move: stop.is_none()
            && mode != SafetyMode::Hold
            && log_words.is_none()
            && other_names.is_none(),
        next,
        warnings,
        stop: stop.as_ref().map(StopView::from),
        reset_by: file.reset_by.clone(),
        wired: WiredView {
            emergency_a_closed: closed & SafetyInputs::EMERGENCY_A_CLOSED != 0,
            emergency_b_closed: closed & SafetyInputs::EMERGENCY_B_CLOSED != 0,
            protective_closed: closed & SafetyInputs::PROTECTIVE_CLOSED != 0,
        },
        joints: (config.robot.joints.iter().enumerate())
            .map(|(i, joint)| JointView {
                number: i + 1,
                name: joint.name.clone(),
                position_rad: q[i],
                limits_rad: [safety.position_min_rad[i], safety.position_max_rad[i]],
            })
            .collect(),
        tool_position_m: isometry_to_pose(&config.robot.chain().forward(&q).tool).position_m,
        breaches,
        near,
        ran_s: file.ran_s,
        statement: STATEMENT,
    }
}

/// The stop that limits are which nobody approved.
pub(super) fn unapproved(config: &Config, log: &LogView, path: &Path) -> Option<KeptStop> {
    let refused = check_approved(config, &log.approvals, path).err()?;
    Some(KeptStop {
        category: 2,
        reason: LimitKind::Configuration.name().to_owned(),
        detail: refused.to_string(),
    })
}

/// What decides on what to do next.
struct Standing<'a> {
    cell: &'a Path,
    log: Option<&'a str>,
    is_stranger: bool,
    contacts_closed: bool,
    stop: Option<&'a KeptStop>,
    mode: SafetyMode,
    is_out: bool,
    is_near: bool,
}

fn next_step(now: &Standing<'_>) -> String {
    let option = if now.cell == Path::new(CELL_DEFAULT) {
        String::new()
    } else {
        format!(" --cell {}", quoted(&now.cell.display().to_string()))
    };
    let command = |words: &str| format!("`sinew robot {words}{option}`");
    let reset = command("reset --actor NAME");
    let recovers = now.mode == SafetyMode::Recovery;
    let away = command("jog --joint N --speed S");
    match now.stop {
        _ if now.is_stranger => format!(
            "find out what became of the log; to go on with this one: {}",
            command("reset --actor NAME --accept-log")
        ),
        _ if now.log.is_some() => "see to the audit log first".to_owned(),
        _ if !now.contacts_closed => format!(
            "release the open contact, {}, then {reset}",
            command("stop --wired NAME --release")
        ),
        Some(stop) if stop.reason == LimitKind::Configuration.name() => {
            "have the safety configuration approved, or use the one that is active".to_owned()
        }
        Some(_) if now.is_out && !recovers => format!(
            "{}, then {reset}, then {away} away from what is violated",
            command("mode recovery")
        ),
        Some(_) => reset,
        None if now.mode == SafetyMode::Hold => command("mode reduced"),
        None if recovers && (now.is_out || now.is_near) => {
            format!("{away}, away from what is violated or near, until nothing is")
        }
        None if recovers => command("mode normal"),
        None => command("jog --joint 1 --speed 0.1 --hold 0.5"),
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
        lines.push(format!(
            "  may move  {}; next: {}",
            if self.may_move { "yes" } else { "NO" },
            self.next
        ));
        for warning in &self.warnings {
            lines.push(format!("  warning   {warning}"));
        }
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
