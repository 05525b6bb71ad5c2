//! Who may do what: domains hold projects and users; roles tie users to projects.

mod application_credential;
mod assignment;
mod attributes;
mod catalog;
mod credential;
mod domain;
mod endpoint_group;
mod federation;
mod limit;
mod policy_blob;
mod project;
mod role;
mod trust;
mod user;

pub use application_credential::{AccessRule, ApplicationCredential};
pub use assignment::{Actor, Assignment, Target};
pub use attributes::{Extra, IMMUTABLE, Options, given_options, is_set, merge_options};
pub use catalog::{Endpoint, Interface, Region, Service};
pub use credential::{Credential, EC2, TOTP};
pub use domain::{DEFAULT_DOMAIN_ID, Domain};
pub use endpoint_group::EndpointGroup;
pub use federation::{FederationProtocol, IdentityProvider, Mapping, ServiceProvider};
pub use limit::{Limit, LimitOwner, RegisteredLimit};
pub use policy_blob::{PolicyBlob, PolicyPlace};
pub use project::Project;
pub use role::{ADMIN, IMPLIED_ROLES, MANAGER, MEMBER, READER, Role, SERVICE};
pub use trust::Trust;
pub use user::{FederatedName, Group, Password, User};

/// The form in which names are compared: Keystone's names are unique without regard to case.
pub fn name_key(name: &str) -> String {
    name.to_lowercase()
}
