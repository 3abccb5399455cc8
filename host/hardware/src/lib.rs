//! Traits for a robot and for a camera, and the conformance suite that a driver must pass.
//!
//! A driver cannot be handed anything but a [`SafeCommand`], and only the safety gate makes those.

pub mod conformance;
pub mod plant;

use sinew_messages::{JointVector, ObstacleFrame, SensorFrame, StopCategory};
use sinew_safety::SafeCommand;

/// Why the hardware did not do what was asked. Every one of them ends in a latched stop.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HardwareFault {
    /// No state could be read this tick.
    #[error("no state from the robot for {missed_ticks} ticks")]
    NoState {
        /// Ticks without an answer, this one included.
        missed_ticks: u64,
    },
    /// The driver refused or lost the command.
    #[error("the drive did not take the command: {reason}")]
    NotTaken {
        /// The driver's own words.
        reason: &'static str,
    },
    /// The drives report a fault.
    #[error("drive fault {code}")]
    Drive {
        /// The vendor's code.
        code: u32,
    },
}

/// A robot: an arm with a gripper, and its wired safety inputs.
///
/// All methods are called from the control thread, at most once a tick each, and must not allocate,
/// block or panic.
pub trait HardwareComponent: Send {
    /// Reads the state at the start of tick `tick`.
    ///
    /// # Errors
    /// [`HardwareFault`] if there is no fresh state; `out` is then left as it was.
    fn read(&mut self, tick: u64, out: &mut SensorFrame) -> Result<(), HardwareFault>;

    /// Reads what safety-rated sensors say about persons and other obstacles at tick `tick`, after [`Self::read`].
    /// A robot without such sensors leaves `out` as it is.
    fn read_obstacles(&mut self, tick: u64, out: &mut ObstacleFrame) {
        let _ = (tick, out);
    }

    /// Takes the command of this tick.
    ///
    /// # Errors
    /// [`HardwareFault`] if the drives did not take it.
    fn write(&mut self, command: SafeCommand) -> Result<(), HardwareFault>;

    /// Cuts power according to the category (`PowerOff` at once). `ControlledHold` is a no-op for
    /// drives, because the controlled stop itself arrives through [`Self::write`]. Never fails: drives
    /// that cannot be reached stop by their own watchdog.
    fn stop(&mut self, category: StopCategory);

    /// Powers the drives after a reset. Causes no motion.
    ///
    /// # Errors
    /// [`HardwareFault`] if the drives stay off.
    fn power_on(&mut self) -> Result<(), HardwareFault>;

    /// Ticks without a command after which the drives stop the robot by themselves.
    fn watchdog_ticks(&self) -> u64;

    /// Joint position limits of the mechanics themselves, rad: lower, upper.
    fn mechanical_limits(&self) -> (JointVector, JointVector);
}

/// Pinhole intrinsics, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intrinsics {
    /// Image width.
    pub width: u32,
    /// Image height.
    pub height: u32,
    /// Focal length along x.
    pub fx: f64,
    /// Focal length along y.
    pub fy: f64,
    /// Principal point.
    pub cx: f64,
    /// Principal point.
    pub cy: f64,
}

/// A colour and depth image with everything needed to use it.
#[derive(Clone, Debug, PartialEq)]
pub struct RgbdFrame {
    /// Name of the camera.
    pub camera: String,
    /// Tick of the exposure.
    pub tick: u64,
    /// Counts up by one for each exposure of this camera; a gap is a dropped frame.
    pub sequence: u64,
    /// Intrinsics of both images.
    pub intrinsics: Intrinsics,
    /// Camera in the robot's base frame at the exposure: z forward, x right, y down.
    pub pose: sinew_messages::Pose,
    /// Row-major RGB, 3 bytes a pixel.
    pub rgb: Vec<u8>,
    /// Row-major depth along the camera's z axis, metres; 0 where there is no return.
    pub depth_m: Vec<f32>,
}

/// A picture taken but not yet developed: cheap to take, and developed on whatever thread consumes it.
pub trait Exposure: Send {
    /// Name of the camera.
    fn camera(&self) -> &str;
    /// Tick of the exposure.
    fn tick(&self) -> u64;
    /// Counts up by one for each exposure of this camera.
    fn sequence(&self) -> u64;
    /// Reads out (a real camera) or renders (a simulated one) the images.
    fn develop(self: Box<Self>) -> RgbdFrame;
}

/// A camera that exposes at its own rate.
pub trait Camera: Send {
    /// Its name, unique in the cell.
    fn name(&self) -> &str;
    /// The newest exposure, if it was taken after tick `after`. Never blocks.
    fn newest(&mut self, after: u64) -> Option<Box<dyn Exposure>>;
}
