//! Where the arm is: what it keeps of the envelope, the zones, its own links and its cone.

use nalgebra::Vector3;
use sinew_kinematics::{Chain, Forward, PlacedCapsule, distance_between_segments};
use sinew_messages::{JOINTS, JointVector};
use sinew_safety::SafetyConfig;

use super::{RETREAT_BAND, ROUNDING};

/// Signed distance of the nearest body of the arm to the envelope or a forbidden zone, m.
pub(crate) fn nearness(chain: &Chain, c: &SafetyConfig, q: &JointVector) -> f64 {
    let forward = chain.forward(q);
    chain
        .place_capsules(&forward)
        .filter(|capsule| capsule.link > 0)
        .map(|capsule| to_envelope(&capsule, c).min(to_zones(&capsule, c, f64::INFINITY, false)))
        .fold(f64::INFINITY, f64::min)
}

pub(super) fn to_envelope(capsule: &PlacedCapsule, c: &SafetyConfig) -> f64 {
    let mut least = f64::INFINITY;
    for end in [capsule.a, capsule.b] {
        for axis in 0..3 {
            least = least
                .min(end[axis] - c.envelope_min_m[axis])
                .min(c.envelope_max_m[axis] - end[axis]);
        }
    }
    least - capsule.radius_m
}

/// Distance to the zones that are forbidden, or slow and slower than `speed`.
pub(super) fn to_zones(capsule: &PlacedCapsule, c: &SafetyConfig, speed: f64, slow: bool) -> f64 {
    c.zones
        .iter()
        .filter(|zone| match zone.speed_max_m_s {
            None => !slow,
            Some(allowed) => slow && allowed < speed,
        })
        .map(|zone| zone.shape.clearance(capsule))
        .fold(f64::INFINITY, f64::min)
}

/// Signed distance of the nearest two links that are compared, m.
pub(crate) fn to_itself(chain: &Chain, c: &SafetyConfig, q: &JointVector) -> f64 {
    let placed: Vec<PlacedCapsule> = chain.place_capsules(&chain.forward(q)).collect();
    between_links(&placed, c)
}

/// Distance of the nearest two links that are compared, m.
pub(super) fn between_links(placed: &[PlacedCapsule], c: &SafetyConfig) -> f64 {
    let Some(collision) = &c.self_collision else {
        return f64::INFINITY;
    };
    let mut least = f64::INFINITY;
    for a in placed {
        for b in placed {
            let neighbours = b.link.min(JOINTS) < a.link.min(JOINTS) + 2;
            let ignored = (collision.ignored.iter())
                .any(|pair| *pair == [a.link, b.link] || *pair == [b.link, a.link]);
            if !neighbours && !ignored {
                let axes = distance_between_segments(&a.a, &a.b, &b.a, &b.b);
                least = least.min(axes - a.radius_m - b.radius_m);
            }
        }
    }
    least
}

/// Room of a setpoint to the nearer limit of its joint, rad.
pub(super) fn position_room(c: &SafetyConfig, joint: usize, q: f64) -> f64 {
    (q - c.position_min_rad[joint]).min(c.position_max_rad[joint] - q)
        - c.following_error_max_rad[joint]
}

/// Margins of space over what must be left of them, by name.
pub(super) fn margins(
    chain: &Chain,
    c: &SafetyConfig,
    forward: &Forward,
    speed: f64,
) -> Vec<(&'static str, f64)> {
    let placed: Vec<PlacedCapsule> = chain.place_capsules(forward).collect();
    let least = c.tracking_margin_m - RETREAT_BAND - ROUNDING;
    let mut margins = Vec::new();
    for capsule in placed.iter().filter(|capsule| capsule.link > 0) {
        margins.push(("envelope", to_envelope(capsule, c) - least));
        margins.push(("zone", to_zones(capsule, c, 0.0, false) - least));
        // A zone that allows less than what was given is not touched.
        let slow = to_zones(capsule, c, speed - ROUNDING, true);
        margins.push(("slow-zone", slow - least));
    }
    if let Some(collision) = &c.self_collision {
        let links = between_links(&placed, c);
        let margin = links - collision.margin_m + RETREAT_BAND + ROUNDING;
        margins.push(("self-collision", margin));
    }
    if let Some(cone) = &c.cone {
        let axis = forward.tool.rotation * Vector3::z();
        let tilt = axis.angle(&Vector3::from(cone.axis));
        margins.push((
            "orientation",
            cone.half_angle_rad - tilt + RETREAT_BAND + 1e-7,
        ));
    }
    margins
}
