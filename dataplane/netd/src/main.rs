//! The network daemon: one per host.

fn main() {}
