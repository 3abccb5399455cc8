//! Jobs: cycles of a skill on the simulated cell, each on a host of its own, graded by the simulator's scorer.

mod cycle;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sinew_audit::{WallClock, Writer};
use sinew_recorder::IncidentWriter;
use sinew_recorder::report::{RunHeader, RunReport, VerdictReport};
use sinew_sim::{Cell, Scenario, Scenarios};
use sinew_tasks::Plugins as _;

use crate::audit::{AUDIT_FILE, now_unix_ms, open_audit_with};
use crate::files;
use crate::fingerprint::Fingerprint;
use crate::host::{Host, Speed};
use crate::kit::{Kit, PluginFile, place};
use crate::picture::write_png;
use crate::safety_change;
use crate::skills::{News, NewsOf, audit_flag, complete, no_version_is_active, way_in, with_flags};
use crate::sources::Sources;
use crate::trouble::input;
use crate::watch::{Progress, Watcher};

pub(crate) use cycle::params_of;
pub use text::report_text;

/// The skill whose orders the cell draws.
pub const KIT_PARTS: &str = "sinew/kit-parts";
/// Who resets the robot in a job, and activates what was approved: it stands in the audit log.
const ACTOR: &str = "sinew run";
/// Where plugin runs are kept, if they all are.
pub(crate) const RUNS_FOLDER: &str = "runs";
/// Size of the picture, pixels.
const PICTURE: (u32, u32) = (960, 640);

/// What to run.
#[derive(Clone, Debug)]
pub struct JobOptions {
    /// Seed of scenes, faults and plugins.
    pub seed: u64,
    /// Number of the first cycle.
    pub first_cycle: u64,
    /// Cycles.
    pub cycles: u64,
    /// Fault profile.
    pub profile: String,
    /// What happens around the robot: the name of a built-in scenario, or one of the file in `scenarios`. Nothing if `None`.
    pub scenario: Option<String>,
    /// File with scenarios in place of the built-in ones.
    pub scenarios: Option<PathBuf>,
    /// Share of cycles that must succeed.
    pub goal: f64,
    /// Recoveries may help.
    pub recovery: bool,
    /// The clock.
    pub speed: Speed,
    /// Skill.
    pub skill: String,
    /// Its parameters; for [`KIT_PARTS`] drawn by the cell for each cycle if `None`, else `{}`.
    pub params: Option<Value>,
    /// Plugins to load.
    pub plugins: Vec<PluginFile>,
    /// Folder for incidents, pictures and the audit log.
    pub out: PathBuf,
    /// Every plugin run is kept in `runs` there, not only those before an incident.
    pub keep_runs: bool,
    /// Configuration and models.
    pub sources: Sources,
    /// Set from outside: the task of the present cycle is cancelled (the robot stops in a controlled way and
    /// holds), no other cycle begins, and the report says what there is.
    pub interrupt: Arc<AtomicBool>,
}

/// Runs a job and reports.
///
/// # Errors
/// [`InputError`](crate::InputError) and [`Refused`](crate::Refused) before anything moves; anything else if
/// the machine fails on the way (no room for the files, …). Failed cycles are results, not errors.
pub fn run(options: &JobOptions, watch: Watcher<'_>) -> anyhow::Result<RunReport> {
    let log = options.out.join(AUDIT_FILE);
    run_job(options, watch).map_err(|error| complete(error, &audit_flag(&log)))
}

fn run_job(options: &JobOptions, watch: Watcher<'_>) -> anyhow::Result<RunReport> {
    let started = Instant::now();
    let mut kit = Kit::load(&options.sources, &options.plugins)?;
    let profile = kit
        .config
        .profiles
        .get(&options.profile)
        .map_err(|error| input(error.to_string()))?
        .clone();
    let scenario = scenario(options)?;
    let cell = Cell::new(&kit.config.robot, &kit.config.cell);
    check_task(&kit, &cell, options)?;
    std::fs::create_dir_all(&options.out)
        .map_err(|error| input(format!("--out {}: {error}", options.out.display())))?;
    let clock = match options.speed {
        Speed::Real => WallClock::UnixMs(now_unix_ms),
        Speed::Max | Speed::Factor(_) => WallClock::VirtualTime,
    };
    let audit = open_audit_with(&options.out.join(AUDIT_FILE), clock)?;
    let has_clock = matches!(clock, WallClock::UnixMs(_));
    kit.keep_books(&options.sources, has_clock.then_some(now_unix_ms))?;
    safety_change::admit(&kit.config, &audit, ACTOR, now_unix_ms())?;
    let mut header = header(&kit, options);
    header.audit = Some(audit.path().display().to_string());
    watch(&Progress::Started {
        lines: &text::greeting(&kit, &header),
    });

    let mut incidents = IncidentWriter::default();
    let mut cycles = Vec::new();
    let mut fingerprint = Fingerprint::default();
    for number in 0..options.cycles {
        if options.interrupt.load(Ordering::Relaxed) {
            break;
        }
        if number > 0 {
            take_news(&kit, None, watch);
            let ready = wait_for_skill(&kit, options, has_clock, watch).and_then(|()| {
                check_task(&kit, &cell, options).map_err(|error| {
                    format!("the version that is active now can't do what was asked for: {error:#}")
                })
            });
            if let Err(why) = ready {
                // Whatever made it go is told by then; what was run is reported.
                header.ended_early = Some(why);
                break;
            }
        }
        let mut cycle = cycle::Cycle {
            kit: &kit,
            cell: &cell,
            profile: &profile,
            scenario: &scenario,
            options,
            audit: &audit,
            number: number + 1,
            cycle: options.first_cycle + number,
            incidents: &mut incidents,
        };
        let outcome = match cycle.run(watch) {
            Ok(outcome) => outcome,
            Err(error) => {
                // There will be no report to say it.
                end_books(&kit, &audit, options, &mut header);
                for message in header.rollbacks.iter().chain(&header.store_errors) {
                    watch(&Progress::Event {
                        sim_seconds: header.sim_seconds,
                        message,
                    });
                }
                return Err(error);
            }
        };
        fingerprint.word(outcome.fingerprint);
        header.sim_seconds += outcome.sim_seconds;
        header.deadline_misses += outcome.deadline_misses;
        add(&mut header.verdicts, &outcome.verdicts);
        if let Some(person) = outcome.person {
            header.person = Some(header.person.unwrap_or_default().and(person));
        }
        for (stage, seconds) in outcome.stages {
            *header
                .wall_seconds_by_stage
                .entry(stage.to_owned())
                .or_default() += seconds;
        }
        watch(&Progress::CycleEnded {
            report: &outcome.report,
        });
        close_books(&kit, &audit, &mut header);
        cycles.push(outcome.report);
    }
    end_books(&kit, &audit, options, &mut header);
    // Each host has flushed what it said; what comes at its end is waited for here.
    let flushed = audit.flush();
    let unwritten = incidents.finish().into_iter();
    (header.recorder_errors)
        .extend(unwritten.filter_map(|written| written.err().map(|error| error.to_string())));
    (header.recorder_errors).extend(flushed.err().map(|error| error.to_string()));
    let picture = options.out.join("cell.png");
    let (width, height) = PICTURE;
    // A run is not lost with its picture.
    match write_png(&picture, width, height, &cell.picture(width, height)) {
        Ok(()) => header.picture = Some(picture.display().to_string()),
        Err(error) => (header.recorder_errors).push(format!("the picture of the cell: {error:#}")),
    }
    header.state_hash = fingerprint.to_string();
    header.wall_seconds = started.elapsed().as_secs_f64();
    let accounted: f64 = header.wall_seconds_by_stage.values().sum();
    let other = (header.wall_seconds - accounted).max(0.0);
    let rest = match options.speed {
        Speed::Max => "loading and other",
        Speed::Real | Speed::Factor(_) => "waiting for the clock, loading and other",
    };
    header.wall_seconds_by_stage.insert(rest.into(), other);
    // What was timed by nobody is not zero.
    header
        .wall_seconds_by_stage
        .retain(|_, seconds| *seconds > 0.0);
    let mut report = RunReport::new(header, cycles);
    // What was not run can't have reached its goal.
    report.goal_reached &= report.cycles == options.cycles;
    Ok(report)
}

/// How long a version that is active in the store is waited for between two cycles: its machine code may be made anew.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(60);

/// The skill is there, or will be: where a clock runs, what is active in the store and can't be taken up yet is waited for.
///
/// # Errors
/// In words: nothing is active any more, or it can't be taken up.
fn wait_for_skill(
    kit: &Kit,
    options: &JobOptions,
    has_clock: bool,
    watch: Watcher<'_>,
) -> Result<(), String> {
    let skill = &options.skill;
    let since = Instant::now();
    while kit.plugins.current(skill).is_none() {
        let awaited = match &kit.books {
            Some(books) => books.awaits(skill),
            None => Err(no_version_is_active(skill)),
        };
        awaited.map_err(|why| format!("{why}: see `sinew skill list`"))?;
        let is_over =
            since.elapsed() > TAKEN_UP_WITHIN || options.interrupt.load(Ordering::Relaxed);
        if !has_clock || is_over {
            return Err(format!(
                "the active version of `{skill}` can't be taken up: see what is said of it, and `sinew skill list`"
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
        take_news(kit, None, watch);
    }
    Ok(())
}

/// Versions that somebody has made active meanwhile become active here: for new tasks, and for those that run on `host` as it
/// was asked for.
pub(crate) fn take_news(kit: &Kit, mut host: Option<&mut Host>, watch: Watcher<'_>) {
    let Some(books) = &kit.books else {
        return;
    };
    for news in books.news() {
        let News { name, what, words } = news;
        let mut tasks = host.as_deref_mut().map(Host::tasks);
        match what {
            NewsOf::Version(version, at) => {
                if let Some(tasks) = &tasks
                    && let Some(begun) = books.memory_of(&name)
                {
                    begun.tell(&name, tasks.plugins().host());
                }
                kit.plugins.replace(version);
                (tasks.iter_mut()).for_each(|tasks| tasks.go_over(&name, at, &words));
            }
            NewsOf::Gone => {
                kit.plugins.remove(&name);
                (tasks.iter_mut()).for_each(|tasks| tasks.stay(&name));
            }
            NewsOf::Left(digest, left) => {
                let digest = digest.to_string();
                match &mut tasks {
                    Some(tasks) => {
                        tasks.plugins().leave(&name, &digest, left);
                        tasks.abandon(&name, &digest, &words);
                    }
                    None => kit.plugins.leave(&name, &digest, left),
                }
            }
            NewsOf::NotTaken => {}
        }
        let sim_seconds = (host.as_ref()).map_or(0.0, |host| host.now().as_seconds());
        watch(&Progress::Event {
            sim_seconds,
            message: &words,
        });
    }
}

/// What happened to plugins out of the store in a cycle: told to the audit log and to whoever reads the report.
fn close_books(kit: &Kit, audit: &Writer, header: &mut RunHeader) {
    let Some(books) = &kit.books else {
        return;
    };
    books.tell(audit);
    let (rollbacks, troubles) = books.take_words();
    header.rollbacks.extend(rollbacks);
    header.store_errors.extend(troubles);
}

/// The same when no cycle is left, with what the store has not learned.
fn end_books(kit: &Kit, audit: &Writer, options: &JobOptions, header: &mut RunHeader) {
    let Some(books) = &kit.books else {
        return;
    };
    books.be_patient();
    close_books(kit, audit, header);
    let flags = (options.sources.store.as_ref()).map_or_else(String::new, |store| {
        store.flags(options.sources.grants.as_deref()) + &audit_flag(audit.path())
    });
    let lost = books.lost().into_iter();
    (header.store_errors).extend(lost.map(|words| with_flags(&words, &flags)));
}

/// The scenario that the options name; an empty one if they name none.
fn scenario(options: &JobOptions) -> anyhow::Result<Scenario> {
    let Some(name) = &options.scenario else {
        return Ok(Scenario::default());
    };
    let scenarios = match &options.scenarios {
        None => Scenarios::builtin(),
        Some(path) => Scenarios::from_toml(&files::read(path)?, &path.display().to_string())
            .map_err(|error| input(error.to_string()))?,
    };
    Ok(scenarios
        .get(name)
        .map_err(|error| input(error.to_string()))?
        .clone())
}

/// The task of every cycle, before the first one moves anything. Orders that the cell draws need no check.
fn check_task(kit: &Kit, cell: &Cell, options: &JobOptions) -> anyhow::Result<()> {
    if options.first_cycle.checked_add(options.cycles).is_none() {
        return Err(input("the numbers of the cycles go beyond 64 bits"));
    }
    let places: Vec<_> = cell.places().into_iter().map(place).collect();
    let empty = Value::Object(serde_json::Map::new());
    let params = match &options.params {
        None if options.skill == KIT_PARTS => None,
        params => Some(params.as_ref().unwrap_or(&empty).to_string()),
    };
    match params {
        None => sinew_tasks::check_skill(&kit.plugins, &options.skill),
        Some(params) => {
            let names = kit.cell_names(&places);
            sinew_tasks::check_task(&kit.plugins, &names, &options.skill, &params).map(|_| ())
        }
    }
    .map_err(|error| {
        let skill = &options.skill;
        let place =
            (options.sources.store.as_ref()).filter(|_| kit.plugins.current(skill).is_none());
        let what = place
            .and_then(|place| way_in(place, options.sources.grants.as_deref(), skill).ok())
            .flatten();
        input(format!("{error}{}", what.unwrap_or_default()))
    })
}

fn header(kit: &Kit, options: &JobOptions) -> RunHeader {
    RunHeader {
        seed: options.seed,
        profile: options.profile.clone(),
        scenario: options.scenario.clone(),
        unsigned: kit.unsigned.clone(),
        skill: options.skill.clone(),
        robot: kit.config.robot.name.clone(),
        clock: match options.speed {
            Speed::Real => "real",
            Speed::Max | Speed::Factor(_) => "virtual",
        }
        .to_owned(),
        cycles_asked: options.cycles,
        recovery: options.recovery,
        goal_success_rate: options.goal,
        inference_backend: format!("{} {}", kit.backend.name(), kit.backend.version()),
        perception_rate_hz: kit.config.settings.perception.rate_hz,
        safety_hash: kit.config.safety.hash().to_string(),
        versions: kit.versions.clone(),
        runs: (options.keep_runs).then(|| options.out.join(RUNS_FOLDER).display().to_string()),
        ..RunHeader::default()
    }
}

fn add(sum: &mut VerdictReport, more: &VerdictReport) {
    sum.passed_ticks += more.passed_ticks;
    sum.limited_ticks += more.limited_ticks;
    sum.stop_ticks += more.stop_ticks;
    for (limit, ticks) in &more.by_limit {
        *sum.by_limit.entry(limit.clone()).or_default() += ticks;
    }
}

/// Seconds by stage of the wall time.
type Stages = BTreeMap<&'static str, f64>;
