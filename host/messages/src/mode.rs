//! Modes of the safety gate.

/// What the gate lets a motion do at all. Travels as `u64`.
#[repr(u64)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SafetyMode {
    /// All limits as configured.
    #[default]
    Normal = 0,
    /// Slower, for whoever works close by.
    Reduced = 1,
    /// Slow, and whoever is outside a limit may move so that it gets better.
    Recovery = 2,
    /// Brake and hold.
    Hold = 3,
}

impl SafetyMode {
    /// Every mode, in the order of its code.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Reduced, Self::Recovery, Self::Hold];

    /// Decodes the integer that travelled; an unknown one is [`Self::Hold`].
    #[must_use]
    pub fn decode(code: u64) -> Self {
        Self::ALL
            .into_iter()
            .find(|mode| *mode as u64 == code)
            .unwrap_or(Self::Hold)
    }

    /// The name used on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Reduced => "reduced",
            Self::Recovery => "recovery",
            Self::Hold => "hold",
        }
    }
}
