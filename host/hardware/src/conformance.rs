//! Checks that a driver must pass.
//!
//! Each check gets a fresh driver, with a gate that fits it (a driver takes nothing but what a gate has
//! verified), and talks to it through [`HardwareComponent`] alone. [`run`] does all of them; an empty list of
//! findings means that the driver conforms. Run it against a robot that may move freely: every joint
//! moves by up to [`SWING_RAD`].

use sinew_messages::{
    DriveStatus, JOINTS, ObstacleFrame, RequestCounts, SafetyInputs, SensorFrame, Setpoint,
    StopCategory, VerdictKind,
};
use sinew_safety::{Gate, Inputs, PowerDemand};
use sinew_units::{TICK_NS, TICK_S};

use crate::HardwareComponent;

/// How far a joint is moved, rad.
pub const SWING_RAD: f64 = 0.08;
/// Ticks of one swing: slow enough for any arm.
const SWING_TICKS: u64 = 1_200;
/// How far the measured position may end from the command, rad.
const FOLLOW_TOLERANCE_RAD: f64 = 0.02;
/// How far a robot may sag or twitch when power comes or goes, rad.
const STILL_TOLERANCE_RAD: f64 = 0.01;
/// Slower than this is standing, rad/s.
const STILL_RAD_S: f64 = 0.05;
/// How far the gripper may end from the command, m.
const WIDTH_TOLERANCE_M: f64 = 0.003;
/// Ticks that the drives may take to switch on or off, or to trip after the watchdog's time.
const SWITCH_TICKS: u64 = 20;

/// A driver to be checked, with a gate made for its robot.
pub struct Fixture {
    /// The driver, freshly started, without power.
    pub driver: Box<dyn HardwareComponent>,
    /// A gate with limits that let the robot swing each joint by [`SWING_RAD`] in about a second.
    pub gate: Gate,
}

/// Something that a driver does wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static str,
    /// What was seen, and what should have been.
    pub what: String,
}

type Check = fn(&mut Rig) -> Result<(), String>;

/// Every check, by name.
const CHECKS: [(&str, Check); 9] = [
    ("reads-advance", reads_advance),
    ("limits-make-sense", limits_make_sense),
    ("power-on-causes-no-motion", power_on_causes_no_motion),
    ("commands-are-followed", commands_are_followed),
    ("gripper-is-followed", gripper_is_followed),
    ("watchdog-stops-the-robot", watchdog_stops_the_robot),
    ("watchdog-is-cleared-by-power-on", watchdog_is_cleared),
    ("power-off-takes-power", power_off_takes_power),
    ("controlled-hold-keeps-power", controlled_hold_keeps_power),
];

/// Runs every check on a fresh driver each.
pub fn run(fresh: &mut dyn FnMut() -> Fixture) -> Vec<Finding> {
    CHECKS
        .iter()
        .filter_map(|(check, body)| {
            let mut rig = Rig::new(fresh());
            body(&mut rig).err().map(|what| Finding { check, what })
        })
        .collect()
}

/// A driver, its gate, and the tick that they are at.
struct Rig {
    driver: Box<dyn HardwareComponent>,
    gate: Gate,
    requests: RequestCounts,
    frame: SensorFrame,
    obstacles: ObstacleFrame,
    tick: u64,
}

impl Rig {
    fn new(fixture: Fixture) -> Self {
        Self {
            driver: fixture.driver,
            gate: fixture.gate,
            requests: RequestCounts::default(),
            frame: bytemuck::Zeroable::zeroed(),
            obstacles: ObstacleFrame::NONE,
            tick: 0,
        }
    }

    fn read(&mut self) -> Result<(), String> {
        self.tick += 1;
        self.driver
            .read(self.tick, &mut self.frame)
            .map_err(|fault| format!("read failed at tick {}: {fault}", self.tick))?;
        self.driver.read_obstacles(self.tick, &mut self.obstacles);
        let seen = self.obstacles.seen_tick;
        if seen > self.tick {
            return Err(format!(
                "at tick {} its scanner says that it saw at tick {seen}",
                self.tick
            ));
        }
        Ok(())
    }

    /// One tick of the whole loop; `ask` turns what was given last into what is asked for.
    fn tick(&mut self, ask: impl FnOnce(&Setpoint) -> Setpoint) -> Result<(), String> {
        self.read()?;
        let asked = ask(self.gate.given());
        let (command, verdict) = self.gate.filter(&Inputs {
            frame: &self.frame,
            obstacles: &self.obstacles,
            requests: &self.requests,
            proposed: &asked,
            stale: None,
        });
        match self.gate.power() {
            PowerDemand::Keep => {}
            PowerDemand::On => self
                .driver
                .power_on()
                .map_err(|fault| format!("power_on failed: {fault}"))?,
            PowerDemand::Off(category) => self.driver.stop(category),
        }
        if let Some(command) = command {
            self.driver
                .write(command)
                .map_err(|fault| format!("write failed at tick {}: {fault}", self.tick))?;
        }
        if self.requests.reset > 0
            && verdict.kind == VerdictKind::Stop
            && verdict.category.is_some()
        {
            return Err(format!(
                "the gate latched a stop at tick {}: {}",
                self.tick,
                verdict.limit.name()
            ));
        }
        Ok(())
    }

    fn hold(&mut self, ticks: u64) -> Result<(), String> {
        for _ in 0..ticks {
            self.tick(at_rest)?;
        }
        Ok(())
    }

    /// Reads for a while, then asks the gate for a reset and lets the power come up.
    fn power_up(&mut self) -> Result<(), String> {
        self.hold(5)?;
        self.requests.reset += 1;
        self.hold(SWITCH_TICKS)?;
        self.expect(self.has(DriveStatus::POWERED), || {
            format!("not powered {SWITCH_TICKS} ticks after power_on")
        })
    }

    /// Moves one joint smoothly by `way` rad over `ticks` ticks.
    fn swing(&mut self, joint: usize, way_rad: f64, ticks: u64) -> Result<(), String> {
        let start = self.gate.given().position_rad[joint];
        for n in 1..=ticks {
            let s = n as f64 / ticks as f64;
            // Rests at both ends up to the third derivative.
            let share = s.powi(4) * (35.0 - 84.0 * s + 70.0 * s * s - 20.0 * s * s * s);
            self.tick(|given| towards(given, joint, start + way_rad * share))?;
        }
        Ok(())
    }

    fn has(&self, bit: u32) -> bool {
        self.frame.drive_status & bit != 0
    }

    fn stands(&self) -> bool {
        self.frame
            .velocity_rad_s
            .iter()
            .all(|v| v.abs() < STILL_RAD_S)
    }

    fn expect(&self, holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
        if holds { Ok(()) } else { Err(what()) }
    }
}

fn at_rest(given: &Setpoint) -> Setpoint {
    Setpoint {
        velocity_rad_s: [0.0; JOINTS],
        acceleration_rad_s2: [0.0; JOINTS],
        ..*given
    }
}

fn towards(given: &Setpoint, joint: usize, position_rad: f64) -> Setpoint {
    let mut asked = at_rest(given);
    let velocity = (position_rad - given.position_rad[joint]) / TICK_S;
    asked.position_rad[joint] = position_rad;
    asked.velocity_rad_s[joint] = velocity;
    asked.acceleration_rad_s2[joint] = (velocity - given.velocity_rad_s[joint]) / TICK_S;
    asked
}

fn farthest(a: &[f64; JOINTS], b: &[f64; JOINTS]) -> (usize, f64) {
    (0..JOINTS)
        .map(|i| (i, (a[i] - b[i]).abs()))
        .fold(
            (0, 0.0),
            |most, next| {
                if next.1 > most.1 { next } else { most }
            },
        )
}

fn reads_advance(rig: &mut Rig) -> Result<(), String> {
    let mut last_ns = None;
    for _ in 0..100 {
        rig.read()?;
        let frame = &rig.frame;
        rig.expect(frame.tick == rig.tick, || {
            format!("tick {} was read as {}", rig.tick, frame.tick)
        })?;
        rig.expect(frame.is_finite(), || "a value is not finite".to_owned())?;
        if let Some(last) = last_ns {
            let step = frame.time_ns.saturating_sub(last);
            rig.expect((TICK_NS / 2..=2 * TICK_NS).contains(&step), || {
                format!("time advanced by {step} ns in a tick of {TICK_NS} ns")
            })?;
        }
        last_ns = Some(frame.time_ns);
    }
    rig.expect(
        rig.frame.safety_inputs & SafetyInputs::ALL_CLOSED == SafetyInputs::ALL_CLOSED,
        || "a safety input reads open".to_owned(),
    )?;
    rig.expect(!rig.has(DriveStatus::POWERED), || {
        "powered before anyone switched it on".to_owned()
    })
}

fn limits_make_sense(rig: &mut Rig) -> Result<(), String> {
    rig.read()?;
    let (lower, upper) = rig.driver.mechanical_limits();
    for (i, position) in rig.frame.position_rad.iter().enumerate() {
        rig.expect(lower[i] < upper[i], || {
            format!("joint {i}: limits {}..{} leave no room", lower[i], upper[i])
        })?;
        rig.expect((lower[i]..=upper[i]).contains(position), || {
            format!("joint {i} is at {position}, outside its mechanical limits")
        })?;
    }
    rig.expect(rig.driver.watchdog_ticks() > 0, || {
        "a watchdog of 0 ticks can't be fed".to_owned()
    })
}

fn power_on_causes_no_motion(rig: &mut Rig) -> Result<(), String> {
    rig.hold(5)?;
    let before = rig.frame.position_rad;
    rig.power_up()?;
    rig.hold(300)?;
    let (joint, moved) = farthest(&rig.frame.position_rad, &before);
    rig.expect(moved <= STILL_TOLERANCE_RAD, || {
        format!("joint {joint} moved by {moved} rad when power came")
    })
}

fn commands_are_followed(rig: &mut Rig) -> Result<(), String> {
    rig.power_up()?;
    for joint in 0..JOINTS {
        let start = rig.frame.position_rad[joint];
        let (lower, upper) = rig.driver.mechanical_limits();
        let way = if start < 0.5 * (lower[joint] + upper[joint]) {
            SWING_RAD
        } else {
            -SWING_RAD
        };
        rig.swing(joint, way, SWING_TICKS)?;
        rig.hold(200)?;
        let (worst, off) = farthest(&rig.frame.position_rad, &rig.gate.given().position_rad);
        rig.expect(off <= FOLLOW_TOLERANCE_RAD, || {
            format!("after moving joint {joint}, joint {worst} is {off} rad from its command")
        })?;
        let moved = rig.frame.position_rad[joint] - start;
        rig.expect((moved - way).abs() <= FOLLOW_TOLERANCE_RAD, || {
            format!("joint {joint} moved by {moved} rad instead of {way}")
        })?;
    }
    Ok(())
}

fn gripper_is_followed(rig: &mut Rig) -> Result<(), String> {
    rig.power_up()?;
    for width in [0.03, 0.06] {
        let step = 0.05 * TICK_S;
        for _ in 0..2_500 {
            rig.tick(|given| {
                let left = width - given.gripper_width_m;
                Setpoint {
                    gripper_width_m: given.gripper_width_m + left.clamp(-step, step),
                    gripper_force_n: 10.0,
                    ..at_rest(given)
                }
            })?;
        }
        let measured = rig.frame.gripper_width_m;
        rig.expect((measured - width).abs() <= WIDTH_TOLERANCE_M, || {
            format!("the gripper is at {measured} m instead of {width} m")
        })?;
    }
    Ok(())
}

/// Leaves the driver without commands in the middle of a swing.
fn starve(rig: &mut Rig) -> Result<(), String> {
    rig.power_up()?;
    let start = rig.gate.given().position_rad[0];
    for n in 1..=SWING_TICKS / 2 {
        let s = n as f64 / SWING_TICKS as f64;
        let share = s.powi(4) * (35.0 - 84.0 * s + 70.0 * s * s - 20.0 * s * s * s);
        rig.tick(|given| towards(given, 0, start + SWING_RAD * share))?;
    }
    for _ in 0..rig.driver.watchdog_ticks() + SWITCH_TICKS {
        let tripped_early = rig.has(DriveStatus::WATCHDOG_TRIPPED);
        rig.read()?;
        if tripped_early {
            break;
        }
    }
    Ok(())
}

fn watchdog_stops_the_robot(rig: &mut Rig) -> Result<(), String> {
    rig.power_up()?;
    rig.hold(10)?;
    let allowed = rig.driver.watchdog_ticks();
    for waited in 1..=allowed + SWITCH_TICKS {
        rig.read()?;
        if rig.has(DriveStatus::WATCHDOG_TRIPPED) {
            rig.expect(waited + 2 >= allowed, || {
                format!("tripped {waited} ticks after the last command instead of {allowed}")
            })?;
            rig.expect(waited <= allowed + 2, || {
                format!("tripped only {waited} ticks after the last command, not {allowed}")
            })?;
            break;
        }
    }
    rig.expect(rig.has(DriveStatus::WATCHDOG_TRIPPED), || {
        format!("did not trip within {} ticks", allowed + SWITCH_TICKS)
    })?;
    for _ in 0..500 {
        rig.read()?;
    }
    let before = rig.frame.position_rad;
    for _ in 0..200 {
        rig.read()?;
    }
    let (joint, moved) = farthest(&rig.frame.position_rad, &before);
    rig.expect(rig.stands() && moved <= STILL_TOLERANCE_RAD, || {
        format!("joint {joint} still moves ({moved} rad) after the watchdog tripped")
    })
}

fn watchdog_is_cleared(rig: &mut Rig) -> Result<(), String> {
    starve(rig)?;
    rig.expect(rig.has(DriveStatus::WATCHDOG_TRIPPED), || {
        "did not trip in the middle of a motion".to_owned()
    })?;
    for _ in 0..500 {
        rig.read()?;
    }
    rig.expect(rig.stands(), || "did not stop".to_owned())?;
    rig.driver.stop(StopCategory::PowerOff);
    rig.read()?;
    rig.driver
        .power_on()
        .map_err(|fault| format!("power_on after a watchdog trip failed: {fault}"))?;
    rig.read()?;
    rig.expect(!rig.has(DriveStatus::WATCHDOG_TRIPPED), || {
        "power_on did not clear the watchdog".to_owned()
    })
}

fn power_off_takes_power(rig: &mut Rig) -> Result<(), String> {
    rig.power_up()?;
    rig.hold(20)?;
    rig.driver.stop(StopCategory::PowerOff);
    rig.read()?;
    rig.read()?;
    rig.expect(!rig.has(DriveStatus::POWERED), || {
        "still powered 2 ticks after a stop of category 0".to_owned()
    })
}

fn controlled_hold_keeps_power(rig: &mut Rig) -> Result<(), String> {
    rig.power_up()?;
    rig.driver.stop(StopCategory::ControlledHold);
    rig.hold(10)?;
    rig.expect(rig.has(DriveStatus::POWERED), || {
        "a stop of category 2 took the power".to_owned()
    })
}
