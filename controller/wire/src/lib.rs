//! The OpenStack JSON shapes.
