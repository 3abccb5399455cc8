//! What every host of a job shares: configuration, models, plugins. Loaded and checked once, before anything
//! moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use sinew_inference::{Backend, InferenceError, choose};
use sinew_kinematics::isometry_to_pose;
use sinew_messages::{JointVector, Mailbox};
use sinew_perception::Detector;
use sinew_plugin_host::{
    HostPorts, Kind, Limits, LoadError, PluginHost, PolicyEnd, PolicyOrder, PolicyPort,
    PolicyRefusal, RobotPort, read_manifest,
};
use sinew_policy::PolicyStore;
use sinew_sim::FixedPlace;
use sinew_skill_store::Held;
use sinew_tasks::{
    CellNames, InstallError, Installed, InstalledVersion, Plugins as _, Version as _,
};
use sinew_units::Tick;
use sinew_world::Place;

use crate::assets;
use crate::skills::{
    Admission, Books, Clock, FromStore, Provided, StorePlace, compiled, complete, load_active,
    missing, names, unknown_class, vouched,
};
use crate::sources::{Config, Sources};
use crate::trouble::{input, refused};

/// A plugin's bytes and where they came from.
#[derive(Clone, Debug)]
pub struct PluginFile {
    /// File name, or what else a person would look for.
    pub origin: String,
    /// The component.
    pub bytes: Vec<u8>,
    /// It is part of the program: another version in the store stands in for it.
    pub built_in: bool,
}

/// Configuration, models and plugins, ready for any number of hosts.
pub struct Kit {
    pub(crate) config: Config,
    pub(crate) backend: Arc<dyn Backend>,
    /// What a person should know about how it came to be loaded like this.
    pub(crate) notes: Vec<String>,
    pub(crate) detector: Detector,
    pub(crate) policies: PolicyStore,
    pub(crate) plugins: Installed,
    /// Versions and digests of everything that decides anything.
    pub(crate) versions: BTreeMap<String, String>,
    /// Plugins that nobody has signed, out of the store.
    pub(crate) unsigned: Vec<String>,
    /// What was loaded out of the store.
    stored: Vec<Held>,
    /// What there is for plugins that need it.
    provided: Provided,
    /// The books on plugins out of the store, once somebody runs them.
    pub(crate) books: Option<Arc<Books>>,
}

impl Kit {
    /// Reads configuration and models, compiles plugins.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) for whatever can't be used, [`Refused`](crate::Refused) for a plugin
    /// that asks for more than it was granted.
    pub fn load(sources: &Sources, plugins: &[PluginFile]) -> anyhow::Result<Self> {
        Self::load_within(sources, plugins, Limits::default())
    }

    /// As [`Self::load`], with other budgets of each plugin run: for measurements.
    pub(crate) fn load_within(
        sources: &Sources,
        plugins: &[PluginFile],
        mut limits: Limits,
    ) -> anyhow::Result<Self> {
        let config = sources.load()?;
        // A plugin that keeps the thread has to be gone before the brain is taken for dead. A tick is a millisecond.
        let silence_ms = config.safety.config().heartbeat_ticks;
        limits.step_cpu_ms = limits.step_cpu_ms.min(silence_ms.saturating_mul(3) / 5);
        let selection = choose(&sources.backend).map_err(|error| input(error.to_string()))?;
        let mut notes: Vec<String> = (selection.skipped.iter())
            .filter(|error| matches!(error, InferenceError::Library { .. }))
            .map(|error| format!("skipped: {error}"))
            .collect();
        let backend = selection.backend;
        let (detector, digest) = assets::detector(sources.models.as_deref(), &*backend)?;
        let policies = assets::policies(sources.models.as_deref())?;
        for policy in policies.iter() {
            // Every host loads its own; that it can is known before the first one starts.
            assets::try_policy(policy, &*backend)?;
        }
        let loaded = install(sources, &config, plugins, limits).map_err(|error| {
            let flags = |store: &StorePlace| store.flags(sources.grants.as_deref());
            complete(
                error,
                &sources.store.as_ref().map_or_else(String::new, flags),
            )
        });
        let Loaded {
            installed,
            mut versions,
            unsigned,
            stored,
            known,
            notes: of_plugins,
        } = loaded?;
        notes.extend(of_plugins);
        versions.insert("sinew".into(), env!("CARGO_PKG_VERSION").into());
        versions.extend(config.digests.clone());
        versions.insert("detector".into(), digest);
        for policy in policies.iter() {
            let manifest = policy.manifest();
            let name = format!("policy {}", manifest.name);
            versions.insert(name, manifest.model.sha256.clone());
        }
        let provided = Provided::of(&config, &detector, &policies);
        requirements(&config, &installed, &provided)?;
        grants_meet_plugins(sources, &config, &installed, &known)?;
        Ok(Self {
            config,
            backend,
            notes,
            detector,
            policies,
            plugins: installed,
            versions,
            unsigned,
            stored,
            provided,
            books: None,
        })
    }

    /// From now on runs of plugins out of the store are counted, and one that misbehaves on probation is left.
    pub(crate) fn keep_books(&mut self, sources: &Sources, clock: Clock) -> anyhow::Result<()> {
        let Some(store) = &sources.store else {
            return Ok(());
        };
        let host = self.plugins.host().with_ports(idle_ports(&self.config));
        let books = Arc::new(Books::open(
            store.clone(),
            host,
            Admission {
                grants: self.config.grants.clone(),
                provided: self.provided.clone(),
            },
            clock,
            &self.stored,
        )?);
        if let Some(why) = books.would_not_keep() {
            self.notes.push(format!(
                "{why}: no run counts, no probation goes on, and the next run begins with the versions that are active now"
            ));
        }
        books.be_quick();
        self.plugins.keep_books(Arc::clone(&books) as Arc<_>);
        self.books = Some(books);
        Ok(())
    }

    /// What parameters may name: what perception knows, and the places.
    pub(crate) fn cell_names(&self, places: &[Place]) -> CellNames {
        CellNames {
            classes: self.detector.classes().map(str::to_owned).collect(),
            colors: self.detector.colors().map(str::to_owned).collect(),
            places: (places.iter())
                .map(|place| (place.name.to_string(), place.kind.clone()))
                .collect(),
            poses: named_poses(&self.config).into_keys().collect(),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// The plugins, and what is known of them.
struct Loaded {
    installed: Installed,
    /// Digests by name.
    versions: BTreeMap<String, String>,
    /// Which of them nobody has signed.
    unsigned: Vec<String>,
    /// Those out of the store.
    stored: Vec<Held>,
    /// The names of all that the store has a version of, active or not.
    known: BTreeSet<String>,
    /// What a person should know of them.
    notes: Vec<String>,
}

fn install(
    sources: &Sources,
    config: &Config,
    plugins: &[PluginFile],
    limits: Limits,
) -> anyhow::Result<Loaded> {
    let host = PluginHost::new(limits, config.grants.clone(), idle_ports(config))
        .context("starting the plugin host")?;
    let stored = match &sources.store {
        Some(store) => load_active(store, &host.code_for())?,
        None => Vec::new(),
    };
    let known = match &sources.store {
        Some(store) => names(store)?,
        None => BTreeSet::new(),
    };
    let mut notes = Vec::new();
    let installed = Installed::new(host);
    let mut versions = BTreeMap::new();
    let mut unsigned = Vec::new();
    for plugin in &stored {
        let version = plugin.version(installed.host());
        let version = version.map_err(|error| not_installed(error, sources))?;
        plugin.check_consent(&version, &config.grants)?;
        let name = installed
            .add(version)
            .map_err(|error| not_installed(error, sources))?;
        if plugin.held().signer.is_none() {
            unsigned.push(name.clone());
        }
        versions.insert(name, plugin.held().digest.to_string());
    }
    for plugin in plugins {
        if plugin.built_in && stands_in(&stored, plugin)? {
            continue;
        }
        let host = installed.host();
        let name = match compiled(&sources.examiner, plugin, &host.code_for())? {
            Some(code) => {
                let code = vouched(&code);
                (host.load_compiled(&plugin.bytes, &plugin.origin, &code))
                    .map_err(InstallError::from)
                    .and_then(InstalledVersion::new)
                    .and_then(|version| installed.add(version))
            }
            None => installed.install(&plugin.bytes, &plugin.origin),
        };
        let name = name.map_err(|error| not_installed(error, sources))?;
        if plugin.built_in && known.contains(&name) {
            notes.push(format!(
                "no version of {name} in the store is active: the one that is built in runs"
            ));
        }
        let digest = sinew_inference::sha256_hex(&plugin.bytes);
        versions.insert(name, digest);
    }
    Ok(Loaded {
        stored: stored.iter().map(|loaded| loaded.held().clone()).collect(),
        known,
        installed,
        versions,
        unsigned,
        notes,
    })
}

fn not_installed(error: InstallError, sources: &Sources) -> anyhow::Error {
    match &error {
        InstallError::Load(LoadError::NotGranted { .. }) => refused(match sources.grants {
            Some(_) => error.to_string(),
            None => format!("no --grants was said. {error}"),
        }),
        _ => input(error.to_string()),
    }
}

/// Whether the store has another version of a built-in plugin.
fn stands_in(stored: &[FromStore], plugin: &PluginFile) -> anyhow::Result<bool> {
    let manifest =
        read_manifest(&plugin.bytes, &plugin.origin).map_err(|error| input(error.to_string()))?;
    Ok(stored
        .iter()
        .any(|stored| stored.held().name == manifest.name))
}

/// What the plugins need is there, and what they were granted is something.
fn requirements(config: &Config, installed: &Installed, there: &Provided) -> anyhow::Result<()> {
    for kind in [Kind::Skill, Kind::Recovery] {
        for name in installed.names(kind) {
            let Some(version) = installed.current(&name) else {
                continue;
            };
            let missing = missing(version.manifest(), there);
            if !missing.is_empty() {
                return Err(input(format!("`{name}`: {}", missing.join("; "))));
            }
            if let Some(words) = unknown_class(&name, &config.grants, there) {
                return Err(input(words));
            }
        }
    }
    Ok(())
}

/// A grant for a plugin that is not there is a slip of the pen: whoever wrote it believes that it says something.
fn grants_meet_plugins(
    sources: &Sources,
    config: &Config,
    installed: &Installed,
    stored: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let Some(path) = sources
        .grants
        .as_ref()
        .filter(|_| !sources.grants_for_others)
    else {
        return Ok(());
    };
    // A plugin of which no version is active at the moment has its grant all the same.
    let stray = (config.operator_grants.iter())
        .find(|name| installed.current(name).is_none() && !stored.contains(*name));
    let Some(stray) = stray else {
        return Ok(());
    };
    let origin = path.display();
    let loaded: Vec<String> = [Kind::Skill, Kind::Recovery]
        .into_iter()
        .flat_map(|kind| installed.names(kind))
        .collect();
    Err(input(format!(
        "{origin}: plugins.\"{stray}\": no such plugin is loaded; loaded are {}. Correct the name, take the \
         section out, or load the plugin: with --plugin FILE, or with --store FOLDER",
        loaded.join(", ")
    )))
}

/// Ports that lead nowhere: for loading, when there is no robot yet.
pub(crate) fn idle_ports(config: &Config) -> HostPorts {
    let (_, world) = sinew_world::world(Vec::new());
    HostPorts {
        world,
        robot: robot_port(config, &Arc::default(), Arc::new(|| 0)),
        policies: Arc::new(Mutex::new(NoPolicies)),
        operator: None,
    }
}

/// How plugins reach the robot.
pub(crate) fn robot_port(
    config: &Config,
    mailbox: &Arc<Mailbox>,
    goal_ids: sinew_plugin_host::GoalIds,
) -> RobotPort {
    let gripper = &config.robot.gripper;
    let chain = config.robot.chain();
    RobotPort {
        tool_at: Arc::new(move |joints| isometry_to_pose(&chain.forward(joints).tool)),
        tool_braking_m_s2: config.motion.config().tool_linear.acceleration,
        mailbox: Arc::clone(mailbox),
        goal_ids,
        named_poses: Arc::new(named_poses(config)),
        gripper_closed_m: gripper.width_min_m,
        gripper_open_m: gripper.width_max_m,
        gripper_force_max_n: gripper.force_max_n,
        gripper_speed_m_s: gripper.speed_max_m_s,
    }
}

pub(crate) fn named_poses(config: &Config) -> BTreeMap<String, JointVector> {
    config
        .robot
        .poses
        .iter()
        .map(|pose| (pose.name.clone(), pose.joints_rad))
        .collect()
}

/// The cell's fixed places, as the world knows them.
pub(crate) fn place(place: FixedPlace) -> Place {
    Place {
        name: place.name.into(),
        kind: place.kind.to_owned(),
        pose: place.pose,
        size_m: place.size_m,
    }
}

/// No policy is loaded yet.
struct NoPolicies;

impl PolicyPort for NoPolicies {
    fn available(&self) -> Vec<String> {
        Vec::new()
    }

    fn start(&mut self, order: &PolicyOrder<'_>, _: Tick) -> Result<u64, PolicyRefusal> {
        Err(PolicyRefusal::NotNow(format!(
            "policy `{}` is not loaded",
            order.policy
        )))
    }

    fn outcome(&mut self, _: u64) -> Option<PolicyEnd> {
        None
    }

    fn cancel(&mut self, _: u64, _: Tick) {}
}
