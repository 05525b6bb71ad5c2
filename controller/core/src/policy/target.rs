//! What a rule is evaluated with: who asks (from the token) and what it is about (from the database).

use std::borrow::Cow;

use crate::Caller;

/// What a request is about, filled in by the use case from the database. A field that does not apply stays
/// `None`; a check that names it is then false.
///
/// There is no way from a request's body or query into this struct but through code that names the field
/// (CVE-2026-42999: bodies that were merged into the policy's input).
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// The project that owns the thing: `%(project_id)s`, `%(tenant_id)s`, `%(owner)s`.
    pub project_id: Option<&'a str>,
    /// The user that the thing belongs to: `%(user_id)s`.
    pub user_id: Option<&'a str>,
    /// The domain that a list is narrowed to: `%(target.domain_id)s`.
    pub domain_id: Option<&'a str>,
    /// `%(target.project.…)s`
    pub project: Option<ProjectTarget<'a>>,
    /// `%(target.domain.id)s`
    pub domain: Option<&'a str>,
    /// `%(target.user.…)s`
    pub user: Option<UserTarget<'a>>,
    /// `%(target.group.…)s`
    pub group: Option<GroupTarget<'a>>,
    /// `%(target.role.…)s`
    pub role: Option<RoleTarget<'a>>,
    /// `%(target.credential.user_id)s`
    pub credential_user_id: Option<&'a str>,
    /// `%(target.trust.…)s`
    pub trust: Option<TrustTarget<'a>>,
    /// `%(target.limit.…)s`
    pub limit: Option<LimitTarget<'a>>,
    /// The user of the token that the request is about: `%(target.token.user_id)s`.
    pub token_user_id: Option<&'a str>,
    /// An image's or a namespace's: `public`, `community`, `shared`, `private`.
    pub visibility: Option<&'a str>,
    /// The project that an image is shared with: `%(member_id)s`.
    pub member_id: Option<&'a str>,
    /// The project of the network that a port or subnet is in: `%(network:project_id)s`.
    pub network_project_id: Option<&'a str>,
    /// The project of the thing that this one is a part of: `%(ext_parent:project_id)s`.
    pub parent_project_id: Option<&'a str>,
    /// The project of a rule's security group: `%(security_group:project_id)s`.
    pub security_group_project_id: Option<&'a str>,
    /// `field:networks:shared`, and of subnets, pools, groups.
    pub shared: Option<bool>,
    /// `field:networks:router:external`
    pub external: Option<bool>,
    /// `field:port:device_owner`
    pub device_owner: Option<&'a str>,
    /// `field:security_group_rules:belongs_to_default_sg`
    pub belongs_to_default_group: Option<bool>,
}

/// A project that identity is asked about.
#[derive(Clone, Copy, Debug)]
pub struct ProjectTarget<'a> {
    pub id: &'a str,
    pub domain_id: &'a str,
}

/// A user that identity is asked about.
#[derive(Clone, Copy, Debug)]
pub struct UserTarget<'a> {
    pub id: &'a str,
    pub domain_id: &'a str,
}

/// A group that identity is asked about.
#[derive(Clone, Copy, Debug)]
pub struct GroupTarget<'a> {
    pub id: &'a str,
    pub domain_id: &'a str,
}

/// A role that identity is asked about; a global one has no domain.
#[derive(Clone, Copy, Debug)]
pub struct RoleTarget<'a> {
    pub name: &'a str,
    pub domain_id: Option<&'a str>,
}

/// A trust that identity is asked about.
#[derive(Clone, Copy, Debug)]
pub struct TrustTarget<'a> {
    pub trustor_user_id: &'a str,
    pub trustee_user_id: &'a str,
}

/// A limit of a project, or of a domain.
#[derive(Clone, Copy, Debug)]
pub struct LimitTarget<'a> {
    pub project_id: Option<&'a str>,
    pub project_domain_id: Option<&'a str>,
    pub domain_id: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// A thing of this project.
    pub fn of_project(project_id: &'a str) -> Self {
        Self { project_id: Some(project_id), ..Self::default() }
    }

    /// What the caller would make for itself: its own project, its own user.
    pub fn own(caller: &'a Caller) -> Self {
        let project_id = caller.project_id.as_deref();
        Self { project_id, user_id: Some(&caller.user_id), ..Self::default() }
    }
}

/// A value in a target, or in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// There, but none: a global role's domain. Python's `None`.
    Null,
    Text(Cow<'a, str>),
}

/// The attributes of a target, as rules name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    ProjectId,
    UserId,
    DomainId,
    TargetProjectId,
    TargetProjectDomainId,
    TargetDomainId,
    TargetUserId,
    TargetUserDomainId,
    TargetGroupId,
    TargetGroupDomainId,
    TargetRoleName,
    TargetRoleDomainId,
    CredentialUserId,
    TrustorUserId,
    TrusteeUserId,
    LimitProjectId,
    LimitProjectDomainId,
    LimitDomainId,
    TokenUserId,
    Visibility,
    MemberId,
    NetworkProjectId,
    ParentProjectId,
    SecurityGroupProjectId,
    Shared,
    External,
    DeviceOwner,
    BelongsToDefaultGroup,
}

impl Attribute {
    /// `None` for a name that no target has: a check that uses it is always false.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "project_id" | "tenant_id" | "owner" => Self::ProjectId,
            "user_id" => Self::UserId,
            "target.domain_id" | "domain_id" => Self::DomainId,
            "target.project.id" => Self::TargetProjectId,
            "target.project.domain_id" => Self::TargetProjectDomainId,
            "target.domain.id" => Self::TargetDomainId,
            "target.user.id" => Self::TargetUserId,
            "target.user.domain_id" => Self::TargetUserDomainId,
            "target.group.id" => Self::TargetGroupId,
            "target.group.domain_id" => Self::TargetGroupDomainId,
            "target.role.name" => Self::TargetRoleName,
            "target.role.domain_id" => Self::TargetRoleDomainId,
            "target.credential.user_id" => Self::CredentialUserId,
            "target.trust.trustor_user_id" => Self::TrustorUserId,
            "target.trust.trustee_user_id" => Self::TrusteeUserId,
            "target.limit.project_id" => Self::LimitProjectId,
            "target.limit.project.domain_id" => Self::LimitProjectDomainId,
            "target.limit.domain.id" => Self::LimitDomainId,
            "target.token.user_id" => Self::TokenUserId,
            "visibility" => Self::Visibility,
            "member_id" => Self::MemberId,
            "network:project_id" | "network:tenant_id" => Self::NetworkProjectId,
            "ext_parent:project_id" | "ext_parent:tenant_id" => Self::ParentProjectId,
            "security_group:project_id" | "security_group:tenant_id" => Self::SecurityGroupProjectId,
            "shared" => Self::Shared,
            "router:external" => Self::External,
            "device_owner" => Self::DeviceOwner,
            "belongs_to_default_sg" => Self::BelongsToDefaultGroup,
            _ => return None,
        })
    }

    /// What the target has there; `None` when it has no such thing.
    pub fn of<'a>(self, target: &Target<'a>) -> Option<Value<'a>> {
        let text = |value: &'a str| Value::Text(Cow::Borrowed(value));
        let or_null = |value: Option<&'a str>| value.map_or(Value::Null, text);
        let flag = |value: bool| text(if value { "True" } else { "False" });
        match self {
            Self::ProjectId => target.project_id.map(text),
            Self::UserId => target.user_id.map(text),
            Self::DomainId => target.domain_id.map(text),
            Self::TargetProjectId => target.project.map(|project| text(project.id)),
            Self::TargetProjectDomainId => target.project.map(|project| text(project.domain_id)),
            Self::TargetDomainId => target.domain.map(text),
            Self::TargetUserId => target.user.map(|user| text(user.id)),
            Self::TargetUserDomainId => target.user.map(|user| text(user.domain_id)),
            Self::TargetGroupId => target.group.map(|group| text(group.id)),
            Self::TargetGroupDomainId => target.group.map(|group| text(group.domain_id)),
            Self::TargetRoleName => target.role.map(|role| text(role.name)),
            Self::TargetRoleDomainId => target.role.map(|role| or_null(role.domain_id)),
            Self::CredentialUserId => target.credential_user_id.map(text),
            Self::TrustorUserId => target.trust.map(|trust| text(trust.trustor_user_id)),
            Self::TrusteeUserId => target.trust.map(|trust| text(trust.trustee_user_id)),
            Self::LimitProjectId => target.limit.map(|limit| or_null(limit.project_id)),
            Self::LimitProjectDomainId => target.limit?.project_domain_id.map(text),
            Self::LimitDomainId => target.limit?.domain_id.map(text),
            Self::TokenUserId => target.token_user_id.map(text),
            Self::Visibility => target.visibility.map(text),
            Self::MemberId => target.member_id.map(text),
            Self::NetworkProjectId => target.network_project_id.map(text),
            Self::ParentProjectId => target.parent_project_id.map(text),
            Self::SecurityGroupProjectId => target.security_group_project_id.map(text),
            Self::Shared => target.shared.map(flag),
            Self::External => target.external.map(flag),
            Self::DeviceOwner => target.device_owner.map(text),
            Self::BelongsToDefaultGroup => target.belongs_to_default_group.map(flag),
        }
    }
}

/// What a token says of its bearer, as rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    UserId,
    UserDomainId,
    ProjectId,
    ProjectDomainId,
    DomainId,
    SystemScope,
    /// OpenStack's deployments without an admin project say `True` of every token.
    IsAdminProject,
}

impl Credential {
    /// `None` for a name that no token has: a check of it is always false.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "user_id" | "user" | "token.user.id" => Self::UserId,
            "user_domain_id" | "user_domain" | "token.user.domain.id" => Self::UserDomainId,
            "project_id" | "tenant_id" | "tenant" | "token.project.id" => Self::ProjectId,
            "project_domain_id" | "project_domain" | "token.project.domain.id" => Self::ProjectDomainId,
            "domain_id" | "domain" | "token.domain.id" => Self::DomainId,
            "system_scope" => Self::SystemScope,
            "is_admin_project" => Self::IsAdminProject,
            _ => return None,
        })
    }

    pub fn of(self, caller: &Caller) -> Option<&str> {
        match self {
            Self::UserId => Some(&caller.user_id),
            Self::UserDomainId => Some(&caller.user_domain_id),
            Self::ProjectId => caller.project_id.as_deref(),
            Self::ProjectDomainId => caller.project_domain_id.as_deref(),
            Self::DomainId => caller.domain_id.as_deref(),
            Self::SystemScope => caller.system_scope.then_some("all"),
            Self::IsAdminProject => Some("True"),
        }
    }
}
