//! What the interpreter is told: calls whose arguments fit their types, mostly, and what a toolchain would never write.

use wit_parser::{Handle, Type, TypeDefKind};

use crate::choices::Choices;
use crate::interpreter::{COMMAND_BYTES, HEAP_AT, Import, Op, PAGES, SCRIPT_AT, SLOTS, World};

/// Commands of a script.
const COMMANDS_MAX: usize = 48;
/// Where texts and lists begin.
const DATA_AT: u32 = SCRIPT_AT + (COMMANDS_MAX * COMMAND_BYTES) as u32;
/// Most bytes of texts and lists.
const DATA_MAX: usize = 12 << 10;
/// Where answers go, 16 of them.
const ANSWERS_AT: u32 = 0x1000;
const ANSWER_BYTES: u32 = 0x100;
/// Longest list that is written out.
const LIST_MAX: usize = 40;

const _: () = assert!(DATA_AT as usize + DATA_MAX <= HEAP_AT as usize);
const _: () = assert!(ANSWERS_AT + 16 * ANSWER_BYTES <= SCRIPT_AT);

/// Texts that mean something to somebody, and some that should mean nothing.
const TEXTS: [&[u8]; 36] = [
    b"",
    b"home",
    b"look-bin",
    b"grasp",
    b"juggle",
    b"block",
    b"key",
    b"script",
    b"info",
    b"error",
    b"null",
    b"{}",
    b"\"done\"",
    b"{\"a\":[1,2.5e300,{\"b\":null}]}",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"1e999",
    b"\"\\ud800\"",
    b"no-grasp",
    b"safety-stop",
    b"operator-abort",
    b"resume",
    b"restart",
    b"orders",
    b"notes",
    b"a",
    b"new",
    b"sub/a",
    b"../secret",
    b"/etc/passwd",
    b"out/secret",
    b"./a",
    b"a\0b",
    b"\xff\xfe\xc0",
    b"\xf0\x9f\xa4\x96\xe2\x80\xae\x1b[31m\n",
    b"yes",
    b"a.sinew-part0",
];

/// Numbers that a motion may be made of, so that some are.
const ORDINARY: [f64; 10] = [0.5, 1.0, 0.02, 0.3, 0.1, 0.25, 0.0, -0.1, 0.8, 10.0];

const NUMBERS: [f64; 18] = [
    0.0,
    -0.0,
    -1.0,
    100.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MIN_POSITIVE,
    5e-324,
    f64::MAX,
    f64::MIN,
    1e18,
    1.0 - 1e-4,
    1.0 + f64::EPSILON,
    0.1 + 0.2,
    1e-9,
    1e154,
    std::f64::consts::FRAC_1_SQRT_2,
];

const WORDS: [u64; 16] = [
    0,
    1,
    2,
    7,
    3,
    20,
    33,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 53,
    u64::MAX >> 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
    64,
];

/// Addresses and lengths that nobody hands out.
const EXTREMES: [u32; 12] = [
    u32::MAX,
    u32::MAX - 7,
    1 << 31,
    (1 << 31) - 1,
    PAGES << 16,
    (PAGES << 16) - 1,
    (PAGES << 16) - 8,
    1 << 28,
    SCRIPT_AT,
    HEAP_AT,
    1,
    0,
];

/// A script in the making.
struct Script<'w> {
    world: &'w World,
    commands: Vec<u8>,
    data: Vec<u8>,
}

/// A script for the interpreter of a world, which ends with a proposal or with the result of a run.
pub(crate) fn script(world: &World, is_proposal: bool, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut script = Script {
        world,
        commands: Vec::new(),
        data: Vec::new(),
    };
    while !choices.is_empty() && script.count() + 1 < COMMANDS_MAX {
        script.command(choices);
    }
    let answer = script.answer(is_proposal, choices);
    script.put(Op::Return, 0, &[answer]);
    script.commands.resize(COMMANDS_MAX * COMMAND_BYTES, 0);
    script.commands.extend_from_slice(&script.data);
    script.commands
}

impl Script<'_> {
    fn count(&self) -> usize {
        self.commands.len() / COMMAND_BYTES
    }

    fn put(&mut self, op: Op, import: usize, slots: &[u64]) {
        self.commands.extend_from_slice(&(op as u32).to_le_bytes());
        self.commands
            .extend_from_slice(&(import as u32).to_le_bytes());
        for index in 0..SLOTS {
            let slot = slots.get(index).copied().unwrap_or(0);
            self.commands.extend_from_slice(&slot.to_le_bytes());
        }
    }

    fn command(&mut self, choices: &mut Choices<'_>) {
        let how = choices.byte();
        match how {
            0..200 => self.call(choices),
            200..210 => {
                // What an answer holds goes into the next command, as a handle would.
                let from = answer_at(choices) + 4 * choices.below(8) as u32;
                let next = SCRIPT_AT as usize + (self.count() + 1) * COMMAND_BYTES;
                let to = next + 8 + 8 * choices.below(SLOTS);
                self.put(Op::Copy, 0, &[u64::from(from), to as u64]);
            }
            210..220 => {
                let at = address(choices);
                let value = choices.word();
                self.put(Op::Store, 0, &[u64::from(at), value]);
            }
            220..226 => {
                let pages = *choices.one(&[1, 16, 60, 64, 600, u64::from(u32::MAX)]);
                self.put(Op::Grow, 0, &[pages]);
            }
            226..232 => {
                let at = address(choices);
                let (byte, count) = (choices.byte(), choices.short());
                self.put(Op::Fill, 0, &[u64::from(at), byte.into(), count.into()]);
            }
            232..235 => self.put(Op::Trap, 0, &[]),
            235..240 => {
                let rounds = *choices.one(&[1, 1_000, 40_000, 10_000_000]);
                self.put(Op::Spin, 0, &[rounds]);
            }
            240..246 => {
                let target = choices.below(self.count() + 3) as u64;
                self.put(Op::Jump, 0, &[target]);
            }
            246.. => {
                let realloc = choices.below(6) as u64;
                let to = address(choices);
                let post = choices.below(5) as u64;
                self.put(Op::Ways, 0, &[realloc, u64::from(to), post]);
            }
        }
    }

    fn call(&mut self, choices: &mut Choices<'_>) {
        let world = self.world;
        let number = choices.below(world.imports.len());
        let import = &world.imports[number];
        let mut slots = self.arguments(import, choices);
        if choices.once_in(8) && !slots.is_empty() {
            let at = choices.below(slots.len());
            slots[at] = match choices.byte() % 3 {
                0 => u64::from(*choices.one(&EXTREMES)),
                1 => *choices.one(&WORDS),
                _ => choices.word(),
            };
        }
        self.put(Op::Call, number, &slots);
    }

    fn arguments(&mut self, import: &Import, choices: &mut Choices<'_>) -> Vec<u64> {
        let mut slots = Vec::new();
        for ty in &import.types {
            self.lower(ty, choices, &mut slots);
        }
        if import.types.is_empty() && !import.is_answered_in_memory {
            // A handle to be dropped.
            slots.extend(import.params.iter().map(|_| handle(choices)));
        }
        if import.is_answered_in_memory {
            slots.push(u64::from(answer_at(choices)));
        }
        assert_eq!(slots.len(), import.params.len(), "{}", import.name);
        slots
    }

    /// A value of a type, as the core function takes it.
    fn lower(&mut self, ty: &Type, choices: &mut Choices<'_>, slots: &mut Vec<u64>) {
        match ty {
            Type::Bool => slots.push(u64::from(choices.byte() % 3)),
            Type::F32 | Type::F64 => slots.push(number(choices).to_bits()),
            Type::String => {
                let (at, length) = self.text(choices);
                slots.extend([u64::from(at), u64::from(length)]);
            }
            Type::Id(id) => {
                let world = self.world;
                let ty = &world.resolve.types[*id];
                if ty.name.as_deref() == Some("quaternion") && !choices.once_in(4) {
                    // Numbers that were drawn are hardly ever an orientation.
                    slots.extend([0.0, 0.0, 0.0, 1.0_f64].map(f64::to_bits));
                } else {
                    self.lower_defined(&ty.kind, choices, slots);
                }
            }
            Type::U64 | Type::S64 => slots.push(word(choices)),
            _ => slots.push(word(choices) & u64::from(u32::MAX)),
        }
    }

    fn lower_defined(
        &mut self,
        kind: &TypeDefKind,
        choices: &mut Choices<'_>,
        slots: &mut Vec<u64>,
    ) {
        match kind {
            TypeDefKind::Type(ty) => self.lower(ty, choices, slots),
            TypeDefKind::Record(record) => {
                for field in &record.fields {
                    self.lower(&field.ty, choices, slots);
                }
            }
            TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_)) => slots.push(handle(choices)),
            TypeDefKind::Option(ty) => self.lower_case(&[None, Some(*ty)], choices, slots),
            TypeDefKind::Variant(variant) => {
                let cases: Vec<Option<Type>> = variant.cases.iter().map(|case| case.ty).collect();
                self.lower_case(&cases, choices, slots);
            }
            TypeDefKind::List(ty) => {
                let (at, length) = self.list(ty, choices);
                slots.extend([u64::from(at), u64::from(length)]);
            }
            other => panic!("no parameter of the package is {}", other.as_str()),
        }
    }

    /// One case of several; the slots that it does not use are zeros.
    fn lower_case(
        &mut self,
        cases: &[Option<Type>],
        choices: &mut Choices<'_>,
        slots: &mut Vec<u64>,
    ) {
        let case = choices.below(cases.len());
        let room = cases
            .iter()
            .flatten()
            .map(|ty| self.flat(ty))
            .max()
            .unwrap_or(0);
        slots.push(case as u64);
        let end = slots.len() + room;
        if let Some(ty) = &cases[case] {
            self.lower(ty, choices, slots);
        }
        slots.resize(end, 0);
    }

    /// Slots that a type takes.
    fn flat(&self, ty: &Type) -> usize {
        let Type::Id(id) = ty else {
            return if matches!(ty, Type::String) { 2 } else { 1 };
        };
        match &self.world.resolve.types[*id].kind {
            TypeDefKind::Type(ty) => self.flat(ty),
            TypeDefKind::Record(record) => {
                record.fields.iter().map(|field| self.flat(&field.ty)).sum()
            }
            TypeDefKind::Option(ty) => 1 + self.flat(ty),
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter().filter_map(|case| case.ty.as_ref());
                1 + cases.map(|ty| self.flat(ty)).max().unwrap_or(0)
            }
            TypeDefKind::List(_) => 2,
            _ => 1,
        }
    }

    /// Keeps bytes in the guest's memory, aligned to 8.
    fn keep(&mut self, bytes: &[u8]) -> u32 {
        let at = self.data.len().next_multiple_of(8);
        if at + bytes.len() > DATA_MAX {
            return DATA_AT;
        }
        self.data.resize(at, 0);
        self.data.extend_from_slice(bytes);
        DATA_AT + at as u32
    }

    fn text(&mut self, choices: &mut Choices<'_>) -> (u32, u32) {
        let which = choices.below(TEXTS.len() + 6);
        let bytes = match TEXTS.get(which) {
            Some(text) => text.to_vec(),
            None if which.is_multiple_of(2) => {
                let length = choices.below(24);
                choices.bytes(length).to_vec()
            }
            None => vec![b'x'; 4 * usize::from(choices.byte())],
        };
        (self.keep(&bytes), bytes.len() as u32)
    }

    fn list(&mut self, of: &Type, choices: &mut Choices<'_>) -> (u32, u32) {
        if matches!(of, Type::U8) {
            return self.text(choices);
        }
        // Seven is what an arm has joints.
        let count = *choices.one(&[7, 0, 1, 2, 3, 6, 8, 16, 17, 32, 33, LIST_MAX]);
        let mut bytes = Vec::new();
        for _ in 0..count {
            let mut slots = Vec::new();
            self.lower(of, choices, &mut slots);
            let is_wide = matches!(of, Type::F64 | Type::U64 | Type::S64);
            for slot in slots {
                let slot = slot.to_le_bytes();
                bytes.extend_from_slice(if is_wide { &slot } else { &slot[..4] });
            }
        }
        (self.keep(&bytes), count as u32)
    }

    /// Writes an answer of the export into the data: a case, and its fields where they belong.
    fn answer(&mut self, is_proposal: bool, choices: &mut Choices<'_>) -> u64 {
        let mut words = vec![u32::from(choices.byte() % 3)];
        if is_proposal {
            let (at, length) = self.text(choices);
            words.extend([0, at, length]);
            for field in [word(choices), number(choices).to_bits()] {
                words.extend([field as u32, (field >> 32) as u32]);
            }
        } else {
            for _ in 0..3 {
                let (at, length) = self.text(choices);
                words.extend([at, length]);
            }
        }
        if choices.once_in(8) {
            let at = choices.below(words.len());
            words[at] = *choices.one(&EXTREMES);
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let at = self.keep(&bytes);
        if choices.once_in(8) {
            return u64::from(address(choices));
        }
        u64::from(at)
    }
}

fn answer_at(choices: &mut Choices<'_>) -> u32 {
    ANSWERS_AT + ANSWER_BYTES * (choices.byte() % 16) as u32
}

/// Somewhere: what the script is made of, where answers are, or nowhere.
fn address(choices: &mut Choices<'_>) -> u32 {
    match choices.byte() % 4 {
        0 => answer_at(choices),
        1 => SCRIPT_AT + u32::from(choices.short()),
        2 => HEAP_AT + u32::from(choices.short()),
        _ => *choices.one(&EXTREMES),
    }
}

/// Handles are given out from 1 on.
fn handle(choices: &mut Choices<'_>) -> u64 {
    match choices.byte() {
        byte @ 0..=250 => 1 + u64::from(byte % 5),
        251 => 0,
        252 => 9,
        _ => u64::from(*choices.one(&EXTREMES)),
    }
}

fn number(choices: &mut Choices<'_>) -> f64 {
    match choices.byte() {
        byte @ 0..216 => ORDINARY[usize::from(byte) % ORDINARY.len()],
        byte @ 216..246 => NUMBERS[usize::from(byte) % NUMBERS.len()],
        _ => f64::from_bits(choices.word()),
    }
}

fn word(choices: &mut Choices<'_>) -> u64 {
    match choices.byte() {
        byte @ 0..=239 => WORDS[usize::from(byte) % WORDS.len()],
        _ => choices.word(),
    }
}
