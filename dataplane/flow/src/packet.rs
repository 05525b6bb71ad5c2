//! Checked access to the head of one frame.

/// Header bytes that the engine may look at or rewrite: Ethernet, IPv4, and an ICMP error with the head of the
/// packet it quotes (14 + 20 + 8 + 20 + 8), rounded up to two cache lines.
pub const HEADER_BYTES: usize = 128;

/// One frame, from its destination MAC on. Every access is checked; none may panic.
pub trait Packet {
    /// Length of the whole frame in bytes, payload included.
    fn len(&self) -> u32;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `N` bytes at `offset`; `None` beyond the frame or beyond what this home may read.
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// Writes `N` bytes at `offset`; false, and nothing written, where `load` would give `None`.
    fn store<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) -> bool;

    /// True when the transport checksum holds only the pseudo-header's sum and the receiver or the NIC is to
    /// complete it (virtio's `VIRTIO_NET_HDR_F_NEEDS_CSUM`).
    fn partial_checksum(&self) -> bool {
        false
    }

    /// Length in bytes of the largest IP packet that leaves after segmentation: for a segmentation-offload frame
    /// the headers plus one segment, otherwise the frame without its Ethernet header.
    fn ip_len_on_wire(&self) -> u32 {
        self.len().saturating_sub(14)
    }
}

/// A private copy of a frame's head, so that a guest cannot change it between check and use.
pub struct Header<'a> {
    /// The head: `min(total_len, HEADER_BYTES)` bytes.
    pub bytes: &'a mut [u8],
    /// Length of the whole frame in bytes.
    pub total_len: u32,
    /// See [`Packet::partial_checksum`].
    pub partial_checksum: bool,
    /// Bytes of payload in one segment when the frame is a segmentation-offload one, else 0.
    pub segment_payload: u16,
    /// Bytes before the payload (Ethernet to transport header) of a segmentation-offload frame, else 0.
    pub segment_header: u16,
}

impl<'a> Header<'a> {
    /// A frame without offloads, whose head is `bytes`.
    pub fn plain(bytes: &'a mut [u8], total_len: u32) -> Self {
        Self { bytes, total_len, partial_checksum: false, segment_payload: 0, segment_header: 0 }
    }
}

impl Packet for Header<'_> {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.total_len
    }

    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk::<N>().copied()
    }

    #[inline(always)]
    fn store<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) -> bool {
        let Some(place) = self.bytes.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<N>()) else {
            return false;
        };
        *place = bytes;
        true
    }

    #[inline(always)]
    fn partial_checksum(&self) -> bool {
        self.partial_checksum
    }

    #[inline(always)]
    fn ip_len_on_wire(&self) -> u32 {
        if self.segment_payload == 0 {
            return self.total_len.saturating_sub(14);
        }
        u32::from(self.segment_header).saturating_sub(14) + u32::from(self.segment_payload)
    }
}
