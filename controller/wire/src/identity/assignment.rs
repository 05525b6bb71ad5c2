use serde::Serialize;

/// One of `GET /v3/role_assignments`. One of `user` and `group` is there.
#[derive(Clone, Debug, Serialize)]
pub struct AssignmentView {
    pub role: Named,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Named>,
    pub scope: ScopeView,
    pub links: AssignmentLinks,
}

/// Where the assignment comes from.
#[derive(Clone, Debug, Serialize)]
pub struct AssignmentLinks {
    pub assignment: String,
    /// The group's membership that gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<String>,
    /// The implication that gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior_role: Option<String>,
}

/// One of project, domain and system is there.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScopeView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemScope>,
    #[serde(rename = "OS-INHERIT:inherited_to", skip_serializing_if = "Option::is_none")]
    pub inherited_to: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct SystemScope {
    pub all: bool,
}

/// An id, with names when they were asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainName>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DomainName {
    pub id: String,
    pub name: String,
}
