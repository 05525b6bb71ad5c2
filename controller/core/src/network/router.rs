//! Routers. [`super::router_interface`] joins them to subnets, [`super::gateway`] to the outside.

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{HostRoute, Port, Router, Standard, device_owner, ipam};
use updraft_store::network::floating_ip::{self, FloatingIpFilter};
use updraft_store::network::port::{self, PortFilter};
use updraft_store::network::router;
pub use updraft_store::network::router::RouterFilter;
use updraft_store::network::subnet;
use updraft_store::{Conn, Tx};
use updraft_wire::network::{CreateRouter, RouteFields, UpdateRouter};

use super::Aim;
use super::access::{attributes, hidden as hidden_by, owner_of_new, reaches, scope};
use super::change::change;
use super::error::{bad_request, found, router_not_found};
use super::{gateway, input, quota};
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// Makes routers, all or none.
pub async fn create(core: &Core, caller: &Caller, requests: Vec<CreateRouter>) -> Result<Vec<Router>> {
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut routers = Vec::with_capacity(requests.len());
            for request in requests {
                routers.push(create_one(tx, &caller, request, now).await?);
            }
            Ok(routers)
        })
    })
    .await
}

async fn create_one(tx: &mut Tx, caller: &Caller, request: CreateRouter, now: Timestamp) -> Result<Router> {
    let project_id = owner_of_new(caller, request.project_id.as_deref())?;
    let set = [
        (true, "create_router"),
        (request.distributed.is_some(), "create_router:distributed"),
        (request.ha.is_some(), "create_router:ha"),
        (request.tags.as_ref().is_some_and(|tags| !tags.is_empty()), "create_router:tags"),
    ];
    attributes(caller, &Target::of_project(&project_id), &set)?;
    check_kind(request.distributed, request.ha)?;
    quota::check(tx, &project_id, "router").await?;
    let mut router = Router {
        id: new_uuid(),
        project_id,
        name: input::text("name", request.name)?,
        admin_state_up: request.admin_state_up.unwrap_or(true),
        gateway: None,
        routes: Vec::new(),
        standard: Standard {
            tags: input::tags(request.tags.unwrap_or_default())?,
            ..Standard::new(now, input::text("description", request.description)?)
        },
    };
    router::insert(tx, &router).await?;
    if let Some(fields) = request.external_gateway_info.filter(|fields| !fields.is_empty()) {
        gateway::may_create(caller, &router, &fields)?;
        gateway::set(tx, caller, &mut router, fields, now).await?;
    }
    router.routes = read_routes(tx, &router, &request.routes.unwrap_or_default()).await?;
    router::update(tx, &router).await?;
    Ok(router)
}

/// Routing happens on each host, so there is no other kind of router to ask for.
fn check_kind(distributed: Option<bool>, ha: Option<bool>) -> Result<()> {
    if ha == Some(true) || distributed == Some(true) {
        return Err(bad_request("router", "the kind of a router cannot be chosen in this cloud"));
    }
    Ok(())
}

/// The router, if it is the caller's.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Router> {
    visible(&mut core.read().await?, caller, id).await
}

/// The same inside a transaction.
pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Router> {
    let router = router::get(conn, id)
        .await?
        .filter(|router| reaches(caller, &router.project_id) && caller.may("get_router", &target(router)));
    found(router, || router_not_found(id))
}

/// Routers that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: RouterFilter) -> Result<Vec<Router>> {
    let filter = RouterFilter { project_id: scope(caller, "get_router")?, ..filter };
    let mut routers = router::list(&mut core.read().await?, &filter).await?;
    routers.retain(|router| caller.may("get_router", &target(router)));
    Ok(routers)
}

pub(super) fn target(router: &Router) -> Target<'_> {
    Target::of_project(&router.project_id)
}

/// The attributes that the caller is not shown.
pub fn hidden(caller: &Caller, router: &Router) -> Vec<&'static str> {
    hidden_by(caller, &target(router), &[("tags", "get_router:tags")])
}

/// The ports by which the router is joined to subnets.
pub(super) async fn interfaces(conn: &mut Conn, id: &str) -> Result<Vec<Port>> {
    let filter = PortFilter {
        device_ids: Some(vec![id.to_owned()]),
        device_owners: Some(vec![device_owner::ROUTER_INTERFACE.to_owned()]),
        ..PortFilter::default()
    };
    Ok(port::list(conn, &filter).await?)
}

/// Changes a router: its name, its gateway, its routes.
pub async fn update(
    core: &Core,
    caller: &Caller,
    aim: impl Into<Aim>,
    request: UpdateRouter,
) -> Result<Router> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut router = visible(tx, &caller, &id).await?;
            revision.check(&router.standard)?;
            let set = [
                (true, "update_router"),
                (request.distributed.is_some(), "update_router:distributed"),
                (request.ha.is_some(), "update_router:ha"),
            ];
            attributes(&caller, &target(&router), &set)?;
            check_kind(request.distributed, request.ha)?;
            if let Some(fields) = &request.external_gateway_info {
                gateway::may_update(&caller, &router, fields.as_ref())?;
            }
            let before = router.clone();
            input::replace_text("name", &mut router.name, request.name)?;
            input::replace_text("description", &mut router.standard.description, request.description)?;
            router.admin_state_up = request.admin_state_up.unwrap_or(router.admin_state_up);
            match request.external_gateway_info {
                None => {}
                Some(Some(fields)) if !fields.is_empty() => {
                    gateway::set(tx, &caller, &mut router, fields, now).await?;
                }
                Some(_) => gateway::clear(tx, &mut router).await?,
            }
            if let Some(routes) = request.routes {
                router.routes = read_routes(tx, &router, &routes.unwrap_or_default()).await?;
            }
            if router != before {
                router.standard.touch(now);
                router::update(tx, &router).await?;
            }
            Ok(router)
        })
    })
    .await
}

/// `add_extraroutes`: these routes beside those that there are.
pub async fn add_routes(core: &Core, caller: &Caller, id: &str, routes: Vec<RouteFields>) -> Result<Router> {
    change_routes(core, caller, id, "add_extraroutes", routes, |known, given| {
        known.retain(|route| !given.contains(route));
        known.extend(given);
    })
    .await
}

/// `remove_extraroutes`: without these routes; those that are not there are no error.
pub async fn remove_routes(
    core: &Core,
    caller: &Caller,
    id: &str,
    routes: Vec<RouteFields>,
) -> Result<Router> {
    change_routes(core, caller, id, "remove_extraroutes", routes, |known, given| {
        known.retain(|route| !given.contains(route));
    })
    .await
}

async fn change_routes(
    core: &Core,
    caller: &Caller,
    id: &str,
    rule: &'static str,
    routes: Vec<RouteFields>,
    combine: fn(&mut Vec<HostRoute>, Vec<HostRoute>),
) -> Result<Router> {
    let given = input::routes("routes", &routes)?;
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut router = visible(tx, &caller, &id).await?;
            caller.enforce(rule, &target(&router))?;
            let mut routes = router.routes.clone();
            combine(&mut routes, given);
            check_routes(tx, &router, &routes).await?;
            router.routes = routes;
            router.standard.touch(now);
            router::update(tx, &router).await?;
            Ok(router)
        })
    })
    .await
}

async fn read_routes(tx: &mut Tx, router: &Router, fields: &[RouteFields]) -> Result<Vec<HostRoute>> {
    let routes = input::routes("routes", fields)?;
    check_routes(tx, router, &routes).await?;
    Ok(routes)
}

/// Static routes: their next hops are on subnets that the router is joined to, and not the router itself.
async fn check_routes(tx: &mut Tx, router: &Router, routes: &[HostRoute]) -> Result<()> {
    if routes.is_empty() {
        return Ok(());
    }
    if routes.len() > Router::MAX_ROUTES {
        let message = format!(
            "Unable to complete operation for {}. The number of routes exceeds the maximum {}.",
            router.id,
            Router::MAX_ROUTES
        );
        return Err(Error::bad_request("RoutesExhausted", message));
    }
    let mut addresses: Vec<_> =
        interfaces(tx, &router.id).await?.into_iter().flat_map(|port| port.fixed_ips).collect();
    addresses.extend(router.gateway.iter().flat_map(|gateway| gateway.fixed_ips.clone()));
    let mut ranges = Vec::new();
    for fixed in &addresses {
        ranges.extend(subnet::get(tx, &fixed.subnet_id).await?.map(|subnet| subnet.cidr));
    }
    for route in routes {
        let invalid = |reason: &str| {
            let message = format!("Invalid format for routes: {}, {reason}", route.nexthop);
            Err(Error::bad_request("InvalidRoutes", message))
        };
        if !ranges.iter().any(|range| ipam::is_usable(range, route.nexthop)) {
            return invalid("the nexthop is not connected with router");
        }
        if addresses.iter().any(|fixed| fixed.address == route.nexthop) {
            return invalid("the nexthop is used by router");
        }
    }
    Ok(())
}

/// Deletes a router; 409 while it has interfaces or floating IPs.
pub async fn delete(core: &Core, caller: &Caller, aim: impl Into<Aim>) -> Result<()> {
    let Aim { id, revision } = aim.into();
    let caller = caller.clone();
    change(core, move |tx| {
        Box::pin(async move {
            let mut router = visible(tx, &caller, &id).await?;
            revision.check(&router.standard)?;
            caller.enforce("delete_router", &target(&router))?;
            let filter =
                FloatingIpFilter { router_ids: Some(vec![id.clone()]), ..FloatingIpFilter::default() };
            let in_use =
                !interfaces(tx, &id).await?.is_empty() || !floating_ip::list(tx, &filter).await?.is_empty();
            if in_use {
                return Err(Error::conflict("RouterInUse", format!("Router {id} still has ports")));
            }
            gateway::clear(tx, &mut router).await?;
            Ok(router::delete(tx, &id).await?)
        })
    })
    .await
}
