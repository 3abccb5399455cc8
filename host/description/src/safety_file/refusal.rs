//! What the gate refuses, as the line and key of the file that it comes from.

use sinew_safety::{LimitsError, STOP_TICKS_MAX};

use crate::error::{DescriptionError, Source};

/// The key of the file that a field of the configuration comes from.
fn key_of(field: &str, index: Option<usize>) -> String {
    let zone = index.unwrap_or(0);
    match field {
        "stop_acceleration_rad_s2" => "stop.acceleration_rad_s2".into(),
        "stop_jerk_rad_s3" => "stop.jerk_rad_s3".into(),
        "reaction_ticks" => "stop.reaction_ms".into(),
        "tool_speed_max_m_s" => "tool.speed_max_m_s".into(),
        "elbow_speed_max_m_s" => "tool.elbow_speed_max_m_s".into(),
        "self_margin_m" => "self_collision.margin_m".into(),
        "separation.silent_ticks" => "separation.silent_ms".into(),
        "effort.measured_ticks" => "effort.measured_ms".into(),
        "contact.transient_ticks" => "contact.transient_ms".into(),
        "grip.lost_ticks" => "grip.lost_ms".into(),
        "following_error_ticks" => "tracking.following_error_ms".into(),
        "zones.base_m" => format!("zone[{zone}].cylinder.base_m"),
        "zones.radius_m" => format!("zone[{zone}].cylinder.radius_m"),
        "zones.height_m" => format!("zone[{zone}].cylinder.height_m"),
        "zones.points_m" => format!("zone[{zone}].hull.points_m"),
        "zones.speed_max_m_s" => format!("zone[{zone}].speed_max_m_s"),
        "envelope_min_m" => "envelope.min_m".into(),
        "envelope_max_m" => "envelope.max_m".into(),
        "gripper_width_min_m" => "gripper.width_min_m".into(),
        "gripper_width_max_m" => "gripper.width_max_m".into(),
        "gripper_force_max_n" => "gripper.force_max_n".into(),
        "tracking_margin_m" => "tracking.margin_m".into(),
        "following_error_max_rad" => "tracking.following_error_max_rad".into(),
        "force_stop_n" => "force.stop_n".into(),
        "heartbeat_ticks" => "brain.heartbeat_timeout_ms".into(),
        "standstill_rad_s" => "standstill.speed_max_rad_s".into(),
        "zones" => format!("zone[{zone}].box"),
        "zones.min_m" => format!("zone[{zone}].box.min_m"),
        "zones.max_m" => format!("zone[{zone}].box.max_m"),
        "zones.normal" => format!("zone[{zone}].half_space.normal"),
        "zones.offset_m" => format!("zone[{zone}].half_space.offset_m"),
        region if region.starts_with("contact.region.") => {
            region.replacen("region", &format!("region[{zone}]"), 1)
        }
        // These stand in the file under their own names.
        named if named.contains('.') => named.into(),
        joint => format!("joints.{joint}"),
    }
}

/// Which of several a value is for. Joints count from 1, as on the command line; of zones and parts of the body the key
/// says it.
fn place(field: &str, index: Option<usize>) -> String {
    match index {
        Some(_) if field.starts_with("zones") || field.starts_with("contact.region.") => {
            String::new()
        }
        Some(axis) if field.starts_with("envelope") => {
            format!(" for {}", ["x", "y", "z"].get(axis).unwrap_or(&"?"))
        }
        Some(joint) => format!(" for joint {}", joint + 1),
        None => String::new(),
    }
}

/// The refusal of a file whose configuration the gate does not take.
pub(super) fn refusal(source: &Source<'_>, error: &LimitsError) -> DescriptionError {
    match error {
        // The file has degrees.
        LimitsError::Value {
            field: "cone.half_angle_rad",
            found,
            ..
        } => source.refuse(
            "cone.half_angle_deg",
            crate::error::number(found.to_degrees()),
            "0.06 to 180",
        ),
        LimitsError::Value {
            field,
            index,
            found,
            allowed,
        } => source.refuse(
            &key_of(field, *index),
            format!("{}{}", crate::error::number(*found), place(field, *index)),
            allowed,
        ),
        LimitsError::Reversed {
            min_field,
            max_field,
            index,
            min,
            max,
        } => source.refuse(
            &key_of(max_field, *index),
            format!("{max}{}", place(max_field, *index)),
            &format!("above {}, which is {min}", key_of(min_field, *index)),
        ),
        LimitsError::StopTooLong { joint, ticks } => source.refuse(
            "stop.acceleration_rad_s2",
            format!("too weak for joint {}", joint + 1),
            &format!(
                "what stops it from its velocity limit in {STOP_TICKS_MAX} ticks, and it takes {ticks}: raise this or \
                 stop.jerk_rad_s3, or lower joints.velocity_max_rad_s or joints.acceleration_max_rad_s2"
            ),
        ),
        LimitsError::TooManyRegions { .. } => {
            source.refuse("contact.region", "too many".into(), &error.to_string())
        }
        LimitsError::TooManyZones { .. } | LimitsError::TooManySpeeds { .. } => {
            source.refuse("zone", "too many".into(), &error.to_string())
        }
    }
}
