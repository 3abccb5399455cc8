//! `sinew audit`: the log of stops, resets and changes of the safety configuration.

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
    read(file, take).map_err(|error| InputError(format!("{}: {error}", file.display())))
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
    records: Vec<Record>,
    ok: bool,
    first_bad: Option<u64>,
    head: String,
}

fn export(file: &Path, since: u64, json: &JsonArgument) -> anyhow::Result<bool> {
    let mut kept = Vec::new();
    let verification = records(file, |record| {
        if record.seq >= since {
            kept.push(record);
        }
    })?;
    let width = (kept.iter()).map(|record| when(record).len()).max();
    let lines: Vec<String> = (kept.iter())
        .map(|record| output::plain(&line(record, width.unwrap_or(0))))
        .collect();
    let exported = Exported {
        records: kept,
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
        record.actor.as_deref().unwrap_or("-"),
        record.words()
    )
    .trim_end()
    .to_owned()
}

fn when(record: &Record) -> String {
    let tick = record.tick.map(|tick| format!("tick {tick}"));
    let times: Vec<String> = (record.time_unix_ms.map(utc))
        .into_iter()
        .chain(tick)
        .collect();
    times.join(" ")
}

/// Milliseconds since 1970 as a date and a time of day, UTC.
fn utc(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (mut year, mut day) = (1970, days);
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if leap { 366 } else { 365 };
        if day >= length {
            (year, day) = (year + 1, day - length);
            continue;
        }
        let mut month = 1;
        for length in [
            31,
            if leap { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ] {
            if day < length {
                break;
            }
            (month, day) = (month + 1, day - length);
        }
        let s = ms / 1000;
        return format!(
            "{year}-{month:02}-{:02} {:02}:{:02}:{:02}Z",
            day + 1,
            s / 3600,
            s / 60 % 60,
            s % 60
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |seconds: u64, expected| assert_eq!(utc(seconds * 1000), expected);
        check(0, "1970-01-01 00:00:00Z");
        check(951_782_399, "2000-02-28 23:59:59Z");
        check(951_782_400, "2000-02-29 00:00:00Z");
        check(1_709_251_199, "2024-02-29 23:59:59Z");
        check(1_795_264_751, "2026-11-21 12:39:11Z");
        check(4_107_542_400, "2100-03-01 00:00:00Z");
    }
}
