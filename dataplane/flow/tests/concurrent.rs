//! Many threads open, follow and end flows in one table at once.

use std::sync::atomic::{AtomicBool, Ordering};

use updraft_flow::flow::{Action, FlowKey, INITIATOR, Pair, find, open, reply_key};
use updraft_flow::layout::{FlowSlot, UPLINK_ZONE, ipv4};
use updraft_flow::{DropReason, View, live_slots, sweep};

mod memory;
use memory::Memory;

const THREADS: u32 = 4;
/// Connections that each thread opens.
const CONNECTIONS: u32 = 4_000;
const QUOTA: u32 = u32::MAX / 2;

/// A connection of `zone` to the uplink; `number` tells it from the others.
fn pair(zone: u32, number: u32) -> Pair {
    let key = FlowKey {
        src: ipv4([10, 0, 0, 1]),
        dst: ipv4(number.to_be_bytes()),
        ports: 0x1234_5678,
        zone,
        mac: u64::from(zone) + 1,
        protocol: 6,
    };
    let action = Action {
        dst_mac: (u64::from(number) << 8 & 0xffff_ffff_ffff) | INITIATOR,
        src_mac: u64::from(number),
        src: ipv4([203, 0, 113, zone as u8]),
        dst: key.dst,
        ports: key.ports,
        destination: UPLINK_ZONE,
        deltas: 0,
    };
    let action = action.completed(&key);
    let reply_key = reply_key(&action, key.protocol);
    let reply_action = Action { dst_mac: key.mac, src: key.dst, dst: key.src, destination: zone, ..action };
    Pair { key, action, reply_key, reply_action: reply_action.completed(&reply_key) }
}

/// A slot that was found must be whole: everything in it belongs to its key.
fn assert_whole(slot: &FlowSlot, number: u32) {
    assert_eq!(slot.src_mac.get(), u64::from(number));
    assert_eq!(slot.dst[1].get(), ipv4(number.to_be_bytes())[1]);
}

fn open_all(view: &View<'_>, zone: u32) -> u32 {
    let mut opened = 0;
    for number in 0..CONNECTIONS {
        match open(view, &pair(zone, number), QUOTA, 1, 1) {
            Ok(found) => {
                assert_whole(found.slot, number);
                opened += 1;
            }
            Err(reason) => assert_eq!(reason, DropReason::FlowTableFull),
        }
    }
    opened
}

#[test]
fn threads_fill_one_table_without_losing_or_mixing_anything() {
    let memory = Memory::new(1 << 16);
    let view = memory.view();
    let opened: u32 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|zone| scope.spawn(move || open_all(&view, zone))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(opened > THREADS * CONNECTIONS * 99 / 100, "a half full table has room: {opened}");
    assert_eq!(live_slots(&view), 2 * opened);
    let held: u32 = view.port_states.iter().map(|state| state.flows.get()).sum();
    assert_eq!(held, 2 * opened, "quotas count exactly what is there");
    for zone in 0..THREADS {
        let found =
            (0..CONNECTIONS).filter_map(|number| Some((number, find(&view, &pair(zone, number).key)?)));
        found.for_each(|(number, found)| assert_whole(found.slot, number));
    }
}

#[test]
fn threads_that_open_the_same_connection_leave_one() {
    let memory = Memory::new(1 << 16);
    let view = memory.view();
    let opened: u32 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(move || open_all(&view, 0))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(opened >= CONNECTIONS, "every connection was opened by somebody: {opened}");
    for number in 0..CONNECTIONS {
        let words = |slot: &FlowSlot| slot.key.each_ref().map(|word| word.get());
        let found =
            find(&view, &pair(0, number).key).unwrap_or_else(|| panic!("connection {number} is gone"));
        let twins =
            view.flows.iter().filter(|slot| slot.state.get() & 3 == 2 && words(slot) == words(found.slot));
        // Whoever opened it later found it open: twins stay only of two that raced to the very end.
        assert!(twins.count() <= THREADS as usize);
        assert_whole(found.slot, number);
        if number > 50 {
            break; // the scan is slow
        }
    }
}

#[test]
fn readers_never_see_half_a_flow_while_slots_change_hands() {
    let memory = Memory::new(1 << 6); // crowded: slots are reused all the time
    let view = memory.view();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..2_000u32 {
                for number in 0..16 {
                    let _ = open(&view, &pair(0, round * 16 + number), QUOTA, 1, 1);
                }
                // Long after: everything has expired.
                sweep(&view, 0, u32::MAX, u64::from(u32::MAX / 4) << 20);
            }
            stop.store(true, Ordering::Release);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut number = 0u32;
                while !stop.load(Ordering::Acquire) {
                    number = number.wrapping_add(7) % 32_000;
                    let Some(found) = find(&view, &pair(0, number).key) else { continue };
                    let (mac, dst) = (found.slot.src_mac.get(), found.slot.dst[1].get());
                    if found.slot.state.acquire() == found.state {
                        assert_eq!((mac, dst), (u64::from(number), ipv4(number.to_be_bytes())[1]));
                    }
                }
            });
        }
        writer.join().unwrap();
    });
    assert_eq!(live_slots(&view), 0);
    assert_eq!(view.port_states[0].flows.get(), 0);
}
