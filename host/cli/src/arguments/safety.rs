//! What can be typed about the safety configuration and the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sinew_runtime::audit_log::actor_name;
use sinew_runtime::safety_change::AUDIT_DEFAULT;

use super::{ConfigArguments, JsonArgument};

#[derive(Debug, Subcommand)]
pub(crate) enum SafetyCommand {
    /// Every quantity with its unit, what is not checked, and the hash: of what is active, or of a file.
    #[command(after_help = "Examples:\n  \
        sinew safety show                                   # what is active by out/audit.jsonl\n  \
        sinew safety show --cell out/robot.json             # what is active for a parked cell\n  \
        sinew safety show my-cell.toml --json\n\n\
        What is active is what was activated last, or what is built in as long as nothing ever was.\n\n\
        Exit codes: 0 shown, 2 wrong usage or a file that can't be used, 4 the log does not verify, or what is active is \
        not to be had any more.")]
    Show {
        /// A file instead of what is active.
        #[arg(conflicts_with = "safety_config")]
        file: Option<PathBuf>,
        /// The audit log that says what is active; out/audit.jsonl if it is not said.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "safety_config"])]
        audit: Option<PathBuf>,
        /// The parked cell whose log says what is active.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "audit", "safety_config"])]
        cell: Option<PathBuf>,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Whether a file can be used with the robot; what is wrong with it, and where, if not.
    /// Whatever can be used and is hardly meant is a warning, and what it leaves out is listed.
    #[command(after_help = "Example:\n  sinew safety check my-cell.toml\n\n\
        Exit codes: 0 it can be used (perhaps with warnings), 2 it can't, or wrong usage.")]
    Check {
        /// The file.
        #[arg(conflicts_with = "safety_config")]
        file: PathBuf,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// What gets looser and what tighter from one file to another.
    /// What the robot does and what is looked at comes before by how much.
    #[command(after_help = "Example:\n  sinew safety diff old.toml new.toml\n\n\
        Exit codes: 0 compared, whatever changes; 2 wrong usage or a file that can't be used.")]
    Diff {
        /// What is.
        #[arg(conflicts_with = "safety_config")]
        a: PathBuf,
        /// What would be.
        b: PathBuf,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Say in the audit log that a configuration should become active; shows what it changes.
    #[command(
        after_help = "Example:\n  sinew safety propose my-cell.toml --actor anna\n\n\
        Exit codes: 0 written down, 2 wrong usage or a file that can't be used, 4 the log does not verify."
    )]
    Propose {
        /// The file; the built-in configuration without one.
        #[arg(conflicts_with = "safety_config")]
        file: Option<PathBuf>,
        #[command(flatten)]
        by: ByArguments,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Approve the next change to a configuration that somebody proposed, by its hash; shows what it changes first.
    #[command(after_help = "Example:\n  sinew safety approve HASH --actor ben\n\n\
        Every change of the configuration needs an approval, also one back to what was active before, and an \
        approval counts for the next change only; so does a proposal. Nobody who proposed it since it was approved last \
        approves it.\n\n\
        Exit codes: 0 written down, 2 wrong usage or nobody proposed it, 4 refused: proposed by the same person, changed \
        since, or the log does not verify.")]
    Approve {
        /// Hash of the configuration: 64 hexadecimal digits.
        #[arg(value_parser = parse_hash)]
        hash: String,
        #[command(flatten)]
        by: ByArguments,
        /// There is nobody else: whoever proposed it approves it. The log says so.
        #[arg(long)]
        same_person: bool,
        #[command(flatten)]
        json: JsonArgument,
        #[command(flatten)]
        config: ConfigArguments,
    },
}

/// Who acts, and in which log that is written down.
#[derive(Clone, Debug, Args)]
pub(crate) struct ByArguments {
    /// Your name: it stands in the audit log.
    #[arg(long, value_name = "NAME", value_parser = parse_actor)]
    pub(crate) actor: String,
    /// The audit log.
    #[arg(long, value_name = "FILE", default_value = AUDIT_DEFAULT)]
    pub(crate) audit: PathBuf,
}

fn parse_actor(text: &str) -> Result<String, String> {
    actor_name(text).map_err(|error| error.to_string())
}

/// Of a SHA-256.
const HASH_DIGITS: usize = 64;

fn parse_hash(text: &str) -> Result<String, String> {
    let hash = text.to_ascii_lowercase();
    if hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hash);
    }
    Err("expected 64 hexadecimal digits, as `sinew safety show` prints them".to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Whether any record was changed, removed, inserted or moved; says where. Whole records cut off the end can be seen
    /// only by a head that was kept elsewhere.
    #[command(
        after_help = "Examples:\n  sinew audit verify\n  sinew audit verify elsewhere/audit.jsonl --json\n\n\
        Exit codes: 0 every record follows the one before, 1 one does not, 2 there is no such file."
    )]
    Verify {
        /// The log.
        #[arg(default_value = AUDIT_DEFAULT)]
        file: PathBuf,
        #[command(flatten)]
        json: JsonArgument,
    },
    /// The records as a table, or as JSON, as far as they verify.
    #[command(
        after_help = "Examples:\n  sinew audit export --since 120\n  sinew audit export --json records.json\n\n\
        Exit codes: 0 every record follows the one before, 1 one does not (those before it are printed), 2 there is no \
        such file."
    )]
    Export {
        /// The log.
        #[arg(default_value = AUDIT_DEFAULT)]
        file: PathBuf,
        /// Number of the first record.
        #[arg(long, value_name = "RECORD", default_value_t = 1)]
        since: u64,
        #[command(flatten)]
        json: JsonArgument,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hashes() {
        assert_eq!(parse_actor(" Anna B. ").as_deref(), Ok("Anna B."));
        let long = "x".repeat(65);
        for wrong in [
            "",
            "  ",
            "a\nb",
            "\u{200b}",
            "\u{430}nna",
            "nobody",
            "sinew run",
            &long,
        ] {
            assert!(parse_actor(wrong).is_err(), "{wrong:?}");
        }
        let hash = "0123456789ABCDEF".repeat(4);
        assert_eq!(parse_hash(&hash), Ok(hash.to_lowercase()));
        let others = [
            hash.replace('F', "g"),
            format!("{hash}0"),
            hash[1..].to_owned(),
        ];
        for wrong in ["", "0123456789abcdef"]
            .into_iter()
            .chain(others.iter().map(|s| &**s))
        {
            assert!(parse_hash(wrong).is_err(), "{wrong:?}");
        }
    }
}
