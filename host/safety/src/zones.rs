//! Zones, and the nearest of many in logarithmic time.
//!
//! A tree of axis-aligned boxes over the zones that have an end, built once; half-spaces beside it. A box's
//! distance to the box around a capsule is never more than that of any zone in it, so a branch that is
//! farther away than what was found already is not looked into.

use nalgebra::Vector3;
use sinew_kinematics::{
    Aabb, Cylinder, HalfSpace, Hull, PlacedCapsule, clearance_to_box, clearance_to_cylinder,
    clearance_to_half_space, clearance_to_hull,
};

use crate::work::Work;

/// Forbidden and slow zones that a configuration may have together.
pub const ZONES_MAX: usize = 1_000;
/// Different speeds that slow zones of a configuration may allow: which of them a motion keeps is looked for in each tick.
pub const SLOW_SPEEDS_MAX: usize = 16;
/// Branches that can wait during a search: the tree is halved at each level, so its depth is 10 at most.
const WAITING_MAX: usize = 32;

/// A part of space that links may not enter, or not fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Unique name, for messages.
    pub name: String,
    /// Where it is.
    pub shape: ZoneShape,
    /// None: nothing may enter. Some: nothing may enter faster, m/s.
    pub speed_max_m_s: Option<f64>,
}

/// Shape of a zone, base frame.
#[derive(Clone, Debug, PartialEq)]
pub enum ZoneShape {
    /// An axis-aligned box.
    Box(Aabb),
    /// Everything below a plane.
    HalfSpace(HalfSpace),
    /// An upright cylinder.
    Cylinder(Cylinder),
    /// The convex hull of some points.
    Hull(Hull),
}

impl ZoneShape {
    /// Clearance of a capsule, m; negative inside. Never more than the true clearance.
    #[must_use]
    pub fn clearance(&self, capsule: &PlacedCapsule) -> f64 {
        match self {
            Self::Box(aabb) => clearance_to_box(capsule, aabb),
            Self::HalfSpace(half_space) => clearance_to_half_space(capsule, half_space),
            Self::Cylinder(cylinder) => {
                self.apart(capsule, clearance_to_cylinder(capsule, cylinder))
            }
            Self::Hull(hull) => self.apart(capsule, clearance_to_hull(capsule, hull)),
        }
    }

    /// The better of two bounds: `clearance`, and that of the box around the zone where the two are apart.
    fn apart(&self, capsule: &PlacedCapsule, clearance: f64) -> f64 {
        match self.bounds().map(|bounds| gap(&bounds, &around(capsule))) {
            Some(gap) if gap > 0.0 => clearance.max(gap - capsule.radius_m),
            _ => clearance,
        }
    }

    /// How much work its distance is, in distances to a box. A hull's is found by cuts, each over all of its faces.
    pub(crate) fn work(&self) -> u32 {
        match self {
            Self::Box(_) | Self::HalfSpace(_) | Self::Cylinder(_) => 1,
            Self::Hull(hull) => 1 + hull.faces().len() as u32 / 2,
        }
    }

    /// The box around it; none around a half-space.
    #[must_use]
    pub fn bounds(&self) -> Option<Aabb> {
        match self {
            Self::Box(aabb) => Some(*aabb),
            Self::HalfSpace(_) => None,
            Self::Cylinder(Cylinder {
                base,
                radius_m,
                height_m,
            }) => {
                let across = Vector3::new(*radius_m, *radius_m, 0.0);
                Some(Aabb {
                    min: base - across,
                    max: base + across + Vector3::z() * *height_m,
                })
            }
            Self::Hull(hull) => hull
                .points()
                .iter()
                .map(|point| Aabb {
                    min: *point,
                    max: *point,
                })
                .reduce(|a, b| join(&a, &b)),
        }
    }
}

/// Speeds that slow zones allow, ascending, each once, m/s.
pub(crate) fn slow_speeds(zones: &[Zone]) -> Vec<f64> {
    let mut speeds: Vec<f64> = (zones.iter())
        .filter_map(|zone| zone.speed_max_m_s)
        .collect();
    speeds.sort_by(f64::total_cmp);
    speeds.dedup();
    speeds
}

fn join(a: &Aabb, b: &Aabb) -> Aabb {
    Aabb {
        min: a.min.inf(&b.min),
        max: a.max.sup(&b.max),
    }
}

/// The box around a capsule's axis.
fn around(capsule: &PlacedCapsule) -> Aabb {
    Aabb {
        min: capsule.a.inf(&capsule.b),
        max: capsule.a.sup(&capsule.b),
    }
}

/// Distance between two boxes, m; 0 if they meet.
fn gap(a: &Aabb, b: &Aabb) -> f64 {
    let squared: f64 = (0..3)
        .map(|i| {
            let gap = (a.min[i] - b.max[i]).max(b.min[i] - a.max[i]).max(0.0);
            gap * gap
        })
        .sum();
    libm::sqrt(squared)
}

/// One node of the tree; the left child of node `n` follows it.
#[derive(Clone, Copy, Debug)]
struct Node {
    bounds: Aabb,
    /// Zone of a leaf, or the right child.
    what: Content,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    Leaf { zone: u32 },
    Branch { right: u32 },
}

/// A zone in the index.
#[derive(Clone, Debug)]
struct Indexed {
    /// Position in the configuration.
    number: u32,
    /// Speed that is allowed inside, m/s; none is below every speed.
    allowed_m_s: f64,
    shape: ZoneShape,
    work: u32,
}

/// Zones of a configuration, ready to be searched. Positions are those in the configuration's list.
#[derive(Clone, Debug)]
pub(crate) struct ZoneIndex {
    shapes: Vec<Indexed>,
    /// Places in `shapes` of those without an end.
    endless: Vec<u32>,
    nodes: Vec<Node>,
}

impl ZoneIndex {
    /// Of those zones of the list that `which` picks.
    pub(crate) fn new(zones: &[Zone], which: impl Fn(&Zone) -> bool) -> Self {
        let shapes: Vec<Indexed> = zones
            .iter()
            .enumerate()
            .filter(|(_, zone)| which(zone))
            .map(|(at, zone)| Indexed {
                number: at as u32,
                allowed_m_s: zone.speed_max_m_s.unwrap_or(f64::NEG_INFINITY),
                work: zone.shape.work(),
                shape: zone.shape.clone(),
            })
            .collect();
        let mut endless = Vec::new();
        let mut ended = Vec::new();
        for (at, zone) in shapes.iter().enumerate() {
            match zone.shape.bounds() {
                Some(bounds) => ended.push((at as u32, bounds)),
                None => endless.push(at as u32),
            }
        }
        let mut nodes = Vec::with_capacity(2 * ended.len());
        grow(&mut ended, &mut nodes);
        Self {
            shapes,
            endless,
            nodes,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Clearance to the zone at a place, m.
    pub(crate) fn clearance(&self, place: usize, capsule: &PlacedCapsule, work: &mut Work) -> f64 {
        work.spend(self.shapes[place].work);
        self.shapes[place].shape.clearance(capsule)
    }

    /// Position in the configuration's list of the zone at a place.
    pub(crate) fn number(&self, place: usize) -> u32 {
        self.shapes[place].number
    }

    /// Hands the place of every zone that is nearer than `most` to `found`, with its clearance, m. Zones that allow
    /// `speed_m_s` don't count. What there is no work left for is not found.
    pub(crate) fn within(
        &self,
        capsule: &PlacedCapsule,
        most: f64,
        speed_m_s: f64,
        work: &mut Work,
        mut found: impl FnMut(usize, f64),
    ) {
        let mut look_at = |at: u32, work: &mut Work| {
            let zone = &self.shapes[at as usize];
            if zone.allowed_m_s >= speed_m_s || !work.spend(zone.work) {
                return;
            }
            let clearance = zone.shape.clearance(capsule);
            if clearance < most {
                found(at as usize, clearance);
            }
        };
        for at in &self.endless {
            look_at(*at, work);
        }
        if self.nodes.is_empty() {
            return;
        }
        let around = around(capsule);
        let mut waiting = [0_u32; WAITING_MAX];
        let mut count = 1;
        while count > 0 {
            count -= 1;
            if !work.spend(1) {
                return;
            }
            let node = waiting[count];
            let Node { bounds, what } = &self.nodes[node as usize];
            let gap = gap(bounds, &around);
            // What the capsule's axis is in may be deeper than its box says.
            if gap > 0.0 && gap - capsule.radius_m >= most {
                continue;
            }
            match what {
                Content::Leaf { zone } => look_at(*zone, work),
                Content::Branch { right } => {
                    waiting[count] = *right;
                    waiting[count + 1] = node + 1;
                    count += 2;
                }
            }
        }
    }

    /// Clearance to the nearest zone that is nearer than `least`, m, and its position in the configuration's list.
    /// Zones that allow `speed_m_s` don't count. Without work left one could be anywhere.
    pub(crate) fn nearest(
        &self,
        capsule: &PlacedCapsule,
        least: f64,
        speed_m_s: f64,
        work: &mut Work,
    ) -> (f64, Option<u32>) {
        let mut nearest = (least, None);
        let look_at = |at: u32, nearest: &mut (f64, Option<u32>), work: &mut Work| {
            let zone = &self.shapes[at as usize];
            if zone.allowed_m_s >= speed_m_s {
                return;
            }
            let clearance = if work.spend(zone.work) {
                zone.shape.clearance(capsule)
            } else {
                f64::NEG_INFINITY
            };
            if clearance < nearest.0 {
                *nearest = (clearance, Some(zone.number));
            }
        };
        for at in &self.endless {
            look_at(*at, &mut nearest, work);
        }
        let around = around(capsule);
        let distance = |node: u32| {
            self.nodes.get(node as usize).map_or(f64::INFINITY, |node| {
                gap(&node.bounds, &around) - capsule.radius_m
            })
        };
        let mut waiting = [(0_u32, 0.0_f64); WAITING_MAX];
        waiting[0] = (0, distance(0));
        let mut count = 1;
        while count > 0 {
            count -= 1;
            if !work.spend(1) {
                return (f64::NEG_INFINITY, None);
            }
            let (node, least) = waiting[count];
            // A zone that the capsule is in may be deeper than its box says: only what is apart is passed over.
            let is_apart = least > -capsule.radius_m;
            if (is_apart && least >= nearest.0) || least == f64::INFINITY {
                continue;
            }
            match self.nodes[node as usize].what {
                Content::Leaf { zone } => look_at(zone, &mut nearest, work),
                Content::Branch { right } => {
                    let left = node + 1;
                    let (l, r) = (distance(left), distance(right));
                    // The nearer one is taken first: it lies on top.
                    let (first, second) = if l <= r {
                        ((left, l), (right, r))
                    } else {
                        ((right, r), (left, l))
                    };
                    waiting[count] = second;
                    waiting[count + 1] = first;
                    count += 2;
                }
            }
        }
        nearest
    }
}

/// Adds the tree over `zones` to `nodes`: halves by the middle along the longest side.
fn grow(zones: &mut [(u32, Aabb)], nodes: &mut Vec<Node>) {
    let Some(bounds) = zones
        .iter()
        .map(|(_, bounds)| *bounds)
        .reduce(|a, b| join(&a, &b))
    else {
        return;
    };
    if let [(zone, _)] = zones {
        nodes.push(Node {
            bounds,
            what: Content::Leaf { zone: *zone },
        });
        return;
    }
    let axis = (bounds.max - bounds.min).imax();
    let middle = |(_, bounds): &(u32, Aabb)| bounds.min[axis] + bounds.max[axis];
    zones.sort_by(|a, b| middle(a).total_cmp(&middle(b)).then(a.0.cmp(&b.0)));
    let (left, right) = zones.split_at_mut(zones.len() / 2);
    let here = nodes.len();
    nodes.push(Node {
        bounds,
        what: Content::Branch { right: 0 },
    });
    grow(left, nodes);
    nodes[here].what = Content::Branch {
        right: nodes.len() as u32,
    };
    grow(right, nodes);
}

#[cfg(test)]
mod tests;
