//! The motion sources, through the whole loop on the kinematic plant.

use crate::common::{AWAY, Rig, chunk, distance, goal, joint_goal, moved, pose_goal};
use sinew_hardware::plant::{HOME, safety_config};
use sinew_kinematics::{Aabb, Point};
use sinew_messages::{
    ArmGoal, ArmGoalKind, JOINTS, LimitKind, MotionState, Pose, StopCategory, StopState,
    VerdictKind,
};
use sinew_safety::{Zone, ZoneShape};

#[test]
fn a_joint_move_arrives_together_and_smoothly() {
    let mut rig = Rig::ready();
    rig.send(joint_goal(AWAY));
    assert_eq!(rig.finish(5_000), MotionState::Done);
    assert_eq!(rig.last.status.setpoint.position_rad, AWAY);
    assert!(rig.check_smooth() > 300);
}

#[test]
fn scales_slow_a_move_down() {
    let ticks = |speed_scale, acceleration_scale| {
        let mut rig = Rig::ready();
        rig.send(ArmGoal {
            speed_scale,
            acceleration_scale,
            ..joint_goal(AWAY)
        });
        let before = rig.last.tick;
        assert_eq!(rig.finish(50_000), MotionState::Done);
        rig.check_smooth();
        rig.last.tick - before
    };
    let full = ticks(1.0, 1.0);
    assert!(ticks(0.25, 1.0) > 2 * full);
    assert!(ticks(1.0, 0.1) > 2 * full);
}

/// A share that is hardly any is a motion that hardly moves, or none that is taken; it never is one that nobody asked for.
#[test]
fn a_share_of_nearly_nothing_moves_nearly_nothing() {
    let line = moved(Rig::ready().tool(), [0.0, 0.1, 0.0]);
    let goals = [
        joint_goal(AWAY),
        pose_goal(ArmGoalKind::Pose, line),
        pose_goal(ArmGoalKind::Line, line),
    ];
    for goal in goals {
        for (speed_scale, acceleration_scale) in [
            (5e-324, 1.0),
            (1.0, 5e-324),
            (5e-324, 5e-324),
            (1e-300, 1e-300),
            (1e-200, 1.0),
            (1.0, 1e-200),
            (1e-100, 1e-100),
            (1e-30, 1e-12),
            (1e-12, 1e-30),
            (1e-9, 1.0),
        ] {
            let mut rig = Rig::ready();
            let before = rig.last.status.setpoint.position_rad;
            rig.send(ArmGoal {
                speed_scale,
                acceleration_scale,
                ..goal
            });
            rig.run(300);
            let after = rig.last.status.setpoint.position_rad;
            for (before, after) in before.iter().zip(&after) {
                let moved = (after - before).abs();
                assert!(
                    moved < 1e-3,
                    "{speed_scale:e} {acceleration_scale:e}: {moved:e} rad, {:?}",
                    rig.arm_state()
                );
            }
            println!(
                "{} {speed_scale:e} {acceleration_scale:e}: {:?}",
                goal.kind,
                rig.arm_state()
            );
            let stop = rig.last.status.stop_state;
            assert_eq!(
                stop,
                StopState::Clear as u32,
                "{speed_scale:e} {acceleration_scale:e}"
            );
            rig.send(joint_goal(AWAY));
            assert_eq!(
                rig.finish(5_000),
                MotionState::Done,
                "{speed_scale:e} {acceleration_scale:e}"
            );
        }
    }
}

#[test]
fn a_joint_move_keeps_the_tool_speed() {
    let mut rig = Rig::ready();
    let mut fastest = 0.0_f64;
    rig.send(joint_goal([2.0, 1.2, 0.0, 0.4, 0.0, 0.5, 0.0]));
    for _ in 0..5_000 {
        rig.run(1);
        fastest = fastest.max(rig.last.status.tool_speed_m_s);
    }
    assert_eq!(rig.arm_state(), MotionState::Done);
    let limit = crate::common::motion_config().tool_linear.velocity;
    assert!(
        fastest <= 1.02 * limit && fastest > 0.7 * limit,
        "{fastest}"
    );
}

#[test]
fn a_pose_is_reached() {
    let mut rig = Rig::ready();
    let target = moved(rig.tool(), [0.05, 0.2, -0.1]);
    rig.send(pose_goal(ArmGoalKind::Pose, target));
    assert_eq!(rig.finish(5_000), MotionState::Done);
    assert!(distance(&rig.tool(), &target) < 1e-5);
    rig.check_smooth();
}

/// The solution nearest to where the arm stands may lie in the margin before a limit: then another one counts.
#[test]
fn a_pose_that_is_reached_from_home_is_reached_from_anywhere() {
    let mut rejected = Vec::new();
    for (base, wrist) in [
        (1.6, 2.1),
        (1.8, 2.75),
        (-1.6, -2.1),
        (1.6, -2.1),
        (-1.8, 2.75),
    ] {
        for (x, y, yaw) in [
            (0.3, -0.2, 0.0),
            (0.35, 0.2, 0.0),
            (0.3, -0.2, 1.2),
            (0.35, 0.2, -1.4),
        ] {
            let mut joints = HOME;
            (joints[0], joints[6]) = (base, wrist);
            let mut rig = Rig::ready();
            rig.send(joint_goal(joints));
            assert_eq!(rig.finish(10_000), MotionState::Done);
            let target = sinew_kinematics::tool_down([x, y, 0.25], yaw);
            let target = sinew_kinematics::isometry_to_pose(&target);
            rig.send(pose_goal(ArmGoalKind::Pose, target));
            if rig.finish(10_000) != MotionState::Done {
                rejected.push((base, wrist, x, y, yaw));
                continue;
            }
            assert!(distance(&rig.tool(), &target) < 1e-5);
            rig.check_smooth();
        }
    }
    assert!(rejected.is_empty(), "{rejected:?}");
}

#[test]
fn a_line_is_straight() {
    let mut rig = Rig::ready();
    let start = rig.tool();
    let way = [0.05, -0.25, -0.12];
    let target = moved(start, way);
    let length = distance(&start, &target);
    rig.send(pose_goal(ArmGoalKind::Line, target));
    let mut off = 0.0_f64;
    for _ in 0..5_000 {
        rig.run(1);
        let here = rig.tool();
        let along: f64 = (0..3)
            .map(|i| (here.position_m[i] - start.position_m[i]) * way[i] / length)
            .sum();
        let on_line = moved(start, way.map(|w| w * along / length));
        off = off.max(distance(&here, &on_line));
    }
    assert_eq!(rig.arm_state(), MotionState::Done);
    assert!(distance(&rig.tool(), &target) < 1e-6);
    assert!(off < 2e-5, "{off} m off the line");
    rig.check_smooth();
}

#[test]
fn the_gripper_goes_to_a_width_and_holds_a_part() {
    let mut rig = Rig::ready();
    let id = rig.grip(0.04, 20.0);
    rig.run(600);
    assert_eq!(rig.last.status.gripper_goal_id, id);
    assert_eq!(rig.gripper_state(), MotionState::Done);
    assert!((rig.last.status.frame.gripper_width_m - 0.04).abs() < 1e-9);
    rig.bench.set(|world| world.part_width_m = 0.03);
    rig.grip(0.01, 20.0);
    rig.run(600);
    assert_eq!(rig.gripper_state(), MotionState::Done);
    assert!((rig.last.status.frame.gripper_width_m - 0.03).abs() < 1e-9);
    assert!(rig.last.status.frame.gripper_force_n >= 10.0);
    // Opening starts from a setpoint inside the part: that is no grip, and not done before it is open.
    rig.grip(0.07, 20.0);
    for _ in 0..600 {
        rig.run(1);
        let open = (rig.last.status.frame.gripper_width_m - 0.07).abs() < 0.002;
        assert!(open || rig.gripper_state() != MotionState::Done);
    }
    assert_eq!(rig.gripper_state(), MotionState::Done);
    // A grip on nothing is done at its width, with no force.
    rig.bench.set(|world| world.part_width_m = 0.0);
    rig.grip(0.0, 20.0);
    rig.run(600);
    assert_eq!(rig.gripper_state(), MotionState::Done);
    assert_eq!(rig.last.status.frame.gripper_force_n, 0.0);
}

#[test]
fn nonsense_for_the_gripper_is_rejected() {
    let mut rig = Rig::ready();
    let before = rig.last.status.setpoint.gripper_width_m;
    for (width, force) in [
        (f64::NAN, 10.0),
        (-0.01, 10.0),
        (0.2, 10.0),
        (0.03, f64::INFINITY),
        (0.03, 0.0),
        (0.03, 1e3),
    ] {
        let id = rig.grip(width, force);
        rig.run(3);
        assert_eq!(rig.last.status.gripper_goal_id, id);
        assert_eq!(rig.gripper_state(), MotionState::Rejected);
        assert_eq!(rig.last.status.setpoint.gripper_width_m, before);
    }
}

#[test]
fn hold_cancels_and_is_done_at_rest() {
    for kind in [ArmGoalKind::Joint, ArmGoalKind::Line] {
        let mut rig = Rig::ready();
        let target = moved(rig.tool(), [0.0, 0.2, -0.1]);
        rig.send(ArmGoal {
            joints_rad: AWAY,
            ..pose_goal(kind, target)
        });
        rig.run(200);
        assert!(rig.last.status.tool_speed_m_s > 0.1);
        let id = rig.send(goal(ArmGoalKind::Hold));
        assert_eq!(rig.finish(1_000), MotionState::Done);
        assert_eq!(rig.last.status.arm_goal_id, id);
        rig.run(2);
        assert_eq!(rig.last.status.tool_speed_m_s, 0.0);
        assert!(distance(&rig.tool(), &target) > 0.01);
        rig.check_smooth();
    }
}

#[test]
fn a_lease_that_ends_brakes_within_three_ticks_to_an_unlatched_hold() {
    for kind in [ArmGoalKind::Joint, ArmGoalKind::Line] {
        let mut rig = Rig::ready();
        let target = moved(rig.tool(), [0.0, 0.2, -0.1]);
        let end = rig.last.tick + 250;
        let what = ArmGoal {
            joints_rad: AWAY,
            ..pose_goal(kind, target)
        };
        let id = rig.send_until(end, what);
        while rig.last.tick < end {
            rig.run(1);
        }
        assert_eq!(rig.arm_state(), MotionState::Active);
        let speed = rig.last.status.tool_speed_m_s;
        let before = rig.last.status.setpoint;
        rig.run(3);
        let braked = (0..JOINTS).any(|i| {
            let now = &rig.last.status.setpoint;
            now.acceleration_rad_s2[i].signum() * now.velocity_rad_s[i].signum() < 0.0
                || now.acceleration_rad_s2[i].abs() < before.acceleration_rad_s2[i].abs()
        });
        assert!(braked && speed > 0.05, "{kind:?}");
        assert_eq!(rig.last.status.reason, LimitKind::Stale as u32);
        assert_eq!(rig.last.status.held_for, 0, "it brakes");
        assert_eq!(rig.finish(1_000), MotionState::Held);
        assert_eq!(rig.last.status.held_for, LimitKind::Stale as u32);
        assert_eq!(rig.last.status.arm_goal_id, id);
        assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
        assert_eq!(rig.last.status.tool_speed_m_s, 0.0);
        // From a hold, a new goal may go on.
        rig.send(joint_goal(HOME));
        rig.run(3);
        let status = &rig.last.status;
        assert_eq!(
            (status.reason, status.held_for),
            (LimitKind::Stale as u32, 0)
        );
        assert_eq!(rig.finish(5_000), MotionState::Done);
    }
}

#[test]
fn a_lease_can_be_renewed_and_stale_ids_are_ignored() {
    let mut rig = Rig::ready();
    let what = joint_goal(AWAY);
    let id = rig.send_until(rig.last.tick + 100, what);
    for _ in 0..20 {
        rig.run(50);
        rig.mailbox.arm.write(&ArmGoal {
            id,
            lease_end_tick: rig.last.tick + 100,
            ..what
        });
    }
    assert_eq!(rig.finish(2_000), MotionState::Done);
    rig.mailbox.arm.write(&ArmGoal {
        id: id - 1,
        ..joint_goal(HOME)
    });
    rig.run(50);
    assert_eq!(rig.last.status.arm_goal_id, id);
    assert_eq!(rig.last.status.setpoint.position_rad, AWAY);
}

#[test]
fn nonsense_is_rejected_and_moves_nothing() {
    let far = Pose {
        position_m: [3.0, 0.0, 0.2],
        ..Pose::IDENTITY
    };
    let crooked = Pose {
        orientation_xyzw: [0.5; 4].map(|c| c * 1.5),
        ..Pose::IDENTITY
    };
    let mut nan = HOME;
    nan[4] = f64::NAN;
    let mut beyond = HOME;
    beyond[3] = 3.2;
    let mut close = HOME;
    close[3] = 2.69;
    let cases = [
        ArmGoal {
            kind: 77,
            ..joint_goal(AWAY)
        },
        joint_goal(nan),
        joint_goal(beyond),
        joint_goal(close),
        pose_goal(ArmGoalKind::Pose, far),
        pose_goal(ArmGoalKind::Line, far),
        pose_goal(ArmGoalKind::Pose, crooked),
        pose_goal(ArmGoalKind::Line, crooked),
        ArmGoal {
            speed_scale: 0.0,
            ..joint_goal(AWAY)
        },
        ArmGoal {
            speed_scale: -0.5,
            ..joint_goal(AWAY)
        },
        ArmGoal {
            speed_scale: 1.01,
            ..joint_goal(AWAY)
        },
        ArmGoal {
            acceleration_scale: f64::NAN,
            ..joint_goal(AWAY)
        },
        ArmGoal {
            contact_force_n: f64::NAN,
            ..pose_goal(
                ArmGoalKind::Guarded,
                moved(Rig::ready().tool(), [0.0, 0.0, -0.05]),
            )
        },
        ArmGoal {
            contact_force_n: -3.0,
            ..pose_goal(
                ArmGoalKind::Guarded,
                moved(Rig::ready().tool(), [0.0, 0.0, -0.05]),
            )
        },
    ];
    for (n, case) in cases.into_iter().enumerate() {
        let mut rig = Rig::ready();
        let id = rig.send(case);
        rig.run(20);
        assert_eq!(rig.arm_state(), MotionState::Rejected, "case {n}");
        assert_eq!(rig.last.status.arm_goal_id, id);
        assert_eq!(rig.last.status.setpoint.position_rad, HOME, "case {n}");
    }
}

#[test]
fn a_guarded_move_stops_at_the_contact() {
    let mut rig = Rig::ready();
    let start = rig.tool();
    let floor = start.position_m[2] - 0.08;
    rig.bench.set(|world| world.floor_z_m = floor);
    rig.send(ArmGoal {
        contact_force_n: 5.0,
        speed_scale: 0.05,
        ..pose_goal(ArmGoalKind::Guarded, moved(start, [0.0, 0.0, -0.15]))
    });
    assert_eq!(rig.finish(20_000), MotionState::Contact);
    assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
    let depth = floor - rig.tool().position_m[2];
    assert!((0.0..0.006).contains(&depth), "{depth} m into the floor");
    rig.check_smooth();
    // Without a contact it ends like a line.
    rig.bench.set(|world| world.floor_z_m = -10.0);
    rig.send(ArmGoal {
        contact_force_n: 5.0,
        ..pose_goal(ArmGoalKind::Guarded, moved(start, [0.0, 0.0, -0.1]))
    });
    assert_eq!(rig.finish(20_000), MotionState::Done);
}

/// A circle of 40 mm in the horizontal plane, 2.5 s around.
fn circle(seconds: f64) -> [f64; 3] {
    let phase = seconds * 2.5;
    [
        0.04 * (1.0 - phase.cos()),
        0.04 * phase.sin(),
        -0.02 * seconds,
    ]
}

#[test]
fn chunks_are_followed_closely_and_their_end_brakes() {
    let mut rig = Rig::ready();
    let start = rig.tool();
    let id = rig.send(goal(ArmGoalKind::Chunks));
    rig.run(30);
    assert_eq!(rig.arm_state(), MotionState::Active, "waits for a chunk");
    let begin = rig.last.tick + 1;
    let mut worst = 0.0_f64;
    for n in 0..12_u64 {
        // Each chunk overlaps the one before by half, as a policy's would.
        let at = begin + 200 * n;
        let from = move |s: f64| circle(s + 0.2 * n as f64);
        rig.mailbox
            .chunk
            .write(&chunk(n + 1, id, at, 8, start, from));
        for _ in 0..200 {
            rig.run(1);
            let seconds = (rig.last.tick - begin) as f64 * 0.001;
            let wanted = moved(start, circle(seconds));
            if seconds > 0.5 {
                worst = worst.max(distance(&rig.tool(), &wanted));
            }
        }
        assert_eq!(rig.arm_state(), MotionState::Active, "chunk {n}");
        assert_eq!(rig.last.record.chunk_id, n + 1);
    }
    assert!(worst < 0.002, "{worst} m from the policy's curve");
    let width = rig.last.status.setpoint.gripper_width_m;
    assert!(
        (width - 0.05).abs() < 1e-9,
        "the chunk drives the gripper: {width}"
    );
    rig.check_chunks();
    assert_eq!(rig.finish(1_000), MotionState::Held);
    assert_eq!(rig.last.status.reason, LimitKind::Stale as u32);
    assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
    let end = begin + 200 * 11 + 8 * 50;
    let braking = rig
        .records
        .drain()
        .find(|record| record.verdict.limit == LimitKind::Stale as u32)
        .expect("the gate brakes a stale chunk");
    assert!((end..=end + 3).contains(&braking.frame.tick));
}

/// A policy that thinks again every 50 ms: each plan goes on from the last one's place at another velocity.
#[test]
fn a_new_chunk_every_step_does_not_swing_the_tool() {
    let mut rig = Rig::ready();
    let home = rig.tool();
    let id = rig.send(goal(ArmGoalKind::Chunks));
    rig.run(1);
    let mut from = home;
    let mut worst = 0.0_f64;
    for n in 0..60_u64 {
        let side = if n % 2 == 0 { 1.0 } else { -1.0 };
        let velocity = [0.06 + 0.03 * side, -0.03 * side, -0.02];
        let plan = move |s: f64| velocity.map(|v| v * s);
        let at = rig.last.tick + 1;
        rig.mailbox
            .chunk
            .write(&chunk(n + 1, id, at, 16, from, plan));
        for tick in 0..50 {
            rig.run(1);
            let wanted = moved(from, plan(f64::from(tick + 1) * 0.001));
            worst = worst.max(distance(&rig.tool(), &wanted));
            assert!(rig.last.status.tool_speed_m_s < 0.25, "chunk {n}");
        }
        from = moved(from, plan(0.05));
    }
    assert!(worst < 0.006, "{worst} m from the plans");
    rig.check_chunks();
}

#[test]
fn a_chunk_that_begins_elsewhere_is_joined_smoothly() {
    let mut rig = Rig::ready();
    let start = moved(rig.tool(), [0.03, -0.02, 0.01]);
    let id = rig.send(goal(ArmGoalKind::Chunks));
    let at = rig.last.tick + 1;
    rig.mailbox
        .chunk
        .write(&chunk(1, id, at, 32, start, circle));
    rig.run(1_400);
    let wanted = moved(start, circle((rig.last.tick - at) as f64 * 0.001));
    assert!(distance(&rig.tool(), &wanted) < 0.002);
    rig.check_chunks();
}

#[test]
fn foreign_and_broken_chunks_do_not_move_the_robot() {
    let mut rig = Rig::ready();
    let start = rig.tool();
    let id = rig.send(goal(ArmGoalKind::Chunks));
    let at = rig.last.tick + 1;
    rig.mailbox
        .chunk
        .write(&chunk(1, id + 7, at, 32, start, circle));
    rig.run(100);
    assert_eq!(rig.last.status.setpoint.position_rad, HOME);
    assert_eq!(rig.last.record.chunk_id, 0);
    let mut broken = chunk(2, id, at, 32, start, circle);
    broken.steps[5].pose.position_m[1] = f64::NAN;
    rig.mailbox.chunk.write(&broken);
    assert_eq!(rig.finish(10), MotionState::Rejected);
    assert_eq!(rig.last.status.setpoint.position_rad, HOME);
    for (len, step_ticks) in [(0, 50), (33, 50), (8, 0)] {
        let id = rig.send(goal(ArmGoalKind::Chunks));
        let mut broken = chunk(3, id, rig.last.tick, 8, start, circle);
        (broken.len, broken.step_ticks) = (len, step_ticks);
        rig.mailbox.chunk.write(&broken);
        assert_eq!(rig.finish(10), MotionState::Rejected);
    }
}

#[test]
fn a_wild_policy_is_kept_within_the_limits() {
    let mut rig = Rig::ready();
    let start = rig.tool();
    let id = rig.send(goal(ArmGoalKind::Chunks));
    let at = rig.last.tick + 1;
    // Jumps of 8 cm every 50 ms.
    let wild = |s: f64| {
        let side = if (s * 20.0).round() as i64 % 2 == 0 {
            0.04
        } else {
            -0.04
        };
        [side, -side, 0.5 * side]
    };
    rig.mailbox.chunk.write(&chunk(1, id, at, 32, start, wild));
    rig.run(1_500);
    assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
    // The reference's velocity jumps; catching up on it may overshoot the joints' by a little.
    rig.check_smooth_within(1.02, 4.0);
}

#[test]
fn a_zone_in_the_way_holds_the_goal_without_a_jump() {
    let mut config = safety_config();
    let tool = Rig::ready().tool().position_m;
    config.zones.push(Zone {
        name: "wall".to_owned(),
        shape: ZoneShape::Box(Aabb {
            min: Point::new(-2.0, tool[1] + 0.15, -2.0),
            max: Point::new(2.0, tool[1] + 0.5, 2.0),
        }),
        speed_max_m_s: None,
    });
    for kind in [ArmGoalKind::Pose, ArmGoalKind::Line] {
        let mut rig = Rig::with(config.clone());
        let target = moved(rig.tool(), [0.0, 0.3, 0.0]);
        rig.send(pose_goal(kind, target));
        let state = rig.finish(5_000);
        let jerk = config.jerk_max_rad_s3[0].max(config.stop_jerk_rad_s3[0]);
        let records: Vec<_> = rig.records.drain().collect();
        for pair in records.windows(2) {
            for i in 0..JOINTS {
                let j = (pair[1].given.acceleration_rad_s2[i]
                    - pair[0].given.acceleration_rad_s2[i])
                    * 1_000.0;
                assert!(j.abs() <= 2.0 * jerk, "{kind:?}: jerk {j}");
            }
        }
        if rig.last.status.limited_total > 0 {
            assert_eq!(state, MotionState::Held, "{kind:?}");
            assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
            assert!(rig.tool().position_m[1] < tool[1] + 0.15);
        } else {
            panic!("{kind:?}: the zone was not in the way");
        }
    }
}

#[test]
fn a_latched_stop_ends_goals_for_good() {
    let mut rig = Rig::ready();
    rig.send(joint_goal(AWAY));
    rig.grip(0.01, 10.0);
    rig.run(200);
    rig.mailbox.requests.stop(StopCategory::ControlledHold);
    rig.run(500);
    assert_eq!(rig.arm_state(), MotionState::Stopped);
    assert_eq!(rig.gripper_state(), MotionState::Stopped);
    assert_eq!(rig.last.status.tool_speed_m_s, 0.0);
    let rests = rig.last.status.setpoint;
    // What comes while the stop is latched is stopped as well.
    let id = rig.send(joint_goal(HOME));
    rig.run(5);
    assert_eq!(
        (rig.last.status.arm_goal_id, rig.arm_state()),
        (id, MotionState::Stopped)
    );
    rig.take_events();
    rig.mailbox.requests.reset();
    rig.run(500);
    assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
    assert_eq!(rig.last.status.setpoint.position_rad, rests.position_rad);
    assert_eq!(
        rig.last.status.setpoint.gripper_width_m,
        rests.gripper_width_m
    );
    rig.send(joint_goal(HOME));
    assert_eq!(rig.finish(5_000), MotionState::Done);
}

#[test]
fn a_robot_that_cannot_be_read_or_written_is_stopped() {
    for blind in [true, false] {
        let mut rig = Rig::ready();
        rig.send(joint_goal(AWAY));
        rig.run(200);
        rig.bench
            .set(|world| (world.blind, world.deaf) = (blind, !blind));
        rig.run(10);
        assert_eq!(rig.last.status.stop_state, StopState::Latched as u32);
        assert_eq!(rig.arm_state(), MotionState::Stopped);
        rig.bench
            .set(|world| (world.blind, world.deaf) = (false, false));
        rig.run(1_500);
        assert!(
            rig.last
                .status
                .frame
                .velocity_rad_s
                .iter()
                .all(|v| v.abs() < 1e-6)
        );
    }
}

#[test]
fn nothing_moves_before_the_first_reset() {
    let mut rig = Rig::booted(safety_config());
    rig.send(joint_goal(AWAY));
    rig.run(100);
    assert_eq!(rig.arm_state(), MotionState::Stopped);
    assert_eq!(rig.last.status.frame.position_rad, HOME);
    assert_eq!(rig.last.record.verdict.kind, VerdictKind::Stop as u32);
}

#[test]
fn the_same_goals_give_the_same_bytes() {
    let run = || {
        let mut rig = Rig::ready();
        let start = rig.tool();
        rig.send(joint_goal(AWAY));
        rig.run(180);
        rig.send(pose_goal(ArmGoalKind::Line, moved(start, [0.0, 0.1, 0.0])));
        rig.run(300);
        let id = rig.send(goal(ArmGoalKind::Chunks));
        let at = rig.last.tick + 1;
        rig.mailbox
            .chunk
            .write(&chunk(1, id, at, 16, rig.tool(), circle));
        rig.run(1_500);
        let records: Vec<_> = rig.records.drain().collect();
        bytemuck::cast_slice::<_, u8>(&records).to_vec()
    };
    assert!(run() == run());
}

#[test]
fn real_time_runs_the_same_tick_and_hands_the_loop_back() {
    let rig = Rig::ready();
    let before = rig.last.tick;
    let paced = sinew_control::pace::Paced::start(rig.control, |_| {}).expect("a thread is left");
    // Slow machines miss deadlines; they still run and count.
    while paced.counts().ticks() < 50 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let control = paced.stop().expect("the loop does not panic");
    assert!(control.last_tick() >= before + 50);
    assert_eq!(
        rig.mailbox.status.latest().map(|status| status.tick),
        Some(control.last_tick())
    );
}
