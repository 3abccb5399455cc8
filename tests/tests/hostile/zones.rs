//! Zones of a grant on the whole host: the arm follows its own path through space, and what was not granted stays out of it.

use serde_json::{Value, json};
use sinew_runtime::kit::Kit;
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::{TaskEnd, TaskState};
use sinew_tests::{Rig, kit_parts, plugins};

use crate::nothing;

/// What the plugins here may do if nothing narrows it.
const MISBEHAVE: &str = crate::GRANTS;
const KIT_PARTS: &str = "[plugins.\"sinew/kit-parts\"]\ninterfaces = [\"clock\", \"events\", \"gripper\", \"lifecycle\", \
                         \"motion\", \"policy\", \"world\"]\npolicies = [\"grasp\"]\n";

type Point = [f64; 3];

/// A box that a plugin is to keep out of.
#[derive(Clone, Copy)]
struct Post {
    min_m: Point,
    max_m: Point,
}

impl Post {
    fn contains(&self, point: &Point) -> bool {
        (0..3).all(|axis| (self.min_m[axis]..=self.max_m[axis]).contains(&point[axis]))
    }

    fn grant(&self, plugin: &str) -> String {
        let Self { min_m, max_m } = self;
        format!(
            "[[plugins.\"{plugin}\".zones_out]]\nname = \"post\"\nmin_m = {min_m:?}\nmax_m = {max_m:?}\n"
        )
    }
}

fn kit_with(grants: &str) -> Kit {
    crate::kit_with(grants, &plugins())
}

/// Where the tool was in every tick of a task, and how that ended.
fn run(rig: &mut Rig, skill: &str, params: &Value) -> (Vec<Point>, TaskEnd) {
    let task = rig.submit_with(skill, params, false);
    let mut path = Vec::new();
    for _ in 0..300_000 {
        rig.run_for(1);
        path.push(rig.host.status().tool_pose.position_m);
        if let Some(end) = rig.host.tasks().end(task).cloned() {
            rig.run_for(300);
            return (path, end);
        }
    }
    panic!("the task did not end");
}

fn distance(a: &Point, b: &Point) -> f64 {
    (0..3)
        .map(|axis| (a[axis] - b[axis]).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// It was refused and not stopped: the robot rests, the log has it, and whoever has no such zone goes on.
fn was_kept_out(rig: &mut Rig, path: &[Point], post: &Post, end: &TaskEnd, plugin: &str) {
    assert_eq!(end.state, TaskState::Failed, "{}", end.message);
    let deepest = path.iter().filter(|point| post.contains(point)).count();
    assert_eq!(deepest, 0, "ticks in the post: {}", end.message);
    assert_eq!(rig.host.status().stop_state, 0, "nobody has to reset it");
    assert!(!rig.moves());
    let denied: Vec<Value> = (rig.records().into_iter())
        .filter(|(kind, _)| kind == "grant-denied")
        .map(|(_, content)| content)
        .collect();
    assert!(
        !denied.is_empty() && denied.iter().all(|content| content["plugin"] == plugin),
        "{denied:?}"
    );
    let told = denied
        .iter()
        .any(|content| (content["text"].as_str()).is_some_and(|text| text.contains("`post`")));
    assert!(told, "{denied:?}");
    let home = rig.run("sinew/go-home", &nothing());
    assert_eq!(home.state, TaskState::Succeeded, "{}", home.message);
}

#[test]
fn a_post_in_the_way_of_a_motion_is_not_touched() {
    let there = json!({"act": "move", "pose": "look-bin"});
    let mut rig = Rig::of(&kit_with(MISBEHAVE), 440, 0, &Profile::calm());
    let (path, end) = run(&mut rig, "test/misbehave", &there);
    assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
    // In the middle of a way whose both ends are allowed.
    let (first, last) = (path[0], path[path.len() - 1]);
    let half = distance(&first, &last) / 2.0;
    let middle = (path.iter())
        .find(|point| distance(&first, point) > half)
        .expect("it gets there");
    let post = Post {
        min_m: middle.map(|at| at - 0.02),
        max_m: middle.map(|at| at + 0.02),
    };
    assert!(!post.contains(&first) && !post.contains(&last));
    assert!(path.iter().any(|point| post.contains(point)));

    let grants = MISBEHAVE.to_owned() + &post.grant("test/misbehave");
    let mut rig = Rig::of(&kit_with(&grants), 440, 0, &Profile::calm());
    let (path, end) = run(&mut rig, "test/misbehave", &there);
    was_kept_out(&mut rig, &path, &post, &end, "test/misbehave");
    // It was braked before it, and not kept from setting out.
    let nearest = path
        .iter()
        .map(|point| distance(middle, point))
        .fold(f64::INFINITY, f64::min);
    assert!(nearest < half, "it has moved: {nearest} of {half}");
}

#[test]
fn a_policy_does_not_reach_where_its_skill_may_not() {
    let mut rig = Rig::of(
        &kit_with(&(MISBEHAVE.to_owned() + KIT_PARTS)),
        441,
        0,
        &Profile::calm(),
    );
    let params = kit_parts(&rig.order[..1]);
    let (low, end) = rig.run_and_watch_low_points("sinew/kit-parts", &params);
    assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
    // Around the part, as high as the hand comes to take it, and no higher: the way above it is free.
    let [x, y] = low[0];
    let post = Post {
        min_m: [x - 0.03, y - 0.03, 0.0],
        max_m: [x + 0.03, y + 0.03, 0.16],
    };
    let grants = MISBEHAVE.to_owned() + KIT_PARTS + &post.grant("sinew/kit-parts");
    let mut rig = Rig::of(&kit_with(&grants), 441, 0, &Profile::calm());
    let (path, end) = run(&mut rig, "sinew/kit-parts", &params);
    was_kept_out(&mut rig, &path, &post, &end, "sinew/kit-parts");
    let above = path
        .iter()
        .any(|point| (point[0] - x).hypot(point[1] - y) < 0.03);
    assert!(above, "it was on its way down when it was braked");
}
