//! Changing a port.

use updraft_model::network::{Network, Port};
use updraft_store::network::{floating_ip, port};
use updraft_store::{Conn, Tx};
use updraft_wire::network::UpdatePort;

use super::access::{admin_attribute, may_change};
use super::address::{self, Allocation};
use super::change::change;
use super::port::{
    Chosen, address_pairs, check_device_owner, check_security, dhcp_options, names_address, visible,
    vnic_type,
};
use super::{input, security_group};
use crate::{Caller, Core, Error, Result};

/// Changes a port.
pub async fn update(core: &Core, caller: &Caller, id: &str, request: UpdatePort) -> Result<Port> {
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut port = visible(tx, &caller, &id).await?;
            let network = network_of(tx, &port).await?;
            if !caller.sees(&network.project_id) {
                may_change(&caller, &port.project_id, "update_port")?;
            }
            crate::policy::require_member(&caller).map_err(|_| super::access::forbidden("update_port"))?;
            check_rights(&caller, &network, &port, &request)?;
            apply_addresses(tx, &mut port, &request).await?;
            apply_security(tx, &caller, &mut port, &request).await?;
            apply_rest(&mut port, request)?;
            check_security(&port)?;
            port.standard.touch(now);
            port::update(tx, &port).await?;
            Ok(port)
        })
    })
    .await
}

async fn network_of(conn: &mut Conn, port: &Port) -> Result<Network> {
    let network = updraft_store::network::network::get(conn, &port.network_id).await?;
    network.ok_or_else(|| super::error::network_not_found(&port.network_id))
}

fn check_rights(caller: &Caller, network: &Network, port: &Port, request: &UpdatePort) -> Result<()> {
    check_device_owner(caller, request.device_owner.as_deref(), "update_port")?;
    admin_attribute(caller, request.host_id.as_ref(), "update_port:binding:host_id")?;
    admin_attribute(caller, request.profile.as_ref(), "update_port:binding:profile")?;
    let chosen = Chosen {
        mac: request.mac_address.is_some(),
        address: names_address(request.fixed_ips.as_deref()),
        port_security: request.port_security_enabled.is_some(),
        pairs: matches!(&request.allowed_address_pairs, Some(Some(pairs)) if !pairs.is_empty()),
    };
    chosen.check(caller.sees(&network.project_id), "update_port")?;
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
    Ok(())
}

fn apply_rest(port: &mut Port, request: UpdatePort) -> Result<()> {
    input::replace_text("name", &mut port.name, request.name)?;
    input::replace_text("description", &mut port.standard.description, request.description)?;
    input::replace_text("device_id", &mut port.device_id, request.device_id)?;
    input::replace_text("device_owner", &mut port.device_owner, request.device_owner)?;
    port.admin_state_up = request.admin_state_up.unwrap_or(port.admin_state_up);
    if let Some(options) = request.extra_dhcp_opts {
        port.extra_dhcp_opts = dhcp_options(options)?;
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
