//! Which place in the port table a port has. Flows are keyed by it, so it must not change while the port exists,
//! not even when netd restarts: the pinned table itself is the memory.

use std::collections::{BTreeMap, BTreeSet};

use updraft_base::PortId;
use updraft_dataplane_api::net::NetConfig;
use updraft_flow::layout::{PORT_PRESENT, PORTS};
use updraft_flow::{PortIndex, Tables, View};
use uuid::Uuid;

use super::TooMany;

/// The places given in the half that is in force.
pub fn assigned(view: &View<'_>) -> BTreeMap<PortId, PortIndex> {
    let half = view.config.generation.acquire();
    let present = (0..PORTS).filter_map(|index| {
        let port = view.port(half, index).filter(|port| port.flags.get() & PORT_PRESENT != 0)?;
        let id = Uuid::from_u64_pair(port.id[0].get(), port.id[1].get());
        Some((PortId(id), PortIndex(index)))
    });
    present.collect()
}

/// Keeps the places of ports that stay. New ports get places that nobody has just left, as long as there are some.
pub fn assign(
    before: &BTreeMap<PortId, PortIndex>,
    config: &NetConfig,
) -> Result<BTreeMap<PortId, PortIndex>, TooMany> {
    let wanted: BTreeSet<PortId> = config.ports.iter().map(|port| port.id).collect();
    TooMany::check("ports", wanted.len(), PORTS)?;
    let mut ports: BTreeMap<PortId, PortIndex> =
        wanted.iter().filter_map(|id| before.get(id).map(|&index| (*id, index))).collect();
    let used: BTreeSet<u32> = before.values().map(|index| index.0).collect();
    let kept: BTreeSet<u32> = ports.values().map(|index| index.0).collect();
    let fresh = (0..PORTS).filter(|index| !used.contains(index));
    let left = used.iter().copied().filter(|index| !kept.contains(index));
    let mut free = fresh.chain(left);
    for id in wanted {
        if let std::collections::btree_map::Entry::Vacant(place) = ports.entry(id)
            && let Some(index) = free.next()
        {
            place.insert(PortIndex(index));
        }
    }
    Ok(ports)
}
