use std::collections::BTreeMap;

use serde::Serialize;

use super::ListLinks;

/// `GET /v3/role_assignments`.
#[derive(Clone, Debug, Serialize)]
pub struct AssignmentList {
    pub role_assignments: Vec<AssignmentView>,
    pub links: ListLinks,
}

/// One of `user` and `group` is there.
#[derive(Clone, Debug, Serialize)]
pub struct AssignmentView {
    pub role: Named,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Named>,
    pub scope: ScopeView,
    pub links: BTreeMap<&'static str, String>,
}

/// One of the two is there.
#[derive(Clone, Debug, Serialize)]
pub struct ScopeView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Named>,
}

/// An id, with names when `include_names` asks for them.
#[derive(Clone, Debug, Default, Serialize)]
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
