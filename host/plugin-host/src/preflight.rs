//! Whether a component fits this host, before it is linked: the linker stops at the first thing that is missing and calls it
//! "not found"; here all of them are named, with what to do.

use wasmtime::Engine;
use wasmtime::component::{Component, types::ComponentInstance, types::ComponentItem};

use crate::WIT_VERSION;
use crate::capabilities::Functions;
use crate::errors::LoadError;
use crate::manifest::{CAPABILITIES, Manifest};

/// Names every import that this host does not have, and those that the manifest does not ask for.
pub(crate) fn check(
    component: &Component,
    engine: &Engine,
    functions: &Functions,
    manifest: &Manifest,
    origin: &str,
) -> Result<(), LoadError> {
    let mut missing = Vec::new();
    let mut undeclared = Vec::new();
    for (import, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            missing.push(format!("it imports `{import}`, which is no interface"));
            continue;
        };
        match interface_of(import) {
            Err(reason) => missing.push(reason),
            Ok(None) => {}
            Ok(Some(interface)) => {
                if manifest.ask(interface).is_none() {
                    undeclared.push(interface.to_owned());
                }
                missing.extend(missing_functions(&instance, engine, functions, interface));
            }
        }
    }
    let (origin, name) = (origin.to_owned(), manifest.name.clone());
    if !missing.is_empty() {
        let reason = missing.join("; ");
        return Err(LoadError::Import {
            origin,
            name,
            reason,
        });
    }
    if !undeclared.is_empty() {
        return Err(LoadError::Undeclared {
            origin,
            name,
            interface: undeclared.join("`, `"),
        });
    }
    Ok(())
}

/// The capability that an import names; `None` for what needs no grant.
fn interface_of(import: &str) -> Result<Option<&str>, String> {
    let (path, version) = import.split_once('@').unwrap_or((import, ""));
    if path.starts_with("wasi:") {
        if version.starts_with("0.2.") {
            return Ok(None);
        }
        return Err(format!(
            "it imports `{import}`; of WASI this host serves 0.2, inert"
        ));
    }
    let Some(interface) = path.strip_prefix("sinew:plugin/") else {
        return Err(format!(
            "it imports `{import}`, which this host does not have"
        ));
    };
    if version != WIT_VERSION {
        return Err(format!(
            "it imports `{import}`, this host serves sinew:plugin@{WIT_VERSION}; rebuild it with the SDK of this host"
        ));
    }
    if interface == "types" {
        return Ok(None);
    }
    if !CAPABILITIES.contains(&interface) {
        return Err(format!(
            "it imports `{import}`; the interfaces are {}",
            CAPABILITIES.join(", ")
        ));
    }
    Ok(Some(interface))
}

fn missing_functions(
    instance: &ComponentInstance,
    engine: &Engine,
    functions: &Functions,
    interface: &str,
) -> Option<String> {
    let there = functions.get(interface)?;
    let missing: Vec<String> = (instance.exports(engine))
        .filter(|(name, item)| {
            matches!(item.ty, ComponentItem::ComponentFunc(_)) && !there.contains(*name)
        })
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "it imports {} of `{interface}`, which this host does not have; it is made for a later version of sinew:plugin",
            missing.join(", ")
        )
    })
}
