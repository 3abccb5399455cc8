//! The one door: a value that only this crate can make, and that hardware alone accepts.

use sinew_messages::Setpoint;

/// A command that the gate has verified. There is no other way to make one.
///
/// ```compile_fail,E0451
/// fn forge(setpoint: sinew_messages::Setpoint) -> sinew_safety::SafeCommand {
///     sinew_safety::SafeCommand { setpoint } // The field is private.
/// }
/// ```
///
/// ```compile_fail,E0624
/// fn forge(setpoint: sinew_messages::Setpoint) -> sinew_safety::SafeCommand {
///     sinew_safety::SafeCommand::new(setpoint) // So is the constructor.
/// }
/// ```
///
/// ```compile_fail,E0594
/// fn tamper(command: sinew_safety::SafeCommand) {
///     command.setpoint().position_rad[0] = 1.0; // What was verified stays as it is.
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SafeCommand {
    setpoint: Setpoint,
}

impl SafeCommand {
    pub(crate) fn new(setpoint: Setpoint) -> Self {
        Self { setpoint }
    }

    /// What the drives are to do.
    #[must_use]
    pub fn setpoint(&self) -> &Setpoint {
        &self.setpoint
    }
}
