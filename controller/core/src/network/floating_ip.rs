//! Floating IPs: addresses of an external network that are translated to ports' addresses.

use std::collections::HashMap;
use std::net::IpAddr;

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{FloatingIp, Network, Port, PortStatus, Standard, device_owner};
use updraft_store::network::floating_ip;
pub use updraft_store::network::floating_ip::FloatingIpFilter;
use updraft_store::network::port::{self, PortFilter};
use updraft_store::network::router;
use updraft_store::{Conn, Tx};
use updraft_wire::network::{CreateFloatingIp, FixedIpFields, UpdateFloatingIp};

use super::Aim;
use super::access::{attributes, hidden as hidden_by, is_admin, owner_of_new, reaches, scope};
use super::address::{self, Allocation};
use super::change::change;
use super::error::{bad_request, floating_ip_not_found, found, port_not_found};
use super::{dhcp, input, quota, security_group};
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// A floating IP with the port to which it is translated.
#[derive(Clone, Debug)]
pub struct Detail {
    pub floating_ip: FloatingIp,
    pub port: Option<Port>,
}

/// Makes floating IPs, all or none.
pub async fn create(core: &Core, caller: &Caller, requests: Vec<CreateFloatingIp>) -> Result<Vec<Detail>> {
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut made = Vec::with_capacity(requests.len());
            for request in requests {
                made.push(create_one(tx, &caller, request, now).await?);
            }
            with_ports(tx, made).await
        })
    })
    .await
}

async fn create_one(
    tx: &mut Tx,
    caller: &Caller,
    request: CreateFloatingIp,
    now: Timestamp,
) -> Result<FloatingIp> {
    let project_id = owner_of_new(caller, request.project_id.as_deref())?;
    let set = [
        (true, "create_floatingip"),
        (request.floating_ip_address.is_some(), "create_floatingip:floating_ip_address"),
        (request.tags.as_ref().is_some_and(|tags| !tags.is_empty()), "create_floatingip:tags"),
    ];
    attributes(caller, &Target::of_project(&project_id), &set)?;
    let network = super::network::visible(tx, caller, &request.floating_network_id).await?;
    if !network.external {
        let reason = format!("Network {} is not a valid external network", network.id);
        return Err(bad_request("floatingip", reason));
    }
    quota::check(tx, &project_id, "floatingip").await?;
    security_group::ensure_default(tx, &project_id, now).await?;
    let id = new_uuid();
    let wanted = FixedIpFields { subnet_id: request.subnet_id, ip_address: request.floating_ip_address };
    let (address_port_id, address) = reserve(tx, &network, &id, wanted, now).await?;
    let mut floating = FloatingIp {
        id,
        project_id,
        network_id: network.id,
        address,
        address_port_id,
        port_id: None,
        fixed_address: None,
        router_id: None,
        dns_name: input::dns_name("dns_name", &request.dns_name.unwrap_or_default())?,
        dns_domain: input::dns_name("dns_domain", &request.dns_domain.unwrap_or_default())?,
        standard: Standard {
            tags: input::tags(request.tags.unwrap_or_default())?,
            ..Standard::new(now, input::text("description", request.description)?)
        },
    };
    match request.port_id.filter(|port| !port.is_empty()) {
        Some(port_id) => {
            associate(tx, caller, &mut floating, &port_id, request.fixed_ip_address.as_deref()).await?;
        }
        None if request.fixed_ip_address.is_some() => return Err(fixed_without_port()),
        None => {}
    }
    floating_ip::insert(tx, &floating).await?;
    Ok(floating)
}

fn fixed_without_port() -> Error {
    bad_request("floatingip", "fixed_ip_address cannot be specified without a port_id")
}

/// Takes an IPv4 address of the external network, by a port that holds it.
async fn reserve(
    tx: &mut Tx,
    network: &Network,
    floating_ip_id: &str,
    wanted: FixedIpFields,
    now: Timestamp,
) -> Result<(String, IpAddr)> {
    let mac = address::mac(tx, &network.id, None).await?;
    let mut port = Port {
        device_id: floating_ip_id.to_owned(),
        device_owner: device_owner::FLOATING_IP.into(),
        status: PortStatus::NotApplicable,
        ..dhcp::cloud_port(new_uuid(), network.id.clone(), String::new(), mac, now)
    };
    let is_chosen = wanted.subnet_id.is_some() || wanted.ip_address.is_some();
    let allocation = Allocation { network_id: &network.id, device_owner: &port.device_owner, mac, own: &[] };
    let mut fixed_ips = match is_chosen {
        true => allocation.allocate(tx, Some(&[wanted])).await?,
        false => allocation.allocate(tx, None).await.map_err(|error| match error.code {
            "IpAddressGenerationFailure" => exhausted(&network.id),
            _ => error,
        })?,
    };
    fixed_ips.retain(|fixed| fixed.address.is_ipv4());
    fixed_ips.truncate(1);
    let address = fixed_ips.first().map(|fixed| fixed.address).ok_or_else(|| exhausted(&network.id))?;
    port.fixed_ips = fixed_ips;
    port::insert(tx, &port).await?;
    Ok((port.id, address))
}

fn exhausted(network_id: &str) -> Error {
    let message = format!("Unable to find any IP address on external network {network_id}.");
    Error::bad_request("ExternalIpAddressExhausted", message)
}

/// Translates the floating IP to a port: the port's one IPv4 address, or the one of them that is named.
async fn associate(
    tx: &mut Tx,
    caller: &Caller,
    floating: &mut FloatingIp,
    port_id: &str,
    fixed_address: Option<&str>,
) -> Result<()> {
    let port = port::get(tx, port_id).await?;
    let usable = |port: &Port| port.project_id == floating.project_id || is_admin(caller);
    let port = found(port.filter(usable), || port_not_found(port_id))?;
    let addresses: Vec<_> = port.fixed_ips.iter().filter(|fixed| fixed.address.is_ipv4()).collect();
    let fixed = match fixed_address {
        Some(text) => {
            let wanted = input::address("fixed_ip_address", text)?;
            *addresses.iter().find(|fixed| fixed.address == wanted).ok_or_else(|| {
                bad_request("floatingip", format!("Port {port_id} does not have fixed ip {wanted}"))
            })?
        }
        None => match addresses.as_slice() {
            [only] => *only,
            [] => {
                let reason =
                    format!("Cannot add floating IP to port {port_id} that has no fixed IPv4 addresses");
                return Err(bad_request("floatingip", reason));
            }
            _ => {
                let reason = format!(
                    "Port {port_id} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when \
                     assigning a floating IP"
                );
                return Err(bad_request("floatingip", reason));
            }
        },
    };
    check_free(tx, floating, &port, fixed.address).await?;
    floating.router_id = Some(router_between(tx, floating, &fixed.subnet_id, port_id).await?);
    floating.port_id = Some(port.id.clone());
    floating.fixed_address = Some(fixed.address);
    Ok(())
}

/// One address of a port has at most one floating IP of the same external network.
async fn check_free(tx: &mut Tx, floating: &FloatingIp, port: &Port, fixed: IpAddr) -> Result<()> {
    let filter = FloatingIpFilter { port_ids: Some(vec![port.id.clone()]), ..FloatingIpFilter::default() };
    let taken = floating_ip::list(tx, &filter).await?.into_iter().any(|other| {
        other.id != floating.id
            && other.fixed_address == Some(fixed)
            && other.network_id == floating.network_id
    });
    if !taken {
        return Ok(());
    }
    let message = format!(
        "Cannot associate floating IP {} ({}) with port {} using fixed IP {fixed}, as that fixed IP already has a \
         floating IP on external network {}.",
        floating.address, floating.id, port.id, floating.network_id
    );
    Err(Error::conflict("FloatingIPPortAlreadyAssociated", message))
}

/// The router that joins the port's subnet to the floating IP's network.
async fn router_between(
    tx: &mut Tx,
    floating: &FloatingIp,
    subnet_id: &str,
    port_id: &str,
) -> Result<String> {
    let filter = PortFilter {
        subnet_ids: Some(vec![subnet_id.to_owned()]),
        device_owners: Some(vec![device_owner::ROUTER_INTERFACE.to_owned()]),
        ..PortFilter::default()
    };
    for interface in port::list(tx, &filter).await? {
        let router = router::get(tx, &interface.device_id).await?;
        let gateway = router.and_then(|router| router.gateway);
        if gateway.is_some_and(|gateway| gateway.network_id == floating.network_id) {
            return Ok(interface.device_id);
        }
    }
    let message = format!(
        "External network {} is not reachable from subnet {subnet_id}. Therefore, cannot associate Port {port_id} with \
         a Floating IP.",
        floating.network_id
    );
    Err(Error::not_found("ExternalGatewayForFloatingIPNotFound", message))
}

async fn with_ports(conn: &mut Conn, floating_ips: Vec<FloatingIp>) -> Result<Vec<Detail>> {
    let ids = floating_ips.iter().filter_map(|floating| floating.port_id.clone()).collect();
    let ports = port::list(conn, &PortFilter { ids: Some(ids), ..PortFilter::default() }).await?;
    let by_id: HashMap<&str, &Port> = ports.iter().map(|port| (port.id.as_str(), port)).collect();
    let port_of = |floating: &FloatingIp| {
        floating.port_id.as_deref().and_then(|id| by_id.get(id)).map(|port| (*port).clone())
    };
    Ok(floating_ips
        .into_iter()
        .map(|floating_ip| Detail { port: port_of(&floating_ip), floating_ip })
        .collect())
}

/// The floating IP, if it is the caller's.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Detail> {
    let mut conn = core.read().await?;
    let floating = visible(&mut conn, caller, id).await?;
    with_ports(&mut conn, vec![floating]).await?.pop().ok_or_else(|| floating_ip_not_found(id))
}

/// The same inside a transaction.
pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<FloatingIp> {
    let floating = floating_ip::get(conn, id).await?.filter(|floating| {
        reaches(caller, &floating.project_id) && caller.may("get_floatingip", &target(floating))
    });
    found(floating, || floating_ip_not_found(id))
}

pub(super) fn target(floating: &FloatingIp) -> Target<'_> {
    Target::of_project(&floating.project_id)
}

/// The attributes that the caller is not shown.
pub fn hidden(caller: &Caller, floating: &FloatingIp) -> Vec<&'static str> {
    hidden_by(caller, &target(floating), &[("tags", "get_floatingip:tags")])
}

/// Floating IPs that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: FloatingIpFilter) -> Result<Vec<Detail>> {
    let filter = FloatingIpFilter { project_id: scope(caller, "get_floatingip")?, ..filter };
    let mut conn = core.read().await?;
    let mut floating_ips = floating_ip::list(&mut conn, &filter).await?;
    floating_ips.retain(|floating| caller.may("get_floatingip", &target(floating)));
    with_ports(&mut conn, floating_ips).await
}

/// Associates the floating IP with a port, or ends the association.
pub async fn update(
    core: &Core,
    caller: &Caller,
    aim: impl Into<Aim>,
    request: UpdateFloatingIp,
) -> Result<Detail> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut floating = visible(tx, &caller, &id).await?;
            revision.check(&floating.standard)?;
            caller.enforce("update_floatingip", &target(&floating))?;
            let before = floating.clone();
            input::replace_text("description", &mut floating.standard.description, request.description)?;
            match request.port_id.map(|port| port.filter(|port| !port.is_empty())) {
                None if request.fixed_ip_address.is_some() => return Err(fixed_without_port()),
                None => {}
                Some(Some(port_id)) => {
                    associate(tx, &caller, &mut floating, &port_id, request.fixed_ip_address.as_deref())
                        .await?;
                }
                Some(None) => {
                    floating.port_id = None;
                    floating.fixed_address = None;
                    floating.router_id = None;
                }
            }
            if floating != before {
                floating.standard.touch(now);
                floating_ip::update(tx, &floating).await?;
            }
            let mut detail = with_ports(tx, vec![floating]).await?;
            detail.pop().ok_or_else(|| floating_ip_not_found(&id))
        })
    })
    .await
}

/// Gives the address back.
pub async fn delete(core: &Core, caller: &Caller, aim: impl Into<Aim>) -> Result<()> {
    let Aim { id, revision } = aim.into();
    let caller = caller.clone();
    change(core, move |tx| {
        Box::pin(async move {
            let floating = visible(tx, &caller, &id).await?;
            revision.check(&floating.standard)?;
            caller.enforce("delete_floatingip", &target(&floating))?;
            floating_ip::delete(tx, &id).await?;
            Ok(port::delete(tx, &floating.address_port_id).await?)
        })
    })
    .await
}
