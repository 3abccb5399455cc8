//! What the kitting plugins share: the order, looking, picking up and setting down.
//!
//! Everything here knows only what the host's capabilities tell: tracked objects, named places, the
//! robot's own state. Heights and clearances are of the tool centre point, metres, base frame, z up.

mod geometry;
mod hand;
mod look;
mod order;
mod trouble;

pub use geometry::{Fit, free_spot, grasp_yaw, symmetry};
pub use hand::{
    CARRY_HEIGHT, Held, clear_hand, pick_by_hand, pick_by_policy, put_into_bin, rise, set_down,
};
pub use look::{Looks, look, seen_after};
pub use order::{Line, Params};
pub use trouble::Trouble;
