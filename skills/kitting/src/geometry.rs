//! Choosing how to grasp and where to set down.

use core::f64::consts::{FRAC_PI_2, PI};

use sinew_sdk::prelude::*;
use sinew_sdk::wrap_angle;

/// Widest extent that is grasped; the gripper opens to 80 mm and needs room on both sides.
const GRASP_MAX: f64 = 0.062;
/// From a part's side to the middle of the open finger beside it.
const FINGER_REACH: f64 = 0.022;
/// A wider grasp must have this much more room to be preferred.
const NARROW_BONUS: f64 = 0.008;
/// From a spot's centre to the bin's wall: half a part, and a finger with room to open.
const WALL_MARGIN: f64 = 0.062;
/// Distance between two spots that are tried.
const SPOT_PITCH: f64 = 0.02;

/// A part whose underside is this near to a pocket's floor lies on it, metres.
const LEVEL: f64 = 0.005;

/// Period after which a turned object looks the same, radians: half a turn for what is longer than wide,
/// 0 (any yaw is right) for what is round seen from above.
#[must_use]
pub fn symmetry(object: &Object) -> f64 {
    if (object.size.x - object.size.y).abs() < 0.1 * object.size.x.max(object.size.y) {
        0.0
    } else {
        PI
    }
}

/// How an object lies in a pocket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Horizontal distance between object and centre, metres.
    pub offset: f64,
    /// Turn between the two, radians, 0 where any yaw is right.
    pub turn: f64,
    /// Height of its underside above the pocket's floor, metres: a part that toppled shows a higher top.
    pub raised: f64,
}

impl Fit {
    /// How `object` lies in `slot`.
    #[must_use]
    pub fn of(object: &Object, slot: &Place) -> Self {
        let offset = horizontal(&object.pose.position, &slot.pose.position);
        let period = symmetry(object);
        let turn = if period == 0.0 {
            0.0
        } else {
            wrap_angle(object.pose.yaw() - slot.pose.yaw(), period).abs()
        };
        let underside = object.pose.position.z - object.size.z / 2.0;
        Self {
            offset,
            turn,
            raised: underside - slot.pose.position.z,
        }
    }

    /// True if it lies on the floor, within `offset` metres and `turn` radians.
    #[must_use]
    pub fn within(&self, offset: f64, turn: f64) -> bool {
        self.offset <= offset && self.turn <= turn && self.raised.abs() <= LEVEL
    }
}

/// Horizontal distance, metres.
pub(crate) fn horizontal(a: &Vec3, b: &Vec3) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Radius of the circle around an object's footprint, metres.
fn footprint(object: &Object) -> f64 {
    object.size.x.hypot(object.size.y) / 2.0
}

/// Yaw of the tool that grasps `object` with the most room for both fingers, in [-90°, 90°), radians.
///
/// The fingers close across the object's width, or along its length where the neighbours leave more room there.
#[must_use]
pub fn grasp_yaw(object: &Object, all: &[Object]) -> f64 {
    let yaw = object.pose.yaw();
    if symmetry(object) == 0.0 {
        // Round: every direction grips equally well, so the neighbours decide.
        let tries = (0..8).map(|n| f64::from(n) * PI / 8.0 - FRAC_PI_2);
        return best(tries.map(|yaw| (yaw, room(object, yaw, object.size.y, all)))).unwrap_or(0.0);
    }
    let across = (yaw, room(object, yaw, object.size.y, all) + NARROW_BONUS);
    let along = (object.size.x <= GRASP_MAX).then(|| {
        let yaw = yaw + FRAC_PI_2;
        (yaw, room(object, yaw, object.size.x, all))
    });
    let chosen = best([across].into_iter().chain(along)).unwrap_or(yaw);
    wrap_angle(chosen, PI)
}

fn best(options: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let mut best: Option<(f64, f64)> = None;
    for (yaw, room) in options {
        if best.is_none_or(|(_, most)| room > most + 1e-9) {
            best = Some((yaw, room));
        }
    }
    best.map(|(yaw, _)| yaw)
}

/// Room around the two open fingers for a tool at `yaw`, metres, at most 5 cm.
fn room(object: &Object, yaw: f64, extent: f64, all: &[Object]) -> f64 {
    let (sin, cos) = yaw.sin_cos();
    let reach = extent / 2.0 + FINGER_REACH;
    let centre = object.pose.position;
    let mut room: f64 = 0.05;
    for side in [-1.0, 1.0] {
        let finger = Vec3::new(
            centre.x + side * reach * sin,
            centre.y - side * reach * cos,
            centre.z,
        );
        for other in all.iter().filter(|other| other.id != object.id) {
            room = room.min(horizontal(&finger, &other.pose.position) - footprint(other));
        }
    }
    room
}

/// The spot in `bin` with the most room around it, upright and turned like the bin; `None` if no spot has
/// `clearance` metres between its centre and everything that lies there.
#[must_use]
pub fn free_spot(bin: &Place, all: &[Object], clearance: f64) -> Option<Pose> {
    let half_x = bin.size.x / 2.0 - WALL_MARGIN;
    let half_y = bin.size.y / 2.0 - WALL_MARGIN;
    if half_x < 0.0 || half_y < 0.0 {
        return None;
    }
    let yaw = bin.pose.yaw();
    let (sin, cos) = yaw.sin_cos();
    let steps = |half: f64| (half / SPOT_PITCH).floor() as i32;
    let mut best: Option<(f64, Pose)> = None;
    for i in -steps(half_x)..=steps(half_x) {
        for j in -steps(half_y)..=steps(half_y) {
            let (along, across) = (f64::from(i) * SPOT_PITCH, f64::from(j) * SPOT_PITCH);
            let spot =
                bin.pose
                    .shifted(along * cos - across * sin, along * sin + across * cos, 0.0);
            let room = all
                .iter()
                .map(|other| horizontal(&spot.position, &other.pose.position) - footprint(other))
                .fold(f64::INFINITY, f64::min)
                // Beyond this, more room is no gain; the middle of the bin is easier to reach.
                .min(0.12)
                - 0.1 * along.hypot(across);
            if best.as_ref().is_none_or(|(most, _)| room > most + 1e-9) {
                best = Some((room, spot));
            }
        }
    }
    let (room, spot) = best?;
    let centre_loss = 0.1 * horizontal(&spot.position, &bin.pose.position);
    (room + centre_loss >= clearance).then_some(spot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(id: u64, x: f64, y: f64, yaw: f64, size: [f64; 3]) -> Object {
        Object {
            id,
            class: "block".to_owned(),
            color: "red".to_owned(),
            pose: Pose::upright(x, y, size[2] / 2.0, yaw),
            velocity: Vec3::new(0.0, 0.0, 0.0),
            size: Vec3::new(size[0], size[1], size[2]),
            confidence: 0.9,
            position_sigma: 0.002,
            first_seen: 1,
            last_seen: 1,
            place: String::new(),
        }
    }

    const BLOCK: [f64; 3] = [0.05, 0.03, 0.03];
    const PUCK: [f64; 3] = [0.036, 0.036, 0.03];

    fn bin() -> Place {
        Place {
            name: "bin".to_owned(),
            kind: "bin".to_owned(),
            pose: Pose::upright(0.47, -0.24, 0.002, 0.0),
            size: Vec3::new(0.36, 0.34, 0.1),
        }
    }

    #[test]
    fn a_free_block_is_grasped_across_and_half_turns_look_the_same() {
        for yaw in [-1.5, -0.7, 0.0, 0.9, 2.8] {
            let block = object(1, 0.5, -0.2, yaw, BLOCK);
            let grasp = grasp_yaw(&block, core::slice::from_ref(&block));
            assert!(wrap_angle(grasp - yaw, PI).abs() < 1e-9, "{yaw}: {grasp}");
            assert!((-FRAC_PI_2..FRAC_PI_2).contains(&grasp));
        }
    }

    #[test]
    fn a_neighbour_at_the_side_turns_the_grasp() {
        // Fingers for yaw 0 stand at y ± 37 mm, where a neighbour lies.
        let block = object(1, 0.5, -0.2, 0.0, BLOCK);
        let beside = object(2, 0.5, -0.155, 0.0, PUCK);
        let grasp = grasp_yaw(&block, &[block.clone(), beside]);
        assert!(wrap_angle(grasp - FRAC_PI_2, PI).abs() < 1e-9, "{grasp}");
        let puck = object(3, 0.5, -0.2, 0.3, PUCK);
        let beside = object(4, 0.5, -0.16, 0.0, PUCK);
        let grasp = grasp_yaw(&puck, &[puck.clone(), beside]);
        assert!(wrap_angle(grasp - FRAC_PI_2, PI).abs() < 0.2, "{grasp}");
    }

    #[test]
    fn fits_are_judged_by_symmetry() {
        let slot = Place {
            pose: Pose::upright(0.42, 0.15, 0.0, 0.0),
            ..bin()
        };
        let turned = Fit::of(&object(1, 0.423, 0.154, PI - 0.1, BLOCK), &slot);
        assert!((turned.offset - 0.005).abs() < 1e-9);
        assert!((turned.turn - 0.1).abs() < 1e-9);
        assert_eq!(Fit::of(&object(1, 0.42, 0.15, 1.0, PUCK), &slot).turn, 0.0);
        assert!(turned.within(0.01, 0.2) && !turned.within(0.01, 0.05));
        let mut toppled = object(1, 0.42, 0.15, 0.0, PUCK);
        toppled.pose.position.z += 0.006;
        assert!(!Fit::of(&toppled, &slot).within(0.01, 0.2));
    }

    #[test]
    fn free_spots_keep_their_distance() {
        let empty = free_spot(&bin(), &[], 0.05).expect("an empty bin has room");
        assert!(horizontal(&empty.position, &bin().pose.position) < 1e-9);
        let parts = [
            object(1, 0.47, -0.24, 0.0, BLOCK),
            object(2, 0.40, -0.18, 0.0, BLOCK),
        ];
        let spot = free_spot(&bin(), &parts, 0.05).expect("there is room");
        for part in &parts {
            assert!(horizontal(&spot.position, &part.pose.position) > 0.075);
        }
        assert!((spot.position.x - 0.47).abs() <= 0.118 + 1e-9);
        let crowd: Vec<Object> = (0..49)
            .map(|n| {
                let (i, j) = (f64::from(n % 7) - 3.0, f64::from(n / 7) - 3.0);
                object(n as u64, 0.47 + 0.05 * i, -0.24 + 0.05 * j, 0.0, PUCK)
            })
            .collect();
        assert_eq!(free_spot(&bin(), &crowd, 0.05), None);
    }
}
