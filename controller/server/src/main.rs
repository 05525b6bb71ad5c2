//! updraft-controller, and updraft, the operator's command.

fn main() {}
