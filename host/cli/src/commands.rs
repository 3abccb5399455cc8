//! What each command does. `Ok(true)` if the goal was reached.

use std::sync::Mutex;

use anyhow::Context as _;
use clap::CommandFactory as _;
use serde_json::json;
use sinew_runtime::grants::{Adding, GrantsOptions};
use sinew_runtime::grasp::{DemoOptions, EvalOptions, EvalReport, PosesFrom};
use sinew_runtime::safety_config::ActiveBy;
use sinew_runtime::soak::{self, SoakOptions};
use sinew_runtime::units::Ticks;
use sinew_runtime::{
    InputError, Sources, doctor, grants, perception_eval, policy_lab, safety_change, safety_config,
    skills,
};

use crate::arguments::{
    Cli, Command, ConfigArguments, DemosCommand, GrantsCommand, GrantsOf, JobsArgument,
    JsonArgument, PerceptionCommand, PolicyCommand, SafetyCommand, Seeds, SetupCommand,
    SoakCommand,
};
use crate::audit;
use crate::bench;
use crate::output::{self, Progress};
use crate::robot;
use crate::run::{self, sources};
use crate::skill;

/// Carries out a command.
pub(crate) fn dispatch(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Replay(arguments) => run::replay(&arguments),
        Command::Grants { what } => grants(what),
        Command::Doctor(arguments) => {
            let diagnosis = doctor::examine();
            output::result(&arguments.json, &diagnosis, &diagnosis.to_text())?;
            Ok(diagnosis.is_healthy())
        }
        Command::Setup {
            what: SetupCommand::Onnxruntime,
        } => {
            let mut progress = Progress::new();
            let library = sinew_runtime::setup_onnxruntime(&mut |line| progress.line(line))?;
            output::text(&library.display().to_string())?;
            Ok(true)
        }
        Command::Perception {
            what:
                PerceptionCommand::Eval {
                    seeds,
                    json,
                    config,
                },
        } => perception(seeds, &json, &config),
        Command::Policy {
            what:
                PolicyCommand::Eval {
                    name,
                    seeds,
                    hard,
                    jobs,
                    json,
                    config,
                },
        } => policy(&name, seeds, hard, jobs, &json, &config),
        Command::Demos {
            what:
                DemosCommand::Generate {
                    policy,
                    seeds,
                    out,
                    learner,
                    jobs,
                    json,
                    config,
                },
        } => match policy.as_str() {
            "grasp" => {
                let options = DemoOptions {
                    seeds: seeds.first..=seeds.last,
                    out,
                    learner,
                    jobs: jobs.count(),
                };
                demonstrations(&options, &json, &config)
            }
            "detector" => images(seeds, &out, &json, &config),
            other => Err(InputError(format!(
                "there is nothing to demonstrate for `{other}`; there are: grasp, detector"
            ))
            .into()),
        },
        Command::Skill { what } => skill::skill(what),
        Command::Examine { origin } => {
            skills::serve_examiner(&origin)?;
            Ok(true)
        }
        Command::Robot { what } => robot::operate(what),
        Command::Safety { what } => safety(what),
        Command::Audit { what } => audit::audit(what),
        Command::Soak {
            what:
                SoakCommand::Safety {
                    ticks,
                    seed,
                    state,
                    jobs,
                    json,
                    config,
                },
        } => {
            let options = SoakOptions {
                ticks,
                seed,
                jobs: jobs.count(),
                state,
            };
            soak_safety(&options, &json, &config)
        }
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::BenchSidecar { socket } => bench::sidecar(&socket),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sinew", &mut script);
            output::text(String::from_utf8_lossy(&script).trim_end())?;
            Ok(true)
        }
    }
}

fn grants(what: GrantsCommand) -> anyhow::Result<bool> {
    let options = |of: GrantsOf| -> anyhow::Result<GrantsOptions> {
        Ok(GrantsOptions {
            plugins: run::plugins(&of.plugins.plugin)?,
            store: (of.plugins.store.as_ref())
                .map(|folder| skill::place(folder, of.plugins.trust.as_ref()))
                .transpose()?,
            sources: Sources {
                default_grants: sinew_skill_artifacts::GRANTS.to_owned(),
                grants: of.grants,
                ..Sources::default()
            },
        })
    };
    match what {
        GrantsCommand::Show { name, of, json } => {
            let shown = grants::show(&options(of)?)?;
            let shown = match name {
                Some(name) => shown.only(&name)?,
                None => shown,
            };
            output::result(&json, &shown, &shown.to_text())?;
            Ok(true)
        }
        GrantsCommand::Add {
            name,
            grants,
            plugins,
            directory,
            optional,
            speed,
            force_n,
            json,
        } => {
            let of = GrantsOf {
                grants: None,
                plugins,
            };
            let adding = Adding {
                name,
                file: grants,
                directories: directory.into_iter().collect(),
                optional,
                speed,
                force_n,
            };
            let added = sinew_runtime::grants::add(&options(of)?, &adding)?;
            output::result(&json, &added, &added.to_text())?;
            Ok(true)
        }
        GrantsCommand::Approve { which, change } => skill::changed(&change, |options, author| {
            skills::approve(options, author, &which.plugin)
        }),
        GrantsCommand::Audit { of, json } => {
            let audited = grants::audit(&options(of)?)?;
            output::result(&json, &audited, &audited.to_text())?;
            Ok(audited.ok)
        }
    }
}

fn safety(what: SafetyCommand) -> anyhow::Result<bool> {
    match what {
        SafetyCommand::Show {
            file,
            audit,
            cell,
            json,
            config,
        } => {
            let sources = sources(&config);
            let shown = match (audit, cell, file.or(config.safety_config)) {
                (Some(audit), ..) => safety_config::show_active(&sources, &ActiveBy::Log(audit))?,
                (_, Some(cell), _) => safety_config::show_active(&sources, &ActiveBy::Cell(cell))?,
                (.., Some(file)) => safety_config::show(&sources, &file)?,
                (.., None) => safety_config::show_active(&sources, &ActiveBy::Default)?,
            };
            output::result(&json, &shown, &shown.to_text())?;
        }
        SafetyCommand::Check { file, json, config } => {
            let shown = safety_config::show(&sources(&config), &file)?;
            output::result(&json, &shown, &shown.verdict())?;
        }
        SafetyCommand::Diff { a, b, json, config } => {
            let compared = safety_config::compare(&sources(&config), &a, &b)?;
            output::result(&json, &compared, &compared.to_text())?;
        }
        SafetyCommand::Propose {
            file,
            by,
            json,
            config,
        } => {
            let change =
                safety_change::propose(&sources(&config), file.as_deref(), &by.audit, &by.actor)?;
            output::result(&json, &change, &change.proposal())?;
        }
        SafetyCommand::Approve {
            hash,
            by,
            same_person,
            json,
            config,
        } => {
            let change = safety_change::approve(
                &sources(&config),
                &hash,
                &by.audit,
                &by.actor,
                same_person,
                &mut |change| output::before(&json, &change.review()),
            )?;
            output::result(&json, &change, &change.approval())?;
        }
    }
    Ok(true)
}

fn soak_safety(
    options: &SoakOptions,
    json: &JsonArgument,
    config: &ConfigArguments,
) -> anyhow::Result<bool> {
    let progress = Mutex::new(Progress::new());
    let interrupt = run::interrupt().context("waiting for an interrupt")?;
    let report = soak::safety(&sources(config), options, &interrupt, &|done, of| {
        let mut progress = progress.lock().unwrap_or_else(|broken| broken.into_inner());
        progress.now(&format!("shard {done} of {of}"));
    })?;
    drop(progress);
    output::result(json, &report, &report.to_text())?;
    Ok(report.violations == 0 && report.ticks >= options.ticks)
}

fn perception(seeds: Seeds, json: &JsonArgument, config: &ConfigArguments) -> anyhow::Result<bool> {
    let mut progress = Progress::new();
    let figures = perception_eval::evaluate(
        &sources(config),
        seeds.first,
        seeds.last,
        &mut |done, of| progress.now(&format!("scene {} of {of}", done + 1)),
    )?;
    drop(progress);
    output::result(json, &figures, &figures.to_text())?;
    Ok(figures.goal_reached)
}

fn policy(
    name: &str,
    seeds: Seeds,
    hard: bool,
    jobs: JobsArgument,
    json: &JsonArgument,
    config: &ConfigArguments,
) -> anyhow::Result<bool> {
    let sources = sources(config);
    let options = EvalOptions {
        seeds: seeds.first..=seeds.last,
        poses: if hard {
            PosesFrom::HardNoise
        } else {
            PosesFrom::Cameras
        },
        jobs: jobs.count(),
        latency: Ticks::from_ms(sources.load()?.settings.policy.latency_ms),
    };
    let report = counted("episode", seeds, |progress| {
        policy_lab::evaluate(&sources, name, &options, progress)
    })?;
    output::result(json, &report, &policy_text(&report))?;
    Ok(report.goal_reached)
}

fn policy_text(report: &EvalReport) -> String {
    let by_class: Vec<String> = report
        .by_class
        .iter()
        .map(|(class, [episodes, succeeded])| format!("{class} {succeeded} of {episodes}"))
        .collect();
    let ends: Vec<String> = report
        .ends
        .iter()
        .map(|(end, count)| format!("{end} {count}"))
        .collect();
    format!(
        "{} on {}: {} of {} episodes succeeded ({:.1} %): {}\n  \
         ends        {}; said done and was not: {}\n  \
         length      p50 {:.2} s, p90 {:.2} s\n  \
         confidence  AUROC between good and failed runs {}\n  \
         goal        {:.0} % of each class: {}",
        report.policy,
        report.inference_backend,
        report.succeeded,
        report.episodes,
        100.0 * report.success_rate,
        by_class.join(", "),
        ends.join(", "),
        report.false_done,
        report.run_s.p50,
        report.run_s.p90,
        report
            .confidence_auroc
            .map_or("unknown: all runs ended alike".to_owned(), |area| format!(
                "{area:.3}"
            )),
        100.0 * report.goal_success_rate,
        if report.goal_reached {
            "reached"
        } else {
            "NOT reached"
        },
    )
}

fn demonstrations(
    options: &DemoOptions,
    json: &JsonArgument,
    config: &ConfigArguments,
) -> anyhow::Result<bool> {
    let seeds = Seeds {
        first: *options.seeds.start(),
        last: *options.seeds.end(),
    };
    let report = counted("episode", seeds, |progress| {
        policy_lab::demonstrate(&sources(config), options, progress)
    })?;
    let text = format!(
        "{} of {} demonstrations succeeded; {} samples in {}",
        report.succeeded,
        report.episodes,
        report.samples,
        report.out.display()
    );
    output::result(json, &report, &text)?;
    Ok(true)
}

fn images(
    seeds: Seeds,
    out: &std::path::Path,
    json: &JsonArgument,
    config: &ConfigArguments,
) -> anyhow::Result<bool> {
    let scenes = seeds.last - seeds.first + 1;
    policy_lab::photograph(&sources(config), out, seeds.first, scenes)?;
    let text = format!("{scenes} scenes in {}", out.display());
    output::result(json, &json!({"scenes": scenes, "out": out}), &text)?;
    Ok(true)
}

/// Runs `work` with a line that says how many of its seeds are done.
fn counted<T>(
    what: &str,
    seeds: Seeds,
    work: impl FnOnce(&(dyn Fn(usize) + Sync)) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let of = seeds.last - seeds.first + 1;
    let progress = Mutex::new(Progress::new());
    work(&|done| {
        if let Ok(mut progress) = progress.lock() {
            progress.now(&format!("{what} {done} of {of}"));
        }
    })
}
