//! What goes wrong around the gate: wires, drives, clocks, sensors and frames. Never where the robot truly is: what is
//! measured of it may be a lie, and only while the drives are on.

use sinew_messages::{DriveStatus, JOINTS, RequestCounts, SafetyInputs, SensorFrame};
use sinew_safety::SafetyConfig;
use sinew_units::TICK_NS;

use crate::stream::Stream;

/// Ticks between two faults, on average.
const EVERY: u64 = 12_000;

/// A fault.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// One emergency channel, both, or the protective stop is open: these bits.
    Open(u32),
    Drive,
    /// Time jumps.
    Clock,
    /// The skill brain is silent.
    Brain,
    /// The scanner says that something is somewhere.
    Somewhere,
    /// The scanner is silent; what it said grows older.
    Scanner,
    /// A joint's sensor stands still at this reading.
    Frozen(usize, f64),
    /// It jumps.
    Jump(usize),
    /// It drifts away.
    Drift(usize),
    /// Measured speed over its limit.
    Overspeed(usize),
    /// Measured effort over its limit.
    Overload(usize),
    /// A reading that is no number.
    NoNumber,
    /// The frame is lost.
    NoFrame,
}

/// The fault of the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// With its age and how long it lasts, ticks.
    now: Option<(Fault, u64, u64)>,
}

impl Faults {
    /// One tick.
    pub(crate) fn step(&mut self, frame: &SensorFrame, c: &SafetyConfig, stream: &mut Stream) {
        match &mut self.now {
            Some((_, age, ticks)) => {
                *age += 1;
                if *age >= *ticks {
                    self.now = None;
                }
            }
            None => {
                if stream.one_in(EVERY) {
                    let (fault, ticks) = draw(frame, c, stream);
                    self.now = Some((fault, 0, ticks));
                }
            }
        }
    }

    /// Spoils what the gate gets to see.
    pub(crate) fn spoil(
        &self,
        frame: &mut SensorFrame,
        requests: &mut RequestCounts,
        c: &SafetyConfig,
    ) {
        let Some((fault, age, ticks)) = self.now else {
            return;
        };
        let powered = frame.drive_status & DriveStatus::POWERED != 0;
        match fault {
            Fault::Open(bits) => frame.safety_inputs &= !bits,
            Fault::Drive => frame.drive_status |= DriveStatus::FAULT,
            Fault::Clock => frame.time_ns += 5 * TICK_NS,
            Fault::Brain => {
                requests.heartbeat_tick = requests.heartbeat_tick.saturating_sub(age).max(1);
            }
            Fault::NoNumber => frame.effort_nm[0] = f64::NAN,
            Fault::Scanner | Fault::Somewhere | Fault::NoFrame => {}
            // A robot without power starts from where it is measured: that is where it is.
            _ if !powered => {}
            Fault::Frozen(joint, at) => frame.position_rad[joint] = at,
            Fault::Jump(joint) => frame.position_rad[joint] += 0.1,
            Fault::Drift(joint) => {
                let share = (2 * age.min(ticks - age)) as f64 / ticks as f64;
                frame.position_rad[joint] += 1.5 * share * c.following_error_max_rad[joint];
            }
            Fault::Overspeed(joint) => {
                frame.velocity_rad_s[joint] = 1.3 * c.velocity_max_rad_s[joint];
            }
            Fault::Overload(joint) => frame.effort_nm[joint] = 1e4,
        }
    }

    /// True if the scanner lost somebody.
    pub(crate) fn loses_somebody(&self) -> bool {
        matches!(self.now, Some((Fault::Somewhere, ..)))
    }

    /// True if the scanner says nothing.
    pub(crate) fn silences_scanner(&self) -> bool {
        matches!(self.now, Some((Fault::Scanner, ..)))
    }

    /// True if no frame comes.
    pub(crate) fn hides_frame(&self) -> bool {
        matches!(self.now, Some((Fault::NoFrame, ..)))
    }
}

/// A fault, and how long it lasts, ticks.
fn draw(frame: &SensorFrame, c: &SafetyConfig, stream: &mut Stream) -> (Fault, u64) {
    let joint = stream.below(JOINTS as u64) as usize;
    let silent = c.separation.map_or(1, |separation| separation.silent_ticks);
    match stream.below(13) {
        12 => (Fault::Somewhere, 20 + stream.below(400)),
        0 => {
            let (a, b) = (
                SafetyInputs::EMERGENCY_A_CLOSED,
                SafetyInputs::EMERGENCY_B_CLOSED,
            );
            let bits = [
                a,
                b,
                a | b,
                SafetyInputs::PROTECTIVE_CLOSED,
                SafetyInputs::PROTECTIVE_CLOSED,
            ];
            (Fault::Open(bits[stream.below(5) as usize]), 5)
        }
        1 => (Fault::Drive, 3),
        2 => (Fault::Clock, 1),
        3 => (Fault::Brain, c.heartbeat_ticks + 50),
        4 => (Fault::Scanner, silent + 20),
        5 => (Fault::Frozen(joint, frame.position_rad[joint]), 80),
        6 => (Fault::Jump(joint), 1),
        7 => (Fault::Drift(joint), 100 + stream.below(300)),
        8 => (Fault::Overspeed(joint), 8),
        9 => (Fault::Overload(joint), 100),
        10 => (Fault::NoNumber, 1),
        _ => (Fault::NoFrame, 1 + stream.below(3)),
    }
}
