//! An adversary against the safety gate, and a judge of what comes of it.
//!
//! A *shard* is a number of ticks that depends on its seed alone, so that any number of them can be run beside each
//! other, in any order, and again. Each draws its own configuration from the given one (zones of every shape,
//! slow zones, a cone, persons, contacts and what is done about them, grip, singularities, reaction time, how weakly
//! the robot brakes, how far it stands off or how late it is: up to what is declared), and then for its whole length
//! proposes what might get through: random targets and such as a search found to lead close to something, through
//! singular postures, into what is touched, at and beyond every limit, full-scale jumps and oscillation, old setpoints,
//! garbage in single fields, the verified stop with a little on top; resets, stops and changes of mode and payload at
//! any moment. The tool meets pushes and walls, what is carried gets lost, wires open, sensors lie, frames fail to
//! come, and the arm is moved by hand while it has no power.
//!
//! The judge looks at every command, at where the robot truly is, and now and then at where it would get if it
//! went on for the whole reaction time and then braked as weakly as declared. Whatever a shard finds can be seen
//! again with its seed. What the gate named in the run is counted: a limit that it never names is not tested by it.

mod arena;
mod attack;
mod faults;
mod hand;
mod judge;
mod plant;
mod sections;
mod stream;
mod touch;

use std::collections::BTreeMap;

use nalgebra::Vector3;
use sinew_kinematics::Chain;
use sinew_messages::{
    DriveStatus, JOINTS, JointVector, LimitKind, Obstacle, ObstacleFrame, ObstacleKind, Payload,
    RequestCounts, ResetAnswer, SafetyInputs, SafetyMode, SensorFrame, Setpoint, StopState,
    VerdictKind,
};
use sinew_safety::{Gate, Inputs, PowerDemand, SafeCommand, SafetyConfig, SafetyLimits, Verdict};
use sinew_units::TICK_NS;

use crate::arena::{Person, vary};
use crate::attack::Attack;
use crate::faults::Faults;
use crate::hand::Hand;
use crate::judge::{Judge, Seen, to_itself};
use crate::plant::Plant;
use crate::stream::Stream;
use crate::touch::Touch;

pub use judge::Margins;

/// Counts up when equal seeds come to something else than before, whatever the gate does: results of different versions
/// do not add up.
pub const VERSION: u32 = 4;

/// Violations of one shard that are described; the others are counted.
const DESCRIBED_MAX: usize = 4;
/// Ticks between two looks at what the reaction time would lead to.
const REACTION_EVERY: u64 = 211;

/// What one shard came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Ticks run.
    pub ticks: u64,
    /// Ticks that were not simply passed.
    pub limited_ticks: u64,
    /// Of them, ticks in which the gate gave way to a contact.
    pub yielded_ticks: u64,
    /// How many of them each limit was the reason of, by its name.
    pub spoke: BTreeMap<&'static str, u64>,
    /// Ticks with a command: the drives were on.
    pub powered_ticks: u64,
    /// What was broken; what stays broken for a while counts once.
    pub violations: u64,
    /// The first of them, in words.
    pub described: Vec<String>,
    /// Smallest margins.
    pub margins: Margins,
    /// Hash over every command.
    pub hash: u64,
}

impl Outcome {
    /// Adds another shard's figures; the hash of a run is over those of its shards in their order.
    pub fn add(&mut self, other: &Self) {
        self.ticks += other.ticks;
        self.limited_ticks += other.limited_ticks;
        self.yielded_ticks += other.yielded_ticks;
        for (limit, ticks) in &other.spoke {
            *self.spoke.entry(limit).or_default() += ticks;
        }
        self.powered_ticks += other.powered_ticks;
        self.violations += other.violations;
        self.described.extend(other.described.iter().cloned());
        self.described.truncate(DESCRIBED_MAX);
        self.margins.merge(&other.margins);
        self.hash = mix(self.hash, other.hash);
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(17)
}

/// Everything of one shard.
struct Shard<'a> {
    chain: &'a Chain,
    config: SafetyConfig,
    gate: Gate,
    plant: Plant,
    judge: Judge,
    attack: Attack,
    person: Option<Person>,
    touch: Touch,
    hand: Hand,
    faults: Faults,
    stream: Stream,
    /// What is so; what the gate gets to see of it may be spoiled.
    frame: SensorFrame,
    /// Width of the gripper in the last frame that the gate could read, m.
    seen_width_m: f64,
    /// Where the tool truly was in the tick before, m.
    tool: Vector3<f64>,
    obstacles: ObstacleFrame,
    requests: RequestCounts,
    before: JointVector,
    moved: bool,
    was_off: bool,
    recovered: bool,
    /// The last reset that was answered.
    answered: u64,
    outcome: Outcome,
    seed: u64,
}

/// Runs one shard from the posture of rest.
///
/// # Panics
/// If `base` itself is no valid configuration.
#[must_use]
pub fn run(chain: &Chain, base: &SafetyConfig, seed: u64, ticks: u64) -> Outcome {
    run_against(chain, base, seed, ticks, |_| {})
}

/// As [`run`], with a gate that believes something else than the judge: what shows that the judge sees it.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_against(
    chain: &Chain,
    base: &SafetyConfig,
    seed: u64,
    ticks: u64,
    delude: impl Fn(&mut SafetyConfig),
) -> Outcome {
    let shard = Shard::new(chain, base, seed, &delude);
    shard.run(ticks, &mut |filter| filter())
}

/// As [`run`], and `measure` is handed each call of the gate, to be made once.
///
/// # Panics
/// As [`run`], and if `measure` does not call.
pub fn run_measured(
    chain: &Chain,
    base: &SafetyConfig,
    seed: u64,
    ticks: u64,
    measure: &mut dyn FnMut(&mut dyn FnMut()),
) -> Outcome {
    Shard::new(chain, base, seed, &|_| {}).run(ticks, measure)
}

impl<'a> Shard<'a> {
    fn new(
        chain: &'a Chain,
        base: &SafetyConfig,
        seed: u64,
        delude: &dyn Fn(&mut SafetyConfig),
    ) -> Self {
        let mut stream = Stream::new(seed ^ 0x51ce_ba11_0ff5_e75a);
        let start = *chain.rest();
        // What is drawn may contradict itself (braking too weak for the speed, …): then it is drawn again.
        let (config, limits) = (0..64)
            .find_map(|_| {
                let config = vary(base, chain, &start, &mut stream);
                let mut believed = config.clone();
                delude(&mut believed);
                let limits = SafetyLimits::new(believed).ok()?;
                Some((config, limits))
            })
            .unwrap_or_else(|| {
                let limits = SafetyLimits::new(base.clone()).expect("the base is valid");
                (base.clone(), limits)
            });
        let plant = Plant::new(&start, &config, &mut stream);
        let gate = Gate::new(limits, chain.clone());
        let attack = Attack::new(gate.given());
        Self {
            person: config
                .separation
                .is_some()
                .then(|| Person::new(&mut stream)),
            judge: Judge::new(chain, &start),
            touch: Touch::default(),
            hand: Hand::new(&config),
            faults: Faults::default(),
            seen_width_m: 0.0,
            tool: chain.forward(&start).tool.translation.vector,
            frame: SensorFrame {
                tick: 0,
                time_ns: 1_000_000_000,
                position_rad: start,
                velocity_rad_s: [0.0; JOINTS],
                effort_nm: [0.0; JOINTS],
                gripper_width_m: 0.0,
                gripper_velocity_m_s: 0.0,
                gripper_force_n: 0.0,
                tool_force_n: [0.0; 3],
                drive_status: 0,
                safety_inputs: SafetyInputs::ALL_CLOSED,
            },
            chain,
            config,
            gate,
            plant,
            attack,
            stream,
            obstacles: ObstacleFrame::NONE,
            requests: RequestCounts::default(),
            before: start,
            moved: false,
            was_off: true,
            recovered: false,
            answered: 0,
            outcome: Outcome {
                hash: 0xcbf2_9ce4_8422_2325,
                ..Outcome::default()
            },
            seed,
        }
    }

    fn run(mut self, ticks: u64, measure: &mut dyn FnMut(&mut dyn FnMut())) -> Outcome {
        for tick in 1..=ticks {
            self.tick(tick, measure);
        }
        self.outcome.ticks = ticks;
        self.outcome.margins = self.judge.margins;
        self.outcome
    }

    fn tick(&mut self, tick: u64, measure: &mut dyn FnMut(&mut dyn FnMut())) {
        self.meddle();
        self.sense(tick);
        let given = *self.gate.given();
        self.scheme(&given);
        let (proposed, stale) =
            self.attack
                .propose(tick, &given, &self.before, &self.config, &mut self.stream);
        self.before = given.position_rad;
        let (mut frame, mut requests) = (self.frame, self.requests);
        (self.faults).spoil(&mut frame, &mut requests, &self.config);
        let frame = Some(frame).filter(|_| !self.faults.hides_frame());
        let (command, verdict) = match &frame {
            None => self.gate.miss(&requests),
            Some(frame) => {
                let inputs = Inputs {
                    frame,
                    obstacles: &self.obstacles,
                    requests: &requests,
                    proposed: &proposed,
                    stale,
                };
                let mut answer = None;
                measure(&mut || answer = Some(self.gate.filter(&inputs)));
                answer.expect("the call was made")
            }
        };
        match self.gate.power() {
            PowerDemand::On => self.frame.drive_status |= DriveStatus::POWERED,
            PowerDemand::Off(_) => self.frame.drive_status &= !DriveStatus::POWERED,
            PowerDemand::Keep => {}
        }
        let frame = frame.filter(SensorFrame::is_finite);
        self.seen_width_m = (frame.as_ref()).map_or(self.seen_width_m, |f| f.gripper_width_m);
        self.count(&verdict);
        let setpoint = command.as_ref().map(SafeCommand::setpoint);
        self.plant.step(
            setpoint.map(|setpoint| &setpoint.position_rad),
            self.chain,
            &self.config,
            &mut self.stream,
        );
        let width = self.gate.given().gripper_width_m;
        self.hand.step(width, &mut self.stream);
        match setpoint {
            Some(setpoint) => self.look(tick, frame.as_ref(), &given, setpoint, &verdict),
            None => {
                self.moved = false;
                self.was_off = true;
                self.recovered = false;
            }
        }
        self.outcome.hash = mix(self.outcome.hash, u64::from(verdict.record().limit));
        for broken in self.judge.findings() {
            self.outcome.violations += 1;
            if self.outcome.described.len() < DESCRIBED_MAX {
                self.outcome
                    .described
                    .push(format!("shard {} tick {tick}: {broken}", self.seed));
            }
        }
    }

    /// Has the judge look at a command, with what the gate saw and what was given before.
    fn look(
        &mut self,
        tick: u64,
        frame: Option<&SensorFrame>,
        before: &Setpoint,
        setpoint: &Setpoint,
        verdict: &Verdict,
    ) {
        // With power the setpoint begins where the robot is: that is no motion.
        self.moved = !self.was_off && setpoint.position_rad != self.before;
        let status = self.gate.status();
        let mut before_m = before.gripper_width_m;
        if self.was_off {
            self.was_off = false;
            self.judge
                .restart(self.chain, &self.config, &self.frame.position_rad);
            before_m = self.frame.gripper_width_m;
        }
        self.outcome.powered_ticks += 1;
        let statement = [
            setpoint.position_rad,
            setpoint.velocity_rad_s,
            setpoint.acceleration_rad_s2,
        ];
        let gripper = [setpoint.gripper_width_m, setpoint.gripper_force_n];
        for value in statement.iter().flatten().chain(&gripper) {
            self.outcome.hash = mix(self.outcome.hash, value.to_bits());
        }
        let seen = Seen {
            mode: status.mode,
            frame,
            gripper_width_m: before_m,
            somewhere: self.obstacles.count > 1,
            granted: status.reset_answer == ResetAnswer::Granted
                && status.reset_answered != self.answered,
        };
        self.answered = status.reset_answered;
        self.judge
            .given(self.chain, &self.config, &seen, setpoint, verdict);
        // In recovery mode a robot may move away from whom it touches, and brakes after it.
        self.recovered = status.mode == SafetyMode::Recovery || (self.recovered && self.moved);
        self.judge.truth(
            self.chain,
            &self.config,
            &self.plant.truth(),
            self.person.as_ref(),
            self.moved && !self.recovered,
        );
        if tick.is_multiple_of(REACTION_EVERY) {
            self.judge.reaction(self.chain, &self.config);
        }
    }

    fn count(&mut self, verdict: &Verdict) {
        if verdict.kind == VerdictKind::Pass {
            return;
        }
        self.outcome.limited_ticks += 1;
        self.outcome.yielded_ticks += u64::from(verdict.kind == VerdictKind::Yield);
        *(self.outcome.spoke.entry(verdict.limit.name())).or_default() += 1;
    }

    /// Another scheme now and then, and into whatever is touched.
    fn scheme(&mut self, given: &Setpoint) {
        let (chain, stream) = (self.chain, &mut self.stream);
        if stream.one_in(self.attack.patience) {
            self.attack.change(given, chain, &self.config, stream);
        }
        if let Some(into) = self.touch.inward()
            && stream.one_in(150)
        {
            self.attack.press(given, chain, &into, stream);
        }
    }

    /// The frame of this tick: what the plant measures, and what a scanner sees.
    fn sense(&mut self, tick: u64) {
        let truth = self.plant.truth();
        let tool = self.chain.forward(&truth).tool.translation.vector;
        let way = tool - core::mem::replace(&mut self.tool, tool);
        let limit = self.config.force_stop_n;
        self.touch.step(&tool, &way, limit, &mut self.stream);
        self.frame.tick = tick;
        self.frame.time_ns += TICK_NS;
        self.frame.velocity_rad_s =
            core::array::from_fn(|i| (truth[i] - self.frame.position_rad[i]) * 1e3);
        self.frame.position_rad = truth;
        self.frame.tool_force_n = self.touch.force(&tool).into();
        self.frame.gripper_width_m = self.hand.width_m;
        self.frame.gripper_force_n = self.hand.force_n;
        self.requests.heartbeat_tick = tick;
        if let (Some(person), Some(separation)) = (&mut self.person, &self.config.separation) {
            person.walk(separation.approach_speed_m_s, &mut self.stream);
            if self.faults.silences_scanner() {
                person.grow_old(tick, &mut self.obstacles);
            } else {
                person.scan(tick, &mut self.stream, &mut self.obstacles);
            }
            self.obstacles.count = 1;
            if self.faults.loses_somebody() {
                self.obstacles.count = 2;
                self.obstacles.obstacles[1] = Obstacle {
                    kind: ObstacleKind::Somewhere as u32,
                    ..self.obstacles.obstacles[0]
                };
            }
        }
        (self.faults).step(&self.frame, &self.config, &mut self.stream);
    }

    /// Resets, stops, modes and payloads at any moment, and an arm that is moved by hand.
    fn meddle(&mut self) {
        let latched = self.gate.status().stop_state == StopState::Latched;
        if self.stream.one_in(if latched { 20 } else { 300 }) {
            self.requests.reset += 1;
        }
        if self.stream.one_in(6_000) {
            match self.stream.below(3) {
                0 => self.requests.stop_hold += 1,
                1 => self.requests.stop_then_off += 1,
                _ => self.requests.stop_power_off += 1,
            }
        }
        let holds = self.requests.mode == SafetyMode::Hold as u64;
        if self.stream.one_in(if holds { 500 } else { 3_000 }) {
            let mode = [
                SafetyMode::Normal,
                SafetyMode::Normal,
                SafetyMode::Normal,
                SafetyMode::Reduced,
                SafetyMode::Recovery,
                SafetyMode::Hold,
            ][self.stream.below(6) as usize];
            self.requests.mode = mode as u64;
        }
        if self.was_off && self.stream.one_in(60) {
            self.move_by_hand();
        }
        // What holds the robot for something that it carries does not do so for long: it ends the attack.
        let held = matches!(
            self.gate.status().reason,
            LimitKind::GripLost | LimitKind::Payload
        );
        let patience = if held { 150 } else { 5_000 };
        if self.stream.one_in(patience) {
            let payload = if self.stream.one_in(3) {
                Payload::NONE
            } else {
                Payload {
                    mass_kg: self.stream.between(0.0, 2.0),
                    com_m: [0.0, 0.0, 0.12],
                    a_m: [0.0, 0.0, 0.12],
                    b_m: [0.0, self.stream.between(-0.1, 0.1), 0.12],
                    radius_m: self.stream.between(0.005, 0.03),
                }
            };
            let given_m = self.gate.given().gripper_width_m;
            let width_m = self.seen_width_m.max(given_m);
            self.gate.carry(&payload);
            self.judge.carry(self.chain, &payload, width_m);
            let holds = payload.radius_m > 0.0;
            self.hand.take(holds, &self.config, &mut self.stream);
        }
    }

    /// Somewhere that the links allow, and often where nothing may start; or back.
    fn move_by_hand(&mut self) {
        let q = self.stream.joints(&self.config);
        let fits = to_itself(self.chain, &self.config, &q) > 0.0;
        let to = if fits && self.stream.one_in(2) {
            q
        } else {
            *self.chain.rest()
        };
        self.plant.put(&to);
    }
}
