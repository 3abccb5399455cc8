//! The judge: looks at what was given and at where the robot truly is. It shares no code with the gate but the
//! kinematics and the distance of a capsule to a zone.

use std::collections::BTreeMap;

use nalgebra::Vector3;
use sinew_kinematics::{
    Body, Chain, PlacedCapsule, clearance_to_column, distance_between_segments,
};
use sinew_messages::{JOINTS, JointVector, Payload, SafetyMode, Setpoint, VerdictKind};
use sinew_safety::{SafetyConfig, Verdict};
use sinew_units::TICK_S;

use crate::arena::Person;

/// Room within a margin that a motion may use which slides along it or leaves it, m or rad.
const RETREAT_BAND: f64 = 1e-3;
/// What rounding may do to a position, m or rad.
const ROUNDING: f64 = 1e-9;
/// And to an acceleration and a jerk that are taken from differences of positions, rad/s² and rad/s³.
const ACCELERATION_ROUNDING: f64 = 1e-6;
const JERK_ROUNDING: f64 = 1e-2;
/// And to an effort and its rate, N·m and N·m/s.
const EFFORT_ROUNDING: f64 = 1e-6;
const EFFORT_RATE_ROUNDING: f64 = 1e-1;

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

/// What each look is about.
const GIVEN: [&str; 15] = [
    "finite",
    "stop",
    "velocity",
    "acceleration",
    "jerk",
    "position",
    "gripper",
    "effort",
    "effort-rate",
    "tool-speed",
    "envelope",
    "zone",
    "slow-zone",
    "self-collision",
    "orientation",
];
const TRUTH: [&str; 4] = [
    "true-position",
    "true-clearance",
    "true-person",
    "true-self",
];
const REACTION: [&str; 3] = ["reaction-position", "reaction-clearance", "reaction-end"];

/// What was given last, to take differences of.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    q: JointVector,
    v: JointVector,
    a: JointVector,
    points: Vec<(Vector3<f64>, bool)>,
    /// What the arm carries, and the efforts of what was given last, N·m.
    carried: Body,
    efforts: Option<JointVector>,
    /// What was short already where the drives were switched on: it may not get worse.
    short: BTreeMap<&'static str, f64>,
    pub(crate) margins: Margins,
    /// What is broken, by name: whether it still was when it was looked at last.
    broken: BTreeMap<&'static str, bool>,
    /// What got broken since somebody asked.
    fresh: Vec<String>,
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
        let mut judge = Self {
            q: *q,
            v: [0.0; JOINTS],
            a: [0.0; JOINTS],
            points: watched(chain, q),
            carried: Body::NONE,
            efforts: None,
            short: BTreeMap::new(),
            margins: Margins::default(),
            broken: BTreeMap::new(),
            fresh: Vec::new(),
        };
        judge.efforts = judge.efforts_now(chain);
        judge
    }

    /// What got broken since the last call, each in words. What stays broken is told once.
    pub(crate) fn findings(&mut self) -> impl Iterator<Item = String> + '_ {
        self.fresh.drain(..)
    }

    /// Writes a margin down. One that is negative is a finding, and stays the same one until a whole look finds it
    /// kept.
    fn note(&mut self, name: &'static str, margin: f64, words: impl FnOnce() -> String) {
        let short = self.short.get(name).copied().unwrap_or(0.0);
        self.note_as_is(name, margin + short, words);
    }

    fn note_as_is(&mut self, name: &'static str, margin: f64, words: impl FnOnce() -> String) {
        if self.margins.note(name, margin) {
            return;
        }
        let known = self.broken.insert(name, true);
        if known.is_none() {
            self.fresh
                .push(format!("{name}: {} ({margin:e} to spare)", words()));
        }
    }

    /// A look at what `names` are about begins.
    fn begin(&mut self, names: &[&'static str]) {
        for name in names {
            if let Some(still) = self.broken.get_mut(name) {
                *still = false;
            }
        }
    }

    /// It ends: what was not broken in it counts anew when it is again.
    fn end(&mut self, names: &[&'static str]) {
        for name in names {
            if self.broken.get(name) == Some(&false) {
                self.broken.remove(name);
            }
        }
    }

    fn efforts_now(&self, chain: &Chain) -> Option<JointVector> {
        chain.efforts(&self.q, &self.v, &self.a, &self.carried)
    }

    /// The hand carries something else from now on.
    pub(crate) fn carry(&mut self, chain: &Chain, payload: &Payload) {
        self.carried = Body {
            mass_kg: payload.mass_kg,
            com_m: payload.com_m,
            inertia_kg_m2: [0.0; 3],
        };
        self.efforts = self.efforts_now(chain);
    }

    /// Power was off: what is given next starts at rest from `q`, where the robot was found. That may be nearer to
    /// something than a setpoint may be, by as much as the robot may be off.
    pub(crate) fn restart(&mut self, chain: &Chain, c: &SafetyConfig, q: &JointVector) {
        let mut found = Self::new(chain, q);
        // What is wrong is what is asked for here.
        found.space(chain, c, 0.0);
        for (i, q) in q.iter().enumerate() {
            found.note("position", position_room(c, i, *q), String::new);
        }
        found.reaction(chain, c);
        let short = (found.margins.0.iter())
            .filter(|(_, margin)| **margin < 0.0)
            .map(|(name, margin)| (*name, -margin + ROUNDING))
            .collect();
        let mut judge = Self {
            carried: self.carried,
            short,
            margins: core::mem::take(&mut self.margins),
            broken: core::mem::take(&mut self.broken),
            fresh: core::mem::take(&mut self.fresh),
            ..Self::new(chain, q)
        };
        judge.efforts = judge.efforts_now(chain);
        *self = judge;
    }

    /// Looks at one command.
    pub(crate) fn given(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        mode: SafetyMode,
        given: &Setpoint,
        verdict: &Verdict,
    ) {
        self.begin(&GIVEN);
        if given.is_finite() {
            self.look(chain, c, mode, given, verdict);
        } else {
            // Nothing can be compared with it: what comes next is compared with what was given before.
            self.note("finite", -1.0, || format!("{given:?}"));
        }
        self.end(&GIVEN);
    }

    fn look(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        mode: SafetyMode,
        given: &Setpoint,
        verdict: &Verdict,
    ) {
        let before = (self.v, self.a);
        for i in 0..JOINTS {
            let v = (given.position_rad[i] - self.q[i]) / TICK_S;
            self.a[i] = (v - self.v[i]) / TICK_S;
            self.v[i] = v;
        }
        self.q = given.position_rad;
        // How far the step is from that of the stop: whether it is one is told by what was given, not by the verdict.
        let off = (0..JOINTS)
            .map(|i| {
                let stop = (c.stop_acceleration_rad_s2[i], c.stop_jerk_rad_s3[i]);
                (self.a[i] - braking(before.0[i], before.1[i], stop)).abs()
            })
            .fold(0.0, f64::max);
        let brakes = off <= JERK_ROUNDING * TICK_S;
        if verdict.kind == VerdictKind::Stop {
            self.note("stop", JERK_ROUNDING * TICK_S - off, || {
                format!("{off} rad/s² off the stop, {verdict:?}")
            });
        }
        // What came through is limited by the mode, and as motions are; the stop is not.
        let slower = match mode {
            SafetyMode::Reduced => Some(&c.reduced),
            SafetyMode::Recovery => Some(&c.recovery),
            SafetyMode::Normal | SafetyMode::Hold => None,
        };
        let slower = slower.filter(|_| !brakes);
        let most = slower.map_or(f64::INFINITY, |mode| mode.speed_max_m_s);
        let (tool_max, elbow_max) = (
            c.tool_speed_max_m_s.min(most),
            c.elbow_speed_max_m_s.min(most),
        );
        let share = slower.map_or(1.0, |mode| mode.joint_speed_share);
        for i in 0..JOINTS {
            let (q, v, a) = (self.q[i], self.v[i], self.a[i]);
            let j = (a - before.1[i]) / TICK_S;
            let (a_max, j_max, rising) = if brakes {
                let (a_max, j_max) = (c.stop_acceleration_rad_s2[i], c.stop_jerk_rad_s3[i]);
                // The stop may still gain speed while it takes back an acceleration.
                let a = c.acceleration_max_rad_s2[i].max(a_max);
                (a_max, j_max, 0.5 * a * a / j_max)
            } else {
                (c.acceleration_max_rad_s2[i], c.jerk_max_rad_s3[i], 0.0)
            };
            // Whoever had more comes back at the jerk limit.
            let a_max = a_max.max(before.1[i].abs() - j_max * TICK_S);
            let room = position_room(c, i, q);
            for (name, margin) in [
                (
                    "velocity",
                    share * c.velocity_max_rad_s[i] + rising + ROUNDING - v.abs(),
                ),
                ("acceleration", a_max + ACCELERATION_ROUNDING - a.abs()),
                ("jerk", j_max + JERK_ROUNDING - j.abs()),
                ("position", room + ROUNDING),
            ] {
                self.note(name, margin, || format!("joint {i}, {verdict:?}"));
            }
        }
        let inside = (c.gripper_width_min_m..=c.gripper_width_max_m)
            .contains(&given.gripper_width_m)
            && (0.0..=c.gripper_force_max_n).contains(&given.gripper_force_n);
        if !inside {
            self.note("gripper", -1.0, || format!("{given:?}"));
        }
        self.look_at_efforts(chain, c, brakes);
        let points = watched(chain, &self.q);
        let last = core::mem::take(&mut self.points);
        let mut fastest = 0.0_f64;
        for ((now, is_elbow), (before, _)) in points.iter().zip(&last) {
            let speed = (now - before).norm() / TICK_S;
            fastest = fastest.max(speed);
            let most = if *is_elbow { elbow_max } else { tool_max };
            self.note("tool-speed", most + ROUNDING - speed, || {
                format!("{speed} over {most} m/s, {verdict:?}")
            });
        }
        self.points = points;
        self.space(chain, c, fastest);
    }

    /// What the step needs of the drives. That of the stop is checked with the configuration; whoever is over a
    /// limit after it comes back.
    fn look_at_efforts(&mut self, chain: &Chain, c: &SafetyConfig, brakes: bool) {
        let efforts = self.efforts_now(chain);
        let last = core::mem::replace(&mut self.efforts, efforts);
        let (Some(limits), Some(now), Some(last), false) = (&c.effort, efforts, last, brakes)
        else {
            return;
        };
        for i in 0..JOINTS {
            let (effort, rate) = (now[i].abs(), (now[i] - last[i]).abs() / TICK_S);
            let most = limits.max_nm[i].max(last[i].abs());
            self.note("effort", most + EFFORT_ROUNDING - effort, || {
                format!("joint {i}: {effort} N·m")
            });
            let most = limits.rate_max_nm_s[i];
            self.note("effort-rate", most + EFFORT_RATE_ROUNDING - rate, || {
                format!("joint {i}: {rate} N·m/s")
            });
        }
    }

    /// Space at what was given: every margin but the retreat band is kept.
    fn space(&mut self, chain: &Chain, c: &SafetyConfig, speed: f64) {
        for (name, margin) in space_margins(chain, c, &self.q, speed) {
            self.note(name, margin, || format!("at {speed} m/s"));
        }
    }

    /// Looks at where the robot truly is.
    pub(crate) fn truth(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        q: &JointVector,
        person: Option<&Person>,
        moves: bool,
    ) {
        self.begin(&TRUTH);
        for (i, q) in q.iter().enumerate() {
            let room = (q - c.position_min_rad[i]).min(c.position_max_rad[i] - q);
            self.note("true-position", room + ROUNDING, || {
                format!("joint {i} truly at {q}")
            });
        }
        let forward = chain.forward(q);
        let placed: Vec<PlacedCapsule> = chain.place_capsules(&forward).collect();
        for capsule in placed.iter().filter(|capsule| capsule.link > 0) {
            let clearance = to_envelope(capsule, c).min(to_zones(capsule, c, 0.0, false));
            // Where the setpoint was short of its margin at power-on, the truth may be so once more.
            let short = |name| self.short.get(name).copied().unwrap_or(0.0);
            let room = RETREAT_BAND + short("zone").max(short("envelope")) + ROUNDING;
            self.note_as_is("true-clearance", clearance + room, || {
                format!("link {} truly at {clearance} m", capsule.link)
            });
            // A person may walk into a robot that stands; a robot that moves is not where a person can be.
            if let (Some(person), true) = (person, moves) {
                let [x, y] = person.at;
                let distance = clearance_to_column(capsule, x, y, person.radius_m);
                self.note("true-person", distance, || {
                    format!("link {} moves {distance} m from a person", capsule.link)
                });
            }
        }
        let links = between_links(&placed, c);
        self.note("true-self", links + RETREAT_BAND, || {
            format!("links truly at {links} m")
        });
        self.end(&TRUTH);
    }

    /// What the arm would come to if it went on for the reaction time and then braked as weakly as declared.
    pub(crate) fn reaction(&mut self, chain: &Chain, c: &SafetyConfig) {
        self.begin(&REACTION);
        let (mut q, mut v, mut a) = (self.q, self.v, self.a);
        let mut ends = false;
        for tick in 0..1_024_u32 {
            let late = tick < c.reaction_ticks;
            for i in 0..JOINTS {
                if !late {
                    let stop = (c.stop_acceleration_rad_s2[i], c.stop_jerk_rad_s3[i]);
                    a[i] = braking(v[i], a[i], stop);
                }
                // Whoever was slowing down goes on as fast as it is; nothing turns round.
                if !late || v[i] * a[i] > 0.0 {
                    v[i] += TICK_S * a[i];
                }
                if !late && v[i].abs() < 1e-9 && a[i].abs() <= c.stop_jerk_rad_s3[i] * TICK_S {
                    (v[i], a[i]) = (0.0, 0.0);
                }
                q[i] += TICK_S * v[i];
                let room = position_room(c, i, q[i]);
                self.note("reaction-position", room + 1e-7, || {
                    format!("after the reaction joint {i} comes to {}", q[i])
                });
            }
            if tick % 3 == 0 || v == [0.0; JOINTS] {
                let margin = nearness(chain, c, &q) - c.tracking_margin_m + RETREAT_BAND + 1e-7;
                self.note("reaction-clearance", margin, || {
                    format!("after the reaction, tick {tick}")
                });
            }
            if !late && v == [0.0; JOINTS] && a == [0.0; JOINTS] {
                ends = true;
                break;
            }
        }
        if !ends {
            self.note("reaction-end", -1.0, || "the stop does not end".to_owned());
        }
        self.end(&REACTION);
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

#[cfg(test)]
mod tests {
    use sinew_description::{RobotDescription, SafetyFile};
    use sinew_messages::LimitKind;

    use super::*;

    fn cell() -> (Chain, SafetyConfig) {
        let robot = RobotDescription::builtin();
        let limits = (SafetyFile::builtin().limits(&robot)).expect("the built-in files fit");
        (robot.chain(), limits.config().clone())
    }

    fn setpoint(position_rad: JointVector) -> Setpoint {
        Setpoint {
            position_rad,
            velocity_rad_s: [0.0; JOINTS],
            acceleration_rad_s2: [0.0; JOINTS],
            gripper_width_m: 0.02,
            gripper_force_n: 10.0,
        }
    }

    /// Findings about one command.
    fn look(judge: &mut Judge, given: &Setpoint, kind: VerdictKind) -> Vec<String> {
        let (chain, config) = cell();
        look_in(judge, &chain, &config, given, kind)
    }

    fn look_in(
        judge: &mut Judge,
        chain: &Chain,
        config: &SafetyConfig,
        given: &Setpoint,
        kind: VerdictKind,
    ) -> Vec<String> {
        let verdict = Verdict {
            kind,
            limit: LimitKind::None,
            category: None,
            index: None,
            limit_value: 0.0,
            asked: 0.0,
            given: 0.0,
            scale: 1.0,
        };
        judge.given(chain, config, SafetyMode::Normal, given, &verdict);
        judge.findings().collect()
    }

    /// A judge that saw the first joint take up speed for some ticks, at 0.9 of its jerk limit.
    fn gaining() -> Judge {
        let (chain, config) = cell();
        let mut judge = Judge::new(&chain, chain.rest());
        let jerk = 0.9 * config.jerk_max_rad_s3[0];
        for _ in 0..5 {
            let given = stepped(&judge, jerk);
            assert!(look(&mut judge, &given, VerdictKind::Pass).is_empty());
        }
        judge
    }

    /// The next command if the first joint has this jerk.
    fn stepped(judge: &Judge, jerk: f64) -> Setpoint {
        let mut q = judge.q;
        q[0] += TICK_S * (judge.v[0] + TICK_S * (judge.a[0] + TICK_S * jerk));
        setpoint(q)
    }

    /// What the stop may do and a motion may not, is told by the step and not by what the gate calls it.
    #[test]
    fn a_step_of_the_stop_has_its_jerk_and_no_other_has() {
        let (_, config) = cell();
        let judge = gaining();
        let (motion, stop) = (config.jerk_max_rad_s3[0], config.stop_jerk_rad_s3[0]);
        assert!(motion < stop);
        for kind in [VerdictKind::Pass, VerdictKind::Limited, VerdictKind::Stop] {
            // The stop takes back what is gained at its own jerk.
            let given = stepped(&judge, -stop);
            assert_eq!(
                look(&mut judge.clone(), &given, kind),
                Vec::<String>::new(),
                "{kind:?}"
            );
            for jerk in [-0.95 * stop, 0.95 * stop, motion + 1.0] {
                let found = look(&mut judge.clone(), &stepped(&judge, jerk), kind);
                assert!(
                    found.iter().any(|name| name.starts_with("jerk")),
                    "{kind:?} with {jerk}: {found:?}"
                );
            }
        }
        // A motion is within its limits, and no stop.
        let given = stepped(&judge, 0.5 * motion);
        assert!(look(&mut judge.clone(), &given, VerdictKind::Limited).is_empty());
        let found = look(&mut judge.clone(), &given, VerdictKind::Stop);
        assert!(
            found.len() == 1 && found[0].starts_with("stop"),
            "{found:?}"
        );
    }

    #[test]
    fn what_stays_broken_is_told_once_and_told_again_when_it_begins_again() {
        let (chain, _) = cell();
        let mut judge = Judge::new(&chain, chain.rest());
        let good = setpoint(*chain.rest());
        let wide = Setpoint {
            gripper_width_m: 1.0,
            ..good
        };
        let counts = [&good, &wide, &wide, &good, &wide, &good]
            .map(|given| look(&mut judge, given, VerdictKind::Pass).len());
        assert_eq!(counts, [0, 1, 0, 0, 1, 0]);
    }

    /// After a finding the next command is judged by what was given, not by what was given before the finding.
    #[test]
    fn after_a_finding_the_judge_goes_on_from_what_was_given() {
        let (chain, _) = cell();
        let mut judge = Judge::new(&chain, chain.rest());
        let mut jumped = *chain.rest();
        // The first joint breaks its limits; the others are looked at all the same.
        (jumped[0], jumped[6]) = (jumped[0] + 0.01, jumped[6] + 0.001);
        let found = look(&mut judge, &setpoint(jumped), VerdictKind::Pass);
        assert!(
            ["velocity", "acceleration", "jerk", "tool-speed"]
                .iter()
                .all(|name| found.iter().any(|what| what.starts_with(name))),
            "{found:?}"
        );
        // Standing there is a jump back to no speed, and then nothing any more.
        for _ in 0..4 {
            look(&mut judge, &setpoint(jumped), VerdictKind::Pass);
        }
        assert!(judge.broken.is_empty(), "{:?}", judge.broken);
        let unlike = Setpoint {
            position_rad: [f64::NAN; JOINTS],
            ..setpoint(jumped)
        };
        assert_eq!(look(&mut judge, &unlike, VerdictKind::Pass).len(), 1);
        assert!(look(&mut judge, &setpoint(jumped), VerdictKind::Pass).is_empty());
    }

    /// The efforts are those of the masses, with what is carried.
    #[test]
    fn efforts_are_judged_with_what_is_carried() {
        let (chain, mut config) = cell();
        let still = [0.0; JOINTS];
        let weight = chain
            .efforts(chain.rest(), &still, &still, &Body::NONE)
            .expect("masses");
        let limits = config.effort.as_mut().expect("configured");
        limits.max_nm = weight.map(|weight| weight.abs() + 1.0);
        let mut judge = Judge::new(&chain, chain.rest());
        let found = |judge: &mut Judge, config: &SafetyConfig, jerk: f64| -> Vec<String> {
            let given = stepped(judge, jerk);
            look_in(judge, &chain, config, &given, VerdictKind::Pass)
        };
        assert!(found(&mut judge, &config, 100.0).is_empty());
        let load = Payload {
            mass_kg: 3.0,
            com_m: [0.1, 0.0, 0.1],
            ..Payload::NONE
        };
        judge.carry(&chain, &load);
        let body = Body {
            mass_kg: load.mass_kg,
            com_m: load.com_m,
            ..Body::NONE
        };
        let needed = |judge: &Judge| chain.efforts(&judge.q, &judge.v, &judge.a, &body);
        assert_eq!(judge.efforts, needed(&judge));
        // It is over the limit now: it may be, and may not get worse.
        assert!(found(&mut judge, &config, -100.0).is_empty());
        assert_eq!(judge.efforts, needed(&judge));
        judge.restart(&chain, &config, chain.rest());
        assert_eq!(judge.efforts, needed(&judge));
        let worse = (0..5)
            .flat_map(|_| found(&mut judge, &config, 1_400.0))
            .collect::<Vec<_>>();
        assert!(
            worse.iter().any(|what| what.starts_with("effort:")),
            "{worse:?}"
        );
        let mut quick = Judge::new(&chain, chain.rest());
        config.effort.as_mut().expect("configured").rate_max_nm_s = [1.0; JOINTS];
        let rated = found(&mut quick, &config, 1_000.0);
        assert!(
            rated.iter().any(|what| what.starts_with("effort-rate:")),
            "{rated:?}"
        );
    }
}
