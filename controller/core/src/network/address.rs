//! Gives ports their addresses and MACs. Inside the transaction of the one writer, so that what is free stays free
//! until the commit; the tables' keys stand behind it.

use std::collections::HashSet;
use std::net::IpAddr;

use updraft_base::MacAddress;
use updraft_model::network::{FixedIp, Port, Subnet, ipam, random_mac};
use updraft_store::Tx;
use updraft_store::network::{port, subnet};
use updraft_wire::network::FixedIpFields;

use super::error::{found, invalid_input, subnet_not_found};
use super::input;
use crate::{Error, Result};

/// Tries to find a random MAC. With 2^24 of them a network would be full long before this matters.
const MAC_TRIES: usize = 16;

/// What is needed to give a port addresses.
pub(super) struct Allocation<'a> {
    pub network_id: &'a str,
    pub device_owner: &'a str,
    pub mac: MacAddress,
    /// The port has these already, so asking for them again is no conflict.
    pub own: &'a [FixedIp],
}

impl Allocation<'_> {
    /// The addresses that a request asks for; without a request, one of each IP version that the network has.
    pub async fn allocate(&self, tx: &mut Tx, wanted: Option<&[FixedIpFields]>) -> Result<Vec<FixedIp>> {
        let subnets = subnet::of_network(tx, self.network_id).await?;
        let Some(wanted) = wanted else { return self.one_of_each_version(tx, &subnets).await };
        if subnets.is_empty() && !wanted.is_empty() {
            return Err(invalid_input("IP allocation requires subnets for network"));
        }
        if wanted.len() > Port::MAX_FIXED_IPS {
            return Err(invalid_input(format!(
                "Exceeded maximum amount of fixed ips per port: {}",
                Port::MAX_FIXED_IPS
            )));
        }
        let mut given = Vec::with_capacity(wanted.len());
        // Addresses by name first: one of a pool must not take what is asked for later in the list.
        for one in wanted.iter().filter(|one| one.ip_address.is_some()) {
            let fixed = self.named(tx, &subnets, one, &given).await?;
            given.push(fixed);
        }
        for one in wanted.iter().filter(|one| one.ip_address.is_none()) {
            let fixed = self.any_of(tx, &subnets, one, &given).await?;
            given.push(fixed);
        }
        Ok(given)
    }

    async fn one_of_each_version(&self, tx: &mut Tx, subnets: &[Subnet]) -> Result<Vec<FixedIp>> {
        let mut given: Vec<FixedIp> = Vec::new();
        let candidates: Vec<&Subnet> =
            subnets.iter().filter(|subnet| subnet.serves(self.device_owner)).collect();
        for subnet in candidates.iter().filter(|subnet| subnet.derives_addresses()) {
            given.extend(derived(subnet, self.mac));
        }
        for version in [4, 6] {
            let mut exhausted = false;
            for subnet in candidates
                .iter()
                .filter(|subnet| subnet.ip_version() == version && !subnet.derives_addresses())
            {
                match free_address(tx, subnet, &given).await? {
                    Some(address) => {
                        given.push(FixedIp { subnet_id: subnet.id.clone(), address });
                        exhausted = false;
                        break;
                    }
                    None => exhausted = true,
                }
            }
            if exhausted {
                return Err(none_left(self.network_id));
            }
        }
        given.sort_by_key(|fixed| fixed.address.is_ipv6());
        Ok(given)
    }

    /// An address that the request names, with or without its subnet.
    async fn named(
        &self,
        tx: &mut Tx,
        subnets: &[Subnet],
        wanted: &FixedIpFields,
        given: &[FixedIp],
    ) -> Result<FixedIp> {
        let address = input::address("fixed_ips", wanted.ip_address.as_deref().unwrap_or_default())?;
        let subnet = match wanted.subnet_id.as_deref() {
            Some(id) => {
                let subnet = subnet_of(tx, subnets, id, self.network_id).await?;
                if !ipam::is_usable(&subnet.cidr, address) {
                    let message = format!("IP address {address} is not a valid IP for the specified subnet.");
                    return Err(Error::bad_request("InvalidIpForSubnet", message));
                }
                subnet
            }
            None => subnets.iter().find(|subnet| ipam::is_usable(&subnet.cidr, address)).ok_or_else(|| {
                let message =
                    format!("IP address {address} is not a valid IP for any of the subnets on the specified network.");
                Error::bad_request("InvalidIpForNetwork", message)
            })?,
        };
        let fixed = FixedIp { subnet_id: subnet.id.clone(), address };
        let free =
            self.own.contains(&fixed) || !subnet::taken_addresses(tx, &subnet.id).await?.contains(&address);
        if !free || given.contains(&fixed) {
            let message = format!("IP address {address} already allocated in subnet {}", subnet.id);
            return Err(Error::conflict("IpAddressAlreadyAllocated", message));
        }
        Ok(fixed)
    }

    /// Any address of the subnet that the request names; the port's own is kept.
    async fn any_of(
        &self,
        tx: &mut Tx,
        subnets: &[Subnet],
        wanted: &FixedIpFields,
        given: &[FixedIp],
    ) -> Result<FixedIp> {
        let Some(id) = wanted.subnet_id.as_deref() else {
            return Err(invalid_input("IP allocation requires subnet_id or ip_address"));
        };
        let subnet = subnet_of(tx, subnets, id, self.network_id).await?;
        let kept = self.own.iter().find(|own| own.subnet_id == id && !given.contains(own));
        if let Some(kept) = kept.cloned().or_else(|| derived(subnet, self.mac)) {
            return Ok(kept);
        }
        match free_address(tx, subnet, given).await? {
            Some(address) => Ok(FixedIp { subnet_id: subnet.id.clone(), address }),
            None => Err(none_left(self.network_id)),
        }
    }
}

/// The subnet of the network. One of another network is refused by name when it has the same owner; for all others it
/// is not there.
async fn subnet_of<'a>(tx: &mut Tx, subnets: &'a [Subnet], id: &str, network_id: &str) -> Result<&'a Subnet> {
    if let Some(subnet) = subnets.iter().find(|subnet| subnet.id == id) {
        return Ok(subnet);
    }
    let elsewhere = found(subnet::get(tx, id).await?, || subnet_not_found(id))?;
    if subnets.iter().all(|subnet| subnet.project_id != elsewhere.project_id) {
        return Err(subnet_not_found(id));
    }
    Err(invalid_input(format!(
        "Failed to create port on network {network_id}, because fixed_ips included invalid subnet {id}"
    )))
}

fn derived(subnet: &Subnet, mac: MacAddress) -> Option<FixedIp> {
    if !subnet.derives_addresses() {
        return None;
    }
    ipam::eui64_address(&subnet.cidr, mac).map(|address| FixedIp { subnet_id: subnet.id.clone(), address })
}

/// The first address of the subnet's pools that is neither in the database nor in `given`.
pub(super) async fn free_address(tx: &mut Tx, subnet: &Subnet, given: &[FixedIp]) -> Result<Option<IpAddr>> {
    let mut taken: HashSet<IpAddr> = subnet::taken_addresses(tx, &subnet.id).await?;
    taken.extend(given.iter().filter(|fixed| fixed.subnet_id == subnet.id).map(|fixed| fixed.address));
    Ok(ipam::next_free(subnet, &taken))
}

fn none_left(network_id: &str) -> Error {
    let message = format!("No more IP addresses available on network {network_id}.");
    Error::conflict("IpAddressGenerationFailure", message)
}

/// The MAC that a request names, or a random one that the network does not have.
pub(super) async fn mac(tx: &mut Tx, network_id: &str, wanted: Option<MacAddress>) -> Result<MacAddress> {
    if let Some(mac) = wanted {
        if port::has_mac(tx, network_id, mac).await? {
            let message = format!(
                "Unable to complete operation for network {network_id}. The mac address {mac} is in use."
            );
            return Err(Error::conflict("MacAddressInUse", message));
        }
        return Ok(mac);
    }
    for _ in 0..MAC_TRIES {
        let mac = random_mac();
        if !port::has_mac(tx, network_id, mac).await? {
            return Ok(mac);
        }
    }
    let message = format!("Unable to generate unique mac on network {network_id}.");
    Err(Error::new(crate::ErrorKind::Unavailable, "MacAddressGenerationFailure", message))
}
