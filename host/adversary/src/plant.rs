//! A robot at the edge of what is declared: it lags by the reaction time, or stands off by the tracking error.

use sinew_kinematics::Chain;
use sinew_messages::{JOINTS, JointVector};
use sinew_safety::SafetyConfig;

use crate::stream::Stream;

/// Longest lag, ticks.
const LAG_MAX: usize = 8;
/// Ticks in which the error goes from one value to the next.
const DRIFT_TICKS: f64 = 200.0;
/// Share of the declared error that is used: the measurement itself must not count as beyond it.
const USED: f64 = 0.98;

/// The truth about the arm.
#[derive(Clone, Debug)]
pub(crate) struct Plant {
    /// What was given, newest first.
    given: [JointVector; LAG_MAX + 1],
    lag: usize,
    error: JointVector,
    drift: JointVector,
    left: u64,
    off: bool,
}

impl Plant {
    pub(crate) fn new(at: &JointVector, config: &SafetyConfig, stream: &mut Stream) -> Self {
        let off = stream.one_in(2);
        Self {
            given: [*at; LAG_MAX + 1],
            lag: if off {
                0
            } else {
                (config.reaction_ticks as usize).min(LAG_MAX)
            },
            error: [0.0; JOINTS],
            drift: [0.0; JOINTS],
            left: 0,
            off,
        }
    }

    /// Where the joints truly are.
    pub(crate) fn truth(&self) -> JointVector {
        core::array::from_fn(|j| self.given[self.lag][j] + self.error[j])
    }

    /// Somebody moves the arm by hand, while it has no power.
    pub(crate) fn put(&mut self, at: &JointVector) {
        self.given = [*at; LAG_MAX + 1];
        self.error = [0.0; JOINTS];
        self.left = 0;
    }

    /// One tick with what was given; without power the arm stands.
    pub(crate) fn step(
        &mut self,
        given: Option<&JointVector>,
        chain: &Chain,
        config: &SafetyConfig,
        stream: &mut Stream,
    ) {
        let Some(given) = given else {
            let here = self.truth();
            self.put(&here);
            return;
        };
        self.given.rotate_right(1);
        self.given[0] = *given;
        if !self.off {
            return;
        }
        if self.left == 0 {
            self.left = DRIFT_TICKS as u64;
            let goal = error_at_the_edge(chain, config, stream);
            self.drift = core::array::from_fn(|j| (goal[j] - self.error[j]) / DRIFT_TICKS);
        }
        self.left -= 1;
        for (error, drift) in self.error.iter_mut().zip(&self.drift) {
            *error += drift;
        }
    }
}

/// An error in a random direction, as large as joints and links may be off.
fn error_at_the_edge(chain: &Chain, config: &SafetyConfig, stream: &mut Stream) -> JointVector {
    let direction: JointVector = core::array::from_fn(|_| stream.between(-1.0, 1.0));
    let mut scale = f64::INFINITY;
    for (j, part) in direction.iter().enumerate() {
        scale = scale.min(config.following_error_max_rad[j] / part.abs().max(1e-9));
    }
    for capsule in chain.capsules() {
        let mut reach = capsule.a.coords.norm().max(capsule.b.coords.norm());
        if capsule.link > JOINTS {
            reach += chain.hand().translation.vector.norm();
        }
        let mut moved = 0.0;
        for joint in (0..capsule.link.min(JOINTS)).rev() {
            moved += reach * direction[joint].abs();
            reach += chain.joints()[joint].origin.translation.vector.norm();
        }
        scale = scale.min(config.tracking_margin_m / moved.max(1e-9));
    }
    direction.map(|part| USED * scale * part)
}
