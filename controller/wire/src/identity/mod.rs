//! JSON shapes of the identity API, v3 (<https://docs.openstack.org/api-ref/identity/v3/>).

mod assignment;
mod attributes;
mod catalog;
mod domain;
mod group;
mod limit;
mod login;
mod project;
mod role;
mod token;
mod user;

pub use assignment::{AssignmentLinks, AssignmentView, DomainName, Named, ScopeView, SystemScope};
pub use attributes::extra;
pub use catalog::{
    EndpointBody, EndpointFields, EndpointRequest, EndpointView, RegionBody, RegionFields, RegionRequest,
    RegionView, ServiceBody, ServiceFields, ServiceRequest, ServiceView,
};
pub use domain::{DomainBody, DomainFields, DomainList, DomainRequest, DomainView};
pub use group::{GroupBody, GroupFields, GroupRequest, GroupView};
pub use limit::{
    LimitBody, LimitChangeFields, LimitFields, LimitModelBody, LimitModelView, LimitRequest, LimitView,
    LimitsMade, LimitsRequest, RegisteredLimitBody, RegisteredLimitFields, RegisteredLimitRequest,
    RegisteredLimitView, RegisteredLimitsMade, RegisteredLimitsRequest,
};
pub use login::{
    Auth, AuthRequest, DomainRef, PasswordMethod, ProjectRef, ScopeRequest, TokenMethod, UserRef,
};
pub use project::{
    ProjectBody, ProjectFields, ProjectList, ProjectRequest, ProjectView, TagList, TagsRequest,
};
pub use role::{
    InferenceBody, InferenceList, InferenceView, RoleBody, RoleFields, RoleRef, RoleRequest, RoleView,
};
pub use token::{
    CatalogBody, CatalogEndpoint, CatalogEntry, RoleName, TokenBody, TokenDomain, TokenProject, TokenUser,
    TokenView,
};
pub use user::{PasswordFields, PasswordRequest, UserBody, UserFields, UserRequest, UserView};

use serde::Serialize;

/// The links of one resource.
#[derive(Clone, Debug, Serialize)]
pub struct SelfLink {
    #[serde(rename = "self")]
    pub this: String,
}

/// The links of a collection.
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
