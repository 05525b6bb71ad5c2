/// What every project may have of a resource, unless a [`Limit`] says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredLimit {
    pub id: String,
    pub service_id: String,
    /// `None`: in every region.
    pub region_id: Option<String>,
    pub resource_name: String,
    /// -1 for no limit.
    pub default_limit: i64,
    pub description: Option<String>,
}

/// What one project or domain may have of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub id: String,
    pub owner: LimitOwner,
    pub registered_limit_id: String,
    /// Of the registered limit.
    pub service_id: String,
    /// Of the registered limit.
    pub region_id: Option<String>,
    /// Of the registered limit.
    pub resource_name: String,
    /// -1 for no limit.
    pub resource_limit: i64,
    pub description: Option<String>,
}

/// Whose limit it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitOwner {
    Project(String),
    Domain(String),
}

impl LimitOwner {
    pub fn id(&self) -> &str {
        match self {
            Self::Project(id) | Self::Domain(id) => id,
        }
    }
}
