//! When a run is over: a closed set of conditions on the loop's status, declared in the manifest.

use serde::Deserialize;
use sinew_messages::LoopStatus;
use sinew_units::{Tick, Ticks};

/// The condition that ends a run as done.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "condition", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EndCondition {
    /// The part is held and has been lifted.
    Lifted {
        /// Least force on the pads that counts as holding, N.
        force_min_n: f64,
        /// Held while the pads are within this of the part's grasp width, m.
        width_tolerance_m: f64,
        /// Height gained since the grasp, m.
        rise_m: f64,
        /// The part must have been held for this long, ms.
        hold_ms: u64,
        /// Closed for this long without holding: the grasp failed, ms.
        settle_ms: u64,
    },
    /// The part was let go and the tool has left upwards.
    Released {
        /// The pads are wider than the part's grasp width by this, m.
        open_margin_m: f64,
        /// Force on the pads is below this, N.
        force_max_n: f64,
        /// Height gained since the pads opened, m.
        retreat_m: f64,
        /// For this long, ms.
        hold_ms: u64,
    },
}

impl EndCondition {
    pub(crate) fn check(&self) -> Result<(), String> {
        let lengths = match *self {
            Self::Lifted {
                force_min_n,
                width_tolerance_m,
                rise_m,
                ..
            } => [force_min_n, width_tolerance_m, rise_m],
            Self::Released {
                open_margin_m,
                force_max_n,
                retreat_m,
                ..
            } => [open_margin_m, force_max_n, retreat_m],
        };
        if lengths
            .iter()
            .all(|value| value.is_finite() && *value > 0.0)
        {
            Ok(())
        } else {
            Err("end: forces and lengths must be above zero".into())
        }
    }
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    Going,
    Done,
    Failed {
        label: &'static str,
        message: String,
    },
}

/// Watches one run.
#[derive(Debug)]
pub(crate) struct EndWatch {
    condition: EndCondition,
    grasp_width_m: f64,
    /// Since when the gripper is sent to less than the part's width.
    closing_since: Option<Tick>,
    /// Since when the part is held (or, for `released`, let go), and the tool's height then.
    since: Option<(Tick, f64)>,
    /// Last tick at which it was.
    last: Tick,
}

/// A part counts as dropped when it was held and is not any more for this long: the force is noisy.
const DROP_AFTER: Ticks = Ticks(80);

impl EndWatch {
    pub(crate) fn new(condition: EndCondition, grasp_width_m: f64) -> Self {
        Self {
            condition,
            grasp_width_m,
            closing_since: None,
            since: None,
            last: Tick(0),
        }
    }

    /// True while the part is taken to be between the pads.
    pub(crate) fn held(&self) -> bool {
        matches!(self.condition, EndCondition::Lifted { .. }) && self.since.is_some()
    }

    /// What is happening, for people.
    pub(crate) fn activity(&self) -> &'static str {
        match (self.condition, self.since, self.closing_since) {
            (EndCondition::Lifted { .. }, Some(_), _) => "lifting",
            (EndCondition::Lifted { .. }, None, Some(_)) => "closing",
            (EndCondition::Lifted { .. }, None, None) => "reaching",
            (EndCondition::Released { .. }, Some(_), _) => "retreating",
            (EndCondition::Released { .. }, None, _) => "releasing",
        }
    }

    pub(crate) fn step(&mut self, now: Tick, status: &LoopStatus) -> Progress {
        let width = status.frame.gripper_width_m;
        let force = status.frame.gripper_force_n;
        let height = status.tool_pose.position_m[2];
        let closing = status.setpoint.gripper_width_m < self.grasp_width_m;
        match self.condition {
            EndCondition::Lifted {
                force_min_n,
                width_tolerance_m,
                rise_m,
                hold_ms,
                settle_ms,
            } => {
                if closing {
                    self.closing_since.get_or_insert(now);
                } else {
                    self.closing_since = None;
                }
                let holds = closing
                    && force >= force_min_n
                    && (width - self.grasp_width_m).abs() <= width_tolerance_m;
                if holds {
                    self.last = now;
                    let (since, grasp_height) = *self.since.get_or_insert((now, height));
                    let held_long = now.since(since) >= Ticks::from_ms(hold_ms);
                    if held_long && height - grasp_height >= rise_m {
                        return Progress::Done;
                    }
                    return Progress::Going;
                }
                if self.since.is_some() {
                    if now.since(self.last) < DROP_AFTER {
                        return Progress::Going;
                    }
                    return Progress::Failed {
                        label: "dropped",
                        message: format!(
                            "the part was held and is gone: pads at {:.1} mm with {force:.1} N",
                            width * 1e3
                        ),
                    };
                }
                let settled = self
                    .closing_since
                    .is_some_and(|since| now.since(since) >= Ticks::from_ms(settle_ms));
                if settled {
                    return Progress::Failed {
                        label: "no-grasp",
                        message: format!(
                            "closed to {:.1} mm with {force:.1} N; the part is {:.1} mm wide",
                            width * 1e3,
                            self.grasp_width_m * 1e3
                        ),
                    };
                }
                Progress::Going
            }
            EndCondition::Released {
                open_margin_m,
                force_max_n,
                retreat_m,
                hold_ms,
            } => {
                if width < self.grasp_width_m + open_margin_m || force > force_max_n {
                    self.since = None;
                    return Progress::Going;
                }
                let (since, open_height) = *self.since.get_or_insert((now, height));
                let open_long = now.since(since) >= Ticks::from_ms(hold_ms);
                if open_long && height - open_height >= retreat_m {
                    Progress::Done
                } else {
                    Progress::Going
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::fixture::status;
    use crate::tool_down;

    const LIFTED: EndCondition = EndCondition::Lifted {
        force_min_n: 3.0,
        width_tolerance_m: 0.01,
        rise_m: 0.06,
        hold_ms: 100,
        settle_ms: 900,
    };

    /// Runs a script of (ticks, command, width, force, height) and returns what came out last.
    fn check(condition: EndCondition, script: &[(u64, f64, f64, f64, f64)]) -> Progress {
        let mut watch = EndWatch::new(condition, 0.03);
        let mut now = Tick(0);
        for &(ticks, command, width, force, height) in script {
            for _ in 0..ticks {
                let mut status = status(tool_down([0.4, 0.0, height], 0.0));
                status.setpoint.gripper_width_m = command;
                status.frame.gripper_width_m = width;
                status.frame.gripper_force_n = force;
                let progress = watch.step(now, &status);
                if progress != Progress::Going {
                    return progress;
                }
                now += Ticks(1);
            }
        }
        Progress::Going
    }

    fn label(progress: &Progress) -> &str {
        match progress {
            Progress::Failed { label, .. } => label,
            Progress::Done => "done",
            Progress::Going => "going",
        }
    }

    #[test]
    fn lifted_needs_grip_height_and_time() {
        let open = (200, 0.06, 0.06, 0.0, 0.015);
        let gripped = (200, 0.0, 0.03, 20.0, 0.015);
        for (script, expected) in [
            (vec![open, gripped], "going"),
            (vec![open, gripped, (10, 0.0, 0.03, 20.0, 0.08)], "done"),
            (
                vec![
                    open,
                    (50, 0.0, 0.03, 20.0, 0.015),
                    (20, 0.0, 0.03, 20.0, 0.08),
                ],
                "going",
            ),
            (vec![open, (1000, 0.0, 0.002, 20.0, 0.015)], "no-grasp"),
            // Gripped along the long side.
            (vec![open, (1000, 0.0, 0.05, 20.0, 0.015)], "no-grasp"),
            (vec![open, gripped, (100, 0.0, 0.001, 0.0, 0.05)], "dropped"),
            // A force that flickers is no drop.
            (
                vec![open, gripped, (40, 0.0, 0.03, 1.0, 0.05), gripped],
                "going",
            ),
            (vec![(5000, 0.06, 0.06, 0.0, 0.015)], "going"),
        ] {
            let progress = check(LIFTED, &script);
            assert_eq!(label(&progress), expected, "{script:?}");
        }
    }

    #[test]
    fn released_needs_open_pads_and_retreat() {
        let condition = EndCondition::Released {
            open_margin_m: 0.01,
            force_max_n: 1.0,
            retreat_m: 0.05,
            hold_ms: 50,
        };
        let holding = (100, 0.0, 0.03, 20.0, 0.02);
        let open = (100, 0.06, 0.06, 0.0, 0.02);
        let away = (100, 0.06, 0.06, 0.0, 0.08);
        assert_eq!(check(condition, &[holding, open]), Progress::Going);
        assert_eq!(check(condition, &[holding, open, away]), Progress::Done);
    }
}
