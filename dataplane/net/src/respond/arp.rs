//! ARP (RFC 826), answered for every address that the flow tables know, so that no guest's broadcast reaches another.

use crate::frame::{ETHERNET_BYTES, ETHERTYPE_ARP, ethernet, field};

const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const BROADCAST: [u8; 6] = [0xff; 6];

/// An Ethernet/IPv4 ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    pub is_request: bool,
    pub sender_mac: [u8; 6],
    pub sender: [u8; 4],
    pub target: [u8; 4],
}

impl Arp {
    /// `None` for anything but a request or reply for IPv4 over Ethernet.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET_BYTES..)?;
        let fixed = field::<6>(packet, 0)?;
        let operation = u16::from_be_bytes(field(packet, 6)?);
        if fixed != [0, 1, 8, 0, 6, 4] || !matches!(operation, REQUEST | REPLY) {
            return None;
        }
        Some(Self {
            is_request: operation == REQUEST,
            sender_mac: field(packet, 8)?,
            sender: field(packet, 14)?,
            target: field(packet, 24)?,
        })
    }

    /// The answer to this request: `target` is at `mac`.
    pub fn answer(&self, mac: [u8; 6]) -> Vec<u8> {
        build(REPLY, self.sender_mac, (mac, self.target), (self.sender_mac, self.sender))
    }
}

/// A request for `target` from an address of ours; broadcast, or to the MAC that `target` had last.
pub fn request(own: ([u8; 6], [u8; 4]), target: [u8; 4], last_mac: Option<[u8; 6]>) -> Vec<u8> {
    build(REQUEST, last_mac.unwrap_or(BROADCAST), own, ([0; 6], target))
}

/// Tells everyone that an address is at a MAC (RFC 5227, 3: an announcement is a request for oneself).
pub fn announcement(own: ([u8; 6], [u8; 4])) -> Vec<u8> {
    build(REQUEST, BROADCAST, own, ([0; 6], own.1))
}

fn build(
    operation: u16,
    destination: [u8; 6],
    sender: ([u8; 6], [u8; 4]),
    target: ([u8; 6], [u8; 4]),
) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4];
    packet.extend_from_slice(&operation.to_be_bytes());
    packet.extend_from_slice(&sender.0);
    packet.extend_from_slice(&sender.1);
    packet.extend_from_slice(&target.0);
    packet.extend_from_slice(&target.1);
    ethernet(destination, sender.0, ETHERTYPE_ARP, &packet)
}
