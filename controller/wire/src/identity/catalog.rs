use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SelfLink;
use super::attributes::{not_empty, not_null};
use crate::nullable;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct RegionRequest {
    pub region: RegionFields,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RegionFields {
    pub id: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub parent_region_id: Option<Option<String>>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RegionBody {
    pub region: RegionView,
}

#[derive(Clone, Debug, Serialize)]
pub struct RegionView {
    pub id: String,
    pub description: String,
    pub parent_region_id: Option<String>,
    pub links: SelfLink,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ServiceRequest {
    #[serde(deserialize_with = "not_empty")]
    pub service: ServiceFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceFields {
    #[serde(rename = "type", deserialize_with = "not_null")]
    pub kind: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    #[serde(deserialize_with = "not_null")]
    pub enabled: Option<bool>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServiceBody {
    pub service: ServiceView,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServiceView {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub links: SelfLink,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointRequest {
    #[serde(deserialize_with = "not_empty")]
    pub endpoint: EndpointFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EndpointFields {
    #[serde(deserialize_with = "not_null")]
    pub service_id: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub interface: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub url: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub region_id: Option<Option<String>>,
    /// The old name of `region_id`; a region that does not exist is made.
    pub region: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub enabled: Option<bool>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct EndpointBody {
    pub endpoint: EndpointView,
}

#[derive(Clone, Debug, Serialize)]
pub struct EndpointView {
    pub id: String,
    pub service_id: String,
    pub interface: &'static str,
    pub region: Option<String>,
    pub region_id: Option<String>,
    pub url: String,
    pub enabled: bool,
    pub links: SelfLink,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
