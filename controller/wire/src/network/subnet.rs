use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field::{flag, integer, list_or_null};
use super::{RouteFields, StandardView};
use crate::nullable;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSubnet {
    pub network_id: String,
    #[serde(alias = "tenant_id")]
    pub project_id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub cidr: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    pub ip_version: Option<i64>,
    /// Absent: the first address. Null: none.
    #[serde(default, deserialize_with = "nullable")]
    pub gateway_ip: Option<Option<String>>,
    #[serde(default, deserialize_with = "flag")]
    pub enable_dhcp: Option<bool>,
    pub dns_nameservers: Option<Vec<String>>,
    pub host_routes: Option<Vec<RouteFields>>,
    pub allocation_pools: Option<Vec<PoolFields>>,
    pub ipv6_ra_mode: Option<String>,
    pub ipv6_address_mode: Option<String>,
    pub service_types: Option<Vec<String>>,
    pub subnetpool_id: Option<String>,
    pub segment_id: Option<String>,
    pub tags: Option<Vec<String>>,
}

/// `PUT`: what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSubnet {
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub gateway_ip: Option<Option<String>>,
    #[serde(default, deserialize_with = "flag")]
    pub enable_dhcp: Option<bool>,
    #[serde(default, deserialize_with = "list_or_null")]
    pub dns_nameservers: Option<Vec<String>>,
    #[serde(default, deserialize_with = "list_or_null")]
    pub host_routes: Option<Vec<RouteFields>>,
    pub allocation_pools: Option<Vec<PoolFields>>,
    pub service_types: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PoolFields {
    pub start: String,
    pub end: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct SubnetView {
    pub id: String,
    pub name: String,
    pub tenant_id: String,
    pub project_id: String,
    pub network_id: String,
    pub ip_version: u8,
    pub cidr: String,
    pub gateway_ip: Option<String>,
    pub enable_dhcp: bool,
    pub dns_nameservers: Vec<String>,
    pub host_routes: Vec<RouteFields>,
    pub allocation_pools: Vec<PoolFields>,
    pub ipv6_ra_mode: Option<&'static str>,
    pub ipv6_address_mode: Option<&'static str>,
    pub service_types: Vec<String>,
    pub subnetpool_id: Option<String>,
    pub segment_id: Option<String>,
    #[serde(flatten)]
    pub standard: StandardView,
}
