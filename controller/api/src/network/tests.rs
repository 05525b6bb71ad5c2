//! The Network API through the router.
