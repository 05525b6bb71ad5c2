use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SelfLink;
use super::attributes::{not_empty, not_null};
use crate::nullable;

/// `POST /v3/groups` and `PATCH /v3/groups/{id}`. A field that is absent keeps its value, or its default.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRequest {
    #[serde(deserialize_with = "not_empty")]
    pub group: GroupFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupFields {
    #[serde(deserialize_with = "not_null")]
    pub name: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub domain_id: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupBody {
    pub group: GroupView,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupView {
    pub id: String,
    pub name: String,
    pub domain_id: String,
    pub description: String,
    pub links: SelfLink,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A group among those of a user.
#[derive(Clone, Debug, Serialize)]
pub struct UserGroupView {
    #[serde(flatten)]
    pub group: GroupView,
    /// Memberships last until they are ended: always null.
    pub membership_expires_at: Option<String>,
}
