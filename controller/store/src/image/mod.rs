//! SQL of the image service.
