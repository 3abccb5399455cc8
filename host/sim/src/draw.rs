//! Draws the scene of one cycle from (seed, cycle) alone: parts, distractors, light, order.

mod layout;

use crate::config::{CellConfig, ObjectClass};
use crate::profile::{FaultPlan, Profile};
use crate::rng::Stream;
use crate::scene::Light;

/// One line of an order: which part into which pocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLine {
    /// Class of the part.
    pub class: String,
    /// Colour of the part.
    pub color: String,
    /// Name of the pocket.
    pub slot: String,
}

/// A loose object as it is put into the cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Its class.
    pub class: String,
    /// Its colour.
    pub color: String,
    /// False for distractors.
    pub is_part: bool,
    /// Where, base frame, x and y.
    pub position_m: [f64; 2],
    /// Height of the surface that it lies on.
    pub surface_m: f64,
    /// Yaw about z.
    pub yaw_rad: f64,
}

/// Everything drawn for one cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneDraw {
    /// Loose objects.
    pub placements: Vec<Placement>,
    /// What is to be kitted.
    pub order: Vec<OrderLine>,
    /// Light.
    pub light: Light,
    /// Faults to come.
    pub faults: FaultPlan,
}

impl SceneDraw {
    /// Draws the scene of cycle `cycle` of seed `seed`.
    #[must_use]
    pub fn new(config: &CellConfig, seed: u64, cycle: u64, profile: &Profile) -> Self {
        let mut stream = Stream::new(seed, cycle, "scene/objects");
        let kinds = draw_kinds(config, &mut stream);
        let lines = kinds.ordered;
        let order = draw_order(config, &kinds.parts[..lines], &mut stream);
        let faults = FaultPlan::draw(seed, cycle, profile, lines);
        let mut in_bin: Vec<layout::Item<'_>> = Vec::new();
        let mut missing = None;
        for (index, (class, color)) in kinds.parts.iter().enumerate() {
            let item = layout::Item::new(class, color, true);
            if faults.missing_line == Some(index) {
                missing = Some(item);
            } else {
                in_bin.push(item);
            }
        }
        let (clutter_in_bin, clutter_beside) = kinds.distractors.split_at(kinds.distractors_in_bin);
        in_bin.extend(distractors(clutter_in_bin));
        let beside: Vec<_> = distractors(clutter_beside).collect();
        let mut stream = Stream::new(seed, cycle, "scene/layout");
        let mut placements = layout::in_bin(config, &in_bin, &mut stream);
        placements.extend(layout::beside(config, &beside, &mut stream));
        if let Some(item) = missing {
            let mut stream = Stream::new(seed, cycle, "scene/spare");
            placements.push(layout::on_shelf(config, &item, &mut stream));
        }
        Self {
            placements,
            order,
            light: draw_light(config, &mut Stream::new(seed, cycle, "scene/light")),
            faults,
        }
    }
}

fn distractors<'a>(kinds: &[(&'a ObjectClass, &'a str)]) -> impl Iterator<Item = layout::Item<'a>> {
    kinds
        .iter()
        .map(|(class, color)| layout::Item::new(class, color, false))
}

/// Which objects a scene has; the first `ordered` parts are those of the order.
struct Kinds<'a> {
    parts: Vec<(&'a ObjectClass, &'a str)>,
    ordered: usize,
    distractors: Vec<(&'a ObjectClass, &'a str)>,
    distractors_in_bin: usize,
}

/// Every part of a scene differs from the others in class or colour, so that "the red block" is one part.
fn draw_kinds<'a>(config: &'a CellConfig, stream: &mut Stream) -> Kinds<'a> {
    let scene = &config.scene;
    let mut pool: Vec<(&ObjectClass, &str)> = config
        .parts
        .iter()
        .flat_map(|class| {
            class
                .colors
                .iter()
                .map(move |color| (class, color.as_str()))
        })
        .collect();
    stream.shuffle(&mut pool);
    let lines = stream.count(scene.order_lines[0], scene.order_lines[1]);
    let total = stream.count(scene.parts[0], scene.parts[1]).max(lines);
    // One of each class first, then whatever comes.
    let mut parts: Vec<(&ObjectClass, &str)> = Vec::with_capacity(total);
    for class in &config.parts {
        if let Some(at) = pool.iter().position(|(of, _)| of.class == class.class) {
            parts.push(pool.swap_remove(at));
        }
    }
    parts.extend(pool.into_iter().take(total.saturating_sub(parts.len())));
    let ordered = lines.min(parts.len());
    stream.shuffle(&mut parts[..ordered]);
    let distractors: Vec<_> = (0..stream.count(scene.distractors[0], scene.distractors[1]))
        .map(|_| {
            let class = &config.distractors[stream.count(0, config.distractors.len() - 1)];
            let color = &class.colors[stream.count(0, class.colors.len() - 1)];
            (class, color.as_str())
        })
        .collect();
    let distractors_in_bin = stream.count(
        distractors.len().min(1),
        scene.distractors_in_bin_max.min(distractors.len()),
    );
    Kinds {
        parts,
        ordered,
        distractors,
        distractors_in_bin,
    }
}

fn draw_order(
    config: &CellConfig,
    parts: &[(&ObjectClass, &str)],
    stream: &mut Stream,
) -> Vec<OrderLine> {
    let mut slots: Vec<&str> = config
        .tray
        .pockets
        .iter()
        .map(|pocket| pocket.name.as_str())
        .collect();
    stream.shuffle(&mut slots);
    parts
        .iter()
        .zip(slots)
        .map(|((class, color), slot)| OrderLine {
            class: class.class.clone(),
            color: (*color).to_owned(),
            slot: slot.to_owned(),
        })
        .collect()
}

fn draw_light(config: &CellConfig, stream: &mut Stream) -> Light {
    let light = &config.light;
    let mut share = || 1.0 + stream.range(-light.variation, light.variation);
    let (intensity, ambient) = (light.intensity * share(), light.ambient * share());
    let towards = nalgebra::Vector3::from(light.towards_lamp);
    let roll = stream.range(-light.tilt, light.tilt);
    let pitch = stream.range(-light.tilt, light.tilt);
    let tilted = nalgebra::Rotation3::from_euler_angles(roll, pitch, 0.0) * towards.normalize();
    Light {
        towards_lamp: tilted.into(),
        intensity,
        ambient,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::profile::Profiles;

    #[test]
    fn every_scene_can_be_kitted() {
        let config = CellConfig::builtin();
        let profiles = Profiles::builtin();
        let mild = profiles.get("mild").expect("shipped");
        let mut spares = 0;
        for cycle in 0..400 {
            let draw = SceneDraw::new(&config, 5, cycle, mild);
            let classes: BTreeSet<_> = draw.order.iter().map(|line| &line.class).collect();
            let slots: BTreeSet<_> = draw.order.iter().map(|line| &line.slot).collect();
            assert!(draw.order.len() >= 4 && classes.len() == 3);
            assert_eq!(slots.len(), draw.order.len(), "a pocket twice");
            for line in &draw.order {
                let matching = draw.placements.iter().filter(|placement| {
                    placement.class == line.class && placement.color == line.color
                });
                assert_eq!(matching.count(), 1, "{line:?}");
            }
            let parts = draw.placements.iter().filter(|p| p.is_part).count();
            assert!((6..=8).contains(&parts));
            assert!(draw.placements.len() - parts >= 2, "distractors");
            spares += usize::from(draw.faults.missing_line.is_some());
        }
        assert!((20..=70).contains(&spares), "{spares}");
    }

    #[test]
    fn a_missing_part_changes_nothing_else_of_the_order() {
        let config = CellConfig::builtin();
        let profiles = Profiles::builtin();
        let mild = profiles.get("mild").expect("shipped");
        for cycle in 0..50 {
            let faulty = SceneDraw::new(&config, 9, cycle, mild);
            let calm = SceneDraw::new(&config, 9, cycle, &Profile::calm());
            assert_eq!(faulty.order, calm.order);
            assert_eq!(faulty.light, calm.light);
        }
    }

    #[test]
    fn the_light_stays_within_its_variation() {
        let config = CellConfig::builtin();
        for cycle in 0..200 {
            let light = SceneDraw::new(&config, 3, cycle, &Profile::calm()).light;
            assert!((0.7..=1.3).contains(&light.intensity));
            assert!((0.7 * 0.35..=1.3 * 0.35).contains(&light.ambient));
            let norm: f64 = light.towards_lamp.iter().map(|c| c * c).sum();
            assert!((norm - 1.0).abs() < 1e-9);
        }
    }
}
