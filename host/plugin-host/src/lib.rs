//! The only user of wasmtime: grants, limits, instances; a module per capability.
