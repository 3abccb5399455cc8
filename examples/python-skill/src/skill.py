"""Takes one part from a bin and puts it into a pocket.

The host calls `SkillRun.run`, which is what the world in `wit/` exports. The modules `wit_world` and
`componentize_py_types` are generated from the WIT files when the component is built. Every import stands at the
top of its file: they are done at build time, and when the skill runs there are no files to import from.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import events, lifecycle, world
from wit_world.imports.types import Checkpoint

import hand
from trouble import Failed, fault_of, failure_of

# Grasps that are tried before the run fails.
MOST_TRIES = 3
# Version of the checkpoint; `manifest.json` lists the ones that are read.
CHECKPOINT = 1
# A part this near to a pocket's centre lies in it, and this near it lies there well, metres.
IN_POCKET = 0.045
GOOD_OFFSET = 0.009
# Images that settle an estimate.
STEADY_IMAGES = 3


class SkillRun(exports.SkillRun):
    def run(self, params, resume):
        try:
            return json.dumps(pick_and_place(json.loads(params), resume))
        except Failed as failed:
            raise Err(failed.failure) from None
        except Err as error:
            raise Err(failure_of(error.value)) from None
        except Exception as error:
            raise Err(fault_of(error)) from None


def pick_and_place(params, resume):
    # The host has checked `params` against the schema in the manifest, but fills in no defaults.
    speed = params.get("speed", 1.0)
    pocket = pocket_named(params["place"])
    tries = tries_so_far(resume)

    hand.rise(speed)
    view = look("look-bin", speed)
    if occupant := in_pocket(view, pocket):
        if not fits(occupant, params) or hand.distance(occupant.pose, pocket.pose) > GOOD_OFFSET:
            raise Failed("blocked-target", f"a {occupant.class_} lies in {pocket.name}")
        return result(tries, occupant, pocket)

    while True:
        part = find(params, view, speed)
        tries += 1
        events.step(f"pick a {part.class_} (try {tries})", part.id)
        try:
            held = hand.pick(part, view.objects, speed)
            break
        except (Failed, Err) as error:
            failure = error.failure if isinstance(error, Failed) else failure_of(error.value)
            # What was lost while it was lifted fell back into the bin.
            if failure.label not in ("no-grasp", "dropped") or tries >= MOST_TRIES:
                raise
        lifecycle.safe_point(Checkpoint(CHECKPOINT, json.dumps({"tries": tries}).encode()))
        hand.clear(speed)
        view = look("look-bin", speed)

    events.step(f"place it in {pocket.name}", None)
    hand.set_down(held, pocket.pose, speed)
    return result(tries, verified(params, pocket, speed), pocket)


def tries_so_far(resume):
    return json.loads(resume.bytes)["tries"] if resume else 0


def result(tries, part, pocket):
    return {"tries": tries, "offset_mm": round(1e3 * hand.distance(part.pose, pocket.pose), 1)}


def pocket_named(name):
    # That there is one was checked too: the schema marks the parameter with `x-sinew-place`.
    return next(place for place in world.places() if place.name == name)


def look(pose, speed, images=1):
    """A snapshot whose images were all taken from the named pose."""
    tick = hand.go_to_named(pose, speed).tick + hand.SETTLE_TICKS
    for _ in range(images):
        view = world.wait_newer(tick)
        tick = view.tick
    return view


def wanted(params):
    return " ".join(filter(None, (params.get("color"), params["class"])))


def fits(item, params):
    return item.class_ == params["class"] and params.get("color") in (None, item.color)


def in_pocket(view, pocket):
    """The object nearest to the pocket's centre, if one lies in it."""
    nearest = min(view.objects, key=lambda item: hand.distance(item.pose, pocket.pose), default=None)
    if nearest and hand.distance(nearest.pose, pocket.pose) <= IN_POCKET:
        return nearest
    return None


def find(params, view, speed):
    """The wanted part with the most room around it."""
    bins = {place.name for place in world.places() if place.kind == "bin"}

    def candidates(view):
        return [item for item in view.objects if item.place in bins and fits(item, params)]

    if not candidates(view):
        # One image may have missed it.
        view = look("look-bin", speed, STEADY_IMAGES)
    found = candidates(view)
    if not found:
        raise Failed("missing-object", f"no {wanted(params)} in a bin")
    return max(found, key=lambda item: hand.room_around(item, view.objects))


def verified(params, pocket, speed):
    """What the cameras see in the pocket afterwards. The host judges the post-conditions by itself."""
    view = look("look-tray", speed, STEADY_IMAGES)
    part = in_pocket(view, pocket)
    # Out of the way of the camera above, by which the host judges.
    hand.go_to_named("look-bin", speed)
    if part is None or not fits(part, params):
        raise Failed("misplaced", f"no {wanted(params)} to be seen in {pocket.name}")
    return part
