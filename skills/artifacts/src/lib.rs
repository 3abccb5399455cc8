//! Builds the guests for the WebAssembly target and hands out their bytes.
//!
//! Every constant is a whole plugin: a component with its manifest in the section `sinew:manifest`, as it would be
//! shipped. `build.rs` makes them in one nested build of the workspace under `skills/`.

include!(concat!(env!("OUT_DIR"), "/artifacts.rs"));

/// What the shipped plugins are granted unless the operator's own file says otherwise.
pub const GRANTS: &str = include_str!("../grants.toml");
