//! JSON shapes of the identity API, v3 (<https://docs.openstack.org/api-ref/identity/v3/>).

mod assignment;
mod catalog;
mod domain;
mod group;
mod login;
mod project;
mod role;
mod token;
mod user;

pub use assignment::{AssignmentList, AssignmentView, DomainName, Named, ScopeView};
pub use catalog::{
    EndpointBody, EndpointFields, EndpointList, EndpointRequest, EndpointView, RegionBody, RegionFields,
    RegionList, RegionRequest, RegionView, ServiceBody, ServiceFields, ServiceList, ServiceRequest,
    ServiceView,
};
pub use domain::{DomainBody, DomainFields, DomainList, DomainRequest, DomainView};
pub use group::{GroupBody, GroupFields, GroupList, GroupRequest, GroupView};
pub use login::{
    Auth, AuthRequest, DomainRef, PasswordMethod, ProjectRef, ScopeRequest, TokenMethod, UserRef,
};
pub use project::{ProjectBody, ProjectFields, ProjectList, ProjectRequest, ProjectView};
pub use role::{
    InferenceBody, InferenceList, InferenceView, RoleBody, RoleFields, RoleList, RoleRequest, RoleView,
};
pub use token::{
    CatalogBody, CatalogEndpoint, CatalogEntry, RoleName, TokenBody, TokenDomain, TokenProject, TokenUser,
    TokenView,
};
pub use user::{PasswordFields, PasswordRequest, UserBody, UserFields, UserList, UserRequest, UserView};

use serde::Serialize;

/// The links of one resource.
#[derive(Clone, Debug, Serialize)]
pub struct SelfLink {
    #[serde(rename = "self")]
    pub this: String,
}

/// The links of a collection. Keystone's lists here are whole: `next` is always null.
#[derive(Clone, Debug, Serialize)]
pub struct ListLinks {
    #[serde(rename = "self")]
    pub this: String,
    pub previous: Option<String>,
    pub next: Option<String>,
}

impl ListLinks {
    /// Links of a list that is whole.
    pub fn whole(this: String) -> Self {
        Self { this, previous: None, next: None }
    }
}
