//! The tables as memory of this process: BPF arrays that the kernel lets us map, or anonymous memory of the same
//! shape.

use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use updraft_flow::View;
use updraft_flow::layout::{
    ADDRESSES, AddressEntry, COUNTER_SHARDS, Config, CounterShard, FLOW_SLOTS, FlowSlot, LAYOUT_VERSION,
    MEMBERS, MemberEntry, NEIGHBOURS, NeighbourEntry, PORTS, PortEntry, PortState, ROUTERS, ROUTES, RULES,
    RouteEntry, RouterEntry, RuleEntry, SOURCES, SourceEntry,
};
use updraft_flow::word::Word64;

use crate::error::{Error, Kind};

/// One table: a mapped array of `T`. `T` is made of [`updraft_flow::word::Word`]s, so that all-zero bytes are a
/// value and anybody may write at any time.
struct Table<T> {
    start: NonNull<T>,
    entries: usize,
    /// Mapped bytes: the entries, rounded up to pages.
    bytes: usize,
    kind: PhantomData<T>,
}

// SAFETY: the memory belongs to the mapping, which lives as long as this; entries are shared words (`T: Sync`).
unsafe impl<T: Sync> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Table<T> {}

impl<T> Table<T> {
    fn map(name: &'static str, entries: u32, fds: &Source<'_>) -> Result<Self, Error> {
        let bytes = (entries as usize * size_of::<T>()).next_multiple_of(rustix::param::page_size());
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let mapped = match fds {
            // SAFETY: a fresh mapping at an address of the kernel's choice.
            Source::Anonymous => unsafe {
                mmap_anonymous(
                    std::ptr::null_mut(),
                    bytes,
                    protection,
                    MapFlags::PRIVATE | MapFlags::NORESERVE,
                )
            },
            Source::Maps(find) => {
                let fd = find(name)?;
                // SAFETY: as above; the kernel checks that the array is at least this large.
                unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, fd, 0) }
            }
        };
        let mapped = mapped.map_err(Error::of(Kind::Map, name))?;
        let Some(start) = NonNull::new(mapped.cast::<T>()) else { return Err(Error::new(Kind::Map, name)) };
        Ok(Self { start, entries: entries as usize, bytes, kind: PhantomData })
    }

    /// All words, whatever they mean.
    fn words(&self) -> &[Word64] {
        // SAFETY: as in `entries`; every table starts on a page and its entries are multiples of eight bytes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.entries * size_of::<T>() / 8) }
    }

    fn copy_from(&self, other: &Self) {
        for (to, from) in self.words().iter().zip(other.words()) {
            to.set(from.get());
        }
    }

    fn entries(&self) -> &[T] {
        // SAFETY: `bytes` of readable, page-aligned memory hold `entries` values; zero bytes are valid ones, and
        // every field is a word that tolerates concurrent writes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.entries) }
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no slice of it outlives `self`. Failure would leak it, no more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Finds the descriptor of a map by name.
type FindMap<'a> = dyn Fn(&'static str) -> Result<BorrowedFd<'a>, Error> + 'a;

/// Where the memory comes from.
enum Source<'a> {
    Anonymous,
    Maps(&'a FindMap<'a>),
}

macro_rules! tables {
    ($($field:ident: $entry:ty, $entries:expr, $map:literal;)+) => {
        /// All tables, mapped.
        pub struct TableMemory {
            $($field: Table<$entry>,)+
        }

        /// The maps of the program that are tables, with the size of a value in bytes and their entries.
        pub(crate) const MAPS: &[(&str, u32, u32)] = &[$(($map, size_of::<$entry>() as u32, $entries),)+];

        impl TableMemory {
            fn map(source: &Source<'_>) -> Result<Self, Error> {
                Ok(Self { $($field: Table::map($map, $entries, source)?,)+ })
            }

            /// Makes these tables, secrets included, equal to others: to compare what two homes do with them.
            pub fn copy_from(&self, other: &Self) {
                $(self.$field.copy_from(&other.$field);)+
            }
        }
    };
}

tables! {
    config: Config, 1, "CONFIG";
    flows: FlowSlot, FLOW_SLOTS, "FLOW_TABLE";
    ports: PortEntry, 2 * PORTS, "PORT_TABLE";
    port_states: PortState, PORTS, "PORT_STATES";
    sources: SourceEntry, 2 * SOURCES, "SOURCE_TABLE";
    rules: RuleEntry, 2 * RULES, "RULE_TABLE";
    addresses: AddressEntry, 2 * ADDRESSES, "ADDRESS_TABLE";
    members: MemberEntry, 2 * MEMBERS, "MEMBER_TABLE";
    routers: RouterEntry, 2 * ROUTERS, "ROUTER_TABLE";
    routes: RouteEntry, 2 * ROUTES, "ROUTE_TABLE";
    neighbours: NeighbourEntry, NEIGHBOURS, "NEIGHBOUR_TABLE";
    counters: CounterShard, COUNTER_SHARDS, "COUNTERS";
}

impl TableMemory {
    /// Tables that only this process sees.
    pub fn anonymous() -> Result<Self, Error> {
        let memory = Self::map(&Source::Anonymous)?;
        memory.prepare()?;
        Ok(memory)
    }

    /// The tables of the loaded program.
    pub(crate) fn of_maps<'a>(find: &'a FindMap<'a>) -> Result<Self, Error> {
        let memory = Self::map(&Source::Maps(find))?;
        memory.prepare()?;
        Ok(memory)
    }

    /// The tables for one worker, which counts in `shard` (from
    /// [`updraft_flow::layout::FIRST_WORKER_SHARD`] on).
    pub fn view(&self, shard: u32) -> View<'_> {
        View {
            config: &self.config.entries()[0],
            flows: self.flows.entries(),
            ports: self.ports.entries(),
            port_states: self.port_states.entries(),
            sources: self.sources.entries(),
            rules: self.rules.entries(),
            addresses: self.addresses.entries(),
            members: self.members.entries(),
            routers: self.routers.entries(),
            routes: self.routes.entries(),
            neighbours: self.neighbours.entries(),
            counters: self.counters.entries(),
            shard,
        }
    }

    /// Draws the secrets of tables that have none yet.
    fn prepare(&self) -> Result<(), Error> {
        let config = &self.config.entries()[0];
        if config.version.acquire() == LAYOUT_VERSION {
            return Ok(());
        }
        let mut random = [0u8; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(Error::of(Kind::Map, "random numbers"))?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = random;
        config.flow_seed.set(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
        config.neighbour_seed.set(u64::from_ne_bytes([i, j, k, l, m, n, o, p]));
        config.flow_mask.set(FLOW_SLOTS - 1);
        config.version.release(LAYOUT_VERSION);
        Ok(())
    }
}
