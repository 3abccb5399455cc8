//! The tick does not allocate, whatever it is doing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::common::{Rig, chunk, goal, joint_goal, moved, pose_goal};
use sinew_hardware::plant;
use sinew_messages::{ArmGoal, ArmGoalKind, MotionState, Pose, StopCategory, StopState};
use sinew_safety::{Approval, ApprovedLimits, SafetyLimits};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_source_allocates() {
    let mut rig = Rig::ready();
    let tool = rig.tool();
    let far = Pose {
        position_m: [4.0, 0.0, 0.0],
        ..tool
    };
    let sources = [
        ("hold", goal(ArmGoalKind::Hold), 50),
        (
            "joint",
            joint_goal([0.5, 0.6, 0.1, 1.5, 0.2, 1.1, 0.3]),
            300,
        ),
        ("pose", pose_goal(ArmGoalKind::Pose, tool), 300),
        (
            "line",
            pose_goal(ArmGoalKind::Line, moved(tool, [0.0, 0.1, 0.05])),
            300,
        ),
        (
            "guarded",
            ArmGoal {
                contact_force_n: 5.0,
                ..pose_goal(ArmGoalKind::Guarded, moved(tool, [0.0, 0.1, -0.1]))
            },
            900,
        ),
        ("out of reach", pose_goal(ArmGoalKind::Pose, far), 10),
        ("chunks", goal(ArmGoalKind::Chunks), 900),
    ];
    for (name, what, ticks) in sources {
        let id = rig.send(what);
        let here = rig.tool();
        rig.mailbox
            .chunk
            .write(&chunk(id, id, rig.last.tick, 12, here, |s| {
                [0.0, 0.05 * s, 0.0]
            }));
        rig.grip(0.03, 10.0);
        let before = COUNT.get();
        rig.run(ticks);
        assert_eq!(COUNT.get() - before, 0, "{name} allocates");
    }
    assert_eq!(rig.arm_state(), MotionState::Held, "the chunk ran out");
    let before = COUNT.get();
    rig.mailbox.requests.stop(StopCategory::PowerOff);
    rig.run(100);
    while rig.trail.pop().is_some() {
        rig.trail.acknowledge(1);
    }
    rig.mailbox.requests.reset();
    rig.run(100);
    assert_eq!(COUNT.get() - before, 0, "stop and reset allocate");
    assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
    rig.mailbox.requests.stop(StopCategory::ControlledHold);
    rig.run(100);
    let limits = SafetyLimits::new(plant::safety_config()).expect("valid test limits");
    let approval = Approval::naming(limits.hash());
    let approved =
        ApprovedLimits::new(limits, approval, &rig.chain).expect("the approval names them");
    assert!(rig.activations.ask(Box::new(approved)).is_ok());
    let before = COUNT.get();
    rig.run(1);
    assert_eq!(COUNT.get() - before, 0, "an activation allocates");
    assert_eq!(rig.activations.answer(), Some(Ok(())));
    assert_eq!(rig.control.records_dropped(), 0);
}
