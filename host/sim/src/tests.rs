//! The cell as a whole: determinism, grasps by friction, drives.

mod conformance;
mod drives;
mod faults;
mod grasp;
mod hand;
mod same_bits;
