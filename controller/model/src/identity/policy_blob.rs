/// A policy document that other services may fetch (`/v3/policies`): kept and handed out, never evaluated here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyBlob {
    pub id: String,
    /// The document, as it came.
    pub blob: String,
    /// Its MIME type, such as `application/json`.
    pub kind: String,
}

/// Which endpoints a policy document is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyPlace {
    Endpoint(String),
    Service(String),
    /// A service in a region and the regions inside it.
    Region {
        service_id: String,
        region_id: String,
    },
}
