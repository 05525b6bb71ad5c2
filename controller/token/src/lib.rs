//! Issues and verifies tokens without a network hop.
