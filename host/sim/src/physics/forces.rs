//! Contact forces, summed over contacts and low-passed as the hardware's sensors do.
//!
//! One solver step of an impact reads several times the steady force, so that nothing here is used raw.
//! Only the normal part of each contact counts; friction along the surfaces is left out.

use rapier3d::prelude as rp;

use super::arm::Arm;
use super::{Loose, convert};

/// Time constant of the low-pass, s.
const TIME_CONSTANT_S: f64 = 0.010;

/// Set of loose objects by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Members(u64);

impl Members {
    fn insert(&mut self, index: usize) {
        // More objects than bits cannot be drawn (the configuration allows 24).
        self.0 |= 1_u64.checked_shl(index as u32).unwrap_or(0);
    }

    pub(super) fn contains(self, index: usize) -> bool {
        1_u64
            .checked_shl(index as u32)
            .is_some_and(|bit| self.0 & bit != 0)
    }

    fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Force sensors of the hand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Forces {
    /// Mean normal force on the pads, N.
    pub(super) grip_n: f64,
    /// External force on hand and held objects, base frame, N.
    pub(super) tool_n: [f64; 3],
    /// Objects between the pads.
    pub(super) held: Members,
    /// Objects that touch anything of the hand.
    pub(super) touched: Members,
}

/// Index of the loose object that owns a collider.
fn loose_index(world: &rp::PhysicsWorld, collider: rp::ColliderHandle) -> Option<usize> {
    let tag = world.colliders.get(collider)?.user_data;
    usize::try_from(tag).ok()?.checked_sub(1)
}

/// The tag of loose object `index` on its collider; 0 is everything else.
pub(super) fn tag(index: usize) -> u128 {
    index as u128 + 1
}

/// Force on `of` from each of its contacts, with the collider on the other side.
fn contacts<'a>(
    world: &'a rp::PhysicsWorld,
    of: rp::ColliderHandle,
    per_step: f32,
) -> impl Iterator<Item = (rp::ColliderHandle, rp::Vector)> + 'a {
    world.contact_pairs_with(of).filter_map(move |pair| {
        let impulse = pair.total_impulse();
        if impulse == rp::Vector::ZERO {
            return None;
        }
        // The normal points from the first collider to the second.
        Some(if pair.collider1 == of {
            (pair.collider2, -impulse * per_step)
        } else {
            (pair.collider1, impulse * per_step)
        })
    })
}

impl Forces {
    /// Takes the contacts of the step that just ended.
    pub(super) fn update(&mut self, world: &rp::PhysicsWorld, arm: &Arm, loose: &[Loose]) {
        let per_step = 1.0 / world.integration_parameters.dt;
        let mut grip_n = 0.0;
        let mut between = [Members::default(); 2];
        for (pad, members) in arm.pads.iter().zip(&mut between) {
            for (other, force) in contacts(world, *pad, per_step) {
                grip_n += f64::from(force.length()) / 2.0;
                if let Some(index) = loose_index(world, other) {
                    members.insert(index);
                }
            }
        }
        self.held = between[0].common(between[1]);
        self.touched = Members::default();
        let mut external = rp::Vector::ZERO;
        for collider in &arm.hand_colliders {
            for (other, force) in contacts(world, *collider, per_step) {
                match loose_index(world, other) {
                    Some(index) => {
                        self.touched.insert(index);
                        if !self.held.contains(index) {
                            external += force;
                        }
                    }
                    None => external += force,
                }
            }
        }
        for (index, object) in loose.iter().enumerate() {
            if self.held.contains(index) {
                for (other, force) in contacts(world, object.collider, per_step) {
                    let within = arm.hand_colliders.contains(&other)
                        || loose_index(world, other).is_some_and(|i| self.held.contains(i));
                    if !within {
                        external += force;
                    }
                }
            }
        }
        let share = sinew_units::TICK_S / (TIME_CONSTANT_S + sinew_units::TICK_S);
        self.grip_n += share * (grip_n - self.grip_n);
        for (filtered, raw) in self.tool_n.iter_mut().zip(convert::array(external)) {
            *filtered += share * (raw - *filtered);
        }
    }
}
