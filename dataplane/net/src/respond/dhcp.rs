//! DHCPv4 (RFC 2131): the server's half. A lease is the port's address: nothing is allocated and nothing can run out.

use std::net::Ipv4Addr;

use super::state::{Lease, PortState, v4};
use crate::frame::{self, ETHERTYPE_IPV4, Ipv4Packet, ethernet, field};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
/// Where options start, behind the fixed fields and the magic.
const OPTIONS_AT: usize = 240;
/// Some clients drop shorter messages (BOOTP's size).
const MIN_BYTES: usize = 300;
const BROADCAST_FLAG: u16 = 0x8000;

/// Message types (option 53).
mod message_type {
    pub const DISCOVER: u8 = 1;
    pub const OFFER: u8 = 2;
    pub const REQUEST: u8 = 3;
    pub const ACK: u8 = 5;
    pub const NAK: u8 = 6;
    pub const INFORM: u8 = 8;
}

/// Option codes (RFC 2132 unless said otherwise).
mod option {
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS_SERVERS: u8 = 6;
    pub const HOSTNAME: u8 = 12;
    pub const DOMAIN: u8 = 15;
    pub const MTU: u8 = 26;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_S: u8 = 51;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const RENEW_S: u8 = 58;
    pub const REBIND_S: u8 = 59;
    /// RFC 3397.
    pub const DOMAIN_SEARCH: u8 = 119;
    /// RFC 3442.
    pub const CLASSLESS_ROUTES: u8 = 121;
    pub const END: u8 = 255;
    pub const PAD: u8 = 0;
}

/// The fields of a client's message that matter.
struct Request<'a> {
    fixed: &'a [u8],
    message_type: u8,
    client_address: Ipv4Addr,
    broadcast: bool,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

impl<'a> Request<'a> {
    fn parse(message: &'a [u8], mac: [u8; 6]) -> Option<Self> {
        let [op, hardware, mac_len, _] = field(message, 0)?;
        if (op, hardware, mac_len) != (1, 1, 6) || field::<4>(message, 236)? != MAGIC {
            return None;
        }
        // A guest asks for itself: another hardware address is another's lease.
        if field::<6>(message, 28)? != mac {
            return None;
        }
        let options = message.get(OPTIONS_AT..)?;
        let address = |code| find(options, code).and_then(|value| field::<4>(value, 0)).map(Ipv4Addr::from);
        Some(Self {
            fixed: message.get(..OPTIONS_AT)?,
            message_type: *find(options, option::MESSAGE_TYPE)?.first()?,
            client_address: field::<4>(message, 12)?.into(),
            broadcast: u16::from_be_bytes(field(message, 10)?) & BROADCAST_FLAG != 0,
            requested: address(option::REQUESTED_ADDRESS),
            server: address(option::SERVER),
        })
    }
}

/// The value of an option.
fn find(mut options: &[u8], code: u8) -> Option<&[u8]> {
    loop {
        match options {
            [option::PAD, rest @ ..] => options = rest,
            [option::END, ..] | [] | [_] => return None,
            [found, len, rest @ ..] => {
                let value = rest.get(..usize::from(*len))?;
                if *found == code {
                    return Some(value);
                }
                options = &rest[value.len()..];
            }
        }
    }
}

/// The answer to a client's frame, if one is due.
pub fn answer(request: &[u8], port: &PortState) -> Option<Vec<u8>> {
    let lease = port.lease.as_ref()?;
    let server = lease.server()?;
    let packet = Ipv4Packet::parse(request)?;
    let (_, to, message) = packet.udp()?;
    let request = Request::parse(message, port.mac.0)?;
    if to != SERVER_PORT || request.server.is_some_and(|chosen| chosen != server) {
        return None;
    }
    let reply_type = match request.message_type {
        message_type::DISCOVER => message_type::OFFER,
        message_type::INFORM => message_type::ACK,
        message_type::REQUEST => {
            let wanted = request.requested.unwrap_or(request.client_address);
            if wanted == lease.address { message_type::ACK } else { message_type::NAK }
        }
        _ => return None,
    };
    let reply = build(&request, reply_type, port, lease, server);
    let nak = reply_type == message_type::NAK;
    let (target, target_mac) = if nak || request.broadcast {
        (Ipv4Addr::BROADCAST, [0xff; 6])
    } else if !request.client_address.is_unspecified() {
        (request.client_address, port.mac.0)
    } else {
        (lease.address, port.mac.0)
    };
    let datagram = frame::udp((server.octets(), SERVER_PORT), (target.octets(), CLIENT_PORT), &reply);
    let packet = frame::ipv4(server.octets(), target.octets(), frame::UDP, &datagram);
    Some(ethernet(target_mac, lease.dhcp.server_mac.0, ETHERTYPE_IPV4, &packet))
}

fn build(
    request: &Request<'_>,
    reply_type: u8,
    port: &PortState,
    lease: &Lease,
    server: Ipv4Addr,
) -> Vec<u8> {
    let mut reply = request.fixed.to_vec();
    reply[0] = 2; // BOOTREPLY
    reply[3] = 0;
    reply[8..10].fill(0);
    reply[16..28].fill(0); // your, server's and relay's address
    reply[44..236].fill(0); // server name, boot file
    if reply_type == message_type::NAK {
        reply[12..16].fill(0);
    } else if request.message_type != message_type::INFORM {
        reply[16..20].copy_from_slice(&lease.address.octets());
    }
    let mut put = |code: u8, value: &[u8]| {
        // An option holds up to 255 bytes; what is longer is left out rather than cut.
        if let (Ok(len), false) = (u8::try_from(value.len()), value.is_empty()) {
            reply.extend_from_slice(&[code, len]);
            reply.extend_from_slice(value);
        }
    };
    put(option::MESSAGE_TYPE, &[reply_type]);
    put(option::SERVER, &server.octets());
    if reply_type != message_type::NAK {
        if request.message_type != message_type::INFORM {
            let lease_s = lease.dhcp.lease_s;
            put(option::LEASE_S, &lease_s.to_be_bytes());
            put(option::RENEW_S, &(lease_s / 2).to_be_bytes());
            put(option::REBIND_S, &(lease_s / 8 * 7).to_be_bytes());
        }
        put_parameters(&mut put, port, lease, server);
    }
    reply.push(option::END);
    reply.resize(reply.len().max(MIN_BYTES), 0);
    reply
}

fn put_parameters(put: &mut impl FnMut(u8, &[u8]), port: &PortState, lease: &Lease, server: Ipv4Addr) {
    let mask = u32::MAX.checked_shl(32 - u32::from(lease.prefix_len)).unwrap_or(0);
    put(option::SUBNET_MASK, &mask.to_be_bytes());
    if let Some(gateway) = lease.gateway {
        put(option::ROUTER, &gateway.octets());
    }
    let mut resolvers: Vec<u8> = lease
        .dhcp
        .dns_servers
        .iter()
        .filter_map(|server| v4(*server))
        .flat_map(|server| server.octets())
        .collect();
    if resolvers.is_empty() {
        resolvers = server.octets().to_vec();
    }
    put(option::DNS_SERVERS, &resolvers);
    put(option::MTU, &port.network.mtu.to_be_bytes());
    if let Some(hostname) = port.hostname.as_deref().filter(|name| is_name(name)) {
        put(option::HOSTNAME, hostname.as_bytes());
    }
    if let Some(domain) = lease.dhcp.domain.as_deref().map(|domain| domain.trim_end_matches('.'))
        && is_name(domain)
    {
        put(option::DOMAIN, domain.as_bytes());
        put(option::DOMAIN_SEARCH, &super::dns::encode_name(domain));
    }
    let mut routes = Vec::new();
    for (destination, via) in lease.routes() {
        let significant = usize::from(destination.prefix_len()).div_ceil(8);
        routes.push(destination.prefix_len());
        routes.extend_from_slice(&destination.network().octets()[..significant]);
        routes.extend_from_slice(&via.octets());
    }
    put(option::CLASSLESS_ROUTES, &routes);
}

/// Letters, digits, dots and dashes only: a name with anything else could mean more to a guest's scripts than a name.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}
