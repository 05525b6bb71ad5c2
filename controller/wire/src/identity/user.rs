use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SelfLink;
use super::attributes::{not_empty, not_null};
use crate::nullable;

/// `POST /v3/users` and `PATCH /v3/users/{id}`. A field that is absent keeps its value, or its default; one
/// that is null is cleared.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct UserRequest {
    #[serde(deserialize_with = "not_empty")]
    pub user: UserFields,
}

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UserFields {
    #[serde(deserialize_with = "not_null")]
    pub name: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub domain_id: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub enabled: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub password: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub email: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub default_project_id: Option<Option<String>>,
    #[serde(deserialize_with = "not_null")]
    pub options: Option<Map<String, Value>>,
    /// Only for comparison with the path's.
    pub id: Option<String>,
    /// Of other clients' making; never kept, never shown.
    pub original_password: Option<String>,
    /// Who the user is to identity providers.
    pub federated: Option<Vec<Value>>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `POST /v3/users/{id}/password`.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct PasswordRequest {
    pub user: PasswordFields,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordFields {
    pub password: String,
    pub original_password: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct UserBody {
    pub user: UserView,
}

/// Who a user is to an identity provider.
#[derive(Clone, Debug, Serialize)]
pub struct FederatedUserView {
    pub idp_id: String,
    pub protocols: Vec<FederatedProtocolView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FederatedProtocolView {
    pub protocol_id: String,
    pub unique_id: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct UserView {
    pub id: String,
    pub name: String,
    pub domain_id: String,
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_project_id: Option<String>,
    pub password_expires_at: Option<String>,
    /// Absent for who is known to no identity provider, and in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub federated: Vec<FederatedUserView>,
    pub options: Map<String, Value>,
    pub links: SelfLink,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
