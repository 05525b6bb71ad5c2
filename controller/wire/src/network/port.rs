use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StandardView;
use super::field::{flag, integer_or_null, list_or_null};
use crate::nullable;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePort {
    pub network_id: String,
    #[serde(alias = "tenant_id")]
    pub project_id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub admin_state_up: Option<bool>,
    pub mac_address: Option<String>,
    pub fixed_ips: Option<Vec<FixedIpFields>>,
    pub device_id: Option<String>,
    pub device_owner: Option<String>,
    #[serde(default, deserialize_with = "list_or_null")]
    pub security_groups: Option<Vec<String>>,
    pub allowed_address_pairs: Option<Vec<AddressPairFields>>,
    pub extra_dhcp_opts: Option<Vec<DhcpOptionFields>>,
    #[serde(default, deserialize_with = "flag")]
    pub port_security_enabled: Option<bool>,
    pub dns_name: Option<String>,
    #[serde(rename = "binding:host_id")]
    pub host_id: Option<String>,
    #[serde(rename = "binding:profile")]
    pub profile: Option<Map<String, Value>>,
    #[serde(rename = "binding:vnic_type")]
    pub vnic_type: Option<String>,
    pub tags: Option<Vec<String>>,
}

/// `PUT`: what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatePort {
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub admin_state_up: Option<bool>,
    pub mac_address: Option<String>,
    pub fixed_ips: Option<Vec<FixedIpFields>>,
    pub device_id: Option<String>,
    pub device_owner: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub security_groups: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "nullable")]
    pub allowed_address_pairs: Option<Option<Vec<AddressPairFields>>>,
    pub extra_dhcp_opts: Option<Vec<DhcpOptionFields>>,
    #[serde(default, deserialize_with = "flag")]
    pub port_security_enabled: Option<bool>,
    pub dns_name: Option<String>,
    #[serde(rename = "binding:host_id")]
    pub host_id: Option<String>,
    #[serde(rename = "binding:profile", default, deserialize_with = "nullable")]
    pub profile: Option<Option<Map<String, Value>>>,
    #[serde(rename = "binding:vnic_type")]
    pub vnic_type: Option<String>,
}

/// An address that is asked for: any of a subnet, one by name, or both.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixedIpFields {
    pub subnet_id: Option<String>,
    pub ip_address: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressPairFields {
    pub ip_address: String,
    pub mac_address: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DhcpOptionFields {
    pub opt_name: String,
    /// Null removes the option.
    pub opt_value: Option<String>,
    #[serde(default, deserialize_with = "integer_or_null")]
    pub ip_version: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct PortView {
    pub id: String,
    pub name: String,
    pub tenant_id: String,
    pub project_id: String,
    pub network_id: String,
    pub mac_address: String,
    pub admin_state_up: bool,
    pub status: &'static str,
    pub device_id: String,
    pub device_owner: String,
    pub fixed_ips: Vec<FixedIpView>,
    pub security_groups: Vec<String>,
    pub allowed_address_pairs: Vec<AddressPairView>,
    pub extra_dhcp_opts: Vec<DhcpOptionFields>,
    pub port_security_enabled: bool,
    pub dns_name: String,
    pub dns_assignment: Vec<DnsAssignment>,
    #[serde(rename = "binding:vnic_type")]
    pub vnic_type: String,
    #[serde(flatten)]
    pub binding: Binding,
    #[serde(flatten)]
    pub standard: StandardView,
}

#[derive(Clone, Debug, Serialize)]
pub struct FixedIpView {
    pub subnet_id: String,
    pub ip_address: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct AddressPairView {
    pub ip_address: String,
    pub mac_address: String,
}

/// The names under which DNS answers for one address.
#[derive(Clone, Debug, Serialize)]
pub struct DnsAssignment {
    pub hostname: String,
    pub ip_address: String,
    pub fqdn: String,
}

/// Where and how the port is plugged in; none of a tenant's business.
#[derive(Clone, Debug, Serialize)]
pub struct Binding {
    #[serde(rename = "binding:host_id")]
    pub host_id: String,
    #[serde(rename = "binding:profile")]
    pub profile: Map<String, Value>,
    #[serde(rename = "binding:vif_type")]
    pub vif_type: &'static str,
    #[serde(rename = "binding:vif_details")]
    pub vif_details: Map<String, Value>,
}
