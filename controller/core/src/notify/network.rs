//! Neutron's notifications (`port.create.end`, …; docs.openstack.org/neutron, "Notifications"): what is so afterwards. The
//! `.start` ones, of what is only tried, are not sent.

use serde_json::{Value, json};
use updraft_model::network::{
    FixedIp, FloatingIp, Network, Port, RemotePeer, Router, SecurityGroup, SecurityGroupRule, Standard,
    Subnet,
};
use updraft_store::network::security_group::{self, RuleFilter};
use updraft_store::network::{floating_ip, network, port, router, subnet};
use updraft_store::{Notice, Tx};

use super::{info, segments};
use crate::Result;
use crate::audit::RequestFacts;

/// (the word in a path, the table, Neutron's name for it)
const KINDS: [(&str, &str, &str); 7] = [
    ("networks", "networks", "network"),
    ("subnets", "subnets", "subnet"),
    ("ports", "ports", "port"),
    ("routers", "routers", "router"),
    ("floatingips", "floating_ips", "floatingip"),
    ("security-groups", "security_groups", "security_group"),
    ("security-group-rules", "security_group_rules", "security_group_rule"),
];

/// What the request names and is about to delete.
pub(super) async fn look_before(tx: &mut Tx, facts: &RequestFacts) -> Result<Option<Value>> {
    match named(facts) {
        Some((kind, id, None)) if facts.method == "DELETE" => show(tx, kind, id).await,
        _ => Ok(None),
    }
}

/// `.update.end`, `.delete.end` and `router.interface.*`, which follow from the request.
pub(super) async fn changed(
    tx: &mut Tx,
    facts: &RequestFacts,
    before: Option<Value>,
) -> Result<Option<Notice>> {
    let Some((kind, id, action)) = named(facts) else { return Ok(None) };
    Ok(match (facts.method.as_str(), action) {
        ("PUT", None) => {
            show(tx, kind, id).await?.map(|shown| info(format!("{kind}.update.end"), json!({kind: shown})))
        }
        ("DELETE", None) => Some(deleted(kind, id, before)),
        ("PUT", Some(action @ ("add_router_interface" | "remove_router_interface"))) => {
            let verb = if action.starts_with("add") { "create" } else { "delete" };
            let router = show(tx, kind, id).await?.unwrap_or_default();
            let interface =
                json!({"id": id, "project_id": router["project_id"], "tenant_id": router["tenant_id"]});
            Some(info(format!("router.interface.{verb}"), json!({"router_interface": interface})))
        }
        _ => None,
    })
}

/// `.create.end` for what the request asked for: rows of the collection that it names; for other services, ports.
pub(super) async fn made(
    tx: &mut Tx,
    made: &[(String, String)],
    facts: Option<&RequestFacts>,
) -> Result<Vec<Notice>> {
    let collection = facts.and_then(|facts| segments(facts, "v2.0")?.first().map(|(name, _)| *name));
    let wanted = collection.unwrap_or("ports");
    let mut notices = Vec::new();
    for (table, id) in made {
        let Some((_, _, kind)) =
            KINDS.iter().find(|(word, name, _)| *word == wanted && *name == table.as_str())
        else {
            continue;
        };
        if let Some(shown) = show(tx, kind, id).await? {
            let mut payload = json!({});
            payload[*kind] = shown;
            notices.push(info(format!("{kind}.create.end"), payload));
        }
    }
    Ok(notices)
}

/// `.delete.end`.
fn deleted(kind: &str, id: &str, before: Option<Value>) -> Notice {
    let mut payload = json!({});
    payload[format!("{kind}_id")] = json!(id);
    payload[kind] = before.unwrap_or_else(|| json!({"id": id}));
    info(format!("{kind}.delete.end"), payload)
}

/// A port that goes with its server.
pub(crate) fn port_deleted(port: &Port) -> Notice {
    deleted("port", &port.id, Some(show_port(port)))
}

/// (kind, id, what is done to it beyond changing or deleting it)
fn named(facts: &RequestFacts) -> Option<(&'static str, &str, Option<&str>)> {
    if !facts.template.starts_with("/network/") {
        return None;
    }
    let path = segments(facts, "v2.0")?;
    let (_, _, kind) =
        KINDS.iter().find(|(word, _, _)| path.first().is_some_and(|(name, _)| name == word))?;
    let id = path.get(1).map(|(_, id)| *id)?;
    match path.as_slice() {
        [_, _] => Some((*kind, id, None)),
        [_, _, (action, _)] => Some((*kind, id, Some(*action))),
        _ => None,
    }
}

async fn show(tx: &mut Tx, kind: &str, id: &str) -> Result<Option<Value>> {
    Ok(match kind {
        "network" => network::get(tx, id).await?.map(|network| show_network(&network)),
        "subnet" => subnet::get(tx, id).await?.map(|subnet| show_subnet(&subnet)),
        "port" => port::get(tx, id).await?.map(|port| show_port(&port)),
        "router" => router::get(tx, id).await?.map(|router| show_router(&router)),
        "floatingip" => floating_ip::get(tx, id).await?.map(|floating| show_floating_ip(&floating)),
        "security_group" => security_group::get(tx, id).await?.map(|group| show_group(&group)),
        _ => {
            let filter = RuleFilter { ids: Some(vec![id.to_owned()]), ..RuleFilter::default() };
            security_group::list_rules(tx, &filter).await?.first().map(show_rule)
        }
    })
}

/// What every resource has, with the fields of its own.
fn resource(id: &str, name: Option<&str>, project_id: &str, standard: &Standard, own: Value) -> Value {
    let mut shown = json!({
        "id": id,
        "project_id": project_id,
        "tenant_id": project_id,
        "description": standard.description,
        "tags": standard.tags,
        "created_at": standard.created_at.seconds_z(),
        "updated_at": standard.updated_at.seconds_z(),
        "revision_number": standard.revision,
    });
    if let Some(name) = name {
        shown["name"] = json!(name);
    }
    for (key, value) in own.as_object().into_iter().flatten() {
        shown[key] = value.clone();
    }
    shown
}

fn show_network(network: &Network) -> Value {
    let own = json!({
        "admin_state_up": network.admin_state_up,
        "status": "ACTIVE",
        "shared": network.shared,
        "router:external": network.external,
        "mtu": network.mtu,
        "port_security_enabled": network.port_security_enabled,
        "dns_domain": network.dns_domain,
        "provider:network_type": network.network_type,
        "provider:physical_network": network.physical_network,
        "provider:segmentation_id": network.segmentation_id,
        "subnets": network.subnets,
    });
    resource(&network.id, Some(&network.name), &network.project_id, &network.standard, own)
}

fn show_subnet(subnet: &Subnet) -> Value {
    let pools = subnet.allocation_pools.iter();
    let routes = subnet.host_routes.iter();
    let own = json!({
        "network_id": subnet.network_id,
        "cidr": subnet.cidr.to_string(),
        "ip_version": if subnet.cidr.addr().is_ipv4() { 4 } else { 6 },
        "gateway_ip": subnet.gateway_ip,
        "enable_dhcp": subnet.enable_dhcp,
        "dns_nameservers": subnet.dns_nameservers,
        "allocation_pools": pools.map(|pool| json!({"start": pool.start, "end": pool.end})).collect::<Value>(),
        "host_routes": routes
            .map(|route| json!({"destination": route.destination.to_string(), "nexthop": route.nexthop}))
            .collect::<Value>(),
        "service_types": subnet.service_types,
    });
    resource(&subnet.id, Some(&subnet.name), &subnet.project_id, &subnet.standard, own)
}

fn show_addresses(addresses: &[FixedIp]) -> Value {
    let show = |fixed: &FixedIp| json!({"subnet_id": fixed.subnet_id, "ip_address": fixed.address});
    addresses.iter().map(show).collect()
}

fn show_port(port: &Port) -> Value {
    let own = json!({
        "network_id": port.network_id,
        "mac_address": port.mac.to_string(),
        "admin_state_up": port.admin_state_up,
        "status": port.status.as_str(),
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "binding:host_id": port.host_id.as_deref().unwrap_or_default(),
        "binding:vnic_type": port.vnic_type,
        "fixed_ips": show_addresses(&port.fixed_ips),
        "security_groups": port.security_groups,
        "port_security_enabled": port.port_security_enabled,
        "dns_name": port.dns_name,
    });
    resource(&port.id, Some(&port.name), &port.project_id, &port.standard, own)
}

fn show_router(router: &Router) -> Value {
    let gateway = router.gateway.as_ref().map(|gateway| {
        json!({
            "network_id": gateway.network_id,
            "enable_snat": gateway.enable_snat,
            "external_fixed_ips": show_addresses(&gateway.fixed_ips),
        })
    });
    let routes = router.routes.iter();
    let own = json!({
        "admin_state_up": router.admin_state_up,
        "status": "ACTIVE",
        "external_gateway_info": gateway,
        "routes": routes
            .map(|route| json!({"destination": route.destination.to_string(), "nexthop": route.nexthop}))
            .collect::<Value>(),
    });
    resource(&router.id, Some(&router.name), &router.project_id, &router.standard, own)
}

fn show_floating_ip(floating: &FloatingIp) -> Value {
    let own = json!({
        "floating_network_id": floating.network_id,
        "floating_ip_address": floating.address,
        "port_id": floating.port_id,
        "fixed_ip_address": floating.fixed_address,
        "router_id": floating.router_id,
        "status": if floating.port_id.is_some() { "ACTIVE" } else { "DOWN" },
        "dns_name": floating.dns_name,
        "dns_domain": floating.dns_domain,
    });
    resource(&floating.id, None, &floating.project_id, &floating.standard, own)
}

fn show_group(group: &SecurityGroup) -> Value {
    let own = json!({
        "stateful": group.stateful,
        "security_group_rules": group.rules.iter().map(show_rule).collect::<Value>(),
    });
    resource(&group.id, Some(&group.name), &group.project_id, &group.standard, own)
}

fn show_rule(rule: &SecurityGroupRule) -> Value {
    let spec = &rule.spec;
    let (prefix, group) = match &spec.remote {
        RemotePeer::Any => (None, None),
        RemotePeer::Prefix(prefix) => (Some(prefix.to_string()), None),
        RemotePeer::Group(group) => (None, Some(group.clone())),
    };
    let own = json!({
        "security_group_id": rule.group_id,
        "direction": spec.direction.as_str(),
        "ethertype": spec.ethertype.as_str(),
        "protocol": spec.protocol,
        "port_range_min": spec.port_range_min,
        "port_range_max": spec.port_range_max,
        "remote_ip_prefix": prefix,
        "remote_group_id": group,
    });
    resource(&rule.id, None, &rule.project_id, &rule.standard, own)
}
