//! The HTTP edge: OpenStack's APIs over the use cases.
