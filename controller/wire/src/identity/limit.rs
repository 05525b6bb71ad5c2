//! Unified limits. Bodies are closed: an attribute that is not known is refused.

use serde::{Deserialize, Serialize};

use super::SelfLink;
use super::attributes::not_null;
use crate::nullable;

/// `POST /v3/registered_limits`: several at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredLimitsRequest {
    pub registered_limits: Vec<RegisteredLimitFields>,
}

/// `PATCH /v3/registered_limits/{id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredLimitRequest {
    pub registered_limit: RegisteredLimitFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegisteredLimitFields {
    #[serde(deserialize_with = "not_null")]
    pub service_id: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub region_id: Option<Option<String>>,
    #[serde(deserialize_with = "not_null")]
    pub resource_name: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub default_limit: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RegisteredLimitBody {
    pub registered_limit: RegisteredLimitView,
}

/// The answer to `POST`: without links.
#[derive(Clone, Debug, Serialize)]
pub struct RegisteredLimitsMade {
    pub registered_limits: Vec<RegisteredLimitView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RegisteredLimitView {
    pub id: String,
    pub service_id: String,
    pub region_id: Option<String>,
    pub resource_name: String,
    pub default_limit: i64,
    pub description: Option<String>,
    pub links: SelfLink,
}

/// `POST /v3/limits`: several at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    pub limits: Vec<LimitFields>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitFields {
    pub project_id: Option<String>,
    pub domain_id: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub service_id: Option<String>,
    pub region_id: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub resource_name: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub resource_limit: Option<i64>,
    pub description: Option<String>,
}

/// `PATCH /v3/limits/{id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRequest {
    pub limit: LimitChangeFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitChangeFields {
    #[serde(deserialize_with = "not_null")]
    pub resource_limit: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LimitBody {
    pub limit: LimitView,
}

/// The answer to `POST`: without links.
#[derive(Clone, Debug, Serialize)]
pub struct LimitsMade {
    pub limits: Vec<LimitView>,
}

/// One of `project_id` and `domain_id` is not null.
#[derive(Clone, Debug, Serialize)]
pub struct LimitView {
    pub id: String,
    pub project_id: Option<String>,
    pub domain_id: Option<String>,
    pub service_id: String,
    pub region_id: Option<String>,
    pub resource_name: String,
    pub resource_limit: i64,
    pub description: Option<String>,
    pub links: SelfLink,
}

/// `GET /v3/limits/model`.
#[derive(Clone, Debug, Serialize)]
pub struct LimitModelBody {
    pub model: LimitModelView,
}

#[derive(Clone, Debug, Serialize)]
pub struct LimitModelView {
    pub name: &'static str,
    pub description: &'static str,
}
