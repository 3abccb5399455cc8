//! From what was refused to a plugin's run, and what it did wrong, to records of the audit log.

use sinew_audit::{Entry, PluginRun, Refusals};
use sinew_plugin_host::{Denial, MoreDenials, line};
use sinew_tasks::{DeniedRun, FaultyRun, TaskId};

/// Longest name or version of a plugin in a record, characters: a record has a largest size, beyond which a log takes nothing
/// more. The digest tells plugins apart whose names are cut.
const NAME_CHARS_MAX: usize = 128;

/// A record for each kind of refusal of a run, and one for the kinds beyond those.
pub(crate) fn denial_entries(run: &DeniedRun) -> Vec<Entry> {
    let denials = &run.denials;
    let whose = [&denials.plugin, &denials.version, &denials.digest];
    let by = plugin_run(whose, run.task, run.number, run.assess);
    let each = denials.kinds.iter().map(|denial| of_kind(&by, denial));
    let more = denials.more.iter().map(|more| of_others(&by, more));
    each.chain(more).collect()
}

fn of_kind(by: &PluginRun, denial: &Denial) -> Entry {
    Entry::GrantDenied {
        by: by.clone(),
        function: denial.function.clone(),
        reason: denial.reason.name(),
        text: denial.text.clone(),
        refusals: Refusals {
            count: denial.count,
            first_tick: denial.first.0,
            last_tick: denial.last.0,
        },
    }
}

fn of_others(by: &PluginRun, more: &MoreDenials) -> Entry {
    Entry::GrantDeniedMore {
        by: by.clone(),
        kinds: more.kinds,
        refusals: Refusals {
            count: more.count,
            first_tick: more.first.0,
            last_tick: more.last.0,
        },
    }
}

fn plugin_run(
    [plugin, version, digest]: [&String; 3],
    task: TaskId,
    run: u64,
    assess: bool,
) -> PluginRun {
    PluginRun {
        plugin: cut(plugin),
        version: cut(version),
        digest: digest.clone(),
        task: task.0,
        run,
        assess,
    }
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// A record of what a plugin did wrong.
pub(crate) fn fault_entry(run: &FaultyRun) -> Entry {
    let whose = [&run.plugin, &run.version, &run.digest];
    Entry::PluginFault {
        by: plugin_run(whose, run.task, run.number, run.assess),
        fault: run.fault.kind.name(),
        text: line(&run.fault.text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sinew_audit::{Stamp, WallClock, Writer};
    use sinew_plugin_host::{DENIAL_KINDS_MAX, DenialReason, RunDenials};
    use sinew_tasks::{Fault, FaultKind};
    use sinew_units::Tick;

    use super::*;

    fn denied(plugin: &str, kinds: usize, more: Option<MoreDenials>) -> DeniedRun {
        let kind = |number: usize| Denial {
            function: format!("files.f{number}"),
            reason: DenialReason::Directory,
            text: "no directory `\u{fffd}\"}` is granted".to_owned(),
            count: 7,
            first: Tick(3),
            last: Tick(90),
        };
        DeniedRun {
            task: TaskId(2),
            number: 5,
            assess: false,
            denials: RunDenials {
                plugin: plugin.to_owned(),
                version: "1.2.0".to_owned(),
                digest: "ab".repeat(32),
                kinds: (0..kinds).map(kind).collect(),
                more,
            },
        }
    }

    /// Kind and content of what a log says of it, which verifies.
    fn told(run: &DeniedRun) -> Vec<(String, Value)> {
        written(&denial_entries(run))
    }

    fn written(entries: &[Entry]) -> Vec<(String, Value)> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("audit.jsonl");
        let writer = Writer::open(&path, WallClock::VirtualTime).expect("a log can be begun");
        for entry in entries {
            writer.append(Stamp::default(), None, entry.clone());
        }
        writer.flush().expect("there is room");
        let mut records = Vec::new();
        let verification = sinew_audit::read(&path, |record| records.push(record));
        assert!(verification.expect("it can be read").ok);
        (records.into_iter())
            .map(|record| (record.kind, record.content))
            .collect()
    }

    #[test]
    fn a_record_says_what_was_refused_to_which_run() {
        let mut run = denied("lab/pick", 1, None);
        let mut content = json!({
            "plugin": "lab/pick", "version": "1.2.0", "digest": "ab".repeat(32), "task": 2, "run": 5,
            "function": "files.f0", "reason": "directory", "text": "no directory `\u{fffd}\"}` is granted",
            "count": 7, "first_tick": 3, "last_tick": 90,
        });
        assert_eq!(told(&run), [("grant-denied".to_owned(), content.clone())]);
        run.assess = true;
        content["assess"] = true.into();
        assert_eq!(told(&run), [("grant-denied".to_owned(), content)]);
    }

    #[test]
    fn kinds_beyond_the_last_one_are_one_record() {
        let more = MoreDenials {
            kinds: 3,
            count: 40,
            first: Tick(8),
            last: Tick(70),
        };
        let told = told(&denied("lab/pick", DENIAL_KINDS_MAX, Some(more)));
        assert_eq!(told.len(), DENIAL_KINDS_MAX + 1);
        let expected = json!({
            "plugin": "lab/pick", "version": "1.2.0", "digest": "ab".repeat(32), "task": 2, "run": 5,
            "kinds": 3, "count": 40, "first_tick": 8, "last_tick": 70,
        });
        let last = told.last().expect("there is one");
        assert_eq!(*last, ("grant-denied-more".to_owned(), expected));
    }

    #[test]
    fn a_fault_is_one_line_whatever_the_plugin_said() {
        let run = FaultyRun {
            task: TaskId(2),
            number: 5,
            assess: true,
            plugin: "lab/pick".to_owned(),
            version: "1.2.0".to_owned(),
            digest: "ab".repeat(32),
            fault: Fault {
                kind: FaultKind::Trap,
                text: format!("it trapped: \u{202e}{}", "x".repeat(1 << 20)),
            },
        };
        let told = written(&[fault_entry(&run)]);
        let [(kind, content)] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(kind, "plugin-fault");
        let text = content["text"].as_str().expect("it has one");
        assert!(
            text.starts_with("it trapped: \u{fffd}xxx") && text.chars().count() == 401,
            "{text}"
        );
        let mut expected = json!({
            "plugin": "lab/pick", "version": "1.2.0", "digest": "ab".repeat(32), "task": 2, "run": 5, "assess": true,
            "fault": "trap",
        });
        expected["text"] = text.into();
        assert_eq!(*content, expected);
    }

    /// A record that is too long would keep every later one out of the log.
    #[test]
    fn a_plugin_with_a_long_name_does_not_jam_the_log() {
        let name = format!("lab/{}", "x".repeat(2 << 20));
        let told = told(&denied(&name, 1, None));
        assert_eq!(told[0].1["plugin"].as_str().map(str::len), Some(128));
    }
}
