//! Plugins of `tests/guests` in the host, against a loop that answers the mailbox and a policy that does nothing.
#![allow(clippy::unwrap_used)]

mod capabilities;
mod denials;
mod handing_over;
mod hostile;
mod loading;
mod narrowing;
mod recoveries;
mod repack;
mod replaying;
mod rig;
