//! The simulated workcell: deterministic, seeded, fault-injectable.
