//! Hold-to-run: motion for as long as somebody holds on.
//!
//! Whoever holds renews the goal's lease every tick. Letting go is to say nothing more: the gate brakes within
//! [`LEASE_TICKS`] + 1 ticks, whether the holder let go, was interrupted or died. A jog is never faster than the mode's speed, and
//! in normal mode it runs in reduced mode.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use sinew_control::can_follow_line;
use sinew_control::profile::AxisLimits;
use sinew_kinematics::{Chain, isometry_to_pose};
use sinew_messages::{
    ArmGoal, ArmGoalKind, JOINTS, JointVector, LimitKind, MotionState, Pose, SafetyMode, StopState,
    VerdictKind, VerdictRecord,
};
use sinew_units::TICK_S;

use super::Operated;
use super::status::{BreachView, breach_views, near_views};
use super::words::verdict_words;
use crate::Config;
use crate::trouble::{input, refused};

/// Ticks that a holder may be silent.
const LEASE_TICKS: u64 = 2;
/// Longest that a mode takes to come into force when the robot stands, ticks.
const MODE_TICKS: u64 = 20;
/// Longest that a robot takes to come to rest, ticks.
const REST_TICKS: u64 = 5_000;
/// Share of the mode's speed that is used: the gate has nothing to limit then.
const SPEED_SHARE: f64 = 0.85;
/// Share of the way that counts as moved as asked; the gate smooths what goes along a margin.
const MOVED_SHARE: f64 = 0.9;
/// Share of the way of the first moments below which nothing moved.
const STOOD_SHARE: f64 = 0.05;
/// How long those are at most, s: who holds on for long may come far and be refused the rest.
const STOOD_S: f64 = 1.0;
/// How finely it is found out how far a line goes, m.
const LINE_STEP_M: f64 = 0.001;
/// A joint this near to the end of its range is what ends a motion, rad.
const RANGE_END_RAD: f64 = 0.02;
/// Longest that can be held on, s.
pub(super) const HOLD_MAX_S: f64 = 600.0;
/// Fastest that can be asked for: rad/s of a joint, m/s of the tool.
const SPEED_MAX: f64 = 10.0;

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JogAlong {
    /// One joint, from 0 at the base.
    Joint(usize),
    /// The tool in a straight line along an axis of the base frame: 0 is x, 1 is y, 2 is z.
    Axis(usize),
}

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jog {
    /// What moves.
    pub along: JogAlong,
    /// How fast: rad/s of a joint, m/s of the tool.
    pub speed: f64,
    /// How long somebody holds on, s.
    pub hold_s: f64,
    /// When they let go before that, s.
    pub release_after_s: Option<f64>,
}

/// How a jog ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JogOutcome {
    /// It moved as asked.
    Reached,
    /// It moved less than that.
    Limited,
    /// The gate let it not move.
    Refused,
}

/// What a jog came to.
#[derive(Clone, Debug, Serialize)]
pub struct JogReport {
    /// How it ended.
    pub outcome: JogOutcome,
    /// Why it did not move as asked.
    pub why: Option<String>,
    /// Mode that it ran in.
    pub mode: &'static str,
    /// Speed that was asked for, in `unit`/s.
    pub asked_speed: f64,
    /// Speed that the mode left of it, in `unit`/s.
    pub used_speed: f64,
    /// What moved: a joint or an axis, by name.
    pub along: String,
    /// How far it moved, in `unit`.
    pub moved: f64,
    /// How far it was to move, in `unit`.
    pub asked_way: f64,
    /// `rad` or `m`.
    pub unit: &'static str,
    /// How long it was held, s.
    pub held_s: f64,
    /// Ticks from letting go to the first that braked; absent if it stood already.
    pub braked_after_ticks: Option<u64>,
    /// From letting go to rest, s.
    pub rested_after_s: f64,
    /// Ticks that the gate limited while it was held.
    pub limited_ticks: u64,
    /// What the robot broke before.
    pub breaches_before: Vec<BreachView>,
    /// What it breaks now.
    pub breaches_after: Vec<BreachView>,
    /// What it is outside of now, and too near to.
    pub near_after: Vec<BreachView>,
}

impl Jog {
    pub(super) fn check(&self, config: &Config) -> anyhow::Result<()> {
        let within = |name: &str, value: f64, most: f64| {
            // Written so that NaN fails too.
            if value.abs() <= most {
                return Ok(());
            }
            Err(input(format!(
                "--{name}: {value} is not a number up to {most}"
            )))
        };
        within("speed", self.speed, SPEED_MAX)?;
        if self.speed == 0.0 {
            return Err(input("--speed: at 0 nothing moves"));
        }
        for (name, time_s) in [
            ("hold", Some(self.hold_s)),
            ("release-after", self.release_after_s),
        ] {
            let Some(time_s) = time_s else { continue };
            within(name, time_s, HOLD_MAX_S)?;
            if time_s < TICK_S {
                return Err(input(format!(
                    "--{name}: {time_s} s is less than a tick, {TICK_S} s"
                )));
            }
        }
        match self.along {
            JogAlong::Joint(joint) if joint >= JOINTS => Err(input(format!(
                "--joint: there is no joint {}; `{}` has 1 to {JOINTS}",
                joint + 1,
                config.robot.name
            ))),
            _ => Ok(()),
        }
    }

    fn hold_ticks(&self) -> u64 {
        let seconds = (self.release_after_s).map_or(self.hold_s, |after| after.min(self.hold_s));
        (seconds / TICK_S).round() as u64
    }
}

/// Holds on to a jog until it is over, `interrupt` is set, or the loop ends it; lets go, and waits until the robot rests.
///
/// # Errors
/// [`InputError`](crate::InputError) for numbers that can't be; [`Refused`](crate::Refused) where no motion at all is
/// allowed: a latched stop, or mode `hold`; as [`Operated::step`].
pub fn jog(
    robot: &mut impl Operated,
    jog: &Jog,
    interrupt: &AtomicBool,
) -> anyhow::Result<JogReport> {
    jog.check(robot.config())?;
    let mode_before = may_move(robot)?;
    let mode = match mode_before {
        SafetyMode::Normal => SafetyMode::Reduced,
        other => other,
    };
    set_mode(robot, mode)?;
    let result = held(robot, jog, mode, interrupt);
    // Whatever happened, the robot is left in the mode that it was found in, but for one that somebody asked for meanwhile.
    if u64::from(robot.status().mode) == mode as u64 {
        set_mode(robot, mode_before)?;
    }
    result
}

fn held(
    robot: &mut impl Operated,
    jog: &Jog,
    mode: SafetyMode,
    interrupt: &AtomicBool,
) -> anyhow::Result<JogReport> {
    let start = robot.status().setpoint.position_rad;
    let (goal, used_speed, is_cut) = goal(robot.config(), jog, mode, &start);
    let breaches_before = breach_views(robot.config(), &start);
    let id = robot.status().arm_goal_id + 1;
    let mut limited_ticks = 0;
    let mut limit: Option<VerdictRecord> = None;
    let mut held_ticks = 0;
    while held_ticks < jog.hold_ticks() && !interrupt.load(Ordering::Relaxed) {
        robot.mailbox().arm.write(&ArmGoal {
            id,
            lease_end_tick: robot.status().tick + LEASE_TICKS,
            ..goal
        });
        robot.step()?;
        held_ticks += 1;
        let verdict = robot.verdict();
        if verdict.kind != VerdictKind::Pass as u32 {
            limited_ticks += 1;
            // The first word that names what it is about: what ends the goal later only gives the kind.
            if limit.is_none_or(|limit| limit.index == u32::MAX) {
                limit = Some(*verdict);
            }
        }
        let state = MotionState::decode(robot.status().arm_state);
        let is_stopped = robot.status().stop_state == StopState::Latched as u32;
        let mode_now = u64::from(robot.status().mode);
        if state.is_none_or(MotionState::is_final) || is_stopped || mode_now != mode as u64 {
            break;
        }
    }
    let is_interrupted = held_ticks < jog.hold_ticks() && interrupt.load(Ordering::Relaxed);
    let ended_by = ending(robot, mode);
    let state = MotionState::decode(robot.status().arm_state);
    let still_going = state == Some(MotionState::Active);
    let (braked_after_ticks, rested_after_s) = let_go(robot)?;

    let end = robot.status().setpoint.position_rad;
    let config = robot.config();
    let chain = config.robot.chain();
    let (moved, unit, ramp_s) = match jog.along {
        JogAlong::Joint(joint) => {
            let ramp_s = ramp(&config.motion.joints()[joint], used_speed);
            (end[joint] - start[joint], "rad", ramp_s)
        }
        JogAlong::Axis(axis) => {
            let at = |q: &JointVector| chain.forward(q).tool.translation.vector[axis];
            let ramp_s = 2.0 * ramp(&config.motion.config().tool_linear, used_speed);
            (at(&end) - at(&start), "m", ramp_s)
        }
    };
    let held_s = held_ticks as f64 * TICK_S;
    // Who holds on for longer than the goal lasts wanted the whole way.
    let wanted_s = jog.hold_ticks() as f64 * TICK_S;
    let way = used_speed.abs() * wanted_s;
    let along = moved * used_speed.signum();
    let stood = STOOD_SHARE * used_speed.abs() * wanted_s.min(STOOD_S);
    let expected = MOVED_SHARE * used_speed.abs() * (wanted_s - ramp_s).max(0.0);
    let came_far = along >= expected && !is_interrupted && ended_by.is_none();
    let stopped_by_gate = limit.is_some() && !came_far && ended_by.is_none() && !is_interrupted;
    let outcome = match state {
        _ if stopped_by_gate && along < stood => JogOutcome::Refused,
        Some(MotionState::Active | MotionState::Done) if came_far => JogOutcome::Reached,
        _ => JogOutcome::Limited,
    };
    let why = (outcome != JogOutcome::Reached).then(|| match (state, &limit) {
        _ if ended_by.is_some() => ended_by.unwrap_or_default(),
        _ if is_interrupted => format!("an interrupt: it was let go after {held_s:.3} s"),
        (_, Some(verdict)) => format!("the gate: {}", verdict_words(config, verdict)),
        _ if is_cut || still_going || state == Some(MotionState::Rejected) => {
            end_of_reach(config, &end)
        }
        _ => "the motion ended by itself".to_owned(),
    });
    Ok(JogReport {
        outcome,
        why,
        mode: mode.name(),
        asked_speed: jog.speed,
        used_speed,
        along: along_name(config, jog.along),
        moved,
        asked_way: way * used_speed.signum(),
        unit,
        held_s,
        braked_after_ticks,
        rested_after_s,
        limited_ticks,
        breaches_before,
        breaches_after: breach_views(config, &end),
        near_after: near_views(config, &end),
    })
}

/// Time that a speed takes to be reached, and so what a way of that time is short of at most, s.
fn ramp(limits: &AxisLimits, speed: f64) -> f64 {
    speed.abs() / limits.acceleration + limits.acceleration / limits.jerk
}

/// What somebody else ended a motion with: a stop, a mode.
fn ending(robot: &impl Operated, mode: SafetyMode) -> Option<String> {
    let status = robot.status();
    if status.stop_state == StopState::Latched as u32 {
        let reason = LimitKind::decode(status.reason).unwrap_or(LimitKind::None);
        // What a limit or a fault has stopped, the verdict says better.
        let asked = matches!(
            reason,
            LimitKind::Requested | LimitKind::EmergencyStop | LimitKind::ProtectiveStop
        );
        return asked.then(|| format!("a stop: {}", reason.name()));
    }
    let now = SafetyMode::decode(u64::from(status.mode));
    (now != mode).then(|| format!("mode `{}`, which somebody asked for", now.name()))
}

/// What moves, by its name.
fn along_name(config: &Config, along: JogAlong) -> String {
    match along {
        JogAlong::Joint(joint) => {
            let name = config
                .robot
                .joints
                .get(joint)
                .map_or("", |joint| &joint.name);
            format!("joint {} `{name}`", joint + 1)
        }
        JogAlong::Axis(axis) => format!("the tool along {}", ["x", "y", "z"][axis.min(2)]),
    }
}

/// Why an arm that stands at `q` goes no further.
fn end_of_reach(config: &Config, q: &JointVector) -> String {
    let margin = config.motion.config().position_margin_rad + RANGE_END_RAD;
    let ends: Vec<String> = (config.robot.joints.iter().zip(q).enumerate())
        .filter(|(_, (joint, at))| {
            (**at - joint.position_min_rad).min(joint.position_max_rad - **at) < margin
        })
        .map(|(i, (joint, at))| {
            format!(
                "joint {} `{}` at {at:.3} rad is at the end of its range, {} to {} rad",
                i + 1,
                joint.name,
                joint.position_min_rad,
                joint.position_max_rad
            )
        })
        .collect();
    if ends.is_empty() {
        "the arm's reach ends there: no posture follows the line any further".to_owned()
    } else {
        ends.join("; ")
    }
}

/// How far a line along `axis` can be followed, m: `way_m`, or less than that.
fn reach(config: &Config, start: &JointVector, axis: usize, way_m: f64) -> f64 {
    let chain = config.robot.chain();
    let from = chain.forward(start).tool;
    let follows = |way: f64| {
        let mut target = from;
        target.translation.vector[axis] += way;
        can_follow_line(&chain, &config.motion, start, &target)
    };
    if follows(way_m) {
        return way_m;
    }
    let (mut near, mut far) = (0.0, way_m);
    while (far - near).abs() > LINE_STEP_M {
        let middle = 0.5 * (near + far);
        if follows(middle) {
            near = middle;
        } else {
            far = middle;
        }
    }
    near
}

/// The mode, if anything may move in it.
fn may_move(robot: &impl Operated) -> anyhow::Result<SafetyMode> {
    let status = robot.status();
    if status.stop_state == StopState::Latched as u32 {
        let reason = LimitKind::decode(status.reason).map_or("unknown", LimitKind::name);
        return Err(refused(format!(
            "a stop is latched ({reason}): `sinew robot status` says more, `sinew robot reset --actor NAME` clears it"
        )));
    }
    let mode = SafetyMode::decode(u64::from(status.mode));
    if mode == SafetyMode::Hold {
        return Err(refused(
            "the mode is `hold`, in which nothing moves: `sinew robot mode reduced` lets it",
        ));
    }
    Ok(mode)
}

fn set_mode(robot: &mut impl Operated, mode: SafetyMode) -> anyhow::Result<()> {
    robot.mailbox().requests.mode(mode);
    for _ in 0..MODE_TICKS {
        robot.step()?;
        if u64::from(robot.status().mode) == mode as u64 {
            break;
        }
    }
    Ok(())
}

/// Says nothing more. Ticks until the first that braked, and seconds until nothing moved.
fn let_go(robot: &mut impl Operated) -> anyhow::Result<(Option<u64>, f64)> {
    let before = speed_squared(robot);
    let mut braked = None;
    let mut ticks = 0;
    let mut now = before;
    while now > 0.0 && ticks < REST_TICKS {
        robot.step()?;
        ticks += 1;
        now = speed_squared(robot);
        if braked.is_none() && now < before {
            braked = Some(ticks);
        }
    }
    Ok((braked, ticks as f64 * TICK_S))
}

fn speed_squared(robot: &impl Operated) -> f64 {
    let velocity = &robot.status().setpoint.velocity_rad_s;
    velocity.iter().map(|v| v * v).sum()
}

/// The goal to be held, its speed within the mode's, and whether it ends before the way that was asked for.
fn goal(config: &Config, jog: &Jog, mode: SafetyMode, start: &JointVector) -> (ArmGoal, f64, bool) {
    let safety = config.safety.config();
    let limits = match mode {
        SafetyMode::Recovery => safety.recovery,
        _ => safety.reduced,
    };
    let chain = config.robot.chain();
    let nothing = ArmGoal {
        id: 0,
        lease_end_tick: 0,
        kind: ArmGoalKind::Jog as u32,
        reserved: 0,
        joints_rad: [0.0; JOINTS],
        pose: Pose::IDENTITY,
        speed_scale: 1.0,
        acceleration_scale: 1.0,
        contact_force_n: 0.0,
    };
    match jog.along {
        JogAlong::Joint(joint) => {
            let turning = limits.joint_speed_share
                * (safety.velocity_max_rad_s[joint]).min(config.motion.joints()[joint].velocity);
            let lever_m = lever(&chain, start, joint).max(1e-6);
            let most = SPEED_SHARE * turning.min(limits.speed_max_m_s / lever_m);
            let speed = jog.speed.clamp(-most, most);
            let mut joints_rad = [0.0; JOINTS];
            joints_rad[joint] = speed;
            (
                ArmGoal {
                    joints_rad,
                    ..nothing
                },
                speed,
                false,
            )
        }
        JogAlong::Axis(axis) => {
            let most = SPEED_SHARE * limits.speed_max_m_s;
            let speed = jog.speed.clamp(-most, most);
            let held_s = jog.hold_ticks() as f64 * TICK_S;
            let mut pose = isometry_to_pose(&chain.forward(start).tool);
            let asked_m = speed * held_s;
            let way_m = reach(config, start, axis, asked_m);
            pose.position_m[axis] += way_m;
            let speed_scale = (speed.abs() / config.motion.config().tool_linear.velocity).min(1.0);
            (
                ArmGoal {
                    kind: ArmGoalKind::Line as u32,
                    pose,
                    speed_scale,
                    ..nothing
                },
                speed,
                way_m != asked_m,
            )
        }
    }
}

/// Farthest that any part of the arm behind a joint is from its axis, m. Turning that joint doesn't change it.
fn lever(chain: &Chain, q: &JointVector, joint: usize) -> f64 {
    let forward = chain.forward(q);
    let frame = forward.frame(joint + 1);
    let axis = frame.rotation * nalgebra::Vector3::z();
    let origin = frame.translation.vector;
    let tool = forward.tool.translation.vector;
    (chain.place_capsules(&forward))
        .filter(|capsule| capsule.link > joint)
        .flat_map(|capsule| [capsule.a.coords, capsule.b.coords])
        .chain([tool])
        .map(|point| axis.cross(&(point - origin)).norm())
        .fold(0.0, f64::max)
}

impl JogReport {
    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        // What rounds to nothing has no sign.
        let size = |value: f64| match self.unit {
            "m" => format!("{:.1} mm", (value * 1e4).round() / 10.0 + 0.0),
            _ => format!("{:.4} rad", (value * 1e4).round() / 1e4 + 0.0),
        };
        let mut lines = vec![format!(
            "{}: {} moved {} of {} in {:.3} s at {}/s, mode {}",
            match self.outcome {
                JogOutcome::Reached => "moved as asked",
                JogOutcome::Limited => "LIMITED",
                JogOutcome::Refused => "REFUSED",
            },
            self.along,
            size(self.moved),
            size(self.asked_way),
            self.held_s,
            size(self.used_speed),
            self.mode
        )];
        if let Some(why) = &self.why {
            lines.push(format!("  because   {why}"));
        }
        if self.used_speed != self.asked_speed {
            lines.push(format!(
                "  slower    {}/s was asked for, more than hold-to-run gives in this mode",
                size(self.asked_speed)
            ));
        }
        lines.push(match self.braked_after_ticks {
            Some(ticks) => format!(
                "  let go    braking after {ticks} ticks, at rest after {:.3} s",
                self.rested_after_s
            ),
            None => "  let go    it stood already".to_owned(),
        });
        for breach in &self.breaches_before {
            lines.push(format!("  before    {}", breach.words()));
        }
        for breach in &self.breaches_after {
            lines.push(format!("  now       {}", breach.words()));
        }
        if self.breaches_after.is_empty() && !self.breaches_before.is_empty() {
            lines.push("  now       no limit is violated".to_owned());
        }
        for near in &self.near_after {
            lines.push(format!("  near      {}", near.words()));
        }
        lines.join("\n")
    }
}
