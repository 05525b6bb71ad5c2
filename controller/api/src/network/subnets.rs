//! `/v2.0/subnets`

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::Value;
use updraft_core::Core;
use updraft_core::network::subnet::{self, SubnetFilter};
use updraft_model::network::{AllocationPool, HostRoute, Ipv6Mode, Subnet};
use updraft_wire::network::{PoolFields, RouteFields, SubnetView};

use super::answer::{Names, standard, text};
use super::list::ListQuery;
use crate::http::{Answer, Body, Call};

const NAMES: Names = Names { one: "subnet", many: "subnets" };

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/subnets", get(list).post(create))
        .route("/subnets/{id}", get(show).put(update).delete(delete))
}

fn view(subnet: Subnet) -> SubnetView {
    let pool =
        |pool: &AllocationPool| PoolFields { start: pool.start.to_string(), end: pool.end.to_string() };
    SubnetView {
        standard: standard(&subnet.standard),
        ip_version: subnet.ip_version(),
        id: subnet.id,
        name: subnet.name,
        tenant_id: subnet.project_id.clone(),
        project_id: subnet.project_id,
        network_id: subnet.network_id,
        cidr: subnet.cidr.to_string(),
        gateway_ip: text(subnet.gateway_ip),
        enable_dhcp: subnet.enable_dhcp,
        dns_nameservers: subnet.dns_nameservers.iter().map(ToString::to_string).collect(),
        host_routes: routes_view(&subnet.host_routes),
        allocation_pools: subnet.allocation_pools.iter().map(pool).collect(),
        ipv6_ra_mode: subnet.ipv6_ra_mode.map(Ipv6Mode::as_str),
        ipv6_address_mode: subnet.ipv6_address_mode.map(Ipv6Mode::as_str),
        service_types: subnet.service_types,
        subnetpool_id: None,
        segment_id: None,
    }
}

pub(super) fn routes_view(routes: &[HostRoute]) -> Vec<RouteFields> {
    let view = |route: &HostRoute| RouteFields {
        destination: route.destination.to_string(),
        nexthop: route.nexthop.to_string(),
    };
    routes.iter().map(view).collect()
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let filter = SubnetFilter {
        ids: query.values("id"),
        names: query.values("name"),
        network_ids: query.values("network_id"),
        ..SubnetFilter::default()
    };
    let subnets = subnet::list(&call.core, &call.caller, filter).await?;
    let url = format!("{}/network/v2.0/subnets", call.endpoint);
    NAMES.listed(subnets.into_iter().map(view), &query, &url)
}

async fn create(call: Call, Body(body): Body<Value>) -> Answer {
    let (requests, as_list) = NAMES.items(body)?;
    let subnets = subnet::create(&call.core, &call.caller, requests).await?;
    NAMES.created(subnets.into_iter().map(view), as_list)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    NAMES.shown(view(subnet::get(&call.core, &call.caller, &id).await?), &query)
}

async fn update(call: Call, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let subnet = subnet::update(&call.core, &call.caller, &id, NAMES.item(body)?).await?;
    NAMES.shown(view(subnet), &ListQuery::default())
}

async fn delete(call: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    subnet::delete(&call.core, &call.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
