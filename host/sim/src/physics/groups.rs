//! Who collides with whom: the robot with everything but itself.

use rapier3d::prelude as rp;

const WORLD: rp::Group = rp::Group::GROUP_1;
const ROBOT: rp::Group = rp::Group::GROUP_2;

/// Fixtures and loose objects.
pub(super) fn world() -> rp::InteractionGroups {
    rp::InteractionGroups::new(WORLD, rp::Group::ALL, rp::InteractionTestMode::And)
}

/// Links, hand and fingers. Collisions among them are the safety gate's business.
pub(super) fn robot() -> rp::InteractionGroups {
    rp::InteractionGroups::new(ROBOT, WORLD, rp::InteractionTestMode::And)
}
