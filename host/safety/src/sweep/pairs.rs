//! Pairs of bodies that could meet.

use sinew_kinematics::{Chain, PlacedCapsule, distance_between_segments};
use sinew_messages::JOINTS;

use super::{Levers, PAIRS_MAX, longest_levers};
use crate::limits::{SafetyConfig, SelfCollision};
use crate::setpoint::at_most;

/// Two bodies that could meet; `far` is the one farther out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) near: usize,
    pub(super) far: usize,
    /// Distance that their setpoints keep, m: the margin, and what the joints between them may be off by.
    pub(super) need: f64,
}

pub(super) fn self_margin(config: &SafetyConfig) -> f64 {
    (config.self_collision.as_ref()).map_or(0.0, |collision| collision.margin_m)
}

/// Pairs of capsules of the arm that are kept apart: of links that are neither the same nor neighbours, and that
/// the configuration does not say to ignore.
pub(super) fn pairs_of(
    chain: &Chain,
    collision: &SelfCollision,
    config: &SafetyConfig,
) -> Vec<Pair> {
    let capsules = chain.capsules();
    // The hand is fixed to the last link.
    let rigid = |link: usize| link.min(JOINTS);
    let is_ignored = |a: usize, b: usize| {
        (collision.ignored.iter()).any(|[x, y]| (*x, *y) == (a, b) || (*y, *x) == (a, b))
    };
    // Room for what is carried later, too.
    let mut pairs = Vec::with_capacity(PAIRS_MAX);
    for (near, a) in capsules.iter().enumerate() {
        for (far, b) in capsules.iter().enumerate() {
            let (from, to) = (rigid(a.link), rigid(b.link));
            if from + 2 <= to && !is_ignored(a.link, b.link) {
                let lever = longest_levers(chain, b);
                pairs.push(Pair {
                    near,
                    far,
                    need: collision.margin_m + slack(from, &lever, config),
                });
            }
        }
    }
    pairs
}

/// How much nearer a capsule may be to one of link `from` than their setpoints are, m: what the joints between them
/// may be off by, and never more than both may be off by in space.
pub(super) fn slack(from: usize, lever: &Levers, config: &SafetyConfig) -> f64 {
    let off: f64 = (from..JOINTS)
        .map(|j| lever[j] * config.following_error_max_rad[j])
        .sum();
    off.min(2.0 * config.tracking_margin_m)
}

/// Two links that are nearer to each other than they may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClosePair {
    /// The two links, numbered as in [`sinew_kinematics::LinkCapsule::link`].
    pub links: [usize; 2],
    /// Distance between their surfaces, m; negative if they overlap.
    pub clearance_m: f64,
    /// Distance that their setpoints are to keep, m: the margin, and what they may be off by.
    pub need_m: f64,
}

/// Links that are nearer than they may be in the posture of rest: the arm could not move there. None is right.
#[must_use]
pub fn close_at_rest(chain: &Chain, config: &SafetyConfig) -> Vec<ClosePair> {
    let Some(collision) = &config.self_collision else {
        return Vec::new();
    };
    let forward = chain.forward(chain.rest());
    let placed: Vec<PlacedCapsule> = chain.place_capsules(&forward).collect();
    pairs_of(chain, collision, config)
        .into_iter()
        .map(|pair| ClosePair {
            links: [placed[pair.near].link, placed[pair.far].link],
            clearance_m: apart(&placed[pair.near], &placed[pair.far]),
            need_m: pair.need,
        })
        .filter(|pair| !at_most(pair.need_m, pair.clearance_m))
        .collect()
}

/// Distance between the surfaces of two capsules, m; negative if they overlap.
pub(super) fn apart(a: &PlacedCapsule, b: &PlacedCapsule) -> f64 {
    distance_between_segments(&a.a, &a.b, &b.a, &b.b) - a.radius_m - b.radius_m
}
