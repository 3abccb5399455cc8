//! `sinew audit`: the log of stops, resets, changes of the safety configuration and refused calls of plugins.

use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;
use sinew_runtime::InputError;
use sinew_runtime::audit_log::{Record, Verification, read};

use crate::arguments::{AuditCommand, JsonArgument};
use crate::output;

pub(crate) fn audit(what: AuditCommand) -> anyhow::Result<bool> {
    match what {
        AuditCommand::Verify { file, json } => verify(&file, &json),
        AuditCommand::Export { file, since, json } => export(&file, since, &json),
    }
}

/// Reads the log as far as it verifies.
fn records(file: &Path, take: impl FnMut(Record)) -> Result<Verification, InputError> {
    read(file, take).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => {
                ". `sinew run` and `sinew robot` write one, in `out` or the folder that --out names: name the log, or go to \
                 the folder that they ran in"
            }
            _ => "",
        };
        InputError(format!("{}: {error}{hint}", file.display()))
    })
}

fn verify(file: &Path, json: &JsonArgument) -> anyhow::Result<bool> {
    let verification = records(file, |_| {})?;
    let text = format!("{}: {}", file.display(), verification.to_text());
    output::result(json, &verification, &text)?;
    Ok(verification.ok)
}

/// Records, and whether they are all there are.
#[derive(Serialize)]
struct Exported {
    records: Vec<ExportedRecord>,
    ok: bool,
    first_bad: Option<u64>,
    head: String,
}

/// A record, with words where it has no time of day or nobody acted.
#[derive(Serialize)]
struct ExportedRecord {
    #[serde(flatten)]
    record: Record,
    time: String,
    who: String,
}

impl From<Record> for ExportedRecord {
    fn from(record: Record) -> Self {
        Self {
            time: record.time(),
            who: record.who().to_owned(),
            record,
        }
    }
}

fn export(file: &Path, since: u64, json: &JsonArgument) -> anyhow::Result<bool> {
    let mut kept = Vec::new();
    let verification = records(file, |record| {
        if record.seq >= since {
            kept.push(record);
        }
    })?;
    if kept.is_empty() && verification.ok && json.json.is_none() {
        output::tell(format_args!(
            "sinew: {}: no record from {since} on; there are {}\n",
            file.display(),
            verification.records
        ));
    }
    let width = (kept.iter()).map(|record| when(record).len()).max();
    let lines: Vec<String> = (kept.iter())
        // One line each, whatever somebody wrote into it.
        .map(|record| output::plain(&line(record, width.unwrap_or(0)).replace('\n', " ")))
        .collect();
    let exported = Exported {
        records: kept.into_iter().map(Into::into).collect(),
        ok: verification.ok,
        first_bad: verification.first_bad,
        head: verification.head.clone(),
    };
    output::result(json, &exported, &lines.join("\n"))?;
    if !verification.ok {
        output::tell(format_args!(
            "sinew: {}: {}\n",
            file.display(),
            verification.to_text()
        ));
    }
    Ok(verification.ok)
}

/// Number, when (so wide), run, kind, who, what.
fn line(record: &Record, width: usize) -> String {
    format!(
        "{:>6}  {:<width$}  {:<16}  {:<24}  {:<12}  {}",
        record.seq,
        when(record),
        record.episode.as_deref().unwrap_or("-"),
        record.kind,
        record.who(),
        record.words()
    )
    .trim_end()
    .to_owned()
}

/// The time of day, and the tick.
fn when(record: &Record) -> String {
    match record.tick {
        Some(tick) => format!("{} tick {tick}", record.time()),
        None => record.time(),
    }
}
