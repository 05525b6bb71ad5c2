//! Use cases of the identity service.

mod checks;
pub mod project;
pub mod rights;
pub mod token;
