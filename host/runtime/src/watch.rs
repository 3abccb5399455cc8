//! What a job says while it runs, for whoever watches.

use sinew_recorder::report::CycleReport;

/// Told about everything worth showing, in order.
pub type Watcher<'a> = &'a mut dyn FnMut(&Progress<'_>);

/// One thing worth showing.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Everything was loaded; what will run, with what.
    Started {
        /// Lines for people.
        lines: &'a [String],
    },
    /// A cycle begins.
    CycleStarted {
        /// Which of the job, from 1.
        number: u64,
        /// Cycles of the job.
        of: u64,
        /// Number of the cycle: with the seed it determines scene and faults.
        cycle: u64,
        /// What is to be done.
        order: String,
    },
    /// The state of the moment, several times a simulated second.
    Now(Now),
    /// Something happened that should stay on the screen.
    Event {
        /// Simulated time since the cycle's start.
        sim_seconds: f64,
        /// One line.
        message: &'a str,
    },
    /// A cycle has ended and was graded.
    CycleEnded {
        /// How.
        report: &'a CycleReport,
    },
}

/// The state of the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Now {
    /// Simulated time since the cycle's start.
    pub sim_seconds: f64,
    /// What is being done, and to what.
    pub step: String,
    /// Speed of the tool.
    pub tool_speed_m_s: f64,
    /// Latched stops of this cycle.
    pub stops: u64,
    /// Recoveries of this cycle.
    pub recoveries: u64,
    /// Simulated time over wall time of this cycle.
    pub realtime_factor: f64,
}
