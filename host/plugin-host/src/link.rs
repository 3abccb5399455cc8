//! How host functions are put into the linker: every call of every capability goes through the same gate.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sinew_units::Tick;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentNamedList, Lift, LinkerInstance, Lower};

use crate::state::{Mode, RunState};
use crate::tape::{Describe, Recorded, describe};
use crate::wire::Error;

/// A host function's work when it may have to wait.
pub(crate) type Waiting<'a, R> = Pin<Box<dyn Future<Output = Result<R, Error>> + Send + 'a>>;

/// One interface being linked.
pub(crate) struct Interface<'a> {
    pub(crate) linker: LinkerInstance<'a, RunState>,
    pub(crate) name: &'static str,
    /// Its number among the capabilities.
    pub(crate) capability: usize,
    /// Its functions, as they are linked.
    pub(crate) functions: &'a mut BTreeMap<String, Describe>,
}

/// What a call takes.
pub(crate) trait Taken:
    ComponentNamedList + Lift + Recorded + Debug + Send + 'static
{
}
impl<P: ComponentNamedList + Lift + Recorded + Debug + Send + 'static> Taken for P {}

/// What it gives.
pub(crate) trait Given: Lower + Lift + Recorded + Debug + Send + Sync + 'static {}
impl<R: Lower + Lift + Recorded + Debug + Send + Sync + 'static> Given for R {}

/// Counts a call, and makes the guest wait if it calls too often.
pub(crate) async fn count(store: &mut StoreContextMut<'_, RunState>) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    let state = store.data_mut();
    if state.book_call(left, None::<(&str, &())>)? {
        return Ok(());
    }
    state.next_step().await
}

/// Counts a call and writes it down, and refuels the guest for the stretch up to its next one.
async fn enter<P: Recorded>(
    store: &mut StoreContextMut<'_, RunState>,
    function: &str,
    params: &P,
) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    let state = store.data_mut();
    if !state.book_call(left, Some((function, params)))? {
        state.next_step().await?;
        state.shared().tape.begin(function, params);
    }
    let fuel = state.limits.fuel_between_calls;
    state.fuel_given = fuel;
    store.set_fuel(fuel)
}

/// The answer that was recorded, if the run is done again.
pub(crate) fn played<P: Recorded + Debug, R: Recorded + Debug>(
    state: &RunState,
    function: &str,
    params: &P,
) -> Option<wasmtime::Result<R>> {
    if state.mode != Mode::Replay {
        return None;
    }
    let mut shared = state.shared();
    let answer = shared.tape.play(function, params)?;
    Some(answer.map(|(tick, answer)| {
        shared.now = Tick(tick);
        answer
    }))
}

/// Answers a call that doesn't wait, or plays the answer.
pub(crate) fn taped<P: Recorded + Debug, R: Recorded + Debug>(
    state: &mut RunState,
    function: &str,
    params: P,
    answer: impl FnOnce(&mut RunState, P) -> wasmtime::Result<R>,
) -> wasmtime::Result<R> {
    if let Some(played) = played(state, function, &params) {
        return played;
    }
    recorded(state, function, params, answer)
}

/// Answers a call that doesn't wait, and writes down both.
pub(crate) fn recorded<P: Recorded, R: Recorded>(
    state: &mut RunState,
    function: &str,
    params: P,
    answer: impl FnOnce(&mut RunState, P) -> wasmtime::Result<R>,
) -> wasmtime::Result<R> {
    state.shared().tape.begin(function, &params);
    let answer = answer(state, params);
    state.record(answer.as_ref());
    answer
}

impl Interface<'_> {
    fn function<P: Taken>(&mut self, name: &str) -> Arc<str> {
        self.functions.insert(name.to_owned(), describe::<P>);
        format!("{}.{name}", self.name).into()
    }

    /// A function that answers at once.
    pub(crate) fn ready<P: Taken, R: Given>(
        &mut self,
        name: &str,
        body: fn(&mut RunState, P) -> Result<R, Error>,
    ) -> wasmtime::Result<()> {
        let (capability, function) = (self.capability, self.function::<P>(name));
        self.linker.func_wrap_async(
            name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                let function = Arc::clone(&function);
                Box::new(async move {
                    enter(&mut store, &function, &params).await?;
                    let state = store.data_mut();
                    if let Some(played) = played(state, &function, &params) {
                        return Ok((played?,));
                    }
                    let answer = (state.permit(capability)).and_then(|()| body(state, params));
                    state.record(Ok(&answer));
                    Ok((answer,))
                })
            },
        )
    }

    /// A function that may wait for later steps.
    pub(crate) fn waits<P: Taken, R: Given>(
        &mut self,
        name: &str,
        body: for<'s> fn(&'s mut RunState, P) -> Waiting<'s, R>,
    ) -> wasmtime::Result<()> {
        let (capability, function) = (self.capability, self.function::<P>(name));
        self.linker.func_wrap_async(
            name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                let function = Arc::clone(&function);
                Box::new(async move {
                    enter(&mut store, &function, &params).await?;
                    let state = store.data_mut();
                    if let Some(played) = played(state, &function, &params) {
                        return Ok((played?,));
                    }
                    let answer = match state.permit(capability) {
                        Ok(()) => body(state, params).await,
                        Err(error) => Err(error),
                    };
                    state.record(Ok(&answer));
                    Ok((answer,))
                })
            },
        )
    }

    /// A function that can't say no; without a grant it gives the default.
    pub(crate) fn plain<P: Taken, R>(
        &mut self,
        name: &str,
        body: fn(&mut RunState, P) -> R,
    ) -> wasmtime::Result<()>
    where
        R: ComponentNamedList + Lower + Recorded + Debug + Default + Send + 'static,
    {
        let (capability, function) = (self.capability, self.function::<P>(name));
        self.linker.func_wrap_async(
            name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                let function = Arc::clone(&function);
                Box::new(async move {
                    enter(&mut store, &function, &params).await?;
                    let state = store.data_mut();
                    if let Some(played) = played(state, &function, &params) {
                        return played;
                    }
                    let answer = match state.permit(capability) {
                        Ok(()) => body(state, params),
                        Err(_) => R::default(),
                    };
                    state.record(Ok(&answer));
                    Ok(answer)
                })
            },
        )
    }
}
