use serde::{Deserialize, Serialize};

use super::{ListLinks, SelfLink};

/// `POST /v3/groups` and `PATCH /v3/groups/{id}`. A field that is absent keeps its value, or its default.
#[derive(Clone, Debug, Deserialize)]
pub struct GroupRequest {
    pub group: GroupFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GroupFields {
    pub name: Option<String>,
    pub domain_id: Option<String>,
    pub description: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupBody {
    pub group: GroupView,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupList {
    pub groups: Vec<GroupView>,
    pub links: ListLinks,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupView {
    pub id: String,
    pub name: String,
    pub domain_id: String,
    pub description: String,
    pub links: SelfLink,
}
