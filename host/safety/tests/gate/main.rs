//! The gate against its promises: a kinematic plant, an adversary, and a judge that shares no code with the gate
//! but the kinematics.
#![allow(clippy::unwrap_used)]

mod adversary;
mod allocation;
mod configuration;
mod contact;
mod effort;
mod limits;
mod modes;
mod rig;
mod space;
mod stops;
