use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field::{flag, integer_or_null, word};
use super::{StandardView, UntaggedView};

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSecurityGroup {
    #[serde(alias = "tenant_id")]
    pub project_id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub stateful: Option<bool>,
    pub tags: Option<Vec<String>>,
}

/// `PUT`: what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSecurityGroup {
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub stateful: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRule {
    pub security_group_id: String,
    #[serde(alias = "tenant_id")]
    pub project_id: Option<String>,
    pub description: Option<String>,
    pub direction: String,
    pub ethertype: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub protocol: Option<String>,
    #[serde(default, deserialize_with = "integer_or_null")]
    pub port_range_min: Option<i64>,
    #[serde(default, deserialize_with = "integer_or_null")]
    pub port_range_max: Option<i64>,
    pub remote_ip_prefix: Option<String>,
    pub remote_group_id: Option<String>,
    pub remote_address_group_id: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SecurityGroupView {
    pub id: String,
    pub name: String,
    pub tenant_id: String,
    pub project_id: String,
    pub stateful: bool,
    pub shared: bool,
    pub security_group_rules: Vec<RuleView>,
    #[serde(flatten)]
    pub standard: StandardView,
}

#[derive(Clone, Debug, Serialize)]
pub struct RuleView {
    pub id: String,
    pub tenant_id: String,
    pub project_id: String,
    pub security_group_id: String,
    pub direction: &'static str,
    pub ethertype: &'static str,
    pub protocol: Option<String>,
    pub port_range_min: Option<u16>,
    pub port_range_max: Option<u16>,
    pub remote_ip_prefix: Option<String>,
    pub normalized_cidr: Option<String>,
    pub remote_group_id: Option<String>,
    pub remote_address_group_id: Option<String>,
    #[serde(flatten)]
    pub standard: UntaggedView,
}
