use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SelfLink;
use super::attributes::{not_empty, not_null};
use crate::nullable;

/// `POST /v3/roles` and `PATCH /v3/roles/{id}`. A field that is absent keeps its value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    #[serde(deserialize_with = "not_empty")]
    pub role: RoleFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RoleFields {
    #[serde(deserialize_with = "not_null")]
    pub name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub domain_id: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    #[serde(deserialize_with = "not_null")]
    pub options: Option<Map<String, Value>>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RoleBody {
    pub role: RoleView,
}

#[derive(Clone, Debug, Serialize)]
pub struct RoleView {
    pub id: String,
    pub name: String,
    pub domain_id: Option<String>,
    pub description: Option<String>,
    pub options: Map<String, Value>,
    pub links: SelfLink,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// `GET /v3/roles/{id}/implies` (`implies` is a list) and `/implies/{id}` (it is one role).
#[derive(Clone, Debug, Serialize)]
pub struct InferenceBody<Implied> {
    pub role_inference: InferenceView<Implied>,
    pub links: SelfLink,
}

/// `GET /v3/role_inferences`: without links.
#[derive(Clone, Debug, Serialize)]
pub struct InferenceList {
    pub role_inferences: Vec<InferenceView<Vec<RoleRef>>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct InferenceView<Implied> {
    pub prior_role: RoleRef,
    pub implies: Implied,
}

/// A role as inferences name it.
#[derive(Clone, Debug, Serialize)]
pub struct RoleRef {
    pub id: String,
    pub name: String,
    pub links: SelfLink,
}
