//! Flows after a change of policy: found allowed again and kept, or cut.

use crate::flow::{Action, FlowKey, Found, MAC, MASQUERADED, Pair, cut, peer_of};
use crate::guest;
use crate::layout::UPLINK_ZONE;
use crate::lookup::read;
use crate::tables::Tables;
use crate::uplink;
use crate::verdict::{DropReason, Event, Service, Verdict};

/// Compares a flow (its opening direction) with what the policy says now. True: both directions carry on, in the
/// new generation and with the present MACs. False: it was cut.
#[inline(always)]
pub fn renew<T: Tables>(tables: &T, stale: &Found<'_>, now: &Pair, generation: u32) -> bool {
    let slot = stale.slot;
    let peer = peer_of(tables, stale);
    if let Some(peer) = peer
        && is_same(slot, &now.action)
    {
        slot.dst_mac.set(now.action.dst_mac);
        slot.src_mac.set(now.action.src_mac);
        peer.slot.dst_mac.set(now.reply_action.dst_mac);
        peer.slot.src_mac.set(now.reply_action.src_mac);
        peer.slot.generation.set(generation);
        slot.generation.set(generation);
        tables.count(Event::FlowRechecked);
        return true;
    }
    cut(tables, stale);
    tables.count(Event::FlowCut);
    false
}

/// True when the packet would be sent to the same place under the same name.
#[inline(always)]
fn is_same(slot: &crate::layout::FlowSlot, now: &Action) -> bool {
    let masqueraded = now.dst_mac & MASQUERADED != 0;
    let kept = if masqueraded { 0xffff_0000 } else { u32::MAX };
    slot.destination.get() == now.destination
        && (slot.dst_mac.get() ^ now.dst_mac) & MASQUERADED == 0
        && (slot.ports.get() ^ now.ports) & kept == 0
        && read(&slot.src) == now.src
        && read(&slot.dst) == now.dst
}

/// Checks a flow again from the answering direction's slot.
pub fn reply<T: Tables>(tables: &T, found: &Found<'_>, generation: u32) -> Result<(), Verdict> {
    let Some(opener) = peer_of(tables, found) else {
        cut(tables, found);
        return Err(Verdict::Drop(DropReason::NotSyn));
    };
    let key = FlowKey::of_slot(opener.slot);
    // The answer comes back from where the opener sent it: its router's or its neighbour's MAC.
    let resolved = if key.zone == UPLINK_ZONE {
        uplink::resolve(tables, &key, found.slot.dst_mac.get() & MAC, generation)
    } else {
        guest::resolve(tables, &key, found.slot.src_mac.get() & MAC, generation)
    };
    match resolved {
        Ok(resolved) if renew(tables, &opener, &resolved.pair, generation) => Ok(()),
        Ok(_) => Err(Verdict::Drop(DropReason::NotSyn)),
        // The way out is not known at the moment: no reason to end what goes on.
        Err(Verdict::Respond(Service::Neighbour { .. })) => Ok(()),
        Err(verdict) => {
            cut(tables, &opener);
            tables.count(Event::FlowCut);
            Err(verdict)
        }
    }
}
