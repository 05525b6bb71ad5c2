//! Loads, pins and attaches the XDP programs and maps their tables.
