//! The drives' own logic: power, brakes, and the watchdog that stops the robot when commands cease.

use sinew_messages::{DriveStatus, Setpoint, StopCategory};

use crate::physics::{Drive, Measured};

/// Ticks without a command after which the drives brake by themselves.
pub(crate) const WATCHDOG_TICKS: u64 = 10;
/// Speed below which a robot that is to lose its power counts as standing, rad/s.
const STANDING_RAD_S: f64 = 0.02;
/// Longest wait for it, ticks; then the power goes anyway.
const STAND_STILL_TICKS_MAX: u64 = 1_000;

/// State of the drives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drives {
    powered: bool,
    watchdog_tripped: bool,
    fault: bool,
    setpoint: Option<Setpoint>,
    /// Tick of the last command, or of powering on.
    fed_tick: u64,
    /// Power goes at standstill, or at this tick.
    power_ends_tick: Option<u64>,
}

impl Drives {
    /// Unpowered, brakes closed.
    pub(crate) fn off() -> Self {
        Self {
            powered: false,
            watchdog_tripped: false,
            fault: false,
            setpoint: None,
            fed_tick: 0,
            power_ends_tick: None,
        }
    }

    /// Says which tick it is; nothing was missed before.
    pub(crate) fn restart(&mut self, tick: u64) {
        self.fed_tick = tick;
    }

    /// Looks after watchdog and power before the step that leads to tick `now`.
    pub(crate) fn watch(&mut self, now: u64, measured: &Measured) {
        if !measured.is_finite() {
            self.fault = true;
        }
        // Off by one on purpose: a command written at tick t belongs to the step from t to t + 1.
        if self.powered && now.saturating_sub(self.fed_tick) > WATCHDOG_TICKS {
            self.watchdog_tripped = true;
        }
        if let Some(end) = self.power_ends_tick {
            let is_standing = measured
                .velocity_rad_s
                .iter()
                .all(|v| v.abs() < STANDING_RAD_S);
            if is_standing || now >= end {
                self.power_off();
            }
        }
    }

    /// What the motors do now.
    pub(crate) fn output(&self) -> Drive {
        match self.setpoint {
            Some(setpoint) if self.powered && !self.watchdog_tripped && !self.fault => {
                Drive::Follow(setpoint)
            }
            _ => Drive::Brake,
        }
    }

    /// Takes a command at tick `now`.
    pub(crate) fn feed(&mut self, now: u64, setpoint: &Setpoint) -> Result<(), &'static str> {
        if !setpoint.is_finite() {
            return Err("a value of the command is not finite");
        }
        if self.fault {
            return Err("the drives report a fault");
        }
        if !self.powered {
            return Err("the drives are not powered");
        }
        if self.watchdog_tripped {
            return Err("the drives' watchdog has tripped; power on again");
        }
        self.setpoint = Some(*setpoint);
        self.fed_tick = now;
        Ok(())
    }

    /// Cuts power as the category says.
    pub(crate) fn stop(&mut self, now: u64, category: StopCategory) {
        match category {
            StopCategory::PowerOff => self.power_off(),
            StopCategory::ControlledThenOff => {
                self.power_ends_tick
                    .get_or_insert(now.saturating_add(STAND_STILL_TICKS_MAX));
            }
            StopCategory::ControlledHold => {}
        }
    }

    fn power_off(&mut self) {
        self.powered = false;
        self.setpoint = None;
        self.power_ends_tick = None;
    }

    /// Powers on: the brakes stay closed until the first command.
    pub(crate) fn power_on(&mut self, now: u64) -> Result<(), &'static str> {
        if self.fault {
            return Err("the drives report a fault");
        }
        if !self.powered || self.watchdog_tripped {
            self.setpoint = None;
        }
        self.powered = true;
        self.watchdog_tripped = false;
        self.power_ends_tick = None;
        self.fed_tick = now;
        Ok(())
    }

    /// [`DriveStatus`] bits.
    pub(crate) fn status(&self) -> u32 {
        [
            (self.powered, DriveStatus::POWERED),
            (self.watchdog_tripped, DriveStatus::WATCHDOG_TRIPPED),
            (self.fault, DriveStatus::FAULT),
        ]
        .into_iter()
        .filter_map(|(set, bit)| set.then_some(bit))
        .sum()
    }

    /// True if a drive has failed.
    pub(crate) fn has_fault(&self) -> bool {
        self.fault
    }
}
