//! Fault profiles, and the faults of one cycle drawn from (seed, cycle) alone.

use serde::Deserialize;

use crate::catalogue::{Catalogue, Listed};
use crate::rng::Stream;

/// Kinds and rates of the faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name in the file.
    #[serde(skip)]
    pub name: String,
    /// A push as the gripper approaches.
    pub nudge: Option<Nudge>,
    /// Loss of grip force in transit.
    pub grip_cut: Option<GripCut>,
    /// Loss of camera frames.
    pub dropped_frames: Option<DroppedFrames>,
    /// An ordered part that lies on the search shelf instead of in the bin.
    pub missing_part: Option<MissingPart>,
}

/// A part of the order gets a push as the open gripper comes near it for the first time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nudge {
    /// Share of cycles.
    pub rate: f64,
    /// Distance of tool and part at which it happens, m.
    pub distance: f64,
    /// Horizontal speed given to the part, m/s: least and most.
    pub speed: [f64; 2],
}

/// The gripper loses its force while it carries a part.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GripCut {
    /// Share of cycles.
    pub rate: f64,
    /// Height of the held part over the table at which it happens, m.
    pub height: f64,
    /// How long the force is gone, s: least and most.
    pub duration: [f64; 2],
}

/// Every camera loses its frames for a while.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedFrames {
    /// Share of cycles.
    pub rate: f64,
    /// When it starts, s into the cycle: least and most.
    pub start: [f64; 2],
    /// How long it lasts, s: least and most.
    pub duration: [f64; 2],
}

/// An ordered part lies on the search shelf instead of in the bin.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingPart {
    /// Share of cycles.
    pub rate: f64,
}

/// Profiles by name.
pub type Profiles = Catalogue<Profile>;

impl Listed for Profile {
    const KIND: &'static str = "profile";
    const BUILTIN: (&'static str, &'static str) =
        (include_str!("../profiles.toml"), "builtin profiles.toml");

    fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    fn check(&self) -> Result<(), (String, String)> {
        let range = |key: &str, value: f64, low: f64, high: f64| {
            if value.is_finite() && value >= low && value <= high {
                Ok(())
            } else {
                Err((
                    key.to_owned(),
                    format!("is {value}, allowed are {low} to {high}"),
                ))
            }
        };
        let span = |key: &str, [least, most]: [f64; 2], low: f64, high: f64| {
            range(key, least, low, high)?;
            range(key, most, least, high)
        };
        if let Some(nudge) = &self.nudge {
            range("nudge.rate", nudge.rate, 0.0, 1.0)?;
            range("nudge.distance", nudge.distance, 0.0, 1.0)?;
            span("nudge.speed", nudge.speed, 0.0, 2.0)?;
        }
        if let Some(cut) = &self.grip_cut {
            range("grip_cut.rate", cut.rate, 0.0, 1.0)?;
            range("grip_cut.height", cut.height, 0.0, 1.0)?;
            span("grip_cut.duration", cut.duration, 0.0, 10.0)?;
        }
        if let Some(dropped) = &self.dropped_frames {
            range("dropped_frames.rate", dropped.rate, 0.0, 1.0)?;
            span("dropped_frames.start", dropped.start, 0.0, 600.0)?;
            span("dropped_frames.duration", dropped.duration, 0.0, 60.0)?;
        }
        if let Some(missing) = &self.missing_part {
            range("missing_part.rate", missing.rate, 0.0, 1.0)?;
        }
        Ok(())
    }
}

impl Profile {
    /// No faults at all.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            name: "calm".to_owned(),
            ..Self::default()
        }
    }
}

/// The faults of one cycle. Fixed before the cycle starts; the physics decides when they come about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    /// Push of an ordered part.
    pub nudge: Option<NudgePlan>,
    /// Loss of grip force.
    pub grip_cut: Option<GripCutPlan>,
    /// Loss of frames: first millisecond of the cycle, and the first after it.
    pub dropped_frames_ms: Option<(u64, u64)>,
    /// Line of the order whose part is missing.
    pub missing_line: Option<usize>,
}

/// A push.
#[derive(Clone, Debug, PartialEq)]
pub struct NudgePlan {
    /// Line of the order whose part is pushed.
    pub line: usize,
    /// Distance of tool and part at which it happens, m.
    pub distance_m: f64,
    /// Velocity given to the part, base frame, m/s.
    pub velocity_m_s: [f64; 2],
}

/// A loss of grip force.
#[derive(Clone, Debug, PartialEq)]
pub struct GripCutPlan {
    /// Which transit of the cycle, from 0.
    pub transit: usize,
    /// Height of the held part at which it happens, m.
    pub height_m: f64,
    /// How long, ms.
    pub duration_ms: u64,
}

impl FaultPlan {
    /// Draws the faults of one cycle with an order of `lines` lines.
    ///
    /// Each kind has its own stream, so that a change of one rate moves no other fault.
    #[must_use]
    pub fn draw(seed: u64, cycle: u64, profile: &Profile, lines: usize) -> Self {
        let last = lines.saturating_sub(1);
        let happens = |label: &str, rate: f64| {
            let mut stream = Stream::new(seed, cycle, label);
            stream.chance(rate).then_some(stream)
        };
        let ms = |stream: &mut Stream, [least, most]: [f64; 2]| {
            (stream.range(least, most) * 1_000.0) as u64
        };
        let nudge = profile.nudge.as_ref().and_then(|nudge| {
            let mut stream = happens("fault/nudge", nudge.rate)?;
            let line = stream.count(0, last);
            let speed = stream.range(nudge.speed[0], nudge.speed[1]);
            let direction = stream.range(0.0, 2.0 * core::f64::consts::PI);
            Some(NudgePlan {
                line,
                distance_m: nudge.distance,
                velocity_m_s: [speed * libm::cos(direction), speed * libm::sin(direction)],
            })
        });
        let grip_cut = profile.grip_cut.as_ref().and_then(|cut| {
            let mut stream = happens("fault/grip-cut", cut.rate)?;
            Some(GripCutPlan {
                transit: stream.count(0, last),
                height_m: cut.height,
                duration_ms: ms(&mut stream, cut.duration),
            })
        });
        let dropped_frames_ms = profile.dropped_frames.as_ref().and_then(|dropped| {
            let mut stream = happens("fault/dropped-frames", dropped.rate)?;
            let start = ms(&mut stream, dropped.start);
            Some((start, start + ms(&mut stream, dropped.duration)))
        });
        let missing_line = profile
            .missing_part
            .as_ref()
            .and_then(|missing| Some(happens("fault/missing-part", missing.rate)?.count(0, last)));
        Self {
            nudge,
            grip_cut,
            dropped_frames_ms,
            missing_line,
        }
    }

    /// Names of the planned faults, for reports.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        [
            (self.nudge.is_some(), "nudge"),
            (self.grip_cut.is_some(), "grip-cut"),
            (self.dropped_frames_ms.is_some(), "dropped-frames"),
            (self.missing_line.is_some(), "missing-part"),
        ]
        .into_iter()
        .filter_map(|(planned, name)| planned.then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calm_has_no_faults_and_mild_hits_a_third_of_the_cycles() {
        let profiles = Profiles::builtin();
        let hit = |name: &str| {
            let profile = profiles.get(name).expect(name);
            (0..2_000)
                .filter(|cycle| !FaultPlan::draw(11, *cycle, profile, 4).names().is_empty())
                .count()
        };
        assert_eq!(hit("calm"), 0);
        assert!((500..750).contains(&hit("mild")), "{}", hit("mild"));
    }

    #[test]
    fn unknown_profiles_and_keys_say_what_there_is() {
        let unknown = Profiles::builtin()
            .get("wild")
            .expect_err("no such profile");
        assert_eq!(
            unknown.to_string(),
            "unknown profile \"wild\"; there are: calm, mild"
        );
        for (text, needle) in [
            (
                "[calm]\nnudge = { rate = 2.0, distance = 0.1, speed = [0, 1] }",
                "calm.nudge.rate",
            ),
            (
                "[calm.grip_cut]\nrate = 0.1\nheight = 0.1\nduration = [2.0, 1.0]",
                "duration",
            ),
            ("[calm.grip_cuts]\nrate = 0.1", "grip_cuts"),
        ] {
            let error = Profiles::from_toml(text, "p.toml")
                .expect_err(text)
                .to_string();
            assert!(error.contains(needle), "{error}");
        }
    }
}
