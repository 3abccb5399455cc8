//! The gate against its promises: a kinematic plant, an adversary, and a judge that shares no code with the gate
//! but the kinematics.
#![allow(clippy::unwrap_used)]

mod activation;
mod allocation;
mod attacks;
mod breaches;
mod configuration;
mod contact;
mod contradictions;
mod effort;
mod elsewhere;
mod garbage;
mod holes;
mod limits;
mod modes;
mod oracle;
mod promises;
mod rig;
mod space;
mod stops;
mod walk;
