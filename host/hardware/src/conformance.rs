//! Checks that a driver must pass.
