//! What can be typed.

mod robot;
mod safety;
mod skill;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use robot::{
    AxisArgument, CellArguments, ModeArgument, RobotCommand, StandArguments, WhichCell,
    WiredArgument,
};
pub(crate) use safety::{AuditCommand, SafetyCommand};
pub(crate) use skill::{
    ChangeArguments, LookArguments, RehearsalArguments, SkillCommand, StoreArguments,
    SwapAtArgument, Which,
};

use crate::report;

/// `sinew` and its commands.
#[derive(Debug, Parser)]
#[command(
    name = "sinew",
    version,
    about = "A robot host: perception, learned policies, sandboxed skills, and one safety gate in front of the motors.",
    long_about = "A robot host: perception, learned policies, sandboxed skills, and one safety gate in front of the motors.\n\n\
        Without a command it runs the kitting job on the simulated cell, in virtual time.\n\n\
        Sinew is not a certified safety function and claims no PL or SIL: a certified emergency stop and drive \
        limits must exist on their own.",
    after_help = "Examples:\n  \
        sinew                                   ten cycles of the kitting job, and a report\n  \
        sinew run --profile calm --cycles 3     three undisturbed cycles\n  \
        sinew doctor                            what this machine has, and what to do about it\n\n\
        Exit codes: 0 goal reached, 1 not reached, 2 wrong usage or input, 4 refused.",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a skill on the simulated cell (what `sinew` alone does).
    #[command(after_help = "Examples:\n  \
        sinew run --seed 7 --cycles 20 --profile mild\n  \
        sinew run --no-recovery --json report.json\n  \
        sinew run --cycles 1 --skill sinew/go-home --params '{\"pose\":\"look-tray\"}'\n  \
        sinew run --cycles 1 --params '{\"order\":[{\"class\":\"block\",\"slot\":\"A1\"}]}'\n  \
        sinew run --robot-config my-arm.toml --safety-config my-cell.toml --speed real")]
    Run(RunArguments),
    /// What this machine has, and what to do about each.
    #[command(after_help = "Examples:\n  sinew doctor\n  sinew doctor --json")]
    Doctor(DoctorArguments),
    /// Fetch what is not part of the binary.
    #[command(after_help = "Example:\n  sinew setup onnxruntime")]
    Setup {
        #[command(subcommand)]
        what: SetupCommand,
    },
    /// The detector against the cell.
    #[command(after_help = "Example:\n  sinew perception eval --seeds 9000..9049")]
    Perception {
        #[command(subcommand)]
        what: PerceptionCommand,
    },
    /// Learned policies against the cell.
    #[command(after_help = "Example:\n  sinew policy eval grasp --seeds 9000..9019")]
    Policy {
        #[command(subcommand)]
        what: PolicyCommand,
    },
    /// Demonstrations to train policies and the detector from.
    #[command(
        after_help = "Example:\n  sinew demos generate --policy grasp --seeds 1..300 --out demos.bin"
    )]
    Demos {
        #[command(subcommand)]
        what: DemosCommand,
    },
    /// The robot of a parked simulated cell, by hand: status, mode, stops, resets, hold-to-run.
    #[command(after_help = "The way out of a violation:\n  \
        sinew robot status --start 2.4,0.6,0,1.8,0,1.0,0    # a robot that stands where it may not\n  \
        sinew robot mode recovery\n  \
        sinew robot reset --actor ann\n  \
        sinew robot jog --joint 1 --speed -0.1 --hold 2     # and on, until nothing is violated\n  \
        sinew robot mode normal")]
    Robot {
        #[command(subcommand)]
        what: RobotCommand,
    },
    /// The safety configuration: shown, checked, compared, changed.
    #[command(after_help = "Examples:\n  \
        sinew safety show\n  \
        sinew safety check my-cell.toml\n  \
        sinew safety diff old.toml new.toml\n  \
        sinew safety propose my-cell.toml --actor anna\n  \
        sinew safety approve HASH --actor ben\n\n\
        Every key of a safety file, with unit, range and what reacts: host/SAFETY_FILE.md\n\n\
        Exit codes: 0 done, 1 the machine failed (no room, ...), 2 wrong usage or a file that can't be used, 4 refused.")]
    Safety {
        #[command(subcommand)]
        what: SafetyCommand,
    },
    /// The log of every stop, reset and change of the safety configuration.
    #[command(after_help = "Examples:\n  \
        sinew audit verify\n  \
        sinew audit export --since 120\n  \
        sinew audit verify elsewhere/audit.jsonl --json\n\n\
        Exit codes: 0 every record follows the one before, 1 one does not, 2 wrong usage or no such file. Nothing is refused \
        here (4): a log that does not verify can still be looked at.")]
    Audit {
        #[command(subcommand)]
        what: AuditCommand,
    },
    /// Do what a plugin did again, call by call, on any machine: with the same component, or to see what a new version does
    /// otherwise. Nothing moves: every call gets the answer that was recorded.
    #[command(after_help = "Examples:\n  \
        sinew run --cycles 1 --keep-runs\n  \
        sinew replay out/runs/seed1-cycle0-task1-01-sinew_kit-parts.run\n  \
        sinew replay out/incidents/seed1-cycle3-000-dropped-t51200.mcap --skill new-version.wasm\n\n\
        Exit codes: 0 identical (also up to where the host ended it), 1 it differs, and the first call that does is shown, or \
        not all of it was kept, 2 wrong usage or input. Nothing is refused (4): nothing moves, and no grant is needed.")]
    Replay(ReplayArguments),
    /// What plugins may touch: asked for, granted, and what should be narrower.
    #[command(after_help = "Examples:\n  \
        sinew grants show\n  \
        sinew grants show lab/pick --plugin pick.wasm --grants grants.toml\n  \
        sinew grants audit --grants grants.toml --store out/skills\n\n\
        The grants file, key by key: host/GRANTS.md\n\n\
        Exit codes: 0 shown, or nothing dangerous was found; 1 something was; 2 wrong usage or a file that can't be used. \
        Nothing is \
        refused (4) but a store that others could change, or are changing.")]
    Grants {
        #[command(subcommand)]
        what: GrantsCommand,
    },
    /// A plugin's life on a robot: signed, checked, tried, installed, made active, rolled back.
    #[command(after_help = "Examples:\n  \
        sinew skill keygen acme.key --publisher acme      # prints the line for trust.toml\n  \
        sinew skill check pick.wasm\n  \
        sinew skill sign pick.wasm --key acme.key\n  \
        sinew skill install pick.wasm --actor ann\n  \
        sinew skill activate pick --actor ann\n  \
        sinew run --store out/skills --skill acme/pick\n\n\
        From an empty folder to a rollback, step by step: host/SKILLS.md\n\n\
        Exit codes: 0 done, 1 it ran and did not succeed, 2 wrong usage or input, 4 refused.")]
    Skill {
        #[command(subcommand)]
        what: SkillCommand,
    },
    /// Looks into an artifact that comes on standard input: the child process of `skill`.
    #[command(name = crate::skill::EXAMINE, hide = true)]
    Examine {
        /// What to call it.
        origin: String,
    },
    /// Answers calls on a Unix socket: the child process of `bench plugin`.
    #[command(name = crate::bench::SIDECAR, hide = true)]
    BenchSidecar {
        /// Where it makes the socket.
        socket: PathBuf,
    },
    /// Long runs that look for something that breaks: they end when the asked work is done, and say what was found.
    #[command(
        after_help = "Example:\n  sinew soak safety --ticks 10000000 --state soak.json\n\n\
        Exit codes: 0 all of it ran and nothing was found, 1 something was found or it was interrupted, 2 wrong usage or \
        input. Nothing is refused (4): no robot moves."
    )]
    Soak {
        #[command(subcommand)]
        what: SoakCommand,
    },
    /// Benchmarks: the time of each operation (median, 99th and 99.9th percentile), what it allocates, and the ratio to others.
    /// On this machine and in this build: use a release build.
    #[command(
        after_help = "Examples:\n  sinew bench tick\n  sinew bench safety\n  sinew bench plugin\n  sinew bench inference --json bench.json\n\n\
        The whole host against real time is part of the report of `sinew run`.\n\n\
        Exit codes: 0 measured, 1 it could not be measured to the end, 2 wrong usage or input. Nothing is refused (4): no \
        robot moves."
    )]
    Bench(BenchArguments),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  sinew completions bash > ~/.local/share/bash-completion/completions/sinew"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How fast the clock runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SpeedArgument {
    /// Lock step, as fast as the machine allows.
    Max,
    /// The real clock.
    Real,
    /// Lock step, held back to this multiple of real time.
    Factor(f64),
}

fn parse_speed(text: &str) -> Result<SpeedArgument, String> {
    match text {
        "max" => Ok(SpeedArgument::Max),
        "real" => Ok(SpeedArgument::Real),
        _ => text
            .strip_suffix('x')
            .unwrap_or(text)
            .parse::<f64>()
            .ok()
            .filter(|factor| (0.01..=1_000.0).contains(factor))
            .map(SpeedArgument::Factor)
            .ok_or_else(|| "expected `max`, `real`, or a factor such as `2` or `0.5x`".to_owned()),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| "expected a share between 0 and 1, such as 0.9".to_owned())
}

/// Which inference backend to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum InferenceArgument {
    /// ONNX Runtime where it is found, the embedded backend otherwise.
    #[default]
    Auto,
    /// ONNX Runtime, or fail.
    Onnxruntime,
    /// The backend that is part of the binary.
    Embedded,
}

/// Where a report goes as JSON.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct JsonArgument {
    /// Report as JSON to FILE, or to standard output (and nothing else there) without a FILE or with `-`. A FILE that is there
    /// is replaced only if it is an earlier report.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", value_parser = parse_report)]
    pub(crate) json: Option<PathBuf>,
}

/// A report is written after minutes of work: that it can be is found out before.
fn parse_report(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    use clap::CommandFactory as _;
    if Cli::command().find_subcommand(text).is_some() {
        return Err(format!(
            "`{text}` is a command, which comes first: `sinew {text} --json`. For a file of that name, `./{text}`"
        ));
    }
    if text != "-" {
        report::check(&path)?;
    }
    Ok(path)
}

/// Files that replace built-in configuration.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConfigArguments {
    /// Robot description (TOML) instead of the built-in arm.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) robot_config: Option<PathBuf>,
    /// Safety limits (TOML) instead of the built-in ones.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) safety_config: Option<PathBuf>,
    /// Grants (TOML), who may touch what: what it says of a plugin replaces the built-in grant of that plugin
    /// (`interfaces = []` takes everything away); the built-in grants of the others stay.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) grants: Option<PathBuf>,
    /// Host settings (TOML) instead of the built-in ones: rates, latencies, budgets.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) host_config: Option<PathBuf>,
    /// Folder with models (`detector/`, `grasp/`) instead of the built-in ones.
    #[arg(long, value_name = "DIR", help_heading = "Configuration")]
    pub(crate) models: Option<PathBuf>,
    /// Inference backend.
    #[arg(long, value_enum, default_value_t = InferenceArgument::Auto, help_heading = "Configuration")]
    pub(crate) inference: InferenceArgument,
}

/// `sinew run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArguments {
    /// Seed: with the number of a cycle it draws scene, order and faults.
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Cycles to run.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000_000), allow_negative_numbers = true)]
    pub(crate) cycles: u64,
    /// Number of the first cycle.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=u64::MAX / 2), allow_negative_numbers = true)]
    pub(crate) first_cycle: u64,
    /// Fault profile: `calm` or `mild`.
    #[arg(long, default_value = "mild")]
    pub(crate) profile: String,
    /// What happens around the robot: `person`, `person-stays`, `person-passes`, `scanner-silent`, `scanner-unsure`,
    /// `scanner-old`, `emergency-stop`, `emergency-channel`, `protective-stop`, or one of --scenario-file.
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Option<String>,
    /// Scenarios (TOML) in place of the built-in ones.
    #[arg(long, value_name = "FILE", requires = "scenario")]
    pub(crate) scenario_file: Option<PathBuf>,
    /// Somebody walks up to the robot and leaves again: `--scenario person`.
    #[arg(long, conflicts_with = "scenario")]
    pub(crate) person: bool,
    /// Share of cycles that must succeed.
    #[arg(long, value_name = "RATE", default_value = "0.9", value_parser = parse_rate, allow_negative_numbers = true)]
    pub(crate) goal: f64,
    /// Don't ask recovery plugins for help.
    #[arg(long)]
    pub(crate) no_recovery: bool,
    /// `max`, `real`, or a multiple of real time.
    #[arg(long, value_name = "SPEED", default_value = "max", value_parser = parse_speed, allow_negative_numbers = true)]
    pub(crate) speed: SpeedArgument,
    /// Skill to run: `sinew/kit-parts`, `sinew/go-home`, or one that `--plugin` loads.
    #[arg(long, value_name = "NAME", default_value = "sinew/kit-parts")]
    pub(crate) skill: String,
    /// Component file (.wasm) to load beside the built-in plugins; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) plugin: Vec<PathBuf>,
    /// Store whose active plugins are loaded, too: each stands in for a built-in one of its name. Their runs are counted, and
    /// one that misbehaves on probation is left for the version before.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Trust file (TOML); `trust.toml` in the store's folder if it is not said.
    #[arg(long, value_name = "FILE", requires = "store")]
    pub(crate) trust: Option<PathBuf>,
    /// Parameters of the skill as JSON, or `@FILE`. `{"order":[{"class":"block","color":"red","slot":"A1"}]}` for
    /// kit-parts (without it, the cell draws each cycle's order), `{"pose":"look-tray","speed":0.5}` for go-home.
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
    /// Folder for incidents, pictures and the audit log, which is kept from run to run.
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub(crate) out: PathBuf,
    /// Keep every plugin run in `runs` there, for `sinew replay`; those before an incident are in the incident anyway. A
    /// run takes the place of the one of an earlier job with the same seed, cycle and task.
    #[arg(long)]
    pub(crate) keep_runs: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgument,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

/// `sinew replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// A run that `sinew run --keep-runs` kept, or an incident: then every run in it.
    #[arg(value_name = "RUN")]
    pub(crate) file: PathBuf,
    /// Only the run of this name in the incident.
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// Do it with this component (.wasm), another version of the plugin, in place of the one that was recorded.
    #[arg(long, value_name = "FILE")]
    pub(crate) skill: Option<PathBuf>,
    /// Component file (.wasm) among which the one that was recorded is looked for, beside the built-in plugins; may be given
    /// more than once.
    #[arg(long, value_name = "FILE", conflicts_with = "skill")]
    pub(crate) plugin: Vec<PathBuf>,
    /// Store in which it is looked for, too.
    #[arg(long, value_name = "DIR", conflicts_with = "skill")]
    pub(crate) store: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArgument,
}

/// `sinew grants`.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// What every plugin asks for, whether it has it, and how it is narrowed.
    Show {
        /// Only this plugin.
        #[arg(value_name = "PUBLISHER/NAME")]
        name: Option<String>,
        #[command(flatten)]
        of: GrantsOf,
        #[command(flatten)]
        json: JsonArgument,
    },
    /// Grant a plugin all that it asks for and has not, in the operator's own file. Comments and order there stay.
    #[command(after_help = "Examples:\n  \
        sinew grants add lab/pick --plugin pick.wasm --grants grants.toml --speed 0.5\n  \
        sinew grants add lab/notes --plugin notes.wasm --grants grants.toml --directory notes=/var/lib/notes\n\n\
        Exit codes: 0 it has all that it needs now, 2 wrong usage or a file that can't be used, 4 refused: \
        no room, or a disk that is read only.")]
    Add {
        /// The plugin.
        #[arg(value_name = "PUBLISHER/NAME")]
        name: String,
        /// The operator's grants file (TOML); it is made if it is not there.
        #[arg(long, value_name = "FILE")]
        grants: PathBuf,
        #[command(flatten)]
        plugins: GrantedPlugins,
        /// Where a directory is that it asks for; may be given more than once.
        #[arg(long, value_name = "NAME=PATH", value_parser = parse_directory)]
        directory: Vec<(String, PathBuf)>,
        /// Also what it says it could do without.
        #[arg(long)]
        optional: bool,
        /// Share of the cell's speed that it may move at.
        #[arg(long)]
        speed: Option<f64>,
        /// Largest gripper force, N.
        #[arg(long)]
        force_n: Option<f64>,
        #[command(flatten)]
        json: JsonArgument,
    },
    /// Agree that a version in the store may have what it asks for and was granted: an update that would be allowed more than
    /// the version before waits for that.
    #[command(
        after_help = "Example:\n  sinew grants approve acme/pick@1.3.0 --actor ann\n\n\
        Exit codes: 0 written down, 2 wrong usage or no such version, 4 refused: its grant is not enough."
    )]
    Approve {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Wildcards, grants of no use, and dangerous ones.
    Audit {
        #[command(flatten)]
        of: GrantsOf,
        #[command(flatten)]
        json: JsonArgument,
    },
}

fn parse_directory(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("expected NAME=PATH, such as notes=/var/lib/notes".to_owned()),
    }
}

/// Which grants, of which plugins.
#[derive(Debug, Args)]
pub(crate) struct GrantsOf {
    /// Grants of the operator (TOML). Whatever plugin it names has what stands there and nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) grants: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) plugins: GrantedPlugins,
}

/// Plugins whose grants are looked at beside the built-in ones.
#[derive(Debug, Args)]
pub(crate) struct GrantedPlugins {
    /// Component file (.wasm) beside the built-in plugins; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) plugin: Vec<PathBuf>,
    /// Store whose plugins are looked at, too: of each name the active version, or the newest if none is active. `add` takes the
    /// newest.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Trust file (TOML) of the store, if it is not `trust.toml` in its folder.
    #[arg(long, value_name = "FILE", requires = "store")]
    pub(crate) trust: Option<PathBuf>,
}

/// `sinew doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) json: JsonArgument,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// The ONNX Runtime library: the PyPI wheel through pip, checked by sha256.
    #[command(after_help = "Example:\n  sinew setup onnxruntime && sinew doctor")]
    Onnxruntime,
}

/// An inclusive range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let wrong = || "expected `A..B` (both included) or a single seed".to_owned();
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (first, last.trim_start_matches('=')),
        None => (text, text),
    };
    let first = first.trim().parse().map_err(|_| wrong())?;
    let last = last.trim().parse().map_err(|_| wrong())?;
    if first > last {
        return Err(format!(
            "{first}..{last} is empty: the first seed comes first"
        ));
    }
    if last - first >= SEEDS_MAX || last > SEED_MAX {
        return Err(format!("at most {SEEDS_MAX} seeds, the largest {SEED_MAX}"));
    }
    Ok(Seeds { first, last })
}

/// Most seeds of one command.
const SEEDS_MAX: u64 = 1_000_000;
/// Largest seed of a range: what counts beyond it does not overflow.
const SEED_MAX: u64 = u64::MAX / 2;

#[derive(Debug, Subcommand)]
pub(crate) enum PerceptionCommand {
    /// Position, orientation and class errors against the simulator's labels.
    #[command(after_help = "Example:\n  sinew perception eval --seeds 9000..9049")]
    Eval {
        /// Scenes to look at, one a seed.
        #[arg(long, value_parser = parse_seeds, default_value = "9000..9049")]
        seeds: Seeds,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Closed-loop success over scenes that training never saw.
    #[command(after_help = "Example:\n  sinew policy eval grasp --seeds 9000..9049")]
    Eval {
        /// Name of the policy.
        name: String,
        /// Scenes to try it in, one a seed.
        #[arg(long, value_parser = parse_seeds, default_value = "9000..9099")]
        seeds: Seeds,
        /// Make it hard, so that some runs fail: judges the confidence signal.
        #[arg(long)]
        hard: bool,
        #[command(flatten)]
        jobs: JobsArgument,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
}

/// Threads.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct JobsArgument {
    /// Threads; one a core by default. The result doesn't depend on it.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: Option<u16>,
}

impl JobsArgument {
    /// At least one.
    pub(crate) fn count(self) -> usize {
        self.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        )
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum DemosCommand {
    /// Write demonstrations of a policy's task, or labelled images for the detector.
    #[command(
        after_help = "Example:\n  sinew demos generate --policy grasp --seeds 1..300 --out demos.bin"
    )]
    Generate {
        /// What to demonstrate: `grasp`, or `detector` for labelled images.
        #[arg(long, default_value = "grasp")]
        policy: String,
        /// One scene a seed; for `detector` as many scenes, all drawn from the first seed.
        #[arg(long, value_parser = parse_seeds, default_value = "1..300")]
        seeds: Seeds,
        /// Where to write them: a file, for `detector` a folder.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Folder of a policy that acts, while the expert only says what it would have done.
        #[arg(long, value_name = "DIR")]
        learner: Option<PathBuf>,
        #[command(flatten)]
        jobs: JobsArgument,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
}
#[derive(Debug, Subcommand)]
pub(crate) enum SoakCommand {
    /// The adversary against the safety gate, judged on the truth of a robot at the edge of what is declared.
    #[command(after_help = "Examples:\n  \
        sinew soak safety --ticks 1000000 --seed 1\n  \
        sinew soak safety --ticks 1000000000 --state soak.json     # Ctrl-C and run it again to go on\n  \
        sinew soak safety --safety-config my-cell.toml             # a gate with other limits\n\n\
        The adversary gives the gate setpoints, measurements, persons and limits that look for a way through; a judge looks at \
        where the robot really is, and counts each promise that was broken. The result is a function of the seed.\n\n\
        Exit codes: 0 all ticks ran without a violation, 1 there was one or it was interrupted, 2 wrong usage or input.")]
    Safety {
        /// Ticks in all, rounded up to shards of 100000.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
        ticks: u64,
        /// Seed of the first shard.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// File to keep finished shards in: what is there already is not run again.
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
        #[command(flatten)]
        jobs: JobsArgument,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
}

/// `sinew bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// What to measure.
    #[arg(value_enum)]
    pub(crate) what: BenchArgument,
    /// With `plugin`: only as many samples as show that it works. They are no figures.
    #[arg(long)]
    pub(crate) quick: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgument,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchArgument {
    /// One control tick with the gate, holding, moving, and with the physics of the cell; a record of the audit log.
    Tick,
    /// The safety gate's filter alone, in processor time: on a kitting cycle among zones and persons, and on the
    /// adversary.
    Safety,
    /// A plugin's calls against bare wasmtime and against a process behind gRPC, its start and its room, the guard of the thread,
    /// what recording costs. About two minutes; says which promised figures are met, and ends with 0 also if some are not.
    Plugin,
    /// Rendering, and the detector on each backend that this machine has.
    Inference,
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    /// What a script needs to know of a command stands where a person looks it up.
    #[test]
    fn help_says_what_exit_codes_mean_and_shows_an_example() {
        use clap::CommandFactory as _;
        fn visit(path: &str, command: &mut clap::Command) {
            let help = command.render_long_help().to_string();
            let help: Vec<&str> = help.split_whitespace().collect();
            let help = help.join(" ");
            for piece in ["Example", "Exit codes: 0", " 2 "] {
                assert!(
                    help.contains(piece),
                    "{path} --help has no {piece:?}: {help}"
                );
            }
            for below in command.get_subcommands_mut() {
                if below.get_name() != "help" {
                    visit(&format!("{path} {}", below.get_name()), below);
                }
            }
        }
        let mut cli = Cli::command();
        for name in ["safety", "audit", "skill", "soak", "bench"] {
            let command = cli.find_subcommand_mut(name).expect("it is a command");
            visit(name, command);
        }
        let mut help = |name| {
            let command = cli.find_subcommand_mut(name).expect("it is a command");
            command.render_long_help().to_string()
        };
        assert!(help("safety").contains("host/SAFETY_FILE.md"));
        assert!(help("bench").contains("percentile"));
    }

    #[test]
    fn run_is_what_no_command_means() {
        let bare = Cli::try_parse_from(["sinew", "--seed", "7"]).expect("options alone will do");
        assert!(bare.command.is_none());
        assert_eq!(bare.run.seed, 7);
        let named = Cli::try_parse_from(["sinew", "run", "--cycles", "3", "--json"]).expect("fine");
        let Some(Command::Run(run)) = named.command else {
            panic!("run was asked for");
        };
        assert_eq!((run.cycles, run.goal), (3, 0.9));
        assert_eq!(run.json.json.as_deref(), Some(std::path::Path::new("-")));
    }

    #[test]
    fn speeds_and_seeds() {
        let check = |text, expected| assert_eq!(parse_speed(text).ok(), expected, "{text}");
        check("max", Some(SpeedArgument::Max));
        check("real", Some(SpeedArgument::Real));
        check("0.5x", Some(SpeedArgument::Factor(0.5)));
        check("4", Some(SpeedArgument::Factor(4.0)));
        for wrong in ["", "x", "-1", "0", "NaN", "inf", "fast"] {
            check(wrong, None);
        }
        assert_eq!(parse_seeds("3..9"), Ok(Seeds { first: 3, last: 9 }));
        assert_eq!(parse_seeds("3..=9"), Ok(Seeds { first: 3, last: 9 }));
        assert_eq!(parse_seeds("5"), Ok(Seeds { first: 5, last: 5 }));
        assert!(parse_seeds("9..3").is_err());
        assert!(parse_seeds("a..b").is_err());
    }
}
