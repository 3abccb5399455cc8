//! How host functions are put into the linker: every call of every capability goes through the same gate.

use std::future::Future;
use std::pin::Pin;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentNamedList, Lift, LinkerInstance, Lower};

use crate::state::RunState;
use crate::wire::Error;

/// A host function's work when it may have to wait.
pub(crate) type Waiting<'a, R> = Pin<Box<dyn Future<Output = Result<R, Error>> + Send + 'a>>;

/// One interface being linked.
pub(crate) struct Interface<'a> {
    pub(crate) linker: LinkerInstance<'a, RunState>,
    pub(crate) name: &'static str,
}

/// Refuels the guest for the stretch up to its next call, and makes it wait if it calls too often.
pub(crate) async fn enter(store: &mut StoreContextMut<'_, RunState>) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    let state = store.data_mut();
    state.charge(left);
    state.pace().await?;
    state.shared().usage.calls += 1;
    let fuel = state.limits.fuel_between_calls;
    state.fuel_given = fuel;
    store.set_fuel(fuel)
}

impl Interface<'_> {
    /// A function that answers at once.
    pub(crate) fn ready<P, R>(
        &mut self,
        name: &str,
        body: fn(&mut RunState, P) -> Result<R, Error>,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Send + 'static,
        R: Lower + Lift + Send + Sync + 'static,
    {
        let interface = self.name;
        self.linker.func_wrap_async(
            name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                Box::new(async move {
                    enter(&mut store).await?;
                    let state = store.data_mut();
                    let answer = state.permit(interface).and_then(|()| body(state, params));
                    Ok((answer,))
                })
            },
        )
    }

    /// A function that may wait for later steps.
    pub(crate) fn waits<P, R>(
        &mut self,
        name: &str,
        body: for<'s> fn(&'s mut RunState, P) -> Waiting<'s, R>,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Send + 'static,
        R: Lower + Lift + Send + Sync + 'static,
    {
        let interface = self.name;
        self.linker.func_wrap_async(
            name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                Box::new(async move {
                    enter(&mut store).await?;
                    let state = store.data_mut();
                    let answer = match state.permit(interface) {
                        Ok(()) => body(state, params).await,
                        Err(error) => Err(error),
                    };
                    Ok((answer,))
                })
            },
        )
    }

    /// A function that can't say no; without a grant it gives the default.
    pub(crate) fn plain<P, R>(
        &mut self,
        name: &str,
        body: fn(&mut RunState, P) -> R,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Send + 'static,
        R: ComponentNamedList + Lower + Default + Send + 'static,
    {
        let interface = self.name;
        self.linker.func_wrap_async(
            name,
            move |mut store: StoreContextMut<'_, RunState>, params: P| {
                Box::new(async move {
                    enter(&mut store).await?;
                    let state = store.data_mut();
                    Ok(match state.permit(interface) {
                        Ok(()) => body(state, params),
                        Err(_) => R::default(),
                    })
                })
            },
        )
    }
}
