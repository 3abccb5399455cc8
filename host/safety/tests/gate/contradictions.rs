//! Limits that cannot be, in every field: empty, reversed or no numbers at all. They are refused by name; nothing is
//! swapped, repaired or passed.

use sinew_messages::JOINTS;
use sinew_safety::{
    ContactLimits, ForceReaction, SafetyConfig, SafetyLimits, Singularity, YieldLimits,
};

use crate::rig::full;

type Field = fn(&mut SafetyConfig) -> &mut f64;
type Joints = fn(&mut SafetyConfig) -> &mut [f64; JOINTS];

/// Of what may be negative, zero, or neither.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Any,
    NotNegative,
    Positive,
}
use Sign::{Any, NotNegative, Positive};

const JOINT_FIELDS: [(&str, Sign, Joints); 10] = [
    ("position_min_rad", Any, |c| &mut c.position_min_rad),
    ("position_max_rad", Any, |c| &mut c.position_max_rad),
    ("velocity_max_rad_s", Positive, |c| {
        &mut c.velocity_max_rad_s
    }),
    ("acceleration_max_rad_s2", Positive, |c| {
        &mut c.acceleration_max_rad_s2
    }),
    ("jerk_max_rad_s3", Positive, |c| &mut c.jerk_max_rad_s3),
    ("stop_acceleration_rad_s2", Positive, |c| {
        &mut c.stop_acceleration_rad_s2
    }),
    ("stop_jerk_rad_s3", Positive, |c| &mut c.stop_jerk_rad_s3),
    ("following_error_max_rad", Positive, |c| {
        &mut c.following_error_max_rad
    }),
    ("effort.max_nm", Positive, |c| {
        &mut c.effort.as_mut().expect("full").max_nm
    }),
    ("effort.rate_max_nm_s", Positive, |c| {
        &mut c.effort.as_mut().expect("full").rate_max_nm_s
    }),
];

fn yields(c: &mut SafetyConfig) -> &mut YieldLimits {
    match &mut c.force_reaction {
        ForceReaction::Yield(yields) => yields,
        _ => panic!("full"),
    }
}

fn contact(c: &mut SafetyConfig) -> &mut ContactLimits {
    c.contact.as_mut().expect("full")
}

fn singularity(c: &mut SafetyConfig) -> &mut Singularity {
    c.singularity.as_mut().expect("full")
}

const FIELDS: [(&str, Sign, Field); 39] = [
    ("yield.admittance_m_s_n", Positive, |c| {
        &mut yields(c).admittance_m_s_n
    }),
    ("yield.speed_max_m_s", Positive, |c| {
        &mut yields(c).speed_max_m_s
    }),
    ("yield.distance_max_m", Positive, |c| {
        &mut yields(c).distance_max_m
    }),
    ("contact.power_max_w", Positive, |c| {
        &mut contact(c).power_max_w
    }),
    ("contact.momentum_max_kg_m_s", Positive, |c| {
        &mut contact(c).momentum_max_kg_m_s
    }),
    ("contact.region.force_max_n", Positive, |c| {
        &mut contact(c).regions[0].force_max_n
    }),
    ("contact.region.transient_factor", Positive, |c| {
        &mut contact(c).regions[0].transient_factor
    }),
    ("contact.region.stiffness_n_m", Positive, |c| {
        &mut contact(c).regions[0].stiffness_n_m
    }),
    ("contact.region.mass_kg", Positive, |c| {
        &mut contact(c).regions[0].mass_kg
    }),
    ("grip.empty_width_m", Positive, |c| {
        &mut c.grip.as_mut().expect("full").empty_width_m
    }),
    ("grip.lost_force_n", Positive, |c| {
        &mut c.grip.as_mut().expect("full").lost_force_n
    }),
    ("singularity.characteristic_length_m", Positive, |c| {
        &mut singularity(c).characteristic_length_m
    }),
    ("singularity.slow_above", Positive, |c| {
        &mut singularity(c).slow_above
    }),
    ("singularity.stop_above", Positive, |c| {
        &mut singularity(c).stop_above
    }),
    ("singularity.slow_share", Positive, |c| {
        &mut singularity(c).slow_share
    }),
    ("tool_speed_max_m_s", Positive, |c| {
        &mut c.tool_speed_max_m_s
    }),
    ("elbow_speed_max_m_s", Positive, |c| {
        &mut c.elbow_speed_max_m_s
    }),
    ("reduced.speed_max_m_s", Positive, |c| {
        &mut c.reduced.speed_max_m_s
    }),
    ("reduced.joint_speed_share", Positive, |c| {
        &mut c.reduced.joint_speed_share
    }),
    ("recovery.speed_max_m_s", Positive, |c| {
        &mut c.recovery.speed_max_m_s
    }),
    ("recovery.joint_speed_share", Positive, |c| {
        &mut c.recovery.joint_speed_share
    }),
    ("cone.axis", Any, |c| {
        &mut c.cone.as_mut().expect("full").axis[0]
    }),
    ("cone.half_angle_rad", Positive, |c| {
        &mut c.cone.as_mut().expect("full").half_angle_rad
    }),
    ("self_collision.margin_m", Positive, |c| {
        &mut c.self_collision.as_mut().expect("full").margin_m
    }),
    ("effort.load_max_kg", NotNegative, |c| {
        &mut c.effort.as_mut().expect("full").load_max_kg
    }),
    ("separation.approach_speed_m_s", Positive, |c| {
        &mut c.separation.as_mut().expect("full").approach_speed_m_s
    }),
    ("separation.intrusion_m", NotNegative, |c| {
        &mut c.separation.as_mut().expect("full").intrusion_m
    }),
    ("separation.robot_uncertainty_m", Positive, |c| {
        &mut c.separation.as_mut().expect("full").robot_uncertainty_m
    }),
    ("envelope_min_m", Any, |c| &mut c.envelope_min_m[0]),
    ("envelope_min_m", Any, |c| &mut c.envelope_min_m[2]),
    ("envelope_max_m", Any, |c| &mut c.envelope_max_m[1]),
    ("zones.speed_max_m_s", Positive, |c| {
        c.zones[1].speed_max_m_s.as_mut().expect("slow")
    }),
    ("tracking_margin_m", Positive, |c| {
        // Who moves around needs more than it, and would speak first.
        c.separation = None;
        &mut c.tracking_margin_m
    }),
    ("force_stop_n", Positive, |c| &mut c.force_stop_n),
    ("standstill_rad_s", Positive, |c| &mut c.standstill_rad_s),
    ("gripper_width_min_m", NotNegative, |c| {
        &mut c.gripper_width_min_m
    }),
    ("gripper_width_max_m", NotNegative, |c| {
        &mut c.gripper_width_max_m
    }),
    ("gripper_force_max_n", Positive, |c| {
        &mut c.gripper_force_max_n
    }),
    ("envelope_max_m", Any, |c| &mut c.envelope_max_m[2]),
];

fn refused(name: &str, index: Option<usize>, change: impl Fn(&mut SafetyConfig)) {
    let mut c = full();
    change(&mut c);
    let Err(error) = SafetyLimits::new(c) else {
        panic!("{name} {index:?} is not refused");
    };
    let message = error.to_string();
    assert!(message.contains(name), "{name} {index:?}: {message}");
    if let Some(index) = index {
        assert!(message.contains(&index.to_string()), "{message}");
    }
}

fn bad(sign: Sign) -> impl Iterator<Item = f64> {
    let any = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        1e300,
    ];
    let negative = [-1e-9, -1.0];
    let none = [0.0, -0.0, 5e-324];
    any.into_iter()
        .chain(negative.into_iter().filter(move |_| sign != Any))
        .chain(none.into_iter().filter(move |_| sign == Positive))
}

#[test]
fn the_full_configuration_is_valid() {
    SafetyLimits::new(full()).expect("it is what is spoilt below");
}

#[test]
fn every_field_refuses_what_it_cannot_be() {
    for (name, sign, field) in JOINT_FIELDS {
        for i in 0..JOINTS {
            for bad in bad(sign) {
                refused(name, Some(i), |c| field(c)[i] = bad);
            }
        }
    }
    for (name, sign, field) in FIELDS {
        for bad in bad(sign) {
            refused(name, None, |c| *field(c) = bad);
        }
    }
}

/// Reversed, and empty: a lower limit over the upper one, or the same.
#[test]
fn every_pair_refuses_to_be_reversed_or_empty() {
    for i in 0..JOINTS {
        refused("position_min_rad", Some(i), |c| {
            core::mem::swap(&mut c.position_min_rad[i], &mut c.position_max_rad[i]);
        });
        refused("position_max_rad", Some(i), |c| {
            c.position_max_rad[i] = c.position_min_rad[i];
        });
        // Nothing is left between them, less what a joint may be off by.
        refused("following_error_max_rad", Some(i), |c| {
            c.position_max_rad[i] = c.position_min_rad[i] + 1.9 * c.following_error_max_rad[i];
        });
    }
    for i in 0..3 {
        refused("envelope_min_m", Some(i), |c| {
            core::mem::swap(&mut c.envelope_min_m[i], &mut c.envelope_max_m[i]);
        });
        refused("envelope_max_m", Some(i), |c| {
            c.envelope_max_m[i] = c.envelope_min_m[i];
        });
    }
    refused("gripper_width_min_m", None, |c| {
        core::mem::swap(&mut c.gripper_width_min_m, &mut c.gripper_width_max_m);
    });
    refused("gripper_width_max_m", None, |c| {
        c.gripper_width_max_m = c.gripper_width_min_m;
    });
    // A mode that is meant to be slower, and is not.
    refused("reduced.speed_max_m_s", None, |c| {
        c.reduced.speed_max_m_s = c.tool_speed_max_m_s + 1e-9;
    });
    refused("recovery.joint_speed_share", None, |c| {
        c.recovery.joint_speed_share = 1.0 + 1e-9;
    });
    refused("yield.speed_max_m_s", None, |c| {
        yields(c).speed_max_m_s = c.tool_speed_max_m_s + 1e-9;
    });
    refused("singularity.stop_above", None, |c| {
        singularity(c).stop_above = singularity(c).slow_above;
    });
    refused("separation.silent_ticks", None, |c| {
        c.separation.as_mut().expect("full").silent_ticks = 0;
    });
    // A stop that takes longer than can be verified.
    refused("stop_acceleration_rad_s2", Some(4), |c| {
        c.stop_acceleration_rad_s2[4] = 1.0;
    });
    refused("stop_jerk_rad_s3", Some(2), |c| {
        c.stop_jerk_rad_s3[2] = 10.0
    });
    for ticks in [0, 60_001] {
        refused("heartbeat_ticks", None, |c| c.heartbeat_ticks = ticks);
    }
    refused("1 to 60000", None, |c| c.heartbeat_ticks = 0);
    refused("0 to 60000", None, |c| c.following_error_ticks = 60_001);
    refused("reaction_ticks", None, |c| c.reaction_ticks = u32::MAX);
}

/// What is at its bound is allowed, and what is just beyond it is not.
#[test]
fn bounds_themselves_are_allowed() {
    let mut c = full();
    yields(&mut c).speed_max_m_s = c.tool_speed_max_m_s;
    let separation = c.separation.as_mut().expect("full");
    separation.robot_uncertainty_m = c.tracking_margin_m;
    c.heartbeat_ticks = 60_000;
    c.following_error_ticks = 0;
    SafetyLimits::new(c).expect("allowed");
    refused("separation.robot_uncertainty_m", None, |c| {
        let separation = c.separation.as_mut().expect("full");
        separation.robot_uncertainty_m = c.tracking_margin_m - 1e-9;
    });
    // The margin is what is wrong, whatever depends on it.
    refused("tracking_margin_m", None, |c| c.tracking_margin_m = 15.0);
    // A stop of 508 ticks, and 4 for its ends.
    let stopping = |ticks: f64| {
        let mut c = full();
        let most = c.acceleration_max_rad_s2[3].max(c.stop_acceleration_rad_s2[3]);
        let ramps_s = 2.0 * most / c.stop_jerk_rad_s3[3];
        c.velocity_max_rad_s[3] = (1e-3 * ticks - ramps_s) * c.stop_acceleration_rad_s2[3];
        SafetyLimits::new(c)
    };
    stopping(507.9).expect("512 ticks can be verified");
    let error = stopping(508.1).expect_err("513 can't").to_string();
    assert!(error.contains("joint 3 needs 513 ticks"), "{error}");
}
