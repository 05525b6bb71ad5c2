//! End-to-end tests: real guests, real clients, faults.
