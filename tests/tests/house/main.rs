//! The one integration binary: tests of the house itself, and of the whole host in virtual time.

mod dependency_direction;
