//! The tables as BPF maps. netd maps the arrays into its memory (BPF_F_MMAPABLE) under the same names.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, XskMap};
use updraft_flow::Tables;
use updraft_flow::layout::{
    ADDRESSES, AddressEntry, COUNTER_SHARDS, Config, CounterShard, FIRST_WORKER_SHARD, FLOW_SLOTS, FlowSlot,
    MEMBERS, MemberEntry, NEIGHBOURS, NeighbourEntry, PORTS, PortEntry, PortState, ROUTERS, ROUTES, RULES,
    RouteEntry, RouterEntry, RuleEntry, SOURCES, SourceEntry,
};
use updraft_flow::policy::{self, Answer, Subject};

/// Receive queues of the uplink that may have a socket.
const QUEUES: u32 = 64;

macro_rules! tables {
    ($($name:ident: $entry:ty, $entries:expr;)+) => {
        $(#[map]
        static $name: Array<$entry> = Array::with_max_entries($entries, BPF_F_MMAPABLE);)+
    };
}

tables! {
    CONFIG: Config, 1;
    FLOW_TABLE: FlowSlot, FLOW_SLOTS;
    PORT_TABLE: PortEntry, 2 * PORTS;
    PORT_STATES: PortState, PORTS;
    SOURCE_TABLE: SourceEntry, 2 * SOURCES;
    RULE_TABLE: RuleEntry, 2 * RULES;
    ADDRESS_TABLE: AddressEntry, 2 * ADDRESSES;
    MEMBER_TABLE: MemberEntry, 2 * MEMBERS;
    ROUTER_TABLE: RouterEntry, 2 * ROUTERS;
    ROUTE_TABLE: RouteEntry, 2 * ROUTES;
    NEIGHBOUR_TABLE: NeighbourEntry, NEIGHBOURS;
    COUNTERS: CounterShard, COUNTER_SHARDS;
}

/// netd's AF_XDP sockets, by receive queue.
#[map]
pub static SOCKETS: XskMap = XskMap::with_max_entries(QUEUES, 0);

/// [`policy::walk`] as a function that the verifier checks once, for any arguments (a "global function"), instead of
/// once for every way that leads to it: the walk is most of the program's work to verify.
///
/// `what` is the protocol above 32 bits of selector, `remote` an IPv4 address. Gives 0 for denied, 1 for allowed, 2
/// for too many rules.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn updraft_judge(half: u32, first: u32, count: u32, what: u64, remote: u64) -> u32 {
    let subject = Subject { protocol: (what >> 32) as u8, selector: what as u32, remote: [0, remote] };
    match policy::walk(&KernelTables, half, first, count, &subject) {
        Answer::Denied => 0,
        Answer::Allowed => 1,
        Answer::TooMany => 2,
    }
}

/// The tables by map look-ups, which the kernel inlines for arrays.
pub struct KernelTables;

impl Tables for KernelTables {
    const COMPLETE: bool = false;

    #[inline(always)]
    fn config(&self) -> Option<&Config> {
        CONFIG.get(0)
    }
    #[inline(always)]
    fn flow(&self, index: u32) -> Option<&FlowSlot> {
        FLOW_TABLE.get(index)
    }
    #[inline(always)]
    fn port(&self, half: u32, index: u32) -> Option<&PortEntry> {
        if index >= PORTS { None } else { PORT_TABLE.get((half & 1) * PORTS + index) }
    }
    #[inline(always)]
    fn port_state(&self, index: u32) -> Option<&PortState> {
        PORT_STATES.get(index)
    }
    #[inline(always)]
    fn source(&self, half: u32, index: u32) -> Option<&SourceEntry> {
        if index >= SOURCES { None } else { SOURCE_TABLE.get((half & 1) * SOURCES + index) }
    }
    #[inline(always)]
    fn rule(&self, half: u32, index: u32) -> Option<&RuleEntry> {
        if index >= RULES { None } else { RULE_TABLE.get((half & 1) * RULES + index) }
    }
    #[inline(always)]
    fn address(&self, half: u32, index: u32) -> Option<&AddressEntry> {
        if index >= ADDRESSES { None } else { ADDRESS_TABLE.get((half & 1) * ADDRESSES + index) }
    }
    #[inline(always)]
    fn member(&self, half: u32, index: u32) -> Option<&MemberEntry> {
        if index >= MEMBERS { None } else { MEMBER_TABLE.get((half & 1) * MEMBERS + index) }
    }
    #[inline(always)]
    fn router(&self, half: u32, index: u32) -> Option<&RouterEntry> {
        if index >= ROUTERS { None } else { ROUTER_TABLE.get((half & 1) * ROUTERS + index) }
    }
    #[inline(always)]
    fn route(&self, half: u32, index: u32) -> Option<&RouteEntry> {
        if index >= ROUTES { None } else { ROUTE_TABLE.get((half & 1) * ROUTES + index) }
    }
    #[inline(always)]
    fn neighbour(&self, index: u32) -> Option<&NeighbourEntry> {
        NEIGHBOUR_TABLE.get(index)
    }
    #[inline(always)]
    fn judge(&self, half: u32, first: u32, count: u32, subject: &Subject) -> Answer {
        let [_, remote] = subject.remote;
        let what = u64::from(subject.protocol) << 32 | u64::from(subject.selector);
        match updraft_judge(half, first, count, what, remote) {
            0 => Answer::Denied,
            1 => Answer::Allowed,
            _ => Answer::TooMany,
        }
    }
    #[inline(always)]
    fn counters(&self) -> Option<&CounterShard> {
        // SAFETY: a helper without arguments.
        COUNTERS.get(unsafe { bpf_get_smp_processor_id() } % FIRST_WORKER_SHARD)
    }
}
