//! The flow engine: what happens to a packet. Compiled into netd and into the XDP program.
