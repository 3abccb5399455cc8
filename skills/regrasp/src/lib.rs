//! Takes a part again that was not grasped, slipped, fell on the way or lies badly, and puts it back into
//! the bin, alone, where the skill finds it and can grasp it.
//!
//! It reads the failing skill's detail ([`kitting::Trouble`]) and parameters ([`kitting::Params`]).

use kitting::{
    CARRY_HEIGHT, Fit, Held, Line, Looks, Params, Trouble, clear_hand, look, pick_by_hand,
    put_into_bin, rise, seen_after,
};
use sinew_sdk::Snapshot;
use sinew_sdk::prelude::*;

/// Tries to take the part before it gives up.
const TRIES: u32 = 3;
/// Ticks that one try takes, about.
const TRY_TICKS: u64 = 12_000;
/// A part within this distance of a pocket's centre, metres, belongs to it.
const IN_POCKET: f64 = 0.045;
/// A part that lies within this of where it was lost is the lost one rather than another of its kind, metres.
const NEARBY: f64 = 0.20;

struct Regrasp;

#[recovery]
impl Recovery for Regrasp {
    fn assess(failure: &Failure, context: &Context, _robot: &mut Robot) -> Option<Proposal> {
        let trouble: Trouble = failure.detail()?;
        context.params::<Params>().ok()?;
        let success = match failure.label.as_str() {
            "no-grasp" | "low-confidence" | "policy-stall" => 0.85,
            "slip" | "dropped" => 0.8,
            "misplaced" | "wrong-object" | "blocked-target" => 0.8,
            _ => return None,
        };
        Some(Proposal {
            plan: format!(
                "find the {} again, put it alone into the bin",
                trouble.line().name()
            ),
            cost_ticks: TRY_TICKS,
            success: success * 0.7_f64.powi(context.attempts.min(8) as i32),
        })
    }

    fn recover(
        failure: &Failure,
        context: &Context,
        robot: &mut Robot,
    ) -> Result<Recovered, Failure> {
        let params: Params = context.params()?;
        let Some(trouble) = failure.detail::<Trouble>() else {
            return Err(Failure::new(
                "skill-fault",
                "the failure has no kitting detail",
            ));
        };
        let speed = params.speed;
        clear_hand(robot, speed)?;
        let bins: Vec<String> = (robot.world.places()?.into_iter())
            .filter(|place| place.kind == "bin")
            .map(|bin| bin.name)
            .collect();
        let mut last = None;
        for attempt in 1..=TRIES {
            robot.events.step(&format!(
                "look for the {} ({attempt} of {TRIES})",
                trouble.line().name()
            ));
            let Some((part, view)) = find(robot, &failure.label, &trouble, &params)? else {
                return Err(Failure::new(
                    "missing-object",
                    format!("the {} is nowhere to be seen", trouble.line().name()),
                )
                .with_detail(&trouble));
            };
            if fell_back(&failure.label) && bins.contains(&part.place) {
                return Ok(Recovered::resume(format!(
                    "the {} fell back into the bin",
                    trouble.line().name()
                )));
            }
            robot
                .events
                .step_on(&format!("take the {}", part.class), part.id);
            match take(robot, &part, &view, speed) {
                Ok(()) => {
                    return Ok(Recovered::resume(format!(
                        "put the {} {} back into the bin",
                        part.color, part.class
                    )));
                }
                Err(failure) if is_final(&failure) => return Err(failure.with_detail(&trouble)),
                Err(failure) => {
                    clear_hand(robot, speed)?;
                    last = Some(failure);
                }
            }
        }
        // Where it lies it can't be taken; another of its kind may do.
        let view = look(robot, Looks::Bin, speed)?;
        let line = trouble.line();
        if fell_back(&failure.label)
            && (view.objects.iter()).any(|object| line.fits(object) && bins.contains(&object.place))
        {
            return Ok(Recovered::resume(format!(
                "left it where it lies, another {} is in the bin",
                line.name()
            )));
        }
        let last = last.unwrap_or_else(|| Failure::new("no-grasp", "no try was made"));
        Err(last.with_detail(&trouble))
    }
}

/// Labels after which a part in the bin needs nothing more: the skill grasps it as it would any other.
fn fell_back(label: &str) -> bool {
    matches!(label, "dropped" | "slip")
}

/// Labels that another try cannot change.
fn is_final(failure: &Failure) -> bool {
    !matches!(
        failure.label.as_str(),
        "no-grasp" | "slip" | "dropped" | "unreachable"
    )
}

fn take(robot: &mut Robot, part: &Object, view: &Snapshot, speed: f64) -> Result<(), Failure> {
    let held: Held = pick_by_hand(robot, part, &view.objects, speed)?;
    rise(robot, speed)?;
    let others: Vec<Object> = view
        .objects
        .iter()
        .filter(|object| object.id != part.id)
        .cloned()
        .collect();
    put_into_bin(robot, &held, &others, speed)
}

/// Looks from one pose after the other until the part of the trouble is seen.
fn find(
    robot: &mut Robot,
    label: &str,
    trouble: &Trouble,
    params: &Params,
) -> Result<Option<(Object, Snapshot)>, Failure> {
    let places = robot.world.places()?;
    let slots = params.slots(&places)?;
    let order = match label {
        "misplaced" | "wrong-object" | "blocked-target" => [Looks::Tray, Looks::Bin],
        _ => [Looks::Bin, Looks::Tray],
    };
    for from in order {
        let view = look(robot, from, params.speed)?;
        if let Some(part) = lost_part(label, trouble, &params.order, &slots, &places, &view) {
            return Ok(Some((part.clone(), view)));
        }
    }
    // The hand may hide what lies below it: a last look from above where the part was lost.
    if let Some(last_seen) = trouble.last_seen {
        let above = Pose::down(
            last_seen.position.x,
            last_seen.position.y,
            CARRY_HEIGHT + 0.05,
            0.0,
        );
        if let Ok(arrived) = robot.motion.move_to(Goal::pose(above).speed(params.speed)) {
            let view = seen_after(robot, arrived.tick)?;
            if let Some(part) = lost_part(label, trouble, &params.order, &slots, &places, &view) {
                return Ok(Some((part.clone(), view)));
            }
        }
    }
    Ok(None)
}

/// The object that the trouble is about.
fn lost_part<'a>(
    label: &str,
    trouble: &Trouble,
    order: &[Line],
    slots: &[Place],
    places: &[Place],
    view: &'a Snapshot,
) -> Option<&'a Object> {
    let line = trouble.line();
    let in_slot = |object: &Object, slot: &Place| Fit::of(object, slot).offset <= IN_POCKET;
    let occupant = slots
        .get(trouble.line)
        .and_then(|slot| view.objects.iter().find(|object| in_slot(object, slot)));
    if matches!(label, "wrong-object" | "blocked-target") {
        return occupant;
    }
    if label == "misplaced" && occupant.is_some() {
        return occupant;
    }
    // Not what fills the pocket of another line.
    let serves = |object: &Object| {
        order
            .iter()
            .zip(slots)
            .any(|(other, slot)| in_slot(object, slot) && other.fits(object))
    };
    let in_kind = |object: &Object, kind: &str| {
        places
            .iter()
            .any(|place| place.kind == kind && place.name == object.place)
    };
    let from_bin = matches!(
        label,
        "no-grasp" | "low-confidence" | "policy-stall" | "slip"
    );
    let near = |object: &Object| {
        trouble.last_seen.as_ref().map_or(1.0, |last| {
            (object.pose.position.x - last.position.x)
                .hypot(object.pose.position.y - last.position.y)
        })
    };
    view.objects
        .iter()
        .filter(|object| line.fits(object) && !serves(object) && !in_kind(object, "search"))
        .map(|object| {
            // The same track first; then what is near to where it was lost; then, of what fell on the way,
            // what lies outside the bin.
            let same = trouble.object == Some(object.id);
            let close = near(object) < NEARBY;
            let expected = from_bin == in_kind(object, "bin");
            let rank = u8::from(!same) * 4 + u8::from(!close) * 2 + u8::from(!expected);
            (rank, near(object), object)
        })
        .min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
        .map(|(_, _, object)| object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(id: u64, class: &str, x: f64, y: f64, place: &str) -> Object {
        Object {
            id,
            class: class.to_owned(),
            color: "red".to_owned(),
            pose: Pose::upright(x, y, 0.015, 0.0),
            velocity: Vec3::new(0.0, 0.0, 0.0),
            size: Vec3::new(0.05, 0.03, 0.03),
            confidence: 0.9,
            position_sigma: 0.002,
            first_seen: 1,
            last_seen: 1,
            place: place.to_owned(),
        }
    }

    fn place(name: &str, kind: &str, x: f64, y: f64) -> Place {
        Place {
            name: name.to_owned(),
            kind: kind.to_owned(),
            pose: Pose::upright(x, y, 0.0, 0.0),
            size: Vec3::new(0.076, 0.076, 0.05),
        }
    }

    fn line(class: &str, slot: &str) -> Line {
        Line {
            class: class.to_owned(),
            color: None,
            slot: slot.to_owned(),
        }
    }

    fn found(label: &str, trouble: &Trouble, objects: Vec<Object>) -> Option<u64> {
        let order = [line("block", "A1"), line("block", "A2")];
        let places = [
            place("bin", "bin", 0.47, -0.24),
            place("side-shelf", "search", 0.04, 0.48),
            place("A1", "pocket", 0.42, 0.15),
            place("A2", "pocket", 0.42, 0.25),
        ];
        let slots = [places[2].clone(), places[3].clone()];
        let view = Snapshot { tick: 1, objects };
        lost_part(label, trouble, &order, &slots, &places, &view).map(|object| object.id)
    }

    #[test]
    fn a_dropped_part_is_found_on_the_table_and_served_ones_are_left() {
        let mut trouble = Trouble::with(1, &line("block", "A2"));
        trouble.last_seen = Some(Pose::upright(0.45, 0.03, 0.2, 0.0));
        let served = object(1, "block", 0.42, 0.15, "A1");
        let dropped = object(2, "block", 0.47, 0.02, "");
        let in_bin = object(3, "block", 0.47, -0.24, "bin");
        let spare = object(4, "block", 0.04, 0.48, "side-shelf");
        let other = object(5, "puck", 0.46, 0.03, "");
        let all = vec![
            served.clone(),
            dropped,
            in_bin.clone(),
            spare.clone(),
            other,
        ];
        assert_eq!(found("dropped", &trouble, all), Some(2));
        // It fell back among its like: any of them serves.
        assert_eq!(
            found("dropped", &trouble, vec![served.clone(), in_bin]),
            Some(3)
        );
        assert_eq!(found("dropped", &trouble, vec![served, spare]), None);
    }

    #[test]
    fn a_pocket_is_cleared_of_whatever_blocks_it() {
        let trouble = Trouble::with(1, &line("block", "A2"));
        let wrong = object(7, "puck", 0.425, 0.252, "A2");
        let part = object(8, "block", 0.47, -0.24, "bin");
        for label in ["blocked-target", "wrong-object", "misplaced"] {
            assert_eq!(
                found(label, &trouble, vec![wrong.clone(), part.clone()]),
                Some(7)
            );
        }
        assert_eq!(found("blocked-target", &trouble, vec![part]), None);
    }

    #[test]
    fn the_track_that_was_not_grasped_is_taken_before_its_like() {
        let mut trouble = Trouble::with(0, &line("block", "A1"));
        trouble.object = Some(9);
        trouble.last_seen = Some(Pose::upright(0.40, -0.20, 0.015, 0.0));
        let like = object(3, "block", 0.41, -0.21, "bin");
        let same = object(9, "block", 0.52, -0.30, "bin");
        assert_eq!(
            found("no-grasp", &trouble, vec![like.clone(), same]),
            Some(9)
        );
        assert_eq!(found("no-grasp", &trouble, vec![like]), Some(3));
    }
}
