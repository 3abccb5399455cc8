//! What the gate said, in words and with units.

use sinew_messages::{LimitKind, VerdictRecord};

use super::status::link_name;
use crate::Config;

/// What a verdict is about.
pub(super) fn verdict_words(config: &Config, verdict: &VerdictRecord) -> String {
    let limit = LimitKind::decode(verdict.limit).unwrap_or(LimitKind::None);
    let index = verdict.index as usize;
    let zones = &config.safety.config().zones;
    let about = match limit {
        LimitKind::Zone | LimitKind::SlowZone => zones.get(index).map(|zone| zone.name.as_str()),
        LimitKind::Position
        | LimitKind::Velocity
        | LimitKind::Acceleration
        | LimitKind::Jerk
        | LimitKind::FollowingError
        | LimitKind::Effort
        | LimitKind::Encoder => (config.robot.joints.get(index)).map(|joint| joint.name.as_str()),
        _ => None,
    };
    let what = match (about, limit) {
        (Some(name), LimitKind::Zone | LimitKind::SlowZone) => {
            format!("{} `{name}`", limit.name())
        }
        (Some(name), _) => format!("{} of joint `{name}`", limit.name()),
        (None, LimitKind::Envelope | LimitKind::Separation | LimitKind::SelfCollision) => {
            format!("{} of {}", limit.name(), link_name(config, index))
        }
        (None, _) => limit.name().to_owned(),
    };
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
