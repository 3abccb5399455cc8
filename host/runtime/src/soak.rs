//! Long runs of the adversary against the gate, in shards that can be taken up again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sinew_adversary::{Margins, Outcome};

use crate::audit::first_digits;
use crate::files;
use crate::sources::Sources;
use crate::trouble::input;

/// Ticks of one shard.
const SHARD_TICKS: u64 = 100_000;

/// How often the state is written while shards come in: work that a power cut may cost.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// Most bytes of a state file: room for some 200 000 shards.
const STATE_MAX: u64 = 256 << 20;

/// What to run.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// Ticks in all; rounded up to whole shards.
    pub ticks: u64,
    /// Seed of the first shard; the others count up from it.
    pub seed: u64,
    /// Threads.
    pub jobs: usize,
    /// File that finished shards are kept in, and taken from.
    pub state: Option<PathBuf>,
}

/// What it came to.
#[derive(Clone, Debug, Serialize)]
pub struct SoakReport {
    /// Ticks run, those of earlier runs included.
    pub ticks: u64,
    /// Of them, ticks with the drives on.
    pub powered_ticks: u64,
    /// Ticks that were not simply passed.
    pub limited_ticks: u64,
    /// Of them, ticks in which the gate gave way to a contact.
    pub yielded_ticks: u64,
    /// How many of them each limit was the reason of, by its name.
    pub spoke: BTreeMap<String, u64>,
    /// Times that something began to be broken.
    pub violations: u64,
    /// The first of them.
    pub described: Vec<String>,
    /// Smallest margins, by name: a negative one is a violation. Metres, radians, and their rates.
    pub worst_margin: BTreeMap<String, f64>,
    /// Hash over every command, hexadecimal: equal for equal seed, ticks and configuration.
    pub output_hash: String,
    /// Hash of the configuration that was made different in each shard.
    pub safety_hash: String,
    /// Wall time of this run alone, s.
    pub wall_seconds: f64,
    /// Shards that were taken from the state file.
    pub shards_from_state: u64,
    /// Ticks that were asked for, in whole shards.
    pub asked_ticks: u64,
}

/// One finished shard, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    ticks: u64,
    powered_ticks: u64,
    limited_ticks: u64,
    yielded_ticks: u64,
    spoke: BTreeMap<String, u64>,
    violations: u64,
    described: Vec<String>,
    margins: BTreeMap<String, f64>,
    hash: u64,
}

/// The state file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// What the shards were run with; shards of another gate or configuration are of no use.
    key: String,
    shards: BTreeMap<u64, Kept>,
}

/// What a state file says of itself.
#[derive(Debug, Deserialize)]
struct Key {
    key: String,
}

/// Runs the adversary.
///
/// # Errors
/// [`InputError`](crate::InputError) for configuration or a state file that can't be used, or that belongs to another
/// configuration.
pub fn safety(
    sources: &Sources,
    options: &SoakOptions,
    interrupt: &AtomicBool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> anyhow::Result<SoakReport> {
    let started = Instant::now();
    let config = sources.load()?;
    let chain = config.robot.chain();
    let base = config.safety.config();
    // Whatever the outcome of a shard depends on, beside its seed.
    let key = format!(
        "{} adversary-{} {} robot-{} {SHARD_TICKS}",
        env!("CARGO_PKG_VERSION"),
        sinew_adversary::VERSION,
        config.safety.hash(),
        config.robot.sha256
    );
    let state = match &options.state {
        Some(path) if path.exists() => read_state(path, &key)?,
        _ => State {
            key,
            shards: BTreeMap::new(),
        },
    };
    if let Some(path) = &options.state {
        // What can't be kept is said before hours of work.
        write_state(path, &state).map_err(|error| input(format!("--state: {error:#}")))?;
    }
    let shards = options.ticks.div_ceil(SHARD_TICKS).max(1);
    let last = options
        .seed
        .checked_add(shards)
        .ok_or_else(|| input("the seeds of the shards go beyond 64 bits"))?;
    let open: Vec<u64> = (options.seed..last)
        .filter(|seed| !state.shards.contains_key(seed))
        .collect();
    let from_state = shards - open.len() as u64;
    let next = AtomicU64::new(0);
    let done = AtomicU64::new(from_state);
    let state = Mutex::new((state, Instant::now()));
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let workers: Vec<_> = (0..options.jobs.max(1))
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    while !interrupt.load(Ordering::Relaxed) {
                        let n = next.fetch_add(1, Ordering::Relaxed) as usize;
                        let Some(seed) = open.get(n) else {
                            break;
                        };
                        let outcome = sinew_adversary::run(&chain, base, *seed, SHARD_TICKS);
                        let mut kept = state.lock().unwrap_or_else(|broken| broken.into_inner());
                        let (state, written) = &mut *kept;
                        state.shards.insert(*seed, Kept::from(outcome));
                        if let Some(path) = &options.state
                            && written.elapsed() >= WRITE_EVERY
                        {
                            write_state(path, state)?;
                            *written = Instant::now();
                        }
                        progress(done.fetch_add(1, Ordering::Relaxed) + 1, shards);
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })?;
    let (state, _) = state
        .into_inner()
        .unwrap_or_else(|broken| broken.into_inner());
    if let Some(path) = &options.state {
        write_state(path, &state)?;
    }
    let mut report = SoakReport {
        ticks: 0,
        powered_ticks: 0,
        limited_ticks: 0,
        yielded_ticks: 0,
        spoke: BTreeMap::new(),
        violations: 0,
        described: Vec::new(),
        worst_margin: BTreeMap::new(),
        output_hash: String::new(),
        safety_hash: config.safety.hash().to_string(),
        wall_seconds: started.elapsed().as_secs_f64(),
        shards_from_state: from_state,
        asked_ticks: shards.saturating_mul(SHARD_TICKS),
    };
    let mut hash = 0_u64;
    for (_, kept) in state.shards.range(options.seed..last) {
        report.ticks += kept.ticks;
        report.powered_ticks += kept.powered_ticks;
        report.limited_ticks += kept.limited_ticks;
        report.yielded_ticks += kept.yielded_ticks;
        for (limit, ticks) in &kept.spoke {
            *report.spoke.entry(limit.clone()).or_default() += ticks;
        }
        report.violations += kept.violations;
        report.described.extend(kept.described.iter().cloned());
        for (name, margin) in &kept.margins {
            let least = report
                .worst_margin
                .entry(name.clone())
                .or_insert(f64::INFINITY);
            *least = least.min(*margin);
        }
        hash = (hash ^ kept.hash)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(17);
    }
    report.described.truncate(8);
    report.output_hash = format!("{hash:016x}");
    Ok(report)
}

impl SoakReport {
    /// The report as a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!(
            "{} ticks of the adversary ({} with the drives on, {} not simply passed): {} violations",
            self.ticks, self.powered_ticks, self.limited_ticks, self.violations
        )];
        if self.ticks < self.asked_ticks {
            lines.push(format!(
                "  INTERRUPTED: {} of {} ticks; the same command with --state FILE goes on from what FILE has",
                self.ticks, self.asked_ticks
            ));
        }
        lines.extend(self.described.iter().map(|what| format!("  {what}")));
        lines.push("  smallest margins that were left (negative: broken)".to_owned());
        for (name, margin) in &self.worst_margin {
            lines.push(format!("    {name:<20} {margin:.3e}"));
        }
        lines.push(format!(
            "  ticks by what limited or stopped them ({} of them gave way to a contact)",
            self.yielded_ticks
        ));
        for (limit, ticks) in &self.spoke {
            lines.push(format!("    {limit:<20} {ticks}"));
        }
        lines.push(format!(
            "  output hash {}, safety configuration {}, {:.1} s here, {} shards from the state file",
            self.output_hash, first_digits(&self.safety_hash), self.wall_seconds, self.shards_from_state
        ));
        lines.join("\n")
    }
}

impl Kept {
    /// What no run leaves is not added up.
    fn can_be(&self) -> bool {
        let parts = [self.powered_ticks, self.limited_ticks, self.yielded_ticks];
        let spoken = self.spoke.values().chain(&parts);
        self.ticks == SHARD_TICKS
            && spoken.into_iter().all(|ticks| *ticks <= self.ticks)
            && self.violations <= SHARD_TICKS * 1_000
            && (self.violations > 0
                || self.described.is_empty() && self.margins.values().all(|margin| *margin >= 0.0))
    }
}

impl From<Outcome> for Kept {
    fn from(outcome: Outcome) -> Self {
        let Margins(margins) = outcome.margins;
        Self {
            ticks: outcome.ticks,
            powered_ticks: outcome.powered_ticks,
            limited_ticks: outcome.limited_ticks,
            yielded_ticks: outcome.yielded_ticks,
            spoke: (outcome.spoke.into_iter())
                .map(|(limit, ticks)| (limit.to_owned(), ticks))
                .collect(),
            violations: outcome.violations,
            described: outcome.described,
            margins: margins
                .into_iter()
                .filter(|(_, margin)| margin.is_finite())
                .map(|(name, margin)| (name.to_owned(), margin))
                .collect(),
            hash: outcome.hash,
        }
    }
}

fn read_state(path: &Path, key: &str) -> anyhow::Result<State> {
    let text = files::read_bytes(path, STATE_MAX).map_err(|error| input(error.0))?;
    let unlike = |error: serde_json::Error| {
        input(format!(
            "{}: no state of a soak: {error}: remove it, or name another file",
            path.display()
        ))
    };
    // What the shards were run with comes first: those of another version may have another shape.
    let found: Key = serde_json::from_slice(&text).map_err(unlike)?;
    if found.key == key {
        let state: State = serde_json::from_slice(&text).map_err(unlike)?;
        return match state.shards.iter().find(|(_, kept)| !kept.can_be()) {
            None => Ok(state),
            Some((seed, _)) => Err(input(format!(
                "{}: no soak leaves a shard like that of seed {seed}: remove it, or name another file",
                path.display()
            ))),
        };
    }
    Err(input(format!(
        "{}: its shards were run with another version, robot or configuration ({}, now {key}): remove it, or name \
         another file",
        path.display(),
        found.key
    )))
}

/// Beside the file and moved there: a soak that is cut off keeps what it had.
fn write_state(path: &Path, state: &State) -> anyhow::Result<()> {
    let text = serde_json::to_string(state).context("encoding the state")?;
    files::replace(path, text.as_bytes()).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROBOT: &str = include_str!("../../description/robots/sinew-arm-7.toml");

    /// Another robot may have the same limits, and its shards come out otherwise.
    #[test]
    fn the_state_of_another_robot_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let robot = folder.path().join("robot.toml");
        std::fs::write(&robot, format!("# Another one.\n{ROBOT}")).expect("written");
        let another = Sources {
            robot: Some(robot),
            ..Sources::default()
        };
        let options = SoakOptions {
            ticks: 1,
            seed: 0,
            jobs: 1,
            state: Some(folder.path().join("soak.json")),
        };
        // Interrupted before the first shard: the state that is left says what it is of.
        let soak =
            |sources: &Sources| safety(sources, &options, &AtomicBool::new(true), &|_, _| {});
        let of_builtin = soak(&Sources::default()).expect("it is begun");
        soak(&Sources::default()).expect("it goes on");
        let refused = soak(&another).expect_err("another robot").to_string();
        assert!(refused.contains("another version, robot"), "{refused}");
        let limits = another.load().expect("it can be used").safety;
        assert_eq!(limits.hash().to_string(), of_builtin.safety_hash);
    }

    /// A file of an older version is refused for what it is, though its shards have another shape.
    #[test]
    fn the_state_of_another_version_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("soak.json");
        std::fs::write(
            &path,
            r#"{"key":"0.0.1 00ff 100000","shards":{"1":{"ticks":9}}}"#,
        )
        .expect("written");
        let refused = read_state(&path, "new").expect_err("refused").to_string();
        assert!(
            refused
                .contains("another version, robot or configuration (0.0.1 00ff 100000, now new)"),
            "{refused}"
        );
        std::fs::write(&path, "{}").expect("written");
        let refused = read_state(&path, "new").expect_err("refused").to_string();
        assert!(refused.contains("no state of a soak"), "{refused}");
        let state = State {
            key: "new".to_owned(),
            shards: BTreeMap::new(),
        };
        write_state(&path, &state).expect("written");
        assert!(read_state(&path, "new").expect("read").shards.is_empty());
        // As many as a soak of days leaves.
        let many = (0..5_000).map(|seed| {
            (
                seed,
                Kept::from(Outcome {
                    ticks: SHARD_TICKS,
                    ..Outcome::default()
                }),
            )
        });
        let spoke = BTreeMap::from([("velocity".to_owned(), 7); 1]);
        let state = State {
            key: "new".to_owned(),
            shards: many
                .map(|(seed, kept)| {
                    let described = Vec::new();
                    (
                        seed,
                        Kept {
                            spoke: spoke.clone(),
                            described,
                            margins: (0..40)
                                .map(|n| (format!("margin-{n}"), 0.123_456_789))
                                .collect(),
                            ..kept
                        },
                    )
                })
                .collect(),
        };
        write_state(&path, &state).expect("written");
        assert!(std::fs::metadata(&path).expect("there").len() > files::TEXT_MAX);
        assert_eq!(read_state(&path, "new").expect("read").shards.len(), 5_000);
        // A shard that somebody made better, or worse.
        let shard = |ticks: u64, margin: f64| {
            let kept = serde_json::json!({
                "ticks": ticks, "powered_ticks": 1, "limited_ticks": 1, "yielded_ticks": 0, "spoke": {},
                "violations": 0, "described": [], "margins": {"position": margin}, "hash": 7
            });
            let state = serde_json::json!({"key": "new", "shards": {"3": kept}});
            std::fs::write(&path, state.to_string()).expect("written");
            read_state(&path, "new")
        };
        assert_eq!(shard(SHARD_TICKS, 0.1).expect("it can be").shards.len(), 1);
        for (ticks, margin) in [(7, 0.1), (u64::MAX, 0.1), (SHARD_TICKS, -5.0)] {
            let refused = shard(ticks, margin).expect_err("refused").to_string();
            assert!(refused.contains("seed 3"), "{refused}");
        }
    }
}
