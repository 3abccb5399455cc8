//! Where loose objects lie: random, but apart enough that a parallel gripper fits between.

use core::f64::consts::PI;

use super::Placement;
use crate::config::{CellConfig, ObjectClass};
use crate::rng::Stream;

/// Tries for one object before the whole layout starts over.
const PLACE_TRIES: usize = 200;
/// Layouts tried before the distances shrink: a crowded bin gets tighter, the search never endless.
const LAYOUT_TRIES: usize = 20;
/// By how much they shrink, metres.
const TIGHTEN_M: f64 = 0.001;
/// Share of the search area, from its centre, that spares lie in.
const SHELF_SHARE: f64 = 0.25;

/// An object to be placed.
pub(super) struct Item<'a> {
    class: &'a ObjectClass,
    color: &'a str,
    is_part: bool,
    /// Half extents of the footprint along its own x and y.
    half_m: [f64; 2],
}

impl<'a> Item<'a> {
    pub(super) fn new(class: &'a ObjectClass, color: &'a str, is_part: bool) -> Self {
        let [x, y, _] = class.shape.shape().half_extents_m();
        Self {
            class,
            color,
            is_part,
            half_m: [x, y],
        }
    }

    /// Radius of a circle that contains the footprint.
    fn radius_m(&self) -> f64 {
        match self.class.shape {
            // Round footprints are their own circle; others have corners.
            crate::config::ShapeConfig::Cylinder { .. }
            | crate::config::ShapeConfig::Sphere { .. }
            | crate::config::ShapeConfig::Capsule { .. } => self.half_m[0],
            _ => libm::hypot(self.half_m[0], self.half_m[1]),
        }
    }

    fn placed(&self, position_m: [f64; 2], surface_m: f64, yaw_rad: f64) -> Placement {
        Placement {
            class: self.class.class.clone(),
            color: self.color.to_owned(),
            is_part: self.is_part,
            position_m,
            surface_m,
            yaw_rad,
        }
    }
}

/// Least distance of two centres. Bounding circles keep `clearance` between them, and an open finger comes
/// down beside a part without touching the other object; `shrink` is taken off both.
fn apart_m(config: &CellConfig, a: &Item<'_>, b: &Item<'_>, shrink: f64) -> f64 {
    let scene = &config.scene;
    let circles = a.radius_m() + b.radius_m() + scene.clearance;
    let finger_at = |part: &Item<'_>, other: &Item<'_>| {
        if part.is_part {
            scene.finger_reach + other.radius_m()
        } else {
            0.0
        }
    };
    circles.max(finger_at(a, b)).max(finger_at(b, a)) - shrink
}

/// Lays the items into the bin, apart from each other; in some cycles a distractor is then moved close to
/// the end of a part, where it hides some of it but leaves the two faces that the gripper needs.
pub(super) fn in_bin(
    config: &CellConfig,
    items: &[Item<'_>],
    stream: &mut Stream,
) -> Vec<Placement> {
    let bin = &config.bin;
    let half: [f64; 2] = core::array::from_fn(|axis| bin.size[axis] / 2.0 - bin.wall_margin);
    let mut placements = spread(config, items, bin.center, half, bin.floor_thickness, stream);
    if stream.chance(config.scene.close_neighbour_share) {
        crowd(config, items, &mut placements, half, stream);
    }
    placements
}

/// Lays the items onto the table between bin and tray.
pub(super) fn beside(
    config: &CellConfig,
    items: &[Item<'_>],
    stream: &mut Stream,
) -> Vec<Placement> {
    let area = &config.clutter;
    let half = area.size.map(|side| side / 2.0);
    spread(config, items, area.center, half, 0.0, stream)
}

/// Spreads the items over a rectangle, at least [`apart_m`].
fn spread(
    config: &CellConfig,
    items: &[Item<'_>],
    center: [f64; 2],
    half: [f64; 2],
    surface_m: f64,
    stream: &mut Stream,
) -> Vec<Placement> {
    let mut shrink = 0.0;
    let spots = 'layout: loop {
        for _ in 0..LAYOUT_TRIES {
            if let Some(spots) = try_layout(config, items, center, half, shrink, stream) {
                break 'layout spots;
            }
        }
        // Ends: once the distance asked for is below zero, anything fits.
        shrink += TIGHTEN_M;
    };
    items
        .iter()
        .zip(&spots)
        .map(|(item, spot)| item.placed(*spot, surface_m, stream.range(-PI, PI)))
        .collect()
}

fn try_layout(
    config: &CellConfig,
    items: &[Item<'_>],
    center: [f64; 2],
    half: [f64; 2],
    shrink: f64,
    stream: &mut Stream,
) -> Option<Vec<[f64; 2]>> {
    let mut spots: Vec<[f64; 2]> = Vec::with_capacity(items.len());
    for item in items {
        let found = (0..PLACE_TRIES).find_map(|_| {
            let spot = core::array::from_fn(|axis| {
                stream.range(center[axis] - half[axis], center[axis] + half[axis])
            });
            let free = items.iter().zip(&spots).all(|(other, taken)| {
                distance(spot, *taken) >= apart_m(config, item, other, shrink)
            });
            free.then_some(spot)
        })?;
        spots.push(found);
    }
    Some(spots)
}

/// Moves one distractor to the end of a long part, if the spot is free.
fn crowd(
    config: &CellConfig,
    items: &[Item<'_>],
    placements: &mut [Placement],
    half: [f64; 2],
    stream: &mut Stream,
) {
    let Some(mover) = items.iter().position(|item| !item.is_part) else {
        return;
    };
    let [least, most] = config.scene.close_gap;
    let gap = stream.range(least, most);
    let side = if stream.chance(0.5) { 1.0 } else { -1.0 };
    let bin = &config.bin;
    for (host, item) in items.iter().enumerate() {
        let is_long = item.half_m[0] > item.half_m[1] * 1.2;
        if !item.is_part || !is_long {
            continue;
        }
        let yaw = placements[host].yaw_rad;
        let reach = side * (item.half_m[0] + items[mover].radius_m() + gap);
        let spot = [
            placements[host].position_m[0] + reach * libm::cos(yaw),
            placements[host].position_m[1] + reach * libm::sin(yaw),
        ];
        let inside = (0..2).all(|axis| (spot[axis] - bin.center[axis]).abs() <= half[axis] + 0.02);
        let free = (0..items.len()).all(|other| {
            other == host
                || other == mover
                || distance(spot, placements[other].position_m)
                    >= apart_m(config, &items[mover], &items[other], 0.0)
        });
        if inside && free {
            placements[mover].position_m = spot;
            return;
        }
    }
}

/// Lays one spare near the middle of the search area.
pub(super) fn on_shelf(config: &CellConfig, item: &Item<'_>, stream: &mut Stream) -> Placement {
    let search = &config.search;
    let position_m = core::array::from_fn(|axis| {
        let half = search.size[axis] * SHELF_SHARE;
        stream.range(search.center[axis] - half, search.center[axis] + half)
    });
    item.placed(position_m, search.thickness, stream.range(-PI, PI))
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    libm::hypot(a[0] - b[0], a[1] - b[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::SceneDraw;
    use crate::profile::Profile;

    #[test]
    fn a_finger_fits_beside_every_part_of_the_bin() {
        let config = CellConfig::builtin();
        let mut tight = 0;
        for cycle in 0..300 {
            let draw = SceneDraw::new(&config, 21, cycle, &Profile::calm());
            let item = |placement: &Placement| {
                let class = config.class(&placement.class).expect("drawn from the file");
                Item::new(class, "", placement.is_part).radius_m()
            };
            for (n, a) in draw.placements.iter().enumerate() {
                for b in &draw.placements[..n] {
                    // A close neighbour at a part's end may lie within the circle, never within the part.
                    let gap = distance(a.position_m, b.position_m) - item(a) - item(b);
                    assert!(gap > -0.005, "cycle {cycle}: {a:?} {b:?}");
                    let both_parts = a.is_part && b.is_part;
                    tight += usize::from(both_parts && gap < config.scene.clearance - 0.008);
                }
            }
        }
        assert_eq!(tight, 0, "the bin is too small for what is drawn into it");
    }
}
