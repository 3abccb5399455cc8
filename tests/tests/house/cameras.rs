//! What the robot knows of its world comes through the cameras and from nowhere else.

use sinew_runtime::sim::{Cell, OrderLine, Profile};
use sinew_runtime::tasks::TaskState;
use sinew_tests::{Blank, OtherTime, Rig, Swapped, kit, kit_parts};

const KIT_PARTS: &str = "sinew/kit-parts";

#[test]
fn without_images_nothing_is_found() {
    let mut rig = Rig::with_cameras(201, 0, &Profile::calm(), |_, camera| {
        Box::new(Blank(camera))
    });
    let order = rig.order.clone();
    let end = rig.run(KIT_PARTS, &kit_parts(&order[..1]));
    assert_eq!(end.state, TaskState::Failed);
    assert!(rig.host.world().snapshot().objects.is_empty());
    assert_eq!(rig.grade(&order).placed(), 0);
}

/// With the images of another scene the robot reaches for where the part lies over there.
#[test]
fn with_another_scenes_images_it_reaches_for_the_wrong_places() {
    let calm = Profile::calm();
    let config = kit().config();
    let other = Cell::new(&config.robot, &config.cell);
    let mut order = other.reset(202, 1, &calm).order;
    let time = OtherTime::new(Box::new(other.robot()));
    let mut cameras: Vec<_> = other.cameras().into_iter().map(Some).collect();

    let mut rig = Rig::with_cameras(202, 0, &calm, |index, own| {
        let other = cameras[index].take().expect("one camera an index");
        Box::new(Swapped {
            own,
            other: Box::new(other),
            time: time.clone(),
            shown: 0,
        })
    });
    order.truncate(1);
    let shown = places_of(&other, &order[0]);
    let own = places_of(&rig.cell, &order[0]);
    let (low, end) = rig.run_and_watch_low_points(KIT_PARTS, &kit_parts(&order));
    assert_ne!(end.state, TaskState::Succeeded);
    assert!(!rig.grade(&order).is_complete());
    // It believes what it sees, and reaches for it: in the bin the hand goes down where the images show such a
    // part, and where none lies in the cell that it moves in.
    let reach = |at: &[f64; 2], places: &[[f64; 2]]| {
        (places.iter())
            .map(|[x, y]| (x - at[0]).hypot(y - at[1]))
            .fold(f64::INFINITY, f64::min)
    };
    assert!(!low.is_empty(), "it reached for nothing: {}", end.message);
    for at in &low {
        assert!(
            reach(at, &shown) < 0.03,
            "{at:?} is not where the images show one: {shown:?}"
        );
        assert!(
            reach(at, &own) > 0.03,
            "{at:?} is where one lies indeed: {own:?}"
        );
    }
}

/// Where parts of a line's class and colour lie, metres.
fn places_of(cell: &Cell, line: &OrderLine) -> Vec<[f64; 2]> {
    let scene = cell.scene();
    (scene.model.solids.iter().zip(&scene.poses))
        .filter(|(solid, _)| solid.class == line.class && solid.color == line.color)
        .map(|(_, pose)| [pose.position_m[0], pose.position_m[1]])
        .collect()
}
