/// Who holds the role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    User(String),
    Group(String),
}

/// Where the role holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Project(String),
    Domain(String),
    /// The cloud itself: its hosts, services and everything else that belongs to nobody.
    System,
}

/// "`actor` holds `role_id` on `target`", or on everything below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Assignment {
    pub actor: Actor,
    pub target: Target,
    pub role_id: String,
    /// It holds on the projects below `target`, and not on `target` itself (Keystone's OS-INHERIT).
    pub inherited: bool,
}

impl Actor {
    pub fn id(&self) -> &str {
        match self {
            Self::User(id) | Self::Group(id) => id,
        }
    }
}

impl Target {
    /// What stands for [`Self::System`] where an id is needed.
    pub const SYSTEM_ID: &str = "system";

    pub fn id(&self) -> &str {
        match self {
            Self::Project(id) | Self::Domain(id) => id,
            Self::System => Self::SYSTEM_ID,
        }
    }
}
