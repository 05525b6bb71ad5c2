use serde::{Deserialize, Serialize};

use super::StandardView;
use super::field::{flag, integer};
use crate::nullable;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateNetwork {
    #[serde(alias = "tenant_id")]
    pub project_id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub admin_state_up: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    pub shared: Option<bool>,
    #[serde(rename = "router:external", default, deserialize_with = "flag")]
    pub external: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    pub is_default: Option<bool>,
    #[serde(default, deserialize_with = "integer")]
    pub mtu: Option<i64>,
    #[serde(default, deserialize_with = "flag")]
    pub port_security_enabled: Option<bool>,
    pub dns_domain: Option<String>,
    #[serde(rename = "provider:network_type")]
    pub network_type: Option<String>,
    #[serde(rename = "provider:physical_network")]
    pub physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id", default, deserialize_with = "integer")]
    pub segmentation_id: Option<i64>,
    pub tags: Option<Vec<String>>,
}

/// `PUT`: what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateNetwork {
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub admin_state_up: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    pub shared: Option<bool>,
    #[serde(rename = "router:external", default, deserialize_with = "flag")]
    pub external: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    pub is_default: Option<bool>,
    #[serde(default, deserialize_with = "integer")]
    pub mtu: Option<i64>,
    #[serde(default, deserialize_with = "flag")]
    pub port_security_enabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    pub dns_domain: Option<Option<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct NetworkView {
    pub id: String,
    pub name: String,
    pub tenant_id: String,
    pub project_id: String,
    pub admin_state_up: bool,
    pub status: &'static str,
    pub shared: bool,
    #[serde(rename = "router:external")]
    pub external: bool,
    pub is_default: bool,
    pub mtu: u16,
    pub subnets: Vec<String>,
    pub port_security_enabled: bool,
    pub dns_domain: String,
    pub availability_zone_hints: Vec<String>,
    pub availability_zones: Vec<String>,
    pub ipv4_address_scope: Option<String>,
    pub ipv6_address_scope: Option<String>,
    /// For administrators.
    #[serde(flatten)]
    pub provider: Option<Provider>,
    #[serde(flatten)]
    pub standard: StandardView,
}

/// How the network is made; none of a tenant's business.
#[derive(Clone, Debug, Serialize)]
pub struct Provider {
    #[serde(rename = "provider:network_type")]
    pub network_type: String,
    #[serde(rename = "provider:physical_network")]
    pub physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id")]
    pub segmentation_id: Option<i64>,
}
