//! Address arithmetic: which addresses a subnet has, which of them ports get, and what a request may ask for.
//!
//! Pure functions; the uniqueness of an address is guarded by the database's index and by its single writer.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use updraft_base::MacAddress;

use super::{AllocationPool, Refusal, Subnet, parse_prefix};

/// Reads a subnet's range: `address/length`, or an address alone, which is its own range. Bits beyond the length mean
/// nothing. Refused: what is neither, and ranges that cannot be a subnet (length 0, multicast, loopback).
pub fn parse_subnet_cidr(text: &str) -> Result<IpNet, Refusal> {
    let not_a_cidr = || Refusal::invalid_input(format!("{text} is not in a CIDR format"));
    let cidr = parse_prefix(text).ok_or_else(not_a_cidr)?.trunc();
    if cidr.prefix_len() == 0 {
        return Err(Refusal::invalid_input("0 is not allowed as CIDR prefix length"));
    }
    if cidr.addr().is_multicast() || cidr.addr().is_loopback() {
        return Err(Refusal::invalid_input(format!("{text} is a multicast or loopback range, not a subnet")));
    }
    Ok(cidr)
}

/// The first usable address: the gateway unless the request names another.
pub fn default_gateway(cidr: &IpNet) -> IpAddr {
    to_address(cidr, usable(cidr).0)
}

/// Every usable address but the gateway: the pools of a subnet whose request names none.
pub fn default_pools(cidr: &IpNet, gateway: Option<IpAddr>) -> Vec<AllocationPool> {
    let (first, last) = usable(cidr);
    let gateway = gateway.filter(|address| cidr.contains(address)).map(to_number);
    let pieces = match gateway {
        Some(gateway) => [range(first, gateway.checked_sub(1)), range(gateway + 1, Some(last))],
        None => [range(first, Some(last)), None],
    };
    pieces
        .into_iter()
        .flatten()
        .filter(|(start, end)| *start >= first && *end <= last)
        .map(|(start, end)| AllocationPool { start: to_address(cidr, start), end: to_address(cidr, end) })
        .collect()
}

/// Checks pools that a request names: inside the range, in order, apart from each other and from the gateway.
pub fn check_pools(cidr: &IpNet, pools: &[AllocationPool], gateway: Option<IpAddr>) -> Result<(), Refusal> {
    for pool in pools {
        let is_v4 = cidr.addr().is_ipv4();
        if pool.start.is_ipv4() != is_v4 || pool.end.is_ipv4() != is_v4 || pool.start > pool.end {
            let message = format!("The allocation pool {pool} is not valid.");
            return Err(Refusal::bad_request("InvalidAllocationPool", message));
        }
        if !is_usable(cidr, pool.start) || !is_usable(cidr, pool.end) {
            let message = format!("The allocation pool {pool} spans beyond the subnet cidr {cidr}.");
            return Err(Refusal::bad_request("OutOfBoundsAllocationPool", message));
        }
    }
    let mut sorted: Vec<&AllocationPool> = pools.iter().collect();
    sorted.sort_by_key(|pool| pool.start);
    if let Some([a, b]) = sorted.windows(2).find_map(|pair| match pair {
        [a, b] if b.start <= a.end => Some([a, b]),
        _ => None,
    }) {
        let message = format!("Found overlapping allocation pools: {a} {b} for subnet {cidr}.");
        return Err(Refusal::conflict("OverlappingAllocationPools", message));
    }
    check_gateway_outside(pools, gateway)
}

/// A gateway inside a pool would be given to a port.
fn check_gateway_outside(pools: &[AllocationPool], gateway: Option<IpAddr>) -> Result<(), Refusal> {
    let Some(gateway) = gateway else { return Ok(()) };
    match pools.iter().find(|pool| (pool.start..=pool.end).contains(&gateway)) {
        Some(pool) => {
            let message = format!("Gateway ip {gateway} conflicts with allocation pool {pool}.");
            Err(Refusal::conflict("GatewayConflictWithAllocationPools", message))
        }
        None => Ok(()),
    }
}

/// Checks a gateway that a request names: of the subnet's version, and a usable address when inside its range.
pub fn check_gateway(cidr: &IpNet, gateway: IpAddr) -> Result<(), Refusal> {
    let refused = gateway.is_ipv4() != cidr.addr().is_ipv4()
        || gateway.is_unspecified()
        || gateway.is_multicast()
        || gateway.is_loopback()
        || !(is_usable(cidr, gateway) || is_link_local(gateway));
    if refused { Err(Refusal::invalid_input("Gateway is not valid on subnet")) } else { Ok(()) }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Whether a port may have this address: inside the range, neither its network nor its broadcast address.
pub fn is_usable(cidr: &IpNet, address: IpAddr) -> bool {
    let (first, last) = usable(cidr);
    cidr.contains(&address) && (first..=last).contains(&to_number(address))
}

/// The first address of the pools that nobody has; `None` when they are exhausted.
pub fn next_free(subnet: &Subnet, taken: &HashSet<IpAddr>) -> Option<IpAddr> {
    subnet.allocation_pools.iter().find_map(|pool| {
        (to_number(pool.start)..=to_number(pool.end))
            .map(|number| to_address(&subnet.cidr, number))
            .find(|address| !taken.contains(address))
    })
}

/// The address that follows from a MAC (modified EUI-64, RFC 4291 appendix A); `None` in a subnet that is not IPv6.
pub fn eui64_address(cidr: &IpNet, mac: MacAddress) -> Option<IpAddr> {
    let IpNet::V6(cidr) = cidr else { return None };
    let [a, b, c, d, e, f] = mac.0;
    let interface = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    let number = prefix_of(cidr) | u128::from(interface);
    Some(IpAddr::V6(Ipv6Addr::from_bits(number)))
}

fn prefix_of(cidr: &Ipv6Net) -> u128 {
    cidr.network().to_bits() >> 64 << 64
}

/// Whether the ranges share an address.
pub fn overlaps(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// First and last usable address. A range of one or two addresses has neither network nor broadcast address
/// (RFC 3021); IPv6 has no broadcast address.
fn usable(cidr: &IpNet) -> (u128, u128) {
    let (first, last) = (to_number(cidr.network()), to_number(cidr.broadcast()));
    match (last - first, cidr) {
        (0 | 1, _) => (first, last),
        (_, IpNet::V4(_)) => (first + 1, last - 1),
        (_, IpNet::V6(_)) => (first + 1, last),
    }
}

fn range(start: u128, end: Option<u128>) -> Option<(u128, u128)> {
    end.filter(|end| start <= *end).map(|end| (start, end))
}

fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// `number` as an address of the range's version. Numbers come from the range, so the cast loses nothing.
fn to_address(cidr: &IpNet, number: u128) -> IpAddr {
    match cidr {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

#[cfg(test)]
#[path = "ipam_tests.rs"]
mod tests;
