//! The same modules with the instructions as they are and piece by piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasm_encoder::{
    CodeSection, Component, CustomSection, DataCountSection, DataSection, EntityType, ExportKind,
    ExportSection, FunctionSection, ImportSection, MemorySection, MemoryType, Module,
    NestedComponentSection, RawSection, TypeSection,
};
use wasmtime::{Config, Engine, Instance, Memory, Store, UpdateDeadline, Val};

use super::*;

/// 64 KiB pages of each memory.
const PAGES: u64 = 6;
const SIZE: u64 = PAGES << 16;
/// Bytes of the data segment.
const DATA: u64 = 3 << 16;

/// Two memories, the first one imported, and each of these instructions in a function of its own.
fn module(instructions: &[Bulk], memories: [ValType; 2]) -> Vec<u8> {
    let memory = |index: usize| MemoryType {
        minimum: PAGES,
        maximum: Some(PAGES),
        memory64: memories[index] == ValType::I64,
        shared: false,
        page_size_log2: None,
    };
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut functions = FunctionSection::new();
    let mut defined = MemorySection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    types.ty().function([], []);
    imports.import("host", "memory", EntityType::Memory(memory(0)));
    imports.import("host", "function", EntityType::Function(0));
    defined.memory(memory(1));
    exports.export("second", ExportKind::Memory, 1);
    for (index, bulk) in instructions.iter().enumerate() {
        let takes = bulk.takes(&memories).expect("there are two memories");
        types.ty().function(takes, []);
        functions.function(index as u32 + 1);
        exports.export(&format!("bulk-{index}"), ExportKind::Func, index as u32 + 1);
        let mut body = Function::new([]);
        for place in [TO, FROM, LENGTH] {
            body.instruction(&Instruction::LocalGet(place));
        }
        body.instruction(&bulk.instruction());
        body.instruction(&Instruction::End);
        code.function(&body);
    }
    let mut data = DataSection::new();
    data.passive((0..DATA as usize).map(|at| (at % 251) as u8));
    let hints = CustomSection {
        name: "metadata.code.branch_hint".into(),
        data: (&[0_u8][..]).into(),
    };
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&defined).section(&exports);
    module.section(&DataCountSection { count: 1 });
    module.section(&hints).section(&code).section(&data);
    module.finish()
}

/// An instance of such a module, and how often it was interrupted.
struct Rig {
    store: Store<()>,
    instance: Instance,
    memories: [Memory; 2],
    looks: Arc<AtomicU64>,
}

impl Rig {
    fn new(bytes: &[u8], memories: [ValType; 2]) -> Self {
        let engine = Engine::new(Config::new().epoch_interruption(true)).expect("an engine");
        let module = wasmtime::Module::new(&engine, bytes).expect("it is valid");
        let mut store = Store::new(&engine, ());
        let looks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&looks);
        // Past already, and again after every look.
        store.set_epoch_deadline(0);
        store.epoch_deadline_callback(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(UpdateDeadline::Continue(0))
        });
        let mut ty = wasmtime::MemoryTypeBuilder::new();
        ty.min(PAGES)
            .max(Some(PAGES))
            .memory64(memories[0] == ValType::I64);
        let first = Memory::new(&mut store, ty.build().expect("a type")).expect("a memory");
        let function = wasmtime::Func::wrap(&mut store, || {});
        let imports = [first.into(), function.into()];
        let instance = Instance::new(&mut store, &module, &imports).expect("an instance");
        let second = instance
            .get_memory(&mut store, "second")
            .expect("it is exported");
        let mut rig = Self {
            store,
            instance,
            memories: [first, second],
            looks,
        };
        for (index, memory) in rig.memories.into_iter().enumerate() {
            for (at, byte) in memory.data_mut(&mut rig.store).iter_mut().enumerate() {
                *byte = (at % (253 - index)) as u8;
            }
        }
        rig
    }

    /// What went wrong, if anything did.
    fn call(&mut self, index: usize, takes: [ValType; 3], args: [u64; 3]) -> Option<String> {
        let args = [0, 1, 2].map(|place| match takes[place] {
            ValType::I64 => Val::I64(args[place].cast_signed()),
            _ => Val::I32((args[place] as u32).cast_signed()),
        });
        let function = self
            .instance
            .get_func(&mut self.store, &format!("bulk-{index}"));
        let function = function.expect("it is exported");
        let error = function.call(&mut self.store, &args, &mut []).err()?;
        Some(error.root_cause().to_string())
    }

    fn bytes(&self) -> [&[u8]; 2] {
        self.memories.map(|memory| memory.data(&self.store))
    }
}

/// A number from this one.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn pieces_come_to_the_same_as_one() {
    let piece = PIECE as u64;
    let instructions = [
        Bulk::Fill { memory: 0 },
        Bulk::Fill { memory: 1 },
        Bulk::Copy { to: 0, from: 0 },
        Bulk::Copy { to: 1, from: 1 },
        Bulk::Copy { to: 0, from: 1 },
        Bulk::Copy { to: 1, from: 0 },
        Bulk::Init { memory: 0, data: 0 },
        Bulk::Init { memory: 1, data: 0 },
    ];
    let (i32, i64) = (ValType::I32, ValType::I64);
    let (mut refused, mut done) = (0, 0);
    for memories in [[i32, i32], [i32, i64], [i64, i32], [i64, i64]] {
        let whole = module(&instructions, memories);
        let pieces = module_in_pieces(&whole).expect("it is well-formed");
        assert!(matches!(pieces, Cow::Owned(_)), "it is changed");
        let mut rigs = [Rig::new(&whole, memories), Rig::new(&pieces, memories)];
        let mut state = 7;
        for round in 0..4000 {
            let index = (next(&mut state) % 8) as usize;
            let takes = instructions[index].takes(&memories).expect("there are two");
            // Near a border, or anywhere.
            let borders = [0, piece, 2 * piece, DATA, SIZE, 1 << 32, 1 << 63, u64::MAX];
            let mut place = || match next(&mut state) % 3 {
                0 => borders[(next(&mut state) % 8) as usize]
                    .wrapping_add(next(&mut state) % 5)
                    .wrapping_sub(2),
                _ => next(&mut state) % SIZE,
            };
            let mut args = [place(), place(), place()];
            if round % 2 == 0 {
                // Such that it can be done.
                args = args.map(|arg| arg % (DATA + 1));
                args[2] = args[2].min(DATA - args[1].min(DATA));
            }
            let [one, other] = &mut rigs;
            let (expected, came) = (one.call(index, takes, args), other.call(index, takes, args));
            let what = format!("{:?} of {args:x?} in {memories:?}", instructions[index]);
            assert_eq!(came, expected, "{what}");
            assert!(one.bytes() == other.bytes(), "{what}");
            match expected {
                Some(_) => refused += 1,
                None => done += 1,
            }
        }
    }
    assert!(refused > 2000 && done > 6000, "{refused} {done}");
}

#[test]
fn it_can_be_interrupted_between_two_pieces() {
    let memories = [ValType::I32; 2];
    let instructions = [
        Bulk::Fill { memory: 0 },
        Bulk::Copy { to: 0, from: 0 },
        Bulk::Init { memory: 0, data: 0 },
    ];
    let whole = module(&instructions, memories);
    let pieces = module_in_pieces(&whole).expect("it is well-formed");
    for (index, bulk) in instructions.iter().enumerate() {
        let looks = |bytes: &[u8], args: [u64; 3]| {
            let mut rig = Rig::new(bytes, memories);
            let takes = bulk.takes(&memories).expect("there are two");
            assert_eq!(rig.call(index, takes, args), None);
            rig.looks.load(Ordering::Relaxed)
        };
        for args in [[0, 1, DATA - 1], [1, 0, DATA - 1]] {
            let (at_once, between) = (looks(&whole, args), looks(&pieces, args));
            assert!(at_once < 6, "{bulk:?}: {at_once}");
            assert!(
                between >= at_once + 2,
                "{bulk:?}: {between} after {at_once}"
            );
        }
    }
}

#[test]
fn only_what_has_such_an_instruction_is_changed() {
    let memories = [ValType::I32; 2];
    let with = module(&[Bulk::Fill { memory: 0 }], memories);
    let without = module(&[], memories);
    let nested = |module: &[u8]| {
        let mut component = Component::new();
        component.section(&RawSection {
            id: COMPONENT_MODULE,
            data: module,
        });
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&component));
        outer.finish()
    };
    assert!(matches!(in_pieces(&nested(&without)), Ok(Cow::Borrowed(_))));
    let with = nested(&with);
    let Ok(Cow::Owned(changed)) = in_pieces(&with) else {
        panic!("nothing was changed");
    };
    let engine = Engine::default();
    wasmtime::component::Component::new(&engine, &changed).expect("it is valid");
}

#[test]
fn what_is_broken_is_an_error_or_left_as_it_is() {
    let whole = module(
        &[Bulk::Fill { memory: 0 }, Bulk::Copy { to: 1, from: 0 }],
        [ValType::I32; 2],
    );
    let (header, mut found) = sections(&whole).expect("it is well-formed");
    // Nothing looks into the data.
    found.pop();
    let cut_off = |cut: usize, at: usize| {
        let mut all = header.to_vec();
        for (index, Section { id, content }) in found.iter().enumerate() {
            all.push(*id);
            let end = if index == cut { at } else { content.len() };
            content[..end].encode(&mut all);
        }
        all
    };
    for (index, section) in found.iter().enumerate() {
        for end in 0..section.content.len() {
            let _ = module_in_pieces(&cut_off(index, end));
        }
    }
    let good = cut_off(found.len(), 0);
    assert!(matches!(module_in_pieces(&good), Ok(Cow::Owned(_))));
    let mut state = 11;
    for _ in 0..100_000 {
        let mut broken = good.clone();
        for _ in 0..=next(&mut state) % 2 {
            let at = (next(&mut state) as usize) % broken.len();
            broken[at] ^= 1 << (next(&mut state) % 8);
        }
        let _ = module_in_pieces(&broken);
    }
    // A memory that is not there.
    let mut missing = module(&[Bulk::Fill { memory: 0 }], [ValType::I32; 2]);
    let fill = [0xfc, 0x0b, 0];
    let at = (missing.windows(3).position(|bytes| bytes == fill)).expect("it is in there");
    missing[at + 2] = 9;
    assert!(matches!(module_in_pieces(&missing), Ok(Cow::Borrowed(_))));
}

#[test]
fn what_is_written_to_be_short_stays_one_instruction() {
    let length = |value: Instruction<'_>| {
        let mut function = Function::new([]);
        for instruction in [
            Instruction::I32Const(0),
            Instruction::I32Const(0),
            value,
            Instruction::MemoryFill(0),
            Instruction::End,
        ] {
            function.instruction(&instruction);
        }
        let mut encoded = Vec::new();
        function.encode(&mut encoded);
        let mut reader = BinaryReader::new(&encoded, 0);
        let body = reader.read_reader().expect("it is that long");
        let found = long_ones(&FunctionBody::new(body)).expect("it is well-formed");
        found.len()
    };
    assert_eq!(length(Instruction::I32Const(PIECE)), 0);
    assert_eq!(length(Instruction::I32Const(PIECE + 1)), 1);
    assert_eq!(length(Instruction::I32Const(-1)), 1);
    assert_eq!(length(Instruction::I64Const(0)), 0);
    assert_eq!(length(Instruction::I64Const(1 << 40)), 1);
    assert_eq!(length(Instruction::LocalGet(0)), 1);
}
