//! Bulk memory instructions that can be interrupted.
//!
//! wasmtime looks whether a guest has to give the thread back where it jumps back or is called, so that one `memory.fill` over
//! all of a memory goes on to its end, with a page fault for every page that it is the first to touch. Before a component is
//! compiled, each such instruction of its core modules is made a call of a function that goes piece by piece, with a jump back
//! between two of them. What a guest can see of it is the same: bounds are checked before anything is written, and pieces that
//! overlap are copied in the order that leaves nothing overwritten before it is read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use wasm_encoder::{BlockType, Encode as _, Function, Instruction, ValType};
use wasmparser::{
    BinaryReader, CodeSectionReader, FunctionBody, FunctionSectionReader, ImportSectionReader,
    MemorySectionReader, Operator, TypeRef, TypeSectionReader,
};

/// Bytes of a piece: tens of microseconds where every page of it is a page fault.
const PIECE: i32 = 64 << 10;

/// Counts the versions of what is made of a component here: machine code that was made of something else is made again.
pub(crate) const VERSION: u32 = 1;

type Result<T> = std::result::Result<T, wasmparser::BinaryReaderError>;

/// Length of what a module or component begins with: magic number, version and layer.
const HEADER: usize = 8;

/// Section of a component that holds a core module.
const COMPONENT_MODULE: u8 = 1;
/// Section of a component that holds a component.
const COMPONENT_COMPONENT: u8 = 4;

const CUSTOM: u8 = 0;
const TYPES: u8 = 1;
const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const MEMORIES: u8 = 5;
const CODE: u8 = 10;

/// A component whose bulk memory instructions can be interrupted; the same bytes if it has none that need it.
///
/// # Errors
/// It is not well-formed, which wasmtime says better.
pub(crate) fn in_pieces(component: &[u8]) -> Result<Cow<'_, [u8]>> {
    rewritten(component, |section| match section.id {
        COMPONENT_MODULE => module_in_pieces(section.content),
        COMPONENT_COMPONENT => in_pieces(section.content),
        _ => Ok(Cow::Borrowed(section.content)),
    })
}

/// One section, of a component or of a module.
struct Section<'a> {
    id: u8,
    content: &'a [u8],
}

/// Everything up to the sections, and the sections.
fn sections(bytes: &[u8]) -> Result<(&[u8], Vec<Section<'_>>)> {
    let mut reader = BinaryReader::new(bytes, 0);
    let header = reader.read_bytes(HEADER)?;
    let mut sections = Vec::new();
    while !reader.eof() {
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()?;
        let content = reader.read_bytes(length as usize)?;
        sections.push(Section { id, content });
    }
    Ok((header, sections))
}

/// The same with other sections, or the same bytes if each stays as it is.
fn rewritten<'a>(
    bytes: &'a [u8],
    each: impl Fn(&Section<'a>) -> Result<Cow<'a, [u8]>>,
) -> Result<Cow<'a, [u8]>> {
    let (header, sections) = sections(bytes)?;
    let contents = (sections.iter().map(&each)).collect::<Result<Vec<_>>>()?;
    if !(contents.iter()).any(|content| matches!(content, Cow::Owned(_))) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut all = header.to_vec();
    for (Section { id, .. }, content) in sections.iter().zip(contents) {
        all.push(*id);
        content.encode(&mut all);
    }
    Ok(Cow::Owned(all))
}

/// An instruction that goes over as many bytes as the guest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bulk {
    Fill { memory: u32 },
    Copy { to: u32, from: u32 },
    Init { memory: u32, data: u32 },
}

impl Bulk {
    fn of(operator: &Operator<'_>) -> Option<Self> {
        Some(match *operator {
            Operator::MemoryFill { mem: memory } => Self::Fill { memory },
            Operator::MemoryCopy {
                dst_mem: to,
                src_mem: from,
            } => Self::Copy { to, from },
            Operator::MemoryInit {
                mem: memory,
                data_index: data,
            } => Self::Init { memory, data },
            _ => return None,
        })
    }

    fn instruction(self) -> Instruction<'static> {
        match self {
            Self::Fill { memory } => Instruction::MemoryFill(memory),
            Self::Copy { to, from } => Instruction::MemoryCopy {
                dst_mem: to,
                src_mem: from,
            },
            Self::Init { memory, data } => Instruction::MemoryInit {
                mem: memory,
                data_index: data,
            },
        }
    }

    /// Types of what it takes: where to, where from or with what, how many bytes. `None` if there is no such memory.
    fn takes(self, memories: &[ValType]) -> Option<[ValType; 3]> {
        let address = |memory: u32| memories.get(memory as usize).copied();
        Some(match self {
            Self::Fill { memory } => [address(memory)?, ValType::I32, address(memory)?],
            Self::Init { memory, .. } => [address(memory)?, ValType::I32, ValType::I32],
            Self::Copy { to, from } => {
                let (to, from) = (address(to)?, address(from)?);
                // As many as both can have.
                let length = if to == from { to } else { ValType::I32 };
                [to, from, length]
            }
        })
    }
}

/// What of a module has to be known.
#[derive(Default)]
struct Known {
    types: u32,
    functions: u32,
    /// What each memory is addressed with.
    memories: Vec<ValType>,
    /// Those in its code, and which function goes through each piece by piece.
    bulk: BTreeMap<Bulk, u32>,
}

impl Known {
    fn read(sections: &[Section<'_>]) -> Result<Self> {
        let mut module = Self::default();
        for Section { id, content } in sections {
            let reader = BinaryReader::new(content, 0);
            match *id {
                TYPES => {
                    for group in TypeSectionReader::new(reader)? {
                        let types = group?.types().len() as u32;
                        module.types = module.types.saturating_add(types);
                    }
                }
                IMPORTS => {
                    for import in ImportSectionReader::new(reader)?.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) | TypeRef::FuncExact(_) => module.functions += 1,
                            TypeRef::Memory(memory) => module.memories.push(address(&memory)),
                            TypeRef::Table(_) | TypeRef::Global(_) | TypeRef::Tag(_) => {}
                        }
                    }
                }
                FUNCTIONS => {
                    let defined = FunctionSectionReader::new(reader)?.count();
                    module.functions = module.functions.saturating_add(defined);
                }
                MEMORIES => {
                    for memory in MemorySectionReader::new(reader)? {
                        module.memories.push(address(&memory?));
                    }
                }
                CODE => {
                    for body in CodeSectionReader::new(reader)? {
                        let in_body = long_ones(&body?)?;
                        (module.bulk).extend(in_body.into_iter().map(|long| (long.bulk, 0)));
                    }
                }
                _ => {}
            }
        }
        for (index, function) in module.bulk.values_mut().enumerate() {
            *function = module.functions.saturating_add(index as u32);
        }
        Ok(module)
    }
}

fn address(memory: &wasmparser::MemoryType) -> ValType {
    if memory.memory64 {
        ValType::I64
    } else {
        ValType::I32
    }
}

/// A bulk instruction, and where in its function's body it is.
struct Long {
    bulk: Bulk,
    begin: usize,
    end: usize,
}

/// The bulk instructions of a function but those whose length is written before them and is that of a piece at most.
fn long_ones(body: &FunctionBody<'_>) -> Result<Vec<Long>> {
    let mut found = Vec::new();
    let mut is_short = false;
    let mut operators = body.get_operators_reader()?;
    let start = body.range().start;
    while !operators.eof() {
        let begin = operators.original_position() - start;
        let operator = operators.read()?;
        if let Some(bulk) = Bulk::of(&operator)
            && !is_short
        {
            let end = operators.original_position() - start;
            found.push(Long { bulk, begin, end });
        }
        is_short = match operator {
            Operator::I32Const { value } => (0..=PIECE).contains(&value),
            Operator::I64Const { value } => (0..=i64::from(PIECE)).contains(&value),
            _ => false,
        };
    }
    Ok(found)
}

fn module_in_pieces(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    let (_, found) = sections(bytes)?;
    let module = Known::read(&found)?;
    // One that names a memory which is not there is told so by wasmtime.
    let made: Option<Vec<(Bulk, [ValType; 3])>> = (module.bulk.keys())
        .map(|bulk| Some((*bulk, bulk.takes(&module.memories)?)))
        .collect();
    let Some(made) = made.filter(|made| !made.is_empty()) else {
        return Ok(Cow::Borrowed(bytes));
    };
    rewritten(bytes, |Section { id, content }| {
        let mut more = Vec::new();
        match *id {
            TYPES => {
                for (_, takes) in &made {
                    more.extend([FUNCTION_TYPE, 3]);
                    takes.iter().for_each(|one| one.encode(&mut more));
                    more.push(0);
                }
            }
            FUNCTIONS => {
                let last = module.types.saturating_add(made.len() as u32);
                (module.types..last).for_each(|index| index.encode(&mut more));
            }
            CODE => {
                for (bulk, takes) in &made {
                    piece_by_piece(*bulk, *takes).encode(&mut more);
                }
                return with_calls(content, &module, &more).map(Cow::Owned);
            }
            // Hints by the place of an instruction in its function: these have moved.
            CUSTOM if is_about_places(content)? => return Ok(Cow::Owned(renamed())),
            _ => return Ok(Cow::Borrowed(*content)),
        }
        let mut reader = BinaryReader::new(content, 0);
        let count = reader.read_var_u32()?;
        let mut all = Vec::new();
        (count.saturating_add(made.len() as u32)).encode(&mut all);
        all.extend(reader.read_bytes(reader.bytes_remaining())?);
        all.append(&mut more);
        Ok(Cow::Owned(all))
    })
}

const FUNCTION_TYPE: u8 = 0x60;

fn is_about_places(custom: &[u8]) -> Result<bool> {
    let name = BinaryReader::new(custom, 0).read_string()?;
    Ok(name.starts_with("metadata.code."))
}

/// A section that says nothing.
fn renamed() -> Vec<u8> {
    let mut section = Vec::new();
    "left-out".encode(&mut section);
    section
}

/// The code section with calls in place of instructions, and more bodies, as they are encoded, at its end.
fn with_calls(section: &[u8], module: &Known, more: &[u8]) -> Result<Vec<u8>> {
    let bodies = CodeSectionReader::new(BinaryReader::new(section, 0))?;
    let mut all = Vec::with_capacity(section.len() + more.len());
    let count = bodies.count().saturating_add(module.bulk.len() as u32);
    count.encode(&mut all);
    for body in bodies {
        let body = body?;
        let bytes = body.as_bytes();
        let mut called = Vec::with_capacity(bytes.len());
        let mut done = 0;
        for Long { bulk, begin, end } in long_ones(&body)? {
            called.extend(&bytes[done..begin]);
            Instruction::Call(module.bulk[&bulk]).encode(&mut called);
            done = end;
        }
        called.extend(&bytes[done..]);
        called.encode(&mut all);
    }
    all.extend(more);
    Ok(all)
}

/// Where the function has what it takes.
const TO: u32 = 0;
const FROM: u32 = 1;
const LENGTH: u32 = 2;

/// The function that stands for an instruction.
fn piece_by_piece(bulk: Bulk, takes: [ValType; 3]) -> Function {
    let mut code = Code {
        function: Function::new([]),
        takes,
    };
    // What is filled with is the same for every piece.
    let reads = !matches!(bulk, Bulk::Fill { .. });
    code.put(Instruction::Block(BlockType::Empty));
    // All at once if it is a piece at most, or if its end is beyond every address, which is an error.
    code.get(LENGTH);
    code.constant(LENGTH, PIECE);
    code.compare(LENGTH, Compare::AtMost);
    code.put(Instruction::BrIf(0));
    let ends: &[u32] = if reads { &[TO, FROM] } else { &[TO] };
    for &place in ends {
        code.end_of(place);
        code.get(place);
        code.compare(place, Compare::Below);
        code.put(Instruction::BrIf(0));
    }
    // Nothing at its end: an error where that is out of bounds, before anything is written.
    code.end_of(TO);
    if reads {
        code.end_of(FROM);
    } else {
        code.get(FROM);
    }
    code.constant(LENGTH, 0);
    code.put(bulk.instruction());
    match bulk {
        Bulk::Copy { to, from } if to == from => {
            code.get(TO);
            code.get(FROM);
            code.compare(TO, Compare::AtMost);
            code.put(Instruction::If(BlockType::Empty));
            code.forwards(bulk, reads);
            code.put(Instruction::Else);
            code.backwards(bulk);
            code.put(Instruction::End);
        }
        _ => code.forwards(bulk, reads),
    }
    code.put(Instruction::End);
    for place in [TO, FROM, LENGTH] {
        code.get(place);
    }
    code.put(bulk.instruction());
    code.put(Instruction::End);
    code.function
}

enum Compare {
    Below,
    AtMost,
    Above,
}

/// A function in the making.
struct Code {
    function: Function,
    takes: [ValType; 3],
}

impl Code {
    fn put(&mut self, instruction: Instruction<'_>) {
        self.function.instruction(&instruction);
    }

    fn is_long(&self, place: u32) -> bool {
        self.takes[place as usize] == ValType::I64
    }

    fn get(&mut self, place: u32) {
        self.put(Instruction::LocalGet(place));
    }

    /// A number of the type of what is there.
    fn constant(&mut self, place: u32, value: i32) {
        self.put(if self.is_long(place) {
            Instruction::I64Const(value.into())
        } else {
            Instruction::I32Const(value)
        });
    }

    /// Compares two numbers of the type of what is there.
    fn compare(&mut self, place: u32, how: Compare) {
        self.put(match (self.is_long(place), how) {
            (false, Compare::Below) => Instruction::I32LtU,
            (false, Compare::AtMost) => Instruction::I32LeU,
            (false, Compare::Above) => Instruction::I32GtU,
            (true, Compare::Below) => Instruction::I64LtU,
            (true, Compare::AtMost) => Instruction::I64LeU,
            (true, Compare::Above) => Instruction::I64GtU,
        });
    }

    fn add(&mut self, place: u32) {
        self.put(if self.is_long(place) {
            Instruction::I64Add
        } else {
            Instruction::I32Add
        });
    }

    /// What is there, and the length behind it.
    fn end_of(&mut self, place: u32) {
        self.get(place);
        self.get(LENGTH);
        if self.is_long(place) && !self.is_long(LENGTH) {
            self.put(Instruction::I64ExtendI32U);
        }
        self.add(place);
    }

    fn move_by(&mut self, place: u32, by: i32) {
        self.get(place);
        self.constant(place, by);
        self.add(place);
        self.put(Instruction::LocalSet(place));
    }

    fn again_if_longer_than_a_piece(&mut self) {
        self.get(LENGTH);
        self.constant(LENGTH, PIECE);
        self.compare(LENGTH, Compare::Above);
        self.put(Instruction::BrIf(0));
        self.put(Instruction::End);
    }

    /// From the first piece on, until one is left.
    fn forwards(&mut self, bulk: Bulk, reads: bool) {
        self.put(Instruction::Loop(BlockType::Empty));
        self.get(TO);
        self.get(FROM);
        self.constant(LENGTH, PIECE);
        self.put(bulk.instruction());
        self.move_by(TO, PIECE);
        if reads {
            self.move_by(FROM, PIECE);
        }
        self.move_by(LENGTH, -PIECE);
        self.again_if_longer_than_a_piece();
    }

    /// From the last piece on, until one is left.
    fn backwards(&mut self, bulk: Bulk) {
        self.put(Instruction::Loop(BlockType::Empty));
        self.move_by(LENGTH, -PIECE);
        self.end_of(TO);
        self.end_of(FROM);
        self.constant(LENGTH, PIECE);
        self.put(bulk.instruction());
        self.again_if_longer_than_a_piece();
    }
}

#[cfg(test)]
mod tests;
