//! What a security group rule allows, and which requests for one make sense.

use std::fmt::Display;
use std::hash::Hash;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Refusal;

/// As seen from the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ingress,
    Egress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtherType {
    Ipv4,
    Ipv6,
}

/// Whom a rule lets in or be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemotePeer {
    Any,
    /// As the request spelled it: bits beyond the length are kept for showing, and mean nothing.
    Prefix(IpNet),
    /// Every address of every member of the group with this id.
    Group(String),
}

/// A rule without its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    pub direction: Direction,
    pub ethertype: EtherType,
    /// As it is shown: a name, or a number for a protocol without one; `None` is any.
    pub protocol: Option<String>,
    /// First port, or ICMP type.
    pub port_range_min: Option<u16>,
    /// Last port (included), or ICMP code.
    pub port_range_max: Option<u16>,
    pub remote: RemotePeer,
}

/// A rule as a request spells it.
#[derive(Clone, Debug, Default)]
pub struct RuleRequest<'a> {
    pub direction: &'a str,
    pub ethertype: Option<&'a str>,
    pub protocol: Option<&'a str>,
    pub port_range_min: Option<i64>,
    pub port_range_max: Option<i64>,
    pub remote_ip_prefix: Option<&'a str>,
    pub remote_group_id: Option<&'a str>,
}

/// Protocols by name and number (IANA's registry, with Neutron's second names).
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;

    /// IPv6's hop-by-hop options by the registry; Neutron's clients mean any protocol by it.
    pub(super) const IP: u8 = 0;

    pub(super) const NAMES: [(&str, u8); 26] = [
        ("ah", 51),
        ("dccp", 33),
        ("egp", 8),
        ("esp", 50),
        ("gre", 47),
        ("hopopt", IP),
        ("icmp", ICMP),
        ("icmpv6", ICMPV6),
        ("igmp", 2),
        ("ip", IP),
        ("ipip", 4),
        ("ipv6-encap", 41),
        ("ipv6-frag", 44),
        ("ipv6-icmp", ICMPV6),
        ("ipv6-nonxt", 59),
        ("ipv6-opts", 60),
        ("ipv6-route", 43),
        ("ospf", 89),
        ("pgm", 113),
        ("rsvp", 46),
        ("sctp", 132),
        ("tcp", TCP),
        ("udp", UDP),
        ("udplite", 136),
        ("vrrp", 112),
        ("ipencap", 4),
    ];

    /// Those whose packets begin with two port numbers.
    pub(super) const WITH_PORTS: [u8; 5] = [33, TCP, UDP, 132, 136];

    /// The number of a protocol given by name or as a decimal number.
    pub fn number(text: &str) -> Option<u8> {
        let by_name = NAMES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
        by_name.or_else(|| text.parse().ok())
    }
}

/// How a request may say that it names no protocol.
const ANY: &str = "any";
/// Protocols that are carried by IPv6 alone (Neutron counts encapsulated IPv6 among them).
const ONLY_IPV6: [u8; 6] = [41, 43, 44, protocol::ICMPV6, 59, 60];
/// The highest port, and the highest number that a range may name.
const MAX_PORT: i64 = 65_535;
/// The highest ICMP type and code.
const MAX_ICMP: i64 = 255;

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ingress, Self::Egress].into_iter().find(|direction| direction.as_str() == text)
    }
}

impl EtherType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }

    /// Without regard to case, as Neutron reads it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ipv4, Self::Ipv6].into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

impl RuleSpec {
    /// Allows everything of this kind in this direction.
    pub fn any(direction: Direction, ethertype: EtherType, remote: RemotePeer) -> Self {
        Self { direction, ethertype, protocol: None, port_range_min: None, port_range_max: None, remote }
    }

    /// The protocol's number; `None` is any.
    pub fn protocol_number(&self) -> Option<u8> {
        self.protocol.as_deref().and_then(protocol::number).filter(|number| *number != protocol::IP)
    }

    /// Whether both allow the same packets, however they are spelled.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }

    /// The same for all rules that allow the same packets.
    pub fn meaning(&self) -> impl Eq + Hash + use<> {
        let remote = match &self.remote {
            RemotePeer::Any => String::new(),
            RemotePeer::Prefix(prefix) if prefix.prefix_len() == 0 => String::new(),
            RemotePeer::Prefix(prefix) => prefix.trunc().to_string(),
            RemotePeer::Group(id) => id.clone(),
        };
        let ports = (self.port_range_min, self.port_range_max);
        (self.direction.as_str(), self.ethertype.as_str(), self.protocol_number(), ports, remote)
    }

    /// Reads a request as Neutron does.
    pub fn check(request: &RuleRequest<'_>) -> Result<Self, Refusal> {
        let direction = Direction::parse(request.direction)
            .ok_or_else(|| not_in("direction", request.direction, "['ingress', 'egress']"))?;
        let ethertype = match request.ethertype {
            None => EtherType::Ipv4,
            Some(text) => EtherType::parse(text).ok_or_else(|| invalid_ethertype(text))?,
        };
        let protocol = check_protocol(request.protocol, ethertype)?;
        check_ports(protocol.as_deref(), request.port_range_min, request.port_range_max)?;
        Ok(Self {
            direction,
            ethertype,
            protocol,
            port_range_min: to_port(request.port_range_min)?,
            port_range_max: to_port(request.port_range_max)?,
            remote: check_remote(request, ethertype)?,
        })
    }
}

fn invalid_ethertype(text: &str) -> Refusal {
    let message = format!(
        "Security group rule for ethertype '{text}' not supported. Allowed values are ['IPv4', 'IPv6']."
    );
    Refusal::bad_request("SecurityGroupRuleInvalidEtherType", message)
}

fn not_in(attribute: &str, value: &str, allowed: &str) -> Refusal {
    Refusal::invalid_attribute(attribute, format!("'{value}' is not in {allowed}"))
}

/// The protocol as it is kept: lower case; `icmp` for IPv6 means ICMPv6.
fn check_protocol(text: Option<&str>, ethertype: EtherType) -> Result<Option<String>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let name = text.to_lowercase();
    if name == ANY {
        return Ok(None);
    }
    let Some(number) = protocol::number(&name) else {
        let names: Vec<String> = protocol::NAMES.iter().map(|(name, _)| format!("'{name}'")).collect();
        let message = format!(
            "Security group rule protocol {text} not supported. Only protocol values [{}] and integer \
             representations [0 to 255] are supported.",
            names.join(", ")
        );
        return Err(Refusal::bad_request("SecurityGroupRuleInvalidProtocol", message));
    };
    if ethertype == EtherType::Ipv6 && (number == protocol::ICMP || name == "icmpv6") {
        return Ok(Some("ipv6-icmp".into()));
    }
    if ethertype == EtherType::Ipv4 && ONLY_IPV6.contains(&number) {
        let message = format!("Invalid ethertype {} for protocol {text}.", ethertype.as_str());
        return Err(Refusal::bad_request("SecurityGroupEthertypeConflictWithProtocol", message));
    }
    Ok(Some(name))
}

fn check_ports(name: Option<&str>, min: Option<i64>, max: Option<i64>) -> Result<(), Refusal> {
    if min.is_none() && max.is_none() {
        return Ok(());
    }
    if let Some(port) = [min, max].into_iter().flatten().find(|port| !(0..=MAX_PORT).contains(port)) {
        return Err(invalid_port(port));
    }
    let Some(number) = name.and_then(protocol::number) else {
        let message = "Must also specify protocol if port range is given.";
        return Err(Refusal::bad_request("SecurityGroupProtocolRequiredWithPorts", message));
    };
    if protocol::WITH_PORTS.contains(&number) {
        return check_port_range(min, max);
    }
    if number == protocol::ICMP || number == protocol::ICMPV6 {
        return check_icmp(min, max);
    }
    let message = format!(
        "Invalid protocol {} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP.",
        name.unwrap_or_default()
    );
    Err(Refusal::bad_request("SecurityGroupInvalidProtocolForPort", message))
}

fn check_port_range(min: Option<i64>, max: Option<i64>) -> Result<(), Refusal> {
    if min == Some(0) || max == Some(0) {
        return Err(invalid_port(0));
    }
    match (min, max) {
        (Some(min), Some(max)) if min <= max => Ok(()),
        _ => {
            let message = "For TCP/UDP protocols, port_range_min must be <= port_range_max";
            Err(Refusal::bad_request("SecurityGroupInvalidPortRange", message))
        }
    }
}

fn check_icmp(kind: Option<i64>, code: Option<i64>) -> Result<(), Refusal> {
    for (field, attribute, value) in [("port_range_min", "type", kind), ("port_range_max", "code", code)] {
        if let Some(value) = value.filter(|value| !(0..=MAX_ICMP).contains(value)) {
            let message =
                format!("Invalid value for ICMP {attribute} ({field}) {value}. It must be 0 to 255.");
            return Err(Refusal::bad_request("SecurityGroupInvalidIcmpValue", message));
        }
    }
    match (kind, code) {
        (None, Some(code)) => {
            let message = format!(
                "ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing."
            );
            Err(Refusal::bad_request("SecurityGroupMissingIcmpType", message))
        }
        _ => Ok(()),
    }
}

fn to_port(value: Option<i64>) -> Result<Option<u16>, Refusal> {
    value.map(|value| u16::try_from(value).map_err(|_| invalid_port(value))).transpose()
}

fn invalid_port(port: impl Display) -> Refusal {
    Refusal::bad_request("SecurityGroupInvalidPortValue", format!("Invalid value for port {port}"))
}

fn check_remote(request: &RuleRequest<'_>, ethertype: EtherType) -> Result<RemotePeer, Refusal> {
    match (request.remote_ip_prefix.filter(|text| !text.is_empty()), request.remote_group_id) {
        (Some(_), Some(_)) => {
            let message =
                "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.";
            Err(Refusal::bad_request("SecurityGroupMultipleRemoteEntites", message))
        }
        (None, None) => Ok(RemotePeer::Any),
        (None, Some(group)) => Ok(RemotePeer::Group(group.to_owned())),
        (Some(text), None) => {
            let prefix = parse_prefix(text).ok_or_else(|| {
                Refusal::bad_request("InvalidCIDR", format!("Invalid CIDR {text} given as IP prefix."))
            })?;
            if prefix.addr().is_ipv4() != (ethertype == EtherType::Ipv4) {
                let message = format!("Conflicting value ethertype {} for CIDR {text}", ethertype.as_str());
                return Err(Refusal::bad_request("SecurityGroupRuleParameterConflict", message));
            }
            Ok(RemotePeer::Prefix(prefix))
        }
    }
}

/// `address/length`, or an address alone, which is its own range.
pub fn parse_prefix(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::{Direction, EtherType, RemotePeer, RuleRequest, RuleSpec};

    fn tcp(min: Option<i64>, max: Option<i64>) -> RuleRequest<'static> {
        RuleRequest {
            direction: "ingress",
            protocol: Some("tcp"),
            port_range_min: min,
            port_range_max: max,
            ..RuleRequest::default()
        }
    }

    fn code(request: &RuleRequest<'_>) -> &'static str {
        RuleSpec::check(request).map_or_else(|refusal| refusal.code, |_| "accepted")
    }

    #[test]
    fn what_is_refused_and_how() {
        let base = || tcp(Some(22), Some(22));
        let cases = [
            (base(), "accepted"),
            (tcp(None, None), "accepted"),
            (tcp(Some(30), Some(20)), "SecurityGroupInvalidPortRange"),
            (tcp(Some(30), None), "SecurityGroupInvalidPortRange"),
            (tcp(Some(0), Some(20)), "SecurityGroupInvalidPortValue"),
            (tcp(Some(1), Some(65536)), "SecurityGroupInvalidPortValue"),
            (tcp(Some(-1), Some(20)), "SecurityGroupInvalidPortValue"),
            (RuleRequest { protocol: None, ..base() }, "SecurityGroupProtocolRequiredWithPorts"),
            (RuleRequest { protocol: Some("vrrp"), ..base() }, "SecurityGroupInvalidProtocolForPort"),
            (RuleRequest { protocol: Some("47"), ..base() }, "SecurityGroupInvalidProtocolForPort"),
            (RuleRequest { protocol: Some("256"), ..base() }, "SecurityGroupRuleInvalidProtocol"),
            (RuleRequest { protocol: Some("carrier-pigeon"), ..base() }, "SecurityGroupRuleInvalidProtocol"),
            (RuleRequest { protocol: Some("17"), ..base() }, "accepted"),
            (RuleRequest { direction: "sideways", ..base() }, "HTTPBadRequest"),
            (RuleRequest { ethertype: Some("IPX"), ..base() }, "SecurityGroupRuleInvalidEtherType"),
            (RuleRequest { remote_ip_prefix: Some("0.0.0.0/33"), ..base() }, "InvalidCIDR"),
            (RuleRequest { remote_ip_prefix: Some("::/0"), ..base() }, "SecurityGroupRuleParameterConflict"),
            (RuleRequest { ethertype: Some("ipv6"), remote_ip_prefix: Some("::/0"), ..base() }, "accepted"),
            (
                RuleRequest { remote_ip_prefix: Some("10.0.0.0/8"), remote_group_id: Some("g"), ..base() },
                "SecurityGroupMultipleRemoteEntites",
            ),
            (RuleRequest { protocol: Some("icmp"), ..tcp(Some(8), Some(0)) }, "accepted"),
            (RuleRequest { protocol: Some("icmp"), ..tcp(Some(256), None) }, "SecurityGroupInvalidIcmpValue"),
            (RuleRequest { protocol: Some("icmp"), ..tcp(None, Some(3)) }, "SecurityGroupMissingIcmpType"),
            (RuleRequest { protocol: Some("icmp"), ..tcp(Some(-1), None) }, "SecurityGroupInvalidPortValue"),
            (RuleRequest { protocol: Some("ip"), ..tcp(None, None) }, "accepted"),
            (
                RuleRequest { protocol: Some("58"), ..tcp(None, None) },
                "SecurityGroupEthertypeConflictWithProtocol",
            ),
            (
                RuleRequest { protocol: Some("icmpv6"), ..tcp(None, None) },
                "SecurityGroupEthertypeConflictWithProtocol",
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(code(&request), expected, "{request:?}");
        }
    }

    #[test]
    fn spellings_of_the_same_rule_are_the_same_rule() {
        let rule = |protocol, prefix| {
            let request = RuleRequest { protocol, remote_ip_prefix: prefix, ..tcp(Some(22), Some(22)) };
            RuleSpec::check(&request).unwrap()
        };
        assert!(rule(Some("tcp"), Some("10.0.0.1/8")).is_same_as(&rule(Some("6"), Some("10.0.0.0/8"))));
        assert!(rule(Some("TCP"), None).is_same_as(&rule(Some("tcp"), Some("0.0.0.0/0"))));
        assert!(!rule(Some("tcp"), None).is_same_as(&rule(Some("udp"), None)));
        assert!(!rule(Some("tcp"), None).is_same_as(&rule(Some("tcp"), Some("10.0.0.0/8"))));
    }

    #[test]
    fn icmp_for_ipv6_is_icmpv6() {
        let request = RuleRequest { ethertype: Some("IPv6"), protocol: Some("icmp"), ..tcp(None, None) };
        assert_eq!(RuleSpec::check(&request).unwrap().protocol_number(), Some(58));
        let older = RuleRequest { protocol: Some("icmpv6"), ..request };
        assert_eq!(RuleSpec::check(&older).unwrap().protocol.as_deref(), Some("ipv6-icmp"));
    }

    #[test]
    fn any_protocol_has_several_names() {
        for (given, kept) in [("any", None), ("IP", Some("ip")), ("hopopt", Some("hopopt")), ("0", Some("0"))]
        {
            let spec = RuleSpec::check(&RuleRequest { protocol: Some(given), ..tcp(None, None) }).unwrap();
            assert_eq!((spec.protocol.as_deref(), spec.protocol_number()), (kept, None), "{given}");
        }
        for bad in ["", "-1", "256"] {
            let refused =
                RuleSpec::check(&RuleRequest { protocol: Some(bad), ..tcp(None, None) }).unwrap_err();
            assert_eq!(refused.code, "SecurityGroupRuleInvalidProtocol", "{bad}");
        }
    }

    #[test]
    fn a_rule_for_everything() {
        let spec = RuleSpec::any(Direction::Egress, EtherType::Ipv4, RemotePeer::Any);
        assert_eq!(spec.protocol_number(), None);
    }
}
