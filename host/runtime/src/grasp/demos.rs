//! Demonstrations: the expert at work, with perturbations, and the expert's opinion of what a learner does.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sinew_inference::{Backend, InferenceError, Session, sha256_hex};
use sinew_policy::{Feature, Manifest, Policy, PolicyStore};
use sinew_sim::Cell;
use sinew_units::Ticks;

use super::bench::{Bench, Episode, Setup, Takeover};
use super::expert::{AnswerFn, Expert, Teacher};
use super::eyes::{Eyes, NoisyEyes, PoseNoise};
use super::in_parallel;
use super::noise::Noise;
use crate::sources::Config;
use crate::trouble::input;

/// Observations are handed to the expert in units of this, so that the runner's cut does not touch them.
const RAW_UNIT: f64 = 100.0;
/// Share of episodes in which the expert's answers are disturbed (Laskey et al. 2017): the learner sees
/// what it looks like to be a little off, and what to do then.
const DISTURBED_SHARE: f64 = 0.6;
/// Size of the disturbance, m and rad, at and per metre above the part.
const DISTURBANCE_M: (f64, f64) = (0.002, 0.05);
const DISTURBANCE_RAD: f64 = 0.06;
/// How much of a disturbance is left one inference later.
const DISTURBANCE_KEPT: f64 = 0.8;
/// States near each visited one that the expert is asked about too.
const NEARBY: usize = 7;
/// How far they are: across at the part and per metre above it (m), in height (m), in heading (rad), in
/// way per step (m).
const NEARBY_ACROSS_M: (f64, f64) = (0.003, 0.08);
const NEARBY_HEIGHT_M: f64 = 0.003;
const NEARBY_RAD: f64 = 0.08;
const NEARBY_WAY_M: f64 = 0.0015;
/// What an inference is charged.
const LATENCY: Ticks = Ticks::from_ms(10);

/// What to demonstrate.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// One episode a seed.
    pub seeds: std::ops::RangeInclusive<u64>,
    /// The file to write.
    pub out: PathBuf,
    /// A policy's folder: it acts, and the expert only says what it would have done (Ross et al. 2011).
    pub learner: Option<PathBuf>,
    /// Threads.
    pub jobs: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DemoReport {
    /// Episodes run.
    pub episodes: usize,
    /// Episodes at whose end the part hung in the gripper.
    pub succeeded: usize,
    /// Pairs of observation and chunk written.
    pub samples: usize,
    /// Where they are.
    pub out: PathBuf,
    /// The episodes that failed: seed, class, what the runner said.
    pub failures: Vec<String>,
}

/// One pair, in physical units.
struct Sample {
    observation: Vec<f64>,
    chunk: Vec<f64>,
}

/// Writes demonstrations for the policy of `manifest`.
///
/// The file is one line of JSON (names, widths, counts), then little-endian `f32` rows of seed, class
/// number, observation and chunk.
///
/// # Errors
/// If the learner can't be loaded, an episode can't be set up, or the file can't be written.
pub fn generate(
    config: &Config,
    backend: &dyn Backend,
    manifest: &Manifest,
    options: &DemoOptions,
    progress: &(dyn Fn(usize) + Sync),
) -> anyhow::Result<DemoReport> {
    let raw = raw_manifest(manifest);
    let learner = options
        .learner
        .as_deref()
        .map(|folder| Learner::load(folder, backend))
        .transpose()
        .map_err(|error| input(format!("--learner: {error:#}")))?
        .map(Mutex::new);
    // Before the work, not after it.
    let file = std::fs::File::create(&options.out)
        .map_err(|error| input(format!("--out {}: {error}", options.out.display())))?;
    let results = in_parallel(options.seeds.clone(), options.jobs, progress, |seed| {
        episode(config, &raw, learner.as_ref(), backend, seed)
    })?;

    let mut file = std::io::BufWriter::new(file);
    let mut classes: Vec<&str> = raw.objects.iter().map(|object| &*object.class).collect();
    classes.sort_unstable();
    let header = serde_json::json!({
        "policy": raw.name,
        "classes": classes,
        "observation": raw.observation_len(),
        "chunk": [raw.chunk_steps, raw.action.channels.len()],
        "seeds": [options.seeds.start(), options.seeds.end()],
        "learner": learner.is_some(),
    });
    writeln!(file, "{header}")?;
    let mut report = DemoReport {
        episodes: 0,
        succeeded: 0,
        samples: 0,
        out: options.out.clone(),
        failures: Vec::new(),
    };
    for (episode, samples) in &results {
        report.episodes += 1;
        report.succeeded += usize::from(episode.lifted);
        if !episode.lifted {
            report.failures.push(format!(
                "seed {}: {}: {}: {}",
                episode.seed,
                episode.class,
                episode.outcome.end.name(),
                episode.outcome.message
            ));
        }
        let class = classes.iter().position(|class| *class == episode.class);
        // A failed demonstration shows how to fail; a learner's failure shows what the expert would do.
        if !episode.lifted && learner.is_none() {
            continue;
        }
        for sample in samples {
            report.samples += 1;
            let row = [episode.seed as f32, class.unwrap_or_default() as f32]
                .into_iter()
                .chain(sample.observation.iter().map(|value| *value as f32))
                .chain(sample.chunk.iter().map(|value| *value as f32));
            for value in row {
                file.write_all(&value.to_le_bytes())?;
            }
        }
    }
    file.flush()?;
    Ok(report)
}

fn episode(
    config: &Config,
    raw: &Manifest,
    learner: Option<&Mutex<Learner>>,
    backend: &dyn Backend,
    seed: u64,
) -> anyhow::Result<(Episode, Vec<Sample>)> {
    let noise = Noise::new(seed, "demonstration");
    let samples = Arc::new(Mutex::new(Vec::new()));
    let actor = match learner {
        None => None,
        Some(learner) => {
            let learner = learner.lock().unwrap_or_else(PoisonError::into_inner);
            Some(learner.session(backend)?)
        }
    };
    let answer = teaching(raw, actor, Arc::clone(&samples), noise);
    let setup = Setup {
        config,
        takeover: Takeover::WIDE,
        latency: LATENCY,
    };
    let mut store = PolicyStore::default();
    store.insert(Policy::new(raw.clone(), b"", "demonstrations")?);
    let cell = Cell::new(&config.robot, &config.cell);
    let bench = Bench::new(
        &setup,
        &cell,
        seed,
        store,
        Arc::new(Teacher::new(raw, answer)),
        |writer| {
            let eyes = NoisyEyes::new(&cell, PoseNoise::USUAL, seed);
            Ok(Eyes::Noisy(Box::new(eyes), writer))
        },
    )?;
    let episode = bench.run(&setup, seed)?;
    let samples = std::mem::take(&mut *samples.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((episode, samples))
}

/// The manifest with observations and actions in (scaled) physical units, and no doubts.
fn raw_manifest(manifest: &Manifest) -> Manifest {
    let mut raw = manifest.clone();
    let statistics = &mut raw.normalisation;
    statistics.observation_mean.fill(0.0);
    statistics.observation_std.fill(RAW_UNIT);
    statistics.action_mean.fill(0.0);
    statistics.action_std.fill(1.0);
    raw.confidence.low_below = 0.0;
    raw.model.sha256 = sha256_hex(b"");
    raw
}

/// Records what the expert says; acts as the expert with disturbances, or as the learner.
fn teaching(
    raw: &Manifest,
    mut actor: Option<Actor>,
    samples: Arc<Mutex<Vec<Sample>>>,
    mut noise: Noise,
) -> AnswerFn {
    let expert = Expert::new(raw);
    let channels = raw.action.channels.len();
    let features = raw.observation.features.clone();
    let disturbed = actor.is_none() && noise.uniform(0.0, 1.0) < DISTURBED_SHARE;
    let height_at = raw.observation_len() - raw.observation.features.len() + 2;
    let mut push = [0.0; 4];
    Box::new(move |input| {
        let observation: Vec<f64> = input.iter().map(|v| f64::from(*v) * RAW_UNIT).collect();
        let chunk = expert.chunk(&observation);
        let mut answer: Vec<f32> = chunk.iter().map(|value| *value as f32).collect();
        let above = (-observation[height_at]).max(0.0);
        let mut seen = samples.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(Sample {
            observation: observation.clone(),
            chunk,
        });
        for _ in 0..NEARBY {
            let observation = nearby(&features, &observation, above, &mut noise);
            let chunk = expert.chunk(&observation);
            seen.push(Sample { observation, chunk });
        }
        drop(seen);
        if let Some(actor) = &mut actor {
            return actor.answer(&observation);
        }
        if disturbed {
            let fresh = (1.0 - DISTURBANCE_KEPT * DISTURBANCE_KEPT).sqrt();
            for (axis, push) in push.iter_mut().enumerate() {
                let size = if axis < 3 {
                    DISTURBANCE_M.0 + DISTURBANCE_M.1 * above
                } else {
                    DISTURBANCE_RAD
                };
                *push = DISTURBANCE_KEPT * *push + noise.normal(size * fresh);
            }
            for step in answer.chunks_exact_mut(channels) {
                step[0] += push[0] as f32;
                step[1] += push[1] as f32;
                // Upwards only: downwards there is the bin.
                step[2] += push[2].abs() as f32;
                let yaw = f64::from(step[3]).atan2(f64::from(step[4])) + push[3];
                step[3] = yaw.sin() as f32;
                step[4] = yaw.cos() as f32;
            }
        }
        Ok(answer)
    })
}

/// The observation of a state near the one that was visited: the same in every frame, so that the history
/// stays plausible.
fn nearby(features: &[Feature], visited: &[f64], above: f64, noise: &mut Noise) -> Vec<f64> {
    let across = NEARBY_ACROSS_M.0 + NEARBY_ACROSS_M.1 * above;
    let object: [f64; 3] =
        core::array::from_fn(|axis| noise.normal(if axis < 2 { across } else { NEARBY_HEIGHT_M }));
    let way: [f64; 3] = core::array::from_fn(|_| noise.normal(NEARBY_WAY_M));
    let turn = noise.normal(NEARBY_RAD);
    let mut near = visited.to_vec();
    for frame in near.chunks_exact_mut(features.len()) {
        let place = |feature| features.iter().position(|f| *f == feature);
        for (feature, shift) in [
            (Feature::ObjectX, object[0]),
            (Feature::ObjectY, object[1]),
            (Feature::ObjectZ, object[2]),
            (Feature::ToolDx, way[0]),
            (Feature::ToolDy, way[1]),
            (Feature::ToolDz, way[2]),
        ] {
            if let Some(at) = place(feature) {
                frame[at] += shift;
            }
        }
        if let (Some(sin), Some(cos)) = (place(Feature::YawSin2), place(Feature::YawCos2)) {
            // What is round has no heading to be wrong about.
            if frame[sin] != 0.0 {
                let angle = frame[sin].atan2(frame[cos]) + 2.0 * turn;
                (frame[sin], frame[cos]) = angle.sin_cos();
            }
        }
    }
    near
}

/// A trained policy under observation.
struct Learner {
    manifest: Manifest,
    model: Vec<u8>,
}

impl Learner {
    fn load(folder: &Path, backend: &dyn Backend) -> anyhow::Result<Self> {
        let policy = Policy::from_dir(folder)?;
        let learner = Self {
            manifest: policy.manifest().clone(),
            model: policy.model().to_vec(),
        };
        learner.session(backend)?;
        Ok(learner)
    }

    fn session(&self, backend: &dyn Backend) -> Result<Actor, InferenceError> {
        Ok(Actor {
            manifest: self.manifest.clone(),
            session: backend.load(&self.manifest.name, &self.model)?,
        })
    }
}

/// One loaded copy of a learner.
struct Actor {
    manifest: Manifest,
    session: Box<dyn Session>,
}

impl Actor {
    /// The learner's chunk for an observation in physical units, in physical units.
    fn answer(&mut self, observation: &[f64]) -> Result<Vec<f32>, InferenceError> {
        let input = self.manifest.normalise(observation);
        let mut outputs = self.session.output_buffers();
        self.session.run(&[&input], &mut outputs)?;
        let statistics = &self.manifest.normalisation;
        let channels = statistics.action_std.len();
        Ok(outputs[0]
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let channel = index % channels;
                let scaled = f64::from(*value) * statistics.action_std[channel];
                (scaled + statistics.action_mean[channel]) as f32
            })
            .collect())
    }
}
