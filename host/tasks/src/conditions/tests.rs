use super::*;
use bytemuck::Zeroable;
use serde_json::json;
use sinew_messages::Pose;

fn pose(x: f64, y: f64, yaw: f64) -> Pose {
    Pose {
        position_m: [x, y, 0.015],
        orientation_xyzw: [0.0, 0.0, (yaw / 2.0).sin(), (yaw / 2.0).cos()],
    }
}

fn object(id: u64, class: &str, color: &str, pose: Pose) -> ObjectTrack {
    ObjectTrack {
        id,
        class: class.into(),
        color: color.into(),
        pose,
        velocity_m_s: [0.0; 3],
        size_m: if class == "puck" {
            [0.036, 0.036, 0.03]
        } else {
            [0.05, 0.03, 0.03]
        },
        confidence: 0.9,
        position_sigma_m: 0.001,
        first_seen_tick: 0,
        last_seen_tick: 0,
    }
}

fn place(name: &str, x: f64, y: f64, size: f64) -> Place {
    Place {
        name: name.into(),
        kind: "pocket".to_owned(),
        pose: Pose {
            position_m: [x, y, 0.0],
            ..Pose::IDENTITY
        },
        // Lower than the middle of a part.
        size_m: [size, size, if size < 0.1 { 0.004 } else { 0.1 }],
    }
}

struct Scene {
    snapshot: WorldSnapshot,
    places: Vec<Place>,
    status: LoopStatus,
    poses: BTreeMap<String, JointVector>,
    leases: Leases,
}

fn scene(objects: Vec<ObjectTrack>) -> Scene {
    let mut snapshot = WorldSnapshot::empty();
    snapshot.objects = objects;
    Scene {
        snapshot,
        places: vec![
            place("A1", 0.4, 0.2, 0.08),
            place("A2", 0.4, 0.3, 0.08),
            place("bin", 0.4, -0.2, 0.3),
        ],
        status: LoopStatus::zeroed(),
        poses: BTreeMap::from([("home".to_owned(), [0.1; 7])]),
        leases: Leases::default(),
    }
}

fn judge(scene: &Scene, condition: Value, params: &Value, schema: &Value) -> Option<String> {
    let Value::Object(map) = condition else {
        panic!("a condition is an object");
    };
    let conditions = Condition::parse_all(&[map]).expect("the condition is sound");
    let view = WorldView {
        snapshot: &scene.snapshot,
        places: &scene.places,
        status: &scene.status,
        named_poses: &scene.poses,
        leases: &scene.leases,
        task: TaskId(1),
    };
    conditions[0].judge(params, schema, &view).err()
}

#[test]
fn class_in_slot_looks_at_class_colour_position_and_yaw() {
    let condition = json!({
        "predicate": "class-in-slot", "each": "/order", "class": "/class", "color": "/color",
        "slot": "/slot", "position_tolerance_m": 0.012, "yaw_tolerance_deg": 17.0,
    });
    let order = json!({ "order": [
        { "class": "block", "color": "red", "slot": "A1" },
        { "class": "puck", "slot": "A2" },
    ]});
    let check = |block: ObjectTrack, puck: ObjectTrack, expected: Option<&str>| {
        let scene = scene(vec![block, puck]);
        let found = judge(&scene, condition.clone(), &order, &Value::Null);
        assert_eq!(found.as_deref(), expected);
    };
    let block = |x, yaw| object(1, "block", "red", pose(x, 0.2, yaw));
    let puck = |yaw| object(2, "puck", "blue", pose(0.4, 0.3, yaw));
    check(block(0.405, 0.1), puck(1.0), None);
    // Half a turn looks the same.
    check(block(0.395, 3.1), puck(0.0), None);
    check(
        block(0.42, 0.0),
        puck(0.0),
        Some("/order/0: the red block in A1 lies 20 mm and 0° off"),
    );
    // On its end, a block's top is 20 mm higher than that of one that lies.
    let mut on_end = block(0.4, 0.0);
    on_end.pose.position_m[2] += 0.02;
    check(
        on_end,
        puck(0.0),
        Some("/order/0: the red block in A1 lies 0 mm and 0° off, +20 mm above its floor"),
    );
    check(
        block(0.4, 0.5),
        puck(0.0),
        Some("/order/0: the red block in A1 lies 0 mm and 29° off"),
    );
    check(
        object(1, "block", "green", pose(0.4, 0.2, 0.0)),
        puck(0.0),
        Some("/order/0: no red block in A1: there is green block"),
    );
    check(
        block(0.4, 0.0),
        object(2, "puck", "red", pose(0.4, -0.2, 0.0)),
        Some("/order/1: no puck in A2: it looks empty"),
    );
    check(
        block(f64::NAN, 0.0),
        puck(0.0),
        Some("/order/0: no red block in A1: it looks empty"),
    );
}

#[test]
fn the_other_predicates_look_at_the_robot_and_the_places() {
    let mut scene = scene(vec![object(1, "block", "red", pose(0.4, -0.2, 0.0))]);
    let none = Value::Null;
    let count = |min: u64, max: u64| json!({ "predicate": "count", "place": "bin", "class": "block", "min": min, "max": max });
    assert_eq!(judge(&scene, count(1, 1), &none, &none), None);
    assert!(judge(&scene, count(2, 9), &none, &none).is_some());
    assert!(judge(&scene, count(0, 0), &none, &none).is_some());

    let holding = |value: bool| json!({ "predicate": "holding", "value": value });
    assert_eq!(judge(&scene, holding(false), &none, &none), None);
    scene.status.frame.gripper_width_m = 0.03;
    scene.status.frame.gripper_force_n = 15.0;
    assert!(judge(&scene, holding(false), &none, &none).is_some());
    assert_eq!(judge(&scene, holding(true), &none, &none), None);

    // The schema's default stands in for what the parameters lack.
    let at_pose = json!({ "predicate": "at-pose", "pose": "/pose" });
    let schema = json!({ "properties": { "pose": { "default": "home" } } });
    assert!(judge(&scene, at_pose.clone(), &json!({}), &schema).is_some());
    scene.status.frame.position_rad = [0.101; 7];
    assert_eq!(judge(&scene, at_pose.clone(), &json!({}), &schema), None);
    let unknown = judge(&scene, at_pose, &json!({ "pose": "away" }), &schema);
    assert_eq!(
        unknown.as_deref(),
        Some("no pose is named `away`; there are home")
    );

    let free = json!({ "predicate": "part-free", "part": "arm" });
    assert_eq!(judge(&scene, free.clone(), &none, &none), None);
    let arm = crate::lease::RobotParts {
        arm: true,
        gripper: false,
    };
    scene.leases.take(arm, TaskId(2)).expect("it is free");
    assert!(judge(&scene, free, &none, &none).is_some());
}

#[test]
fn what_is_not_in_the_set_is_refused() {
    let check = |condition: Value, expected: &str| {
        let Value::Object(map) = condition else {
            panic!("a condition is an object");
        };
        let good = json!({ "predicate": "holding", "value": false });
        let Value::Object(good) = good else {
            panic!("a condition is an object");
        };
        let error = Condition::parse_all(&[good, map]).expect_err(expected);
        assert_eq!(error.index, 1);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        json!({ "predicate": "polished" }),
        "unknown variant `polished`",
    );
    check(json!({ "predicate": "polished" }), "`class-in-slot`");
    check(json!({ "value": true }), "missing field `predicate`");
    check(json!({ "predicate": "holding" }), "missing field `value`");
    check(
        json!({ "predicate": "holding", "value": true, "valeu": true }),
        "unknown field `valeu`",
    );
    check(
        json!({ "predicate": "holding", "value": true, "each": 3 }),
        "must be a JSON Pointer",
    );
    check(
        json!({ "predicate": "count", "place": "bin" }),
        "needs `min` or `max`",
    );
}

#[test]
fn what_is_judged_in_a_step_is_bounded() {
    let one = json!({ "predicate": "holding", "value": false });
    let Value::Object(map) = one.clone() else {
        panic!("a condition is an object");
    };
    assert!(Condition::parse_all(&vec![map.clone(); CONDITIONS_MAX]).is_ok());
    let error = Condition::parse_all(&vec![map; CONDITIONS_MAX + 1]).expect_err("too many");
    assert!(error.to_string().contains("64 are allowed"), "{error}");
    let each = json!({ "predicate": "holding", "value": false, "each": "/all" });
    let of = |entries: usize| json!({ "all": vec![0; entries] });
    let check = |times: usize, entries: usize| {
        let Value::Object(map) = each.clone() else {
            panic!("a condition is an object");
        };
        let conditions = Condition::parse_all(&vec![map; times]).expect("sound conditions");
        Condition::check_entries(&conditions, &of(entries), &Value::Null)
    };
    assert_eq!(check(2, EACH_MAX), Ok(()));
    let reason = check(1, EACH_MAX + 1).expect_err("too many");
    assert!(reason.contains("(/all) leads to 1001 entries"), "{reason}");
    let reason = check(3, EACH_MAX).expect_err("too many");
    assert!(reason.contains("about 3000 entries"), "{reason}");
    assert_eq!(check(64, 30), Ok(()));
}

#[test]
fn what_takes_long_to_judge_is_refused() {
    let pointer = |levels: usize| "/x".repeat(levels);
    let parse = |pointer: String| {
        let declared = json!({"predicate": "part-free", "part": pointer});
        let Value::Object(map) = declared else {
            panic!("an object");
        };
        Condition::parse_all(&[map])
    };
    assert!(parse(pointer(8)).is_ok());
    let error = parse(pointer(9)).expect_err("too deep");
    assert!(error.reason.contains("9 levels"), "{error}");
    assert!(parse(format!("/{}", "y".repeat(300))).is_err());
    // A literal may have any form.
    assert!(parse("y".repeat(300)).is_ok());
}
