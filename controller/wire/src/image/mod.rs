//! JSON shapes of the image API.
