//! Artifacts that cost whoever compiles them far more than they weigh: the child that compiles them is bounded, and the host
//! that has started it says so and goes on.

mod cell;
mod folder;
#[path = "../../plugin-host/tests/plugins/repack.rs"]
#[allow(clippy::unwrap_used)]
mod repack;

use std::process::Command;

use cell::{Cell, look};
use wasm_encoder::{
    BlockType, CodeSection, ComponentSection as _, Function, FunctionSection, Instruction, Module,
    ModuleSection, TypeSection, ValType,
};

/// A sound skill with a module beside it that nothing uses. Each of its functions has loops within loops and hands many variables
/// on in the innermost one, so that each loop has to carry each variable.
fn bomb(functions: u32, locals: u32, loops: u32) -> Vec<u8> {
    let mut function = Function::new([(locals, ValType::I32)]);
    for _ in 0..loops {
        function.instruction(&Instruction::Loop(BlockType::Empty));
    }
    for local in 0..locals {
        function.instruction(&Instruction::LocalGet(local));
        function.instruction(&Instruction::LocalSet((local + 1) % locals));
    }
    for _ in 0..loops {
        function.instruction(&Instruction::I32Const(0));
        function.instruction(&Instruction::BrIf(0));
        function.instruction(&Instruction::End);
    }
    function.instruction(&Instruction::End);
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..functions {
        declared.function(0);
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    let mut artifact = look("1.0.0", |_| {});
    ModuleSection(&module).append_to_component(&mut artifact);
    artifact
}

/// `sinew …` under a limit of the shell's, which the child takes over where it is lower than its own: exit code and words.
fn sinew(cell: &Cell, limit: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_sinew"))
        .args(arguments)
        .current_dir(cell.0.path())
        .output()
        .expect("there is a shell");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), words)
}

#[test]
fn what_takes_too_much_to_compile_is_refused_and_the_host_goes_on() {
    let cell = Cell::new();
    for (file, artifact, limit, words) in [
        // Seconds of processor time; KiB of data.
        (
            "slow.wasm",
            bomb(200, 5_000, 1_000),
            "-t 15",
            "s to compile",
        ),
        (
            "large.wasm",
            bomb(1, 50_000, 5_000),
            "-d 500000",
            "MiB to compile",
        ),
    ] {
        assert!(
            artifact.len() < 16 << 20,
            "{file} is small enough to be read"
        );
        cell.0.write(file, &artifact);
        let (code, said) = sinew(&cell, limit, &["skill", "check", file]);
        assert_eq!(code, Some(2), "{file}: {said}");
        assert!(
            said.contains("it takes more than") && said.contains(words),
            "{file}: {said}"
        );
        assert!(said.contains("make it smaller"), "{file}: {said}");
    }
    // Whoever names it by hand is no better off.
    let (code, said) = sinew(
        &cell,
        "-d 500000",
        &["run", "--plugin", "large.wasm", "--grants", "grants.toml"],
    );
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("MiB to compile"), "{said}");
    cell.0.write("good.wasm", &look("1.0.0", |_| {}));
    cell.skill(0, &["check", "good.wasm"]);
}
