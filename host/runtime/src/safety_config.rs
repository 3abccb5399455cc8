//! The safety configuration for people: shown, checked, compared.

use std::path::Path;

use serde::Serialize;
use sinew_description::{
    RobotDescription, SafetyFile, difference, quantities, reaction_words, zone_words,
};
use sinew_safety::SafetyLimits;

use crate::files;
use crate::sources::Sources;
use crate::trouble::input;

/// What stands wherever a person would look.
pub(crate) const STATEMENT: &str = "Sinew is not a certified safety function and claims no PL or SIL: a certified emergency stop \
                         and drive limits must exist on their own.";

/// One number.
#[derive(Clone, Debug, Serialize)]
pub struct Number {
    /// Key of the safety file.
    pub key: String,
    /// Joint, axis or zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Value.
    pub value: f64,
    /// Unit; empty for a share.
    pub unit: &'static str,
}

/// A configuration, whole.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Hash over every value, hexadecimal.
    pub hash: String,
    /// The robot that it was checked for.
    pub robot: String,
    /// Every number.
    pub quantities: Vec<Number>,
    /// Every zone in words, by name.
    pub zones: Vec<(String, String)>,
    /// How a force above its threshold is met.
    pub force_reaction: &'static str,
    /// That this is no certified safety function.
    pub statement: &'static str,
}

/// What changes from one to the other.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Hash of the first.
    pub hash_a: String,
    /// Hash of the second.
    pub hash_b: String,
    /// What lets more happen.
    pub looser: Vec<String>,
    /// What lets less happen.
    pub tighter: Vec<String>,
    /// Neither, or both.
    pub other: Vec<String>,
}

pub(crate) fn robot(sources: &Sources) -> anyhow::Result<RobotDescription> {
    match &sources.robot {
        None => Ok(RobotDescription::builtin()),
        Some(path) => {
            RobotDescription::from_toml_str(&files::read(path)?, &path.display().to_string())
                .map_err(|error| input(error.to_string()))
        }
    }
}

/// The configuration of this text from that file, or the built-in one.
pub(crate) fn limits(
    file: Option<(&Path, &str)>,
    robot: &RobotDescription,
) -> anyhow::Result<(SafetyFile, SafetyLimits)> {
    let file = match file {
        None => SafetyFile::builtin(),
        Some((path, text)) => SafetyFile::from_toml_str(text, &path.display().to_string())
            .map_err(|error| input(error.to_string()))?,
    };
    let limits = (file.limits(robot)).map_err(|error| input(error.to_string()))?;
    Ok((file, limits))
}

fn read(
    file: Option<&Path>,
    robot: &RobotDescription,
) -> anyhow::Result<(SafetyFile, SafetyLimits)> {
    let text = file.map(files::read).transpose()?;
    limits(file.zip(text.as_deref()), robot)
}

/// The configuration in `file`, or that of the sources, checked against the sources' robot.
///
/// # Errors
/// [`InputError`](crate::InputError) with file, line and reason.
pub fn show(sources: &Sources, file: Option<&Path>) -> anyhow::Result<Shown> {
    let robot = robot(sources)?;
    let (file, limits) = read(file.or(sources.safety.as_deref()), &robot)?;
    let config = limits.config();
    Ok(Shown {
        name: file.name,
        hash: format!("{:016x}", limits.hash()),
        quantities: quantities(config, &robot)
            .into_iter()
            .map(|quantity| Number {
                key: quantity.key,
                of: quantity.of,
                value: quantity.value,
                unit: quantity.unit,
            })
            .collect(),
        zones: (config.zones.iter())
            .map(|zone| (zone.name.clone(), zone_words(zone)))
            .collect(),
        force_reaction: reaction_words(config.force_reaction),
        robot: robot.name,
        statement: STATEMENT,
    })
}

/// What changes from the configuration in `a` to that in `b`.
///
/// # Errors
/// As [`show`].
pub fn compare(sources: &Sources, a: &Path, b: &Path) -> anyhow::Result<Compared> {
    let robot = robot(sources)?;
    let ((_, a), (_, b)) = (read(Some(a), &robot)?, read(Some(b), &robot)?);
    let found = difference(a.config(), b.config(), &robot);
    Ok(Compared {
        hash_a: format!("{:016x}", a.hash()),
        hash_b: format!("{:016x}", b.hash()),
        looser: found.looser,
        tighter: found.tighter,
        other: found.other,
    })
}

impl Shown {
    /// One line: that it can be used, and its hash.
    #[must_use]
    pub fn verdict(&self) -> String {
        format!(
            "{} fits {}: safety configuration {}",
            self.name, self.robot, self.hash
        )
    }

    /// The table as a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![self.verdict()];
        let mut last = "";
        for number in &self.quantities {
            let value = format!("{} {}", number.value, number.unit);
            match &number.of {
                Some(of) if number.key == last => {
                    lines.push(format!("  {:<34} {of:<16} {value}", ""));
                }
                Some(of) => lines.push(format!("  {:<34} {of:<16} {value}", number.key)),
                None => lines.push(format!("  {:<34} {:<16} {value}", number.key, "")),
            }
            last = &number.key;
        }
        lines.push(format!(
            "  {:<34} {:<16} {}",
            "force.reaction", "", self.force_reaction
        ));
        for (name, words) in &self.zones {
            lines.push(format!("  {:<34} {name:<16} {words}", "zone"));
        }
        lines.push(self.statement.to_owned());
        lines.join("\n")
    }
}

impl Compared {
    /// The difference as a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!("from {} to {}", self.hash_a, self.hash_b)];
        for (title, list) in [
            ("looser", &self.looser),
            ("tighter", &self.tighter),
            ("neither, or both", &self.other),
        ] {
            if !list.is_empty() {
                lines.push(format!("{title}:"));
                lines.extend(list.iter().map(|words| format!("  {words}")));
            }
        }
        if lines.len() == 1 {
            lines.push("nothing changes".to_owned());
        }
        lines.join("\n")
    }
}
