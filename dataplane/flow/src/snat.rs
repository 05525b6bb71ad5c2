//! Source NAT by port: many guests behind their router's gateway address.
//!
//! A port is free when no flow has its answer's key; so each remote address and port has the whole range.

use crate::flow::{FlowKey, Found, Pair, find, open as open_pair, reply_key};
use crate::headers::{ICMP, TCP, UDP};
use crate::lookup::mix;
use crate::tables::Tables;
use crate::verdict::DropReason;

/// Ports tried for one connection before the guest is refused.
const TRIES: u32 = 64;
/// Ports below are left to services (RFC 6335: system ports).
const FIRST_PORT: u16 = 1024;

/// Opens a connection whose source port (or echo identifier) is still to be chosen: the guest's own when free.
pub fn open<'a, T: Tables>(
    tables: &'a T,
    wanted: &Pair,
    quota: u32,
    generation: u32,
    now: u32,
) -> Result<Found<'a>, DropReason> {
    let key = &wanted.key;
    if !matches!(key.protocol, TCP | UDP | ICMP) || key.protocol == ICMP && key.ports >> 16 != 0 {
        return Err(DropReason::SnatPorts);
    }
    let own = (key.ports as u16).swap_bytes();
    let seed = tables.config().map_or(0, |config| config.flow_seed.get());
    let mut draw = mix(mix(seed, u64::from(key.ports) | u64::from(now) << 32), key.dst[1]);
    let mut candidate = own;
    for _ in 0..TRIES {
        let pair = with_port(wanted, candidate);
        if find(tables, &pair.reply_key).is_none() {
            return open_pair(tables, &pair, quota, generation, now);
        }
        draw = mix(draw, 1);
        let drawn = draw as u16;
        candidate = if drawn < FIRST_PORT { drawn + FIRST_PORT } else { drawn };
    }
    Err(DropReason::SnatPorts)
}

/// The same connection from another source port (host order).
fn with_port(wanted: &Pair, port: u16) -> Pair {
    let key: FlowKey = wanted.key;
    let mut action = wanted.action;
    action.ports = (key.ports & 0xffff_0000) | u32::from(port.swap_bytes());
    let action = action.completed(&key);
    let reply_key = reply_key(&action, key.protocol);
    let reply_action = wanted.reply_action.completed(&reply_key);
    Pair { key, action, reply_key, reply_action }
}
