//! The judge: looks at what was given and at where the robot truly is. It shares no code with the gate but the
//! kinematics and the distance of a capsule to a zone.

use std::collections::BTreeMap;

use nalgebra::Vector3;
use sinew_kinematics::{Chain, PlacedCapsule, clearance_to_column, distance_between_segments};
use sinew_messages::{JOINTS, JointVector, SafetyMode, Setpoint, VerdictKind};
use sinew_safety::{SafetyConfig, Verdict};
use sinew_units::TICK_S;

use crate::arena::Person;

/// Room within a margin that a motion may use which slides along it or leaves it, m or rad.
const RETREAT_BAND: f64 = 1e-3;
/// What rounding may do to a position, m or rad.
const ROUNDING: f64 = 1e-9;

/// Smallest margins that were left, by name: what is negative is a violation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Margins(pub BTreeMap<&'static str, f64>);

impl Margins {
    fn note(&mut self, name: &'static str, margin: f64) -> bool {
        let least = self.0.entry(name).or_insert(f64::INFINITY);
        // A NaN stays and is found.
        if margin.is_nan() || margin < *least {
            *least = margin;
        }
        margin >= 0.0
    }

    /// The smaller of both, for each name.
    pub fn merge(&mut self, other: &Self) {
        for (name, margin) in &other.0 {
            self.note(name, *margin);
        }
    }
}

/// What was given last, to take differences of.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    q: JointVector,
    v: JointVector,
    a: JointVector,
    points: Vec<(Vector3<f64>, bool)>,
    /// What was short already where the drives were switched on: it may not get worse.
    short: BTreeMap<&'static str, f64>,
    pub(crate) margins: Margins,
}

/// Signed distance of the nearest body of the arm to the envelope or a forbidden zone, m.
pub(crate) fn nearness(chain: &Chain, c: &SafetyConfig, q: &JointVector) -> f64 {
    let forward = chain.forward(q);
    chain
        .place_capsules(&forward)
        .filter(|capsule| capsule.link > 0)
        .map(|capsule| to_envelope(&capsule, c).min(to_zones(&capsule, c, f64::INFINITY, false)))
        .fold(f64::INFINITY, f64::min)
}

fn to_envelope(capsule: &PlacedCapsule, c: &SafetyConfig) -> f64 {
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
fn to_zones(capsule: &PlacedCapsule, c: &SafetyConfig, speed: f64, slow: bool) -> f64 {
    c.zones
        .iter()
        .filter(|zone| match zone.speed_max_m_s {
            None => !slow,
            Some(allowed) => slow && allowed < speed,
        })
        .map(|zone| zone.shape.clearance(capsule))
        .fold(f64::INFINITY, f64::min)
}

/// Distance of the nearest two links that are compared, m.
fn between_links(placed: &[PlacedCapsule], c: &SafetyConfig) -> f64 {
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
fn position_room(c: &SafetyConfig, joint: usize, q: f64) -> f64 {
    (q - c.position_min_rad[joint]).min(c.position_max_rad[joint] - q)
        - c.following_error_max_rad[joint]
}

/// Points whose speed is limited, and whether each is the elbow's.
fn watched(chain: &Chain, q: &JointVector) -> Vec<(Vector3<f64>, bool)> {
    let forward = chain.forward(q);
    let mut points = vec![
        (forward.tool.translation.vector, false),
        (forward.links[3].translation.vector, true),
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
        points.push(((forward.hand * far).coords, false));
    }
    points
}

/// Margins of space at `q` over what must be left of them, by name.
fn space_margins(
    chain: &Chain,
    c: &SafetyConfig,
    q: &JointVector,
    speed: f64,
) -> Vec<(&'static str, f64)> {
    let forward = chain.forward(q);
    let placed: Vec<PlacedCapsule> = chain.place_capsules(&forward).collect();
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

impl Judge {
    pub(crate) fn new(chain: &Chain, q: &JointVector) -> Self {
        Self {
            q: *q,
            v: [0.0; JOINTS],
            a: [0.0; JOINTS],
            points: watched(chain, q),
            short: BTreeMap::new(),
            margins: Margins::default(),
        }
    }

    fn note(&mut self, name: &'static str, margin: f64) -> bool {
        let short = self.short.get(name).copied().unwrap_or(0.0);
        self.margins.note(name, margin + short)
    }

    /// Power was off: what is given next starts at rest from `q`, where the robot was found. That may be nearer to
    /// something than a setpoint may be, by as much as the robot may be off.
    pub(crate) fn restart(&mut self, chain: &Chain, c: &SafetyConfig, q: &JointVector) {
        let mut found = Self::new(chain, q);
        // What is wrong is what is asked for here.
        let _ = found.space(chain, c, 0.0);
        for (i, q) in q.iter().enumerate() {
            let _ = found.note("position", position_room(c, i, *q));
        }
        let _ = found.reaction(chain, c);
        let margins = core::mem::take(&mut self.margins);
        let short = (found.margins.0.iter())
            .filter(|(_, margin)| **margin < 0.0)
            .map(|(name, margin)| (*name, -margin + ROUNDING))
            .collect();
        *self = Self {
            margins,
            short,
            ..Self::new(chain, q)
        };
    }

    /// Looks at one command. The error names what was broken.
    pub(crate) fn given(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        mode: SafetyMode,
        given: &Setpoint,
        verdict: &Verdict,
    ) -> Result<(), String> {
        if !given.is_finite() {
            return Err(format!("a command that is not finite: {given:?}"));
        }
        let passed = verdict.kind == VerdictKind::Pass;
        // What came through is limited by the mode; the stop is not.
        let (tool_max, elbow_max, share) = match (mode, verdict.kind) {
            (SafetyMode::Reduced, VerdictKind::Pass) => (
                c.reduced.speed_max_m_s,
                c.reduced.speed_max_m_s,
                c.reduced.joint_speed_share,
            ),
            (SafetyMode::Recovery, VerdictKind::Pass) => (
                c.recovery.speed_max_m_s,
                c.recovery.speed_max_m_s,
                c.recovery.joint_speed_share,
            ),
            _ => (c.tool_speed_max_m_s, c.elbow_speed_max_m_s, 1.0),
        };
        for i in 0..JOINTS {
            let q = given.position_rad[i];
            let v = (q - self.q[i]) / TICK_S;
            let a = (v - self.v[i]) / TICK_S;
            let j = (a - self.a[i]) / TICK_S;
            let a_max = c.acceleration_max_rad_s2[i].max(c.stop_acceleration_rad_s2[i]);
            let j_max = if passed {
                c.jerk_max_rad_s3[i]
            } else {
                c.jerk_max_rad_s3[i].max(c.stop_jerk_rad_s3[i])
            };
            // The stop may still gain speed while it takes back an acceleration.
            let rising = if passed {
                0.0
            } else {
                0.5 * a_max * a_max / c.stop_jerk_rad_s3[i]
            };
            let room = position_room(c, i, q);
            for (name, margin) in [
                (
                    "velocity",
                    share * c.velocity_max_rad_s[i] + rising + 1e-9 - v.abs(),
                ),
                ("acceleration", a_max + 1e-6 - a.abs()),
                ("jerk", j_max + 1e-2 - j.abs()),
                ("position", room + ROUNDING),
            ] {
                if !self.note(name, margin) {
                    return Err(format!("{name} of joint {i}: {margin}"));
                }
            }
            (self.q[i], self.v[i], self.a[i]) = (q, v, a);
        }
        let inside = (c.gripper_width_min_m..=c.gripper_width_max_m)
            .contains(&given.gripper_width_m)
            && (0.0..=c.gripper_force_max_n).contains(&given.gripper_force_n);
        if !inside {
            return Err(format!("gripper: {given:?}"));
        }
        let points = watched(chain, &self.q);
        let last = core::mem::take(&mut self.points);
        let mut fastest = 0.0_f64;
        for ((now, is_elbow), (before, _)) in points.iter().zip(&last) {
            let speed = (now - before).norm() / TICK_S;
            fastest = fastest.max(speed);
            let most = if *is_elbow { elbow_max } else { tool_max };
            if !self.note("tool-speed", most + ROUNDING - speed) {
                return Err(format!("speed {speed} over {most} m/s, {verdict:?}"));
            }
        }
        self.points = points;
        self.space(chain, c, fastest)
    }

    /// Space at what was given: every margin but the retreat band is kept.
    fn space(&mut self, chain: &Chain, c: &SafetyConfig, speed: f64) -> Result<(), String> {
        let mut broken = None;
        for (name, margin) in space_margins(chain, c, &self.q, speed) {
            if !self.note(name, margin) {
                broken = Some(format!("{name}: {margin}"));
            }
        }
        broken.map_or(Ok(()), Err)
    }

    /// Looks at where the robot truly is.
    pub(crate) fn truth(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        q: &JointVector,
        person: Option<&Person>,
        moves: bool,
    ) -> Result<(), String> {
        for (i, q) in q.iter().enumerate() {
            let room = (q - c.position_min_rad[i]).min(c.position_max_rad[i] - q);
            if !self.note("true-position", room + ROUNDING) {
                return Err(format!("joint {i} truly at {q}"));
            }
        }
        let forward = chain.forward(q);
        let placed: Vec<PlacedCapsule> = chain.place_capsules(&forward).collect();
        for capsule in placed.iter().filter(|capsule| capsule.link > 0) {
            let clearance = to_envelope(capsule, c).min(to_zones(capsule, c, 0.0, false));
            // Where the setpoint was short of its margin at power-on, the truth may be so once more.
            let short = |name| self.short.get(name).copied().unwrap_or(0.0);
            let room = RETREAT_BAND + short("zone").max(short("envelope")) + ROUNDING;
            if !self.margins.note("true-clearance", clearance + room) {
                return Err(format!("link {} truly at {clearance} m", capsule.link));
            }
            // A person may walk into a robot that stands; a robot that moves is not where a person can be.
            if let (Some(person), true) = (person, moves) {
                let [x, y] = person.at;
                let distance = clearance_to_column(capsule, x, y, person.radius_m);
                if !self.note("true-person", distance) {
                    return Err(format!(
                        "link {} moves {distance} m from a person",
                        capsule.link
                    ));
                }
            }
        }
        let links = between_links(&placed, c);
        if !self.note("true-self", links + RETREAT_BAND) {
            return Err(format!("links truly at {links} m"));
        }
        Ok(())
    }

    /// What the arm would come to if it went on for the reaction time and then braked as weakly as declared.
    pub(crate) fn reaction(&mut self, chain: &Chain, c: &SafetyConfig) -> Result<(), String> {
        let (mut q, mut v, mut a) = (self.q, self.v, self.a);
        let mut broken = None;
        for tick in 0..1_024_u32 {
            let late = tick < c.reaction_ticks;
            for i in 0..JOINTS {
                if !late {
                    let stop = (c.stop_acceleration_rad_s2[i], c.stop_jerk_rad_s3[i]);
                    a[i] = braking(v[i], a[i], stop);
                }
                v[i] += TICK_S * a[i];
                if !late && v[i].abs() < 1e-9 && a[i].abs() <= c.stop_jerk_rad_s3[i] * TICK_S {
                    (v[i], a[i]) = (0.0, 0.0);
                }
                q[i] += TICK_S * v[i];
                let room = position_room(c, i, q[i]);
                if !self.note("reaction-position", room + 1e-7) {
                    broken = Some(format!("after the reaction joint {i} comes to {}", q[i]));
                }
            }
            if tick % 3 == 0 || v == [0.0; JOINTS] {
                let margin = nearness(chain, c, &q) - c.tracking_margin_m + RETREAT_BAND + 1e-7;
                if !self.note("reaction-clearance", margin) {
                    broken = Some(format!(
                        "after the reaction the arm has {margin} m to spare"
                    ));
                }
            }
            if !late && v == [0.0; JOINTS] && a == [0.0; JOINTS] {
                return broken.map_or(Ok(()), Err);
            }
        }
        Err("the stop after the reaction does not end".to_owned())
    }
}

/// One tick of the slowest stop that is declared: as late and as weak as acceleration and jerk allow, and ending at
/// rest. Written from the description of the law, not from its code.
fn braking(v: f64, a: f64, (most, jerk): (f64, f64)) -> f64 {
    let step = jerk * TICK_S;
    let wanted = if v == 0.0 {
        0.0
    } else {
        // A ramp x, x − d, … of m terms down to above zero whose sum takes all of the speed.
        let ticks = v.abs() / TICK_S;
        let mut m = 1.0;
        while m * (m + 1.0) / 2.0 * step < ticks {
            m += 1.0;
        }
        let x = ticks / m + 0.5 * step * (m - 1.0);
        -x.min(most).copysign(v)
    };
    let within = wanted.clamp(a - step, a + step);
    let cap = most.max(a.abs() - step);
    within.clamp(-cap, cap)
}
