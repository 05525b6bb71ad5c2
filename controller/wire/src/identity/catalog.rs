use serde::{Deserialize, Serialize};

use super::{ListLinks, SelfLink};
use crate::nullable;

#[derive(Clone, Debug, Deserialize)]
pub struct RegionRequest {
    pub region: RegionFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RegionFields {
    pub id: Option<String>,
    pub description: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub parent_region_id: Option<Option<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RegionBody {
    pub region: RegionView,
}

#[derive(Clone, Debug, Serialize)]
pub struct RegionList {
    pub regions: Vec<RegionView>,
    pub links: ListLinks,
}

#[derive(Clone, Debug, Serialize)]
pub struct RegionView {
    pub id: String,
    pub description: String,
    pub parent_region_id: Option<String>,
    pub links: SelfLink,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ServiceRequest {
    pub service: ServiceFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceFields {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServiceBody {
    pub service: ServiceView,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServiceList {
    pub services: Vec<ServiceView>,
    pub links: ListLinks,
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
}

#[derive(Clone, Debug, Deserialize)]
pub struct EndpointRequest {
    pub endpoint: EndpointFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointFields {
    pub service_id: Option<String>,
    pub interface: Option<String>,
    pub url: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub region_id: Option<Option<String>>,
    /// The old name of `region_id`.
    pub region: Option<String>,
    pub enabled: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
pub struct EndpointBody {
    pub endpoint: EndpointView,
}

#[derive(Clone, Debug, Serialize)]
pub struct EndpointList {
    pub endpoints: Vec<EndpointView>,
    pub links: ListLinks,
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
}
