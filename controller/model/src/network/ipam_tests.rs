use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    check_gateway, check_pools, default_gateway, default_pools, eui64_address, is_usable, next_free,
    overlaps, parse_subnet_cidr,
};
use crate::Timestamp;
use crate::network::{AllocationPool, Standard, Subnet};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn pool(start: &str, end: &str) -> AllocationPool {
    AllocationPool { start: ip(start), end: ip(end) }
}

fn subnet(cidr: &str, pools: Vec<AllocationPool>) -> Subnet {
    Subnet {
        id: "s".into(),
        network_id: "n".into(),
        project_id: "p".into(),
        name: String::new(),
        cidr: net(cidr),
        gateway_ip: None,
        enable_dhcp: true,
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
        allocation_pools: pools,
        ipv6_ra_mode: None,
        ipv6_address_mode: None,
        service_types: Vec::new(),
        standard: Standard::new(Timestamp(0), ""),
    }
}

#[test]
fn cidrs() {
    for good in ["10.0.0.0/24", "192.168.1.4/30", "10.0.0.0/31", "10.0.0.9/32", "2001:db8::/64"] {
        assert_eq!(parse_subnet_cidr(good).unwrap(), net(good));
    }
    for (spelled, meant) in [("10.0.0.1/24", "10.0.0.0/24"), ("10.0.0.9", "10.0.0.9/32")] {
        assert_eq!(parse_subnet_cidr(spelled).unwrap(), net(meant));
    }
    let bad = ["", "subnet", "10.0.0.0/33", "0.0.0.0/0", "::/0", "224.0.0.0/24", "127.0.0.0/8", "ff02::/64"];
    for bad in bad {
        assert!(parse_subnet_cidr(bad).is_err(), "{bad}");
    }
}

#[test]
fn pools_are_all_but_the_gateway() {
    /// Range, gateway, and the pools as (first, last).
    type Case = (&'static str, Option<&'static str>, &'static [(&'static str, &'static str)]);
    let cases: [Case; 7] = [
        ("10.0.0.0/24", Some("10.0.0.1"), &[("10.0.0.2", "10.0.0.254")]),
        ("10.0.0.0/24", Some("10.0.0.254"), &[("10.0.0.1", "10.0.0.253")]),
        ("10.0.0.0/24", Some("10.0.0.9"), &[("10.0.0.1", "10.0.0.8"), ("10.0.0.10", "10.0.0.254")]),
        ("10.0.0.0/24", None, &[("10.0.0.1", "10.0.0.254")]),
        ("10.0.0.0/30", Some("10.0.0.1"), &[("10.0.0.2", "10.0.0.2")]),
        ("10.0.0.7/32", Some("10.0.0.7"), &[]),
        ("2001:db8::/64", Some("2001:db8::1"), &[("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")]),
    ];
    for (cidr, gateway, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(start, end)| pool(start, end)).collect();
        assert_eq!(default_pools(&net(cidr), gateway.map(ip)), expected, "{cidr} {gateway:?}");
    }
    assert_eq!(default_gateway(&net("10.1.2.0/24")), ip("10.1.2.1"));
    assert_eq!(default_gateway(&net("2001:db8::/64")), ip("2001:db8::1"));
}

#[test]
fn pools_of_a_request() {
    let cidr = net("10.0.0.0/24");
    let gateway = Some(ip("10.0.0.1"));
    let check = |pools: &[AllocationPool]| check_pools(&cidr, pools, gateway).map_err(|refusal| refusal.code);
    assert_eq!(check(&[pool("10.0.0.10", "10.0.0.20"), pool("10.0.0.30", "10.0.0.30")]), Ok(()));
    let cases = [
        (vec![pool("10.0.0.20", "10.0.0.10")], "InvalidAllocationPool"),
        (vec![pool("10.0.0.20", "2001:db8::1")], "InvalidAllocationPool"),
        (vec![pool("10.0.0.250", "10.0.1.3")], "OutOfBoundsAllocationPool"),
        (vec![pool("10.0.0.250", "10.0.0.255")], "OutOfBoundsAllocationPool"),
        (vec![pool("10.0.0.10", "10.0.0.20"), pool("10.0.0.5", "10.0.0.10")], "OverlappingAllocationPools"),
        (vec![pool("10.0.0.1", "10.0.0.20")], "GatewayConflictWithAllocationPools"),
    ];
    for (pools, code) in cases {
        assert_eq!(check(&pools), Err(code), "{pools:?}");
    }
}

#[test]
fn gateways_of_a_request() {
    let cidr = net("10.0.0.0/24");
    assert!(check_gateway(&cidr, ip("10.0.0.77")).is_ok());
    for bad in ["10.0.0.0", "10.0.0.255", "10.0.1.1", "0.0.0.0", "224.0.0.1", "2001:db8::1"] {
        assert!(check_gateway(&cidr, ip(bad)).is_err(), "{bad}");
    }
    assert!(check_gateway(&net("2001:db8::/64"), ip("fe80::1")).is_ok());
}

#[test]
fn addresses_are_taken_in_order_until_none_is_left() {
    let subnet = subnet("10.0.0.0/29", vec![pool("10.0.0.2", "10.0.0.3"), pool("10.0.0.5", "10.0.0.5")]);
    let mut taken = HashSet::new();
    for expected in ["10.0.0.2", "10.0.0.3", "10.0.0.5"] {
        let address = next_free(&subnet, &taken).unwrap();
        assert_eq!(address, ip(expected));
        taken.insert(address);
    }
    assert_eq!(next_free(&subnet, &taken), None);
    taken.remove(&ip("10.0.0.3"));
    assert_eq!(next_free(&subnet, &taken), Some(ip("10.0.0.3")));
}

#[test]
fn network_and_broadcast_addresses_are_no_ports() {
    let cidr = net("10.0.0.0/24");
    assert!(!is_usable(&cidr, ip("10.0.0.0")) && !is_usable(&cidr, ip("10.0.0.255")));
    assert!(is_usable(&cidr, ip("10.0.0.254")) && !is_usable(&cidr, ip("10.0.1.1")));
    assert!(is_usable(&net("10.0.0.0/31"), ip("10.0.0.0")), "RFC 3021");
}

#[test]
fn slaac_addresses_follow_from_the_mac() {
    let mac = "fa:16:3e:00:00:01".parse().unwrap();
    assert_eq!(eui64_address(&net("2001:db8::/64"), mac), Some(ip("2001:db8::f816:3eff:fe00:1")));
    assert_eq!(eui64_address(&net("10.0.0.0/24"), mac), None);
}

#[test]
fn overlap() {
    assert!(overlaps(&net("10.0.0.0/24"), &net("10.0.0.128/25")));
    assert!(overlaps(&net("10.0.0.128/25"), &net("10.0.0.0/24")));
    assert!(!overlaps(&net("10.0.0.0/24"), &net("10.0.1.0/24")));
    assert!(!overlaps(&net("10.0.0.0/24"), &net("2001:db8::/64")));
}
