//! `/v2.0/ports`

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Map, Value};
use updraft_core::Error;
use updraft_core::network::DNS_DOMAIN;
use updraft_core::network::port::{self, PortFilter};
use updraft_model::network::Port;
use updraft_wire::network::{
    AddressPairView, Binding, CreatePort, DhcpOptionFields, DnsAssignment, PortView, UpdatePort,
};

use super::answer::{Names, Shown, fixed_ips, standard};
use super::if_match::IfMatch;
use super::list::ListQuery;
use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{Routes, get};

const NAMES: Names = Names { one: "port", many: "ports" };

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/ports", get(list).post(create).status(201).takes(NAMES.items_schema::<CreatePort>()))
        .route("/ports/{id}", get(show).put(update).takes(NAMES.item_schema::<UpdatePort>()).delete(delete))
}

fn view(port: Port) -> PortView {
    PortView {
        dns_assignment: dns_assignment(&port),
        binding: binding(&port),
        fixed_ips: fixed_ips(&port.fixed_ips),
        allowed_address_pairs: address_pairs(&port),
        standard: standard(&port.standard),
        id: port.id,
        name: port.name,
        tenant_id: port.project_id.clone(),
        project_id: port.project_id,
        network_id: port.network_id,
        mac_address: port.mac.to_string(),
        admin_state_up: port.admin_state_up,
        status: port.status.as_str(),
        device_id: port.device_id,
        device_owner: port.device_owner,
        security_groups: port.security_groups,
        extra_dhcp_opts: port
            .extra_dhcp_opts
            .into_iter()
            .map(|option| DhcpOptionFields {
                opt_name: option.name,
                opt_value: Some(option.value),
                ip_version: Some(i64::from(option.ip_version)),
            })
            .collect(),
        port_security_enabled: port.port_security_enabled,
        dns_name: port.dns_name,
        vnic_type: port.vnic_type,
    }
}

fn dns_assignment(port: &Port) -> Vec<DnsAssignment> {
    let view = |address| {
        let hostname = port.host_name(address);
        DnsAssignment { ip_address: address.to_string(), fqdn: format!("{hostname}.{DNS_DOMAIN}."), hostname }
    };
    port.fixed_ips.iter().map(|fixed| view(fixed.address)).collect()
}

fn address_pairs(port: &Port) -> Vec<AddressPairView> {
    let view = |pair: &updraft_model::network::AddressPair| {
        let is_host = pair.prefix.prefix_len() == pair.prefix.max_prefix_len();
        AddressPairView {
            ip_address: if is_host { pair.prefix.addr().to_string() } else { pair.prefix.to_string() },
            mac_address: pair.mac.unwrap_or(port.mac).to_string(),
        }
    };
    port.allowed_address_pairs.iter().map(view).collect()
}

fn binding(port: &Port) -> Binding {
    let is_bound = port.host_id.is_some();
    let vif_details = [("port_filter", Value::Bool(true)), ("vhostuser_mode", Value::from("client"))];
    let details = vif_details.into_iter().map(|(key, value)| (key.to_owned(), value));
    Binding {
        host_id: port.host_id.clone().unwrap_or_default(),
        profile: port.binding_profile.clone(),
        vif_type: if is_bound { "vhostuser" } else { "unbound" },
        vif_details: if is_bound { details.collect() } else { Map::new() },
    }
}

async fn views(call: &Call, ports: Vec<Port>) -> Answer<impl Iterator<Item = Shown<PortView>>> {
    let hidden = port::hidden(&call.core, &call.caller, &ports).await?;
    Ok(ports.into_iter().zip(hidden).map(|(port, hidden)| Shown { view: view(port), hidden }))
}

async fn view_one(call: &Call, port: Port) -> Answer<Shown<PortView>> {
    let shown = views(call, vec![port]).await?.next();
    shown.ok_or_else(|| Error::internal("one view of one port").into())
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let filter = PortFilter {
        ids: query.values("id"),
        names: query.values("name"),
        network_ids: query.values("network_id"),
        device_ids: query.values("device_id"),
        device_owners: query.values("device_owner"),
        addresses: query.fixed_ip_values("ip_address"),
        subnet_ids: query.fixed_ip_values("subnet_id"),
        group_ids: query.values("security_groups"),
        ..PortFilter::default()
    };
    let ports = port::list(&call.core, &call.caller, filter).await?;
    let url = format!("{}/network/v2.0/ports", call.endpoint);
    NAMES.listed(views(&call, ports).await?, &query, &url)
}

async fn create(call: Call, Body(body): Body<Value>) -> Answer {
    let (requests, as_list) = NAMES.items(body)?;
    let ports = port::create(&call.core, &call.caller, requests).await?;
    NAMES.created(views(&call, ports).await?, as_list)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    let port = port::get(&call.core, &call.caller, &id).await?;
    NAMES.shown(view_one(&call, port).await?, &query)
}

async fn update(call: Call, if_match: IfMatch, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let port = port::update(&call.core, &call.caller, if_match.aim(id), NAMES.item(body)?).await?;
    NAMES.shown(view_one(&call, port).await?, &ListQuery::default())
}

async fn delete(call: Call, if_match: IfMatch, _: NoBody, Path(id): Path<String>) -> Answer<StatusCode> {
    port::delete(&call.core, &call.caller, if_match.aim(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
