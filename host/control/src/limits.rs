//! What motions may use of the robot: below what the gate lets through, so that it has nothing to limit.

use sinew_kinematics::Chain;
use sinew_messages::{JOINTS, JointVector};

use crate::profile::{AxisBounds, AxisLimits};

/// Limits of motion generation, before they are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionConfig {
    /// Joint velocities, rad/s.
    pub velocity_max_rad_s: JointVector,
    /// Joint accelerations, rad/s².
    pub acceleration_max_rad_s2: JointVector,
    /// Joint jerks, rad/s³.
    pub jerk_max_rad_s3: JointVector,
    /// Tool speed (m/s), acceleration (m/s²) and jerk (m/s³) of Cartesian motions; the speed bounds joint moves too.
    pub tool_linear: AxisLimits,
    /// The same for the tool's rotation: rad/s, rad/s², rad/s³.
    pub tool_angular: AxisLimits,
    /// Smallest distance between the pads, m.
    pub gripper_width_min_m: f64,
    /// Largest distance between the pads, m.
    pub gripper_width_max_m: f64,
    /// Distance that goals keep from the chain's position limits, rad: more than the gate's margin for following
    /// errors, so that it has nothing to hold there.
    pub position_margin_rad: f64,
    /// Largest rate of the width, m/s.
    pub gripper_speed_max_m_s: f64,
    /// Largest grip force, N.
    pub gripper_force_max_n: f64,
    /// A goal is done when every measured joint is this near, rad.
    pub done_tolerance_rad: f64,
    /// Ticks that the robot may take to come that near after the setpoint arrived; then the goal is held.
    pub settle_ticks_max: u64,
}

impl MotionConfig {
    /// The given joint and gripper limits, and values of a table-top arm for the rest.
    #[must_use]
    pub fn table_top(
        velocity_max_rad_s: JointVector,
        acceleration_max_rad_s2: JointVector,
        jerk_max_rad_s3: JointVector,
        gripper_width_m: core::ops::RangeInclusive<f64>,
        gripper_speed_max_m_s: f64,
        gripper_force_max_n: f64,
    ) -> Self {
        Self {
            velocity_max_rad_s,
            acceleration_max_rad_s2,
            jerk_max_rad_s3,
            tool_linear: AxisLimits {
                velocity: 0.8,
                acceleration: 4.0,
                jerk: 60.0,
            },
            tool_angular: AxisLimits {
                velocity: 2.5,
                acceleration: 12.0,
                jerk: 160.0,
            },
            gripper_width_min_m: *gripper_width_m.start(),
            gripper_width_max_m: *gripper_width_m.end(),
            position_margin_rad: 0.08,
            gripper_speed_max_m_s,
            gripper_force_max_n,
            done_tolerance_rad: 0.02,
            settle_ticks_max: 1_000,
        }
    }
}

/// Why motion limits were refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MotionLimitsError {
    /// A limit is not finite and above zero.
    NotPositive {
        /// Field of [`MotionConfig`].
        field: &'static str,
        /// Joint, if the field has one value a joint.
        joint: Option<usize>,
        /// What it is.
        found: f64,
    },
    /// The gripper has no room to move.
    GripperRange {
        /// Smallest width, m.
        min_m: f64,
        /// Largest width, m.
        max_m: f64,
    },
}

impl core::fmt::Display for MotionLimitsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotPositive {
                field,
                joint: Some(joint),
                found,
            } => write!(
                f,
                "`{field}` of joint {joint} is {found}; it must be finite and above 0"
            ),
            Self::NotPositive {
                field,
                joint: None,
                found,
            } => write!(f, "`{field}` is {found}; it must be finite and above 0"),
            Self::GripperRange { min_m, max_m } => write!(
                f,
                "the gripper's smallest width {min_m} m must be at least 0 and below its largest, {max_m} m"
            ),
        }
    }
}

impl core::error::Error for MotionLimitsError {}

/// Motion limits that are known to make sense.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionLimits {
    config: MotionConfig,
    joints: [AxisLimits; JOINTS],
}

impl MotionLimits {
    /// Checks a configuration.
    ///
    /// # Errors
    /// [`MotionLimitsError`] names the field that is not finite and above zero.
    pub fn new(config: MotionConfig) -> Result<Self, MotionLimitsError> {
        let positive = |field, joint, found: f64| {
            if found.is_finite() && found > 0.0 {
                return Ok(());
            }
            Err(MotionLimitsError::NotPositive {
                field,
                joint,
                found,
            })
        };
        for joint in 0..JOINTS {
            let at = Some(joint);
            positive("velocity_max_rad_s", at, config.velocity_max_rad_s[joint])?;
            positive(
                "acceleration_max_rad_s2",
                at,
                config.acceleration_max_rad_s2[joint],
            )?;
            positive("jerk_max_rad_s3", at, config.jerk_max_rad_s3[joint])?;
        }
        for (field, limits) in [
            ("tool_linear", config.tool_linear),
            ("tool_angular", config.tool_angular),
        ] {
            positive(field, None, limits.velocity)?;
            positive(field, None, limits.acceleration)?;
            positive(field, None, limits.jerk)?;
        }
        positive("gripper_speed_max_m_s", None, config.gripper_speed_max_m_s)?;
        positive("gripper_force_max_n", None, config.gripper_force_max_n)?;
        positive("position_margin_rad", None, config.position_margin_rad)?;
        positive("done_tolerance_rad", None, config.done_tolerance_rad)?;
        let (min_m, max_m) = (config.gripper_width_min_m, config.gripper_width_max_m);
        // Written so that a NaN is refused too.
        if !(min_m >= 0.0 && min_m < max_m && max_m.is_finite()) {
            return Err(MotionLimitsError::GripperRange { min_m, max_m });
        }
        let joints = core::array::from_fn(|joint| AxisLimits {
            velocity: config.velocity_max_rad_s[joint],
            acceleration: config.acceleration_max_rad_s2[joint],
            jerk: config.jerk_max_rad_s3[joint],
        });
        Ok(Self { config, joints })
    }

    /// The configuration, read-only.
    #[must_use]
    pub fn config(&self) -> &MotionConfig {
        &self.config
    }

    /// Limits of each joint, base to tool.
    #[must_use]
    pub fn joints(&self) -> &[AxisLimits; JOINTS] {
        &self.joints
    }

    /// What each joint can, and where it may be: within the chain's limits less the margin, or no further out than
    /// `start`, where the robot is already.
    pub(crate) fn bounds(&self, chain: &Chain, start: &JointVector) -> [AxisBounds; JOINTS] {
        let margin = self.config.position_margin_rad;
        core::array::from_fn(|i| {
            let joint = &chain.joints()[i];
            AxisBounds {
                limits: self.joints[i],
                lower: (joint.lower_rad + margin).min(start[i]),
                upper: (joint.upper_rad - margin).max(start[i]),
            }
        })
    }

    /// True if a goal may lead through `q`: within [`Self::bounds`]. A NaN is not.
    pub(crate) fn admits(&self, chain: &Chain, q: &JointVector, start: &JointVector) -> bool {
        let bounds = self.bounds(chain, start);
        bounds
            .iter()
            .zip(q)
            .all(|(axis, q)| (axis.lower..=axis.upper).contains(q))
    }

    /// Limits of each joint at a share of speed and acceleration.
    pub(crate) fn joints_scaled(&self, speed: f64, acceleration: f64) -> [AxisLimits; JOINTS] {
        self.joints.map(|limits| limits.scaled(speed, acceleration))
    }
}
