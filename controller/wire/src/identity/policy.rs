use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SelfLink;
use super::attributes::not_empty;

#[derive(Clone, Debug, Deserialize)]
pub struct PolicyRequest {
    #[serde(deserialize_with = "not_empty")]
    pub policy: PolicyFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PolicyFields {
    /// Text; clients of old send an object, which is kept as its text.
    pub blob: Option<Value>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct PolicyBody {
    pub policy: PolicyView,
}

#[derive(Clone, Debug, Serialize)]
pub struct PolicyView {
    pub id: String,
    pub blob: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub links: SelfLink,
}
