//! Closed-loop evaluation of the grasp policy on held-out seeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;
use sinew_hardware::Camera;
use sinew_inference::Backend;
use sinew_perception::{Detector, Perception, PerceptionConfig};
use sinew_policy::{Policy, PolicyEnd, PolicyStore};
use sinew_sim::Cell;
use sinew_units::Ticks;

use super::bench::{Bench, Episode, Setup, Takeover};
use super::eyes::{Eyes, NoisyEyes, PoseNoise};
use super::in_parallel;
use super::noise::Noise;
use crate::sources::Config;

/// Least and most scale of the pose noise in a hard evaluation: it is there to make runs fail.
const HARD: (f64, f64) = (1.0, 6.0);

/// Where the poses come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PosesFrom {
    /// Cameras and detector, as in a job.
    Cameras,
    /// Truth with noise of the detector's size.
    Noise,
    /// As `Noise`, with up to six times as much of it: for judging the confidence signal. No run is ended
    /// by low confidence then.
    HardNoise,
}

/// What to evaluate.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// One episode a seed.
    pub seeds: std::ops::RangeInclusive<u64>,
    /// Where the poses come from.
    pub poses: PosesFrom,
    /// Threads.
    pub jobs: usize,
    /// Latency that an inference is charged.
    pub latency: Ticks,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct EvalReport {
    /// The policy.
    pub policy: String,
    /// The inference backend.
    pub inference_backend: &'static str,
    /// First and last seed.
    pub seeds: [u64; 2],
    /// Episodes run.
    pub episodes: usize,
    /// Episodes that ended as done with the part truly up.
    pub succeeded: usize,
    /// Share of them.
    pub success_rate: f64,
    /// Share of each class that must succeed.
    pub goal_success_rate: f64,
    /// Every class reached it.
    pub goal_reached: bool,
    /// The same by part class: episodes, succeeded.
    pub by_class: BTreeMap<String, [usize; 2]>,
    /// Episodes by their end.
    pub ends: BTreeMap<String, usize>,
    /// Episodes that ended as done without the part being up.
    pub false_done: usize,
    /// Simulated length of a run, s.
    pub run_s: Quantiles,
    /// Area under the curve of the confidence between runs that succeeded and runs that did not; none if
    /// there were only ones of a kind.
    pub confidence_auroc: Option<f64>,
    /// Every episode.
    pub runs: Vec<Run>,
}

/// Share of held-out episodes of each class that must succeed.
const SUCCESS_GOAL: f64 = 0.95;

/// A distribution.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
}

/// One episode of an evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// Class of the part.
    pub class: String,
    /// True if it ended as done and the part is up.
    pub succeeded: bool,
    /// How it ended.
    pub end: &'static str,
    /// What the runner said.
    pub message: String,
    /// Lowest confidence.
    pub confidence: f64,
    /// Disagreement of successive chunks: position (m), yaw (rad), gripper.
    pub disagreements: Vec<[f64; 3]>,
}

/// Runs a policy closed loop, one episode a seed.
///
/// # Errors
/// If the model can't be loaded or an episode can't be set up.
pub fn run(
    config: &Config,
    backend: &Arc<dyn Backend>,
    detector: &Detector,
    policy: &Policy,
    options: &EvalOptions,
    progress: &(dyn Fn(usize) + Sync),
) -> anyhow::Result<EvalReport> {
    let mut manifest = policy.manifest().clone();
    if options.poses == PosesFrom::HardNoise {
        manifest.confidence.low_below = 0.0;
    }
    let policy = Policy::new(manifest, policy.model(), "evaluation")?;
    let episodes = in_parallel(options.seeds.clone(), options.jobs, progress, |seed| {
        episode(config, backend, detector, &policy, options, seed)
    })?;
    Ok(report(&policy, backend.name(), options, &episodes))
}

fn episode(
    config: &Config,
    backend: &Arc<dyn Backend>,
    detector: &Detector,
    policy: &Policy,
    options: &EvalOptions,
    seed: u64,
) -> anyhow::Result<Episode> {
    let setup = Setup {
        config,
        takeover: Takeover::PROMISED,
        latency: options.latency,
    };
    let mut store = PolicyStore::default();
    store.insert(policy.clone());
    let cell = Cell::new(&config.robot, &config.cell);
    let bench = Bench::new(&setup, &cell, seed, store, Arc::clone(backend), |writer| {
        let scale = match options.poses {
            PosesFrom::Cameras => {
                let settings = &config.settings.perception;
                let cameras = cell.cameras().into_iter();
                let perception = Perception::new(
                    detector,
                    cameras
                        .map(|camera| Box::new(camera) as Box<dyn Camera>)
                        .collect(),
                    writer,
                    PerceptionConfig {
                        rate_hz: settings.rate_hz,
                        latency: Ticks::from_ms(settings.latency_ms),
                        ..PerceptionConfig::default()
                    },
                )?;
                return Ok(Eyes::Cameras(Box::new(perception)));
            }
            PosesFrom::Noise => 1.0,
            PosesFrom::HardNoise => Noise::new(seed, "hardness").uniform(HARD.0, HARD.1),
        };
        let eyes = NoisyEyes::new(&cell, PoseNoise::USUAL.scaled(scale), seed);
        Ok(Eyes::Noisy(Box::new(eyes), writer))
    })?;
    bench
        .run(&setup, seed)
        .with_context(|| format!("policy `{}`", policy.manifest().name))
}

fn report(
    policy: &Policy,
    inference_backend: &'static str,
    options: &EvalOptions,
    episodes: &[Episode],
) -> EvalReport {
    let mut by_class = BTreeMap::<String, [usize; 2]>::new();
    let mut ends = BTreeMap::<String, usize>::new();
    for episode in episodes {
        let counts = by_class.entry(episode.class.clone()).or_default();
        counts[0] += 1;
        counts[1] += usize::from(episode.succeeded());
        *ends
            .entry(episode.outcome.end.name().to_owned())
            .or_default() += 1;
    }
    let succeeded = episodes.iter().filter(|e| e.succeeded()).count();
    let false_done = episodes
        .iter()
        .filter(|e| e.outcome.end == PolicyEnd::Done && !e.lifted)
        .count();
    let mut lengths: Vec<f64> = episodes
        .iter()
        .map(|e| e.outcome.ticks.as_seconds())
        .collect();
    lengths.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let index = (share * lengths.len().saturating_sub(1) as f64).round() as usize;
        lengths.get(index).copied().unwrap_or_default()
    };
    EvalReport {
        policy: policy.manifest().name.clone(),
        inference_backend,
        seeds: [*options.seeds.start(), *options.seeds.end()],
        episodes: episodes.len(),
        succeeded,
        success_rate: succeeded as f64 / episodes.len().max(1) as f64,
        goal_success_rate: SUCCESS_GOAL,
        goal_reached: by_class
            .values()
            .all(|[episodes, succeeded]| *succeeded as f64 >= SUCCESS_GOAL * *episodes as f64),
        by_class,
        ends,
        false_done,
        run_s: Quantiles {
            p50: quantile(0.5),
            p90: quantile(0.9),
        },
        confidence_auroc: auroc(episodes),
        runs: episodes.iter().map(run_of).collect(),
    }
}

fn run_of(episode: &Episode) -> Run {
    let outcome = &episode.outcome;
    Run {
        seed: episode.seed,
        class: episode.class.clone(),
        succeeded: episode.succeeded(),
        end: outcome.end.name(),
        message: outcome.message.clone(),
        confidence: outcome.confidence,
        disagreements: outcome
            .disagreements
            .iter()
            .map(|apart| [apart.position_m, apart.yaw_rad, apart.gripper])
            .collect(),
    }
}

/// Chance that a run that succeeded had the higher confidence than one that did not (Mann and Whitney
/// 1947); a tie counts half.
fn auroc(episodes: &[Episode]) -> Option<f64> {
    let of = |succeeded: bool| {
        episodes
            .iter()
            .filter(move |episode| episode.succeeded() == succeeded)
            .map(|episode| episode.outcome.confidence)
    };
    let pairs = of(true).count() * of(false).count();
    if pairs == 0 {
        return None;
    }
    let wins: f64 = of(true)
        .flat_map(|good| of(false).map(move |bad| (good, bad)))
        .map(|(good, bad)| match good.total_cmp(&bad) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    Some(wins / pairs as f64)
}
