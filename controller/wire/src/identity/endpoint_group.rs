use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SelfLink;
use super::attributes::{not_empty, not_null};
use crate::nullable;

/// `POST /v3/OS-EP-FILTER/endpoint_groups` and `PATCH …/{id}`. A field that is absent keeps its value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointGroupRequest {
    #[serde(deserialize_with = "not_empty")]
    pub endpoint_group: EndpointGroupFields,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointGroupFields {
    /// Only for comparison with the path's.
    pub id: Option<String>,
    #[serde(deserialize_with = "not_null")]
    pub name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    /// What the client does not change it sends as null.
    pub filters: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct EndpointGroupBody {
    pub endpoint_group: EndpointGroupView,
}

#[derive(Clone, Debug, Serialize)]
pub struct EndpointGroupView {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub filters: Map<String, Value>,
    pub links: SelfLink,
}

/// `GET /v3/OS-EP-FILTER/endpoint_groups/{id}/projects/{id}`.
#[derive(Clone, Debug, Serialize)]
pub struct ProjectEndpointGroupBody {
    pub project_endpoint_group: ProjectEndpointGroupView,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProjectEndpointGroupView {
    pub endpoint_group_id: String,
    pub project_id: String,
    pub links: SelfLink,
}
