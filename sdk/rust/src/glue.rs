//! Between what the author writes and what the component exports. Used by the macros only.
#![allow(missing_docs)]

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::capabilities::sinew::plugin::types;
use crate::bindings::recovery::exports::sinew::plugin::recovery_run as wire;
use crate::{Checkpoint, Failure, Recovery, Robot};

/// The shape of a skill function.
pub type __SkillFn<P, C, R> = fn(P, Option<C>, &mut Robot) -> Result<R, Failure>;

pub fn __run_skill<P, C, R>(
    skill: __SkillFn<P, C, R>,
    params: &str,
    resume: Option<types::Checkpoint>,
) -> Result<String, types::Failure>
where
    P: DeserializeOwned + JsonSchema,
    C: Checkpoint,
    R: Serialize + JsonSchema,
{
    let fault = |message: String| types::Failure::from(Failure::new("skill-fault", message));
    let params = serde_json::from_str(params).map_err(|e| fault(format!("parameters: {e}")))?;
    let resume = resume
        .map(|checkpoint| C::read(checkpoint.schema, &checkpoint.bytes))
        .transpose()
        .map_err(fault)?;
    let result = skill(params, resume, &mut Robot::new())?;
    serde_json::to_string(&result).map_err(|e| fault(format!("result: {e}")))
}

pub fn __assess<T: Recovery>(
    failure: types::Failure,
    context: wire::Context,
) -> Option<wire::Proposal> {
    T::assess(&failure.into(), &context.into(), &mut Robot::new()).map(Into::into)
}

pub fn __recover<T: Recovery>(
    failure: types::Failure,
    context: wire::Context,
) -> Result<wire::Outcome, types::Failure> {
    Ok(T::recover(&failure.into(), &context.into(), &mut Robot::new())?.into())
}

#[macro_export]
#[doc(hidden)]
macro_rules! __declare_skill {
    ($run:path) => {
        /// The manifest of this plugin, for the tool that packs it.
        #[cfg(not(target_family = "wasm"))]
        #[must_use]
        pub fn manifest() -> ::std::string::String {
            $crate::manifest::of_skill(
                $run,
                ::core::include_str!(::core::concat!(
                    ::core::env!("CARGO_MANIFEST_DIR"),
                    "/manifest.toml"
                )),
                ::core::env!("CARGO_PKG_VERSION"),
            )
        }

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, missing_docs, unreachable_pub)]
        const _: () = {
            struct Exported;
            impl $crate::__bindings::skill::exports::sinew::plugin::skill_run::Guest for Exported {
                fn run(
                    params: ::std::string::String,
                    resume: ::core::option::Option<$crate::__Checkpoint>,
                ) -> ::core::result::Result<::std::string::String, $crate::__Failure> {
                    $crate::__run_skill($run, &params, resume)
                }
            }
            $crate::__bindings::skill::export_skill!(Exported with_types_in $crate::__bindings::skill);
        };
    };
}

#[macro_export]
#[doc(hidden)]
macro_rules! __declare_recovery {
    ($recovery:path) => {
        /// The manifest of this plugin, for the tool that packs it.
        #[cfg(not(target_family = "wasm"))]
        #[must_use]
        pub fn manifest() -> ::std::string::String {
            $crate::manifest::of_recovery::<$recovery>(
                ::core::include_str!(::core::concat!(
                    ::core::env!("CARGO_MANIFEST_DIR"),
                    "/manifest.toml"
                )),
                ::core::env!("CARGO_PKG_VERSION"),
            )
        }

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, missing_docs, unreachable_pub)]
        const _: () = {
            struct Exported;
            impl $crate::__bindings::recovery::exports::sinew::plugin::recovery_run::Guest
                for Exported
            {
                fn assess(
                    failure: $crate::__Failure,
                    context: $crate::__Context,
                ) -> ::core::option::Option<$crate::__Proposal> {
                    $crate::__assess::<$recovery>(failure, context)
                }
                fn recover(
                    failure: $crate::__Failure,
                    context: $crate::__Context,
                ) -> ::core::result::Result<$crate::__Outcome, $crate::__Failure> {
                    $crate::__recover::<$recovery>(failure, context)
                }
            }
            $crate::__bindings::recovery::export_recovery!(
                Exported with_types_in $crate::__bindings::recovery
            );
        };
    };
}

pub use types::{Checkpoint as __Checkpoint, Failure as __Failure};
pub use wire::{Context as __Context, Outcome as __Outcome, Proposal as __Proposal};
