//! Recoveries that do wrong, each for a label that no other one handles.

use serde_json::{Value, json};
use sinew_runtime::kit::PluginFile;
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::{FailureLabel, Happening, TaskState};
use sinew_tests::Rig;
use sinew_tests::raw::{component, with_manifest};

use crate::guests::manifest;
use crate::{kit, nothing};

/// A recovery, the label that it handles, and what its exports do.
pub(crate) struct Recovery {
    name: &'static str,
    handles: &'static str,
    asks: &'static [&'static str],
    imports: &'static str,
    assess: &'static str,
    recover: &'static str,
}

/// Proposes something, as it should: cost 100, success 0.9.
const PROPOSE: &str = "(call $propose (i64.const 100) (f64.const 0.9))";
/// Says that the skill goes on from where it was.
const RESUME: &str = "(call $recovered (i32.const 1100) (i32.const 6))";
/// Starts to move, as the guests in `guests.rs` do.
const START: &str = "(import \"sinew:plugin/motion@0.1.0\" \"start\" (func $start (param i32 i64 i64 f64 f64 f64 f64 f64 f64 f64 f64 i32)))";

/// All of them.
pub(crate) fn all() -> Vec<Recovery> {
    let recovery = |name, handles, assess, recover| Recovery {
        name,
        handles,
        asks: &[],
        imports: "",
        assess,
        recover,
    };
    vec![
        recovery(
            "promises-no-number",
            "jam",
            "(call $propose (i64.const -1) (f64.const nan))",
            RESUME,
        ),
        recovery(
            "goes-on-in-its-own-way",
            "collision",
            PROPOSE,
            "(call $recovered (i32.const 1200) (i32.const 7))",
        ),
        recovery(
            "triggers-itself",
            "unreachable",
            PROPOSE,
            "(call $failed (i32.const 1300) (i32.const 11))",
        ),
        recovery("traps-when-asked", "timeout", "unreachable", RESUME),
        recovery(
            "never-answers",
            "sensor-stall",
            "(loop $on (br $on)) unreachable",
            RESUME,
        ),
        Recovery {
            name: "dies-on-the-way",
            handles: "skill-fault",
            asks: &["motion"],
            imports: START,
            assess: PROPOSE,
            recover: "(call $start (i32.const 4) (i64.const 1400) (i64.const 4)
              (f64.const 0) (f64.const 0) (f64.const 0) (f64.const 0) (f64.const 0) (f64.const 0)
              (f64.const 0.2) (f64.const 1) (i32.const 512)) unreachable",
        },
    ]
}

pub(crate) fn asks(recovery: &Recovery) -> (String, Vec<&'static str>) {
    (recovery.full_name(), recovery.asks.to_vec())
}

impl Recovery {
    fn full_name(&self) -> String {
        format!("raw/{}", self.name)
    }

    pub(crate) fn plugin(&self) -> PluginFile {
        let Self {
            imports,
            assess,
            recover,
            ..
        } = self;
        // A failure is three texts; what is around it three, two numbers and a span.
        let parameters = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64)";
        let text = format!(
            "(module
{imports}
(memory (export \"memory\") 4)
(global $free (mut i32) (i32.const 65536))
(data (i32.const 1000) \"puts it right\")
(data (i32.const 1100) \"resume\")
(data (i32.const 1200) \"give-up\")
(data (i32.const 1300) \"unreachable\")
(data (i32.const 1400) \"home\")
(data (i32.const 1500) \"{{\\\"again\\\": 1}}\")
(func (export \"cabi_realloc\") (param i32 i32 i32) (param $size i32) (result i32)
  (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
  (global.get $free)
  (global.set $free (i32.add (global.get $free) (local.get $size))))
(func $propose (param $cost i64) (param $success f64) (result i32)
  (i32.store8 (i32.const 256) (i32.const 1))
  (i32.store (i32.const 264) (i32.const 1000))
  (i32.store (i32.const 268) (i32.const 13))
  (i64.store (i32.const 272) (local.get $cost))
  (f64.store (i32.const 280) (local.get $success))
  (i32.const 256))
(func $recovered (param $next i32) (param $len i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 0))
  (i32.store (i32.const 260) (i32.const 1000))
  (i32.store (i32.const 264) (i32.const 13))
  (i32.store (i32.const 268) (local.get $next))
  (i32.store (i32.const 272) (local.get $len))
  (i32.const 256))
(func $failed (param $label i32) (param $len i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 1))
  (i32.store (i32.const 260) (local.get $label))
  (i32.store (i32.const 264) (local.get $len))
  (i32.store (i32.const 268) (i32.const 1000))
  (i32.store (i32.const 272) (i32.const 13))
  (i32.store (i32.const 276) (i32.const 1500))
  (i32.store (i32.const 280) (i32.const 12))
  (i32.const 256))
(func (export \"sinew:plugin/recovery-run@0.1.0#assess\") {parameters} (result i32) {assess})
(func (export \"sinew:plugin/recovery-run@0.1.0#recover\") {parameters} (result i32) {recover}))"
        );
        let module =
            wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", self.name));
        let manifest = manifest(&self.full_name(), "recovery", self.asks, &[self.handles]);
        PluginFile {
            origin: format!("{}.wasm", self.name),
            bytes: with_manifest(component("recovery", &module), &manifest),
            built_in: false,
        }
    }
}

/// What one recovery is to leave: attempts, its faults by kind, and whether they came when it was only asked.
fn check(rig: &mut Rig, label: FailureLabel, attempts: u64, faults: &[(&str, bool)]) {
    let told = rig.records().len();
    let end = rig.run("raw/fails-as-told", &json!(label.code()));
    assert_eq!(end.state, TaskState::Failed, "{label}");
    assert_eq!(
        end.recoveries_attempted, attempts,
        "{label}: {}",
        end.message
    );
    assert_eq!(end.recoveries_succeeded, 0, "{label}");
    let status = rig.host.status();
    assert_eq!(status.stop_state, 0, "{label}: a stop");
    assert!(!rig.moves(), "{label}: the robot moves");
    assert_eq!(
        rig.host.tasks().plugins().host().running(),
        0,
        "{label}: an instance lives on"
    );
    let found: Vec<(String, bool)> = (rig.records().split_off(told).iter())
        .filter(|(kind, content)| {
            kind == "plugin-fault" && content["plugin"] != "raw/fails-as-told"
        })
        .map(|(_, content)| {
            let assess = content["assess"].as_bool().unwrap_or_default();
            (
                content["fault"].as_str().unwrap_or_default().to_owned(),
                assess,
            )
        })
        .collect();
    let faults: Vec<(String, bool)> = (faults.iter())
        .map(|(kind, assess)| ((*kind).to_owned(), *assess))
        .collect();
    assert_eq!(found, faults, "{label}");
    let next = rig.run("sinew/go-home", &nothing());
    assert_eq!(
        next.state,
        TaskState::Succeeded,
        "{label}: {}",
        next.message
    );
}

#[test]
fn recoveries_that_do_wrong_are_failed_attempts() {
    let mut rig = Rig::of(kit(), 420, 0, &Profile::calm());
    // What has no chance of success is not tried.
    check(&mut rig, FailureLabel::Jam, 0, &[]);
    check(
        &mut rig,
        FailureLabel::Collision,
        2,
        &[("result", false); 2],
    );
    // What it fails with is what it handles: its attempts are counted all the same.
    check(&mut rig, FailureLabel::Unreachable, 2, &[]);
    check(&mut rig, FailureLabel::Timeout, 0, &[("trap", true)]);
    check(&mut rig, FailureLabel::SensorStall, 0, &[("budget", true)]);
    // It starts to move, and the robot is brought to a hold.
    check(&mut rig, FailureLabel::SkillFault, 2, &[("trap", false); 2]);
    let chosen = rig.said(|what| matches!(what, Happening::RecoveryChosen { recovery, .. } if recovery == "raw/dies-on-the-way"));
    assert!(chosen);
}

#[test]
fn a_checkpoint_of_no_known_version_is_not_resumed_from() {
    // What a plugin hands over as a checkpoint is looked at when it does; what comes back is what was kept.
    let mut rig = Rig::of(kit(), 421, 0, &Profile::calm());
    let end = rig.run("raw/foreign-checkpoint", &Value::Null);
    assert_eq!(end.state, TaskState::Failed);
    assert!(!rig.said(|what| matches!(
        what,
        Happening::RunStarted {
            resumed: Some(_),
            ..
        }
    )));
    assert!(!rig.said(|what| matches!(what, Happening::SafePoint { .. })));
}
