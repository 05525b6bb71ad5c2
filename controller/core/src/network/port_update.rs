//! Changing a port.

use std::collections::BTreeSet;
use std::net::IpAddr;

use updraft_model::network::{Network, Port, device_owner};
use updraft_store::Tx;
use updraft_store::network::{floating_ip, port};
use updraft_wire::network::UpdatePort;

use super::Aim;
use super::access::attributes;
use super::address::{self, Allocation};
use super::change::change;
use super::error::bad_request;
use super::port::{
    address_pairs, check_device_owner, check_groups, check_security, merged_dhcp_options, names_address,
    target, visible, vnic_type,
};
use super::{input, security_group};
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// Changes a port.
pub async fn update(core: &Core, caller: &Caller, aim: impl Into<Aim>, request: UpdatePort) -> Result<Port> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let (mut port, network) = visible(tx, &caller, &id).await?;
            revision.check(&port.standard)?;
            check_rights(&caller, &network, &port, &request)?;
            let before = port.clone();
            apply_addresses(tx, &mut port, &request).await?;
            check_interface(&before, &port)?;
            apply_security(tx, &caller, &mut port, &request).await?;
            apply_rest(&mut port, request)?;
            check_security(&port)?;
            if port != before {
                port.standard.touch(now);
                port::update(tx, &port).await?;
            }
            Ok(port)
        })
    })
    .await
}

fn check_rights(caller: &Caller, network: &Network, port: &Port, request: &UpdatePort) -> Result<()> {
    check_device_owner(caller, request.device_owner.as_deref(), "update_port:device_owner")?;
    // Rules judge the owner of the device that the port is to have.
    let device_owner = Some(request.device_owner.as_deref().unwrap_or(&port.device_owner));
    let target = Target { device_owner, ..target(port, network) };
    let fixed_ips = request.fixed_ips.as_deref().unwrap_or_default();
    let pairs = request.allowed_address_pairs.as_ref().and_then(Option::as_deref).unwrap_or_default();
    let set = [
        (true, "update_port"),
        (request.device_id.is_some(), "update_port:device_id"),
        (request.device_owner.is_some(), "update_port:device_owner"),
        (request.mac_address.is_some(), "update_port:mac_address"),
        (request.fixed_ips.is_some(), "update_port:fixed_ips"),
        (names_address(fixed_ips), "update_port:fixed_ips:ip_address"),
        (fixed_ips.iter().any(|one| one.subnet_id.is_some()), "update_port:fixed_ips:subnet_id"),
        (request.port_security_enabled.is_some(), "update_port:port_security_enabled"),
        (request.host_id.is_some(), "update_port:binding:host_id"),
        (request.profile.is_some(), "update_port:binding:profile"),
        (request.vnic_type.is_some(), "update_port:binding:vnic_type"),
        (request.allowed_address_pairs.is_some(), "update_port:allowed_address_pairs"),
        (!pairs.is_empty(), "update_port:allowed_address_pairs:ip_address"),
        (
            pairs.iter().any(|pair| pair.mac_address.is_some()),
            "update_port:allowed_address_pairs:mac_address",
        ),
    ];
    attributes(caller, &target, &set)?;
    let changes = |new: &Option<String>, old: &str| new.as_deref().is_some_and(|new| new != old);
    let plugged = changes(&request.mac_address, &port.mac.to_string())
        || changes(&request.device_id, &port.device_id)
        || changes(&request.device_owner, &port.device_owner);
    let is_taken = port.server_id.is_some() || port.is_of_the_cloud();
    if plugged && is_taken {
        let message = format!(
            "Unable to complete operation on port {}, port is already bound, port type: vhostuser, old_mac {}, \
             new_mac {}.",
            port.id,
            port.mac,
            request.mac_address.as_deref().unwrap_or_default()
        );
        return Err(Error::conflict("PortBound", message));
    }
    Ok(())
}

/// A router's IPv4 addresses change by parting it from the subnet and joining it again.
fn check_interface(before: &Port, after: &Port) -> Result<()> {
    let addresses = |port: &Port| -> BTreeSet<IpAddr> {
        port.fixed_ips.iter().map(|fixed| fixed.address).filter(IpAddr::is_ipv4).collect()
    };
    if before.device_owner != device_owner::ROUTER_INTERFACE || addresses(before) == addresses(after) {
        return Ok(());
    }
    Err(bad_request("ports", format!("IP updates for port {} are not allowed", before.id)))
}

async fn apply_addresses(tx: &mut Tx, port: &mut Port, request: &UpdatePort) -> Result<()> {
    if let Some(text) = &request.mac_address {
        let wanted = input::mac("mac_address", text)?;
        if wanted != port.mac {
            port.mac = address::mac(tx, &port.network_id, Some(wanted)).await?;
        }
    }
    if request.fixed_ips.is_none() {
        return Ok(());
    }
    let allocation = Allocation {
        network_id: &port.network_id,
        device_owner: &port.device_owner,
        mac: port.mac,
        own: &port.fixed_ips,
    };
    let fixed_ips = allocation.allocate(tx, request.fixed_ips.as_deref()).await?;
    let filter =
        floating_ip::FloatingIpFilter { port_ids: Some(vec![port.id.clone()]), ..Default::default() };
    for floating in floating_ip::list(tx, &filter).await? {
        let gone = |address| !fixed_ips.iter().any(|fixed| fixed.address == address);
        if floating.fixed_address.is_some_and(gone) {
            let message = format!(
                "Unable to complete operation on port {}: floating IP {} is translated to an address that would go.",
                port.id, floating.id
            );
            return Err(Error::conflict("PortInUse", message));
        }
    }
    port.fixed_ips = fixed_ips;
    Ok(())
}

async fn apply_security(tx: &mut Tx, caller: &Caller, port: &mut Port, request: &UpdatePort) -> Result<()> {
    if let Some(ids) = &request.security_groups {
        let ids = ids.clone().unwrap_or_default();
        port.security_groups = security_group::check_members(tx, caller, &port.project_id, ids).await?;
    }
    if let Some(pairs) = &request.allowed_address_pairs {
        port.allowed_address_pairs = address_pairs(pairs.as_deref().unwrap_or_default())?;
    }
    port.port_security_enabled = request.port_security_enabled.unwrap_or(port.port_security_enabled);
    if request.security_groups.is_some() { check_groups(port) } else { Ok(()) }
}

fn apply_rest(port: &mut Port, request: UpdatePort) -> Result<()> {
    input::replace_text("name", &mut port.name, request.name)?;
    input::replace_text("description", &mut port.standard.description, request.description)?;
    input::replace_text("device_id", &mut port.device_id, request.device_id)?;
    input::replace_text("device_owner", &mut port.device_owner, request.device_owner)?;
    port.admin_state_up = request.admin_state_up.unwrap_or(port.admin_state_up);
    if let Some(options) = request.extra_dhcp_opts {
        port.extra_dhcp_opts = merged_dhcp_options(std::mem::take(&mut port.extra_dhcp_opts), options)?;
    }
    if let Some(name) = request.dns_name {
        port.dns_name = input::dns_name("dns_name", &name)?;
    }
    if let Some(host) = request.host_id {
        port.host_id = Some(host).filter(|host| !host.is_empty());
    }
    if let Some(profile) = request.profile {
        port.binding_profile = profile.unwrap_or_default();
    }
    if request.vnic_type.is_some() {
        port.vnic_type = vnic_type(request.vnic_type)?;
    }
    Ok(())
}
