//! Following a straight line of the tool.
//!
//! The motion before it is braked first, and the line begins where and when that has come to rest. The two never
//! add up, so each may use the whole of the limits. What could have come to rest within the limits in any way does
//! so in the quickest stop, too: with full jerk an acceleration adds least to the velocity before it is gone.
//!
//! What is asked then is the point of the [`Path`] at a jerk-limited parameter, plus an offset that dies away: the
//! difference after the gate gave something else than was asked.

use sinew_kinematics::{Chain, Isometry};
use sinew_messages::{JOINTS, JointVector};
use sinew_units::TICK_S;

use crate::joints::{Axes, JointMotion, are_at_rest, positions};
use crate::limits::MotionLimits;
use crate::path::{OutOfReach, Path};
use crate::profile::{AxisLimits, AxisState, Profile};

/// Share of the acceleration and the jerk with which an offset dies away.
const OFFSET_SHARE: f64 = 0.5;

/// The line that is being followed.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The braking of the motion before the line; it ends where the path begins.
    stop: JointMotion,
    path: Path,
    along: Profile,
    ticks: u64,
    offset: JointMotion,
    going: AxisLimits,
    braking: AxisLimits,
}

impl Line {
    /// Storage for [`Self::plan`].
    pub(crate) fn empty() -> Self {
        let limits = AxisLimits {
            velocity: 1.0,
            acceleration: 1.0,
            jerk: 1.0,
        };
        Self {
            stop: JointMotion::resting_at(&[0.0; JOINTS]),
            path: Path::empty(),
            along: Profile::resting_at(0.0),
            ticks: 0,
            offset: JointMotion::resting_at(&[0.0; JOINTS]),
            going: limits,
            braking: limits,
        }
    }

    /// Takes the line from where the present motion comes to rest to `target`.
    pub(crate) fn plan(
        &mut self,
        chain: &Chain,
        limits: &MotionLimits,
        start: &Axes,
        target: &Isometry,
        (speed, acceleration): (f64, f64),
    ) -> Result<(), OutOfReach> {
        let stop = if are_at_rest(start) {
            JointMotion::resting_at(&positions(start))
        } else {
            JointMotion::stop(start, limits.joints())
        };
        // A line that can't be followed must not spoil the one that is being followed: it brakes along that.
        let mut path = Path::empty();
        path.plan(chain, limits, &stop.end(), target)?;
        (self.stop, self.path) = (stop, path);
        self.offset = JointMotion::resting_at(&[0.0; JOINTS]);
        self.going = self.path.limits(limits, speed, acceleration);
        self.braking = self.path.limits(limits, 1.0, 1.0);
        self.along = Profile::to_rest_at(1.0, AxisState::resting_at(0.0), &self.going);
        self.ticks = 0;
        Ok(())
    }

    /// The next tick's motion.
    pub(crate) fn step(&mut self) -> Axes {
        if !self.stop.is_over() {
            return self.stop.step();
        }
        self.ticks += 1;
        let along = self.now();
        let point = self.path.at(along.position);
        let offset = self.offset.step();
        core::array::from_fn(|i| AxisState {
            position: point.position[i] + offset[i].position,
            velocity: point.slope[i] * along.velocity + offset[i].velocity,
            acceleration: point.slope[i] * along.acceleration
                + point.bend[i] * along.velocity * along.velocity
                + offset[i].acceleration,
        })
    }

    /// Goes on from what the gate gave instead of what was asked: the part along the line slows the line,
    /// the rest becomes the offset. Before the line has begun there is only its beginning to go to.
    pub(crate) fn go_on_from(&mut self, given: &Axes, limits: &MotionLimits) {
        if !self.stop.is_over() {
            self.stop = JointMotion::to_rest_at(&self.stop.end(), given, limits.joints());
            return;
        }
        let asked = self.now().position;
        let near = self.path.at(asked);
        let steepness: f64 = near.slope.iter().map(|s| s * s).sum();
        if steepness <= 0.0 {
            return;
        }
        let along = |v: &JointVector| -> f64 {
            v.iter().zip(&near.slope).map(|(v, s)| v * s).sum::<f64>() / steepness
        };
        let apart = core::array::from_fn(|i| given[i].position - near.position[i]);
        let parameter = (asked + along(&apart)).clamp(0.0, 1.0);
        let at = self.path.at(parameter);
        let velocity = along(&given.map(|axis| axis.velocity));
        let bent =
            core::array::from_fn(|i| given[i].acceleration - at.bend[i] * velocity * velocity);
        let start = AxisState {
            position: parameter,
            velocity,
            acceleration: along(&bent),
        };
        self.along = Profile::to_rest_at(1.0, start, &self.going);
        self.ticks = 0;
        let residue: Axes = core::array::from_fn(|i| AxisState {
            position: given[i].position - at.position[i],
            velocity: given[i].velocity - at.slope[i] * start.velocity,
            acceleration: given[i].acceleration
                - at.slope[i] * start.acceleration
                - at.bend[i] * start.velocity * start.velocity,
        });
        self.offset = JointMotion::to_rest_at(
            &[0.0; JOINTS],
            &residue,
            &limits.joints_scaled(1.0, OFFSET_SHARE),
        );
    }

    /// Brakes along the line; one that has not begun never does.
    pub(crate) fn brake(&mut self) {
        self.along = Profile::stop(self.now(), &self.braking);
        self.ticks = 0;
    }

    /// True if the line and the offset are at rest, and nothing is left of the motion before.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.is_over()
            && self.ticks as f64 * TICK_S >= self.along.duration_s()
            && self.offset.is_over()
    }

    fn now(&self) -> AxisState {
        self.along.at(self.ticks as f64 * TICK_S)
    }
}
