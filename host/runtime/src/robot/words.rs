//! What the gate said, in words and with units.

use sinew_messages::{Indexed, LimitKind, VerdictRecord};

use super::status::link_name;
use crate::Config;

/// What a verdict is about.
pub(super) fn verdict_words(config: &Config, verdict: &VerdictRecord) -> String {
    let limit = LimitKind::decode(verdict.limit).unwrap_or(LimitKind::None);
    let index = verdict.index as usize;
    let zones = &config.safety.config().zones;
    let name = limit.name();
    let what = match limit.indexed() {
        Indexed::Zones => zones
            .get(index)
            .map(|zone| format!("{name} `{}`", zone.name)),
        Indexed::Joints => (config.robot.joints.get(index))
            .map(|joint| format!("{name} of joint `{}`", joint.name)),
        Indexed::Links => Some(format!("{name} of {}", link_name(config, index))),
        Indexed::Channels | Indexed::Nothing => None,
    }
    .unwrap_or_else(|| name.to_owned());
    match figures(limit, verdict) {
        Some(figures) => format!("{what}: {figures}"),
        None => what,
    }
}

/// What was asked or measured, and the limit; nothing where the gate gave no figures, or their unit depends on more than the
/// reason.
fn figures(limit: LimitKind, verdict: &VerdictRecord) -> Option<String> {
    let (most, asked) = (verdict.limit_value, verdict.asked);
    if !(most.is_finite() && asked.is_finite()) || (most == 0.0 && asked == 0.0) {
        return None;
    }
    let unit = match limit {
        LimitKind::Zone
        | LimitKind::Envelope
        | LimitKind::SelfCollision
        | LimitKind::Separation => {
            let (near, margin) = (asked * 1e3, most * 1e3);
            return Some(format!(
                "its stop would come to {near:.1} mm, and {margin:.1} mm are kept"
            ));
        }
        LimitKind::Position | LimitKind::FollowingError if verdict.index != u32::MAX => "rad",
        LimitKind::Velocity => "rad/s",
        LimitKind::Acceleration => "rad/s²",
        LimitKind::Jerk => "rad/s³",
        LimitKind::ToolSpeed => "m/s",
        _ => return None,
    };
    Some(format!(
        "{asked:.4} {unit}, and the limit is {most:.4} {unit}"
    ))
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;
    use crate::Sources;

    #[test]
    fn figures_have_units_and_what_they_are_about_has_a_name() {
        let config = Sources::default().load().expect("what is built in fits");
        let check = |limit: LimitKind, index: u32, [most, asked]: [f64; 2], expected: &str| {
            let verdict = VerdictRecord {
                limit: limit as u32,
                index,
                limit_value: most,
                asked,
                ..VerdictRecord::zeroed()
            };
            assert_eq!(verdict_words(&config, &verdict), expected);
        };
        let joint = &config.robot.joints[2].name;
        let zone = &config.safety.config().zones[0].name;
        check(
            LimitKind::FollowingError,
            2,
            [0.05, 0.07],
            &format!("following-error of joint `{joint}`: 0.0700 rad, and the limit is 0.0500 rad"),
        );
        check(
            LimitKind::Zone,
            0,
            [0.02, 0.015],
            &format!("zone `{zone}`: its stop would come to 15.0 mm, and 20.0 mm are kept"),
        );
        check(
            LimitKind::ToolSpeed,
            u32::MAX,
            [0.25, 0.3],
            "tool-speed: 0.3000 m/s, and the limit is 0.2500 m/s",
        );
        // Without figures, or with some whose unit nobody can know.
        check(LimitKind::Mode, u32::MAX, [0.0, 0.0], "mode");
        check(LimitKind::Gripper, u32::MAX, [1.0, 2.0], "gripper");
        check(
            LimitKind::Velocity,
            2,
            [f64::NAN, 2.0],
            &format!("velocity of joint `{joint}`"),
        );
    }
}
