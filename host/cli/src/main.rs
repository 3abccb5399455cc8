//! `sinew`: the host on the command line.
fn main() {}
