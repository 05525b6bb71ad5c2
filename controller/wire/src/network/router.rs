use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field::{flag, flag_or_null};
use super::{FixedIpFields, FixedIpView, StandardView};
use crate::nullable;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRouter {
    #[serde(alias = "tenant_id")]
    pub project_id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub admin_state_up: Option<bool>,
    pub external_gateway_info: Option<GatewayFields>,
    pub routes: Option<Vec<RouteFields>>,
    /// Every router of ours is distributed and never fails over; asking for the opposite is refused.
    #[serde(default, deserialize_with = "flag_or_null")]
    pub distributed: Option<bool>,
    #[serde(default, deserialize_with = "flag_or_null")]
    pub ha: Option<bool>,
    pub tags: Option<Vec<String>>,
}

/// `PUT`: what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRouter {
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub admin_state_up: Option<bool>,
    /// Null, or an empty object, takes the gateway away.
    #[serde(default, deserialize_with = "nullable")]
    pub external_gateway_info: Option<Option<GatewayFields>>,
    #[serde(default, deserialize_with = "nullable")]
    pub routes: Option<Option<Vec<RouteFields>>>,
    #[serde(default, deserialize_with = "flag_or_null")]
    pub distributed: Option<bool>,
    #[serde(default, deserialize_with = "flag_or_null")]
    pub ha: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayFields {
    pub network_id: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub enable_snat: Option<bool>,
    pub external_fixed_ips: Option<Vec<FixedIpFields>>,
    pub qos_policy_id: Option<String>,
}

impl GatewayFields {
    /// `{}`: nothing is said.
    pub fn is_empty(&self) -> bool {
        self.network_id.is_none()
            && self.enable_snat.is_none()
            && self.external_fixed_ips.is_none()
            && self.qos_policy_id.is_none()
    }
}

/// A static route.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RouteFields {
    pub destination: String,
    pub nexthop: String,
}

/// `PUT …/add_router_interface` and `…/remove_router_interface`; what else there is says nothing.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct InterfaceFields {
    pub subnet_id: Option<String>,
    pub port_id: Option<String>,
}

/// The answer to both.
#[derive(Clone, Debug, Serialize)]
pub struct InterfaceView {
    pub id: String,
    pub tenant_id: String,
    pub project_id: String,
    pub port_id: String,
    pub network_id: String,
    pub subnet_id: String,
    pub subnet_ids: Vec<String>,
    pub tags: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RouterView {
    pub id: String,
    pub name: String,
    pub tenant_id: String,
    pub project_id: String,
    pub admin_state_up: bool,
    pub status: &'static str,
    pub external_gateway_info: Option<GatewayView>,
    pub routes: Vec<RouteFields>,
    pub availability_zone_hints: Vec<String>,
    pub availability_zones: Vec<String>,
    pub flavor_id: Option<String>,
    #[serde(flatten)]
    pub standard: StandardView,
}

#[derive(Clone, Debug, Serialize)]
pub struct GatewayView {
    pub network_id: String,
    pub enable_snat: bool,
    pub external_fixed_ips: Vec<FixedIpView>,
}
