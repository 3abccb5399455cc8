//! Boxes in the robot's base frame that narrow where a plugin may take the tool.

use serde::{Deserialize, Serialize};

/// An axis-aligned box in the robot's base frame.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// What it is called in refusals.
    pub name: String,
    /// Lower corner, m.
    pub min_m: [f64; 3],
    /// Upper corner, m.
    pub max_m: [f64; 3],
}

impl Zone {
    /// Why it is no box.
    pub(super) fn fault(&self) -> Option<String> {
        (0..3).find_map(|axis| {
            let (min, max) = (self.min_m[axis], self.max_m[axis]);
            // Written so that NaN fails too.
            let is_side = min.is_finite() && max.is_finite() && min < max;
            (!is_side).then(|| {
                format!(
                    "the zone `{}` goes from {min} to {max} along {}",
                    self.name,
                    ["x", "y", "z"][axis]
                )
            })
        })
    }

    pub(crate) fn contains(&self, point_m: &[f64; 3]) -> bool {
        (0..3).all(|axis| (self.min_m[axis]..=self.max_m[axis]).contains(&point_m[axis]))
    }

    /// How far outside of the box a point is, m; 0 inside.
    pub(crate) fn distance(&self, point_m: &[f64; 3]) -> f64 {
        let off = |axis: usize| {
            let at = point_m[axis];
            (self.min_m[axis] - at).max(at - self.max_m[axis]).max(0.0)
        };
        (0..3).map(|axis| off(axis) * off(axis)).sum::<f64>().sqrt()
    }

    /// How deep in the box a point is, m; 0 outside.
    pub(crate) fn depth(&self, point_m: &[f64; 3]) -> f64 {
        (0..3)
            .map(|axis| (point_m[axis] - self.min_m[axis]).min(self.max_m[axis] - point_m[axis]))
            .fold(f64::INFINITY, f64::min)
            .max(0.0)
    }

    /// The part of the way from `from` to `to` that lies in the box, as shares of the way (slabs method, Kay and
    /// Kajiya 1986).
    pub(crate) fn share_of(&self, from: &[f64; 3], to: &[f64; 3]) -> Option<(f64, f64)> {
        let (mut enters, mut leaves) = (0.0_f64, 1.0_f64);
        for axis in 0..3 {
            let way = to[axis] - from[axis];
            let (min, max) = (self.min_m[axis] - from[axis], self.max_m[axis] - from[axis]);
            if way == 0.0 {
                if min > 0.0 || max < 0.0 {
                    return None;
                }
                continue;
            }
            let (near, far) = (min / way, max / way);
            enters = enters.max(near.min(far));
            leaves = leaves.min(near.max(far));
        }
        (enters <= leaves).then_some((enters, leaves))
    }
}

/// Where the tool centre point may be: in one of `inside` (anywhere if there is none), and in none of `outside`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Zones {
    pub(crate) inside: Vec<Zone>,
    pub(crate) outside: Vec<Zone>,
}

impl Zones {
    pub(crate) fn narrow_nothing(&self) -> bool {
        self.inside.is_empty() && self.outside.is_empty()
    }

    /// What forbids the tool to be at a point.
    pub(crate) fn forbids(&self, point_m: &[f64; 3]) -> Option<String> {
        if let Some(zone) = self.outside.iter().find(|zone| zone.contains(point_m)) {
            return Some(format!(
                "it is in `{}`, which is to be kept out of",
                zone.name
            ));
        }
        let is_free =
            self.inside.is_empty() || self.inside.iter().any(|zone| zone.contains(point_m));
        (!is_free).then(|| {
            let names: Vec<String> = (self.inside.iter())
                .map(|zone| format!("`{}`", zone.name))
                .collect();
            format!("it is not in {}", names.join(" or "))
        })
    }

    /// What forbids a straight way of the tool. Whoever begins where it may not be may go where it may, by no other
    /// zone that is to be kept out of.
    pub(crate) fn forbids_way(&self, from_m: &[f64; 3], to_m: &[f64; 3]) -> Option<String> {
        if let Some(reason) = self.forbids(to_m) {
            return Some(reason);
        }
        let crossed =
            |zone: &&Zone| !zone.contains(from_m) && zone.share_of(from_m, to_m).is_some();
        if let Some(zone) = self.outside.iter().find(crossed) {
            return Some(format!(
                "the way there leads through `{}`, which is to be kept out of",
                zone.name
            ));
        }
        let begins_inside = self.inside.iter().any(|zone| zone.contains(from_m));
        let leaves = begins_inside && !self.covers(from_m, to_m);
        leaves.then(|| "the way there leaves the zones that it may be in".to_owned())
    }

    /// Whether the boxes that the tool may be in cover the whole way together.
    pub(crate) fn covers(&self, from_m: &[f64; 3], to_m: &[f64; 3]) -> bool {
        let mut shares: Vec<(f64, f64)> = (self.inside.iter())
            .filter_map(|zone| zone.share_of(from_m, to_m))
            .collect();
        shares.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut covered = 0.0;
        for (enters, leaves) in shares {
            if enters > covered {
                return false;
            }
            covered = leaves.max(covered);
        }
        covered >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, min_m: [f64; 3], max_m: [f64; 3]) -> Zone {
        Zone {
            name: name.to_owned(),
            min_m,
            max_m,
        }
    }

    fn two_rooms_and_a_pillar() -> Zones {
        Zones {
            inside: vec![
                zone("left", [0.0; 3], [1.0; 3]),
                zone("right", [1.0, 0.0, 0.0], [2.0, 1.0, 1.0]),
                zone("island", [3.0, 0.0, 0.0], [4.0, 1.0, 1.0]),
            ],
            outside: vec![zone("pillar", [0.4, 0.4, 0.0], [0.6, 0.6, 1.0])],
        }
    }

    #[test]
    fn a_point_is_in_one_and_in_none() {
        let zones = two_rooms_and_a_pillar();
        assert_eq!(zones.forbids(&[0.1, 0.1, 0.1]), None);
        assert_eq!(zones.forbids(&[1.5, 0.5, 0.5]), None);
        let pillar = zones.forbids(&[0.5, 0.5, 0.5]).expect("it is refused");
        assert!(pillar.contains("in `pillar`"), "{pillar}");
        let nowhere = zones.forbids(&[2.5, 0.5, 0.5]).expect("it is refused");
        assert!(nowhere.contains("not in `left` or `right`"), "{nowhere}");
        assert!(zones.forbids(&[f64::NAN, 0.5, 0.5]).is_some());
        assert_eq!(Zones::default().forbids(&[9.0; 3]), None);
        assert!(Zones::default().narrow_nothing() && !zones.narrow_nothing());
    }

    #[test]
    fn a_way_may_go_from_room_to_room_and_through_no_pillar() {
        let zones = two_rooms_and_a_pillar();
        let ends = |from, to| zones.forbids_way(&from, &to);
        assert_eq!(ends([0.1, 0.1, 0.5], [1.9, 0.1, 0.5]), None);
        assert_eq!(ends([1.9, 0.1, 0.5], [0.1, 0.1, 0.5]), None);
        let through = ends([0.1, 0.5, 0.5], [0.9, 0.5, 0.5]).expect("it is refused");
        assert!(through.contains("through `pillar`"), "{through}");
        let across = ends([1.5, 0.5, 0.5], [3.5, 0.5, 0.5]).expect("it is refused");
        assert!(across.contains("leaves the zones"), "{across}");
        assert!(ends([0.1, 0.1, 0.5], [0.1, 0.1, 1.5]).is_some());
        // It stands.
        assert_eq!(ends([0.1, 0.1, 0.5], [0.1, 0.1, 0.5]), None);
        // The way in is free, the way to another place where it may not be is not.
        assert_eq!(ends([0.5, 0.5, 0.5], [0.1, 0.5, 0.5]), None);
        assert_eq!(ends([2.5, 0.5, 0.5], [1.5, 0.5, 0.5]), None);
        assert!(ends([-0.5, 0.5, 0.5], [0.9, 0.5, 0.5]).is_some());
        assert!(ends([2.5, 0.5, 0.5], [2.6, 0.5, 0.5]).is_some());
    }

    #[test]
    fn what_is_no_box_is_told() {
        for (min, max, axis) in [
            ([0.0, 0.0, 1.0], [1.0, 1.0, 1.0], "along z"),
            ([0.0, 2.0, 0.0], [1.0, 1.0, 1.0], "along y"),
            ([f64::NAN, 0.0, 0.0], [1.0, 1.0, 1.0], "along x"),
            ([0.0, 0.0, 0.0], [f64::INFINITY, 1.0, 1.0], "along x"),
        ] {
            let fault = zone("odd", min, max).fault().expect("it is no box");
            assert!(fault.contains(axis) && fault.contains("odd"), "{fault}");
        }
        assert_eq!(zone("box", [0.0; 3], [1.0; 3]).fault(), None);
    }
}
