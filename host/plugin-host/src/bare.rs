//! A skill in wasmtime alone: what its calls cost without this host, to compare with.
//!
//! Nothing is granted, booked, recorded or bounded here, so there is little that it can call: it is handed the world and the
//! robot's state, of what it says the last object is kept, and it can wait. Nothing can move by it. What a call is answered is made as
//! in a run, so that the difference is what the host does beside answering.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use sinew_messages::LoopStatus;
use sinew_units::Tick;
use sinew_world::WorldReader;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, Store, StoreContextMut};

use crate::WIT_VERSION;
use crate::capabilities::{look, robot_state};
use crate::errors::HostError;
use crate::grants::Grant;
use crate::limits::{FIBER_STACK, WASM_STACK};
use crate::ports::HostPorts;
use crate::wire::{self, Error};

/// Which machine code is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareCode {
    /// As plugins have it: it counts fuel and looks for the epoch.
    Metered,
    /// As wasmtime makes it unless it is told otherwise: it counts nothing.
    Plain,
}

/// A component that is ready to run bare.
pub struct BareSkill {
    engine: Engine,
    instance: InstancePre<State>,
    code: BareCode,
}

/// A skill at work, to be polled.
pub struct BareRun {
    work: Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>,
    now: Arc<AtomicU64>,
    said: Arc<AtomicU64>,
}

/// What the calls answer from.
struct State {
    world: WorldReader,
    status: Arc<sinew_messages::Mailbox>,
    now: Arc<AtomicU64>,
    /// The object of its last step.
    said: Arc<AtomicU64>,
    grant: Grant,
}

impl BareSkill {
    /// Compiles a skill.
    ///
    /// # Errors
    /// It is no component, or one for another world.
    pub fn compile(bytes: &[u8], code: BareCode) -> Result<Self, HostError> {
        Self::new(bytes, code).map_err(words)
    }

    fn new(bytes: &[u8], code: BareCode) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .concurrency_support(false)
            .max_wasm_stack(WASM_STACK)
            .async_stack_size(FIBER_STACK);
        if code == BareCode::Metered {
            config
                .consume_fuel(true)
                .epoch_interruption(true)
                .cranelift_nan_canonicalization(true);
        }
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, bytes)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)?;
        linker.define_unknown_imports_as_traps(&component)?;
        Ok(Self {
            instance: linker.instantiate_pre(&component)?,
            engine,
            code,
        })
    }

    /// Starts it. Nothing of it runs before the first poll.
    ///
    /// # Errors
    /// It exports no `run`.
    pub fn start(&self, params_json: &str, ports: &HostPorts) -> Result<BareRun, HostError> {
        let now = Arc::new(AtomicU64::new(0));
        let said = Arc::new(AtomicU64::new(0));
        let state = State {
            world: ports.world.clone(),
            status: Arc::clone(&ports.robot.mailbox),
            now: Arc::clone(&now),
            said: Arc::clone(&said),
            grant: Grant::default(),
        };
        let mut store = Store::new(&self.engine, state);
        if self.code == BareCode::Metered {
            store.set_epoch_deadline(u64::MAX / 2);
            store.set_fuel(u64::MAX).map_err(words)?;
        }
        let (instance, params) = (self.instance.clone(), params_json.to_owned());
        let work = async move {
            let component = instance.component();
            let interface = format!("sinew:plugin/skill-run@{WIT_VERSION}");
            let run = (component.get_export_index(None, &interface))
                .and_then(|interface| component.get_export_index(Some(&interface), "run"))
                .ok_or_else(|| wasmtime::Error::msg("it exports no `run`"))?;
            let instance = instance.instantiate_async(&mut store).await?;
            let run = instance.get_typed_func::<
                (String, Option<wire::Checkpoint>),
                (Result<String, wire::Failure>,),
            >(&mut store, &run)?;
            let (result,) = run.call_async(&mut store, (params, None)).await?;
            result.map(drop).map_err(|failure| {
                wasmtime::Error::msg(format!("{}: {}", failure.label, failure.message))
            })
        };
        Ok(BareRun {
            work: Box::pin(work),
            now,
            said,
        })
    }
}

impl BareRun {
    /// The object that its last step was on.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    /// Lets it go on up to its next wait. True if it has ended, after which it must not be polled again.
    ///
    /// # Errors
    /// It trapped.
    pub fn poll(&mut self, now: Tick) -> Result<bool, HostError> {
        self.now.store(now.0, Ordering::Relaxed);
        let mut context = Context::from_waker(Waker::noop());
        match self.work.as_mut().poll(&mut context) {
            Poll::Pending => Ok(false),
            Poll::Ready(ended) => ended.map(|()| true).map_err(words),
        }
    }
}

fn words(error: wasmtime::Error) -> HostError {
    HostError::Engine(format!("{error:#}"))
}

fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut world = linker.instance(&format!("sinew:plugin/world@{WIT_VERSION}"))?;
    world.func_wrap_async("wait-newer", |store: Caller<'_>, (tick,): (u64,)| {
        Box::new(async move {
            let state = store.data();
            let answer = std::future::poll_fn(|_| {
                let snapshot = state.world.snapshot();
                if snapshot.image_tick <= tick {
                    return Poll::Pending;
                }
                Poll::Ready(look(&state.world, &snapshot, &state.grant))
            })
            .await;
            Ok((answer,))
        })
    })?;
    world.func_wrap_async("robot", |store: Caller<'_>, (): ()| {
        Box::new(async move {
            let status: Option<LoopStatus> = store.data().status.status.latest();
            Ok((robot_state(status.as_ref()),))
        })
    })?;
    let mut events = linker.instance(&format!("sinew:plugin/events@{WIT_VERSION}"))?;
    events.func_wrap_async(
        "step",
        |store: Caller<'_>, (_, object): (String, Option<u64>)| {
            Box::new(async move {
                let said = &store.data().said;
                said.store(object.unwrap_or_default(), Ordering::Relaxed);
                Ok(())
            })
        },
    )?;
    let mut clock = linker.instance(&format!("sinew:plugin/clock@{WIT_VERSION}"))?;
    clock.func_wrap_async("sleep", |store: Caller<'_>, (ticks,): (u64,)| {
        Box::new(async move {
            let now = || store.data().now.load(Ordering::Relaxed);
            let until = now().saturating_add(ticks);
            std::future::poll_fn(|_| {
                if now() < until {
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            Ok((Ok::<(), Error>(()),))
        })
    })
}

type Caller<'a> = StoreContextMut<'a, State>;
