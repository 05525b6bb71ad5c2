//! Expiry: flows that have been silent for too long are freed by netd, a slice of the table at a time.

use crate::flow::{FlowKey, Found, PHASE, READY, cut, is_closed, peer_of, ticks};
use crate::headers::{ACK, ICMP, SYN, TCP};
use crate::tables::{Tables, View};

/// Seconds of silence after which a flow ends.
pub mod timeout {
    /// TCP with both handshakes seen (RFC 5382 asks for at least 2 h 4 min).
    pub const TCP_ESTABLISHED_S: u32 = 24 * 3600;
    /// TCP that is opening (RFC 5382 asks for at least 4 min).
    pub const TCP_OPENING_S: u32 = 240;
    /// TCP after a reset or both FINs: for stragglers.
    pub const TCP_CLOSED_S: u32 = 10;
    /// ICMP queries (RFC 5508 asks for at least 60 s).
    pub const ICMP_S: u32 = 60;
    /// All else (RFC 4787 asks for at least 2 min).
    pub const OTHER_S: u32 = 180;
}

/// What one call of [`sweep`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Slots freed.
    pub expired: u32,
    /// Slots in use that were looked at and left.
    pub live: u32,
    /// Where the next call should start; 0 after the end of the table.
    pub next: u32,
}

/// Frees expired flows among `count` slots from slot `start` on, at most to the end of the table. For one thread;
/// the whole table should be seen about once a second. `now_ns` as in [`crate::from_guest`].
pub fn sweep(view: &View<'_>, start: u32, count: u32, now_ns: u64) -> Swept {
    let now = ticks(now_ns);
    let size = view.config.flow_mask.get().saturating_add(1);
    let end = start.saturating_add(count).min(size);
    let mut swept = Swept { next: if end >= size { 0 } else { end }, ..Swept::default() };
    for index in start..end {
        let Some(slot) = view.flow(index) else { break };
        let state = slot.state.acquire();
        if state & PHASE != READY {
            continue;
        }
        let found = Found { slot, index, state };
        if is_expired(view, &found, now) {
            swept.expired += cut(view, &found);
        } else {
            swept.live += 1;
        }
    }
    swept
}

/// Silence counts from the last packet of either direction. A slot whose peer is gone goes at once.
fn is_expired(view: &View<'_>, found: &Found<'_>, now: u32) -> bool {
    let Some(peer) = peer_of(view, found) else { return true };
    let silence = |slot: &crate::layout::FlowSlot| {
        let ticks = now.wrapping_sub(slot.last_seen.get());
        // The packet path may be ahead of this thread's clock.
        if ticks > u32::MAX / 2 { 0 } else { ticks }
    };
    let silent = silence(found.slot).min(silence(peer.slot));
    let limit_s = limit_s(FlowKey::of_slot(found.slot).protocol, found.slot.seen.get(), peer.slot.seen.get());
    u64::from(silent) << 20 >= u64::from(limit_s) * 1_000_000_000
}

fn limit_s(protocol: u8, seen: u32, peer_seen: u32) -> u32 {
    let both = seen & peer_seen;
    match protocol {
        TCP if is_closed(seen, peer_seen) => timeout::TCP_CLOSED_S,
        TCP if both & u32::from(SYN) != 0 && both & u32::from(ACK) != 0 => timeout::TCP_ESTABLISHED_S,
        TCP => timeout::TCP_OPENING_S,
        ICMP => timeout::ICMP_S,
        _ => timeout::OTHER_S,
    }
}

/// Ends every flow of the ports that `gone` names by index: their places may be given to others.
pub fn cut_ports(view: &View<'_>, gone: impl Fn(u32) -> bool) -> u32 {
    let live =
        view.flows.iter().zip(0..).map(|(slot, index)| Found { slot, index, state: slot.state.acquire() });
    let of_gone = live.filter(|found| {
        let zone = FlowKey::of_slot(found.slot).zone;
        found.state & PHASE == READY && (gone(zone) || gone(found.slot.destination.get()))
    });
    of_gone.map(|found| cut(view, &found)).sum()
}

/// Slots in use, of the whole table. Walks it: for status, not for every packet.
pub fn live_slots(view: &View<'_>) -> u32 {
    view.flows.iter().filter(|slot| slot.state.get() & PHASE == READY).count() as u32
}
