//! A router's side on an external network.

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{FixedIp, Gateway, Port, Router, device_owner, ipam};
use updraft_store::Tx;
use updraft_store::network::floating_ip::{self, FloatingIpFilter};
use updraft_store::network::{port, router, subnet};
use updraft_wire::network::GatewayFields;

use super::access::attributes;
use super::address::{self, Allocation};
use super::error::{bad_request, invalid_attribute};
use super::{dhcp, router as routers};
use crate::{Caller, Error, Result};

/// By the rules for what a new router's gateway is told.
pub(super) fn may_create(caller: &Caller, router: &Router, fields: &GatewayFields) -> Result<()> {
    let set = [
        (true, "create_router:external_gateway_info"),
        (fields.network_id.is_some(), "create_router:external_gateway_info:network_id"),
        (fields.enable_snat.is_some(), "create_router:external_gateway_info:enable_snat"),
        (fields.external_fixed_ips.is_some(), "create_router:external_gateway_info:external_fixed_ips"),
    ];
    attributes(caller, &routers::target(router), &set)
}

/// By the rules for what a router's gateway is told; `None` takes it away.
pub(super) fn may_update(caller: &Caller, router: &Router, fields: Option<&GatewayFields>) -> Result<()> {
    let is_said = |said: fn(&GatewayFields) -> bool| fields.is_some_and(said);
    let set = [
        (true, "update_router:external_gateway_info"),
        (is_said(|it| it.network_id.is_some()), "update_router:external_gateway_info:network_id"),
        (is_said(|it| it.enable_snat.is_some()), "update_router:external_gateway_info:enable_snat"),
        (
            is_said(|it| it.external_fixed_ips.is_some()),
            "update_router:external_gateway_info:external_fixed_ips",
        ),
    ];
    attributes(caller, &routers::target(router), &set)
}

/// Gives the router a gateway, or changes the one that it has. The router's row is there already.
pub(super) async fn set(
    tx: &mut Tx,
    caller: &Caller,
    router: &mut Router,
    fields: GatewayFields,
    now: Timestamp,
) -> Result<()> {
    if fields.qos_policy_id.is_some() {
        return Err(bad_request("router", "there are no QoS policies in this cloud"));
    }
    let Some(network_id) = fields.network_id else {
        let reason = "Validation of dictionary's keys failed. Expected keys: {'network_id'}";
        return Err(invalid_attribute("external_gateway_info", reason));
    };
    let enable_snat = fields.enable_snat.unwrap_or(true);
    let wanted = fields.external_fixed_ips.as_deref();
    if let Some(gateway) = router.gateway.as_mut().filter(|gateway| gateway.network_id == network_id) {
        gateway.enable_snat = enable_snat;
        if wanted.is_none() {
            return Ok(());
        }
        if let Some(mut port) = port::get(tx, &gateway.port_id).await? {
            let own = port.fixed_ips.clone();
            port.fixed_ips = allocation(&network_id, &port, &own).allocate(tx, wanted).await?;
            gateway.fixed_ips.clone_from(&port.fixed_ips);
            port.standard.touch(now);
            port::update(tx, &port).await?;
        }
        return Ok(());
    }
    let network = super::network::visible(tx, caller, &network_id).await?;
    if !network.external {
        return Err(bad_request("router", format!("Network {network_id} is not an external network")));
    }
    check_overlap(tx, router, &network_id).await?;
    clear(tx, router).await?;
    let mac = address::mac(tx, &network_id, None).await?;
    let mut port = Port {
        device_id: router.id.clone(),
        device_owner: device_owner::ROUTER_GATEWAY.into(),
        ..dhcp::cloud_port(new_uuid(), network_id.clone(), String::new(), mac, now)
    };
    port.fixed_ips = allocation(&network_id, &port, &[]).allocate(tx, wanted).await?;
    port::insert(tx, &port).await?;
    router.gateway = Some(Gateway { network_id, port_id: port.id, enable_snat, fixed_ips: port.fixed_ips });
    Ok(())
}

fn allocation<'a>(network_id: &'a str, port: &'a Port, own: &'a [FixedIp]) -> Allocation<'a> {
    Allocation { network_id, device_owner: &port.device_owner, mac: port.mac, own }
}

/// A router cannot tell apart two subnets with the same addresses.
async fn check_overlap(tx: &mut Tx, router: &Router, network_id: &str) -> Result<()> {
    let outside = subnet::of_network(tx, network_id).await?;
    for port in routers::interfaces(tx, &router.id).await? {
        for fixed in &port.fixed_ips {
            let Some(inside) = subnet::get(tx, &fixed.subnet_id).await? else { continue };
            if let Some(other) = outside.iter().find(|other| ipam::overlaps(&other.cidr, &inside.cidr)) {
                return Err(overlap(&other.cidr, &other.id, &inside.cidr, &inside.id));
            }
        }
    }
    Ok(())
}

pub(super) fn overlap(cidr: &ipnet::IpNet, id: &str, other: &ipnet::IpNet, other_id: &str) -> Error {
    bad_request(
        "router",
        format!("Cidr {cidr} of subnet {id} overlaps with cidr {other} of subnet {other_id}"),
    )
}

/// Takes the gateway away; 409 while floating IPs need it.
pub(super) async fn clear(tx: &mut Tx, router: &mut Router) -> Result<()> {
    let Some(gateway) = router.gateway.take() else { return Ok(()) };
    let filter =
        FloatingIpFilter { router_ids: Some(vec![router.id.clone()]), ..FloatingIpFilter::default() };
    if !floating_ip::list(tx, &filter).await?.is_empty() {
        let message = format!(
            "Gateway cannot be updated for router {}, since a gateway to external network {} is required by one or \
             more floating IPs.",
            router.id, gateway.network_id
        );
        return Err(Error::conflict("RouterExternalGatewayInUseByFloatingIp", message));
    }
    router::update(tx, router).await?;
    Ok(port::delete(tx, &gateway.port_id).await?)
}
