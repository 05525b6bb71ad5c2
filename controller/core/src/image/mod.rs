//! Use cases of the image service.
