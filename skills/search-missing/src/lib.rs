//! Looks for a missing part in the search areas and brings a spare into the bin.
//!
//! It reads the failing skill's detail ([`kitting::Trouble`]) and parameters ([`kitting::Params`]).

use kitting::{
    Line, Looks, Params, Trouble, clear_hand, look, pick_by_hand, pick_by_policy, put_into_bin,
};
use sinew_sdk::Snapshot;
use sinew_sdk::prelude::*;

/// The learned policy that grasps.
const POLICY: &str = "grasp";
/// Tries to take a spare before it gives up.
const TRIES: u32 = 3;
/// Ticks that it takes, about.
const COST_TICKS: u64 = 15_000;

struct SearchMissing;

#[recovery]
impl Recovery for SearchMissing {
    fn assess(failure: &Failure, context: &Context, robot: &mut Robot) -> Option<Proposal> {
        if failure.label != "missing-object" {
            return None;
        }
        let trouble: Trouble = failure.detail()?;
        context.params::<Params>().ok()?;
        let places = robot.world.places().ok()?;
        let areas: Vec<&str> = (places.iter())
            .filter(|place| place.kind == "search")
            .map(|place| place.name.as_str())
            .collect();
        if areas.is_empty() {
            return None;
        }
        Some(Proposal {
            plan: format!(
                "look for a {} in {}",
                trouble.line().name(),
                areas.join(", ")
            ),
            cost_ticks: COST_TICKS,
            success: 0.8 * 0.6_f64.powi(context.attempts.min(8) as i32),
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
        let line = trouble.line();
        let speed = params.speed;
        clear_hand(robot, speed)?;
        // The bin as it is now: where the spare will have room, and whether the part is there after all.
        let bin = look(robot, Looks::Bin, speed)?;
        let places = robot.world.places()?;
        if spare(&line, "bin", &places, &bin).is_some() {
            return Ok(Recovered::resume(format!(
                "a {} lies in the bin after all",
                line.name()
            )));
        }
        let mut last = None;
        for attempt in 1..=TRIES {
            robot.events.step(&format!(
                "search for a {} ({attempt} of {TRIES})",
                line.name()
            ));
            let view = look(robot, Looks::Search, speed)?;
            let Some(part) = spare(&line, "search", &places, &view).cloned() else {
                last.get_or_insert_with(|| {
                    Failure::new(
                        "missing-object",
                        format!("no spare {} is left", line.name()),
                    )
                });
                continue;
            };
            robot
                .events
                .step_on(&format!("fetch the spare {}", line.name()), part.id);
            // The learned policy first; straight from above if it isn't sure of this place.
            let picked = if attempt == 1 {
                pick_by_policy(robot, &part, POLICY, speed)
            } else {
                pick_by_hand(robot, &part, &view.objects, speed)
            };
            let brought = picked.and_then(|held| put_into_bin(robot, &held, &bin.objects, speed));
            match brought {
                Ok(()) => {
                    return Ok(Recovered::resume(format!(
                        "brought a spare {} from {}",
                        line.name(),
                        part.place
                    )));
                }
                Err(failure) if is_final(&failure) => return Err(failure.with_detail(&trouble)),
                Err(failure) => {
                    clear_hand(robot, speed)?;
                    last = Some(failure);
                }
            }
        }
        let last = last.unwrap_or_else(|| Failure::new("missing-object", "no try was made"));
        Err(last.with_detail(&trouble))
    }
}

/// Labels that another try cannot change.
fn is_final(failure: &Failure) -> bool {
    !matches!(
        failure.label.as_str(),
        "no-grasp" | "slip" | "low-confidence" | "policy-stall" | "unreachable"
    )
}

/// The surest object that the line asks for in a place of this kind.
fn spare<'a>(line: &Line, kind: &str, places: &[Place], view: &'a Snapshot) -> Option<&'a Object> {
    view.objects
        .iter()
        .filter(|object| {
            line.fits(object)
                && places
                    .iter()
                    .any(|place| place.kind == kind && place.name == object.place)
        })
        .max_by(|a, b| a.confidence.total_cmp(&b.confidence).then(b.id.cmp(&a.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spares_are_looked_for_by_class_colour_and_place() {
        let place = |name: &str, kind: &str| Place {
            name: name.to_owned(),
            kind: kind.to_owned(),
            pose: Pose::upright(0.0, 0.5, 0.0, 0.0),
            size: Vec3::new(0.2, 0.2, 0.1),
        };
        let object = |id: u64, class: &str, color: &str, place: &str, confidence: f64| Object {
            id,
            class: class.to_owned(),
            color: color.to_owned(),
            pose: Pose::upright(0.0, 0.5, 0.015, 0.0),
            velocity: Vec3::new(0.0, 0.0, 0.0),
            size: Vec3::new(0.05, 0.03, 0.03),
            confidence,
            position_sigma: 0.002,
            first_seen: 1,
            last_seen: 1,
            place: place.to_owned(),
        };
        let places = [place("shelf", "search"), place("bin", "bin")];
        let view = Snapshot {
            tick: 1,
            objects: vec![
                object(1, "block", "red", "shelf", 0.7),
                object(2, "block", "red", "shelf", 0.9),
                object(3, "block", "blue", "shelf", 0.99),
                object(4, "block", "red", "", 0.99),
                object(5, "puck", "red", "bin", 0.99),
            ],
        };
        let mut line = Line {
            class: "block".to_owned(),
            color: Some("red".to_owned()),
            slot: "A1".to_owned(),
        };
        let id = |line: &Line, kind| spare(line, kind, &places, &view).map(|object| object.id);
        assert_eq!(id(&line, "search"), Some(2));
        assert_eq!(id(&line, "bin"), None);
        line.color = None;
        assert_eq!(id(&line, "search"), Some(3));
    }
}
