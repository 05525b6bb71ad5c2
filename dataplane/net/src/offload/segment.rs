//! Completing checksums and cutting TCP segments in private memory.

use super::Offload;
use crate::frame::{ETHERNET_BYTES, checksum, fold, sum};

const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

/// Does what `offload` asks for on `frame` and hands out the frames that result: the frame itself with its checksum
/// completed, or its segments, each a head and a piece of payload.
pub fn finish(frame: &mut [u8], offload: &Offload, mut emit: impl FnMut(&[u8], &[u8])) {
    if offload.segment_payload == 0 {
        if offload.csum_start != 0 {
            complete_checksum(frame, offload);
        }
        return emit(frame, &[]);
    }
    let (head, payload) = frame.split_at_mut(usize::from(offload.segment_header).min(frame.len()));
    let transport = usize::from(offload.csum_start);
    let (Some(sequence), Some(&flags)) =
        (crate::frame::field::<4>(head, transport + 4).map(u32::from_be_bytes), head.get(transport + 13))
    else {
        return;
    };
    let identification = crate::frame::field::<2>(head, ETHERNET_BYTES + 4).map_or(0, u16::from_be_bytes);
    let pieces = payload.chunks(usize::from(offload.segment_payload));
    let last = pieces.len().saturating_sub(1);
    let mut at = 0u32;
    for (number, piece) in pieces.enumerate() {
        let mut segment_flags = flags;
        if number != last {
            segment_flags &= !(TCP_FIN | TCP_PSH);
        }
        if number != 0 {
            segment_flags &= !TCP_CWR;
        }
        head[transport + 4..transport + 8].copy_from_slice(&sequence.wrapping_add(at).to_be_bytes());
        head[transport + 13] = segment_flags;
        write_ip(head, offload, piece.len(), identification.wrapping_add(number as u16));
        write_tcp_checksum(head, offload, piece);
        emit(head, piece);
        at = at.wrapping_add(piece.len() as u32);
    }
}

/// The field holds the pseudo-header's sum: the checksum is the sum over everything from `csum_start` on.
fn complete_checksum(frame: &mut [u8], offload: &Offload) {
    let (start, field) =
        (usize::from(offload.csum_start), usize::from(offload.csum_start + offload.csum_offset));
    let Some(covered) = frame.get(start..) else { return };
    let value = match !fold(sum(covered, 0)) {
        // Only UDP tells zero from all ones, and to TCP they are the same.
        0 => 0xffff,
        value => value,
    };
    if let Some(place) = frame.get_mut(field..field + 2) {
        place.copy_from_slice(&value.to_ne_bytes());
    }
}

/// Length, identification and header checksum of the IP header.
fn write_ip(head: &mut [u8], offload: &Offload, payload: usize, identification: u16) {
    let transport = usize::from(offload.csum_start);
    if offload.ipv6 {
        let len = (head.len() - transport + payload) as u16;
        head[ETHERNET_BYTES + 4..ETHERNET_BYTES + 6].copy_from_slice(&len.to_be_bytes());
        return;
    }
    let len = (head.len() - ETHERNET_BYTES + payload) as u16;
    let ip = &mut head[ETHERNET_BYTES..transport];
    ip[2..4].copy_from_slice(&len.to_be_bytes());
    ip[4..6].copy_from_slice(&identification.to_be_bytes());
    ip[10..12].fill(0);
    let field = checksum(ip);
    ip[10..12].copy_from_slice(&field);
}

fn write_tcp_checksum(head: &mut [u8], offload: &Offload, piece: &[u8]) {
    let transport = usize::from(offload.csum_start);
    let field = transport + usize::from(offload.csum_offset);
    head[field..field + 2].fill(0);
    let addresses = if offload.ipv6 { ETHERNET_BYTES + 8 } else { ETHERNET_BYTES + 12 };
    let addresses_end = if offload.ipv6 { ETHERNET_BYTES + 40 } else { ETHERNET_BYTES + 20 };
    let tcp_len = (head.len() - transport + piece.len()) as u16;
    let [high, low] = tcp_len.to_be_bytes();
    let pseudo = sum(&[0, crate::frame::TCP, high, low], sum(&head[addresses..addresses_end], 0));
    let total = sum(piece, sum(&head[transport..], pseudo));
    head[field..field + 2].copy_from_slice(&(!fold(total)).to_ne_bytes());
}
