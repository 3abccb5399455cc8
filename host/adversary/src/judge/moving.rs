//! What of the arm moves how fast: points whose speed is limited, masses whose momentum is, and how far the joints are
//! from a posture in which the tool cannot be moved in every direction.

use nalgebra::Vector3;
use sinew_kinematics::{Body, Chain, Forward, LinkCapsule, Point};
use sinew_messages::{JOINTS, JointVector};
use sinew_safety::{ContactLimits, Singularity};

/// What a point whose speed is limited is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Hand,
    Elbow,
    Carried,
}

/// Points whose speed is limited.
pub(super) fn watched(
    chain: &Chain,
    forward: &Forward,
    carried: Option<&LinkCapsule>,
) -> Vec<(Vector3<f64>, Part)> {
    let mut points = vec![
        (forward.tool.translation.vector, Part::Hand),
        (forward.links[3].translation.vector, Part::Elbow),
    ];
    for capsule in chain
        .capsules()
        .iter()
        .filter(|capsule| capsule.link > JOINTS)
    {
        let far = if capsule.a.coords.norm() > capsule.b.coords.norm() {
            capsule.a
        } else {
            capsule.b
        };
        points.push(((forward.hand * far).coords, Part::Hand));
    }
    for end in carried.into_iter().flat_map(|thing| [thing.a, thing.b]) {
        points.push(((forward.hand * end).coords, Part::Carried));
    }
    points
}

/// Points of the hand, in its own frame, between which all of it is, and what it carries.
pub(super) fn hand_points(chain: &Chain, carried: Option<&LinkCapsule>) -> Vec<Point> {
    let tool = Point::from(chain.tool_in_hand().translation.vector);
    let ends = (chain.capsules().iter())
        .filter(|capsule| capsule.link > JOINTS)
        .chain(carried)
        .flat_map(|capsule| [capsule.a, capsule.b]);
    core::iter::once(tool).chain(ends).collect()
}

/// Everything that weighs something: each mass, kg, and where its centre is, m.
pub(super) fn weights(chain: &Chain, forward: &Forward, load: &Body) -> Vec<(f64, Vector3<f64>)> {
    let mut weights = Vec::with_capacity(JOINTS + 2);
    if let Some(masses) = chain.masses() {
        for (body, link) in masses.links.iter().zip(&forward.links) {
            weights.push((body.mass_kg, (link * Point::from(body.com_m)).coords));
        }
        let hand = forward.hand * Point::from(masses.hand.com_m);
        weights.push((masses.hand.mass_kg, hand.coords));
    }
    let carried = forward.hand * Point::from(load.com_m);
    weights.push((load.mass_kg, carried.coords));
    weights
}

/// Speed at which the arm may meet the most sensitive part of the body, m/s. The energy that its spring takes at the
/// force that it bears for a moment, `F²/2k`, is that of the two masses against each other, `μv²/2`; half of the arm
/// counts, and all of its load (ISO/TS 15066, A.3.4).
pub(super) fn bearable_m_s(contact: &ContactLimits, chain: &Chain, load: &Body) -> f64 {
    let arm_kg: f64 = chain.masses().map_or(f64::INFINITY, |masses| {
        masses.links.iter().map(|body| body.mass_kg).sum::<f64>() + masses.hand.mass_kg
    });
    let robot_kg = 0.5 * arm_kg + load.mass_kg;
    (contact.regions.iter())
        .map(|region| {
            let force = region.force_max_n * region.transient_factor;
            let energy = force * force / (2.0 * region.stiffness_n_m);
            let together = if robot_kg.is_finite() {
                region.mass_kg * robot_kg / (region.mass_kg + robot_kg)
            } else {
                region.mass_kg
            };
            (2.0 * energy / together).sqrt()
        })
        .fold(f64::INFINITY, f64::min)
}

/// What a motion that is no stop keeps of a singularity: how much of the joints' speeds is left, and how much farther in
/// it may go, as margins with their words.
pub(super) fn singular_margins(
    limits: &Singularity,
    [before, now]: [f64; 2],
    v: &JointVector,
    velocity_max: &JointVector,
) -> [(f64, String); 2] {
    const ROUNDING_M_S: f64 = 1e-9;
    let farther = if now > limits.stop_above {
        before * (1.0 + 1e-9) - now
    } else {
        f64::INFINITY
    };
    let beyond = ((now - limits.slow_above) / (limits.stop_above - limits.slow_above)).max(0.0);
    let left = if beyond >= 1.0 || now.is_infinite() {
        limits.slow_share
    } else {
        (1.0 - beyond) + beyond * limits.slow_share
    };
    let slower = (v.iter().zip(velocity_max))
        .map(|(v, most)| left * most + ROUNDING_M_S - v.abs())
        .fold(f64::INFINITY, f64::min);
    [
        (farther, format!("from condition {before} on to {now}")),
        (slower, format!("{v:?} rad/s at condition {now}")),
    ]
}
