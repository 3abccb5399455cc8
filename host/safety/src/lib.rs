//! The safety gate: state, limits and a command in, a verified command and a verdict out; pure, without allocation.

use sinew_messages::Setpoint;

/// A command that the gate has verified. There is no other way to make one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SafeCommand {
    setpoint: Setpoint,
}

impl SafeCommand {
    /// What the drives are to do.
    #[must_use]
    pub fn setpoint(&self) -> &Setpoint {
        &self.setpoint
    }
}
