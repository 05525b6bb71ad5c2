//! The guest-memory wall: memory table, split rings and descriptor chains, checked once, here.
