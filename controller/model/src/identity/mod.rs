//! Who may do what: domains hold projects and users; roles tie users to projects.

mod assignment;
mod catalog;
mod domain;
mod project;
mod role;
mod user;

pub use assignment::{Actor, Assignment, Target};
pub use catalog::{Endpoint, Interface, Region, Service};
pub use domain::{DEFAULT_DOMAIN_ID, Domain};
pub use project::Project;
pub use role::{ADMIN, IMPLIED_ROLES, MANAGER, MEMBER, READER, Role, SERVICE};
pub use user::{Group, User};

/// The form in which names are compared: Keystone's names are unique without regard to case.
pub fn name_key(name: &str) -> String {
    name.to_lowercase()
}
