use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SelfLink;
use super::attributes::not_null;
use crate::nullable;

/// `PUT` and `PATCH /v3/OS-FEDERATION/identity_providers/{id}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityProviderRequest {
    pub identity_provider: IdentityProviderFields,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityProviderFields {
    pub domain_id: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub enabled: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    pub remote_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "nullable")]
    pub authorization_ttl: Option<Option<i64>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct IdentityProviderBody {
    pub identity_provider: IdentityProviderView,
}

#[derive(Clone, Debug, Serialize)]
pub struct IdentityProviderView {
    pub id: String,
    pub domain_id: String,
    pub enabled: bool,
    pub description: Option<String>,
    pub remote_ids: Vec<String>,
    pub authorization_ttl: Option<i64>,
    pub links: IdentityProviderLinks,
}

#[derive(Clone, Debug, Serialize)]
pub struct IdentityProviderLinks {
    #[serde(rename = "self")]
    pub this: String,
    pub protocols: String,
}

/// `PUT` and `PATCH …/identity_providers/{idp_id}/protocols/{id}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProtocolRequest {
    pub protocol: ProtocolFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProtocolFields {
    pub mapping_id: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub remote_id_attribute: Option<Option<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProtocolBody {
    pub protocol: ProtocolView,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProtocolView {
    pub id: String,
    pub mapping_id: String,
    pub remote_id_attribute: Option<String>,
    pub links: ProtocolLinks,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProtocolLinks {
    #[serde(rename = "self")]
    pub this: String,
    pub identity_provider: String,
}

/// `PUT` and `PATCH /v3/OS-FEDERATION/mappings/{id}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct MappingRequest {
    pub mapping: MappingFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MappingFields {
    pub rules: Option<Value>,
    pub schema_version: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct MappingBody {
    pub mapping: MappingView,
}

#[derive(Clone, Debug, Serialize)]
pub struct MappingView {
    pub id: String,
    pub rules: Value,
    pub schema_version: String,
    pub links: SelfLink,
}

/// `PUT` and `PATCH /v3/OS-FEDERATION/service_providers/{id}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceProviderRequest {
    pub service_provider: ServiceProviderFields,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceProviderFields {
    #[serde(deserialize_with = "not_null")]
    pub auth_url: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub sp_url: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    pub enabled: Option<bool>,
    pub relay_state_prefix: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServiceProviderBody {
    pub service_provider: ServiceProviderView,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServiceProviderView {
    pub id: String,
    pub auth_url: String,
    pub sp_url: String,
    pub description: Option<String>,
    pub enabled: bool,
    pub relay_state_prefix: String,
    pub links: SelfLink,
}
