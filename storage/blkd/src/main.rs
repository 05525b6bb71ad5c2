//! The block daemon: one per server.

fn main() {}
