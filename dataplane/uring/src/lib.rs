//! The io_uring wall: a ring, its in-flight table and its registered buffers.
