//! Fixed-size records from the tick to everyone else, wait-free.
