//! The header before each frame in a virtio-net ring (virtio 1.2, 5.1.6), and doing in software what it asks for.
//!
//! A guest may leave checksums and segmentation to us. Between two local guests that agreed on the same, the frame
//! crosses as it is. Towards the uplink, or to a guest that did not agree, [`finish`] completes it here. Nothing in the
//! header is believed: [`Offload::parse`] checks every field against the frame.

mod segment;

pub use segment::finish;

use crate::frame::{self, EtherType, Ip};

/// `VIRTIO_NET_F_*` bits (virtio 1.2, 5.1.3).
pub mod feature {
    /// The device completes checksums.
    pub const CSUM: u64 = 1 << 0;
    /// The driver takes frames with incomplete checksums.
    pub const GUEST_CSUM: u64 = 1 << 1;
    pub const MTU: u64 = 1 << 3;
    pub const GUEST_TSO4: u64 = 1 << 7;
    pub const GUEST_TSO6: u64 = 1 << 8;
    pub const GUEST_ECN: u64 = 1 << 9;
    pub const HOST_TSO4: u64 = 1 << 11;
    pub const HOST_TSO6: u64 = 1 << 12;
    pub const HOST_ECN: u64 = 1 << 13;
    /// One frame may lie in several receive buffers.
    pub const MRG_RXBUF: u64 = 1 << 15;
    pub const MQ: u64 = 1 << 22;
}

/// What a port offers.
pub const PORT_FEATURES: u64 = feature::CSUM
    | feature::GUEST_CSUM
    | feature::MTU
    | feature::GUEST_TSO4
    | feature::GUEST_TSO6
    | feature::GUEST_ECN
    | feature::HOST_TSO4
    | feature::HOST_TSO6
    | feature::HOST_ECN
    | feature::MRG_RXBUF
    | feature::MQ;

/// Bytes of the header with `VERSION_1` or `MRG_RXBUF`; a legacy driver without either has ten.
pub const VNET_HEADER_BYTES: usize = 12;
pub const LEGACY_VNET_HEADER_BYTES: usize = 10;

/// The longest frame: an IP packet of 65535 bytes behind its Ethernet header.
pub const MAX_FRAME_BYTES: usize = 14 + 65535;

/// The smallest payload of one segment, in bytes: what Linux never goes below. Less would let one frame of a guest
/// become thousands on the wire.
pub const MIN_SEGMENT_BYTES: u16 = 48;

const FLAG_NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_ECN: u8 = 0x80;
const TCP_CHECKSUM_OFFSET: u16 = 16;
const UDP_CHECKSUM_OFFSET: u16 = 6;

/// What is left to do on a frame, checked against the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Where the transport header starts, when its checksum holds only the pseudo-header's sum; else 0.
    pub csum_start: u16,
    /// Where the checksum lies in the transport header.
    pub csum_offset: u16,
    /// Bytes of payload in each segment, when the frame is to be segmented; else 0.
    pub segment_payload: u16,
    /// Bytes of all headers, Ethernet included, when the frame is to be segmented; else 0.
    pub segment_header: u16,
    /// It is TCP over IPv6.
    pub ipv6: bool,
    /// The congestion-window-reduced flag belongs on the first segment only.
    pub ecn: bool,
}

impl Offload {
    /// Reads a guest's header. `head` is the start of the frame, `total_len` the length of all of it.
    ///
    /// `None` when the header lies about the frame, or asks for what was not offered.
    #[inline]
    pub fn parse(header: &[u8; LEGACY_VNET_HEADER_BYTES], head: &[u8], total_len: usize) -> Option<Self> {
        let [flags, gso, _, _, size_low, size_high, start_low, start_high, offset_low, offset_high] = *header;
        if flags & FLAG_NEEDS_CSUM == 0 {
            // Segmentation without checksums is forbidden (5.1.6.2); other flags mean nothing in this direction.
            return (gso == 0).then(Self::default);
        }
        let csum_start = u16::from_le_bytes([start_low, start_high]);
        let csum_offset = u16::from_le_bytes([offset_low, offset_high]);
        let size = u16::from_le_bytes([size_low, size_high]);
        Self::check(gso, size, csum_start, csum_offset, head, total_len)
    }

    fn check(
        gso: u8,
        segment_payload: u16,
        csum_start: u16,
        csum_offset: u16,
        head: &[u8],
        total_len: usize,
    ) -> Option<Self> {
        let ip = Ip::parse(head)?;
        let expected = match ip.protocol {
            frame::TCP => TCP_CHECKSUM_OFFSET,
            frame::UDP => UDP_CHECKSUM_OFFSET,
            _ => return None,
        };
        let start = usize::from(csum_start);
        if start != ip.payload_at
            || csum_offset != expected
            || start + usize::from(csum_offset) + 2 > total_len
        {
            return None;
        }
        let plain = Self { csum_start, csum_offset, ..Self::default() };
        let ipv6 = match gso & !GSO_ECN {
            0 if gso == 0 => return Some(plain),
            GSO_TCPV4 if ip.ether_type == EtherType::Ipv4 => false,
            GSO_TCPV6 if ip.ether_type == EtherType::Ipv6 => true,
            _ => return None,
        };
        // A lie about hdr_len costs nothing: it is not read. The TCP header says where the payload starts.
        let data_offset = usize::from(head.get(start + 12)? >> 4) * 4;
        let segment_header = start + data_offset;
        if ip.protocol != frame::TCP || data_offset < 20 || segment_header > head.len() {
            return None;
        }
        if segment_payload < MIN_SEGMENT_BYTES {
            return None;
        }
        // One segment or less to come: then there is nothing to cut.
        if total_len - segment_header.min(total_len) <= usize::from(segment_payload) {
            return (segment_header <= total_len).then_some(plain);
        }
        let segment_header = segment_header as u16;
        Some(Self { segment_payload, segment_header, ipv6, ecn: gso & GSO_ECN != 0, ..plain })
    }

    /// Nothing is left to do.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.csum_start == 0
    }

    /// Can a driver that accepted `features` take the frame as it is?
    #[inline]
    pub fn accepted_by(&self, features: u64) -> bool {
        if self.csum_start == 0 {
            return true;
        }
        let mut needed = feature::GUEST_CSUM;
        if self.segment_payload != 0 {
            needed |= if self.ipv6 { feature::GUEST_TSO6 } else { feature::GUEST_TSO4 };
            needed |= if self.ecn { feature::GUEST_ECN } else { 0 };
        }
        features & needed == needed
    }

    /// The header for the receiving driver, whose frame lies in `buffers` receive buffers.
    #[inline]
    pub fn to_header(self, buffers: u16) -> [u8; VNET_HEADER_BYTES] {
        let mut header = [0; VNET_HEADER_BYTES];
        if self.csum_start != 0 {
            header[0] = FLAG_NEEDS_CSUM;
            header[6..8].copy_from_slice(&self.csum_start.to_le_bytes());
            header[8..10].copy_from_slice(&self.csum_offset.to_le_bytes());
        }
        if self.segment_payload != 0 {
            header[1] = if self.ipv6 { GSO_TCPV6 } else { GSO_TCPV4 } | if self.ecn { GSO_ECN } else { 0 };
            header[2..4].copy_from_slice(&self.segment_header.to_le_bytes());
            header[4..6].copy_from_slice(&self.segment_payload.to_le_bytes());
        }
        header[10..].copy_from_slice(&buffers.to_le_bytes());
        header
    }
}

#[cfg(test)]
mod tests;
