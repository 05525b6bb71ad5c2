//! SQL of the identity service.

pub mod assignment;
pub mod catalog;
pub mod domain;
pub mod group;
pub mod project;
pub mod revocation;
pub mod role;
pub mod user;
