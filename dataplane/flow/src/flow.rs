//! Flows: found by key, opened in pairs, followed, checked again, cut.
//!
//! A slot is read without a lock: its state carries a phase and a sequence number, and a reader that finds them
//! changed after reading takes the slot for absent. Filling one: EMPTY is swapped for BUSY, the words are written,
//! READY is released. Two who open the same flow at once both fill a slot; each then looks its own key up, and
//! who does not find its own slot first withdraws.

use crate::checksum::{delta32, fold, update, update_partial};
use crate::headers::{
    ACK, ETH_DST, FIN, ICMP, ICMP_CHECKSUM, ICMP_ID, IP_CHECKSUM, IP_DST, IP_SRC, IP_TTL, Ipv4, L4, RST, SYN,
    TCP, TCP_CHECKSUM, Transport, UDP, UDP_CHECKSUM, UDP_LITE, swap_ports,
};
use crate::layout::{Address, FAMILY_IPV4, FLOW_PROBES, FlowSlot, UPLINK_ZONE};
use crate::lookup::{mix, read};
use crate::packet::Packet;
use crate::tables::Tables;
use crate::verdict::{DropReason, Event, Service, Verdict};
use crate::word::read_fence;

/// Phases, in the low bits of [`FlowSlot::state`].
pub const EMPTY: u32 = 0;
pub const BUSY: u32 = 1;
pub const READY: u32 = 2;
pub const PHASE: u32 = 3;
/// One step of the sequence number.
const STEP: u32 = 4;

/// Bits above the destination MAC of a slot.
pub const INITIATOR: u64 = 1 << 48;
/// Crosses a router: the TTL falls by one, the MTU of `src_mac`'s upper bits holds.
pub const ROUTED: u64 = 1 << 49;
/// Addresses or ports change.
pub const TRANSLATED: u64 = 1 << 50;
/// The translation is source NAT by port, not one to one.
pub const MASQUERADED: u64 = 1 << 51;

/// The MAC in a word whose upper bits hold something else.
pub const MAC: u64 = 0xffff_ffff_ffff;

/// Time in units of 2^20 ns (about a millisecond), wrapping after 52 days.
#[inline(always)]
pub const fn ticks(now_ns: u64) -> u32 {
    (now_ns >> 20) as u32
}

/// One direction of a connection as it arrives: where from, and what the headers say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowKey {
    pub src: Address,
    pub dst: Address,
    pub ports: u32,
    /// Port index or [`UPLINK_ZONE`].
    pub zone: u32,
    /// Source MAC when it comes from a guest, so that a spoofed one never matches; 0 from the uplink.
    pub mac: u64,
    pub protocol: u8,
}

impl FlowKey {
    /// The key of a parsed packet.
    #[inline(always)]
    pub fn of(ip: &Ipv4, zone: u32, mac: u64) -> Self {
        Self {
            src: [0, u64::from(ip.src)],
            dst: [0, u64::from(ip.dst)],
            ports: ip.ports,
            zone,
            mac,
            protocol: ip.protocol,
        }
    }

    #[inline(always)]
    fn words(&self) -> [u64; 6] {
        let [a, b] = self.src;
        let [c, d] = self.dst;
        let tail = self.mac | u64::from(self.protocol) << 48 | (FAMILY_IPV4 as u64) << 56;
        [a, b, c, d, u64::from(self.ports) | u64::from(self.zone) << 32, tail]
    }

    /// The key that a slot holds.
    #[inline(always)]
    pub fn of_slot(slot: &FlowSlot) -> Self {
        let [a, b, c, d, ports_zone, tail] = &slot.key;
        let (ports_zone, tail) = (ports_zone.get(), tail.get());
        Self {
            src: [a.get(), b.get()],
            dst: [c.get(), d.get()],
            ports: ports_zone as u32,
            zone: (ports_zone >> 32) as u32,
            mac: tail & MAC,
            protocol: (tail >> 48) as u8,
        }
    }

    /// A keyed hash; the upper half of an address is zero until IPv6 comes.
    #[inline(always)]
    fn hash(words: &[u64; 6], seed: u64) -> u32 {
        let [_, src, _, dst, ports_zone, tail] = *words;
        (mix(mix(mix(seed, src | dst << 32), ports_zone), tail) >> 16) as u32
    }
}

/// What becomes of the packets of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// Destination MAC and `INITIATOR`, `ROUTED`, ... bits.
    pub dst_mac: u64,
    /// Source MAC; above it, when routed, the MTU in bytes.
    pub src_mac: u64,
    pub src: Address,
    pub dst: Address,
    pub ports: u32,
    /// Port index or [`UPLINK_ZONE`].
    pub destination: u32,
    pub deltas: u32,
}

impl Action {
    #[inline(always)]
    fn of_slot(slot: &FlowSlot) -> Self {
        Self {
            dst_mac: slot.dst_mac.get(),
            src_mac: slot.src_mac.get(),
            src: read(&slot.src),
            dst: read(&slot.dst),
            ports: slot.ports.get(),
            destination: slot.destination.get(),
            deltas: slot.deltas.get(),
        }
    }

    /// Fills in what follows from the addresses and ports before (`key`) and after.
    #[inline(always)]
    #[must_use]
    pub fn completed(mut self, key: &FlowKey) -> Self {
        let addresses =
            delta32(key.src[1] as u32, self.src[1] as u32) + delta32(key.dst[1] as u32, self.dst[1] as u32);
        let ports = delta32(key.ports, self.ports);
        // ICMP and its relatives have no pseudo-header: only the identifier counts.
        let l4 = if key.protocol == ICMP { ports } else { u32::from(fold(addresses)) + ports };
        self.deltas = u32::from(fold(addresses)) | u32::from(fold(l4)) << 16;
        if key.src != self.src || key.dst != self.dst || key.ports != self.ports {
            self.dst_mac |= TRANSLATED;
        }
        self
    }

    /// The MTU of the far side of the router that the flow crosses, in bytes.
    #[inline(always)]
    const fn mtu(&self) -> u16 {
        (self.src_mac >> 48) as u16
    }

    /// May the packet cross the router as it is, if the flow crosses one?
    #[inline(always)]
    fn carries<P: Packet>(&self, packet: &P, ip: &Ipv4) -> bool {
        self.dst_mac & ROUTED == 0 || (ip.ttl > 1 && packet.ip_len_on_wire() <= u32::from(self.mtu()))
    }
}

/// A slot that was found, and the state that it had then.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    pub slot: &'a FlowSlot,
    pub index: u32,
    pub state: u32,
}

#[inline(always)]
fn home<T: Tables>(tables: &T, words: &[u64; 6]) -> Option<(u32, u32)> {
    let config = tables.config()?;
    Some((FlowKey::hash(words, config.flow_seed.get()), config.flow_mask.get()))
}

#[inline(always)]
fn has_key(slot: &FlowSlot, words: &[u64; 6]) -> bool {
    let [a, b, c, d, e, f] = &slot.key;
    let [u, v, w, x, y, z] = *words;
    let low = (e.get() ^ y) | (b.get() ^ v) | (d.get() ^ x) | (f.get() ^ z);
    (low | (a.get() ^ u) | (c.get() ^ w)) == 0
}

/// The live slot with this key.
#[inline(always)]
pub fn find<'a, T: Tables>(tables: &'a T, key: &FlowKey) -> Option<Found<'a>> {
    let words = key.words();
    let (home, mask) = home(tables, &words)?;
    for step in 0..FLOW_PROBES {
        let index = home.wrapping_add(step) & mask;
        let slot = tables.flow(index)?;
        let state = slot.state.acquire();
        if state & PHASE == READY && has_key(slot, &words) {
            return Some(Found { slot, index, state });
        }
    }
    None
}

/// Takes a free slot near the key's home.
#[inline(always)]
fn claim<'a, T: Tables>(tables: &'a T, words: &[u64; 6]) -> Option<Found<'a>> {
    let (home, mask) = home(tables, words)?;
    for step in 0..FLOW_PROBES {
        let index = home.wrapping_add(step) & mask;
        let slot = tables.flow(index)?;
        let free = slot.state.get();
        if free & PHASE == EMPTY {
            let state = free.wrapping_add(STEP) | BUSY;
            if slot.state.swap_if(free, state) {
                return Some(Found { slot, index, state });
            }
        }
    }
    None
}

#[inline(always)]
fn give_back(claimed: &Found<'_>) {
    claimed.slot.state.release(claimed.state & !PHASE);
}

#[inline(always)]
fn fill(place: &Found<'_>, words: &[u64; 6], action: &Action, generation: u32, peer: u32, now: u32) {
    let slot = place.slot;
    for (to, &from) in slot.key.iter().zip(words) {
        to.set(from);
    }
    slot.generation.set(generation);
    slot.last_seen.set(now);
    slot.seen.set(0);
    slot.dst_mac.set(action.dst_mac);
    slot.src_mac.set(action.src_mac);
    set_address(&slot.src, action.src);
    set_address(&slot.dst, action.dst);
    slot.ports.set(action.ports);
    slot.destination.set(action.destination);
    slot.peer.set(peer);
    slot.deltas.set(action.deltas);
    slot.state.release((place.state & !PHASE) | READY);
}

#[inline(always)]
fn set_address(words: &[crate::word::Word64; 2], address: Address) {
    words[0].set(address[0]);
    words[1].set(address[1]);
}

/// A connection to be opened: the direction of its first packet, and the answer's.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub key: FlowKey,
    pub action: Action,
    pub reply_key: FlowKey,
    pub reply_action: Action,
}

/// Opens both directions. Gives the slot of the first packet's direction.
#[inline(always)]
pub fn open<'a, T: Tables>(
    tables: &'a T,
    pair: &Pair,
    quota: u32,
    generation: u32,
    now: u32,
) -> Result<Found<'a>, DropReason> {
    let owner = owner(pair.key.zone, pair.action.destination);
    let Some(state) = tables.port_state(owner) else { return Err(DropReason::PortDown) };
    if state.flows.fetch_add(2).wrapping_add(2) > quota {
        state.flows.fetch_add(2u32.wrapping_neg());
        return Err(DropReason::FlowQuota);
    }
    let opened = open_slots(tables, pair, generation, now);
    match opened {
        Ok(_) => tables.count(Event::FlowOpened),
        Err(_) => {
            state.flows.fetch_add(2u32.wrapping_neg());
        }
    }
    opened
}

/// The port that a connection counts against: the guest that opened it or, from the uplink, that receives it.
#[inline(always)]
const fn owner(zone: u32, destination: u32) -> u32 {
    if zone == UPLINK_ZONE { destination } else { zone }
}

#[inline(always)]
fn open_slots<'a, T: Tables>(
    tables: &'a T,
    pair: &Pair,
    generation: u32,
    now: u32,
) -> Result<Found<'a>, DropReason> {
    let words = pair.key.words();
    let reply_words = pair.reply_key.words();
    let Some(first) = claim(tables, &words) else { return Err(DropReason::FlowTableFull) };
    let Some(reply) = claim(tables, &reply_words) else {
        give_back(&first);
        return Err(DropReason::FlowTableFull);
    };
    fill(&reply, &reply_words, &pair.reply_action, generation, first.index, now);
    fill(&first, &words, &pair.action, generation, reply.index, now);
    let ours = Found { state: (first.state & !PHASE) | READY, ..first };
    // Somebody else may have opened the same flow, or taken the same translated port, in the meantime.
    let found = find(tables, &pair.key).map(|found| found.index);
    let found_reply = find(tables, &pair.reply_key).map(|found| found.index);
    if found == Some(first.index) && found_reply == Some(reply.index) {
        return Ok(ours);
    }
    give_back(&first);
    give_back(&reply);
    Err(DropReason::FlowTableFull)
}

/// Frees a slot if it still is what was found. True when this call did it.
#[inline(always)]
fn free<T: Tables>(tables: &T, slot: &FlowSlot, state: u32) -> bool {
    let (zone, destination) = (FlowKey::of_slot(slot).zone, slot.destination.get());
    let opened_here = slot.dst_mac.get() & INITIATOR != 0;
    if state & PHASE != READY || !slot.state.swap_if(state, state & !PHASE) {
        return false;
    }
    let owner = if opened_here { owner(zone, destination) } else { owner(destination, zone) };
    if let Some(state) = tables.port_state(owner) {
        state.flows.fetch_add(1u32.wrapping_neg());
    }
    true
}

/// Frees both directions of a connection. The number of slots freed.
#[inline(always)]
pub fn cut<T: Tables>(tables: &T, found: &Found<'_>) -> u32 {
    let peer = peer_of(tables, found);
    let mut freed = u32::from(free(tables, found.slot, found.state));
    if let Some(peer) = peer {
        freed += u32::from(free(tables, peer.slot, peer.state));
    }
    freed
}

/// The other direction's slot, when it still is that.
#[inline(always)]
pub fn peer_of<'a, T: Tables>(tables: &'a T, found: &Found<'_>) -> Option<Found<'a>> {
    let index = found.slot.peer.get();
    let slot = tables.flow(index)?;
    let state = slot.state.acquire();
    let back = slot.peer.get() == found.index && state & PHASE == READY;
    back.then_some(Found { slot, index, state })
}

/// True when the connection has ended: a reset, or both ends have finished.
#[inline(always)]
pub const fn is_closed(seen: u32, peer_seen: u32) -> bool {
    let (fin, rst) = (FIN as u32, RST as u32);
    (seen | peer_seen) & rst != 0 || seen & peer_seen & fin != 0
}

/// Notes a packet's TCP flags. False when the packet may not belong to the flow it matches: an opening SYN
/// against the direction in which the flow was opened.
#[inline(always)]
pub fn note_tcp<T: Tables>(tables: &T, found: &Found<'_>, flags: u8) -> bool {
    let slot = found.slot;
    let seen = slot.seen.get();
    if flags & (SYN | ACK) == SYN {
        if slot.dst_mac.get() & INITIATOR == 0 {
            return false;
        }
        let peer = peer_of(tables, found);
        let peer_seen = peer.map_or(0, |peer| peer.slot.seen.get());
        if is_closed(seen, peer_seen) {
            // The same ports again: a new connection in the old one's slots.
            slot.seen.set(u32::from(SYN));
            if let Some(peer) = peer {
                peer.slot.seen.set(0);
            }
            return true;
        }
    }
    let now_seen = seen | u32::from(flags & (FIN | SYN | RST | ACK));
    if now_seen != seen {
        slot.seen.set(now_seen);
    }
    true
}

/// True when the flow has seen all of these flags, and they neither open nor end a connection.
#[inline(always)]
pub fn is_noted(found: &Found<'_>, flags: u8) -> bool {
    flags & (FIN | SYN | RST) == 0 && found.slot.seen.get() & u32::from(ACK) != 0
}

/// The flow's action, and notes that a packet came. `None` when the slot changed hands meanwhile.
#[inline(always)]
fn action_of(found: &Found<'_>, now: u32) -> Option<Action> {
    let action = Action::of_slot(found.slot);
    read_fence();
    if found.slot.state.get() != found.state {
        return None;
    }
    if found.slot.last_seen.get() != now {
        found.slot.last_seen.set(now);
    }
    Some(action)
}

/// Applies a flow's action to its packet. `None` when the slot changed hands meanwhile.
#[inline(always)]
pub fn follow<P: Packet>(found: &Found<'_>, packet: &mut P, ip: &Ipv4, now: u32) -> Option<Verdict> {
    Some(apply(&action_of(found, now)?, packet, ip))
}

/// As [`follow`], for a packet that can simply be passed on: its destination. `None` for any other, which is left as it
/// was.
#[inline(always)]
pub fn pass<P: Packet>(found: &Found<'_>, packet: &mut P, ip: &Ipv4, now: u32) -> Option<u32> {
    let action = action_of(found, now).filter(|action| action.carries(packet, ip))?;
    rewrite(&action, packet, ip).then_some(action.destination)
}

/// Rewrites the packet as the action says, if a router on its way has nothing against it.
#[inline(always)]
pub fn apply<P: Packet>(action: &Action, packet: &mut P, ip: &Ipv4) -> Verdict {
    if !action.carries(packet, ip) {
        let service = if ip.ttl <= 1 { Service::TimeExceeded } else { Service::TooBig { mtu: action.mtu() } };
        return Verdict::Respond(service);
    }
    if rewrite(action, packet, ip) {
        Verdict::to(action.destination)
    } else {
        Verdict::Drop(DropReason::Truncated)
    }
}

/// False when the packet ends before a field that has to change, which none that was parsed does.
#[inline(always)]
fn rewrite<P: Packet>(action: &Action, packet: &mut P, ip: &Ipv4) -> bool {
    let flags = action.dst_mac;
    write_macs(action, packet)
        && (flags & (ROUTED | TRANSLATED) == 0 || write_ip(action, packet, ip))
        && (flags & TRANSLATED == 0 || write_transport(action, packet, ip))
}

#[inline(always)]
pub fn write_macs<P: Packet>(action: &Action, packet: &mut P) -> bool {
    let [a, b, c, d, e, f, ..] = action.dst_mac.to_le_bytes();
    let [g, h, i, j, k, l, ..] = action.src_mac.to_le_bytes();
    packet.store(ETH_DST, [a, b, c, d, e, f, g, h, i, j, k, l])
}

#[inline(always)]
pub fn write_ip<P: Packet>(action: &Action, packet: &mut P, ip: &Ipv4) -> bool {
    let Some(field) = packet.load::<2>(IP_CHECKSUM) else { return false };
    let mut delta = action.deltas & 0xffff;
    let mut ttl = ip.ttl;
    if action.dst_mac & ROUTED != 0 {
        ttl = ttl.wrapping_sub(1);
        let before = u16::from_ne_bytes([ip.ttl, ip.protocol]);
        let after = u16::from_ne_bytes([ttl, ip.protocol]);
        delta += u32::from(!before) + u32::from(after);
    }
    let checksum = update(u16::from_ne_bytes(field), fold(delta));
    packet.store(IP_TTL, [ttl])
        && packet.store(IP_CHECKSUM, checksum.to_ne_bytes())
        && packet.store(IP_SRC, (action.src[1] as u32).to_ne_bytes())
        && packet.store(IP_DST, (action.dst[1] as u32).to_ne_bytes())
}

#[inline(always)]
fn write_transport<P: Packet>(action: &Action, packet: &mut P, ip: &Ipv4) -> bool {
    let [a, b, c, d] = action.ports.to_ne_bytes();
    match (ip.protocol, ip.transport) {
        (TCP, _) => packet.store(L4, [a, b, c, d]) && write_checksum(action, packet, TCP_CHECKSUM, false),
        (UDP, _) => packet.store(L4, [a, b, c, d]) && write_checksum(action, packet, UDP_CHECKSUM, true),
        (UDP_LITE, _) => {
            packet.store(L4, [a, b, c, d]) && write_checksum(action, packet, UDP_CHECKSUM, false)
        }
        (ICMP, Transport::EchoRequest) => {
            packet.store(ICMP_ID, [a, b]) && write_checksum(action, packet, ICMP_CHECKSUM, false)
        }
        (ICMP, Transport::EchoReply) => {
            packet.store(ICMP_ID, [c, d]) && write_checksum(action, packet, ICMP_CHECKSUM, false)
        }
        // Nothing in them depends on the addresses (SCTP's CRC32c has no pseudo-header), and ports do not change.
        _ => true,
    }
}

/// `optional`: a zero field means that there is no checksum (UDP, RFC 768).
#[inline(always)]
fn write_checksum<P: Packet>(action: &Action, packet: &mut P, offset: usize, optional: bool) -> bool {
    let Some(field) = packet.load::<2>(offset) else { return false };
    let field = u16::from_ne_bytes(field);
    let (addresses, all) = (action.deltas as u16, (action.deltas >> 16) as u16);
    if packet.partial_checksum() && offset != ICMP_CHECKSUM {
        return packet.store(offset, update_partial(field, addresses).to_ne_bytes());
    }
    if optional && field == 0 {
        return true;
    }
    let updated = update(field, all);
    let updated = if optional && updated == 0 { 0xffff } else { updated };
    packet.store(offset, updated.to_ne_bytes())
}

/// The key of the answers to a flow whose action is `action`.
#[inline(always)]
pub const fn reply_key(action: &Action, protocol: u8) -> FlowKey {
    FlowKey {
        src: action.dst,
        dst: action.src,
        ports: swap_ports(action.ports),
        zone: action.destination,
        mac: if action.destination == UPLINK_ZONE { 0 } else { action.dst_mac & MAC },
        protocol,
    }
}
