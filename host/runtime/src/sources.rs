//! Where configuration comes from, and all of it read and checked before anything is started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sinew_control::{ControlLoop, MotionConfig, MotionLimits};
use sinew_description::{RobotDescription, SafetyFile};
use sinew_flight_ring::Producer;
use sinew_hardware::HardwareComponent;
use sinew_inference::Choice;
use sinew_messages::Mailbox;
use sinew_plugin_host::Grants;
use sinew_safety::{ConfigHash, Gate, SafetyLimits};
use sinew_sim::{CellConfig, Profiles};

use crate::files;
use crate::safety_fit;
use crate::settings::Settings;
use crate::skills::StorePlace;
use crate::trouble::input;

/// Share of the gate's tool speed that motions use, so that the gate has nothing to limit.
const TOOL_SPEED_SHARE: f64 = 0.9;

/// Files that replace what is built in.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Robot description.
    pub robot: Option<PathBuf>,
    /// Safety limits.
    pub safety: Option<PathBuf>,
    /// Grants that come with the plugins, as TOML.
    pub default_grants: String,
    /// Grants of the operator: where it names a plugin, it overrides what comes with that plugin.
    pub grants: Option<PathBuf>,
    /// They may name plugins that are not loaded: only some of those on the robot are.
    pub grants_for_others: bool,
    /// Host settings.
    pub host: Option<PathBuf>,
    /// Folder with models.
    pub models: Option<PathBuf>,
    /// Inference backend.
    pub backend: Choice,
    /// Command that starts a child that looks into plugins that come from files; they are looked into here if it is empty.
    pub examiner: Vec<OsString>,
    /// Store whose active plugins are loaded; they stand in for built-in ones of their names.
    pub store: Option<StorePlace>,
}

/// Everything that configures a host on the simulated cell. Checked.
#[derive(Clone)]
pub struct Config {
    /// The robot.
    pub robot: RobotDescription,
    /// Its safety limits.
    pub safety: SafetyLimits,
    /// The file that they come from; `None` if they are built in.
    pub safety_file: Option<PathBuf>,
    /// Hash of the limits that are built in, if the robot can have them.
    pub builtin_safety: Option<ConfigHash>,
    /// What motions may use of the robot: below what the gate lets through.
    pub motion: MotionLimits,
    /// The cell.
    pub cell: CellConfig,
    /// Fault profiles.
    pub profiles: Profiles,
    /// Who may touch what.
    pub grants: Grants,
    /// Plugins that the operator's own grants name.
    pub operator_grants: Vec<String>,
    /// sha256 of the files that were given in place of what is built in, by what they are.
    pub digests: BTreeMap<String, String>,
    /// Rates, latencies, budgets.
    pub settings: Settings,
}

impl Config {
    /// A loop around `robot`, behind a gate with these limits. It boots stopped.
    pub(crate) fn control_loop(
        &self,
        robot: impl HardwareComponent + 'static,
        mailbox: &Arc<Mailbox>,
        flight: Producer,
    ) -> ControlLoop {
        let chain = self.robot.chain();
        ControlLoop::new(
            Box::new(robot),
            Gate::new(self.safety.clone(), chain.clone()),
            chain,
            self.motion.clone(),
            Arc::clone(mailbox),
            flight,
        )
    }
}

impl Sources {
    /// Reads and checks everything but the models.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) that names file, line or key, and what would be right.
    pub fn load(&self) -> anyhow::Result<Config> {
        let mut digests = BTreeMap::new();
        let mut read = |what: &str, path: &Path| -> anyhow::Result<String> {
            let text = files::read(path)?;
            let digest = sinew_inference::sha256_hex(text.as_bytes());
            digests.insert(what.to_owned(), digest);
            Ok(text)
        };
        let robot = match &self.robot {
            None => RobotDescription::builtin(),
            Some(path) => {
                RobotDescription::from_toml_str(&read("robot file", path)?, &origin(path))
                    .map_err(|error| input(error.to_string()))?
            }
        };
        let safety_file = match &self.safety {
            None => SafetyFile::builtin(),
            Some(path) => SafetyFile::from_toml_str(&read("safety file", path)?, &origin(path))
                .map_err(|error| input(error.to_string()))?,
        };
        let safety = safety_file
            .limits(&robot)
            .map_err(|error| input(error.to_string()))?;
        let builtin_safety = match &self.safety {
            None => Some(safety.hash()),
            Some(_) => SafetyFile::builtin()
                .limits(&robot)
                .ok()
                .map(|limits| limits.hash()),
        };
        let mut grants = Grants::from_toml_str(&self.default_grants, "the plugins' own grants")
            .map_err(|error| input(error.to_string()))?;
        let mut operator_grants = Vec::new();
        if let Some(path) = &self.grants {
            let added = Grants::from_toml_str(&read("grants file", path)?, &origin(path))
                .map_err(|error| input(error.to_string()))?;
            operator_grants.extend(added.names().map(str::to_owned));
            grants = grants.overridden_by(added);
        }
        let settings = match &self.host {
            None => Settings::builtin(),
            Some(path) => {
                Settings::from_toml_str(&read("host settings file", path)?, &origin(path))?
            }
        };
        let cell = CellConfig::builtin();
        let every_ticks = settings.brain.heartbeat_every_ticks;
        safety_fit::fits(&safety_file, &safety, every_ticks, &cell)?;
        let motion = motion_limits(&robot, &safety)?;
        Ok(Config {
            robot,
            safety,
            safety_file: self.safety.clone(),
            builtin_safety,
            motion,
            cell,
            profiles: Profiles::builtin(),
            grants,
            operator_grants,
            digests,
            settings,
        })
    }
}

/// How much further from the ends of a joint's range goals stay than the gate's margin for following errors, rad.
const ROOM_BEFORE_GATE_RAD: f64 = 0.02;

fn motion_limits(robot: &RobotDescription, safety: &SafetyLimits) -> anyhow::Result<MotionLimits> {
    let joints = &robot.joints;
    let gripper = &robot.gripper;
    let mut motion = MotionConfig::table_top(
        core::array::from_fn(|i| joints[i].velocity_max_rad_s),
        core::array::from_fn(|i| joints[i].acceleration_max_rad_s2),
        core::array::from_fn(|i| joints[i].jerk_max_rad_s3),
        gripper.width_min_m..=gripper.width_max_m,
        gripper.speed_max_m_s,
        gripper.force_max_n,
    );
    let gate_margin_rad = (safety.config().following_error_max_rad.into_iter()).fold(0.0, f64::max);
    motion.position_margin_rad = motion
        .position_margin_rad
        .max(gate_margin_rad + ROOM_BEFORE_GATE_RAD);
    let gate_speed_m_s = safety.config().tool_speed_max_m_s;
    motion.tool_linear.velocity = motion
        .tool_linear
        .velocity
        .min(TOOL_SPEED_SHARE * gate_speed_m_s);
    MotionLimits::new(motion).map_err(|error| input(error.to_string()))
}

fn origin(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_end_before_the_gate_has_a_word_in_it() {
        let config = Sources::default().load().expect("what is built in fits");
        for wide in [0.0, 0.1] {
            let mut gate = config.safety.config().clone();
            gate.following_error_max_rad[3] = gate.following_error_max_rad[3].max(wide);
            let gate = SafetyLimits::new(gate).expect("they make sense");
            let motion = motion_limits(&config.robot, &gate).expect("they make sense");
            for margin in gate.config().following_error_max_rad {
                assert!(motion.config().position_margin_rad > margin + 0.01);
            }
        }
    }
}
