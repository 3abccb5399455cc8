//! What is not as it must be where a robot stands: for people, with names and depths. The gate judges by its own checks.

use sinew_kinematics::Chain;
use sinew_messages::{JointVector, LimitKind};

use crate::limits::{SafetyConfig, SafetyLimits};
use crate::sweep::Sweep;

/// One limit that a standing robot breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breach {
    /// Which kind of limit.
    pub limit: LimitKind,
    /// Joint (`Position`), zone of the configuration (`Zone`), axis from x (`Envelope`), else nothing.
    pub index: Option<u32>,
    /// Link that is deepest in it, from 1 at the base to 7, and 8 for the hand; 0 for a joint or the tool's tilt.
    pub link: usize,
    /// How deep: m, or rad for a joint and the tool's tilt.
    pub depth: f64,
}

/// Everything that keeps a robot at `q` (rad) from being started in normal mode: joints outside their limits, then every
/// zone and side of the envelope with the link that is deepest in it. Links that touch each other and a tool outside its
/// cone are named where nothing else is broken.
#[must_use]
pub fn breaches(chain: &Chain, limits: &SafetyLimits, q: &JointVector) -> Vec<Breach> {
    let config = limits.config();
    let mut found = Vec::new();
    for (joint, at) in q.iter().enumerate() {
        let below = config.position_min_rad[joint] - at;
        let above = at - config.position_max_rad[joint];
        let depth = below.max(above);
        if depth > 0.0 {
            found.push(Breach {
                limit: LimitKind::Position,
                index: Some(joint as u32),
                link: 0,
                depth,
            });
        }
    }
    found.extend(in_space(chain, config, q, 0.0));
    if found.is_empty()
        && let Err(violation) = Sweep::new(chain.clone(), limits).check_start(q, config)
    {
        found.push(Breach {
            limit: violation.limit,
            index: None,
            link: match violation.limit {
                LimitKind::SelfCollision => violation.index.unwrap_or(0) as usize,
                _ => 0,
            },
            depth: -violation.asked,
        });
    }
    found
}

/// Zones and sides of the envelope that no link is in and one is nearer to than the gate's tracking margin: a robot that is
/// brought to stand there leaves in recovery mode alone. Depths are 0 or below: less the clearance, m.
#[must_use]
pub fn too_near(chain: &Chain, limits: &SafetyLimits, q: &JointVector) -> Vec<Breach> {
    let config = limits.config();
    let mut near = in_space(chain, config, q, config.tracking_margin_m);
    near.retain(|breach| breach.depth <= 0.0);
    near
}

/// Zones and sides of the envelope whose nearest link has less clearance than `within_m`.
fn in_space(chain: &Chain, config: &SafetyConfig, q: &JointVector, within_m: f64) -> Vec<Breach> {
    let forward = chain.forward(q);
    let links: Vec<_> = (chain.place_capsules(&forward))
        .filter(|capsule| capsule.link > 0)
        .collect();
    let mut found = Vec::new();
    let mut deepest = |limit, index: u32, clearance: &dyn Fn(usize) -> f64| {
        let nearest = (0..links.len())
            .map(|n| (links[n].link, clearance(n)))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((link, clearance)) = nearest.filter(|(_, clearance)| *clearance < within_m) {
            found.push(Breach {
                limit,
                index: Some(index),
                link,
                depth: -clearance,
            });
        }
    };
    for (index, zone) in config.zones.iter().enumerate() {
        if zone.speed_max_m_s.is_none() {
            deepest(LimitKind::Zone, index as u32, &|n| {
                zone.shape.clearance(&links[n])
            });
        }
    }
    for axis in 0..3 {
        deepest(LimitKind::Envelope, axis as u32, &|n| {
            let capsule = &links[n];
            let low = capsule.a[axis].min(capsule.b[axis]) - config.envelope_min_m[axis];
            let high = config.envelope_max_m[axis] - capsule.a[axis].max(capsule.b[axis]);
            low.min(high) - capsule.radius_m
        });
    }
    found
}
