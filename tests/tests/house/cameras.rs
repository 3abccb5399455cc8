//! What the robot knows of its world comes through the cameras and from nowhere else.

use sinew_runtime::sim::{Cell, Profile};
use sinew_runtime::tasks::TaskState;
use sinew_tests::{Blank, Rig, Swapped, kit, kit_parts};

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
    // One tick of the other robot, so that its cameras have exposed.
    let mut frame = bytemuck::Zeroable::zeroed();
    let mut robot = other.robot();
    sinew_runtime::hardware::HardwareComponent::read(&mut robot, 1, &mut frame)
        .expect("the simulated robot can be read");
    let mut cameras: Vec<_> = other.cameras().into_iter().map(Some).collect();

    let mut rig = Rig::with_cameras(202, 0, &calm, |index, own| {
        let other = cameras[index].take().expect("one camera an index");
        Box::new(Swapped {
            own,
            other: Box::new(other),
        })
    });
    order.truncate(1);
    let truth = other.scene();
    let end = rig.run(KIT_PARTS, &kit_parts(&order));
    assert_ne!(end.state, TaskState::Succeeded);
    assert!(!rig.grade(&order).is_complete());
    // It believes what it sees: tracks lie at the other scene's parts.
    let snapshot = rig.host.world().snapshot();
    assert!(!snapshot.objects.is_empty(), "it sees something");
    for object in snapshot
        .objects
        .iter()
        .filter(|object| *object.class == order[0].class)
    {
        let [x, y, _] = object.pose.position_m;
        let nearest = truth
            .model
            .solids
            .iter()
            .zip(&truth.poses)
            .filter(|(solid, _)| solid.class == order[0].class)
            .map(|(_, pose)| (pose.position_m[0] - x).hypot(pose.position_m[1] - y))
            .fold(f64::INFINITY, f64::min);
        assert!(
            nearest < 0.02,
            "{} is {nearest} m from where the images show one",
            object.class
        );
    }
}
