/// The limit that never refuses.
pub const UNLIMITED: i64 = -1;

/// Something of which a project may have a limited number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaResource {
    /// The resource's name in the API, and in an `OverQuota` message.
    pub name: &'static str,
    /// What a project may have unless the operator sets another number.
    pub default_limit: i64,
}

const fn resource(name: &'static str, default_limit: i64) -> QuotaResource {
    QuotaResource { name, default_limit }
}

/// Everything that is counted, in the order of the API reference.
pub const QUOTAS: [QuotaResource; 9] = [
    resource("floatingip", 50),
    resource("network", 100),
    resource("port", 500),
    resource("rbac_policy", 10),
    resource("router", 10),
    resource("security_group", 10),
    resource("security_group_rule", 100),
    resource("subnet", 100),
    resource("subnetpool", UNLIMITED),
];

impl QuotaResource {
    /// The resource of this name; `None` when nothing of that name is counted.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        QUOTAS.iter().find(|resource| resource.name == name)
    }
}
