//! The judge: looks at what was given and at where the robot truly is. It shares no code with the gate but the
//! kinematics and the distance of a capsule to a zone.

mod braking;
mod contact;
mod grip;
mod margins;
mod moving;
mod space;

use std::collections::BTreeMap;

use nalgebra::Vector3;
use sinew_kinematics::{
    Body, Chain, Forward, HAND, LinkCapsule, PlacedCapsule, clearance_to_column,
};
use sinew_messages::{
    JOINTS, JointVector, Payload, SafetyMode, SensorFrame, Setpoint, VerdictKind,
};
use sinew_safety::{SafetyConfig, Verdict};
use sinew_units::TICK_S;

use crate::arena::Person;
use braking::{Motion, STOP_TICKS_MAX, braking, stop_law};
use contact::{ContactJudge, Step};
use grip::GripJudge;
use moving::{Part, bearable_m_s, hand_points, singular_margins, watched, weights};
use space::{between_links, position_room, to_envelope, to_zones};

pub use margins::Margins;
pub(crate) use space::{nearness, to_itself};

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

/// What each look is about.
const GIVEN: [&str; 22] = [
    "finite",
    "somewhere",
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
    "contact-push",
    "contact-stop",
    "contact-speed",
    "momentum",
    "singularity",
    "grip-lost",
];
const TRUTH: [&str; 5] = [
    "true-position",
    "true-clearance",
    "true-person",
    "true-self",
    "contact-depth",
];
const REACTION: [&str; 3] = ["reaction-position", "reaction-clearance", "reaction-end"];

/// What the gate got to see in one tick, beside what was proposed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// Mode in force.
    pub(crate) mode: SafetyMode,
    /// The sensors; none if the frame was lost or no numbers.
    pub(crate) frame: Option<&'a SensorFrame>,
    /// Width of the gripper that was given before, m.
    pub(crate) gripper_width_m: f64,
    /// Something is where nobody knows.
    pub(crate) somewhere: bool,
    /// A reset was granted: what was touched before counts no more.
    pub(crate) granted: bool,
}

/// What was given last, to take differences of.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    motion: Motion,
    points: Vec<(Vector3<f64>, Part)>,
    weights: Vec<(f64, Vector3<f64>)>,
    /// Condition number of the tool's Jacobian.
    condition: f64,
    contact: ContactJudge,
    grip: GripJudge,
    /// What the arm carries, and the efforts of what was given last, N·m.
    carried: Body,
    thing: Option<LinkCapsule>,
    efforts: Option<JointVector>,
    /// What was given last is a step of the stop.
    brakes: bool,
    /// Something else is carried: what is too fast with it may brake.
    heavier: bool,
    /// What was short already where the drives were switched on: it may not get worse.
    short: BTreeMap<&'static str, f64>,
    pub(crate) margins: Margins,
    /// What is broken, by name: whether it still was when it was looked at last.
    broken: BTreeMap<&'static str, bool>,
    /// What got broken since somebody asked.
    fresh: Vec<String>,
}

impl Judge {
    pub(crate) fn new(chain: &Chain, q: &JointVector) -> Self {
        let forward = chain.forward(q);
        let mut judge = Self {
            motion: Motion::at_rest(q),
            points: watched(chain, &forward, None),
            weights: weights(chain, &forward, &Body::NONE),
            // Nothing is known of it before: what comes first is no farther in.
            condition: f64::INFINITY,
            contact: ContactJudge::default(),
            grip: GripJudge::default(),
            carried: Body::NONE,
            thing: None,
            efforts: None,
            brakes: true,
            heavier: false,
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
        self.efforts_at(chain, &chain.forward(&self.motion.q))
    }

    fn efforts_at(&self, chain: &Chain, forward: &Forward) -> Option<JointVector> {
        let Motion { v, a, .. } = &self.motion;
        chain.efforts_at(forward, v, a, &self.carried)
    }

    /// The hand carries something else from now on, held at this width, m.
    pub(crate) fn carry(&mut self, chain: &Chain, payload: &Payload, width_m: f64) {
        self.carried = Body {
            mass_kg: payload.mass_kg,
            com_m: payload.com_m,
            inertia_kg_m2: [0.0; 3],
        };
        self.thing = (payload.radius_m > 0.0).then(|| LinkCapsule {
            link: HAND,
            a: payload.a_m.into(),
            b: payload.b_m.into(),
            radius_m: payload.radius_m,
        });
        self.efforts = self.efforts_now(chain);
        let forward = chain.forward(&self.motion.q);
        self.points = watched(chain, &forward, self.thing.as_ref());
        self.weights = weights(chain, &forward, &self.carried);
        self.heavier = true;
        self.grip.carry(payload, width_m);
    }

    /// Power was off: what is given next starts at rest from `q`, where the robot was found. That may be nearer to
    /// something than a setpoint may be, by as much as the robot may be off.
    pub(crate) fn restart(&mut self, chain: &Chain, c: &SafetyConfig, q: &JointVector) {
        let mut found = Self::new(chain, q);
        // What is wrong is what is asked for here.
        found.space(chain, c, &chain.forward(q), 0.0, SafetyMode::Normal);
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
            thing: self.thing,
            points: watched(chain, &chain.forward(q), self.thing.as_ref()),
            weights: weights(chain, &chain.forward(q), &self.carried),
            grip: core::mem::take(&mut self.grip),
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
        seen: &Seen<'_>,
        given: &Setpoint,
        verdict: &Verdict,
    ) {
        self.begin(&GIVEN);
        if given.is_finite() {
            self.look(chain, c, seen, given, verdict);
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
        seen: &Seen<'_>,
        given: &Setpoint,
        verdict: &Verdict,
    ) {
        let before = self.motion;
        self.motion = before.moved_to(&given.position_rad);
        let forward = chain.forward(&given.position_rad);
        // How far the step is from that of the stop: whether it is one is told by what was given, not by the verdict.
        let off = (0..JOINTS)
            .map(|i| {
                let stop = braking(before.v[i], before.a[i], stop_law(c, i));
                (self.motion.a[i] - stop).abs()
            })
            .fold(0.0, f64::max);
        let brakes = off <= JERK_ROUNDING * TICK_S;
        if seen.somewhere {
            self.note("somewhere", JERK_ROUNDING * TICK_S - off, || {
                format!("{off} rad/s² off the stop, {verdict:?}")
            });
        }
        if verdict.kind == VerdictKind::Stop {
            self.note("stop", JERK_ROUNDING * TICK_S - off, || {
                format!("{off} rad/s² off the stop, {verdict:?}")
            });
        }
        // What came through is limited by the mode, and as motions are; the stop is not.
        let slower = match seen.mode {
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
            let Motion { q, v, a } = self.motion;
            let (q, v, a) = (q[i], v[i], a[i]);
            let j = (a - before.a[i]) / TICK_S;
            let (a_max, j_max, rising) = if brakes {
                let (a_max, j_max) = (c.stop_acceleration_rad_s2[i], c.stop_jerk_rad_s3[i]);
                // The stop may still gain speed while it takes back an acceleration.
                let a = c.acceleration_max_rad_s2[i].max(a_max);
                (a_max, j_max, 0.5 * a * a / j_max)
            } else {
                (c.acceleration_max_rad_s2[i], c.jerk_max_rad_s3[i], 0.0)
            };
            // Whoever had more comes back at the jerk limit.
            let a_max = a_max.max(before.a[i].abs() - j_max * TICK_S);
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
        self.look_at_efforts(chain, c, &forward, brakes);
        let points = watched(chain, &forward, self.thing.as_ref());
        let last = core::mem::take(&mut self.points);
        let mut fastest = 0.0_f64;
        for ((now, part), (before, _)) in points.iter().zip(&last) {
            let speed = (now - before).norm() / TICK_S;
            let most = if *part == Part::Elbow {
                elbow_max
            } else {
                tool_max
            };
            // Whoever is too fast with what is carried since may brake.
            if *part == Part::Carried && self.heavier && brakes {
                continue;
            }
            fastest = fastest.max(speed);
            self.note("tool-speed", most + ROUNDING - speed, || {
                format!("{part:?} with {speed} over {most} m/s, {verdict:?}")
            });
        }
        self.points = points;
        self.space(chain, c, &forward, fastest, seen.mode);
        self.look_at_mass(chain, c, &forward, fastest, brakes);
        self.brakes = brakes;
        self.heavier &= brakes;
        if let Some(limits) = &c.singularity {
            let length = limits.characteristic_length_m;
            let now = chain.conditioning(&forward, length).number();
            let last = core::mem::replace(&mut self.condition, now);
            if !brakes && now > limits.slow_above {
                let most = c.velocity_max_rad_s.map(|most| share * most);
                for (margin, words) in singular_margins(limits, [last, now], &self.motion.v, &most)
                {
                    self.note("singularity", margin, || format!("{words}, {verdict:?}"));
                }
            }
        }
        if seen.granted {
            self.contact = ContactJudge::default();
        } else if let Some(frame) = seen.frame {
            self.look_at_hand(chain, c, frame, &before, seen, (verdict, off));
        }
    }

    /// What the hand feels and holds. `off` is how far the step is from that of the stop.
    fn look_at_hand(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        frame: &SensorFrame,
        before: &Motion,
        seen: &Seen<'_>,
        (verdict, off): (&Verdict, f64),
    ) {
        let lost = (c.grip.as_ref())
            .is_some_and(|limits| self.grip.is_lost(limits, frame, seen.gripper_width_m));
        if lost {
            self.note("grip-lost", JERK_ROUNDING * TICK_S - off, || {
                format!("{off} rad/s² off the stop, {verdict:?}")
            });
        }
        let pressed = self.contact.look(&Step {
            chain,
            c,
            before,
            now: &self.motion,
            force: Vector3::from(frame.tool_force_n),
            kind: verdict.kind,
            brakes: off <= JERK_ROUNDING * TICK_S,
            hand: &hand_points(chain, self.thing.as_ref()),
        });
        for (name, margin, words) in pressed.into_iter().flatten() {
            self.note(name, margin, || words);
        }
    }

    /// Speed at which somebody may be met, and momentum. Whoever is too fast with what is carried since may brake.
    fn look_at_mass(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        forward: &Forward,
        fastest: f64,
        brakes: bool,
    ) {
        let Some(contact) = &c.contact else {
            return;
        };
        let weights = weights(chain, forward, &self.carried);
        let last = core::mem::replace(&mut self.weights, weights);
        let momentum: f64 = (self.weights.iter().zip(&last))
            .map(|((mass, now), (_, before))| mass * (now - before).norm() / TICK_S)
            .sum();
        let bearable = bearable_m_s(contact, chain, &self.carried);
        let speed_left = bearable + ROUNDING - fastest;
        let momentum_left = contact.momentum_max_kg_m_s + ROUNDING - momentum;
        let kept = speed_left >= 0.0 && momentum_left >= 0.0;
        if self.heavier && brakes && !kept {
            return;
        }
        if bearable.is_finite() {
            self.note("contact-speed", speed_left, || {
                format!("{fastest} over {bearable} m/s")
            });
        }
        self.note("momentum", momentum_left, || format!("{momentum} kg·m/s"));
    }

    /// What the step needs of the drives. That of the stop is checked with the configuration; whoever is over a
    /// limit after it comes back.
    fn look_at_efforts(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        forward: &Forward,
        brakes: bool,
    ) {
        let efforts = self.efforts_at(chain, forward);
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
    fn space(
        &mut self,
        chain: &Chain,
        c: &SafetyConfig,
        forward: &Forward,
        speed: f64,
        mode: SafetyMode,
    ) {
        for (name, margin) in space::margins(chain, c, forward, speed) {
            self.note(name, margin, || {
                format!("at {speed} m/s, mode {}", mode.name())
            });
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
            // Where it began outside, with room for a following error, it may be so by as much.
            let short = self.short.get("position").copied().unwrap_or(0.0);
            self.note("true-position", room + short + ROUNDING, || {
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
        // Here as well: a robot that was put next to itself by hand is off by its following error there too. The gate lets
        // it come no nearer; to refuse it power would leave it there.
        let short = self.short.get("self-collision").copied().unwrap_or(0.0);
        self.note_as_is("true-self", links + RETREAT_BAND + short, || {
            format!("links truly at {links} m")
        });
        let tool = forward.tool.translation.vector;
        if let Some(left) = self.contact.depth_left(&tool) {
            self.note("contact-depth", left, || format!("{tool:?}"));
        }
        self.end(&TRUTH);
    }

    /// What the arm would come to if it went on for the reaction time and then braked as weakly as declared.
    pub(crate) fn reaction(&mut self, chain: &Chain, c: &SafetyConfig) {
        self.begin(&REACTION);
        let mut motion = self.motion;
        let mut ends = false;
        for tick in 0..STOP_TICKS_MAX {
            let late = tick < c.reaction_ticks;
            for i in 0..JOINTS {
                if late {
                    // A motion goes on with what it was given, and may turn round. A stop is on its way: whoever slows down
                    // there stays as fast.
                    if !self.brakes || motion.v[i] * motion.a[i] > 0.0 {
                        motion.v[i] += TICK_S * motion.a[i];
                    }
                    motion.q[i] += TICK_S * motion.v[i];
                } else {
                    motion.brake(i, stop_law(c, i));
                }
                let q = motion.q[i];
                let room = position_room(c, i, q);
                self.note("reaction-position", room + 1e-7, || {
                    format!("after the reaction joint {i} comes to {q}")
                });
            }
            if tick % 3 == 0 || motion.v == [0.0; JOINTS] {
                let margin =
                    nearness(chain, c, &motion.q) - c.tracking_margin_m + RETREAT_BAND + 1e-7;
                self.note("reaction-clearance", margin, || {
                    format!("after the reaction, tick {tick}")
                });
            }
            if !late && motion.rests() {
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

#[cfg(test)]
mod tests;
