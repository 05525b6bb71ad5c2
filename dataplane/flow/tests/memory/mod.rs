//! Tables on the heap, with secrets that do not change from run to run.

use updraft_flow::View;
use updraft_flow::layout::{
    ADDRESSES, AddressEntry, COUNTER_SHARDS, Config, CounterShard, FIRST_WORKER_SHARD, FlowSlot, MEMBERS,
    MemberEntry, NEIGHBOURS, NeighbourEntry, PORTS, PortEntry, PortState, ROUTERS, ROUTES, RULES, RouteEntry,
    RouterEntry, RuleEntry, SOURCES, SourceEntry,
};

#[derive(Default)]
pub struct Memory {
    config: Config,
    flows: Vec<FlowSlot>,
    ports: Vec<PortEntry>,
    port_states: Vec<PortState>,
    sources: Vec<SourceEntry>,
    rules: Vec<RuleEntry>,
    addresses: Vec<AddressEntry>,
    members: Vec<MemberEntry>,
    routers: Vec<RouterEntry>,
    routes: Vec<RouteEntry>,
    neighbours: Vec<NeighbourEntry>,
    counters: Vec<CounterShard>,
}

fn table<T: Default>(entries: u32) -> Vec<T> {
    (0..entries).map(|_| T::default()).collect()
}

impl Memory {
    /// `slots` is a power of two.
    pub fn new(slots: u32) -> Self {
        let config = Config::default();
        config.flow_mask.set(slots - 1);
        config.flow_seed.set(0x1234_5678_9abc_def1);
        Self {
            config,
            flows: table(slots),
            ports: table(2 * PORTS),
            port_states: table(PORTS),
            sources: table(2 * SOURCES),
            rules: table(2 * RULES),
            addresses: table(2 * ADDRESSES),
            members: table(2 * MEMBERS),
            routers: table(2 * ROUTERS),
            routes: table(2 * ROUTES),
            neighbours: table(NEIGHBOURS),
            counters: table(COUNTER_SHARDS),
        }
    }

    pub fn view(&self) -> View<'_> {
        View {
            config: &self.config,
            flows: &self.flows,
            ports: &self.ports,
            port_states: &self.port_states,
            sources: &self.sources,
            rules: &self.rules,
            addresses: &self.addresses,
            members: &self.members,
            routers: &self.routers,
            routes: &self.routes,
            neighbours: &self.neighbours,
            counters: &self.counters,
            shard: FIRST_WORKER_SHARD,
        }
    }
}
