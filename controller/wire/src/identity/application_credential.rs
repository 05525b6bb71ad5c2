use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SelfLink;
use super::attributes::not_null;

/// `POST /v3/users/{user_id}/application_credentials`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppCredentialRequest {
    pub application_credential: AppCredentialFields,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppCredentialFields {
    pub name: String,
    pub description: Option<String>,
    pub secret: Option<String>,
    pub expires_at: Option<String>,
    pub unrestricted: Option<bool>,
    pub roles: Option<Vec<RoleKey>>,
    #[serde(default, deserialize_with = "not_null")]
    pub access_rules: Option<Vec<AccessRuleFields>>,
    /// Of no account, as are the next: the project is the token's.
    pub project_id: Option<String>,
    pub id: Option<String>,
    pub system: Option<String>,
}

/// A role by its id, or by its name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct RoleKey {
    pub id: Option<String>,
    pub name: Option<String>,
}

/// A rule that is there, by its id, or a new one by the rest.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct AccessRuleFields {
    pub id: Option<String>,
    pub service: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
}

#[derive(Clone, Serialize)]
pub struct AppCredentialBody {
    pub application_credential: AppCredentialView,
}

#[derive(Clone, Serialize)]
pub struct AppCredentialView {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub user_id: String,
    pub project_id: String,
    /// Application credentials for the system do not exist: always null.
    pub system: Option<String>,
    /// ISO 8601 in UTC, with microseconds and without a zone.
    pub expires_at: Option<String>,
    pub unrestricted: bool,
    pub roles: Vec<AppCredentialRole>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_rules: Vec<AccessRuleView>,
    /// In the answer to the creation alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    pub links: SelfLink,
}

#[derive(Clone, Debug, Serialize)]
pub struct AppCredentialRole {
    pub id: String,
    pub name: String,
    pub domain_id: Option<String>,
    pub description: Option<String>,
    pub options: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct AccessRuleBody {
    pub access_rule: AccessRuleView,
}

#[derive(Clone, Debug, Serialize)]
pub struct AccessRuleView {
    pub id: String,
    pub service: String,
    pub method: String,
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<SelfLink>,
}
