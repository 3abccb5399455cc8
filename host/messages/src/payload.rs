//! What the hand carries.

use bytemuck::{Pod, Zeroable};

/// What the hand carries, hand frame. All zero: nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Payload {
    /// Mass, kg.
    pub mass_kg: f64,
    /// Centre of mass, m.
    pub com_m: [f64; 3],
    /// One end of the axis of a capsule around it, m.
    pub a_m: [f64; 3],
    /// The other end, m.
    pub b_m: [f64; 3],
    /// Radius of the capsule, m; 0 if nothing stands out of the hand.
    pub radius_m: f64,
}

impl Payload {
    /// An empty hand.
    pub const NONE: Self = Self {
        mass_kg: 0.0,
        com_m: [0.0; 3],
        a_m: [0.0; 3],
        b_m: [0.0; 3],
        radius_m: 0.0,
    };

    /// True if every number is finite, and mass and radius are not negative.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        (self.com_m.iter())
            .chain(&self.a_m)
            .chain(&self.b_m)
            .chain([&self.mass_kg, &self.radius_m])
            .all(|number| number.is_finite())
            && self.mass_kg >= 0.0
            && self.radius_m >= 0.0
    }
}
