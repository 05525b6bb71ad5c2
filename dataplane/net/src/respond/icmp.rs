//! ICMP (RFC 792): echo replies of our own addresses, and the errors that a router owes (RFC 1812, 4.3).

use crate::frame::{self, ETHERTYPE_IPV4, Ipv4Packet, checksum, destination_mac, ethernet, source_mac};

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const FRAGMENTATION_NEEDED: u8 = 4;
/// "Host unreachable": its MAC cannot be found.
pub const HOST_UNREACHABLE: u8 = 1;

/// Bytes of the offending packet that an error quotes, so that the error stays below 576 bytes (RFC 1812, 4.3.2.3).
const QUOTED_BYTES: usize = 548;

/// What went wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    TimeExceeded,
    Unreachable {
        code: u8,
    },
    /// The next link's MTU, in bytes.
    TooBig {
        mtu: u16,
    },
}

/// The answer to an echo request; `None` when `request` is none.
pub fn echo_reply(request: &[u8]) -> Option<Vec<u8>> {
    let packet = Ipv4Packet::parse(request)?;
    if packet.protocol != frame::ICMP
        || packet.payload.first() != Some(&ECHO_REQUEST)
        || packet.payload.len() < 8
    {
        return None;
    }
    let mut message = packet.payload.to_vec();
    message[0] = ECHO_REPLY;
    message[2..4].fill(0);
    let field = checksum(&message);
    message[2..4].copy_from_slice(&field);
    let reply = frame::ipv4(packet.destination, packet.source, frame::ICMP, &message);
    Some(ethernet(source_mac(request)?, destination_mac(request)?, ETHERTYPE_IPV4, &reply))
}

/// The error about a packet, from `own` (the address of the router's interface that the sender addressed). `None`
/// where none may be sent (RFC 1812, 4.3.2.7): about errors, fragments, and packets to or from many.
pub fn error(problem: Problem, offending: &[u8], own: [u8; 4]) -> Option<Vec<u8>> {
    let packet = Ipv4Packet::parse(offending)?;
    let is_error = packet.protocol == frame::ICMP
        && !matches!(packet.payload.first(), Some(&(ECHO_REQUEST | ECHO_REPLY)));
    let later_fragment = u16::from_be_bytes(frame::field(packet.whole, 6)?) & 0x1fff != 0;
    let to_many = packet.destination[0] >= 224 || source_mac(offending)?[0] & 1 == 1;
    let from_nobody = packet.source[0] == 0 || packet.source[0] >= 224;
    if is_error || later_fragment || to_many || from_nobody {
        return None;
    }
    let (kind, code, mtu) = match problem {
        Problem::TimeExceeded => (TIME_EXCEEDED, 0, 0),
        Problem::Unreachable { code } => (UNREACHABLE, code, 0),
        Problem::TooBig { mtu } => (UNREACHABLE, FRAGMENTATION_NEEDED, mtu),
    };
    let mut message = vec![kind, code, 0, 0, 0, 0];
    message.extend_from_slice(&mtu.to_be_bytes());
    message.extend_from_slice(&packet.whole[..packet.whole.len().min(QUOTED_BYTES)]);
    let field = checksum(&message);
    message[2..4].copy_from_slice(&field);
    let reply = frame::ipv4(own, packet.source, frame::ICMP, &message);
    Some(ethernet(source_mac(offending)?, destination_mac(offending)?, ETHERTYPE_IPV4, &reply))
}
