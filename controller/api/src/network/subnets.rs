//! `/v2.0/subnets`

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::Error;
use updraft_core::network::subnet::{self, SubnetFilter};
use updraft_model::network::{AllocationPool, HostRoute, Ipv6Mode, Subnet};
use updraft_wire::network::{CreateSubnet, PoolFields, RouteFields, SubnetView, UpdateSubnet};

use super::answer::{Names, Shown, standard, text};
use super::if_match::IfMatch;
use super::list::ListQuery;
use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{Routes, get};

const NAMES: Names = Names { one: "subnet", many: "subnets" };

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/subnets", get(list).post(create).status(201).takes(NAMES.items_schema::<CreateSubnet>()))
        .route(
            "/subnets/{id}",
            get(show).put(update).takes(NAMES.item_schema::<UpdateSubnet>()).delete(delete),
        )
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

async fn views(call: &Call, subnets: Vec<Subnet>) -> Answer<impl Iterator<Item = Shown<SubnetView>>> {
    let hidden = subnet::hidden(&call.core, &call.caller, &subnets).await?;
    Ok(subnets.into_iter().zip(hidden).map(|(subnet, hidden)| Shown { view: view(subnet), hidden }))
}

async fn view_one(call: &Call, subnet: Subnet) -> Answer<Shown<SubnetView>> {
    let shown = views(call, vec![subnet]).await?.next();
    shown.ok_or_else(|| Error::internal("one view of one subnet").into())
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
    NAMES.listed(views(&call, subnets).await?, &query, &url)
}

async fn create(call: Call, Body(body): Body<Value>) -> Answer {
    let (requests, as_list) = NAMES.items(body)?;
    let subnets = subnet::create(&call.core, &call.caller, requests).await?;
    NAMES.created(views(&call, subnets).await?, as_list)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    let subnet = subnet::get(&call.core, &call.caller, &id).await?;
    NAMES.shown(view_one(&call, subnet).await?, &query)
}

async fn update(call: Call, if_match: IfMatch, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let subnet = subnet::update(&call.core, &call.caller, if_match.aim(id), NAMES.item(body)?).await?;
    NAMES.shown(view_one(&call, subnet).await?, &ListQuery::default())
}

async fn delete(call: Call, if_match: IfMatch, _: NoBody, Path(id): Path<String>) -> Answer<StatusCode> {
    subnet::delete(&call.core, &call.caller, if_match.aim(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
