//! What can be typed to operate a robot by hand.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use sinew_runtime::robot::CELL_DEFAULT;

use super::JsonArgument;

/// The cell that a robot command is about, and its configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct WhichCell {
    /// File that the cell is kept in between two commands.
    #[arg(long, value_name = "FILE", default_value = CELL_DEFAULT)]
    pub(crate) cell: PathBuf,
    /// Robot description (TOML) instead of the built-in arm.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) robot_config: Option<PathBuf>,
    /// Safety limits (TOML) instead of those that are active by the log beside the cell.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) safety_config: Option<PathBuf>,
}

/// What a robot command is about, and where it reports.
#[derive(Clone, Debug, Args)]
pub(crate) struct CellArguments {
    #[command(flatten)]
    pub(crate) which: WhichCell,
    #[command(flatten)]
    pub(crate) json: JsonArgument,
}

/// The same for what may make the robot stand: nothing about its report keeps that from being done first.
#[derive(Clone, Debug, Args)]
pub(crate) struct StandArguments {
    #[command(flatten)]
    pub(crate) which: WhichCell,
    /// Report as JSON to FILE, or to standard output (and nothing else there) without a FILE or with `-`. Looked at when the
    /// robot has been stopped.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<String>,
    /// Who does it, for the audit log; "unnamed" if not said.
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
}

impl StandArguments {
    /// Where the report goes, looked at now.
    ///
    /// # Errors
    /// In words: it can't be written, or it could wait for ever.
    pub(crate) fn report(&self) -> Result<JsonArgument, String> {
        let Some(text) = &self.json else {
            return Ok(JsonArgument::default());
        };
        super::parse_report(text)
            .map(|file| JsonArgument { json: Some(file) })
            .map_err(|error| format!("--json {text}: {error}"))
    }
}

/// A mode of the safety gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArgument {
    /// Every limit as configured.
    Normal,
    /// Slower, for whoever works close by.
    Reduced,
    /// Slow; a robot outside a limit may move so that it gets better.
    Recovery,
    /// Nothing moves.
    Hold,
}

/// A wired contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WiredArgument {
    /// The emergency stop, both channels.
    Emergency,
    /// Channel A alone, as when a wire breaks.
    EmergencyA,
    /// Channel B alone.
    EmergencyB,
    /// The protective stop.
    Protective,
}

/// An axis of the base frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AxisArgument {
    /// Forward.
    X,
    /// To the left.
    Y,
    /// Up.
    Z,
}

/// Examples of a robot command, and what its exit codes mean.
macro_rules! robot_help {
    ($examples:literal) => {
        concat!(
            $examples,
            "\n\nExit codes: 0 goal reached; 1 it ran and the goal was not reached (a jog moved less than asked, an interrupt, \
             evidence that is not in the audit log yet, an order that is given and not in the cell's file yet); 2 wrong usage \
             or input; 3 the host could not be reached; 4 refused (a latched stop, the gate, the audit log, another command at \
             work on the cell, a stop that came after this was asked for). What stops nothing says so in capitals."
        )
    };
}

#[derive(Debug, Subcommand)]
pub(crate) enum RobotCommand {
    /// Where the robot stands, what it violates there, whether it may move, and what to do next.
    #[command(after_help = robot_help!("Examples:\n  \
        sinew robot status\n  \
        sinew robot status --start 2.4,0.6,0,1.8,0,1.0,0    # begin a cell anew, at this posture"))]
    Status {
        /// Begin the cell anew with the robot at these joint positions, rad, base to tool.
        #[arg(long, value_name = "Q1,...,Q7", value_parser = parse_posture, allow_hyphen_values = true)]
        start: Option<[f64; 7]>,
        #[command(flatten)]
        cell: CellArguments,
    },
    /// What the gate lets a motion do at all.
    #[command(after_help = robot_help!("Example:\n  sinew robot mode recovery"))]
    Mode {
        /// The mode.
        #[arg(value_enum)]
        mode: ModeArgument,
        #[command(flatten)]
        cell: StandArguments,
    },
    /// Latch a stop, or press or release a wired contact. Reaches a jog that is under way.
    #[command(after_help = robot_help!("Examples:\n  \
        sinew robot stop\n  \
        sinew robot stop --category 0 --actor ann\n  \
        sinew robot stop --wired emergency-a                # one channel alone\n  \
        sinew robot stop --wired emergency-a --release      # then `sinew robot reset`"))]
    Stop {
        /// Category of IEC 60204-1: 2 stops and holds, 1 stops and takes power off, 0 takes power off at once.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=2), conflicts_with = "wired")]
        category: u8,
        /// Press this contact instead.
        #[arg(long, value_enum)]
        wired: Option<WiredArgument>,
        /// Release it again; the stop stays latched until a reset.
        #[arg(long, requires = "wired")]
        release: bool,
        #[command(flatten)]
        cell: StandArguments,
    },
    /// Clear a latched stop. Causes no motion.
    #[command(after_help = robot_help!("Example:\n  sinew robot reset --actor ann"))]
    Reset {
        /// Who resets: it is kept with the cell.
        #[arg(long, value_name = "NAME")]
        actor: String,
        /// Go on with an audit log that is not the cell's own; that, too, is written down.
        #[arg(long)]
        accept_log: bool,
        #[command(flatten)]
        cell: CellArguments,
    },
    /// Move for as long as it is held, at most at reduced speed.
    #[command(group(ArgGroup::new("along").required(true).args(["joint", "axis"])), after_help = robot_help!("Examples:\n  \
        sinew robot jog --joint 4 --speed -0.1 --hold 0.5\n  \
        sinew robot jog --axis z --speed 0.05 --hold 0.5"))]
    Jog {
        /// Joint, from 1 at the base.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=7), allow_negative_numbers = true)]
        joint: Option<u8>,
        /// Axis of the base frame that the tool moves along in a straight line.
        #[arg(long, value_enum)]
        axis: Option<AxisArgument>,
        /// rad/s of a joint, m/s of the tool; negative to go back.
        #[arg(long, allow_hyphen_values = true)]
        speed: f64,
        /// How long it is held, s.
        #[arg(
            long,
            value_name = "SECONDS",
            default_value_t = 0.5,
            allow_hyphen_values = true
        )]
        hold: f64,
        /// Let go after this time already, s.
        #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
        release_after: Option<f64>,
        #[command(flatten)]
        cell: CellArguments,
    },
}

fn parse_posture(text: &str) -> Result<[f64; 7], String> {
    let values: Vec<f64> = text
        .split(',')
        .map(|value| {
            let value = value.trim();
            (value.parse::<f64>().ok())
                .filter(|value| value.is_finite())
                .ok_or_else(|| format!("`{value}` is not a number of radians"))
        })
        .collect::<Result<_, _>>()?;
    let count = values.len();
    values
        .try_into()
        .map_err(|_| format!("{count} joint positions given, the arm has 7: Q1,Q2,Q3,Q4,Q5,Q6,Q7"))
}
