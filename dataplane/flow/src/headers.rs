//! Where things are in a frame, and the one parse that both directions share.
//!
//! IPv4 options are refused, so every header lies at a constant offset.

use crate::packet::Packet;
use crate::verdict::DropReason;

pub const ETH_DST: usize = 0;
pub const ETH_SRC: usize = 6;
pub const ETH_TYPE: usize = 12;
/// Bytes of an Ethernet header.
pub const ETH_LEN: u32 = 14;

pub const IP: usize = 14;
pub const IP_TTL: usize = IP + 8;
pub const IP_CHECKSUM: usize = IP + 10;
pub const IP_SRC: usize = IP + 12;
pub const IP_DST: usize = IP + 16;
/// Bytes of an IPv4 header without options.
pub const IP_LEN: usize = 20;

pub const L4: usize = IP + IP_LEN;
pub const TCP_FLAGS: usize = L4 + 13;
pub const TCP_CHECKSUM: usize = L4 + 16;
pub const UDP_CHECKSUM: usize = L4 + 6;
pub const ICMP_CHECKSUM: usize = L4 + 2;
pub const ICMP_ID: usize = L4 + 4;
/// The packet that an ICMP error quotes.
pub const QUOTED: usize = L4 + 8;

pub const ARP_OPERATION: usize = 14 + 6;
pub const ARP_SENDER_MAC: usize = 14 + 8;
pub const ARP_SENDER: usize = 14 + 14;
pub const ARP_TARGET: usize = 14 + 24;

pub const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
pub const TYPE_ARP: [u8; 2] = [0x08, 0x06];
pub const TYPE_IPV6: [u8; 2] = [0x86, 0xdd];

/// IP protocol numbers (IANA).
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SCTP: u8 = 132;
pub const UDP_LITE: u8 = 136;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// ICMP types (RFC 792).
pub const ECHO_REPLY: u8 = 0;
pub const ECHO_REQUEST: u8 = 8;

/// What the transport header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// With its flags.
    Tcp(u8),
    /// UDP, UDP-Lite or SCTP.
    Ports,
    EchoRequest,
    EchoReply,
    /// Destination unreachable, time exceeded, parameter problem.
    IcmpError,
    /// Another ICMP message, or another protocol.
    Other,
}

/// An IPv4 packet as the engine needs it; all in memory order.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4 {
    pub src: u32,
    pub dst: u32,
    pub protocol: u8,
    pub ttl: u8,
    /// Source port in the low half, destination port in the high one. An echo request has its identifier in the
    /// low half, an echo reply in the high one, so that they are each other's reverse. Other ICMP messages have
    /// [`icmp_other`].
    pub ports: u32,
    pub transport: Transport,
}

/// The `ports` of an ICMP message that is no echo: never the reverse of another.
#[inline(always)]
pub const fn icmp_other(kind: u8, code: u8) -> u32 {
    0xffff_0000 | (kind as u32) << 8 | code as u32
}

/// Reads the IPv4 packet in a frame whose type says that there is one.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P) -> Result<Ipv4, DropReason> {
    let Some(head) = packet.load::<IP_LEN>(IP) else { return Err(DropReason::Truncated) };
    let [
        version,
        _,
        len_high,
        len_low,
        _,
        _,
        frag_high,
        frag_low,
        ttl,
        protocol,
        _,
        _,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
    ] = head;
    if version != 0x45 {
        return Err(if version >> 4 == 4 { DropReason::IpOptions } else { DropReason::Truncated });
    }
    // "More fragments" or an offset: the transport header of the whole is not in here.
    if frag_high & 0x3f != 0 || frag_low != 0 {
        return Err(DropReason::Fragment);
    }
    let total = u32::from(u16::from_be_bytes([len_high, len_low]));
    if total + ETH_LEN > packet.len() {
        return Err(DropReason::Truncated);
    }
    let (ports, transport) = parse_transport(packet, protocol, total.wrapping_sub(IP_LEN as u32))?;
    Ok(Ipv4 {
        src: u32::from_ne_bytes([a, b, c, d]),
        dst: u32::from_ne_bytes([e, f, g, h]),
        protocol,
        ttl,
        ports,
        transport,
    })
}

/// `len` is the length of transport header and payload in bytes; wraps to a huge one for a total below 20.
#[inline(always)]
fn parse_transport<P: Packet>(packet: &P, protocol: u8, len: u32) -> Result<(u32, Transport), DropReason> {
    let truncated = Err(DropReason::Truncated);
    if len > 0xffff {
        return truncated;
    }
    match protocol {
        TCP => {
            let Some([offset, flags]) = packet.load::<2>(TCP_FLAGS - 1) else { return truncated };
            let header = u32::from(offset >> 4) * 4;
            if header < 20 || header > len {
                return truncated;
            }
            let impossible = flags & SYN != 0 && flags & (FIN | RST) != 0;
            if impossible || flags & (SYN | ACK | RST) == 0 {
                return Err(DropReason::TcpFlags);
            }
            let Some(ports) = packet.load::<4>(L4) else { return truncated };
            Ok((u32::from_ne_bytes(ports), Transport::Tcp(flags)))
        }
        UDP | UDP_LITE | SCTP => match packet.load::<8>(L4) {
            Some([a, b, c, d, ..]) if len >= 8 => Ok((u32::from_ne_bytes([a, b, c, d]), Transport::Ports)),
            _ => truncated,
        },
        ICMP => match packet.load::<8>(L4) {
            Some([kind, code, _, _, a, b, ..]) if len >= 8 => {
                Ok(parse_icmp(kind, code, u16::from_ne_bytes([a, b])))
            }
            _ => truncated,
        },
        _ => Ok((0, Transport::Other)),
    }
}

#[inline(always)]
fn parse_icmp(kind: u8, code: u8, id: u16) -> (u32, Transport) {
    match kind {
        ECHO_REQUEST => (u32::from(id), Transport::EchoRequest),
        ECHO_REPLY => (u32::from(id) << 16, Transport::EchoReply),
        3 | 11 | 12 => (0, Transport::IcmpError),
        _ => (icmp_other(kind, code), Transport::Other),
    }
}

/// Source and destination exchanged.
#[inline(always)]
pub const fn swap_ports(ports: u32) -> u32 {
    ports.rotate_left(16)
}

/// The destination port in host order.
#[inline(always)]
pub const fn dst_port(ports: u32) -> u32 {
    ((ports >> 16) as u16).swap_bytes() as u32
}

/// The source port in host order.
#[inline(always)]
pub const fn src_port(ports: u32) -> u32 {
    (ports as u16).swap_bytes() as u32
}
