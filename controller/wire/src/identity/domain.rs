use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attributes::{not_empty, not_null};
use super::{ListLinks, SelfLink};
use crate::nullable;

/// `POST /v3/domains` and `PATCH /v3/domains/{id}`. A field that is absent keeps its value, or its default.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainRequest {
    #[serde(deserialize_with = "not_empty")]
    pub domain: DomainFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DomainFields {
    #[serde(deserialize_with = "not_null")]
    pub name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    #[serde(deserialize_with = "not_null")]
    pub enabled: Option<bool>,
    #[serde(deserialize_with = "not_null")]
    pub tags: Option<Vec<String>>,
    #[serde(deserialize_with = "not_null")]
    pub options: Option<Map<String, Value>>,
    /// An id of the operator's choice, 32 hexadecimal digits, for clouds that share their users.
    pub explicit_domain_id: Option<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DomainBody {
    pub domain: DomainView,
}

#[derive(Clone, Debug, Serialize)]
pub struct DomainList {
    pub domains: Vec<DomainView>,
    pub links: ListLinks,
}

#[derive(Clone, Debug, Serialize)]
pub struct DomainView {
    pub id: String,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub tags: Vec<String>,
    pub options: Map<String, Value>,
    pub links: SelfLink,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
