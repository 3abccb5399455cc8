"""Moving, picking up and setting down. Metres, radians, newtons; the base frame, z up."""

from dataclasses import dataclass
from math import atan2, cos, floor, hypot, pi, sin

from wit_world.imports import gripper, motion, world
from wit_world.imports.motion import Goal, Guarded, Target_Guarded, Target_Line, Target_Named, Target_Pose
from wit_world.imports.types import Pose, Quaternion, Vec3

from trouble import Failed

# Ticks between standing still and an image that counts: the hand has settled.
SETTLE_TICKS = 40
# Height at which parts are carried: clear of everything that stands on the table.
CARRY_HEIGHT = 0.20
# Heights above a grasp from which the hand goes straight down, and slowly.
HOVER = 0.10
LAST_BIT = 0.035
# Lowest height of the tool above the floor that a part stands on: the finger tips stay clear of it.
FLOOR_GAP = 0.013
# Share of the speed for the last bit, and the force that ends it.
GENTLE = 0.15
TOUCH_FORCE = 6.0
GRIP_FORCE = 20.0
# Fingers closer than this hold nothing.
EMPTY_WIDTH = 0.012
# How far the fingers open to let go: free of the part, clear of what lies in the next pocket.
RELEASE_OPENING = 0.018
RETREAT = 0.06
# From a part's side to the middle of the open finger beside it, and the widest part that fits between the fingers.
FINGER_REACH = 0.022
GRASP_MAX = 0.062
# An offset of a part in the hand beyond this is an error of the estimate.
OFFSET_MAX = 0.012


@dataclass
class Held:
    """A part in the hand."""

    width: float
    # Its centre along the tool's x axis: the fingers centre it along y only.
    offset: float
    # Its yaw relative to the tool's.
    turn: float


def down(x, y, z, yaw):
    """The tool pointing straight down; the fingers open along the horizontal direction `yaw` - 90°."""
    return Pose(Vec3(x, y, z), Quaternion(cos(yaw / 2), sin(yaw / 2), 0.0, 0.0))


def above(pose, dz):
    at = pose.position
    return Pose(Vec3(at.x, at.y, at.z + dz), pose.orientation)


def yaw_of(pose):
    q = pose.orientation
    return atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))


def half_turn(angle):
    """The same direction of a line, in [-90°, 90°): parts look the same after half a turn."""
    return angle - pi * floor(angle / pi + 0.5)


def distance(a, b):
    """Horizontal distance of two poses."""
    return hypot(a.position.x - b.position.x, a.position.y - b.position.y)


def is_round(part):
    """As long as wide: every yaw is the same."""
    return abs(part.size.x - part.size.y) < 0.1 * max(part.size.x, part.size.y)


def room_around(part, objects):
    """Distance to the nearest neighbour; from 10 cm on, more is no gain."""
    others = (item for item in objects if item.id != part.id)
    return min((distance(part.pose, other.pose) for other in others), default=0.10)


def move(target, speed):
    """Goes there. The host raises what kept the arm from it: it never answers a motion that did not arrive."""
    return motion.move_to(Goal(target, speed, 1.0))


def go_to_named(name, speed):
    return move(Target_Named(name), speed)


def rise(speed):
    """Straight up to the carrying height, if the hand is lower."""
    tool = world.robot().tool
    lift = CARRY_HEIGHT - tool.position.z
    if lift > 0.005:
        move(Target_Line(above(tool, lift)), speed)


def clear(speed):
    """Lets go of whatever the hand may hold and goes up."""
    gripper.open()
    rise(speed)


def pick(part, objects, speed):
    """Grasps a part straight from above and lifts it."""
    at = part.pose.position
    floor_z = at.z - part.size.z / 2
    grasp = down(at.x, at.y, max(at.z, floor_z + FLOOR_GAP), grasp_yaw(part, objects))
    gripper.open()
    move(Target_Pose(above(grasp, HOVER)), speed)
    move(Target_Line(above(grasp, LAST_BIT)), 0.6 * speed)
    move(Target_Guarded(Guarded(grasp, TOUCH_FORCE)), GENTLE * speed)
    grip = gripper.grasp(GRIP_FORCE)
    if grip.width < EMPTY_WIDTH:
        raise Failed("no-grasp", f"the fingers closed to {1e3 * grip.width:.0f} mm")
    held = held_now(grip.width, part)
    rise(0.7 * speed)
    width = world.robot().gripper_width
    if width < EMPTY_WIDTH:
        raise Failed("no-grasp", f"while lifting, the fingers closed to {1e3 * width:.0f} mm")
    return held


def grasp_yaw(part, objects):
    """Yaw of the tool with the most room for both fingers: across the part, or along it where that is tighter."""
    yaw = yaw_of(part.pose)
    if is_round(part):
        options = [(n * pi / 8 - pi / 2, part.size.y) for n in range(8)]
    elif part.size.x <= GRASP_MAX:
        options = [(yaw, part.size.y), (yaw + pi / 2, part.size.x)]
    else:
        options = [(yaw, part.size.y)]
    best, _ = max(options, key=lambda option: finger_room(part, *option, objects))
    return half_turn(best)


def finger_room(part, yaw, extent, objects):
    """Distance from the open fingers to the nearest neighbour's footprint, at most 5 cm."""
    reach = extent / 2 + FINGER_REACH
    room = 0.05
    for side in (-1, 1):
        x = part.pose.position.x + side * reach * sin(yaw)
        y = part.pose.position.y - side * reach * cos(yaw)
        for other in objects:
            if other.id != part.id:
                footprint = hypot(other.size.x, other.size.y) / 2
                gap = hypot(x - other.pose.position.x, y - other.pose.position.y) - footprint
                room = min(room, gap)
    return room


def held_now(width, part):
    """How the part lies in the hand that has just closed around it."""
    tool = world.robot().tool
    yaw = yaw_of(tool)
    dx = part.pose.position.x - tool.position.x
    dy = part.pose.position.y - tool.position.y
    offset = dx * cos(yaw) + dy * sin(yaw)
    # The fingers turn a face of the part to themselves, so it is turned by a quarter or not at all.
    turn = 0.0 if is_round(part) else round(half_turn(yaw_of(part.pose) - yaw) / (pi / 2)) * (pi / 2)
    return Held(width, max(-OFFSET_MAX, min(offset, OFFSET_MAX)), turn)


def set_down(held, target, speed):
    """Carries the part over the target, sets it down turned like the target, and goes up again."""
    low = tool_over(held, target)
    high = above(low, CARRY_HEIGHT - low.position.z)
    move(Target_Pose(high), speed)
    move(Target_Line(above(low, LAST_BIT)), speed)
    if world.robot().gripper_width < EMPTY_WIDTH:
        raise Failed("dropped", "on the way the fingers closed")
    move(Target_Guarded(Guarded(low, TOUCH_FORCE)), GENTLE * speed)
    gripper.move_to(held.width + RELEASE_OPENING, GRIP_FORCE)
    move(Target_Line(above(world.robot().tool, RETREAT)), 0.7 * speed)
    rise(speed)


def tool_over(held, target):
    """The tool that has the part's centre over the target's, the part turned like it."""
    yaw = half_turn(yaw_of(target) - held.turn)
    at = target.position
    return down(at.x - held.offset * cos(yaw), at.y - held.offset * sin(yaw), at.z + FLOOR_GAP, yaw)
