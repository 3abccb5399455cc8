//! The engine against fake plugins and a made-up world.

mod denials;
mod recovering;
mod running;
mod sharing;
mod swapping;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::installed::{Account, Version};
use bytemuck::Zeroable;
use serde_json::{Value, json};
use sinew_messages::{LimitKind, LoopStatus, Pose, StopState};
use sinew_plugin_host::{
    Assessment, Checkpoint, Denial, DenialReason, Failure, Kind, Lease, Manifest, Proposal,
    RecoveryContext, RunDenials, RunEnd, RunEvent, RunRecord, StartError, Usage,
};
use sinew_units::{Tick, Ticks};
use sinew_world::{ObjectTrack, Place, WorldSnapshot, WorldWriter, world};

use crate::{
    Condition, EngineConfig, FailureLabel, FaultKind, Happening, History, PluginRun, Plugins,
    RecoveryBudget, SubmitError, SubmitOptions, TaskEnd, TaskEngine, TaskId, TaskState,
};

/// What one run does.
#[derive(Clone)]
struct Script {
    ticks: u64,
    end: RunEnd,
    checkpoint: Option<u8>,
    is_deaf: bool,
    is_refused: bool,
    /// Part of a step's time that each poll takes, in percent.
    takes: u64,
}

fn script(ticks: u64, end: RunEnd) -> Script {
    Script {
        ticks,
        end,
        checkpoint: None,
        is_deaf: false,
        is_refused: false,
        takes: 0,
    }
}

fn done(ticks: u64) -> Script {
    script(ticks, RunEnd::Finished(json!({ "placed": 1 })))
}

fn put_right(next: &str) -> Script {
    let result = json!({ "message": "put right", "next": next });
    script(50, RunEnd::Finished(result))
}

fn fails(label: &str) -> Script {
    let failure = Failure {
        label: label.to_owned(),
        message: "so it went".to_owned(),
        detail: json!({ "line": 2 }),
    };
    script(20, RunEnd::Failed(failure))
}

impl Script {
    fn saving(mut self, progress: u8) -> Self {
        self.checkpoint = Some(progress);
        self
    }

    /// Something is refused to it when it ends.
    fn refused(mut self) -> Self {
        self.is_refused = true;
        self
    }

    fn taking(mut self, percent: u64) -> Self {
        self.takes = percent;
        self
    }

    fn deaf(mut self) -> Self {
        self.is_deaf = true;
        self
    }
}

struct FakeRun {
    name: String,
    script: Script,
    until: Option<Tick>,
    /// Steps in which it had no turn.
    unserved: u64,
    checkpoint: Option<Checkpoint>,
    is_cancelled: bool,
    /// Checkpoints that whoever takes over reads.
    reads: Vec<u32>,
    events: Vec<RunEvent>,
    share: Rc<Share>,
}

/// What fake runs use of a step.
#[derive(Default)]
struct Share {
    /// Percent.
    used: Cell<u64>,
    /// Who went on, in order.
    served: RefCell<Vec<String>>,
}

impl Share {
    fn is_used_up(&self) -> bool {
        self.used.get() >= 100
    }
}

impl PluginRun for FakeRun {
    fn poll(&mut self, now: Tick) -> Option<RunEnd> {
        let until = *self.until.get_or_insert(now + Ticks(self.script.ticks));
        if self.share.is_used_up() {
            self.unserved += 1;
            return None;
        }
        if self.is_cancelled && !self.script.is_deaf {
            return Some(RunEnd::Cancelled { killed: false });
        }
        self.share
            .used
            .set(self.share.used.get() + self.script.takes);
        self.share.served.borrow_mut().push(self.name.clone());
        if now < until {
            return None;
        }
        let handed_over = self.reads.contains(&1) && self.script.checkpoint.is_some();
        if let Some(progress) = self.script.checkpoint.take() {
            self.checkpoint = Some(Checkpoint {
                schema: 1,
                bytes: vec![progress],
            });
            self.events.push(RunEvent::SafePoint {
                tick: now,
                schema: 1,
            });
        }
        if handed_over {
            return Some(RunEnd::HandedOver);
        }
        Some(self.script.end.clone())
    }

    fn cancel(&mut self) {
        self.is_cancelled = true;
    }

    fn kill(&mut self) -> RunEnd {
        RunEnd::Cancelled { killed: true }
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        self.checkpoint.clone()
    }

    fn take_record(&mut self) -> Option<RunRecord> {
        None
    }

    fn hand_over(&mut self, reads: &[u32]) {
        self.reads = reads.to_vec();
    }

    fn usage(&self) -> Usage {
        Usage {
            calls: 1,
            ..Usage::default()
        }
    }

    fn ran(&self, now: Tick) -> Ticks {
        let began = self
            .until
            .map_or(now.0, |until| until.0 - self.script.ticks);
        Ticks((now.0 - began).saturating_sub(self.unserved))
    }

    fn take_denials(&mut self) -> Option<RunDenials> {
        (self.script.is_refused).then(|| refused_to(&self.name))
    }

    fn take_events(&mut self) -> Vec<RunEvent> {
        std::mem::take(&mut self.events)
    }
}

/// One refusal of a plugin.
fn refused_to(plugin: &str) -> RunDenials {
    RunDenials {
        plugin: plugin.to_owned(),
        version: "1.0.0".to_owned(),
        digest: "ab".repeat(32),
        kinds: vec![Denial {
            function: "motion.start".to_owned(),
            reason: DenialReason::Zone,
            text: "no".to_owned(),
            count: 3,
            first: Tick(1),
            last: Tick(2),
        }],
        more: None,
    }
}

#[derive(Default)]
struct Fakes {
    versions: RefCell<BTreeMap<String, FakeVersion>>,
    proposals: BTreeMap<String, (u64, f64)>,
    /// What recoveries were told when they were asked: the skill's version, and whether there is a checkpoint.
    asked: RefCell<Vec<(String, bool)>>,
    /// Recoveries that are refused something when they are asked.
    refused_to_assess: Vec<String>,
    scripts: RefCell<BTreeMap<String, VecDeque<Script>>>,
    /// What each run was started with.
    starts: RefCell<Vec<(String, Option<u8>, u32)>>,
    /// What was booked: version, account, calls.
    booked: RefCell<Vec<(String, Account, u64)>>,
    /// What is active instead, once a version misbehaves: another one, or none; without it none is ever left.
    instead: RefCell<Option<Option<FakeVersion>>>,
    /// Versions whose schema refuses every parameter.
    picky: RefCell<Vec<String>>,
    share: Rc<Share>,
    /// Part of a step's time that a recovery takes to answer, in percent.
    answer_takes: u64,
}

#[derive(Clone)]
struct FakeVersion(Rc<(Manifest, Vec<Condition>)>);

impl Version for FakeVersion {
    fn manifest(&self) -> &Manifest {
        &self.0.0
    }

    fn digest(&self) -> &str {
        // As good as any other that differs from version to version.
        &self.0.0.version
    }

    fn conditions(&self) -> &[Condition] {
        &self.0.1
    }
}

/// An object with what another one adds to it, or has instead.
fn with(mut object: Value, extra: Value) -> Value {
    let (Some(map), Value::Object(extra)) = (object.as_object_mut(), extra) else {
        panic!("both are objects");
    };
    map.extend(extra);
    object
}

fn version(name: &str, extra: Value) -> FakeVersion {
    let manifest = json!({
        "name": name, "version": "1.0.0", "kind": "skill", "wit": "0.1.0", "summary": "s",
        "params_schema": { "properties": { "class": { "x-sinew-class": true } } },
        "result_schema": true, "checkpoints": [1],
    });
    let manifest = with(manifest, extra);
    let manifest = Manifest::from_json(manifest.to_string().as_bytes()).expect("a sound manifest");
    let conditions = Condition::parse_all(&manifest.post_conditions).expect("sound conditions");
    FakeVersion(Rc::new((manifest, conditions)))
}

impl Fakes {
    fn add(&mut self, name: &str, extra: Value, scripts: Vec<Script>) {
        let version = version(name, extra);
        self.versions.borrow_mut().insert(name.to_owned(), version);
        self.scripts
            .borrow_mut()
            .insert(name.to_owned(), scripts.into());
    }

    fn recovery(&mut self, name: &str, handles: &[&str], offer: (u64, f64), scripts: Vec<Script>) {
        self.add(
            name,
            json!({ "kind": "recovery", "handles": handles }),
            scripts,
        );
        self.proposals.insert(name.to_owned(), offer);
    }

    fn next(&self, name: &str, resume: Option<Checkpoint>, attempts: u32) -> FakeRun {
        let progress = resume.as_ref().map(|checkpoint| checkpoint.bytes[0]);
        self.starts
            .borrow_mut()
            .push((name.to_owned(), progress, attempts));
        let mut scripts = self.scripts.borrow_mut();
        let script = scripts.get_mut(name).and_then(VecDeque::pop_front);
        FakeRun {
            name: name.to_owned(),
            script: script.unwrap_or_else(|| fails("jam")),
            until: None,
            unserved: 0,
            checkpoint: resume,
            is_cancelled: false,
            reads: Vec::new(),
            share: Rc::clone(&self.share),
            events: vec![RunEvent::Step {
                tick: Tick(0),
                name: format!("work of {name}"),
                object_id: None,
            }],
        }
    }
}

impl Plugins for Fakes {
    type Run = FakeRun;

    type Version = FakeVersion;

    fn begin_step(&self) {
        self.share.used.set(0);
    }

    fn step_is_used_up(&self) -> bool {
        self.share.is_used_up()
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        (self.versions.borrow().iter())
            .filter(|(_, version)| version.manifest().kind == kind)
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn current(&self, name: &str) -> Option<FakeVersion> {
        self.versions.borrow().get(name).cloned()
    }

    fn check_params(&self, skill: &FakeVersion, params_json: &str) -> Result<Value, StartError> {
        let number = &skill.manifest().version;
        if self.picky.borrow().contains(number) {
            return Err(StartError::Params {
                name: skill.manifest().name.clone(),
                path: "/".to_owned(),
                reason: "no".to_owned(),
            });
        }
        Ok(serde_json::from_str(params_json)?)
    }

    fn account(&self, version: &FakeVersion, account: &Account, usage: &Usage) -> bool {
        let (number, calls) = (version.digest().to_owned(), usage.calls);
        (self.booked.borrow_mut()).push((number, account.clone(), calls));
        if !matches!(account, Account::Faulted(_)) {
            return false;
        }
        let Some(instead) = self.instead.borrow_mut().take() else {
            return false;
        };
        let mut versions = self.versions.borrow_mut();
        match instead {
            Some(instead) => versions.insert(version.manifest().name.clone(), instead),
            None => versions.remove(&version.manifest().name),
        };
        true
    }

    fn start_skill(
        &self,
        skill: &FakeVersion,
        _params_json: &str,
        resume: Option<Checkpoint>,
        _lease: Lease,
        _seed: u64,
        _now: Tick,
    ) -> Result<FakeRun, StartError> {
        let name = &skill.manifest().name;
        Ok(self.next(name, resume, 0))
    }

    fn assess(
        &self,
        recovery: &FakeVersion,
        failure: &Failure,
        context: &RecoveryContext,
        _seed: u64,
        now: Tick,
    ) -> Assessment {
        let name = recovery.manifest().name.as_str();
        let detail = match failure.message.starts_with("it trapped") {
            true => Value::Null,
            false => json!({ "line": 2 }),
        };
        assert_eq!(failure.detail, detail, "the detail reaches the recovery");
        assert_eq!(context.skill, "t/skill");
        assert_eq!(context.time_limit, RecoveryBudget::default().run_time);
        assert!(!self.share.is_used_up(), "there is time for an answer");
        let used = self.share.used.get() + self.answer_takes;
        self.share.used.set(used);
        let asked = (context.version.clone(), context.resumable);
        self.asked.borrow_mut().push(asked);
        let proposal = (self.proposals.get(name)).map(|&(cost_ticks, success)| Proposal {
            plan: "put it right".to_owned(),
            cost_ticks,
            success,
        });
        let mut assessment = Assessment::without_run(Ok(proposal));
        if self.refused_to_assess.iter().any(|refused| refused == name) {
            assessment.denials = Some(refused_to(name));
            let text = "`assess` may not move anything".to_owned();
            assessment.events = vec![RunEvent::Denied { tick: now, text }];
        }
        assessment
    }

    fn start_recovery(
        &self,
        recovery: &FakeVersion,
        _failure: &Failure,
        context: &RecoveryContext,
        _lease: Lease,
        _seed: u64,
        _now: Tick,
    ) -> Result<FakeRun, StartError> {
        let name = &recovery.manifest().name;
        Ok(self.next(name, None, context.attempts))
    }
}

struct Bench {
    engine: TaskEngine<Fakes>,
    writer: WorldWriter,
    status: LoopStatus,
    objects: Vec<ObjectTrack>,
    sequence: u64,
    is_blind: bool,
    image_every: u64,
}

fn bench(fakes: Fakes) -> Bench {
    let (writer, reader) = world(vec![Place {
        name: "A1".into(),
        kind: "pocket".to_owned(),
        pose: Pose::IDENTITY,
        size_m: [0.08, 0.08, 0.1],
    }]);
    let config = EngineConfig {
        classes: vec!["block".to_owned()],
        ..EngineConfig::default()
    };
    Bench {
        engine: TaskEngine::new(fakes, reader, config),
        writer,
        status: LoopStatus::zeroed(),
        objects: Vec::new(),
        sequence: 0,
        is_blind: false,
        image_every: 100,
    }
}

impl Bench {
    fn submit(&mut self, options: SubmitOptions) -> TaskId {
        self.engine
            .submit("t/skill", "{}", options)
            .expect("a sound request")
    }

    fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.status.tick += 1;
            let now = self.status.tick;
            if now.is_multiple_of(self.image_every) && !self.is_blind {
                self.sequence += 1;
                let mut snapshot = WorldSnapshot::empty();
                snapshot.sequence = self.sequence;
                snapshot.published_tick = now;
                snapshot.image_tick = now - 20;
                snapshot.objects.clone_from(&self.objects);
                self.writer.publish(snapshot);
            }
            self.engine.step(Tick(now), &self.status);
        }
    }

    fn finish(&mut self, task: TaskId) -> TaskEnd {
        for _ in 0..1_000 {
            self.run(200);
            if let Some(end) = self.engine.end(task) {
                return end.clone();
            }
        }
        panic!("it never ends: {:?}", self.engine.status(task));
    }

    fn events(&mut self) -> Vec<Happening> {
        let events = self.engine.take_events().into_iter();
        events.map(|event| event.what).collect()
    }

    fn starts(&self) -> Vec<(String, Option<u8>, u32)> {
        self.engine.plugins().starts.borrow().clone()
    }

    fn states(&mut self) -> Vec<TaskState> {
        self.engine
            .take_events()
            .into_iter()
            .filter_map(|event| match event.what {
                Happening::State { to, .. } => Some(to),
                _ => None,
            })
            .collect()
    }
}

fn skill(scripts: Vec<Script>) -> Fakes {
    let mut fakes = Fakes::default();
    fakes.add("t/skill", json!({}), scripts);
    fakes
}
