//! The two guests of the network benches, and the frames between them: every one tells its number, and is known whole.

use etherparse::PacketBuilder;

use crate::measure::Failure;

/// Bytes of a frame, without the check sequence that no virtual wire has.
pub const FRAME_BYTES: usize = 64;
/// A frame as it lies in a ring, behind its virtio-net header.
pub type Frame = [u8; FRAME_BYTES];

/// Connections that the frames of a run belong to, one after the other.
pub const FLOWS: usize = 64;
/// The UDP port that a rule of the security group allows.
pub const ALLOWED_PORT: u16 = 7000;
/// One that no rule allows.
pub const DENIED_PORT: u16 = 7001;
const FIRST_SOURCE_PORT: u16 = 40_000;

/// Bytes of Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 42;
/// UDP's checksum, which is optional in IPv4 (RFC 768) and left out, so that a frame can be numbered.
const CHECKSUM: std::ops::Range<usize> = 40..42;
/// Where a frame tells its number.
const NUMBER: std::ops::Range<usize> = 50..58;
/// What the rest of the payload is made of.
const FILLING: u8 = 0xa5;

/// An end of the wire.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    pub mac: [u8; 6],
    pub address: [u8; 4],
}

/// Who sends.
pub const ALICE: Guest = Guest { mac: [0xfa, 0x16, 0x3e, 0, 0, 0x0a], address: [10, 0, 0, 10] };
/// Who receives.
pub const BOB: Guest = Guest { mac: [0xfa, 0x16, 0x3e, 0, 0, 0x0b], address: [10, 0, 0, 11] };

/// A frame of each flow; numbers count up and so go through the flows in turn.
#[derive(Clone, Debug)]
pub struct Flows(Vec<Frame>);

impl Flows {
    /// From Alice to `port` of Bob.
    ///
    /// # Errors
    /// The frame has not [`FRAME_BYTES`].
    pub fn to_bob(port: u16) -> Result<Self, Failure> {
        (0..FLOWS as u16).map(|flow| frame(ALICE, FIRST_SOURCE_PORT + flow, BOB, port)).collect()
    }

    /// The answers to what was sent to [`ALLOWED_PORT`].
    ///
    /// # Errors
    /// As [`Flows::to_bob`].
    pub fn to_alice() -> Result<Self, Failure> {
        (0..FLOWS as u16).map(|flow| frame(BOB, ALLOWED_PORT, ALICE, FIRST_SOURCE_PORT + flow)).collect()
    }

    /// The frame with this number.
    #[inline]
    pub fn numbered(&self, number: u64) -> Frame {
        let mut frame = self.0[flow_of(number)];
        frame[NUMBER].copy_from_slice(&number.to_le_bytes());
        frame
    }

    /// The number of a frame of these flows; `None` when any byte of it is another.
    #[inline]
    pub fn number_of(&self, frame: &Frame) -> Option<u64> {
        let number = u64::from_le_bytes(frame[NUMBER].try_into().ok()?);
        (*frame == self.numbered(number)).then_some(number)
    }
}

impl FromIterator<Frame> for Flows {
    fn from_iter<I: IntoIterator<Item = Frame>>(frames: I) -> Self {
        Self(frames.into_iter().collect())
    }
}

/// Which flow a number belongs to.
#[inline]
pub fn flow_of(number: u64) -> usize {
    (number % FLOWS as u64) as usize
}

fn frame(from: Guest, from_port: u16, to: Guest, to_port: u16) -> Result<Frame, Failure> {
    let mut bytes = Vec::with_capacity(FRAME_BYTES);
    PacketBuilder::ethernet2(from.mac, to.mac)
        .ipv4(from.address, to.address, 64)
        .udp(from_port, to_port)
        .write(&mut bytes, &[FILLING; FRAME_BYTES - HEADERS])
        .map_err(|error| Failure::new(format!("a frame cannot be built: {error}")))?;
    let mut frame = Frame::try_from(bytes).map_err(|_| Failure::new("a frame of another length"))?;
    frame[CHECKSUM].fill(0);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED_PORT, DENIED_PORT, FRAME_BYTES, Flows};

    #[test]
    fn a_frame_is_known_only_whole() {
        let flows = Flows::to_bob(ALLOWED_PORT).unwrap();
        let frame = flows.numbered(1_000_000_007);
        assert_eq!(flows.number_of(&frame), Some(1_000_000_007));
        for byte in 0..FRAME_BYTES {
            let mut wrong = frame;
            wrong[byte] ^= 0x40;
            // Another number of the same flow is another frame; everything else is none.
            assert_ne!(flows.number_of(&wrong), Some(1_000_000_007), "byte {byte}");
        }
        assert_eq!(Flows::to_bob(DENIED_PORT).unwrap().number_of(&frame), None);
        assert_eq!(Flows::to_alice().unwrap().number_of(&frame), None);
    }
}
