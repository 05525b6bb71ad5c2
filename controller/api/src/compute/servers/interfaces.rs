//! What is attached to a server: addresses, ports, volumes, security groups.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::{interface, server};
use updraft_model::network::{Direction, Port, RemotePeer, RuleSpec, SecurityGroup, SecurityGroupRule};
use updraft_wire::compute::Microversion;
use updraft_wire::compute::server::addresses;

use super::view::addresses_view;
use crate::compute::query::{self, Holds, Pairs, Parameter};
use crate::compute::version::Version;
use crate::http::{Answer, Call, Form};

/// From 2.70 on an attachment shows its tag.
const TAG_SINCE: u16 = 70;

/// `GET /servers/{id}/ips`
pub(super) async fn ips(call: Call, Path(id): Path<String>) -> Answer<Json<Value>> {
    let found = server::addresses(&call.core, &call.caller, &id, None).await?;
    Ok(Json(json!({"addresses": addresses(&addresses_view(found), false)})))
}

/// `GET /servers/{id}/ips/{network}`
pub(super) async fn ips_of_network(
    call: Call,
    Path((id, name)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    let found = server::addresses(&call.core, &call.caller, &id, Some(&name)).await?;
    if found.is_empty() {
        return Err(
            Error::not_found("NetworkNotFound", "Instance is not a member of specified network").into()
        );
    }
    Ok(Json(addresses(&addresses_view(found), false)))
}

fn attachment(port: &Port, version: Microversion) -> Value {
    let fixed_ips: Vec<Value> = port
        .fixed_ips
        .iter()
        .map(|fixed| json!({"ip_address": fixed.address, "subnet_id": fixed.subnet_id}))
        .collect();
    let mut attachment = json!({
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac.to_string(),
        "port_state": port.status.as_str(),
        "fixed_ips": fixed_ips,
    });
    if version.at_least(TAG_SINCE) {
        attachment["tag"] = Value::Null;
    }
    attachment
}

/// `GET /servers/{id}/os-interface`
pub(super) async fn list(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
) -> Answer<Json<Value>> {
    let ports = interface::ports(&call.core, &call.caller, &id, false).await?;
    let attachments: Vec<Value> = ports.iter().map(|port| attachment(port, version)).collect();
    Ok(Json(json!({ "interfaceAttachments": attachments })))
}

/// `GET /servers/{id}/os-interface/{port_id}`
pub(super) async fn show(
    call: Call,
    Version(version): Version,
    Path((id, port_id)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    let ports = interface::ports(&call.core, &call.caller, &id, true).await?;
    let port = ports.iter().find(|port| port.id == port_id);
    let port = port.ok_or_else(|| {
        Error::not_found("PortNotFound", format!("Instance {id} does not have fixed_ip with port {port_id}"))
    })?;
    Ok(Json(json!({"interfaceAttachment": attachment(port, version)})))
}

const VOLUMES: &[Parameter] =
    &[Parameter::new("limit", Holds::Number), Parameter::new("offset", Holds::Number)];

/// `GET /servers/{id}/os-volume_attachments`: volumes are not offered yet, so there are none.
pub(super) async fn volumes(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    query::read(pairs, VOLUMES, version)?;
    interface::may_list_volumes(&call.core, &call.caller, &id).await?;
    Ok(Json(json!({"volumeAttachments": []})))
}

/// `GET /servers/{id}/os-security-groups`
pub(super) async fn security_groups(call: Call, Path(id): Path<String>) -> Answer<Json<Value>> {
    let found = interface::security_groups(&call.core, &call.caller, &id).await?;
    let one = |group: &SecurityGroup| {
        let rules = group.rules.iter().filter_map(|rule| rule_view(rule, &found.named_by_rules));
        json!({
            "id": group.id,
            "name": group.name,
            "description": group.standard.description,
            "tenant_id": group.project_id,
            "rules": rules.collect::<Vec<Value>>(),
        })
    };
    Ok(Json(json!({"security_groups": found.groups.iter().map(one).collect::<Vec<Value>>()})))
}

/// What comes in, as Nova showed it when groups were its own. A rule about a group that is not the project's is left out.
fn rule_view(rule: &SecurityGroupRule, named: &[SecurityGroup]) -> Option<Value> {
    let RuleSpec { direction, protocol, port_range_min, port_range_max, remote, .. } = &rule.spec;
    if *direction != Direction::Ingress {
        return None;
    }
    let (from_port, to_port) = match (protocol.as_deref(), port_range_min, port_range_max) {
        (Some("tcp" | "udp"), None, None) => (json!(1), json!(65_535)),
        (Some(_), None, None) => (json!(-1), json!(-1)),
        (_, from, to) => (json!(from), json!(to)),
    };
    let (group, ip_range) = match remote {
        RemotePeer::Group(id) => {
            let group = named.iter().find(|group| group.id == *id)?;
            (json!({"name": group.name, "tenant_id": group.project_id}), json!({}))
        }
        RemotePeer::Prefix(prefix) => (json!({}), json!({"cidr": prefix.to_string()})),
        RemotePeer::Any => (json!({}), json!({"cidr": "0.0.0.0/0"})),
    };
    Some(json!({
        "id": rule.id,
        "parent_group_id": rule.group_id,
        "ip_protocol": protocol,
        "from_port": from_port,
        "to_port": to_port,
        "group": group,
        "ip_range": ip_range,
    }))
}
