use serde_json::{Map, Value};

use super::Endpoint;

/// A named choice of endpoints, for the catalogs of the projects that it is tied to.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointGroup {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    /// What an endpoint's `service_id`, `region_id` and `interface` must be; one that is not named may be anything.
    pub filters: Map<String, Value>,
}

impl EndpointGroup {
    /// What may be filtered by.
    pub const FILTERS: [&str; 3] = ["service_id", "region_id", "interface"];

    /// Whether the group takes the endpoint in.
    pub fn takes(&self, endpoint: &Endpoint) -> bool {
        self.filters.iter().all(|(name, wanted)| match name.as_str() {
            "service_id" => *wanted == endpoint.service_id,
            "region_id" => wanted.as_str() == endpoint.region_id.as_deref(),
            "interface" => *wanted == endpoint.interface.as_str(),
            _ => false,
        })
    }
}
