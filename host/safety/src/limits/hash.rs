//! What stands for a configuration.

use core::fmt;

use sha2::{Digest, Sha256};

use super::{Cone, ForceReaction, SafetyConfig};
use crate::zones::ZoneShape;

/// SHA-256 over every value of a configuration: nobody makes two that share one, so whoever approves one approves
/// no other. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigHash([u8; 32]);

impl ConfigHash {
    /// Its first 16 digits, for where a number has to do: to recognise a configuration, not to approve one.
    #[must_use]
    pub fn short(&self) -> u64 {
        self.0[..8]
            .iter()
            .fold(0, |short, byte| short << 8 | u64::from(*byte))
    }
}

impl fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Over the bytes of every value, in the order of the fields.
pub(super) fn hash(c: &SafetyConfig) -> ConfigHash {
    let mut state = Sha256::new();
    let mut bytes = |bytes: &[u8]| state.update(bytes);
    let mut number = |value: f64| bytes(&value.to_bits().to_le_bytes());
    for values in [
        &c.position_min_rad,
        &c.position_max_rad,
        &c.velocity_max_rad_s,
        &c.acceleration_max_rad_s2,
        &c.jerk_max_rad_s3,
        &c.stop_acceleration_rad_s2,
        &c.stop_jerk_rad_s3,
        &c.following_error_max_rad,
    ] {
        values.iter().for_each(|v| number(*v));
    }
    for values in [&c.envelope_min_m, &c.envelope_max_m] {
        values.iter().for_each(|v| number(*v));
    }
    for value in [
        c.tool_speed_max_m_s,
        c.elbow_speed_max_m_s,
        c.reduced.speed_max_m_s,
        c.reduced.joint_speed_share,
        c.recovery.speed_max_m_s,
        c.recovery.joint_speed_share,
        c.gripper_width_min_m,
        c.gripper_width_max_m,
        c.gripper_force_max_n,
        c.tracking_margin_m,
        c.force_stop_n,
        c.standstill_rad_s,
    ] {
        number(value);
    }
    bytes(&c.reaction_ticks.to_le_bytes());
    bytes(&c.following_error_ticks.to_le_bytes());
    bytes(&c.heartbeat_ticks.to_le_bytes());
    bytes(&[match c.force_reaction {
        ForceReaction::Off => 0,
        ForceReaction::Hold => 1,
        ForceReaction::Latch => 2,
        ForceReaction::Yield(_) => 3,
    }]);
    for zone in &c.zones {
        bytes(&(zone.name.len() as u64).to_le_bytes());
        bytes(zone.name.as_bytes());
        let (tag, numbers): (u8, Vec<f64>) = match &zone.shape {
            ZoneShape::Box(b) => (0, b.min.iter().chain(b.max.iter()).copied().collect()),
            ZoneShape::HalfSpace(h) => {
                let normal = h.normal.iter().copied();
                (1, normal.chain([h.offset_m]).collect())
            }
            ZoneShape::Cylinder(c) => {
                let base = c.base.iter().copied();
                (2, base.chain([c.radius_m, c.height_m]).collect())
            }
            ZoneShape::Hull(h) => {
                let points = h.points().iter().flat_map(|point| point.iter().copied());
                (3, points.collect())
            }
        };
        bytes(&[tag]);
        bytes(&(numbers.len() as u64).to_le_bytes());
        numbers
            .iter()
            .for_each(|v| bytes(&v.to_bits().to_le_bytes()));
        let speed = zone.speed_max_m_s.unwrap_or(f64::NAN);
        bytes(&speed.to_bits().to_le_bytes());
    }
    // What is left out differs from every number.
    let mut optional = |values: &[f64]| {
        bytes(&(values.len() as u64).to_le_bytes());
        values
            .iter()
            .for_each(|v| bytes(&v.to_bits().to_le_bytes()));
    };
    match &c.cone {
        Some(Cone {
            axis: [x, y, z],
            half_angle_rad,
        }) => optional(&[*x, *y, *z, *half_angle_rad]),
        None => optional(&[]),
    }
    match &c.self_collision {
        Some(collision) => {
            let links = collision.ignored.iter().flatten().map(|link| *link as f64);
            let values: Vec<f64> = [collision.margin_m].into_iter().chain(links).collect();
            optional(&values);
        }
        None => optional(&[]),
    }
    match &c.effort {
        Some(effort) => {
            let numbers = effort.max_nm.iter().chain(&effort.rate_max_nm_s).copied();
            let rest = [effort.load_max_kg, f64::from(effort.measured_ticks)];
            let values: Vec<f64> = numbers.chain(rest).collect();
            optional(&values);
        }
        None => optional(&[]),
    }
    match &c.force_reaction {
        ForceReaction::Yield(y) => {
            optional(&[y.admittance_m_s_n, y.speed_max_m_s, y.distance_max_m]);
        }
        _ => optional(&[]),
    }
    match &c.contact {
        Some(contact) => {
            let regions = contact.regions.iter().flat_map(|region| {
                // Names of regions change nothing.
                [
                    region.force_max_n,
                    region.transient_factor,
                    region.stiffness_n_m,
                    region.mass_kg,
                ]
            });
            let rest = [
                contact.power_max_w,
                contact.momentum_max_kg_m_s,
                f64::from(contact.transient_ticks),
            ];
            let values: Vec<f64> = rest.into_iter().chain(regions).collect();
            optional(&values);
        }
        None => optional(&[]),
    }
    match &c.grip {
        Some(g) => optional(&[g.empty_width_m, g.lost_force_n, f64::from(g.lost_ticks)]),
        None => optional(&[]),
    }
    match &c.singularity {
        Some(s) => optional(&[
            s.characteristic_length_m,
            s.slow_above,
            s.stop_above,
            s.slow_share,
        ]),
        None => optional(&[]),
    }
    match &c.separation {
        Some(s) => optional(&[
            s.approach_speed_m_s,
            s.intrusion_m,
            s.robot_uncertainty_m,
            s.silent_ticks as f64,
        ]),
        None => optional(&[]),
    }
    ConfigHash(state.finalize().into())
}
