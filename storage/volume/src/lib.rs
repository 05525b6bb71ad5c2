//! Layered volumes: thin, cloned without copying, copied on write.
