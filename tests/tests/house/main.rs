//! The one integration binary: tests of the house itself, and of the whole host in virtual time.

mod audit;
mod cameras;
mod dependency_direction;
mod examples;
mod guests;
mod kitting;
mod stops;
mod wit;
