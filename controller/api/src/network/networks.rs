//! `/v2.0/networks`

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::network::AVAILABILITY_ZONE;
use updraft_core::network::network::{self, NetworkFilter};
use updraft_model::network::Network;
use updraft_wire::network::{CreateNetwork, NetworkView, Provider, UpdateNetwork};

use super::answer::{Names, Shown, standard};
use super::if_match::IfMatch;
use super::list::ListQuery;
use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{Routes, get};

const NAMES: Names = Names { one: "network", many: "networks" };

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/networks", get(list).post(create).status(201).takes(NAMES.items_schema::<CreateNetwork>()))
        .route(
            "/networks/{id}",
            get(show).put(update).takes(NAMES.item_schema::<UpdateNetwork>()).delete(delete),
        )
}

fn view(call: &Call, network: Network) -> Shown<NetworkView> {
    let hidden = network::hidden(&call.caller, &network);
    let provider = Provider {
        network_type: network.network_type,
        physical_network: network.physical_network,
        segmentation_id: network.segmentation_id,
    };
    let view = NetworkView {
        standard: standard(&network.standard),
        id: network.id,
        name: network.name,
        tenant_id: network.project_id.clone(),
        project_id: network.project_id,
        admin_state_up: network.admin_state_up,
        status: "ACTIVE",
        shared: network.shared,
        external: network.external,
        is_default: network.is_default,
        mtu: network.mtu,
        subnets: network.subnets,
        port_security_enabled: network.port_security_enabled,
        dns_domain: network.dns_domain,
        availability_zone_hints: Vec::new(),
        availability_zones: vec![AVAILABILITY_ZONE.into()],
        ipv4_address_scope: None,
        ipv6_address_scope: None,
        provider,
    };
    Shown { view, hidden }
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let filter =
        NetworkFilter { ids: query.values("id"), names: query.values("name"), ..NetworkFilter::default() };
    let networks = network::list(&call.core, &call.caller, filter).await?;
    let url = format!("{}/network/v2.0/networks", call.endpoint);
    NAMES.listed(networks.into_iter().map(|network| view(&call, network)), &query, &url)
}

async fn create(call: Call, Body(body): Body<Value>) -> Answer {
    let (requests, as_list) = NAMES.items(body)?;
    let networks = network::create(&call.core, &call.caller, requests).await?;
    NAMES.created(networks.into_iter().map(|network| view(&call, network)), as_list)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    let network = network::get(&call.core, &call.caller, &id).await?;
    NAMES.shown(view(&call, network), &query)
}

async fn update(call: Call, if_match: IfMatch, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let network = network::update(&call.core, &call.caller, if_match.aim(id), NAMES.item(body)?).await?;
    NAMES.shown(view(&call, network), &ListQuery::default())
}

async fn delete(call: Call, if_match: IfMatch, _: NoBody, Path(id): Path<String>) -> Answer<StatusCode> {
    network::delete(&call.core, &call.caller, if_match.aim(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
