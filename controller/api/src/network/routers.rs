//! `/v2.0/routers`, with `add_router_interface`, `add_extraroutes` and their opposites

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::network::AVAILABILITY_ZONE;
use updraft_core::network::router::{self, RouterFilter};
use updraft_core::network::router_interface::{self, Interface};
use updraft_wire::network::{
    CreateRouter, GatewayView, InterfaceFields, InterfaceView, RouterView, UpdateRouter,
};

use super::answer::{Names, Shown, fixed_ips, standard};
use super::if_match::IfMatch;
use super::list::ListQuery;
use super::subnets::routes_view;
use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{Routes, get, put};

const NAMES: Names = Names { one: "router", many: "routers" };

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/routers", get(list).post(create).status(201).takes(NAMES.items_schema::<CreateRouter>()))
        .route(
            "/routers/{id}",
            get(show).put(update).takes(NAMES.item_schema::<UpdateRouter>()).delete(delete),
        )
        .route("/routers/{id}/add_router_interface", put(add_interface))
        .route("/routers/{id}/remove_router_interface", put(remove_interface))
        .route("/routers/{id}/add_extraroutes", put(add_routes).takes(NAMES.item_schema::<UpdateRouter>()))
        .route(
            "/routers/{id}/remove_extraroutes",
            put(remove_routes).takes(NAMES.item_schema::<UpdateRouter>()),
        )
}

fn view(call: &Call, router: updraft_model::network::Router) -> Shown<RouterView> {
    let hidden = router::hidden(&call.caller, &router);
    let gateway = router.gateway.map(|gateway| GatewayView {
        external_fixed_ips: fixed_ips(&gateway.fixed_ips),
        network_id: gateway.network_id,
        enable_snat: gateway.enable_snat,
    });
    let view = RouterView {
        standard: standard(&router.standard),
        id: router.id,
        name: router.name,
        tenant_id: router.project_id.clone(),
        project_id: router.project_id,
        admin_state_up: router.admin_state_up,
        status: "ACTIVE",
        external_gateway_info: gateway,
        routes: routes_view(&router.routes),
        availability_zone_hints: Vec::new(),
        availability_zones: vec![AVAILABILITY_ZONE.into()],
        flavor_id: None,
    };
    Shown { view, hidden }
}

fn interface_view(interface: Interface) -> InterfaceView {
    let Interface { router, port } = interface;
    let subnet_ids: Vec<String> = port.fixed_ips.into_iter().map(|fixed| fixed.subnet_id).collect();
    InterfaceView {
        id: router.id,
        tenant_id: router.project_id.clone(),
        project_id: router.project_id,
        port_id: port.id,
        network_id: port.network_id,
        subnet_id: subnet_ids.first().cloned().unwrap_or_default(),
        subnet_ids,
        tags: router.standard.tags,
    }
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let filter =
        RouterFilter { ids: query.values("id"), names: query.values("name"), ..RouterFilter::default() };
    let routers = router::list(&call.core, &call.caller, filter).await?;
    let url = format!("{}/network/v2.0/routers", call.endpoint);
    NAMES.listed(routers.into_iter().map(|router| view(&call, router)), &query, &url)
}

async fn create(call: Call, Body(body): Body<Value>) -> Answer {
    let (requests, as_list) = NAMES.items(body)?;
    let routers = router::create(&call.core, &call.caller, requests).await?;
    NAMES.created(routers.into_iter().map(|router| view(&call, router)), as_list)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    NAMES.shown(view(&call, router::get(&call.core, &call.caller, &id).await?), &query)
}

async fn update(call: Call, if_match: IfMatch, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let router = router::update(&call.core, &call.caller, if_match.aim(id), NAMES.item(body)?).await?;
    NAMES.shown(view(&call, router), &ListQuery::default())
}

async fn delete(call: Call, if_match: IfMatch, _: NoBody, Path(id): Path<String>) -> Answer<StatusCode> {
    router::delete(&call.core, &call.caller, if_match.aim(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn add_interface(
    call: Call,
    Path(id): Path<String>,
    Body(fields): Body<InterfaceFields>,
) -> Answer<Json<InterfaceView>> {
    Ok(Json(interface_view(router_interface::add(&call.core, &call.caller, &id, fields).await?)))
}

async fn remove_interface(
    call: Call,
    Path(id): Path<String>,
    Body(fields): Body<InterfaceFields>,
) -> Answer<Json<InterfaceView>> {
    Ok(Json(interface_view(router_interface::remove(&call.core, &call.caller, &id, fields).await?)))
}

async fn add_routes(call: Call, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let fields: UpdateRouter = NAMES.item(body)?;
    let routes = fields.routes.flatten().unwrap_or_default();
    let router = router::add_routes(&call.core, &call.caller, &id, routes).await?;
    NAMES.shown(view(&call, router), &ListQuery::default())
}

async fn remove_routes(call: Call, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let fields: UpdateRouter = NAMES.item(body)?;
    let routes = fields.routes.flatten().unwrap_or_default();
    let router = router::remove_routes(&call.core, &call.caller, &id, routes).await?;
    NAMES.shown(view(&call, router), &ListQuery::default())
}
