//! The port from which DHCP and DNS answer: one per network, with an address in each subnet that has DHCP.

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{FixedIp, Network, Port, PortStatus, Standard, Subnet, device_owner};
use updraft_store::Tx;
use updraft_store::network::port::{self, PortFilter};

use super::address;
use crate::{Error, Result};

pub(super) fn is_dhcp(port: &Port) -> bool {
    port.device_owner == device_owner::DHCP
}

async fn port_of(tx: &mut Tx, network_id: &str) -> Result<Option<Port>> {
    let filter = PortFilter {
        network_ids: Some(vec![network_id.to_owned()]),
        device_owners: Some(vec![device_owner::DHCP.to_owned()]),
        ..PortFilter::default()
    };
    Ok(port::list(tx, &filter).await?.pop())
}

/// Gives the network's DHCP port an address in the subnet, and makes the port if this is its first.
pub(super) async fn serve(tx: &mut Tx, network: &Network, subnet: &Subnet, now: Timestamp) -> Result<()> {
    let existing = port_of(tx, &network.id).await?;
    let is_new = existing.is_none();
    let mut port = match existing {
        Some(port) => port,
        None => new_port(tx, network, now).await?,
    };
    if port.fixed_ips.iter().any(|fixed| fixed.subnet_id == subnet.id) {
        return Ok(());
    }
    let address = address::free_address(tx, subnet, &[]).await?.ok_or_else(|| {
        let message = format!("No more IP addresses available on network {}.", network.id);
        Error::conflict("IpAddressGenerationFailure", message)
    })?;
    port.fixed_ips.push(FixedIp { subnet_id: subnet.id.clone(), address });
    if is_new {
        port::insert(tx, &port).await?;
    } else {
        port.standard.touch(now);
        port::update(tx, &port).await?;
    }
    Ok(())
}

/// Takes the DHCP port's address in the subnet away, and the port with its last address.
pub(super) async fn retire(tx: &mut Tx, network_id: &str, subnet_id: &str, now: Timestamp) -> Result<()> {
    let Some(mut port) = port_of(tx, network_id).await? else { return Ok(()) };
    port.fixed_ips.retain(|fixed| fixed.subnet_id != subnet_id);
    if port.fixed_ips.is_empty() {
        port::delete(tx, &port.id).await?;
    } else {
        port.standard.touch(now);
        port::update(tx, &port).await?;
    }
    Ok(())
}

async fn new_port(tx: &mut Tx, network: &Network, now: Timestamp) -> Result<Port> {
    let mac = address::mac(tx, &network.id, None).await?;
    let id = new_uuid();
    Ok(Port {
        device_id: format!("dhcp-{}", network.id),
        device_owner: device_owner::DHCP.into(),
        ..cloud_port(id, network.id.clone(), network.project_id.clone(), mac, now)
    })
}

/// A port that belongs to the cloud: no security groups, and nothing of it can be spoofed by a guest.
pub(super) fn cloud_port(
    id: String,
    network_id: String,
    project_id: String,
    mac: updraft_base::MacAddress,
    now: Timestamp,
) -> Port {
    Port {
        id,
        network_id,
        project_id,
        name: String::new(),
        mac,
        admin_state_up: true,
        status: PortStatus::Active,
        device_id: String::new(),
        device_owner: String::new(),
        server_id: None,
        server_position: 0,
        owned_by_server: false,
        host_id: None,
        binding_profile: serde_json::Map::new(),
        vnic_type: "normal".into(),
        fixed_ips: Vec::new(),
        security_groups: Vec::new(),
        allowed_address_pairs: Vec::new(),
        extra_dhcp_opts: Vec::new(),
        port_security_enabled: false,
        dns_name: String::new(),
        standard: Standard::new(now, ""),
    }
}
