use serde::{Deserialize, Serialize};

use super::Extra;

/// Where a cloud's services run; ours has one unless the operator adds more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    pub id: String,
    pub description: String,
    pub parent_region_id: Option<String>,
    pub extra: Extra,
}

/// One API of the cloud: `identity`, `compute`, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub id: String,
    /// The service type by which clients look it up.
    pub kind: String,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub extra: Extra,
}

/// Who is meant to use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    Public,
    Internal,
    Admin,
}

/// Where a service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub id: String,
    pub service_id: String,
    pub interface: Interface,
    pub region_id: Option<String>,
    /// May hold `$(public_endpoint)s`, `$(project_id)s` or `$(tenant_id)s`, filled in when shown.
    pub url: String,
    pub enabled: bool,
    pub extra: Extra,
}

impl Interface {
    pub const ALL: [Self; 3] = [Self::Public, Self::Internal, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    /// The inverse of [`Self::as_str`]; also takes the old spellings `publicURL` and so on.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interface| interface.as_str() == text.trim_end_matches("URL"))
    }
}
