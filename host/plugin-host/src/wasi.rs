//! WASI 0.2, linked but inert.
//!
//! An ordinary `std` guest imports a dozen WASI interfaces just because it formats or panics. They need no grant
//! because nothing of the outside is behind them: the environment is empty, standard input is closed, standard
//! output goes to the log, random numbers come from the run's seed, clocks and sleep are ticks. Every other
//! function, whatever 0.2 version a guest asks for, answers by the shape of its result: one that can say no says
//! no, one that lists things lists nothing.

use std::fmt::Debug;
use std::slice;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sinew_units::{TICK_NS, Tick, Ticks};
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{
    Component, ComponentNamedList, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource,
    ResourceAny, ResourceType, Val,
};
use wasmtime::{Engine, StoreContextMut};

use crate::capabilities::line;
use crate::host::hex;
use crate::link::{Taken, count, played, recorded, taped};
use crate::state::RunState;
use crate::tape::{Recorded, recorded_cases, recorded_fields};

/// Bytes that a stream takes at once.
const WRITE_MAX: u64 = 4 << 10;
/// Random bytes that one call gives: they are made by the host, where no fuel is burnt.
const RANDOM_MAX: u64 = 4 << 10;
/// Longest text that is recorded of the parameters of a function with nothing behind it, bytes.
const WORDS_MAX: usize = 1 << 10;
/// Text of standard error that is kept to explain a trap, bytes.
const TAIL_MAX: usize = 2 << 10;
const NS_PER_S: u64 = 1_000_000_000;

/// State of the inert WASI of one run.
pub(crate) struct Inert {
    random: u64,
    pending: [Vec<u8>; 2],
    tail: String,
}

impl Inert {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: seed,
            pending: [Vec::new(), Vec::new()],
            tail: String::new(),
        }
    }

    /// The last that the guest wrote to standard error: a panic's message.
    pub(crate) fn last_words(&self) -> String {
        let mut words = self.tail.clone();
        words.push_str(&String::from_utf8_lossy(&self.pending[1]));
        words.trim().to_owned()
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// `output-stream`; the handle's number says which of the two it is.
#[derive(Debug)]
struct Output;
#[derive(Debug)]
struct Input;
#[derive(Debug)]
struct IoError;
struct Nothing;
#[derive(Debug)]
struct Pollable {
    ready_at: Tick,
}

const STDOUT: u32 = 0;
const STDERR: u32 = 1;

#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

recorded_fields! {
    Datetime { seconds, nanoseconds }
}

recorded_cases! { StreamError {
    0 LastOperationFailed(error),
    1 Closed,
} }

/// What a component imports of WASI: linking depends on nothing else of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Imports(Vec<Import>);

/// One interface, with what of it is linked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    /// With its version.
    name: String,
    resources: Vec<String>,
    functions: Vec<String>,
}

impl Imports {
    pub(crate) fn of(component: &Component, engine: &Engine) -> Self {
        let mut imports = Vec::new();
        let mut seen: Vec<ResourceType> = Vec::new();
        for (name, import) in component.component_type().imports(engine) {
            let ComponentItem::ComponentInstance(instance) = import.ty else {
                continue;
            };
            if interface_of(name).is_none() {
                continue;
            }
            let (mut resources, mut functions) = (Vec::new(), Vec::new());
            for (item, export) in instance.exports(engine) {
                match export.ty {
                    // A `use` of another interface's resource shows up again here, as the same type.
                    ComponentItem::Resource(ty) if !seen.contains(&ty) => {
                        seen.push(ty);
                        resources.push(item.to_owned());
                    }
                    ComponentItem::ComponentFunc(_) => functions.push(item.to_owned()),
                    _ => {}
                }
            }
            imports.push(Import {
                name: name.to_owned(),
                resources,
                functions,
            });
        }
        Self(imports)
    }

    #[cfg(test)]
    pub(crate) fn of_function(interface: &str, function: &str) -> Self {
        Self(vec![Import {
            name: interface.to_owned(),
            resources: Vec::new(),
            functions: vec![function.to_owned()],
        }])
    }

    /// Names of the interfaces.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|import| import.name.clone()).collect()
    }

    pub(crate) fn link(&self, linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
        for import in &self.0 {
            let mut into = linker.instance(&import.name)?;
            for resource in &import.resources {
                define_resource(&mut into, resource)?;
            }
            let interface = interface_of(&import.name).unwrap_or_default();
            for function in &import.functions {
                if !define_known(&mut into, interface, function)? {
                    define_inert(&mut into, interface, function)?;
                }
            }
        }
        Ok(())
    }
}

/// An interface of WASI 0.2, without its version.
fn interface_of(import: &str) -> Option<&str> {
    let (interface, _) = import.strip_prefix("wasi:")?.split_once("@0.2.")?;
    Some(interface)
}

fn define_resource(into: &mut LinkerInstance<'_, RunState>, name: &str) -> wasmtime::Result<()> {
    match name {
        "output-stream" => into.resource(name, ResourceType::host::<Output>(), |_, _| Ok(())),
        "input-stream" => into.resource(name, ResourceType::host::<Input>(), |_, _| Ok(())),
        "error" => into.resource(name, ResourceType::host::<IoError>(), |_, _| Ok(())),
        "pollable" => into.resource(
            name,
            ResourceType::host::<Pollable>(),
            |mut store: StoreContextMut<'_, RunState>, handle| {
                let function = "wasi:io/poll.[resource-drop]pollable";
                taped(store.data_mut(), function, (handle,), |state, (handle,)| {
                    state.table.delete(Resource::<Pollable>::new_own(handle))?;
                    Ok(())
                })
            },
        ),
        _ => into.resource(name, ResourceType::host::<Nothing>(), |_, _| Ok(())),
    }
}

/// Links functions of one interface, every call of which is recorded.
struct Known<'a, 'b> {
    into: &'a mut LinkerInstance<'b, RunState>,
    interface: &'a str,
    name: &'a str,
}

impl Known<'_, '_> {
    fn function(&self) -> Arc<str> {
        format!("wasi:{}.{}", self.interface, self.name).into()
    }

    /// A function that answers at once.
    fn ready<P: Taken, R>(
        self,
        body: fn(&mut RunState, P) -> wasmtime::Result<R>,
    ) -> wasmtime::Result<()>
    where
        R: ComponentNamedList + Lower + Recorded + Debug + 'static,
    {
        let function = self.function();
        self.into.func_wrap_async(
            self.name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                let function = Arc::clone(&function);
                Box::new(async move {
                    count(&mut store).await?;
                    taped(store.data_mut(), &function, params, body)
                })
            },
        )
    }

    /// A function with an effect inside the component's own world, which it has when it is done again, too.
    fn says<P: Taken, R>(self, body: fn(&mut RunState, P) -> R) -> wasmtime::Result<()>
    where
        R: ComponentNamedList + Lower + Recorded + Debug + 'static,
    {
        let function = self.function();
        self.into.func_wrap_async(
            self.name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                let function = Arc::clone(&function);
                Box::new(async move {
                    count(&mut store).await?;
                    let state = store.data_mut();
                    if let Some(played) = played::<P, R>(state, &function, &params) {
                        played?;
                    }
                    recorded(state, &function, params, |state, params| {
                        Ok(body(state, params))
                    })
                })
            },
        )
    }

    /// A function that waits for moments.
    fn polls<P, R>(
        self,
        moments: fn(&P) -> &[Resource<Pollable>],
        body: fn(Vec<u32>) -> R,
    ) -> wasmtime::Result<()>
    where
        P: Taken + Sync,
        R: ComponentNamedList + Lower + Recorded + Debug + Send + Sync + 'static,
    {
        let function = self.function();
        self.into.func_wrap_async(
            self.name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                let function = Arc::clone(&function);
                Box::new(async move {
                    count(&mut store).await?;
                    let state = store.data_mut();
                    if let Some(played) = played(state, &function, &params) {
                        return played;
                    }
                    state.shared().tape.begin(&function, &params);
                    let answer = poll(state, moments(&params)).await.map(body);
                    state.record(answer.as_ref());
                    answer
                })
            },
        )
    }
}

/// The functions with something behind them.
fn define_known(
    into: &mut LinkerInstance<'_, RunState>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<bool> {
    let known = Known {
        into,
        interface,
        name,
    };
    match (interface, name) {
        ("cli/exit", "exit") => known.ready(|_, (_,): (Result<(), ()>,)| exited())?,
        ("cli/exit", "exit-with-code") => known.ready(|_, (_,): (u8,)| exited())?,
        ("cli/stdin", "get-stdin") => {
            known.ready(|_, (): ()| Ok((Resource::<Input>::new_own(0),)))?;
        }
        ("cli/stdout", "get-stdout") => {
            known.ready(|_, (): ()| Ok((Resource::<Output>::new_own(STDOUT),)))?;
        }
        ("cli/stderr", "get-stderr") => {
            known.ready(|_, (): ()| Ok((Resource::<Output>::new_own(STDERR),)))?;
        }
        ("io/streams", "[method]output-stream.check-write") => {
            known.ready(|_, (_,): (Resource<Output>,)| Ok((Ok::<_, StreamError>(WRITE_MAX),)))?;
        }
        (
            "io/streams",
            "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush",
        ) => known.says(|state, (to, bytes): (Resource<Output>, Vec<u8>)| {
            if bytes.len() as u64 > WRITE_MAX {
                // It was told how much the stream takes; what is over that costs the host and not the guest.
                return (Err(StreamError::Closed),);
            }
            write(state, to.rep(), &bytes);
            (Ok::<(), StreamError>(()),)
        })?,
        ("io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            known.ready(|_, (_,): (Resource<Output>,)| Ok((Ok::<(), StreamError>(()),)))?;
        }
        ("io/streams", "[method]output-stream.subscribe") => {
            known.ready(|state, (_,): (Resource<Output>,)| pollable(state, Tick(0)))?;
        }
        ("io/streams", "[method]input-stream.subscribe") => {
            known.ready(|state, (_,): (Resource<Input>,)| pollable(state, Tick(0)))?;
        }
        ("io/poll", "[method]pollable.ready") => {
            known.ready(|state, (one,): (Resource<Pollable>,)| {
                Ok((state.table.get(&one)?.ready_at <= state.shared().now,))
            })?;
        }
        ("io/poll", "[method]pollable.block") => {
            known.polls(
                |(one,): &(Resource<Pollable>,)| slice::from_ref(one),
                |_| (),
            )?;
        }
        ("io/poll", "poll") => {
            known.polls(|(all,): &(Vec<Resource<Pollable>>,)| all, |ready| (ready,))?;
        }
        ("clocks/monotonic-clock", "now") => {
            known.ready(|state, (): ()| Ok((state.shared().now.as_ns(),)))?;
        }
        ("clocks/monotonic-clock", "resolution") => known.ready(|_, (): ()| Ok((TICK_NS,)))?,
        ("clocks/monotonic-clock", "subscribe-instant") => {
            known.ready(|state, (ns,): (u64,)| pollable(state, Tick(ns.div_ceil(TICK_NS))))?;
        }
        ("clocks/monotonic-clock", "subscribe-duration") => {
            known.ready(|state, (ns,): (u64,)| {
                let now = state.shared().now;
                pollable(state, now + Ticks(ns.div_ceil(TICK_NS)))
            })?;
        }
        ("clocks/wall-clock", "now") => {
            known.ready(|state, (): ()| Ok((datetime(state.shared().now.as_ns()),)))?;
        }
        ("clocks/wall-clock", "resolution") => {
            known.ready(|_, (): ()| Ok((datetime(TICK_NS),)))?;
        }
        ("random/random" | "random/insecure", "get-random-bytes" | "get-insecure-random-bytes") => {
            known.ready(|state, (count,): (u64,)| {
                let bytes = (0..count.min(RANDOM_MAX).div_ceil(8))
                    .flat_map(|_| state.wasi.next().to_le_bytes())
                    .take(count.min(RANDOM_MAX) as usize);
                Ok((bytes.collect::<Vec<u8>>(),))
            })?;
        }
        ("random/random" | "random/insecure", "get-random-u64" | "get-insecure-random-u64") => {
            known.ready(|state, (): ()| Ok((state.wasi.next(),)))?;
        }
        ("random/insecure-seed", "insecure-seed") => {
            known.ready(|state, (): ()| Ok(((state.wasi.next(), state.wasi.next()),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A function with nothing behind it. That it was called is recorded, and with what; its answer is always the same.
fn define_inert(
    into: &mut LinkerInstance<'_, RunState>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    let function: Arc<str> = format!("wasi:{interface}.{name}").into();
    into.func_new_async(name, move |mut store, ty, params, results| {
        let function = Arc::clone(&function);
        Box::new(async move {
            count(&mut store).await?;
            let taken = (in_words(params),);
            taped(store.data_mut(), &function, taken, |_, _| Ok(()))?;
            for (result, ty) in results.iter_mut().zip(ty.results()) {
                *result = nothing_of(&ty, &mut store)?;
            }
            let mut handles = Vec::new();
            params
                .iter()
                .for_each(|param| find_handles(param, &mut handles));
            for handle in handles {
                handle.resource_drop_async(&mut store).await?;
            }
            Ok(())
        })
    })
}

/// Parameters of any type as their record has them. A handle is one, whatever its number is in this run.
fn in_words(params: &[Val]) -> String {
    let mut words = String::new();
    params.iter().for_each(|param| put_words(param, &mut words));
    if words.len() <= WORDS_MAX {
        return words;
    }
    let all = hex(&Sha256::digest(&words));
    let begin: String = words.chars().take(WORDS_MAX / 4).collect();
    format!("{begin}… (SHA-256 of all: {all})")
}

fn put_words(value: &Val, words: &mut String) {
    match value {
        Val::Resource(_) => words.push_str("handle"),
        Val::List(values) | Val::Tuple(values) => {
            values.iter().for_each(|value| put_words(value, words));
        }
        Val::Record(fields) => {
            (fields.iter()).for_each(|(_, value)| put_words(value, words));
        }
        Val::Option(Some(value)) => {
            words.push_str("some ");
            put_words(value, words);
        }
        Val::Variant(case, Some(value)) => {
            words.push_str(case);
            words.push(' ');
            put_words(value, words);
        }
        other => words.push_str(&format!("{other:?}")),
    }
    words.push(';');
}

/// The answer of a function with nothing behind it.
fn nothing_of(ty: &Type, store: &mut StoreContextMut<'_, RunState>) -> wasmtime::Result<Val> {
    Ok(match ty {
        Type::Bool => Val::Bool(false),
        Type::U8 => Val::U8(0),
        Type::U16 => Val::U16(0),
        Type::U32 => Val::U32(0),
        Type::U64 => Val::U64(0),
        Type::S64 => Val::S64(0),
        Type::String => Val::String(String::new()),
        Type::List(_) => Val::List(Vec::new()),
        Type::Option(_) => Val::Option(None),
        Type::Tuple(tuple) => Val::Tuple(
            tuple
                .types()
                .map(|ty| nothing_of(&ty, store))
                .collect::<wasmtime::Result<_>>()?,
        ),
        Type::Record(record) => Val::Record(
            record
                .fields()
                .map(|field| Ok((field.name.to_owned(), nothing_of(&field.ty, store)?)))
                .collect::<wasmtime::Result<_>>()?,
        ),
        Type::Result(result) => Val::Result(Err(match result.err() {
            None => None,
            Some(Type::Enum(codes)) => {
                let names: Vec<&str> = codes.names().collect();
                let refusal = ["access", "access-denied", "not-supported", "unsupported"]
                    .into_iter()
                    .find(|code| names.contains(code))
                    .or(names.first().copied());
                refusal.map(|code| Box::new(Val::Enum(code.to_owned())))
            }
            Some(Type::Variant(cases)) => cases
                .cases()
                .find(|case| case.ty.is_none())
                .map(|case| Box::new(Val::Variant(case.name.to_owned(), None))),
            Some(other) => Some(Box::new(nothing_of(&other, store)?)),
        })),
        Type::Own(_) => {
            Val::Resource(Resource::<Nothing>::new_own(0).try_into_resource_any(&mut *store)?)
        }
        _ => {
            return Err(wasmtime::Error::msg(
                "called a WASI function that this host does not offer",
            ));
        }
    })
}

/// What was lent to a call has to be given back before it ends.
fn find_handles(value: &Val, handles: &mut Vec<ResourceAny>) {
    match value {
        Val::Resource(handle) => handles.push(*handle),
        Val::List(values) | Val::Tuple(values) => {
            values.iter().for_each(|value| find_handles(value, handles));
        }
        Val::Record(fields) => {
            fields
                .iter()
                .for_each(|(_, value)| find_handles(value, handles));
        }
        Val::Option(Some(value)) | Val::Variant(_, Some(value)) => find_handles(value, handles),
        _ => {}
    }
}

fn exited() -> wasmtime::Result<()> {
    Err(wasmtime::Error::msg(
        "the guest called exit; a plugin ends by returning",
    ))
}

fn datetime(ns: u64) -> Datetime {
    Datetime {
        seconds: ns / NS_PER_S,
        // Smaller than a second's worth of nanoseconds.
        nanoseconds: (ns % NS_PER_S) as u32,
    }
}

fn pollable(state: &mut RunState, ready_at: Tick) -> wasmtime::Result<(Resource<Pollable>,)> {
    Ok((state.table.push(Pollable { ready_at })?,))
}

async fn poll(state: &mut RunState, all: &[Resource<Pollable>]) -> wasmtime::Result<Vec<u32>> {
    let mut moments = Vec::with_capacity(all.len());
    for one in all {
        moments.push(state.table.get(one)?.ready_at);
    }
    if moments.is_empty() {
        return Err(wasmtime::Error::msg("polled an empty list"));
    }
    let ready = state
        .until(|shared| {
            let ready: Vec<u32> = (0..)
                .zip(&moments)
                .filter(|(_, moment)| **moment <= shared.now)
                .map(|(index, _)| index)
                .collect();
            (!ready.is_empty()).then_some(Ok(ready))
        })
        .await;
    // WASI has no word for a cancelled sleep: it is over, and the next call of a capability says why.
    Ok(ready.unwrap_or_else(|_| vec![0]))
}

/// Cuts what is written into lines for the log.
fn write(state: &mut RunState, stream: u32, bytes: &[u8]) {
    let index = usize::from(stream == STDERR);
    for &byte in bytes {
        let pending = &mut state.wasi.pending[index];
        if byte != b'\n' {
            pending.push(byte);
            if pending.len() < TAIL_MAX {
                continue;
            }
        }
        let text = String::from_utf8_lossy(pending).into_owned();
        pending.clear();
        if index == 1 {
            let tail = &mut state.wasi.tail;
            if tail.len() + text.len() > TAIL_MAX {
                tail.clear();
            }
            tail.push_str(&text);
            tail.push('\n');
        }
        line(state, if index == 1 { "error" } else { "info" }, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_parameters_are_other_words() {
        let list = |values: &[u32]| Val::List(values.iter().copied().map(Val::U32).collect());
        let all = [
            in_words(&[Val::U32(1)]),
            in_words(&[Val::U32(2)]),
            in_words(&[Val::U64(1)]),
            in_words(&[Val::Float64(-0.0)]),
            in_words(&[list(&[1, 2]), list(&[3])]),
            in_words(&[list(&[1]), list(&[2, 3])]),
            in_words(&[Val::Option(None)]),
            in_words(&[Val::Option(Some(Box::new(Val::Option(None))))]),
            in_words(&[list(&[7; 9_000])]),
            in_words(&[list(&[7; 9_001])]),
        ];
        for (index, words) in all.iter().enumerate() {
            assert!(words.len() <= WORDS_MAX, "{words}");
            assert!(!all[..index].contains(words), "{words}");
        }
    }
}
