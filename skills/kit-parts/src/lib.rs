//! Puts ordered parts into their tray pockets.
//!
//! For each line of the order: find the part in a bin, take it by the grasp policy (with a fresh look and a
//! second try if that fails), carry it to its pocket, set it down, and look whether it lies there. After
//! each placed line there is a safe point; a run that is taken up again goes on behind the last one.
//!
//! A failure's detail is [`kitting::Trouble`].

use kitting::{
    Fit, Line, Looks, Params, Trouble, clear_hand, look, pick_by_hand, pick_by_policy, rise,
    seen_after, set_down,
};
use sinew_sdk::Snapshot;
use sinew_sdk::prelude::*;

/// The learned policy that grasps.
const POLICY: &str = "grasp";
/// Tries to grasp a part before the line fails.
const GRASP_TRIES: u32 = 2;
/// Times that a part which lies badly in its pocket is taken and set down again.
const CORRECTIONS: u32 = 1;
/// A part that lies worse than this in its pocket is corrected, metres and radians.
const GOOD_OFFSET: f64 = 0.008;
const GOOD_TURN: f64 = 0.20;
/// A part that lies worse than this is misplaced, metres and radians: a little stricter than the post-condition
/// (10 mm, 15°), which the task engine judges by later images.
const FAIR_OFFSET: f64 = 0.009;
const FAIR_TURN: f64 = 0.24;
/// A part farther than this from a pocket's centre does not lie in it, metres.
const IN_POCKET: f64 = 0.045;
/// Images that settle the estimate of a part that seems to lie badly.
const STEADY_IMAGES: u32 = 3;
/// Estimates that are less certain than this get a closer look first, metres and confidence.
const SIGMA_MAX: f64 = 0.005;
const CONFIDENCE_MIN: f64 = 0.6;
/// Height of the closer look.
const CLOSE_LOOK: f64 = 0.24;

/// Lines that are done.
#[derive(Serialize, Deserialize)]
pub struct Progress {
    /// One flag a line.
    done: Vec<bool>,
}

impl Checkpoint for Progress {
    const SCHEMA: u32 = 1;
}

/// What was done.
#[derive(Serialize, JsonSchema)]
pub struct Outcome {
    /// Lines whose parts lie in their pockets.
    placed: usize,
    /// Grasps that had to be tried again.
    grasp_retries: u32,
    /// Parts that were set down a second time.
    corrections: u32,
    /// Ticks that this run took.
    ticks: u64,
}

#[skill]
fn run(params: Params, resume: Option<Progress>, robot: &mut Robot) -> Result<Outcome, Failure> {
    let slots = params.slots(&robot.world.places()?)?;
    let start = robot.clock.now();
    let done = match resume {
        Some(progress) if progress.done.len() == slots.len() => progress.done,
        _ => vec![false; slots.len()],
    };
    let mut kit = Kit {
        robot,
        params: &params,
        slots,
        done,
        grasp_retries: 0,
        corrections: 0,
    };
    kit.work()?;
    Ok(Outcome {
        placed: kit.done.iter().filter(|done| **done).count(),
        grasp_retries: kit.grasp_retries,
        corrections: kit.corrections,
        ticks: kit.robot.clock.now() - start,
    })
}

struct Kit<'a> {
    robot: &'a mut Robot,
    params: &'a Params,
    slots: Vec<Place>,
    done: Vec<bool>,
    grasp_retries: u32,
    corrections: u32,
}

impl Kit<'_> {
    fn work(&mut self) -> Result<(), Failure> {
        rise(self.robot, self.params.speed)?;
        let mut view = self.look(Looks::Bin)?;
        for index in 0..self.slots.len() {
            if self.done[index] {
                continue;
            }
            let mut trouble = Trouble::with(index, &self.params.order[index]);
            view = self
                .place_line(index, view, &mut trouble)
                .map_err(|failure| failure.with_detail(&trouble))?;
            self.done[index] = true;
            self.save()?;
        }
        self.review(&view)
    }

    fn look(&mut self, from: Looks) -> Result<Snapshot, Failure> {
        Ok(look(self.robot, from, self.params.speed)?)
    }

    /// The same, with a few images more, which settle the estimates.
    fn look_steadily(&mut self, from: Looks) -> Result<Snapshot, Failure> {
        let mut view = self.look(from)?;
        for _ in 0..STEADY_IMAGES {
            view = seen_after(self.robot, view.tick)?;
        }
        Ok(view)
    }

    fn save(&mut self) -> Result<(), Failure> {
        let progress = Progress {
            done: self.done.clone(),
        };
        Ok(self.robot.lifecycle.safe_point(&progress)?)
    }

    /// One line, from the bin into the pocket. Returns a view that shows it there.
    fn place_line(
        &mut self,
        index: usize,
        view: Snapshot,
        trouble: &mut Trouble,
    ) -> Result<Snapshot, Failure> {
        let line = self.params.order[index].clone();
        let slot = self.slots[index].clone();
        let speed = self.params.speed;
        let count = format!("{} of {}", index + 1, self.slots.len());

        let mut view = view;
        if in_pocket(&view, &slot).is_some() {
            // Before anything is concluded from it, from nearer.
            view = self.look_steadily(Looks::Tray)?;
        }
        // A pocket that already holds its part needs nothing: a recovery, or the run before, left it there.
        if let Some(occupant) = in_pocket(&view, &slot) {
            if line.fits(occupant) && Fit::of(occupant, &slot).within(FAIR_OFFSET, FAIR_TURN) {
                return Ok(view);
            }
            trouble.about(occupant);
            return Err(Failure::new(
                "blocked-target",
                format!("{} lies in pocket {}", name(occupant), slot.name),
            ));
        }

        let mut tries = 0;
        let held = loop {
            tries += 1;
            let part = self.find(&line, view)?;
            trouble.about(&part);
            self.robot
                .events
                .step_on(&format!("pick {} ({count})", line.name()), part.id);
            match pick_by_policy(self.robot, &part, POLICY, speed) {
                Ok(held) => break held,
                Err(failure) => {
                    let worth_a_try = matches!(
                        failure.label.as_str(),
                        "no-grasp" | "slip" | "low-confidence" | "policy-stall"
                    );
                    if !worth_a_try || tries == GRASP_TRIES {
                        return Err(failure);
                    }
                    self.grasp_retries += 1;
                    clear_hand(self.robot, speed)?;
                    view = self.look(Looks::Bin)?;
                }
            }
        };

        self.robot
            .events
            .step(&format!("place {} in {} ({count})", line.name(), slot.name));
        let placed = set_down(self.robot, &held, &slot.pose, speed);
        self.remember_hand(trouble)?;
        placed?;
        self.verify(&line, &slot, trouble)
    }

    /// The easiest part in a bin that the line fits.
    fn find(&mut self, line: &Line, view: Snapshot) -> Result<Object, Failure> {
        let bins: Vec<String> = (self.robot.world.places()?.into_iter())
            .filter(|place| place.kind == "bin")
            .map(|bin| bin.name)
            .collect();
        let mut view = view;
        let mut looks = 0;
        let part = loop {
            if let Some(part) = easiest(line, &bins, &view) {
                break part.clone();
            }
            // What one exposure missed (a dropped frame, a shadow) the next ones may show.
            looks += 1;
            if looks > 2 {
                return Err(Failure::new(
                    "missing-object",
                    format!("no {} in {}", line.name(), bins.join(", ")),
                ));
            }
            view = self.look_steadily(Looks::Bin)?;
        };
        if part.position_sigma <= SIGMA_MAX && part.confidence >= CONFIDENCE_MIN {
            return Ok(part);
        }
        let above = Pose::down(part.pose.position.x, part.pose.position.y, CLOSE_LOOK, 0.0);
        let arrived = self
            .robot
            .motion
            .move_to(Goal::pose(above).speed(self.params.speed))?;
        let closer = seen_after(self.robot, arrived.tick)?;
        Ok(closer.object(part.id).cloned().unwrap_or(part))
    }

    /// Keeps where the hand was, in case that the part fell from it.
    fn remember_hand(&mut self, trouble: &mut Trouble) -> Result<(), Failure> {
        trouble.last_seen = Some(self.robot.world.robot()?.tool);
        Ok(())
    }

    /// Looks whether the part lies in its pocket, and corrects it if it lies badly.
    fn verify(
        &mut self,
        line: &Line,
        slot: &Place,
        trouble: &mut Trouble,
    ) -> Result<Snapshot, Failure> {
        let mut corrections = 0;
        loop {
            let mut view = self.look(Looks::Bin)?;
            let seen = |view: &Snapshot| in_pocket(view, slot).cloned();
            let good = |object: &Object| {
                line.fits(object) && Fit::of(object, slot).within(GOOD_OFFSET, GOOD_TURN)
            };
            let mut occupant = seen(&view);
            if !occupant.as_ref().is_some_and(good) {
                // The wrist camera sees it from nearer, and a few images more settle the estimate.
                view = self.look_steadily(Looks::Tray)?;
                occupant = seen(&view);
            }
            let Some(occupant) = occupant else {
                return Err(Failure::new(
                    "misplaced",
                    format!("pocket {} looks empty after placing", slot.name),
                ));
            };
            trouble.about(&occupant);
            if !line.fits(&occupant) {
                return Err(Failure::new(
                    "wrong-object",
                    format!(
                        "{} lies in pocket {}, not {}",
                        name(&occupant),
                        slot.name,
                        line.name()
                    ),
                ));
            }
            if good(&occupant) {
                return Ok(view);
            }
            let fit = Fit::of(&occupant, slot);
            if corrections == CORRECTIONS {
                if fit.within(FAIR_OFFSET, FAIR_TURN) {
                    return Ok(view);
                }
                return Err(misplaced(slot, &fit));
            }
            corrections += 1;
            self.corrections += 1;
            self.robot.events.step_on(
                &format!("correct {} in {}", line.name(), slot.name),
                occupant.id,
            );
            let speed = self.params.speed;
            let held = match pick_by_hand(self.robot, &occupant, &view.objects, speed) {
                Ok(held) => held,
                Err(failure) if failure.label == "no-grasp" => {
                    clear_hand(self.robot, speed)?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            set_down(self.robot, &held, &slot.pose, speed)?;
        }
    }

    /// At the end every line is looked at once more: something may have been moved since.
    fn review(&mut self, view: &Snapshot) -> Result<(), Failure> {
        self.robot.events.step("look at the tray");
        let bad = |view: &Snapshot, index: usize, slots: &[Place], order: &[Line]| {
            !in_pocket(view, &slots[index]).is_some_and(|object| {
                order[index].fits(object)
                    && Fit::of(object, &slots[index]).within(FAIR_OFFSET, FAIR_TURN)
            })
        };
        let order = &self.params.order;
        if (0..order.len()).all(|index| !bad(view, index, &self.slots, order)) {
            return Ok(());
        }
        let closer = self.look_steadily(Looks::Tray)?;
        for index in 0..order.len() {
            if !bad(&closer, index, &self.slots, order) {
                continue;
            }
            let slot = self.slots[index].clone();
            let mut trouble = Trouble::with(index, &order[index]);
            let failure = match in_pocket(&closer, &slot) {
                Some(object) => {
                    trouble.about(object);
                    misplaced(&slot, &Fit::of(object, &slot))
                }
                None => Failure::new("misplaced", format!("pocket {} is empty now", slot.name)),
            };
            self.done[index] = false;
            self.save()?;
            return Err(failure.with_detail(&trouble));
        }
        // Leaves the tray free for the cameras.
        self.look(Looks::Bin)?;
        Ok(())
    }
}

fn name(object: &Object) -> String {
    if object.color.is_empty() {
        format!("a {}", object.class)
    } else {
        format!("a {} {}", object.color, object.class)
    }
}

fn misplaced(slot: &Place, fit: &Fit) -> Failure {
    Failure::new(
        "misplaced",
        format!(
            "in pocket {} it lies {:.0} mm and {:.0}° off, {:+.0} mm above its floor",
            slot.name,
            fit.offset * 1e3,
            fit.turn.to_degrees(),
            fit.raised * 1e3
        ),
    )
}

/// What lies in a pocket: the object nearest to its centre.
fn in_pocket<'a>(view: &'a Snapshot, slot: &Place) -> Option<&'a Object> {
    view.objects
        .iter()
        .map(|object| (Fit::of(object, slot).offset, object))
        .filter(|(offset, _)| *offset <= IN_POCKET)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, object)| object)
}

/// Of the parts in the bins that the line fits, the one with the most room around it.
fn easiest<'a>(line: &Line, bins: &[String], view: &'a Snapshot) -> Option<&'a Object> {
    let room = |part: &Object| {
        view.objects
            .iter()
            .filter(|other| other.id != part.id)
            .map(|other| part.pose.position.distance(&other.pose.position))
            .fold(0.10, f64::min)
    };
    view.objects
        .iter()
        .filter(|object| line.fits(object) && bins.contains(&object.place))
        .map(|part| (room(part) + 0.02 * part.confidence, part))
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.id.cmp(&a.1.id)))
        .map(|(_, part)| part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(id: u64, class: &str, color: &str, x: f64, y: f64, place: &str) -> Object {
        Object {
            id,
            class: class.to_owned(),
            color: color.to_owned(),
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

    fn line() -> Line {
        Line {
            class: "block".to_owned(),
            color: Some("red".to_owned()),
            slot: "A1".to_owned(),
        }
    }

    #[test]
    fn the_part_with_room_is_taken_and_only_from_a_bin() {
        let view = Snapshot {
            tick: 1,
            objects: vec![
                object(1, "block", "red", 0.40, -0.20, "bin"),
                object(2, "puck", "red", 0.43, -0.20, "bin"),
                object(3, "block", "red", 0.55, -0.30, "bin"),
                object(4, "block", "blue", 0.55, -0.15, "bin"),
                object(5, "block", "red", 0.42, 0.15, "A1"),
            ],
        };
        let bins = ["bin".to_owned()];
        assert_eq!(easiest(&line(), &bins, &view).map(|part| part.id), Some(3));
        let mut any = line();
        any.color = None;
        assert!(easiest(&any, &bins, &view).is_some());
        any.class = "wedge".to_owned();
        assert_eq!(easiest(&any, &bins, &view), None);
    }

    #[test]
    fn a_pocket_holds_what_lies_nearest_to_its_centre() {
        let slot = Place {
            name: "A1".to_owned(),
            kind: "pocket".to_owned(),
            pose: Pose::upright(0.42, 0.15, 0.0, 0.0),
            size: Vec3::new(0.076, 0.076, 0.05),
        };
        let view = Snapshot {
            tick: 1,
            objects: vec![
                object(1, "block", "red", 0.45, 0.15, ""),
                object(2, "puck", "red", 0.421, 0.15, "A1"),
                object(3, "puck", "red", 0.42, 0.25, "A2"),
            ],
        };
        assert_eq!(in_pocket(&view, &slot).map(|object| object.id), Some(2));
    }

    #[test]
    fn a_checkpoint_is_read_back_and_another_version_is_refused() {
        let bytes = serde_json::to_vec(&Progress {
            done: vec![true, false],
        })
        .expect("plain data");
        let back = Progress::read(1, &bytes).expect("version 1");
        assert_eq!(back.done, [true, false]);
        assert!(Progress::read(2, &bytes).is_err());
        assert!(Progress::read(1, b"{").is_err());
    }

    #[test]
    fn the_manifest_names_what_it_asks_for() {
        let manifest: serde_json::Value =
            serde_json::from_str(&manifest()).expect("a manifest is JSON");
        assert_eq!(manifest["name"], "sinew/kit-parts");
        assert_eq!(manifest["checkpoints"], serde_json::json!([1]));
        let slot = "/params_schema/properties/order/items/properties/slot/x-sinew-place";
        assert_eq!(manifest.pointer(slot), Some(&"pocket".into()), "{manifest}");
    }
}
