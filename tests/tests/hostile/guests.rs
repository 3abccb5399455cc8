//! Guests that no toolchain would write: core modules in text, each wrong in one way.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sinew_runtime::kit::PluginFile;
use sinew_tests::raw::{component, with_manifest};

/// A skill, its name, what it asks for, and the text of its module.
pub(crate) struct Guest {
    pub(crate) name: &'static str,
    asks: &'static [&'static str],
    module: String,
    needs_robot: bool,
}

impl Guest {
    pub(crate) fn full_name(&self) -> String {
        format!("raw/{}", self.name)
    }

    pub(crate) fn plugin(&self) -> PluginFile {
        let module = wat::parse_str(&self.module)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.name, self.module));
        let mut manifest = manifest(&self.full_name(), "skill", self.asks, &[]);
        if !self.needs_robot {
            manifest["parts"] = json!([]);
        }
        PluginFile {
            origin: format!("{}.wasm", self.name),
            bytes: with_manifest(component("skill", &module), &manifest),
            built_in: false,
        }
    }
}

/// A manifest that promises nothing: any parameters, any result, no post-conditions.
pub(crate) fn manifest(name: &str, kind: &str, asks: &[&str], handles: &[&str]) -> Value {
    let imports: Vec<Value> = (asks.iter())
        .map(|ask| json!({"interface": ask, "why": "to do harm"}))
        .collect();
    json!({
        "name": name, "version": "0.1.0", "kind": kind, "wit": "0.1.0", "summary": "does wrong",
        "imports": imports, "params_schema": true, "result_schema": true, "checkpoints": [1], "handles": handles,
    })
}

/// Grants for all of them.
pub(crate) fn grants(names: impl Iterator<Item = (String, Vec<&'static str>)>) -> String {
    names.fold(String::new(), |mut text, (name, asks)| {
        let _ = writeln!(text, "[plugins.\"{name}\"]\ninterfaces = {asks:?}");
        text
    })
}

pub(crate) fn asks(guest: &Guest) -> (String, Vec<&'static str>) {
    (guest.full_name(), guest.asks.to_vec())
}

/// Core imports of a capability's function.
fn import(interface: &str, function: &str, name: &str, signature: &str) -> String {
    format!(
        "(import \"sinew:plugin/{interface}@0.1.0\" \"{function}\" (func ${name} {signature}))\n"
    )
}

/// Where the module keeps things: below 4 KiB texts and answers, from 64 KiB on what the host allocates.
const MEMORY: &str = "(memory (export \"memory\") 4)
(global $free (mut i32) (i32.const 65536))
(data (i32.const 1024) \"\\\"done\\\"\")
(data (i32.const 1100) \"home\")
(data (i32.const 1200) \"info\")
(data (i32.const 1300) \"\\ff\\fe\\c0\")
(data (i32.const 1400) \"gone wrong\")
(data (i32.const 1500) \"operator-abort\")
(data (i32.const 1600) \"no-grasp\")
(data (i32.const 1700) \"{\")
(data (i32.const 1900) \"{}\")
";

/// Gives the host memory, as it should be given.
const REALLOC: &str =
    "(func (export \"cabi_realloc\") (param i32 i32 i32) (param $size i32) (result i32)
  (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
  (global.get $free)
  (global.set $free (i32.add (global.get $free) (local.get $size))))
";

/// Answers `\"done\"`.
const DONE: &str = "(func $done (result i32)
  (i32.store8 (i32.const 256) (i32.const 0))
  (i32.store (i32.const 260) (i32.const 1024))
  (i32.store (i32.const 264) (i32.const 6))
  (i32.const 256))
";

/// Answers a failure: its label, and a detail.
const FAIL: &str = "(func $fail (param $label i32) (param $label_len i32) (param $detail i32) (param $detail_len i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 1))
  (i32.store (i32.const 260) (local.get $label))
  (i32.store (i32.const 264) (local.get $label_len))
  (i32.store (i32.const 268) (i32.const 1400))
  (i32.store (i32.const 272) (i32.const 10))
  (i32.store (i32.const 276) (local.get $detail))
  (i32.store (i32.const 280) (local.get $detail_len))
  (i32.const 256))
";

/// Answers a text as the result.
const ANSWER: &str = "(func $answer (param $at i32) (param $len i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 0))
  (i32.store (i32.const 260) (local.get $at))
  (i32.store (i32.const 264) (local.get $len))
  (i32.const 256))
";

/// A skill's `run`.
fn run(body: &str) -> String {
    format!(
        "(func (export \"sinew:plugin/skill-run@0.1.0#run\") (param i32 i32 i32 i32 i32 i32) (result i32)
  (local $handle i32) (local $n i32)
  {body})\n"
    )
}

/// A module with these imports, with what most of them need, and this `run`.
fn module(imports: &[String], body: &str, more: &str) -> String {
    let imports = imports.concat();
    let run = run(body);
    format!("(module\n{imports}{MEMORY}{REALLOC}{DONE}{FAIL}{ANSWER}{more}{run})")
}

/// A module that gives the host memory in its own way.
fn with_realloc(imports: &[String], realloc: &str) -> String {
    let imports = imports.concat();
    let run = run("(call $newest (i32.const 512)) (call $done)");
    format!(
        "(module\n{imports}{MEMORY}{DONE}
(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {realloc})
{run})"
    )
}

/// Starts a motion to a named pose: a variant's fourth case, its name as pointer and length, speed and acceleration.
fn start_named(case: u32, at: u32, len: u32) -> String {
    format!(
        "(call $start (i32.const {case}) (i64.const {at}) (i64.const {len})
    (f64.const 0) (f64.const 0) (f64.const 0) (f64.const 0) (f64.const 0) (f64.const 0)
    (f64.const 0.2) (f64.const 1) (i32.const 512))"
    )
}

fn start() -> String {
    import(
        "motion",
        "start",
        "start",
        "(param i32 i64 i64 f64 f64 f64 f64 f64 f64 f64 f64 i32)",
    )
}

fn wait() -> String {
    import("motion", "[method]motion.wait", "wait", "(param i32 i32)")
}

fn drop_motion() -> String {
    import("motion", "[resource-drop]motion", "drop", "(param i32)")
}

fn set() -> String {
    import("memory", "set", "set", "(param i32 i32 i32 i32 i32)")
}

fn newest() -> String {
    import("world", "newest", "newest", "(param i32)")
}

fn write() -> String {
    import("log", "write", "write", "(param i32 i32 i32 i32)")
}

/// Those that never come to an end and need no part of the robot, so that any number of them runs beside whoever has it. Each
/// keeps the thread in its own way for as long as it is let, and calls now and then, so that its fuel is never used up.
pub(crate) fn hogs() -> Vec<Guest> {
    let hog = |name, before: &str, work: &str| {
        Guest {
        name,
        asks: &["log"],
        module: module(
            &[write()],
            &format!(
                "{before} (loop $again
                   (local.set $n (i32.const 0))
                   (loop $on {work} (br_if $on (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000000))))
                   (call $write (i32.const 1200) (i32.const 4) (i32.const 1400) (i32.const 10))
                   (br $again))
                 unreachable"
            ),
            "",
        ),
        needs_robot: false,
    }
    };
    let grown = "(drop (memory.grow (i32.const 60)))";
    vec![
        hog("hog-that-grows-by-nothing", "", "(drop (memory.grow (i32.const 0)))"),
        hog("hog-that-counts", "", ""),
        // Each address depends on what was read last: no two of them are read at once, and none of them is near.
        hog(
            "hog-that-misses-the-cache",
            grown,
            "(local.set $handle (i32.and (i32.const 0x3ffffc) (i32.add (i32.const 1013904223) (i32.add
               (i32.load (local.get $handle)) (i32.mul (local.get $handle) (i32.const 1664525))))))",
        ),
        hog(
            "hog-that-fills",
            grown,
            "(memory.fill (i32.const 65536) (local.get $n) (i32.const 4000000))
             (local.set $n (i32.add (local.get $n) (i32.const 99999)))",
        ),
        hog(
            "hog-that-calls",
            "",
            "(call $write (i32.const 1200) (i32.const 4) (i32.const 65536) (i32.const 60000))",
        ),
    ]
}

/// All of them that do wrong and come to an end by it.
pub(crate) fn all() -> Vec<Guest> {
    let guest = |name, asks, module| Guest {
        name,
        asks,
        module,
        needs_robot: true,
    };
    let plain = |name, body: &str| guest(name, &[], module(&[], body, ""));
    let home = start_named(4, 1100, 4);
    let started = format!("{home} (local.set $handle (i32.load (i32.const 516)))");
    let moving = |name, body: &str| {
        let imports = [start(), wait(), drop_motion()];
        guest(name, &["motion"], module(&imports, body, ""))
    };
    let setting = |name, body: &str| guest(name, &["memory"], module(&[set()], body, ""));
    let seeing = |name, realloc: &str| guest(name, &["world"], with_realloc(&[newest()], realloc));
    vec![
        plain("endless-loop", "(loop $on (br $on)) unreachable"),
        plain(
            "endless-copy",
            "(drop (memory.grow (i32.const 400)))
             (loop $on (memory.copy (i32.const 0) (i32.const 65536) (i32.const 26000000)) (br $on)) unreachable",
        ),
        // Whoever looks only where a loop begins never sees these.
        plain(
            "copies-without-a-loop",
            &format!(
                "(drop (memory.grow (i32.const 400))) {} (call $done)",
                "(memory.copy (i32.const 0) (i32.const 65536) (i32.const 26000000)) ".repeat(20_000)
            ),
        ),
        guest(
            "calls-without-a-loop",
            &["log"],
            module(
                &[write()],
                &format!(
                    "{} (call $done)",
                    "(call $write (i32.const 1200) (i32.const 4) (i32.const 65536) (i32.const 60000)) ".repeat(20_000)
                ),
                "",
            ),
        ),
        guest(
            "endless-recursion",
            &[],
            module(
                &[],
                "(drop (call $deeper (i64.const 0))) (call $done)",
                "(func $deeper (param i64) (result i64)
                   (i64.add (call $deeper (i64.add (local.get 0) (i64.const 1))) (local.get 0)))\n",
            ),
        ),
        plain(
            "memory-bomb",
            "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (call $done)",
        ),
        guest(
            "table-bomb",
            &[],
            module(
                &[],
                "(loop $on (br_if $on (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (call $done)",
                "(table $t 1 funcref)\n",
            ),
        ),
        setting(
            "list-of-a-gibibyte",
            "(call $set (i32.const 1100) (i32.const 4) (i32.const 0) (i32.const 1073741824) (i32.const 512)) (call $done)",
        ),
        setting(
            "list-around-the-end",
            "(call $set (i32.const 1100) (i32.const 4) (i32.const -16) (i32.const 64) (i32.const 512)) (call $done)",
        ),
        setting(
            "list-larger-than-a-call",
            "(drop (memory.grow (i32.const 100)))
             (call $set (i32.const 1100) (i32.const 4) (i32.const 0) (i32.const 3000000) (i32.const 512)) (call $done)",
        ),
        setting(
            "aliased-strings",
            "(call $set (i32.const 1100) (i32.const 4) (i32.const 1098) (i32.const 8) (i32.const 1096)) (call $done)",
        ),
        setting(
            "answer-beyond-memory",
            "(call $set (i32.const 1100) (i32.const 4) (i32.const 0) (i32.const 8) (i32.const -4)) (call $done)",
        ),
        guest(
            "text-that-is-no-utf-8",
            &["log"],
            module(
                &[write()],
                "(call $write (i32.const 1200) (i32.const 4) (i32.const 1300) (i32.const 3)) (call $done)",
                "",
            ),
        ),
        moving("unaligned-list", &format!("{} (call $done)", start_named(0, 1101, 7))),
        moving("no-such-case", &format!("{} (call $done)", start_named(9, 1100, 4))),
        moving(
            "motion-left-behind",
            &format!("{started} (call $wait (local.get $handle) (i32.const 600)) unreachable"),
        ),
        moving("moving-and-dead", &format!("{started} unreachable")),
        moving("handle-never-dropped", &format!("{started} (call $done)")),
        moving(
            "stale-handle",
            &format!("{started} (call $drop (local.get $handle)) (call $wait (local.get $handle) (i32.const 600)) (call $done)"),
        ),
        moving(
            "handle-dropped-twice",
            &format!("{started} (call $drop (local.get $handle)) (call $drop (local.get $handle)) (call $done)"),
        ),
        moving("forged-handle", "(call $wait (i32.const 12345) (i32.const 600)) (call $done)"),
        moving("negative-handle", "(call $drop (i32.const -1)) (call $done)"),
        moving(
            "handle-bomb",
            &format!("(loop $on {home} (br_if $on (i32.eqz (i32.load8_u (i32.const 512))))) (call $done)"),
        ),
        guest(
            "numbers-that-are-none",
            &["gripper"],
            module(
                &[import("gripper", "move-to", "grip", "(param f64 f64 i32)")],
                "(call $grip (f64.const nan) (f64.const 10) (i32.const 512))
                 (call $grip (f64.const 0.02) (f64.const inf) (i32.const 512))
                 (call $grip (f64.const -inf) (f64.const -0) (i32.const 512))
                 (if (result i32) (i32.load8_u (i32.const 512)) (then (call $done)) (else unreachable))",
                "",
            ),
        ),
        guest(
            "sleep-for-ever",
            &["clock"],
            module(
                &[import("clock", "sleep", "sleep", "(param i64 i32)")],
                "(call $sleep (i64.const -1) (i32.const 512)) (call $done)",
                "",
            ),
        ),
        guest(
            "foreign-checkpoint",
            &["lifecycle"],
            module(
                &[import("lifecycle", "safe-point", "keep", "(param i32 i32 i32 i32)")],
                "(call $keep (i32.const 99) (i32.const 1100) (i32.const 4) (i32.const 512))
                 (if (result i32) (i32.load8_u (i32.const 512)) (then (call $fail (i32.const 1600) (i32.const 8) (i32.const 1700) (i32.const 1)))
                   (else unreachable))",
                "",
            ),
        ),
        guest(
            "huge-checkpoint",
            &["lifecycle"],
            module(
                &[import("lifecycle", "safe-point", "keep", "(param i32 i32 i32 i32)")],
                "(call $keep (i32.const 1) (i32.const 0) (i32.const 100000) (i32.const 512))
                 (if (result i32) (i32.load8_u (i32.const 512)) (then (call $done)) (else unreachable))",
                "",
            ),
        ),
        plain(
            "answer-of-no-case",
            "(i32.store8 (i32.const 256) (i32.const 7)) (i32.const 256)",
        ),
        plain("answer-out-of-bounds", "(i32.const -8)"),
        plain("answer-of-a-gibibyte", "(call $answer (i32.const 0) (i32.const 1073741824))"),
        plain("answer-that-is-no-utf-8", "(call $answer (i32.const 1300) (i32.const 3))"),
        plain("answer-that-is-no-json", "(call $answer (i32.const 1700) (i32.const 1))"),
        plain(
            "answer-without-a-bottom",
            "(memory.fill (i32.const 65536) (i32.const 0x5b) (i32.const 100000)) (call $answer (i32.const 65536) (i32.const 100000))",
        ),
        plain(
            "answer-too-long",
            "(drop (memory.grow (i32.const 20)))
             (memory.fill (i32.const 65536) (i32.const 0x31) (i32.const 900000)) (call $answer (i32.const 65536) (i32.const 900000))",
        ),
        plain(
            "label-that-is-none",
            "(call $fail (i32.const 1400) (i32.const 10) (i32.const 1700) (i32.const 1))",
        ),
        plain(
            "label-of-the-host",
            "(call $fail (i32.const 1500) (i32.const 14) (i32.const 1700) (i32.const 1))",
        ),
        plain(
            "detail-without-a-bottom",
            "(memory.fill (i32.const 65536) (i32.const 0x5b) (i32.const 100000))
             (call $fail (i32.const 1600) (i32.const 8) (i32.const 65536) (i32.const 100000))",
        ),
        seeing("memory-beyond-memory", "(i32.const -16)"),
        seeing("memory-unaligned", "(i32.const 65537)"),
        seeing("memory-refused", "unreachable"),
        seeing("memory-never-given", "(loop $on (br $on)) unreachable"),
        guest(
            "called-back",
            &["world", "clock"],
            with_realloc(
                &[newest(), import("clock", "now", "now", "(result i64)")],
                "(drop (call $now)) (i32.const 65536)",
            ),
        ),
        guest(
            "trap-afterwards",
            &[],
            module(
                &[],
                "(call $done)",
                "(func (export \"cabi_post_sinew:plugin/skill-run@0.1.0#run\") (param i32) unreachable)\n",
            ),
        ),
        guest(
            "loop-afterwards",
            &[],
            module(
                &[],
                "(call $done)",
                "(func (export \"cabi_post_sinew:plugin/skill-run@0.1.0#run\") (param i32) (loop $on (br $on)))\n",
            ),
        ),
        guest(
            "trap-at-its-start",
            &[],
            module(&[], "(call $done)", "(func $begin unreachable)\n(start $begin)\n"),
        ),
        guest(
            "loop-at-its-start",
            &[],
            module(&[], "(call $done)", "(func $begin (loop $on (br $on)))\n(start $begin)\n"),
        ),
        // Fails with the label that its parameters are: a text, of which the quotes are left out.
        plain(
            "fails-as-told",
            "(call $fail (i32.add (local.get 0) (i32.const 1)) (i32.sub (local.get 1) (i32.const 2)) (i32.const 1900) (i32.const 2))",
        ),
    ]
}
