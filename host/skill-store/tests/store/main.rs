//! The store from outside: what it lets in, what it makes active, and what is left of it when the power goes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod activating;
mod damage;
mod installing;
mod power;
mod rig;
