//! The failure taxonomy.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Every label that a failure can have. The codes are what plugins, reports and events carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureLabel {
    /// The fingers closed on nothing.
    NoGrasp,
    /// A held part moved in the fingers or out of them while it was lifted.
    Slip,
    /// A held part was lost on the way.
    Dropped,
    /// Another object than the one asked for was handled.
    WrongObject,
    /// What was asked for is nowhere to be seen.
    MissingObject,
    /// It lies where it should, but not as it should.
    Misplaced,
    /// Something was hit.
    Collision,
    /// Something is stuck.
    Jam,
    /// Where it should go, something else is.
    BlockedTarget,
    /// No joint position reaches the target, or the gate could not let the motion go on.
    Unreachable,
    /// A time or call budget was used up.
    Timeout,
    /// Perception or a policy was not sure.
    LowConfidence,
    /// A camera or the robot's state stood still.
    SensorStall,
    /// A policy came to no end.
    PolicyStall,
    /// The plugin itself failed: a trap, a budget, an unknown label.
    SkillFault,
    /// A stop is latched.
    SafetyStop,
    /// The skill said yes and the world says no.
    FalseSuccess,
    /// A person, or whoever asked for the task, ended it.
    OperatorAbort,
}

impl FailureLabel {
    /// All labels, in the order of the documentation.
    pub const ALL: [Self; 18] = [
        Self::NoGrasp,
        Self::Slip,
        Self::Dropped,
        Self::WrongObject,
        Self::MissingObject,
        Self::Misplaced,
        Self::Collision,
        Self::Jam,
        Self::BlockedTarget,
        Self::Unreachable,
        Self::Timeout,
        Self::LowConfidence,
        Self::SensorStall,
        Self::PolicyStall,
        Self::SkillFault,
        Self::SafetyStop,
        Self::FalseSuccess,
        Self::OperatorAbort,
    ];

    /// Its code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoGrasp => "no-grasp",
            Self::Slip => "slip",
            Self::Dropped => "dropped",
            Self::WrongObject => "wrong-object",
            Self::MissingObject => "missing-object",
            Self::Misplaced => "misplaced",
            Self::Collision => "collision",
            Self::Jam => "jam",
            Self::BlockedTarget => "blocked-target",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::LowConfidence => "low-confidence",
            Self::SensorStall => "sensor-stall",
            Self::PolicyStall => "policy-stall",
            Self::SkillFault => "skill-fault",
            Self::SafetyStop => "safety-stop",
            Self::FalseSuccess => "false-success",
            Self::OperatorAbort => "operator-abort",
        }
    }

    /// The label of a code; `None` if the taxonomy has no such label.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.code() == code)
    }

    /// The label that a plugin gives; `None` if the taxonomy has no such label, or it is the host's alone to give: that a person
    /// has ended a task, and that the world says otherwise. Either is a skill fault.
    #[must_use]
    pub fn of_plugin(code: &str) -> Option<Self> {
        Self::parse(code).filter(|label| !matches!(label, Self::OperatorAbort | Self::FalseSuccess))
    }

    /// True if only a person can help: recoveries are not asked.
    #[must_use]
    pub fn needs_person(self) -> bool {
        matches!(self, Self::SafetyStop | Self::OperatorAbort)
    }
}

impl fmt::Display for FailureLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_labels_are_one_to_one_and_the_unknown_is_a_skill_fault() {
        for label in FailureLabel::ALL {
            assert_eq!(FailureLabel::parse(label.code()), Some(label));
            let json = serde_json::to_value(label).expect("a label is a string");
            assert_eq!(json, label.code());
        }
        assert_eq!(FailureLabel::parse("no grasp"), None);
        for (code, label) in [
            ("slip", Some(FailureLabel::Slip)),
            ("went-badly", None),
            ("operator-abort", None),
            ("false-success", None),
        ] {
            assert_eq!(FailureLabel::of_plugin(code), label);
        }
    }
}
