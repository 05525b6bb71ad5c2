//! ICMP errors: passed on only when they quote a packet of a live flow, and translated as that flow is.

use crate::checksum::{delta32, fold, update};
use crate::flow::{Action, FlowKey, ROUTED, TRANSLATED, find, write_ip, write_macs};
use crate::headers::{ICMP, ICMP_CHECKSUM, IP_LEN, Ipv4, QUOTED, SCTP, TCP, UDP, UDP_LITE, swap_ports};
use crate::layout::UPLINK_ZONE;
use crate::lookup::read;
use crate::packet::Packet;
use crate::tables::Tables;
use crate::verdict::{DropReason, Verdict};

const QUOTED_CHECKSUM: usize = QUOTED + 10;
const QUOTED_SRC: usize = QUOTED + 12;
const QUOTED_L4: usize = QUOTED + IP_LEN;

/// The head of the quoted packet.
struct Quoted {
    src: u32,
    dst: u32,
    protocol: u8,
    /// As in [`Ipv4::ports`].
    ports: u32,
}

fn quoted<P: Packet>(packet: &P) -> Option<Quoted> {
    let [version, _, _, _, _, _, fragment, _, _, protocol, _, _, a, b, c, d, e, f, g, h] =
        packet.load::<IP_LEN>(QUOTED)?;
    if version != 0x45 || fragment & 0x1f != 0 {
        return None;
    }
    let [i, j, k, l, m, n, _, _] = packet.load::<8>(QUOTED_L4)?;
    let ports = match protocol {
        TCP | UDP | UDP_LITE | SCTP => u32::from_ne_bytes([i, j, k, l]),
        // Only requests are quoted of what we sent out; a quoted reply goes the other way round.
        ICMP if i == 8 => u32::from_ne_bytes([m, n, 0, 0]),
        ICMP if i == 0 => u32::from_ne_bytes([0, 0, m, n]),
        ICMP => return None,
        _ => 0,
    };
    let (src, dst) = (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]));
    Some(Quoted { src, dst, protocol, ports })
}

/// Passes an ICMP error on from `zone` (sent by `mac` when that is a guest).
pub fn relay<T: Tables, P: Packet>(
    tables: &T,
    packet: &mut P,
    ip: &Ipv4,
    zone: u32,
    mac: u64,
    generation: u32,
) -> Verdict {
    let unrelated = Verdict::Drop(DropReason::UnrelatedError);
    let Some(quoted) = quoted(packet) else { return unrelated };
    // The quoted packet went to `zone`; what answers it would have this key.
    let key = FlowKey {
        src: [0, u64::from(quoted.dst)],
        dst: [0, u64::from(quoted.src)],
        ports: swap_ports(quoted.ports),
        zone,
        mac,
        protocol: quoted.protocol,
    };
    let Some(found) = find(tables, &key) else { return unrelated };
    if found.slot.generation.get() != generation || quoted.src != ip.dst {
        return unrelated;
    }
    let slot = found.slot;
    // From a guest the reporter is the guest itself; from outside, any router on the way.
    let reporter = if ip.src == quoted.dst { slot.src[1].get() as u32 } else { ip.src };
    if zone != UPLINK_ZONE && ip.src != quoted.dst {
        return unrelated;
    }
    let inner = Action {
        dst_mac: slot.dst_mac.get(),
        src_mac: slot.src_mac.get(),
        src: read(&slot.src),
        dst: read(&slot.dst),
        ports: slot.ports.get(),
        destination: slot.destination.get(),
        deltas: 0,
    };
    if inner.dst_mac & ROUTED != 0 && ip.ttl <= 1 {
        return Verdict::Drop(DropReason::NoRoute);
    }
    let outer_key = FlowKey { src: [0, u64::from(ip.src)], dst: key.dst, ports: 0, protocol: ICMP, ..key };
    let outer = Action { src: [0, u64::from(reporter)], ports: 0, ..inner }.completed(&outer_key);
    let written = write_quoted(packet, &inner, &quoted)
        && write_macs(&outer, packet)
        && (outer.dst_mac & (ROUTED | TRANSLATED) == 0 || write_ip(&outer, packet, ip));
    if written { Verdict::to(inner.destination) } else { unrelated }
}

/// Translates the quoted packet back: it names what the receiver of the error once sent.
fn write_quoted<P: Packet>(packet: &mut P, answer: &Action, quoted: &Quoted) -> bool {
    let (src, dst) = (answer.dst[1] as u32, answer.src[1] as u32);
    let Some(field) = packet.load::<2>(QUOTED_CHECKSUM) else { return false };
    let addresses = fold(delta32(quoted.src, src) + delta32(quoted.dst, dst));
    let [a, b, c, d] = src.to_ne_bytes();
    let [e, f, g, h] = dst.to_ne_bytes();
    // The quoted header's own checksum absorbs its changes, so the sum over the message stays as it is.
    let written = packet.store(QUOTED_CHECKSUM, update(u16::from_ne_bytes(field), addresses).to_ne_bytes())
        && packet.store(QUOTED_SRC, [a, b, c, d, e, f, g, h]);
    let ports = swap_ports(answer.ports);
    if !written || ports == quoted.ports {
        return written;
    }
    let Some(field) = packet.load::<2>(ICMP_CHECKSUM) else { return false };
    let checksum = update(u16::from_ne_bytes(field), fold(delta32(quoted.ports, ports)));
    let [i, j, k, l] = ports.to_ne_bytes();
    let stored = match quoted.protocol {
        ICMP if quoted.ports >> 16 == 0 => packet.store(QUOTED_L4 + 4, [i, j]),
        ICMP => packet.store(QUOTED_L4 + 4, [k, l]),
        _ => packet.store(QUOTED_L4, [i, j, k, l]),
    };
    stored && packet.store(ICMP_CHECKSUM, checksum.to_ne_bytes())
}
