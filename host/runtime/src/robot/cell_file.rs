//! The file that a parked cell is kept in.

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sinew_audit::Deferred;
use sinew_description::RobotDescription;
use sinew_messages::{JOINTS, JointVector, SafetyInputs, SafetyMode};

use super::evidence::LogMark;
use crate::files;
use crate::trouble::{input, unwritable};

/// What kind of file it is.
const SCHEMA: &str = "sinew-parked-cell";
/// Of this layout. Version 1 had no `log` and no `unwritten`; version 2 had no `kept_as`, `robot_sha256`, `stood`, `moving`
/// and `lost`.
const VERSION: u32 = 3;

/// A parked cell: the robot stands with its drives off and its brakes closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellFile {
    schema: String,
    version: u32,
    /// Name of the file that it was kept in last.
    #[serde(default)]
    pub kept_as: String,
    /// Name of the robot.
    pub robot: String,
    /// SHA-256 of the file that describes it.
    #[serde(default)]
    pub robot_sha256: String,
    /// Joint positions, rad.
    pub joints_rad: Vec<f64>,
    /// Mode, by name.
    pub mode: String,
    /// The stop that is latched, if one is.
    pub stop: Option<KeptStop>,
    /// How often it was made to stand: stops, contacts, mode `hold`. It only grows.
    #[serde(default)]
    pub stood: u64,
    /// A command moves it: the positions are those from before.
    #[serde(default)]
    pub moving: bool,
    /// Who reset it last.
    pub reset_by: Option<String>,
    /// Wired contacts that are open, [`SafetyInputs`] bits by name.
    pub open: Vec<String>,
    /// Simulated time that the cell has run, s.
    pub ran_s: f64,
    /// Where its audit log ended; nothing if it has none yet.
    #[serde(default)]
    pub log: Option<LogMark>,
    /// Records that could not be put into the log yet, oldest first.
    #[serde(default)]
    pub unwritten: Vec<Deferred>,
    /// How many more there were than are kept.
    #[serde(default)]
    pub lost: u64,
    /// How many of those that are kept came out of a file: the first ones.
    #[serde(skip)]
    pub(super) out_of_file: usize,
}

/// A latched stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptStop {
    /// Category of IEC 60204-1: 0, 1 or 2.
    pub category: u8,
    /// Reason, as the gate names it.
    pub reason: String,
    /// What it is about, in words; empty if there is nothing more to say.
    pub detail: String,
}

/// Contacts by their name in the file.
pub(super) const CONTACTS: [(&str, u32); 3] = [
    ("emergency-a", SafetyInputs::EMERGENCY_A_CLOSED),
    ("emergency-b", SafetyInputs::EMERGENCY_B_CLOSED),
    ("protective", SafetyInputs::PROTECTIVE_CLOSED),
];

impl CellFile {
    /// A robot that has just been switched on at `joints_rad`.
    #[must_use]
    pub fn new(robot: &RobotDescription, joints_rad: &JointVector) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            kept_as: String::new(),
            robot: robot.name.clone(),
            robot_sha256: robot.sha256.clone(),
            joints_rad: joints_rad.to_vec(),
            mode: SafetyMode::Normal.name().to_owned(),
            stop: Some(KeptStop {
                category: 1,
                reason: "boot".to_owned(),
                detail: "switched on, and not reset since".to_owned(),
            }),
            stood: 1,
            moving: false,
            reset_by: None,
            open: Vec::new(),
            ran_s: 0.0,
            log: None,
            unwritten: Vec::new(),
            lost: 0,
            out_of_file: 0,
        }
    }

    /// Reads the file of a cell with this robot.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) that names the file, and what to do: it can't be read, is no parked cell, was
    /// written by a newer version, belongs to another robot, or says what cannot be.
    pub fn read(path: &Path, robot: &RobotDescription) -> anyhow::Result<Self> {
        Self::read_with_text(path, robot).map(|(file, _)| file)
    }

    /// [`Self::read`], with the text that it was.
    pub(super) fn read_with_text(
        path: &Path,
        robot: &RobotDescription,
    ) -> anyhow::Result<(Self, String)> {
        let hinted = |what: String| {
            input(format!(
                "{what}. Name another file with --cell, or remove it and begin with `sinew robot status`"
            ))
        };
        let wrong = |what: String| hinted(format!("{}: {what}", path.display()));
        let text = files::read_text(path).map_err(|error| hinted(error.0))?;
        let value: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| wrong(format!("this is no parked cell: {error}")))?;
        if value["schema"] != SCHEMA {
            return Err(wrong(format!(
                "this is no parked cell: its \"schema\" is not \"{SCHEMA}\""
            )));
        }
        match value["version"].as_u64() {
            Some(version) if (1..=u64::from(VERSION)).contains(&version) => {}
            Some(version) if version > u64::from(VERSION) => {
                return Err(wrong(format!(
                    "a newer sinew wrote this: its version is {version}, this one knows {VERSION}"
                )));
            }
            _ => return Err(wrong("it has no \"version\" that was ever written".into())),
        }
        let mut file: Self = serde_json::from_value(value)
            .map_err(|error| wrong(format!("it is damaged: {error}")))?;
        file.version = VERSION;
        file.check(robot).map_err(wrong)?;
        file.robot_sha256.clone_from(&robot.sha256);
        file.settle_in(path);
        file.bound_unwritten();
        Ok((file, text))
    }

    /// True if what lies there says that it is a parked cell, whatever else is wrong with it.
    pub(super) fn is_one(path: &Path) -> bool {
        let is_one = |text: String| {
            serde_json::from_str::<serde_json::Value>(&text)
                .is_ok_and(|cell| cell["schema"] == SCHEMA)
        };
        files::read_text(path).is_ok_and(is_one)
    }

    /// The name that the file was kept under when a command began to move its robot, if none has said since where it stands.
    pub(super) fn is_moved_as(path: &Path) -> Option<String> {
        let text = files::read_text(path).ok()?;
        let cell: serde_json::Value = serde_json::from_str(&text).ok()?;
        let is_moved = cell["schema"] == SCHEMA && cell["moving"] == true;
        (is_moved.then(|| cell["kept_as"].as_str().map(str::to_owned))).flatten()
    }

    fn check(&self, robot: &RobotDescription) -> Result<(), String> {
        if self.robot != robot.name {
            return Err(format!(
                "it is a cell with the robot `{}`, and this one is `{}`",
                self.robot, robot.name
            ));
        }
        // Files of before the digest say nothing.
        if !self.robot_sha256.is_empty() && self.robot_sha256 != robot.sha256 {
            return Err(format!(
                "it was begun with another description of the robot `{}` (sha256 {}, and this one is {}): the gate goes by \
                 what that says of links and masses. Go on with that one, or look at the robot and begin anew with `sinew \
                 robot status --start`",
                self.robot,
                short(&self.robot_sha256),
                short(&robot.sha256)
            ));
        }
        let joints = self.joints().ok_or_else(|| {
            format!(
                "joints_rad has {} values, the robot has {JOINTS} joints",
                self.joints_rad.len()
            )
        })?;
        check_posture(robot, &joints).map_err(|problem| format!("joints_rad: {problem}"))?;
        self.mode()
            .ok_or_else(|| format!("there is no mode `{}`", self.mode))?;
        if let Some(stray) = self
            .open
            .iter()
            .find(|name| CONTACTS.iter().all(|(contact, _)| contact != name))
        {
            return Err(format!("there is no wired contact `{stray}`"));
        }
        if !(self.ran_s.is_finite() && self.ran_s >= 0.0) {
            return Err(format!("ran_s is {}", self.ran_s));
        }
        self.check_evidence()?;
        match &self.stop {
            Some(stop) if stop.category > 2 => {
                Err(format!("there is no stop of category {}", stop.category))
            }
            _ => Ok(()),
        }
    }

    /// Joint positions, rad.
    #[must_use]
    pub fn joints(&self) -> Option<JointVector> {
        self.joints_rad.as_slice().try_into().ok()
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> Option<SafetyMode> {
        SafetyMode::ALL
            .into_iter()
            .find(|mode| mode.name() == self.mode)
    }

    /// The wired contacts that are closed, [`SafetyInputs`] bits.
    pub(super) fn closed(&self) -> u32 {
        CONTACTS
            .iter()
            .filter(|(name, _)| self.open.iter().any(|open| open == name))
            .fold(SafetyInputs::ALL_CLOSED, |closed, (_, bit)| closed & !bit)
    }

    /// As it stands in a file.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        let mut text = serde_json::to_string_pretty(self).context("encoding the cell")?;
        text.push('\n');
        Ok(text)
    }

    /// Writes the file, so that there is the old one or the new one at any time.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if the file can't be written, [`Refused`](crate::Refused) if the disk is full or
    /// read-only.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = self.text()?;
        std::fs::create_dir_all(files::folder_of(path))
            .and_then(|()| files::replace(path, text.as_bytes()))
            .map_err(|error| unwritable(&format!("--cell {}", path.display()), &error))
    }
}

/// Enough of a hash to tell two apart.
fn short(hash: &str) -> String {
    hash.chars().take(16).collect()
}

/// A robot can only stand where its mechanics let it.
pub(super) fn check_posture(robot: &RobotDescription, q: &JointVector) -> Result<(), String> {
    for (joint, at) in robot.joints.iter().zip(q) {
        let (lowest, highest) = (joint.position_min_rad, joint.position_max_rad);
        // Written so that NaN is refused too.
        if !(lowest..=highest).contains(at) {
            return Err(format!(
                "`{}` cannot stand at {at} rad: its mechanics end at {lowest} and {highest}",
                joint.name
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there() -> (tempfile::TempDir, std::path::PathBuf, RobotDescription) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/robot.json");
        (folder, path, RobotDescription::builtin())
    }

    #[test]
    fn what_is_written_is_read_bit_for_bit() {
        let (_folder, path, robot) = there();
        let mut file = CellFile::new(&robot, robot.chain().rest());
        file.kept_as = "robot.json".into();
        file.joints_rad[3] = 1.0 + f64::EPSILON;
        file.open = vec!["emergency-b".into()];
        file.write(&path).expect("writable");
        file.write(&path).expect("and again");
        assert_eq!(CellFile::read(&path, &robot).expect("readable"), file);
        assert_eq!(
            file.closed(),
            SafetyInputs::EMERGENCY_A_CLOSED | SafetyInputs::PROTECTIVE_CLOSED
        );
        let folder = path.parent().expect("it has one");
        let left = std::fs::read_dir(folder).expect("it is there").count();
        assert_eq!(left, 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_of_the_first_version_is_read() {
        let (_folder, path, robot) = there();
        let mut file = CellFile::new(&robot, robot.chain().rest());
        file.kept_as = "robot.json".into();
        file.stood = 0;
        let mut value = serde_json::to_value(&file).expect("plain data");
        value["version"] = 1.into();
        let object = value.as_object_mut().expect("an object");
        for later in [
            "log",
            "unwritten",
            "kept_as",
            "robot_sha256",
            "stood",
            "moving",
            "lost",
        ] {
            object.remove(later);
        }
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(&path, value.to_string()).expect("writable");
        assert_eq!(CellFile::read(&path, &robot).expect("readable"), file);
    }

    /// Links that are thinner by another file would let the arm come nearer.
    #[test]
    fn a_cell_goes_on_with_the_description_that_it_was_begun_with() {
        let (_folder, path, robot) = there();
        CellFile::new(&robot, robot.chain().rest())
            .write(&path)
            .expect("writable");
        let mut thin = robot.clone();
        thin.sha256 = "ab".repeat(32);
        let error = CellFile::read(&path, &thin).expect_err("another description");
        let words = error.to_string();
        assert!(words.contains("another description") && words.contains("abababababababab"));
        assert!(CellFile::read(&path, &robot).is_ok());
    }

    #[test]
    fn files_that_cannot_be_say_what_and_where() {
        let (folder, path, robot) = there();
        let file = CellFile::new(&robot, robot.chain().rest());
        file.write(&path).expect("writable");
        let good = std::fs::read_to_string(&path).expect("it is there");
        let check = |text: String, expected: &str| {
            std::fs::write(&path, text).expect("writable");
            let error = CellFile::read(&path, &robot).expect_err(expected);
            let words = error.to_string();
            assert!(error.is::<crate::InputError>());
            assert!(
                words.contains("robot.json") && words.contains(expected),
                "{words}"
            );
        };
        let swap = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            good.replacen(from, to, 1)
        };
        check(String::new(), "no parked cell");
        check(good[..good.len() / 2].to_owned(), "no parked cell");
        check("[1, 2]".into(), "\"schema\"");
        check(swap("\"version\": 3", "\"version\": 4"), "newer sinew");
        check(swap("\"version\": 3", "\"version\": 0"), "\"version\"");
        check(swap("\"version\": 3", "\"version\": \"x\""), "\"version\"");
        let log = "\"log\": {\"records\": 1, \"head\": \"ab\"}";
        check(swap("\"log\": null", log), "sha256");
        // Nobody approves anything by way of a cell.
        let kept = "\"unwritten\": [{\"kind\": \"configuration-approved\", \"content\": {}}]";
        check(swap("\"unwritten\": []", kept), "configuration-approved");
        check(swap("sinew-arm-7", "other-arm"), "other-arm");
        check(swap("\"mode\": \"normal\"", "\"mode\": \"fast\""), "fast");
        check(swap("\"category\": 1", "\"category\": 7"), "category 7");
        check(swap("\"open\": []", "\"open\": [\"door\"]"), "door");
        check(swap("\"open\"", "\"ajar\""), "damaged");
        check(swap("1.85", "9.0"), "cannot stand at 9");
        check(swap("1.85", "null"), "damaged");
        check(swap("    1.85,\n", ""), "6 values");
        let error = CellFile::read(folder.path(), &robot).expect_err("a folder");
        assert!(error.is::<crate::InputError>(), "{error}");
        let error = file.write(folder.path()).expect_err("a folder");
        assert!(error.is::<crate::InputError>(), "{error}");
    }
}
