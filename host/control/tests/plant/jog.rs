//! Hold-to-run.

use crate::common::{Rig, goal, motion_config};
use sinew_hardware::plant::{HOME, safety_config};
use sinew_messages::{
    ArmGoal, ArmGoalKind, JOINTS, LimitKind, MotionState, StopState, VerdictKind,
};
use sinew_safety::SafetyConfig;

/// Longest that a holder may be silent, ticks.
const LEASE: u64 = 2;

fn jog(joint: usize, velocity_rad_s: f64) -> ArmGoal {
    let mut joints_rad = [0.0; JOINTS];
    joints_rad[joint] = velocity_rad_s;
    ArmGoal {
        joints_rad,
        ..goal(ArmGoalKind::Jog)
    }
}

/// Holds on for some ticks, renewing the lease in each.
fn hold(rig: &mut Rig, asked: ArmGoal, ticks: u64) {
    let id = rig.send_until(rig.last.tick + LEASE, asked);
    for _ in 0..ticks {
        rig.mailbox.arm.write(&ArmGoal {
            id,
            lease_end_tick: rig.last.tick + LEASE,
            ..asked
        });
        rig.run(1);
    }
}

#[test]
fn a_held_joint_turns_at_its_velocity_and_the_others_stand() {
    let mut rig = Rig::ready();
    hold(&mut rig, jog(4, -0.3), 1_000);
    assert_eq!(rig.arm_state(), MotionState::Active);
    let setpoint = rig.last.status.setpoint;
    assert!(
        (setpoint.velocity_rad_s[4] + 0.3).abs() < 1e-6,
        "{setpoint:?}"
    );
    for j in (0..JOINTS).filter(|j| *j != 4) {
        assert_eq!(setpoint.position_rad[j], HOME[j]);
    }
    // A second less what it took to get going.
    let way = HOME[4] - setpoint.position_rad[4];
    assert!((0.27..0.30).contains(&way), "{way}");
    assert!(rig.check_smooth() > 900);
}

/// Whoever holds on says so every tick: the third tick without a word brakes.
#[test]
fn letting_go_brakes_within_three_ticks_and_latches_nothing() {
    let mut rig = Rig::ready();
    hold(&mut rig, jog(0, 0.5), 600);
    let speed = rig.last.status.setpoint.velocity_rad_s[0];
    assert!(speed > 0.49, "{speed}");
    rig.run(3);
    assert!(rig.last.status.setpoint.velocity_rad_s[0] < speed);
    assert_eq!(rig.last.record.verdict.kind, VerdictKind::Stop as u32);
    assert_eq!(rig.last.record.verdict.limit, LimitKind::Stale as u32);
    assert_eq!(rig.finish(500), MotionState::Held);
    assert_eq!(rig.last.status.setpoint.velocity_rad_s, [0.0; JOINTS]);
    assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
    // And on again.
    hold(&mut rig, jog(0, -0.5), 600);
    assert!(rig.last.status.setpoint.velocity_rad_s[0] < -0.49);
}

#[test]
fn a_joint_brakes_before_the_end_of_its_range_and_comes_back() {
    // The gate's margin for following errors must lie within that of the goals, or it has a word in it.
    let mut rig = Rig::with(SafetyConfig {
        following_error_max_rad: [0.05; JOINTS],
        ..safety_config()
    });
    hold(&mut rig, jog(5, 1.5), 4_000);
    let upper = rig.chain.joints()[5].upper_rad;
    let at = rig.last.status.setpoint.position_rad[5];
    let margin = motion_config().position_margin_rad;
    assert!(
        (upper - margin - 1e-3..=upper - margin + 0.02).contains(&at),
        "{at} of {upper}"
    );
    assert_eq!(rig.last.status.setpoint.velocity_rad_s[5], 0.0);
    rig.check_smooth();
    hold(&mut rig, jog(5, -0.5), 500);
    assert!(rig.last.status.setpoint.position_rad[5] < at - 0.15);
}

#[test]
fn impossible_velocities_are_rejected() {
    let too_fast = motion_config().velocity_max_rad_s[2] + 1e-9;
    for velocity in [f64::NAN, f64::INFINITY, too_fast, -too_fast] {
        let mut rig = Rig::ready();
        hold(&mut rig, jog(2, velocity), 50);
        assert_eq!(rig.arm_state(), MotionState::Rejected, "{velocity}");
        assert_eq!(rig.last.status.setpoint.position_rad, HOME);
    }
}
