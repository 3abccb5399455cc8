//! What can be typed about a plugin's life in the store.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sinew_runtime::skill_store::Selector;
use sinew_runtime::skills::STORE_DEFAULT;

use super::safety::ByArguments;
use super::{ConfigArguments, JsonArgument, parse_rate};

#[derive(Debug, Subcommand)]
pub(crate) enum SkillCommand {
    /// Make a key to sign with: the secret part in a new file that only you can read, the public part as a line for trust
    /// files.
    #[command(
        after_help = "Example:\n  sinew skill keygen acme.key --publisher acme >> out/skills/trust.toml\n\n\
        Exit codes: 0 made, 2 wrong usage, or the file exists or can't be written."
    )]
    Keygen {
        /// File for the secret key.
        file: PathBuf,
        /// Your publisher's id, for the line.
        #[arg(long, value_name = "ID", default_value = "publisher", value_parser = parse_publisher)]
        publisher: String,
        #[command(flatten)]
        json: JsonArgument,
    },
    /// What an installation would find: manifest, imports, exports, equipment, policies, what it asks for.
    #[command(after_help = "Example:\n  sinew skill check pick.wasm\n\n\
        Exit codes: 0 it can be used here, 2 it can't (every reason is named), or wrong usage. Nothing is refused (4).")]
    Check {
        /// The artifact.
        file: PathBuf,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Try an artifact in the simulated cell: seeded runs judged by the world, that it does the same again, and that it can be interrupted.
    #[command(
        after_help = "Example:\n  sinew skill test pick.wasm --runs 5 --params '{\"class\":\"block\"}'\n\n\
        The first run is done again, replayed from its record, taken back at a quarter, half and three quarters of its length, and \
        stopped in the middle: it has to end by itself, leave the robot at rest, and the next task has to get it.\n\n\
        Exit codes: 0 as many runs succeeded as were asked for, and all else is as it has to be, 1 not, 2 wrong usage or it can't \
        be used, 4 it was not granted what it asks for."
    )]
    Test {
        /// The artifact.
        file: PathBuf,
        #[command(flatten)]
        how: RehearsalArguments,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Make a plugin of a component, however it was built, and its manifest.
    #[command(
        after_help = "Example:\n  sinew skill pack target/wasm32-wasip2/release/pick.wasm --manifest pick.json --out pick.wasm\n\n\
        What stands in a manifest: host/SKILLS.md\n\n\
        Exit codes: 0 packed, 2 wrong usage, no component, a manifest that says something wrong, or the file can't be written, 4 \
        refused: no room, or a disk that is read only."
    )]
    Pack {
        /// The component.
        component: PathBuf,
        /// Its manifest: JSON, or TOML if its name ends in `.toml`.
        #[arg(long, value_name = "FILE")]
        manifest: PathBuf,
        /// File for the plugin.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        json: JsonArgument,
    },
    /// Put your signature at the end of an artifact.
    #[command(
        after_help = "Example:\n  sinew skill sign pick.wasm --key acme.key --out pick-1.2.0.wasm\n\n\
        Exit codes: 0 signed, 2 wrong usage, no artifact, no key, or the file can't be written, 4 refused: no room, or a disk \
        that is read only."
    )]
    Sign {
        /// The artifact.
        file: PathBuf,
        /// File with the secret key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// File for the signed artifact; the same file if it is not said.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        json: JsonArgument,
    },
    /// Let an artifact into the store. Which version is active does not change by that.
    #[command(after_help = "Examples:\n  \
        sinew skill install pick-1.2.0.wasm --actor ann\n  \
        sinew skill install pick.wasm --unsigned --actor ann          # on a robot for development\n  \
        sinew skill install pick-1.2.0.wasm --rehearse 20 --floor 0.95 --actor ann\n\n\
        Exit codes: 0 installed, or here already, 2 wrong usage or it can't be used, or its rehearsal did not pass, 4 refused: its signature, its \
        signer, a version that is here with other contents, a grant that its rehearsal needs, no room.")]
    Install {
        /// The artifact.
        file: PathBuf,
        /// Take what nobody has signed: for development. Every status says so.
        #[arg(long)]
        unsigned: bool,
        /// Try it in the simulated cell first, with so many seeded runs, under the grants that it has.
        #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
        rehearse: Option<u64>,
        /// Share of these runs that must succeed.
        #[arg(long, value_name = "RATE", default_value = "0.9", value_parser = parse_rate, requires = "rehearse")]
        floor: f64,
        /// Parameters for them, as JSON or `@FILE`.
        #[arg(long, value_name = "JSON", requires = "rehearse")]
        params: Option<String>,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Every version in the store: state, digest, grants, runs.
    #[command(after_help = "Example:\n  sinew skill list\n\n\
        Exit codes: 0 listed, 2 wrong usage or no store. Nothing is refused (4) but a store that others could change.")]
    List {
        #[command(flatten)]
        look: LookArguments,
    },
    /// One plugin: its versions, what each has used, and what happened.
    #[command(
        after_help = "Examples:\n  sinew skill show pick\n  sinew skill show acme/pick@1.2.0 --json\n\n\
        Exit codes: 0 shown, 2 wrong usage, or none or several plugins of that name."
    )]
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        look: LookArguments,
    },
    /// Make a version the active one, on probation: if it misbehaves, the version before comes back by itself.
    #[command(after_help = "Examples:\n  \
        sinew skill activate acme/pick@1.2.0 --actor ann\n  \
        sinew skill activate pick --at safe-point --probation 50 --actor ann\n  \
        sinew skill activate pick@1.1.0 --downgrade --actor ann\n\n\
        Exit codes: 0 active, 2 wrong usage or no such version, 4 refused: a grant or somebody's consent is missing, it is \
        revoked, older than what was active once, was rolled back, or another version is pinned.")]
    Activate {
        #[command(flatten)]
        which: Which,
        /// When tasks that run on another version go over.
        #[arg(long, value_enum, default_value_t = SwapAtArgument::NextTask)]
        at: SwapAtArgument,
        /// Although it is older than what was active once.
        #[arg(long)]
        downgrade: bool,
        /// Although it was rolled back.
        #[arg(long)]
        again: bool,
        /// Runs until it is proven.
        #[arg(long, value_name = "RUNS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        probation: u32,
        /// Failures among them that are borne, fewer than that; a fifth if it is not said. Misbehaving is not borne.
        #[arg(long, value_name = "RUNS")]
        failures: Option<u32>,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Go back to the version that was good before, with what it kept in `memory`.
    #[command(
        after_help = "Example:\n  sinew skill rollback pick --reason 'too slow' --actor ann\n\n\
        Exit codes: 0 back, 2 wrong usage or there is none, 4 refused: it is revoked, or the active one is pinned."
    )]
    Rollback {
        #[command(flatten)]
        which: Which,
        /// Why: it stands in the audit log.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Take a version out of the store.
    #[command(
        after_help = "Example:\n  sinew skill remove acme/pick@1.0.0 --actor ann\n\n\
        Exit codes: 0 gone, 2 wrong usage or no such version, 4 refused: it is active, or what is gone back to."
    )]
    Remove {
        #[command(flatten)]
        which: Which,
        /// Also the active one: no version of that name is active then.
        #[arg(long)]
        active: bool,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Keep the active version active until it is let go. Only its own misbehaviour in probation ends that.
    #[command(
        after_help = "Examples:\n  sinew skill pin pick --actor ann\n  sinew skill pin pick --off --actor ann\n\n\
        Exit codes: 0 done, 2 wrong usage or it is not active."
    )]
    Pin {
        #[command(flatten)]
        which: Which,
        /// Let it go.
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        change: ChangeArguments,
    },
}

/// Which plugin.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// NAME or PUBLISHER/NAME, and for one version NAME@1.2.0 or NAME@ and the first digits of its digest, 4 or more.
    #[arg(value_name = "NAME[@VERSION]", value_parser = parse_selector)]
    pub(crate) plugin: Selector,
}

fn parse_publisher(text: &str) -> Result<String, String> {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_word) {
        Ok(text.to_owned())
    } else {
        Err("a publisher's id has lower-case letters, digits and dashes".to_owned())
    }
}

fn parse_selector(text: &str) -> Result<Selector, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// Which store.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArguments {
    /// Folder of the store.
    #[arg(long, value_name = "DIR", default_value = STORE_DEFAULT)]
    pub(crate) store: PathBuf,
    /// Trust file (TOML): whose signatures count, and what is revoked; `trust.toml` in the store's folder if it is not said.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}

/// To look into a store.
#[derive(Clone, Debug, Args)]
pub(crate) struct LookArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(flatten)]
    pub(crate) json: JsonArgument,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

/// To change something in a store.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChangeArguments {
    #[command(flatten)]
    pub(crate) by: ByArguments,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

/// How an artifact is tried.
#[derive(Clone, Debug, Args)]
pub(crate) struct RehearsalArguments {
    /// Seeded runs.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) runs: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Share of runs that must succeed.
    #[arg(long, value_name = "RATE", default_value = "0.9", value_parser = parse_rate)]
    pub(crate) floor: f64,
    /// Parameters, as JSON or `@FILE`; a recovery is tried in the kitting job.
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
    /// Fault profile.
    #[arg(long, default_value = "calm")]
    pub(crate) profile: String,
}

/// When running tasks go over to another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SwapAtArgument {
    /// They finish on the version that they run on.
    NextTask,
    /// When they next say that they can; they go on from their checkpoint.
    SafePoint,
    /// At once; they go on from their last checkpoint.
    Now,
}
