//! The upstreamd binary.
fn main() {}
