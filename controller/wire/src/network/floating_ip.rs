use serde::{Deserialize, Serialize};

use super::StandardView;
use crate::nullable;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateFloatingIp {
    pub floating_network_id: String,
    #[serde(alias = "tenant_id")]
    pub project_id: Option<String>,
    pub description: Option<String>,
    pub floating_ip_address: Option<String>,
    pub subnet_id: Option<String>,
    pub port_id: Option<String>,
    pub fixed_ip_address: Option<String>,
    pub dns_name: Option<String>,
    pub dns_domain: Option<String>,
    pub tags: Option<Vec<String>>,
}

/// `PUT`: what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateFloatingIp {
    pub description: Option<String>,
    /// Null ends the association.
    #[serde(default, deserialize_with = "nullable")]
    pub port_id: Option<Option<String>>,
    pub fixed_ip_address: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FloatingIpView {
    pub id: String,
    pub tenant_id: String,
    pub project_id: String,
    pub status: &'static str,
    pub floating_network_id: String,
    pub floating_ip_address: String,
    pub port_id: Option<String>,
    pub fixed_ip_address: Option<String>,
    pub router_id: Option<String>,
    pub dns_name: String,
    pub dns_domain: String,
    pub qos_policy_id: Option<String>,
    pub port_details: Option<PortDetails>,
    #[serde(flatten)]
    pub standard: StandardView,
}

/// The associated port, in short (the `fip-port-details` extension).
#[derive(Clone, Debug, Serialize)]
pub struct PortDetails {
    pub name: String,
    pub network_id: String,
    pub mac_address: String,
    pub admin_state_up: bool,
    pub status: &'static str,
    pub device_id: String,
    pub device_owner: String,
}
