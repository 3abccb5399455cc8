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
                if manifest.ask(interface).is_none() && !undeclared.iter().any(|it| it == interface)
                {
                    undeclared.push(interface.to_owned());
                }
                missing.extend(missing_functions(&instance, engine, functions, interface));
            }
        }
    }
    let (origin, name) = (origin.to_owned(), manifest.name.clone());
    if !missing.is_empty() {
        let reason = first_of(&missing, "; ");
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
            interface: first_of(&undeclared, "`, `"),
        });
    }
    Ok(())
}

/// What a message names of a component that can have any number of it.
const NAMED_MAX: usize = 20;
/// Longest name of those, characters.
const NAME_CHARS_MAX: usize = 300;

/// The first ones of a list, each up to a length.
fn first_of(all: &[String], between: &str) -> String {
    let named = all.iter().take(NAMED_MAX);
    let cut = named.map(|name| name.chars().take(NAME_CHARS_MAX).collect::<String>());
    let mut named = cut.collect::<Vec<_>>().join(between);
    if all.len() > NAMED_MAX {
        named += &format!("{between}and {} more", all.len() - NAMED_MAX);
    }
    named
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
            matches!(item.ty, ComponentItem::ComponentFunc(_)) && !there.contains_key(*name)
        })
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "it imports {} of `{interface}`, which this host does not have; it is made for a later version of sinew:plugin",
            first_of(&missing, ", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_somebody_reads() {
        let many: Vec<String> = (0..300_000)
            .map(|n| format!("{n}-{}", "x".repeat(400)))
            .collect();
        let named = first_of(&many, "; ");
        assert!(named.starts_with("0-xxx") && named.ends_with("; and 299980 more"));
        assert!(named.chars().count() < 20 * 310 + 30, "{}", named.len());
        assert_eq!(first_of(&many[..1], "; ").chars().count(), NAME_CHARS_MAX);
        assert_eq!(
            first_of(&["one".to_owned(), "two".to_owned()], ", "),
            "one, two"
        );
    }
}
