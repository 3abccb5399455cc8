//! A guest that does what it is told: a core module with every import of a world, which works off a list of commands. It is
//! compiled once, so that a script is tried in microseconds.

use std::fmt::Write as _;

use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{
    LiftLowerAbi, ManglingAndAbi, Resolve, ResourceIntrinsic, Type, TypeDefKind, WasmImport,
    WorldItem,
};

use crate::raw::resolved;

const ABI: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

/// Slots of 8 bytes that a command has for arguments: those of a call, and where its answer goes.
pub(crate) const SLOTS: usize = 17;
/// Bytes of a command: its kind, the number of an import, its slots.
pub(crate) const COMMAND_BYTES: usize = 8 + 8 * SLOTS;
/// Where the guest puts its script.
pub(crate) const SCRIPT_AT: u32 = 0x1_0000;
/// Where the host is given memory.
pub(crate) const HEAP_AT: u32 = 0x2_0000;
/// Under this key its script lies in `memory`.
pub(crate) const SCRIPT_KEY: &str = "script";
/// Pages of memory that it begins with.
pub(crate) const PAGES: u32 = 4;

/// What a command does.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Op {
    /// Returns slot 0 from the export.
    Return = 0,
    /// Calls an import with the slots.
    Call = 1,
    /// Copies 8 bytes from the address in slot 0 to the one in slot 1.
    Copy = 2,
    /// Writes slot 1 to the address in slot 0.
    Store = 3,
    /// Asks for slot 0 pages.
    Grow = 4,
    /// Fills slot 2 bytes from the address in slot 0 with slot 1.
    Fill = 5,
    /// Traps.
    Trap = 6,
    /// Computes slot 0 rounds for nothing.
    Spin = 7,
    /// Goes on at command number slot 0.
    Jump = 8,
    /// Gives the host memory in the way of slot 0 (and to the address in slot 1), and ends calls in the way of slot 2.
    Ways = 9,
}

/// One import of the core module.
pub(crate) struct Import {
    module: String,
    pub(crate) name: String,
    pub(crate) params: Vec<WasmType>,
    results: Vec<WasmType>,
    /// Types as the package has them; those of `[resource-drop]` are none.
    pub(crate) types: Vec<Type>,
    /// The last parameter says where the answer goes.
    pub(crate) is_answered_in_memory: bool,
}

/// A world, as its guests see it.
pub(crate) struct World {
    pub(crate) resolve: &'static Resolve,
    pub(crate) imports: Vec<Import>,
    /// Name of each export, and its core parameters.
    exports: Vec<(String, Vec<WasmType>)>,
}

impl World {
    pub(crate) fn named(name: &str) -> Self {
        let (resolve, world) = resolved(name);
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        for (key, item) in &resolve.worlds[world].imports {
            let WorldItem::Interface { id, .. } = item else {
                continue;
            };
            let interface = &resolve.interfaces[*id];
            for func in interface.functions.values() {
                let import = WasmImport::Func {
                    interface: Some(key),
                    func,
                };
                let (module, name) = resolve.wasm_import_name(ABI, import);
                let signature = resolve.wasm_signature(AbiVariant::GuestImport, func);
                assert!(
                    !signature.indirect_params,
                    "{name}: the script has no room for them"
                );
                imports.push(Import {
                    module,
                    name,
                    params: signature.params,
                    results: signature.results,
                    types: func.params.iter().map(|param| param.ty).collect(),
                    is_answered_in_memory: signature.retptr,
                });
            }
            for resource in interface.types.values() {
                if !matches!(resolve.types[*resource].kind, TypeDefKind::Resource) {
                    continue;
                }
                let import = WasmImport::ResourceIntrinsic {
                    interface: Some(key),
                    resource: *resource,
                    intrinsic: ResourceIntrinsic::ImportedDrop,
                };
                let (module, name) = resolve.wasm_import_name(ABI, import);
                imports.push(Import {
                    module,
                    name,
                    params: vec![WasmType::I32],
                    results: Vec::new(),
                    types: Vec::new(),
                    is_answered_in_memory: false,
                });
            }
        }
        for (key, item) in &resolve.worlds[world].exports {
            let WorldItem::Interface { id, .. } = item else {
                continue;
            };
            for func in resolve.interfaces[*id].functions.values() {
                let signature = resolve.wasm_signature(AbiVariant::GuestExport, func);
                let name = format!("{}#{}", resolve.name_world_key(key), func.name);
                exports.push((name, signature.params));
            }
        }
        Self {
            resolve,
            imports,
            exports,
        }
    }

    /// Number of an import.
    pub(crate) fn number(&self, module: &str, name: &str) -> usize {
        let is_it = |import: &Import| import.name == name && import.module.contains(module);
        (self.imports.iter().position(is_it)).expect("the world imports it")
    }

    /// The module that works off scripts.
    pub(crate) fn interpreter(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn text(&self) -> String {
        let mut text = String::from("(module\n");
        for (number, import) in self.imports.iter().enumerate() {
            let (module, name) = (&import.module, &import.name);
            let types = |types: &[WasmType]| {
                types
                    .iter()
                    .fold(String::new(), |all, ty| all + " " + core(*ty))
            };
            let (params, results) = (types(&import.params), types(&import.results));
            let _ = writeln!(
                text,
                "(import \"{module}\" \"{name}\" (func $i{number} (param{params}) (result{results})))"
            );
        }
        let _ = writeln!(
            text,
            "(memory (export \"memory\") {PAGES})
(data (i32.const 1024) \"{SCRIPT_KEY}\")
(global $free (mut i32) (i32.const {HEAP_AT}))
(global $realloc_way (mut i32) (i32.const 0))
(global $realloc_to (mut i32) (i32.const 0))
(global $post_way (mut i32) (i32.const 0))"
        );
        self.put_realloc(&mut text);
        self.put_interpreter(&mut text);
        self.put_exports(&mut text);
        text.push(')');
        text
    }

    /// Gives the host memory: well, at a fixed address, not at all, with a call of its own, or for ever.
    fn put_realloc(&self, text: &mut String) {
        let now = self.number("clock", "now");
        let _ = writeln!(
            text,
            "(func (export \"cabi_realloc\") (param i32 i32 i32) (param $size i32) (result i32)
  (local $at i32)
  (if (i32.eq (global.get $realloc_way) (i32.const 1)) (then (return (global.get $realloc_to))))
  (if (i32.eq (global.get $realloc_way) (i32.const 2)) (then unreachable))
  (if (i32.eq (global.get $realloc_way) (i32.const 3)) (then (drop (call $i{now}))))
  (if (i32.eq (global.get $realloc_way) (i32.const 4)) (then (loop $on (br $on))))
  (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
  (global.set $free (i32.add (local.get $at) (local.get $size)))
  (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16)))
    (then (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
  (local.get $at))"
        );
    }

    fn put_interpreter(&self, text: &mut String) {
        let slot = |number: usize| 8 + 8 * number;
        let i32_in = |number: usize| format!("(i32.load offset={} (local.get $at))", slot(number));
        let i64_in = |number: usize| format!("(i64.load offset={} (local.get $at))", slot(number));
        let _ = writeln!(text, "(func $call (param $at i32) (param $import i32)");
        let labels: String = (0..self.imports.len())
            .map(|number| format!(" $l{number}"))
            .collect();
        for number in (0..self.imports.len()).rev() {
            let _ = write!(text, "(block $l{number} ");
        }
        let _ = writeln!(
            text,
            "\n(br_table{labels} (i32.rem_u (local.get $import) (i32.const {})))",
            self.imports.len()
        );
        for (number, import) in self.imports.iter().enumerate() {
            let arguments =
                (import.params.iter().enumerate()).fold(String::new(), |all, (index, ty)| {
                    let offset = slot(index);
                    all + &format!(" ({}.load offset={offset} (local.get $at))", core(*ty))
                });
            let drops = "(drop ".repeat(import.results.len());
            let ends = ")".repeat(import.results.len());
            let _ = writeln!(text, ") {drops}(call $i{number}{arguments}){ends} (return)");
        }
        let _ = writeln!(
            text,
            ")
(func $script (result i32)
  (local $at i32) (local $op i32) (local $round i32)
  (local.set $at (i32.const {SCRIPT_AT}))
  (loop $next
    (local.set $op (i32.load (local.get $at)))
    (block $ways (block $jump (block $spin (block $trap (block $fill (block $grow (block $store (block $copy (block $call (block $return
      (br_table $return $call $copy $store $grow $fill $trap $spin $jump $ways $return (local.get $op)))
      (return {slot_0}))
      (call $call (local.get $at) (i32.load offset=4 (local.get $at)))
      (call $forward (local.get $at)) (local.set $at) (br $next))
      (i64.store {slot_1} (i64.load {slot_0}))
      (call $forward (local.get $at)) (local.set $at) (br $next))
      (i64.store {slot_0} {long_1})
      (call $forward (local.get $at)) (local.set $at) (br $next))
      (drop (memory.grow {slot_0}))
      (call $forward (local.get $at)) (local.set $at) (br $next))
      (memory.fill {slot_0} {slot_1} {slot_2})
      (call $forward (local.get $at)) (local.set $at) (br $next))
      unreachable)
      (local.set $round {slot_0})
      (loop $round (br_if $round (local.tee $round (i32.sub (local.get $round) (i32.const 1)))))
      (call $forward (local.get $at)) (local.set $at) (br $next))
      (local.set $at (i32.add (i32.const {SCRIPT_AT}) (i32.mul {slot_0} (i32.const {COMMAND_BYTES}))))
      (br $next))
    (global.set $realloc_way {slot_0}) (global.set $realloc_to {slot_1}) (global.set $post_way {slot_2})
    (call $forward (local.get $at)) (local.set $at) (br $next))
  unreachable)
(func $forward (param i32) (result i32) (i32.add (local.get 0) (i32.const {COMMAND_BYTES})))",
            slot_0 = i32_in(0),
            slot_1 = i32_in(1),
            slot_2 = i32_in(2),
            long_1 = i64_in(1),
        );
    }

    fn put_exports(&self, text: &mut String) {
        let get = self.number("memory", "get");
        let now = self.number("clock", "now");
        let key_bytes = SCRIPT_KEY.len();
        for (name, params) in &self.exports {
            let params = params
                .iter()
                .fold(String::new(), |all, ty| all + " " + core(*ty));
            // The answer of `memory.get`: its case at 0, whether there is a value at 4, where at 8, how long at 12.
            let _ = writeln!(
                text,
                "(func (export \"{name}\") (param{params}) (result i32)
  (call $i{get} (i32.const 1024) (i32.const {key_bytes}) (i32.const 2048))
  (if (i32.or (i32.load8_u (i32.const 2048)) (i32.ne (i32.load8_u (i32.const 2052)) (i32.const 1))) (then unreachable))
  (memory.copy (i32.const {SCRIPT_AT}) (i32.load (i32.const 2056)) (i32.load (i32.const 2060)))
  (call $script))
(func (export \"cabi_post_{name}\") (param i32)
  (if (i32.eq (global.get $post_way) (i32.const 1)) (then unreachable))
  (if (i32.eq (global.get $post_way) (i32.const 2)) (then (loop $on (br $on))))
  (if (i32.eq (global.get $post_way) (i32.const 3)) (then (drop (call $i{now})))))"
            );
        }
    }
}

fn core(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}
