//! What a project may use of the compute service.

use std::collections::BTreeMap;

/// No limit.
pub const UNLIMITED: i64 = -1;

/// A resource that is counted against a limit. The names and default limits are Nova's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    Instances,
    Cores,
    /// In MiB.
    Ram,
    MetadataItems,
    InjectedFiles,
    InjectedFileContentBytes,
    InjectedFilePathBytes,
    KeyPairs,
    ServerGroups,
    ServerGroupMembers,
}

impl Resource {
    pub const ALL: [Self; 10] = [
        Self::Instances,
        Self::Cores,
        Self::Ram,
        Self::MetadataItems,
        Self::InjectedFiles,
        Self::InjectedFileContentBytes,
        Self::InjectedFilePathBytes,
        Self::KeyPairs,
        Self::ServerGroups,
        Self::ServerGroupMembers,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Cores => "cores",
            Self::Ram => "ram",
            Self::MetadataItems => "metadata_items",
            Self::InjectedFiles => "injected_files",
            Self::InjectedFileContentBytes => "injected_file_content_bytes",
            Self::InjectedFilePathBytes => "injected_file_path_bytes",
            Self::KeyPairs => "key_pairs",
            Self::ServerGroups => "server_groups",
            Self::ServerGroupMembers => "server_group_members",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.as_str() == text)
    }

    pub const fn default_limit(self) -> i64 {
        match self {
            Self::Instances | Self::ServerGroups | Self::ServerGroupMembers => 10,
            Self::Cores => 20,
            Self::Ram => 51_200,
            Self::MetadataItems => 128,
            Self::InjectedFiles => 5,
            Self::InjectedFileContentBytes => 10_240,
            Self::InjectedFilePathBytes => 255,
            Self::KeyPairs => 100,
        }
    }
}

/// The limits of one project: what was set for it, else the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub set: BTreeMap<Resource, i64>,
}

impl Limits {
    pub fn limit(&self, resource: Resource) -> i64 {
        self.set.get(&resource).copied().unwrap_or_else(|| resource.default_limit())
    }

    /// Whether `wanted` more fit when `used` are in use.
    pub fn allows(&self, resource: Resource, used: i64, wanted: i64) -> bool {
        let limit = self.limit(resource);
        limit == UNLIMITED || wanted == 0 || used.saturating_add(wanted) <= limit
    }
}

/// What a project uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub instances: i64,
    pub cores: i64,
    pub ram_mib: i64,
}

impl Usage {
    pub fn of(&self, resource: Resource) -> i64 {
        match resource {
            Resource::Instances => self.instances,
            Resource::Cores => self.cores,
            Resource::Ram => self.ram_mib,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Resource, UNLIMITED};

    #[test]
    fn a_limit_counts_what_is_used() {
        let mut limits = Limits::default();
        assert!(limits.allows(Resource::Instances, 9, 1));
        assert!(!limits.allows(Resource::Instances, 9, 2));
        limits.set.insert(Resource::Instances, UNLIMITED);
        assert!(limits.allows(Resource::Instances, 1_000_000, 1));
        limits.set.insert(Resource::Cores, 0);
        assert!(!limits.allows(Resource::Cores, 0, 1));
    }

    #[test]
    fn names_round_trip() {
        for resource in Resource::ALL {
            assert_eq!(Resource::parse(resource.as_str()), Some(resource));
        }
    }
}
