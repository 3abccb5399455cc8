//! Motion of all joints together: synchronised moves to rest, and stops.

use sinew_kinematics::Chain;
use sinew_messages::{JOINTS, JointVector, Setpoint};
use sinew_units::TICK_S;

use crate::profile::{AxisBounds, AxisLimits, AxisState, Eased, Profile};

/// Moments of a move at which its tool speed is looked at.
const SPEED_SAMPLES: u32 = 32;
/// Times that a move is planned slower because the tool would be too fast.
const SPEED_TRIES: usize = 3;
/// Share of the tool-speed limit that is aimed at when a move is slowed: the samples miss the peak a little.
const SPEED_AIM: f64 = 0.97;

/// Position, velocity, acceleration of every joint.
pub(crate) type Axes = [AxisState; JOINTS];

/// The continuous motion that a given setpoint is a sample of.
///
/// Setpoints carry velocity and acceleration as backward differences over one tick; the velocity *at* the
/// tick is half a tick of acceleration further on.
pub(crate) fn axes_of(given: &Setpoint) -> Axes {
    core::array::from_fn(|i| AxisState {
        position: given.position_rad[i],
        velocity: given.velocity_rad_s[i] + 0.5 * TICK_S * given.acceleration_rad_s2[i],
        acceleration: given.acceleration_rad_s2[i],
    })
}

/// True if nothing moves.
pub(crate) fn are_at_rest(axes: &Axes) -> bool {
    axes.iter()
        .all(|axis| axis.velocity.abs() < 1e-9 && axis.acceleration.abs() < 1e-6)
}

pub(crate) fn positions(axes: &Axes) -> JointVector {
    axes.map(|axis| axis.position)
}

/// A jerk-limited motion of all joints that ends at rest, sampled tick by tick.
#[derive(Clone, Debug)]
pub(crate) struct JointMotion {
    profiles: [Profile; JOINTS],
    duration_s: f64,
    ticks: u64,
}

impl JointMotion {
    pub(crate) fn resting_at(position: &JointVector) -> Self {
        Self::of(position.map(Profile::resting_at))
    }

    /// Every joint stops as quickly as it can.
    pub(crate) fn stop(start: &Axes, limits: &[AxisLimits; JOINTS]) -> Self {
        Self::of(core::array::from_fn(|i| {
            Profile::stop(start[i], &limits[i])
        }))
    }

    /// All joints arrive together (a joint whose motion at the start rules that out arrives early).
    pub(crate) fn to_rest_at(
        target: &JointVector,
        start: &Axes,
        limits: &[AxisLimits; JOINTS],
    ) -> Self {
        Self::together(
            target,
            &core::array::from_fn(|i| Eased::unchanged(start[i], limits[i])),
        )
    }

    /// [`Self::to_rest_at`] within `limits` that may be too little to keep the motion at the start within `bounds`.
    pub(crate) fn to_rest_within(
        bounds: &[AxisBounds; JOINTS],
        target: &JointVector,
        start: &Axes,
        limits: &[AxisLimits; JOINTS],
    ) -> Self {
        Self::together(
            target,
            &core::array::from_fn(|i| Eased::within(&bounds[i], start[i], limits[i])),
        )
    }

    fn together(target: &JointVector, start: &[Eased; JOINTS]) -> Self {
        let quickest = Self::of(core::array::from_fn(|i| start[i].to_rest_at(target[i])));
        let slowest_s = quickest.duration_s;
        Self::of(core::array::from_fn(|i| {
            if quickest.profiles[i].duration_s() >= slowest_s {
                return quickest.profiles[i];
            }
            start[i].to_rest_in(slowest_s, target[i])
        }))
    }

    /// [`Self::to_rest_within`], slowed until the tool stays below `tool_speed_m_s` (as far as the motion at
    /// the start lets it). Returns the joint limits that it took, too.
    pub(crate) fn below_tool_speed(
        chain: &Chain,
        tool_speed_m_s: f64,
        bounds: &[AxisBounds; JOINTS],
        target: &JointVector,
        start: &Axes,
        limits: &[AxisLimits; JOINTS],
    ) -> (Self, [AxisLimits; JOINTS]) {
        let mut limits = *limits;
        let mut motion = Self::to_rest_within(bounds, target, start, &limits);
        for _ in 0..SPEED_TRIES {
            let excess = motion.tool_speed_m_s(chain) / tool_speed_m_s;
            if excess <= 1.0 {
                break;
            }
            // The velocities that are reached are what makes the tool fast, not the limits.
            let reached = motion.peak_velocities();
            for (limits, reached) in limits.iter_mut().zip(&reached) {
                limits.velocity = limits.velocity.min(reached.max(1e-6)) * SPEED_AIM / excess;
            }
            motion = Self::to_rest_within(bounds, target, start, &limits);
        }
        (motion, limits)
    }

    /// The next tick's motion.
    pub(crate) fn step(&mut self) -> Axes {
        self.ticks += 1;
        self.now()
    }

    fn now(&self) -> Axes {
        let time_s = self.ticks as f64 * TICK_S;
        self.profiles.map(|profile| profile.at(time_s))
    }

    /// True if the last position was stepped to.
    pub(crate) fn is_over(&self) -> bool {
        self.ticks as f64 * TICK_S >= self.duration_s
    }

    /// Where it comes to rest.
    pub(crate) fn end(&self) -> JointVector {
        self.profiles.map(|profile| profile.end_position())
    }

    fn of(profiles: [Profile; JOINTS]) -> Self {
        Self {
            duration_s: profiles
                .iter()
                .fold(0.0, |longest, profile| profile.duration_s().max(longest)),
            profiles,
            ticks: 0,
        }
    }

    fn samples(&self) -> impl Iterator<Item = Axes> + '_ {
        (0..=SPEED_SAMPLES).map(|n| {
            let time_s = self.duration_s * f64::from(n) / f64::from(SPEED_SAMPLES);
            self.profiles.map(|profile| profile.at(time_s))
        })
    }

    fn peak_velocities(&self) -> JointVector {
        self.samples().fold([0.0; JOINTS], |peaks, axes| {
            core::array::from_fn(|i| axes[i].velocity.abs().max(peaks[i]))
        })
    }

    fn tool_speed_m_s(&self, chain: &Chain) -> f64 {
        self.samples().fold(0.0, |fastest, axes| {
            let velocity = axes.map(|axis| axis.velocity);
            tool_speed_m_s(chain, &positions(&axes), &velocity).max(fastest)
        })
    }
}

/// Linear speed of the TCP, m/s.
pub(crate) fn tool_speed_m_s(chain: &Chain, position: &JointVector, velocity: &JointVector) -> f64 {
    let jacobian = chain.jacobian(&chain.forward(position));
    let twist = jacobian * nalgebra::SVector::<f64, JOINTS>::from(*velocity);
    twist.fixed_rows::<3>(0).norm()
}
