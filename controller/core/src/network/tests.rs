//! The network service against a real database.
