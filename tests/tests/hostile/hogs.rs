//! Plugins that keep the brain's thread for as long as it lets them, beside one that moves the robot.

use serde_json::json;
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::TaskState;
use sinew_tests::{Rig, plugins};

use crate::guests::{asks, grants, hogs};
use crate::{GRANTS, kit_with, nothing};

const HOGS: usize = 100;
/// How long their ends are waited for.
const GRACE_S_MAX: usize = 60;

/// The robot waits for the brain: its motions are renewed and it is told alive, however many want its thread.
#[test]
fn in_real_time_a_motion_comes_to_its_end_beside_plugins_that_keep_the_thread() {
    let hogs = hogs();
    let mut all = plugins();
    all.extend(hogs.iter().map(crate::guests::Guest::plugin));
    let grants = GRANTS.to_owned() + &grants(hogs.iter().map(asks));
    let kit = kit_with(&grants, &all);
    let mut rig = Rig::in_real_time(&kit, 440, &Profile::calm());
    // One after the other they would keep it for longer than a motion lives without being renewed.
    let beside: Vec<_> = (hogs.iter().cycle().take(HOGS))
        .map(|hog| rig.submit_with(&hog.full_name(), &nothing(), false))
        .collect();
    // Each has had its turn before the robot is asked for anything.
    rig.run_for(1_000);
    for pose in ["look-tray", "home"] {
        let end = rig.run("sinew/go-home", &json!({ "pose": pose }));
        assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
    }
    for &task in &beside {
        let status = rig.host.tasks().status(task).expect("it is known");
        assert_eq!(status.state, TaskState::Running, "{status:?}");
        rig.host.tasks().cancel(task, "test");
    }
    // None of them listens: their grace goes by, which counts in turns, so that it is longer where others have the processors.
    let has_ended = |rig: &mut Rig, task| rig.host.tasks().end(task).is_some();
    for _ in 0..GRACE_S_MAX {
        rig.run_for(1_000);
        if beside.iter().all(|&task| has_ended(&mut rig, task)) {
            break;
        }
    }
    for task in beside {
        let end = rig.host.tasks().end(task).expect("it was ended");
        assert_eq!(end.state, TaskState::Cancelled);
    }
}
