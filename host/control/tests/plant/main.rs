//! The control loop on the kinematic plant, with the real gate.

#[allow(unsafe_code)] // A counting allocator is an implementation of an unsafe trait.
mod allocation;
mod common;
mod jog;
mod replacing;
mod sources;
mod trail;
