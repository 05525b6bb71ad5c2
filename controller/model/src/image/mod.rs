//! The image service's resources.
