//! Picking up, carrying and setting down.

use core::f64::consts::{FRAC_PI_2, PI};

use sinew_sdk::prelude::*;
use sinew_sdk::wrap_angle;

use crate::geometry::{free_spot, grasp_yaw, symmetry};

/// Height at which parts are carried: clear of everything that stands on the table.
pub const CARRY_HEIGHT: f64 = 0.20;
/// Height above a part's centre at which the grasp policy takes over.
const POLICY_START: f64 = 0.15;
/// Height above a part's centre from which the hand goes straight down.
const HOVER: f64 = 0.10;
/// Lowest height of the tool above the floor that a part stands on: the finger tips stay clear of it.
const FLOOR_GAP: f64 = 0.013;
/// Ticks that the grasp policy gets.
const POLICY_TICKS: u64 = 10_000;
/// Force with which a part is held, newtons: several times what its weight needs.
const GRIP_FORCE: f64 = 20.0;
/// Fingers closer than this hold nothing that is kitted.
const EMPTY_WIDTH: f64 = 0.012;
/// A held part does not get thinner by more than this.
const WIDTH_SLACK: f64 = 0.006;
/// A grip force below this is no grip.
const FORCE_GONE: f64 = 0.3;
/// Ticks between two glances at the grip while something is carried.
const WATCH_TICKS: u64 = 40;
/// Force that ends a descent, newtons.
const TOUCH_FORCE: f64 = 6.0;
/// How far the fingers open to let a part go, beyond its width: wide enough to be free, too narrow to sweep
/// the neighbouring pocket.
const RELEASE_OPENING: f64 = 0.018;
/// How high the hand goes straight up after letting go.
const RETREAT: f64 = 0.06;
/// Share of the speed for the last bit of a descent onto something, and how long that bit is.
const GENTLE: f64 = 0.15;
const LAST_BIT: f64 = 0.035;
/// Largest offset between tool and part that is believed: beyond it the estimate is wrong, not the grasp.
const OFFSET_MAX: f64 = 0.012;
/// Free distance that a part needs when it is put back into the bin.
const SPOT_CLEARANCE: f64 = 0.035;

/// A part in the hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Distance of the fingers around it, metres.
    pub width: f64,
    /// Its centre along the tool's x axis, metres: the fingers centre it along y only.
    pub offset: f64,
    /// Its yaw relative to the tool's, radians: the fingers turn a face to themselves, so 0 or a quarter.
    pub turn: f64,
}

impl Held {
    fn new(width: f64, object: &Object, tool: &Pose) -> Self {
        let (sin, cos) = tool.yaw().sin_cos();
        let dx = object.pose.position.x - tool.position.x;
        let dy = object.pose.position.y - tool.position.y;
        let turn = if symmetry(object) == 0.0 {
            0.0
        } else {
            let apart = wrap_angle(object.pose.yaw() - tool.yaw(), PI);
            (apart / FRAC_PI_2).round() * FRAC_PI_2
        };
        Self {
            width,
            offset: (dx * cos + dy * sin).clamp(-OFFSET_MAX, OFFSET_MAX),
            turn,
        }
    }

    /// The tool that has the part's centre above `(x, y)` and the part turned by `yaw`.
    fn tool_over(&self, target: &Pose, z: f64) -> Pose {
        let yaw = wrap_angle(target.yaw() - self.turn, PI);
        let (sin, cos) = yaw.sin_cos();
        Pose::down(
            target.position.x - self.offset * cos,
            target.position.y - self.offset * sin,
            z,
            yaw,
        )
    }
}

/// Goes straight up to the carrying height, if the hand is lower.
///
/// # Errors
/// What kept the arm from getting there.
pub fn rise(robot: &mut Robot, speed: f64) -> Result<(), Error> {
    let tool = robot.world.robot()?.tool;
    if tool.position.z < CARRY_HEIGHT - 0.005 {
        let lift = CARRY_HEIGHT - tool.position.z;
        robot
            .motion
            .move_to(Goal::line(tool.above(lift)).speed(speed))?;
    }
    Ok(())
}

/// Lets go of whatever the hand may hold and goes up.
///
/// # Errors
/// What kept gripper or arm from it.
pub fn clear_hand(robot: &mut Robot, speed: f64) -> Result<(), Error> {
    robot.gripper.open()?;
    rise(robot, speed)
}

/// Grasps `object` by the learned policy and lifts it to the carrying height.
///
/// # Errors
/// `no-grasp`, `low-confidence`, `policy-stall`, `slip`, or what the motion said. The hand may be low then.
pub fn pick_by_policy(
    robot: &mut Robot,
    object: &Object,
    policy: &str,
    speed: f64,
) -> Result<Held, Failure> {
    let above = object
        .pose
        .pointed_down(policy_yaw(object))
        .above(POLICY_START);
    robot.gripper.open()?;
    robot.motion.move_to(Goal::pose(above).speed(speed))?;
    let outcome = match robot.policy.run(policy, object.id, POLICY_TICKS) {
        // The track may have ended while the hand came near; another look finds the part again.
        Err(Error::Other(problem)) if problem.label == "missing-object" => {
            return Err(Failure::new(
                "no-grasp",
                format!("policy `{policy}`: {}", problem.message),
            ));
        }
        answer => answer?,
    };
    if outcome.state != PolicyState::Done {
        // A host that gives no label means that the part was not grasped.
        let label = match outcome.label.as_str() {
            "" => "no-grasp",
            label => label,
        };
        return Err(Failure::new(
            label,
            format!("policy `{policy}`: {}", outcome.message),
        ));
    }
    lift(robot, object, speed)
}

/// The policy grasps across the part's width; what is round is taken as the hand stands.
fn policy_yaw(object: &Object) -> f64 {
    if symmetry(object) == 0.0 {
        0.0
    } else {
        wrap_angle(object.pose.yaw(), PI)
    }
}

/// Grasps `object` straight from above, with the fingers where `all` the others leave most room, and lifts it
/// to the carrying height. For what the policy was not trained for: other places, crowded neighbours.
///
/// # Errors
/// `no-grasp`, `slip`, or what the motion said. The hand may be low then.
pub fn pick_by_hand(
    robot: &mut Robot,
    object: &Object,
    all: &[Object],
    speed: f64,
) -> Result<Held, Failure> {
    let yaw = grasp_yaw(object, all);
    let centre = object.pose.position;
    let floor = centre.z - object.size.z / 2.0;
    let down = Pose::down(centre.x, centre.y, centre.z.max(floor + FLOOR_GAP), yaw);
    robot.gripper.open()?;
    robot
        .motion
        .move_to(Goal::pose(down.above(HOVER)).speed(speed))?;
    robot
        .motion
        .move_to(Goal::line(down.above(LAST_BIT)).speed(speed * 0.6))?;
    robot
        .motion
        .move_to(Goal::guarded(down, TOUCH_FORCE).speed(speed * GENTLE))?;
    robot.gripper.grasp(GRIP_FORCE)?;
    lift(robot, object, speed)
}

/// Makes sure that something is held and lifts it.
fn lift(robot: &mut Robot, object: &Object, speed: f64) -> Result<Held, Failure> {
    let grip = robot.gripper.grasp(GRIP_FORCE)?;
    let tool = robot.world.robot()?.tool;
    if grip.width < EMPTY_WIDTH {
        return Err(Failure::new(
            "no-grasp",
            format!("the fingers closed to {:.0} mm", grip.width * 1e3),
        ));
    }
    let held = Held::new(grip.width, object, &tool);
    rise(robot, speed * 0.7)?;
    match lost(robot, &held)? {
        None => Ok(held),
        Some(how) => Err(Failure::new("slip", format!("while lifting: {how}"))),
    }
}

/// How the part was lost, if it was.
fn lost(robot: &Robot, held: &Held) -> Result<Option<String>, Error> {
    let state = robot.world.robot()?;
    let width = state.gripper_width;
    Ok(if width < EMPTY_WIDTH.max(held.width - WIDTH_SLACK) {
        Some(format!(
            "the fingers closed from {:.0} to {:.0} mm",
            held.width * 1e3,
            width * 1e3
        ))
    } else if state.gripper_force < FORCE_GONE {
        Some(format!("the grip force is {:.1} N", state.gripper_force))
    } else {
        None
    })
}

/// Moves while watching the grip.
///
/// # Errors
/// `dropped` as soon as the part is lost (the arm brakes there), or what the motion said.
fn carry(robot: &mut Robot, held: &Held, goal: Goal) -> Result<(), Failure> {
    let moving = robot.motion.start(goal)?;
    // One reading may be the dip of a bump: two in a row are a loss.
    let mut doubts = 0;
    while robot.motion.wait_any(&[&moving], WATCH_TICKS)?.is_none() {
        match lost(robot, held)? {
            None => doubts = 0,
            Some(_) if doubts == 0 => doubts = 1,
            Some(how) => {
                moving.cancel()?;
                moving.wait()?;
                return Err(Failure::new("dropped", format!("on the way: {how}")));
            }
        }
    }
    moving.wait()?.reached()?;
    if let Some(first) = lost(robot, held)? {
        robot.clock.sleep(WATCH_TICKS)?;
        if lost(robot, held)?.is_some() {
            return Err(Failure::new("dropped", format!("on the way: {first}")));
        }
    }
    Ok(())
}

/// Carries the held part over `target` (centre of a floor) and sets it down there, turned like the target,
/// then retreats to the carrying height.
///
/// # Errors
/// `dropped` if it was lost on the way, or what the motion said.
pub fn set_down(robot: &mut Robot, held: &Held, target: &Pose, speed: f64) -> Result<(), Failure> {
    let high = held.tool_over(target, CARRY_HEIGHT);
    carry(robot, held, Goal::pose(high).speed(speed))?;
    let low = held.tool_over(target, target.position.z + FLOOR_GAP);
    // Down quickly at first, gently from where the part may touch, if it hangs lower than expected.
    carry(robot, held, Goal::line(low.above(LAST_BIT)).speed(speed))?;
    robot
        .motion
        .move_to(Goal::guarded(low, TOUCH_FORCE).speed(speed * GENTLE))?;
    robot
        .gripper
        .move_to(held.width + RELEASE_OPENING, GRIP_FORCE)?;
    let tool = robot.world.robot()?.tool;
    robot
        .motion
        .move_to(Goal::line(tool.above(RETREAT)).speed(speed * 0.7))?;
    rise(robot, speed)?;
    Ok(())
}

/// Puts the held part into a bin, where it has the most room.
///
/// # Errors
/// `blocked-target` if no bin has a free spot; otherwise as [`set_down`].
pub fn put_into_bin(
    robot: &mut Robot,
    held: &Held,
    all: &[Object],
    speed: f64,
) -> Result<(), Failure> {
    let places = robot.world.places()?;
    let spot = places
        .iter()
        .filter(|place| place.kind == "bin")
        .find_map(|bin| free_spot(bin, all, SPOT_CLEARANCE));
    let Some(spot) = spot else {
        return Err(Failure::new("blocked-target", "no bin has a free spot"));
    };
    set_down(robot, held, &spot, speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(x: f64, y: f64, yaw: f64) -> Object {
        Object {
            id: 1,
            class: "block".to_owned(),
            color: "red".to_owned(),
            pose: Pose::upright(x, y, 0.015, yaw),
            velocity: Vec3::new(0.0, 0.0, 0.0),
            size: Vec3::new(0.05, 0.03, 0.03),
            confidence: 0.9,
            position_sigma: 0.002,
            first_seen: 1,
            last_seen: 1,
            place: String::new(),
        }
    }

    /// Where the part's centre and yaw come to be when the hand stands at `tool`.
    fn carried(held: &Held, tool: &Pose) -> (f64, f64, f64) {
        let (sin, cos) = tool.yaw().sin_cos();
        (
            tool.position.x + held.offset * cos,
            tool.position.y + held.offset * sin,
            tool.yaw() + held.turn,
        )
    }

    #[test]
    fn a_part_comes_to_lie_on_its_target_however_it_was_grasped() {
        let target = Pose::upright(0.42, 0.15, 0.002, 0.0);
        for (yaw, tool_yaw, along) in [
            (0.0, 0.0, 0.0),
            (0.5, 0.5, 0.006),
            (-1.2, -1.25, -0.004),
            (0.3, 0.3 - FRAC_PI_2, 0.005),
            (1.4, 1.4 - PI, 0.007),
        ] {
            let tool = Pose::down(0.5, -0.2, 0.015, tool_yaw);
            let (sin, cos) = f64::sin_cos(tool_yaw);
            let part = block(0.5 + along * cos, -0.2 + along * sin, yaw);
            let held = Held::new(0.03, &part, &tool);
            let (x, y, yaw) = carried(&held, &held.tool_over(&target, 0.1));
            assert!(
                (x - 0.42).abs() < 1e-9 && (y - 0.15).abs() < 1e-9,
                "{x} {y}"
            );
            assert!(wrap_angle(yaw, PI).abs() < 1e-9, "{yaw}");
        }
    }

    #[test]
    fn an_absurd_offset_is_not_believed() {
        let held = Held::new(
            0.03,
            &block(0.6, -0.2, 0.0),
            &Pose::down(0.5, -0.2, 0.015, 0.0),
        );
        assert_eq!(held.offset, OFFSET_MAX);
    }
}
