//! Goals that replace goals, wherever these are.

use crate::common::{AWAY, Rig, distance, joint_goal, moved, pose_goal};
use proptest::prelude::*;
use sinew_hardware::plant::HOME;
use sinew_messages::{ArmGoal, ArmGoalKind, MotionState, Pose};

#[test]
fn a_line_may_begin_in_motion() {
    let mut rig = Rig::ready();
    rig.send(joint_goal(AWAY));
    rig.run(250);
    let target = moved(rig.tool(), [0.0, 0.0, 0.1]);
    rig.send(pose_goal(ArmGoalKind::Line, target));
    assert_eq!(rig.finish(5_000), MotionState::Done);
    assert!(distance(&rig.tool(), &target) < 1e-5);
    rig.check_smooth();
}

/// The joint move is about to reach its largest velocity: what the line asks must not come on top of that.
#[test]
fn a_line_that_replaces_a_fast_move_keeps_every_limit() {
    let mut rig = Rig::ready();
    let target = rig.tool();
    rig.send(ArmGoal {
        speed_scale: 0.999_225_220_351_969_6,
        acceleration_scale: 0.876_497_034_984_582_9,
        ..joint_goal([
            0.541_516_741_649_898_8,
            0.3,
            0.0,
            1.8,
            -0.334_632_198_944_568_36,
            1.577_797_207_908_870_2,
            0.0,
        ])
    });
    rig.run(224);
    rig.send(ArmGoal {
        speed_scale: 0.1,
        acceleration_scale: 0.2,
        ..pose_goal(ArmGoalKind::Line, target)
    });
    rig.run(19);
    assert_eq!(rig.finish(20_000), MotionState::Done);
    assert!(distance(&rig.tool(), &target) < 1e-6);
    rig.check_smooth();
}

/// A small share of the jerk would take long to end an acceleration, and the velocity would go on rising; a small
/// share of the acceleration would take long to end a velocity, and lead out of the range.
#[test]
fn a_slow_goal_that_replaces_a_fast_one_keeps_every_limit() {
    for (joint, far) in [(6, -2.0), (3, 2.55)] {
        let mut away = HOME;
        away[joint] = far;
        for kind in [
            ArmGoalKind::Joint,
            ArmGoalKind::Pose,
            ArmGoalKind::Line,
            ArmGoalKind::Hold,
        ] {
            for ticks in (10..500).step_by(10) {
                let mut rig = Rig::ready();
                let home = rig.tool();
                rig.send(joint_goal(away));
                rig.run(ticks);
                rig.send(ArmGoal {
                    speed_scale: 0.1,
                    acceleration_scale: 0.2,
                    ..pose_goal(kind, home)
                });
                rig.run(300);
                rig.send(joint_goal(AWAY));
                assert_eq!(rig.finish(5_000), MotionState::Done);
                rig.check_smooth();
            }
        }
    }
}

#[test]
fn a_rejected_goal_brakes_what_ran_before() {
    let mut rig = Rig::ready();
    rig.send(joint_goal(AWAY));
    rig.run(250);
    rig.send(ArmGoal {
        kind: 99,
        ..joint_goal(AWAY)
    });
    rig.run(500);
    assert_eq!(rig.arm_state(), MotionState::Rejected);
    assert_eq!(rig.last.status.tool_speed_m_s, 0.0);
    rig.check_smooth();
}

/// What brakes then is the line that ran before.
#[test]
fn a_rejected_line_brakes_along_the_line_before() {
    for far in [[3.0, 0.0, 0.0], [0.6, 0.0, 0.0], [0.0, 0.0, -0.9]] {
        let mut rig = Rig::ready();
        let start = rig.tool();
        rig.send(pose_goal(ArmGoalKind::Line, moved(start, [0.0, 0.2, 0.0])));
        rig.run(200);
        assert!(rig.last.status.tool_speed_m_s > 0.1);
        rig.send(pose_goal(ArmGoalKind::Line, moved(start, far)));
        rig.run(500);
        assert_eq!(rig.arm_state(), MotionState::Rejected);
        assert_eq!(rig.last.status.tool_speed_m_s, 0.0);
        let here = rig.tool();
        let beside = Pose {
            position_m: [start.position_m[0], here.position_m[1], start.position_m[2]],
            ..start
        };
        assert!(distance(&here, &beside) < 2e-5, "off the line");
        rig.check_smooth();
    }
}

/// A random goal, and how many ticks it gets before the next one.
fn any_goal() -> impl Strategy<Value = (ArmGoal, u64)> {
    let joints =
        prop::array::uniform7(-0.6..0.6_f64).prop_map(|d| core::array::from_fn(|i| HOME[i] + d[i]));
    let way = prop::array::uniform3(-0.1..0.1_f64);
    (
        0..6_u32,
        joints,
        way,
        0.1..1.0_f64,
        0.2..1.0_f64,
        1..600_u64,
    )
        .prop_map(
            |(kind, joints_rad, way, speed_scale, acceleration_scale, ticks)| {
                let home = Rig::ready().tool();
                let what = ArmGoal {
                    kind,
                    joints_rad,
                    speed_scale,
                    acceleration_scale,
                    contact_force_n: 10.0,
                    ..pose_goal(ArmGoalKind::Pose, moved(home, way))
                };
                (what, ticks)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever replaces whatever at whatever moment: nothing for the gate to limit, every limit kept, and
    /// the last goal is reached.
    #[test]
    fn goals_replace_each_other_smoothly(goals in prop::collection::vec(any_goal(), 1..8)) {
        let mut rig = Rig::ready();
        for (what, ticks) in goals {
            rig.send(what);
            rig.run(ticks);
        }
        rig.send(joint_goal(AWAY));
        prop_assert_eq!(rig.finish(6_000), MotionState::Done);
        prop_assert_eq!(rig.last.status.setpoint.position_rad, AWAY);
        rig.check_chunks();
    }
}
