//! Motion of the arm.

use crate::bindings::capabilities::sinew::plugin::motion;
use crate::error::Problem;
use crate::{Error, Pose};

/// Motion of the arm: `robot.motion`.
#[derive(Debug)]
pub struct Motion(pub(crate) ());

/// Where to go and how briskly.
#[derive(Clone, Debug)]
pub struct Goal(motion::Goal);

/// How a motion ended.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionOutcome {
    /// How.
    pub end: MotionEnd,
    /// What held or stopped it, in the words of the safety gate (`zone`, `force`, …); empty where nobody but
    /// the plugin did.
    pub reason: String,
    /// Tool pose then.
    pub tool: Pose,
    /// Tick then.
    pub tick: u64,
}

/// How a motion ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MotionEnd {
    /// The goal was reached.
    Done,
    /// A guarded move met its contact force and holds there.
    Contact,
    /// A newer goal took over.
    Preempted,
    /// Braked to a hold: cancelled, or the safety gate could not let it go on.
    Held,
    /// A stop is latched; a person must reset.
    Stopped,
    /// Something that this version of the SDK does not know.
    Other(String),
}

/// A motion that goes on while this value lives. Dropping it before the end brakes to a hold.
#[derive(Debug)]
pub struct Moving(motion::Motion);

impl Goal {
    fn new(target: motion::Target) -> Self {
        Self(motion::Goal {
            target,
            speed: 1.0,
            acceleration: 1.0,
        })
    }

    /// To joint positions, radians, base to tool; the path of the tool is not a line.
    #[must_use]
    pub fn joints(positions: impl Into<Vec<f64>>) -> Self {
        Self::new(motion::Target::Joints(positions.into()))
    }

    /// To a tool pose through joint space; the path of the tool is not a line.
    #[must_use]
    pub fn pose(pose: Pose) -> Self {
        Self::new(motion::Target::Pose(pose))
    }

    /// To a tool pose along a straight line.
    #[must_use]
    pub fn line(pose: Pose) -> Self {
        Self::new(motion::Target::Line(pose))
    }

    /// Along a straight line until the tool force reaches `force` newtons, or the pose is reached.
    #[must_use]
    pub fn guarded(pose: Pose, force: f64) -> Self {
        Self::new(motion::Target::Guarded(motion::Guarded { to: pose, force }))
    }

    /// To a pose that the cell's configuration names, such as `home`.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self::new(motion::Target::Named(name.into()))
    }

    /// With this share of the granted speed, in (0, 1]; 1 unless set.
    #[must_use]
    pub fn speed(mut self, share: f64) -> Self {
        self.0.speed = share;
        self
    }

    /// With this share of the granted acceleration, in (0, 1]; 1 unless set.
    #[must_use]
    pub fn acceleration(mut self, share: f64) -> Self {
        self.0.acceleration = share;
        self
    }
}

impl From<Pose> for Goal {
    fn from(pose: Pose) -> Self {
        Self::pose(pose)
    }
}

impl From<motion::Outcome> for MotionOutcome {
    fn from(outcome: motion::Outcome) -> Self {
        Self {
            end: match outcome.state.as_str() {
                "done" => MotionEnd::Done,
                "contact" => MotionEnd::Contact,
                "preempted" => MotionEnd::Preempted,
                "held" => MotionEnd::Held,
                "stopped" => MotionEnd::Stopped,
                _ => MotionEnd::Other(outcome.state),
            },
            reason: outcome.reason,
            tool: outcome.tool,
            tick: outcome.tick,
        }
    }
}

impl MotionOutcome {
    /// Itself if the goal was reached (or its contact met), or else an error that says what happened instead.
    ///
    /// # Errors
    /// `Unavailable` (`safety-stop`) for a latched stop; `Other` for a newer goal, for a grip that was lost (`dropped`) and for another
    /// hold (`unreachable`).
    pub fn reached(self) -> Result<Self, Error> {
        let other = |label, message: String| Error::Other(Problem::new(label, message));
        match &self.end {
            MotionEnd::Done | MotionEnd::Contact => Ok(self),
            MotionEnd::Preempted => Err(other("", "a newer goal took the arm over".to_owned())),
            MotionEnd::Stopped => Err(Error::Unavailable(Problem::new(
                "safety-stop",
                "a stop is latched, a person must reset it",
            ))),
            MotionEnd::Held if self.reason == "grip-lost" => {
                let message = "what the hand held is gone, so the safety gate braked";
                Err(other("dropped", message.to_owned()))
            }
            MotionEnd::Held => {
                let message = format!("braked to a hold before the goal ({})", self.reason);
                Err(other("unreachable", message))
            }
            MotionEnd::Other(state) => Err(other("", format!("the motion ended as `{state}`"))),
        }
    }
}

impl Motion {
    /// Moves and waits until the goal is reached. A [`Pose`] is gone to through joint space.
    ///
    /// # Errors
    /// Whatever kept the goal from being reached: `unreachable`, `dropped`, `safety-stop`, …
    pub fn move_to(&mut self, goal: impl Into<Goal>) -> Result<MotionOutcome, Error> {
        Ok(motion::move_to(&goal.into().0)?.into())
    }

    /// Starts a motion and returns at once. A newer motion replaces an older one.
    ///
    /// # Errors
    /// Numbers that are not finite, an unknown name, no lease on the arm.
    pub fn start(&mut self, goal: impl Into<Goal>) -> Result<Moving, Error> {
        Ok(Moving(motion::start(&goal.into().0)?))
    }

    /// Waits until one of `motions` has ended, and gives the index of the first that has; `None` if
    /// `timeout_ticks` have passed before.
    ///
    /// # Errors
    /// `Cancelled` if the run is being cancelled.
    pub fn wait_any(
        &mut self,
        motions: &[&Moving],
        timeout_ticks: u64,
    ) -> Result<Option<usize>, Error> {
        let handles: Vec<&motion::Motion> = motions.iter().map(|moving| &moving.0).collect();
        Ok(motion::wait_any(&handles, timeout_ticks)?.map(|index| index as usize))
    }
}

impl Moving {
    /// Waits until the motion has ended, however it did.
    ///
    /// # Errors
    /// `Other` (`unreachable`) if no joint position reaches the target, `Cancelled` if the run is being cancelled.
    pub fn wait(&self) -> Result<MotionOutcome, Error> {
        Ok(self.0.wait()?.into())
    }

    /// Brakes to a hold; [`Self::wait`] then returns.
    ///
    /// # Errors
    /// The lease on the arm is gone.
    pub fn cancel(&self) -> Result<(), Error> {
        Ok(self.0.cancel()?)
    }

    /// True if it has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.0.ended()
    }
}
