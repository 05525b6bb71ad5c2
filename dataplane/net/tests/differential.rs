//! One engine, two homes: the same frames over the same tables through the XDP program in the kernel
//! (BPF_PROG_TEST_RUN) and through the native engine. Verdicts, bytes and tables must be equal.
//!
//! Needs root: without it the test fails, it is never skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod world;

use std::path::PathBuf;

use updraft_flow::layout::{
    AddressEntry, Config, CounterShard, FIRST_WORKER_SHARD, FlowSlot, MemberEntry, NeighbourEntry, PortEntry,
    PortState, RouteEntry, RouterEntry, RuleEntry, SourceEntry, UPLINK_META_MAGIC, UPLINK_TO_PORT,
    UPLINK_UNDECIDED, UplinkMeta,
};
use updraft_flow::{Header, PortIndex, Tables, Verdict, View, from_guest, from_uplink, learn_neighbour};
use updraft_net::program;
use updraft_xdp::{TableMemory, Uplink};
use world::{
    ALICE, ALICE_FLOATING, BACK_ROUTER_MAC, BOB, CAROL, CAROL_FLOATING, FRONT_ROUTER_MAC, Frame, GATEWAY,
    Guest, NEXT_HOP, NEXT_HOP_MAC, STRANGER, World, arp, from, outside,
};

/// Frames compared in one run.
const FRAMES: u32 = 30_000;
/// XDP_DROP, XDP_PASS (linux/bpf.h). Without a socket, what is meant for netd is a drop with metadata.
const DROP: u32 = 1;
const PASS: u32 = 2;

/// The native engine within the kernel's bounds.
struct Bounded<'a>(View<'a>);

macro_rules! forward {
    ($($name:ident($($arg:ident),*) -> $entry:ty;)+) => {
        $(fn $name(&self, $($arg: u32),*) -> Option<&$entry> {
            self.0.$name($($arg),*)
        })+
    };
}

impl Tables for Bounded<'_> {
    const COMPLETE: bool = false;
    forward! {
        config() -> Config;
        flow(index) -> FlowSlot;
        port(half, index) -> PortEntry;
        port_state(index) -> PortState;
        source(half, index) -> SourceEntry;
        rule(half, index) -> RuleEntry;
        address(half, index) -> AddressEntry;
        member(half, index) -> MemberEntry;
        router(half, index) -> RouterEntry;
        route(half, index) -> RouteEntry;
        neighbour(index) -> NeighbourEntry;
        counters() -> CounterShard;
    }
}

/// A small generator (xorshift64*): a failure names the seed.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn ports(&mut self) -> (u16, u16) {
        (self.of(&[22, 53, 80, 443, 5000, 5001, 40_000]), self.of(&[22, 23, 53, 443, 5000, 5432, 40_000]))
    }

    fn flags(&mut self) -> &'static str {
        self.of(&["S", "S", "S", "SA", "A", "A", "FA", "RA", "R", "SF", ""])
    }

    fn transport(&mut self, outline: world::Outline) -> Frame {
        match self.below(8) {
            0..=3 => outline.tcp(self.ports(), self.flags()),
            4 => outline.udp(self.ports(), b"odd"),
            5 => outline.ping(self.of(&[0, 1, 5000])),
            6 => outline.pong(self.of(&[0, 1, 5000])),
            _ => outline.protocol(self.of(&[2, 47, 50, 132])),
        }
    }

    fn draw_outside(&mut self) -> Frame {
        let src = self.of(&[STRANGER, STRANGER, NEXT_HOP, [192, 0, 2, 1]]);
        let dst = self.of(&[ALICE_FLOATING, CAROL_FLOATING, GATEWAY, [203, 0, 113, 55]]);
        if self.once_in(20) {
            return arp(NEXT_HOP_MAC, self.of(&[1, 2]), (NEXT_HOP_MAC, NEXT_HOP), dst);
        }
        let ttl = self.of(&[64, 64, 64, 2, 1, 0]);
        let mut frame = self.transport(outside(src, dst).ttl(ttl));
        if self.once_in(10) {
            frame = outside(src, dst).unreachable(&frame);
        }
        // Most of them sound, so that they get far; some with a hole.
        if self.once_in(5) {
            let at = self.below(frame.bytes.len().min(80) as u64) as usize;
            frame.bytes[at] = self.of(&[0, 1, 0x11, 0x45, 0x46, 0x80, 0xff]);
        }
        if self.once_in(12) {
            let len = 14 + self.below(frame.bytes.len() as u64 - 13) as usize;
            frame.bytes.truncate(len);
        }
        frame
    }

    fn draw_inside(&mut self) -> (Guest, Frame) {
        let (guest, router) =
            self.of(&[(ALICE, FRONT_ROUTER_MAC), (BOB, FRONT_ROUTER_MAC), (CAROL, BACK_ROUTER_MAC)]);
        let dst = self.of(&[STRANGER, STRANGER, NEXT_HOP, [192, 0, 2, 1], CAROL_FLOATING]);
        (guest, self.transport(from(guest, router, dst)))
    }
}

/// The kernel's tables and a native copy of them.
struct Homes {
    kernel: Uplink,
    native: TableMemory,
    pins: PathBuf,
}

impl Drop for Homes {
    fn drop(&mut self) {
        if let Err(error) = updraft_xdp::remove(&self.pins) {
            eprintln!("{error}");
        }
    }
}

/// Sums of all counters of both kinds of shards.
fn counted(view: &View<'_>) -> Vec<(&'static str, u64)> {
    view.events().chain(view.drops()).collect()
}

/// A slot without the time of its last packet, which the kernel reads from its own clock.
fn timeless(slot: &FlowSlot) -> ([u64; 6], [u64; 6], [u32; 7]) {
    let wide = [&slot.dst_mac, &slot.src_mac, &slot.src[0], &slot.src[1], &slot.dst[0], &slot.dst[1]];
    let words =
        [&slot.state, &slot.generation, &slot.seen, &slot.ports, &slot.destination, &slot.peer, &slot.deltas];
    (std::array::from_fn(|i| slot.key[i].get()), wide.map(|word| word.get()), words.map(|word| word.get()))
}

impl Homes {
    fn new(name: &str) -> Self {
        let pins = PathBuf::from(format!("/sys/fs/bpf/updraft-test-{}-{name}", std::process::id()));
        let kernel = Uplink::open(&pins).expect("this test loads a BPF program and needs root");
        let homes = Self { kernel, native: TableMemory::anonymous().unwrap(), pins };
        assert!(learn_neighbour(&homes.kernel_view(), NEXT_HOP, Some(NEXT_HOP_MAC)));
        homes
    }

    fn kernel_view(&self) -> View<'_> {
        self.kernel.tables().view(FIRST_WORKER_SHARD)
    }

    fn native_view(&self) -> View<'_> {
        self.native.view(FIRST_WORKER_SHARD)
    }

    /// Puts a configuration in force in both.
    fn apply(&self, config: &updraft_dataplane_api::net::NetConfig) {
        program::apply(&self.kernel_view(), config).unwrap();
        self.native.copy_from(self.kernel.tables());
    }

    /// A guest's frame, by the native engine over either set of tables.
    fn send(&self, port: PortIndex, frame: &Frame) {
        let judge = |view: &View<'_>| {
            let mut bytes = frame.bytes.clone();
            let total = bytes.len() as u32;
            let head = bytes.len().min(updraft_flow::HEADER_BYTES);
            from_guest(view, port, &mut Header::plain(&mut bytes[..head], total), world::NOW)
        };
        assert_eq!(judge(&self.kernel_view()), judge(&self.native_view()));
    }

    /// A frame from the uplink, through both. Gives the native verdict.
    fn receive(&mut self, frame: &Frame, context: &str) -> Verdict {
        let mut expected = frame.bytes.clone();
        let total = expected.len() as u32;
        let head = expected.len().min(updraft_flow::HEADER_BYTES);
        let native = Bounded(self.native.view(FIRST_WORKER_SHARD));
        let verdict = from_uplink(&native, &mut Header::plain(&mut expected[..head], total), world::NOW);
        let outcome = self.kernel.test_run(&frame.bytes, 1).unwrap();
        let meta = |verdict, port| Some(UplinkMeta { magic: UPLINK_META_MAGIC, verdict, port, reserved: 0 });
        let (action, meta) = match verdict {
            Verdict::Port(port) => (DROP, meta(UPLINK_TO_PORT, port.0)),
            Verdict::Respond(_) | Verdict::Defer => (DROP, meta(UPLINK_UNDECIDED, 0)),
            Verdict::Pass => (PASS, None),
            Verdict::Drop(_) | Verdict::Uplink => (DROP, None),
        };
        assert_eq!(
            (outcome.action, outcome.meta),
            (action, meta),
            "{verdict:?} {context} {:02x?}",
            frame.bytes
        );
        assert_eq!(outcome.frame, expected, "bytes after {verdict:?} {context} {:02x?}", frame.bytes);
        verdict
    }

    fn compare_tables(&self, context: &str) {
        let (kernel, native) = (self.kernel_view(), self.native_view());
        assert_eq!(counted(&kernel), counted(&native), "{context}");
        for (index, (left, right)) in kernel.flows.iter().zip(native.flows).enumerate() {
            assert_eq!(timeless(left), timeless(right), "slot {index} {context}");
        }
        for (index, (left, right)) in kernel.port_states.iter().zip(native.port_states).enumerate() {
            assert_eq!(left.flows.get(), right.flows.get(), "flows of port {index} {context}");
        }
    }
}

#[test]
fn both_homes_do_the_same() {
    let seed = std::env::var("UPDRAFT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed_0001);
    let mut draw = Draw(seed);
    let mut homes = Homes::new("random");
    let mut config = world::config();
    homes.apply(&config);
    let places = |homes: &Homes| program::apply(&homes.kernel_view(), &world::config()).unwrap().ports;
    let places = places(&homes);
    homes.native.copy_from(homes.kernel.tables());
    let mut verdicts = std::collections::BTreeMap::<String, u32>::new();
    for number in 0..FRAMES {
        let context = format!("frame {number} of seed {seed:#x}");
        if draw.once_in(4) {
            let (guest, frame) = draw.draw_inside();
            let place = places[&world::port(guest, 0x31, world::WEB).id];
            homes.send(place, &frame);
        }
        let frame = draw.draw_outside();
        let verdict = homes.receive(&frame, &context);
        let name = match verdict {
            Verdict::Port(_) => "Port".into(),
            other => format!("{other:?}"),
        };
        *verdicts.entry(name).or_default() += 1;
        if number % 1000 == 999 {
            homes.compare_tables(&context);
            // Another policy: a rule comes or goes, flows are checked again.
            let rules = &mut config.security_groups[0].rules;
            match rules.len() {
                4 => drop(rules.remove(1)),
                _ => rules.insert(1, world::config().security_groups.remove(0).rules.remove(1)),
            }
            homes.apply(&config);
        }
    }
    println!("{verdicts:#?}");
    for wanted in
        ["Port", "Pass", "Defer", "Respond(Arp)", "Respond(Echo)", "Drop(PolicyIngress)", "Drop(NotSyn)"]
    {
        assert!(verdicts.get(wanted).is_some_and(|&count| count > 50), "too few of {wanted}: {verdicts:#?}");
    }
}

#[test]
fn a_denied_packet_dies_at_the_driver_and_an_allowed_one_is_translated() {
    let mut homes = Homes::new("denied");
    homes.apply(&world::config());
    let world = World::new(); // the whole engine agrees
    for (port, allowed) in [(22, true), (23, false)] {
        let frame = outside(STRANGER, ALICE_FLOATING).tcp((40_000, port), "S");
        let verdict = homes.receive(&frame, "");
        assert_eq!(matches!(verdict, Verdict::Port(_)), allowed, "{verdict:?}");
        assert_eq!(world.receive(&frame).0, verdict);
    }
    let counters: Vec<_> = homes.kernel_view().kernel_events().collect();
    for (name, count) in [("rx", 2), ("floating_ip", 1), ("to_guest", 1), ("dropped", 1), ("flows_opened", 1)]
    {
        assert!(counters.contains(&(name, count)), "{name} is not {count}: {counters:?}");
    }
    let drops: Vec<_> = homes.kernel_view().kernel_drops().filter(|(_, count)| *count > 0).collect();
    assert_eq!(drops, [("policy_ingress", 1)]);
}

#[test]
fn a_flow_that_a_guest_opens_is_known_to_the_kernel_at_once() {
    let mut homes = Homes::new("shared");
    homes.apply(&world::config());
    let ports = program::apply(&homes.kernel_view(), &world::config()).unwrap().ports;
    homes.native.copy_from(homes.kernel.tables());
    let answer = outside(STRANGER, GATEWAY).tcp((443, 5000), "SA");
    assert_eq!(homes.receive(&answer, "before"), Verdict::Drop(updraft_flow::DropReason::NotServed));
    let bob = ports[&world::port(BOB, 0x31, world::WEB).id];
    homes.send(bob, &from(BOB, FRONT_ROUTER_MAC, STRANGER).tcp((5000, 443), "S"));
    assert_eq!(homes.receive(&answer, "after"), Verdict::Port(bob));
}

#[test]
fn flows_outlive_the_process_that_made_them() {
    let mut homes = Homes::new("pinned");
    homes.apply(&world::config());
    let open = outside(STRANGER, ALICE_FLOATING).tcp((40_000, 22), "S");
    assert!(matches!(homes.receive(&open, "open"), Verdict::Port(_)));
    let again = Uplink::open(&homes.pins).unwrap(); // as a restarted netd does
    homes.kernel = again;
    let ports = program::apply(&homes.kernel_view(), &world::config()).unwrap().ports;
    homes.native.copy_from(homes.kernel.tables());
    let going_on = outside(STRANGER, ALICE_FLOATING).tcp((40_000, 22), "A");
    let alice = ports[&world::port(ALICE, 0x31, world::WEB).id];
    assert_eq!(homes.receive(&going_on, "after"), Verdict::Port(alice));
}

#[test]
fn more_rules_than_the_kernel_walks_go_to_netd() {
    use updraft_dataplane_api::net::{Direction, RemotePeer};
    let mut homes = Homes::new("rules");
    let mut config = world::config();
    let rules = &mut config.security_groups[1].rules; // carol's
    let many = 2 * updraft_flow::layout::RULES_IN_KERNEL as u16;
    rules.extend(
        (1000..1000 + many)
            .map(|port| world::rule(Direction::Ingress, Some(6), Some((port, port)), RemotePeer::Any)),
    );
    homes.apply(&config);
    let mut world = World::new();
    world.config = config;
    world.apply();
    let open = |port| outside(STRANGER, CAROL_FLOATING).tcp((40_000, port), "S");
    let last = open(1000 + many - 1);
    assert_eq!(homes.receive(&last, "beyond the bound"), Verdict::Defer);
    assert_eq!(world.receive(&last).0, Verdict::Port(world.index(CAROL)), "the whole engine walks on");
    assert!(matches!(homes.receive(&open(443), "within it"), Verdict::Port(_)));
    assert_eq!(world.receive(&open(999)).0, Verdict::Drop(updraft_flow::DropReason::PolicyIngress));
}
