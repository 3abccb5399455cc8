//! Zones that cannot be are refused, and the hash sees every change.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, Cylinder, HalfSpace, Point};
use sinew_safety::{
    BodyRegion, Cone, ContactLimits, EffortLimits, ForceReaction, GripLimits, LimitsError,
    SLOW_SPEEDS_MAX, SafetyConfig, SafetyLimits, SeparationConfig, Singularity, YieldLimits, Zone,
    ZoneShape,
};

use crate::rig::config;

type Change = fn(&mut SafetyConfig);

/// Each speed that slow zones allow is one more that a motion has to be compared with in a tick.
#[test]
fn slow_zones_have_few_speeds() {
    let with = |speeds: usize| {
        let mut c = config();
        for n in 0..40 {
            let mut slow = c.zones[0].clone();
            slow.speed_max_m_s = Some(0.1 + 0.01 * (n % speeds) as f64);
            c.zones.push(slow);
        }
        SafetyLimits::new(c).map(|_| ())
    };
    assert_eq!(with(SLOW_SPEEDS_MAX), Ok(()));
    assert_eq!(
        with(SLOW_SPEEDS_MAX + 1),
        Err(LimitsError::TooManySpeeds {
            count: SLOW_SPEEDS_MAX + 1
        })
    );
}

#[test]
fn zones_that_cannot_be_are_refused() {
    let zone = |shape| Zone {
        name: "odd".into(),
        shape,
        speed_max_m_s: None,
    };
    let aabb = |min: f64, max: f64| {
        zone(ZoneShape::Box(Aabb {
            min: Point::new(min, 0.0, 0.0),
            max: Point::new(max, 1.0, 1.0),
        }))
    };
    let half = |length: f64, offset_m| {
        zone(ZoneShape::HalfSpace(HalfSpace {
            normal: Vector3::z() * length,
            offset_m,
        }))
    };
    let cylinder = |radius_m, height_m| {
        zone(ZoneShape::Cylinder(Cylinder {
            base: Point::origin(),
            radius_m,
            height_m,
        }))
    };
    for odd in [
        aabb(1.0, 0.0),
        aabb(f64::NAN, 1.0),
        half(0.5, 0.0),
        half(f64::NAN, 0.0),
        half(1.0, f64::INFINITY),
        cylinder(0.0, 0.3),
        cylinder(0.2, f64::NAN),
        Zone {
            speed_max_m_s: Some(0.0),
            ..aabb(0.0, 0.5)
        },
    ] {
        let mut c = config();
        c.zones.push(odd);
        let error = SafetyLimits::new(c).expect_err("an odd zone");
        let index = match error {
            LimitsError::Value { index, .. } | LimitsError::Reversed { index, .. } => index,
            other => panic!("{other}"),
        };
        assert_eq!(index, Some(4));
    }
}

fn soft(distance_max_m: f64) -> YieldLimits {
    YieldLimits {
        admittance_m_s_n: 0.002,
        speed_max_m_s: 0.05,
        distance_max_m,
    }
}

fn face(force_max_n: f64) -> BodyRegion {
    BodyRegion {
        name: "face".into(),
        force_max_n,
        transient_factor: 1.0,
        stiffness_n_m: 75_000.0,
        mass_kg: 4.4,
    }
}

fn contact(regions: Vec<BodyRegion>) -> ContactLimits {
    ContactLimits {
        regions,
        transient_ticks: 100,
        power_max_w: 80.0,
        momentum_max_kg_m_s: 10.0,
    }
}

fn grip(lost_ticks: u32) -> GripLimits {
    GripLimits {
        empty_width_m: 0.002,
        lost_force_n: 2.0,
        lost_ticks,
    }
}

fn singularity(slow_share: f64) -> Singularity {
    Singularity {
        characteristic_length_m: 0.3,
        slow_above: 20.0,
        stop_above: 40.0,
        slow_share,
    }
}

#[test]
fn the_hash_is_stable_and_sees_every_field() {
    let hash = |c: SafetyConfig| SafetyLimits::new(c).expect("valid").hash();
    let base = hash(config());
    assert_eq!(base, hash(config()));
    let digits = base.to_string();
    assert_eq!(digits.len(), 64);
    assert!(digits.starts_with(&format!("{:016x}", base.short())));
    let changes: [Change; 31] = [
        |c| c.position_max_rad[6] -= 1e-9,
        |c| c.velocity_max_rad_s[0] += 1e-9,
        |c| c.stop_jerk_rad_s3[3] += 1.0,
        |c| c.reaction_ticks += 1,
        |c| c.tool_speed_max_m_s += 1e-9,
        |c| c.envelope_min_m[1] -= 1e-9,
        |c| c.zones[0].name.push('x'),
        |c| c.zones.swap(0, 1),
        |c| c.gripper_force_max_n -= 1.0,
        |c| c.force_reaction = ForceReaction::Latch,
        |c| c.heartbeat_ticks += 1,
        |c| c.standstill_rad_s += 1e-9,
        |c| c.elbow_speed_max_m_s -= 1e-9,
        |c| c.reduced.speed_max_m_s -= 1e-9,
        |c| c.reduced.joint_speed_share -= 1e-9,
        |c| c.recovery.speed_max_m_s -= 1e-9,
        |c| c.recovery.joint_speed_share -= 1e-9,
        |c| c.self_collision = None,
        |c| {
            c.effort = Some(EffortLimits {
                max_nm: [100.0; 7],
                rate_max_nm_s: [1e4; 7],
                load_max_kg: 1.0,
                measured_ticks: 50,
            });
        },
        |c| {
            c.cone = Some(Cone {
                axis: [0.0, 0.0, -1.0],
                half_angle_rad: 1.0,
            });
        },
        |c| {
            c.separation = Some(SeparationConfig {
                approach_speed_m_s: 1.6,
                intrusion_m: 0.1,
                robot_uncertainty_m: 0.02,
                silent_ticks: 100,
            });
        },
        |c| c.zones[2].speed_max_m_s = Some(0.25),
        |c| c.force_reaction = ForceReaction::Yield(soft(0.03)),
        |c| c.force_reaction = ForceReaction::Yield(soft(0.02)),
        |c| c.contact = Some(contact(vec![face(65.0)])),
        |c| c.contact = Some(contact(vec![face(64.0)])),
        |c| c.contact = Some(contact(vec![face(65.0), face(65.0)])),
        |c| c.grip = Some(grip(5)),
        |c| c.grip = Some(grip(6)),
        |c| c.singularity = Some(singularity(0.3)),
        |c| c.singularity = Some(singularity(0.4)),
    ];
    let mut seen = vec![base];
    for (n, change) in changes.into_iter().enumerate() {
        let mut c = config();
        change(&mut c);
        let hash = hash(c);
        assert!(!seen.contains(&hash), "change {n} is not seen");
        seen.push(hash);
    }
}
