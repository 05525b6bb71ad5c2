//! JSON shapes of the identity API, v3 (<https://docs.openstack.org/api-ref/identity/v3/>).

mod application_credential;
mod assignment;
mod attributes;
mod catalog;
mod credential;
mod domain;
mod domain_config;
mod endpoint_group;
mod federation;
mod group;
mod limit;
mod login;
mod policy;
mod project;
mod role;
mod token;
mod trust;
mod user;

pub use application_credential::{
    AccessRuleBody, AccessRuleFields, AccessRuleView, AppCredentialBody, AppCredentialFields,
    AppCredentialRequest, AppCredentialRole, AppCredentialView, RoleKey,
};
pub use assignment::{AssignmentLinks, AssignmentView, DomainName, Named, ScopeView, SystemScope};
pub use attributes::extra;
pub use catalog::{
    EndpointBody, EndpointFields, EndpointRequest, EndpointView, RegionBody, RegionFields, RegionRequest,
    RegionView, ServiceBody, ServiceFields, ServiceRequest, ServiceView,
};
pub use credential::{
    CredentialBody, CredentialFields, CredentialRequest, CredentialView, Ec2Body, Ec2List, Ec2Request,
    Ec2View, SignedFields, SignedRequest,
};
pub use domain::{DomainBody, DomainFields, DomainList, DomainRequest, DomainView};
pub use domain_config::DomainConfigBody;
pub use endpoint_group::{
    EndpointGroupBody, EndpointGroupFields, EndpointGroupRequest, EndpointGroupView,
    ProjectEndpointGroupBody, ProjectEndpointGroupView,
};
pub use federation::{
    IdentityProviderBody, IdentityProviderFields, IdentityProviderLinks, IdentityProviderRequest,
    IdentityProviderView, MappingBody, MappingFields, MappingRequest, MappingView, ProtocolBody,
    ProtocolFields, ProtocolLinks, ProtocolRequest, ProtocolView, ServiceProviderBody, ServiceProviderFields,
    ServiceProviderRequest, ServiceProviderView,
};
pub use group::{GroupBody, GroupFields, GroupRequest, GroupView, UserGroupView};
pub use limit::{
    LimitBody, LimitChangeFields, LimitFields, LimitModelBody, LimitModelView, LimitRequest, LimitView,
    LimitsMade, LimitsRequest, RegisteredLimitBody, RegisteredLimitFields, RegisteredLimitRequest,
    RegisteredLimitView, RegisteredLimitsMade, RegisteredLimitsRequest,
};
pub use login::{
    AppCredentialMethod, Auth, AuthRequest, DomainRef, Identity, OwnerRef, PasswordMethod, ProjectRef,
    ScopeRequest, SystemRef, TokenMethod, TotpMethod, TotpUserRef, TrustRef, UserRef,
};
pub use policy::{PolicyBody, PolicyFields, PolicyRequest, PolicyView};
pub use project::{
    ProjectBody, ProjectFields, ProjectList, ProjectRequest, ProjectView, TagList, TagsRequest,
};
pub use role::{
    InferenceBody, InferenceList, InferenceView, RoleBody, RoleFields, RoleRef, RoleRequest, RoleView,
};
pub use token::{
    CatalogBody, CatalogEndpoint, CatalogEntry, IdRef, ReceiptBody, ReceiptUser, ReceiptView, RoleName,
    TokenAppCredential, TokenBody, TokenDomain, TokenFederation, TokenProject, TokenServiceProvider,
    TokenSystem, TokenTrust, TokenUser, TokenView,
};
pub use trust::{TrustBody, TrustFields, TrustRequest, TrustView};
pub use user::{
    FederatedProtocolView, FederatedUserView, PasswordFields, PasswordRequest, UserBody, UserFields,
    UserRequest, UserView,
};

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
