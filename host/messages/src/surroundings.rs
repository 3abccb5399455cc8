//! What safety-rated sensors say about persons and other things that move around the robot.

use bytemuck::{Pod, Zeroable};

/// Obstacles that one frame can carry.
pub const OBSTACLES_MAX: usize = 32;

/// What an obstacle is taken for. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObstacleKind {
    /// Endless upright column: what a scanner at one height knows of a person.
    Column = 0,
    /// Ball.
    Ball = 1,
    /// Something is there, and nobody knows where: taken to be as near as can be.
    Somewhere = 2,
}

impl ObstacleKind {
    /// Decodes the integer that travelled; an unknown one is [`Self::Somewhere`].
    #[must_use]
    pub fn decode(code: u32) -> Self {
        match code {
            0 => Self::Column,
            1 => Self::Ball,
            _ => Self::Somewhere,
        }
    }
}

/// One moving obstacle, base frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Obstacle {
    /// [`ObstacleKind`] code.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// Where its middle was measured, m. The height of a column says nothing.
    pub position_m: [f64; 3],
    /// Radius, m.
    pub radius_m: f64,
    /// How far the measured position may be off, m.
    pub uncertainty_m: f64,
    /// Ticks since the measurement.
    pub age_ticks: u64,
}

/// All obstacles that are known at one tick.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ObstacleFrame {
    /// Tick at which the sensor last said that it sees; 0 if it never did.
    pub seen_tick: u64,
    /// Valid obstacles. One that is over [`OBSTACLES_MAX`] means that something is somewhere.
    pub count: u64,
    /// The obstacles.
    pub obstacles: [Obstacle; OBSTACLES_MAX],
}

impl ObstacleFrame {
    /// What a robot without such a sensor has.
    pub const NONE: Self = Self {
        seen_tick: 0,
        count: 0,
        obstacles: [Obstacle {
            kind: 0,
            reserved: 0,
            position_m: [0.0; 3],
            radius_m: 0.0,
            uncertainty_m: 0.0,
            age_ticks: 0,
        }; OBSTACLES_MAX],
    };
}
