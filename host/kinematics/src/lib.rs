//! Chains, forward and inverse kinematics, Jacobians, capsules; pure, without allocation.
