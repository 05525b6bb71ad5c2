//! Joining routers to subnets.

use updraft_model::Timestamp;
use updraft_model::id::{is_uuid, new_uuid};
use updraft_model::network::{FixedIp, Port, PortStatus, Router, Subnet, device_owner, ipam};
use updraft_store::Tx;
use updraft_store::network::floating_ip::{self, FloatingIpFilter};
use updraft_store::network::{port, router as router_store, subnet};
use updraft_wire::network::{FixedIpFields, InterfaceFields};

use super::access::{forbidden, is_admin};
use super::address::{self, Allocation};
use super::change::change;
use super::error::{bad_request, subnet_not_found};
use super::router::{interfaces, target, visible};
use super::{dhcp, gateway};
use crate::{Caller, Core, Error, Result};

/// What was joined or parted.
#[derive(Clone, Debug)]
pub struct Interface {
    pub router: Router,
    pub port: Port,
}

/// `add_router_interface`: by subnet (the router takes its gateway's address), or by a port of the caller's.
pub async fn add(
    core: &Core,
    caller: &Caller,
    router_id: &str,
    request: InterfaceFields,
) -> Result<Interface> {
    let (caller, router_id, now) = (caller.clone(), router_id.to_owned(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut router = visible(tx, &caller, &router_id).await?;
            caller.enforce("add_router_interface", &target(&router))?;
            check_ids(&request)?;
            let port = match (request.subnet_id, request.port_id) {
                (Some(subnet_id), None) => add_subnet(tx, &caller, &router, &subnet_id, now).await?,
                (None, Some(port_id)) => add_port(tx, &caller, &router, &port_id, now).await?,
                (Some(_), Some(_)) => {
                    return Err(bad_request("router", "Cannot specify both subnet-id and port-id"));
                }
                (None, None) => {
                    return Err(bad_request("router", "Either subnet_id or port_id must be specified"));
                }
            };
            router.standard.touch(now);
            router_store::update(tx, &router).await?;
            Ok(Interface { router, port })
        })
    })
    .await
}

async fn add_subnet(tx: &mut Tx, caller: &Caller, router: &Router, id: &str, now: Timestamp) -> Result<Port> {
    let (subnet, network) = super::subnet::visible(tx, caller, id).await?;
    // The gateway's address of somebody else's network would let the caller take its traffic.
    if caller.project_id.as_deref() != Some(&network.project_id) && !is_admin(caller) {
        return Err(forbidden("add_router_interface"));
    }
    let Some(gateway) = subnet.gateway_ip else {
        return Err(bad_request("router", "Subnet for router interface must have a gateway IP"));
    };
    check_joinable(tx, router, &subnet).await?;
    let mac = address::mac(tx, &network.id, None).await?;
    let mut port = Port {
        device_id: router.id.clone(),
        device_owner: device_owner::ROUTER_INTERFACE.into(),
        ..dhcp::cloud_port(new_uuid(), network.id.clone(), router.project_id.clone(), mac, now)
    };
    let wanted = FixedIpFields { subnet_id: Some(subnet.id.clone()), ip_address: Some(gateway.to_string()) };
    let allocation = Allocation { network_id: &network.id, device_owner: &port.device_owner, mac, own: &[] };
    port.fixed_ips = allocation.allocate(tx, Some(&[wanted])).await?;
    port::insert(tx, &port).await?;
    Ok(port)
}

async fn add_port(tx: &mut Tx, caller: &Caller, router: &Router, id: &str, now: Timestamp) -> Result<Port> {
    let (mut port, _) = super::port::visible(tx, caller, id).await?;
    // A port of another project would open that project's network to the router's owner (CVE-2014-0056).
    if port.project_id != router.project_id && !is_admin(caller) {
        return Err(super::error::port_not_found(id));
    }
    if !port.device_id.is_empty() || port.server_id.is_some() {
        let message = format!(
            "Unable to complete operation on port {id} for network {}. Port already has an attached device {}.",
            port.network_id, port.device_id
        );
        return Err(Error::conflict("PortInUse", message));
    }
    if port.fixed_ips.is_empty() {
        return Err(bad_request("router", "Router port must have at least one fixed IP"));
    }
    if port.fixed_ips.iter().filter(|fixed| fixed.address.is_ipv4()).count() > 1 {
        return Err(bad_request("router", "Cannot have multiple IPv4 subnets on router port"));
    }
    for fixed in &port.fixed_ips {
        let subnet = subnet::get(tx, &fixed.subnet_id).await?;
        let subnet = subnet.ok_or_else(|| subnet_not_found(&fixed.subnet_id))?;
        check_joinable(tx, router, &subnet).await?;
    }
    port.device_id.clone_from(&router.id);
    port.device_owner = device_owner::ROUTER_INTERFACE.into();
    port.status = PortStatus::Active;
    port.security_groups.clear();
    port.standard.touch(now);
    port::update(tx, &port).await?;
    Ok(port)
}

/// The router is not on the subnet yet, nor on one with the same addresses.
async fn check_joinable(tx: &mut Tx, router: &Router, wanted: &Subnet) -> Result<()> {
    let inside = interfaces(tx, &router.id).await?.into_iter().flat_map(|port| port.fixed_ips);
    let outside = router.gateway.iter().flat_map(|gateway| gateway.fixed_ips.clone());
    let joined: Vec<FixedIp> = inside.chain(outside).collect();
    for fixed in joined {
        if fixed.subnet_id == wanted.id {
            return Err(bad_request("router", format!("Router already has a port on subnet {}", wanted.id)));
        }
        let Some(other) = subnet::get(tx, &fixed.subnet_id).await? else { continue };
        if ipam::overlaps(&other.cidr, &wanted.cidr) {
            return Err(gateway::overlap(&wanted.cidr, &wanted.id, &other.cidr, &other.id));
        }
    }
    Ok(())
}

/// `remove_router_interface`: by subnet, by port, or by both. The port is deleted.
pub async fn remove(
    core: &Core,
    caller: &Caller,
    router_id: &str,
    request: InterfaceFields,
) -> Result<Interface> {
    let (caller, router_id, now) = (caller.clone(), router_id.to_owned(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut router = visible(tx, &caller, &router_id).await?;
            caller.enforce("remove_router_interface", &target(&router))?;
            check_ids(&request)?;
            let port = find(tx, &caller, &router, &request).await?;
            check_removable(tx, &router, &port).await?;
            port::delete(tx, &port.id).await?;
            router.standard.touch(now);
            router_store::update(tx, &router).await?;
            Ok(Interface { router, port })
        })
    })
    .await
}

async fn find(tx: &mut Tx, caller: &Caller, router: &Router, request: &InterfaceFields) -> Result<Port> {
    let mut ports = interfaces(tx, &router.id).await?.into_iter();
    let is_on = |port: &Port, id: &str| port.fixed_ips.iter().any(|fixed| fixed.subnet_id == id);
    match (request.port_id.as_deref(), request.subnet_id.as_deref()) {
        (None, None) => Err(bad_request("router", "Either subnet_id or port_id must be specified")),
        (Some(id), subnet_id) => {
            let port = ports.find(|port| port.id == id).ok_or_else(|| {
                let message = format!("Router {} does not have an interface with id {id}", router.id);
                Error::not_found("RouterInterfaceNotFound", message)
            })?;
            match subnet_id.filter(|&wanted| !is_on(&port, wanted)) {
                Some(subnet_id) => Err(mismatch(id, subnet_id)),
                None => Ok(port),
            }
        }
        (None, Some(id)) => {
            let port = ports.find(|port| is_on(port, id));
            if port.is_none() {
                super::subnet::visible(tx, caller, id).await?;
            }
            port.ok_or_else(|| {
                let message = format!("Router {} has no interface on subnet {id}", router.id);
                Error::not_found("RouterInterfaceNotFoundForSubnet", message)
            })
        }
    }
}

fn mismatch(port_id: &str, subnet_id: &str) -> Error {
    let message = format!("Subnet on port {port_id} does not match the requested subnet {subnet_id}.");
    Error::bad_request("SubnetMismatchForPort", message)
}

fn check_ids(request: &InterfaceFields) -> Result<()> {
    match request.subnet_id.iter().chain(&request.port_id).find(|id| !is_uuid(id)) {
        Some(id) => Err(bad_request("router", format!("'{id}' is not a valid UUID"))),
        None => Ok(()),
    }
}

/// Neither a floating IP nor a route goes through the interface.
async fn check_removable(tx: &mut Tx, router: &Router, port: &Port) -> Result<()> {
    let filter =
        FloatingIpFilter { router_ids: Some(vec![router.id.clone()]), ..FloatingIpFilter::default() };
    let floating_ips = floating_ip::list(tx, &filter).await?;
    for fixed in &port.fixed_ips {
        let Some(subnet) = subnet::get(tx, &fixed.subnet_id).await? else { continue };
        let reaches = |address| ipam::is_usable(&subnet.cidr, address);
        let suffix = format!(
            "interface for subnet {} on router {} cannot be deleted, as it is required by one or more",
            subnet.id, router.id
        );
        if floating_ips.iter().filter_map(|floating| floating.fixed_address).any(reaches) {
            let message = format!("Router {suffix} floating IPs.");
            return Err(Error::conflict("RouterInterfaceInUseByFloatingIP", message));
        }
        if router.routes.iter().any(|route| reaches(route.nexthop)) {
            return Err(Error::conflict("RouterInterfaceInUseByRoute", format!("Router {suffix} routes.")));
        }
    }
    Ok(())
}
