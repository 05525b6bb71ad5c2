//! Use cases of the identity service.
//!
//! [`login`] makes tokens, [`token`] checks them, [`effective`] says which roles count; the others are the
//! resources that administrators keep.

mod access;
mod checks;

pub mod assignment;
pub mod assignment_list;
pub mod bootstrap;
pub mod catalog;
pub mod domain;
pub mod effective;
pub mod group;
pub mod keys;
pub mod limit;
pub mod login;
pub mod project;
pub mod project_tags;
pub mod revocation;
pub mod role;
pub mod token;
pub mod user;
