//! The host agent: makes the host look like its plan.

fn main() {}
