//! Messages on the wire: a header of twelve bytes and a payload, all in the machine's byte order.

use crate::error::ProtocolError;

/// The longest payload, in bytes. The longest one in use is a memory table of eight regions (264 bytes).
pub const MAX_PAYLOAD_BYTES: u32 = 1024;

/// The most descriptors with one message: one for each region of a memory table.
pub const MAX_DESCRIPTORS: usize = 8;

/// The device configuration space that `GET_CONFIG` reaches, in bytes.
pub const MAX_CONFIG_BYTES: usize = 256;

pub(crate) const HEADER_BYTES: usize = 12;
const FLAG_VERSION_MASK: u32 = 0x3;
const VERSION: u32 = 1;
const FLAG_REPLY: u32 = 0x4;
const FLAG_NEED_REPLY: u32 = 0x8;

/// Frontend message types ("Front-end message types").
pub mod request {
    pub const GET_FEATURES: u32 = 1;
    pub const SET_FEATURES: u32 = 2;
    pub const SET_OWNER: u32 = 3;
    pub const RESET_OWNER: u32 = 4;
    pub const SET_MEM_TABLE: u32 = 5;
    pub const SET_VRING_NUM: u32 = 8;
    pub const SET_VRING_ADDR: u32 = 9;
    pub const SET_VRING_BASE: u32 = 10;
    pub const GET_VRING_BASE: u32 = 11;
    pub const SET_VRING_KICK: u32 = 12;
    pub const SET_VRING_CALL: u32 = 13;
    pub const SET_VRING_ERR: u32 = 14;
    pub const GET_PROTOCOL_FEATURES: u32 = 15;
    pub const SET_PROTOCOL_FEATURES: u32 = 16;
    pub const GET_QUEUE_NUM: u32 = 17;
    pub const SET_VRING_ENABLE: u32 = 18;
    pub const NET_SET_MTU: u32 = 20;
    pub const GET_CONFIG: u32 = 24;
    pub const SET_CONFIG: u32 = 25;
    pub const RESET_DEVICE: u32 = 34;
}

/// Bits of `GET_PROTOCOL_FEATURES`.
pub mod protocol_feature {
    /// More than one queue (or queue pair).
    pub const MQ: u64 = 1 << 0;
    /// A request may ask for an acknowledgement.
    pub const REPLY_ACK: u64 = 1 << 3;
    /// `NET_SET_MTU`.
    pub const MTU: u64 = 1 << 4;
    /// The backend serves the configuration space.
    pub const CONFIG: u64 = 1 << 9;
    /// `RESET_DEVICE`.
    pub const RESET_DEVICE: u64 = 1 << 13;
}

/// `VHOST_USER_F_PROTOCOL_FEATURES`, among the device features.
pub const F_PROTOCOL_FEATURES: u64 = 1 << 30;

/// In the payload of `SET_VRING_KICK`, `_CALL` and `_ERR`: no descriptor comes with it.
pub const VRING_NO_DESCRIPTOR: u64 = 0x100;

/// The fixed first part of a message.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub request: u32,
    pub flags: u32,
    /// Payload bytes.
    pub size: u32,
}

impl Header {
    /// A request from a frontend; `need_reply` asks for an acknowledgement (`REPLY_ACK`).
    pub fn for_request(request: u32, size: u32, need_reply: bool) -> Self {
        Self { request, size, flags: VERSION | if need_reply { FLAG_NEED_REPLY } else { 0 } }
    }

    /// The answer to `request`.
    pub fn for_reply(request: u32, size: u32) -> Self {
        Self { request, size, flags: VERSION | FLAG_REPLY }
    }

    pub fn wants_reply(self) -> bool {
        self.flags & FLAG_NEED_REPLY != 0
    }

    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&self.request.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.size.to_ne_bytes());
        bytes
    }

    /// # Errors
    /// Another protocol version, or a payload longer than any that exists.
    pub fn parse(bytes: [u8; HEADER_BYTES]) -> Result<Self, ProtocolError> {
        let mut fields = Fields(&bytes);
        let header = Self { request: fields.u32(), flags: fields.u32(), size: fields.u32() };
        let version = header.flags & FLAG_VERSION_MASK;
        if version != VERSION {
            return Err(ProtocolError::Version { version });
        }
        if header.size > MAX_PAYLOAD_BYTES {
            return Err(header.bad_size());
        }
        Ok(header)
    }

    pub(crate) fn bad_size(self) -> ProtocolError {
        ProtocolError::PayloadSize { request: self.request, size: self.size }
    }
}

/// Reads a payload field by field; what is missing reads as zero, so check the length first.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut field = [0; N];
        if let Some((head, rest)) = self.0.split_first_chunk::<N>() {
            field = *head;
            self.0 = rest;
        }
        field
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.take())
    }
}
