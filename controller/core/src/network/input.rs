//! Reads attributes of requests, and says which of them is wrong.

use std::fmt::Display;
use std::net::IpAddr;

use ipnet::IpNet;
use updraft_base::MacAddress;
use updraft_model::network::{AllocationPool, HostRoute, Standard, parse_prefix};
use updraft_wire::network::{PoolFields, RouteFields};

use super::error::{invalid_attribute, invalid_input};
use crate::{Error, Result};

/// Characters of a name or a description.
const MAX_TEXT: usize = 255;
/// Resolvers of one subnet.
const MAX_NAMESERVERS: usize = 5;
/// Routes that one subnet announces.
const MAX_HOST_ROUTES: usize = 20;
/// Characters of one label of a DNS name (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// A name or a description; absent is empty.
pub(super) fn text(attribute: &str, value: Option<String>) -> Result<String> {
    let value = value.unwrap_or_default();
    if value.chars().count() > MAX_TEXT {
        return Err(invalid_attribute(attribute, format!("'{value}' exceeds maximum length of {MAX_TEXT}")));
    }
    if value.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t' | '\r')) {
        return Err(invalid_attribute(attribute, "control characters are not allowed"));
    }
    Ok(value)
}

/// Replaces `target` when the request names a value.
pub(super) fn replace_text(attribute: &str, target: &mut String, value: Option<String>) -> Result<()> {
    if value.is_some() {
        *target = text(attribute, value)?;
    }
    Ok(())
}

pub(super) fn address(attribute: &str, text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| invalid_attribute(attribute, format!("'{text}' is not a valid IP address")))
}

pub(super) fn prefix(attribute: &str, text: &str) -> Result<IpNet> {
    parse_prefix(text)
        .ok_or_else(|| invalid_attribute(attribute, format!("'{text}' is not a valid IP subnet")))
}

/// The same without room for doubt: the length is said, and no bits beyond it are set.
fn exact_prefix(attribute: &str, text: &str) -> Result<IpNet> {
    let exact = prefix(attribute, text)?.trunc();
    let is_exact = text.parse::<IpNet>().is_ok_and(|spelled| spelled == exact);
    if is_exact {
        return Ok(exact);
    }
    Err(invalid_attribute(attribute, format!("'{text}' is not a recognized CIDR, '{exact}' is recommended")))
}

/// A MAC that one card may have: neither a group address nor all zeros.
pub(super) fn mac(attribute: &str, text: &str) -> Result<MacAddress> {
    let mac: Option<MacAddress> = text.parse().ok();
    mac.filter(|mac| !mac.is_multicast() && mac.0 != [0; 6])
        .ok_or_else(|| invalid_attribute(attribute, format!("'{text}' is not a valid MAC address")))
}

/// `which` is the subnet's id, or says that it is new.
pub(super) fn nameservers(which: &str, cidr: &IpNet, servers: &[String]) -> Result<Vec<IpAddr>> {
    if servers.len() > MAX_NAMESERVERS {
        let message = format!(
            "Unable to complete operation for {which}. The number of DNS nameservers exceeds the limit \
             {MAX_NAMESERVERS}."
        );
        return Err(Error::bad_request("DNSNameServersExhausted", message));
    }
    let mut parsed = Vec::with_capacity(servers.len());
    for server in servers {
        let server = address("dns_nameservers", server)?;
        if parsed.contains(&server) {
            return Err(invalid_attribute("dns_nameservers", format!("Duplicate nameserver '{server}'")));
        }
        check_version(cidr, "dns_nameserver", &server, server.is_ipv4())?;
        parsed.push(server);
    }
    Ok(parsed)
}

/// `which` is the subnet's id, or says that it is new.
pub(super) fn host_routes(which: &str, cidr: &IpNet, routes: &[RouteFields]) -> Result<Vec<HostRoute>> {
    if routes.len() > MAX_HOST_ROUTES {
        let message = format!(
            "Unable to complete operation for {which}. The number of host routes exceeds the limit {MAX_HOST_ROUTES}."
        );
        return Err(Error::bad_request("HostRoutesExhausted", message));
    }
    let parsed = read_routes("host_routes", routes)?;
    for route in &parsed {
        check_version(cidr, "nexthop", &route.nexthop, route.nexthop.is_ipv4())?;
        check_version(cidr, "destination", &route.destination, route.destination.addr().is_ipv4())?;
    }
    Ok(parsed)
}

/// What belongs to a subnet is of its IP version.
fn check_version(cidr: &IpNet, name: &str, value: &impl Display, is_ipv4: bool) -> Result<()> {
    if cidr.addr().is_ipv4() == is_ipv4 {
        return Ok(());
    }
    let version = if is_ipv4 { 6 } else { 4 };
    Err(invalid_input(format!("{name} '{value}' does not match the ip_version '{version}'")))
}

pub(super) fn routes(attribute: &str, routes: &[RouteFields]) -> Result<Vec<HostRoute>> {
    let parsed = read_routes(attribute, routes)?;
    if parsed.iter().any(|route| route.destination.addr().is_ipv4() != route.nexthop.is_ipv4()) {
        return Err(invalid_attribute(attribute, "destination and nexthop are of different IP versions"));
    }
    Ok(parsed)
}

fn read_routes(attribute: &str, routes: &[RouteFields]) -> Result<Vec<HostRoute>> {
    let mut parsed = Vec::with_capacity(routes.len());
    for route in routes {
        let route = HostRoute {
            destination: exact_prefix(attribute, &route.destination)?,
            nexthop: address(attribute, &route.nexthop)?,
        };
        if parsed.contains(&route) {
            return Err(invalid_attribute(attribute, "Duplicate hostroute"));
        }
        parsed.push(route);
    }
    Ok(parsed)
}

/// In the order of their addresses.
pub(super) fn pools(pools: &[PoolFields]) -> Result<Vec<AllocationPool>> {
    let read = |pool: &PoolFields| {
        Ok(AllocationPool {
            start: address("allocation_pools", &pool.start)?,
            end: address("allocation_pools", &pool.end)?,
        })
    };
    let mut pools = pools.iter().map(read).collect::<Result<Vec<_>>>()?;
    pools.sort_by_key(|pool| pool.start);
    Ok(pools)
}

/// A host name: labels of letters, digits and hyphens (RFC 1123, section 2.1), kept in lower case. Empty is none.
pub(super) fn dns_name(attribute: &str, name: &str) -> Result<String> {
    let trimmed = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if trimmed.is_empty() && name.is_empty() {
        return Ok(String::new());
    }
    if trimmed.len() > MAX_TEXT || !trimmed.split('.').all(is_label) {
        return Err(invalid_attribute(
            attribute,
            format!("'{}' is not a valid DNS name", name.escape_default()),
        ));
    }
    Ok(trimmed.to_ascii_lowercase())
}

/// Tags as they are kept: each once, in order.
pub(super) fn tags(tags: Vec<String>) -> Result<Vec<String>> {
    let mut sorted = tags;
    sorted.sort();
    sorted.dedup();
    if sorted.len() > Standard::MAX_TAGS {
        return Err(invalid_attribute("tags", format!("more than {}", Standard::MAX_TAGS)));
    }
    let is_bad = |tag: &&String| {
        tag.is_empty()
            || tag.chars().count() > Standard::MAX_TAG_LENGTH
            || tag.chars().any(|character| character.is_control() || matches!(character, ',' | '/'))
    };
    match sorted.iter().find(is_bad) {
        Some(tag) => Err(invalid_attribute("tags", format!("'{}' is not a valid tag", tag.escape_default()))),
        None => Ok(sorted),
    }
}

#[cfg(test)]
mod tests {
    use super::{dns_name, mac, nameservers, tags};

    #[test]
    fn dns_names() {
        for (name, kept) in [("", ""), ("Web-1", "web-1"), ("a.b.", "a.b")] {
            assert_eq!(dns_name("dns_name", name).unwrap(), kept);
        }
        for bad in [".", "-a", "a-", "a b", "a\nb", "a..b", "ä", &"x".repeat(64)] {
            assert!(dns_name("dns_name", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn macs_of_cards() {
        assert!(mac("mac_address", "FA:16:3E:00:00:01").is_ok());
        for bad in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00", "fa:16:3e"] {
            assert!(mac("mac_address", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_are_bounded_and_without_doubles() {
        let cidr = "10.0.0.0/24".parse().unwrap();
        let servers = |servers: &[&str]| {
            let servers: Vec<String> = servers.iter().map(|server| (*server).to_owned()).collect();
            nameservers("new subnet", &cidr, &servers).map_err(|error| error.code)
        };
        assert_eq!(servers(&["8.8.8.8", "1.1.1.1"]).unwrap().len(), 2);
        assert_eq!(servers(&["8.8.8.8", "8.8.8.8"]), Err("HTTPBadRequest"));
        assert_eq!(servers(&["2001:db8::1"]), Err("InvalidInput"));
        assert_eq!(servers(&["1.1.1.1"; 6]), Err("DNSNameServersExhausted"));
        assert_eq!(tags(vec!["b".into(), "a".into(), "b".into()]).unwrap(), ["a", "b"]);
        assert!(tags(vec!["a,b".into()]).is_err());
        assert!(tags((0..51).map(|tag| tag.to_string()).collect()).is_err());
    }
}
