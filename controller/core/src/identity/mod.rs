//! Use cases of the identity service.
//!
//! [`login`] makes tokens, [`token`] checks them, [`effective`] says which roles count; the others are the
//! resources that administrators keep.

mod access;
mod checks;
mod compliance;
mod delegation;
mod password_regex;
mod signature;
mod totp;
mod url_template;

pub mod application_credential;
pub mod assignment;
pub mod assignment_list;
pub mod bootstrap;
pub mod catalog;
pub mod credential;
pub mod domain;
pub mod domain_config;
pub mod ec2;
pub mod effective;
pub mod endpoint_filter;
pub mod endpoint_policy;
pub mod federation;
pub mod fresh;
pub mod group;
pub mod keys;
pub mod limit;
pub mod live;
pub mod login;
pub mod policy_blob;
pub mod project;
pub mod project_tags;
pub mod revocation;
pub mod role;
pub mod token;
pub mod trust;
pub mod user;

pub use password_regex::PasswordRegex;
pub use signature::{MAX_SKEW, SignedRequest};
