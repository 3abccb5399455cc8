//! The safety configuration for people: shown, checked, compared.

mod active;
mod words;

use std::path::Path;

use serde::Serialize;
use sinew_description::{
    RobotDescription, SafetyFile, Warning, difference, not_checked, quantities, reaction_words,
    zone_words,
};
use sinew_safety::SafetyLimits;
use sinew_sim::CellConfig;

use crate::files;
use crate::safety_fit;
use crate::settings::Settings;
use crate::sources::Sources;
use crate::trouble::input;

pub use self::active::{ActiveBy, show_active};
pub(crate) use self::words::difference_lines;

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

/// Something odd that a file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Odd {
    /// Line, from 1.
    pub line: usize,
    /// Key of the safety file.
    pub key: String,
    /// What is odd, and what it leads to.
    pub problem: String,
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
    /// Checks that it leaves out.
    pub not_checked: Vec<&'static str>,
    /// What it can be used with, and is hardly meant.
    pub warnings: Vec<Odd>,
    /// Where it comes from: a file, or what says that it is active.
    pub origin: String,
    /// It is what an audit log (or that there is none) says is active.
    pub active: bool,
    /// What is wrong with that log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_warning: Option<String>,
    /// That this is no certified safety function.
    pub statement: &'static str,
}

/// What changes from one to the other.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Hash of the second, as every command about a configuration says the hash of what it is about.
    pub hash: String,
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
    /// Checks that the second one leaves out.
    pub not_checked: Vec<&'static str>,
}

/// What a configuration has to fit.
pub(crate) struct Surroundings {
    pub(crate) robot: RobotDescription,
    settings: Settings,
    cell: CellConfig,
}

impl Surroundings {
    pub(crate) fn of(sources: &Sources) -> anyhow::Result<Self> {
        let settings = match &sources.host {
            None => Settings::builtin(),
            Some(path) => {
                Settings::from_toml_str(&files::read(path)?, &path.display().to_string())?
            }
        };
        let robot = match &sources.robot {
            None => RobotDescription::builtin(),
            Some(path) => {
                RobotDescription::from_toml_str(&files::read(path)?, &path.display().to_string())
                    .map_err(|error| input(error.to_string()))?
            }
        };
        Ok(Self {
            robot,
            settings,
            cell: CellConfig::builtin(),
        })
    }

    /// The configuration of this text from that file, or the built-in one, checked.
    pub(crate) fn limits(
        &self,
        file: Option<(&Path, &str)>,
    ) -> anyhow::Result<(SafetyFile, SafetyLimits)> {
        let file = match file {
            None => SafetyFile::builtin(),
            Some((path, text)) => SafetyFile::from_toml_str(text, &path.display().to_string())
                .map_err(|error| input(error.to_string()))?,
        };
        let limits = (file.limits(&self.robot)).map_err(|error| input(error.to_string()))?;
        let every_ticks = self.settings.brain.heartbeat_every_ticks;
        safety_fit::fits(&file, &limits, every_ticks, &self.cell)?;
        Ok((file, limits))
    }

    /// What can be used, and is hardly meant.
    pub(crate) fn warnings(&self, file: &SafetyFile, limits: &SafetyLimits) -> Vec<Odd> {
        let mut warnings = file.warnings(&self.robot);
        warnings.extend(safety_fit::warnings(file, limits, &self.cell));
        warnings.into_iter().map(Odd::from).collect()
    }

    fn shown(
        &self,
        (file, limits): (SafetyFile, SafetyLimits),
        origin: String,
        active: bool,
    ) -> Shown {
        let config = limits.config();
        let warnings = self.warnings(&file, &limits);
        Shown {
            hash: limits.hash().to_string(),
            quantities: quantities(config, &self.robot)
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
            not_checked: not_checked(config),
            warnings,
            name: file.name,
            robot: self.robot.name.clone(),
            origin,
            active,
            log_warning: None,
            statement: STATEMENT,
        }
    }
}

impl From<Warning> for Odd {
    fn from(warning: Warning) -> Self {
        Self {
            line: warning.line,
            key: warning.key,
            problem: warning.problem,
        }
    }
}

fn read(file: Option<&Path>, around: &Surroundings) -> anyhow::Result<(SafetyFile, SafetyLimits)> {
    let text = file.map(files::read).transpose()?;
    around.limits(file.zip(text.as_deref()))
}

/// The configuration in `file`, checked against the sources' robot and host settings, and against the cell.
///
/// # Errors
/// [`InputError`](crate::InputError) with file, line and reason.
pub fn show(sources: &Sources, file: &Path) -> anyhow::Result<Shown> {
    let around = Surroundings::of(sources)?;
    let found = read(Some(file), &around)?;
    Ok(around.shown(found, file.display().to_string(), false))
}

/// What changes from the configuration in `a` to that in `b`.
///
/// # Errors
/// As [`show`].
pub fn compare(sources: &Sources, a: &Path, b: &Path) -> anyhow::Result<Compared> {
    let around = Surroundings::of(sources)?;
    let ((_, a), (_, b)) = (read(Some(a), &around)?, read(Some(b), &around)?);
    let found = difference(a.config(), b.config(), &around.robot);
    Ok(Compared {
        hash: b.hash().to_string(),
        hash_a: a.hash().to_string(),
        hash_b: b.hash().to_string(),
        looser: found.looser,
        tighter: found.tighter,
        other: found.other,
        not_checked: not_checked(b.config()),
    })
}
