//! Rules by name: what code asks for is there, and what an operator can change is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use regex::Regex;

use super::super::rules::{RuleSet, Service};
use super::Overrides;

/// Rules that nothing asks for, and why.
const NOT_ASKED: &[(&str, &[&str])] = &[
    (
        "OAuth 1 is not offered",
        &[
            "identity:authorize_request_token",
            "identity:get_access_token",
            "identity:get_access_token_role",
            "identity:list_access_tokens",
            "identity:list_access_token_roles",
            "identity:delete_access_token",
            "identity:get_consumer",
            "identity:list_consumers",
            "identity:create_consumer",
            "identity:update_consumer",
            "identity:delete_consumer",
        ],
    ),
    ("tokens are not signed with certificates", &["identity:revocation_list"]),
    ("there is one store to choose from", &["download_from_store"]),
    ("locations are never written, whoever asks", &["set_image_location"]),
    ("Glance asks tasks_api_access in their place", &["get_task", "get_tasks", "add_task", "modify_task"]),
    (
        "actions that are not offered (501)",
        &[
            "os_compute_api:os-admin-actions:inject_network_info",
            "os_compute_api:servers:confirm_resize",
            "os_compute_api:servers:revert_resize",
            "os_compute_api:servers:resize",
            "compute:servers:resize:cross_cell",
            "os_compute_api:servers:rebuild",
            "os_compute_api:servers:create_image",
            "os_compute_api:servers:trigger_crash_dump",
        ],
    ),
    (
        "network cards come with the server and go with it",
        &["os_compute_api:os-attach-interfaces:create", "os_compute_api:os-attach-interfaces:delete"],
    ),
    ("a console ticket is shown to nobody but its maker", &["os_compute_api:os-console-auth-tokens"]),
    (
        "calls of old that Nova itself has given up",
        &[
            "os_compute_api:os-hypervisors:uptime",
            "os_compute_api:os-hypervisors:search",
            "os_compute_api:os-hypervisors:servers",
        ],
    ),
    (
        "security groups are the network service's",
        &[
            "os_compute_api:os-security-groups:get",
            "os_compute_api:os-security-groups:show",
            "os_compute_api:os-security-groups:create",
            "os_compute_api:os-security-groups:update",
            "os_compute_api:os-security-groups:delete",
            "os_compute_api:os-security-groups:rule:create",
            "os_compute_api:os-security-groups:rule:delete",
        ],
    ),
    ("the status of every host is known", &["os_compute_api:servers:show:host_status:unknown-only"]),
    (
        "there are no volumes",
        &[
            "os_compute_api:servers:create:attach_volume",
            "os_compute_api:servers:create_image:allow_volume_backed",
        ],
    ),
    (
        "certificates of images are not verified",
        &["os_compute_api:servers:create:trusted_certs", "os_compute_api:servers:rebuild:trusted_certs"],
    ),
    ("a host is revoked, not deleted", &["os_compute_api:os-services:delete"]),
    (
        "there are no agents for networks alone",
        &[
            "create_agent",
            "update_agent",
            "delete_agent",
            "create_dhcp-network",
            "get_dhcp-networks",
            "delete_dhcp-network",
            "create_l3-router",
            "get_l3-routers",
            "update_l3-router",
            "delete_l3-router",
            "get_dhcp-agents",
            "get_l3-agents",
        ],
    ),
    (
        "there are no segments",
        &[
            "create_network:segments",
            "get_network:segments",
            "update_network:segments",
            "update_subnet:segment_id",
        ],
    ),
    (
        "how a network is made never changes",
        &[
            "update_network:provider:network_type",
            "update_network:provider:physical_network",
            "update_network:provider:segmentation_id",
        ],
    ),
    ("calls that are not offered", &["get_network_ip_availability", "get_service_provider"]),
    (
        "attributes that ports do not have",
        &[
            "create_port:hints",
            "create_port:trusted",
            "get_port:resource_request",
            "get_port:hints",
            "get_port:trusted",
            "update_port:data_plane_status",
            "update_port:hints",
            "update_port:trusted",
        ],
    ),
    (
        "there is one kind of router",
        &[
            "create_router:enable_default_route_bfd",
            "create_router:enable_default_route_ecmp",
            "get_router:distributed",
            "get_router:ha",
            "update_router:enable_default_route_bfd",
            "update_router:enable_default_route_ecmp",
        ],
    ),
    (
        "a router has one gateway at most",
        &[
            "add_external_gateways",
            "add_external_gateways:external_gateways",
            "add_external_gateways:external_gateways:network_id",
            "add_external_gateways:external_gateways:enable_snat",
            "add_external_gateways:external_gateways:external_fixed_ips",
            "update_external_gateways",
            "update_external_gateways:external_gateways",
            "update_external_gateways:external_gateways:network_id",
            "update_external_gateways:external_gateways:enable_snat",
            "update_external_gateways:external_gateways:external_fixed_ips",
            "remove_external_gateways",
            "remove_external_gateways:external_gateways",
        ],
    ),
];

/// The sources of use cases and handlers, without those of policy itself and without tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut waiting = vec![PathBuf::from("src"), PathBuf::from("../api/src")];
    let mut found = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if name != "tests" && name != "policy" {
                    waiting.push(path);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != "test_cloud.rs" {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
                found.push((path, code));
            }
        }
    }
    found
}

/// The texts in the sources that could be names of rules, each with where it stands.
fn texts() -> BTreeMap<String, PathBuf> {
    let literal = Regex::new(r#""([A-Za-z][A-Za-z0-9_:.-]*)""#).unwrap();
    let mut texts = BTreeMap::new();
    for (path, code) in sources() {
        for found in literal.captures_iter(&code) {
            texts.insert(found[1].to_owned(), path.clone());
        }
    }
    texts
}

fn names() -> BTreeMap<String, bool> {
    let rules = RuleSet::new(&Overrides::default()).unwrap();
    let all = Service::ALL.into_iter().flat_map(|service| rules.names(service).collect::<Vec<_>>());
    all.map(|(name, is_offered)| (name.to_owned(), is_offered)).collect()
}

#[test]
fn what_code_asks_for_is_there() {
    let prefixed = Regex::new(r"^(identity|os_compute_api|compute:servers|network:attach|cloud):").unwrap();
    let verbs = "get|create|update|delete|add|remove|modify|list|publicize|communitize|upload|download|copy|cache|\
                 manage|fetch|set|stores|tasks";
    let shaped = Regex::new(&format!(r"^({verbs})_[a-z0-9_-]+(:[a-z_:]+)*$")).unwrap();
    let names = names();
    let mut asked = 0;
    for (text, path) in texts() {
        let place = path.to_str().unwrap();
        let is_of_bare_names = place.contains("/image/") || place.contains("/network/");
        if prefixed.is_match(&text) || (is_of_bare_names && shaped.is_match(&text)) {
            assert!(names.contains_key(&text), "{place} asks for '{text}', which there is not");
            asked += 1;
        }
    }
    assert!(asked > 400, "only {asked} rules were found in the sources: does the search still work?");
}

#[test]
fn what_an_operator_can_change_is_asked_for() {
    let texts = texts();
    let excused: BTreeSet<&str> = NOT_ASKED.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let names = names();
    for (name, is_offered) in &names {
        let is_asked = texts.contains_key(name);
        assert!(!is_offered || is_asked || excused.contains(name.as_str()), "nothing asks for '{name}'");
        assert!(!(is_asked && excused.contains(name.as_str())), "'{name}' is asked for: excuse it no more");
    }
    for name in excused {
        assert!(names.contains_key(name), "there is no rule '{name}' to excuse");
    }
}
