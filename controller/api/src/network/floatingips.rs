//! `/v2.0/floatingips`

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::network::floating_ip::{self, Detail, FloatingIpFilter};
use updraft_model::network::Port;
use updraft_wire::network::{CreateFloatingIp, FloatingIpView, PortDetails, UpdateFloatingIp};

use super::answer::{Names, Shown, standard, text};
use super::if_match::IfMatch;
use super::list::ListQuery;
use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{Routes, get};

const NAMES: Names = Names { one: "floatingip", many: "floatingips" };

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/floatingips",
            get(list).post(create).status(201).takes(NAMES.items_schema::<CreateFloatingIp>()),
        )
        .route(
            "/floatingips/{id}",
            get(show).put(update).takes(NAMES.item_schema::<UpdateFloatingIp>()).delete(delete),
        )
}

fn view(call: &Call, detail: Detail) -> Shown<FloatingIpView> {
    let Detail { floating_ip: floating, port } = detail;
    let hidden = floating_ip::hidden(&call.caller, &floating);
    let view = FloatingIpView {
        standard: standard(&floating.standard),
        status: floating.status(),
        id: floating.id,
        tenant_id: floating.project_id.clone(),
        project_id: floating.project_id,
        floating_network_id: floating.network_id,
        floating_ip_address: floating.address.to_string(),
        port_id: floating.port_id,
        fixed_ip_address: text(floating.fixed_address),
        router_id: floating.router_id,
        dns_name: floating.dns_name,
        dns_domain: floating.dns_domain,
        qos_policy_id: None,
        port_details: port.map(port_details),
    };
    Shown { view, hidden }
}

fn port_details(port: Port) -> PortDetails {
    PortDetails {
        name: port.name,
        network_id: port.network_id,
        mac_address: port.mac.to_string(),
        admin_state_up: port.admin_state_up,
        status: port.status.as_str(),
        device_id: port.device_id,
        device_owner: port.device_owner,
    }
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let filter = FloatingIpFilter {
        ids: query.values("id"),
        addresses: query.values("floating_ip_address"),
        port_ids: query.values("port_id").filter(|ids| ids.iter().all(|id| !id.is_empty())),
        ..FloatingIpFilter::default()
    };
    let details = floating_ip::list(&call.core, &call.caller, filter).await?;
    let url = format!("{}/network/v2.0/floatingips", call.endpoint);
    NAMES.listed(details.into_iter().map(|detail| view(&call, detail)), &query, &url)
}

async fn create(call: Call, Body(body): Body<Value>) -> Answer {
    let (requests, as_list) = NAMES.items(body)?;
    let details = floating_ip::create(&call.core, &call.caller, requests).await?;
    NAMES.created(details.into_iter().map(|detail| view(&call, detail)), as_list)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    NAMES.shown(view(&call, floating_ip::get(&call.core, &call.caller, &id).await?), &query)
}

async fn update(call: Call, if_match: IfMatch, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let detail = floating_ip::update(&call.core, &call.caller, if_match.aim(id), NAMES.item(body)?).await?;
    NAMES.shown(view(&call, detail), &ListQuery::default())
}

async fn delete(call: Call, if_match: IfMatch, _: NoBody, Path(id): Path<String>) -> Answer<StatusCode> {
    floating_ip::delete(&call.core, &call.caller, if_match.aim(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
