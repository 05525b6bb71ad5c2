//! The style of the house as a test.
