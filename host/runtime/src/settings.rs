//! Settings of the host: rates, latencies, budgets.

use serde::Deserialize;

use crate::trouble::input;

/// The settings that ship with the host.
const BUILTIN: &str = include_str!("../config/host.toml");

/// Everything that `host.toml` says. Checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The skill brain as a whole.
    pub brain: BrainSettings,
    /// Perception.
    pub perception: PerceptionSettings,
    /// Policies.
    pub policy: PolicySettings,
    /// Tasks.
    pub tasks: TaskSettings,
    /// The flight recorder.
    pub recorder: RecorderSettings,
}

/// The skill brain as a whole.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrainSettings {
    /// Ticks between two signs of life to the reflex.
    pub heartbeat_every_ticks: u64,
}

/// Perception.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerceptionSettings {
    /// Images consumed of each camera a second.
    pub rate_hz: f64,
    /// Simulated latency of one detection, ms.
    pub latency_ms: u64,
}

/// Policies.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// Simulated latency of one inference, ms.
    pub latency_ms: u64,
}

/// Tasks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// Simulated time that one cycle may take, s.
    pub cycle_timeout_s: f64,
    /// Recoveries that one task may try.
    pub recovery_attempts: u32,
}

/// The flight recorder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecorderSettings {
    /// Seconds that an incident reaches back.
    pub seconds: f64,
}

impl Settings {
    /// The settings that ship with the host.
    #[must_use]
    pub fn builtin() -> Self {
        Self::from_toml_str(BUILTIN, "host.toml")
            .expect("the embedded file is checked by this module's tests")
    }

    /// Reads and checks settings; `origin` names the file in errors.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) with line and key, and what would be right.
    pub fn from_toml_str(text: &str, origin: &str) -> anyhow::Result<Self> {
        let settings: Self =
            toml::from_str(text).map_err(|error| input(format!("{origin}: {error}")))?;
        settings
            .check()
            .map_err(|(key, problem)| input(format!("{origin}: {key}: {problem}")))?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let whole = |key, value: u64, least, most| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err((key, format!("{value} is not between {least} and {most}")))
            }
        };
        let real = |key, value: f64, least: f64, most: f64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err((key, format!("{value} is not between {least} and {most}")))
            }
        };
        whole(
            "brain.heartbeat_every_ticks",
            self.brain.heartbeat_every_ticks,
            1,
            1_000,
        )?;
        real("perception.rate_hz", self.perception.rate_hz, 1.0, 100.0)?;
        whole(
            "perception.latency_ms",
            self.perception.latency_ms,
            1,
            1_000,
        )?;
        whole("policy.latency_ms", self.policy.latency_ms, 1, 1_000)?;
        real(
            "tasks.cycle_timeout_s",
            self.tasks.cycle_timeout_s,
            1.0,
            86_400.0,
        )?;
        whole(
            "tasks.recovery_attempts",
            self.tasks.recovery_attempts.into(),
            0,
            1_000,
        )?;
        real("recorder.seconds", self.recorder.seconds, 1.0, 120.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_files_say_where_and_what() {
        let check = |from: &str, to: &str, expected: &str| {
            let text = BUILTIN.replacen(from, to, 1);
            assert_ne!(text, BUILTIN, "{from} stands in the file");
            let error = Settings::from_toml_str(&text, "mine.toml").expect_err(expected);
            let words = error.to_string();
            assert!(
                words.contains("mine.toml") && words.contains(expected),
                "{words}"
            );
            assert!(error.is::<crate::InputError>());
        };
        assert!(Settings::from_toml_str(BUILTIN, "host.toml").is_ok());
        check("[tasks]", "[tasks]\ncolour = 3", "colour");
        check(
            "rate_hz = 10.0",
            "rate_hz = 0.0",
            "perception.rate_hz: 0 is not between",
        );
        check("rate_hz = 10.0", "rate_hz = nan", "perception.rate_hz");
        check("latency_ms = 60", "latency_ms = -1", "latency_ms");
        check("seconds = 20.0", "", "seconds");
    }
}
