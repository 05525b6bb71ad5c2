//! What each collection may be filtered and sorted by (the `filter-validation` and `sorting` extensions).

use updraft_core::Error;
use updraft_wire::network::boolean;

/// One collection's attributes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    filters: &'static [&'static str],
    sort_keys: &'static [&'static str],
}

/// Filters of every collection.
const OF_ALL: [&str; 9] = [
    "description",
    "tenant_id",
    "project_id",
    "revision_number",
    "changed_since",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
];

const BOOLEANS: [&str; 7] =
    ["admin_state_up", "shared", "router:external", "is_default", "enable_dhcp", "alive", "stateful"];
const INTEGERS: [&str; 3] = ["mtu", "ip_version", "provider:segmentation_id"];

const NETWORKS: Known = Known {
    filters: &[
        "id",
        "name",
        "admin_state_up",
        "status",
        "shared",
        "router:external",
        "is_default",
        "mtu",
        "provider:network_type",
        "provider:physical_network",
        "provider:segmentation_id",
    ],
    sort_keys: &[
        "id",
        "name",
        "admin_state_up",
        "status",
        "mtu",
        "tenant_id",
        "project_id",
        "availability_zone_hints",
    ],
};

const SUBNETS: Known = Known {
    filters: &[
        "id",
        "name",
        "ip_version",
        "network_id",
        "subnetpool_id",
        "cidr",
        "gateway_ip",
        "enable_dhcp",
        "ipv6_ra_mode",
        "ipv6_address_mode",
        "shared",
        "segment_id",
    ],
    sort_keys: &[
        "id",
        "name",
        "ip_version",
        "network_id",
        "subnetpool_id",
        "cidr",
        "gateway_ip",
        "enable_dhcp",
        "ipv6_ra_mode",
        "ipv6_address_mode",
        "tenant_id",
        "project_id",
        "segment_id",
    ],
};

const PORTS: Known = Known {
    filters: &[
        "id",
        "name",
        "network_id",
        "admin_state_up",
        "mac_address",
        "fixed_ips",
        "device_id",
        "device_owner",
        "status",
        "security_groups",
        "binding:host_id",
        "ip_allocation",
    ],
    sort_keys: &[
        "id",
        "name",
        "network_id",
        "admin_state_up",
        "mac_address",
        "device_id",
        "device_owner",
        "status",
        "tenant_id",
        "project_id",
        "ip_allocation",
    ],
};

const ROUTERS: Known = Known {
    filters: &["id", "name", "admin_state_up"],
    sort_keys: &["id", "name", "admin_state_up", "status", "flavor_id", "tenant_id", "project_id"],
};

const FLOATING_IPS: Known = Known {
    filters: &[
        "id",
        "floating_ip_address",
        "floating_network_id",
        "router_id",
        "port_id",
        "fixed_ip_address",
        "status",
    ],
    sort_keys: &[
        "id",
        "floating_ip_address",
        "floating_network_id",
        "router_id",
        "fixed_ip_address",
        "status",
        "tenant_id",
        "project_id",
    ],
};

const SECURITY_GROUPS: Known = Known {
    filters: &["id", "name", "shared", "stateful"],
    sort_keys: &["id", "name", "tenant_id", "project_id"],
};

const RULE: [&str; 11] = [
    "id",
    "security_group_id",
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
    "remote_address_group_id",
    "normalized_cidr",
];
const RULES: Known = Known { filters: &RULE, sort_keys: &RULE };

const AGENT: [&str; 8] =
    ["id", "agent_type", "binary", "topic", "host", "admin_state_up", "alive", "availability_zone"];
const AGENTS: Known = Known { filters: &AGENT, sort_keys: &AGENT };

const ZONE: [&str; 3] = ["name", "resource", "state"];
const ZONES: Known = Known { filters: &ZONE, sort_keys: &ZONE };

/// The attributes of the collection whose items stand below this key.
pub(super) fn of(collection: &str) -> Known {
    match collection {
        "networks" => NETWORKS,
        "subnets" => SUBNETS,
        "ports" => PORTS,
        "routers" => ROUTERS,
        "floatingips" => FLOATING_IPS,
        "security_groups" => SECURITY_GROUPS,
        "security_group_rules" => RULES,
        "agents" => AGENTS,
        "availability_zones" => ZONES,
        _ => Known::default(),
    }
}

impl Known {
    pub fn is_filter(self, name: &str) -> bool {
        OF_ALL.contains(&name) || self.filters.contains(&name)
    }

    pub fn is_sort_key(self, name: &str) -> bool {
        self.sort_keys.contains(&name)
    }
}

/// Refuses a value that the attribute cannot have.
pub(super) fn check_value(name: &str, value: &str) -> Result<(), Error> {
    let reason = if BOOLEANS.contains(&name) && boolean(value).is_none() {
        "cannot be converted to boolean"
    } else if INTEGERS.contains(&name) && value.trim().parse::<i64>().is_err() {
        "is not an integer"
    } else if name == "fixed_ips" && value.find('=').is_none_or(|position| position == 0) {
        "is not of the form <key>=[value]"
    } else {
        return Ok(());
    };
    Err(Error::bad_request("InvalidInput", format!("Invalid input for operation: '{value}' {reason}.")))
}
