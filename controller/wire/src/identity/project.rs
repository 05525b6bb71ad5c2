use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attributes::not_null;
use super::{LimitView, ListLinks, SelfLink};
use crate::nullable;

/// `POST /v3/projects` and `PATCH /v3/projects/{id}`. A field that is absent keeps its value, or its default.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectRequest {
    pub project: ProjectFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectFields {
    #[serde(deserialize_with = "not_null")]
    pub name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub domain_id: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub parent_id: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    #[serde(deserialize_with = "not_null")]
    pub enabled: Option<bool>,
    #[serde(deserialize_with = "not_null")]
    pub is_domain: Option<bool>,
    #[serde(deserialize_with = "not_null")]
    pub tags: Option<Vec<String>>,
    #[serde(deserialize_with = "not_null")]
    pub options: Option<Map<String, Value>>,
    /// Only for comparison with the path's.
    pub id: Option<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
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
    /// `None` for a domain in the shape of a project.
    pub domain_id: Option<String>,
    pub description: String,
    pub enabled: bool,
    pub parent_id: Option<String>,
    pub is_domain: bool,
    pub tags: Vec<String>,
    pub options: Map<String, Value>,
    pub links: SelfLink,
    /// With `parents_as_list` or `parents_as_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parents: Option<Value>,
    /// With `subtree_as_list` or `subtree_as_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtree: Option<Value>,
    /// Of a relative in a list, with `include_limits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<LimitView>>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// `GET` and `PUT /v3/projects/{id}/tags`.
#[derive(Clone, Debug, Serialize)]
pub struct TagList {
    pub tags: Vec<String>,
    pub links: SelfLink,
}

/// `PUT /v3/projects/{id}/tags`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagsRequest {
    pub tags: Vec<String>,
}
