use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ListLinks, SelfLink};

/// `POST /v3/projects` and `PATCH /v3/projects/{id}`. A field that is absent keeps its value, or its default.
#[derive(Clone, Debug, Deserialize)]
pub struct ProjectRequest {
    pub project: ProjectFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProjectFields {
    pub name: Option<String>,
    pub domain_id: Option<String>,
    pub parent_id: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
    pub is_domain: Option<bool>,
    pub tags: Option<Vec<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProjectBody {
    pub project: ProjectView,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProjectList {
    pub projects: Vec<ProjectView>,
    pub links: ListLinks,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProjectView {
    pub id: String,
    pub name: String,
    pub domain_id: String,
    pub description: String,
    pub enabled: bool,
    pub parent_id: String,
    pub is_domain: bool,
    pub tags: Vec<String>,
    pub options: Map<String, Value>,
    pub links: SelfLink,
}
