//! What a guest does at the boundary, and what the host makes of it: it ends within its bounds, leaves nothing behind, and does
//! the same when it is done again.

mod bounds;
mod packing;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sinew_plugin_host::{
    Checkpoint, Failure, Grants, Lease, Limits, Plugin, PluginHost, RecoveryContext, ReplayVerdict,
    Run, RunDenials, RunEnd, RunEvent, RunRecord, Usage,
};
use sinew_units::Ticks;

use bounds::check_bounds;
use packing::{GRACE_TICKS, RUN_TICKS, SKILL, grants, packed};

use crate::choices::Choices;
use crate::interpreter::{SCRIPT_KEY, World};
use crate::raw::{component, try_component};
use crate::script::script;
use crate::surroundings::{Events, Folder, Surroundings};

/// What a guest is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Run,
    Recover,
    Assess,
}

impl Entry {
    fn drawn(byte: u8) -> Self {
        match byte % 4 {
            0 | 1 => Self::Run,
            2 => Self::Recover,
            _ => Self::Assess,
        }
    }
}

/// What came of a run, as far as it has to be the same every time.
#[derive(Debug, PartialEq)]
struct Outcome {
    end: Result<RunEnd, String>,
    ticks: u64,
    events: Vec<RunEvent>,
    denials: Option<RunDenials>,
    usage: Usage,
    checkpoint: Option<Checkpoint>,
    memory: BTreeMap<String, Vec<u8>>,
    files: Vec<(String, Vec<u8>)>,
    goals: String,
    record: Option<Vec<u8>>,
}

impl Outcome {
    /// The guard of the host's thread goes by the wall clock, and says so.
    fn is_deterministic(&self) -> bool {
        !matches!(
            &self.end,
            Ok(RunEnd::OutOfBudget {
                nondeterministic: true,
                ..
            })
        )
    }
}

struct Guests {
    folder: Folder,
    host: PluginHost,
    worlds: [World; 2],
    skill: Arc<Plugin>,
    recovery: Arc<Plugin>,
}

impl Guests {
    fn new() -> Self {
        let limits = Limits {
            step_wall_ms: 500,
            ..Limits::default()
        };
        let folder = Folder::new();
        let grants = Grants::from_toml_str(&grants(&folder.granted()), "grants.toml")
            .unwrap_or_else(|error| panic!("{error}"));
        let (_, ports) = Surroundings::new(Events::drawn(&mut Choices::of(&[])));
        let host = PluginHost::new(limits, grants, ports).expect("the engine starts");
        let worlds = ["skill", "recovery"].map(World::named);
        let load = |name: &str, world: &World| {
            let bytes = packed(name, component(name, &world.interpreter()));
            (host.load(&bytes, name)).unwrap_or_else(|error| panic!("{error}"))
        };
        let (skill, recovery) = (load("skill", &worlds[0]), load("recovery", &worlds[1]));
        Self {
            folder,
            host,
            worlds,
            skill,
            recovery,
        }
    }

    fn world(&self, entry: Entry) -> &World {
        &self.worlds[usize::from(entry != Entry::Run)]
    }
}

thread_local! {
    /// Each thread has its own: what a guest writes into its folder is nobody else's.
    static GUESTS: Guests = Guests::new();
}

/// A guest that makes the calls that the bytes say, in surroundings that they say.
pub fn wit_boundary(bytes: &[u8]) {
    GUESTS.with(|guests| {
        let mut choices = Choices::of(bytes);
        let entry = Entry::drawn(choices.byte());
        let events = Events::drawn(&mut choices);
        let script = script(guests.world(entry), entry == Entry::Assess, &mut choices);
        let plugin = match entry {
            Entry::Run => &guests.skill,
            Entry::Recover | Entry::Assess => &guests.recovery,
        };
        let memory = BTreeMap::from([(SCRIPT_KEY.to_owned(), script)]);
        guests.twice(plugin, entry, events, &memory);
    });
}

/// A guest out of any core module. `world` is `skill` or `recovery`; what does not fit it is no guest.
pub fn guest(world: &str, events: &[u8], module: &[u8]) -> bool {
    let Ok(component) = try_component(world, module) else {
        return false;
    };
    GUESTS.with(|guests| {
        let plugin = match guests.host.load(&packed(world, component), "guest") {
            Ok(plugin) => plugin,
            Err(error) => {
                let error = error.to_string();
                assert!(!error.contains("bulk memory instructions"), "{error}");
                return false;
            }
        };
        let events = Events::drawn(&mut Choices::of(events));
        let entries: &[Entry] = match world {
            "skill" => &[Entry::Run],
            _ => &[Entry::Recover, Entry::Assess],
        };
        for entry in entries {
            guests.twice(&plugin, *entry, events, &BTreeMap::new());
        }
        true
    })
}

impl Guests {
    fn twice(
        &self,
        plugin: &Arc<Plugin>,
        entry: Entry,
        events: Events,
        memory: &BTreeMap<String, Vec<u8>>,
    ) {
        let first = self.attempt(plugin, entry, events, memory);
        let second = self.attempt(plugin, entry, events, memory);
        if first.is_deterministic() && second.is_deterministic() {
            assert_eq!(first, second, "the same again is the same");
        }
    }

    fn attempt(
        &self,
        plugin: &Arc<Plugin>,
        entry: Entry,
        events: Events,
        memory: &BTreeMap<String, Vec<u8>>,
    ) -> Outcome {
        self.folder.restore();
        let (mut around, ports) = Surroundings::new(events);
        let host = self.host.with_ports(ports);
        let name = plugin.manifest().name.clone();
        host.set_memory(&name, memory.clone());
        let failure = Failure {
            label: "no-grasp".to_owned(),
            message: "nothing between the fingers".to_owned(),
            detail: json!({"object": 7}),
        };
        let context = RecoveryContext {
            skill: SKILL.to_owned(),
            version: "1.0.0".to_owned(),
            params: Value::Null,
            attempts: 1,
            resumable: true,
            time_limit: Ticks(50),
        };
        let now = around.now();
        let run = match entry {
            Entry::Assess => {
                let mut assessment = host.assess(plugin, &failure, &context, 1, now);
                let end = match assessment.answer {
                    Ok(Some(proposal)) => {
                        assert!((0.0..=1.0).contains(&proposal.success), "{proposal:?}");
                        Err(format!("{proposal:?}"))
                    }
                    Ok(None) => Err("nothing".to_owned()),
                    Err(end) => Ok(end),
                };
                let record = assessment.record.take();
                check_replay(&host, plugin, record.as_ref());
                Outcome {
                    end,
                    ticks: 0,
                    events: assessment.events,
                    denials: assessment.denials,
                    usage: Usage::default(),
                    checkpoint: None,
                    memory: BTreeMap::new(),
                    files: Vec::new(),
                    goals: String::new(),
                    record: record.as_ref().map(RunRecord::to_bytes),
                }
            }
            Entry::Run => {
                let run = host.start_skill(plugin, "null", None, Lease::ALL, 1, now);
                through(
                    &host,
                    run.expect("it has what it needs"),
                    events,
                    &mut around,
                )
            }
            Entry::Recover => {
                let run = host.start_recovery(plugin, &failure, &context, Lease::ALL, 1, now);
                through(
                    &host,
                    run.expect("it has what it needs"),
                    events,
                    &mut around,
                )
            }
        };
        assert_eq!(host.running(), 0, "an instance lives on");
        around.check_left();
        let outcome = Outcome {
            memory: host.memory(&name).entries,
            files: self.folder.contents(),
            goals: format!("{:?} {:?}", around.arm_goals, around.gripper_goals),
            ..run
        };
        check_bounds(&outcome, &around, entry);
        self.folder.check();
        outcome
    }
}

/// Polls a run up to its end.
fn through(
    host: &PluginHost,
    mut run: Run,
    around_it: Events,
    around: &mut Surroundings,
) -> Outcome {
    let began = around.now();
    let mut events = Vec::new();
    let end = loop {
        let ticks = around.now().since(began).0;
        assert!(ticks <= RUN_TICKS + 1, "it goes on and on");
        if around_it.cancel_at == Some(ticks) {
            run.cancel();
        }
        if around_it.hand_over_at == Some(ticks) {
            run.hand_over(&[1, 2]);
        }
        if let Some(cancelled) = around_it.cancel_at {
            assert!(ticks <= cancelled + GRACE_TICKS + 1, "it has had its grace");
        }
        let end = run.poll(around.now());
        events.extend(run.take_events());
        if let Some(end) = end {
            break end;
        }
        around.tick();
    };
    assert!(run.has_ended());
    assert_eq!(run.poll(around.now()), None);
    assert_eq!(run.take_events(), []);
    let record = run.take_record();
    if !matches!(end, RunEnd::Cancelled { killed: true }) {
        check_replay(host, run.plugin(), record.as_ref());
    }
    let usage = Usage {
        cpu_ns: 0,
        ..run.usage()
    };
    Outcome {
        end: Ok(end),
        ticks: around.now().since(began).0,
        events,
        denials: run.take_denials(),
        usage,
        checkpoint: run.checkpoint(),
        memory: BTreeMap::new(),
        files: Vec::new(),
        goals: String::new(),
        record: record.as_ref().map(RunRecord::to_bytes),
    }
}

/// Done again with its answers alone, it makes the same calls.
fn check_replay(host: &PluginHost, plugin: &Arc<Plugin>, record: Option<&RunRecord>) {
    let Some(record) = record else {
        panic!("every run that has ended has its record");
    };
    let bytes = record.to_bytes();
    let read = RunRecord::from_bytes(&bytes).expect("what was written can be read");
    assert_eq!(read.to_bytes(), bytes);
    let replay = host.replay(plugin, &read);
    let fits = replay.is_identical() || replay.verdict == ReplayVerdict::AsFarAsKept;
    assert!(fits, "{:?} of {:?}", replay.verdict, record.end);
}
