//! What the reflex says about stops, resets, modes and configurations: little, and none of it may be lost.

use bytemuck::{Pod, Zeroable};

/// What happened. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SafetyEventKind {
    /// A stop latched.
    Stopped = 1,
    /// The latched stop became more severe.
    StopWorsened = 2,
    /// A request for a reset was granted.
    ResetGranted = 3,
    /// Requests for a reset were refused.
    ResetRefused = 4,
    /// Another mode is in force.
    ModeChanged = 5,
    /// Another safety configuration is active.
    Activated = 6,
    /// A safety configuration was not activated.
    ActivationRefused = 7,
}

impl SafetyEventKind {
    /// Decodes the integer that travelled; unknown integers are `None`.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        [
            Self::Stopped,
            Self::StopWorsened,
            Self::ResetGranted,
            Self::ResetRefused,
            Self::ModeChanged,
            Self::Activated,
            Self::ActivationRefused,
        ]
        .into_iter()
        .find(|kind| *kind as u32 == code)
    }
}

/// How the loop answered a request for a reset. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetAnswer {
    /// No request yet.
    #[default]
    None = 0,
    /// The latch is open again.
    Granted = 1,
    /// There was nothing to reset.
    NothingLatched = 2,
    /// What latched the stop, or something else that would, is still there.
    CauseStays = 3,
    /// The robot has not come to rest.
    Moving = 4,
    /// The robot stands where nothing may start.
    StartState = 5,
    /// What happened before has not been written to the audit log yet.
    AuditBehind = 6,
}

impl ResetAnswer {
    /// Decodes the integer that travelled; unknown integers are `None`.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        [
            Self::None,
            Self::Granted,
            Self::NothingLatched,
            Self::CauseStays,
            Self::Moving,
            Self::StartState,
            Self::AuditBehind,
        ]
        .into_iter()
        .find(|answer| *answer as u32 == code)
    }

    /// The name used in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Granted => "granted",
            Self::NothingLatched => "nothing-latched",
            Self::CauseStays => "cause-stays",
            Self::Moving => "moving",
            Self::StartState => "start-state",
            Self::AuditBehind => "audit-behind",
        }
    }
}

/// Why a safety configuration was not activated. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationRefusal {
    /// The approval names another configuration.
    OtherHash = 1,
    /// The approval was used before: each counts once.
    Spent = 2,
    /// No stop is latched.
    NotStopped = 3,
    /// The setpoint or a measured joint moves, or nothing is known of the joints.
    Moving = 4,
    /// There is no room to record it: what happened before has not been written to the audit log yet.
    AuditBehind = 5,
}

impl ActivationRefusal {
    /// Decodes the integer that travelled; unknown integers are `None`.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        [
            Self::OtherHash,
            Self::Spent,
            Self::NotStopped,
            Self::Moving,
            Self::AuditBehind,
        ]
        .into_iter()
        .find(|refusal| *refusal as u32 == code)
    }

    /// The name used in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherHash => "other-hash",
            Self::Spent => "spent",
            Self::NotStopped => "not-stopped",
            Self::Moving => "moving",
            Self::AuditBehind => "audit-behind",
        }
    }
}

/// One event. Which fields mean something depends on the kind; the others are 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SafetyEvent {
    /// Tick in which it happened.
    pub tick: u64,
    /// [`SafetyEventKind`] code.
    pub kind: u32,
    /// [`crate::StopCategory`] code of the latched stop; 0 if none is.
    pub category: u32,
    /// [`crate::LimitKind`] code: the reason of the latched stop.
    pub limit: u32,
    /// Joint, link or zone that the reason is about; `u32::MAX` if none.
    pub index: u32,
    /// The configured limit, in the unit of the reason.
    pub limit_value: f64,
    /// What was asked or measured, in the unit of the reason.
    pub asked: f64,
    /// [`ResetAnswer`] or [`ActivationRefusal`] code, or that of the [`crate::SafetyMode`] in force now.
    pub answer: u64,
    /// Number of the newest request for a reset that this answers (and every older one that has no answer yet); the
    /// hash of the configuration; or the code of the mode before.
    pub number: u64,
    /// Hash of the configuration that was active before.
    pub before: u64,
}
