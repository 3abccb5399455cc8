//! Where wall time goes, for the report. Nothing that decides reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sinew_hardware::{HardwareComponent, HardwareFault};
use sinew_messages::{JointVector, ObstacleFrame, SensorFrame, StopCategory};
use sinew_safety::SafeCommand;

/// Time spent in one stage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stopwatch(Duration);

impl Stopwatch {
    /// Runs `work` and adds the time that it took.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.0 += start.elapsed();
        result
    }

    pub(crate) fn total(self) -> Duration {
        self.0
    }
}

/// Time spent inside the hardware, read by whoever reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct HardwareTime(Arc<AtomicU64>);

impl HardwareTime {
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// A robot whose reads are timed: a simulated one advances its physics in them.
pub(crate) struct Timed {
    hardware: Box<dyn HardwareComponent>,
    time: HardwareTime,
}

impl Timed {
    pub(crate) fn new(hardware: Box<dyn HardwareComponent>, time: HardwareTime) -> Self {
        Self { hardware, time }
    }
}

impl HardwareComponent for Timed {
    fn read(&mut self, tick: u64, out: &mut SensorFrame) -> Result<(), HardwareFault> {
        let start = Instant::now();
        let result = self.hardware.read(tick, out);
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.time.0.fetch_add(nanoseconds, Ordering::Relaxed);
        result
    }

    fn read_obstacles(&mut self, tick: u64, out: &mut ObstacleFrame) {
        self.hardware.read_obstacles(tick, out);
    }

    fn write(&mut self, command: SafeCommand) -> Result<(), HardwareFault> {
        self.hardware.write(command)
    }

    fn stop(&mut self, category: StopCategory) {
        self.hardware.stop(category);
    }

    fn power_on(&mut self) -> Result<(), HardwareFault> {
        self.hardware.power_on()
    }

    fn watchdog_ticks(&self) -> u64 {
        self.hardware.watchdog_ticks()
    }

    fn mechanical_limits(&self) -> (JointVector, JointVector) {
        self.hardware.mechanical_limits()
    }
}
