//! Reading and writing frames in private memory, for what is not the flow engine's: offloads and responders.

/// IP protocol numbers.
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// Bytes of an Ethernet header.
pub const ETHERNET_BYTES: usize = 14;
/// Bytes of an IPv4 header without options.
pub const IPV4_BYTES: usize = 20;
/// Bytes of a UDP header.
pub const UDP_BYTES: usize = 8;

const IPV6_BYTES: usize = 40;

/// The ether types that are read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtherType {
    Ipv4,
    Ipv6,
}

/// Where an IP packet's payload lies in its frame.
#[derive(Clone, Copy, Debug)]
pub struct Ip {
    pub ether_type: EtherType,
    pub protocol: u8,
    /// Offset of the transport header in the frame.
    pub payload_at: usize,
}

impl Ip {
    /// `None` for anything but a plain IPv4 or IPv6 packet (no fragment, no extension headers).
    #[inline]
    pub fn parse(head: &[u8]) -> Option<Self> {
        match head.get(12..14)? {
            [0x08, 0x00] => {
                let header = head.get(ETHERNET_BYTES..ETHERNET_BYTES + IPV4_BYTES)?;
                let len = usize::from(header[0] & 0xf) * 4;
                let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
                (header[0] >> 4 == 4 && len >= IPV4_BYTES && fragment == 0).then_some(Self {
                    ether_type: EtherType::Ipv4,
                    protocol: header[9],
                    payload_at: ETHERNET_BYTES + len,
                })
            }
            [0x86, 0xdd] => {
                let header = head.get(ETHERNET_BYTES..ETHERNET_BYTES + IPV6_BYTES)?;
                (header[0] >> 4 == 6).then_some(Self {
                    ether_type: EtherType::Ipv6,
                    protocol: header[6],
                    payload_at: ETHERNET_BYTES + IPV6_BYTES,
                })
            }
            _ => None,
        }
    }
}

/// The ones' complement sum of `bytes` on top of `sum` (RFC 1071), in network byte order as loaded; fold it at the
/// end with [`fold`].
#[inline]
pub fn sum(bytes: &[u8], mut sum: u64) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        if let Ok(chunk) = <[u8; 8]>::try_from(chunk) {
            let (total, carry) = sum.overflowing_add(u64::from_ne_bytes(chunk));
            sum = total + u64::from(carry);
        }
    }
    let mut rest = [0; 8];
    let tail = chunks.remainder();
    rest[..tail.len()].copy_from_slice(tail);
    let (total, carry) = sum.overflowing_add(u64::from_ne_bytes(rest));
    total + u64::from(carry)
}

/// Folds a sum to 16 bits, as they lie in memory; not inverted.
#[inline]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// The checksum field over `bytes`, which hold 0 in its place.
#[inline]
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    (!fold(sum(bytes, 0))).to_ne_bytes()
}

/// The transport checksum of an IPv4 packet, whose field holds 0.
pub fn transport_checksum(source: [u8; 4], destination: [u8; 4], protocol: u8, segment: &[u8]) -> [u8; 2] {
    let len = (segment.len() as u16).to_be_bytes();
    let mut pseudo = [0; 12];
    pseudo[..4].copy_from_slice(&source);
    pseudo[4..8].copy_from_slice(&destination);
    pseudo[9] = protocol;
    pseudo[10..].copy_from_slice(&len);
    let value = !fold(sum(segment, sum(&pseudo, 0)));
    // Zero means "no checksum" in UDP (RFC 768).
    if value == 0 && protocol == UDP { [0xff; 2] } else { value.to_ne_bytes() }
}

/// An Ethernet header before an IPv4 packet.
pub fn ethernet(destination: [u8; 6], source: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET_BYTES + payload.len());
    frame.extend_from_slice(&destination);
    frame.extend_from_slice(&source);
    frame.extend_from_slice(&ether_type.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Ether type of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Ether type of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;

/// An IPv4 packet.
pub fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; IPV4_BYTES];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&((IPV4_BYTES + payload.len()) as u16).to_be_bytes());
    packet[6] = 0x40; // don't fragment
    packet[8] = 64;
    packet[9] = protocol;
    packet[12..16].copy_from_slice(&source);
    packet[16..20].copy_from_slice(&destination);
    let field = checksum(&packet);
    packet[10..12].copy_from_slice(&field);
    packet.extend_from_slice(payload);
    packet
}

/// A UDP datagram, checksum included.
pub fn udp(source: ([u8; 4], u16), destination: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(UDP_BYTES + payload.len());
    datagram.extend_from_slice(&source.1.to_be_bytes());
    datagram.extend_from_slice(&destination.1.to_be_bytes());
    datagram.extend_from_slice(&((UDP_BYTES + payload.len()) as u16).to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(payload);
    let field = transport_checksum(source.0, destination.0, UDP, &datagram);
    datagram[6..8].copy_from_slice(&field);
    datagram
}

/// `N` bytes at `at`.
#[inline]
pub fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// The sender's MAC of a frame.
pub fn source_mac(frame: &[u8]) -> Option<[u8; 6]> {
    field(frame, 6)
}

/// The receiver's MAC of a frame.
pub fn destination_mac(frame: &[u8]) -> Option<[u8; 6]> {
    field(frame, 0)
}

/// An IPv4 packet inside a frame.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Packet<'a> {
    pub source: [u8; 4],
    pub destination: [u8; 4],
    pub protocol: u8,
    /// Header and payload, as long as the packet says.
    pub whole: &'a [u8],
    pub payload: &'a [u8],
}

impl<'a> Ipv4Packet<'a> {
    /// `None` when the frame holds no whole IPv4 packet.
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET_BYTES..)?;
        let first = *packet.first()?;
        let header_len = usize::from(first & 0xf) * 4;
        let total = usize::from(u16::from_be_bytes(field(packet, 2)?));
        if field::<2>(frame, 12)? != ETHERTYPE_IPV4.to_be_bytes()
            || first >> 4 != 4
            || header_len < IPV4_BYTES
        {
            return None;
        }
        let whole = packet.get(..total)?;
        Some(Self {
            source: field(whole, 12)?,
            destination: field(whole, 16)?,
            protocol: *whole.get(9)?,
            payload: whole.get(header_len..)?,
            whole,
        })
    }

    /// Source port, destination port and payload of the UDP datagram inside.
    pub fn udp(&self) -> Option<(u16, u16, &'a [u8])> {
        let len = usize::from(u16::from_be_bytes(field(self.payload, 4)?));
        let datagram = self.payload.get(..len)?;
        let ports = (u16::from_be_bytes(field(datagram, 0)?), u16::from_be_bytes(field(datagram, 2)?));
        (self.protocol == UDP).then_some(())?;
        Some((ports.0, ports.1, datagram.get(UDP_BYTES..)?))
    }
}
