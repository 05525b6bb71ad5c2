//! IPv4 in the tables' form. The tables have room for IPv6, the compiler does not know it yet.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use updraft_flow::layout::{Address, ipv4};

/// The table's form of an IPv4 address; `None` for IPv6.
pub fn of(address: IpAddr) -> Option<Address> {
    match address {
        IpAddr::V4(address) => Some(of_v4(address)),
        IpAddr::V6(_) => None,
    }
}

pub const fn of_v4(address: Ipv4Addr) -> Address {
    ipv4(address.octets())
}

/// Network address and mask of an IPv4 prefix, as the engine compares them.
pub fn prefix(net: IpNet) -> Option<(Address, Address)> {
    match net {
        IpNet::V4(net) => Some((of_v4(net.network()), of_v4(net.netmask()))),
        IpNet::V6(_) => None,
    }
}

/// The mask of a prefix length in bits.
pub fn mask(prefix_len: u8) -> Address {
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix_len.min(32))).unwrap_or(0);
    of_v4(Ipv4Addr::from_bits(bits))
}
