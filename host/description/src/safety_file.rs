//! The safety file: what a person configures about the gate, checked against the robot it is for.

mod conversion;
mod fit;
#[cfg(test)]
mod page;
mod refusal;
mod shape;
mod warnings;

use sinew_kinematics::HAND;
use sinew_safety::{SafetyConfig, SafetyLimits};

use self::conversion::config;
use self::refusal::refusal;
pub use self::warnings::Warning;
use crate::RobotDescription;
use crate::error::{DescriptionError, Source};
use crate::name;

/// The configuration of the cell that comes with Sinew.
const BUILTIN: &str = include_str!("../robots/cell-safety.toml");

/// A safety file whose values are possible in themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct SafetyFile {
    /// Name of the configuration.
    pub name: String,
    config: SafetyConfig,
    /// Names of links that are not compared.
    ignored: Vec<[String; 2]>,
    text: String,
    origin: String,
}

impl SafetyFile {
    /// The configuration of the cell that comes with Sinew.
    #[must_use]
    pub fn builtin() -> Self {
        Self::from_toml_str(BUILTIN, "cell-safety.toml (built in)")
            .expect("the embedded file is checked by this crate's tests")
    }

    /// Reads a safety file; `origin` names it in errors.
    ///
    /// # Errors
    /// [`DescriptionError`] with the line: unknown keys, wrong types, and values that no gate takes.
    pub fn from_toml_str(text: &str, origin: &str) -> Result<Self, DescriptionError> {
        let source = Source { text, origin };
        let file: shape::Safety = source.parse()?;
        names(&source, &file)?;
        let name = file.name.clone();
        let ignored = (file.self_collision.as_ref())
            .map_or_else(Vec::new, |collision| collision.ignore.clone());
        let config = config(&source, file)?;
        SafetyLimits::new(config.clone()).map_err(|error| refusal(&source, &error))?;
        for (index, zone) in config.zones.iter().enumerate() {
            if config.zones[..index]
                .iter()
                .any(|other| other.name == zone.name)
            {
                return Err(source.refuse(
                    &format!("zone[{index}].name"),
                    format!("{:?}, which another zone has", zone.name),
                    "a name of its own",
                ));
            }
        }
        Ok(Self {
            name,
            config,
            ignored,
            text: text.to_owned(),
            origin: origin.to_owned(),
        })
    }

    /// The limits for a robot.
    ///
    /// # Errors
    /// [`DescriptionError`] if they would allow what its mechanics don't.
    pub fn limits(&self, robot: &RobotDescription) -> Result<SafetyLimits, DescriptionError> {
        let source = self.source();
        fit::within_mechanics(&source, &self.config, robot)?;
        fit::leaves_room(&source, &self.config, robot)?;
        fit::can_brake(&source, &self.config, robot)?;
        let mut config = self.config.clone();
        if let Some(collision) = &mut config.self_collision {
            for names in &self.ignored {
                let links = [
                    link_of(&source, robot, &names[0])?,
                    link_of(&source, robot, &names[1])?,
                ];
                collision.ignored.push(links);
            }
        }
        fit::links_keep_off_at_rest(&source, &config, robot)?;
        SafetyLimits::new(config).map_err(|error| refusal(&source, &error))
    }
}

impl SafetyFile {
    /// The refusal of a value of this file, with its line, by somebody who knows more than the file: the scanner's owner, the
    /// host.
    #[must_use]
    pub fn refusal(&self, key: &str, found: String, allowed: &str) -> DescriptionError {
        self.source().refuse(key, found, allowed)
    }

    /// What a person should know about a value of this file, with its line.
    #[must_use]
    pub fn warning(&self, key: &str, problem: String) -> Warning {
        Warning::new(&self.source(), key, problem)
    }

    /// What can be used with the robot, and is hardly meant.
    #[must_use]
    pub fn warnings(&self, robot: &RobotDescription) -> Vec<Warning> {
        warnings::of(&self.source(), &self.config, robot)
    }

    fn source(&self) -> Source<'_> {
        Source {
            text: &self.text,
            origin: &self.origin,
        }
    }
}

/// Refuses names that would show others something else than what stands there.
fn names(source: &Source<'_>, file: &shape::Safety) -> Result<(), DescriptionError> {
    name::check(source, "name", &file.name)?;
    for (index, zone) in file.zone.iter().enumerate() {
        name::check(source, &format!("zone[{index}].name"), &zone.name)?;
    }
    let regions = file.contact.iter().flat_map(|contact| &contact.region);
    for (index, region) in regions.enumerate() {
        let key = format!("contact.region[{index}].name");
        name::check(source, &key, &region.name)?;
    }
    Ok(())
}

/// Number of the link with a name: `base`, `hand`, or that of the joint that turns it.
fn link_of(
    source: &Source<'_>,
    robot: &RobotDescription,
    name: &str,
) -> Result<usize, DescriptionError> {
    (0..=HAND)
        .find(|link| link_name(robot, *link) == name)
        .ok_or_else(|| {
            let names: Vec<&str> = (0..=HAND).map(|link| link_name(robot, link)).collect();
            source.refuse(
                "self_collision.ignore",
                format!("{name:?}"),
                &names.join(", "),
            )
        })
}

/// Name of a link in a safety file.
pub(crate) fn link_name(robot: &RobotDescription, link: usize) -> &str {
    match link {
        0 => "base",
        HAND => "hand",
        link => &robot.joints[link - 1].name,
    }
}
