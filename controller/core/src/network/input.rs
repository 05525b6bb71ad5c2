//! Reads attributes of requests, and says which of them is wrong.

use std::net::IpAddr;

use ipnet::IpNet;
use updraft_base::MacAddress;
use updraft_model::network::{AllocationPool, HostRoute, Standard, parse_prefix};
use updraft_wire::network::{PoolFields, RouteFields};

use super::error::invalid_attribute;
use crate::Result;

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

/// A MAC that one card may have: neither a group address nor all zeros.
pub(super) fn mac(attribute: &str, text: &str) -> Result<MacAddress> {
    let mac: Option<MacAddress> = text.parse().ok();
    mac.filter(|mac| !mac.is_multicast() && mac.0 != [0; 6])
        .ok_or_else(|| invalid_attribute(attribute, format!("'{text}' is not a valid MAC address")))
}

pub(super) fn nameservers(servers: &[String]) -> Result<Vec<IpAddr>> {
    if servers.len() > MAX_NAMESERVERS {
        return Err(invalid_attribute("dns_nameservers", format!("more than {MAX_NAMESERVERS}")));
    }
    let mut parsed = Vec::with_capacity(servers.len());
    for server in servers {
        let server = address("dns_nameservers", server)?;
        if parsed.contains(&server) {
            return Err(invalid_attribute("dns_nameservers", format!("Duplicate nameserver '{server}'")));
        }
        parsed.push(server);
    }
    Ok(parsed)
}

pub(super) fn host_routes(routes: &[RouteFields]) -> Result<Vec<HostRoute>> {
    if routes.len() > MAX_HOST_ROUTES {
        return Err(invalid_attribute("host_routes", format!("more than {MAX_HOST_ROUTES}")));
    }
    self::routes("host_routes", routes)
}

pub(super) fn routes(attribute: &str, routes: &[RouteFields]) -> Result<Vec<HostRoute>> {
    let mut parsed = Vec::with_capacity(routes.len());
    for route in routes {
        let route = HostRoute {
            destination: prefix(attribute, &route.destination)?.trunc(),
            nexthop: address(attribute, &route.nexthop)?,
        };
        if route.destination.addr().is_ipv4() != route.nexthop.is_ipv4() {
            return Err(invalid_attribute(attribute, "destination and nexthop are of different IP versions"));
        }
        if parsed.contains(&route) {
            return Err(invalid_attribute(attribute, "Duplicate hostroute"));
        }
        parsed.push(route);
    }
    Ok(parsed)
}

pub(super) fn pools(pools: &[PoolFields]) -> Result<Vec<AllocationPool>> {
    let read = |pool: &PoolFields| {
        Ok(AllocationPool {
            start: address("allocation_pools", &pool.start)?,
            end: address("allocation_pools", &pool.end)?,
        })
    };
    pools.iter().map(read).collect()
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
        assert!(nameservers(&["8.8.8.8".into(), "8.8.8.8".into()]).is_err());
        assert_eq!(tags(vec!["b".into(), "a".into(), "b".into()]).unwrap(), ["a", "b"]);
        assert!(tags(vec!["a,b".into()]).is_err());
        assert!(tags((0..51).map(|tag| tag.to_string()).collect()).is_err());
    }
}
