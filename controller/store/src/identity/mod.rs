//! SQL of the identity service.

mod json;

pub mod application_credential;
pub mod assignment;
pub mod catalog;
pub mod credential;
pub mod domain;
pub mod domain_option;
pub mod endpoint_filter;
pub mod federated_user;
pub mod federation;
pub mod group;
pub mod limit;
pub mod login_record;
pub mod policy_association;
pub mod policy_blob;
pub mod project;
pub mod revocation;
pub mod role;
pub mod trust;
pub mod user;
