//! `sinew run`: a job on the simulated cell, watched and reported.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use sinew_runtime::host::Speed;
use sinew_runtime::job::{self, JobOptions};
use sinew_runtime::kit::PluginFile;
use sinew_runtime::replay::{self, ReplayOptions};
use sinew_runtime::watch::Progress as JobProgress;
use sinew_runtime::{Choice, InputError, Sources, files};

use crate::arguments::{
    ConfigArguments, InferenceArgument, ReplayArguments, RunArguments, SpeedArgument,
};
use crate::output::{self, Progress};
use crate::skill;

/// Runs the job.
pub(crate) fn run(arguments: &RunArguments) -> anyhow::Result<bool> {
    let options = JobOptions {
        seed: arguments.seed,
        first_cycle: arguments.first_cycle,
        cycles: arguments.cycles,
        profile: arguments.profile.clone(),
        scenario: (arguments.scenario.clone())
            .or_else(|| arguments.person.then(|| "person".to_owned())),
        scenarios: arguments.scenario_file.clone(),
        goal: arguments.goal,
        recovery: !arguments.no_recovery,
        speed: match arguments.speed {
            SpeedArgument::Max => Speed::Max,
            SpeedArgument::Real => Speed::Real,
            SpeedArgument::Factor(factor) => Speed::Factor(factor),
        },
        skill: arguments.skill.clone(),
        params: arguments.params.as_deref().map(parameters).transpose()?,
        plugins: plugins(&arguments.plugin)?,
        out: arguments.out.clone(),
        keep_runs: arguments.keep_runs,
        sources: Sources {
            store: (arguments.store.as_ref())
                .map(|folder| skill::place(folder, arguments.trust.as_ref()))
                .transpose()?,
            examiner: skill::examiner()?,
            ..sources(&arguments.config)
        },
        interrupt: interrupt().context("waiting for an interrupt")?,
    };
    let mut screen = Screen::new();
    let report = job::run(&options, &mut |progress| screen.show(progress))?;
    drop(screen);
    output::result(&arguments.json, &report, &job::report_text(&report))?;
    Ok(report.goal_reached)
}

/// Does recorded runs again.
pub(crate) fn replay(arguments: &ReplayArguments) -> anyhow::Result<bool> {
    let skill = arguments
        .skill
        .as_deref()
        .map(|file| plugin("--skill", file));
    let report = replay::replay(&ReplayOptions {
        file: arguments.file.clone(),
        run: arguments.run.clone(),
        skill: skill.transpose()?,
        plugins: plugins(&arguments.plugin)?,
        store: (arguments.store.as_ref())
            .map(|store| skill::place(store, None))
            .transpose()?,
        sources: Sources {
            examiner: skill::examiner()?,
            ..Sources::default()
        },
    })?;
    output::result(&arguments.json, &report, &report.to_text())?;
    Ok(report.identical)
}

/// A flag that Ctrl-C and a request to terminate set. The second one ends the process at once.
pub(crate) fn interrupt() -> std::io::Result<Arc<AtomicBool>> {
    interrupt_by(&[SIGINT, SIGTERM])
}

/// The same for whoever holds a robot's motion: a terminal that hangs up has let go, too.
pub(crate) fn interrupt_of_holder() -> std::io::Result<Arc<AtomicBool>> {
    interrupt_by(&[
        SIGINT,
        SIGTERM,
        #[cfg(unix)]
        signal_hook::consts::SIGHUP,
    ])
}

fn interrupt_by(signals: &[i32]) -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for &signal in signals {
        // In this order: the first signal finds the flag down, the second finds it up.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

/// Where configuration and models come from.
pub(crate) fn sources(arguments: &ConfigArguments) -> Sources {
    Sources {
        robot: arguments.robot_config.clone(),
        safety: arguments.safety_config.clone(),
        default_grants: sinew_skill_artifacts::GRANTS.to_owned(),
        grants: arguments.grants.clone(),
        host: arguments.host_config.clone(),
        models: arguments.models.clone(),
        backend: match arguments.inference {
            InferenceArgument::Auto => Choice::Auto,
            InferenceArgument::Onnxruntime => Choice::OnnxRuntime(None),
            InferenceArgument::Embedded => Choice::Embedded,
        },
        grants_for_others: false,
        examiner: Vec::new(),
        store: None,
    }
}

/// The plugins that are part of the binary, then those named on the command line.
pub(crate) fn plugins(files: &[std::path::PathBuf]) -> anyhow::Result<Vec<PluginFile>> {
    let mut all: Vec<PluginFile> = sinew_skill_artifacts::SKILLS
        .iter()
        .map(|(name, bytes)| PluginFile {
            origin: format!("built-in {name}"),
            bytes: bytes.to_vec(),
            built_in: true,
        })
        .collect();
    for file in files {
        all.push(plugin("--plugin", file)?);
    }
    Ok(all)
}

/// This program, as it is: also if its file was replaced meanwhile.
pub(crate) fn this_program() -> anyhow::Result<std::ffi::OsString> {
    Ok(if cfg!(target_os = "linux") {
        "/proc/self/exe".into()
    } else {
        std::env::current_exe()?.into()
    })
}

fn plugin(option: &str, file: &Path) -> Result<PluginFile, InputError> {
    let bytes = files::read_bytes(file, files::BINARY_MAX)
        .map_err(|error| InputError(format!("{option} {error}")))?;
    Ok(PluginFile {
        origin: file.display().to_string(),
        bytes,
        built_in: false,
    })
}

/// `--params`: JSON, or `@FILE`.
pub(crate) fn parameters(text: &str) -> anyhow::Result<serde_json::Value> {
    let (origin, json) = match text.strip_prefix('@') {
        Some(file) => (
            file,
            files::read_text(Path::new(file))
                .map_err(|error| InputError(format!("--params {error}")))?,
        ),
        None => ("--params", text.to_owned()),
    };
    serde_json::from_str(&json)
        .map_err(|error| InputError(format!("{origin} is not JSON: {error}")))
        .context("parameters")
}

/// What a person sees while the job runs.
struct Screen(Progress);

impl Screen {
    fn new() -> Self {
        Self(Progress::new())
    }

    fn show(&mut self, progress: &JobProgress<'_>) {
        match progress {
            JobProgress::Started { lines } => {
                for line in *lines {
                    self.0.line(line);
                }
            }
            JobProgress::CycleStarted {
                number,
                of,
                cycle,
                order,
            } => self
                .0
                .heading(&format!("{number} of {of}, cycle #{cycle}: {order}")),
            JobProgress::Now(now) => self.0.now(&format!(
                "  {:6.1} s  {:4.2} m/s  stops {}  recoveries {}  {:4.1}x  {}",
                now.sim_seconds,
                now.tool_speed_m_s,
                now.stops,
                now.recoveries,
                now.realtime_factor,
                now.step
            )),
            JobProgress::Event {
                sim_seconds,
                message,
            } => self.0.line(&format!("  {sim_seconds:6.1} s  {message}")),
            JobProgress::CycleEnded { report } => self.0.line(&format!(
                "  {}: {}in {:.1} s{}{}",
                if report.succeeded {
                    "succeeded"
                } else {
                    "FAILED"
                },
                match report.parts_ordered {
                    0 => String::new(),
                    ordered => format!("{} of {ordered} parts ", report.parts_placed),
                },
                report.duration_s,
                match report.recoveries.attempted {
                    0 => String::new(),
                    attempted => format!(
                        ", recoveries {} of {attempted}",
                        report.recoveries.succeeded
                    ),
                },
                match &report.failure {
                    Some(label) => format!(", {label}"),
                    None => String::new(),
                }
            )),
        }
    }
}
