//! Access to the tables: by slices natively, by map look-ups in the kernel.

use crate::layout::{
    ADDRESSES, AddressEntry, Config, CounterShard, FlowSlot, MEMBERS, MemberEntry, NeighbourEntry, PORTS,
    PortEntry, PortState, ROUTERS, ROUTES, RULES, RouteEntry, RouterEntry, RuleEntry, SOURCES, SourceEntry,
};
use crate::policy::{self, Answer, Subject};
use crate::verdict::{DropReason, Event};

/// The tables as one home sees them. An index out of range is `None`.
///
/// Those of the policy tables (see [`crate::layout`]) are given the index within the half and the half.
pub trait Tables: Sized {
    /// False in the kernel, where what needs the whole engine is left to netd ([`crate::Verdict::Defer`]).
    const COMPLETE: bool;

    fn config(&self) -> Option<&Config>;
    fn flow(&self, index: u32) -> Option<&FlowSlot>;
    fn port(&self, half: u32, index: u32) -> Option<&PortEntry>;
    fn port_state(&self, index: u32) -> Option<&PortState>;
    fn source(&self, half: u32, index: u32) -> Option<&SourceEntry>;
    fn rule(&self, half: u32, index: u32) -> Option<&RuleEntry>;
    fn address(&self, half: u32, index: u32) -> Option<&AddressEntry>;
    fn member(&self, half: u32, index: u32) -> Option<&MemberEntry>;
    fn router(&self, half: u32, index: u32) -> Option<&RouterEntry>;
    fn route(&self, half: u32, index: u32) -> Option<&RouteEntry>;
    fn neighbour(&self, index: u32) -> Option<&NeighbourEntry>;
    /// The counters of whoever runs this (a CPU or a worker): nobody else writes them.
    fn counters(&self) -> Option<&CounterShard>;

    /// What `count` rules from `first` on say. A home may have its own way to call [`policy::walk`].
    #[inline(always)]
    fn judge(&self, half: u32, first: u32, count: u32, subject: &Subject) -> Answer {
        policy::walk(self, half, first, count, subject)
    }

    /// Counts one.
    #[inline(always)]
    fn count(&self, event: Event) {
        bump(self.counters(), event as usize);
    }

    /// Counts one dropped packet.
    #[inline(always)]
    fn count_drop(&self, reason: DropReason) {
        bump(self.counters(), Event::ALL.len() + reason as usize);
    }
}

#[inline(always)]
fn bump(shard: Option<&CounterShard>, index: usize) {
    if let Some(word) = shard.and_then(|shard| shard.values.get(index)) {
        word.set(word.get().wrapping_add(1));
    }
}

/// The tables in this process's memory, mapped or allocated; cheap to copy, one for each worker.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub config: &'a Config,
    /// As many as `config.flow_mask` + 1.
    pub flows: &'a [FlowSlot],
    /// Both halves one after the other, as in all policy tables.
    pub ports: &'a [PortEntry],
    pub port_states: &'a [PortState],
    pub sources: &'a [SourceEntry],
    pub rules: &'a [RuleEntry],
    pub addresses: &'a [AddressEntry],
    pub members: &'a [MemberEntry],
    pub routers: &'a [RouterEntry],
    pub routes: &'a [RouteEntry],
    pub neighbours: &'a [NeighbourEntry],
    pub counters: &'a [CounterShard],
    /// Which shard of the counters this worker writes: from [`crate::layout::FIRST_WORKER_SHARD`] on.
    pub shard: u32,
}

#[inline(always)]
fn in_half<T>(table: &[T], half: u32, size: u32, index: u32) -> Option<&T> {
    if index >= size {
        return None;
    }
    table.get(((half & 1) * size + index) as usize)
}

impl Tables for View<'_> {
    const COMPLETE: bool = true;

    #[inline(always)]
    fn config(&self) -> Option<&Config> {
        Some(self.config)
    }
    #[inline(always)]
    fn flow(&self, index: u32) -> Option<&FlowSlot> {
        self.flows.get(index as usize)
    }
    #[inline(always)]
    fn port(&self, half: u32, index: u32) -> Option<&PortEntry> {
        in_half(self.ports, half, PORTS, index)
    }
    #[inline(always)]
    fn port_state(&self, index: u32) -> Option<&PortState> {
        self.port_states.get(index as usize)
    }
    #[inline(always)]
    fn source(&self, half: u32, index: u32) -> Option<&SourceEntry> {
        in_half(self.sources, half, SOURCES, index)
    }
    #[inline(always)]
    fn rule(&self, half: u32, index: u32) -> Option<&RuleEntry> {
        in_half(self.rules, half, RULES, index)
    }
    #[inline(always)]
    fn address(&self, half: u32, index: u32) -> Option<&AddressEntry> {
        in_half(self.addresses, half, ADDRESSES, index)
    }
    #[inline(always)]
    fn member(&self, half: u32, index: u32) -> Option<&MemberEntry> {
        in_half(self.members, half, MEMBERS, index)
    }
    #[inline(always)]
    fn router(&self, half: u32, index: u32) -> Option<&RouterEntry> {
        in_half(self.routers, half, ROUTERS, index)
    }
    #[inline(always)]
    fn route(&self, half: u32, index: u32) -> Option<&RouteEntry> {
        in_half(self.routes, half, ROUTES, index)
    }
    #[inline(always)]
    fn neighbour(&self, index: u32) -> Option<&NeighbourEntry> {
        self.neighbours.get(index as usize)
    }
    #[inline(always)]
    fn counters(&self) -> Option<&CounterShard> {
        self.counters.get(self.shard as usize)
    }
}

impl View<'_> {
    /// The same tables for another worker.
    #[must_use]
    pub fn with_shard(self, shard: u32) -> Self {
        Self { shard, ..self }
    }

    /// The sum of one counter over the kernel's shards, the workers', or both.
    fn sum(&self, index: usize, shards: core::ops::Range<usize>) -> u64 {
        let values = self.counters.get(shards).unwrap_or_default();
        values.iter().filter_map(|shard| shard.values.get(index)).map(|word| word.get()).sum()
    }

    /// Counted by the XDP program itself, by name: events, and its drops as `dropped_REASON`'s plain reason.
    pub fn kernel_events(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let shards = crate::layout::FIRST_WORKER_SHARD as usize;
        Event::ALL.iter().map(move |&event| (event.name(), self.sum(event as usize, 0..shards)))
    }

    /// Drops by reason, of both homes together.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let first = Event::ALL.len();
        let shards = self.counters.len();
        DropReason::ALL
            .iter()
            .map(move |&reason| (reason.name(), self.sum(first + reason as usize, 0..shards)))
    }

    /// Drops by reason, of the XDP program.
    pub fn kernel_drops(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let first = Event::ALL.len();
        let shards = crate::layout::FIRST_WORKER_SHARD as usize;
        DropReason::ALL
            .iter()
            .map(move |&reason| (reason.name(), self.sum(first + reason as usize, 0..shards)))
    }

    /// Events of both homes together.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let shards = self.counters.len();
        Event::ALL.iter().map(move |&event| (event.name(), self.sum(event as usize, 0..shards)))
    }
}

const _: () = assert!(Event::ALL.len() + DropReason::ALL.len() <= crate::layout::COUNTERS_PER_SHARD as usize);
